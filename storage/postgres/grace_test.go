package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage/postgres/pgtest"
)

// TestGrace: a write that is about to end when its context does is told what
// came of it.
func TestGrace(t *testing.T) {
	pool, err := pgxpool.New(context.Background(), pgtest.DSN(t))
	require.NoError(t, err)
	defer pool.Close()
	opts, err := (*Options)(nil).withDefaults()
	require.NoError(t, err)
	s := newTable(pool, opts)
	ctx, cancel := context.WithCancel(context.Background())
	got, err := do(ctx, s, operation{name: "put", write: true}, func(context.Context, *pgx.Conn) (int, error) {
		cancel()
		time.Sleep(grace / 10)
		return 7, nil
	})
	require.NoError(t, err)
	require.Equal(t, 7, got)
}
