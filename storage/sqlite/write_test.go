package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	driversqlite "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"example.com/resourcekit/storage"
)

var bg = context.Background()

func testKey(id string) storage.Key {
	return storage.Key{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max, ExternalID: id}
}

func testRecord(id string) storage.Record {
	return storage.Record{Key: testKey(id), Data: []byte("born 1970-01-01")}
}

// creates returns the writes that create records.
func creates(records ...storage.Record) (writes []storage.Write) {
	for _, rec := range records {
		rec.Revision = storage.NextRevision(0)
		writes = append(writes, storage.Write{Record: rec})
	}
	return writes
}

func testStore(t testing.TB, opts *Options) *Store {
	t.Helper()
	s, err := Open(bg, filepath.Join(t.TempDir(), "records.db"), opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// lock holds the lock for writing until release is called.
func lock(t testing.TB, s *Store) (release func()) {
	t.Helper()
	c, err := s.connect()
	require.NoError(t, err)
	require.NoError(t, s.patiently(bg, func() error {
		_, err := c.exec(sqlBegin)
		return err
	}))
	var once sync.Once
	release = func() { once.Do(func() { _ = c.close() }) }
	t.Cleanup(release)
	return release
}

// before calls f before a statement of the writer, which is not run if f returns an error.
// The writer must be idle.
func before(t testing.TB, s *Store, query string, f func() error) {
	t.Helper()
	real, err := s.writer.conn.prepare(query)
	require.NoError(t, err)
	s.writer.conn.stmts[query] = hooked{real, f}
}

type hooked struct {
	statement
	f func() error
}

func (h hooked) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := h.f(); err != nil {
		return nil, err
	}
	return h.statement.ExecContext(ctx, args)
}

func (h hooked) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := h.f(); err != nil {
		return nil, err
	}
	return h.statement.QueryContext(ctx, args)
}

// coded is an error of the driver, whose text must not be seen.
type coded int

func (c coded) Error() string { return "alice@example.com" }
func (c coded) Code() int     { return int(c) }

// queued waits until so many requests are in the queue.
func queued(t testing.TB, s *Store, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.writer.queue) == n }, 5*time.Second, time.Millisecond)
}

// start runs n calls at the same time; the result waits for their errors.
func start(n int, call func(i int) error) (wait func() []error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	return func() []error {
		wg.Wait()
		return errs
	}
}

func silent(t testing.TB, err error) {
	t.Helper()
	require.Error(t, err)
	var op *storage.OpError
	require.ErrorAs(t, err, &op)
	require.Contains(t, err.Error(), op.Op)
	for _, secret := range []string{"alice", "born", "acme", "1970"} {
		require.NotContains(t, err.Error(), secret)
	}
}

func TestPragmas(t *testing.T) {
	for _, tt := range []struct {
		opts *Options
		sync int64
	}{
		{nil, 2},
		{&Options{SyncNormal: true}, 1},
	} {
		s := testStore(t, tt.opts)
		check := func(c *conn, queryOnly int64) {
			for query, want := range map[string]driver.Value{
				"PRAGMA journal_mode":   "wal",
				"PRAGMA synchronous":    tt.sync,
				"PRAGMA query_only":     queryOnly,
				"PRAGMA page_size":      int64(8192),
				"PRAGMA application_id": int64(applicationID),
				"PRAGMA user_version":   int64(2),
				"PRAGMA trusted_schema": int64(0),

				"PRAGMA wal_autocheckpoint": int64(4000),
				"PRAGMA encoding":           "UTF-8",
			} {
				got, err := c.value(query)
				require.NoError(t, err)
				require.Equal(t, want, got, query)
			}
		}
		check(s.writer.conn, 0)
		require.NoError(t, s.read(bg, func(c *conn) error {
			check(c, 1)
			_, err := c.exec("DELETE FROM records")
			require.Equal(t, codes.SQLITE_READONLY, resultCode(err))
			return nil
		}))
		_ = s.writer.disconnect()
		_, err := storage.Put(bg, s, testRecord("k"), 0)
		require.NoError(t, err)
		check(s.writer.conn, 0)
	}
}

