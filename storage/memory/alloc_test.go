//go:build !race

package memory_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// TestAllocations counts the allocations that the documentation promises. The race
// detector allocates on its own, so the test is left out there.
func TestAllocations(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	key := storage.Key{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max, ExternalID: "key"}
	rec := storage.Record{Key: key, Data: []byte("{}")}
	_, err := storage.Put(ctx, store, rec, 0)
	require.NoError(t, err)
	found := key
	found.ExternalID = "found"
	one := []storage.Write{{
		Record:  storage.Record{Key: found, Revision: 1, Data: []byte("{}")},
		Entries: []storage.Entry{{Index: 1, Value: []byte("a")}, {Index: 2, Value: []byte("b"), Unique: true}},
	}}
	_, err = store.Write(ctx, one)
	require.NoError(t, err)
	absent := key
	absent.ExternalID = "absent"
	for _, tt := range []struct {
		name string
		want float64
		call func() error
	}{
		{"get", 0, func() error {
			_, err := store.Get(ctx, key)
			return err
		}},
		{"get of an absent key", 0, func() error {
			if _, err := store.Get(ctx, absent); err != storage.ErrNotFound {
				return err
			}
			return nil
		}},
		{"put over a record", 1, func() error {
			old, err := store.Get(ctx, key)
			if err != nil {
				return err
			}
			_, err = storage.Put(ctx, store, rec, old.Revision)
			return err
		}},
		{"write with entries that stay", 1, func() error {
			old, err := store.Get(ctx, found)
			if err != nil {
				return err
			}
			one[0].Expect, one[0].Record.Revision = old.Revision, storage.NextRevision(old.Revision)
			_, err = store.Write(ctx, one)
			return err
		}},
		{"update", 1, func() error {
			_, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
				return old, nil
			})
			return err
		}},
		{"page", 1, func() error {
			_, err := store.List(ctx, key.Scope(), storage.Range{Limit: 100})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var err error
			got := testing.AllocsPerRun(1000, func() { err = tt.call() })
			require.NoError(t, err)
			require.LessOrEqual(t, got, tt.want)
		})
	}
}
