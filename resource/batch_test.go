package resource_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// batching is a store that notes its calls.
type batching struct {
	storage.Store
	mu     sync.Mutex
	calls  []string
	onPuts func() // before several writes
}

func (s *batching) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *batching) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *batching) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	s.note("get")
	return s.Store.Get(ctx, key)
}

func (s *batching) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	s.note("get %d", len(keys))
	return s.Store.GetMany(ctx, keys)
}

func (s *batching) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	name := "put"
	if writes[0].Delete {
		name = "delete"
	}
	if len(writes) > 1 {
		name = fmt.Sprint(name, " ", len(writes))
	}
	s.note("%s", name)
	for i := 1; i < len(writes); i++ {
		if writes[i-1].Record.Key.ExternalID >= writes[i].Record.Key.ExternalID {
			s.note("not sorted")
		}
	}
	if s.onPuts != nil && len(writes) > 1 {
		s.onPuts()
	}
	return s.Store.Write(ctx, writes)
}

func numberedDocs(n int, more string) [][]byte {
	docs := make([][]byte, n)
	for i := range docs {
		docs[n-1-i] = fmt.Appendf(nil, `{"customerId":"c-%06d","firstName":"Ada","lastName":"%d","createdAt":"2024-05-01T10:00:00Z"%s}`, i, i, more)
	}
	return docs
}

type counts struct{ Created, Updated, Unchanged, Deleted, Failed int }

// counted counts the results of a batch.
func counted(items []resource.ItemResult) (n counts) {
	for _, item := range items {
		switch {
		case item.Err != nil:
			n.Failed++
		case item.Result.Outcome == resource.Created:
			n.Created++
		case item.Result.Outcome == resource.Updated:
			n.Updated++
		case item.Result.Outcome == resource.Unchanged:
			n.Unchanged++
		default:
			n.Deleted++
		}
	}
	return n
}

// TestBatchRoundTrips: two questions to the store, whatever the size, and one for the state
// of the tenant's indexes before the first.
func TestBatchRoundTrips(t *testing.T) {
	store := &batching{Store: memory.New()}
	c := open(t, schema.Customers(), store, fixed)
	for _, tt := range []struct {
		name string
		run  func() ([]resource.ItemResult, error)
		want []string
	}{
		{"create 1000", func() ([]resource.ItemResult, error) { return c.CreateBatch(ctx, tenant, numberedDocs(1000, ""), nil) }, []string{"get", "get 1000", "put 1000"}},
		{"the same again", func() ([]resource.ItemResult, error) { return c.CreateBatch(ctx, tenant, numberedDocs(1000, ""), nil) }, []string{"get 1000"}},
		{"one changed", func() ([]resource.ItemResult, error) {
			return c.CreateBatch(ctx, tenant, append(numberedDocs(1, `,"email":"e"`), numberedDocs(999, "")...), nil)
		}, []string{"get 999", "put"}},
		{"dry run", func() ([]resource.ItemResult, error) {
			return c.CreateBatch(ctx, tenant, numberedDocs(1000, `,"phone":"1"`), &resource.WriteOptions{DryRun: true})
		}, []string{"get 1000"}},
		{"patch", func() ([]resource.ItemResult, error) {
			return c.PatchBatch(ctx, tenant, patches(500, `{"phone":"2"}`), nil)
		}, []string{"get 500", "put 500"}},
		{"none valid", func() ([]resource.ItemResult, error) {
			return c.CreateBatch(ctx, tenant, [][]byte{[]byte(`{`), []byte(`{}`)}, nil)
		}, nil},
		{"empty", func() ([]resource.ItemResult, error) { return c.CreateBatch(ctx, tenant, nil, nil) }, nil},
		{"delete, dry run", func() ([]resource.ItemResult, error) {
			return c.DeleteBatch(ctx, tenant, deletions(1000), &resource.WriteOptions{DryRun: true})
		}, []string{"get 1000"}},
		{"delete", func() ([]resource.ItemResult, error) { return c.DeleteBatch(ctx, tenant, deletions(1000), nil) }, []string{"get 1000", "delete 1000"}},
		{"delete again", func() ([]resource.ItemResult, error) { return c.DeleteBatch(ctx, tenant, deletions(1000), nil) }, []string{"get 1000"}},
	} {
		_, err := tt.run()
		require.NoError(t, err, tt.name)
		assert.Equal(t, tt.want, store.take(), tt.name)
	}
}

func patches(n int, patch string) []resource.Item {
	items := make([]resource.Item, n)
	for i := range items {
		items[i] = resource.Item{ExternalID: fmt.Sprintf("c-%06d", i), Data: []byte(patch)}
	}
	return items
}

