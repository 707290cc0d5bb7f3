package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// patience is how long the suite waits for what must come, while nothing else does. A
// store may hold changes back, because of transactions that have nothing to do with the
// suite. A test of the suite has less patience.
var patience = 30 * time.Second

// openLogged opens a store for a case of the log, unless it says that it has none.
func (e *env) openLogged() (store storage.Store, ok bool) {
	store = e.open()
	return store, !store.Limits().NoLog
}

// noted gives a write a note of this reason, made some minutes after testTime.
func noted(w storage.Write, reason string, minutes int) storage.Write {
	w.Note = &storage.Note{Time: testTime.Add(time.Duration(minutes) * time.Minute), Actor: "actor", Reason: reason}
	return w
}

// logReader reads a log page by page, from the After of its query on, and checks the rules
// of every page.
type logReader struct {
	store   storage.Store
	q       storage.ChangeQuery
	changes []storage.Change
}

// next reads a page, and reports whether there are more.
func (r *logReader) next() (more bool, err error) {
	page, err := r.store.Changes(context.Background(), r.q)
	if err != nil {
		return false, err
	}
	if len(page.Changes) > min(r.q.Limit, storage.MaxPage) {
		return false, fmt.Errorf("a page of %d changes, limit %d", len(page.Changes), r.q.Limit)
	}
	last, size := r.q.After.Position, 0
	for _, c := range page.Changes {
		size += c.Note.Size()
		switch {
		case !r.q.Backwards && c.Cursor.Position <= last, r.q.Backwards && last != 0 && c.Cursor.Position >= last:
			return false, fmt.Errorf("position %d after %d", c.Cursor.Position, last)
		case r.q.NoData && (c.Note.Before != nil || c.Note.After != nil):
			return false, errors.New("documents in a page without data")
		case !c.Redacted && !r.q.Match(c.Key):
			return false, fmt.Errorf("a change of %v, which was not asked for", c.Key)
		}
		last = c.Cursor.Position
	}
	switch {
	case len(page.Changes) > 1 && size > storage.MaxPageBytes:
		return false, fmt.Errorf("a page of %d changes with %d bytes", len(page.Changes), size)
	case r.q.Backwards && page.More != (page.Next != storage.Cursor{}):
		return false, fmt.Errorf("a page backwards with the Next %+v, more: %v", page.Next, page.More)
	case r.q.Backwards && page.More && len(page.Changes) > 0 && page.Next.Position > last:
		return false, fmt.Errorf("the next page begins before %d, the page ends with %d", page.Next.Position, last)
	case r.q.Backwards:
	case page.Next.Position < last:
		return false, fmt.Errorf("the next page begins after %d, the page ends with %d", page.Next.Position, last)
	case page.Next == storage.Cursor{}:
		return false, errors.New("the next page begins at the start of the log")
	case page.More && page.Next == r.q.After:
		return false, errors.New("there are more changes, and Next does not lead to them")
	}
	r.changes = append(r.changes, page.Changes...)
	r.q.After = page.Next
	return page.More, nil
}

// until reads until done, which is asked after each page. It fails if nothing new comes
// for longer than patience.
func (r *logReader) until(done func() bool) error {
	pause := time.Millisecond
	for begun := time.Now(); ; {
		before := r.q.After
		more, err := r.next()
		switch {
		case err != nil || done():
			return err
		case r.q.After != before:
			begun, pause = time.Now(), time.Millisecond
		case time.Since(begun) > patience:
			return fmt.Errorf("changes that were acknowledged %v ago are missing; the log ends after %d changes", patience, len(r.changes))
		}
		if !more {
			time.Sleep(pause)
			pause = min(2*pause, 50*time.Millisecond)
		}
	}
}

// reach reads until the cursor has reached a mark.
func (r *logReader) reach(mark storage.Cursor) error {
	return r.until(func() bool { return r.q.After.Position >= mark.Position })
}

// markKey is the key of a record whose changes mark places in the log.
var markKey = storage.Key{Tenant: storage.TenantOf("storagetest", "mark"), Schema: testScope.Schema, ExternalID: "mark"}

