package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	codes "modernc.org/sqlite/lib"

	"example.com/resourcekit/storage"
)

// A group ends when it has so many swaps, or so many bytes of data. A request of
// several swaps has no more bytes than a group.
const (
	maxGroup      = 256
	maxGroupBytes = 16 << 20
)

// grace is for how long a call whose context has ended still waits for the
// outcome of its transaction. That is mostly a matter of milliseconds, and a known
// outcome is worth far more than they are.
const grace = 100 * time.Millisecond

const (
	sqlBegin    = "BEGIN IMMEDIATE"
	sqlCommit   = "COMMIT"
	sqlRollback = "ROLLBACK"

	// ?5 is the revision of the record for an insert, and the expected one otherwise.
	sqlInsert = "INSERT INTO records (platform, business, schema, external_id, revision, id, created_at, updated_at, data)" +
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"
	sqlUpdate = "UPDATE records SET revision = ?6, updated_at = ?7, data = ?8 WHERE " +
		ofKey + " AND revision = ?5"
	sqlDelete = "DELETE FROM records WHERE " + ofKey + " AND revision = ?5"
	sqlExists = "SELECT 1 FROM records WHERE " + ofKey
)

// swap is one compare-and-swap: a Put, or a Delete, of which only the key
// counts. Its outcome is rev or err.
type swap struct {
	record storage.Record
	expect storage.Revision
	remove bool

	rev storage.Revision
	err error
}

// request is what one call wants to have written. The call and the writer agree
// by state who it belongs to: the one that changes it from pending first.
type request struct {
	swaps []swap
	state atomic.Int32
	done  chan struct{} // closed by the writer when the outcome is there
	err   error         // in place of the outcomes of the swaps
}

const (
	pending   = iota // in the queue: without any effect so far
	taken            // in a transaction of the writer, which will close done
	abandoned        // the call has returned: the writer leaves it out
)

// writer is the one goroutine that writes to the file, with the one connection
// that may.
type writer struct {
	store   *Store
	conn    *conn          // nil after a failure
	beside  [2]fs.FileInfo // of its -wal and -shm, nil before its first transaction
	queue   chan *request
	stopped chan struct{}
	maxLog  int64 // after so many bytes the log is emptied,
	trimAt  int64 // and is to be at this size

	transactions int // for tests
}

// maxLog is twice the size at which SQLite brings the log into the file by
// itself: some large transactions reach it, and reads that leave no gap.
const maxLog = 64 << 20

func newWriter(s *Store, c *conn) *writer {
	return &writer{store: s, conn: c, queue: make(chan *request, maxGroup), stopped: make(chan struct{}), maxLog: maxLog, trimAt: maxLog}
}

// do has the swaps written and waits for the outcome. When it returns nil, each
// swap has its own.
func (w *writer) do(ctx context.Context, swaps []swap) error {
	r := &request{swaps: swaps, done: make(chan struct{})}
	select {
	case <-w.store.closing:
		return storage.ErrClosed
	default:
	}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.store.closing:
		return storage.ErrClosed
	}
	var gaveUp error
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		gaveUp = ctx.Err()
	case <-w.stopped:
		gaveUp = storage.ErrClosed
	}
	if r.state.CompareAndSwap(pending, abandoned) {
		return gaveUp
	}
	select {
	case <-r.done:
		return r.err
	case <-time.After(grace):
		return fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, gaveUp)
	}
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		select {
		case r := <-w.queue:
			w.write(r)
			w.trim()
		case <-w.store.closing:
			return
		}
	}
}

// trim empties a log that has become large. SQLite uses it again only after a
// moment in which no reader needs what is in it, and where reads overlap there is
// none: empty makes one. The reads of another process and a Backup it cannot hold
// back; then trim tries again when the log has grown by maxLog once more.
func (w *writer) trim() {
	if w.conn == nil || w.logSize() < w.trimAt {
		return
	}
	w.empty()
	w.trimAt = w.logSize() + w.maxLog
}

// empty brings the log into the file and empties it, while the readers of the store
// are held back.
func (w *writer) empty() {
	readers := w.store.readers
	for range cap(readers) {
		select {
		case c := <-readers:
			defer func() { readers <- c }()
		case <-w.store.closing:
			return
		}
	}
	w.checkpoint()
}

// checkpoint is empty without a hold on the readers. If it fails the log stays as
// it is, and nothing is lost.
func (w *writer) checkpoint() { _, _ = w.conn.value("PRAGMA wal_checkpoint(TRUNCATE)") }

