package resource_test

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reads counts how often the texts are read while fn runs, by what they hold: the
// request has a marker of its own, and so has the stored document. Both readers
// count.
func reads(t *testing.T, fn func()) (request, stored, merged int) {
	t.Helper()
	count := func(src []byte) {
		if len(src) == 0 || src[0] != '{' {
			return // the value of a filter
		}
		switch hasRequest, hasStored := bytes.Contains(src, []byte("REQUEST")), bytes.Contains(src, []byte("STORED")); {
		case hasRequest && hasStored:
			merged++
		case hasRequest:
			request++
		case hasStored:
			stored++
		default:
			t.Errorf("another text was read: %s", src)
		}
	}
	strictjson.OnParse, strictjson.OnQuick = count, count
	defer func() { strictjson.OnParse, strictjson.OnQuick = nil, nil }()
	fn()
	return request, stored, merged
}

// TestEveryDocumentIsReadOnce: a write reads the request once, and what is stored
// and what is merged at most once; a list reads each record once.
func TestEveryDocumentIsReadOnce(t *testing.T) {
	type counts struct{ request, stored, merged int }
	old := cust(`,"email":"e","customerDetailUrl":"STORED","smsOptOut":true,"emailOptOut":false`)
	for _, tt := range []struct {
		name    string
		stored  string // "" for none
		request string // REQUEST is somewhere in it
		opts    *resource.WriteOptions
		want    counts
		outcome string // or the class of the error
	}{
		{"created", "", cust(`,"phone":"REQUEST"`), nil, counts{1, 0, 0}, "created"},
		{"changed", old, `{"customerId":"c-1","phone":"REQUEST"}`, nil, counts{1, 1, 0}, "updated"},
		{"unchanged", strings.Replace(old, "STORED", "STORED REQUEST", 1), `{"customerId":"c-1","customerDetailUrl":"STORED REQUEST"}`, nil, counts{0, 0, 2}, "unchanged"},
		{"null deletes", old, `{"customerId":"c-1","email":null,"phone":"REQUEST"}`, nil, counts{1, 1, 0}, "updated"},
		{"unknown dropped", old, `{"customerId":"c-1","x":1,"phone":"REQUEST"}`, &resource.WriteOptions{UnknownFields: schema.IgnoreUnknown}, counts{1, 1, 0}, "updated"},
		{"violation", old, `{"customerId":"c-1","x":"REQUEST"}`, nil, counts{1, 1, 0}, "invalid"},
		{"required null", old, `{"customerId":"c-1","phone":"REQUEST","firstName":null}`, nil, counts{1, 1, 0}, "invalid"},
		{"no id", old, `{"phone":"REQUEST"}`, nil, counts{1, 0, 0}, "invalid"},
		{"not JSON", old, `{"customerId":"c-1","phone":"REQUEST"`, nil, counts{1, 0, 0}, "invalid"},
		{"null resets a default", strings.Replace(old, `"smsOptOut":true`, `"smsOptOut":false`, 1), `{"customerId":"c-1","smsOptOut":null,"phone":"REQUEST"}`, nil, counts{1, 1, 1}, "updated"},
		{"null resets what is the default", old, `{"customerId":"c-1","smsOptOut":null,"phone":"REQUEST"}`, nil, counts{1, 1, 0}, "updated"},
		{"dry run", old, `{"customerId":"c-1","phone":"REQUEST"}`, &resource.WriteOptions{DryRun: true}, counts{1, 1, 0}, "updated"},
		{"reject, exists", old, cust(`,"phone":"REQUEST"`), &reject, counts{1, 0, 0}, "exists"},
		{"reject, created", "", cust(`,"phone":"REQUEST"`), &reject, counts{1, 0, 0}, "created"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			importLine := func(c *resource.Collection) (*resource.Result, error) {
				opts := &ingest.Options{}
				if tt.opts != nil {
					opts.Create = *tt.opts
				}
				res, err := ingest.Import(ctx, c, tenant, ingest.NDJSON(strings.NewReader(tt.request), 0), opts)
				require.NoError(t, err)
				switch {
				case res.Created > 0:
					return &resource.Result{Outcome: resource.Created}, nil
				case res.Updated > 0:
					return &resource.Result{Outcome: resource.Updated}, nil
				case res.Unchanged > 0:
					return &resource.Result{Outcome: resource.Unchanged}, nil
				}
				return nil, res.Errors[0]
			}
			defer func(slow bool) { strictjson.Slow = slow }(strictjson.Slow)
			for _, way := range []struct {
				name   string
				slow   bool
				create func(*resource.Collection) (*resource.Result, error)
			}{
				{"Create", false, func(c *resource.Collection) (*resource.Result, error) {
					return c.Create(ctx, tenant, []byte(tt.request), tt.opts)
				}},
				{"CreateBatch", false, func(c *resource.Collection) (*resource.Result, error) {
					res, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(tt.request)}, tt.opts)
					require.NoError(t, err)
					return res[0].Result, res[0].Err
				}},
				{"import line", false, importLine},
				{"Create, general reader", true, func(c *resource.Collection) (*resource.Result, error) {
					return c.Create(ctx, tenant, []byte(tt.request), tt.opts)
				}},
				{"CreateBatch, general reader", true, func(c *resource.Collection) (*resource.Result, error) {
					res, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(tt.request)}, tt.opts)
					require.NoError(t, err)
					return res[0].Result, res[0].Err
				}},
				{"import line, general reader", true, importLine},
			} {
				strictjson.Slow = way.slow
				for _, history := range []bool{false, true} {
					store, kept := memory.New(), *fixed
					kept.Log, kept.History = history, history
					c := open(t, schema.Customers(), store, &kept)
					if tt.stored != "" {
						put(t, store, customerKey("c-1"), tt.stored)
					}
					var res *resource.Result
					var err error
					var got counts
					got.request, got.stored, got.merged = reads(t, func() { res, err = way.create(c) })
					outcome := string(resource.ErrorClass(err))
					if err == nil {
						outcome = string(res.Outcome)
					}
					assert.Equal(t, tt.outcome, outcome, "%s: %v", way.name, err)
					assert.Equal(t, tt.want, got, "%s, history %t", way.name, history)
				}
			}
		})
	}
}

