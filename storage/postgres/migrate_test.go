package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

func TestMigrateAtTheSameTime(t *testing.T) {
	const programs = 8
	ctx, dsn := context.Background(), pgtest.DSN(t)
	for range 3 {
		opts := &postgres.Options{Schema: pgtest.Schema(t, dsn)}
		var pools []*pgxpool.Pool
		for range programs {
			pool := newPool(t, dsn)
			require.NoError(t, pool.Ping(ctx)) // all start from a connection
			pools = append(pools, pool)
		}
		errs := make(chan error, programs)
		for _, pool := range pools {
			go func() { errs <- postgres.Migrate(ctx, pool, opts) }()
		}
		for range programs {
			require.NoError(t, <-errs)
		}
		store, err := postgres.New(ctx, pools[0], opts)
		require.NoError(t, err)
		_, err = storage.Put(ctx, store, storage.Record{Key: testKey("key")}, 0)
		require.NoError(t, err)
		require.NoError(t, postgres.Migrate(ctx, pools[0], opts), "once more")
		_, err = store.Get(ctx, testKey("key"))
		require.NoError(t, err)
	}
}

func TestNewWithoutMigrate(t *testing.T) {
	dsn := pgtest.DSN(t)
	_, err := postgres.New(context.Background(), newPool(t, dsn), &postgres.Options{Schema: pgtest.Schema(t, dsn)})
	require.ErrorContains(t, err, "run Migrate")
}

// TestOtherVersions: tables that this package does not work with are left alone.
func TestOtherVersions(t *testing.T) {
	ctx := context.Background()
	for _, version := range []string{"1", "2", "5"} {
		opts := &postgres.Options{Schema: pgtest.Schema(t, pgtest.DSN(t))}
		pool := newPool(t, pgtest.DSN(t))
		require.NoError(t, postgres.Migrate(ctx, pool, opts))
		_, err := pool.Exec(ctx, "UPDATE "+opts.Schema+".schema_version SET version = "+version)
		require.NoError(t, err)
		for _, err := range []error{postgres.Migrate(ctx, pool, opts), func() error { _, err := postgres.New(ctx, pool, opts); return err }()} {
			require.ErrorContains(t, err, "the tables have version "+version+", and this program supports only versions 3 and 4")
		}
	}
}

// TestMigrateWithoutPrivileges: a program whose user may use the tables and
// nothing else can call Migrate, and one whose user owns a schema that somebody
// else made can make the tables.
func TestMigrateWithoutPrivileges(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	schema := pgtest.Schema(t, dsn)
	admin := newPool(t, dsn)
	run := func(sql string) { mustExec(t, admin, schema, sql) }
	as := func(user string) *pgxpool.Pool {
		cfg, err := pgxpool.ParseConfig(dsn)
		require.NoError(t, err)
		cfg.ConnConfig.RuntimeParams["role"] = user
		pool, err := pgxpool.NewWithConfig(ctx, cfg)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	run("CREATE ROLE $_owner; CREATE ROLE $_user; CREATE SCHEMA $ AUTHORIZATION $_owner")
	t.Cleanup(func() {
		run("DROP SCHEMA $ CASCADE; DROP OWNED BY $_owner, $_user; DROP ROLE $_owner, $_user")
	})
	opts := &postgres.Options{Schema: schema}
	require.NoError(t, postgres.Migrate(ctx, as(schema+"_owner"), opts))
	run("GRANT USAGE ON SCHEMA $ TO $_user; GRANT SELECT ON ALL TABLES IN SCHEMA $ TO $_user; GRANT SELECT ON ALL SEQUENCES IN SCHEMA $ TO $_user; GRANT INSERT, UPDATE, DELETE ON $.records, $.entries, $.changes TO $_user; GRANT UPDATE ON $.log TO $_user")
	user := as(schema + "_user")
	require.NoError(t, postgres.Migrate(ctx, user, opts))
	store, err := postgres.New(ctx, user, opts)
	require.NoError(t, err)
	rev, err := storage.Put(ctx, store, storage.Record{Key: testKey("key")}, 0)
	require.NoError(t, err)
	require.NoError(t, storage.Delete(ctx, store, testKey("key"), rev))
}

// mustExec runs SQL in which $ is the name of a schema.
func mustExec(t *testing.T, pool *pgxpool.Pool, schema, sql string) {
	_, err := pool.Exec(context.Background(), strings.ReplaceAll(sql, "$", schema))
	require.NoError(t, err)
}

func TestSchemaNames(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	pool := newPool(t, dsn)
	for _, name := range hostileNames {
		table := pgx.Identifier{name, "records"}.Sanitize()
		t.Cleanup(func() {
			_, err := pool.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{name}.Sanitize()+" CASCADE")
			require.NoError(t, err)
		})
		opts := &postgres.Options{Schema: name}
		require.NoError(t, postgres.Migrate(ctx, pool, opts), name)
		store, err := postgres.New(ctx, pool, opts)
		require.NoError(t, err, name)
		ops := testWrites("key", 3)
		mustWrite(t, store, ops)
		mustWrite(t, store, ops)
		require.NoError(t, storage.Delete(ctx, store, ops[0].Record.Key, ops[0].Expect))
		page, err := store.List(ctx, testKey("x").Scope(), after("", 10))
		require.NoError(t, err)
		require.Len(t, page.Records, 2, name)
		var revisions int // that the view has and the trigger changes
		_, err = pool.Exec(ctx, "UPDATE "+table+" AS r SET data = '{}' FROM "+pgx.Identifier{name, "resources"}.Sanitize()+" AS v WHERE v.external_id = r.external_id")
		require.NoError(t, err, name)
		err = pool.QueryRow(ctx, "SELECT count(*) FROM "+table+" WHERE revision <> ALL ($1)", []int64{int64(ops[1].Expect), int64(ops[2].Expect)}).Scan(&revisions)
		require.NoError(t, err, name)
		require.Equal(t, 2, revisions, name)
		_, err = pool.Exec(ctx, postgres.DDL(opts))
		require.NoError(t, err, name)
	}
	for _, name := range []string{strings.Repeat("x", 64), "a\x00b", "\xff"} {
		opts := &postgres.Options{Schema: name}
		require.ErrorIs(t, postgres.Migrate(ctx, pool, opts), storage.ErrInvalid)
		_, err := postgres.New(ctx, pool, opts)
		require.ErrorIs(t, err, storage.ErrInvalid)
	}
}

// TestEncoding: a database that cannot hold every id is refused.
func TestEncoding(t *testing.T) {
	ctx := context.Background()
	schema := pgtest.Schema(t, pgtest.DSN(t))
	pool := newPool(t, withParameters(pgtest.DSN(t), "client_encoding=LATIN1"))
	require.ErrorContains(t, postgres.Migrate(ctx, pool, &postgres.Options{Schema: schema}), "UTF8")
}
