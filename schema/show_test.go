package schema

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"example.com/resourcekit/internal/strictjson"
)

func TestShow(t *testing.T) {
	const all = `"live":true`
	tests := []struct{ name, stored, want string }{
		{"nothing-to-do", full + all + `}`, full + all + `}`},
		{"compact", " { \"id\" : \"a b\" ,\n\"live\":\ttrue } ", `{"id":"a b","live":true}`},
		{"fill/top", `{}`, `{"live":true}`},
		{"fill/nested", `{"live":false,"address":{}}`, `{"live":false,"address":{"country":"US"}}`},
		{"fill/not-null", `{"live":null}`, `{"live":null}`},
		{"fill/compact", `{ "address" : { } }`, `{"address":{"country":"US"},"live":true}`},
		{"fill/after-escaped-names", `{"\u0061ddress":{"c\u0069ty":"c"}}`, `{"\u0061ddress":{"c\u0069ty":"c","country":"US"},"live":true}`},
		{"hide/top", `{"a":1,"live":true,"b":{"live":2}}`, `{"live":true}`},
		{"hide/all", `{"a":1}`, `{"live":true}`},
		{"hide/nested", `{"live":true,"address":{"x":1,"country":"US","y":[1]}}`, `{"live":true,"address":{"country":"US"}}`},
		{"hide/in-items", `{"live":true,"lines":[{"x":1},{"sku":"s","x":1},7,null]}`, `{"live":true,"lines":[{},{"sku":"s"},7,null]}`},
		{"hide/in-items-of-items", `{"live":true,"lines":[{"parts":[{"x":1,"part_no":"p"}]}]}`, `{"live":true,"lines":[{"parts":[{"part_no":"p"}]}]}`},
		{"hide/not-in-open-object", `{"live":true,"meta":{"x":1}}`, `{"live":true,"meta":{"x":1}}`},
		{"hide/not-in-any-items", `{"live":true,"any":[{"x":1}]}`, `{"live":true,"any":[{"x":1}]}`},
		{"wrong-type-is-shown", `{"live":"x","address":[{"x":1}],"lines":{"x":1}}`, `{"live":"x","address":[{"x":1}],"lines":{"x":1}}`},
		{"text-is-kept", `{"live":true,"price":1.0E400,"name":"\u0061\/"}`, `{"live":true,"price":1.0E400,"name":"\u0061\/"}`},
		{"hide-and-fill", `{"x":1,"address":{"live":1}}`, `{"address":{"country":"US"},"live":true}`},
	}
	s := nested(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stored := []byte(tt.stored)
			got, err := s.Show(stored, nil)
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
			assert.Equal(t, tt.stored, string(stored), "input changed")
			if tt.stored == tt.want {
				assert.Same(t, &stored[0], &got[0])
			}
			again, err := s.Show(got, nil)
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(again))
		})
	}
}

// Items that are arrays themselves.
func TestShowArraysOfArrays(t *testing.T) {
	s := define(t, Field{Name: "m", Type: Array, Items: &Field{Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "a", Type: String, Required: true}}}}})
	got, err := s.Show([]byte(`{"m":[[{"a":"1","b":2}],3]}`), nil)
	require.NoError(t, err)
	assert.Equal(t, `{"m":[[{"a":"1"}],3]}`, string(got))
	assert.Equal(t, []string{"/m/0/1/b unknown_field", "/m/1 type", "/m/0/1/a required"}, lines(t, s.Validate([]byte(`{"id":"1","m":[[{"a":"x"},{"b":1}],3]}`))))
}

// nastyNames mean something in the path languages of sjson and gjson.
var nastyNames = []string{
	"a.b", ".", "..", "a.", ".a", "0", "007", "-1", "1.5", "100000000", ":", ":1", "::", "*", "?", "a*", "a?b", "#", "#.x", "##",
	"#(a==1)", "@", "@this", "@this|a", "@pretty", "|", "a|b", "\\", "a\\", "\\\\", "\\.", "\"", "a\"b", "\"a\"", "'", "é", "日本",
	"\U0001F600", "\u2028", "\x00", "\n", "\t", " ", " a ", "!", "!true", "!\"x\"", "{", "{a,b}", "[", "[a,b]", "]", "}", ",", "<>&", "\x7f", "/", "~", "%", "$", "-", "_", "^", "`",
}

// A default lands under exactly its name, whatever the name, beside every other
// nasty name, at the top and inside.
func TestFillNastyNames(t *testing.T) {
	literal := func(s string) string { return string(strictjson.AppendQuoted(nil, s)) }
	for _, name := range nastyNames {
		for _, other := range append([]string{"plain"}, nastyNames...) {
			if other == name {
				continue
			}
			s := define(t,
				Field{Name: name, Type: String, Default: "filled"},
				Field{Name: other, Type: Object, Fields: []Field{
					{Name: name, Type: Integer, Default: 7},
					{Name: other, Type: Boolean},
				}})
			in := `{"id":"1",` + literal(other) + `:{` + literal(other) + `:false}}`
			got, err := s.Show([]byte(in), nil)
			require.NoError(t, err)
			gotMembers := members(t, string(got))
			require.Equal(t, []string{"id", other, name}, names(gotMembers), "%q %q: %s", name, other, got)
			require.Equal(t, `"filled"`, gotMembers[2][1])
			inner := members(t, gotMembers[1][1])
			require.Equal(t, []string{other, name}, names(inner), "%q %q: %s", name, other, got)
			require.Equal(t, "false", inner[0][1])
			require.Equal(t, "7", inner[1][1])
		}
	}
}

// members returns the decoded names and the texts of an object's members.
func members(t *testing.T, object string) (list [][2]string) {
	t.Helper()
	require.True(t, gjson.Valid(object), object)
	gjson.Parse(object).ForEach(func(k, v gjson.Result) bool {
		list = append(list, [2]string{k.String(), v.Raw})
		return true
	})
	return list
}

func names(members [][2]string) (list []string) {
	for _, m := range members {
		list = append(list, m[0])
	}
	return list
}