// TestPlans: no statement scans or sorts.
func TestPlans(t *testing.T) {
	s := testStore(t, nil)
	const (
		ofScope = "(platform=? AND business=? AND schema=?"
		ofKey   = ofScope + " AND external_id=?"
		aRecord = "SEARCH records USING PRIMARY KEY " + ofKey + ")"
		between = "SEARCH records USING PRIMARY KEY " + ofScope + " AND external_id>? AND external_id<?)"
		aPlace  = "SEARCH entries USING PRIMARY KEY " + ofScope + " AND place=? AND external_id=?)"
		places  = "SEARCH entries USING PRIMARY KEY " + ofScope + " AND place>? AND place<?)"
		changes = "SEARCH changes USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
		aChange = "SEARCH changes USING INTEGER PRIMARY KEY (rowid=?)"
		inOrder = "SCAN changes" // of which the store takes the first row, or some
	)
	for query, want := range map[string][]string{
		sqlGet:                          {aRecord},
		sqlUpdate:                       {aRecord},
		sqlDelete:                       {aRecord},
		sqlEntries:                      {aRecord},
		sqlSetEntries:                   {aRecord},
		sqlListForwards:                 {between},
		sqlListBackwards:                {between},
		sqlLookupForwards:               {places, aRecord},
		sqlLookupBackwards:              {places, aRecord},
		sqlLookupAfter:                  {"SEARCH entries USING PRIMARY KEY " + ofScope + " AND (place,external_id)>(?,?) AND place<?)", aRecord},
		sqlLookupBefore:                 {"SEARCH entries USING PRIMARY KEY " + ofScope + " AND place>? AND (place,external_id)<(?,?))", aRecord},
		sqlTaken:                        {"SEARCH entries USING COVERING INDEX unique_entries " + ofScope + " AND place=?)", aRecord + " LEFT-JOIN"},
		sqlLeave:                        {aPlace},
		sqlLog:                          {aRecord},
		sqlFloor:                        {inOrder},
		sqlCursorTo:                     {"SEARCH changes USING INTEGER PRIMARY KEY (rowid<?)"},
		sqlHas:                          {aChange},
		sqlWithData + sqlChanges:        {changes},
		sqlWithoutData + sqlChanges:     {changes},
		sqlWithData + sqlChangesOfScope: {changes},
		sqlWithData + sqlChangesBefore:  {"SEARCH changes USING INDEX changes_of_key " + ofKey + " AND rowid<?)"},
		sqlAdded:                        {"SEARCH changes USING INDEX changes_of_key " + ofKey + " AND rowid>?)"},
		sqlWithData + sqlChangesOfKey:   {"SEARCH changes USING INDEX changes_of_key " + ofKey + " AND rowid>? AND rowid<?)"},
		sqlSizesOfAll:                   {inOrder},
		sqlSizesOfKey:                   {"SEARCH changes USING INDEX changes_of_key " + ofKey + ")"},
		sqlTrim:                         {"SEARCH changes USING INTEGER PRIMARY KEY (rowid<?)"},
		sqlSetFloor:                     {aChange},
		sqlRedact:                       {"SEARCH changes USING INDEX changes_of_key " + ofKey + " AND rowid<?)"},
	} {
		var plan []string
		require.NoError(t, s.writer.conn.query("EXPLAIN QUERY PLAN "+query, 4, func(row []driver.Value) bool {
			plan = append(plan, fmt.Sprint(row[3]))
			return true
		}, make([]driver.Value, strings.Count(query, "?"))...))
		require.Equal(t, want, plan, query)
	}
}

func TestWaitingWritesShareATransaction(t *testing.T) {
	const n = 100
	s := testStore(t, nil)
	release := lock(t, s)
	wait := start(n, func(i int) error {
		_, err := storage.Put(bg, s, testRecord(fmt.Sprint(i)), 0)
		return err
	})
	queued(t, s, n-1) // the first one is with the writer
	release()
	for _, err := range wait() {
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.writer.transactions)
}

func TestGroupEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		calls int
		put   func(s *Store, i int) error
		want  int
	}{
		{"by swaps", 250, func(s *Store, i int) error {
			_, err := s.Write(bg, creates(testRecord(fmt.Sprint(i)), testRecord(fmt.Sprint(i, "b"))))
			return err
		}, 2},
		{"by bytes", 5, func(s *Store, i int) error {
			rec := testRecord(fmt.Sprint(i))
			rec.Data = make([]byte, maxGroupBytes/2)
			_, err := storage.Put(bg, s, rec, 0)
			return err
		}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t, nil)
			release := lock(t, s)
			wait := start(tt.calls, func(i int) error { return tt.put(s, i) })
			queued(t, s, tt.calls-1)
			release()
			for _, err := range wait() {
				require.NoError(t, err)
			}
			require.Equal(t, tt.want, s.writer.transactions)
		})
	}
}

func TestConflictInAGroup(t *testing.T) {
	const n = 20
	s := testStore(t, nil)
	_, err := storage.Put(bg, s, testRecord("7"), 0)
	require.NoError(t, err)
	release := lock(t, s)
	wait := start(n, func(i int) error {
		if i%5 == 4 {
			return storage.Delete(bg, s, testKey(fmt.Sprint("absent", i)), 1)
		}
		_, err := storage.Put(bg, s, testRecord(fmt.Sprint(i)), 0)
		return err
	})
	queued(t, s, n-1)
	release()
	for i, err := range wait() {
		switch {
		case i == 7:
			require.ErrorIs(t, err, storage.ErrConflict)
		case i%5 == 4:
			require.ErrorIs(t, err, storage.ErrConflict)
		default:
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2, s.writer.transactions)
}

// TestSameKeyInAGroup: of several swaps with one expectation one succeeds.
func TestSameKeyInAGroup(t *testing.T) {
	const n = 10
	s := testStore(t, nil)
	release := lock(t, s)
	wait := start(n, func(i int) error {
		_, err := storage.Put(bg, s, testRecord("k"), 0)
		return err
	})
	queued(t, s, n-1)
	release()
	created := 0
	for _, err := range wait() {
		if err == nil {
			created++
		} else {
			require.ErrorIs(t, err, storage.ErrConflict)
		}
	}
	require.Equal(t, 1, created)
}

func TestLocked(t *testing.T) {
	const n, timeout = 20, 200 * time.Millisecond
	s := testStore(t, &Options{BusyTimeout: timeout})
	release := lock(t, s)
	begin := time.Now()
	for _, err := range start(n, func(i int) error {
		_, err := storage.Put(bg, s, testRecord("alice"+fmt.Sprint(i)), 0)
		return err
	})() {
		silent(t, err)
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
		require.ErrorContains(t, err, "SQLITE_BUSY")
		var d *driversqlite.Error
		require.ErrorAs(t, err, &d)
	}
	// One that came when the others were being refused starts a wait of its own.
	require.Less(t, time.Since(begin), n*timeout/2, "they wait one after the other")
	release()
	_, err := storage.Put(bg, s, testRecord("alice0"), 0)
	require.NoError(t, err)
	page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Records, 1, "refused writes were not applied")
}

func TestCancelledWhileWaiting(t *testing.T) {
	s := testStore(t, nil)
	release := lock(t, s)
	ctx, cancel := context.WithCancel(bg)
	wait := start(10, func(i int) error {
		_, err := storage.Put(ctx, s, testRecord(fmt.Sprint(i)), 0)
		return err
	})
	queued(t, s, 9)
	cancel()
	for _, err := range wait() {
		silent(t, err)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
	}
	release()
	_, err := storage.Put(bg, s, testRecord("k"), 0)
	require.NoError(t, err)
	page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 100})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
}

func TestCancelledInTheTransaction(t *testing.T) {
	s := testStore(t, nil)
	committing, proceed := make(chan struct{}), make(chan struct{})
	before(t, s, sqlCommit, func() error {
		committing <- struct{}{}
		<-proceed
		return nil
	})
	ctx, cancel := context.WithCancel(bg)
	wait := start(1, func(i int) error {
		_, err := storage.Put(ctx, s, testRecord("k"), 0)
		return err
	})
	<-committing
	cancel()
	err := wait()[0]
	silent(t, err)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	close(proceed)
	require.NoError(t, s.Close())
	again, err := Open(bg, s.path, nil)
	require.NoError(t, err)
	defer again.Close()
	_, err = again.Get(bg, testKey("k"))
	require.NoError(t, err, "it was applied in the end")
}

