// Package recent remembers the records that a process has lately read or written. The
// next write of such a record takes one round trip to the database, not two. It goes in
// front of a store whose database is a round trip away:
//
//	store := recent.New(database, 16<<20)
//
// It is not a cache of reads. Every read asks the store below, and sees what other
// processes wrote. Only a write may begin with a remembered record (storage.Recaller),
// and its compare-and-swap fails unless that record is still the stored one. A write that
// would change nothing, or that is refused, is decided by the stored record. So a write
// does and returns the same as without this package. There is one exception: a write that
// would change the remembered record, but not the stored one. It fails while the store
// takes no writes.
//
// All this rests on the revision: every change of a record must change its revision, also
// one by SQL. Otherwise the next write of a process that remembers the record overwrites
// the change. The table of storage/postgres has a trigger for that. Entries are not
// remembered, and SetEntries changes no revision.
//
// # When it pays
//
// It pays if mostly the same process writes a record again: one instance of a service, or
// several, each with its own share of the records.
//
//   - A write of a remembered record takes one statement. A write of another record takes
//     two, as without this package.
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
// only wrappers in front of it that are a storage.Recaller, as storage/coalesce is. Any
// other hides the remembered records: writes then take two round trips, without an error.
// Wrappers that count or log the calls to the database belong below.
//
// # Personal data
//
// Records stay in the memory of the process until others displace them; nothing expires
// by time. A record that this process deletes is forgotten when the write returns. After
// storage.ErrUnknownOutcome a read may bring it back, until the delete has been applied. A
// record that another process deletes stays until it is read, written or displaced.
package recent

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

var _ storage.Recaller = (*Store)(nil)

// Store is a storage.Store that remembers records of the store below: those that Get and
// GetMany return, that are created, and that are updated while they are remembered. Make
// it with New; it is safe for concurrent use.
type Store struct {
	store storage.Store

	mu      sync.Mutex // for all that follows
	max     int        // bytes
	records map[storage.Key]*remembered
	order   *list.List    // of the *remembered, used as a ring
	hand    *list.Element // the next one to be forgotten, unless it was used; nil is the first
	now     instant
	stats   Stats
}

type remembered struct {
	storage.Record
	place  *list.Element
	at     uint64 // the instant when it was remembered
	used   bool   // since the hand was here
	own    bool   // this Store has written it, and not read it since
	shared bool   // it was changed elsewhere, and no read has shown since that it was not changed again
}

// An instant counts what was remembered and deleted before it. The result of a call may
// be older than anything that was remembered or deleted after the call began.
type instant struct{ remembered, deleted uint64 }

// overhead is what a record takes beside its data and its external id, in bytes: the
// record, its place in the order, and its key in a map with free room.
const overhead = 560

func sizeOf(rec *storage.Record) int { return overhead + len(rec.Key.ExternalID) + len(rec.Data) }

// New returns a Store in front of the given one, which it then owns: Close closes both.
// It has the limits of that store.
//
// It remembers up to about maxBytes of records, those that were used lately, and counts
// each as the length of its data and external id and 560 bytes more. A record that counts
// for more than maxBytes is never remembered; with 0 or less none is. When larger records
// displace many small ones, these leave free room of at most a third of maxBytes, which is
// not counted. Data is kept without a copy: one that is a piece of a larger buffer keeps
// the whole buffer alive.
func New(store storage.Store, maxBytes int) *Store {
	return &Store{store: store, max: maxBytes, records: make(map[storage.Key]*remembered), order: list.New()}
}

// Stats are counts of a Store since New.
type Stats struct {
	Hits     uint64 // calls of Recall that found a record
	Misses   uint64 // calls of Recall that found none, or one that others write, too
	Outdated uint64 // writes that conflicted because a remembered record was out of date
	Records  int    // remembered now
	Bytes    int    // of these, counted as for New
}

// Stats returns the counts.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// String returns the name of the type alone, as the records are personal data.
func (s *Store) String() string { return "recent.Store" }

// GoString is String, for the verb %#v.
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
	r.used = true
	return r.Record, true
}