// TestNestedChangeIsNotReadAgain: what becomes of a complete document is read again only
// if a default may be absent from it.
func TestNestedChangeIsNotReadAgain(t *testing.T) {
	s := schema.MustCompile(schema.Definition{ID: schema.Customers().ID(), Name: "things", ExternalID: "id", Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true},
		{Name: "to", Type: schema.Object, Fields: []schema.Field{
			{Name: "city", Type: schema.String}, {Name: "country", Type: schema.String, Default: "US"},
			{Name: "geo", Type: schema.Object, Fields: []schema.Field{{Name: "lat", Type: schema.Number}, {Name: "datum", Type: schema.String, Default: "WGS 84"}}},
		}},
		{Name: "lines", Type: schema.Array, Items: &schema.Field{Type: schema.Object, Fields: []schema.Field{{Name: "sku", Type: schema.String}}}},
	}})
	for _, tt := range []struct {
		stored, patch, want string
		merged              int // how often it is read
	}{
		{`{"id":"1","to":{"city":"x","country":"STORED"}}`, `{"to":{"city":"REQUEST"},"lines":[{"sku":"x"}]}`, `{"id":"1","to":{"city":"REQUEST","country":"STORED"},"lines":[{"sku":"x"}]}`, 0},
		{`{"id":"1","to":{"city":"STORED","country":"DE"}}`, `{"to":{"geo":{"lat":1,"datum":"REQUEST"}}}`, `{"id":"1","to":{"city":"STORED","country":"DE","geo":{"lat":1,"datum":"REQUEST"}}}`, 0},
		{`{"id":"1","to":{"city":"STORED","country":"DE"}}`, `{"to":{"geo":{"lat":1}},"lines":[{"sku":"REQUEST"}]}`, `{"id":"1","to":{"city":"STORED","country":"DE","geo":{"lat":1,"datum":"WGS 84"}},"lines":[{"sku":"REQUEST"}]}`, 1},
		{`{"id":"1","to":"x","lines":["STORED"]}`, `{"to":{"city":"REQUEST"}}`, `{"id":"1","to":{"city":"REQUEST","country":"US"},"lines":["STORED"]}`, 1},
		{`{"id":"1","to":{"city":"STORED","country":"DE"}}`, `{"to":{"country":null,"geo":{"lat":1,"datum":"REQUEST"}}}`, `{"id":"1","to":{"city":"STORED","geo":{"lat":1,"datum":"REQUEST"},"country":"US"}}`, 1},
		{`{"id":"1","to":{"city":"x"},"lines":["STORED"]}`, `{"to":{"city":"REQUEST"}}`, `{"id":"1","to":{"city":"REQUEST","country":"US"},"lines":["STORED"]}`, 1},
	} {
		store := memory.New()
		c := open(t, s, store, fixed)
		put(t, store, customerKey("1"), tt.stored)
		var res *resource.Result
		_, _, merged := reads(t, func() {
			var err error
			res, err = c.Patch(ctx, tenant, "1", []byte(tt.patch), nil)
			require.NoError(t, err)
		})
		assert.Equal(t, tt.want, string(res.Data()), tt.patch)
		assert.Equal(t, tt.merged, merged, tt.patch)
	}
}

