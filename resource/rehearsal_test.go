package resource_test

import (
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRehearsal: each batch is judged by what the batches before it would have made,
// and nothing is stored.
func TestRehearsal(t *testing.T) {
	c, store := customers(t)
	put(t, store, customerKey("c-9"), `{"customerId":"c-9","firstName":"Bob","lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`)
	r := c.Rehearsal()
	batch := func(opts *resource.CreateOptions, documents ...string) (outcomes []string) {
		var all [][]byte
		for _, d := range documents {
			all = append(all, []byte(d))
		}
		res, err := r.CreateBatch(ctx, tenant, all, opts)
		require.NoError(t, err)
		for _, item := range res.Items {
			outcomes = append(outcomes, "failed")
			if item.Err == nil {
				outcomes[len(outcomes)-1] = item.Result.Outcome.String()
				assert.Zero(t, item.Result.Revision(), "of no stored state")
			}
		}
		return outcomes
	}
	const email, noEmail = `{"customerId":"c-1","email":"a"}`, `{"customerId":"c-1","email":null}`
	assert.Equal(t, []string{"failed"}, batch(nil, email))
	assert.Equal(t, []string{"created"}, batch(&resource.CreateOptions{DryRun: true}, cust("")))
	assert.Equal(t, []string{"failed"}, batch(nil, email), "it was to be forgotten")
	assert.Zero(t, r.Bytes())
	assert.Equal(t, []string{"created", "unchanged", "updated"}, batch(nil, cust(""), cust(""), email))
	grown := r.Bytes()
	assert.Positive(t, grown)
	assert.Equal(t, []string{"unchanged", "updated", "unchanged"}, batch(nil, email, noEmail, noEmail))
	assert.Less(t, r.Bytes(), grown, "a document that got smaller")
	assert.Equal(t, []string{"updated"}, batch(nil, `{"customerId":"c-9","email":"a"}`), "over a stored one")
	assert.Equal(t, []string{"unchanged"}, batch(nil, `{"customerId":"c-9","email":"a"}`))
	assert.Equal(t, 1, count(t, store, tenant, schema.Customers()))
}
