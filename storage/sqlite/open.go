package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

var _ storage.Store = (*Store)(nil)

// MaxData is the largest size of a record's data, in bytes.
const MaxData = 16 << 20

// maxPageBytes is the data after which a page ends: a thousand records of MaxData would
// be 16 GiB.
const maxPageBytes = 16 << 20

// Options are the optional parameters of Open. The zero value of a field stands for its
// default.
type Options struct {
	// Readers is the number of connections for reading, and so of reads at the same
	// time; further reads wait. The default is the number of processors, and at least 4.
	Readers int

	// BusyTimeout is how long a call waits while another process, or another Store,
	// holds the lock that it needs. The default is 5 seconds.
	BusyTimeout time.Duration

	// SyncNormal syncs the -wal file before it is brought into the file, and not before
	// each acknowledgement (synchronous=NORMAL). A loss of power may then take the last
	// acknowledged writes.
	SyncNormal bool

	// SecureDelete overwrites with zeros what Write, Redact and Trim remove from the file,
	// in the same transaction, which so writes more. Without it the old bytes stay until
	// SQLite uses their pages again. Copies from earlier moves of rows between pages can
	// be left; only VACUUM is sure to remove them.
	SecureDelete bool
}

// Store is a storage.Store in a SQLite file. Make it with Open. It is safe for concurrent
// use.
//
// Its conflicts are never spurious, and do not have the current record.
type Store struct {
	path        string      // absolute, without links
	file        fs.FileInfo // of the file that was opened
	synchronous string
	overwrite   string // secure_delete
	busyTimeout time.Duration

	writer  *writer
	readers chan *conn    // nil stands for one that has to be opened again
	backup  chan struct{} // holds a token while no Backup runs

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
}

// Open opens the file at the path, and creates it if it does not exist. Its directory
// must exist. The path may have any characters but NUL, and may be a symbolic link. opts
// may be nil.
//
// The error is ErrUnavailable if the system refuses the file, or if another process held
// it for longer than BusyTimeout. It is ErrInvalid for
//
//   - ":memory:" and names that begin with "file:";
//   - the file of another program, or of a newer version of this package;
//   - a file with hard links;
//   - a symbolic link to a file that does not exist;
//   - a file that is missing or empty, and has a -wal file.
//
// The context is that of Open alone.
func Open(ctx context.Context, path string, opts *Options) (*Store, error) {
	s, err := open(ctx, path, opts)
	if err != nil {
		return nil, &storage.OpError{Op: "open", Err: notApplied(err)}
	}
	return s, nil
}

func open(ctx context.Context, path string, opts *Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &Options{}
	}
	s := &Store{
		synchronous: "FULL",
		overwrite:   "OFF",
		busyTimeout: opts.BusyTimeout,
		backup:      make(chan struct{}, 1),
		closing:     make(chan struct{}),
	}
	readers := opts.Readers
	switch {
	case readers < 0:
		return nil, invalid("the number of readers is negative")
	case opts.BusyTimeout < 0:
		return nil, invalid("the busy timeout is negative")
	}
	if readers == 0 {
		readers = max(4, runtime.GOMAXPROCS(0))
	}
	if s.busyTimeout == 0 {
		s.busyTimeout = 5 * time.Second
	}
	if opts.SyncNormal {
		s.synchronous = "NORMAL"
	}
	if opts.SecureDelete {
		s.overwrite = "ON"
	}
	var err error
	if s.path, err = filePath(path); err != nil {
		return nil, err
	}
	first, err := s.create(ctx)
	if err != nil {
		return nil, err
	}
	s.readers = make(chan *conn, readers)
	for range readers {
		s.readers <- nil
	}
	s.backup <- struct{}{}
	s.writer = newWriter(s, first)
	go s.writer.run()
	return s, nil
}

// filePath returns the absolute form of a path, or an error that says why a file of this
// package cannot be there.
func filePath(path string) (string, error) {
	switch {
	case path == "":
		return "", invalid("the path is empty")
	case strings.HasPrefix(path, ":memory:"):
		return "", invalid("the path must be that of a file: in memory, each connection would have its own records")
	case strings.HasPrefix(path, "file:"):
		return "", invalid("the path must be a plain one and not a URI; ./file: is for a file of such a name")
	case strings.IndexByte(path, 0) >= 0:
		return "", invalid("the path holds a NUL")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fileFailed("the path has no absolute form", err)
	}
	switch dir, err := os.Stat(filepath.Dir(path)); {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !dir.IsDir():
		return "", invalid("the directory of the path does not exist")
	case err != nil:
		return "", fileFailed("the directory of the path cannot be read", err)
	}
	// SQLite keeps the other files beside the target of a link, and the link may lead
	// elsewhere by the time a reader connects.
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return "", invalid("the path is a link to a file that does not exist")
		}
		if real, err = filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
			real = filepath.Join(real, filepath.Base(path))
		}
	}
	if err != nil {
		return "", fileFailed("the path cannot be followed", err)
	}
	path = real
	if file, err := os.Stat(path); err == nil && !file.Mode().IsRegular() {
		return "", invalid("the file at the path is not a regular file")
	}
	return path, nil
}

