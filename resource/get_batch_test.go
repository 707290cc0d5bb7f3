package resource_test

import (
	"context"
	"fmt"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGetBatch: it returns what Get returns for each id, by one call of the store.
func TestGetBatch(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, &resource.Options{MaxBatch: 12})
	for _, doc := range numberedDocs(5, "") {
		_, err := c.Create(ctx, tenant, doc, nil)
		require.NoError(t, err)
	}
	others := storage.TenantOf("other", "tenant")
	_, err := c.Create(ctx, others, []byte(cust(``)), nil)
	require.NoError(t, err)

	store.take()
	ids := []string{"c-000003", "none", "c-000001", "c-000003", "", "nul\x00", "bad\xff", string(make([]byte, 513)), "C-000001", "c-000000", "none", ""}
	got, err := c.GetBatch(ctx, tenant, ids)
	require.NoError(t, err)
	require.Len(t, got, len(ids))
	assert.Equal(t, []string{"get 5"}, store.take())
	found := 0
	for i, id := range ids {
		want, err := c.Get(ctx, tenant, id)
		if err != nil {
			assert.Nil(t, got[i], "%q", id)
			continue
		}
		found++
		assert.Equal(t, want, got[i])
	}
	assert.Equal(t, 4, found)

	got, err = c.GetBatch(ctx, others, []string{"c-1", "c-000002"})
	require.NoError(t, err)
	require.NotNil(t, got[0])
	assert.Nil(t, got[1], "it is another tenant's")
	got, err = c.GetBatch(ctx, tenant, nil)
	require.NoError(t, err)
	assert.Empty(t, got)

	_, err = c.GetBatch(ctx, tenant, append(ids, "one more"))
	assert.ErrorIs(t, err, resource.ErrBatchSize)
	_, err = c.GetBatch(ctx, storage.Tenant{}, ids)
	assert.ErrorIs(t, err, storage.ErrInvalid)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = c.GetBatch(cancelled, tenant, ids)
	assert.ErrorIs(t, err, context.Canceled)

	put(t, store, customerKey("secret"), `[1]`)
	_, err = c.GetBatch(ctx, tenant, []string{"c-000001", "secret"})
	var corrupt *schema.CorruptError
	assert.ErrorAs(t, err, &corrupt)
	assert.NotContains(t, err.Error(), "secret")
	var op *resource.OpError
	require.ErrorAs(t, err, &op)
	assert.Equal(t, customerKey("secret"), op.Key)
}

// TestBatchLargerThanTheStores: the store is asked in as many parts as it demands.
func TestBatchLargerThanTheStores(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, &resource.Options{MaxBatch: 3000})
	create(t, c, cust(``))
	store.take()
	items, err := c.CreateBatch(ctx, tenant, numberedDocs(2500, ""), nil)
	require.NoError(t, err)
	assert.Equal(t, 2500, counted(items).Created)
	assert.Equal(t, []string{"get 1000", "put 1000", "get 1000", "put 1000", "get 500", "put 500"}, store.take())
	ids := make([]string, 2500)
	for i := range ids {
		ids[i] = fmt.Sprintf("c-%06d", i)
	}
	got, err := c.GetBatch(ctx, tenant, ids)
	require.NoError(t, err)
	for i, r := range got {
		assert.Equal(t, ids[i], r.Key().ExternalID)
	}
	assert.Equal(t, []string{"get 1000", "get 1000", "get 500"}, store.take())
}