// TestCloseAnswersTakenWrites: a write in a transaction gets its outcome. One that is
// waiting is written or not, by chance (hence the rounds), and its error says which.
func TestCloseAnswersTakenWrites(t *testing.T) {
	t.Parallel()
	for range 10 {
		s := testStore(t, nil)
		committing, proceed := make(chan struct{}, 2), make(chan struct{})
		before(t, s, sqlCommit, func() error {
			committing <- struct{}{}
			<-proceed
			return nil
		})
		put := func(id string) func() []error {
			return start(1, func(int) error {
				_, err := storage.Put(bg, s, testRecord(id), 0)
				return err
			})
		}
		first := put("first")
		<-committing
		second := put("second")
		queued(t, s, 1)
		closed := start(1, func(int) error { return s.Close() })
		<-s.closing
		close(proceed)
		require.NoError(t, first()[0])
		err := second()[0]
		require.NoError(t, closed()[0])

		again, openErr := Open(bg, s.path, nil)
		require.NoError(t, openErr)
		_, getErr := again.Get(bg, testKey("first"))
		require.NoError(t, getErr)
		_, getErr = again.Get(bg, testKey("second"))
		require.NoError(t, again.Close())
		if err != nil {
			require.ErrorIs(t, err, storage.ErrClosed)
			require.ErrorIs(t, getErr, storage.ErrNotFound)
		} else {
			require.NoError(t, getErr)
		}
	}
}

// TestCloseWhileLocked does not wait for another process.
func TestCloseWhileLocked(t *testing.T) {
	s := testStore(t, nil)
	lock(t, s)
	wait := start(10, func(i int) error {
		_, err := storage.Put(bg, s, testRecord(fmt.Sprint(i)), 0)
		return err
	})
	queued(t, s, 9)
	begin := time.Now()
	require.NoError(t, s.Close())
	for _, err := range wait() {
		require.ErrorIs(t, err, storage.ErrClosed)
	}
	require.Less(t, time.Since(begin), 4*time.Second, "as long as BusyTimeout, nearly")
}

func TestDiskFull(t *testing.T) {
	s := testStore(t, nil)
	_, err := s.writer.conn.exec("PRAGMA max_page_count = 8")
	require.NoError(t, err)
	release := lock(t, s)
	wait := start(20, func(i int) error {
		rec := testRecord(fmt.Sprint("alice", i))
		rec.Data = append(rec.Data, make([]byte, 8<<10)...)
		_, err := storage.Put(bg, s, rec, 0)
		return err
	})
	queued(t, s, 19)
	release()
	failed := 0
	for _, err := range wait() {
		if err == nil { // it was in the next transaction, of a new connection
			continue
		}
		failed++
		silent(t, err)
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
		require.ErrorContains(t, err, "SQLITE_FULL")
	}
	require.NotZero(t, failed)
	page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 100})
	require.NoError(t, err)
	require.Len(t, page.Records, 20-failed, "nothing of the transaction was applied")
	_, err = storage.Put(bg, s, testRecord("later"), 0)
	require.NoError(t, err)
}

// TestLogFillsTheDisk: a disk without room for more of the -wal file has room again once
// that is in the file. Readers are connected, so that SQLite does not empty the -wal file
// when the writer's connection ends.
func TestLogFillsTheDisk(t *testing.T) {
	t.Parallel()
	const room = 1 << 20
	for _, step := range []string{sqlInsert, sqlCommit} {
		t.Run(step[:6], func(t *testing.T) {
			s := testStore(t, nil)
			refused := 0
			before(t, s, step, func() error {
				if s.writer.walSize() < room {
					return nil
				}
				refused++
				return coded(codes.SQLITE_FULL)
			})
			for round := range 10 {
				wait := start(40, func(i int) error {
					rec := testRecord(fmt.Sprint("alice ", round, " ", i))
					rec.Data = make([]byte, 8<<10)
					if _, err := storage.Put(bg, s, rec, 0); err != nil {
						return err
					}
					_, err := s.Get(bg, rec.Key)
					return err
				})
				for _, err := range wait() {
					require.NoError(t, err)
				}
			}
			require.GreaterOrEqual(t, refused, 2)
			page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 1000})
			require.NoError(t, err)
			require.Len(t, page.Records, 400)
		})
	}
}

