package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sized is a schema of values with sizes and rules of presence.
func sized(t testing.TB) *Schema {
	def := definition(
		Field{Name: "map", Type: Object, Values: &Field{Type: Number}, MinProperties: 1, MaxProperties: limit(2)},
		Field{Name: "open", Type: Object, MinProperties: 1, MaxProperties: limit(2)},
		Field{Name: "closed", Type: Object, MinProperties: 2, MaxProperties: limit(3), Fields: []Field{
			{Name: "a", Type: String}, {Name: "b", Type: String}, {Name: "c", Type: String}, {Name: "d", Type: String, Default: "x"},
		}},
		Field{Name: "list", Type: Array, MinItems: 1, MaxItems: limit(2)},
		Field{Name: "set", Type: Array, UniqueItems: true, Items: &Field{Types: []Type{String, Number}}},
		Field{Name: "any", Type: Array, UniqueItems: true},
		Field{Name: "rows", Type: Array, UniqueItems: true, Items: &Field{Type: Object, Fields: []Field{{Name: "k", Type: Number}}, MaxProperties: limit(0)}},
		Field{Name: "one", Type: Object, Fields: []Field{
			{Name: "a", Type: String}, {Name: "b", Type: String}, {Name: "c", Type: String}, {Name: "d", Type: String, Default: "x"},
		}, Presence: []Presence{{Kind: "oneOf", Fields: []string{"a", "b"}}}},
		Field{Name: "each", Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "a", Type: String}, {Name: "b", Type: String}},
			Presence: []Presence{{Kind: "anyOf", Fields: []string{"a", "b"}}}}},
		Field{Name: "sites", Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "a", Type: String}, {Name: "b", Type: String}},
			Presence: []Presence{{Kind: "notAll", Fields: []string{"a", "b"}}}}},
		Field{Name: "a", Type: String}, Field{Name: "b", Type: String}, Field{Name: "c", Type: String},
	)
	def.Presence = []Presence{
		{Kind: "atMostOne", Fields: []string{"a", "b", "c"}},
		{Kind: "ifThen", Fields: []string{"c"}, Then: []string{"set"}},
	}
	s, err := Compile(def)
	require.NoError(t, err)
	return s
}

