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
	s := newStore(pool, opts)
	ctx, cancel := context.WithCancel(context.Background())
	got, err := do(ctx, s, operation{name: "put", write: true}, func(context.Context, *pgx.Conn) (int, error) {
		cancel()
		time.Sleep(grace / 10)
		return 7, nil
	})
	require.NoError(t, err)
	require.Equal(t, 7, got)
}

// TestEcho: a store that does not read what it writes does not start. Here it takes
// the results of the server for those of another mode.
func TestEcho(t *testing.T) {
	ctx := context.Background()
	for setting, value := range map[string]string{"bytea_output": "escape", "datestyle": "German"} {
		cfg, err := pgxpool.ParseConfig(pgtest.DSN(t))
		require.NoError(t, err)
		cfg.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
		cfg.ConnConfig.RuntimeParams[setting] = value
		pool, err := pgxpool.NewWithConfig(ctx, cfg)
		require.NoError(t, err)
		defer pool.Close()
		opts, err := (&Options{Schema: pgtest.Schema(t, pgtest.DSN(t))}).withDefaults()
		require.NoError(t, err)
		require.NoError(t, Migrate(ctx, pool, &opts))
		s := newStore(pool, opts)
		require.NoError(t, s.check(ctx), setting)
		s.text, s.sql = false, newStatements(opts.Schema, false)
		require.Error(t, s.check(ctx), setting)
	}
}
