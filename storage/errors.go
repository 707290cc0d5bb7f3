package storage

import (
	"errors"
	"fmt"
	"strings"
)

// The errors that programs decide on. Test for them with errors.Is: stores wrap them.
var (
	// ErrNotFound: there is no record under the key.
	ErrNotFound = errors.New("record not found")

	// ErrConflict: not applied, because the key does not have the expected revision, or
	// because the store could not tell. Read again and decide again, as Update does. A
	// *ConflictError matches it.
	ErrConflict = errors.New("revision conflict")

	// ErrNotUnique: not applied, because another record has a unique entry of the write.
	// The error is a *NotUniqueError.
	ErrNotUnique = errors.New("value is taken")

	// ErrUnavailable: certainly not applied. Another attempt may succeed later.
	ErrUnavailable = errors.New("store unavailable")

	// ErrUnknownOutcome: a write that may have been applied, or may still be. Never
	// repeat it in silence: that could undo another write in between.
	ErrUnknownOutcome = errors.New("outcome of the write is unknown")

	// ErrEnded comes with ErrUnknownOutcome, in one error, when the write is not running
	// any more: a read that finds the expected revision shows that it was not applied.
	ErrEnded = errors.New("the write has ended")

	// ErrTooLarge: the data is larger than the store's limit.
	ErrTooLarge = errors.New("data too large")

	// ErrInvalid: an argument is not valid. The text says why, and does not have the
	// argument.
	ErrInvalid = errors.New("invalid argument")

	// ErrUnsupported: the store lacks what the call needs. Its Limits say so.
	ErrUnsupported = errors.New("not supported by the store")

	// ErrExpired: the log does not reach back to the cursor, or is not the one that the
	// cursor is of. Take the end of the log, read all records, and go on from there.
	ErrExpired = errors.New("cursor has expired")

	// ErrDuplicateKey: two keys of one call are equal.
	ErrDuplicateKey = errors.New("key occurs twice in the batch")

	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")

	// ErrAttempts: Update gave up after too many conflicts, and nothing was written. The
	// error matches ErrConflict too: test for ErrAttempts first.
	ErrAttempts = errors.New("too many attempts")

	// ErrNoChange is returned by the function given to Update when nothing is to be
	// written. Update then succeeds. Like io/fs.SkipDir it is control flow, compared by
	// ==: an error that wraps it is an error.
	ErrNoChange = errors.New("no change")

	// ErrDelete is returned by the function given to Update when the record is to be
	// deleted. Update then succeeds. It is compared by ==, too.
	ErrDelete = errors.New("delete")
)

// ConflictError is an ErrConflict that may have the stored record.
type ConflictError struct {
	// Current is the record as of some instant of the failed call, which saves a read.
	// Nil means that the store did not read it, or that the key was absent. Its Data is
	// read-only.
	Current *Record
}

// Error returns the text of ErrConflict, without the record.
func (e *ConflictError) Error() string { return ErrConflict.Error() }

// MarshalText returns the text, for encoders that would show the fields.
func (e *ConflictError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Is makes the error match ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// NotUniqueError is an ErrNotUnique. It never tells which record has the value.
type NotUniqueError struct {
	Index uint32 // of the entry
}

// Error returns the number of the index, without the value.
func (e *NotUniqueError) Error() string {
	return fmt.Sprintf("%v: entry of index %d", ErrNotUnique, e.Index)
}

// Is makes the error match ErrNotUnique.
func (e *NotUniqueError) Is(target error) bool { return target == ErrNotUnique }

// OpError says which operation failed, on which key, and why. Its text has no key:
// external ids may be personal data, and texts of errors end up in logs.
type OpError struct {
	Op  string // "get", "write", "list", "lookup", "update", ...
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

// opError wraps err in an OpError, in place of one of the same operation.
func opError(op string, key Key, err error) error {
	if named, ok := err.(*OpError); ok && named.Op == op {
		err = named.Err
	}
	return &OpError{Op: op, Key: key, Err: err}
}

// errResults is the error for a store that returned too few or too many results, so that
// they cannot be matched with the keys.
var errResults = errors.New("the store returned a wrong number of results")

func invalid(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }
