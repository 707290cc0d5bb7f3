package memory

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// changeLog has the changes of all scopes. Their positions are consecutive.
//
// The changes are in blocks, so that none is copied when the log grows or Trim removes
// others: of a million logged writes the longest took 0.4 s that way, and 0.05 s this way.
type changeLog struct {
	mu     sync.Mutex
	blocks [][]storage.Change // each full but the last one
	gone   int                // changes of the first block that Trim removed
	n      int                // changes in the log
	floor  storage.Cursor     // of the last change that Trim removed, or where the log began
	byKey  map[storage.Key][]int64
}

const blockSize = 128

// at returns the change number i, which has the position floor + 1 + i.
func (l *changeLog) at(i int) *storage.Change {
	i += l.gone
	return &l.blocks[i/blockSize][i%blockSize]
}

// number is the inverse of at for positions of the log.
func (l *changeLog) number(position int64) int { return int(position - l.floor.Position - 1) }

// add appends a change, and gives it its position.
func (l *changeLog) add(c storage.Change) {
	c.Cursor.Position = l.end().Position + 1
	if (l.gone+l.n)%blockSize == 0 {
		l.blocks = append(l.blocks, make([]storage.Change, 0, blockSize))
	}
	last := &l.blocks[len(l.blocks)-1]
	*last = append(*last, c)
	l.n++
	if l.byKey == nil {
		l.byKey = make(map[storage.Key][]int64)
	}
	l.byKey[c.Key] = append(l.byKey[c.Key], c.Cursor.Position)
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
		Cursor:  storage.Cursor{Revision: w.Record.Revision},
		Key:     w.Record.Key,
		Before:  w.Expect,
		Deleted: w.Delete,
		Note:    *w.Note,
	}
	c.Key.ExternalID = e.id
	c.Note.Time = stored(w.Note.Time)
	if next != nil {
		c.ID = next.uuid
	} else {
		c.ID = old.uuid
	}
	l.add(c)
	return true
}

func stored(t time.Time) time.Time { return time.UnixMilli(t.UnixMilli()).UTC() }

// end returns the cursor at the end of the log.
func (l *changeLog) end() storage.Cursor {
	if l.n == 0 {
		return l.floor
	}
	return l.at(l.n - 1).Cursor
}

// has reports whether the cursor is one of the log.
func (l *changeLog) has(c storage.Cursor) bool {
	i := l.number(c.Position)
	return i == -1 && c == l.floor || i >= 0 && i < l.n && c == l.at(i).Cursor
}

// maxScan is how many changes one page looks at, unless it is of one key.
const maxScan = 10_000

func (l *changeLog) page(q storage.ChangeQuery) (storage.ChangePage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q.End {
		return storage.ChangePage{Next: l.end()}, nil
	}
	after := q.After
	if after == (storage.Cursor{}) {
		after = l.floor
	} else if !l.has(after) {
		return storage.ChangePage{}, storage.ErrExpired
	}
	page := storage.ChangePage{Next: after}
	size := 0
	// add adds a change, unless the page is full.
	add := func(c storage.Change) bool {
		if q.NoData {
			c.Note.Before, c.Note.After = nil, nil
		}
		size += c.Note.Size()
		if n := len(page.Changes); n == q.Limit || n > 0 && size > storage.MaxPageBytes {
			page.More = true
			return false
		}
		page.Changes = append(page.Changes, c)
		page.Next = c.Cursor
		return true
	}
	if q.ExternalID == "" {
		i := l.number(after.Position) + 1
		until := min(l.n, i+maxScan)
		for ; i < until; i++ {
			c := l.at(i)
			if q.Match(c.Key) && !add(*c) {
				break
			}
			page.Next = c.Cursor
		}
		page.More = i < l.n
		return page, nil
	}
	positions := l.byKey[storage.Key{Tenant: q.Scope.Tenant, Schema: q.Scope.Schema, ExternalID: q.ExternalID}]
	if q.Backwards {
		if q.After != (storage.Cursor{}) {
			n, _ := slices.BinarySearch(positions, after.Position)
			positions = positions[:n]
		}
		for _, p := range slices.Backward(positions) {
			if !add(*l.at(l.number(p))) {
				return page, nil
			}
		}
		page.Next = storage.Cursor{}
		return page, nil
	}
	n, _ := slices.BinarySearch(positions, after.Position+1)
	for _, p := range positions[n:] {
		if !add(*l.at(l.number(p))) {
			return page, nil
		}
	}
	page.Next = l.end()
	return page, nil
}

func (l *changeLog) redact(secret []byte, key storage.Key, note storage.Note) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	hashed := key
	hashed.ExternalID = storage.RedactedID(secret, key)
	var left []int64 // redacted before: the key looks like a hash
	var ids []uuid.UUID
	seen := make(map[uuid.UUID]struct{})
	for _, p := range l.byKey[key] {
		c := l.at(l.number(p))
		if c.Redacted {
			left = append(left, p)
			continue
		}
		if _, ok := seen[c.ID]; !ok {
			seen[c.ID] = struct{}{}
			ids = append(ids, c.ID)
		}
		c.Key, c.Redacted, c.Note = hashed, true, storage.Note{Time: c.Note.Time}
		l.byKey[hashed] = append(l.byKey[hashed], p)
		n++
	}
	if n == 0 {
		return 0
	}
	if slices.Sort(l.byKey[hashed]); len(left) > 0 {
		l.byKey[key] = left
	} else {
		delete(l.byKey, key)
	}
	note.Time = stored(note.Time)
	for _, id := range ids {
		l.add(storage.Change{
			Cursor: storage.Cursor{Revision: storage.NextRevision(0)},
			Key:    hashed, ID: id, Deleted: true, Redacted: true, Note: note,
		})
	}
	return n
}

// trim removes changes in steps, between which others can log.
func (l *changeLog) trim(before time.Time, end storage.Cursor) error {
	for {
		l.mu.Lock()
		if end != (storage.Cursor{}) && !l.has(end) {
			l.mu.Unlock()
			return storage.ErrExpired
		}
		n := 0
		for ; n < min(l.n, maxScan); n++ {
			c := l.at(n)
			if !c.Note.Time.Before(before) || c.Cursor.Position > end.Position && end.Position != 0 {
				break
			}
		}
		l.remove(n)
		l.mu.Unlock()
		if n < maxScan {
			return nil
		}
	}
}

// remove removes the first n changes.
func (l *changeLog) remove(n int) {
	for i := range n {
		c := l.at(i)
		if positions := l.byKey[c.Key]; len(positions) > 1 {
			l.byKey[c.Key] = positions[1:]
		} else {
			delete(l.byKey, c.Key)
		}
		if i == n-1 {
			l.floor = c.Cursor
		}
		*c = storage.Change{} // releases the documents
	}
	l.n -= n
	l.gone += n
	full := l.gone / blockSize
	clear(l.blocks[:full])
	l.blocks, l.gone = l.blocks[full:], l.gone%blockSize
	if len(l.byKey) == 0 {
		l.byKey = nil // a map never shrinks
	}
}
