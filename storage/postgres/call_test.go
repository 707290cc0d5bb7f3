package postgres_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// lock makes writes wait until it is called again, and reads as well if all.
func lock(t *testing.T, pool *pgxpool.Pool, schema string, all bool) (unlock func()) {
	ctx := context.Background()
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	mode := "SHARE"
	if all {
		mode = "ACCESS EXCLUSIVE"
	}
	_, err = conn.Exec(ctx, "BEGIN; LOCK TABLE "+schema+".records IN "+mode+" MODE")
	require.NoError(t, err)
	var once sync.Once
	unlock = func() {
		once.Do(func() {
			_, _ = conn.Exec(ctx, "ROLLBACK")
			conn.Release()
		})
	}
	t.Cleanup(unlock)
	return unlock
}

// lockable returns a store with one record, and a pool beside it.
func lockable(t *testing.T, opts postgres.Options, parameters string) (store *postgres.Store, beside *pgxpool.Pool, schema string, rec storage.Record) {
	dsn := pgtest.DSN(t)
	opts.Schema = pgtest.Schema(t, dsn)
	beside = newPool(t, dsn)
	store, _ = newStoreAt(t, withParameters(dsn, parameters), opts, nil)
	rec = storage.Record{Key: testKey("key"), Data: []byte("{}")}
	var err error
	rec.Revision, err = storage.Put(context.Background(), store, rec, 0)
	require.NoError(t, err)
	return store, beside, opts.Schema, rec
}

