package postgres_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// execModes are the ways in which the driver can send statements.
var execModes = []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}

// works writes and reads by every method, and demands to read what was written.
func works(t *testing.T, store storage.Store, what string) {
	ctx := context.Background()
	rec := storage.Record{
		Key: testKey(`a 'quoted' "id" \ {,} $1 é NULL`), ID: testKey("").Schema,
		CreatedAt: time.Time{}, UpdatedAt: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
		Data: []byte("\\x00 '\x00\xff"),
	}
	for _, id := range []string{rec.Key.ExternalID, "NULL", "null"} {
		rec.Key.ExternalID = id
		ops := []storage.Write{{Record: rec}}
		mustWrite(t, store, ops)
		got, err := store.GetMany(ctx, []storage.Key{rec.Key, testKey("absent")})
		require.NoError(t, err, what)
		rec.Revision = got[0].Revision
		require.Equal(t, rec, got[0], what)
		require.Zero(t, got[1].Revision, what)
		rec.CreatedAt, rec.UpdatedAt = rec.UpdatedAt, rec.CreatedAt // an update leaves the one
		mustWrite(t, store, []storage.Write{{Record: rec, Expect: rec.Revision}})
		rec.CreatedAt = rec.CreatedAt.UTC()
		created := got[0].CreatedAt
		got[0], err = store.Get(ctx, rec.Key)
		require.NoError(t, err, what)
		require.NotEqual(t, rec.Revision, got[0].Revision, what)
		rec.Revision, rec.CreatedAt = got[0].Revision, created
		require.Equal(t, rec, got[0], what)

		_, err = storage.Put(ctx, store, rec, rec.Revision+1)
		require.Equal(t, &rec, currentOf(t, err), what)
		rec.UpdatedAt = time.Date(2024, 2, 1, 3, 4, 5, 6e6, time.UTC) // day and month in either order
		rec.Revision, err = storage.Put(ctx, store, rec, rec.Revision)
		require.NoError(t, err, what)
		page, err := store.List(ctx, rec.Key.Scope(), after("", 1))
		require.NoError(t, err, what)
		require.Equal(t, []storage.Record{rec}, page.Records, what)
		_, err = storage.Put(ctx, store, rec, 0)
		require.Equal(t, &rec, currentOf(t, err), what)
		require.NoError(t, storage.Delete(ctx, store, rec.Key, rec.Revision), what)
		rec.Key.ExternalID, rec.Data = "large", make([]byte, 17<<10) // more than its share of a page
		large := []storage.Write{{Record: rec}}
		mustWrite(t, store, large)
		page, err = store.List(ctx, rec.Key.Scope(), after("", storage.MaxPage))
		require.NoError(t, err, what)
		rec.Revision = large[0].Expect
		require.Equal(t, []storage.Record{rec}, page.Records, what)
		mixed := append(deletesOf(large), testWrites("mixed", 1)...)
		mustWrite(t, store, mixed)
		mustWrite(t, store, deletesOf(mixed[1:]))
		rec.Revision, rec.Data, rec.CreatedAt = 0, []byte("{}"), time.Time{}
	}
}

