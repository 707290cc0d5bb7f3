package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"example.com/resourcekit/storage"
)

// Backup writes a copy of all records to a new file at the path, for Open to
// open. It is the state of one instant of the call: all writes that were
// acknowledged before the call are in it, and each later one is in it or not.
// Revisions are the same.
//
// Reads and writes go on meanwhile; the -wal file cannot be used again before
// the end. Backups of one store run one after the other. There is never a half
// written file at the path: the copy is complete and synced before it gets its
// name. Until then it is in a directory beside the path, whose name begins with
// .resourcekit-backup-. If the process is killed the directory stays; the next
// Backup into the same place removes it, and never that of one that still runs,
// in this process or another.
//
// A file that is there already is ErrInvalid, and so is one of the same name with
// -wal, -shm or -journal at the end, which SQLite would take for a part of the
// backup. What the system refuses is ErrUnavailable, and so is a store whose file
// was removed or replaced.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.backUp(ctx, path); err != nil {
		return &storage.OpError{Op: "backup", Err: notApplied(err)}
	}
	return nil
}

func (s *Store) backUp(ctx context.Context, path string) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err = filePath(path)
	if err != nil {
		return err
	}
	select {
	case <-s.closing:
		return storage.ErrClosed
	default:
	}
	select {
	case <-s.backup:
		defer func() { s.backup <- struct{}{} }()
	case <-s.closing:
		return storage.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := free(path); err != nil {
		return err
	}
	sweep(filepath.Dir(path))
	work, temp, err := newWorkplace(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer work.remove()
	defer temp.Close()
	if err := s.copyTo(ctx, temp.Name()); err != nil {
		return err
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return fileFailed("the backup could not be synced", err)
	}
	if err := free(path); err != nil {
		return err
	}
	if err := name(temp.Name(), path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		_ = os.Remove(path) // after an error there is no backup
		return err
	}
	return nil
}

// workPrefix begins the name of a directory in which a Backup works.
const workPrefix = ".resourcekit-backup-"

// workplace is a directory with a copy that is not complete, and with a file that
// is locked for as long as the Backup runs. The lock is one of SQLite: it goes with
// the process, however that ends, and works wherever SQLite does.
type workplace struct {
	copy string // the path
	lock *conn
}

// newWorkplace makes a directory and locks it. The copy is made last, by the lock's
// holder: a directory that has one, and is not locked, is a leftover.
func newWorkplace(parent string) (w *workplace, temp *os.File, err error) {
	dir, err := os.MkdirTemp(parent, workPrefix)
	if err != nil {
		return nil, nil, fileFailed("the directory of the backup cannot be written to", err)
	}
	if w, err = claim(dir, "rwc"); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	// SQLite would create the copy readable by every user. It takes an empty file,
	// with the permissions that this has.
	if temp, err = os.OpenFile(w.copy, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		w.remove()
		return nil, nil, fileFailed("the directory of the backup cannot be written to", err)
	}
	return w, temp, nil
}

// claim locks the directory, or fails if another has it.
func claim(dir, mode string) (*workplace, error) {
	c, err := dial(dsnOf(filepath.Join(dir, "lock"), mode))
	if err != nil {
		return nil, err
	}
	if _, err := c.exec("BEGIN EXCLUSIVE"); err != nil {
		_ = c.close()
		return nil, err
	}
	return &workplace{filepath.Join(dir, "copy"), c}, nil
}

// remove removes the copy under the lock, and then the rest.
func (w *workplace) remove() {
	_ = os.Remove(w.copy)
	_ = w.lock.close()
	_ = os.RemoveAll(filepath.Dir(w.copy))
}

// sweep removes what Backups that were killed have left. It does what it can: a
// Backup does not fail because of what others left.
func sweep(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		dir := filepath.Join(parent, e.Name())
		if !e.IsDir() || !strings.HasPrefix(e.Name(), workPrefix) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, "copy")); err != nil {
			continue
		}
		if w, err := claim(dir, "rw"); err == nil {
			w.remove()
		}
	}
}

// copyTo writes the copy into a file that is there and empty. The context and
// Close interrupt it.
func (s *Store) copyTo(ctx context.Context, path string) error {
	stoppable, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.closing:
			cancel()
		case <-stoppable.Done():
		}
	}()
	err := s.patiently(ctx, func() error {
		c, err := s.connect()
		if err != nil {
			return err
		}
		_, err = c.execContext(stoppable, "VACUUM INTO ?1", path)
		return errors.Join(err, c.close())
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case stoppable.Err() != nil:
		return storage.ErrClosed
	}
	return err
}

// free returns an error if there is something at the path, or what SQLite would
// take for a part of the file there.
func free(path string) error {
	for _, end := range []string{"", "-wal", "-shm", "-journal"} {
		switch _, err := os.Lstat(path + end); {
		case err == nil && end == "":
			return errTaken
		case err == nil:
			return invalid("there is a " + end + " file beside the path of the backup: remove what is left of an earlier file")
		case !errors.Is(err, fs.ErrNotExist):
			return fileFailed("the path of the backup cannot be examined", err)
		}
	}
	return nil
}

var errTaken = invalid("there is a file at the path of the backup")

// name gives the complete copy its name. A link, other than Rename, never takes
// the place of a file that another program has made meanwhile; not all file
// systems have links.
func name(temp, path string) error {
	switch err := os.Link(temp, path); {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return errTaken
	}
	if err := os.Rename(temp, path); err != nil {
		return fileFailed("the backup could not be given its name", err)
	}
	return nil
}

// syncDir makes a new name in the directory durable. Windows has no such call.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close())
	}
	if err != nil {
		return fileFailed("the name of the backup could not be synced", err)
	}
	return nil
}
