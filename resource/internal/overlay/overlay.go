// Package overlay keeps what a dry run would write, so that it sees its own writes and
// meets the same refusals as the run.
package overlay

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"example.com/resourcekit/storage"
)

// Store reads another store and keeps what is written to itself. It has one user, who has
// just read what it writes, and so it need not look at revisions.
type Store struct {
	store   storage.Store
	records map[storage.Key]storage.Record // with revision 0 for a deleted one
	entries map[storage.Key][]storage.Entry
	taken   map[string]storage.Key // by scope, index and value
	bytes   int64
}

var _ storage.Store = (*Store)(nil)

// New returns a store that reads store.
func New(store storage.Store) *Store {
	return &Store{
		store: store, records: make(map[storage.Key]storage.Record),
		entries: make(map[storage.Key][]storage.Entry), taken: make(map[string]storage.Key),
	}
}

// Bytes returns about how many bytes of memory the overlay has. It grows with each record
// that is created or changed.
func (s *Store) Bytes() int64 { return s.bytes }

// recordBytes is the memory that a record takes beside its data and external id, in
// bytes: keys and records in a map with free room.
const recordBytes = 480

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	rec, ok := s.records[key]
	if !ok {
		return s.store.Get(ctx, key)
	}
	if rec.Revision == 0 {
		return rec, storage.ErrNotFound
	}
	return rec, ctx.Err()
}

// GetMany implements storage.Store.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	records := make([]storage.Record, len(keys))
	var others []storage.Key
	var places []int
	for i, key := range keys {
		rec, ok := s.records[key]
		if !ok {
			others, places = append(others, key), append(places, i)
		}
		records[i] = rec
	}
	stored, err := s.store.GetMany(ctx, others)
	if err != nil {
		return nil, err
	}
	for i, rec := range stored {
		records[places[i]] = rec
	}
	return records, nil
}

// Write implements storage.Store.
func (s *Store) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	errs := make([]error, len(writes))
	for i := range writes {
		errs[i] = s.write(ctx, &writes[i])
	}
	return errs, ctx.Err()
}

func (s *Store) write(ctx context.Context, w *storage.Write) error {
	rec := w.Record
	if most := s.Limits().MaxData; most > 0 && len(rec.Data) > most {
		return storage.ErrTooLarge
	}
	for _, e := range w.Entries {
		if e.Unique {
			if free, err := s.free(ctx, rec.Key, e); err != nil || !free {
				return cmp.Or[error](err, &storage.NotUniqueError{Index: e.Index})
			}
		}
	}
	for _, e := range s.entries[rec.Key] {
		delete(s.taken, place(rec.Key, e))
		s.bytes -= int64(len(e.Value))
	}
	delete(s.entries, rec.Key)
	for _, e := range w.Entries {
		if e.Unique {
			s.entries[rec.Key] = append(s.entries[rec.Key], e)
			s.taken[place(rec.Key, e)] = rec.Key
			s.bytes += int64(len(e.Value))
		}
	}
	before, ok := s.records[rec.Key]
	if !ok {
		s.bytes += recordBytes + int64(len(rec.Key.ExternalID))
	}
	if w.Delete {
		rec = storage.Record{Key: rec.Key}
	}
	s.bytes += int64(len(rec.Data) - len(before.Data))
	s.records[rec.Key] = rec
	return nil
}

// place names a unique value of a scope.
func place(key storage.Key, e storage.Entry) string {
	sum := key.Scope().Sum()
	return string(sum[:]) + strconv.FormatUint(uint64(e.Index), 10) + " " + string(e.Value)
}

// free reports whether no record but that of key has the entry.
func (s *Store) free(ctx context.Context, key storage.Key, e storage.Entry) (bool, error) {
	if owner, ok := s.taken[place(key, e)]; ok {
		return owner == key, nil
	}
	r := storage.Range{From: e.Value, To: append(slices.Clone(e.Value), 0), Limit: 2}
	for {
		page, err := s.store.Lookup(ctx, key.Scope(), e.Index, r)
		if err != nil {
			return false, err
		}
		for _, rec := range page.Records {
			if _, written := s.records[rec.Key]; rec.Key != key && !written {
				return false, nil
			}
		}
		if r.After = page.Next; r.After.IsZero() {
			return true, nil
		}
	}
}

// Limits returns the limits of the store, so that the overlay refuses the same writes.
func (s *Store) Limits() storage.Limits { return s.store.Limits() }

// List lists the store below.
func (s *Store) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	return s.store.List(ctx, scope, r)
}

// Lookup searches the store below.
func (s *Store) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	return s.store.Lookup(ctx, scope, index, r)
}

// The rest is not needed by writes.

// SetEntries returns storage.ErrUnsupported.
func (s *Store) SetEntries(context.Context, storage.Key, storage.Revision, []storage.Entry) error {
	return storage.ErrUnsupported
}

// Changes returns storage.ErrUnsupported.
func (s *Store) Changes(context.Context, storage.ChangeQuery) (storage.ChangePage, error) {
	return storage.ChangePage{}, storage.ErrUnsupported
}

// Redact returns storage.ErrUnsupported.
func (s *Store) Redact(context.Context, storage.Key, storage.Note) (int, error) {
	return 0, storage.ErrUnsupported
}

// Trim returns storage.ErrUnsupported.
func (s *Store) Trim(context.Context, time.Time, storage.Cursor) error { return storage.ErrUnsupported }

// Close leaves the store below open.
func (s *Store) Close() error { return nil }
