// Package feed passes the changes of a [resource.Collection] on to an observer, within the
// process and after they were stored: for caches, notifications and the like. A program
// that must not miss a change reads the store.
//
//	changes := feed.New(func(e feed.Event) { cache.Remove(e.ID) }, nil)
//	customers, err := resource.NewCollection(schema.Customers(), store, &resource.Options{OnChange: changes.Add})
//	...
//	err = changes.Close(ctx)
package feed

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// buffer is how many events a [Feed] keeps for its observer unless [Options] say
// otherwise.
const buffer = 1024

// An Event is a change of a resource that was stored. Its JSON has the names of its
// fields, the outcome as text, and the patch as it is.
type Event struct {
	Key     storage.Key      // tenant, schema and external id
	ID      uuid.UUID        // of the resource
	Outcome resource.Outcome // resource.Created, Updated or Deleted
	// Before and After are the revisions before and after the change; 0 is absent. If
	// Before is not the After of the event before for the same key, events are missing
	// between them.
	Before, After storage.Revision
	// At is the resource's UpdatedAt after the change; zero for Deleted.
	At time.Time
	// Patch is the change as a merge patch (RFC 7396), from the stored document before
	// to the one after. It is nil for Deleted, and if there is no such patch because
	// another program has stored a null. Personal data in it is redacted, see
	// [schema.Schema.Redact], unless Options.Unredacted is set. The external id in
	// Key is not.
	Patch json.RawMessage
}

// String returns the outcome and the resource's ID, and neither the external id nor
// the patch.
func (e Event) String() string { return string(e.Outcome) + " resource " + e.ID.String() }

// GoString is String, for the verb %#v.
func (e Event) GoString() string { return e.String() }

// LogValue is String, for log/slog.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.String()) }

// Options are the optional parts of a [Feed]. A nil *Options is the zero value.
type Options struct {
	// Buffer is how many events wait for the observer at most; 1024 when 0 or less. Each
	// keeps the documents before and after its change in memory.
	Buffer int
	// Unredacted leaves personal data in Event.Patch.
	Unredacted bool
	// OnPanic, if not nil, is called with the value of a panic of the observer. The
	// event counts as observed, and the next one follows; Panics counts them. OnPanic
	// must not panic itself.
	OnPanic func(value any)
}

// A Feed gives changes to an observer after they were stored, and drops those for which
// the observer is too slow. Its Add is the OnChange of [resource.Options]; several
// collections can share a feed. Make it with [New].
//
//   - No write waits for the observer, or fails because of it. The observer is called by
//     a goroutine of the feed, one event at a time. When the buffer is full, events are
//     dropped and counted (Dropped).
//   - At most once: an event comes once or not at all. Those in the buffer are lost when
//     the process ends without Close, and so are those of writes with an unknown
//     outcome.
//   - Order: the events of one key come in the order of its changes, if these are made
//     through one Collection. There is no order between changes through several
//     collections or processes, or of different keys.
//   - Each event is a change that is in the store. Writes that change nothing, dry runs
//     and failed writes make none. Several items of a batch that change one resource
//     make one event.
type Feed struct {
	observe func(Event)
	opts    Options
	dropped atomic.Uint64
	panics  atomic.Uint64
	done    chan struct{}

	mu     sync.RWMutex // for closed, and for sending on queue
	closed bool
	queue  chan change
}

// A change is an event whose patch is not made yet.
type change struct {
	schema        *schema.Schema
	before, after storage.Record // with Revision 0 for absent
}

// New returns a feed that gives events to observe, and starts its goroutine, which
// Close ends. opts may be nil. If observe is nil, every change is dropped.
func New(observe func(Event), opts *Options) *Feed {
	f := &Feed{observe: observe, done: make(chan struct{})}
	if opts != nil {
		f.opts = *opts
	}
	if f.opts.Buffer <= 0 {
		f.opts.Buffer = buffer
	}
	f.queue = make(chan change, f.opts.Buffer)
	go f.run()
	return f
}

// Dropped returns how many changes were dropped: those that found the buffer full, or the
// feed closed.
func (f *Feed) Dropped() uint64 { return f.dropped.Load() }

// Panics returns how often the observer has panicked.
func (f *Feed) Panics() uint64 { return f.panics.Load() }

// Close waits until the observer has got the events in the buffer, or until ctx ends,
// whose error it then returns. Changes that are stored afterwards are dropped. Close the
// feed after the writers have ended, and not from the observer, for which it would wait.
// A second Close waits in the same way.
func (f *Feed) Close(ctx context.Context) error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.queue)
	}
	f.mu.Unlock()
	select {
	case <-f.done:
		return nil
	default:
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Add puts a change into the buffer, or drops it. It does not block.
func (f *Feed) Add(s *schema.Schema, before, after storage.Record) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.closed && f.observe != nil {
		select {
		case f.queue <- change{s, before, after}:
			return
		default:
		}
	}
	f.dropped.Add(1)
}

func (f *Feed) run() {
	ended := false
	defer func() {
		if ended {
			close(f.done)
		} else { // the observer has ended the goroutine (runtime.Goexit)
			go f.run()
		}
	}()
	for c := range f.queue {
		f.hand(c)
	}
	ended = true
}

func (f *Feed) hand(c change) {
	defer func() {
		if value := recover(); value != nil {
			f.panics.Add(1)
			if f.opts.OnPanic != nil {
				f.opts.OnPanic(value)
			}
		}
	}()
	f.observe(f.event(c))
}

// event returns the event of a change.
func (f *Feed) event(c change) Event {
	e := Event{
		Key: c.after.Key, ID: c.after.ID, Outcome: resource.Updated,
		Before: c.before.Revision, After: c.after.Revision, At: c.after.UpdatedAt,
	}
	before := c.before.Data
	switch {
	case c.after.Revision == 0:
		return Event{Key: c.before.Key, ID: c.before.ID, Outcome: resource.Deleted, Before: c.before.Revision}
	case c.before.Revision == 0:
		e.Outcome, before = resource.Created, []byte("{}")
	}
	e.Patch, _ = merge.Diff(before, c.after.Data)
	if !f.opts.Unredacted && e.Patch != nil {
		e.Patch, _ = c.schema.Redact(e.Patch)
	}
	return e
}
