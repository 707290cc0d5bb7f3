package resource_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTenants: tenants with much in common, and the same external id, behave as
// if the other were not there.
func TestTenants(t *testing.T) {
	var (
		a    = uuid.MustParse("aaaaaaaa-0000-4000-8000-00000000000a")
		b    = uuid.MustParse("bbbbbbbb-0000-4000-8000-00000000000b")
		ours = storage.Tenant{Platform: a, Business: b}
	)
	for _, tt := range []struct {
		name   string
		theirs storage.Tenant
	}{
		{"same platform, other business", storage.Tenant{Platform: a, Business: a}},
		{"other platform, same business", storage.Tenant{Platform: b, Business: b}},
		{"platform and business swapped", storage.Tenant{Platform: b, Business: a}},
		{"one bit differs", storage.Tenant{Platform: a, Business: uuid.MustParse("bbbbbbbb-0000-4000-8000-00000000000a")}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// world is a store in which they have the customer, or nobody has.
			type world struct {
				c     *resource.Collection
				store storage.Store
			}
			lone := func() world {
				store, opts := memory.New(), *fixed
				opts.Log, opts.History = true, true
				return world{open(t, schema.Customers(), store, &opts), store}
			}
			// pages are what we are told of changes: revisions and cursors are random.
			pages := func(page *resource.ChangePage, err error) string {
				require.NoError(t, err)
				text := fmt.Sprint(page.More, len(page.Next))
				for _, c := range page.Changes {
					c.Revision, c.Before = 0, min(c.Before, 1)
					text += fmt.Sprintf(" %s %d", c.AppendJSON(nil), len(c.Cursor))
				}
				return text
			}
			unredacted := &resource.ChangeOptions{Limit: 1, Documents: true, Patches: true, Unredacted: true}
			theirRevision := func(w world) storage.Revision {
				return max(1, stored(t, w.store, storage.Key{Tenant: tt.theirs, Schema: schema.Customers().ID(), ExternalID: "c-1"}).Revision)
			}
			shared := func() world {
				w := lone()
				_, err := w.c.Create(ctx, tt.theirs, []byte(cust(`,"email":"`+marker+`"`)), nil)
				require.NoError(t, err)
				return w
			}
			theirKey := storage.Key{Tenant: tt.theirs, Schema: schema.Customers().ID(), ExternalID: "c-1"}
			for _, step := range []struct {
				name string
				do   func(w world) string // all that we are told
			}{
				{"get", func(w world) string {
					r, err := w.c.Get(ctx, ours, "c-1")
					return fmt.Sprintf("%v %v %#v", r, err, err)
				}},
				{"patch", func(w world) string {
					r, err := w.c.Patch(ctx, ours, "c-1", []byte(`{"phone":"1"}`), nil)
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"patch, invalid", func(w world) string {
					r, err := w.c.Patch(ctx, ours, "c-1", []byte(`{"phone":1}`), nil)
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"patch if revision", func(w world) string {
					r, err := w.c.Patch(ctx, ours, "c-1", []byte(`{"phone":"1"}`), &resource.WriteOptions{If: resource.AtRevision(1)})
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"create if revision", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(cust(``)), &resource.WriteOptions{If: resource.AtRevision(1)})
					var e *resource.OpError
					require.ErrorAs(t, err, &e)
					return fmt.Sprintf("%v %v %+v", r, allText(err), *e)
				}},
				{"create if absent", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(cust(``)), &resource.WriteOptions{If: resource.Absent()})
					require.NoError(t, err)
					return fmt.Sprintf("%v %s %q", r.Outcome, r.AppendJSON(nil, nil), r.Changed())
				}},
				{"dry run", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(cust(``)), &resource.WriteOptions{DryRun: true})
					require.NoError(t, err)
					return fmt.Sprintf("%v %s %q %d", r.Outcome, r.AppendJSON(nil, nil), r.Changed(), r.Revision())
				}},
				{"dry patch", func(w world) string {
					r, err := w.c.Patch(ctx, ours, "c-1", []byte(`{"phone":"1"}`), &resource.WriteOptions{DryRun: true})
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"delete", func(w world) string {
					r, err := w.c.Delete(ctx, ours, "c-1", nil)
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"dry delete", func(w world) string {
					r, err := w.c.Delete(ctx, ours, "c-1", &resource.WriteOptions{DryRun: true})
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"list", func(w world) string {
					page, err := w.c.List(ctx, ours, nil)
					return fmt.Sprintf("%+v %v", page, err)
				}},
				{"list by their email", func(w world) string {
					page, err := w.c.List(ctx, ours, &resource.ListOptions{AllowScan: true, Filter: []schema.Condition{{Field: "email", Value: marker}}})
					return fmt.Sprintf("%+v %v", page, err)
				}},
				{"partial upsert", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(`{"customerId":"c-1","phone":"1"}`), nil)
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"refused", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(`{"customerId":"c-1","phone":1,"x":null}`), nil)
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"reject", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(cust(``)), &reject)
					require.NoError(t, err)
					return fmt.Sprintf("%v %s %q %q", r.Outcome, r.AppendJSON(nil, nil), r.Changed(), r.Dropped)
				}},
				{"reject again", func(w world) string {
					_, err := w.c.Create(ctx, ours, []byte(cust(``)), &reject)
					var e *resource.OpError
					require.ErrorAs(t, err, &e)
					return fmt.Sprintf("%v %+v", err, e.Key)
				}},
				{"upsert", func(w world) string {
					r, err := w.c.Create(ctx, ours, []byte(cust(`,"phone":"1"`)), nil)
					require.NoError(t, err)
					return fmt.Sprintf("%v %s %q %q", r.Outcome, r.AppendJSON(nil, nil), r.Changed(), r.Dropped)
				}},
				{"get ours", func(w world) string {
					r, err := w.c.Get(ctx, ours, "c-1")
					require.NoError(t, err)
					return string(r.AppendJSON(nil, nil))
				}},
				{"changes", func(w world) string { return pages(w.c.Changes(ctx, ours, unredacted)) }},
				{"changes of ours", func(w world) string { return pages(w.c.Changes(ctx, ours, unredacted)) }},
				{"changes from the end", func(w world) string {
					return pages(w.c.Changes(ctx, ours, &resource.ChangeOptions{FromEnd: true}))
				}},
				{"history", func(w world) string { return pages(w.c.History(ctx, ours, "c-1", unredacted)) }},
				{"history of ours", func(w world) string { return pages(w.c.History(ctx, ours, "c-1", unredacted)) }},
				{"restore at their revision", func(w world) string {
					r, err := w.c.Restore(ctx, ours, "c-1", theirRevision(w), nil)
					return fmt.Sprintf("%v %v", r, allText(err))
				}},
				{"erase", func(w world) string {
					report, err := w.c.Erase(ctx, ours, "c-1", nil)
					return fmt.Sprintf("%+v %v", report, err)
				}},
				{"erase of ours", func(w world) string {
					report, err := w.c.Erase(ctx, ours, "c-1", nil)
					return fmt.Sprintf("%+v %v", report, err)
				}},
			} {
				t.Run(step.name, func(t *testing.T) {
					alone, both := lone(), shared()
					if step.name == "reject again" || strings.HasSuffix(step.name, " ours") {
						for _, w := range []world{alone, both} {
							_, err := w.c.Create(ctx, ours, []byte(cust(``)), nil)
							require.NoError(t, err)
						}
					}
					theirs := stored(t, both.store, theirKey)
					told := step.do(both)
					assert.Equal(t, step.do(alone), told, "they make no difference")
					assert.NotContains(t, told, marker)
					assert.Equal(t, theirs, stored(t, both.store, theirKey), "theirs is untouched")
					history, err := both.c.History(ctx, tt.theirs, "c-1", unredacted)
					require.NoError(t, err)
					require.Len(t, history.Changes, 1, "their history is untouched")
					assert.Contains(t, string(history.Changes[0].Document), marker)
				})
			}
		})
	}
}

