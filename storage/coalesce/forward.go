package coalesce

import (
	"context"
	"time"

	"example.com/resourcekit/storage"
)

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	return s.store.Get(ctx, key)
}

// GetMany implements storage.Store.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	return s.store.GetMany(ctx, keys)
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	return s.store.List(ctx, scope, r)
}

// Lookup implements storage.Store.
func (s *Store) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	return s.store.Lookup(ctx, scope, index, r)
}

// SetEntries implements storage.Store.
func (s *Store) SetEntries(
	ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry,
) error {
	return s.store.SetEntries(ctx, key, expect, entries)
}

// Changes implements storage.Store.
func (s *Store) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	return s.store.Changes(ctx, q)
}

// Redact implements storage.Store. It forgets the key, which must not stay in memory.
func (s *Store) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	n, err := s.store.Redact(ctx, key, note)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.apart, key)
	return n, err
}

// Trim implements storage.Store.
func (s *Store) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	return s.store.Trim(ctx, before, end)
}

// Limits implements storage.Store: those of the store below.
func (s *Store) Limits() storage.Limits { return s.store.Limits() }

// Recall implements storage.Recaller: what the store below recalls, if it is one.
func (s *Store) Recall(key storage.Key) (storage.Record, bool) {
	if r, ok := s.store.(storage.Recaller); ok {
		return r.Recall(key)
	}
	return storage.Record{}, false
}