func TestSizesAndPresence(t *testing.T) {
	s := sized(t)
	for _, tt := range []struct {
		name, stored, request string
		opts                  *ReadOptions
		want                  []string
	}{
		{"map/empty", "", `"map":{}`, nil, []string{"/map min_properties"}},
		{"map/too-many", "", `"map":{"a":1,"b":1,"c":1}`, nil, []string{"/map max_properties"}},
		{"map/nulls-do-not-count", "", `"map":{"a":1,"b":1,"c":null}`, nil, nil},
		{"map/only-nulls", "", `"map":{"a":null}`, nil, []string{"/map min_properties"}},
		{"map/merged", `"map":{"a":1,"b":1}`, `"map":{"c":1}`, nil, []string{"/map max_properties"}},
		{"map/one-for-another", `"map":{"a":1,"b":1}`, `"map":{"c":1,"a":null}`, nil, nil},
		{"map/last-is-deleted", `"map":{"a":1}`, `"map":{"a":null}`, nil, []string{"/map min_properties"}},
		{"map/all-is-deleted", `"map":{"a":1}`, `"map":null`, nil, nil},
		{"map/no-worse", `"map":{"a":1,"b":1,"c":1}`, `"map":{"c":2}`, nil, nil},
		{"map/better", `"map":{"a":1,"b":1,"c":1,"d":1}`, `"map":{"d":null}`, nil, nil},
		{"map/worse", `"map":{"a":1,"b":1,"c":1}`, `"map":{"d":2}`, nil, []string{"/map max_properties"}},
		{"map/no-worse-but-complete", `"map":{"a":1,"b":1,"c":1}`, `"map":{"c":2}`, &ReadOptions{RequireComplete: true}, []string{"/map max_properties"}},
		{"map/null-ignored", `"map":{"a":1}`, `"map":{"a":null}`, &ReadOptions{Nulls: IgnoreNulls}, nil},
		{"map/comes-after-its-members", "", `"map":{"a":"x","b":1,"c":1}`, nil, []string{"/map/a type", "/map max_properties"}},
		{"open/too-many", `"open":{"a":1}`, `"open":{"b":{},"c":[]}`, nil, []string{"/open max_properties"}},
		{"open/deleted", `"open":{"a":1}`, `"open":{"a":null}`, nil, []string{"/open min_properties"}},
		{"open/replaces-a-scalar", `"open":5`, `"open":{}`, nil, []string{"/open min_properties"}},
		{"closed/defaults-count", "", `"closed":{"a":"x"}`, nil, nil},
		{"closed/a-default-alone", "", `"closed":{}`, nil, []string{"/closed min_properties"}},
		{"closed/a-default-that-is-sent", "", `"closed":{"d":"x"}`, nil, []string{"/closed min_properties"}},
		{"closed/a-default-that-is-reset", `"closed":{"a":"x","d":"y"}`, `"closed":{"d":null}`, nil, nil},
		{"closed/with-its-default", "", `"closed":{"a":"x","b":"x","c":"x"}`, nil, []string{"/closed max_properties"}},
		{"closed/undeclared-do-not-count", `"closed":{"a":"x","y":1,"z":2}`, `"closed":{"b":"x"}`, nil, nil},
		{"closed/unknown-do-not-count", "", `"closed":{"x":1,"y":1}`, &ReadOptions{UnknownFields: IgnoreUnknown}, []string{"/closed min_properties"}},

		{"list/empty", "", `"list":[]`, nil, []string{"/list min_items"}},
		{"list/too-many", `"list":[1]`, `"list":[1,2,null]`, nil, []string{"/list max_items"}},
		{"list/the-stored-one", `"list":[1,2,3]`, `"list":[1,2,3],"a":"x"`, nil, nil},
		{"list/another", `"list":[1,2,3]`, `"list":[1,3,2]`, nil, []string{"/list max_items"}},
		{"list/the-stored-one-but-complete", `"list":[1,2,3]`, `"list":[1,2,3]`, &ReadOptions{RequireComplete: true}, []string{"/list max_items"}},
		{"unique/strings", "", `"set":["a","b","\u0061"]`, nil, []string{"/set unique_items"}},
		{"unique/numbers", "", `"set":[1,2,10e-1]`, nil, []string{"/set unique_items"}},
		{"unique/huge-numbers", "", `"set":[1e400,10e399]`, nil, []string{"/set unique_items"}},
		{"unique/string-and-number", "", `"set":["1",1]`, nil, nil},
		{"unique/the-stored-one", `"set":[1,1]`, `"set":[1,1]`, nil, nil},
		{"unique/constants", "", `"any":[null,true,false,0,"",[],{}]`, nil, nil},
		{"unique/nulls", "", `"any":[null,1,null]`, nil, []string{"/any unique_items"}},
		{"unique/arrays", "", `"any":[[1,2],[2,1],[1,2.0]]`, nil, []string{"/any unique_items"}},
		{"unique/arrays-differ", "", `"any":[[1,2],[2,1],[1],[[1],2],[1,[2]]]`, nil, nil},
		{"unique/objects", "", `"any":[{"a":1,"b":[2]},{"b":[2e0],"\u0061":1}]`, nil, []string{"/any unique_items"}},
		{"unique/objects-differ", "", `"any":[{"a":1,"b":2},{"a":2,"b":1},{"a":1},{"a":1,"b":2,"c":3}]`, nil, nil},
		{"unique/without-what-is-dropped", "", `"rows":[{"x":1},{"x":2}]`, &ReadOptions{UnknownFields: IgnoreUnknown}, []string{"/rows unique_items"}},
		{"unique/sizes-in-elements", "", `"rows":[{"k":1},{}]`, nil, []string{"/rows/0 max_properties"}},

		{"presence/none", "", `"one":{}`, nil, []string{"/one presence"}},
		{"presence/one", "", `"one":{"a":"x"}`, nil, nil},
		{"presence/both", "", `"one":{"a":"x","b":"x"}`, nil, []string{"/one presence"}},
		{"presence/merged", `"one":{"a":"x"}`, `"one":{"b":"x"}`, nil, []string{"/one presence"}},
		{"presence/one-for-another", `"one":{"a":"x"}`, `"one":{"b":"x","a":null}`, nil, nil},
		{"presence/deleted", `"one":{"a":"x"}`, `"one":{"a":null}`, nil, []string{"/one presence"}},
		{"presence/null-ignored", `"one":{"a":"x"}`, `"one":{"a":null}`, &ReadOptions{Nulls: IgnoreNulls}, nil},
		{"presence/broken-before", `"one":{"a":"x","b":"x"}`, `"one":{"a":"y","c":"z"}`, nil, nil},
		{"presence/broken-in-another-way", `"one":{"a":"x","b":"x"}`, `"one":{"a":null,"b":null}`, nil, []string{"/one presence"}},
		{"presence/broken-before-but-complete", `"one":{"a":"x","b":"x"}`, `"one":{"c":"z"}`, &ReadOptions{RequireComplete: true}, []string{"/one presence"}},
		{"presence/object-not-touched", `"one":{}`, `"a":"x"`, nil, nil},
		{"presence/in-elements", "", `"each":[{"a":"x"},{}]`, nil, []string{"/each/1 presence"}},
		{"presence/in-the-stored-array", `"each":[{}]`, `"each":[{}]`, nil, nil},
		{"presence/in-values", `"sites":{"s":{"a":"x"}}`, `"sites":{"s":{"b":"x"}}`, nil, []string{"/sites/s presence"}},
		{"presence/of-the-document", "", `"a":"x","c":"x"`, nil, []string{" presence", " presence"}},
		{"presence/if-then", "", `"c":"x","set":[]`, nil, nil},
		{"presence/if-then-deleted", `"c":"x","set":[]`, `"set":null`, nil, []string{" presence"}},
		{"presence/comes-before-missing", "", `"id":null,"a":"x","b":"x"`, nil, []string{"/id required", " presence"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			document := func(members string) string { return `{"id":"1",` + members + `}` }
			if tt.stored != "" {
				tt.stored = document(tt.stored)
			}
			request := document(tt.request)
			if strings.Contains(tt.request, `"id"`) {
				request = "{" + tt.request + "}"
			}
			_, err := write(s, tt.stored, request, tt.opts)
			assert.Equal(t, tt.want, lines(t, err), "%v", err)
		})
	}
}

