package memory

import (
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

// changeLog has the changes of all scopes. Their positions are consecutive.
type changeLog struct {
	mu      sync.Mutex
	changes []storage.Change
	floor   storage.Cursor // of the last change that Trim removed, or where the log began
}

// swap swaps the record of an entry, and logs the change if the write has a note: under
// the log's lock, so that the changes of one key have the order of its swaps. It returns
// false, and does nothing, if the entry does not have the record old.
func (l *changeLog) swap(e *entry, old, next *record, w *storage.Write) bool {
	if w.Note == nil {
		return e.rec.CompareAndSwap(old, next)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.rec.CompareAndSwap(old, next) {
		return false
	}
	c := storage.Change{
		Cursor:  storage.Cursor{Position: l.end().Position + 1, Revision: w.Record.Revision},
		Key:     w.Record.Key,
		Before:  w.Expect,
		Deleted: w.Delete,
		Note:    *w.Note,
	}
	c.Key.ExternalID = e.id
	c.Note.Time = time.UnixMilli(w.Note.Time.UnixMilli()).UTC()
	if next != nil {
		c.ID = next.uuid
	} else {
		c.ID = old.uuid
	}
	l.changes = append(l.changes, c)
	return true
}

// end returns the cursor at the end of the log.
func (l *changeLog) end() storage.Cursor {
	if len(l.changes) == 0 {
		return l.floor
	}
	return l.changes[len(l.changes)-1].Cursor
}

// maxScan is how many changes one page looks at.
const maxScan = 10_000

func (l *changeLog) page(q storage.ChangeQuery) (storage.ChangePage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.End {
		return storage.ChangePage{Next: l.end()}, nil
	}
	first := 0 // of the changes to look at
	page := storage.ChangePage{Next: l.floor}
	if q.After != (storage.Cursor{}) {
		first = int(q.After.Position - l.floor.Position)
		switch {
		case first < 0 || first > len(l.changes),
			first == 0 && q.After != l.floor,
			first > 0 && q.After != l.changes[first-1].Cursor:
			return storage.ChangePage{}, storage.ErrExpired
		}
		page.Next = q.After
	}
	last := min(len(l.changes), first+maxScan)
	for i := first; i < last && len(page.Changes) < q.Limit; i++ {
		c := l.changes[i]
		if q.Match(c.Key) {
			page.Changes = append(page.Changes, c)
		}
		page.Next, first = c.Cursor, i+1
	}
	page.More = first < len(l.changes)
	return page, nil
}

func (l *changeLog) redact(secret []byte, key storage.Key) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.changes {
		if c := &l.changes[i]; c.Key == key && !c.Redacted {
			c.Key.ExternalID = storage.RedactedID(secret, key)
			c.Redacted, c.Note = true, storage.Note{Time: c.Note.Time}
			n++
		}
	}
	return n
}

func (l *changeLog) trim(before time.Time, end storage.Cursor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.changes) && l.changes[n].Note.Time.Before(before) {
		if end != (storage.Cursor{}) && l.changes[n].Cursor.Position > end.Position {
			break
		}
		n++
	}
	if n > 0 {
		l.floor = l.changes[n-1].Cursor
		l.changes = append([]storage.Change(nil), l.changes[n:]...) // releases the others
	}
}