// logMark logs a change that was made long ago, and returns its cursor once it is in the
// log. Every change that was acknowledged before is in the log then.
func (e *env) logMark(store storage.Store) storage.Cursor {
	r := &logReader{store: store, q: storage.ChangeQuery{After: e.logEnd(store, storage.ChangeQuery{}), Limit: 100}}
	rec, err := storage.UpdateWith(context.Background(), store, markKey, func(storage.Record) (storage.Write, error) {
		return storage.Write{Record: record(markKey, "mark"), Note: &storage.Note{Time: testTime.AddDate(-20, 0, 0)}}, nil
	})
	require.NoError(e, err)
	var mark storage.Cursor
	require.NoError(e, r.until(func() bool {
		for _, c := range r.changes {
			if c.Cursor.Revision == rec.Revision {
				mark = c.Cursor
			}
		}
		r.changes = nil
		return mark.Position != 0
	}), "changes after the end of the log")
	return mark
}

// logEnd returns the cursor at the end of the log.
func (e *env) logEnd(store storage.Store, q storage.ChangeQuery) storage.Cursor {
	q.End = true
	page, err := store.Changes(context.Background(), q)
	require.NoError(e, err, "the end of the log")
	require.Empty(e, page.Changes, "changes beside the end of the log")
	require.NotZero(e, page.Next, "the end of the log is the cursor of its start")
	return page.Next
}

// logged returns what a query chooses, from its After to the end of the log as it is now,
// without marks.
func (e *env) logged(store storage.Store, q storage.ChangeQuery) []storage.Change {
	return e.loggedUntil(store, q, e.logMark(store))
}

// loggedUntil returns what a query chooses, from its After to a mark, without marks.
func (e *env) loggedUntil(store storage.Store, q storage.ChangeQuery, mark storage.Cursor) []storage.Change {
	if q.Limit == 0 {
		q.Limit = 100
	}
	r := &logReader{store: store, q: q}
	require.NoError(e, r.reach(mark), "changes up to a mark")
	return unmarked(r.changes)
}

// backwards returns what a query of a key chooses, backwards from its After, once all that
// was logged is in the log.
func (e *env) backwards(store storage.Store, q storage.ChangeQuery) []storage.Change {
	e.logMark(store)
	r := &logReader{store: store, q: q}
	r.q.Backwards = true
	for {
		more, err := r.next()
		require.NoError(e, err, "changes of a key, backwards")
		if !more {
			return r.changes
		}
	}
}

func unmarked(changes []storage.Change) []storage.Change {
	return slices.DeleteFunc(changes, func(c storage.Change) bool { return c.Key == markKey })
}

// changeOf returns what the log must have of a write over a record.
func changeOf(w storage.Write, old storage.Record) storage.Change {
	c := storage.Change{
		Cursor: storage.Cursor{Revision: w.Record.Revision}, Key: w.Record.Key, ID: w.Record.ID,
		Before: w.Expect, Deleted: w.Delete, Note: *w.Note,
	}
	if old.Revision != 0 {
		c.ID = old.ID
	}
	return c
}

// sameChanges fails unless got has the changes of want, whose positions do not count.
func (e *env) sameChanges(want, got []storage.Change) {
	for i, c := range got {
		if i == len(want) {
			e.fatalf("%d changes, want %d; the first of the others has the reason %q", len(got), len(want), c.Note.Reason)
		}
		if why := differChange(want[i], c); why != "" {
			e.fatalf("change %d of %d: %s", i+1, len(want), why)
		}
	}
	require.Len(e, got, len(want), "changes in the log")
}

