package storagetest

import (
	"context"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

// recallMutant is a right store that remembers the record that note returns for a write:
// of the written record and the one before it.
type recallMutant struct {
	mutant
	note func(written, before storage.Record, err error) (storage.Record, bool)

	mu          sync.Mutex
	last, noted map[storage.Key]storage.Record
}

func (m *recallMutant) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	return eachWrite(writes, func(w storage.Write) error {
		err := write(ctx, m.Store, w)
		m.mu.Lock()
		defer m.mu.Unlock()
		rec := w.Record
		rec.CreatedAt, rec.UpdatedAt = rec.CreatedAt.UTC().Truncate(time.Millisecond), rec.UpdatedAt.UTC().Truncate(time.Millisecond)
		if w.Delete {
			delete(m.noted, rec.Key)
		} else if rec, ok := m.note(rec, m.last[rec.Key], err); ok {
			m.noted[rec.Key] = rec
		}
		if err == nil {
			m.last[rec.Key] = rec
		}
		return err
	})
}

func (m *recallMutant) Recall(key storage.Key) (storage.Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rec, ok := m.noted[key]
	return rec, ok
}

// recallMutants are stores that recall a record that never was, and the cases that must
// catch it.
var recallMutants = []struct {
	name   string
	caught []string
	note   func(written, before storage.Record, err error) (storage.Record, bool)
}{
	{"recalls a record that it refused",
		[]string{"recall/stored"}, func(written, before storage.Record, err error) (storage.Record, bool) {
			written.Revision = before.Revision
			return written, err != nil
		}},
	{"recalls the identity that an update was given",
		[]string{"recall/stored"}, func(written, _ storage.Record, err error) (storage.Record, bool) {
			return written, err == nil
		}},
	{"recalls the data from before under the revision from after",
		[]string{"recall/stored", "race/lost-update"}, func(written, before storage.Record, err error) (storage.Record, bool) {
			written.Data = before.Data
			return written, err == nil
		}},
}