// begin returns the instant at which a call begins.
func (s *Store) begin() instant {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// The methods from here to put are called with the lock held.

// forget removes the record of the key, if it is remembered.
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

// makeRoom forgets records that were not used lately, until there is room for n bytes
// more, which are at most s.max.
func (s *Store) makeRoom(n int) {
	for s.stats.Bytes+n > s.max {
		if s.hand == nil {
			s.hand = s.order.Front()
		}
		if r := s.hand.Value.(*remembered); r.used {
			r.used = false
			s.hand = s.hand.Next()
		} else {
			s.forget(r.Key)
		}
	}
}

// remember keeps a record that the store below had at some time since the call began,
// unless it may have been deleted since. Deletes are not counted by key, so a delete of
// any key in between stops a record that is new here; the next call remembers it.
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
			rec.Key = r.Key // whose external id is a copy
			*r = remembered{Record: rec, place: r.place, at: s.now.remembered, used: true, own: own, shared: shared}
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
		r.place = s.order.InsertBefore(r, s.hand) // the hand comes there last
	}
	s.stats.Records++
	s.stats.Bytes += size
}

// newer reports whether a record of the key was remembered since the call began.
func (s *Store) newer(key storage.Key, began instant) bool {
	r, ok := s.records[key]
	return ok && r.at > began.remembered
}

// read notes the result of a read: an absent record has revision 0.
func (s *Store) read(rec storage.Record, began instant) {
	switch {
	case s.newer(rec.Key, began):
	case rec.Revision == 0:
		s.forget(rec.Key)
	default:
		s.remember(rec, false, began)
	}
}

// written notes the outcome of a write.
func (s *Store) written(w *storage.Write, err error, began instant) {
	key := w.Record.Key
	was, ok := s.records[key]
	switch {
	case errors.Is(err, storage.ErrUnknownOutcome), err == nil && w.Delete:
		if w.Delete {
			s.now.deleted++
		}
		s.forget(key)
	case errors.Is(err, storage.ErrConflict):
		if ok && was.Revision == w.Expect {
			s.stats.Outdated++
			was.shared = true
		}
		var c *storage.ConflictError
		if errors.As(err, &c) && c.Current != nil && c.Current.Key == key {
			s.read(*c.Current, began) // the next attempt may begin with it
		}
	case err == nil:
		s.put(w.Record, w.Expect, began)
	}
}

// put remembers a record that was written, unless it may have been changed since.
func (s *Store) put(rec storage.Record, expect storage.Revision, began instant) {
	was, ok := s.records[rec.Key]
	switch {
	case ok && expect == was.Revision:
		rec.ID, rec.CreatedAt = was.ID, was.CreatedAt // those of the write do not count
	case s.newer(rec.Key, began):
		return
	case expect != 0: // the stored ID and creation time are unknown
		s.forget(rec.Key)
		return
	}
	rec.CreatedAt, rec.UpdatedAt = stored(rec.CreatedAt), stored(rec.UpdatedAt)
	s.remember(rec, true, began)
}

// stored returns a time as a store returns it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

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

// GetMany implements storage.Store: it asks the store below.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	began := s.begin()
	records, err := s.store.GetMany(ctx, keys)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range records {
		s.read(rec, began)
	}
	return records, err
}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	began := s.begin()
	errs, err := s.store.Write(ctx, writes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(errs) != len(writes) && errs != nil {
		errs, err = nil, fmt.Errorf("%w: %d errors of %d writes", storage.ErrUnknownOutcome, len(errs), len(writes))
	}
	for i := range writes {
		outcome := err
		if err == nil && errs != nil {
			outcome = errs[i]
		}
		s.written(&writes[i], outcome, began)
	}
	return errs, err
}

// List implements storage.Store. Listed records are not remembered: a walk through all
// records would displace all others.
func (s *Store) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	return s.store.List(ctx, scope, r)
}

// Lookup implements storage.Store. It remembers nothing, as List.
func (s *Store) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	return s.store.Lookup(ctx, scope, index, r)
}

// SetEntries implements storage.Store. It leaves the record as it is remembered.
func (s *Store) SetEntries(
	ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry,
) error {
	return s.store.SetEntries(ctx, key, expect, entries)
}

// Changes implements storage.Store.
func (s *Store) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	return s.store.Changes(ctx, q)
}

// Redact implements storage.Store. It forgets the record of the key, which another process
// may have deleted: what is redacted must not stay in memory.
func (s *Store) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	n, err := s.store.Redact(ctx, key, note)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.deleted++ // for the calls that are under way
	s.forget(key)
	return n, err
}

// Trim implements storage.Store.
func (s *Store) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	return s.store.Trim(ctx, before, end)
}

// Limits implements storage.Store: those of the store below.
func (s *Store) Limits() storage.Limits { return s.store.Limits() }

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
