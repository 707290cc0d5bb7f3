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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPatchID: the path names the resource; the patch may say the same, and
// nothing else.
func TestPatchID(t *testing.T) {
	for _, tt := range []struct {
		name, id, patch string
		want            want // changed or not
		notFound        bool
	}{
		{"without the id", "c-1", `{"email":"e"}`, updated("", "/email"), false},
		{"with the same id", "c-1", `{"customerId":"c-1","email":"e"}`, updated("", "/email"), false},
		{"with the same id, escaped", "c-1", `{"customerId":"\u0063-1","email":"e"}`, updated("", "/email"), false},
		{"empty", "c-1", `{}`, unchanged(""), false},
		{"with another id", "c-1", `{"customerId":"c-2","email":"e"}`, invalid("/customerId external_id"), false},
		{"with another id that exists", "c-1", `{"customerId":"c-3"}`, invalid("/customerId external_id"), false},
		{"without an id, by null", "c-1", `{"customerId":null}`, invalid("/customerId required"), false},
		{"with an empty id", "c-1", `{"customerId":""}`, invalid("/customerId external_id"), false},
		{"with an id of another kind", "c-1", `{"customerId":1}`, invalid("/customerId type"), false},
		{"not strict", "c-1", `{"email":"e",}`, notStrict, false},
		{"not strict, of none", "c-9", `{"email":"e",}`, notStrict, false},
		{"no object", "c-1", `[]`, invalid(" type"), false},
		{"of none", "c-9", `{"email":"e"}`, want{}, true},
		{"of none, invalid", "c-9", `{"email":1}`, want{}, true},
		{"of none, with another id", "c-9", `{"customerId":"c-1"}`, want{}, true},
		{"of no id", "", `{}`, want{}, true},
		{"of an impossible id", "c\x00", `{}`, want{}, true},
		{"of an id that is too long", strings.Repeat("c", 513), `{}`, want{}, true},
		{"of an id in another case", "C-1", `{}`, want{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, store := customers(t)
			old := put(t, store, customerKey("c-1"), cust(outs))
			put(t, store, customerKey("c-3"), strings.Replace(cust(outs), "c-1", "c-3", 1))
			res, err := c.Patch(ctx, tenant, tt.id, []byte(tt.patch), nil)
			if tt.want.outcome == "" {
				require.Error(t, err)
				assert.Equal(t, tt.notFound, errors.Is(err, resource.ErrNotFound), "%v", err)
				assert.Equal(t, tt.want, classify(err))
				assert.Equal(t, old, stored(t, store, customerKey("c-1")))
				assert.Equal(t, 2, count(t, store, tenant, schema.Customers()), "a patch never creates")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want.outcome, res.Outcome)
			assert.Equal(t, tt.want.changed, res.Changed())
			assert.Equal(t, "c-1", res.Key().ExternalID)
		})
	}
}