func TestSizeMessages(t *testing.T) {
	s := sized(t)
	for request, want := range map[string]string{
		`"map":{}`:                      "/map: expected at least 1 member",
		`"closed":{}`:                   "/closed: expected at least 2 members",
		`"list":[1,2,3]`:                "/list: expected at most 2 elements",
		`"list":[]`:                     "/list: expected at least 1 element",
		`"any":[1,2,3,2]`:               "/any: expected no two equal elements, found some at 1 and 3",
		`"one":{}`:                      `/one: expected exactly one of "a", "b"`,
		`"each":[{}]`:                   `/each/0: expected at least one of "a", "b"`,
		`"sites":{"x":{"a":"","b":""}}`: `/sites/x: expected not all of "a", "b"`,
		`"a":"","b":""`:                 `expected at most one of "a", "b", "c"`,
		`"c":""`:                        `expected "set" together with "c"`,
	} {
		assert.EqualError(t, s.Validate([]byte(`{"id":"1",`+request+`}`)), "schema: invalid document: "+want)
	}
}

// TestMapFilters: a condition can name a member of a map.
func TestMapFilters(t *testing.T) {
	s := define(t,
		Field{Name: "labels", Type: Object, Values: &Field{Type: String, Fold: "lower"}},
		Field{Name: "limits", Type: Object, Values: &Field{Type: Object, Values: &Field{Type: Number}}},
		Field{Name: "lists", Type: Object, Values: &Field{Type: Array}},
		Field{Name: "port", Types: []Type{Integer, String}},
	)
	doc := []byte(`{"id":"1","labels":{"a/b":"Prod","n":null},"limits":{"cpu":{"max":2.50}},"port":80}`)
	for _, tt := range []struct {
		condition Condition
		match     bool
	}{
		{Condition{"/labels/a~1b", "", "PROD"}, true},
		{Condition{"/labels/a~1b", "prefix", "p"}, true},
		{Condition{"/labels/a~1b", "", "x"}, false},
		{Condition{"/labels/other", "", nil}, true},
		{Condition{"/labels/a~1b", "", nil}, false},
		{Condition{"/limits/cpu/max", "from", "2.5"}, true},
		{Condition{"/limits/cpu/max", "to", 2.5}, false},
		{Condition{"/limits/memory/max", "", nil}, true},
		{Condition{"port", "", nil}, false},
	} {
		f, err := s.Filter([]Condition{tt.condition})
		require.NoError(t, err, "%v", tt.condition)
		shown, err := s.Show(doc, f)
		require.NoError(t, err)
		assert.Equal(t, tt.match, shown != nil, "%v", tt.condition)
	}
	sums := make(map[[32]byte]bool)
	for _, c := range []Condition{{"/labels/a", "", "x"}, {"/labels/b", "", "x"}, {"/limits/a/b", "", 1}, {"/limits/b/a", "", 1}} {
		f, err := s.Filter([]Condition{c})
		require.NoError(t, err)
		sums[f.Sum()] = true
	}
	assert.Len(t, sums, 4)
	for want, c := range map[string]Condition{
		`/labels: expected a field of type string, boolean, number or integer, found object`: {"labels", "", "x"},
		`/lists/a: expected a field of type string, boolean, number or integer, found array`: {"/lists/a", "", "x"},
		`/labels/a/b: unknown field`:                                     {"/labels/a/b", "", "x"},
		`/limits/\u003cscript\u003e/x: expected number, found string`:    {"/limits/<script>/x", "", "x"},
		`/port: expected no value for a field of type integer or string`: {"port", "", 80},
		`/port: expected no from on type integer or string`:              {"port", "from", 80},
		`/port: expected no prefix on type integer or string`:            {"port", "prefix", "8"},
	} {
		_, err := s.Filter([]Condition{c})
		assert.EqualError(t, err, "schema: invalid filter: "+want)
	}
	_, err := s.Index("/labels/a")
	assert.EqualError(t, err, "schema: invalid order: /labels/a: expected a field with an index")
}

