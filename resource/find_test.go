package resource_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// findable is a schema whose fields are found: by name in lower case, by a unique email,
// and by age; and one, note, that is not.
func findable(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Compile(schema.Definition{
		ID: uuid.MustParse("7b1d2f7e-7c39-4b0c-a7e3-3f6e4e0f3f10"), Name: "people", ExternalID: "id",
		Fields: []schema.Field{
			{Name: "id", Type: schema.String, Required: true},
			{Name: "name", Type: schema.String, Index: 1, Fold: "lower"},
			{Name: "email", Type: schema.String, Index: 2, Unique: true, Fold: "lower"},
			{Name: "age", Type: schema.Number, Index: 3},
			{Name: "born", Type: schema.String, Format: "date-time", Index: 4},
			{Name: "note", Type: schema.String},
		},
	})
	require.NoError(t, err)
	return s
}

// A finder is a collection with some people in it.
type finder struct {
	*resource.Collection
	t      *testing.T
	tenant storage.Tenant
}

func newFinder(t *testing.T, store storage.Store, people ...string) finder {
	t.Helper()
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := resource.NewCollection(findable(t), store, &resource.Options{
		IndexCreatedAt: true, IndexUpdatedAt: true,
		Now: func() time.Time { at = at.Add(time.Hour); return at },
	})
	require.NoError(t, err)
	f := finder{c, t, storage.TenantOf("finders", "keepers")}
	for _, p := range people {
		_, err := c.Create(context.Background(), f.tenant, []byte(p), nil)
		require.NoError(t, err, p)
	}
	return f
}

// walk returns the ids of a list, page by page.
func (f finder) walk(opts resource.ListOptions) (ids string, err error) {
	f.t.Helper()
	var all []string
	for {
		page, err := f.List(context.Background(), f.tenant, &opts)
		if err != nil {
			return "", err
		}
		for _, r := range page.Resources {
			all = append(all, r.Get("id").String())
		}
		if opts.Cursor = page.Next; page.Next == "" {
			return strings.Join(all, " "), nil
		}
	}
}

var people = []string{
	`{"id":"c","name":"Ada","email":"ada@x.org","age":36,"born":"1815-12-10T00:00:00Z","note":"n"}`,
	`{"id":"a","name":"ALAN","email":"alan@x.org","age":41.5,"born":"1912-06-23T02:00:00+02:00"}`,
	`{"id":"e","name":"ada b","age":36.0,"note":"n"}`,
	`{"id":"b","name":"Grace","email":"grace@x.org","age":85}`,
	`{"id":"d","email":"d@x.org"}`,
}

