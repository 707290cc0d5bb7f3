package postgres_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// lockRows makes writes of the records with these ids wait until it is called again.
func lockRows(t *testing.T, pool *pgxpool.Pool, schema string, ids ...string) (unlock func()) {
	ctx := context.Background()
	tx, err := pool.Begin(ctx)
	require.NoError(t, err)
	var n int
	err = tx.QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+schema+".records WHERE external_id = ANY ($1) FOR UPDATE) AS r", ids).Scan(&n)
	require.NoError(t, err)
	require.Equal(t, len(ids), n)
	unlock = func() { _ = tx.Rollback(ctx) }
	t.Cleanup(unlock)
	return unlock
}

// waiting waits until a statement about the schema waits for a lock.
func waiting(t *testing.T, beside *pgxpool.Pool, schema string) {
	require.Eventually(t, func() bool {
		var n int
		err := beside.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1", "%"+schema+"%").Scan(&n)
		return err == nil && n == 1
	}, 20*time.Second, time.Millisecond)
}

// TestLockedRowTakesOneConnection: clients that give up and come again, on one row
// that another session has locked, take one connection however they write, and
// the other connections are there for the rest.
func TestLockedRowTakesOneConnection(t *testing.T) {
	const clients = 6
	for _, tt := range []struct {
		name  string
		write func(context.Context, *postgres.Store, storage.Record) error
	}{
		{"put", func(ctx context.Context, s *postgres.Store, rec storage.Record) error {
			_, err := storage.Put(ctx, s, rec, rec.Revision)
			return err
		}},
		{"delete", func(ctx context.Context, s *postgres.Store, rec storage.Record) error {
			return storage.Delete(ctx, s, rec.Key, rec.Revision)
		}},
		{"update", func(ctx context.Context, s *postgres.Store, rec storage.Record) error {
			_, err := storage.Update(ctx, s, rec.Key, func(old storage.Record) (storage.Record, error) { return old, nil })
			return err
		}},
		{"put many", func(ctx context.Context, s *postgres.Store, rec storage.Record) error {
			ops := append(testWrites(uuid.NewString(), 3), storage.Write{Record: rec, Expect: rec.Revision})
			return writeIn(ctx, s, ops)[3]
		}},
		{"delete many", func(ctx context.Context, s *postgres.Store, rec storage.Record) error {
			return writeIn(ctx, s, append(deletesOf([]storage.Write{{Record: rec, Expect: rec.Revision}}), testWrites(uuid.NewString(), 1)...))[0]
		}},
		{"patch", func(ctx context.Context, s *postgres.Store, rec storage.Record) error {
			c, err := resource.NewCollection(customers, s, nil)
			if err != nil {
				return err
			}
			_, err = c.Patch(ctx, rec.Key.Tenant, rec.Key.ExternalID, []byte(`{"email":"`+uuid.NewString()+`"}`), nil)
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, dsn := context.Background(), pgtest.DSN(t)
			opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
			store, pool := newStoreAt(t, dsn, opts, func(cfg *pgxpool.Config) { cfg.MaxConns = 4 })
			rec := storage.Record{Key: testKey("locked"), Data: []byte(`{"customerId":"locked","firstName":"a","lastName":"b","createdAt":"2024-01-02T03:04:05Z"}`)}
			rec.Key.Schema = customers.ID()
			var err error
			rec.Revision, err = storage.Put(ctx, store, rec, 0)
			require.NoError(t, err)
			beside := newPool(t, dsn)
			unlock := lockRows(t, beside, opts.Schema, "locked")
			goroutines := runtime.NumGoroutine()

			first, leave := context.WithCancel(ctx)
			left := make(chan error)
			go func() { left <- tt.write(first, store, rec) }()
			waiting(t, beside, opts.Schema)
			leave()
			require.ErrorIs(t, <-left, storage.ErrUnknownOutcome, "it was sent")
			for range clients {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				err := tt.write(ctx, store, rec)
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, storage.ErrUnknownOutcome, "it was not sent")
			}
			require.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 1 }, 5*time.Second, time.Millisecond)
			_, err = store.Get(ctx, testKey("another"))
			require.ErrorIs(t, err, storage.ErrNotFound)

			unlock()
			require.NoError(t, store.Close())
			require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, 10*time.Second, time.Millisecond)
		})
	}
}

var customers = schema.Customers()

// TestLockedRowsLeaveAConnectionForReads: writes that wait, each for another row,
// never take the last connection.
func TestLockedRowsLeaveAConnectionForReads(t *testing.T) {
	const rows, conns = 8, 4
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, func(cfg *pgxpool.Config) { cfg.MaxConns = conns })
	ops := testWrites("locked", rows)
	mustWrite(t, store, ops)
	var ids []string
	for _, op := range ops {
		ids = append(ids, op.Record.Key.ExternalID)
	}
	beside := newPool(t, dsn)
	unlock := lockRows(t, beside, opts.Schema, ids...)
	failed := make(chan error, rows)
	for _, op := range ops {
		go func() {
			_, err := storage.Put(ctx, store, op.Record, op.Expect)
			failed <- err
		}()
	}
	require.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == conns-1 }, 10*time.Second, time.Millisecond)
	for range 20 {
		_, err := store.Get(ctx, testKey("another"))
		require.ErrorIs(t, err, storage.ErrNotFound)
		require.Equal(t, int32(conns-1), pool.Stat().AcquiredConns())
	}
	unlock()
	for range rows {
		require.NoError(t, <-failed)
	}
}

// TestCloseEndsTheQueue: Close does not wait for those who have sent nothing, and
// they get ErrClosed.
func TestCloseEndsTheQueue(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "")
	unlock := lock(t, beside, schema, false)
	failed := make(chan error)
	put := func(ctx context.Context) {
		_, err := storage.Put(ctx, store, rec, rec.Revision)
		failed <- err
	}
	ctx, leave := context.WithCancel(context.Background())
	go put(ctx)
	blocked(t, beside, schema, 1)
	leave()
	require.ErrorIs(t, <-failed, storage.ErrUnknownOutcome)
	const waiting = 5
	for range waiting {
		go put(context.Background())
	}
	time.Sleep(20 * time.Millisecond) // so that most of them wait; the others find it closed
	closed := make(chan error)
	go func() { closed <- store.Close() }()
	for range waiting {
		require.ErrorIs(t, <-failed, storage.ErrClosed)
	}
	unlock()
	require.NoError(t, <-closed)
}
