package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"example.com/resourcekit/storage"
)

// creating keeps two calls of Open from creating and examining files at the same
// time. SQLite's locks on a file are those of the process, and closing any
// descriptor of the file gives them up: what is created here is closed before
// another call can connect to it.
var creating sync.Mutex

// prepare creates the file if there is none, readable and writable by its owner
// alone, and remembers which file it is.
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
	if s.file, err = identify(s.path); err != nil {
		return fileFailed("the file cannot be examined", err)
	}
	n, err := links(s.path)
	if err == nil && n > 1 {
		sweep(filepath.Dir(s.path)) // a Backup that was killed just before its end leaves a second name
		n, err = links(s.path)
	}
	switch {
	case err != nil:
		return fileFailed("the file cannot be examined", err)
	case n > 1:
		return invalid("the file has a second name (a hard link): SQLite would keep a log for each name, and lose what is written by the other")
	}
	return nil
}

// identify returns what os.SameFile compares. Windows looks at the file only when
// it compares; by then another may be at the path.
func identify(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		os.SameFile(info, info)
	}
	return info, err
}

// unmoved returns an error that matches ErrUnavailable if the file at the path is
// not the one that was opened.
func (s *Store) unmoved() error { return same(s.path, "file", s.file) }

// same compares the file at the path with the one that was there before. It opens
// no descriptor, see creating.
func same(path, what string, before fs.FileInfo) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && os.SameFile(info, before):
		return nil
	case err == nil:
		return fmt.Errorf("%w: another %s has taken the place of the open one", storage.ErrUnavailable, what)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the %s was removed or renamed while it was open", storage.ErrUnavailable, what)
	}
	return fileFailed("the "+what+" cannot be examined", err)
}
