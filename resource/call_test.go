package resource_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOnCall: every method is seen once, with what it did.
func TestOnCall(t *testing.T) {
	conflicts := 0
	store := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if conflicts < 0 {
			return storagetest.Fault{Err: storage.ErrUnavailable}
		}
		if op.Name == "put" && conflicts > 0 {
			conflicts--
			return storagetest.Fault{Err: storage.ErrConflict}
		}
		return storagetest.Fault{}
	})
	type value struct{}
	withValue := context.WithValue(ctx, value{}, "mine")
	var seen []resource.Call
	c := open(t, schema.Customers(), store, &resource.Options{OnCall: func(ctx context.Context, call resource.Call) {
		assert.Equal(t, "mine", ctx.Value(value{}), "the context is the caller's")
		assert.Equal(t, tenant, call.Tenant)
		assert.Equal(t, "customers", call.Schema)
		assert.GreaterOrEqual(t, call.Duration, time.Duration(0))
		assert.Less(t, call.Duration, time.Minute)
		seen = append(seen, call)
	}})
	for _, tt := range []struct {
		name      string
		conflicts int
		do        func()
		want      string // op, results, attempts, class
	}{
		{"created", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), nil) }, "create map[created:1] 1 "},
		{"unchanged", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), nil) }, "create map[unchanged:1] 1 "},
		{"not strict", 0, func() { _, _ = c.Create(withValue, tenant, []byte(`{`), nil) }, "create map[invalid:1] 0 invalid"},
		{"not valid", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(`,"x":1`)), nil) }, "create map[invalid:1] 1 invalid"},
		{"exists", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), &reject) }, "create map[exists:1] 1 exists"},
		{"patched after conflicts", 2, func() { _, _ = c.Patch(withValue, tenant, "c-1", []byte(`{"email":"x"}`), nil) }, "patch map[updated:1] 3 "},
		{"dry run", 0, func() {
			_, _ = c.Patch(withValue, tenant, "c-1", []byte(`{"email":"y"}`), &resource.WriteOptions{DryRun: true})
		}, "patch map[updated:1] 1  dry"},
		{"dry run, not valid", 0, func() {
			_, _ = c.Create(withValue, tenant, []byte(`{`), &resource.WriteOptions{DryRun: true})
		}, "create map[invalid:1] 0 invalid dry"},
		{"patch of none", 0, func() { _, _ = c.Patch(withValue, tenant, "c-2", []byte(`{}`), nil) }, "patch map[not_found:1] 1 not_found"},
		{"precondition", 0, func() {
			_, _ = c.Patch(withValue, tenant, "c-1", []byte(`{}`), &resource.WriteOptions{If: resource.AtRevision(1 << 50)})
		}, "patch map[precondition:1] 1 precondition"},
		{"conflicts for ever", 1000, func() { _, _ = c.Patch(withValue, tenant, "c-1", []byte(`{"email":"z"}`), nil) }, "patch map[conflict:1] 256 conflict"},
		{"found", 0, func() { _, _ = c.Get(withValue, tenant, "c-1") }, "get map[found:1] 0 "},
		{"not found", 0, func() { _, _ = c.Get(withValue, tenant, "c-2") }, "get map[] 0 not_found"},
		{"get batch", 0, func() { _, _ = c.GetBatch(withValue, tenant, []string{"c-2", "c-1", "c-1"}) }, "get_batch map[found:2] 0 "},
		{"batch", 0, func() { _, _ = c.CreateBatch(withValue, tenant, append(numberedDocs(3, ""), []byte(`{`)), nil) }, "create_batch map[created:3 invalid:1] 3 "},
		{"batch, all unavailable", -1, func() { _, _ = c.CreateBatch(withValue, tenant, append(numberedDocs(2, ""), []byte(`{`)), nil) }, "create_batch map[invalid:1 unavailable:2] 0 "},
		{"unavailable", -1, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), nil) }, "create map[unavailable:1] 0 unavailable"},
		{"patch batch", 0, func() { _, _ = c.PatchBatch(withValue, tenant, patches(4, `{"email":"x"}`), nil) }, "patch_batch map[not_found:1 updated:3] 4 "},
		{"list", 0, func() { _, _ = c.List(withValue, tenant, &resource.ListOptions{Limit: 3}) }, "list map[found:3] 0 "},
		{"bad cursor", 0, func() { _, _ = c.List(withValue, tenant, &resource.ListOptions{Cursor: "x"}) }, "list map[] 0 invalid"},
		{"delete batch", 0, func() { _, _ = c.DeleteBatch(withValue, tenant, deletions(2), nil) }, "delete_batch map[deleted:2] 2 "},
		{"batch too large", 0, func() { _, _ = c.DeleteBatch(withValue, tenant, deletions(2000), nil) }, "delete_batch map[] 0 invalid"},
		{"deleted", 0, func() { _, _ = c.Delete(withValue, tenant, "c-1", nil) }, "delete map[deleted:1] 1 "},
	} {
		seen, conflicts = nil, tt.conflicts
		tt.do()
		if assert.Len(t, seen, 1, tt.name) {
			got := seen[0]
			text := fmt.Sprintf("%s %v %d %s", got.Op, got.Results, got.Attempts, resource.ErrorClass(got.Err))
			if got.DryRun {
				text += " dry"
			}
			assert.Equal(t, tt.want, text, tt.name)
		}
	}
	seen, conflicts = nil, 0
	for _, err := range c.All(withValue, tenant, &resource.ListOptions{Limit: 1}) {
		require.NoError(t, err)
	}
	assert.Len(t, seen, 1, "each page is a call")
}

func TestErrorClass(t *testing.T) {
	for want, errs := range map[string][]error{
		"":             {nil},
		"invalid":      {&schema.SyntaxError{}, &schema.ValidationError{}, resource.ErrCursor, resource.ErrBatchSize, storage.ErrTooLarge},
		"not_found":    {resource.ErrNotFound},
		"exists":       {resource.ErrExists},
		"precondition": {resource.ErrPrecondition},
		"unknown":      {storage.ErrUnknownOutcome, errors.Join(context.Canceled, storage.ErrUnknownOutcome), errors.Join(storage.ErrUnavailable, storage.ErrUnknownOutcome)},
		"conflict":     {storage.ErrConflict, storage.ErrAttempts, fmt.Errorf("%w: %w", storage.ErrAttempts, storage.ErrConflict)},
		"unavailable":  {storage.ErrUnavailable, storage.ErrClosed},
		"deadline":     {context.DeadlineExceeded},
		"canceled":     {context.Canceled},
		"internal":     {errors.New("x"), &schema.CorruptError{}},
	} {
		for _, err := range errs {
			if err == storage.ErrAttempts { // comes with a conflict
				continue
			}
			assert.EqualValues(t, want, resource.ErrorClass(err), "%v", err)
			if err != nil {
				assert.EqualValues(t, want, resource.ErrorClass(&storage.OpError{Op: "x", Err: err}), "%v", err)
			}
		}
	}
}
