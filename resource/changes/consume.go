package changes

import (
	"context"
	"errors"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// An Event is a change as a consumer gets it.
type Event struct {
	resource.Change

	// Fence is the number of the lease under which the event comes. Each next owner of the
	// consumer has a greater one. A process that was paused may finish one call after the
	// next owner has begun: a receiver that remembers the greatest number can refuse it.
	Fence uint64

	// Attempt is 1, and 1 more for each call before that failed, as far as is known.
	Attempt int
}

// A Handler gets one event. Its error says that the event must come again.
type Handler func(ctx context.Context, e Event) error

// Options are the optional parts of a consumer. A nil *Options is the zero value.
type Options struct {
	// Collections are those whose changes the consumer gets: all changes of the store if
	// there are none, without names, documents and patches. Processes of one consumer
	// must agree.
	Collections []*resource.Collection

	// Documents, Patches and Unredacted are as in resource.ChangeOptions.
	Documents, Patches, Unredacted bool

	// FromEnd lets a new consumer begin at the end of the log, and not with what the log
	// has.
	FromEnd bool

	// OnExpired is called when the log no longer has the consumer's place, because it was
	// trimmed or restored from a backup: read all resources anew. The consumer goes on
	// with the changes that were made since just before the call. Without OnExpired,
	// Consume returns storage.ErrExpired.
	OnExpired func(ctx context.Context) error

	// OnError, if not nil, gets each error of the handler and of the store, for logs.
	OnError func(error)

	// Concurrency is how many calls of the handler run at once, of different resources; 1
	// when 0 or less.
	Concurrency int

	// Lease is for how long a process owns the consumer without renewing it: 15 seconds
	// when 0 or less.
	Lease time.Duration

	// A resource whose event fails is parked: its further events wait, and those of
	// others go on. The event comes again after MinBackoff (1 second), twice that, and so on
	// up to MaxBackoff (5 minutes), MaxAttempts (20) times in all. Then it waits for
	// Release.
	MinBackoff, MaxBackoff time.Duration
	MaxAttempts            int

	// MaxParked is how many resources may be parked, 100 when 0 or less, and at most 1000.
	// When one more fails, Consume returns ErrParked.
	MaxParked int

	// Tail, if not nil, reads the log for several consumers and streams of the process.
	Tail *Tail
}

var (
	// ErrParked: too many resources are parked. The consumer has stopped before the event
	// that failed. Mend the cause, and run it again.
	ErrParked = errors.New("too many parked resources")

	// ErrAgain is for handlers: an error that matches it is not about the event. Nothing is
	// parked; the consumer waits, and the event comes again.
	ErrAgain = errors.New("try again later")
)

// Consume calls the handler with each change in the log, until the context ends.
func Consume(ctx context.Context, store storage.Store, name string, handler Handler, opts *Options) error {
	return storage.ErrUnsupported
}

// Consumer is what the store has of a consumer, for operators and metrics.
type Consumer struct {
	Name      string
	Owner     string    // of the lease: host name and process
	Fence     uint64    // the number of the latest lease
	Renewed   time.Time // when the lease was renewed last, by the clock of its owner
	Lag       time.Duration
	Held      time.Duration // see storage.ChangePage
	Delivered uint64        // events that the handler has taken
	Failed    uint64        // calls of the handler that failed
	Parked    []Parked
}

// Parked is a resource whose events wait.
type Parked struct {
	ID       uuid.UUID // of the resource
	Tenant   storage.Tenant
	Schema   uuid.UUID
	Since    time.Time
	Attempts int
	Next     time.Time // of the next attempt; zero if it waits for Release
	Error    string
}

// Consumers returns the consumers that a store has, by name.
func Consumers(ctx context.Context, store storage.Store) ([]Consumer, error) {
	return nil, storage.ErrUnsupported
}

// Release lets the events of parked resources come again at once; without ids those of
// all.
func Release(ctx context.Context, store storage.Store, name string, ids ...uuid.UUID) error {
	return storage.ErrUnsupported
}

// Remove removes a consumer that does not run any more, so that Trim need not wait for it.
func Remove(ctx context.Context, store storage.Store, name string) error {
	return storage.ErrUnsupported
}

// Trim removes changes that were made before a time from the log, and none that a
// consumer has not had. It returns the names of the consumers that kept changes back.
func Trim(ctx context.Context, store storage.Store, before time.Time) ([]string, error) {
	return nil, storage.ErrUnsupported
}
