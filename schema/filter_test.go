package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var filterSchema = MustCompile(Definition{
	ID: uuid.MustParse("7b000000-0000-4000-8000-00000000000f"), Name: "things", ExternalID: "id",
	Fields: []Field{
		{Name: "id", Type: String, Required: true},
		{Name: "city", Type: String},
		{Name: "tier", Type: String, Enum: []any{"gold", "silver"}},
		{Name: "since", Type: String, Format: dateTime},
		{Name: "vip", Type: Boolean},
		{Name: "score", Type: Number},
		{Name: "age", Type: Integer},
		{Name: "shipTo", Type: Object, Fields: []Field{
			{Name: "city", Type: String},
			{Name: "geo", Type: Object, Fields: []Field{{Name: "lat", Type: Number}}},
		}},
		{Name: "open", Type: Object},
		{Name: "tags", Type: Array, Items: &Field{Type: String}},
		{Name: "a/b", Type: String}, {Name: "a~b", Type: String}, {Name: "/", Type: String}, {Name: "a.b", Type: String},
	},
})

func TestFilterMatch(t *testing.T) {
	const doc = `{"id":"1","city":"Z\u00fcrich","tier":"gold","vip":true,"score":1.50,"age":42,` +
		`"shipTo":{"city":"Bern","geo":{"lat":-0}},"a/b":"slash","a~b":"tilde","/":"root","a.b":"dot"}`
	type eq = Equals
	for _, tt := range []struct {
		name       string
		conditions []Equals
		want       bool
	}{
		{"none", nil, true},
		{"string", []eq{{"city", "Zürich"}}, true},
		{"string as JSON", []eq{{"city", json.RawMessage(` "\u005a\u00fcrich" `)}}, true},
		{"another string", []eq{{"city", "Zurich"}}, false},
		{"case counts", []eq{{"city", "zürich"}}, false},
		{"enum", []eq{{"tier", "gold"}}, true},
		{"another of the enum", []eq{{"tier", "silver"}}, false},
		{"boolean", []eq{{"vip", true}}, true},
		{"another boolean", []eq{{"vip", false}}, false},
		{"number by its text", []eq{{"score", json.Number("1.50")}}, true},
		{"the same number in other words", []eq{{"score", 1.5}}, false},
		{"minus zero", []eq{{"/shipTo/geo/lat", json.Number("-0")}}, true},
		{"integer", []eq{{"age", 42}}, true},
		{"another integer", []eq{{"age", int64(43)}}, false},
		{"nested", []eq{{"/shipTo/city", "Bern"}}, true},
		{"nested elsewhere", []eq{{"/city", "Bern"}}, false},
		{"absent", []eq{{"since", nil}}, true},
		{"not absent", []eq{{"city", nil}}, false},
		{"nested, not absent", []eq{{"/shipTo/city", nil}}, false},
		{"absent has no value", []eq{{"since", "2024-01-02T03:04:05Z"}}, false},
		{"all hold", []eq{{"vip", true}, {"city", "Zürich"}, {"since", nil}}, true},
		{"all but one hold", []eq{{"vip", true}, {"city", "Bern"}, {"since", nil}}, false},
		{"a field against itself", []eq{{"city", "Zürich"}, {"city", "Bern"}}, false},
		{"name with a slash", []eq{{"a/b", "slash"}}, true},
		{"pointer to it", []eq{{"/a~1b", "slash"}}, true},
		{"pointer to a tilde", []eq{{"/a~0b", "tilde"}}, true},
		{"pointer to the slash", []eq{{"/~1", "root"}}, true},
		{"a dot is a dot", []eq{{"a.b", "dot"}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := filterSchema.Filter(tt.conditions)
			require.NoError(t, err)
			shown, err := filterSchema.Show([]byte(doc), f)
			require.NoError(t, err)
			assert.Equal(t, tt.want, shown != nil)
			if nothing, err := filterSchema.Show([]byte(`{}`), f); tt.conditions != nil && tt.name != "absent" {
				require.NoError(t, err)
				for _, c := range tt.conditions {
					if c.Value != nil {
						assert.Nil(t, nothing, "of an empty document")
					}
				}
			}
		})
	}
	var corrupt *CorruptError
	f, err := filterSchema.Filter([]Equals{{"vip", true}})
	require.NoError(t, err)
	_, err = filterSchema.Show([]byte(`[]`), f)
	assert.ErrorAs(t, err, &corrupt)
	// A stored value of another kind than the field's is shown as it is, and
	// equals nothing.
	odd, err := filterSchema.Show([]byte(`{"vip":"true"}`), f)
	assert.NoError(t, err)
	assert.Nil(t, odd)
	f, err = filterSchema.Filter([]Equals{{"city", "1"}})
	require.NoError(t, err)
	odd, err = filterSchema.Show([]byte(`{"city":1}`), f)
	assert.NoError(t, err)
	assert.Nil(t, odd)
}

