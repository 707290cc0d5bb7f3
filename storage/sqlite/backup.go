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

// Backup writes a copy of the file, with records, entries and the log, to a new file at
// the path, for Open to open. The copy is the state of one instant of the call: it has all
// writes that were acknowledged before the call, and may have later ones. Revisions and
// positions are the same.
//
// Reads and writes go on meanwhile, but the -wal file cannot be emptied before the end.
// Backups of one store run one after the other. There is never a half written file at the
// path: the copy gets its name when it is complete and synced. Until then it is in a
// directory beside the path, whose name begins with .resourcekit-backup-. If the process
// is killed the directory stays, and the next Backup into the same place removes it. It
// never removes that of a running Backup, in this process or another.
//
// The error is ErrInvalid if a file is at the path already, or one of the same name with
// -wal, -shm or -journal at the end, which SQLite would take for a part of the backup. It
// is ErrUnavailable if the system refuses the copy, or if the store's file was removed or
// replaced.
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

// workplace is a directory with an incomplete copy and a file that is locked while the
// Backup runs. The lock is one of SQLite: it ends with the process, and works wherever
// SQLite does.
type workplace struct {
	copy string // the path
	lock *conn
}

// newWorkplace makes a directory and locks it, and then makes the copy, as an empty file.
// So a directory that has a copy and is not locked is a leftover.
func newWorkplace(parent string) (w *workplace, temp *os.File, err error) {
	dir, err := os.MkdirTemp(parent, workPrefix)
	if err != nil {
		return nil, nil, fileFailed("the directory of the backup cannot be written to", err)
	}
	if w, err = claim(dir, "rwc"); err != nil {
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	// SQLite would create the copy readable by every user. It accepts an empty file, with
	// its permissions.
	if temp, err = os.OpenFile(w.copy, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		w.remove()
		return nil, nil, fileFailed("the directory of the backup cannot be written to", err)
	}
	return w, temp, nil
}

// claim locks the directory, or fails if another Backup has it.
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

// sweep removes the leftovers of killed Backups. It ignores errors: a Backup does not fail
// because of leftovers.
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

// copyTo writes the copy into an empty file. The context and Close interrupt it.
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

// free returns an error if a file is at the path, or one that SQLite would take for a part
// of it.
func free(path string) error {
	for _, end := range []string{"", "-wal", "-shm", "-journal"} {
		switch _, err := os.Lstat(path + end); {
		case err == nil && end == "":
			return errTaken
		case err == nil:
			return invalid("the path of the backup has a " + end + " file, which is left of an earlier file: remove it")
		case !errors.Is(err, fs.ErrNotExist):
			return fileFailed("the path of the backup cannot be examined", err)
		}
	}
	return nil
}

var errTaken = invalid("a file is at the path of the backup")

// name gives the complete copy its name. A link never replaces a file that another program
// has made meanwhile. Rename does, but not all file systems have links.
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
