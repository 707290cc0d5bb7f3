//go:build !race

package resource_test

import (
	"fmt"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAllocations holds the promises about allocations, on the memory store. It
// is left out under the race detector, which makes sync.Pool drop items at
// random.
func TestAllocations(t *testing.T) {
	c := open(t, schema.Customers(), memory.New(), nil)
	create(t, c, cust(`,"email":"a@example.com"`))
	requests := [2][]byte{
		[]byte(`{"customerId":"c-1","email":"b@example.com","phone":"+1 555 0100"}`),
		[]byte(`{"customerId":"c-1","email":"c@example.com","phone":"+1 555 0199"}`),
	}
	n := 0
	update := func() {
		n++
		if _, err := c.Create(ctx, tenant, requests[n%2], nil); err != nil {
			t.Error(err)
		}
	}
	batches := [2][][]byte{make([][]byte, 100), make([][]byte, 100)}
	for i := range batches[0] {
		for k := range batches {
			batches[k][i] = fmt.Appendf(nil, `{"customerId":"b-%d","firstName":"A","lastName":"B","email":"%d@example.com","createdAt":"2025-01-01T00:00:00Z"}`, i, k)
		}
	}
	batch := func() {
		n++
		if r, err := c.CreateBatch(ctx, tenant, batches[n%2], nil); err != nil || counted(r).Failed > 0 {
			t.Error(err)
		}
	}
	batch()
	res := create(t, c, cust(``))
	got, err := c.Get(ctx, tenant, "c-1")
	require.NoError(t, err)
	kept, _ := keeping(t, schema.Customers())
	create(t, kept, cust(`,"email":"a@example.com"`))
	page, err := kept.Changes(ctx, tenant, &resource.ChangeOptions{Documents: true, Patches: true})
	require.NoError(t, err)
	change := page.Changes[0]
	buf := make([]byte, 0, 4096)
	for _, tt := range []struct {
		name string
		max  float64
		do   func()
	}{
		{"Create, changed", 4, update},
		{"Create, unchanged", 3, func() { _, _ = c.Create(ctx, tenant, requests[n%2], nil) }},
		{"Create, refused by RejectExisting", 8, func() { _, _ = c.Create(ctx, tenant, res.Data(), &reject) }},
		{"Create, changed, with history", 4 + 1, func() { // and the room of the log
			n++
			_, _ = kept.Create(ctx, tenant, requests[n%2], nil)
		}},
		{"CreateBatch of 100, changed", 100*4 + 17, batch}, // as 100 calls, and its own
		{"Get", 1, func() { _, _ = c.Get(ctx, tenant, "c-1") }},
		{"AppendJSON of a result", 0, func() { buf = res.AppendJSON(buf[:0], nil) }},
		{"AppendJSON of a resource", 0, func() { buf = got.AppendJSON(buf[:0], nil) }},
		{"AppendJSON of a change", 0, func() { buf = change.AppendJSON(buf[:0]) }},
		{"AppendCloudEvent", 1, func() { buf, _ = change.AppendCloudEvent(buf[:0], "/shop", "com.example.") }},
		{"MarshalJSON", 2, func() { _, _ = got.MarshalJSON() }},
		{"Data", 1, func() { _ = got.Data() }},
	} {
		allocs := testing.AllocsPerRun(500, tt.do)
		t.Logf("%-28s %v", tt.name, allocs)
		assert.LessOrEqual(t, allocs, tt.max, tt.name)
	}
}
