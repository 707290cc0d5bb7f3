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

// creating is held while a call of Open creates and examines its file. SQLite's locks are
// those of the process, which loses them when it closes any descriptor of the file. So the
// descriptor of a new file is closed before another call can connect to it.
var creating sync.Mutex

// prepare creates the file if there is none, readable and writable by its owner
// alone, and remembers which file it is.
func (s *Store) prepare() error {
	creating.Lock()
	defer creating.Unlock()
	// Look for the -wal file first. SQLite makes it when the file is no longer empty, so
	// that this does not refuse files that another process is just making.
	_, noWAL := os.Lstat(s.path + "-wal")
	file, err := os.Stat(s.path)
	missing := errors.Is(err, fs.ErrNotExist)
	if noWAL == nil && (missing || err == nil && file.Size() == 0) {
		// SQLite would delete it.
		return invalid("the file is missing or empty, but has a -wal file, which may have acknowledged writes")
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
		sweep(filepath.Dir(s.path)) // a Backup that was killed at its very end left the second name
		n, err = links(s.path)
	}
	switch {
	case err != nil:
		return fileFailed("the file cannot be examined", err)
	case n > 1:
		return invalid("the file has a second name (a hard link): SQLite would keep a -wal file for each name, and lose writes")
	}
	return nil
}

// identify returns what os.SameFile compares. On Windows, os.SameFile reads the identity
// when it is first called, and by then another file may be at the path: so call it now.
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

// same returns an error unless the file at the path is the one of before. It opens no
// descriptor: see creating.
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
