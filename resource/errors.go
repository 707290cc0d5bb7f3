package resource

import (
	"errors"
	"strings"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// ErrNotFound is returned when the tenant has no resource with the external id.
// It is [storage.ErrNotFound].
var ErrNotFound = storage.ErrNotFound

// An OpError says which operation failed, and on which resource. Its text leaves the
// key out: external ids may be personal data, and texts of errors end up in logs.
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

// opError says which operation failed, unless the error says so already.
func opError(op Op, key storage.Key, err error) error {
	var known *OpError
	if errors.As(err, &known) {
		return err
	}
	return &OpError{Op: op, Key: key, Err: err}
}

// nameRecord writes into the error of a damaged document which record it is of. The
// ID is for logs, since the external id may be personal data.
func nameRecord(rec *storage.Record, err error) {
	var corrupt *schema.CorruptError
	if errors.As(err, &corrupt) {
		corrupt.Record = rec.ID
	}
}

// ErrExists is returned by a create with [Reject] when there is a resource with
// the external id already. The error is an [*ExistsError].
var ErrExists = errors.New("resource exists already")

// An ExistsError is an [ErrExists] that knows which resource is in the way. Its
// text names the external-id field and not its value.
type ExistsError struct {
	Key   storage.Key // of the resource in the way
	Field string      // the name of the schema's external-id field
}

// Error says that a resource with this external id exists.
func (e *ExistsError) Error() string {
	return "resource: a resource with this " + e.Field + " exists already"
}

// MarshalText returns the text, for encoders that would show the fields.
func (e *ExistsError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is makes the error match [ErrExists].
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// ErrPrecondition is returned when a resource is not in the revision that a call
// demands. Nothing was written. The error is a [*PreconditionError].
var ErrPrecondition = errors.New("precondition failed")

// A PreconditionError is an [ErrPrecondition] that knows the revision that the
// resource has. Its text holds neither the revision nor the external id.
type PreconditionError struct {
	Key     storage.Key
	Current storage.Revision // as stored; 0 when there is no such resource
}

// Error says what is wrong with the precondition.
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
