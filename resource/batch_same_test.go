package resource_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBatchFaultsOfOneResource: items that were judged by a state which then
// could not be stored say nothing but that.
func TestBatchFaultsOfOneResource(t *testing.T) {
	for _, fault := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome} {
		inner := memory.New()
		failing := false
		c := open(t, schema.Customers(), storagetest.Faulty(inner, func(op storagetest.Op) storagetest.Fault {
			if failing && op.Name != "get" {
				return storagetest.Fault{Err: fault}
			}
			return storagetest.Fault{}
		}), fixed)
		rev := create(t, c, cust(``)).Revision()
		failing = true
		other := strings.Replace(cust(``), "c-1", "c-2", 1)
		for _, tt := range []struct {
			name string
			run  func() ([]resource.ItemResult, error)
		}{
			{"reject", func() ([]resource.ItemResult, error) {
				return c.CreateBatch(ctx, tenant, [][]byte{[]byte(other), []byte(other)}, &reject)
			}},
			{"precondition", func() ([]resource.ItemResult, error) {
				return c.PatchBatch(ctx, tenant, []resource.Item{
					{ExternalID: "c-1", Data: []byte(`{"email":"1"}`), If: resource.AtRevision(rev)},
					{ExternalID: "c-1", Data: []byte(`{"email":"2"}`), If: resource.AtRevision(rev)},
				}, nil)
			}},
			{"delete", func() ([]resource.ItemResult, error) {
				return c.DeleteBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1"}, {ExternalID: "c-1"}}, nil)
			}},
		} {
			res, err := tt.run()
			require.NoError(t, err)
			for i, item := range res {
				assert.ErrorIs(t, item.Err, fault, "%s, item %d", tt.name, i)
			}
		}
	}
}

// TestBatchPending: no caller can name the revision of what is not stored yet.
func TestBatchPending(t *testing.T) {
	c, _ := customers(t)
	rev := create(t, c, cust(``)).Revision()
	res, err := c.PatchBatch(ctx, tenant, []resource.Item{
		{ExternalID: "c-1", Data: []byte(`{"email":"1"}`), If: resource.AtRevision(rev)},
		{ExternalID: "c-1", Data: []byte(`{"email":"2"}`), If: resource.AtRevision(math.MaxUint64)},
	}, nil)
	require.NoError(t, err)
	assert.NoError(t, res[0].Err)
	assert.ErrorIs(t, res[1].Err, resource.ErrPrecondition)
}

// TestBatchOfOneResourceIsBounded: many items that let one document grow. The
// batch refuses what would not fit; an import, which gives no results, takes all.
func TestBatchOfOneResourceIsBounded(t *testing.T) {
	const n, size = 200, 4 << 10
	docs := make([]string, n)
	var items [][]byte
	for i := range docs {
		docs[i] = fmt.Sprintf(`{"id":"1","free":{"f%d":"%s"}}`, i, strings.Repeat("x", size))
		items = append(items, []byte(docs[i]))
	}
	s := things(object("free"))
	c := open(t, s, memory.New(), fixed)
	res, err := c.CreateBatch(ctx, tenant, items, nil)
	require.NoError(t, err)
	assert.Positive(t, counted(res).Updated)
	assert.Positive(t, counted(res).Failed)
	held := 0
	for i, item := range res {
		if item.Err != nil {
			assert.ErrorIs(t, item.Err, resource.ErrBatchSize, "item %d", i)
			continue
		}
		held += 2 * len(item.Result.Data())
	}
	assert.Less(t, held, 66<<20)
}

// TestScanIsBoundedInBytes: so does a page that finds nothing in them.
func TestScanIsBoundedInBytes(t *testing.T) {
	const n, size = 160, 1 << 20
	store := &counting{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	document := fmt.Sprintf(`{"customerId":"c","email":"%s"}`, strings.Repeat("x", size)) // all share one
	for i := range n {
		put(t, store, customerKey(fmt.Sprintf("c-%06d", i)), document)
	}
	opts := resource.ListOptions{AllowScan: true, Filter: []schema.Condition{{Field: "email", Value: "nobody"}}}
	for found := 0; ; {
		store.listed = 0
		page, err := c.List(ctx, tenant, &opts)
		require.NoError(t, err)
		assert.Empty(t, page.Resources)
		assert.LessOrEqual(t, store.listed, 100+16, "records, each of a MiB: up to the budget, and the last read")
		if found += store.listed; page.Next == "" {
			assert.Equal(t, n, found, "each was looked at once")
			return
		}
		opts.Cursor = page.Next
	}
}

// TestListIsBoundedInBytes: a page of large documents ends early.
func TestListIsBoundedInBytes(t *testing.T) {
	const n, size = 40, 1 << 20
	store := &counting{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	for i := range n {
		put(t, store, customerKey(fmt.Sprintf("c-%06d", i)), fmt.Sprintf(`{"customerId":"c-%06d","email":"%s"}`, i, strings.Repeat("x", size)))
	}
	for _, filter := range [][]schema.Condition{nil, {{Field: "smsOptOut", Value: true}}} {
		store.listed = 0
		got := pages(t, c, resource.ListOptions{AllowScan: true, Limit: 1000, Filter: filter})
		assert.Len(t, got, 3)
		var all []string
		for _, page := range got {
			assert.LessOrEqual(t, len(page), 17)
			all = append(all, page...)
		}
		assert.Equal(t, numbered(0, n, 1), all)
	}
}
