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

// An eq is a condition of equality.
type eq struct {
	field string
	value any
}

func conditions(list ...eq) []Condition {
	all := make([]Condition, len(list))
	for i, e := range list {
		all[i] = Condition{Field: e.field, Value: e.value}
	}
	return all
}

func TestFilterMatch(t *testing.T) {
	const doc = `{"id":"1","city":"Z\u00fcrich","tier":"gold","vip":true,"score":1.50,"age":42,` +
		`"shipTo":{"city":"Bern","geo":{"lat":-0}},"a/b":"slash","a~b":"tilde","/":"root","a.b":"dot"}`
	for _, tt := range []struct {
		name       string
		conditions []eq
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
		{"the same number in other words", []eq{{"score", 1.5}}, true},
		{"zero", []eq{{"/shipTo/geo/lat", 0}}, true},
		{"another number", []eq{{"score", json.Number("1.5000000000000000000001")}}, false},
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
			f, err := filterSchema.Filter(conditions(tt.conditions...))
			require.NoError(t, err)
			shown, err := filterSchema.Show([]byte(doc), f)
			require.NoError(t, err)
			assert.Equal(t, tt.want, shown != nil)
			if nothing, err := filterSchema.Show([]byte(`{}`), f); tt.conditions != nil && tt.name != "absent" {
				require.NoError(t, err)
				for _, c := range tt.conditions {
					if c.value != nil {
						assert.Nil(t, nothing, "of an empty document")
					}
				}
			}
		})
	}
	var corrupt *CorruptError
	f, err := filterSchema.Filter(conditions(eq{"vip", true}))
	require.NoError(t, err)
	_, err = filterSchema.Show([]byte(`[]`), f)
	assert.ErrorAs(t, err, &corrupt)
	// A stored value of another kind than the field's is shown as it is, and
	// equals nothing.
	odd, err := filterSchema.Show([]byte(`{"vip":"true"}`), f)
	assert.NoError(t, err)
	assert.Nil(t, odd)
	f, err = filterSchema.Filter(conditions(eq{"city", "1"}))
	require.NoError(t, err)
	odd, err = filterSchema.Show([]byte(`{"city":1}`), f)
	assert.NoError(t, err)
	assert.Nil(t, odd)
}

func TestFilterErrors(t *testing.T) {
	const marker = "Zq9-PersonalData"
	for _, tt := range []struct {
		name string
		in   eq
		want string
	}{
		{"unknown", eq{"shoeSize", 1}, "/shoeSize: unknown field"},
		{"near", eq{"ciyt", marker}, `/ciyt: unknown field, did you mean "city"?`},
		{"dots", eq{"shipTo.city", marker}, `/shipTo.city: unknown field, did you mean "/shipTo/city"?`},
		{"dots, three levels", eq{"shipTo.geo.lat", marker}, `did you mean "/shipTo/geo/lat"?`},
		{"dots and slips", eq{"shipto.ciyt", marker}, `did you mean "/shipTo/city"?`},
		{"no first slash", eq{"shipTo/city", marker}, `did you mean "/shipTo/city"?`},
		{"brackets", eq{"shipTo][city", marker}, `did you mean "/shipTo/city"?`},
		{"dots, unknown", eq{"shipTo.zip", marker}, "/shipTo.zip: unknown field"},
		{"dots after a string", eq{"city.x", marker}, "/city.x: unknown field"},
		{"only dots", eq{"...", marker}, "/...: unknown field"},
		{"empty", eq{"", marker}, "/: unknown field"},
		{"nested unknown", eq{"/shipTo/zip", marker}, "/shipTo/zip: unknown field"},
		{"after a string", eq{"/city/x", marker}, "/city/x: unknown field"},
		{"inside an open object", eq{"/open/x", marker}, "/open/x: unknown field"},
		{"inside an array", eq{"/tags/0", marker}, "/tags/0: unknown field"},
		{"object", eq{"shipTo", json.RawMessage(`{}`)}, "/shipTo: expected a field of type string, boolean, number or integer, found object"},
		{"array", eq{"tags", nil}, "/tags: expected a field of type string, boolean, number or integer, found array"},
		{"number for a string", eq{"city", 7}, "/city: expected string, found number"},
		{"string for a boolean", eq{"vip", marker}, "/vip: expected boolean, found string"},
		{"fraction for an integer", eq{"age", json.Number("1.5")}, "/age: expected integer"},
		{"none of the enum", eq{"tier", marker}, "/tier: expected one of"},
		{"no date-time", eq{"since", marker}, "/since: expected a date-time"},
		{"null", eq{"city", json.RawMessage("null")}, "/city: "},
		{"no JSON", eq{"city", json.RawMessage(`"` + marker)}, "/city: not strict JSON"},
		{"infinity", eq{"score", math.Inf(1)}, "/score: expected a finite number"},
		{"a Go type", eq{"city", []string{marker}}, "/city: a value of Go type []string"},
		{"long name", eq{strings.Repeat("é", 200), 1}, "…: unknown field"},
		{"name with markup", eq{"<script>", 1}, `/\u003cscript\u003e: unknown field`},
		{"very deep", eq{strings.Repeat("/x", 10_000), 1}, "/x: unknown field"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := filterSchema.Filter(conditions(eq{"vip", true}, tt.in))
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
	_, err := filterSchema.Filter(conditions(eq{"x", 1}, eq{"y", 2}))
	var e *ValidationError
	require.ErrorAs(t, err, &e)
	assert.Len(t, e.Violations, 2, "all mistakes at once")
	_, err = filterSchema.Filter(make([]Condition, 101))
	assert.ErrorContains(t, err, "at most 100")
}

func TestFilterSum(t *testing.T) {
	sum := func(list ...eq) string {
		f, err := filterSchema.Filter(conditions(list...))
		require.NoError(t, err)
		return fmt.Sprintf("%x", f.Sum())
	}
	// Written down: cursors of an earlier run of the program must stay good.
	assert.Equal(t, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sum())
	assert.Equal(t, sum(eq{"city", "x"}, eq{"vip", true}), sum(eq{"vip", true}, eq{"/city", json.RawMessage(`"\u0078"`)}, eq{"city", "x"}))
	assert.Equal(t, sum(eq{"score", 1}), sum(eq{"score", json.Number("10e-1")}))
	all := []string{
		sum(), sum(eq{"city", "x"}), sum(eq{"city", "y"}), sum(eq{"city", nil}), sum(eq{"city", ""}),
		sum(eq{"/shipTo/city", "x"}), sum(eq{"a/b", "x"}), sum(eq{"city", "true"}), sum(eq{"vip", true}), sum(eq{"vip", false}),
		sum(eq{"city", "x"}, eq{"vip", true}), sum(eq{"age", 1}), sum(eq{"score", 1}), sum(eq{"score", 2}),
	}
	for _, op := range []string{"from", "to", "prefix"} {
		f, err := filterSchema.Filter([]Condition{{"city", op, "x"}})
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%x", f.Sum()))
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
		got, err := s.Filter(conditions(eq{tt.field, tt.text}))
		if tt.want == nil {
			require.ErrorContains(t, err, ", found ", "%q %q", tt.field, tt.text)
			continue
		}
		require.NoError(t, err)
		want, err := s.Filter(conditions(eq{tt.field, tt.want}))
		require.NoError(t, err)
		require.Equal(t, want, got, "%q %q", tt.field, tt.text)
	}
}
