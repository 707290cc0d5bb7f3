package resource

import (
	"errors"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// ErrNotFound is returned when the tenant has no resource with the external id.
// It is [storage.ErrNotFound].
var ErrNotFound = storage.ErrNotFound

// fail says which operation failed, unless the error says so already.
func fail(op string, key storage.Key, err error) error {
	var known *storage.OpError
	if errors.As(err, &known) {
		return err
	}
	return &storage.OpError{Op: op, Key: key, Err: err}
}

// nameRecord writes into the error of a damaged document which record it is of, and
// reports whether it is one. The ID is for logs, since the external id may be personal
// data.
func nameRecord(rec storage.Record, err error) bool {
	var corrupt *schema.CorruptError
	if !errors.As(err, &corrupt) {
		return false
	}
	corrupt.Record = rec.ID
	return true
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

// GoString returns the text, for the verb %#v.
func (e *ExistsError) GoString() string { return e.Error() }

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

// GoString returns the text, for the verb %#v.
func (e *PreconditionError) GoString() string { return e.Error() }

// MarshalText returns the text, for encoders that would show the fields.
func (e *PreconditionError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is makes the error match [ErrPrecondition].
func (e *PreconditionError) Is(target error) bool { return target == ErrPrecondition }