// TestLogFillsTheDiskDuringARead of another process, which keeps the -wal file: writes are
// refused while the read lasts, and not after it.
func TestLogFillsTheDiskDuringARead(t *testing.T) {
	s := testStore(t, nil)
	_, err := storage.Put(bg, s, testRecord("alice"), 0)
	require.NoError(t, err)
	other, err := s.connect()
	require.NoError(t, err)
	_, err = other.exec("BEGIN")
	require.NoError(t, err)
	_, err = other.value("SELECT count(*) FROM records")
	require.NoError(t, err)
	refused := 0
	full := func() error {
		if s.writer.walSize() == 0 {
			return nil
		}
		refused++
		return coded(codes.SQLITE_FULL)
	}
	before(t, s, sqlCommit, full)
	_, err = storage.Put(bg, s, testRecord("alice 2"), 0)
	silent(t, err)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Equal(t, 2, refused, "tried once more, and not again")
	require.NoError(t, other.close())
	_, err = storage.Put(bg, s, testRecord("alice 3"), 0)
	require.NoError(t, err)
}

// TestOnlyTheOneAtFaultFails: when SQLite refuses one write, as a disk does that is too
// full for it, the others in the group are applied.
func TestOnlyTheOneAtFaultFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		code int // of an error for that write, 0 for a file that is really too full
		all  bool
	}{
		{"full", 0, false},
		{"constraint", codes.SQLITE_CONSTRAINT, false},
		{"error of the driver", 1 << 16, false},
		{"the disk fails", codes.SQLITE_IOERR, true},
		{"the file is damaged", codes.SQLITE_CORRUPT, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const n = 10
			s := testStore(t, nil)
			if tt.code == 0 {
				_, err := s.writer.conn.exec("PRAGMA max_page_count = 60")
				require.NoError(t, err)
			} else {
				real, err := s.writer.conn.prepare(sqlInsert)
				require.NoError(t, err)
				s.writer.conn.stmts[sqlInsert] = picky{real, testKey("bad").ExternalID, coded(tt.code)}
			}
			release := lock(t, s)
			wait := start(n, func(i int) error {
				_, err := storage.Put(bg, s, testRecord(fmt.Sprint(i)), 0)
				return err
			})
			queued(t, s, n-1) // the first one is with the writer
			waitForBad := start(1, func(i int) error {
				rec := testRecord("bad")
				rec.Data = make([]byte, 1<<20)
				_, err := storage.Put(bg, s, rec, 0)
				return err
			})
			queued(t, s, n)
			release()
			bad := waitForBad()[0]
			silent(t, bad)
			require.NotErrorIs(t, bad, storage.ErrUnknownOutcome)
			for i, err := range wait() {
				require.Equal(t, tt.all, err != nil, "write %d: %v", i, err)
			}
			page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 100})
			require.NoError(t, err)
			if tt.all {
				require.Empty(t, page.Records)
			} else {
				require.Len(t, page.Records, n)
			}
			_, err = storage.Put(bg, s, testRecord("later"), 0)
			require.NoError(t, err)
		})
	}
}

// picky is a statement that fails for one external id.
type picky struct {
	statement
	id  string
	err error
}

func (p picky) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if args[3].Value == p.id {
		return nil, p.err
	}
	return p.statement.ExecContext(ctx, args)
}

// TestLargeBatch: more than 16 MiB of one batch are several transactions.
func TestLargeBatch(t *testing.T) {
	t.Parallel()
	s := testStore(t, nil)
	writes := make([]storage.Write, 5)
	for i := range writes {
		writes[i].Record = testRecord(fmt.Sprint(i))
	}
	for _, tt := range []struct{ size, want int }{{maxGroupBytes / 5, 1}, {maxGroupBytes / 2, 3}, {maxGroupBytes, 5}} {
		s.writer.transactions = 0
		for i := range writes {
			w := &writes[i]
			w.Expect, w.Record.Data = w.Record.Revision, make([]byte, tt.size)
			w.Record.Revision = storage.NextRevision(w.Expect)
		}
		errs, err := s.Write(bg, writes)
		require.NoError(t, err)
		require.Nil(t, errs)
		for _, w := range writes {
			rec, err := s.Get(bg, w.Record.Key)
			require.NoError(t, err)
			require.Equal(t, rec.Revision, w.Record.Revision)
			require.Len(t, rec.Data, tt.size)
		}
		require.Equal(t, tt.want, s.writer.transactions)
	}
}