// TestSchemasApart holds the same between two schemas of one tenant.
func TestSchemasApart(t *testing.T) {
	store := memory.New()
	def := schema.Customers().Definition()
	def.ID = uuid.MustParse("cccccccc-0000-4000-8000-00000000000c")
	one, other := open(t, schema.Customers(), store, fixed), open(t, schema.MustCompile(def), store, fixed)
	create(t, one, cust(``))
	_, err := other.Get(ctx, tenant, "c-1")
	assert.ErrorIs(t, err, resource.ErrNotFound)
	res, err := other.Create(ctx, tenant, []byte(cust(``)), &reject)
	require.NoError(t, err)
	assert.Equal(t, resource.Created, res.Outcome)
	assert.Equal(t, def.ID, res.Key().Schema)
}

// TestNoTenant: half a tenant is none, for every call and before anything else.
func TestNoTenant(t *testing.T) {
	store := &hooked{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	for _, nobody := range []storage.Tenant{{}, {Platform: tenant.Platform}, {Business: tenant.Business}} {
		for _, request := range []string{cust(``), `{`, `{}`, `{"customerId":"c-1","email":1}`} {
			for _, opts := range []*resource.WriteOptions{nil, &reject} {
				_, err := c.Create(ctx, nobody, []byte(request), opts)
				assert.ErrorIs(t, err, storage.ErrInvalid)
				assert.NotContains(t, err.Error(), "c-1")
			}
		}
		_, err := c.Get(ctx, nobody, "c-1")
		assert.ErrorIs(t, err, storage.ErrInvalid)
		assert.NotErrorIs(t, err, resource.ErrNotFound)
		for _, id := range []string{"c-1", ""} {
			_, err = c.Patch(ctx, nobody, id, []byte(`{`), nil)
			assert.ErrorIs(t, err, storage.ErrInvalid)
			_, err = c.Delete(ctx, nobody, id, nil)
			assert.ErrorIs(t, err, storage.ErrInvalid)
		}
		_, err = c.List(ctx, nobody, &resource.ListOptions{Cursor: "x"})
		assert.ErrorIs(t, err, storage.ErrInvalid)
		_, err = c.Changes(ctx, nobody, &resource.ChangeOptions{Cursor: "x"})
		assert.ErrorIs(t, err, storage.ErrInvalid)
		_, err = c.History(ctx, nobody, "", nil)
		assert.ErrorIs(t, err, storage.ErrInvalid)
		_, err = c.Restore(ctx, nobody, "", 0, nil)
		assert.ErrorIs(t, err, storage.ErrInvalid)
		_, err = c.Erase(ctx, nobody, "", nil)
		assert.ErrorIs(t, err, storage.ErrInvalid)
	}
	assert.Zero(t, store.gets.Load()+store.puts.Load(), "the store was not asked")
}

// TestRevisions: another tenant's writes never show in a revision's staying the
// same, and a revision changes with every change and no other call.
func TestRevisions(t *testing.T) {
	c, _ := customers(t)
	seen := map[storage.Revision]bool{}
	first := create(t, c, cust(``))
	seen[first.Revision()] = true
	_, err := c.Create(ctx, storage.TenantOf("platform", "other"), []byte(cust(``)), nil)
	require.NoError(t, err)
	for range 3 {
		assert.Equal(t, first.Revision(), create(t, c, cust(``)).Revision())
	}
	for i := range 10 {
		res := create(t, c, fmt.Sprintf(`{"customerId":"c-1","email":"%d"}`, i%2))
		assert.Equal(t, resource.Updated, res.Outcome)
		assert.False(t, seen[res.Revision()], "a revision twice")
		seen[res.Revision()] = true
		assert.True(t, bytes.Contains(res.Data(), fmt.Appendf(nil, `"email":"%d"`, i%2)))
	}
}