// create makes the file if there is none, brings it to the newest version, and returns
// the connection that it used, ready for the writer.
func (s *Store) create(ctx context.Context) (c *conn, err error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if c, err = s.dial(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.close()
		}
	}()
	var v int
	err = s.patiently(ctx, func() (err error) {
		if v, err = peek(c); err != nil {
			return err // before anything is changed
		}
		for _, pragma := range []string{"PRAGMA page_size = 8192", "PRAGMA journal_mode = WAL"} {
			if _, err := c.exec(pragma); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && v < len(migrations) {
		err = s.patiently(ctx, func() error { return migrate(c) })
	}
	if err == nil {
		err = s.patiently(ctx, func() error { return s.setUp(c) })
	}
	return c, err
}

// setUp gives a new connection the settings of all, and checks those on which durability
// depends.
func (s *Store) setUp(c *conn) error {
	for _, pragma := range []string{
		"PRAGMA synchronous = " + s.synchronous,
		"PRAGMA secure_delete = " + s.overwrite,
		"PRAGMA fullfsync = ON",     // on macOS, where a plain sync stops at the disk's cache
		"PRAGMA cache_size = -8192", // KiB
		"PRAGMA trusted_schema = OFF",
		// The -wal file comes into the file after so many pages: 32 MiB. SQLite's default
		// is 1000. Scattered writes touch few pages twice within that, so that nearly
		// each change would cost two writes of its page.
		"PRAGMA wal_autocheckpoint = 4000",
		"PRAGMA mmap_size = 1073741824",
	} {
		if _, err := c.exec(pragma); err != nil {
			return err
		}
	}
	switch mode, err := c.value("PRAGMA journal_mode"); {
	case err != nil:
		return err
	case mode != "wal":
		return errors.New("SQLite cannot use a write-ahead log for the file")
	}
	return nil
}

// dial opens a connection to the file that Open found. It fails before it touches the
// -wal file of another one that is now at the path.
func (s *Store) dial() (*conn, error) {
	c, err := dial(dsnOf(s.path, "rw"))
	if moved := s.unmoved(); moved != nil {
		if err == nil {
			_ = c.close()
		}
		return nil, moved
	}
	return c, err
}

func (s *Store) connect() (*conn, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	if err := s.setUp(c); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

// The pauses of patiently. SQLite's own are up to 100 ms, which is too long: another store
// that always has work leaves the lock free for some microseconds at a time.
const (
	firstPause = 100 * time.Microsecond
	maxPause   = 4 * time.Millisecond
)

// patiently calls f again while another connection holds a lock that it needs, until
// BusyTimeout is over, the context ends or the store closes. The store waits for locks
// only here; its connections have no busy_timeout.
func (s *Store) patiently(ctx context.Context, f func() error) error {
	err := f()
	if !busy(err) {
		return err
	}
	deadline := time.Now().Add(s.busyTimeout)
	for bound := firstPause; ; bound = min(2*bound, maxPause) {
		select {
		case <-time.After(rand.N(bound)):
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closing:
			return storage.ErrClosed
		}
		if err = f(); !busy(err) || time.Now().After(deadline) {
			return err
		}
	}
}

// Limits implements storage.Store.
func (s *Store) Limits() storage.Limits { return storage.Limits{MaxData: MaxData} }

// Close implements storage.Store. It stops a Backup, and waits for the transaction and the
// reads that are under way. An error means that SQLite could not close the file properly;
// the store is closed, and acknowledged writes are not lost.
func (s *Store) Close() error {
	var errs []error
	s.closeOnce.Do(func() {
		close(s.closing)
		<-s.writer.stopped
		<-s.backup
		for range cap(s.readers) {
			if c := <-s.readers; c != nil {
				errs = append(errs, c.close())
			}
		}
		if s.writer.conn != nil && s.writer.check() != nil {
			s.writer.checkpoint()
		}
		errs = append(errs, s.writer.disconnect())
	})
	if err := errors.Join(errs...); err != nil {
		return &storage.OpError{Op: "close", Err: fmt.Errorf("the file was not closed properly: %w", err)}
	}
	return nil
}