// TestLargeBatchStopped: the writes of transactions before stay, and the errors of the
// others say why they were not applied.
func TestLargeBatchStopped(t *testing.T) {
	s := testStore(t, nil)
	ctx, cancel := context.WithCancel(bg)
	begun := 0
	before(t, s, sqlBegin, func() error {
		if begun++; begun == 2 {
			cancel()
			time.Sleep(200 * time.Millisecond) // the call has given up by then
		}
		return nil
	})
	writes := creates(testRecord("alice0"), testRecord("alice1"), testRecord("alice2"))
	for i := range writes {
		writes[i].Record.Data = make([]byte, maxGroupBytes)
	}
	errs, err := s.Write(ctx, writes)
	require.NoError(t, err)
	require.Len(t, errs, 3)
	require.NoError(t, errs[0])
	for _, err := range errs[1:] {
		silent(t, err)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
	}
	page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Records, 1)
}

// TestFailures injects errors of the driver at each step of a transaction.
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		step string
		code int
		want error // nil: neither ErrUnavailable nor ErrUnknownOutcome
		text string
	}{
		{sqlBegin, codes.SQLITE_IOERR, storage.ErrUnavailable, "SQLITE_IOERR"},
		{sqlBegin, codes.SQLITE_CORRUPT, nil, "SQLITE_CORRUPT"},
		{sqlInsert, codes.SQLITE_FULL, storage.ErrUnavailable, "SQLITE_FULL"},
		{sqlInsert, codes.SQLITE_IOERR | 3<<8, storage.ErrUnavailable, "code 778"},
		{sqlInsert, codes.SQLITE_CORRUPT, nil, "SQLITE_CORRUPT"},
		{sqlInsert, codes.SQLITE_NOTADB, nil, "SQLITE_NOTADB"},
		{sqlInsert, codes.SQLITE_CONSTRAINT, nil, "SQLITE_CONSTRAINT"},
		{sqlInsert, 0, nil, "driver"},
		{sqlCommit, codes.SQLITE_BUSY, storage.ErrUnavailable, "SQLITE_BUSY"},
		{sqlCommit, codes.SQLITE_FULL, storage.ErrUnavailable, "SQLITE_FULL"},
		{sqlCommit, codes.SQLITE_IOERR | 4<<8, storage.ErrUnknownOutcome, "SQLITE_IOERR"},
		{sqlCommit, codes.SQLITE_CORRUPT, storage.ErrUnknownOutcome, "SQLITE_CORRUPT"},
	} {
		t.Run(fmt.Sprint(tt.step[:6], " ", tt.code), func(t *testing.T) {
			s := testStore(t, nil)
			before(t, s, tt.step, func() error { return coded(tt.code) })
			_, err := storage.Put(bg, s, testRecord("alice"), 0)
			silent(t, err)
			require.ErrorContains(t, err, tt.text)
			for _, class := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome} {
				require.Equal(t, class == tt.want, errors.Is(err, class), "%v: %v", class, err)
			}
			var d coded
			require.ErrorAs(t, err, &d)
			_, err = s.Get(bg, testKey("alice"))
			require.ErrorIs(t, err, storage.ErrNotFound, "rolled back")
			_, err = storage.Put(bg, s, testRecord("alice"), 0)
			require.NoError(t, err, "by a new connection")
		})
	}
}

// TestReaderAfterAFailure: a reader that failed in a transaction must not go on with its
// old snapshot.
func TestReaderAfterAFailure(t *testing.T) {
	s := testStore(t, &Options{Readers: 1})
	require.Error(t, s.read(bg, func(c *conn) error {
		_, err := c.exec("BEGIN")
		require.NoError(t, err)
		_, err = c.value("SELECT count(*) FROM records")
		require.NoError(t, err)
		_, err = c.value("SELECT x FROM records")
		return err
	}))
	rev, err := storage.Put(bg, s, testRecord("k"), 0)
	require.NoError(t, err)
	rec, err := s.Get(bg, testKey("k"))
	require.NoError(t, err)
	require.Equal(t, rev, rec.Revision)
}

