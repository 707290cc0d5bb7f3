package resource_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/internal/seal"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// cutAt is where the index cuts a string, in bytes.
const cutAt = 238

// cutText begins as an index stores it, and goes on after it.
var cutText = strings.Repeat("k", cutAt)

// The values of the fields in FuzzFind, as JSON. Those of one line are alike or neighbours.
var findTexts = []string{
	`""`, `"\u0000"`, `"\u0001"`, `"a"`, `"A"`, `"a\u0000"`, `"aa"`, `"ab"`, `"B"`, `"b"`,
	`"ä"`, `"Ä"`, `"ß"`, `"ẞ"`, `"İ"`, `"i"`, `"I"`, `"ſ"`, `"s"`, `"K"`, `"k"`, `"\uffff"`, `"\ud83d\ude00"`,
	`"` + cutText[1:] + `"`, `"` + cutText + `"`, `"` + cutText + `\u0000"`, `"` + cutText + `a"`, `"` + cutText + `A"`, `"` + cutText + `z"`, `"` + cutText + cutText + `"`,
	`"` + cutText[1:] + `ä"`, `"` + cutText[1:] + `Ä"`, `"` + cutText[2:] + `\ud83d\ude00"`,
}

var findNumbers = []string{
	"0", "-0", "0.0", "0e9", "1", "1.0", "10e-1", "1.00000000000000000000001", "-1", "-1.5", "2", "10", "99", "100", "1e2", "9007199254740993", "9007199254740992",
	"1e400", "10e399", "-1e400", "1e-400", "-1e-400", "1e401", strings.Repeat("9", 300), strings.Repeat("9", 299) + "8", "-" + strings.Repeat("9", 300), "0." + strings.Repeat("0", 99) + "1",
}

var findTimes = []string{
	`"2024-01-01T00:00:00Z"`, `"2024-01-01T00:00:00.000Z"`, `"2024-01-01T02:00:00+02:00"`, `"2023-12-31T23:59:59.999999999Z"`, `"2024-01-01T00:00:00.1Z"`,
	`"2024-01-01T00:00:00.100000001Z"`, `"0000-01-01T00:00:00+23:59"`, `"9999-12-31T23:59:59-23:59"`, `"2024-02-29t12:00:00z"`,
}

// findEditions are three editions of a schema. In the first, age is a string; its values
// are of another type later. The third has another default, and other indexes.
var findEditions = func() []*schema.Schema {
	code := schema.Field{Name: "code", Type: schema.String, Index: 1, Unique: true}
	name := schema.Field{Name: "name", Type: schema.String, Index: 2, Fold: "lower"}
	age := schema.Field{Name: "age", Type: schema.Number, Index: 3}
	born := schema.Field{Name: "born", Type: schema.String, Format: "date-time", Index: 4}
	flag := schema.Field{Name: "flag", Type: schema.Boolean, Index: 5, Default: true}
	city := schema.Field{Name: "city", Type: schema.String, Index: 6}
	plan := schema.Field{Name: "plan", Type: schema.String}
	other := schema.Field{Name: "plan", Type: schema.String, Index: 7, Default: "b", Fold: "lower"}
	noFlag := boolean("flag")
	return []*schema.Schema{
		things(code, name, str("age"), born, flag, object("at", city), plan),
		things(code, name, age, born, flag, object("at", city), plan),
		things(str("code"), name, age, born, noFlag, object("at", city), other),
	}
}()

// findFields are the fields of conditions and orders, with their values.
var findFields = []struct {
	name   string
	path   string // of gjson
	values []string
}{
	{"code", "code", findTexts}, {"name", "name", findTexts}, {"age", "age", findNumbers}, {"born", "born", findTimes},
	{"flag", "flag", []string{"true", "false"}}, {"/at/city", "at.city", findTexts}, {"plan", "plan", []string{`"a"`, `"b"`, `"B"`}},
}

// A findOracle knows what FuzzFind should find, without an index.
type findOracle struct {
	schema *schema.Schema
	choose func(n int) int
}