func TestFilterErrors(t *testing.T) {
	const marker = "Zq9-PersonalData"
	for _, tt := range []struct {
		name string
		in   Equals
		want string
	}{
		{"unknown", Equals{"shoeSize", 1}, "/shoeSize: unknown field"},
		{"near", Equals{"ciyt", marker}, `/ciyt: unknown field, did you mean "city"?`},
		{"dots", Equals{"shipTo.city", marker}, `/shipTo.city: unknown field, did you mean "/shipTo/city"?`},
		{"dots, three levels", Equals{"shipTo.geo.lat", marker}, `did you mean "/shipTo/geo/lat"?`},
		{"dots and slips", Equals{"shipto.ciyt", marker}, `did you mean "/shipTo/city"?`},
		{"no first slash", Equals{"shipTo/city", marker}, `did you mean "/shipTo/city"?`},
		{"brackets", Equals{"shipTo][city", marker}, `did you mean "/shipTo/city"?`},
		{"dots, unknown", Equals{"shipTo.zip", marker}, "/shipTo.zip: unknown field"},
		{"dots after a string", Equals{"city.x", marker}, "/city.x: unknown field"},
		{"only dots", Equals{"...", marker}, "/...: unknown field"},
		{"empty", Equals{"", marker}, "/: unknown field"},
		{"nested unknown", Equals{"/shipTo/zip", marker}, "/shipTo/zip: unknown field"},
		{"after a string", Equals{"/city/x", marker}, "/city/x: unknown field"},
		{"inside an open object", Equals{"/open/x", marker}, "/open/x: unknown field"},
		{"inside an array", Equals{"/tags/0", marker}, "/tags/0: unknown field"},
		{"object", Equals{"shipTo", json.RawMessage(`{}`)}, "/shipTo: expected a field of type string, boolean, number or integer, found object"},
		{"array", Equals{"tags", nil}, "/tags: expected a field of type string, boolean, number or integer, found array"},
		{"number for a string", Equals{"city", 7}, "/city: expected string, found number"},
		{"string for a boolean", Equals{"vip", marker}, "/vip: expected boolean, found string"},
		{"fraction for an integer", Equals{"age", json.Number("1.5")}, "/age: expected integer"},
		{"none of the enum", Equals{"tier", marker}, "/tier: expected one of"},
		{"no date-time", Equals{"since", marker}, "/since: expected a date-time"},
		{"null", Equals{"city", json.RawMessage("null")}, "/city: "},
		{"no JSON", Equals{"city", json.RawMessage(`"` + marker)}, "/city: not strict JSON"},
		{"infinity", Equals{"score", math.Inf(1)}, "/score: expected a finite number"},
		{"a Go type", Equals{"city", []string{marker}}, "/city: a value of Go type []string"},
		{"long name", Equals{strings.Repeat("é", 200), 1}, "…: unknown field"},
		{"name with markup", Equals{"<script>", 1}, `/\u003cscript\u003e: unknown field`},
		{"very deep", Equals{strings.Repeat("/x", 10_000), 1}, "/x: unknown field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := filterSchema.Filter([]Equals{{"vip", true}, tt.in})
			assert.Nil(t, f)
			var e *ValidationError
			require.ErrorAs(t, err, &e)
			require.Len(t, e.Violations, 1)
			assert.Contains(t, err.Error(), tt.want)
			assert.Equal(t, 1, strings.Count(err.Error(), ": expected")+strings.Count(err.Error(), ": unknown")+strings.Count(err.Error(), ": a value")+strings.Count(err.Error(), ": not strict JSON"), "%v", err)
			assert.True(t, strings.HasPrefix(err.Error(), "schema: invalid filter: "))
			assert.NotContains(t, err.Error(), marker)
			assert.Less(t, len(err.Error()), 600)
		})
	}
	_, err := filterSchema.Filter([]Equals{{"x", 1}, {"y", 2}})
	var e *ValidationError
	require.ErrorAs(t, err, &e)
	assert.Len(t, e.Violations, 2, "all mistakes at once")
	_, err = filterSchema.Filter(make([]Equals, 101))
	assert.ErrorContains(t, err, "at most 100")
}

