package resource

import (
	"errors"
	"strings"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// ErrNotFound is returned when the tenant has no resource with the external id. It is
// [storage.ErrNotFound].
var ErrNotFound = storage.ErrNotFound

// An OpError says which operation failed, on which resource, and why. Its text has no
// key: external ids may be personal data, and texts of errors end up in logs.
type OpError struct {
	Op  Op
	Key storage.Key // ExternalID is "" when the operation has no single resource
	Err error
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

// nameRecord sets the record of a *schema.CorruptError to the record's ID, which, unlike
// the external id, may be logged.
func nameRecord(rec *storage.Record, err error) {
	var corrupt *schema.CorruptError
	if errors.As(err, &corrupt) {
		corrupt.Record = rec.ID
	}
}

// ErrExists is returned by a create with [Reject] when a resource with the external id
// exists. The error is an [*ExistsError].
var ErrExists = errors.New("resource exists already")

// An ExistsError is an [ErrExists] with the key of the existing resource. Its text names
// the external-id field and not its value.
type ExistsError struct {
	Key   storage.Key // of the existing resource
	Field string      // the name of the schema's external-id field
}

// Error returns that a resource with this external id exists.
func (e *ExistsError) Error() string {
	return "resource: a resource with this " + e.Field + " exists already"
}

// MarshalText returns the text, for encoders that would show the fields.
func (e *ExistsError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is makes the error match [ErrExists].
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// ErrPrecondition is returned when the [Condition] of a call does not hold. Nothing was
// written. The error is a [*PreconditionError].
var ErrPrecondition = errors.New("precondition failed")

// A PreconditionError is an [ErrPrecondition] with the revision that the resource has.
// Its text has neither the revision nor the external id.
type PreconditionError struct {
	Key     storage.Key
	Current storage.Revision // as stored; 0 when there is no such resource
}

// Error returns whether the resource is absent or in another state.
func (e *PreconditionError) Error() string {
	if e.Current == 0 {
		return "resource: precondition failed: there is no such resource"
	}
	return "resource: precondition failed: the resource is in another state"
}

// MarshalText returns the text, for encoders that would show the fields.
func (e *PreconditionError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is makes the error match [ErrPrecondition].
func (e *PreconditionError) Is(target error) bool { return target == ErrPrecondition }