// logSize returns the size of the log, 0 if it cannot be told.
func (w *writer) logSize() int64 {
	info, err := os.Stat(w.store.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// check returns an error that matches ErrUnavailable if the files of the writer's
// connection are no longer those at the path, where others would look for what it
// writes. The two beside the file are there once there was a transaction, and stay
// while there is a connection.
func (w *writer) check() error {
	if err := w.store.unmoved(); err != nil {
		return err
	}
	for i, end := range []string{"-wal", "-shm"} {
		path := w.store.path + end
		if w.beside[i] == nil {
			w.beside[i], _ = identify(path)
		}
		if err := same(path, end+" file", w.beside[i]); err != nil {
			return err
		}
	}
	return nil
}

// write writes a group: the request and all that are waiting with it.
func (w *writer) write(first *request) {
	// The lock comes first. As long as another process has it, each request is
	// pending, and a call whose context ends leaves no trace.
	if err := w.begin(); err != nil {
		w.refuse(first, err)
		return
	}
	group, err := w.apply(first)
	if err = w.end(err); resultCode(err) == codes.SQLITE_FULL || resultCode(err) == codes.SQLITE_IOERR {
		// SQLite empties the log after a commit, and there may be none before the
		// log is empty. A quota that is used up is an I/O error to SQLite.
		w.empty()
		if resultCode(err) == codes.SQLITE_FULL && w.begin() == nil {
			err = w.end(w.swapAll(group...))
		}
	}
	if err != nil && len(group) > 1 && !ofTheFile(err) && !errors.Is(err, storage.ErrUnknownOutcome) {
		w.apart(group)
		return
	}
	w.answer(err, group...)
}

// end commits the transaction, unless err says that it failed. It returns the
// error for those who are in it; then the transaction is rolled back.
func (w *writer) end(err error) error {
	if err != nil {
		err = notApplied(err)
	} else if _, err = w.conn.exec(sqlCommit); err != nil {
		err = notCommitted(err)
	}
	if err != nil {
		_, _ = w.conn.exec(sqlRollback) // fails if SQLite has done it
	}
	w.transactions++
	return err
}

// apart gives each request of a group that was rolled back a transaction of its
// own, so that only those fail which are at fault.
func (w *writer) apart(group []*request) {
	var failed error // to begin, which holds for all that are left
	for _, r := range group {
		if failed == nil {
			failed = notApplied(w.begin())
		}
		err := failed
		if err == nil {
			err = w.end(w.swapAll(r))
		}
		w.answer(err, r)
	}
}

// answer gives the requests of one transaction their outcome.
func (w *writer) answer(err error, group ...*request) {
	if err != nil {
		// A closed connection has no transaction, whatever the state it was in.
		_ = w.disconnect()
	}
	for _, r := range group {
		r.err = err
		close(r.done)
	}
}

// begin opens a transaction that has the lock for writing, on the files that
// others find at the path.
func (w *writer) begin() error {
	err := w.store.patiently(context.Background(), func() (err error) {
		if w.conn == nil {
			if w.conn, err = w.store.connect(); err != nil {
				return err
			}
		}
		_, err = w.conn.exec(sqlBegin)
		return err
	})
	if err == nil {
		if err = w.check(); err != nil {
			_, _ = w.conn.exec(sqlRollback)
			// The log may now be beside a file that it does not belong to, and the
			// next Open would bring it into that.
			w.empty()
		}
	}
	return err
}

// refuse answers all that are waiting, so that they do not wait for the lock
// one after the other.
func (w *writer) refuse(first *request, err error) {
	var broken *failure
	if errors.As(err, &broken) && !busy(err) {
		_ = w.disconnect()
	}
	err = notApplied(err)
	for r, more := first, len(w.queue); ; more-- {
		if r.state.CompareAndSwap(pending, taken) {
			r.err = err
			close(r.done)
		}
		if more == 0 {
			return
		}
		r = <-w.queue
	}
}

// apply runs the swaps of the first request and of all others that are waiting.
// It returns the requests it took, also with an error, which makes the whole
// transaction void.
func (w *writer) apply(first *request) (group []*request, err error) {
	count, size := 0, 0
	for r := first; ; {
		if r.state.CompareAndSwap(pending, taken) {
			group = append(group, r)
			if err := w.swapAll(r); err != nil {
				return group, err
			}
			count += len(r.swaps)
			size += sizeOf(r.swaps)
		}
		if count >= maxGroup || size >= maxGroupBytes {
			return group, nil
		}
		select {
		case r = <-w.queue:
		default:
			return group, nil
		}
	}
}

// swapAll runs the swaps of requests. An error is one of SQLite.
func (w *writer) swapAll(group ...*request) error {
	for _, r := range group {
		for i := range r.swaps {
			if err := w.swap(&r.swaps[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func sizeOf(swaps []swap) (size int) {
	for i := range swaps {
		size += len(swaps[i].record.Data)
	}
	return size
}

// swap runs one swap and notes its outcome. An error is one of SQLite.
func (w *writer) swap(s *swap) error {
	s.rev = 0
	if s.err = checkData(s.record.Data); s.err != nil {
		return nil
	}
	key := &s.record.Key
	platform, business, schema, id := key.Tenant.Platform[:], key.Tenant.Business[:], key.Schema[:], key.ExternalID
	// No revision is above MaxInt64. One that is expected becomes negative, and
	// is not found.
	revision := int64(s.expect)
	var changed int64
	var err error
	switch {
	case s.remove:
		changed, err = w.conn.exec(sqlDelete, platform, business, schema, id, revision)
		if err == nil && changed == 0 {
			s.err = storage.ErrNotFound
			err = w.conn.query(sqlExists, 1, func([]driver.Value) bool {
				s.err = storage.ErrConflict
				return false
			}, platform, business, schema, id)
		}
		return err
	case s.expect == 0:
		revision = int64(storage.FirstRevision())
		changed, err = w.conn.exec(sqlInsert, platform, business, schema, id, revision,
			s.record.ID[:], s.record.CreatedAt.UnixMilli(), s.record.UpdatedAt.UnixMilli(), notNil(s.record.Data))
	default:
		expected := revision
		revision = int64(storage.NextRevision(s.expect))
		changed, err = w.conn.exec(sqlUpdate, platform, business, schema, id, expected,
			revision, s.record.UpdatedAt.UnixMilli(), notNil(s.record.Data))
	}
	if s.rev = storage.Revision(revision); changed == 0 {
		s.rev, s.err = 0, storage.ErrConflict
	}
	return err
}

// notNil is for a column that cannot be NULL.
func notNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

func (w *writer) disconnect() error {
	c := w.conn
	w.conn, w.beside = nil, [2]fs.FileInfo{}
	if c == nil {
		return nil
	}
	return c.close()
}
