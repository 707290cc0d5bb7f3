package coalesce

import (
	"context"

	"example.com/resourcekit/storage"
)

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	return s.store.Get(ctx, key)
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	return s.store.List(ctx, scope, after, limit)
}

// GetMany implements storage.BatchStore.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	return s.store.GetMany(ctx, keys)
}

// PutMany implements storage.BatchStore.
func (s *Store) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	return s.store.PutMany(ctx, ops)
}

// DeleteMany implements storage.BatchDeleter.
func (s *Store) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	return s.store.DeleteMany(ctx, ops)
}

// Recall implements storage.Recaller: what the store below recalls, if it does.
func (s *Store) Recall(key storage.Key) (storage.Record, bool) {
	if r, ok := s.store.(storage.Recaller); ok {
		return r.Recall(key)
	}
	return storage.Record{}, false
}

// Limits implements storage.Limiter: those of the store below.
func (s *Store) Limits() storage.Limits {
	if l, ok := s.store.(storage.Limiter); ok {
		return l.Limits()
	}
	return storage.Limits{}
}
