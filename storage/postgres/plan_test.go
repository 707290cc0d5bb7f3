package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestDeleteManyPlan: the server looks up in a hash which rows were deleted. What it
// compares in memory is in no count of rows read.
func TestDeleteManyPlan(t *testing.T) {
	ctx := context.Background()
	dsn := pgtest.DSN(t)
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	opts := Options{Schema: pgtest.Schema(t, dsn)}
	require.NoError(t, Migrate(ctx, pool, &opts))
	const uuid = "00000000-0000-0000-0000-000000000000"
	rows, err := pool.Query(ctx, "EXPLAIN (VERBOSE) "+newStatements(opts.Schema, false).deleteMany, uuid, []string{"a"}, []int64{1})
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan, "\n"), "hashed SubPlan")
}
