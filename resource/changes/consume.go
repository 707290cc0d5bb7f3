package changes

import (
	"context"
	"errors"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// An Event is a change as a consumer gets it. Its JSON and its text are those of the
// change.
type Event struct {
	resource.Change

	// Fence is the number of the lease under which the event comes. Each owner of the
	// consumer has a greater one than those before it. A process that was paused may
	// still finish one call of its handler, for each of Concurrency, after the next owner
	// has begun: a receiver that keeps the greatest number it has seen can refuse it.
	Fence uint64

	// Attempt is 1, and 1 more for each call with this event that has failed, as far as
	// the consumer knows.
	Attempt int
}

// A Handler gets one event. The event is done when it returns nil; an error means that it
// must come again. A panic counts as an error.
//
// The context ends with that of Consume, and when the lease is lost: context.Cause is then
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

	// Documents, Patches and Unredacted are as in resource.ChangeOptions. Without
	// Collections, documents and patches must be Unredacted.
	Documents, Patches, Unredacted bool

	// FromEnd lets a consumer that is new begin at the end of the log, and not at the
	// start of what the log has.
	FromEnd bool

	// OnExpired is called when the log no longer has the place of the consumer, since it
	// was trimmed, or the store was restored from a backup. It must read all resources
	// anew, and must remove what the consumer has of others. Then the consumer goes on
	// with the changes that were made since just before the call, and nothing is parked.
	//
	// It is called again after an error, with the pauses of a parked resource, and after
	// the end of the process. Its context is as that of a Handler. Without OnExpired,
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
//     process ends without the end of Consume, or loses its lease.
//   - In order: the events of one resource come in the order of its changes, one at a
//     time, and so do those of its external id if it was deleted and created again. There
//     is no order between other resources.
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
//     storage.ErrUnavailable, storage.ErrUnknownOutcome or storage.ErrConflict.
func Consume(ctx context.Context, store storage.Store, name string, handler Handler, opts *Options) error {
	return storage.ErrUnsupported
}

// Consumer is what the store has of a consumer, for operators and metrics.
type Consumer struct {
	Name string

	// Owner is the process that has the lease: host name, process id and a random part.
	// It is "" after a clean end.
	Owner   string
	Fence   uint64    // the number of the latest lease
	Renewed time.Time // when the owner wrote last, by its clock

	// Lag is the age of the first change that the consumer has not taken, 0 if there is
	// none. Parked resources are not in it, and what was taken in the last second may be.
	Lag time.Duration
	// Held is how long the store has been holding changes back: see storage.ChangePage.
	Held time.Duration
	// Expired: the log does not have the place of the consumer any more.
	Expired bool

	Delivered uint64 // calls of the handler that returned nil
	Failed    uint64 // calls of the handler that returned an error
	Parked    []Parked
}

// Parked is a resource whose events wait.
type Parked struct {
	Tenant   storage.Tenant
	Schema   uuid.UUID
	ID       uuid.UUID // of the resource; its external id is in the log alone
	Since    time.Time
	Attempts int       // calls with its first event that failed, since the last Release
	Next     time.Time // of the next attempt; zero if it waits for Release
	Error    string    // at most 200 bytes of the latest one
}

// Consumers returns the consumers that a store has, by name. It may be called in any
// process: with one query for each consumer beside the list. Errors are those of the
// store.
func Consumers(ctx context.Context, store storage.Store) ([]Consumer, error) {
	return nil, storage.ErrUnsupported
}

// Release lets the events of parked resources come again at once, with all their attempts:
// of those with these IDs, or without ids of all. IDs that are not parked are left out.
// The owner of the consumer notices within a third of its lease.
//
// Errors are storage.ErrInvalid for a name that is not valid, storage.ErrNotFound if there
// is no such consumer, and those of the store.
func Release(ctx context.Context, store storage.Store, name string, ids ...uuid.UUID) error {
	return storage.ErrUnsupported
}

// Remove removes a consumer with its position, so that [Trim] need not wait for it. End
// its processes before: a Consume of this name that still runs returns
// storage.ErrNotFound when it notices. Removing a consumer that is absent is no error.
// Errors are storage.ErrInvalid for a name that is not valid, and those of the store.
func Remove(ctx context.Context, store storage.Store, name string) error {
	return storage.ErrUnsupported
}

// Trim removes the changes that were made before a time from the log of a store, except
// those that a consumer or a parked resource still needs. It returns the names of the
// consumers that kept changes back. [Remove] those that will not run again. To trim
// whatever consumers need, call the Trim of the store: their OnExpired is called then.
// Errors are those of the store.
func Trim(ctx context.Context, store storage.Store, before time.Time) ([]string, error) {
	return nil, storage.ErrUnsupported
}
