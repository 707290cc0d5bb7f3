package schema

import (
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/internal/strictjson"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// rfc7396 is the pseudo code of RFC 7396, section 2, on texts: members keep
// their order, new ones come last. Empty is absent. Both are strict JSON.
func rfc7396(target, patch string) string {
	p := gjson.Parse(patch)
	if !p.IsObject() {
		return p.Raw
	}
	var names, values []string
	if t := gjson.Parse(target); t.IsObject() {
		t.ForEach(func(k, v gjson.Result) bool {
			names, values = append(names, k.Raw), append(values, v.Raw)
			return true
		})
	}
	p.ForEach(func(k, v gjson.Result) bool {
		i := 0
		for i < len(names) && gjson.Parse(names[i]).Str != k.Str {
			i++
		}
		switch {
		case v.Type == gjson.Null && i < len(names):
			names, values = append(names[:i:i], names[i+1:]...), append(values[:i:i], values[i+1:]...)
		case v.Type == gjson.Null:
		case i < len(names):
			values[i] = rfc7396(values[i], v.Raw)
		default:
			names, values = append(names, k.Raw), append(values, rfc7396("", v.Raw))
		}
		return true
	})
	for i := range names {
		names[i] += ":" + values[i]
	}
	return "{" + strings.Join(names, ",") + "}"
}

// write applies request to stored; "" is absent.
func write(s *Schema, stored, request string, opts *ReadOptions) (Document, error) {
	r, err := s.Read([]byte(request), opts)
	if err != nil {
		return Document{}, err
	}
	defer r.Close()
	return r.Apply([]byte(stored))
}

// patchOf returns the request without what its last Apply left out.
func patchOf(r *Request) string {
	return string(strictjson.AppendValue(nil, r.doc, 0))
}

// lines returns the violations of err as "pointer code".
func lines(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var v *ValidationError
	require.ErrorAs(t, err, &v)
	require.NotEmpty(t, v.Violations)
	require.LessOrEqual(t, len(v.Violations), 100)
	var out []string
	for _, v := range v.Violations {
		require.NotEmpty(t, v.Message)
		out = append(out, string(v.Pointer)+" "+string(v.Code))
	}
	return out
}

// define compiles fields after a required string field id.
func define(t testing.TB, fields ...Field) *Schema {
	t.Helper()
	s, err := Compile(definition(fields...))
	require.NoError(t, err)
	return s
}

func definition(fields ...Field) Definition {
	return Definition{
		ID: uuid.MustParse("0191e4a0-0000-7000-8000-000000000001"), Name: "things", ExternalID: "id",
		Fields: append([]Field{{Name: "id", Type: String, Required: true}}, fields...),
	}
}

// many returns n texts with their number, and commas between them.
func many(n int, format string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(list, ",")
}

// withIndexes returns s with an index of each field that can have one, up to 14.
func withIndexes(s *Schema) *Schema {
	def, last := s.Definition(), uint32(0)
	var number func(fields []Field)
	number = func(fields []Field) {
		for i := range fields {
			f := &fields[i]
			if f.Type != Object && f.Type != Array && last < maxIndexed {
				last++
				f.Index = last
			}
			number(f.Fields) // not of values, which have none
		}
	}
	number(def.Fields)
	return MustCompile(def)
}

// nested is a schema with something of everything.
func nested(t testing.TB) *Schema {
	return define(t,
		Field{Name: "name", Type: String, Required: true},
		Field{Name: "size", Type: Integer},
		Field{Name: "price", Type: Number},
		Field{Name: "live", Type: Boolean, Default: true},
		Field{Name: "tier", Type: String, Enum: []any{"gold", "silver", "\u00e9"}},
		Field{Name: "level", Type: Number, Enum: []any{1, 2.5, -3}},
		Field{Name: "since", Type: String, Format: dateTime},
		Field{Name: "address", Type: Object, Fields: []Field{
			{Name: "city", Type: String, Required: true},
			{Name: "zip", Type: String},
			{Name: "country", Type: String, Default: "US"},
			{Name: "geo", Type: Object, Fields: []Field{
				{Name: "lat", Type: Number, Required: true},
				{Name: "lon", Type: Number, Required: true},
			}},
		}},
		Field{Name: "meta", Type: Object},
		Field{Name: "tags", Type: Array, Items: &Field{Type: String}},
		Field{Name: "any", Type: Array},
		Field{Name: "lines", Type: Array, Items: &Field{Type: Object, Fields: []Field{
			{Name: "sku", Type: String, Required: true},
			{Name: "qty", Type: Integer, Required: true},
			{Name: "note", Type: String},
			{Name: "parts", Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "part_no", Type: String, Required: true}}}},
		}}},
		Field{Name: "labels", Type: Object, Values: &Field{Type: String}},
		Field{Name: "sites", Type: Object, Fields: []Field{{Name: "home", Type: String}}, Values: &Field{Type: Object, Fields: []Field{
			{Name: "city", Type: String, Required: true},
			{Name: "open", Type: Boolean, Default: true},
		}}},
		Field{Name: "lists", Type: Array, Items: &Field{Type: Object, Values: &Field{Type: Number}}},
	)
}

// checked is a schema with checks of most kinds.
func checked(t testing.TB) *Schema {
	def := definition(
		Field{Name: "name", Type: String, MinLength: 1, MaxLength: limit(9)},
		Field{Name: "live", Type: Boolean, Const: true},
		Field{Name: "code", Type: String, Pattern: "^[A-Z]{2}-[0-9]+$"},
		Field{Name: "note", Type: String, Pattern: "^.$"}, // not ASCII
		Field{Name: "total", Type: Number, Minimum: 0, ExclusiveMaximum: 1e6, MultipleOf: 0.01},
		Field{Name: "port", Types: []Type{Integer, String}, Enum: []any{80, 8080, "http"}, Format: "int32"},
		Field{Name: "tags", Type: Array, UniqueItems: true, MaxItems: limit(9), Items: &Field{Type: String, MaxLength: limit(3)}},
		Field{Name: "labels", Type: Object, MaxProperties: limit(9), Values: &Field{Type: String, Format: "date"}},
		Field{Name: "one", Type: Number}, Field{Name: "two", Type: Number},
		Field{Name: "mail", Type: String, Format: "email"},
	)
	def.Presence = []Presence{{Kind: "oneOf", Fields: []string{"one", "two"}}}
	s, err := Compile(def)
	require.NoError(t, err)
	return s
}

// elements returns an array of n values that differ.
func elements(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf([]string{`%d`, `"%d"`, `[%d,true]`, `{"a":%d}`, `-%d.5`}[i%5], i)
	}
	return "[" + strings.Join(list, ",") + "]"
}