// TestFind: what lists find by indexed fields, and in which order.
func TestFind(t *testing.T) {
	f := newFinder(t, memory.New(), people...)
	is := func(field, op string, value any) []schema.Condition {
		return []schema.Condition{{Field: field, Op: op, Value: value}}
	}
	for _, tt := range []struct {
		name   string
		filter []schema.Condition
		order  string
		want   string
		wantZ  string // in descending order
	}{
		{"all", nil, "", "a b c d e", "e d c b a"},
		{"equal", is("email", "", "ada@x.org"), "", "c", "c"},
		{"equal, folded", is("email", "", "ADA@X.ORG"), "", "c", "c"},
		{"equal, absent", is("email", "", nil), "", "e", "e"},
		{"equal number", is("age", "", "36"), "", "c e", "e c"},
		{"nothing", is("email", "", "nobody@x.org"), "", "", ""},
		{"prefix", is("name", "prefix", "ad"), "", "c e", "e c"},
		{"from", is("age", "from", 41), "", "a b", "b a"},
		{"to", is("age", "to", 41), "", "c e", "e c"},
		{"from and to", append(is("age", "from", "36.5"), is("age", "to", "85")...), "", "a", "a"},
		{"empty range", append(is("age", "from", "50"), is("age", "to", "40")...), "", "", ""},
		{"instant", is("born", "", "1912-06-23T00:00:00Z"), "", "a", "a"},
		{"two fields", append(is("age", "", 36), is("name", "prefix", "ada ")...), "", "e", "e"},
		{"and one without an index", append(is("age", "", 36), is("note", "", "n")...), "", "c e", "e c"},
		{"order", nil, "age", "d c e a b", "b a e c d"},
		{"order by name", nil, "name", "d c e a b", "b a e c d"},
		{"order and range", is("age", "from", 36), "age", "c e a b", "b a e c"},
		{"order by creation", nil, "resource.createdAt", "c a e b d", "d b e a c"},
		{"created from", is("resource.createdAt", "from", "2024-01-01T04:00:00Z"), "", "b d", "d b"},
		{"created from, finer than a time", is("resource.createdAt", "from", time.Date(2024, 1, 1, 4, 0, 0, 1000, time.UTC)), "", "d", "d"},
		{"created to", is("resource.createdAt", "to", time.Date(2024, 1, 1, 3, 0, 0, 0, time.UTC)), "", "c a", "a c"},
	} {
		for _, limit := range []int{1, 2, 100} {
			got, err := f.walk(resource.ListOptions{Filter: tt.filter, Order: tt.order, Limit: limit})
			require.NoError(t, err, tt.name)
			assert.Equal(t, tt.want, got, "%s, %d a page", tt.name, limit)
			got, err = f.walk(resource.ListOptions{Filter: tt.filter, Order: tt.order, Limit: limit, Descending: true})
			require.NoError(t, err, tt.name)
			assert.Equal(t, tt.wantZ, got, "%s, descending, %d a page", tt.name, limit)
		}
	}
}

// TestFindRefuses: lists that no index serves.
func TestFindRefuses(t *testing.T) {
	f := newFinder(t, memory.New(), people...)
	for _, tt := range []struct {
		name string
		opts resource.ListOptions
		want string
	}{
		{"no index", resource.ListOptions{Filter: []schema.Condition{{Field: "note", Value: "n"}}}, "expected a field with an index: age, born, email, name, resource.createdAt"},
		{"order by it", resource.ListOptions{Order: "note"}, "expected a field with an index"},
		{"unknown order", resource.ListOptions{Order: "agee"}, "age"},
		{"filter on another field", resource.ListOptions{Order: "age", Filter: []schema.Condition{{Field: "name", Value: "Ada"}}}, "expected a condition on age"},
		{"prefix of a time", resource.ListOptions{Filter: []schema.Condition{{Field: "resource.createdAt", Op: "prefix", Value: "2024"}}}, "prefix"},
	} {
		_, err := f.walk(tt.opts)
		var invalid *schema.ValidationError
		require.ErrorAs(t, err, &invalid, tt.name)
		assert.ErrorContains(t, err, tt.want, tt.name)
	}
	got, err := f.walk(resource.ListOptions{Filter: []schema.Condition{{Field: "note", Value: "n"}}, AllowScan: true, Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, "c e", got)
}

// TestUnique: a value that another resource has is a violation, in every verb.
func TestUnique(t *testing.T) {
	ctx := context.Background()
	f := newFinder(t, memory.New(), people...)
	want := func(err error) {
		t.Helper()
		var invalid *schema.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, "/email", string(invalid.Violations[0].Pointer))
		assert.Equal(t, "unique", invalid.Violations[0].Code)
		assert.NotContains(t, err.Error(), "x.org")
	}
	dry := &resource.WriteOptions{DryRun: true}
	for _, opts := range []*resource.WriteOptions{nil, dry} {
		_, err := f.Create(ctx, f.tenant, []byte(`{"id":"new","email":"ADA@x.org"}`), opts)
		want(err)
		_, err = f.Patch(ctx, f.tenant, "a", []byte(`{"email":"ada@x.org"}`), opts)
		want(err)
		items, err := f.CreateBatch(ctx, f.tenant, [][]byte{
			[]byte(`{"id":"n1","email":"n@x.org"}`), []byte(`{"id":"n2","email":"N@x.org"}`), []byte(`{"id":"n3","email":"grace@x.org"}`), []byte(`{"id":"b","note":"m"}`),
		}, opts)
		require.NoError(t, err)
		require.NoError(t, items[0].Err)
		want(items[1].Err)
		want(items[2].Err)
		require.NoError(t, items[3].Err)
	}
	_, err := f.Delete(ctx, f.tenant, "c", nil)
	require.NoError(t, err)
	_, err = f.Patch(ctx, f.tenant, "a", []byte(`{"email":"ada@x.org"}`), nil)
	require.NoError(t, err)
	other := storage.TenantOf("finders", "losers")
	_, err = f.Create(ctx, other, []byte(`{"id":"1","email":"ada@x.org"}`), nil)
	require.NoError(t, err, "of another tenant")
}

