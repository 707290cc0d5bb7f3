package resource

import (
	"context"
	"errors"
	"time"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// An Op is an operation of a Collection: a word for the label of a metric.
type Op string

// The operations. An import is its batches, and All its pages.
const (
	OpCreate      Op = "create"
	OpPatch       Op = "patch"
	OpDelete      Op = "delete"
	OpGet         Op = "get"
	OpList        Op = "list"
	OpCreateBatch Op = "create_batch"
	OpPatchBatch  Op = "patch_batch"
	OpDeleteBatch Op = "delete_batch"
	OpGetBatch    Op = "get_batch"
)

// A Call is one call of a method of a Collection, as Options.OnCall sees it when
// it ends. It holds no part of a document and no external id, except what
// errors.As can find in Err.
type Call struct {
	Op     Op
	Tenant storage.Tenant
	Schema string // the schema's name
	// Counts are how many writes had which outcome; for a single write one of
	// them is 1, and in a dry run they are what would be.
	Counts
	// FailedBy are the writes that Failed counts by the class of their error, see
	// [ErrorClass]; nil when there are none.
	FailedBy map[Class]int
	DryRun   bool
	// Found is how many resources a get or list returned.
	Found int
	// Attempts is how often a write was tried: 1, and 1 more each time somebody else
	// was faster or a record that the store recalled (storage.Recaller) did not end
	// in a swap; 0 when it did not get that far. For a batch it is the sum of those of
	// its items.
	Attempts int
	Duration time.Duration
	// Err is what the method returns. Errors of items are no part of it: they are
	// counted as Failed and by FailedBy, also where the store refused all of them.
	Err error
}

// A Class is a class of errors of a Collection: a word for the label of a metric.
type Class string

// The classes. No error has the class "".
const (
	ClassInvalid      Class = "invalid"      // the client's mistake: not strict JSON, violations, a bad filter or cursor, too large
	ClassNotFound     Class = "not_found"    // ErrNotFound
	ClassExists       Class = "exists"       // ErrExists
	ClassPrecondition Class = "precondition" // ErrPrecondition
	ClassUnknown      Class = "unknown"      // storage.ErrUnknownOutcome: it may have been applied
	ClassConflict     Class = "conflict"     // other writers were faster too often
	ClassUnavailable  Class = "unavailable"  // the store is unavailable or closed
	ClassDeadline     Class = "deadline"     // the context's deadline has passed
	ClassCanceled     Class = "canceled"     // the context was canceled
	ClassInternal     Class = "internal"     // everything else: corrupt documents, a tenant or an option that is not valid
)

// ErrorClass returns the class that an error of a Collection is in, "" for nil.
func ErrorClass(err error) Class {
	if err == nil {
		return ""
	}
	for _, row := range errorClasses {
		if row.is(err) {
			return row.class
		}
	}
	return ClassInternal
}

// errorClasses is the table from errors to classes; the first row that matches
// counts.
var errorClasses = []struct {
	is    func(error) bool
	class Class
}{
	{isA(storage.ErrUnknownOutcome), ClassUnknown}, // before the contexts' errors, which may come together with it
	{isType[*schema.SyntaxError], ClassInvalid},
	{isType[*schema.ValidationError], ClassInvalid},
	{isType[*schema.FilterError], ClassInvalid},
	{isA(ErrCursor), ClassInvalid},
	{isA(ErrBatchSize), ClassInvalid},
	{isA(storage.ErrTooLarge), ClassInvalid},
	{isA(ErrNotFound), ClassNotFound},
	{isA(ErrExists), ClassExists},
	{isA(ErrPrecondition), ClassPrecondition},
	{isA(storage.ErrConflict), ClassConflict},
	{isA(storage.ErrUnavailable), ClassUnavailable},
	{isA(storage.ErrClosed), ClassUnavailable},
	{isA(context.DeadlineExceeded), ClassDeadline},
	{isA(context.Canceled), ClassCanceled},
}

func isA(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isType[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// failed counts a write by the class of its error, if it has one.
func (c *Call) failed(err error) {
	if err == nil {
		return
	}
	if c.FailedBy == nil {
		c.FailedBy = make(map[Class]int)
	}
	c.FailedBy[ErrorClass(err)]++
}

// called tells OnCall that a call which began at start has ended.
func (c *Collection) called(ctx context.Context, start time.Time, call Call) {
	call.Schema, call.Duration = c.schema.Name(), time.Since(start)
	c.onCall(ctx, call)
}

// start returns when a call begins, if anybody wants to know.
func (c *Collection) start() (now time.Time) {
	if c.onCall != nil {
		now = time.Now()
	}
	return now
}
