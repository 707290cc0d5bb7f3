package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"example.com/resourcekit/storage"
)

// failure is an error of SQLite. Its text is that of the result code alone, since the
// driver's may have values.
type failure struct{ err error }

func (f *failure) Error() string {
	code := f.code()
	if text := sqlite.ErrorCodeString[code&0xff]; text != "" {
		return fmt.Sprintf("%s, code %d", text, code)
	}
	return fmt.Sprintf("error of the SQLite driver, code %d", code)
}

func (f *failure) Unwrap() error { return f.err }

// code returns the extended result code, 0 for an error of the driver itself.
func (f *failure) code() int {
	var coded interface {
		error
		Code() int
	}
	if errors.As(f.err, &coded) {
		return coded.Code()
	}
	return 0
}

// resultCode returns the primary result code of an error, 0 if it has none.
func resultCode(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.code() & 0xff
	}
	return 0
}

// busy reports whether another connection holds a lock.
func busy(err error) bool {
	switch resultCode(err) {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_PROTOCOL:
		return true
	}
	return false
}

// ofTheFile reports whether the file or the disk failed, so that any other transaction
// would fail, too.
func ofTheFile(err error) bool {
	switch resultCode(err) {
	case codes.SQLITE_IOERR, codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB, codes.SQLITE_READONLY, codes.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// notApplied returns an error, of a call that had no effect, as one that matches
// ErrUnavailable if its cause may go away. Other errors it returns as they are.
func notApplied(err error) error {
	switch resultCode(err) {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_PROTOCOL,
		codes.SQLITE_FULL, codes.SQLITE_IOERR, codes.SQLITE_CANTOPEN,
		codes.SQLITE_READONLY, codes.SQLITE_NOMEM, codes.SQLITE_INTERRUPT:
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return err
}

// notCommitted returns the error of a COMMIT as one that says whether it was applied.
func notCommitted(err error) error {
	switch resultCode(err) {
	case codes.SQLITE_BUSY, // nothing was written
		codes.SQLITE_FULL: // the last page, which makes the rest count, was not
		return notApplied(err)
	}
	// After a failed sync the pages may still be in the -wal file, and be found after a
	// crash.
	return fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, err)
}

// fileFailure is an error of the file system. Its text is without the path.
type fileFailure struct {
	what string
	err  error
}

func (f *fileFailure) Error() string {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(f.err, &path):
		return f.what + ": " + path.Err.Error()
	case errors.As(f.err, &link):
		return f.what + ": " + link.Err.Error()
	}
	return f.what
}

func (f *fileFailure) Unwrap() error { return f.err }

// fileFailed returns the error of an Open or a Backup that the file system refused.
func fileFailed(what string, err error) error {
	return fmt.Errorf("%w: %w", storage.ErrUnavailable, &fileFailure{what, err})
}

func invalid(what string) error { return fmt.Errorf("%w: %s", storage.ErrInvalid, what) }