// TestSealedCursors: a cursor in the order of a field has no value that can be read.
func TestSealedCursors(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	f := newFinder(t, store, people...)
	first, err := f.List(ctx, f.tenant, &resource.ListOptions{Order: "email", Limit: 2})
	require.NoError(t, err)
	require.NotEmpty(t, first.Next)
	raw, err := base64.RawURLEncoding.DecodeString(first.Next)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "x.org")
	changed := []byte(first.Next)
	changed[40] ^= 1
	again := newFinder(t, store)
	page, err := again.List(ctx, f.tenant, &resource.ListOptions{Order: "email", Limit: 2, Cursor: first.Next})
	require.NoError(t, err, "by another process")
	assert.Len(t, page.Resources, 2)
	for name, opts := range map[string]resource.ListOptions{
		"other order":   {Order: "age", Cursor: first.Next},
		"no order":      {Cursor: first.Next},
		"descending":    {Order: "email", Descending: true, Cursor: first.Next},
		"changed":       {Order: "email", Cursor: string(changed)},
		"cut":           {Order: "email", Cursor: first.Next[:len(first.Next)-4]},
		"filter":        {Order: "email", Cursor: first.Next, Filter: []schema.Condition{{Field: "email", Op: "from", Value: "a"}}},
		"another store": {Order: "email", Cursor: first.Next},
	} {
		f := f
		if name == "another store" {
			f = newFinder(t, memory.New(), people...)
		}
		_, err := f.List(ctx, f.tenant, &opts)
		assert.ErrorIs(t, err, resource.ErrCursor, name)
	}
}

// TestFindCutValues: an index cuts values, but filters answer exactly. Those that are equal
// as far as the index has them are in the order of their ids.
func TestFindCutValues(t *testing.T) {
	long := strings.Repeat("x", 260)
	number := "1" + strings.Repeat("0", 600)
	f := newFinder(t, memory.New(),
		`{"id":"d","name":"`+long+`","email":"`+long+`a","age":`+number+`1}`,
		`{"id":"c","name":"`+long+`A","email":"`+long+`b","age":`+number+`2}`,
		`{"id":"b","name":"`+long+`b","email":"`+long+`c","age":`+number+`3}`,
		`{"id":"a","name":"`+long+`C","age":`+number+`4}`,
		`{"id":"e","name":"y"}`,
	)
	for _, tt := range []struct {
		field, op, value string
		want             string
	}{
		{"name", "", long, "d"},
		{"name", "", long + "B", "b"},
		{"name", "", long[:239], ""},
		{"name", "from", long + "b", "a b e"},
		{"name", "to", long + "b", "c d"},
		{"name", "prefix", long, "a b c d"},
		{"name", "prefix", long + "c", "a"},
		{"email", "", long + "B", "c"},
		{"email", "", long + "d", ""},
		{"email", "prefix", long + "a", "d"},
		{"age", "", number + "3", "b"},
		{"age", "from", number + "2", "a b c"},
		{"age", "to", number + "2", "d"},
	} {
		for _, limit := range []int{1, 100} {
			got, err := f.walk(resource.ListOptions{Filter: []schema.Condition{{Field: tt.field, Op: tt.op, Value: tt.value}}, Limit: limit})
			require.NoError(t, err)
			assert.Equal(t, tt.want, got, "%s %s", tt.field, tt.op)
		}
	}
	for field, want := range map[string]string{"name": "a b c d e", "age": "e a b c d"} {
		got, err := f.walk(resource.ListOptions{Order: field, Limit: 2})
		require.NoError(t, err)
		assert.Equal(t, want, got, field)
	}
	_, err := f.Create(context.Background(), f.tenant, []byte(`{"id":"f","email":"`+long+`C"}`), nil)
	assertTaken(t, err)
}

