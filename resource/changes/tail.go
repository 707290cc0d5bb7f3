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

	// NoData leaves out the documents of changes: see storage.ChangeQuery.
	NoData bool
}

// A Tail reads the log of a store for all readers of a process: one query at a time,
// however many they are, and none without readers. Make it with [NewTail]. It is safe for
// concurrent use.
type Tail struct{}

// NewTail returns a tail of the log of a store. opts may be nil.
func NewTail(store storage.Store, opts *TailOptions) *Tail { return &Tail{} }

// Wake says that something may have been logged just now, so that the tail asks the store
// at once.
func (t *Tail) Wake() {}

// Follow returns the changes of a scope after a cursor, page by page, and then those that
// are made, until the context ends or the loop does. The zero scope stands for all. A page
// may have no changes: it moves the cursor.
//
// A reader that is slow is not waited for, and misses nothing: what the tail does not keep
// is read from the store for it. An error ends the sequence: that of the context, or of the
// store, such as storage.ErrExpired. A store that is unavailable is asked again.
func (t *Tail) Follow(ctx context.Context, scope storage.Scope, after storage.Cursor) iter.Seq2[storage.ChangePage, error] {
	return nil
}