func deletions(n int) []resource.Item {
	items := make([]resource.Item, n)
	for i := range items {
		items[i].ExternalID = fmt.Sprintf("c-%06d", i)
	}
	return items
}

// TestBatchRules holds that a batch does to each resource what single creates do,
// for the rows of the rules whose ids do not meet.
func TestBatchRules(t *testing.T) {
	for _, tt := range rules {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.schema
			if s == nil {
				s = schema.Customers()
			}
			key := storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: externalID(s, tt.stored, tt.request)}
			single, many := memory.New(), memory.New()
			if tt.stored != "" {
				put(t, single, key, tt.stored)
				put(t, many, key, tt.stored)
			}
			want, wantErr := open(t, s, single, fixed).Create(ctx, tenant, []byte(tt.request), &tt.opts)
			got, err := open(t, s, many, fixed).CreateBatch(ctx, tenant, [][]byte{[]byte(tt.request)}, &tt.opts)
			require.NoError(t, err)
			require.Len(t, got, 1)
			for _, err := range []error{wantErr, got[0].Err} {
				var failed *resource.OpError
				if errors.As(err, &failed) {
					failed.Current = 0 // the two stores make revisions of their own
				}
			}
			assert.Equal(t, wantErr, got[0].Err)
			if wantErr == nil {
				res := got[0].Result
				assert.Equal(t, want.Outcome, res.Outcome)
				assert.Equal(t, want.Changed(), res.Changed())
				assert.Equal(t, want.Removed(), res.Removed())
				assert.Equal(t, want.Dropped, res.Dropped)
				assert.Equal(t, string(want.AppendJSON(nil, nil)), string(res.AppendJSON(nil, nil)))
				assert.Equal(t, stored(t, many, storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: res.Key().ExternalID}).Revision, res.Revision())
			}
			key.ExternalID = externalID(s, "", tt.request)
			assert.Equal(t, butRevision(stored(t, single, key)), butRevision(stored(t, many, key)))
		})
	}
}

// TestBatchInOrder: items of one resource are applied one after the other.
func TestBatchInOrder(t *testing.T) {
	store := memory.New()
	c := open(t, schema.Customers(), store, fixed)
	put(t, store, customerKey("old"), strings.Replace(cust(outs), "c-1", "old", 1))
	oldRevision := stored(t, store, customerKey("old")).Revision
	docs := []string{
		`{"customerId":"new","firstName":"a","lastName":"a","createdAt":"2024-05-01T10:00:00Z"}`, // 0 created
		`{"customerId":"old","email":"1"}`,             // 1 updated
		`{"customerId":"new","email":"x"}`,             // 2 updated, on top of 0
		`{"customerId":"old","email":1}`,               // 3 failed, and changes nothing
		`{"customerId":"new","email":"x"}`,             // 4 unchanged
		`{"customerId":"old","email":"2"}`,             // 5 updated
		`{"customerId":"old","phone":"3"}`,             // 6 updated
		`{"customerId":"none","email":"x"}`,            // 7 failed: incomplete
		`[]`,                                           // 8 failed
		`{"customerId":"old","email":"2","phone":"3"}`, // 9 unchanged
		`{"customerId":"new","email":null}`,            // 10 updated
	}
	var all [][]byte
	for _, d := range docs {
		all = append(all, []byte(d))
	}
	for _, dryRun := range []bool{true, false} {
		res, err := c.CreateBatch(ctx, tenant, all, &resource.WriteOptions{DryRun: dryRun})
		require.NoError(t, err)
		var outcomes []string
		for _, item := range res {
			if item.Err != nil {
				assert.Nil(t, item.Result)
				outcomes = append(outcomes, "failed")
				continue
			}
			outcomes = append(outcomes, string(item.Result.Outcome))
		}
		assert.Equal(t, []string{"created", "updated", "updated", "failed", "unchanged", "updated", "updated", "failed", "failed", "unchanged", "updated"}, outcomes)
		assert.Equal(t, counts{Created: 1, Updated: 5, Unchanged: 2, Failed: 3}, counted(res))
		assert.Equal(t, []string{"/email"}, res[2].Result.Changed())
		assert.Equal(t, []string{"/email"}, res[10].Result.Removed())
		assert.Contains(t, string(res[5].Result.Data()), `"email":"2"`)
		assert.NotContains(t, string(res[5].Result.Data()), `"phone"`, "each result is the state after its own item")
		if dryRun {
			assert.Zero(t, stored(t, store, customerKey("new")))
			assert.Equal(t, oldRevision, stored(t, store, customerKey("old")).Revision)
			assert.Equal(t, oldRevision, res[6].Result.Revision())
			assert.Zero(t, res[0].Result.Revision())
			continue
		}
		newRec, oldRec := stored(t, store, customerKey("new")), stored(t, store, customerKey("old"))
		assert.Equal(t, `{"customerId":"new","firstName":"a","lastName":"a","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":true}`, string(newRec.Data))
		assert.Equal(t, strings.Replace(cust(outs+`,"email":"2","phone":"3"`), "c-1", "old", 1), string(oldRec.Data))
		for i, want := range map[int]storage.Revision{0: 0, 2: 0, 4: 0, 10: newRec.Revision, 1: 0, 5: 0, 6: oldRec.Revision, 9: oldRec.Revision} {
			assert.Equal(t, want, res[i].Result.Revision(), "item %d: a state that was replaced has no revision", i)
		}
		assert.Equal(t, newRec.ID, res[0].Result.ID())
		assert.Equal(t, newRec.ID, res[10].Result.ID())
	}
	res, err := c.DeleteBatch(ctx, tenant, []resource.Item{{ExternalID: "old"}, {ExternalID: "none"}, {ExternalID: "old"}, {ExternalID: ""}}, nil)
	require.NoError(t, err)
	assert.Equal(t, resource.Deleted, res[0].Result.Outcome)
	for _, i := range []int{1, 2, 3} {
		assert.ErrorIs(t, res[i].Err, resource.ErrNotFound, "item %d", i)
	}
	assert.Equal(t, counts{Deleted: 1, Failed: 3}, counted(res))
	assert.Zero(t, stored(t, store, customerKey("old")))
}

