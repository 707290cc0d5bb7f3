package postgres_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.RunDurable(t, durable(pgtest.DSN, fast))
}

// fast is for tests in which the server need not wait for the disk. It matters to a crash
// of the server alone, which the suite does not cause: its kills are of programs. The
// suite with PgBouncer waits.
const fast = "synchronous_commit=off"

// TestStoreSerializable runs the suite where a conflict is an error of the
// server (40001) and reads can meet one.
func TestStoreSerializable(t *testing.T) {
	storagetest.RunDurable(t, durable(pgtest.DSN, "default_transaction_isolation=serializable&"+fast))
}

// TestStoreRemembering runs the suite with package recent in front of the store, of
// each of two stores on the same records, and of one whose answers get lost.
func TestStoreRemembering(t *testing.T) {
	d := durable(pgtest.DSN, fast)
	d.Block = nil // a write that waits remembers nothing
	d.OpenConn = func(ctx context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error) {
		store, err := open(ctx, place, wrap)
		if err != nil {
			return nil, err
		}
		return recent.New(store, 1<<20), nil
	}
	d.Open = func(ctx context.Context, place string) (storage.Store, error) { return d.OpenConn(ctx, place, nil) }
	storagetest.RunDurable(t, d)
}

// TestStoreBehindPgBouncer runs the suite in the mode that the documentation
// recommends. Times then come as text, in the time zone of the session.
func TestStoreBehindPgBouncer(t *testing.T) {
	dsn := pgtest.Bouncer(t, pgtest.DSN(t))
	storagetest.Run(t, func(t *testing.T) storage.Store {
		d := durable(func(testing.TB) string { return dsn }, "default_query_exec_mode=exec&timezone=Asia/Kathmandu")
		store, err := d.Open(context.Background(), d.New(t))
		require.NoError(t, err)
		return store
	})
}

// durable returns what the suite needs of a server. A place is the name of a
// schema, a blank, and the DSN.
func durable(server func(testing.TB) string, parameters string) storagetest.Durable {
	return storagetest.Durable{
		New: func(t *testing.T) string {
			dsn := withParameters(server(t), parameters)
			schema := pgtest.Schema(t, pgtest.DSN(t))
			pool := newPool(t, dsn)
			require.NoError(t, postgres.Migrate(context.Background(), pool, &postgres.Options{Schema: schema}))
			pool.Close()
			return schema + " " + dsn
		},
		Open: func(ctx context.Context, place string) (storage.Store, error) {
			return open(ctx, place, nil)
		},
		OpenConn: open,
		Block: func(t *testing.T, place string) func() {
			schema, dsn, _ := strings.Cut(place, " ")
			conn, err := pgx.Connect(context.Background(), dsn)
			require.NoError(t, err)
			// Reads pass this lock, and writes do not.
			_, err = conn.Exec(context.Background(), "BEGIN; LOCK TABLE "+schema+".records IN SHARE MODE")
			require.NoError(t, err)
			return func() { _ = conn.Close(context.Background()) }
		},
		Copy: copyPlace,
	}
}

// copyPlace copies the tables into another schema, row by row, as a dump does.
func copyPlace(t *testing.T, place string) (copied string) {
	from, dsn, _ := strings.Cut(place, " ")
	to := pgtest.Schema(t, pgtest.DSN(t))
	pool := newPool(t, dsn)
	defer pool.Close()
	require.NoError(t, postgres.Migrate(context.Background(), pool, &postgres.Options{Schema: to}))
	for _, statement := range []string{
		"INSERT INTO new.records SELECT * FROM old.records",
		"INSERT INTO new.changes OVERRIDING SYSTEM VALUE SELECT * FROM old.changes",
		"SELECT setval('new.changes_seq_seq', last_value, is_called) FROM old.changes_seq_seq",
		"DELETE FROM new.log",
		"INSERT INTO new.log SELECT * FROM old.log",
	} {
		_, err := pool.Exec(context.Background(), strings.NewReplacer("new.", to+".", "old.", from+".").Replace(statement))
		require.NoError(t, err, statement)
	}
	return to + " " + dsn
}

// withParameters adds to the query of a DSN that is a URL.
func withParameters(dsn, parameters string) string {
	switch {
	case parameters == "":
		return dsn
	case strings.Contains(dsn, "?"):
		return dsn + "&" + parameters
	}
	return dsn + "?" + parameters
}

// pooledStore is a store with a pool of its own.
type pooledStore struct {
	*postgres.Store
	pool *pgxpool.Pool
}

func (s pooledStore) Close() error {
	err := s.Store.Close()
	s.pool.Close()
	return err
}

func open(ctx context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error) {
	schema, dsn, _ := strings.Cut(place, " ")
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if wrap != nil {
		dial := cfg.ConnConfig.DialFunc
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return wrap(conn), nil
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	store, err := postgres.New(ctx, pool, &postgres.Options{Schema: schema})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return pooledStore{store, pool}, nil
}

func newPool(t testing.TB, dsn string) *pgxpool.Pool {
	pool, err := pgxpool.New(context.Background(), dsn)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
