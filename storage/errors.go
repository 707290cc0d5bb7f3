package storage

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that programs decide on. Test for them with errors.Is: stores
// wrap them with what they know.
var (
	// ErrNotFound: there is no record under the key.
	ErrNotFound = errors.New("record not found")

	// ErrConflict: not applied, since the key is not in the expected revision,
	// or since the store could not tell. Read again and decide anew, or let
	// Update do it. A *ConflictError matches it.
	ErrConflict = errors.New("revision conflict")

	// ErrUnavailable: certainly not applied; later it may work.
	ErrUnavailable = errors.New("store unavailable")

	// ErrUnknownOutcome: a write that may have been applied, or may yet be.
	// Never repeat it in silence: a repeated write can undo what somebody
	// else wrote in between.
	ErrUnknownOutcome = errors.New("outcome of the write is unknown")

	// ErrTooLarge: the data is above the store's limit.
	ErrTooLarge = errors.New("data too large")

	// ErrInvalid: an argument that can never work; its text says what is
	// wrong with it and does not hold it.
	ErrInvalid = errors.New("invalid argument")

	// ErrDuplicateKey: two operations of one batch name the same key.
	ErrDuplicateKey = errors.New("key occurs twice in the batch")

	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")

	// ErrAttempts: Update gave up after too many conflicts, and nothing was
	// written. The error matches ErrConflict as well, so where the two mean
	// different things to a program it tests for ErrAttempts first.
	ErrAttempts = errors.New("too many attempts")

	// ErrNoChange is what the function given to Update returns when nothing
	// is to be written. Update itself then succeeds. Like io/fs.SkipDir it is
	// control flow: it is compared by identity, and an error that wraps it is an
	// error.
	ErrNoChange = errors.New("no change")

	// ErrDelete is what the function given to Update returns when the record
	// is to be deleted. Update itself then succeeds. It is compared by identity.
	ErrDelete = errors.New("delete")
)

// ConflictError is an ErrConflict that may know the record in the way.
type ConflictError struct {
	// Current is the record as it was at some instant of the call that
	// failed, for a caller who wants to save a read. Nil means that the store
	// did not look, or that the key was absent. Its Data is read-only.
	Current *Record
}

// Error says that there was a conflict, and nothing of the record.
func (e *ConflictError) Error() string { return ErrConflict.Error() }

// MarshalText returns the text, for encoders that would show the fields.
func (e *ConflictError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is makes the error match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// OpError says which operation failed on which key. Its text names the
// operation and the reason and leaves the key out: external ids may be
// personal data, and texts of errors end up in logs.
type OpError struct {
	Op  string // "get", "put", "delete", "list", "update", ...
	Key Key    // ExternalID is "" when the operation has no single key
	Err error
}

// Error names the operation and the reason.
func (e *OpError) Error() string {
	return "storage: " + e.Op + ": " + strings.TrimPrefix(e.Err.Error(), "storage: ")
}

// MarshalText returns the text, for encoders that would show the fields.
func (e *OpError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }

// opError returns the error of an operation, of which a store may have said already
// what it was.
func opError(op string, key Key, err error) error {
	if named, ok := err.(*OpError); ok && named.Op == op {
		err = named.Err
	}
	return &OpError{Op: op, Key: key, Err: err}
}

// errResults is the error for a BatchStore that returned too few or too many
// results: nobody can tell then which result belongs to which operation.
var errResults = errors.New("the store returned a wrong number of results")

func invalid(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }
