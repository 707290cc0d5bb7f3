package memory

import (
	"context"
	"strings"
	"sync"

	"example.com/resourcekit/storage"
)

var _ storage.Store = (*Store)(nil)

// Store is a storage.Store in memory. Make it with [New]. It is safe for concurrent use.
//
// It has no limit on data. Its conflicts are never spurious, and always carry the
// current record if there is one.
type Store struct {
	mu     sync.RWMutex
	scopes map[storage.Scope]*index // nil once closed
}

// New returns an empty store.
func New() *Store {
	return &Store{scopes: make(map[storage.Scope]*index)}
}

// Get implements storage.Store. It allocates nothing.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := storage.CheckKey(ctx, key); err != nil {
		return storage.Record{}, err
	}
	ix, err := s.index(key.Scope())
	if err != nil {
		return storage.Record{}, err
	}
	e := ix.lookup(key.ExternalID)
	rec := e.load()
	if rec == nil {
		return storage.Record{}, storage.ErrNotFound
	}
	key.ExternalID = e.id
	return rec.public(key), nil
}

// Put implements storage.Store. Over an existing record it allocates the new
// record and nothing else.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if err := storage.CheckKey(ctx, rec.Key); err != nil {
		return 0, err
	}
	if expect == 0 {
		return s.create(rec)
	}
	ix, err := s.index(rec.Key.Scope())
	if err != nil {
		return 0, err
	}
	e := ix.lookup(rec.Key.ExternalID)
	old := e.load()
	if old == nil || old.rev != expect {
		return 0, conflict(rec.Key, old)
	}
	next := newRecord(&rec, storage.NextRevision(old.rev))
	next.uuid, next.created = old.uuid, old.created
	if !e.rec.CompareAndSwap(old, next) {
		return 0, conflict(rec.Key, e.load())
	}
	return next.rev, nil
}

// create is Put for a key that must be absent.
func (s *Store) create(rec storage.Record) (storage.Revision, error) {
	ix, err := s.indexForWrite(rec.Key.Scope())
	if err != nil {
		return 0, err
	}
	// The id may be a piece of a request's body, which the index would keep
	// alive for as long as the record lives.
	rec.Key.ExternalID = strings.Clone(rec.Key.ExternalID)
	next := newRecord(&rec, storage.FirstRevision())
	if current := ix.add(rec.Key.ExternalID, next); current != nil {
		return 0, conflict(rec.Key, current)
	}
	return next.rev, nil
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := storage.CheckDelete(ctx, key, expect); err != nil {
		return err
	}
	ix, err := s.index(key.Scope())
	if err != nil {
		return err
	}
	e := ix.lookup(key.ExternalID)
	old := e.load()
	if old == nil {
		return storage.ErrNotFound
	}
	if old.rev != expect {
		return conflict(key, old)
	}
	// First nil, then unlink: in the other order an update that has found the entry
	// could swap a record into it after the unlink, and be acknowledged for a record
	// that no reader finds.
	if !e.rec.CompareAndSwap(old, nil) {
		return conflict(key, e.load())
	}
	ix.unlink(e, e.id)
	return nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(ctx, scope, after, limit)
	if err != nil {
		return storage.Page{}, err
	}
	ix, err := s.index(scope)
	if err != nil || ix == nil {
		return storage.Page{}, err
	}
	return ix.page(after, limit), nil
}

// Close implements storage.Store. The records are gone afterwards.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = nil
	return nil
}

// index returns the index of the scope, nil if nothing was ever put there.
func (s *Store) index(scope storage.Scope) (*index, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.scopes == nil {
		return nil, storage.ErrClosed
	}
	return s.scopes[scope], nil
}

// indexForWrite returns the index of the scope and makes it if need be.
func (s *Store) indexForWrite(scope storage.Scope) (*index, error) {
	if ix, err := s.index(scope); err != nil || ix != nil {
		return ix, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.scopes == nil {
		return nil, storage.ErrClosed
	}
	ix := s.scopes[scope]
	if ix == nil {
		ix = newIndex(scope)
		s.scopes[scope] = ix
	}
	return ix, nil
}

// conflict returns the error with a copy of the current record, which the caller may
// change.
func conflict(key storage.Key, current *record) error {
	if current == nil {
		return &storage.ConflictError{}
	}
	rec := current.public(key)
	return &storage.ConflictError{Current: &rec}
}
