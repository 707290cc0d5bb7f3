package resource_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The fields of the editions in these tests. Each collection stands for a process.
var (
	plainEmail  = str("email")
	uniqueEmail = schema.Field{Name: "email", Type: schema.String, Index: 1, Unique: true}
	plainAge    = number("age")
	indexedAge  = schema.Field{Name: "age", Type: schema.Number, Index: 2}
)

// listed returns the ids of a list.
func listed(t testing.TB, c *resource.Collection, opts resource.ListOptions) (ids []string) {
	t.Helper()
	for r, err := range c.All(ctx, tenant, &opts) {
		require.NoError(t, err)
		ids = append(ids, r.Get("id").String())
	}
	return ids
}

func where(field string, value any) resource.ListOptions {
	return resource.ListOptions{Filter: []schema.Condition{{Field: field, Value: value}}}
}

func isIndexed(t testing.TB, c *resource.Collection) bool {
	t.Helper()
	done, err := c.Indexed(ctx, tenant)
	require.NoError(t, err)
	return done
}

// assertTaken asserts that an error is the violation of a unique value.
func assertTaken(t testing.TB, err error) {
	t.Helper()
	var invalid *schema.ValidationError
	if assert.ErrorAs(t, err, &invalid) {
		assert.Equal(t, "unique", invalid.Violations[0].Code)
	}
}

// TestDryRunOfATenant: a dry run writes nothing, and starts no log, in a new tenant either.
func TestDryRunOfATenant(t *testing.T) {
	store := &hooked{Store: memory.New()}
	c := open(t, things(uniqueEmail), store, &resource.Options{Log: true})
	dry := &resource.WriteOptions{DryRun: true}
	_, err := c.Create(ctx, tenant, []byte(`{"id":"1","email":"a"}`), dry)
	require.NoError(t, err)
	items, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(`{"id":"1","email":"a"}`), []byte(`{"id":"2","email":"a"}`)}, dry)
	require.NoError(t, err)
	assert.NoError(t, items[0].Err)
	assertTaken(t, items[1].Err)
	assert.Zero(t, store.puts.Load())
	create(t, open(t, things(plainEmail), store, nil), `{"id":"1","email":"a"}`)
}

// TestEditionWithoutIndex: what an earlier edition, or other options, write without an
// entry is found: lists scan until Reindex has run again.
func TestEditionWithoutIndex(t *testing.T) {
	for name, earlier := range map[string]*schema.Schema{
		"no index":        things(plainEmail),
		"another field's": things(plainEmail, indexedAge),
	} {
		synctest.Test(t, func(t *testing.T) {
			store := memory.New()
			now := things(uniqueEmail)
			create(t, open(t, now, store, nil), `{"id":"1","email":"a"}`)
			old := open(t, earlier, store, nil)
			create(t, old, `{"id":"2","email":"b"}`)
			create(t, old, `{"id":"1","email":"c"}`)

			c := open(t, now, store, nil)
			assert.False(t, isIndexed(t, c), name)
			assert.Equal(t, []string{"2"}, listed(t, c, where("email", "b")))
			assert.Equal(t, []string{"1"}, listed(t, c, where("email", "c")))
			_, err := c.List(ctx, tenant, &resource.ListOptions{Order: "email"})
			assert.ErrorIs(t, err, storage.ErrUnavailable)
			_, err = c.Reindex(ctx, tenant, nil)
			require.NoError(t, err)
			assert.True(t, isIndexed(t, c))
			assert.Equal(t, []string{"2", "1"}, listed(t, c, resource.ListOptions{Order: "email"}))

			_, err = open(t, earlier, store, nil).Reindex(ctx, tenant, nil)
			require.NoError(t, err)
			assert.Equal(t, name == "no index", isIndexed(t, open(t, now, store, nil)), "another edition's Reindex takes entries away")
		})
	}
	store, with := memory.New(), &resource.Options{IndexCreatedAt: true}
	create(t, open(t, things(), store, with), `{"id":"1"}`)
	create(t, open(t, things(), store, nil), `{"id":"2"}`)
	assert.False(t, isIndexed(t, open(t, things(), store, with)), "own times")
}

// TestIndexOfOtherValues: an index whose values have changed with the schema is built
// again, even if it has kept its number.
func TestIndexOfOtherValues(t *testing.T) {
	plan := func(value any) schema.Field {
		return schema.Field{Name: "plan", Type: schema.String, Index: 3, Default: value}
	}
	lower := plan(nil)
	lower.Fold = "lower"
	for name, later := range map[string]schema.Field{"default": plan("free"), "fold": lower} {
		store := memory.New()
		c := open(t, things(plan(nil)), store, nil)
		create(t, c, `{"id":"1"}`)
		create(t, c, `{"id":"2","plan":"FREE"}`)
		c = open(t, things(later), store, nil)
		want := []string{"1"}
		if name == "fold" {
			want = []string{"2"}
		}
		assert.Equal(t, want, listed(t, c, where("plan", "free")), name)
		assert.False(t, isIndexed(t, c), name)
		_, err := c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		assert.True(t, isIndexed(t, c), name)
		assert.Equal(t, want, listed(t, c, where("plan", "free")), name)
	}
}

