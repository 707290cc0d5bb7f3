package resource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// What a program decides on. Each comes in an [*OpError]: test with errors.Is.
var (
	// ErrNotFound: the tenant has no resource with the external id; for
	// [Collection.Restore], the log has no document of the revision. It is
	// [storage.ErrNotFound].
	ErrNotFound = storage.ErrNotFound

	// ErrExists: a resource with the external id exists, and the create was to reject
	// that. OpError.Err says so in words for a client, with the name of the external-id
	// field.
	ErrExists = errors.New("resource exists already")

	// ErrPrecondition: the [Condition] of a call does not hold. Nothing was written.
	ErrPrecondition = errors.New("precondition failed")

	// ErrNoRevision: the log has no document of the revision that was to be restored.
	ErrNoRevision = errors.New("no such revision")

	// ErrCursor: the cursor is not one of the same tenant and schema, and for a list of the
	// same filter and order. OpError.Err says in words for a client what is wrong with it.
	ErrCursor = errors.New("invalid cursor")

	// ErrNotIndexed: the list is in the order of an index that [Collection.Reindex] has not
	// built yet. It matches [storage.ErrUnavailable] as well.
	ErrNotIndexed = fmt.Errorf("the index of the order is not built yet: %w", storage.ErrUnavailable)

	// ErrBatchSize: the batch has more items than Options.MaxBatch, and none was applied.
	// It is also the error of an item once the states of its resource in the batch have
	// more than 64 MiB together.
	ErrBatchSize = errors.New("too many items in the batch")
)

// An OpError says which operation failed, on which resource, and why. Its text has no
// key: external ids may be personal data, and texts of errors end up in logs.
type OpError struct {
	Op  Op
	Key storage.Key // ExternalID is "" when the operation has no single resource
	// Current is the revision of the resource if the error is [ErrPrecondition] or
	// [ErrExists]; 0 when there is no such resource, and for other errors.
	Current storage.Revision
	Err     error
}

// Error names the operation and the reason.
func (e *OpError) Error() string {
	return "resource: " + string(e.Op) + ": " + strings.TrimPrefix(e.Err.Error(), "storage: ")
}

// MarshalText returns the text, for encoders that would show the fields.
func (e *OpError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }

// opError wraps err in an OpError, unless it has one already.
func opError(op Op, key storage.Key, err error) error {
	var known *OpError
	if errors.As(err, &known) {
		return err
	}
	return &OpError{Op: op, Key: key, Err: err}
}

// A reason is one of the errors above in words of its own.
type reason struct {
	err  error
	text string
}

func (r *reason) Error() string { return r.text }
func (r *reason) Unwrap() error { return r.err }

// nameRecord sets the record of a *schema.CorruptError to the record's ID, which, unlike
// the external id, may be logged.
func nameRecord(rec *storage.Record, err error) {
	var corrupt *schema.CorruptError
	if errors.As(err, &corrupt) {
		corrupt.Record = rec.ID
	}
}

// A Class is a class of errors of a Collection, as a word for labels of metrics:
//
//   - invalid: a mistake of the client: not strict JSON, violations, a bad filter or
//     cursor, too large
//   - not_found: [ErrNotFound], [ErrNoRevision]
//   - exists, precondition: [ErrExists], [ErrPrecondition]
//   - unknown: [storage.ErrUnknownOutcome]; the write may have been applied
//   - conflict: too many conflicts with other writers
//   - expired: [storage.ErrExpired]: the log does not reach back to the cursor
//   - unsupported: [storage.ErrUnsupported]: the store or the options lack what the call needs
//   - unavailable: the store is unavailable or closed
//   - deadline, canceled: the context has ended
//   - internal: all other errors: corrupt documents, a tenant or an option that is not
//     valid
type Class string

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
	return internal
}

const (
	internal    Class = "internal"
	unavailable Class = "unavailable"
)

// errorClasses is the table from errors to classes. The first row that matches counts.
var errorClasses = []struct {
	is    func(error) bool
	class Class
}{
	{isA(storage.ErrUnknownOutcome), "unknown"}, // before the contexts' errors, which may come together with it
	{isType[*schema.SyntaxError], "invalid"},
	{isType[*schema.ValidationError], "invalid"},
	{isA(ErrCursor), "invalid"},
	{isA(ErrBatchSize), "invalid"},
	{isA(storage.ErrTooLarge), "invalid"},
	{isA(ErrNotFound), "not_found"},
	{isA(ErrNoRevision), "not_found"},
	{isA(ErrExists), "exists"},
	{isA(ErrPrecondition), "precondition"},
	{isA(storage.ErrConflict), "conflict"},
	{isA(storage.ErrExpired), "expired"},
	{isA(storage.ErrUnsupported), "unsupported"},
	{isA(storage.ErrUnavailable), unavailable},
	{isA(storage.ErrClosed), unavailable},
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
