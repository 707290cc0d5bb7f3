// Package recent remembers the records that a process has lately read or written. The
// next write of such a record takes one round trip to the database, not two. It goes in
// front of a store whose database is a round trip away:
//
//	store := recent.New(database, 16<<20)
//
// It is not a cache of reads. Get, GetMany and List always ask the store below, and see
// what other processes wrote. Only a write may begin with a remembered record
// (storage.Recaller), and its compare-and-swap fails unless that record is still the
// stored one. A write that would change nothing, or that is refused, is decided by the
// stored record. So a write does and returns the same as without this package. There is
// one exception: a write that would change the remembered record, but not the stored one.
// It fails while the store takes no writes.
//
// All this rests on the revision: whatever changes a record must change its revision, as
// every storage.Store does. Repairs by SQL must do so, too. Otherwise the next write of a
// process that remembers the record overwrites the repair. The table of storage/postgres
// has a trigger for it.
//
// # When it pays
//
// It pays if mostly the same process writes a record again: one instance of a service, or
// several, each with its own share of the records.
//
//   - A remembered record takes one statement, and another record two, as without this
//     package.
//   - If another process has changed the record in between, the write is a conflict
//     first. It takes two statements if the conflict carries the stored record at no
//     cost (storage.ConflictError), and otherwise three. A batch reads the records of
//     its conflicts again. After such a conflict each write reads the record first,
//     until a read shows that no other process has changed it since.
//   - A write that changes nothing is computed twice, for the remembered record and for
//     the stored one. In a batch of other writes it adds a round trip.
//
// [Store.Stats] counts these cases; docs/stores.md has figures.
//
// # Where to put it
//
// Make one Store for a database, share it among all collections of the process, and put
// no wrapper in front of it. A wrapper that is not a storage.Recaller hides the
// remembered records: writes then take two round trips, without an error. Wrappers that
// count or log the calls to the database belong below.
//
// # Personal data
//
// Records stay in the memory of the process until others displace them; nothing expires
// by time. A record that this process deletes is forgotten when Delete returns. After
// storage.ErrUnknownOutcome a read may bring it back, until the delete has been applied. A
// record that another process deletes stays until it is read, written or displaced.
package recent

