package resource_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// damages are documents that no program of this module has stored.
var damages = []string{
	"", " ", "[1]", `"x"`, "{", cust(``)[:40], cust(``) + "}", cust(`,"email":"a","email":"b"`), cust(`,"email":"` + "\xff" + `"`),
	cust(`,"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)),
}

// damage puts a damaged record after every tenth of 100 good ones, and returns their
// records.
func damage(t *testing.T, c *resource.Collection, store storage.Store) (damaged []storage.Record) {
	t.Helper()
	fillUp(t, c, tenant, 100)
	for i, data := range damages {
		id := uuid.MustParse(fmt.Sprintf("01974000-0000-7000-8000-%012d", i))
		rec := storage.Record{Key: customerKey(fmt.Sprintf("c-%06d-secret", 10*i+9)), ID: id, CreatedAt: before, UpdatedAt: before, Data: []byte(data)}
		var err error
		rec.Revision, err = storage.Put(ctx, store, rec, 0)
		require.NoError(t, err)
		damaged = append(damaged, rec)
	}
	return damaged
}

// checkDamaged checks an error about a damaged record.
func checkDamaged(t *testing.T, rec storage.Record, err error) {
	t.Helper()
	var corrupt *schema.CorruptError
	require.ErrorAs(t, err, &corrupt)
	assert.Equal(t, rec.ID, corrupt.Record)
	assert.Contains(t, err.Error(), rec.ID.String())
	assert.NotContains(t, err.Error(), "secret")
	assert.NotContains(t, fmt.Sprintf("%#v", err), "secret")
	var op *resource.OpError
	require.ErrorAs(t, err, &op)
	assert.Equal(t, rec.Key, op.Key)
}

// TestListGoesPastDamaged: damaged records take nothing from a list but themselves,
// with a filter or without, whatever the limit, and each is told of once.
func TestListGoesPastDamaged(t *testing.T) {
	c, store := customers(t)
	damaged := damage(t, c, store)
	for name, filter := range map[string][]schema.Condition{
		"all": nil, "half": {{Field: "emailOptOut", Value: true}}, "none": {{Field: "email", Value: "nobody"}},
	} {
		want := map[string]int{"all": 100, "half": 50}[name]
		for _, limit := range []int{1, 7, 100, 1000} {
			opts := &resource.ListOptions{AllowScan: true, Limit: limit, Filter: filter}
			var ids []string
			var told []error
			for {
				page, err := c.List(ctx, tenant, opts)
				require.NoError(t, err)
				for _, r := range page.Resources {
					ids = append(ids, r.Key().ExternalID)
				}
				told = append(told, page.Damaged...)
				if opts.Cursor = page.Next; page.Next == "" {
					break
				}
			}
			assert.Len(t, ids, want, "%s, limit %d", name, limit)
			require.Len(t, told, len(damaged), "%s, limit %d", name, limit)
			for i, err := range told {
				checkDamaged(t, damaged[i], err)
			}

			opts.Cursor = ""
			found, errs := 0, 0
			for r, err := range c.All(ctx, tenant, opts) {
				if err != nil {
					checkDamaged(t, damaged[errs], err)
					errs++
					continue
				}
				assert.NotNil(t, r)
				found++
			}
			assert.Equal(t, [2]int{want, len(damaged)}, [2]int{found, errs})
		}
	}
	for _, err := range c.All(ctx, tenant, nil) {
		if err != nil {
			break // at the first of several
		}
	}
}

// TestDamagedIsNamed: every call about a damaged record but a delete fails, says which
// record it is, and leaves it as it is; the others of a batch are as ever.
func TestDamagedIsNamed(t *testing.T) {
	c, store := customers(t)
	for _, rec := range damage(t, c, store) {
		id := rec.Key.ExternalID
		whole := []byte(strings.Replace(cust(``), "c-1", id, 1))
		_, err := c.Get(ctx, tenant, id)
		checkDamaged(t, rec, err)
		for _, dryRun := range []bool{false, true} {
			_, err = c.Create(ctx, tenant, whole, &resource.WriteOptions{DryRun: dryRun})
			checkDamaged(t, rec, err)
			_, err = c.Patch(ctx, tenant, id, []byte(`{"email":"e"}`), &resource.WriteOptions{DryRun: dryRun})
			checkDamaged(t, rec, err)
			batch, err := c.CreateBatch(ctx, tenant, [][]byte{whole, numberedDocs(1, "")[0], whole}, &resource.WriteOptions{DryRun: dryRun})
			require.NoError(t, err)
			checkDamaged(t, rec, batch[0].Err)
			assert.NoError(t, batch[1].Err)
			checkDamaged(t, rec, batch[2].Err)
		}
		_, err = c.Create(ctx, tenant, whole, &reject)
		assert.ErrorIs(t, err, resource.ErrExists)
		got, err := c.GetBatch(ctx, tenant, []string{"c-000001", id, "c-000002", "none"})
		checkDamaged(t, rec, err)
		require.Len(t, got, 4)
		assert.True(t, got[0] != nil && got[1] == nil && got[2] != nil && got[3] == nil, "the others are there")
		now := stored(t, store, rec.Key)
		assert.Equal(t, rec.Revision, now.Revision)
	}
}

// TestDeleteDamaged: a damaged record is deleted in every way in which others are, and
// a new one takes its place.
func TestDeleteDamaged(t *testing.T) {
	made, store := customers(t)
	damaged := damage(t, made, store)
	c := open(t, schema.Customers(), store, &resource.Options{Now: fixed.Now, NewID: fixed.NewID, Log: true, History: true})
	batch := []resource.Item{{ExternalID: "none"}}
	for i, rec := range damaged {
		id := rec.Key.ExternalID
		_, err := c.Delete(ctx, tenant, id, &resource.WriteOptions{If: resource.AtRevision(rec.Revision + 1)})
		assert.ErrorIs(t, err, resource.ErrPrecondition)
		res, err := c.Delete(ctx, tenant, id, &resource.WriteOptions{DryRun: true})
		require.NoError(t, err)
		assert.Equal(t, resource.Deleted, res.Outcome)
		if i%2 == 1 {
			batch = append(batch, resource.Item{ExternalID: id, If: resource.AtRevision(rec.Revision)})
			continue
		}
		res, err = c.Delete(ctx, tenant, id, &resource.WriteOptions{If: resource.AtRevision(rec.Revision).And(resource.NotAtRevision(0))})
		require.NoError(t, err)
		checkDeletedDamaged(t, rec, res)
	}
	deleted, err := c.DeleteBatch(ctx, tenant, batch, nil)
	require.NoError(t, err)
	assert.Equal(t, counts{Deleted: 5, Failed: 1}, counted(deleted))
	for i, item := range deleted[1:] {
		checkDeletedDamaged(t, damaged[2*i+1], item.Result)
	}
	changes := allChanges(t, c, resource.ChangeOptions{Documents: true, Patches: true})
	require.Len(t, changes, len(damaged))
	for _, change := range changes {
		i := slices.IndexFunc(damaged, func(rec storage.Record) bool { return rec.Key == change.Key })
		require.GreaterOrEqual(t, i, 0)
		change.Cursor, change.Time, change.Revision = "", time.Time{}, 0
		assert.Equal(t, resource.Change{
			Key: change.Key, ID: damaged[i].ID, Schema: "customers", Outcome: resource.Deleted, Before: damaged[i].Revision,
		}, change)
	}
	page, err := c.List(ctx, tenant, &resource.ListOptions{Limit: 1000})
	require.NoError(t, err)
	assert.Len(t, page.Resources, 100)
	assert.Empty(t, page.Damaged)
	res := create(t, c, strings.Replace(cust(``), "c-1", damaged[0].Key.ExternalID, 1))
	assert.Equal(t, resource.Created, res.Outcome)
}

func checkDeletedDamaged(t *testing.T, rec storage.Record, res *resource.Result) {
	t.Helper()
	assert.Equal(t, resource.Deleted, res.Outcome)
	assert.Equal(t, rec.ID, res.ID())
	assert.Equal(t, "{}", string(res.Data()))
	assert.Empty(t, res.Changed())
	assert.Empty(t, res.Removed())
}

// TestDamagedPages: a tenant with nothing but damaged records is listed to the end.
func TestDamagedPages(t *testing.T) {
	c, store := customers(t)
	const n = 10*storage.MaxPage + 10
	for i := range n {
		put(t, store, customerKey(fmt.Sprintf("c-%06d", i)), "[]")
	}
	calls, told := 0, 0
	for opts := (&resource.ListOptions{}); ; calls++ {
		page, err := c.List(ctx, tenant, opts)
		require.NoError(t, err)
		assert.Empty(t, page.Resources)
		told += len(page.Damaged)
		if opts.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	assert.Equal(t, n, told)
	assert.Equal(t, 1, calls)
}
