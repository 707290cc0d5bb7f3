package resource

import (
	"context"
	"errors"
	"time"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// A Call is one call of a method of a Collection, as Options.OnCall sees it when
// it ends. It holds no part of a document and no external id, except what
// errors.As can find in Err.
type Call struct {
	// Op is the method: "create", "patch", "delete", "get", "list", "create
	// batch", "patch batch", "delete batch" or "get batch". An import is its
	// batches, and All its pages.
	Op     string
	Tenant storage.Tenant
	Schema string // the schema's name
	// Counts are how many writes had which outcome; for a single write one of
	// them is 1, and in a dry run they are what would be.
	Counts
	// FailedBy are the writes that Failed counts by the class of their error, see
	// [ErrorClass]; nil when there are none.
	FailedBy map[string]int
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

// ErrorClass returns the class that an error of a Collection is in, a word for
// the label of a metric:
//
//	""             no error
//	"invalid"      the client's mistake: not strict JSON, violations, a bad filter or cursor, too large
//	"not_found"    ErrNotFound
//	"exists"       ErrExists
//	"precondition" ErrPrecondition
//	"unknown"      storage.ErrUnknownOutcome: it may have been applied
//	"conflict"     others were faster too often
//	"unavailable"  the store is unavailable or closed
//	"deadline"     the context's deadline has passed
//	"canceled"     the context was canceled
//	"internal"     everything else: corrupt documents, a tenant that is not valid
func ErrorClass(err error) string {
	if err == nil {
		return ""
	}
	for _, row := range errorClasses {
		if row.is(err) {
			return row.class
		}
	}
	return "internal"
}

// errorClasses is the table from errors to classes; the first row that matches
// counts.
var errorClasses = []struct {
	is    func(error) bool
	class string
}{
	{isA(storage.ErrUnknownOutcome), "unknown"}, // before the contexts' errors, which may come together with it
	{isType[*schema.SyntaxError], "invalid"},
	{isType[*schema.ValidationError], "invalid"},
	{isType[*schema.FilterError], "invalid"},
	{isA(ErrCursor), "invalid"},
	{isA(ErrBatchSize), "invalid"},
	{isA(ErrDocument), "invalid"},
	{isA(storage.ErrTooLarge), "invalid"},
	{isA(ErrNotFound), "not_found"},
	{isA(ErrExists), "exists"},
	{isA(ErrPrecondition), "precondition"},
	{isA(storage.ErrConflict), "conflict"},
	{isA(storage.ErrUnavailable), "unavailable"},
	{isA(storage.ErrClosed), "unavailable"},
	{isA(context.DeadlineExceeded), "deadline"},
	{isA(context.Canceled), "canceled"},
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
		c.FailedBy = make(map[string]int)
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
