package changes

import (
	"cmp"
	"context"
	"slices"
	"time"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// A ring has the latest changes of all scopes. Readers take them by their numbers. All of
// it is used with the lock of the tail.
type ring struct {
	cancel  context.CancelFunc // of the poller
	readers int
	scopes  map[storage.Scope]*scopeReaders // those with readers

	changes    []storage.Change
	first      int64          // number of changes[0]
	data       int            // bytes of documents
	start, end storage.Cursor // before and after the changes

	more bool // the store had more after end
	held time.Duration
	err  error // the poller has ended
}

// scopeReaders are the readers of one scope, or of all, and the changes for them.
type scopeReaders struct {
	readers int
	places  []int64       // numbers of the changes of the scope
	evicted int64         // 1 more than the number of the last one that the ring does not keep
	signal  chan struct{} // is closed when there is a change; nil if no reader waits
}

func (s *scopeReaders) wake() {
	if s.signal != nil {
		close(s.signal)
		s.signal = nil
	}
}

// open makes a ring that begins at a cursor, and starts its poller.
func (t *Tail) open(at storage.Cursor) *ring {
	ctx, cancel := context.WithCancel(context.Background())
	g := &ring{cancel: cancel, scopes: make(map[storage.Scope]*scopeReaders), start: at, end: at}
	before, ended := t.ended, make(chan struct{})
	t.ring, t.ended = g, ended
	go func() {
		defer close(ended)
		if before != nil {
			<-before
		}
		t.poll(ctx, g)
	}()
	return g
}

// poll asks the store for new changes until the context ends. It begins at once, since a
// Wake may have come before it.
func (t *Tail) poll(ctx context.Context, g *ring) {
	q := storage.ChangeQuery{After: g.end, NoData: t.opts.NoData, Limit: storage.MaxPage}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for wait := time.Duration(0); ; {
		select {
		case <-t.wake: // this query is for it
			wait = 0
		default:
		}
		page, err := t.store.Changes(ctx, q)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !t.waitsOut(ctx, err) {
			t.fail(g, err)
			return
		}
		if err == nil {
			t.add(g, page)
			q.After = page.Next
			if page.More {
				continue
			}
			if len(page.Changes) > 0 {
				wait = 0
			}
		}
		wait = min(max(2*wait, t.opts.MinPoll), t.opts.MaxPoll)
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-t.wake:
			wait = 0
			timer.Reset(t.opts.MinPoll / minGap)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
	}
}

// fail ends a ring: its readers get the error, or read the store if it is ErrExpired.
func (t *Tail) fail(g *ring, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.err = err; t.ring == g {
		t.ring = nil
	}
	for _, scope := range g.scopes {
		scope.wake()
	}
}

// add adds a page to the ring, and wakes the readers that it is for.
func (t *Tail) add(g *ring, page storage.ChangePage) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := g.scopes[storage.Scope{}]
	for i := range page.Changes {
		c := &page.Changes[i]
		if scope := g.scopes[c.Key.Scope()]; scope != nil {
			scope.places = append(scope.places, g.first+int64(len(g.changes)+i))
			scope.wake()
		}
		g.data += dataOf(c)
	}
	if all != nil && len(page.Changes) > 0 {
		all.wake()
	}
	g.changes = append(g.changes, page.Changes...)
	g.redact(page.Changes)
	g.end, g.more, g.held = page.Next, page.More, page.Held
	n := 0
	for ; len(g.changes)-n > t.maxRecent || g.data > t.maxRecentData; n++ {
		c := &g.changes[n]
		if scope := g.scopes[c.Key.Scope()]; scope != nil {
			scope.places, scope.evicted = scope.places[1:], g.first+int64(n)+1
		}
		g.start = c.Cursor
		g.data -= dataOf(c)
		*c = storage.Change{}
	}
	g.changes, g.first = g.changes[n:], g.first+int64(n)
	if all != nil {
		all.evicted = g.first
	}
}

// redact removes what the ring has of resources that were erased, as the log did: without
// many changes the ring would have it for long.
func (g *ring) redact(page []storage.Change) {
	type resource struct {
		scope storage.Scope
		id    uuid.UUID
	}
	hashes := make(map[resource]string) // in place of external ids
	for i := range page {
		if c := &page[i]; c.Redacted {
			hashes[resource{c.Key.Scope(), c.ID}] = c.Key.ExternalID
		}
	}
	if len(hashes) == 0 {
		return
	}
	for i := range g.changes {
		c := &g.changes[i]
		if hash, ok := hashes[resource{c.Key.Scope(), c.ID}]; ok && !c.Redacted {
			g.data -= dataOf(c)
			c.Key.ExternalID, c.Redacted, c.Note = hash, true, storage.Note{Time: c.Note.Time}
		}
	}
}

func dataOf(c *storage.Change) int { return len(c.Note.Before) + len(c.Note.After) }

// find returns the number of the change after a cursor, and whether the cursor is in the
// ring.
func (g *ring) find(at storage.Cursor) (place int64, ok bool) {
	switch at {
	case g.end:
		return g.first + int64(len(g.changes)), true
	case g.start:
		return g.first, true
	}
	i, ok := slices.BinarySearchFunc(g.changes, at.Position, func(c storage.Change, position int64) int {
		return cmp.Compare(c.Cursor.Position, position)
	})
	return g.first + int64(i) + 1, ok && g.changes[i].Cursor == at
}

// after returns the changes of a scope from a number on, and whether there are more than
// the limit. The slice is a copy.
func (g *ring) after(scope *scopeReaders, place int64, q storage.ChangeQuery) (changes []storage.Change, more bool) {
	if q.Scope == (storage.Scope{}) {
		rest := g.changes[place-g.first:]
		n := min(len(rest), q.Limit)
		return slices.Clone(rest[:n]), n < len(rest)
	}
	i, _ := slices.BinarySearch(scope.places, place)
	rest := scope.places[i:]
	n := min(len(rest), q.Limit)
	for _, place := range rest[:n] {
		changes = append(changes, g.changes[place-g.first])
	}
	return changes, n < len(rest)
}
