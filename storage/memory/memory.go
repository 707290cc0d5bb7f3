package memory

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

var _ storage.Store = (*Store)(nil)

// Store is a storage.Store in memory. Make it with [New]. It is safe for concurrent use.
//
// It has no limits. Its conflicts always carry the current record if there is one. They
// are spurious only beside a SetEntries of the same record.
type Store struct {
	mu     sync.RWMutex
	scopes map[storage.Scope]*index // nil once closed
	log    changeLog
	secret [32]byte // of redacted ids
}

// New returns an empty store.
func New() *Store {
	s := &Store{scopes: make(map[storage.Scope]*index)}
	_, _ = rand.Read(s.secret[:]) // never fails
	s.log.floor = storage.Cursor{Position: 1, Revision: storage.NextRevision(0)}
	return s
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

// GetMany implements storage.Store.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if err := storage.CheckKeys(ctx, keys); err != nil {
		return nil, err
	}
	records := make([]storage.Record, len(keys))
	for i, key := range keys {
		ix, err := s.index(key.Scope())
		if err != nil {
			return nil, err
		}
		records[i].Key = key
		if e := ix.lookup(key.ExternalID); e != nil {
			if rec := e.load(); rec != nil {
				key.ExternalID = e.id
				records[i] = rec.public(key)
			}
		}
	}
	return records, s.open()
}

// Write implements storage.Store. Over an existing record it allocates the new record and
// nothing else, if its entries stay.
func (s *Store) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if err := storage.CheckWrites(ctx, writes); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	var errs []error
	for i := range writes {
		if err := s.write(&writes[i]); err != nil {
			if errs == nil {
				errs = make([]error, len(writes))
			}
			errs[i] = err
		}
	}
	return errs, nil
}

func (s *Store) write(w *storage.Write) error {
	key := w.Record.Key
	if w.Expect == 0 {
		ix, err := s.indexForWrite(key.Scope())
		if err != nil {
			return err
		}
		return ix.create(w, &s.log)
	}
	ix, err := s.index(key.Scope())
	if err != nil {
		return err
	}
	e := ix.lookup(key.ExternalID)
	old := e.load()
	if old == nil || old.rev != w.Expect {
		return conflict(key, old)
	}
	if w.Delete {
		return ix.replace(e, old, nil, w, &s.log)
	}
	next := newRecord(&w.Record)
	next.uuid, next.created, next.places = old.uuid, old.created, old.places
	if !old.places.equal(w.Entries) {
		next.places = newPlaces(w.Entries)
		return ix.replace(e, old, next, w, &s.log)
	}
	if !s.log.swap(e, old, next, w) {
		return conflict(key, e.load())
	}
	return nil
}

// SetEntries implements storage.Store.
func (s *Store) SetEntries(
	ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry,
) error {
	w := storage.Write{Record: storage.Record{Key: key, Revision: expect + 1}, Expect: expect, Entries: entries}
	if err := storage.CheckWrites(ctx, []storage.Write{w}); err != nil {
		return err
	}
	ix, err := s.index(key.Scope())
	if err != nil {
		return err
	}
	e := ix.lookup(key.ExternalID)
	old := e.load()
	if old == nil || old.rev != expect {
		return conflict(key, old)
	}
	next := *old
	next.places = newPlaces(entries)
	return ix.replace(e, old, &next, &w, &s.log)
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckList(ctx, scope, r)
	if err != nil {
		return storage.Page{}, err
	}
	ix, err := s.index(scope)
	if err != nil || ix == nil {
		return storage.Page{}, err
	}
	return ix.list(r), nil
}

// Lookup implements storage.Store.
func (s *Store) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckLookup(ctx, scope, index, r)
	if err != nil {
		return storage.Page{}, err
	}
	ix, err := s.index(scope)
	if err != nil || ix == nil {
		return storage.Page{}, err
	}
	return ix.page(index, r), nil
}

// Changes implements storage.Store. A page of one scope looks at some 10,000 changes. One
// of a key takes as long in a large log as in a small one.
func (s *Store) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	q, err := storage.CheckChanges(ctx, q)
	if err == nil {
		err = s.open()
	}
	if err != nil {
		return storage.ChangePage{}, err
	}
	return s.log.page(q)
}

// Redact implements storage.Store, in one step.
func (s *Store) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	err := storage.CheckRedact(ctx, key, note)
	if err == nil {
		err = s.open()
	}
	if err != nil {
		return 0, err
	}
	return s.log.redact(s.secret[:], key, storage.Note{Time: note.Time, Actor: note.Actor, Reason: note.Reason}), nil
}

// Trim implements storage.Store.
func (s *Store) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	if err := storage.CheckTrim(ctx, end); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	return s.log.trim(before, end)
}

// Limits implements storage.Store. There are none.
func (s *Store) Limits() storage.Limits { return storage.Limits{} }

// open returns ErrClosed for a closed store.
func (s *Store) open() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.scopes == nil {
		return storage.ErrClosed
	}
	return nil
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
