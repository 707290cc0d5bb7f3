package storagetest

import (
	"context"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

// recallMutant is a right store that remembers, by itself, what note returns for
// a Put: of the record that was put, and the one before it.
type recallMutant struct {
	storage.Store
	note func(put, before storage.Record, err error) (storage.Record, bool)

	mu          sync.Mutex
	last, noted map[storage.Key]storage.Record
}

func (m *recallMutant) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	rev, err := m.Store.Put(ctx, rec, expect)
	m.mu.Lock()
	defer m.mu.Unlock()
	rec.Revision = rev
	rec.CreatedAt, rec.UpdatedAt = rec.CreatedAt.UTC().Truncate(time.Millisecond), rec.UpdatedAt.UTC().Truncate(time.Millisecond)
	if rec, ok := m.note(rec, m.last[rec.Key], err); ok {
		m.noted[rec.Key] = rec
	}
	if err == nil {
		m.last[rec.Key] = rec
	}
	return rev, err
}

func (m *recallMutant) Recall(key storage.Key) (storage.Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.noted[key]
	return rec, ok
}

// recallMutants are stores that recall what never was, and the cases that must
// catch it.
var recallMutants = []struct {
	name   string
	caught []string
	note   func(put, before storage.Record, err error) (storage.Record, bool)
}{
	{"recalls what it refused",
		[]string{"recall/stored"}, func(put, before storage.Record, err error) (storage.Record, bool) {
			put.Revision = before.Revision
			return put, err != nil
		}},
	{"recalls the identity that an update was given",
		[]string{"recall/stored"}, func(put, _ storage.Record, err error) (storage.Record, bool) {
			return put, err == nil
		}},
	{"recalls the data from before under the revision from after",
		[]string{"recall/stored", "race/lost-update"}, func(put, before storage.Record, err error) (storage.Record, bool) {
			put.Data = before.Data
			return put, err == nil
		}},
}