// TestReindex: an index that is new to a schema is used once Reindex has run.
func TestReindex(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	def := findable(t).Definition()
	for i := range def.Fields {
		def.Fields[i].Index, def.Fields[i].Unique = 0, false
	}
	before, err := resource.NewCollection(schema.MustCompile(def), store, nil)
	require.NoError(t, err)
	tenant := storage.TenantOf("finders", "keepers")
	for i := range 2500 {
		_, err := before.Create(ctx, tenant, fmt.Appendf(nil, `{"id":"%04d","email":"%d@x.org","age":%d}`, i, i, i%10), nil)
		require.NoError(t, err)
	}
	_, err = before.Create(ctx, tenant, []byte(`{"id":"twin","email":"7@X.ORG"}`), nil)
	require.NoError(t, err)

	f := newFinder(t, store)
	got, err := f.walk(resource.ListOptions{Filter: []schema.Condition{{Field: "email", Value: "2400@x.org"}}})
	require.NoError(t, err)
	assert.Equal(t, "2400", got, "by a scan")
	_, err = f.walk(resource.ListOptions{Order: "age"})
	require.ErrorIs(t, err, resource.ErrNotIndexed)
	require.ErrorIs(t, err, storage.ErrUnavailable)

	stop := fmt.Errorf("stop")
	_, err = f.Reindex(ctx, tenant, func(r resource.Reindexed) error { return stop })
	require.ErrorIs(t, err, stop)
	done, err := f.Reindex(ctx, tenant, nil)
	require.NoError(t, err)
	assert.Len(t, done.Duplicates["/email"], 1)
	page, err := f.List(ctx, tenant, &resource.ListOptions{Filter: []schema.Condition{{Field: "age", Value: 3}}, Limit: 1000})
	require.NoError(t, err)
	assert.Len(t, page.Resources, 250)

	_, err = f.Delete(ctx, tenant, "twin", nil)
	require.NoError(t, err)
	done, err = f.Reindex(ctx, tenant, nil)
	require.NoError(t, err)
	assert.Empty(t, done.Duplicates)
	page, err = f.List(ctx, tenant, &resource.ListOptions{Order: "email", Descending: true, Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, "0009", page.Resources[0].Get("id").String())
	_, err = f.Create(ctx, tenant, []byte(`{"id":"twin","email":"7@X.ORG"}`), nil)
	var invalid *schema.ValidationError
	require.ErrorAs(t, err, &invalid)
}

// TestOlderWriter: what a collection without an index has written is found by lists of the
// others, by a scan until the next Reindex.
func TestOlderWriter(t *testing.T) {
	ctx := context.Background()
	store := memory.New()
	f := newFinder(t, store, people...)
	def := findable(t).Definition()
	for i := range def.Fields {
		def.Fields[i].Index, def.Fields[i].Unique = 0, false
	}
	older, err := resource.NewCollection(schema.MustCompile(def), store, nil)
	require.NoError(t, err)
	_, err = older.Patch(ctx, f.tenant, "c", []byte(`{"email":"new@x.org"}`), nil)
	require.NoError(t, err)

	find := resource.ListOptions{Filter: []schema.Condition{{Field: "email", Value: "new@x.org"}}}
	f = newFinder(t, store) // the one before remembers for a minute that the index is ready
	indexed, err := f.Indexed(ctx, f.tenant)
	require.NoError(t, err)
	assert.False(t, indexed)
	got, err := f.walk(find)
	require.NoError(t, err)
	assert.Equal(t, "c", got)
	_, err = f.Reindex(ctx, f.tenant, nil)
	require.NoError(t, err)
	indexed, err = f.Indexed(ctx, f.tenant)
	require.NoError(t, err)
	assert.True(t, indexed)
	got, err = f.walk(find)
	require.NoError(t, err)
	assert.Equal(t, "c", got)
}
