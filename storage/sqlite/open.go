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

// Options are the optional parameters of Open. The zero value of each field is
// its default.
type Options struct {
	// Readers is the number of connections for reading, and so the number of
	// reads at the same time; more of them wait. 0 is the number of
	// processors, but at least 4.
	Readers int

	// BusyTimeout is for how long a call waits while another process, or
	// another Store, holds the lock that it needs. 0 is 5 seconds.
	BusyTimeout time.Duration

	// SyncNormal has SQLite sync its log before a checkpoint and not before
	// each acknowledgement (synchronous=NORMAL). The price is that a loss of
	// power may take the last acknowledged writes.
	SyncNormal bool
}

// Store is a storage.Store in a SQLite file. Make it with Open; it is safe for
// concurrent use.
//
// Its conflicts are never spurious, and do not carry the current record.
type Store struct {
	path        string      // absolute, without links
	file        fs.FileInfo // of the file that was opened
	synchronous string
	busyTimeout time.Duration

	writer  *writer
	readers chan *conn    // nil stands for one that has to be opened again
	backup  chan struct{} // holds a token while no Backup runs

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
}

// Open opens the file at the path, and creates it if it does not exist; its
// directory must. Any characters but NUL may be in the path, and it may be a
// symbolic link, which is followed once. opts may be nil.
//
// What the system refuses is ErrUnavailable. ErrInvalid are
//
//   - ":memory:" and names that begin with "file:";
//   - a file of another program, or of a newer version of this package;
//   - a file with hard links;
//   - a symbolic link to a file that does not exist;
//   - a -wal file that belongs to a file which is missing or empty.
//
// The context counts for Open alone.
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

// filePath returns the absolute form of a path, or an error that says why there
// cannot be a file of this package.
func filePath(path string) (string, error) {
	switch {
	case path == "":
		return "", invalid("the path is empty")
	case strings.HasPrefix(path, ":memory:"):
		return "", invalid("the path must be that of a file: in memory each connection would have records of its own")
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
	// SQLite keeps the other files beside the one that links lead to, and a link
	// may lead elsewhere by the time that a reader connects.
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
		return "", invalid("there is something at the path that is not a regular file")
	}
	return path, nil
}

// create makes the file, if there is none, brings it to the newest version, and
// returns the connection that it used, which is ready for the writer.
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

// setUp brings a new connection into the state that all have, and checks the
// promises that depend on it.
func (s *Store) setUp(c *conn) error {
	for _, pragma := range []string{
		"PRAGMA synchronous = " + s.synchronous,
		"PRAGMA fullfsync = ON",     // where a plain sync stops at the disk's cache: macOS
		"PRAGMA cache_size = -8192", // KiB
		"PRAGMA trusted_schema = OFF",
		// Pages of the log after which it is brought into the file: 32 MiB. Writes
		// to records here and there touch few pages twice before SQLite's own
		// 1000, and each is then written twice for every time that it changes.
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
		return errors.New("the file cannot have a write-ahead log")
	}
	return nil
}

// dial opens a connection to the file that Open found. The log of another one
// that is now at the path must not be touched, so this comes before all else.
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

// The pauses of patiently. They are much shorter than SQLite's own, which go up
// to 100 ms: another store that always has work leaves the lock free for some
// microseconds at a time.
const (
	firstPause = 100 * time.Microsecond
	maxPause   = 4 * time.Millisecond
)

// patiently calls f again as long as another connection holds a lock that it
// needs, until BusyTimeout is over, the context ends or the store closes. It is
// the only place where the store waits for a lock; no connection has a
// busy_timeout.
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

// Close implements storage.Store. It waits for the transaction that is being
// written, for reads, and for the end of a Backup, which it stops. Nothing that
// was acknowledged gets lost. An error says that the file could not be closed
// properly; the store is closed all the same.
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
