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
	t.Parallel()
	storagetest.RunDurable(t, durable(t, pgtest.DSN, ""))
}

// TestStoreSerializable runs the suite where a conflict is an error of the
// server (40001) and reads can meet one.
func TestStoreSerializable(t *testing.T) {
	t.Parallel()
	storagetest.RunDurable(t, durable(t, pgtest.DSN, "default_transaction_isolation=serializable"))
}

// TestStoreRemembering runs the suite with package recent in front of the store, of
// each of two stores on the same records, and of one whose answers get lost.
func TestStoreRemembering(t *testing.T) {
	t.Parallel()
	d := durable(t, pgtest.DSN, "")
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
	t.Parallel()
	dsn := pgtest.Bouncer(t, pgtest.DSN(t))
	d := durable(t, func(testing.TB) string { return dsn }, "default_query_exec_mode=exec&timezone=Asia/Kathmandu")
	storagetest.Run(t, func(t *testing.T) storage.Store {
		store, err := d.Open(context.Background(), d.New(t))
		require.NoError(t, err)
		return store
	})
}

// durable returns what the suite needs of a server, for the cases of a test. A place is the
// name of a schema, a blank, and the DSN.
func durable(suite *testing.T, server func(testing.TB) string, parameters string) storagetest.Durable {
	pool := &schemas{suite: suite}
	newPlace := func(t *testing.T) string {
		schema := pool.take(t)
		return schema + " " + withParameters(withParameters(server(t), parameters), "application_name="+schema)
	}
	return storagetest.Durable{
		New: newPlace,
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
		Copy: func(t *testing.T, from string) string {
			to := newPlace(t)
			copyTables(t, from, to)
			return to
		},
	}
}

// copyTables copies a place row by row, as a dump does.
func copyTables(t *testing.T, from, to string) {
	from, dsn, _ := strings.Cut(from, " ")
	to, _, _ = strings.Cut(to, " ")
	pool := newPool(t, dsn)
	defer pool.Close()
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
}

// schemas are SQL schemas with tables for the cases of a suite, which run one after the
// other and do not change the tables. To empty tables is 20 times faster than to make and
// to drop them. All are dropped at the end of the suite.
type schemas struct {
	suite *testing.T
	conn  *pgx.Conn
	free  []string
}

// take returns a schema as Migrate makes it, for the case t. Sessions that use it must have
// its name as application_name.
func (s *schemas) take(t *testing.T) (name string) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	if s.conn == nil {
		conn, err := pgx.Connect(ctx, dsn)
		require.NoError(t, err)
		s.suite.Cleanup(func() { _ = conn.Close(ctx) })
		s.conn = conn
	}
	if last := len(s.free) - 1; last >= 0 {
		name, s.free = s.free[last], s.free[:last]
		s.empty(t, name)
	} else {
		name = pgtest.Schema(s.suite, dsn)
		require.NoError(t, postgres.Migrate(ctx, newPool(t, dsn), &postgres.Options{Schema: name}))
	}
	t.Cleanup(func() { s.free = append(s.free, name) })
	return name
}

// empty makes the tables as new. Sessions of the case before may still have a statement to
// run, of a call that was given up or a process that was killed: it ends them first.
// (TRUNCATE makes new files, and is as slow as Migrate.)
func (s *schemas) empty(t *testing.T, name string) {
	ctx := context.Background()
	rows, err := s.conn.Query(ctx, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = $1", name)
	require.NoError(t, err)
	_, err = pgx.CollectRows(rows, pgx.RowTo[bool])
	require.NoError(t, err)
	_, err = s.conn.Exec(ctx, strings.ReplaceAll(`
DELETE FROM schema.records;
DELETE FROM schema.entries;
DELETE FROM schema.changes;
SELECT setval('schema.changes_seq_seq', 2, false);
DELETE FROM schema.log;
INSERT INTO schema.log DEFAULT VALUES`, "schema.", name+"."))
	require.NoError(t, err)
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
