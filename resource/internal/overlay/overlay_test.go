package overlay_test

import (
	"context"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/internal/overlay"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOverlay: each batch is judged by what the batches before it would have made,
// and nothing is stored.
func TestOverlay(t *testing.T) {
	const ada = `{"customerId":"c-1","firstName":"Ada","lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`
	const email, noEmail = `{"customerId":"c-1","email":"a"}`, `{"customerId":"c-1","email":null}`
	ctx, tenant, store := context.Background(), storage.TenantOf("platform", "business"), memory.New()
	c, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	key := storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: "c-9"}
	_, err = storage.Put(ctx, store, storage.Record{Key: key, ID: uuid.New(), Data: []byte(`{"customerId":"c-9","firstName":"Bob","lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`)}, 0)
	require.NoError(t, err)
	var o *overlay.Store
	c = c.Rehearsal(func(store storage.Store) storage.Store {
		o = overlay.New(store)
		return o
	})
	batch := func(opts *resource.WriteOptions, documents ...string) (outcomes []string) {
		var all [][]byte
		for _, d := range documents {
			all = append(all, []byte(d))
		}
		items, err := c.CreateBatch(ctx, tenant, all, opts)
		require.NoError(t, err)
		for _, item := range items {
			if item.Err != nil {
				outcomes = append(outcomes, "failed")
			} else {
				outcomes = append(outcomes, string(item.Result.Outcome))
			}
		}
		return outcomes
	}
	assert.Equal(t, []string{"failed"}, batch(nil, email))
	assert.Equal(t, []string{"created"}, batch(&resource.WriteOptions{DryRun: true}, ada))
	assert.Equal(t, []string{"failed"}, batch(nil, email), "it was to be forgotten")
	assert.Zero(t, o.Bytes())
	assert.Equal(t, []string{"created", "unchanged", "updated"}, batch(nil, ada, ada, email))
	grown := o.Bytes()
	assert.Positive(t, grown)
	assert.Equal(t, []string{"unchanged", "updated", "unchanged"}, batch(nil, email, noEmail, noEmail))
	assert.Less(t, o.Bytes(), grown, "a document that got smaller")
	assert.Equal(t, []string{"updated"}, batch(nil, `{"customerId":"c-9","email":"a"}`), "over a stored one")
	assert.Equal(t, []string{"unchanged"}, batch(nil, `{"customerId":"c-9","email":"a"}`))
	page, err := store.List(ctx, storage.Scope{Tenant: tenant, Schema: key.Schema}, storage.Range{Limit: 10})
	require.NoError(t, err)
	assert.Len(t, page.Records, 1)
}
