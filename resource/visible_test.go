package resource_test

import (
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInvisibleIDs: no way in creates a resource whose external id is made of blanks
// and the like, and what is stored under such an id is read, changed and deleted in
// every way.
func TestInvisibleIDs(t *testing.T) {
	const id = " \u200b"
	document := []byte(strings.Replace(cust(outs), "c-1", id, 1))
	changed := []byte(`{"customerId":"` + id + `","email":"e"}`)
	refused := []string{"/customerId external_id"}

	c, store := customers(t)
	for name, opts := range map[string]*resource.WriteOptions{
		"upsert": nil, "reject": &reject, "dry run": {DryRun: true}, "if absent": {If: resource.Absent()}, "complete": {RequireComplete: true},
	} {
		_, err := c.Create(ctx, tenant, document, opts)
		assert.Equal(t, refused, violations(err), name)
		assert.EqualError(t, err, "schema: invalid document: /customerId: expected at least one visible character", name)
		batch, err := c.CreateBatch(ctx, tenant, [][]byte{document, []byte(cust(``)), document}, opts)
		require.NoError(t, err)
		assert.Equal(t, refused, violations(batch[0].Err), name)
		assert.Equal(t, refused, violations(batch[2].Err), name)
	}
	_, err := c.Patch(ctx, tenant, id, changed, nil)
	assert.ErrorIs(t, err, resource.ErrNotFound)
	assert.Equal(t, 1, count(t, store, tenant, schema.Customers()), "the customer with a name")

	old := put(t, store, customerKey(id), string(document))
	got, err := c.Get(ctx, tenant, id)
	require.NoError(t, err)
	assert.Equal(t, id, got.Key().ExternalID)
	page, err := c.List(ctx, tenant, &resource.ListOptions{AllowScan: true, Filter: []schema.Condition{{Field: "customerId", Value: id}}})
	require.NoError(t, err)
	assert.Len(t, page.Resources, 1)
	res, err := c.Create(ctx, tenant, changed, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"/email"}, res.Changed())
	res, err = c.Patch(ctx, tenant, id, []byte(`{"customerId":"`+id+`","email":null}`), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"/email"}, res.Removed())
	batch, err := c.CreateBatch(ctx, tenant, [][]byte{changed, changed}, nil)
	require.NoError(t, err)
	assert.Equal(t, counts{Updated: 1, Unchanged: 1}, counted(batch))
	res, err = c.Delete(ctx, tenant, id, nil)
	require.NoError(t, err)
	assert.Equal(t, old.ID, res.ID())
	_, err = c.Create(ctx, tenant, document, nil)
	assert.Equal(t, refused, violations(err), "once it is gone, it is not created again")
}
