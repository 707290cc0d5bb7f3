package changes

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

// TailOptions are the optional parts of a [Tail]. A nil *TailOptions is the zero value.
type TailOptions struct {
	// MinPoll and MaxPoll are how long the tail waits before it asks the store again: 50
	// milliseconds and 2 seconds when 0 or less. After a change it is MinPoll, and then
	// twice as long each time up to MaxPoll.
	MinPoll, MaxPoll time.Duration

	// Idle is how long a reader waits for a change before it gets a page without any: 10
	// seconds when 0 or less. Such a page moves the cursor of the reader past the changes
	// of other scopes, and lets a stream send a sign of life.
	Idle time.Duration

	// NoData leaves out the documents of changes: see storage.ChangeQuery.
	NoData bool

	// OnError, if not nil, gets each error of the store that the tail waits out: for logs.
	// It is called from several goroutines. It must be quick, and must not panic.
	OnError func(error)
}

// The bounds of what a tail keeps, and of a page. A stream that is stalled holds one page.
const (
	maxRecent     = 8192     // changes
	maxRecentData = 32 << 20 // bytes of documents: two pages of the store
	scopePage     = 100      // changes in a page of one scope
	minGap        = 10       // a woken tail asks at most after MinPoll / minGap
)

// A Tail reads the log of a store for all readers of a process. It asks the store for new
// changes with one query at a time, however many readers it has, and keeps the latest ones
// in memory. Readers that are further back read the store, one at a time. Without readers
// it asks nothing and has no goroutine. Make it with [NewTail]. It is safe for concurrent
// use.
type Tail struct {
	store   storage.Store
	opts    TailOptions
	wake    chan struct{} // has an element if the store is to be asked at once
	reading chan struct{} // has an element while a reader asks the store

	maxRecent, maxRecentData int

	mu    sync.Mutex
	ring  *ring         // nil without readers that have joined
	ended chan struct{} // is closed when the poller of the latest ring has ended; nil if there was none
}

// NewTail returns a tail of the log of a store. opts may be nil. The caller closes the
// store, after the readers have ended.
func NewTail(store storage.Store, opts *TailOptions) *Tail {
	t := &Tail{
		store: store, wake: make(chan struct{}, 1), reading: make(chan struct{}, 1),
		maxRecent: maxRecent, maxRecentData: maxRecentData,
	}
	if opts != nil {
		t.opts = *opts
	}
	if t.opts.MaxPoll <= 0 {
		t.opts.MaxPoll = 2 * time.Second
	}
	if t.opts.MinPoll <= 0 {
		t.opts.MinPoll = 50 * time.Millisecond
	}
	t.opts.MinPoll = min(t.opts.MinPoll, t.opts.MaxPoll)
	if t.opts.Idle <= 0 {
		t.opts.Idle = 10 * time.Second
	}
	return t
}

// Reads reports whether the tail reads the log of this store.
func (t *Tail) Reads(store storage.Store) bool { return same(t.store, store) }

// Wake says that something may have been logged just now: the tail asks the store at once,
// and not after MaxPoll. It is cheap, and never blocks.
func (t *Tail) Wake() {
	select {
	case t.wake <- struct{}{}:
	default: // the next query has not begun
	}
}

// Follow returns the changes of a scope after a cursor, page by page, and then those that
// are made, until the context ends or the loop does. The zero scope stands for all, and
// the zero cursor for the start of the log. Each change comes exactly once, in the order
// of the log. A page of one scope has at most 100 changes, one of all at most 1000. It may
// have none: then it moves the cursor. To go on later, begin after the Next of a page.
//
// A reader that is slow is not waited for, and misses nothing: what the tail does not keep
// any more is read from the store for it.
//
// An error ends the sequence: that of the context, [storage.ErrInvalid] for a scope or a
// cursor that is not valid, or another error of the store, such as [storage.ErrExpired].
// A store that is unavailable is asked again.
//
// The sequence may be used several times, each of which begins after the cursor.
func (t *Tail) Follow(ctx context.Context, scope storage.Scope, after storage.Cursor) iter.Seq2[storage.ChangePage, error] {
	return func(yield func(storage.ChangePage, error) bool) {
		r := &reader{tail: t, query: storage.ChangeQuery{Scope: scope, After: after, NoData: t.opts.NoData, Limit: scopePage}}
		if scope == (storage.Scope{}) {
			r.query.Limit = storage.MaxPage
		}
		defer r.leave()
		_, err := storage.CheckChanges(ctx, r.query)
		for err == nil {
			var page storage.ChangePage
			page, err = r.next(ctx)
			if err == nil && !yield(page, nil) {
				return
			}
		}
		yield(storage.ChangePage{}, err)
	}
}

// A reader is one loop over a Follow. It is in the ring, or reads the store.
type reader struct {
	tail     *Tail
	query    storage.ChangeQuery // After is where the reader is
	caughtUp bool                // the store had no more after that

	ring  *ring // nil if it is in none; the following only with the lock of the tail
	place int64 // number of the next change

	// ahead: the reader has read further than the poller has. Its place is found when the
	// poller comes there: if the log is another one then, since the store was restored,
	// it is not found.
	ahead bool
}