// blocked waits until n statements wait for a lock on the schema's table.
func blocked(t *testing.T, beside *pgxpool.Pool, schema string, n int) {
	require.Eventually(t, func() bool {
		var waiting int
		err := beside.QueryRow(context.Background(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass`, schema+".records").Scan(&waiting)
		return err == nil && waiting >= n
	}, 20*time.Second, 5*time.Millisecond)
}

// TestCancelledCalls: requests that end early cost neither connections nor
// goroutines, and come back at once.
func TestCancelledCalls(t *testing.T) {
	const calls = 1000
	dsn := pgtest.DSN(t)
	store, pool := newStoreAt(t, withParameters(dsn, "application_name=cancelled"), postgres.Options{Schema: pgtest.Schema(t, dsn)}, nil)
	rec := storage.Record{Key: testKey("key"), Data: []byte("{}")}
	rev, err := storage.Put(context.Background(), store, rec, 0)
	require.NoError(t, err)
	var warm sync.WaitGroup
	for range pool.Config().MaxConns * 4 {
		warm.Go(func() { _, _ = store.Get(context.Background(), rec.Key) })
	}
	warm.Wait()
	opened, goroutines := pool.Stat().NewConnsCount(), runtime.NumGoroutine()

	interrupted := 0
	for i := range calls {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(i%300)*time.Microsecond, cancel)
		switch i % 4 {
		case 0:
			_, err = store.Get(ctx, rec.Key)
		case 1:
			_, err = storage.Put(ctx, store, rec, rev+1<<40) // a conflict if it gets there
		case 2:
			_, err = store.List(ctx, rec.Key.Scope(), after("", 10))
		case 3:
			_, err = store.GetMany(ctx, []storage.Key{rec.Key})
		}
		timer.Stop()
		cancel()
		if errors.Is(err, context.Canceled) {
			interrupted++
			require.Equal(t, i%4 == 1 && errors.Is(err, storage.ErrUnknownOutcome), errors.Is(err, storage.ErrUnknownOutcome))
		} else if i%4 == 1 {
			require.ErrorIs(t, err, storage.ErrConflict)
		} else {
			require.NoError(t, err)
		}
	}
	require.Greater(t, interrupted, calls/10, "calls that were cancelled")
	require.NoError(t, store.Close()) // waits for the statements under way
	require.LessOrEqual(t, pool.Stat().NewConnsCount()-opened, int64(pool.Config().MaxConns), "new connections")
	require.Zero(t, pool.Stat().AcquiredConns())
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+2 }, 10*time.Second, 10*time.Millisecond,
		"goroutines: %d before", goroutines)
	var sessions int32
	err = newPool(t, dsn).QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cancelled'").Scan(&sessions)
	require.NoError(t, err)
	require.LessOrEqual(t, sessions, pool.Config().MaxConns)
}

// TestAbandonedCall: a call returns with its context, also if the server does not answer,
// and its statement runs on.
func TestAbandonedCall(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "")
	unlock := lock(t, beside, schema, true)
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	var calls sync.WaitGroup
	var read, write error
	calls.Go(func() { _, read = store.Get(ctx, rec.Key) })
	calls.Go(func() { _, write = storage.Put(ctx, store, rec, rec.Revision) })
	calls.Wait()
	require.Less(t, time.Since(start), 5*time.Second)
	require.ErrorIs(t, read, context.DeadlineExceeded)
	require.NotErrorIs(t, read, storage.ErrUnknownOutcome)
	require.ErrorIs(t, write, context.DeadlineExceeded)
	require.ErrorIs(t, write, storage.ErrUnknownOutcome)
	unlock()
	require.Eventually(t, func() bool {
		got, err := store.Get(context.Background(), rec.Key)
		return err == nil && got.Revision != rec.Revision
	}, 10*time.Second, 5*time.Millisecond, "the write is applied")
}

// TestNoConnection: who waits for a connection in vain has sent nothing.
func TestNoConnection(t *testing.T) {
	store, pool := newStore(t, postgres.Options{WriteTimeout: 300 * time.Millisecond, ReadTimeout: 300 * time.Millisecond},
		func(cfg *pgxpool.Config) { cfg.MaxConns = 1 })
	conn, err := pool.Acquire(context.Background())
	require.NoError(t, err)
	defer conn.Release()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = storage.Put(ctx, store, storage.Record{Key: testKey("key")}, 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
	_, err = storage.Put(context.Background(), store, storage.Record{Key: testKey("key")}, 0)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

func TestOwnTimeout(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{WriteTimeout: 300 * time.Millisecond, ReadTimeout: 300 * time.Millisecond}, "")
	unlock := lock(t, beside, schema, true)
	_, err := storage.Put(context.Background(), store, rec, rec.Revision)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	_, err = store.Get(context.Background(), rec.Key)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	for _, err := range write(store, []storage.Write{{Record: rec, Expect: rec.Revision}, {Record: storage.Record{Key: testKey("other")}}}) {
		require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	}
	unlock()
	require.Eventually(t, func() bool { _, err := store.Get(context.Background(), rec.Key); return err == nil }, 10*time.Second, 5*time.Millisecond)
}

// TestTerminated: the server ends the session of a write (57P01).
func TestTerminated(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "application_name=terminated")
	unlock := lock(t, beside, schema, false)
	failed := make(chan error)
	go func() {
		_, err := storage.Put(context.Background(), store, rec, rec.Revision)
		failed <- err
	}()
	blocked(t, beside, schema, 1)
	_, err := beside.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'terminated'")
	require.NoError(t, err)
	err = <-failed
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	require.ErrorIs(t, err, storage.ErrEnded)
	require.ErrorContains(t, err, "57P01")
	unlock()
	got, err := store.Get(context.Background(), rec.Key)
	require.NoError(t, err)
	require.Equal(t, rec.Revision, got.Revision)
}

// TestServerLimits: statements that the server gives up are not applied.
func TestServerLimits(t *testing.T) {
	for parameters, code := range map[string]string{
		"statement_timeout=100":              "57014",
		"lock_timeout=100":                   "55P03",
		"default_transaction_read_only=true": "25006",
	} {
		dsn := pgtest.DSN(t)
		opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
		first, beside := newStoreAt(t, dsn, opts, nil)
		rec := storage.Record{Key: testKey("key")}
		rev, err := storage.Put(context.Background(), first, rec, 0)
		require.NoError(t, err)
		store, _ := newStoreAt(t, withParameters(dsn, parameters), opts, nil)
		unlock := lock(t, beside, opts.Schema, false)
		if code == "25006" {
			unlock() // comes before that is looked at
		}
		_, err = storage.Put(context.Background(), store, rec, rev)
		unlock()
		require.ErrorIs(t, err, storage.ErrUnavailable, parameters)
		require.ErrorContains(t, err, code)
		got, err := store.Get(context.Background(), rec.Key)
		require.NoError(t, err)
		require.Equal(t, rev, got.Revision, parameters)
	}
}

func TestServerDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	pool := newPool(t, "postgres://user:secret@"+l.Addr().String()+"/db")
	_, err = postgres.New(context.Background(), pool, nil)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "secret")
}

// TestServerSilent: a server that takes connections and never answers is
// unavailable, unless it was the caller who had no more time.
func TestServerSilent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() // the kernel goes on to take connections until then
	pool := newPool(t, "postgres://user@"+l.Addr().String()+"/db?sslmode=disable")
	store, err := postgres.New(context.Background(), pool, &postgres.Options{ReadTimeout: 100 * time.Millisecond})
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.Nil(t, store)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	store, err = postgres.New(ctx, pool, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Nil(t, store)
}

// TestTablesGone: the error says how to mend it, and holds nothing of the record.
func TestTablesGone(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "")
	_, err := beside.Exec(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
	require.NoError(t, err)
	_, err = storage.Put(context.Background(), store, rec, rec.Revision)
	require.ErrorContains(t, err, "run Migrate")
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	_, err = store.Get(context.Background(), rec.Key)
	require.ErrorContains(t, err, "run Migrate")
}

// TestConstraintTexts: the server quotes a row that breaks a constraint; the
// store's error does not.
func TestConstraintTexts(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "")
	_, err := beside.Exec(context.Background(), "ALTER TABLE "+schema+".records ADD CHECK (external_id <> 'alice')")
	require.NoError(t, err)
	rec.Key.ExternalID, rec.Data = "alice", []byte("born 1970")
	_, err = storage.Put(context.Background(), store, rec, 0)
	var pg *pgconn.PgError
	require.ErrorAs(t, err, &pg)
	require.Contains(t, pg.Detail, "alice")
	require.NotContains(t, err.Error(), "alice")
	require.NotContains(t, err.Error(), "born")
	require.True(t, strings.HasPrefix(err.Error(), "storage: write: "), err.Error())
}

// TestCloseWaits: statements whose callers have left are over after Close.
func TestCloseWaits(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "")
	unlock := lock(t, beside, schema, false)
	ctx, cancel := context.WithCancel(context.Background())
	left := make(chan error)
	go func() {
		_, err := storage.Put(ctx, store, rec, rec.Revision)
		left <- err
	}()
	blocked(t, beside, schema, 1)
	cancel()
	require.ErrorIs(t, <-left, storage.ErrUnknownOutcome)
	closed := make(chan error)
	go func() { closed <- store.Close() }()
	select {
	case <-closed:
		t.Fatal("Close did not wait")
	case <-time.After(100 * time.Millisecond):
	}
	unlock()
	require.NoError(t, <-closed)
	var rev int64
	err := beside.QueryRow(context.Background(), "SELECT revision FROM "+schema+".records").Scan(&rev)
	require.NoError(t, err)
	require.NotEqualValues(t, rec.Revision, rev)
}

// TestPgBouncerNeedsExecMode shows that the setting which the documentation
// asks for is needed, and that the error names it.
func TestPgBouncerNeedsExecMode(t *testing.T) {
	dsn := pgtest.DSN(t)
	through := pgtest.Bouncer(t, dsn)
	for parameters, works := range map[string]bool{"default_query_exec_mode=exec": true, "": false} {
		opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
		store, _ := newStoreAt(t, withParameters(through, parameters), opts, nil)
		var clients sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			clients.Go(func() {
				for n := 0; n < 50 && errs[i] == nil; n++ {
					_, errs[i] = storage.Update(context.Background(), store, testKey("key"), func(old storage.Record) (storage.Record, error) { return old, nil })
				}
			})
		}
		clients.Wait()
		if err := errors.Join(errs...); works {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "default_query_exec_mode=exec")
		}
	}
}
