package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestPlans: the server reads pages in the order of an index, without a sort, and with
// many rows in the log of a batch it compares them by a hash or a merge. It plans for
// values that it does not know.
func TestPlans(t *testing.T) {
	ctx := context.Background()
	dsn := pgtest.DSN(t)
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	opts := Options{Schema: pgtest.Schema(t, dsn)}
	require.NoError(t, Migrate(ctx, pool, &opts))
	sql := newStatements(opts.Schema, false)
	_, err = pool.Exec(ctx, inSchema(opts.Schema, `
INSERT INTO schema.records SELECT md5((i % 4)::text)::uuid, i::text, 1, schema.scope(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), now(), now(),
	'x', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), ARRAY[decode('0000000001' || encode(i::text::bytea, 'hex'), 'hex')], 1
FROM generate_series(1, 4000) AS i;
INSERT INTO schema.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, at, actor, reason)
SELECT scope, external_id, platform, business, schema_id, n, 0, id, false, now(), '', '' FROM schema.records, generate_series(1, 3) AS n;
ANALYZE schema.records, schema.entries, schema.changes`))
	require.NoError(t, err)
	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	const ordered, joined, read = "Sort", "Nested Loop", "Seq Scan on changes"
	for _, tt := range []struct {
		name, sql string
		not       string
		index     string
	}{
		{"list", sql.list[forwards], ordered, "records_pkey"},
		{"list backwards", sql.list[backwards], ordered, "Backward using records_pkey"},
		{"list of large records", sql.listLarge[backwards], ordered, "Backward using records_pkey"},
		{"lookup", sql.lookup[forwards], ordered, "entries_pkey"},
		{"lookup backwards", sql.lookup[backwards], ordered, "Backward using entries_pkey"},
		{"lookup of large records", sql.lookupLarge[backwards], ordered, "Backward using entries_pkey"},
		{"changes", sql.changes, ordered, "changes_pkey"},
		{"changes of a scope", sql.changesOf, ordered, "changes_scope"},
		{"changes of a key", sql.changesKey, ordered, "changes_key"},
		{"changes of a key backwards", sql.changesBefore, ordered, "Backward using changes_key"},
		{"look", sql.look, ordered, "Backward using changes_pkey"},
		{"trim", sql.trim, read, "changes_pkey"},
		{"redact", sql.redact, read, "Hash Full Join"},
		{"log of creates", sql.logged[1][create], joined, ""},
		{"log of deletes", sql.logged[1][remove], "Join Filter", "records_pkey"},
		{"log of updates", sql.logged[1][update], "Join Filter", "records_pkey"},
	} {
		text := planOf(t, conn.Conn(), tt.sql)
		require.NotContains(t, text, tt.not, tt.name)
		require.Contains(t, text, tt.index, tt.name)
	}
}

// planOf returns the plan of a statement for values that the server does not know.
func planOf(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	ctx := context.Background()
	_, err := conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan")
	require.NoError(t, err)
	statement, err := conn.Prepare(ctx, "", sql)
	require.NoError(t, err, sql)
	args := strings.TrimSuffix(strings.Repeat("NULL,", len(statement.ParamOIDs)), ",")
	_, err = conn.Exec(ctx, "PREPARE planned AS "+sql)
	require.NoError(t, err, sql)
	rows, err := conn.Query(ctx, fmt.Sprintf("EXPLAIN EXECUTE planned (%s)", args), pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err, sql)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err, sql)
	_, err = conn.Exec(ctx, "DEALLOCATE planned")
	require.NoError(t, err)
	return strings.Join(plan, "\n")
}

