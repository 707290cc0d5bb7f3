package storage_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// mapStore is the least that a store does: records in a map, and the five methods of a
// storage.Basic. Complete has checked all arguments before they are called.
type mapStore struct {
	mu      sync.Mutex
	records map[storage.Key]storage.Record // nil once closed
}

func (s *mapStore) Get(_ context.Context, key storage.Key) (storage.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, ok := s.records[key]
	switch {
	case s.records == nil:
		return storage.Record{}, storage.ErrClosed
	case !ok:
		return storage.Record{}, storage.ErrNotFound
	}
	return rec, nil
}

// Put stores the revision that it is given, and times in UTC to the millisecond.
func (s *mapStore) Put(_ context.Context, rec storage.Record, expect storage.Revision) error {
	return s.swap(rec.Key, expect, func(old storage.Record) {
		if expect != 0 {
			rec.ID, rec.CreatedAt = old.ID, old.CreatedAt
		}
		rec.CreatedAt = rec.CreatedAt.UTC().Truncate(time.Millisecond)
		rec.UpdatedAt = rec.UpdatedAt.UTC().Truncate(time.Millisecond)
		s.records[rec.Key] = rec
	})
}

func (s *mapStore) Delete(_ context.Context, key storage.Key, expect storage.Revision) error {
	return s.swap(key, expect, func(storage.Record) { delete(s.records, key) })
}

// swap makes a change, if the key has the expected revision: both under one lock.
func (s *mapStore) swap(key storage.Key, expect storage.Revision, change func(old storage.Record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		return storage.ErrClosed
	}
	old := s.records[key] // with revision 0, if the key is absent
	if old.Revision != expect {
		return storage.ErrConflict
	}
	change(old)
	return nil
}

// List sorts all records of the scope by the bytes of their external ids. A real store
// has an index in that order.
func (s *mapStore) List(_ context.Context, scope storage.Scope, r storage.Range) (page storage.Page, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		return page, storage.ErrClosed
	}
	order := func(a, b storage.Record) int { return strings.Compare(a.Key.ExternalID, b.Key.ExternalID) }
	if r.Backwards {
		order = func(a, b storage.Record) int { return strings.Compare(b.Key.ExternalID, a.Key.ExternalID) }
	}
	after := storage.Record{Key: storage.Key{ExternalID: r.After.ExternalID}}
	for key, rec := range s.records {
		if key.Scope() == scope && (r.After.IsZero() || order(rec, after) > 0) {
			page.Records = append(page.Records, rec)
		}
	}
	slices.SortFunc(page.Records, order)
	if len(page.Records) > r.Limit {
		page.Records = page.Records[:r.Limit]
		page.Next.ExternalID = page.Records[r.Limit-1].Key.ExternalID
	}
	return page, nil
}

func (s *mapStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = nil
	return nil
}

func newMapStore() storage.Store {
	return storage.Complete(&mapStore{records: make(map[storage.Key]storage.Record)})
}

// Five methods are a store. Complete adds writes of many keys, and refuses entries and
// notes.
func ExampleComplete() {
	ctx, store := context.Background(), newMapStore()
	key := storage.Key{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max, ExternalID: "c-1"}
	for range 3 {
		rec, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
			old.Data = fmt.Append(nil, string(old.Data), "x")
			return old, nil
		})
		fmt.Println(string(rec.Data), err)
	}
	_, err := storage.UpdateWith(ctx, store, key, func(old storage.Record) (storage.Write, error) {
		return storage.Write{Record: old, Note: &storage.Note{Actor: "me"}}, nil
	})
	fmt.Println(err)
	// Output:
	// x <nil>
	// xx <nil>
	// xxx <nil>
	// storage: update: not supported by the store
}
