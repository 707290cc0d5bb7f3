package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
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

// atOnce runs f(0) to f(n-1) at the same time.
func atOnce(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// yielding is a memory store that gives way between reads and writes, so that
// writers without a common lock do meet.
func yielding() storage.Store {
	return &hooked{Store: memory.New(),
		onGet: func(storage.Key) error { runtime.Gosched(); return nil },
		onPut: func(storage.Record) error { runtime.Gosched(); return nil },
	}
}

// setups are the ways to share a store: through one collection and its locks,
// and through two, which know nothing of each other, as two processes would.
var setups = []struct {
	name        string
	collections int
}{{"one collection", 1}, {"two collections over one store", 2}, {"64 collections over one store", 64}}

func collections(t testing.TB, n int, s *schema.Schema, store storage.Store) []*resource.Collection {
	list := make([]*resource.Collection, n)
	for i := range list {
		list[i] = open(t, s, store, nil)
	}
	return list
}

const writers = 64

// TestConcurrentFields: the five optional fields of one customer, each written
// again and again, are all there in the end.
func TestConcurrentFields(t *testing.T) {
	fields := []string{`"email":"e"`, `"phone":"1"`, `"emailOptOut":true`, `"smsOptOut":false`, `"customerDetailUrl":"u"`}
	for _, setup := range setups {
		for _, first := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, first=%v", setup.name, first), func(t *testing.T) {
				store := yielding()
				all := collections(t, setup.collections, schema.Customers(), store)
				if !first {
					create(t, all[0], cust(``))
				}
				var outcomes [writers]resource.Outcome
				atOnce(writers, func(i int) {
					request := `{"customerId":"c-1",` + fields[i%len(fields)] + `}`
					if first {
						request = cust("," + fields[i%len(fields)])
					}
					res, err := all[i%len(all)].Create(ctx, tenant, []byte(request), nil)
					if assert.NoError(t, err) {
						outcomes[i] = res.Outcome
					}
				})
				tally := make(map[resource.Outcome]int)
				for _, o := range outcomes {
					tally[o]++
				}
				wantCreated, wantUpdated := 0, len(fields)
				if first {
					wantCreated, wantUpdated = 1, len(fields)-1
				}
				assert.Equal(t, wantCreated, tally[resource.Created])
				assert.Equal(t, wantUpdated, tally[resource.Updated], "each field changes the document once")
				got, err := all[0].Get(ctx, tenant, "c-1")
				require.NoError(t, err)
				assert.JSONEq(t, cust(","+strings.Join(fields, ",")), string(got.Data()))
			})
		}
	}
}

// TestConcurrentWriters: 64 writers with a field each, which they count up, in
// one document. No write is lost, and no reader sees half a write or a write
// that is older than one it has seen.
func TestConcurrentWriters(t *testing.T) {
	const rounds = 3
	fields := make([]schema.Field, writers)
	for i := range fields {
		fields[i] = object("f"+strconv.Itoa(i), integer("n"), integer("minus"))
	}
	s := things(fields...)
	for _, setup := range setups {
		t.Run(setup.name, func(t *testing.T) {
			store := yielding()
			all := collections(t, setup.collections, s, store)
			create(t, all[0], `{"id":"1"}`)
			done := make(chan struct{})
			var readers sync.WaitGroup
			readers.Go(func() {
				var last map[string]any
				for {
					select {
					case <-done:
						return
					default:
					}
					got, err := all[0].Get(ctx, tenant, "1")
					if !assert.NoError(t, err) {
						return
					}
					var doc map[string]any
					if !assert.NoError(t, json.Unmarshal(got.Data(), &doc)) {
						return
					}
					for name, value := range doc {
						if name == "id" {
							continue
						}
						pair := value.(map[string]any)
						if !assert.Equal(t, -pair["n"].(float64), pair["minus"], "a torn document: %v", pair) {
							return
						}
					}
					for name, value := range last {
						if name == "id" {
							continue
						}
						n := value.(map[string]any)["n"].(float64)
						pair, there := doc[name].(map[string]any)
						if !assert.True(t, there && pair["n"].(float64) >= n, "%s went back from %v to %v", name, n, pair) {
							return
						}
					}
					last = doc
				}
			})
			atOnce(writers, func(i int) {
				for n := 1; n <= rounds; n++ {
					res, err := all[i%len(all)].Create(ctx, tenant, fmt.Appendf(nil, `{"id":"1","f%d":{"n":%d,"minus":-%d}}`, i, n, n), nil)
					if !assert.NoError(t, err) {
						return
					}
					assert.Equal(t, resource.Updated, res.Outcome)
					for _, p := range res.Changed() {
						assert.True(t, strings.HasPrefix(p, fmt.Sprintf("/f%d", i)), "writer %d changed %s", i, p)
					}
				}
			})
			close(done)
			readers.Wait()
			got, err := all[0].Get(ctx, tenant, "1")
			require.NoError(t, err)
			var doc map[string]any
			require.NoError(t, json.Unmarshal(got.Data(), &doc))
			for i := range writers {
				assert.Equal(t, map[string]any{"n": float64(rounds), "minus": -float64(rounds)}, doc["f"+strconv.Itoa(i)])
			}
		})
	}
}

