package schema

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAny: a field of type Any takes each value but null, and its objects are as open as
// those of a field without declared fields.
func TestAny(t *testing.T) {
	declare := func(f Field) *Schema {
		f.Name = "v"
		return MustCompile(Definition{ID: testMeta.ID, Name: "test", ExternalID: "id", Fields: []Field{{Name: "id", Type: String, Required: true}, f}})
	}
	anything, open := declare(Field{Type: Any}), declare(Field{Type: Object})
	for _, value := range []string{`"a"`, `1e400`, `true`, `[null,{"a":null}]`} {
		doc, err := write(anything, `{"id":"1","v":{"a":1}}`, `{"id":"1","v":`+value+`}`, nil)
		require.NoError(t, err)
		require.Equal(t, `{"id":"1","v":`+value+`}`, string(doc.Stored))
		require.Equal(t, `{"id":"1","v":`+value+`}`, string(doc.Shown))
	}
	for _, stored := range []string{"", `{"id":"1"}`, `{"id":"1","v":{"a":1,"b":{"c":1}}}`} {
		for _, request := range []string{`{"id":"1","v":{"a":null,"b":{"c":null,"d":[null]}}}`, `{"id":"1","v":null}`} {
			for _, nulls := range []Nulls{DeleteNulls, RejectNulls, IgnoreNulls} {
				want, wantErr := write(open, stored, request, &ReadOptions{Nulls: nulls})
				got, err := write(anything, stored, request, &ReadOptions{Nulls: nulls})
				require.Equal(t, string(want.Stored), string(got.Stored))
				require.Equal(t, wantErr == nil, err == nil, err)
			}
		}
	}
	_, err := write(anything, "", `{"id":"1","v":null}`, &ReadOptions{Nulls: RejectNulls})
	require.ErrorContains(t, err, "/v: expected any, found null")
	items := declare(Field{Type: Array, Items: &Field{Type: Any}})
	require.ErrorContains(t, items.Validate([]byte(`{"id":"1","v":[1,null]}`)), "/v/1: expected any, found null")

	redacted, err := declare(Field{Type: Any, PII: "NAME"}).Redact([]byte(`{"id":"1","v":{"a":[1]}}`))
	require.NoError(t, err)
	require.NotContains(t, string(redacted), "[1]")
	_, err = anything.Filter([]Condition{{Field: "v", Value: "a"}})
	require.ErrorContains(t, err, "/v: expected a field of type string, boolean, number or integer, found any")

	for _, f := range []Field{
		{Type: Any, MinLength: 1}, {Type: Any, Format: "email"}, {Type: Any, Enum: []any{1}}, {Type: Any, Index: 1},
		{Type: Any, Fields: []Field{{Name: "a", Type: String}}}, {Type: Any, Items: &Field{Type: String}}, {Type: Any, Fold: "lower"},
		{Types: []Type{Any, String}}, {Types: []Type{String, Any}},
	} {
		f.Name = "v"
		_, err := Compile(Definition{ID: testMeta.ID, Name: "test", ExternalID: "id", Fields: []Field{{Name: "id", Type: String, Required: true}, f}})
		require.ErrorContains(t, err, "/v: ", "%+v", f)
	}
}

// TestDefaultOfObject: the default of an object is filled like an object that is sent.
func TestDefaultOfObject(t *testing.T) {
	s := MustCompile(Definition{ID: testMeta.ID, Name: "test", ExternalID: "id", Fields: []Field{
		{Name: "id", Type: String, Required: true},
		{Name: "v", Type: Object, Default: json.RawMessage(`{ "a" : {"b": {}} }`), Fields: []Field{
			{Name: "a", Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "c", Type: Integer, Default: 1}}}},
			{Name: "d", Type: String, Default: "x"},
		}},
	}})
	doc, err := write(s, "", `{"id":"1"}`, nil)
	require.NoError(t, err)
	require.Equal(t, `{"id":"1","v":{"a":{"b":{"c":1}},"d":"x"}}`, string(doc.Stored))
	require.Contains(t, string(s.JSON("")), `"default":{"a":{"b":{}}}`)
}
