package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
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
// nothing else can call Migrate, and one whose user owns a schema that another
// user made can make the tables.
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
	for _, sql := range documented(t, "PostgreSQL: what to set", "sql", schema) {
		run(strings.NewReplacer("SCHEMA resourcekit ", "SCHEMA $ ", "TO app;", "TO $_user;").Replace(sql))
	}
	user := as(schema + "_user")
	require.NoError(t, postgres.Migrate(ctx, user, opts))
	store, err := postgres.New(ctx, user, opts)
	require.NoError(t, err)
	writes := testWrites("key", 2)
	for i := range writes {
		writes[i].Entries, writes[i].Note = []storage.Entry{entry("a")}, &storage.Note{}
	}
	mustWrite(t, store, writes)
	writes[0].Entries = []storage.Entry{uniqueEntry("b")}
	mustWrite(t, store, writes)
	require.NoError(t, store.SetEntries(ctx, writes[1].Record.Key, writes[1].Expect, nil))
	require.Equal(t, []string{"b key-0000"}, found(t, store))
	mustWrite(t, store, deletesOf(writes))
	redacted(t, store, writes[0].Record.Key)
	page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Changes, 4+1)
	require.NoError(t, store.Trim(ctx, time.Now(), storage.Cursor{}))
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

// Statements of the program for version 3.
const (
	create3 = `INSERT INTO $.records (scope, external_id, revision, id, created_at, updated_at, platform, business, schema_id, data)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`
	update3 = `UPDATE $.records SET revision = $4, updated_at = $5, data = $6 WHERE scope = $1 AND external_id = $2 AND revision = $3`
	delete3 = `DELETE FROM $.records WHERE scope = $1 AND external_id = $2 AND revision = $3`
)

// TestMigrateFromVersion3: the records of tables of version 3 stay as they are, and a
// program for version 3 that runs goes on meanwhile and afterwards. What it changes loses
// its entries.
func TestMigrateFromVersion3(t *testing.T) {
	const records = 300
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	pool, old := newPool(t, dsn), newPool(t, dsn)
	ddl, err := os.ReadFile("testdata/version3.sql")
	require.NoError(t, err)
	_, err = pool.Exec(ctx, "CREATE SCHEMA "+opts.Schema+";"+strings.ReplaceAll(string(ddl), "schema.", opts.Schema+"."))
	require.NoError(t, err)
	at := time.Date(2024, 1, 2, 3, 4, 5, 6e6, time.UTC)
	statement := func(sql, id string, args ...any) error {
		sum := testKey("").Scope().Sum()
		tag, err := old.Exec(ctx, strings.ReplaceAll(sql, "$.", opts.Schema+"."), append([]any{sum[:16], id}, args...)...)
		if err == nil && tag.RowsAffected() != 1 {
			err = errors.New("not applied")
		}
		return err
	}
	create := func(id string) error {
		tenant := testKey("").Tenant
		return statement(create3, id, 5, uuid.Max, at, at, tenant.Platform, tenant.Business, testKey("").Schema, []byte(id))
	}
	for i := range records {
		require.NoError(t, create(fmt.Sprintf("%05d", i)))
	}
	_, err = postgres.New(ctx, pool, &opts)
	require.ErrorContains(t, err, "the tables have version 3: run Migrate")

	var stop atomic.Bool
	var program sync.WaitGroup
	revision := 5
	program.Go(func() {
		for !stop.Load() {
			if err := statement(update3, "00007", revision, revision+1, at, []byte("x")); err != nil {
				t.Error(err)
				return
			}
			revision++
		}
	})
	lock := begin(t, pool)
	_, err = lock.Exec(ctx, "SELECT FROM "+opts.Schema+".records WHERE false")
	require.NoError(t, err)
	start := time.Now()
	err = postgres.Migrate(ctx, pool, &opts)
	require.ErrorIs(t, err, storage.ErrUnavailable, "a reader has the table")
	require.ErrorContains(t, err, "55P03")
	require.Less(t, time.Since(start), 15*time.Second)
	require.NoError(t, lock.Rollback(ctx))
	require.NoError(t, postgres.Migrate(ctx, pool, &opts))
	require.NoError(t, postgres.Migrate(ctx, pool, &opts))
	_, err = pool.Exec(ctx, postgres.DDL(&opts))
	require.NoError(t, err, "once more")
	stop.Store(true)
	program.Wait()

	store, err := postgres.New(ctx, pool, &opts)
	require.NoError(t, err)
	page, err := store.List(ctx, testKey("").Scope(), storage.Range{Limit: 1000})
	require.NoError(t, err)
	all := page.Records
	require.Len(t, all, records)
	for i, rec := range all {
		id := fmt.Sprintf("%05d", i)
		want := storage.Record{Key: testKey(id), Revision: 5, ID: uuid.Max, CreatedAt: at, UpdatedAt: at, Data: []byte(id)}
		if i == 7 {
			want.Revision, want.Data = storage.Revision(revision), []byte("x")
		}
		require.Equal(t, want, rec)
	}

	writes := []storage.Write{{Record: all[1], Expect: 5}, {Record: all[2], Expect: 5}, {Record: all[3], Expect: 5}}
	for i := range writes {
		writes[i].Entries = []storage.Entry{uniqueEntry(fmt.Sprint("value ", i))}
	}
	mustWrite(t, store, writes)
	require.NoError(t, store.SetEntries(ctx, all[4].Key, 5, []storage.Entry{entry("set")}))
	require.Equal(t, []string{"set 00004", "value 0 00001", "value 1 00002", "value 2 00003"}, found(t, store))
	require.NoError(t, statement(update3, "00001", int64(writes[0].Expect), int64(writes[0].Expect)+1, at, []byte("y")))
	require.NoError(t, statement(delete3, "00002", int64(writes[1].Expect)))
	require.NoError(t, create("new"))
	require.NoError(t, statement(update3, "00004", 5, 6, at, []byte("y")))
	require.Equal(t, []string{"value 2 00003"}, found(t, store))
	mustBeConsistent(t, pool, opts.Schema)
	_, err = store.Get(ctx, testKey("new"))
	require.NoError(t, err)
}
