package changes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// An Event is a change as a consumer gets it. Its JSON and its text are those of the
// change.
type Event struct {
	resource.Change

	// Fence is the number of the owner's lease. Each owner of the consumer has a greater one
	// than those before it. A process that was paused may still finish one call of its
	// handler, for each of Concurrency, after the next owner has begun. A receiver that
	// keeps the greatest number it has seen can refuse such a call. The number is about the
	// time at which the lease began, in milliseconds since 1970.
	Fence uint64

	// Attempt is 1, and 1 more for each call with this event that has failed since the
	// last Release, as far as the consumer knows. An ErrAgain does not count.
	Attempt int
}

// A Handler gets one event. The event is done when it returns nil; an error means that it
// must come again. A panic counts as an error, and Options.OnError gets its stack.
//
// The context ends with Consume, and when the lease is lost: context.Cause is then
// [ErrLeaseLost]. The first 200 bytes of the error's text are kept in the store while the
// resource is parked, so it should have no personal data.
type Handler func(ctx context.Context, e Event) error

// Options are the optional parts of a consumer. A nil *Options is the zero value. All
// processes of one consumer should have the same.
type Options struct {
	// Collections are those whose changes the consumer gets. Each logs its changes to the
	// store that Consume gets, and no two have one schema. Without any, the consumer gets
	// all changes of the store, with neither the names of schemas nor redacted
	// documents. A collection that is added later brings its changes from then on.
	Collections []*resource.Collection

	// Documents and Patches ask for Change.Document and Change.Patch, which are nil in
	// changes that were made without History: each of the Collections must keep it.
	// Personal data in them is replaced, unless Unredacted: see resource.ChangeOptions.
	// Without Collections, documents and patches must be Unredacted.
	Documents, Patches, Unredacted bool

	// FromEnd lets a consumer that is new begin at the end of the log, and not at the
	// start of what the log has. Neither brings resources whose changes are not in the
	// log, and OnExpired is not called for them: see docs/changes.md.
	FromEnd bool

	// OnExpired is called when the log no longer has the place of the consumer, since it was
	// trimmed without regard to consumers. It must read all resources again, and remove what
	// the consumer has of resources that are gone. Then the consumer goes on with the
	// changes made since just before the call, and nothing is parked. It is not called after
	// a backup of the store was restored, with the consumer's place: see docs/changes.md.
	//
	// If it fails, or the process ends meanwhile, it is called again: after an error with the
	// pauses of a parked resource. Its context is as that of a Handler. Without OnExpired,
	// Consume returns storage.ErrExpired.
	OnExpired func(ctx context.Context) error

	// OnError, if not nil, gets each error of the handler and of OnExpired, and each error
	// of the store that the consumer waits out: for logs. It is called from several
	// goroutines. It must be quick, and must not panic.
	OnError func(error)

	// Concurrency is how many calls of the handler run at once, of different resources:
	// 1 when 0 or less, and at most 1000.
	Concurrency int

	// Lease is how long a process owns the consumer without renewing it: 15 seconds when
	// 0 or less, and at least 100 milliseconds. The next owner begins that long after the
	// end of a process that could not give up its lease.
	Lease time.Duration

	// The failed event of a parked resource comes again after MinBackoff (1 second when 0
	// or less), then after twice as long each time, up to MaxBackoff (5 minutes). After
	// MaxAttempts (20) in all it waits for Release.
	MinBackoff, MaxBackoff time.Duration
	MaxAttempts            int

	// MaxParked is how many resources may be parked at once: 100 when 0 or less, and at
	// most 1000.
	MaxParked int

	// Tail, if not nil, reads the log: one that consumers and streams of the process
	// share, of the same store. With Documents or Patches it must not have NoData.
	Tail *Tail
}

var (
	// ErrParked: as many resources as Options.MaxParked are parked, and one more has
	// failed. The consumer has stopped before its event. Mend the cause, and run it again.
	ErrParked = errors.New("too many resources are parked")

	// ErrAgain is for handlers. An error that matches it is not about the event: the
	// receiver is down, or asks to wait. Nothing is parked. The event comes again after a
	// pause, and the events after it wait.
	ErrAgain = errors.New("try again later")

	// ErrLeaseLost is the cause of the end of a handler's context when another process
	// owns the consumer now, or may own it.
	ErrLeaseLost = errors.New("the lease of the consumer is lost")
)

