package changes

import (
	"context"
	"iter"
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

	// OnError, if not nil, gets each storage.ErrUnavailable that the tail waits out, for
	// logs. It is called from several goroutines. It must be quick, and must not panic.
	OnError func(error)
}

// A Tail reads the log of a store for all readers of a process. It asks the store for new
// changes with one query at a time, however many readers it has, and keeps the latest ones
// in memory. Readers that are further back read the store, one at a time. Without readers
// it asks nothing and has no goroutine. Make it with [NewTail]. It is safe for concurrent
// use.
type Tail struct{}

// NewTail returns a tail of the log of a store. opts may be nil. The caller closes the
// store, after the readers have ended.
func NewTail(store storage.Store, opts *TailOptions) *Tail { return &Tail{} }

// Wake says that something may have been logged just now: the tail asks the store at once,
// and not after MaxPoll. It is cheap, and never blocks.
func (t *Tail) Wake() {}

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
	return nil
}