// TestBatchRejectsDuplicates: with RejectExisting the second of two items of one id is
// refused.
func TestBatchRejectsDuplicates(t *testing.T) {
	c, _ := customers(t)
	res, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(cust(``)), []byte(cust(`,"email":"x"`))}, &reject)
	require.NoError(t, err)
	assert.Equal(t, resource.Created, res[0].Result.Outcome)
	assert.ErrorIs(t, res[1].Err, resource.ErrExists)
}

func TestBatchPreconditions(t *testing.T) {
	c, store := customers(t)
	rev := create(t, c, cust(``)).Revision()
	items := []resource.Item{
		{ExternalID: "c-1", Data: []byte(`{"email":"1"}`), If: resource.AtRevision(rev)},
		{ExternalID: "c-1", Data: []byte(`{"email":"2"}`), If: resource.AtRevision(rev)},
		{ExternalID: "c-2", Data: []byte(`{"email":"2"}`), If: resource.AtRevision(rev)},
	}
	res, err := c.PatchBatch(ctx, tenant, items, nil)
	require.NoError(t, err)
	assert.Equal(t, resource.Updated, res[0].Result.Outcome)
	var failed *resource.OpError
	require.ErrorAs(t, res[1].Err, &failed, "the first item has changed it")
	assert.Equal(t, stored(t, store, customerKey("c-1")).Revision, failed.Current)
	assert.ErrorIs(t, res[2].Err, resource.ErrNotFound)

	// A condition of the whole batch holds for each item, beside its own.
	res, err = c.PatchBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1", Data: []byte(`{"email":"3"}`)}}, &resource.WriteOptions{If: resource.AtRevision(rev)})
	require.NoError(t, err)
	assert.ErrorIs(t, res[0].Err, resource.ErrPrecondition)
	current := stored(t, store, customerKey("c-1")).Revision
	res, err = c.DeleteBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1", If: resource.AtRevision(rev)}}, &resource.WriteOptions{If: resource.AtRevision(current)})
	require.NoError(t, err)
	assert.ErrorIs(t, res[0].Err, resource.ErrPrecondition)
	res, err = c.CreateBatch(ctx, tenant, [][]byte{[]byte(cust(``)), []byte(strings.Replace(cust(``), "c-1", "c-9", 1))}, &resource.WriteOptions{If: resource.Absent()})
	require.NoError(t, err)
	assert.ErrorIs(t, res[0].Err, resource.ErrPrecondition)
	assert.NoError(t, res[1].Err)

	for _, call := range []func() ([]resource.ItemResult, error){
		func() ([]resource.ItemResult, error) { return c.CreateBatch(ctx, storage.Tenant{}, nil, nil) },
		func() ([]resource.ItemResult, error) { return c.PatchBatch(ctx, storage.Tenant{}, nil, nil) },
		func() ([]resource.ItemResult, error) { return c.DeleteBatch(ctx, storage.Tenant{}, nil, nil) },
	} {
		res, err := call()
		assert.ErrorIs(t, err, storage.ErrInvalid)
		assert.Nil(t, res)
	}
}

