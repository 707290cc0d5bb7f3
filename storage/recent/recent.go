// Package recent remembers the records that a process has lately read or written,
// so that the next write of one of them takes one round trip to the database and not
// two. Package storage and package resource make use of it by themselves
// (storage.Recaller):
//
//	pg, err := postgres.New(ctx, pool, nil)
//	...
//	customers, err := resource.NewCollection(schema.Customers(), recent.New(pg, 16<<20), nil)
//
// It is no cache of reads: Get, GetMany and List always ask the store below, and see
// what every other process wrote. Only a write may begin with a remembered record,
// and then its compare-and-swap fails unless that is the stored one still; so
// what a write does and what it returns is the same as without this package. A write
// that would change nothing, or that is refused, is decided by the stored record.
//
// # When it pays
//
// It pays where the store is a round trip away, and mostly the same process writes
// a record again: one instance of a service, or several of which each has its own
// share of the records. Where several instances write the same records in turns,
// what they remember is out of date, and a write takes three statements where it
// would take two. A record that is not remembered costs what it did before.
//
// docs/stores.md has the figures.
//
// # Personal data
//
// Records stay in the memory of the process until others take their place, up to
// the bound. One that this process deletes is forgotten at once; one that
// another process deletes is not.
package recent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

var (
	_ storage.BatchStore   = (*Store)(nil)
	_ storage.BatchDeleter = (*Store)(nil)
	_ storage.Limiter      = (*Store)(nil)
	_ storage.Recaller     = (*Store)(nil)
)

// Store is a storage.Store that remembers records of the one below it. Make it with
// New; it is safe for concurrent use.
type Store struct {
	store storage.Store
	half  int // of the bytes to remember at most

	mu sync.Mutex
	// Records that were of use lately are in young. When it is full it becomes
	// old, and what was in old and of no use meanwhile is forgotten.
	young, old map[storage.Key]storage.Record
	size       int // of young
}

// overhead is what a record takes beside its data and its external id, in bytes:
// its place in the map, its key and the slack of both.
const overhead = 500

// New returns a store that passes everything on to the one given, and remembers
// records of up to maxBytes in all, what they take in memory beside their data
// included; about 500 bytes each. It remembers nothing if that is less than a record
// takes. Close closes the store below.
//
// The store takes batches (storage.BatchStore) whether the one below does or not,
// and has the limits of that one.
func New(store storage.Store, maxBytes int) *Store {
	return &Store{store: store, half: maxBytes / 2, young: make(map[storage.Key]storage.Record)}
}

// Recall implements storage.Recaller.
func (s *Store) Recall(key storage.Key) (storage.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.young[key]
	if !ok {
		if rec, ok = s.old[key]; ok {
			s.keep(rec)
		}
	}
	return rec, ok
}

// keep puts the record among the young ones. The lock is held.
func (s *Store) keep(rec storage.Record) {
	s.drop(rec.Key)
	size := overhead + len(rec.Key.ExternalID) + len(rec.Data)
	if size > s.half {
		return
	}
	if s.size+size > s.half {
		s.young, s.old, s.size = make(map[storage.Key]storage.Record, len(s.young)), s.young, 0
	}
	s.young[rec.Key] = rec
	s.size += size
}

// drop forgets the key. The lock is held.
func (s *Store) drop(key storage.Key) {
	if rec, ok := s.young[key]; ok {
		s.size -= overhead + len(rec.Key.ExternalID) + len(rec.Data)
		delete(s.young, key)
	}
	delete(s.old, key)
}

// read notes a record as the store below returned it.
func (s *Store) read(rec storage.Record) {
	// The id may be a piece of a request's body.
	rec.Key.ExternalID = strings.Clone(rec.Key.ExternalID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(rec)
}

// forget notes that nothing is known of the key.
func (s *Store) forget(key storage.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(key)
}

// put notes what became of a Put.
func (s *Store) put(rec storage.Record, expect, rev storage.Revision, err error) {
	if err != nil {
		s.forget(rec.Key)
		return
	}
	if expect != 0 {
		// ID and CreatedAt are those of the record before, whatever was given.
		was, ok := s.Recall(rec.Key)
		if !ok || was.Revision != expect {
			s.forget(rec.Key)
			return
		}
		rec.ID, rec.CreatedAt = was.ID, was.CreatedAt
	}
	rec.Revision = rev
	rec.CreatedAt, rec.UpdatedAt = stored(rec.CreatedAt), stored(rec.UpdatedAt)
	s.read(rec)
}

// stored returns a time as a store returns it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Get implements storage.Store: it asks the store below.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	rec, err := s.store.Get(ctx, key)
	switch {
	case err == nil:
		s.read(rec)
	case errors.Is(err, storage.ErrNotFound):
		s.forget(key)
	}
	return rec, err
}

// Put implements storage.Store.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	rev, err := s.store.Put(ctx, rec, expect)
	s.put(rec, expect, rev, err)
	return rev, err
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	err := s.store.Delete(ctx, key, expect)
	s.forget(key)
	return err
}

// List implements storage.Store. Nothing that is listed is remembered: a walk
// through all records would leave nothing else.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	return s.store.List(ctx, scope, after, limit)
}

// GetMany implements storage.BatchStore: it asks the store below.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) (records []storage.Record, err error) {
	if batch, ok := s.store.(storage.BatchStore); ok {
		records, err = batch.GetMany(ctx, keys)
	} else {
		records, err = storage.GetMany(ctx, s.store, keys)
	}
	for _, rec := range records {
		if rec.Revision != 0 {
			s.read(rec)
		} else {
			s.forget(rec.Key)
		}
	}
	return records, err
}

// PutMany implements storage.BatchStore.
func (s *Store) PutMany(ctx context.Context, ops []storage.PutOp) (results []storage.PutResult, err error) {
	if batch, ok := s.store.(storage.BatchStore); ok {
		results, err = batch.PutMany(ctx, ops)
	} else {
		results, err = storage.PutMany(ctx, s.store, ops)
	}
	for i, op := range ops {
		switch {
		case err == nil && len(results) == len(ops):
			s.put(op.Record, op.Expect, results[i].Revision, results[i].Err)
		default:
			s.forget(op.Record.Key)
		}
	}
	return results, err
}

// DeleteMany implements storage.BatchDeleter.
func (s *Store) DeleteMany(ctx context.Context, ops []storage.DeleteOp) (errs []error, err error) {
	if batch, ok := s.store.(storage.BatchDeleter); ok {
		errs, err = batch.DeleteMany(ctx, ops)
	} else {
		errs, err = storage.DeleteMany(ctx, s.store, ops)
	}
	for _, op := range ops {
		s.forget(op.Key)
	}
	return errs, err
}

// Limits implements storage.Limiter: those of the store below.
func (s *Store) Limits() storage.Limits {
	if l, ok := s.store.(storage.Limiter); ok {
		return l.Limits()
	}
	return storage.Limits{}
}

// Close forgets all records and closes the store below.
func (s *Store) Close() error {
	s.mu.Lock()
	s.young, s.old, s.size = make(map[storage.Key]storage.Record), nil, 0
	s.mu.Unlock()
	return s.store.Close()
}
