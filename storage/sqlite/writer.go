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

// A group ends when it has so many swaps, or so many bytes. A request of several swaps has
// no more bytes than a group.
const (
	maxGroup      = 256
	maxGroupBytes = 16 << 20
)

// grace is how long a call whose context has ended still waits for the outcome of its
// transaction. Mostly it is known within milliseconds, and a known outcome is worth them.
const grace = 100 * time.Millisecond

const (
	sqlBegin    = "BEGIN IMMEDIATE"
	sqlCommit   = "COMMIT"
	sqlRollback = "ROLLBACK"

	sqlCheckpoint = "PRAGMA wal_checkpoint(TRUNCATE)"

	// ?5 is the revision that a new record gets, and otherwise the expected one.
	sqlInsert = "INSERT INTO records (platform, business, schema, external_id," +
		" revision, id, created_at, updated_at, data, entries, turn)" +
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1) ON CONFLICT DO NOTHING"
	sqlUpdate = "UPDATE records SET revision = ?6, updated_at = ?7, data = ?8, entries = ?9, turn = 1 - turn WHERE " +
		ofKey + " AND revision = ?5 AND entries IS ?10"
	sqlDelete = "DELETE FROM records WHERE " + ofKey + " AND revision = ?5" // a trigger removes the entries
)

// swap is one write and its outcome.
type swap struct {
	write       storage.Write // without entries; the note is a copy
	entries     []byte        // packed
	entriesOnly bool          // of SetEntries
	err         error
}

// size returns how many bytes the write makes a transaction larger, for large ones.
func (s *swap) size() int { return len(s.write.Record.Data) + s.write.Note.Size() }

// request is what one call asks the writer to do. It belongs to the call or to the
// writer: the one that changes state from pending first.
type request struct {
	swaps []swap
	task  func(*conn) error // in place of swaps; it may run several times, each from the start
	state atomic.Int32
	done  chan struct{} // closed by the writer when the outcome is there
	err   error         // in place of the outcomes of the swaps
}

// run does what is asked. An error is one of SQLite, and makes the transaction void.
func (r *request) run(w *writer) error {
	if r.task != nil {
		return r.task(w.conn)
	}
	for i := range r.swaps {
		if err := w.swap(&r.swaps[i]); err != nil {
			return err
		}
	}
	return nil
}

const (
	pending   = iota // in the queue, without effect so far
	taken            // in a transaction of the writer, which will close done
	abandoned        // the call has returned: the writer leaves it out
)

// writer is the goroutine that writes to the file, with the only connection that may.
type writer struct {
	store   *Store
	conn    *conn          // nil after a failure
	beside  [2]fs.FileInfo // of its -wal and -shm, nil before its first transaction
	queue   chan *request
	stopped chan struct{}
	maxWAL  int64 // how much the -wal file grows until it is emptied,
	emptyAt int64 // which is at this size

	transactions int // for tests
}

// maxWAL is twice the size at which SQLite brings the -wal file into the file by itself.
// Large transactions reach it, and reads that overlap.
const maxWAL = 64 << 20

func newWriter(s *Store, c *conn) *writer {
	return &writer{
		store: s, conn: c, queue: make(chan *request, maxGroup), stopped: make(chan struct{}),
		maxWAL: maxWAL, emptyAt: maxWAL,
	}
}

// do has the request done and waits for the outcome. When it returns nil, each swap has
// its own.
func (w *writer) do(ctx context.Context, r *request) error {
	r.done = make(chan struct{})
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
			w.emptyLarge()
		case <-w.store.closing:
			return
		}
	}
}

// emptyLarge empties a -wal file that has become large. SQLite starts it again only after
// a moment in which no reader needs it. Where reads overlap there is no such moment, and
// empty makes one. It cannot hold back the reads of another process and a Backup: then
// emptyLarge tries again when the -wal file has grown by maxWAL once more.
func (w *writer) emptyLarge() {
	if w.conn == nil || w.walSize() < w.emptyAt {
		return
	}
	w.empty()
	w.emptyAt = w.walSize() + w.maxWAL
}

// empty brings the -wal file into the file and empties it, while it holds back the readers
// of the store. It reports whether the -wal file is empty.
func (w *writer) empty() bool {
	readers := w.store.readers
	for range cap(readers) {
		select {
		case c := <-readers:
			defer func() { readers <- c }()
		case <-w.store.closing:
			return false
		}
	}
	return w.checkpoint()
}

// checkpoint is empty without holding back readers. If it fails the -wal file stays as it
// is, and nothing is lost.
func (w *writer) checkpoint() (emptied bool) {
	err := w.conn.query(sqlCheckpoint, 3, func(row []driver.Value) bool {
		emptied = row[0] == int64(0) // not busy
		return false
	})
	return err == nil && emptied
}