import (
	"container/list"
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

// Store is a storage.Store that remembers records of the one below it: those that
// Get and GetMany return, that are created, and that are updated while they are
// remembered. Make it with New; it is safe for concurrent use.
type Store struct {
	store storage.Store

	mu      sync.Mutex // for all that follows
	max     int        // bytes
	records map[storage.Key]*remembered
	order   *list.List    // of them, a ring
	hand    *list.Element // the next one to be forgotten, unless it was of use; nil is the first
	now     instant
	stats   Stats
}

type remembered struct {
	storage.Record
	place  *list.Element
	at     uint64 // the instant when it was remembered
	ofUse  bool   // since the hand was here
	own    bool   // this Store has put it, and not read it since
	shared bool   // it was changed elsewhere, and no read has shown since that it was not again
}

// An instant is how much was remembered and deleted before it: what a call finds says
// nothing of what came after the call began.
type instant struct{ remembered, deleted uint64 }

// overhead is what a record takes beside its data and its external id, in bytes: the
// record, its place in the order, and its key in a map with free room.
const overhead = 560

func sizeOf(rec *storage.Record) int { return overhead + len(rec.Key.ExternalID) + len(rec.Data) }

// New returns a Store in front of the given one, which it then owns: Close closes
// both.
//
// It remembers records up to about maxBytes in all, those that were of use lately, and
// counts each as the length of its data and external id and 560 bytes more. A record
// that counts for more than maxBytes is never remembered; with 0 or less none is. Not
// counted is the free room that many small records leave behind when larger ones take
// their place, at most a third of maxBytes; and as Data is kept without a copy, one
// that is a piece of a larger buffer keeps the whole buffer alive.
//
// The Store takes batches whether the one below does or not, and has its limits.
// Over one that does not, a batch of reads fails with the first that fails.
func New(store storage.Store, maxBytes int) *Store {
	return &Store{store: store, max: maxBytes, records: make(map[storage.Key]*remembered), order: list.New()}
}

// Stats are counts of a Store since New.
type Stats struct {
	Hits     uint64 // calls of Recall that found a record
	Misses   uint64 // calls of Recall that did not, or only one that others write, too
	Outdated uint64 // writes that conflicted since a remembered record was out of date
	Records  int    // remembered now
	Bytes    int    // of these, counted as for New
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// String returns no more than what it is: the rest is personal data.
func (s *Store) String() string { return "recent.Store" }

// GoString returns the same, for the verb %#v.
func (s *Store) GoString() string { return s.String() }

// Recall implements storage.Recaller.
func (s *Store) Recall(key storage.Key) (storage.Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[key]
	if !ok || r.shared {
		s.stats.Misses++
		return storage.Record{}, false
	}
	s.stats.Hits++
	r.ofUse = true
	return r.Record, true
}

// begin returns the instant at which a call begins.
func (s *Store) begin() instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// What follows is called with the lock held.

// forget forgets what is remembered of the key.
func (s *Store) forget(key storage.Key) {
	r, ok := s.records[key]
	if !ok {
		return
	}
	delete(s.records, key)
	s.stats.Records--
	s.stats.Bytes -= sizeOf(&r.Record)
	if s.hand == r.place {
		s.hand = s.hand.Next()
	}
	s.order.Remove(r.place)
}

// makeRoom forgets records that were of no use lately, until there is room for n
// bytes more, which are at most s.max.
func (s *Store) makeRoom(n int) {
	for s.stats.Bytes+n > s.max {
		if s.hand == nil {
			s.hand = s.order.Front()
		}
		if r := s.hand.Value.(*remembered); r.ofUse {
			r.ofUse = false
			s.hand = s.hand.Next()
		} else {
			s.forget(r.Key)
		}
	}
}

// remember remembers a record as the store below had it at some time since the call
// began, unless it may have been deleted since. A delete of another key counts as well
// for a record that is new here: it is not remembered this time, which does no harm.
func (s *Store) remember(rec storage.Record, own bool, began instant) {
	size := sizeOf(&rec)
	r, ok := s.records[rec.Key]
	if size > s.max || !ok && s.now.deleted != began.deleted {
		s.forget(rec.Key)
		return
	}
	s.now.remembered++
	shared := false
	if ok {
		shared = r.shared && !(r.own && r.Revision == rec.Revision)
		if more := size - sizeOf(&r.Record); s.stats.Bytes+more <= s.max {
			s.stats.Bytes += more
			rec.Key = r.Key // which holds on to nothing else
			*r = remembered{Record: rec, place: r.place, at: s.now.remembered, ofUse: true, own: own, shared: shared}
			return
		}
		s.forget(rec.Key)
	}
	s.makeRoom(size)
	rec.Key.ExternalID = strings.Clone(rec.Key.ExternalID) // it may be a piece of a request's body
	r = &remembered{Record: rec, at: s.now.remembered, own: own, shared: shared}
	s.records[rec.Key] = r
	if s.hand == nil {
		r.place = s.order.PushBack(r)
	} else {
		r.place = s.order.InsertBefore(r, s.hand) // where the hand comes last
	}
	s.stats.Records++
	s.stats.Bytes += size
}

// newer reports whether something was remembered of the key since the call began.
func (s *Store) newer(key storage.Key, began instant) bool {
	r, ok := s.records[key]
	return ok && r.at > began.remembered
}

// read notes what a read found, which is nothing if the revision is 0.
func (s *Store) read(rec storage.Record, began instant) {
	switch {
	case s.newer(rec.Key, began):
	case rec.Revision == 0:
		s.forget(rec.Key)
	default:
		s.remember(rec, false, began)
	}
}

// put notes what became of a Put.
func (s *Store) put(rec storage.Record, expect, rev storage.Revision, err error, began instant) {
	was, ok := s.records[rec.Key]
	switch {
	case err != nil:
		s.failed(rec.Key, expect, err)
		var c *storage.ConflictError
		if errors.As(err, &c) && c.Current != nil && c.Current.Key == rec.Key {
			s.read(*c.Current, began) // the next attempt may begin with it
		}
		return
	case ok && expect == was.Revision:
		rec.ID, rec.CreatedAt = was.ID, was.CreatedAt // whatever was given
	case s.newer(rec.Key, began):
		return
	case expect != 0: // the stored ID and creation time are unknown
		s.forget(rec.Key)
		return
	}
	rec.Revision = rev
	rec.CreatedAt, rec.UpdatedAt = stored(rec.CreatedAt), stored(rec.UpdatedAt)
	s.remember(rec, true, began)
}

// stored returns a time as a store returns it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// deleted notes what became of a Delete.
func (s *Store) deleted(key storage.Key, expect storage.Revision, err error) {
	if s.failed(key, expect, err); err == nil || gone(err) {
		s.now.deleted++
		s.forget(key)
	}
}

// failed notes a write that failed, if it did.
func (s *Store) failed(key storage.Key, expect storage.Revision, err error) {
	changed := errors.Is(err, storage.ErrConflict) || errors.Is(err, storage.ErrNotFound)
	switch r, ok := s.records[key]; {
	case errors.Is(err, storage.ErrUnknownOutcome):
		s.forget(key)
	case changed && ok && r.Revision == expect:
		s.stats.Outdated++
		r.shared = true
	}
}

// gone reports whether an error of a Delete leaves no record, or may leave none.
func gone(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrUnknownOutcome)
}

// Get implements storage.Store: it asks the store below.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	began := s.begin()
	rec, err := s.store.Get(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.read(rec, began)
	} else if errors.Is(err, storage.ErrNotFound) {
		s.read(storage.Record{Key: key}, began)
	}
	return rec, err
}

// Put implements storage.Store.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	began := s.begin()
	rev, err := s.store.Put(ctx, rec, expect)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(rec, expect, rev, err, began)
	return rev, err
}

// Delete implements storage.Store.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	err := s.store.Delete(ctx, key, expect)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted(key, expect, err)
	return err
}

// List implements storage.Store. Nothing that is listed is remembered: a walk
// through all records would leave nothing else.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	return s.store.List(ctx, scope, after, limit)
}

// GetMany implements storage.BatchStore: it asks the store below.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	began := s.begin()
	records, err := storage.GetMany(ctx, s.store, keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range records {
		s.read(rec, began)
	}
	return records, err
}

// PutMany implements storage.BatchStore.
func (s *Store) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	began := s.begin()
	results, err := storage.PutMany(ctx, s.store, ops)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, r := range results {
		s.put(ops[i].Record, ops[i].Expect, r.Revision, r.Err, began)
	}
	return results, err
}

// DeleteMany implements storage.BatchDeleter.
func (s *Store) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	errs, err := storage.DeleteMany(ctx, s.store, ops)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range errs {
		s.deleted(ops[i].Key, ops[i].Expect, errs[i])
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
	clear(s.records)
	s.order.Init()
	s.hand = nil
	s.stats.Records, s.stats.Bytes = 0, 0
	s.max = 0 // for the calls that are under way
	s.mu.Unlock()
	return s.store.Close()
}
