//go:build !race

package storage_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// constant is a store with one record, which allocates nothing.
type constant struct {
	storage.Store
	rec storage.Record
}

func (c *constant) Get(context.Context, storage.Key) (storage.Record, error) { return c.rec, nil }

func (c *constant) Write(context.Context, []storage.Write) ([]error, error) { return nil, nil }

// TestAllocations: checks and single writes add nothing to the allocations of a store. It
// is left out under the race detector, which allocates on its own.
func TestAllocations(t *testing.T) {
	ctx, all := context.Background(), numbered(storage.MaxBatch)
	writes := make([]storage.Write, len(all))
	for i, k := range all {
		writes[i] = storage.Write{Record: storage.Record{Key: k, Revision: 1}, Entries: []storage.Entry{{Index: 1, Value: []byte("v")}}}
	}
	rec := storage.Record{Key: all[0], Revision: 1}
	store := &constant{rec: rec}
	same := func(old storage.Record) (storage.Record, error) { return old, nil }
	for _, tt := range []struct {
		name string
		call func() error
	}{
		{"check of a key", func() error { return storage.CheckKey(ctx, all[0]) }},
		{"check of keys that ascend", func() error { return storage.CheckKeys(ctx, all) }},
		{"check of writes whose keys ascend", func() error { return storage.CheckWrites(ctx, writes) }},
		{"check of a range", func() error { _, err := storage.CheckList(ctx, scope, storage.Range{Limit: 1}); return err }},
		{"check of a query", func() error { _, err := storage.CheckChanges(ctx, storage.ChangeQuery{Limit: 1}); return err }},
		{"put", func() error { _, err := storage.Put(ctx, store, rec, 1); return err }},
		{"delete", func() error { return storage.Delete(ctx, store, rec.Key, 1) }},
		{"update", func() error { _, err := storage.Update(ctx, store, rec.Key, same); return err }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			require.Zero(t, testing.AllocsPerRun(200, func() { err = tt.call() }))
			require.NoError(t, err)
		})
	}
}
