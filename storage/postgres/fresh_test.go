package postgres_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestBatchOnFreshTable: a table that has not been analyzed yet, as after a first
// import. The planner then thinks that a scope has one record, and a batch must
// not read the whole scope for each of its keys: that took 300 ms for 1000 of
// 10,000 records, and grew with the scope. The server counts what the statements
// read.
func TestBatchOnFreshTable(t *testing.T) {
	const records, size = 5000, 500
	ctx := context.Background()
	dsn := pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, func(cfg *pgxpool.Config) { cfg.MaxConns = 1 })
	table := opts.Schema + ".records"
	_, err := pool.Exec(ctx, "ALTER TABLE "+table+" SET (autovacuum_enabled = off)")
	require.NoError(t, err)
	ops := make([]storage.Write, records)
	for i := range ops {
		ops[i].Record = storage.Record{Key: testKey(fmt.Sprintf("%06d", i)), Data: document(i)}
	}
	mustWrite(t, store, ops)

	read := func() (n int64) {
		_, err := pool.Exec(ctx, "SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		require.NoError(t, pool.QueryRow(ctx,
			"SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relid = $1::regclass", table).Scan(&n))
		return n
	}
	before := read()
	keys := make([]storage.Key, size)
	for i := range keys {
		keys[i] = ops[i*7].Record.Key
	}
	found, err := store.GetMany(ctx, keys)
	require.NoError(t, err)
	got := read()
	require.LessOrEqual(t, got-before, int64(2*size), "rows that GetMany of %d keys read", size)

	changes := make([]storage.Write, size)
	for i, rec := range found {
		require.NotZero(t, rec.Revision)
		changes[i] = storage.Write{Record: rec, Expect: rec.Revision}
	}
	mustWrite(t, store, changes)
	require.NoError(t, err)
	put := read()
	require.LessOrEqual(t, put-got, int64(3*size), "rows that updates of %d keys read", size)

	mustWrite(t, store, deletesOf(changes))
	require.LessOrEqual(t, read()-put, int64(4*size), "rows that deletes of %d keys read", size)
}