// TestEveryRecordIsReadOnce: also in a list with a filter, whether it matches or not.
func TestEveryRecordIsReadOnce(t *testing.T) {
	c, store := customers(t)
	for i := range 10 {
		id := fmt.Sprintf("c-%d", i)
		put(t, store, customerKey(id), strings.Replace(cust(fmt.Sprintf(`,"email":"STORED %d"`, i%2)), "c-1", id, 1))
	}
	for _, filter := range [][]schema.Condition{nil, {{Field: "email", Value: "STORED 1"}, {Field: "smsOptOut", Value: true}}} {
		_, stored, _ := reads(t, func() {
			page, err := c.List(ctx, tenant, &resource.ListOptions{AllowScan: true, Filter: filter})
			require.NoError(t, err)
			assert.Len(t, page.Resources, 10/(1+len(filter)/2))
		})
		assert.Equal(t, 10, stored)
	}
}

// TestInvalidIsNeverMerged: nothing that a request in violation would have made is
// ever put together, with whatever is stored.
func TestInvalidIsNeverMerged(t *testing.T) {
	c := open(t, schema.Customers(), memory.New(), nil)
	create(t, c, cust(`,"email":"STORED"`))
	for _, patch := range []string{`{"x":"REQUEST"}`, `{"firstName":null,"phone":"REQUEST"}`, `{"customerId":"REQUEST"}`, `{"phone":["REQUEST"]}`} {
		request, stored, merged := reads(t, func() {
			_, err := c.Patch(ctx, tenant, "c-1", []byte(patch), nil)
			var invalid *schema.ValidationError
			require.ErrorAs(t, err, &invalid)
		})
		assert.Equal(t, [3]int{1, 1, 0}, [3]int{request, stored, merged}, patch)
	}
}

// batchProbe looks at the memory that a batch holds when it asks for the records.
type batchProbe struct {
	storage.Store
	held int
}

func (p *batchProbe) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	p.held = heap()
	return nil, storage.ErrUnavailable
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what is in pools is gone after the second
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestBatchMemory: a batch holds at most four times the bytes of its requests, which
// are among them; so do requests that are much larger once they are parsed.
func TestBatchMemory(t *testing.T) {
	s := schema.MustCompile(schema.Definition{ID: schema.Customers().ID(), Name: "things", ExternalID: "id", Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true}, {Name: "list", Type: schema.Array}, {Name: "a", Type: schema.String}, {Name: "b", Type: schema.String},
		{Name: "c", Type: schema.Object, Fields: []schema.Field{{Name: "d", Type: schema.String}}},
	}})
	for name, more := range map[string]string{
		"usual":        `"a":"` + strings.Repeat("x", 140) + `","b":"` + strings.Repeat("y", 140) + `","c":{"d":"z"}`,
		"many values":  `"list":[0` + strings.Repeat(",0", 5000) + `]`,
		"large string": `"a":"` + strings.Repeat("x", 20_000) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			documents, size := make([][]byte, 1000), 0
			for i := range documents {
				documents[i] = fmt.Appendf(nil, `{"id":"%d",%s}`, i, more)
				size += len(documents[i])
			}
			probe := &batchProbe{Store: memory.New()}
			c := open(t, s, probe, nil)
			before := heap()
			_, err := c.CreateBatch(ctx, tenant, documents, nil)
			require.NoError(t, err)
			held := size + probe.held - before
			t.Logf("%d bytes of requests, %.1f times that held", size, float64(held)/float64(size))
			assert.Less(t, held, 4*size)
			runtime.KeepAlive(documents)
		})
	}
}

// TestWaitingMemory: writers that wait in the queue of one key hold at most four times
// the bytes of their requests.
func TestWaitingMemory(t *testing.T) {
	s := schema.MustCompile(schema.Definition{ID: schema.Customers().ID(), Name: "things", ExternalID: "id", Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true}, {Name: "list", Type: schema.Array}, {Name: "open", Type: schema.Object}, {Name: "a", Type: schema.String},
	}})
	const mib = 1 << 20
	for name, more := range map[string]string{
		"many values":  `"list":[0` + strings.Repeat(",0", mib/2) + `]`,
		"many objects": `"list":[{}` + strings.Repeat(",{}", mib/3) + `]`,
		"deep":         `"list":[1` + strings.Repeat(","+strings.Repeat("[", 60)+strings.Repeat("]", 60), mib/121) + `]`,
		"large string": `"a":"` + strings.Repeat("x", mib) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, letGo := blocking(memory.New())
				c := open(t, s, store, nil)
				var errs []<-chan error
				create := func(request string) {
					done := make(chan error, 1)
					errs = append(errs, done)
					data := []byte(request)
					go func() {
						_, err := c.Create(ctx, tenant, data, nil)
						done <- err
					}()
					synctest.Wait()
				}
				create(`{"id":"c-1"}`) // holds the lock
				before, size := heap(), 0
				for range 8 {
					request := `{"id":"c-1",` + more + `}`
					size += len(request)
					create(request)
				}
				held := heap() - before
				t.Logf("%d bytes of requests, %.1f times that held", size, float64(held)/float64(size))
				assert.Less(t, held, 4*size)
				close(letGo)
				for _, err := range errs {
					assert.NoError(t, <-err)
				}
			})
		})
	}
}