// next returns the next page for the reader, perhaps one without changes.
func (r *reader) next(ctx context.Context) (storage.ChangePage, error) {
	idle := time.NewTimer(r.tail.opts.Idle)
	defer idle.Stop()
	isIdle, stuck := false, false
	for {
		page, signal, err := r.take()
		if err != nil || len(page.Changes) > 0 || signal != nil && isIdle {
			return page, err
		}
		if signal == nil {
			if stuck { // its cursor is not in the ring, and the store has no other
				if err := sleep(ctx, r.tail.opts.MinPoll); err != nil {
					return storage.ChangePage{}, err
				}
			}
			if page, err = r.read(ctx); err != nil {
				return storage.ChangePage{}, err
			}
			stuck = page.Next == r.query.After
			if r.query.After, r.caughtUp = page.Next, !page.More; !stuck {
				return page, nil
			}
			continue
		}
		select {
		case <-signal:
		case <-idle.C:
			isIdle = true
		case <-ctx.Done():
			return storage.ChangePage{}, ctx.Err()
		}
	}
}

// read asks the store for the next page, until it is available.
func (r *reader) read(ctx context.Context) (storage.ChangePage, error) {
	for wait := r.tail.opts.MinPoll; ; wait = min(2*wait, r.tail.opts.MaxPoll) {
		page, err := r.readOnce(ctx)
		if !r.tail.waitsOut(ctx, err) {
			return page, err
		}
		if err := sleep(ctx, wait); err != nil {
			return storage.ChangePage{}, err
		}
	}
}

func (r *reader) readOnce(ctx context.Context) (storage.ChangePage, error) {
	select {
	case r.tail.reading <- struct{}{}:
	case <-ctx.Done():
		return storage.ChangePage{}, ctx.Err()
	}
	defer func() { <-r.tail.reading }()
	return r.tail.store.Changes(ctx, r.query)
}

// waitsOut reports whether the store is to be asked again.
func (t *Tail) waitsOut(ctx context.Context, err error) bool {
	if ctx.Err() != nil || !isTemporary(err) {
		return false
	}
	if t.opts.OnError != nil {
		t.opts.OnError(err)
	}
	return true
}

// take returns the changes that the ring has for the reader, and which cursor it is at
// then. If there are none, it returns what is closed when there may be some; nil if the
// reader must read the store.
func (r *reader) take() (page storage.ChangePage, signal <-chan struct{}, err error) {
	t := r.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.ring == nil && !r.join() {
		return page, nil, nil
	}
	g := r.ring
	scope := g.scopes[r.query.Scope]
	isLost := !r.ahead && r.place < scope.evicted
	if r.ahead && r.query.After.Position <= g.end.Position {
		r.place, isLost = g.find(r.query.After)
		isLost, r.ahead = !isLost, false
	}
	switch {
	case g.err != nil && !errors.Is(g.err, storage.ErrExpired):
		return page, nil, g.err
	case g.err != nil || isLost: // it may have expired for the poller alone
		r.leaveRing()
		return page, nil, nil
	case r.ahead:
		page.Next = r.query.After
	default:
		page.Changes, page.More = g.after(scope, r.place, r.query)
		if page.Next = g.end; page.More {
			page.Next = page.Changes[len(page.Changes)-1].Cursor
		}
		r.place, _ = g.find(page.Next)
		r.query.After = page.Next
	}
	page.More, page.Held = page.More || g.more, g.held
	if scope.signal == nil {
		scope.signal = make(chan struct{})
	}
	return page, scope.signal, nil
}

// join brings the reader into the ring if that goes on where the reader is. It makes the
// ring if there is none.
func (r *reader) join() bool {
	t, at := r.tail, r.query.After
	g := t.ring
	if g == nil {
		if !r.caughtUp {
			return false
		}
		g = t.open(at)
	}
	place, ok := g.find(at)
	if r.ahead = at.Position > g.end.Position; !ok && !(r.ahead && r.caughtUp) {
		return false
	}
	scope := g.scopes[r.query.Scope]
	if scope == nil {
		scope = &scopeReaders{}
		g.scopes[r.query.Scope] = scope
		for i := range g.changes {
			if g.changes[i].Key.Scope() == r.query.Scope {
				scope.places = append(scope.places, g.first+int64(i))
			}
		}
	}
	scope.readers++
	g.readers++
	r.ring, r.place, r.caughtUp = g, place, false
	return true
}

func (r *reader) leave() {
	r.tail.mu.Lock()
	defer r.tail.mu.Unlock()
	r.leaveRing()
}

func (r *reader) leaveRing() {
	g := r.ring
	if g == nil {
		return
	}
	r.ring, r.ahead = nil, false
	if scope := g.scopes[r.query.Scope]; scope.readers > 1 {
		scope.readers--
	} else {
		delete(g.scopes, r.query.Scope)
	}
	if g.readers--; g.readers == 0 {
		g.cancel()
		if r.tail.ring == g {
			r.tail.ring = nil
		}
	}
}

// sleep waits, or returns the error of the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
