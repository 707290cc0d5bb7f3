package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// creating keeps two calls of Open from creating and examining files at the same
// time. SQLite's locks on a file are those of the process, and closing any
// descriptor of the file gives them up: what is created here is closed before
// another call can connect to it.
var creating sync.Mutex

// prepare creates the file if there is none, readable and writable by its owner
// alone.
func (s *Store) prepare() error {
	creating.Lock()
	defer creating.Unlock()
	// The log is looked for first. SQLite makes it when the file is no longer
	// empty, so another process that is just making both is not refused.
	_, noLog := os.Lstat(s.path + "-wal")
	file, err := os.Stat(s.path)
	missing := errors.Is(err, fs.ErrNotExist)
	if noLog == nil && (missing || err == nil && file.Size() == 0) {
		// SQLite would take the log for a remnant and delete it.
		return invalid("there is a -wal file, which may hold acknowledged writes, but the file that it belongs to is missing or empty")
	}
	if missing {
		created, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			err = created.Close()
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fileFailed("the file cannot be created", err)
		}
	}
	return nil
}