// TestSettings: with every setting of the session that changes how the server reads
// or writes values, and every mode of the driver, the store either reads what it
// writes or does not start.
func TestSettings(t *testing.T) {
	t.Parallel()
	ctx, dsn := context.Background(), pgtest.DSN(t)
	setup := newPool(t, dsn)
	hostile := pgtest.Schema(t, dsn)
	_, err := setup.Exec(ctx, "CREATE SCHEMA "+hostile+"; CREATE FUNCTION "+hostile+".octet_length(bytea) RETURNS integer LANGUAGE sql AS 'SELECT 2147483647'")
	require.NoError(t, err)
	opts := &postgres.Options{Schema: pgtest.Schema(t, dsn)}
	require.NoError(t, postgres.Migrate(ctx, setup, opts))
	const always, simple = "", "simple_protocol"
	for _, tt := range []struct {
		name, value string
		refused     string // what New says
		mode        string // if that is in one mode only
	}{
		{"bytea_output", "escape", "", ""},
		{"datestyle", "German", "", ""},
		{"datestyle", "SQL, DMY", "", ""},
		{"datestyle", "Postgres, MDY", "", ""},
		{"datestyle", "ISO, YMD", "", ""},
		{"timezone", "Asia/Kathmandu", "", ""},
		{"timezone", "Europe/Amsterdam", "", ""}, // whose offset had seconds long ago
		{"timezone", "<a-b>+3:15", "", ""},
		{"timezone_abbreviations", "India", "", ""},
		{"intervalstyle", "sql_standard", "", ""},
		{"extra_float_digits", "-15", "", ""},
		{"array_nulls", "off", "", ""},
		{"backslash_quote", "off", "", ""},
		{"standard_conforming_strings", "off", "standard_conforming_strings", simple},
		{"client_encoding", "LATIN1", "client_encoding=UTF8", always},
		{"client_encoding", "SQL_ASCII", "client_encoding=UTF8", always},
		{"search_path", "", "", ""},
		{"search_path", hostile, "", ""},
		{"search_path", hostile + ", pg_catalog", "search_path", always},
		{"quote_all_identifiers", "on", "", ""},
		{"transform_null_equals", "on", "", ""},
		{"row_security", "off", "", ""},
		{"check_function_bodies", "off", "", ""},
		{"session_replication_role", "replica", "", ""},
		{"default_transaction_isolation", "serializable", "", ""},
		{"default_transaction_deferrable", "on", "", ""},
		{"synchronous_commit", "off", "", ""},
		{"client_min_messages", "debug5", "", ""},
		{"plan_cache_mode", "force_generic_plan", "", ""},
		{"enable_indexscan", "off", "", ""},
		{"exit_on_error", "on", "", ""},
		{"lc_messages", "C", "", ""},
	} {
		for _, mode := range execModes {
			what := fmt.Sprintf("%s=%s, %s", tt.name, tt.value, mode)
			cfg, err := pgxpool.ParseConfig(withParameters(dsn, "default_query_exec_mode="+mode))
			require.NoError(t, err)
			cfg.MaxConns = 2
			cfg.ConnConfig.RuntimeParams[tt.name] = tt.value
			pool, err := pgxpool.NewWithConfig(ctx, cfg)
			require.NoError(t, err)
			refused := tt.refused != "" && (tt.mode == always || tt.mode == mode)
			if mode == simple {
				err := postgres.Migrate(ctx, pool, &postgres.Options{Schema: pgtest.Schema(t, dsn)})
				require.Equal(t, refused, err != nil, "%s: %v", what, err)
			}
			store, err := postgres.New(ctx, pool, opts)
			if refused {
				require.ErrorContains(t, err, tt.refused, what)
				require.NotErrorIs(t, err, storage.ErrUnavailable, what)
			} else {
				require.NoError(t, err, what)
				works(t, store, what)
			}
			pool.Close()
		}
	}
}

// TestDatabaseSettingsBehindPgBouncer: in transaction mode a session's own settings
// are lost, and the database's count.
func TestDatabaseSettingsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	ctx, server := context.Background(), pgtest.Start(t, pgtest.Config{}).DSN()
	admin, err := pgx.Connect(ctx, server)
	require.NoError(t, err)
	defer admin.Close(ctx)
	for _, setting := range []string{"bytea_output = 'escape'", "DateStyle = 'German'", "TimeZone = 'Asia/Kathmandu'", "IntervalStyle = 'iso_8601'"} {
		_, err := admin.Exec(ctx, "ALTER DATABASE postgres SET "+setting)
		require.NoError(t, err)
	}
	dsn := pgtest.Bouncer(t, server)
	for _, mode := range []string{"exec", "simple_protocol"} {
		store, _ := newStoreAt(t, withParameters(dsn, "default_query_exec_mode="+mode), postgres.Options{}, nil)
		works(t, store, mode)
	}
}