// TestPreconditions is the table of what a caller may demand, over what there
// is.
func TestPreconditions(t *testing.T) {
	type call func(c *resource.Collection, rev storage.Revision) error
	create := func(opts func(storage.Revision) resource.WriteOptions) call {
		return func(c *resource.Collection, rev storage.Revision) error {
			o := opts(rev)
			_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"new"`)), &o)
			return err
		}
	}
	patch := func(c *resource.Collection, rev storage.Revision) error {
		_, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":"new"}`), &resource.WriteOptions{If: resource.AtRevision(rev)})
		return err
	}
	remove := func(c *resource.Collection, rev storage.Revision) error {
		_, err := c.Delete(ctx, tenant, "c-1", &resource.WriteOptions{If: resource.AtRevision(rev)})
		return err
	}
	ifRevision := func(rev storage.Revision) resource.WriteOptions {
		return resource.WriteOptions{If: resource.AtRevision(rev)}
	}
	ifAbsent := func(storage.Revision) resource.WriteOptions { return resource.WriteOptions{If: resource.Absent()} }
	both := func(rev storage.Revision) resource.WriteOptions {
		return resource.WriteOptions{If: resource.AtRevision(rev).And(resource.Absent())}
	}
	rejectIf := func(rev storage.Revision) resource.WriteOptions {
		return resource.WriteOptions{If: resource.AtRevision(rev), RejectExisting: true}
	}
	rejectAbsent := func(storage.Revision) resource.WriteOptions {
		return resource.WriteOptions{If: resource.Absent(), RejectExisting: true}
	}
	is := func(rev storage.Revision) resource.Condition { return resource.AtRevision(rev, rev) }
	ifSame := func(rev storage.Revision) resource.WriteOptions { return resource.WriteOptions{If: is(rev)} }
	ifNone := func(storage.Revision) resource.WriteOptions { return resource.WriteOptions{If: is(0)} }
	ifAny := func(storage.Revision) resource.WriteOptions {
		return resource.WriteOptions{If: resource.NotAtRevision(0)}
	}
	rejectSame := func(rev storage.Revision) resource.WriteOptions {
		return resource.WriteOptions{If: is(rev), RejectExisting: true}
	}
	patchIf := func(c *resource.Collection, rev storage.Revision) error {
		_, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":"new"}`), &resource.WriteOptions{If: is(rev)})
		return err
	}
	removeIf := func(c *resource.Collection, rev storage.Revision) error {
		_, err := c.Delete(ctx, tenant, "c-1", &resource.WriteOptions{If: is(rev)})
		return err
	}
	failed, gone, ok := resource.ErrPrecondition, resource.ErrNotFound, error(nil)
	for _, tt := range []struct {
		name                   string
		call                   call
		current, stale, absent error // with the revision that is, one that was, and when there is none
	}{
		{"create if revision", create(ifRevision), ok, failed, failed},
		{"create if absent", create(ifAbsent), failed, failed, ok},
		{"create if both", create(both), failed, failed, failed},
		{"reject if revision", create(rejectIf), resource.ErrExists, failed, failed},
		{"reject if absent", create(rejectAbsent), failed, failed, ok},
		{"patch if revision", patch, ok, failed, gone},
		{"delete if revision", remove, ok, failed, gone},
		{"create if", create(ifSame), ok, failed, failed},
		{"create if none", create(ifNone), failed, failed, ok},
		{"create if any", create(ifAny), ok, ok, failed},
		{"reject if", create(rejectSame), resource.ErrExists, failed, failed},
		{"patch if", patchIf, ok, failed, gone},
		{"delete if", removeIf, ok, failed, gone},
	} {
		for _, state := range []string{"current", "stale", "absent"} {
			t.Run(tt.name+", "+state, func(t *testing.T) {
				c, store := customers(t)
				key := customerKey("c-1")
				old := put(t, store, key, cust(`,"email":"old"`+outs))
				rev, want := old.Revision, tt.current
				switch state {
				case "stale": // A-B-A: the same content under another revision
					for _, email := range []string{"b", "old"} {
						_, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":"`+email+`"}`), nil)
						require.NoError(t, err)
					}
					want = tt.stale
				case "absent":
					require.NoError(t, storage.Delete(ctx, store, key, rev))
					want = tt.absent
				}
				was := stored(t, store, key)
				err := tt.call(c, rev)
				if want == nil {
					require.NoError(t, err)
					assert.NotEqual(t, was, stored(t, store, key))
					return
				}
				require.ErrorIs(t, err, want)
				assert.Equal(t, was, stored(t, store, key))
				assert.NotContains(t, err.Error(), "c-1")
				assert.NotContains(t, err.Error(), fmt.Sprint(rev))
				if want == failed {
					var e *resource.OpError
					require.ErrorAs(t, err, &e)
					assert.Equal(t, was.Revision, e.Current, "it tells the current revision")
					assert.Equal(t, key, e.Key)
				}
			})
		}
	}
}

// TestIfRevisionIsSafe: of many writers with the same precondition one gets
// through, through whatever number of collections.
func TestIfRevisionIsSafe(t *testing.T) {
	for _, setup := range setups {
		t.Run(setup.name, func(t *testing.T) {
			store := yielding()
			all := collections(t, setup.collections, schema.Customers(), store)
			rev := create(t, all[0], cust(``)).Revision()
			var errs [writers]error
			atOnce(writers, func(i int) {
				c := all[i%len(all)]
				switch i % 3 {
				case 0:
					_, errs[i] = c.Patch(ctx, tenant, "c-1", fmt.Appendf(nil, `{"email":"%d"}`, i), &resource.WriteOptions{If: resource.AtRevision(rev)})
				case 1:
					_, errs[i] = c.Create(ctx, tenant, []byte(cust(fmt.Sprintf(`,"email":"%d"`, i))), &resource.WriteOptions{If: resource.AtRevision(rev)})
				case 2:
					_, errs[i] = c.Delete(ctx, tenant, "c-1", &resource.WriteOptions{If: resource.AtRevision(rev)})
				}
			})
			through := 0
			for _, err := range errs {
				if err == nil {
					through++
				} else if !errors.Is(err, resource.ErrNotFound) { // where the delete was the one
					assert.ErrorIs(t, err, resource.ErrPrecondition)
				}
			}
			assert.Equal(t, 1, through)
		})
	}
}