// field returns the declaration of a field.
func (o *findOracle) field(name string) schema.Field {
	fields := o.schema.Definition().Fields
	for _, step := range strings.Split(strings.TrimPrefix(name, "/"), "/") {
		f := fields[slices.IndexFunc(fields, func(f schema.Field) bool { return f.Name == step })]
		if f.Type != schema.Object {
			return f
		}
		fields = f.Fields
	}
	panic("no such field")
}

// compare compares two values of a field; cut compares strings as the index has them.
func compareValues(f schema.Field, a, b gjson.Result, cut bool) int {
	switch {
	case f.Type == schema.Number:
		x, _ := new(big.Rat).SetString(a.Raw)
		y, _ := new(big.Rat).SetString(b.Raw)
		return x.Cmp(y)
	case f.Type == schema.Boolean:
		return cmp.Compare(a.Type, b.Type) // False before True
	case f.Format != "":
		x, _ := time.Parse(time.RFC3339Nano, strings.ToUpper(a.Str))
		y, _ := time.Parse(time.RFC3339Nano, strings.ToUpper(b.Str))
		return x.Compare(y)
	}
	x, y := a.Str, b.Str
	if f.Fold != "" {
		x, y = strings.Map(unicode.ToLower, x), strings.Map(unicode.ToLower, y)
	}
	if cut {
		x, y = cutString(x), cutString(y)
	}
	return cmp.Compare(x, y)
}

// cutString returns what of a string an index sorts by.
func cutString(s string) string {
	if len(s) <= cutAt {
		return s
	}
	return s[:cutAt] + "\xff"
}

// isTyped reports whether a value is one of the field.
func isTyped(f schema.Field, v gjson.Result) bool {
	switch f.Type {
	case schema.Number:
		return v.Type == gjson.Number
	case schema.Boolean:
		return v.IsBool()
	}
	return v.Type == gjson.String
}

// holds judges a condition.
func (o *findOracle) holds(doc string, c schema.Condition, path string) bool {
	f, v := o.field(c.Field), gjson.Get(doc, path)
	if c.Value == nil || !v.Exists() {
		return c.Value == nil && !v.Exists()
	}
	if !isTyped(f, v) {
		return false
	}
	raw, _ := json.Marshal(c.Value)
	want := gjson.ParseBytes(raw)
	switch c.Op {
	case "from":
		return compareValues(f, v, want, false) >= 0
	case "to":
		return compareValues(f, v, want, false) < 0
	case "prefix":
		if f.Fold != "" {
			return strings.HasPrefix(strings.Map(unicode.ToLower, v.Str), strings.Map(unicode.ToLower, want.Str))
		}
		return strings.HasPrefix(v.Str, want.Str)
	}
	return compareValues(f, v, want, false) == 0
}

// condition makes a condition that the schema accepts.
func (o *findOracle) condition(field int) schema.Condition {
	f := findFields[field]
	c := schema.Condition{Field: f.name}
	declared := o.field(f.name)
	if n := o.choose(8); n == 0 {
		return c // absent
	} else if declared.Type != schema.Boolean {
		c.Op = []string{"", "", "", "from", "from", "to", "to", "prefix"}[n]
	}
	if c.Op == "prefix" && (declared.Type != schema.String || declared.Format != "") {
		c.Op = ""
	}
	raw := f.values[o.choose(len(f.values))]
	if declared.Type == schema.String && raw[0] != '"' {
		raw = `"` + raw + `"` // age, when it was a string
	}
	switch v := gjson.Parse(raw); v.Type {
	case gjson.Number:
		c.Value = json.Number(raw)
	default:
		c.Value = v.Value()
	}
	return c
}

