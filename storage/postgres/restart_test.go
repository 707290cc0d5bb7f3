package postgres_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// unchecked is a pool that does not ping connections by itself, as it would after
// they have been idle for a second.
func unchecked(cfg *pgxpool.Config) {
	cfg.MaxConns = 8
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
}

// fill makes the pool open all of its connections.
func fill(t *testing.T, pool *pgxpool.Pool) {
	var conns []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(context.Background())
		require.NoError(t, err)
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		conn.Release()
	}
}

// absent reports whether a call failed because there is no record, or no longer none.
func absent(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConflict)
}

// calls are one call of each kind. None may fail, except for want of a record.
func calls(store storage.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"put": func(ctx context.Context) error {
			_, err := storage.Put(ctx, store, storage.Record{Key: testKey("put")}, 0)
			return err
		},
		"delete": func(ctx context.Context) error { return storage.Delete(ctx, store, testKey("delete"), 1) },
		"get": func(ctx context.Context) error {
			_, err := store.Get(ctx, testKey("get"))
			return err
		},
		"list": func(ctx context.Context) error {
			_, err := store.List(ctx, testKey("").Scope(), after("", 10))
			return err
		},
		"get many": func(ctx context.Context) error {
			_, err := store.GetMany(ctx, []storage.Key{testKey("get")})
			return err
		},
		"write many": func(ctx context.Context) error {
			return writeIn(ctx, store, testWrites("write many", 2))[0]
		},
		"delete many": func(ctx context.Context) error {
			return writeIn(ctx, store, append(deletesOf([]storage.Write{{Record: storage.Record{Key: testKey("delete")}, Expect: 1}}), testWrites("delete many", 1)...))[0]
		},
		"lookup": func(ctx context.Context) error {
			_, err := store.Lookup(ctx, testKey("").Scope(), 1, storage.Range{Limit: 10})
			return err
		},
		"set entries": func(ctx context.Context) error { return store.SetEntries(ctx, testKey("delete"), 1, nil) },
		"changes": func(ctx context.Context) error {
			_, err := store.Changes(ctx, storage.ChangeQuery{Limit: 10})
			return err
		},
		"redact": func(ctx context.Context) error {
			_, err := store.Redact(ctx, testKey("delete"), storage.Note{})
			return err
		},
		"trim": func(ctx context.Context) error { return store.Trim(ctx, time.Now(), storage.Cursor{}) },
	}
}

// TestRestartedServer: no call fails for a connection that the restart of the server
// has ended, however many there are.
func TestRestartedServer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := pgtest.Start(t, pgtest.Config{})
	store, pool := newStoreAt(t, server.DSN(), postgres.Options{}, unchecked)
	for name, call := range calls(store) {
		fill(t, pool)
		server.Restart(t)
		require.EqualValues(t, 8, pool.Stat().IdleConns(), "connections of which the pool does not know that they have ended")
		if err := call(ctx); err != nil {
			require.True(t, absent(err), "%s: %v", name, err)
		}
	}
}

// TestIdleSession: the server ends sessions that are idle (57P05). A call that finds
// its session ended is made in another one, as nothing of it was done: also where the
// store cannot look at the socket.
func TestIdleSession(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	beside := newPool(t, dsn)
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"socket":  func(conn net.Conn) net.Conn { return conn },
		"wrapped": func(conn net.Conn) net.Conn { return struct{ net.Conn }{conn} },
	} {
		opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
		store, pool := newStoreAt(t, withParameters(dsn, "application_name="+opts.Schema), opts, func(cfg *pgxpool.Config) {
			unchecked(cfg)
			cfg.MaxConns = 1
			dial := cfg.ConnConfig.DialFunc
			cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return wrap(conn), nil
			}
		})
		for call, fn := range calls(store) {
			_, err := pool.Exec(ctx, "SET idle_session_timeout = '1ms'")
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				var sessions int
				err := beside.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", opts.Schema).Scan(&sessions)
				return err == nil && sessions == 0
			}, 10*time.Second, time.Millisecond)
			if err := fn(ctx); err != nil {
				require.True(t, absent(err), "%s: %s: %v", name, call, err)
			}
		}
	}
}

// TestTerminatedRead: a read whose session the server ends is made in another one.
func TestTerminatedRead(t *testing.T) {
	store, beside, schema, rec := lockable(t, postgres.Options{}, "application_name=terminated_read")
	unlock := lock(t, beside, schema, true)
	got := make(chan error)
	go func() {
		_, err := store.Get(context.Background(), rec.Key)
		got <- err
	}()
	blocked(t, beside, schema, 1)
	var ended int
	err := beside.QueryRow(context.Background(), "SELECT count(*) FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'terminated_read' AND wait_event_type = 'Lock') AS t").Scan(&ended)
	require.NoError(t, err)
	require.Equal(t, 1, ended)
	unlock()
	require.NoError(t, <-got)
}
