package resource

import (
	"context"
	"errors"
	"time"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// An Op is an operation of a Collection, as a word for labels of metrics.
type Op string

// The operations. All is a list for each of its pages.
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

// A Call is one call of a method of a Collection, as Options.OnCall gets it when it
// ends. It has no part of a document and no external id, except in the errors that
// errors.As finds in Err.
type Call struct {
	Op     Op
	Tenant storage.Tenant
	Schema string // the schema's name
	// Counts are the writes by their outcome: one for a single write. For a dry run they
	// are those of the write.
	Counts
	// FailedBy are the writes that failed by the class of their error, see
	// [ErrorClass]; nil when there are none.
	FailedBy map[Class]int
	DryRun   bool
	// Found is how many resources a get or list returned.
	Found int
	// Attempts is how often a write was tried: 1, and 1 more for each conflict and for
	// each record that the store recalled (storage.Recaller) without a swap in the end;
	// 0 if it failed before the first attempt. For a batch it is the sum of its items.
	Attempts int
	Duration time.Duration
	// Err is the error that the method returns. Errors of items are not in it: Failed
	// and FailedBy count them, also if the store refused all of them.
	Err error
}

// A Class is a class of errors of a Collection, as a word for labels of metrics.
type Class string

// The classes. No error has the class "".
const (
	ClassInvalid      Class = "invalid"      // a mistake of the client: not strict JSON, violations, a bad filter or cursor, too large
	ClassNotFound     Class = "not_found"    // ErrNotFound
	ClassExists       Class = "exists"       // ErrExists
	ClassPrecondition Class = "precondition" // ErrPrecondition
	ClassUnknown      Class = "unknown"      // storage.ErrUnknownOutcome: the write may have been applied
	ClassConflict     Class = "conflict"     // too many conflicts with other writers
	ClassUnavailable  Class = "unavailable"  // the store is unavailable or closed
	ClassDeadline     Class = "deadline"     // the context's deadline has passed
	ClassCanceled     Class = "canceled"     // the context was canceled
	ClassInternal     Class = "internal"     // all other errors: corrupt documents, a tenant or an option that is not valid
)

// ErrorClass returns the class of an error of a Collection, "" for nil.
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

// errorClasses is the table from errors to classes. The first row that matches counts.
var errorClasses = []struct {
	is    func(error) bool
	class Class
}{
	{isA(storage.ErrUnknownOutcome), ClassUnknown}, // before the contexts' errors, which may come together with it
	{isType[*schema.SyntaxError], ClassInvalid},
	{isType[*schema.ValidationError], ClassInvalid},
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

// failed counts a write by the class of its error, unless that is nil.
func (c *Call) failed(err error) {
	if err == nil {
		return
	}
	if c.FailedBy == nil {
		c.FailedBy = make(map[Class]int)
	}
	c.FailedBy[ErrorClass(err)]++
}

// called calls OnCall for a call that began at start.
func (c *Collection) called(ctx context.Context, start time.Time, call Call) {
	call.Schema, call.Duration = c.schema.Name(), time.Since(start)
	c.onCall(ctx, call)
}

// start returns the time, if it is needed for OnCall.
func (c *Collection) start() (now time.Time) {
	if c.onCall != nil {
		now = time.Now()
	}
	return now
}