func TestBatchSize(t *testing.T) {
	store := &batching{Store: memory.New()}
	for _, tt := range []struct{ max, size int }{{0, 1000}, {3, 3}, {-1, 1000}} {
		c := open(t, schema.Customers(), store, &resource.Options{MaxBatch: tt.max})
		_, err := c.CreateBatch(ctx, tenant, make([][]byte, tt.size), nil)
		assert.NoError(t, err)
		_, err = c.CreateBatch(ctx, tenant, make([][]byte, tt.size+1), nil)
		assert.ErrorIs(t, err, resource.ErrBatchSize)
		_, err = c.PatchBatch(ctx, tenant, make([]resource.Item, tt.size+1), nil)
		assert.ErrorIs(t, err, resource.ErrBatchSize)
		_, err = c.DeleteBatch(ctx, tenant, make([]resource.Item, tt.size+1), nil)
		assert.ErrorIs(t, err, resource.ErrBatchSize)
	}
	assert.Empty(t, store.take())
}

// TestBatchConflicts: only what conflicts is read and written again, and what
// conflicts for ever queues like a single call.
func TestBatchConflicts(t *testing.T) {
	for _, rounds := range []int{1, 2, 3, 5} {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			store := &batching{Store: memory.New()}
			c := open(t, schema.Customers(), store, fixed)
			_, err := c.CreateBatch(ctx, tenant, numberedDocs(10, ""), nil)
			require.NoError(t, err)
			store.take()
			met := 0
			store.onPuts = func() { // another writer is faster, for two of the keys
				if met++; met > rounds {
					return
				}
				for _, id := range []string{"c-000003", "c-000007"} {
					rec := stored(t, store.Store, customerKey(id))
					rec.Data = []byte(strings.Replace(string(rec.Data), `"firstName":"Ada"`, `"firstName":"Ada`+fmt.Sprint(met)+`"`, 1))
					rec.Data = []byte(strings.Replace(string(rec.Data), fmt.Sprintf(`"firstName":"Ada%d"`, met-1), fmt.Sprintf(`"firstName":"Ada%d"`, met), 1))
					_, err := storage.Put(ctx, store.Store, rec, rec.Revision)
					assert.NoError(t, err)
				}
			}
			res, err := c.PatchBatch(ctx, tenant, patches(10, `{"email":"e"}`), nil)
			require.NoError(t, err)
			assert.Equal(t, 10, counted(res).Updated)
			want := []string{"get 10", "put 10"}
			for range min(rounds, 2) {
				want = append(want, "get 2", "put 2")
			}
			if rounds >= 3 { // each in its queue
				want = append(want, "get", "put", "get", "put")
			}
			assert.Equal(t, want, store.take())
			rec := stored(t, store.Store, customerKey("c-000003"))
			assert.Contains(t, string(rec.Data), `"email":"e"`)
			assert.Contains(t, string(rec.Data), fmt.Sprintf(`"firstName":"Ada%d"`, min(rounds, 3)), "what the other wrote is still there")
			assert.Equal(t, rec.Revision, res[3].Result.Revision())
		})
	}
}

