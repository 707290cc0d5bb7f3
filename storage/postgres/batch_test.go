package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
)

// TestLargeBatch: data above the limit fails alone, and more than fits into one
// statement is written by several and read in short pages.
func TestLargeBatch(t *testing.T) {
	ctx := context.Background()
	store, _ := newStore(t, postgres.Options{}, nil)
	most := bytes.Repeat([]byte("x"), postgres.MaxData)
	ops := testOps("key", 3)
	for i := range ops {
		ops[i].Record.Data = most
	}
	ops[1].Record.Data = append(most[:len(most):len(most)], 'x')
	results, err := store.PutMany(ctx, ops)
	require.NoError(t, err)
	for i, r := range results {
		if i == 1 {
			require.ErrorIs(t, r.Err, storage.ErrTooLarge)
			continue
		}
		require.NoError(t, r.Err, i)
	}
	var ids []string
	pages := 0
	for after := ""; ; pages++ {
		page, err := store.List(ctx, testKey("x").Scope(), after, 100)
		require.NoError(t, err)
		for _, rec := range page.Records {
			require.Len(t, rec.Data, postgres.MaxData)
			ids = append(ids, rec.Key.ExternalID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	require.Equal(t, []string{"key-0000", "key-0002"}, ids)
	require.Equal(t, 1, pages, "pages before the last")
}

// TestBatchOfScopes: one round trip also for keys of several tenants, whose
// ids may be the same.
func TestBatchOfScopes(t *testing.T) {
	store, _ := newStore(t, postgres.Options{}, nil)
	var ops []storage.PutOp
	for i := range 90 {
		key := testKey(fmt.Sprint(i % 30))
		key.Tenant = storage.TenantOf("acme", fmt.Sprint(i/30))
		ops = append(ops, storage.PutOp{Record: storage.Record{Key: key, Data: fmt.Append(nil, i)}})
	}
	mustPutMany(t, store, ops[:60]) // the first two tenants
	mustPutMany(t, store, ops[:30])
	stale := ops[40].Expect + 7
	ops[40].Expect = stale
	results, err := store.PutMany(context.Background(), ops)
	require.NoError(t, err)
	records, err := store.GetMany(context.Background(), keysOf(ops))
	require.NoError(t, err)
	for i, r := range results {
		require.Equal(t, fmt.Sprint(i), string(records[i].Data))
		if i == 40 {
			require.ErrorIs(t, r.Err, storage.ErrConflict)
			continue
		}
		require.NoError(t, r.Err, i)
		require.Equal(t, r.Revision, records[i].Revision)
	}
}