func TestReadersAreLimited(t *testing.T) {
	s := testStore(t, &Options{Readers: 1})
	require.NoError(t, s.read(bg, func(*conn) error {
		ctx, cancel := context.WithTimeout(bg, 20*time.Millisecond)
		defer cancel()
		_, err := s.Get(ctx, testKey("k"))
		silent(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		return nil
	}))
}

func TestDamagedFile(t *testing.T) {
	t.Parallel()
	s := testStore(t, nil)
	for i := range 200 {
		_, err := storage.Put(bg, s, testRecord(fmt.Sprint("alice", i)), 0)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	data, err := os.ReadFile(s.path)
	require.NoError(t, err)
	for i := 8192; i < len(data); i++ {
		data[i] ^= 0x5a
	}
	require.NoError(t, os.WriteFile(s.path, data, 0o600))
	s, err = Open(bg, s.path, nil)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Get(bg, testKey("alice1"))
	silent(t, err)
	require.ErrorContains(t, err, "SQLITE_CORRUPT")
	require.NotErrorIs(t, err, storage.ErrNotFound)
	_, err = storage.Put(bg, s, testRecord("alice1"), 0)
	silent(t, err)
	require.ErrorContains(t, err, "SQLITE_CORRUPT")
}

// TestFlippedBitInTheLog: after a crash, the recovery of the -wal file ends silently at the
// first transaction that does not match its checksums. The documentation says so.
func TestFlippedBitInTheLog(t *testing.T) {
	t.Parallel()
	const n = 10
	s := testStore(t, nil)
	var ends []int64 // of the log, after each write
	for i := range n {
		_, err := storage.Put(bg, s, testRecord(fmt.Sprint(i)), 0)
		require.NoError(t, err)
		ends = append(ends, s.writer.walSize())
	}
	for damaged := range n {
		path := filepath.Join(t.TempDir(), "records.db") // as a crash would leave it
		for _, end := range []string{"", "-wal"} {
			data, err := os.ReadFile(s.path + end)
			require.NoError(t, err)
			if end == "-wal" {
				data[ends[damaged]-1] ^= 1
			}
			require.NoError(t, os.WriteFile(path+end, data, 0o600))
		}
		crashed, err := Open(bg, path, nil)
		require.NoError(t, err)
		page, err := crashed.List(bg, testKey("x").Scope(), storage.Range{Limit: 100})
		require.NoError(t, err)
		require.Len(t, page.Records, damaged)
		require.NoError(t, crashed.Close())
	}
}

// TestForeignRow: a row that other SQL wrote and that is not a record is an error.
func TestForeignRow(t *testing.T) {
	s := testStore(t, nil)
	k := testKey("alice")
	_, err := s.writer.conn.exec(sqlInsert, k.Tenant.Platform[:], k.Tenant.Business[:], k.Schema[:], k.ExternalID,
		int64(1), []byte("short id"), int64(0), int64(0), []byte("born"), nil)
	require.NoError(t, err)
	_, err = s.Get(bg, k)
	silent(t, err)
	require.NotErrorIs(t, err, storage.ErrNotFound)
	_, err = s.List(bg, k.Scope(), storage.Range{Limit: 10})
	silent(t, err)
	_, err = s.GetMany(bg, []storage.Key{k})
	silent(t, err)
}

func TestPageEndsByBytes(t *testing.T) {
	t.Parallel()
	s := testStore(t, nil)
	for i := range 5 {
		rec := testRecord(fmt.Sprint(i))
		rec.Data = make([]byte, maxPageBytes/2)
		_, err := storage.Put(bg, s, rec, 0)
		require.NoError(t, err)
	}
	page, err := s.List(bg, testKey("x").Scope(), storage.Range{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Records, 2)
	require.Equal(t, storage.Position{ExternalID: "1"}, page.Next)
}

func TestOneIsTooLarge(t *testing.T) {
	t.Parallel()
	s := testStore(t, nil)
	writes := creates(testRecord("a"), testRecord("data"), testRecord("note"), testRecord("documents"), testRecord("b"))
	large := make([]byte, maxNote) // the system has no memory for it until it is read
	writes[0].Note = &storage.Note{Before: large[:MaxData+1], After: large[:MaxData+1]}
	writes[1].Record.Data = large[:MaxData+1]
	writes[2].Note = &storage.Note{Before: large, Actor: "x"}
	writes[3].Note = &storage.Note{Before: large[:maxNote/2], After: large[:maxNote/2+1]}
	errs, err := s.Write(bg, writes)
	require.NoError(t, err)
	for i, w := range writes {
		_, err := s.Get(bg, w.Record.Key)
		if i == 0 || i == len(writes)-1 {
			require.NoError(t, errs[i])
			require.NoError(t, err)
		} else {
			silent(t, errs[i])
			require.ErrorIs(t, errs[i], storage.ErrTooLarge)
			require.ErrorIs(t, err, storage.ErrNotFound)
		}
	}
	require.Len(t, history(t, s), 1)
	_, err = s.Redact(bg, testKey("a"), storage.Note{Reason: strings.Repeat("x", maxNote+1)})
	require.ErrorIs(t, err, storage.ErrTooLarge)
}

// settles waits until there are no more goroutines than that.
func settles(t testing.TB, goroutines int) {
	t.Helper()
	for range 1000 {
		if runtime.NumGoroutine() <= goroutines {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%d goroutines, and at most %d should be left", runtime.NumGoroutine(), goroutines)
}

// TestNothingIsLeft of cancelled calls and a closed store: no goroutine, no descriptor.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0
		}
		n := 0
		for _, e := range entries {
			if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, dir) {
				n++
			}
		}
		return n
	}
	goroutines := runtime.NumGoroutine()
	s, err := Open(bg, filepath.Join(dir, "records.db"), nil)
	require.NoError(t, err)
	release := lock(t, s)
	for i := range 1000 {
		ctx, cancel := context.WithTimeout(bg, time.Duration(i%10)*10*time.Microsecond)
		switch i % 4 {
		case 0:
			_, err = storage.Put(ctx, s, testRecord("k"), 0)
		case 1:
			err = storage.Delete(ctx, s, testKey("k"), 1)
		case 2:
			_, err = s.Write(ctx, creates(testRecord("k"), testRecord("l")))
		case 3:
			_, err = s.List(ctx, testKey("k").Scope(), storage.Range{Limit: 10})
		}
		cancel()
		if i%4 != 3 {
			require.Error(t, err)
		}
	}
	settles(t, goroutines+1) // the writer
	release()
	_, err = storage.Put(bg, s, testRecord("k"), 0)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	settles(t, goroutines)
	require.Zero(t, files(), "descriptors")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "-wal and -shm are gone")
}