// Consume calls the handler with each change in the log of the store, and then with those
// that are made, until the context ends. opts may be nil. name is that of the consumer: 1
// to 100 letters of ASCII, digits, '-', '_' and '.'.
//
//   - At least once: no change is left out. The consumer stores its position when it has
//     caught up and about once a second. What was delivered after that comes again if the
//     process is killed, or loses its lease: of a parked resource up to 100 events.
//   - In order: the events of one resource come in the order of its changes, one at a
//     time, and so do those of its external id if it was deleted and created again. There
//     is no order between other resources. An erased change has lost its external id: it
//     comes in the order of its ID alone.
//   - One owner: any number of processes, or calls in one process, may consume under one
//     name. One of them owns the consumer, and the others wait to take over. See
//     [Event.Fence] for the exception.
//   - A resource whose event fails is parked: its later events wait, and those of other
//     resources go on. The failed event comes again as Options.MaxBackoff says. See
//     [Release].
//
// While the store is unavailable, Consume waits and asks it again. It returns, after the
// last call of the handler has returned,
//
//   - the error of the context. The position is stored then, and another process can take
//     over at once.
//   - [ErrParked]: too many resources are parked. It matches the handler's error too.
//   - [storage.ErrExpired]: the log does not have the place of the consumer, and there is
//     no OnExpired.
//   - [storage.ErrInvalid]: the name, the options or the handler are not valid.
//   - [storage.ErrUnsupported]: the store has no log.
//   - [storage.ErrNotFound]: the consumer was removed while it ran.
//   - [storage.ErrClosed], and each other error of the store that does not match
//     storage.ErrUnavailable, storage.ErrUnknownOutcome, storage.ErrConflict or
//     context.DeadlineExceeded (of a time limit within the store). Errors of the handler
//     never end Consume.
func Consume(ctx context.Context, store storage.Store, name string, handler Handler, opts *Options) error {
	c, err := newConsumer(store, name, handler, opts)
	if err != nil {
		return err
	}
	for {
		s, err := c.acquire(ctx)
		if err != nil {
			return err
		}
		err = s.run()
		switch {
		case err != ErrLeaseLost: // not Is: a handler may have such an error, too
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		c.report(err)
	}
}

// A consumer is one call of Consume.
type consumer struct {
	store   storage.Store
	key     storage.Key // of its record
	owner   string
	handler Handler
	schemas map[uuid.UUID]*schema.Schema // whose changes it gets; nil for all
	opts    Options                      // with the defaults in them
	known   bool                         // its record has been seen
}

func newConsumer(store storage.Store, name string, handler Handler, opts *Options) (*consumer, error) {
	if opts == nil {
		opts = &Options{}
	}
	c := &consumer{store: store, owner: newOwner(), handler: handler, opts: *opts}
	o := &c.opts
	orElse(&o.Concurrency, 1)
	orElse(&o.Lease, 15*time.Second)
	orElse(&o.MaxBackoff, 5*time.Minute)
	orElse(&o.MinBackoff, min(time.Second, o.MaxBackoff))
	orElse(&o.MaxAttempts, 20)
	orElse(&o.MaxParked, 100)
	hasData := o.Documents || o.Patches
	switch {
	case store == nil || handler == nil:
		return nil, invalid("a consumer needs a store and a handler")
	case store.Limits().NoLog:
		return nil, fmt.Errorf("changes: %w: a log", storage.ErrUnsupported)
	case o.Concurrency > maxConcurrency:
		return nil, invalid("the concurrency is above 1000")
	case o.Lease < minLease:
		return nil, invalid("the lease is below 100 milliseconds")
	case o.MinBackoff > o.MaxBackoff:
		return nil, invalid("MinBackoff is above MaxBackoff")
	case o.MaxParked > maxParked:
		return nil, invalid("more than 1000 resources cannot be parked")
	case len(o.Collections) == 0 && hasData && !o.Unredacted:
		return nil, invalid("documents without collections cannot be redacted")
	case o.Tail != nil && !o.Tail.Reads(store):
		return nil, invalid("the tail reads another store")
	case o.Tail != nil && o.Tail.opts.NoData && hasData:
		return nil, invalid("the tail leaves out documents")
	}
	if o.Tail == nil {
		o.Tail = NewTail(store, &TailOptions{NoData: !hasData, OnError: o.OnError})
	}
	for _, collection := range o.Collections {
		if collection == nil || !same(collection.Log(), store) {
			return nil, invalid("a collection does not log its changes to the store of the consumer")
		}
		if hasData && !collection.KeepsHistory() {
			return nil, invalid("documents and patches need the History of each collection")
		}
		s := collection.Schema()
		if c.schemas[s.ID()] != nil {
			return nil, invalid("two collections have one schema")
		}
		if c.schemas == nil {
			c.schemas = make(map[uuid.UUID]*schema.Schema)
		}
		c.schemas[s.ID()] = s
	}
	var err error
	c.key, err = keyOf(name)
	return c, err
}

const (
	maxConcurrency = 1000
	minLease       = 100 * time.Millisecond
)

func orElse[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// same reports whether two stores are one. Those that cannot be compared are not.
func same(a, b storage.Store) bool { return reflect.ValueOf(a).Comparable() && a == b }

func invalid(what string) error { return fmt.Errorf("changes: %w: %s", storage.ErrInvalid, what) }

// newOwner returns a name that no other call of Consume has.
func newOwner() string {
	host, _ := os.Hostname() // "" does no harm
	return fmt.Sprintf("%.100s/%d/%s", strings.ToValidUTF8(host, ""), os.Getpid(), uuid.NewString()[:8])
}

func (c *consumer) report(err error) {
	if c.opts.OnError != nil {
		if panicked, ok := errors.AsType[*panicError](err); ok {
			err = fmt.Errorf("%w\n%s", err, panicked.stack)
		}
		c.opts.OnError(err)
	}
}

// isTemporary reports whether the store is to be asked again after an error, unless the
// context has ended.
func isTemporary(err error) bool {
	return errors.Is(err, storage.ErrUnavailable) || errors.Is(err, storage.ErrUnknownOutcome) ||
		errors.Is(err, storage.ErrConflict) || errors.Is(err, context.DeadlineExceeded)
}