// populate creates n things with an email and an age of their own, in the edition of before.
func populate(t testing.TB, store storage.Store, n int) {
	t.Helper()
	old := open(t, things(plainEmail, plainAge), store, nil)
	for i := range n {
		create(t, old, fmt.Sprintf(`{"id":"%04d","email":"%d@x.org","age":%d}`, i, i, i))
	}
}

// TestReindexOfAnotherEdition: a Reindex that has ended early is not continued for an index
// that it did not build.
func TestReindexOfAnotherEdition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		populate(t, store, 2*storage.MaxPage+1)
		stop := errors.New("stop")
		pages := 0
		_, err := open(t, things(uniqueEmail, plainAge), store, nil).Reindex(ctx, tenant, func(resource.Reindexed) error {
			if pages++; pages == 2 {
				return stop
			}
			return nil
		})
		require.ErrorIs(t, err, stop)
		c := open(t, things(uniqueEmail, indexedAge), store, nil)
		_, err = c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		assert.Len(t, listed(t, c, resource.ListOptions{Order: "age"}), 2*storage.MaxPage+1)

		// Nor if an edition without the index has written meanwhile.
		c = open(t, things(uniqueEmail), store, nil)
		_, err = c.Reindex(ctx, tenant, func(resource.Reindexed) error {
			create(t, open(t, things(plainEmail), store, nil), `{"id":"0000","email":"moved"}`)
			return nil
		})
		require.ErrorIs(t, err, storage.ErrUnavailable)
		assert.False(t, isIndexed(t, c))
		_, err = c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"0000"}, listed(t, c, where("email", "moved")))
	})
}

// TestReindexBesideDuplicates: equal values that are written while a Reindex runs are
// refused or reported.
func TestReindexBesideDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		create(t, open(t, things(plainEmail), store, nil), `{"id":"5"}`) // without a value
		writer := open(t, things(uniqueEmail), store, nil)
		var errs []error
		c := open(t, things(uniqueEmail), store, nil)
		done, err := c.Reindex(ctx, tenant, func(resource.Reindexed) error {
			for i := range 2 {
				_, err := writer.Create(ctx, tenant, fmt.Appendf(nil, `{"id":"%d","email":"a"}`, i), nil)
				if err != nil {
					errs = append(errs, err)
				}
			}
			return nil
		})
		require.NoError(t, err)
		if len(done.Duplicates) == 0 && assert.NotEmpty(t, errs) {
			assertTaken(t, errs[0])
		}
	})
}

// TestReindexTwiceAtOnce: two calls at once, of which one is killed, leave unique values
// unique.
func TestReindexTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		populate(t, store, 3*storage.MaxPage)
		s := things(uniqueEmail, indexedAge)
		killed := errors.New("killed")
		pages := 0
		_, err := open(t, s, store, nil).Reindex(ctx, tenant, func(resource.Reindexed) error {
			if pages++; pages == 1 {
				_, err := open(t, s, store, nil).Reindex(ctx, tenant, nil)
				return err
			}
			return killed
		})
		require.ErrorIs(t, err, killed)
		c := open(t, s, store, nil)
		require.True(t, isIndexed(t, c))
		for _, i := range []int{1, storage.MaxPage + 1, 2*storage.MaxPage + 1} {
			_, err = c.Create(ctx, tenant, fmt.Appendf(nil, `{"id":"twin","email":"%d@x.org"}`, i), nil)
			assertTaken(t, err)
		}

		// The place of the killed one is not that of a later Reindex.
		rec, err := store.Get(ctx, storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: "0001"})
		require.NoError(t, err)
		require.NoError(t, store.SetEntries(ctx, rec.Key, rec.Revision, nil)) // as by SQL
		_, err = c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"0001"}, listed(t, c, where("email", "1@x.org")))
	})
}

// TestWriteThatTakesLong: a write that is tried again, or that ends long after it began,
// makes its value unique if a Reindex has begun to meanwhile.
func TestWriteThatTakesLong(t *testing.T) {
	for _, conflict := range []bool{true, false} {
		for _, batch := range []bool{true, false} {
			t.Run(fmt.Sprintf("conflict=%t,batch=%t", conflict, batch), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					mem := memory.New()
					populate(t, mem, 10)
					s := things(uniqueEmail, indexedAge)
					var once atomic.Bool
					slow := &hooked{Store: mem, onPut: func(rec storage.Record) error {
						if rec.Key.ExternalID != "twin" || once.Swap(true) {
							return nil
						}
						_, err := open(t, s, mem, nil).Reindex(ctx, tenant, nil)
						require.NoError(t, err)
						if conflict {
							return storage.ErrConflict
						}
						return nil
					}}
					writer := open(t, s, slow, nil)
					twin := []byte(`{"id":"twin","email":"7@x.org"}`)
					var err error
					if batch {
						items, batchErr := writer.CreateBatch(ctx, tenant, [][]byte{twin}, nil)
						require.NoError(t, batchErr)
						err = items[0].Err
					} else {
						_, err = writer.Create(ctx, tenant, twin, nil)
					}
					c := open(t, s, mem, nil)
					if conflict {
						assertTaken(t, err)
						return
					}
					require.NoError(t, err)
					if !isIndexed(t, c) { // it was reported as a duplicate
						done, err := c.Reindex(ctx, tenant, nil)
						require.NoError(t, err)
						assert.Len(t, done.Duplicates["/email"], 1)
						return
					}
					t.Error("two resources have a unique value, and it is not known")
				})
			})
		}
	}
}