func TestFilterSum(t *testing.T) {
	sum := func(conditions ...Equals) string {
		f, err := filterSchema.Filter(conditions)
		require.NoError(t, err)
		return fmt.Sprintf("%x", f.Sum())
	}
	// Written down: cursors of an earlier run of the program must stay good.
	assert.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sum())
	assert.Equal(t, sum(Equals{"city", "x"}, Equals{"vip", true}), sum(Equals{"vip", true}, Equals{"/city", json.RawMessage(`"\u0078"`)}, Equals{"city", "x"}))
	all := []string{
		sum(), sum(Equals{"city", "x"}), sum(Equals{"city", "y"}), sum(Equals{"city", nil}), sum(Equals{"city", ""}),
		sum(Equals{"/shipTo/city", "x"}), sum(Equals{"a/b", "x"}), sum(Equals{"city", "true"}), sum(Equals{"vip", true}), sum(Equals{"vip", false}),
		sum(Equals{"city", "x"}, Equals{"vip", true}), sum(Equals{"age", 1}), sum(Equals{"score", 1}), sum(Equals{"score", json.Number("1.0")}),
	}
	seen := map[string]int{}
	for i, s := range all {
		j, twice := seen[s]
		assert.False(t, twice, "filters %d and %d share a sum", i, j)
		seen[s] = i
	}
}

// TestConditionText: a text stands for a value of the field's type, or for itself.
func TestConditionText(t *testing.T) {
	s := MustCompile(definition(
		Field{Name: "city", Type: String}, Field{Name: "ok", Type: Boolean}, Field{Name: "n", Type: Integer}, Field{Name: "x", Type: Number},
		Field{Name: "in", Type: Object, Fields: []Field{{Name: "a/b", Type: Number}}},
	))
	for _, tt := range []struct {
		field, text string
		want        any // nil if the text is not a value of the field
	}{
		{"city", "true", json.RawMessage(`"true"`)},
		{"city", "1", json.RawMessage(`"1"`)},
		{"city", "", json.RawMessage(`""`)},
		{"ok", "true", true},
		{"ok", "false", false},
		{"ok", "True", nil},
		{"ok", "1", nil},
		{"n", "12", 12},
		{"n", "1.5", nil},
		{"x", "-1.50e2", json.Number("-1.50e2")},
		{"/in/a~1b", "1", 1},
		{"x", " 1", nil},
		{"x", "1\n", nil},
		{"x", "+1", nil},
		{"x", "01", nil},
		{"x", "NaN", nil},
		{"x", "", nil},
		{"x", "true", nil},
		{"x", "[1]", nil},
	} {
		got, err := s.Filter([]Equals{{tt.field, tt.text}})
		if tt.want == nil {
			require.ErrorContains(t, err, ", found ", "%q %q", tt.field, tt.text)
			continue
		}
		require.NoError(t, err)
		want, err := s.Filter([]Equals{{tt.field, tt.want}})
		require.NoError(t, err)
		require.Equal(t, want, got, "%q %q", tt.field, tt.text)
	}
}
