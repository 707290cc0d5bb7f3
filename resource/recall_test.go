package resource_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRecallInBatches: which records a batch reads and writes when its store
// remembers some of them, of which one was changed elsewhere. The results and
// what is stored are the same as without that.
func TestRecallInBatches(t *testing.T) {
	id := func(id, more string) []byte { return []byte(strings.Replace(cust(more), "c-1", id, 1)) }
	for _, tt := range []struct {
		name  string
		opts  *resource.WriteOptions
		email string // sent to all; "old" is what is stored
		fault error  // of the first put
		want  []string
		calls string
	}{
		{"change", nil, "new", nil, []string{"updated", "updated", "updated"},
			"get new, put elsewhere, put known, put new, get elsewhere, put elsewhere"},
		{"no change", nil, "old", nil, []string{"unchanged", "updated", "unchanged"},
			"get new, get elsewhere, get known, put elsewhere"},
		{"reject", &reject, "new", nil, []string{"exists", "exists", "exists"},
			"get new, get elsewhere, get known"},
		{"dry run", &resource.WriteOptions{DryRun: true}, "new", nil, []string{"updated", "updated", "updated"},
			"get new, get elsewhere, get known"},
		{"too large, as it was", nil, "new", storage.ErrTooLarge, []string{"updated", "updated", "updated"},
			"get new, put elsewhere, put known, put new, get elsewhere, put elsewhere"},
		{"unavailable", nil, "new", storage.ErrUnavailable, []string{"updated", "unavailable", "updated"},
			"get new, put elsewhere, put known, put new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			var fault error
			inner := memory.New()
			below := storagetest.Faulty(inner, func(op storagetest.Op) storagetest.Fault {
				calls = append(calls, op.Name+" "+op.Key.ExternalID)
				err := fault
				if op.Name == "put" {
					fault = nil
				} else {
					err = nil
				}
				return storagetest.Fault{Err: err}
			})
			create := func(c *resource.Collection, id []byte) { // past the store, or not
				_, err := c.Create(ctx, tenant, id, nil)
				require.NoError(t, err)
			}
			direct := open(t, schema.Customers(), inner, fixed)
			c := open(t, schema.Customers(), recent.New(below, 1<<20), fixed)
			create(direct, id("new", `,"email":"old"`))
			create(c, id("known", `,"email":"old"`))
			create(c, id("elsewhere", `,"email":"old"`))
			create(direct, id("elsewhere", `,"email":"other","phone":"1"`))
			calls, fault = nil, tt.fault

			email := `,"email":"` + tt.email + `"`
			res, err := c.CreateBatch(ctx, tenant, [][]byte{id("known", email), id("elsewhere", email), id("new", email)}, tt.opts)
			require.NoError(t, err)
			assert.Equal(t, tt.calls, strings.Join(calls, ", "))
			for i, item := range res {
				got := string(resource.ErrorClass(item.Err))
				if item.Err == nil {
					got = string(item.Result.Outcome)
				}
				assert.Equal(t, tt.want[i], got, "item %d: %v", i, item.Err)
				if i == 1 && item.Err == nil {
					assert.Contains(t, string(item.Result.Data()), `"phone":"1"`, "what was written elsewhere")
				}
			}
			rec := stored(t, inner, customerKey("elsewhere"))
			assert.Contains(t, string(rec.Data), `"phone":"1"`)
			if item := res[1]; item.Err == nil && (tt.opts == nil || !tt.opts.DryRun) {
				assert.Equal(t, rec.Revision, item.Result.Revision())
				assert.Equal(t, string(rec.Data), string(item.Result.Data()))
			}
		})
	}
}

// TestRecallAndFaults: of a resource whose write failed no item tells what it found
// in a remembered record.
func TestRecallAndFaults(t *testing.T) {
	for _, fault := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v, reads %v", fault, reads), func(t *testing.T) {
				inner, failing := memory.New(), false
				store := recent.New(storagetest.Faulty(inner, func(op storagetest.Op) storagetest.Fault {
					switch {
					case failing && op.Name == "put":
						return storagetest.Fault{Err: fault}
					case failing && !reads:
						return storagetest.Fault{Err: storage.ErrUnavailable}
					}
					return storagetest.Fault{}
				}), 1<<20)
				c, direct := open(t, schema.Customers(), store, fixed), open(t, schema.Customers(), inner, fixed)
				create(t, c, cust(`,"email":"old"`))
				current := create(t, direct, cust(`,"email":"other"`))
				failing = true
				res, err := c.PatchBatch(ctx, tenant, []resource.Item{
					{ExternalID: "c-1", Data: []byte(`{"email":"old"}`)},
					{ExternalID: "c-1", Data: []byte(`{"email":"new"}`), If: resource.AtRevision(current.Revision())},
					{ExternalID: "c-1", Data: []byte(`{"phone":"1"}`)},
				}, nil)
				require.NoError(t, err)
				for i, item := range res {
					assert.True(t, errors.Is(item.Err, fault) || !reads && errors.Is(item.Err, storage.ErrUnavailable), "item %d: %v, %v", i, item.Result, item.Err)
				}
				res, err = c.PatchBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1", Data: []byte(`{"email":"old"}`)}}, nil)
				require.NoError(t, err)
				assert.Error(t, res[0].Err, "it would change the stored one")
			})
		}
	}
}

// TestRecallDecidesNothing: what a write is refused for, and that it changes
// nothing, is decided by the stored resource and never by one that is remembered.
func TestRecallDecidesNothing(t *testing.T) {
	inner := memory.New()
	direct := open(t, schema.Customers(), inner, fixed)
	c := open(t, schema.Customers(), recent.New(inner, 1<<20), fixed)
	known := create(t, c, cust(`,"email":"old"`))
	current := create(t, direct, cust(`,"email":"new"`))
	for _, tt := range []struct {
		name string
		call func() (*resource.Result, error)
		want string
	}{
		{"the revision that was", func() (*resource.Result, error) {
			return c.Patch(ctx, tenant, "c-1", []byte(`{"email":"x"}`), &resource.WriteOptions{If: resource.AtRevision(known.Revision())})
		}, "precondition"},
		{"the revision that was, to delete", func() (*resource.Result, error) {
			return c.Delete(ctx, tenant, "c-1", &resource.WriteOptions{If: resource.AtRevision(known.Revision())})
		}, "precondition"},
		{"what was there before", func() (*resource.Result, error) {
			return c.Create(ctx, tenant, []byte(cust(`,"email":"old"`)), nil)
		}, "updated"},
		{"what is there", func() (*resource.Result, error) {
			return c.Create(ctx, tenant, []byte(cust(`,"email":"old"`)), nil)
		}, "unchanged"},
	} {
		res, err := tt.call()
		got := string(resource.ErrorClass(err))
		if err == nil {
			got = string(res.Outcome)
		}
		assert.Equal(t, tt.want, got, tt.name)
		var failed *resource.OpError
		if errors.Is(err, resource.ErrPrecondition) && errors.As(err, &failed) {
			assert.Equal(t, current.Revision(), failed.Current, tt.name)
		}
	}
	_, err := direct.Delete(ctx, tenant, "c-1", nil)
	require.NoError(t, err)
	_, err = c.Patch(ctx, tenant, "c-1", []byte(`{"email":"x"}`), nil)
	assert.ErrorIs(t, err, resource.ErrNotFound)
	res, err := c.Create(ctx, tenant, []byte(cust(``)), nil)
	require.NoError(t, err)
	assert.Equal(t, resource.Created, res.Outcome)
}
