package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestView: a document that jsonb refuses is NULL in the view, and hides nothing else.
func TestView(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	documents := map[string]string{
		"plain":              `{"email":"a@b.c"}`,
		"long number":        `{"n":1e131071}`,
		"NUL":                `{"s":"\u0000"}`,
		"surrogate":          `{"s":"\ud800"}`,
		"large exponent":     `{"n":1e200000}`,
		"huge exponent":      `{"n":1e99999999999999999999}`,
		"small exponent":     `{"n":1e-20000}`,
		"invalid UTF-8":      "{\"s\":\"\xff\"}",
		"NUL byte":           "{\"s\":\"\x00\"}",
		"not JSON":           `{`,
		"empty":              ``,
		"too deep":           strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"many array members": "[" + strings.Repeat("1,", 1<<20) + "1]",
	}
	for id, data := range documents {
		_, err := storage.Put(ctx, store, storage.Record{Key: testKey(id), Data: []byte(data)}, 0)
		require.NoError(t, err, id)
	}
	rows, err := pool.Query(ctx, "SELECT external_id, data IS NULL FROM "+opts.Schema+".resources ORDER BY external_id")
	require.NoError(t, err)
	got := make(map[string]bool)
	var id string
	var null bool
	_, err = pgx.ForEachRow(rows, []any{&id, &null}, func() error { got[id] = null; return nil })
	require.NoError(t, err)
	for id := range documents {
		readable := id == "plain" || id == "long number" || id == "many array members"
		require.Equal(t, !readable, got[id], id)
	}
	var email string
	err = pool.QueryRow(ctx, "SELECT data ->> 'email' FROM "+opts.Schema+".resources WHERE external_id = 'plain'").Scan(&email)
	require.NoError(t, err)
	require.Equal(t, "a@b.c", email)
}

// TestScope: the scope of every row is that of its three columns, whichever
// statement made the row.
func TestScope(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	var ops []storage.Write
	for i := range 8 {
		key := storage.Key{Tenant: storage.Tenant{Platform: uuid.New(), Business: uuid.New()}, Schema: uuid.New(), ExternalID: "x"}
		if i == 0 {
			_, err := storage.Put(ctx, store, storage.Record{Key: key}, 0)
			require.NoError(t, err)
			continue
		}
		ops = append(ops, storage.Write{Record: storage.Record{Key: key}})
	}
	mustWrite(t, store, ops)
	var rows, scopes, wrong int
	err := pool.QueryRow(ctx, strings.ReplaceAll(`SELECT count(*), count(DISTINCT scope),
	count(*) FILTER (WHERE scope <> resourcekit.scope(platform, business, schema_id)) FROM resourcekit.records`, "resourcekit.", opts.Schema+".")).
		Scan(&rows, &scopes, &wrong)
	require.NoError(t, err)
	require.Equal(t, []int{8, 8, 0}, []int{rows, scopes, wrong})
}

// TestExpressionIndex runs the example of docs/stores.md.
func TestExpressionIndex(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	in := func(sql string) string { return strings.ReplaceAll(sql, "resourcekit.", opts.Schema+".") }

	_, err := pool.Exec(ctx, in(`CREATE INDEX records_email ON resourcekit.records
	(scope, left(resourcekit.data_jsonb(data) ->> 'email', 320))`))
	require.NoError(t, err)
	ops := testWrites("key", 1000)
	for i := range ops {
		ops[i].Record.Data = fmt.Appendf(nil, `{"email":"user-%d@example.com"}`, i)
	}
	ops[7].Record.Data = []byte(`{"email":"user-7@example.com","s":"\u0000"}`) // not in the index
	ops[8].Record.Data = []byte(`{"email":"` + strings.Repeat("x", 100_000) + `"}`)
	mustWrite(t, store, ops)
	_, err = pool.Exec(ctx, in("ANALYZE resourcekit.records"))
	require.NoError(t, err)

	query := in(`SELECT external_id FROM resourcekit.resources
WHERE scope = resourcekit.scope($1, $2, $3) AND left(data ->> 'email', 320) = $4`)
	key := testKey("x")
	args := []any{key.Tenant.Platform.String(), key.Tenant.Business.String(), key.Schema.String(), "user-500@example.com"}
	rows, err := pool.Query(ctx, query, args...)
	require.NoError(t, err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"key-0500"}, ids)

	rows, err = pool.Query(ctx, "EXPLAIN "+query, args...)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan, "\n"), "records_email")
}

// TestHeapOnlyUpdates: updates leave the index alone, which is what the fill
// factor is for.
func TestHeapOnlyUpdates(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	const updates = 1000
	ops := testWrites("key", 500)
	mustWrite(t, store, ops)
	for i := range updates {
		op := &ops[i*7%len(ops)]
		rev, err := storage.Put(ctx, store, op.Record, op.Expect)
		require.NoError(t, err)
		op.Expect = rev
	}
	// A session reports its statistics when it ends, at the latest.
	pool.Reset()
	require.Eventually(t, func() bool {
		var all, hot int64
		err := pool.QueryRow(ctx, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE schemaname = $1 AND relname = 'records'", opts.Schema).Scan(&all, &hot)
		return err == nil && all == updates && hot*10 >= all*9
	}, 20e9, 50e6, "nine of ten updates must be heap-only")
}