func TestDelete(t *testing.T) {
	c, store := customers(t)
	key := customerKey("c-1")
	old := put(t, store, key, cust(`,"shoeSize":44`))
	for _, id := range []string{"c-2", "C-1", "", "c\x00", strings.Repeat("c", 513)} {
		_, err := c.Delete(ctx, tenant, id, nil)
		assert.ErrorIs(t, err, resource.ErrNotFound, "%q", id)
		assert.NotErrorIs(t, err, storage.ErrInvalid, "%q", id)
	}
	dry, err := c.Delete(ctx, tenant, "c-1", &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, old, stored(t, store, key), "after a dry run")
	res, err := c.Delete(ctx, tenant, "c-1", nil)
	require.NoError(t, err)
	assert.Zero(t, stored(t, store, key))
	for _, r := range []*resource.Result{dry, res} {
		assert.Equal(t, resource.Deleted, r.Outcome)
		assert.Equal(t, cust(outs), string(r.Data()), "the resource as it was shown")
		assert.Equal(t, old.Revision, r.Revision())
		assert.Equal(t, firstID, r.ID())
		assert.Empty(t, r.Changed())
		assert.Equal(t, []string{"/customerId", "/firstName", "/lastName", "/createdAt", "/shoeSize"}, r.Removed())
	}
	_, err = c.Delete(ctx, tenant, "c-1", nil)
	assert.ErrorIs(t, err, resource.ErrNotFound, "again")
	created := create(t, c, cust(``))
	assert.Equal(t, resource.Created, created.Outcome)
	assert.NotEqual(t, firstID, created.ID(), "another resource")
}

// TestDeleteRace: many deletes and creates of one key. Every delete that succeeds
// has deleted what some create made.
func TestDeleteRace(t *testing.T) {
	for _, setup := range setups {
		t.Run(setup.name, func(t *testing.T) {
			store := yielding()
			all := collections(t, setup.collections, schema.Customers(), store)
			made, gone := make([]int, writers), make([]int, writers)
			atOnce(writers, func(i int) {
				c := all[i%len(all)]
				for range 5 {
					if i%2 == 0 {
						res, err := c.Create(ctx, tenant, []byte(cust(``)), nil)
						if assert.NoError(t, err) && res.Outcome == resource.Created {
							made[i]++
						}
						continue
					}
					if _, err := c.Delete(ctx, tenant, "c-1", nil); err == nil {
						gone[i]++
					} else {
						assert.ErrorIs(t, err, resource.ErrNotFound)
					}
				}
			})
			sum := 0
			for i := range made {
				sum += made[i] - gone[i]
			}
			assert.Equal(t, count(t, store, tenant, schema.Customers()), sum)
		})
	}
}

func TestDryRunTakesNoLock(t *testing.T) {
	store, letGo := blocking(memory.New())
	c := open(t, schema.Customers(), store, fixed)
	waiting := write(c, ctx, "a")
	for _, dry := range []func() error{
		func() error {
			_, err := c.Create(ctx, tenant, []byte(cust(``)), &resource.WriteOptions{DryRun: true})
			return err
		},
		func() error {
			_, err := c.Patch(ctx, tenant, "c-1", []byte(`{}`), &resource.WriteOptions{DryRun: true})
			return err
		},
		func() error {
			_, err := c.Delete(ctx, tenant, "c-1", &resource.WriteOptions{DryRun: true})
			return err
		},
	} {
		if err := dry(); err != nil {
			assert.ErrorIs(t, err, resource.ErrNotFound)
		}
	}
	close(letGo)
	require.NoError(t, <-waiting)
}