// walSize returns the size of the -wal file, 0 if the system does not tell it.
func (w *writer) walSize() int64 {
	info, err := os.Stat(w.store.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// check returns an error that matches ErrUnavailable if the files of the writer's
// connection are no longer those at the path, where others would look for the writes. The
// two beside the file are there from the first transaction on, while there is a
// connection.
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

// write writes a group: the request and all others that are waiting.
func (w *writer) write(first *request) {
	// Take the lock first. While another process has it, each request is pending, and a
	// call whose context ends leaves no trace.
	if err := w.begin(); err != nil {
		w.refuse(first, err)
		return
	}
	group, err := w.apply(first)
	if err = w.end(err); resultCode(err) == codes.SQLITE_FULL || resultCode(err) == codes.SQLITE_IOERR {
		// SQLite empties the -wal file after a commit, and there may be no commit before
		// it is empty. A quota that is used up is an I/O error to SQLite.
		w.empty()
		if resultCode(err) == codes.SQLITE_FULL && w.begin() == nil {
			err = w.again(group...)
		}
	}
	if err != nil && len(group) > 1 && !ofTheFile(err) && !errors.Is(err, storage.ErrUnknownOutcome) {
		w.apart(group)
		return
	}
	w.answer(err, group...)
}

// end commits the transaction, or rolls it back if err is not nil. It returns the error
// for the requests in it.
func (w *writer) end(err error) error {
	if err != nil {
		err = notApplied(err)
	} else if _, err = w.conn.exec(sqlCommit); err != nil {
		err = notCommitted(err)
	}
	if err != nil {
		_, _ = w.conn.exec(sqlRollback) // fails if SQLite has done it
	}
	if errors.Is(err, storage.ErrUnknownOutcome) && w.empty() {
		// Nothing is left in the -wal file that a crash could bring back.
		err = fmt.Errorf("%w; %w", err, storage.ErrEnded)
	}
	w.transactions++
	return err
}

// apart gives each request of a group that was rolled back its own transaction, so that
// only those at fault fail.
func (w *writer) apart(group []*request) {
	var failed error // the error of a begin, for all the rest
	for _, r := range group {
		if failed == nil {
			failed = notApplied(w.begin())
		}
		err := failed
		if err == nil {
			err = w.again(r)
		}
		w.answer(err, r)
	}
}

// answer gives the requests of one transaction their outcome.
func (w *writer) answer(err error, group ...*request) {
	if err != nil {
		// The state of the connection is unknown. When it is closed, it has no transaction.
		_ = w.disconnect()
	}
	for _, r := range group {
		r.err = err
		close(r.done)
	}
}

// begin opens a transaction that has the lock for writing, on the files at the path.
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
			// The -wal file may now be beside another file, and the next Open would bring
			// it into that.
			w.empty()
		}
	}
	return err
}

// refuse answers all requests that are waiting, so that they do not wait for the lock one
// after the other.
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

// apply runs the first request and all others that are waiting. It returns the requests
// that it took, also with an error, which makes the transaction void.
func (w *writer) apply(first *request) (group []*request, err error) {
	count, size := 0, 0
	for r := first; ; {
		if r.state.CompareAndSwap(pending, taken) {
			group = append(group, r)
			if err := r.run(w); err != nil {
				return group, err
			}
			if count += len(r.swaps); r.task != nil {
				count = maxGroup
			}
			for i := range r.swaps {
				size += r.swaps[i].size()
			}
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

// again runs requests in a transaction of their own, after one that was rolled back.
func (w *writer) again(group ...*request) error {
	for _, r := range group {
		if err := r.run(w); err != nil {
			return w.end(err)
		}
	}
	return w.end(nil)
}

// swap makes one write and notes its outcome. An error is one of SQLite, and makes the
// transaction void.
func (w *writer) swap(s *swap) (err error) {
	if s.err = s.checkSize(); s.err != nil {
		return nil
	}
	done := false
	switch {
	case s.write.Delete:
		done, err = w.remove(s)
	case s.entriesOnly || s.write.Expect == 0 && s.entries != nil:
		done, err = w.move(s)
	case s.write.Expect == 0:
		done, err = w.insert(s)
	default:
		// Mostly no entry moves, and one statement is enough.
		if done, err = w.update(s, s.entries); err == nil && !done {
			done, err = w.move(s)
		}
	}
	if err == nil && !done && s.err == nil {
		s.err = storage.ErrConflict
	}
	if done && s.write.Note != nil && !s.write.Delete {
		_, err = w.log(s, s.write.Record.Revision)
	}
	return err
}

func (w *writer) insert(s *swap) (done bool, err error) {
	rec := &s.write.Record
	return w.swapped(sqlInsert, keyArgs(&rec.Key, int64(rec.Revision), rec.ID[:],
		rec.CreatedAt.UnixMilli(), rec.UpdatedAt.UnixMilli(), notNil(rec.Data), s.entries)...)
}

// update updates a record that has exactly the old entries.
func (w *writer) update(s *swap, old []byte) (done bool, err error) {
	rec := &s.write.Record
	return w.swapped(sqlUpdate, keyArgs(&rec.Key, int64(s.write.Expect),
		int64(rec.Revision), rec.UpdatedAt.UnixMilli(), notNil(rec.Data), s.entries, old)...)
}

func (w *writer) remove(s *swap) (done bool, err error) {
	if s.write.Note != nil { // first, since the log needs the record's id
		if logged, err := w.log(s, s.write.Expect); err != nil || !logged {
			return false, err
		}
	}
	return w.swapped(sqlDelete, keyArgs(&s.write.Record.Key, int64(s.write.Expect))...)
}

// swapped runs a statement that changes one row or none, and reports which.
func (w *writer) swapped(query string, args ...driver.Value) (bool, error) {
	changed, err := w.conn.exec(query, args...)
	return changed != 0, err
}

// keyArgs returns the arguments of a statement that begin with those of a key.
func keyArgs(key *storage.Key, more ...driver.Value) []driver.Value {
	args := make([]driver.Value, 0, 16)
	args = append(args, key.Tenant.Platform[:], key.Tenant.Business[:], key.Schema[:], key.ExternalID)
	return append(args, more...)
}

// notNil returns data for a column that cannot be NULL.
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