// FuzzSealedCursor: no cursor in the order of a field, neither one of any text nor one of
// any content under the key, leads to a panic, to another tenant, or to an error but
// ErrCursor.
func FuzzSealedCursor(f *testing.F) {
	key := bytes.Repeat([]byte{7}, 32)
	sealer, err := seal.New(key)
	require.NoError(f, err)
	store := memory.New()
	c := open(f, things(uniqueEmail, indexedAge), store, &resource.Options{CursorKey: key})
	other := storage.TenantOf("platform", "other")
	for i := range 5 {
		doc := fmt.Appendf(nil, `{"id":"%d","email":"%d","age":%d}`, i, i, i/2)
		create(f, c, string(doc))
		_, err := c.Create(ctx, other, doc, nil)
		require.NoError(f, err)
	}
	lists := []resource.ListOptions{{Order: "email", Limit: 2}, {Order: "age", Descending: true, Limit: 2}, where("age", 1), {Limit: 2}}
	lists[2].Limit = 1
	var heads [][]byte
	for _, opts := range lists {
		page, err := c.List(ctx, tenant, &opts)
		require.NoError(f, err)
		raw, err := base64.RawURLEncoding.DecodeString(page.Next)
		require.NoError(f, err)
		head, place := raw[:13], []byte(nil)
		if opts.Order != "" || opts.Filter != nil {
			place, err = sealer.Open(raw[13:], head)
			require.NoError(f, err)
		}
		heads = append(heads, head)
		f.Add(page.Next, place)
	}
	for _, place := range []string{"", "\x00\x00\x00\x00\x00\x01a0", "\x00\x00\x00\x01\x00\x000", "\x00\x00\x00\x02\xff\xff0", "\x00\x00\x00\x02\x00\x01aa\x00", "\xf0\x00\x00\x01\x00\x01a0", "\x00\x00\x00\x02\x01\x01" + strings.Repeat("a", 300)} {
		f.Add("", []byte(place))
	}
	f.Fuzz(func(t *testing.T, cursor string, place []byte) {
		for i, opts := range lists {
			head := append([]byte{2}, heads[i][1:]...)
			for _, opts.Cursor = range []string{cursor, base64.RawURLEncoding.EncodeToString(sealer.Seal(head, place, head))} {
				page, err := c.List(ctx, tenant, &opts)
				if err != nil {
					require.ErrorIs(t, err, resource.ErrCursor)
					continue
				}
				for _, r := range page.Resources {
					require.Equal(t, tenant, r.Key().Tenant)
				}
			}
		}
	})
}

// FuzzFind compares lists by index with a judgement of every document: random documents,
// which three editions of a schema have written and reindexed in turn; conditions, orders
// in both directions, and pages.
func FuzzFind(f *testing.F) {
	for seed := range 200 {
		f.Add([]byte{byte(seed)})
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		synctest.Test(t, func(t *testing.T) { findLikeOracle(t, data) })
	})
}

func findLikeOracle(t *testing.T, data []byte) {
	// The bytes choose, and after their end random numbers that depend on them.
	var key [32]byte
	copy(key[:], data)
	random := rand.New(rand.NewChaCha8(key))
	choose := func(n int) int {
		if len(data) > 0 {
			b := data[0]
			data = data[1:]
			return int(b) % n
		}
		return random.IntN(n)
	}
	store := memory.New()
	clock := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	opts := &resource.Options{IndexCreatedAt: true, IndexUpdatedAt: true, Now: func() time.Time { return clock }}
	var c *resource.Collection
	o := findOracle{choose: choose}
	edition := func(n int) {
		o.schema = findEditions[n]
		c = open(t, o.schema, store, opts)
	}
	edition(choose(len(findEditions)))
	for range 10 + choose(20) {
		clock = clock.Add(time.Duration(choose(3)) * 500 * time.Microsecond)
		switch id := fmt.Sprint("id", choose(15)); choose(12) {
		case 0:
			_, err := c.Delete(ctx, tenant, id, nil)
			require.True(t, err == nil || errors.Is(err, resource.ErrNotFound))
		case 1:
			edition(choose(len(findEditions)))
		case 2:
			_, err := c.Reindex(ctx, tenant, nil)
			require.NoError(t, err)
		default:
			doc := `{"id":"` + id + `"`
			for _, f := range findFields {
				if choose(3) == 0 {
					continue
				}
				value := f.values[choose(len(f.values))]
				if choose(10) == 0 {
					value = "null"
				} else if f.name == "age" && o.field("age").Type == schema.String {
					value = `"` + value + `"`
				}
				if f.name == "/at/city" {
					value = `{"city":` + value + `}`
				}
				doc += `,"` + strings.Split(f.path, ".")[0] + `":` + value
			}
			var invalid *schema.ValidationError
			if _, err := c.Create(ctx, tenant, []byte(doc+"}"), nil); !errors.As(err, &invalid) {
				require.NoError(t, err)
			}
		}
	}
	if choose(4) > 0 {
		edition(choose(len(findEditions)))
		_, err := c.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
	}
	all, err := c.List(ctx, tenant, &resource.ListOptions{Limit: storage.MaxPage})
	require.NoError(t, err)
	for range 6 {
		o.compare(t, c, all.Resources)
	}
}

