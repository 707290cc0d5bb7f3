package storage_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// TestNextRevision: it grows by random steps, for which there is room.
func TestNextRevision(t *testing.T) {
	const greatest = 1 << 62 // of FirstRevision
	require.LessOrEqual(t, uint64(greatest+(1<<32-1)*(1<<30)), uint64(math.MaxInt64))
	steps := make(map[storage.Revision]bool)
	for range 1000 {
		old := storage.FirstRevision()
		step := storage.NextRevision(old) - old
		require.NotZero(t, step)
		require.LessOrEqual(t, step, storage.Revision(1<<30))
		steps[step] = true
	}
	require.Greater(t, len(steps), 990)
}

func TestCheckKeyAndDelete(t *testing.T) {
	ctx := context.Background()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		key    storage.Key
		expect storage.Revision
		want   error // of CheckKey
		delete error // of CheckDelete
	}{
		{"right", ctx, key("k"), 1, nil, nil},
		{"context is done", cancelled, key("k"), 1, context.Canceled, context.Canceled},
		{"key is not valid", ctx, key(""), 1, storage.ErrInvalid, storage.ErrInvalid},
		{"expects 0", ctx, key("k"), 0, nil, storage.ErrInvalid},
	} {
		require.ErrorIs(t, storage.CheckKey(tt.ctx, tt.key), tt.want, tt.name)
		require.ErrorIs(t, storage.CheckDelete(tt.ctx, tt.key, tt.expect), tt.delete, tt.name)
	}
}