// TestMapRedact: values of a map are hidden by the mark of the map, of its values, and of
// fields in them.
func TestMapRedact(t *testing.T) {
	s := define(t,
		Field{Name: "open", Type: Object, Values: &Field{Type: String}},
		Field{Name: "names", Type: Object, Values: &Field{Type: String, PII: "NAME"}},
		Field{Name: "all", Type: Object, PII: "NAME", Values: &Field{Type: String}},
		Field{Name: "people", Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "name", Type: String, PII: "NAME"}, {Name: "age", Type: Number}}}},
	)
	got, err := s.Redact([]byte(`{"id":"1","open":{"a":"x","b":5},"names":{"a":"x","b":null},"all":{"a":"x"},"people":{"p":{"name":"x","age":5,"other":"x"}}}`))
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","open":{"a":"x","b":"[redacted]"},"names":{"a":"[redacted]","b":null},"all":"[redacted]",`+
		`"people":{"p":{"name":"[redacted]","age":5,"other":"[redacted]"}}}`, string(got))
}

func TestObjectMistakes(t *testing.T) {
	ab := []Field{{Name: "a", Type: String}, {Name: "b", Type: String}}
	presence := func(rules ...Presence) Field {
		return Field{Name: "x", Type: Object, Fields: ab, Presence: rules}
	}
	cyclic := Field{Name: "x", Type: Object}
	cyclic.Values = &Field{Type: Object}
	cyclic.Values.Values = cyclic.Values
	many := make([]Presence, 65)
	for i := range many {
		many[i] = Presence{Kind: "oneOf", Fields: []string{"a", "b"}}
	}
	wide, names := make([]Field, 65), make([]string, 65)
	for i := range wide {
		names[i] = strings.Repeat("n", i+1)
		wide[i] = Field{Name: names[i], Type: String}
	}
	for _, tt := range []struct {
		name  string
		field Field
		want  string
	}{
		{"values/on-array", Field{Name: "x", Type: Array, Values: &Field{Type: String}}, "/x: expected no values on type array"},
		{"values/name", Field{Name: "x", Type: Object, Values: &Field{Name: "y", Type: String}}, "/x/values: expected no name on values"},
		{"values/required", Field{Name: "x", Type: Object, Values: &Field{Type: String, Required: true}}, "/x/values: expected no required mark on values"},
		{"values/default", Field{Name: "x", Type: Object, Values: &Field{Type: String, Default: "a"}}, "/x/values: expected no default on values"},
		{"values/index", Field{Name: "x", Type: Object, Values: &Field{Type: String, Index: 1}}, "/x/values: expected an index only on"},
		{"values/index-inside", Field{Name: "x", Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "y", Type: String, Index: 1}}}}, "/x/values/y: expected an index only on"},
		{"values/no-type", Field{Name: "x", Type: Object, Values: &Field{}}, "/x/values: the type is missing"},
		{"values/default-in-items", Field{Name: "x", Type: Array, Items: &Field{Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "y", Type: String, Default: "a"}}}}}, "/x/items/values/y: expected no default inside items"},
		{"values/cycle", cyclic, "expected at most 64 levels"},
		{"values/default-of-the-map", Field{Name: "x", Type: Object, Values: &Field{Type: String}, Default: json.RawMessage(`{"a":1}`)}, "/x: the default: /a: expected string, found number"},
		{"properties/on-array", Field{Name: "x", Type: Array, MinProperties: 1}, "/x: expected no minProperties on type array"},
		{"properties/none-between", Field{Name: "x", Type: Object, MinProperties: 1, MaxProperties: limit(0)}, "/x: expected 0 <= minProperties <= maxProperties"},
		{"properties/max-on-string", Field{Name: "x", Type: String, MaxProperties: limit(0)}, "/x: expected no maxProperties on type string"},
		{"items/on-object", Field{Name: "x", Type: Object, MinItems: 1}, "/x: expected no minItems on type object"},
		{"items/max-on-object", Field{Name: "x", Type: Object, MaxItems: limit(1)}, "/x: expected no maxItems on type object"},
		{"items/negative", Field{Name: "x", Type: Array, MaxItems: limit(-1)}, "/x: expected 0 <= minItems <= maxItems"},
		{"unique/on-string", Field{Name: "x", Type: String, UniqueItems: true}, "/x: expected no uniqueItems on type string"},
		{"unique/default", Field{Name: "x", Type: Array, UniqueItems: true, Default: json.RawMessage(`[1,1.0]`)}, "/x: the default: expected no two equal elements, found some at 0 and 1"},
		{"presence/on-string", Field{Name: "x", Type: String, Presence: many[:1]}, "/x: expected no presence on type string"},
		{"presence/on-an-open-object", Field{Name: "x", Type: Object, Presence: many[:1]}, "/x: expected no presence on an object without fields"},
		{"presence/kind", presence(Presence{Kind: "OneOf", Fields: []string{"a", "b"}}), `/x: rule 0 of presence: the kind "OneOf" is not known`},
		{"presence/one-field", presence(many[0], Presence{Kind: "anyOf", Fields: []string{"a"}}), `/x: rule 1 of presence: expected two fields or more`},
		{"presence/not-declared", presence(Presence{Kind: "anyOf", Fields: []string{"a", "c"}}), `/x: rule 0 of presence: the field "c" is not declared`},
		{"presence/twice", presence(Presence{Kind: "anyOf", Fields: []string{"a", "a"}}), `/x: rule 0 of presence: the field "a" is there twice`},
		{"presence/then", presence(Presence{Kind: "anyOf", Fields: []string{"a", "b"}, Then: []string{"a"}}), `/x: rule 0 of presence: expected no Then on kind anyOf`},
		{"presence/no-then", presence(Presence{Kind: "ifThen", Fields: []string{"a", "b"}}), `/x: rule 0 of presence: expected a field and then another one`},
		{"presence/then-itself", presence(Presence{Kind: "ifThen", Fields: []string{"a"}, Then: []string{"a"}}), `/x: rule 0 of presence: a field is in Fields and in Then`},
		{"presence/rules", presence(many...), `/x: expected at most 64 rules of presence in an object`},
		{"presence/fields", Field{Name: "x", Type: Object, Fields: wide, Presence: []Presence{{Kind: "anyOf", Fields: names}}}, `/x: expected at most 64 fields in the rules of presence of an object`},
		{"presence/default", Field{Name: "x", Type: Object, Fields: ab, Presence: many[:1], Default: json.RawMessage(`{}`)}, `/x: the default: expected exactly one of "a", "b"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(definition(tt.field))
			var mistakes *ValidationError
			require.ErrorAs(t, err, &mistakes)
			assert.Contains(t, mistakes.Violations[0].String(), tt.want)
		})
	}
}

// TestRejectedNulls: a null that is refused deletes nothing, so it has one violation.
func TestRejectedNulls(t *testing.T) {
	s := define(t,
		Field{Name: "o", Type: Object, MinProperties: 1, Fields: []Field{{Name: "a", Type: String}, {Name: "b", Type: String}}, Presence: []Presence{{Kind: "anyOf", Fields: []string{"a", "b"}}}},
		Field{Name: "m", Type: Object, MinProperties: 1, Values: &Field{Type: String}},
		Field{Name: "open", Type: Object, MinProperties: 1},
	)
	stored := `{"id":"1","o":{"a":"x"},"m":{"a":"x"},"open":{"a":"x"}}`
	_, err := write(s, stored, `{"o":{"a":null},"m":{"a":null},"open":{"a":null}}`, &ReadOptions{Nulls: RejectNulls})
	assert.Equal(t, []string{"/o/a null", "/m/a null", "/open/a null"}, lines(t, err))
	_, err = write(s, stored, `{"o":{"a":null},"m":{"a":null},"open":{"a":null}}`, nil)
	assert.Equal(t, []string{"/o presence", "/o min_properties", "/m min_properties", "/open min_properties"}, lines(t, err))
}

// TestKeptArrays_droppedFields: an array that loses a field is another one, wherever in it
// the field is.
func TestKeptArrays_droppedFields(t *testing.T) {
	s := define(t, Field{Name: "l", Type: Array, MaxItems: limit(1), Items: &Field{Type: Object, Fields: []Field{{Name: "x", Type: String, Required: true, Pattern: "^a"}}}})
	ignore := &ReadOptions{UnknownFields: IgnoreUnknown}
	for stored, want := range map[string][]string{
		`{"id":"1","l":[{"x":"b"},{"x":"b","old":1}]}`: {"/l/0/x pattern", "/l/1/x pattern", "/l max_items"},
		`{"id":"1","l":[{"old":1,"x":"b"},{"x":"b"}]}`: {"/l/0/x pattern", "/l/1/x pattern", "/l max_items"},
		`{"id":"1","l":[{"x":"b"},{},{"old":1}]}`:      {"/l/0/x pattern", "/l max_items", "/l/1/x required", "/l/2/x required"},
		`{"id":"1","l":[{"x":"b"},{}]}`:                nil,
	} {
		_, err := write(s, stored, stored, ignore)
		assert.Equal(t, want, lines(t, err), stored)
	}
}