// TestPlansOfLargeTenant: for a tenant with many records the server starts no workers, which
// would take longer than a page.
func TestPlansOfLargeTenant(t *testing.T) {
	ctx := context.Background()
	dsn := pgtest.DSN(t)
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	opts := Options{Schema: pgtest.Schema(t, dsn)}
	require.NoError(t, Migrate(ctx, pool, &opts))
	// Without the triggers, which take long for so many.
	_, err = conn.Exec(ctx, inSchema(opts.Schema, `
ALTER TABLE schema.records DISABLE TRIGGER USER;
INSERT INTO schema.records SELECT schema.scope(one, one, one), i::text, 1, one, now(), now(), repeat('x', 300)::bytea, one, one, one
FROM generate_series(1, 100000) AS i, (SELECT md5('')::uuid AS one) AS o;
INSERT INTO schema.entries SELECT scope, decode('00000001' || md5(external_id), 'hex'), external_id, false FROM schema.records;
ANALYZE schema.records, schema.entries`))
	require.NoError(t, err)
	sql := newStatements(opts.Schema, false)
	for _, statements := range [][2]string{sql.list, sql.listLarge, sql.lookup, sql.lookupLarge} {
		for _, statement := range statements {
			plan := planOf(t, conn, statement)
			require.NotContains(t, plan, "Parallel", statement)
			require.NotContains(t, plan, "Sort", statement)
		}
	}
	for _, statement := range append(sql.lookup[:], sql.lookupLarge[:]...) {
		require.Contains(t, statement, fmt.Sprintf("LIMIT %d\n", storage.MaxPage+1))
	}
}

// TestMovesReadTheirOwnEntries: an update whose entries move reads a few blocks of the table
// of entries, and not those of the whole scope, also where the planner knows nothing of
// the table. So does a SetEntries of entries that are there.
func TestMovesReadTheirOwnEntries(t *testing.T) {
	ctx := context.Background()
	dsn := pgtest.DSN(t)
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	opts := Options{Schema: pgtest.Schema(t, dsn)}
	require.NoError(t, Migrate(ctx, pool, &opts))
	const entries = `ARRAY[decode('0000000001' || md5(i::text || $1), 'hex'), decode('0000000002' || md5(i::text), 'hex')]`
	in := func(sql string) string { return inSchema(opts.Schema, sql) }
	_, err = pool.Exec(ctx, in(`
ALTER TABLE schema.entries SET (autovacuum_enabled = false);
ALTER TABLE schema.records SET (autovacuum_enabled = false)`))
	require.NoError(t, err)
	_, err = pool.Exec(ctx, in(`
INSERT INTO schema.records SELECT md5('')::uuid, i::text, 1, md5(i::text)::uuid, now(), now(), 'x', md5('')::uuid, md5('')::uuid, md5('')::uuid, `+entries+`, 1
FROM generate_series(1, 10000) AS i`), "before")
	require.NoError(t, err)

	conn, err := pool.Acquire(ctx)
	require.NoError(t, err)
	defer conn.Release()
	read := func() (blocks int) { // of the table of entries and its indexes, so far
		t.Helper()
		_, err := conn.Exec(ctx, "SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		err = conn.QueryRow(ctx, `
SELECT heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read FROM pg_statio_user_tables
WHERE schemaname = $1 AND relname = 'entries'`, opts.Schema).Scan(&blocks)
		require.NoError(t, err)
		return blocks
	}
	const updates = 20 // more than the server plans for each anew
	before := read()
	for i := range updates {
		_, err := conn.Exec(ctx, in(`
UPDATE schema.records SET revision = revision + 1, generation = 2, entries = (SELECT `+entries+` FROM (VALUES ($2::text)) AS v (i))
WHERE scope = md5('')::uuid AND external_id = $2`), "after", fmt.Sprint(i+1))
		require.NoError(t, err)
	}
	moved := read()
	for i := range updates {
		_, err := conn.Exec(ctx, in(`
UPDATE schema.records SET generation = -1 WHERE scope = md5('')::uuid AND external_id = $1`), fmt.Sprint(i+5000))
		require.NoError(t, err)
	}
	set := read()
	t.Logf("blocks for an update: %d moved, %d set", (moved-before)/updates, (set-moved)/updates)
	require.Less(t, moved-before, 40*updates)
	require.Less(t, set-moved, 40*updates)
}
