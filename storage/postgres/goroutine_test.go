package postgres_test

import (
	"context"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
)

// TestGoroutinesServeManyCalls: a call whose context may end, as that of every HTTP
// request, is run by a goroutine that has run others before.
func TestGoroutinesServeManyCalls(t *testing.T) {
	const calls = 500
	store, _ := newStore(t, postgres.Options{}, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	created := func() uint64 {
		sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := created()
	for range calls {
		_, err := store.Get(ctx, testKey("absent"))
		require.ErrorIs(t, err, storage.ErrNotFound)
	}
	require.Less(t, created()-before, uint64(calls/5), "goroutines of %d calls", calls)
}
