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
		want      string // op, counts, found, attempts, class
	}{
		{"created", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), nil) }, "create {1 0 0 0 0} 0 1 "},
		{"unchanged", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), nil) }, "create {0 0 1 0 0} 0 1 "},
		{"not strict", 0, func() { _, _ = c.Create(withValue, tenant, []byte(`{`), nil) }, "create {0 0 0 0 1} 0 0 invalid"},
		{"not valid", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(`,"x":1`)), nil) }, "create {0 0 0 0 1} 0 1 invalid"},
		{"exists", 0, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), &reject) }, "create {0 0 0 0 1} 0 1 exists"},
		{"patched after conflicts", 2, func() { _, _ = c.Patch(withValue, tenant, "c-1", []byte(`{"email":"x"}`), nil) }, "patch {0 1 0 0 0} 0 3 "},
		{"dry run", 0, func() {
			_, _ = c.Patch(withValue, tenant, "c-1", []byte(`{"email":"y"}`), &resource.PatchOptions{DryRun: true})
		}, "patch {0 1 0 0 0} 0 1  dry"},
		{"dry run, not valid", 0, func() {
			_, _ = c.Create(withValue, tenant, []byte(`{`), &resource.CreateOptions{DryRun: true})
		}, "create {0 0 0 0 1} 0 0 invalid dry"},
		{"patch of none", 0, func() { _, _ = c.Patch(withValue, tenant, "c-2", []byte(`{}`), nil) }, "patch {0 0 0 0 1} 0 1 not_found"},
		{"precondition", 0, func() {
			_, _ = c.Patch(withValue, tenant, "c-1", []byte(`{}`), &resource.PatchOptions{If: resource.AtRevision(1 << 50)})
		}, "patch {0 0 0 0 1} 0 1 precondition"},
		{"conflicts for ever", 1000, func() { _, _ = c.Patch(withValue, tenant, "c-1", []byte(`{"email":"z"}`), nil) }, "patch {0 0 0 0 1} 0 256 conflict"},
		{"found", 0, func() { _, _ = c.Get(withValue, tenant, "c-1") }, "get {0 0 0 0 0} 1 0 "},
		{"not found", 0, func() { _, _ = c.Get(withValue, tenant, "c-2") }, "get {0 0 0 0 0} 0 0 not_found"},
		{"get batch", 0, func() { _, _ = c.GetBatch(withValue, tenant, []string{"c-2", "c-1", "c-1"}) }, "get_batch {0 0 0 0 0} 2 0 "},
		{"batch", 0, func() { _, _ = c.CreateBatch(withValue, tenant, append(numberedDocs(3, ""), []byte(`{`)), nil) }, "create_batch {3 0 0 0 1} 0 3 "},
		{"batch, all unavailable", -1, func() { _, _ = c.CreateBatch(withValue, tenant, append(numberedDocs(2, ""), []byte(`{`)), nil) }, "create_batch {0 0 0 0 3} 0 0 "},
		{"unavailable", -1, func() { _, _ = c.Create(withValue, tenant, []byte(cust(``)), nil) }, "create {0 0 0 0 1} 0 0 unavailable"},
		{"patch batch", 0, func() { _, _ = c.PatchBatch(withValue, tenant, patches(4, `{"email":"x"}`), nil) }, "patch_batch {0 3 0 0 1} 0 4 "},
		{"list", 0, func() { _, _ = c.List(withValue, tenant, &resource.ListOptions{Limit: 3}) }, "list {0 0 0 0 0} 3 0 "},
		{"bad cursor", 0, func() { _, _ = c.List(withValue, tenant, &resource.ListOptions{Cursor: "x"}) }, "list {0 0 0 0 0} 0 0 invalid"},
		{"delete batch", 0, func() { _, _ = c.DeleteBatch(withValue, tenant, deletions(2), nil) }, "delete_batch {0 0 0 2 0} 0 2 "},
		{"batch too large", 0, func() { _, _ = c.DeleteBatch(withValue, tenant, deletions(2000), nil) }, "delete_batch {0 0 0 0 0} 0 0 invalid"},
		{"deleted", 0, func() { _, _ = c.Delete(withValue, tenant, "c-1", nil) }, "delete {0 0 0 1 0} 0 1 "},
	} {
		seen, conflicts = nil, tt.conflicts
		tt.do()
		if assert.Len(t, seen, 1, tt.name) {
			got := seen[0]
			text := fmt.Sprintf("%s %v %d %d %s", got.Op, got.Counts, got.Found, got.Attempts, resource.ErrorClass(got.Err))
			if got.DryRun {
				text += " dry"
			}
			assert.Equal(t, tt.want, text, tt.name)
			failed := 0
			for _, n := range got.FailedBy {
				failed += n
			}
			assert.Equal(t, got.Failed, failed, tt.name)
			switch {
			case tt.name == "batch, all unavailable":
				assert.Equal(t, map[resource.Class]int{"unavailable": 2, "invalid": 1}, got.FailedBy)
			case got.Err != nil && got.Failed > 0:
				assert.Equal(t, map[resource.Class]int{resource.ErrorClass(got.Err): 1}, got.FailedBy, tt.name)
			}
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
		"exists":       {&resource.ExistsError{}},
		"precondition": {&resource.PreconditionError{}},
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