// TestBatchFaults: what the store says of one key is said of the items of that
// key, and of no others.
func TestBatchFaults(t *testing.T) {
	for _, fault := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome, storage.ErrTooLarge, storage.ErrClosed} {
		t.Run(fault.Error(), func(t *testing.T) {
			inner := memory.New()
			store := storagetest.Faulty(inner, func(op storagetest.Op) storagetest.Fault {
				if (op.Name == "put" || op.Name == "delete") && op.Key.ExternalID == "c-000001" {
					return storagetest.Fault{Err: fault}
				}
				return storagetest.Fault{}
			})
			c := open(t, schema.Customers(), store, fixed)
			for _, id := range []string{"c-000000", "c-000001", "c-000002"} {
				put(t, inner, customerKey(id), strings.Replace(cust(outs), "c-1", id, 1))
			}
			items := append(patches(3, `{}`), patches(3, `{"email":"e"}`)...)
			items = append(items, patches(3, `{"email":"e"}`)...)
			res, err := c.PatchBatch(ctx, tenant, items, nil)
			require.NoError(t, err)
			for i, item := range res {
				if i%3 == 1 && i > 3 {
					assert.ErrorIs(t, item.Err, fault, "item %d", i)
					assert.NotContains(t, item.Err.Error(), "c-0")
					continue
				}
				require.NoError(t, item.Err, "item %d", i)
			}
			assert.Equal(t, resource.Unchanged, res[1].Result.Outcome, "an item that changed nothing depends on no write")
			assert.Equal(t, counts{Updated: 2, Unchanged: 5, Failed: 2}, counted(res))
			del, err := c.DeleteBatch(ctx, tenant, deletions(3), nil)
			require.NoError(t, err)
			assert.Equal(t, counts{Deleted: 2, Failed: 1}, counted(del))
			assert.ErrorIs(t, del[1].Err, fault)
		})
	}
	// A store that cannot be read: nothing is written, and each item says so.
	inner := memory.New()
	store := storagetest.Faulty(inner, func(op storagetest.Op) storagetest.Fault {
		if op.Name == "get" {
			return storagetest.Fault{Err: storage.ErrUnavailable}
		}
		return storagetest.Fault{}
	})
	res, err := open(t, schema.Customers(), store, fixed).CreateBatch(ctx, tenant, append(numberedDocs(3, ""), []byte("{")), nil)
	require.NoError(t, err)
	assert.Equal(t, 4, counted(res).Failed)
	assert.ErrorIs(t, res[0].Err, storage.ErrUnavailable)
	assert.True(t, is[*schema.SyntaxError](res[3].Err), "what was wrong before the store was asked stays")
	assert.Zero(t, count(t, inner, tenant, schema.Customers()))

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	c, _ := customers(t)
	res, err = c.CreateBatch(cancelled, tenant, numberedDocs(3, ""), nil)
	require.NoError(t, err)
	assert.Equal(t, 3, counted(res).Failed)
	assert.ErrorIs(t, res[0].Err, context.Canceled)
}

// TestBatchRace: batches, single writes and deletes of the same keys, through one
// collection and through several. Each batch writes a field of its own.
func TestBatchRace(t *testing.T) {
	const keys, fields = 20, 16
	decl := make([]schema.Field, fields)
	for i := range decl {
		decl[i] = integer(fmt.Sprint("f", i))
	}
	s := things(decl...)
	for _, setup := range setups {
		t.Run(setup.name, func(t *testing.T) {
			store := yielding()
			all := collections(t, setup.collections, s, store)
			atOnce(fields, func(w int) {
				c := all[w%len(all)]
				for round := range 3 {
					var docs [][]byte
					for k := range keys {
						docs = append(docs, fmt.Appendf(nil, `{"id":"%02d","f%d":%d}`, (k*7+w)%keys, w, round))
					}
					if w%4 == 0 {
						for _, d := range docs {
							_, err := c.Create(ctx, tenant, d, nil)
							assert.NoError(t, err)
						}
						continue
					}
					res, err := c.CreateBatch(ctx, tenant, docs, nil)
					if assert.NoError(t, err) {
						assert.Zero(t, counted(res).Failed)
					}
				}
			})
			for k := range keys {
				got, err := all[0].Get(ctx, tenant, fmt.Sprintf("%02d", k))
				require.NoError(t, err)
				for f := range fields {
					assert.Contains(t, string(got.Data()), fmt.Sprintf(`"f%d":2`, f))
				}
			}
		})
	}
}

// TestBatchTenants: the batch of one tenant sees and changes nothing of another.
func TestBatchTenants(t *testing.T) {
	c, store := customers(t)
	theirs := storage.TenantOf("platform", "theirs")
	_, err := c.CreateBatch(ctx, theirs, numberedDocs(5, `,"email":"`+marker+`"`), nil)
	require.NoError(t, err)
	before, err := store.List(ctx, storage.Scope{Tenant: theirs, Schema: schema.Customers().ID()}, storage.Range{Limit: 100})
	require.NoError(t, err)
	patched, err := c.PatchBatch(ctx, tenant, patches(5, `{"phone":"1"}`), nil)
	require.NoError(t, err)
	deleted, err := c.DeleteBatch(ctx, tenant, deletions(5), nil)
	require.NoError(t, err)
	for i := range 5 {
		assert.True(t, errors.Is(patched[i].Err, resource.ErrNotFound))
		assert.True(t, errors.Is(deleted[i].Err, resource.ErrNotFound))
	}
	created, err := c.CreateBatch(ctx, tenant, numberedDocs(5, ""), &resource.WriteOptions{If: resource.Absent()})
	require.NoError(t, err)
	assert.Equal(t, 5, counted(created).Created)
	for _, item := range created {
		assert.NotContains(t, string(item.Result.Data()), marker)
	}
	after, err := store.List(ctx, storage.Scope{Tenant: theirs, Schema: schema.Customers().ID()}, storage.Range{Limit: 100})
	require.NoError(t, err)
	assert.Equal(t, before, after)
}