// TestConcurrentFirstWrites: of 64 first writes exactly one creates, and with
// RejectExisting the other 63 find that it exists.
func TestConcurrentFirstWrites(t *testing.T) {
	for _, setup := range setups {
		for _, tt := range []struct {
			name string
			opts *resource.WriteOptions
		}{{"upsert", nil}, {"reject", &reject}} {
			t.Run(setup.name+", "+tt.name, func(t *testing.T) {
				store := yielding()
				all := collections(t, setup.collections, schema.Customers(), store)
				var results [writers]*resource.Result
				var errs [writers]error
				atOnce(writers, func(i int) {
					results[i], errs[i] = all[i%len(all)].Create(ctx, tenant, []byte(cust(fmt.Sprintf(`,"email":"%d"`, i))), tt.opts)
				})
				created, updated, refused := 0, 0, 0
				for i, err := range errs {
					switch {
					case errors.Is(err, resource.ErrExists):
						refused++
					case !assert.NoError(t, err):
					case results[i].Outcome == resource.Created:
						created++
					case results[i].Outcome == resource.Updated:
						updated++
					}
				}
				assert.Equal(t, 1, created)
				if tt.opts == nil {
					assert.Equal(t, writers-1, updated)
				} else {
					assert.Equal(t, writers-1, refused)
				}
				rec := stored(t, store, customerKey("c-1"))
				for i, res := range results {
					if errs[i] == nil {
						assert.Equal(t, rec.ID, res.ID(), "one id for ever")
						assert.Equal(t, rec.CreatedAt, res.CreatedAt())
					}
				}
			})
		}
	}
}

// TestConcurrentFaults: 16 writers with a field each, through two collections over
// a store that fails in every way it may. After each call its writer knows what the
// field must hold. The same, when each collection remembers records.
func TestConcurrentFaults(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		testConcurrentFaults(t, func(s storage.Store) storage.Store { return s })
	})
	t.Run("remembered", func(t *testing.T) {
		testConcurrentFaults(t, func(s storage.Store) storage.Store { return recent.New(s, 1<<20) })
	})
}

