package storagetest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/storagetest"
)

// This file is a whole store, as an example of how to write one: all records in a map,
// and a journal on disk with a line for each change. It has the five methods of a
// storage.Basic; storage.Complete adds the rest. Its test is at the end.

var _ storage.Basic = (*journal)(nil)

type journal struct {
	mu      sync.Mutex
	file    *os.File     // nil once closed
	sync    func() error // of the file
	records map[storage.Key]storage.Record
}

// change is a line of the journal.
type change struct {
	Record  storage.Record
	Deleted bool
}

// openJournal opens the store in a file, and makes the file if need be. Only one may be
// open on it.
func openJournal(path string) (*journal, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, sync: file.Sync, records: make(map[storage.Key]storage.Record)}
	if err := j.replay(); err != nil {
		file.Close()
		return nil, err
	}
	return j, nil
}

// replay reads the journal. A last line that is cut off was never acknowledged: the
// process ended while it was written.
func (j *journal) replay() error {
	lines, size := bufio.NewReader(j.file), int64(0)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return j.startAt(size)
		}
		if err != nil {
			return err
		}
		var c change
		if json.Unmarshal(line, &c) != nil {
			return fmt.Errorf("journal: damaged at byte %d", size)
		}
		size += int64(len(line))
		j.apply(c)
	}
}

// startAt makes the next change follow this many bytes.
func (j *journal) startAt(size int64) error {
	if err := j.file.Truncate(size); err != nil {
		return err
	}
	_, err := j.file.Seek(size, io.SeekStart)
	return err
}

func (j *journal) apply(c change) {
	if c.Deleted {
		delete(j.records, c.Record.Key)
	} else {
		j.records[c.Record.Key] = c.Record
	}
}

// commit makes a change durable, and only then visible.
func (j *journal) commit(c change) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err = j.file.Write(line); err == nil {
		err = j.sync()
	}
	if err != nil {
		// The line may be in the file or not. The next open finds out.
		_ = j.file.Close()
		j.file = nil
		return fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, err)
	}
	j.apply(c)
	return nil
}

// begin is what every call starts with. The caller unlocks j.mu if there is no error.
// Complete has made all other checks.
func (j *journal) begin() error {
	j.mu.Lock()
	if j.file == nil {
		j.mu.Unlock()
		return storage.ErrClosed
	}
	return nil
}

func (j *journal) Get(_ context.Context, key storage.Key) (storage.Record, error) {
	if err := j.begin(); err != nil {
		return storage.Record{}, err
	}
	defer j.mu.Unlock()
	rec, ok := j.records[key]
	if !ok {
		return storage.Record{}, storage.ErrNotFound
	}
	return rec, nil
}

func (j *journal) Put(_ context.Context, rec storage.Record, expect storage.Revision) error {
	if err := j.begin(); err != nil {
		return err
	}
	defer j.mu.Unlock()
	old, err := j.expected(rec.Key, expect)
	if err != nil {
		return err
	}
	if expect != 0 {
		rec.ID, rec.CreatedAt = old.ID, old.CreatedAt
	}
	rec.CreatedAt = rec.CreatedAt.UTC().Truncate(time.Millisecond)
	rec.UpdatedAt = rec.UpdatedAt.UTC().Truncate(time.Millisecond)
	return j.commit(change{Record: rec})
}

func (j *journal) Delete(_ context.Context, key storage.Key, expect storage.Revision) error {
	if err := j.begin(); err != nil {
		return err
	}
	defer j.mu.Unlock()
	if _, err := j.expected(key, expect); err != nil {
		return err
	}
	return j.commit(change{Record: storage.Record{Key: key}, Deleted: true})
}

// expected returns the record of the key, or ErrConflict if its revision is another. An
// absent record has revision 0.
func (j *journal) expected(key storage.Key, expect storage.Revision) (storage.Record, error) {
	old, ok := j.records[key]
	switch {
	case old.Revision == expect:
		return old, nil
	case ok:
		return old, &storage.ConflictError{Current: &old}
	}
	return old, storage.ErrConflict
}

// List sorts all records of the scope for each page, which is slow.
func (j *journal) List(_ context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	if err := j.begin(); err != nil {
		return storage.Page{}, err
	}
	defer j.mu.Unlock()
	order := strings.Compare
	if r.Backwards {
		order = func(a, b string) int { return strings.Compare(b, a) }
	}
	var page storage.Page
	for key, rec := range j.records {
		if key.Scope() == scope && (r.After.IsZero() || order(key.ExternalID, r.After.ExternalID) > 0) {
			page.Records = append(page.Records, rec)
		}
	}
	slices.SortFunc(page.Records, func(a, b storage.Record) int { return order(a.Key.ExternalID, b.Key.ExternalID) })
	if len(page.Records) > r.Limit {
		page.Records = page.Records[:r.Limit]
		page.Next.ExternalID = page.Records[r.Limit-1].Key.ExternalID
	}
	return page, nil
}

func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// durable tells the suite how to open the store.
var durable = storagetest.Durable{
	New: func(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") },
	Open: func(_ context.Context, place string) (storage.Store, error) {
		j, err := openJournal(place)
		if err != nil {
			return nil, err
		}
		return storage.Complete(j), nil
	},
	OneHandle: true,
}

// TestJournal is the whole test of the store.
func TestJournal(t *testing.T) {
	t.Parallel() // most of the time it waits for the disk
	storagetest.RunDurable(t, durable)
}

// TestJournalMutants shows that the suite finds mistakes; a store does not need it. It
// does not wait for the disk: the bytes that a process has written outlive it.
func TestJournalMutants(t *testing.T) {
	d := durable
	d.Open = func(_ context.Context, place string) (storage.Store, error) {
		j, err := openJournal(place)
		if err != nil {
			return nil, err
		}
		j.sync = func() error { return nil }
		return storage.Complete(j), nil
	}
	storagetest.RunDurableMutants(t, d)
}