// TestStateIsNotTheOutcome: an error of the collection's own record is not one of the write,
// which has not begun.
func TestStateIsNotTheOutcome(t *testing.T) {
	for _, fault := range []error{storage.ErrUnknownOutcome, storage.ErrConflict} {
		synctest.Test(t, func(t *testing.T) {
			store := &hooked{Store: memory.New(), onPut: func(storage.Record) error { return fault }}
			c := open(t, things(uniqueEmail), store, nil)
			_, err := c.Create(ctx, tenant, []byte(`{"id":"1"}`), nil)
			assert.Equal(t, resource.Class("unavailable"), resource.ErrorClass(err), "%v", err)
			assert.NotErrorIs(t, err, fault)
			items, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(`{"id":"1"}`)}, nil)
			require.NoError(t, err)
			assert.ErrorIs(t, items[0].Err, storage.ErrUnavailable)
			assert.NotErrorIs(t, items[0].Err, fault)

			store.onPut = nil
			create(t, c, `{"id":"1"}`)
			create(t, c, `{"id":"2"}`)
			store.onPut = func(storage.Record) error { return fault } // of the key of cursors
			_, err = c.List(ctx, tenant, &resource.ListOptions{Order: "email", Limit: 1})
			assert.ErrorIs(t, err, storage.ErrUnavailable)
			assert.NotErrorIs(t, err, fault)
		})
	}
}

// TestCursorOfAnIndexThatIsBuilt: a list by an index that needs to be built again begins
// again.
func TestCursorOfAnIndexThatIsBuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := things(indexedAge)
		c := open(t, s, store, nil)
		for i := range 5 {
			create(t, c, fmt.Sprintf(`{"id":"%d","age":7}`, i))
		}
		opts := where("age", 7)
		opts.Limit = 2
		page, err := c.List(ctx, tenant, &opts)
		require.NoError(t, err)
		create(t, open(t, things(plainAge), store, nil), `{"id":"0","age":7}`)
		time.Sleep(2 * time.Minute)
		opts.Cursor = page.Next
		_, err = c.List(ctx, tenant, &opts)
		assert.ErrorIs(t, err, resource.ErrCursor)
		opts.Cursor = ""
		assert.Len(t, listed(t, c, opts), 5)
	})
}

// TestDuplicateCanChange: a resource that had the value of another one before the field was
// unique can be changed in all else, in every verb.
func TestDuplicateCanChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		old := open(t, things(plainEmail, str("note")), store, nil)
		for i, email := range []string{"a", "a", "b", "a"} {
			create(t, old, fmt.Sprintf(`{"id":"%d","email":"%s"}`, i, email))
		}
		c := open(t, things(uniqueEmail, str("note")), store, nil)
		done, err := c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		require.Len(t, done.Duplicates["/email"], 2)
		for n, opts := range []*resource.WriteOptions{{DryRun: true}, nil} {
			for i := range 4 {
				_, err := c.Patch(ctx, tenant, fmt.Sprint(i), fmt.Appendf(nil, `{"email":"%c","note":"%d"}`, "aaba"[i], n), opts)
				assert.NoError(t, err)
			}
			patch := func(i int, data string) resource.Item {
				return resource.Item{ExternalID: fmt.Sprint(i), Data: []byte(data)}
			}
			items, err := c.PatchBatch(ctx, tenant, []resource.Item{
				patch(0, `{"note":"batch"}`), patch(1, `{"note":"batch"}`), patch(2, `{"email":"a"}`), patch(2, `{"note":"batch"}`), patch(3, `{"note":"batch"}`), patch(3, `{"note":"again"}`),
			}, opts)
			require.NoError(t, err)
			for i, item := range items {
				if i == 2 || i == 3 {
					assertTaken(t, item.Err)
				} else {
					assert.NoError(t, item.Err, i)
				}
			}
			_, err = c.Patch(ctx, tenant, "2", []byte(`{"email":"a"}`), opts)
			assertTaken(t, err)
			_, err = c.Patch(ctx, tenant, "1", []byte(`{"email":"b"}`), opts)
			assertTaken(t, err)
		}
		_, err = c.Patch(ctx, tenant, "0", []byte(`{"email":"c"}`), nil)
		require.NoError(t, err)
		_, err = c.Patch(ctx, tenant, "3", []byte(`{"email":"d"}`), nil)
		require.NoError(t, err)
		done, err = c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		assert.Empty(t, done.Duplicates)
		assert.True(t, isIndexed(t, c))
		_, err = c.Patch(ctx, tenant, "2", []byte(`{"email":"a"}`), nil)
		assertTaken(t, err)
	})
}
