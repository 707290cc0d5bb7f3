//go:build !race

package resource_test

import (
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/internal/growth"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/typed"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestGrowth: no size makes another one more expensive, whatever of a call it is of. It is left
// out under the race detector, which makes sync.Pool drop items at random.
func TestGrowth(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	free := things(object("free"), integer("n"))
	document := func(n, value int) []byte {
		members := make([]string, n)
		for i := range members {
			members[i] = fmt.Sprintf(`"m%d":%d`, i, value)
		}
		return []byte(`{"id":"1","free":{` + strings.Join(members, ",") + `}}`)
	}
	nested := func(n int, value string) []byte {
		return []byte(`{"id":"1","free":` + strings.Repeat(`{"o":`, n) + value + strings.Repeat("}", n) + "}")
	}
	batchOf := func(n, value int, sameID bool) [][]byte {
		docs := make([][]byte, n)
		for i := range docs {
			id := i
			if sameID {
				id = 0
			}
			docs[i] = fmt.Appendf(nil, `{"id":"%d","n":%d}`, id, value+i)
		}
		return docs
	}
	idsOf := func(docs [][]byte) (ids []string) {
		for i := range docs {
			ids = append(ids, fmt.Sprint(len(docs)-i))
		}
		return ids
	}
	for name, tt := range map[string]struct {
		n       int
		prepare func(t *testing.T, c *resource.Collection, n int) func()
	}{
		"Create, members": {1000, func(t *testing.T, c *resource.Collection, n int) func() {
			doc := document(n, 0)
			return func() { _, err := c.Create(ctx, tenant, doc, &resource.WriteOptions{DryRun: true}); must(err) }
		}},
		"Create, depth": {7, func(t *testing.T, c *resource.Collection, n int) func() {
			doc := nested(n, "1")
			return func() { _, err := c.Create(ctx, tenant, doc, &resource.WriteOptions{DryRun: true}); must(err) }
		}},
		"Create over another, members": {1000, func(t *testing.T, c *resource.Collection, n int) func() {
			create(t, c, string(document(n, 0)))
			doc := document(n, 1)
			return func() {
				res, err := c.Create(ctx, tenant, doc, &resource.WriteOptions{DryRun: true})
				must(err)
				assert.Equal(t, n, len(res.Changed()))
			}
		}},
		"Get, Data, AppendJSON, members": {1000, func(t *testing.T, c *resource.Collection, n int) func() {
			create(t, c, string(document(n, 0)))
			return func() { r, err := c.Get(ctx, tenant, "1"); must(err); r.Data(); r.AppendJSON(nil, nil) }
		}},
		"Decode, members": {1000, func(t *testing.T, c *resource.Collection, n int) func() {
			res := create(t, c, string(document(n, 0)))
			return func() { _, err := typed.Decode[map[string]any](&res.Resource); must(err) }
		}},
		"Decode, members that do not fit": {1000, func(t *testing.T, c *resource.Collection, n int) func() {
			res := create(t, c, strings.ReplaceAll(string(document(n, 0)), `:0`, `:1.0`))
			return func() {
				_, err := typed.Decode[struct{ Free map[string]int }](&res.Resource)
				must(err)
			}
		}},
		"Encode, members": {1000, func(t *testing.T, c *resource.Collection, n int) func() {
			doc := map[string][]string{}
			for i := range n {
				doc[fmt.Sprint(i)] = []string{"\ufffd"}
			}
			return func() { _, err := typed.Encode(doc); must(err) }
		}},
		"CreateBatch, ids": {100, func(t *testing.T, c *resource.Collection, n int) func() {
			docs := batchOf(n, 0, false)
			return func() { _, err := c.CreateBatch(ctx, tenant, docs, &resource.WriteOptions{DryRun: true}); must(err) }
		}},
		"CreateBatch, items of one id": {100, func(t *testing.T, c *resource.Collection, n int) func() {
			docs := batchOf(n, 0, true)
			return func() { _, err := c.CreateBatch(ctx, tenant, docs, &resource.WriteOptions{DryRun: true}); must(err) }
		}},
		"GetBatch, ids": {100, func(t *testing.T, c *resource.Collection, n int) func() {
			docs := batchOf(n, 0, false)
			_, err := c.CreateBatch(ctx, tenant, docs, nil)
			must(err)
			ids := idsOf(docs)
			return func() { _, err := c.GetBatch(ctx, tenant, ids); must(err) }
		}},
		"List, conditions": {12, func(t *testing.T, c *resource.Collection, n int) func() {
			_, err := c.CreateBatch(ctx, tenant, batchOf(100, 0, false), nil)
			must(err)
			opts := &resource.ListOptions{AllowScan: true, Filter: make([]schema.Condition, n)}
			for i := range opts.Filter {
				opts.Filter[i] = schema.Condition{Field: "n", Value: 7}
			}
			return func() { _, err := c.List(ctx, tenant, opts); must(err) }
		}},
		"List, records": {100, func(t *testing.T, c *resource.Collection, n int) func() {
			_, err := c.CreateBatch(ctx, tenant, batchOf(n, 0, false), nil)
			must(err)
			opts := &resource.ListOptions{AllowScan: true, Filter: []schema.Condition{{Field: "n", Value: -1}}}
			return func() { _, err := c.List(ctx, tenant, opts); must(err) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			factor := growth.Factor(tt.n, func(n int) func() { return tt.prepare(t, open(t, free, memory.New(), fixed), n) })
			t.Logf("%.1f", factor)
			assert.LessOrEqual(t, factor, float64(growth.Limit))
		})
	}

	// The store is asked as often for many ids as for few.
	for _, n := range []int{10, 1000} {
		store := &batching{Store: memory.New()}
		c := open(t, free, store, fixed)
		docs := batchOf(n, 0, false)
		_, err := c.CreateBatch(ctx, tenant, docs, nil)
		require.NoError(t, err)
		_, err = c.CreateBatch(ctx, tenant, docs, nil)
		require.NoError(t, err)
		_, err = c.GetBatch(ctx, tenant, idsOf(docs))
		require.NoError(t, err)
		get, put := fmt.Sprint("get ", n), fmt.Sprint("put ", n)
		assert.Equal(t, []string{"get", get, put, get, get}, store.take())
	}
}