func testConcurrentFaults(t *testing.T, wrap func(storage.Store) storage.Store) {
	const n, rounds, seed = 16, 25, 42
	fields := make([]schema.Field, n)
	for i := range fields {
		fields[i] = integer("f" + strconv.Itoa(i))
	}
	s := things(fields...)
	mem := memory.New()
	key := storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: "1"}
	create(t, open(t, s, mem, nil), `{"id":"1"}`)
	store := storagetest.Faulty(mem, storagetest.RandomPlan(seed, storagetest.Rates{Conflict: 0.2, Unavailable: 0.25, Unknown: 0.4}))
	all := []*resource.Collection{open(t, s, wrap(store), nil), open(t, s, wrap(store), nil)}
	var kinds [3]sync.Map
	atOnce(n, func(i int) {
		name := "f" + strconv.Itoa(i)
		var last float64
		for round := 1; round <= rounds; round++ {
			_, err := all[i%2].Create(ctx, tenant, fmt.Appendf(nil, `{"id":"1","%s":%d}`, name, round), nil)
			rec, getErr := mem.Get(ctx, key)
			if !assert.NoError(t, getErr) {
				return
			}
			var doc map[string]any
			if !assert.NoError(t, json.Unmarshal(rec.Data, &doc)) {
				return
			}
			got, _ := doc[name].(float64)
			switch {
			case err == nil:
				assert.Equal(t, float64(round), got, "acknowledged")
			case errors.Is(err, storage.ErrUnknownOutcome):
				kinds[0].Store(got == last, true)
				assert.Contains(t, []float64{last, float64(round)}, got, "unknown")
			case errors.Is(err, storage.ErrUnavailable):
				kinds[1].Store(true, true)
				assert.Equal(t, last, got, "unavailable")
			default:
				assert.NoError(t, err)
			}
			last = got
		}
	})
	_, applied := kinds[0].Load(false)
	_, lost := kinds[0].Load(true)
	_, down := kinds[1].Load(true)
	assert.True(t, applied && lost && down, "seed %d shows no fault of some kind", seed)
}

// TestConcurrentTenants: 64 tenants write one external id at the same time, in
// one collection, and each finds its own.
func TestConcurrentTenants(t *testing.T) {
	c, store := customers(t)
	atOnce(writers, func(i int) {
		own := storage.TenantOf("platform", strconv.Itoa(i))
		res, err := c.Create(ctx, own, []byte(cust(fmt.Sprintf(`,"email":"%d"`, i))), &reject)
		if assert.NoError(t, err) {
			assert.Equal(t, resource.Created, res.Outcome)
		}
	})
	for i := range writers {
		own := storage.TenantOf("platform", strconv.Itoa(i))
		got, err := c.Get(ctx, own, "c-1")
		require.NoError(t, err)
		assert.Equal(t, cust(fmt.Sprintf(`,"email":"%d"`, i)+outs), string(got.Data()))
		assert.Equal(t, 1, count(t, store, own, schema.Customers()))
	}
}

// TestConcurrentUse calls the methods of one result from many goroutines, for
// the race detector.
func TestConcurrentUse(t *testing.T) {
	c, _ := customers(t)
	create(t, c, cust(``))
	res := create(t, c, cust(`,"email":"e","emailOptOut":null`))
	atOnce(8, func(int) {
		assert.Equal(t, []string{"/email"}, res.Changed())
		assert.Empty(t, res.Removed())
		_ = res.AppendJSON(nil, nil)
		_, _ = res.MarshalJSON()
		scribble(res.Data())
	})
}

// TestConcurrentContexts: writers whose contexts end at any moment leave the
// queue to the others, and nothing of a write without effect.
func TestConcurrentContexts(t *testing.T) {
	c, store := customers(t)
	create(t, c, cust(``))
	atOnce(writers, func(i int) {
		some, cancel := context.WithCancel(ctx)
		defer cancel()
		if i%2 == 0 {
			go cancel()
		}
		email := strconv.Itoa(i)
		res, err := c.Create(some, tenant, []byte(`{"customerId":"c-1","email":"`+email+`"}`), nil)
		if err != nil {
			assert.ErrorIs(t, err, context.Canceled)
			assert.Zero(t, i%2)
			return
		}
		assert.Equal(t, []string{"/email"}, res.Changed())
	})
	assert.NotZero(t, stored(t, store, customerKey("c-1")).Revision)
	create(t, c, cust(`,"phone":"1"`))
}