// compare makes a list and compares it with all resources, which are in the order of their
// ids.
func (o *findOracle) compare(t *testing.T, c *resource.Collection, all []*resource.Resource) {
	choose := o.choose
	opts := resource.ListOptions{Limit: 1 + choose(7), Descending: choose(2) == 0, AllowScan: choose(4) == 0}
	order := choose(2*len(findFields)) - len(findFields)
	byTime := func(r *resource.Resource) time.Time { return r.CreatedAt() }
	switch {
	case order >= 0:
		opts.Order = findFields[order].name
	case order == -1:
		opts.Order = "resource.createdAt"
	case order == -2:
		opts.Order, byTime = "resource.updatedAt", func(r *resource.Resource) time.Time { return r.UpdatedAt() }
	}
	var paths []string
	for range choose(4) {
		field := choose(len(findFields))
		if order >= 0 && choose(2) == 0 {
			field = order
		}
		opts.Filter = append(opts.Filter, o.condition(field))
		paths = append(paths, findFields[field].path)
	}
	var want []*resource.Resource
	for _, r := range all {
		keep := true
		for i, c := range opts.Filter {
			keep = keep && o.holds(string(r.Data()), c, paths[i])
		}
		if keep {
			want = append(want, r)
		}
	}
	var got []*resource.Resource
	for r, err := range c.All(ctx, tenant, &opts) {
		var invalid *schema.ValidationError
		if errors.As(err, &invalid) && invalid.Violations[0].Code == "index" {
			if order >= 0 && o.field(opts.Order).Index == 0 {
				return
			}
			for _, c := range opts.Filter {
				if by := o.field(c.Field).Index; by != 0 && (opts.Order == "" || c.Field == opts.Order) {
					t.Fatalf("%+v: refused: %v", opts, err)
				}
			}
			require.NotEmpty(t, opts.Filter)
			return
		}
		if errors.Is(err, storage.ErrUnavailable) {
			require.NotEmpty(t, opts.Order)
			done, err := c.Indexed(ctx, tenant)
			require.NoError(t, err)
			require.False(t, done)
			return
		}
		require.NoError(t, err, "%+v", opts)
		got = append(got, r)
	}
	sorted := func(a, b *resource.Resource) int {
		switch {
		case order >= 0:
			f := o.field(opts.Order)
			x, y := a.Get(findFields[order].path), b.Get(findFields[order].path)
			if tx, ty := isTyped(f, x), isTyped(f, y); !tx || !ty {
				return cmp.Compare(b2i(tx), b2i(ty))
			}
			return compareValues(f, x, y, true)
		case opts.Order != "":
			return byTime(a).Compare(byTime(b))
		}
		return 0
	}
	byID := func(a, b *resource.Resource) int { return cmp.Compare(a.Key().ExternalID, b.Key().ExternalID) }
	whole := func(a, b *resource.Resource) int { return cmp.Or(sorted(a, b), byID(a, b)) }
	if opts.Descending {
		whole = func(a, b *resource.Resource) int { return cmp.Or(sorted(b, a), byID(b, a)) }
	}
	// Among equal cut values of a unique field, and in the order of the index that a
	// filter has, the order is open.
	if opts.Order != "" && !o.unique(opts.Order) {
		if !slices.IsSortedFunc(got, whole) {
			var values []string
			for _, r := range got {
				values = append(values, r.Key().ExternalID+" "+r.Get(findFields[max(order, 0)].path).Raw)
			}
			t.Errorf("%+v: not sorted: %v", opts, values)
		}
	}
	slices.SortFunc(got, whole)
	slices.SortFunc(want, whole)
	require.Equal(t, ids(want), ids(got), "%+v", opts)
}

func (o *findOracle) unique(order string) bool {
	return !strings.HasPrefix(order, "resource.") && o.field(order).Unique
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func ids(resources []*resource.Resource) (ids []string) {
	for _, r := range resources {
		ids = append(ids, r.Key().ExternalID)
	}
	return ids
}