func differChange(want, got storage.Change) string {
	at := want.Note.Time.UTC().Truncate(time.Millisecond)
	switch {
	case got.Key != want.Key:
		return fmt.Sprintf("key %q of %v, want %q of %v", got.Key.ExternalID, got.Key, want.Key.ExternalID, want.Key)
	case got.Cursor.Revision != want.Cursor.Revision || got.Before != want.Before:
		return fmt.Sprintf("revision %d after %d, want %d after %d", got.Cursor.Revision, got.Before, want.Cursor.Revision, want.Before)
	case got.ID != want.ID:
		return fmt.Sprintf("ID %s, want %s", got.ID, want.ID)
	case got.Deleted != want.Deleted || got.Redacted != want.Redacted:
		return fmt.Sprintf("deleted %v and redacted %v, want %v and %v", got.Deleted, got.Redacted, want.Deleted, want.Redacted)
	case got.Note.Actor != want.Note.Actor || got.Note.Reason != want.Note.Reason:
		return fmt.Sprintf("actor %q and reason %q, want %q and %q", got.Note.Actor, got.Note.Reason, want.Note.Actor, want.Note.Reason)
	case !bytes.Equal(got.Note.Before, want.Note.Before) || !bytes.Equal(got.Note.After, want.Note.After):
		return fmt.Sprintf("documents %.40q and %.40q, want %.40q and %.40q", got.Note.Before, got.Note.After, want.Note.Before, want.Note.After)
	case !got.Note.Time.Equal(at) || got.Note.Time.Location() != time.UTC:
		return fmt.Sprintf("time %s, want %s", got.Note.Time.Format(time.RFC3339Nano), at.Format(time.RFC3339Nano))
	}
	return ""
}

// history is a shelf with the log that its store must have.
type history struct {
	shelf
	changes []storage.Change
}

func newHistory() *history { return &history{shelf: make(shelf)} }

// mustLog makes writes that must succeed, and puts them on the shelf and into the log.
func (e *env) mustLog(store storage.Store, h *history, writes ...storage.Write) {
	for i, err := range writeEach(store, writes...) {
		require.NoError(e, err, "write %d of %d with the right revision", i+1, len(writes))
	}
	h.take(writes...)
}

func (h *history) take(writes ...storage.Write) {
	for _, w := range writes {
		if w.Note != nil {
			h.changes = append(h.changes, changeOf(w, h.shelf[w.Record.Key].rec))
		}
		h.shelf.take(w)
	}
}

// mustRedact redacts the changes of a key, from which nothing was trimmed. It returns what
// stands for the external id, nothing if there was nothing to redact.
func (e *env) mustRedact(store storage.Store, h *history, key storage.Key) (hash string) {
	note := storage.Note{Time: testTime.Add(time.Hour + 999*time.Nanosecond), Actor: "the eraser", Reason: "asked to"}
	var mine []int // numbers of the changes
	var added []storage.Change
	for i, c := range h.changes {
		if c.Key != key || c.Redacted {
			continue
		}
		mine = append(mine, i)
		if !slices.ContainsFunc(added, func(a storage.Change) bool { return a.ID == c.ID }) {
			added = append(added, storage.Change{Key: key, ID: c.ID, Deleted: true, Redacted: true, Note: note})
		}
	}
	n, err := store.Redact(context.Background(), key, note)
	require.NoError(e, err)
	require.Equal(e, len(mine), n, "changes that were redacted")
	got := e.logged(store, storage.ChangeQuery{})
	require.Len(e, got, len(h.changes)+len(added), "changes after Redact")
	for _, i := range mine {
		c := &h.changes[i]
		c.Redacted, c.Note = true, storage.Note{Time: c.Note.Time}
	}
	first := len(h.changes)
	for i, c := range added {
		c.Cursor.Revision = got[first+i].Cursor.Revision // random
		require.NotZero(e, c.Cursor.Revision)
		require.LessOrEqual(e, c.Cursor.Revision, storage.Revision(math.MaxInt64))
		require.False(e, slices.ContainsFunc(h.changes, func(other storage.Change) bool { return other.Cursor.Revision == c.Cursor.Revision }), "the revision of an added change comes twice")
		mine, h.changes = append(mine, len(h.changes)), append(h.changes, c)
	}
	for _, i := range mine {
		hash = got[mine[0]].Key.ExternalID
		h.changes[i].Key.ExternalID = hash
	}
	e.sameChanges(h.changes, got)
	return hash
}

// of returns the changes that a query chooses.
func (h *history) of(q storage.ChangeQuery) (some []storage.Change) {
	for _, c := range h.changes {
		if q.Match(c.Key) {
			some = append(some, c)
		}
	}
	return some
}
