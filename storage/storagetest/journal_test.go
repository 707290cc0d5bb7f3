package storagetest_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/storagetest"
)

// This file is a whole store, as an example of how to write one: all records in
// a map, and a journal on disk with a line for each change. Its test is at the
// end.

var _ storage.Store = (*journal)(nil)

type journal struct {
	mu      sync.Mutex
	file    *os.File     // nil once closed
	sync    func() error // of the file
	records map[storage.Key]storage.Record
	last    storage.Revision // counts the changes of all keys, so that none comes twice
}

// change is a line of the journal.
type change struct {
	Record  storage.Record
	Deleted bool
}

// openJournal opens the store in a file, and makes the file if need be. Only one
// may be open on it.
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

// replay reads the journal. A last line that is cut off was never acknowledged:
// the process ended while it was written.
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

// startAt makes the next change the one behind this many bytes.
func (j *journal) startAt(size int64) error {
	if err := j.file.Truncate(size); err != nil {
		return err
	}
	_, err := j.file.Seek(size, io.SeekStart)
	return err
}

func (j *journal) apply(c change) {
	j.last = c.Record.Revision
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
		// Nobody knows what is in the file now. The next open finds out.
		_ = j.file.Close()
		j.file = nil
		return storage.ErrUnknownOutcome
	}
	j.apply(c)
	return nil
}

// begin is what every call starts with. The caller unlocks j.mu if there is no
// error.
func (j *journal) begin(check error) error {
	if check != nil {
		return check
	}
	j.mu.Lock()
	if j.file == nil {
		j.mu.Unlock()
		return storage.ErrClosed
	}
	return nil
}

func (j *journal) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := j.begin(storage.CheckKey(ctx, key)); err != nil {
		return storage.Record{}, err
	}
	defer j.mu.Unlock()
	rec, ok := j.records[key]
	if !ok {
		return storage.Record{}, storage.ErrNotFound
	}
	return rec, nil
}

func (j *journal) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if err := j.begin(storage.CheckKey(ctx, rec.Key)); err != nil {
		return 0, err
	}
	defer j.mu.Unlock()
	old, ok := j.records[rec.Key]
	switch {
	case ok && old.Revision != expect:
		return 0, &storage.ConflictError{Current: &old}
	case ok:
		rec.ID, rec.CreatedAt = old.ID, old.CreatedAt
	case expect != 0:
		return 0, storage.ErrConflict
	}
	rec.Revision = j.last + 1
	rec.CreatedAt = rec.CreatedAt.UTC().Truncate(time.Millisecond)
	rec.UpdatedAt = rec.UpdatedAt.UTC().Truncate(time.Millisecond)
	return rec.Revision, j.commit(change{Record: rec})
}

func (j *journal) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := j.begin(storage.CheckDelete(ctx, key, expect)); err != nil {
		return err
	}
	defer j.mu.Unlock()
	old, ok := j.records[key]
	switch {
	case !ok:
		return storage.ErrNotFound
	case old.Revision != expect:
		return &storage.ConflictError{Current: &old}
	}
	return j.commit(change{Record: storage.Record{Key: key, Revision: j.last + 1}, Deleted: true})
}

// List sorts the records of the scope for each page, which is as slow as it
// sounds.
func (j *journal) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(ctx, scope, after, limit)
	if err := j.begin(err); err != nil {
		return storage.Page{}, err
	}
	defer j.mu.Unlock()
	var page storage.Page
	for key, rec := range j.records {
		if key.Scope() == scope && key.ExternalID > after {
			page.Records = append(page.Records, rec)
		}
	}
	slices.SortFunc(page.Records, func(a, b storage.Record) int { return cmp.Compare(a.Key.ExternalID, b.Key.ExternalID) })
	if len(page.Records) > limit {
		page.Records = page.Records[:limit]
		page.Next = page.Records[limit-1].Key.ExternalID
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

// durable is all that the suite needs to know of a store.
var durable = storagetest.Durable{
	New: func(t *testing.T) string { return filepath.Join(t.TempDir(), "journal") },
	Open: func(_ context.Context, place string) (storage.Store, error) {
		return openJournal(place)
	},
	OneHandle: true,
}

// TestJournal is the whole test of the store.
func TestJournal(t *testing.T) { storagetest.RunDurable(t, durable) }

// TestJournalMutants is not needed for a store. It shows that the suite finds
// mistakes, and does not wait for the disk: what a process has written outlives it.
func TestJournalMutants(t *testing.T) {
	d := durable
	d.Open = func(_ context.Context, place string) (storage.Store, error) {
		j, err := openJournal(place)
		if err == nil {
			j.sync = func() error { return nil }
		}
		return j, err
	}
	storagetest.RunDurableMutants(t, d)
}