// TestLogUnderReads: reads that overlap would keep SQLite from ever starting the -wal file
// again.
func TestLogUnderReads(t *testing.T) {
	t.Parallel()
	const limit, records, size = 1 << 20, 40, 100_000 // four times the limit in all
	s := testStore(t, nil)
	s.writer.maxWAL, s.writer.emptyAt = limit, limit
	write := func(id string) {
		data := make([]byte, size)
		_, _ = rand.Read(data)
		_, err := storage.Put(bg, s, storage.Record{Key: testKey(id), Data: data}, 0)
		require.NoError(t, err)
	}
	log := func() int64 {
		info, err := os.Stat(s.path + "-wal")
		require.NoError(t, err)
		return info.Size()
	}
	write("first")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	defer readers.Wait()
	defer close(stop)
	for range cap(s.readers) {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := s.List(bg, testKey("").Scope(), storage.Range{Limit: 10}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range records {
		write(fmt.Sprint(i))
		require.Less(t, log(), int64(limit+3*size), "after %d records", i+1)
	}

	// A read that the writer cannot hold back does not stop it either.
	old, err := s.connect()
	require.NoError(t, err)
	_, err = old.exec("BEGIN")
	require.NoError(t, err)
	_, err = old.value("SELECT count(*) FROM records")
	require.NoError(t, err)
	for i := range records {
		write(fmt.Sprint("more ", i))
	}
	require.Greater(t, log(), int64(2*limit), "with a read that lasts")
	require.NoError(t, old.close())
	for i := 0; log() > limit+3*size; i++ {
		require.Less(t, i, records, "the -wal file is never emptied again")
		write(fmt.Sprint("again ", i))
	}
}
