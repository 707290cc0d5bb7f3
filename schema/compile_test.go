package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCompileMistakes(t *testing.T) {
	with := func(fields ...Field) Definition { return definition(fields...) }
	deep := func(levels int) Field {
		f := Field{Name: "x", Type: String}
		for range levels {
			f = Field{Name: "x", Type: Object, Fields: []Field{f}}
		}
		return f
	}
	cyclic := Field{Name: "x", Type: Array}
	cyclic.Items = &Field{Type: Array}
	cyclic.Items.Items = cyclic.Items
	wide := []Field{{Name: "a", Type: Object}, {Name: "b", Type: Object}}
	wide[0].Fields, wide[1].Fields = wide, wide
	many := make([]Field, maxFields)
	for i := range many {
		many[i] = Field{Name: fmt.Sprint(i), Type: String}
	}
	indexes := make([]Field, 15)
	for i := range indexes {
		indexes[i] = Field{Name: fmt.Sprint(i), Type: String, Index: uint32(i + 1)}
	}
	retired := with(Field{Name: "x", Type: String, Index: 3})
	retired.RetiredIndexes = []uint32{2, 3}
	sub := []Field{{Name: "s", Type: String, Required: true}, {Name: "d", Type: Boolean, Default: true}}

	tests := []struct {
		name string
		def  Definition
		want string // of the first mistake
	}{
		{"definition/no-id", Definition{Name: "a", ExternalID: "id", Fields: definition().Fields}, "the id is missing"},
		{"definition/no-name", Definition{ID: uuid.New(), ExternalID: "id", Fields: definition().Fields}, "expected a name of letters"},
		{"definition/bad-name", Definition{ID: uuid.New(), Name: "a b", ExternalID: "id", Fields: definition().Fields}, "expected a name of letters"},
		{"external-id/none", Definition{ID: uuid.New(), Name: "a", Fields: definition().Fields}, "the name of the external id field is missing"},
		{"external-id/not-declared", Definition{ID: uuid.New(), Name: "a", ExternalID: "x", Fields: definition().Fields}, `the external id field "x" is not declared`},
		{"external-id/not-required", Definition{ID: uuid.New(), Name: "a", ExternalID: "x", Fields: []Field{{Name: "x", Type: String}}}, "/x: expected a required string"},
		{"external-id/not-a-string", Definition{ID: uuid.New(), Name: "a", ExternalID: "x", Fields: []Field{{Name: "x", Type: Integer, Required: true}}}, "/x: expected a required string"},
		{"name/empty", with(Field{Type: String}), "/: the name is empty"},
		{"name/not-utf8", with(Field{Name: "a\xff", Type: String}), "/a\xff: the name is not valid UTF-8"},
		{"name/twice", with(Field{Name: "id", Type: String}), "/id: the name is declared twice"},
		{"type/missing", with(Field{Name: "x"}), "/x: the type is missing"},
		{"type/unknown", with(Field{Name: "x", Type: "date"}), `/x: the type "date" is not known`},
		{"types/and-type", with(Field{Name: "x", Type: String, Types: []Type{String, Number}}), "/x: expected a type or a union of types, not both"},
		{"types/none", with(Field{Name: "x", Types: []Type{}}), "/x: expected a union of two types or more"},
		{"types/one", with(Field{Name: "x", Types: []Type{String}}), "/x: expected a union of two types or more"},
		{"types/twice", with(Field{Name: "x", Types: []Type{String, String}}), "/x: the union has string, and another type with such values"},
		{"types/number-and-integer", with(Field{Name: "x", Types: []Type{Number, Integer}}), "/x: the union has integer, and another type with such values"},
		{"types/object", with(Field{Name: "x", Types: []Type{String, Object}}), "/x: expected no object in a union"},
		{"types/array", with(Field{Name: "x", Types: []Type{Array, String}}), "/x: expected no array in a union"},
		{"types/null", with(Field{Name: "x", Types: []Type{String, "null"}}), `/x: the type "null" is not known`},
		{"types/index", with(Field{Name: "x", Types: []Type{String, Integer}, Index: 1}), "/x: expected an index only on"},
		{"types/fold", with(Field{Name: "x", Types: []Type{String, Integer}, Fold: "lower"}), "/x: expected a fold only on"},
		{"types/external-id", Definition{ID: uuid.New(), Name: "a", ExternalID: "x", Fields: []Field{{Name: "x", Types: []Type{String, Integer}, Required: true}}}, "/x: expected a required string"},
		{"format/unknown", with(Field{Name: "x", Type: String, Format: "time"}), `/x: the format "time" is not known`},
		{"format/on-number", with(Field{Name: "x", Type: Number, Format: dateTime}), "/x: expected no format date-time on type number"},
		{"format/integer-on-string", with(Field{Name: "x", Type: String, Format: "int32"}), "/x: expected no format int32 on type string"},
		{"format/integer-on-number", with(Field{Name: "x", Types: []Type{String, Number}, Format: "int32"}), "/x: expected no format int32 on type string or number"},
		{"pattern/on-integer", with(Field{Name: "x", Type: Integer, Pattern: "a"}), "/x: expected no pattern on type integer"},
		{"pattern/syntax", with(Field{Name: "x", Type: String, Pattern: `^[a-z]+(b`}), "/x: the pattern: missing closing ) at byte 0"},
		{"pattern/place", with(Field{Name: "x", Type: String, Pattern: `é\s**`}), "/x: the pattern: invalid nested repetition operator at byte 4"},
		{"pattern/look-around", with(Field{Name: "x", Type: String, Pattern: `^(?!\s)a`}), "/x: the pattern: look-around at byte 1 is not supported"},
		{"pattern/look-behind", with(Field{Name: "x", Type: String, Pattern: `a(?<=b)`}), "/x: the pattern: look-around at byte 1 is not supported"},
		{"pattern/back-reference", with(Field{Name: "x", Type: String, Pattern: `(a)\1`}), "/x: the pattern: a back-reference at byte 3 is not supported"},
		{"pattern/named-back-reference", with(Field{Name: "x", Type: String, Pattern: `(?<n>a)\k<n>`}), "/x: the pattern: a back-reference at byte 7 is not supported"},
		{"pattern/lone-surrogate", with(Field{Name: "x", Type: String, Pattern: `[\ud83d]`}), `/x: the pattern: \u at byte 1: expected the code of a character`},
		{"pattern/not-hex", with(Field{Name: "x", Type: String, Pattern: `\u12`}), `/x: the pattern: \u at byte 0: expected the code of a character`},
		{"pattern/too-great", with(Field{Name: "x", Type: String, Pattern: `\u{110000}`}), `/x: the pattern: \u at byte 0: expected the code of a character`},
		{"pattern/escape-at-end", with(Field{Name: "x", Type: String, Pattern: `a\`}), `/x: the pattern: a backslash at byte 1 without a character`},
		{"pattern/escape", with(Field{Name: "x", Type: String, Pattern: `a\Qb`}), `/x: the pattern: \Q at byte 1 is not supported`},
		{"pattern/not-utf8", with(Field{Name: "x", Type: String, Pattern: "\xff"}), `/x: the pattern: expected valid UTF-8`},
		{"pattern/long", with(Field{Name: "x", Type: String, Pattern: strings.Repeat("a", 4097)}), `/x: the pattern: expected at most 4096 bytes`},
		{"pattern/large", with(Field{Name: "x", Type: String, Pattern: `(abcdefghijklmnop){700}`}), `/x: the pattern: expected at most 10000 instructions`},
		{"pattern/bomb", with(Field{Name: "x", Type: String, Pattern: `(a{1000}){1000}`}), `/x: the pattern: invalid repeat count at byte`},
		{"pattern/all-together", with(patterned(60)...), `/f58: the pattern: expected at most 500000 instructions in all patterns`},
		{"length/on-number", with(Field{Name: "x", Type: Number, MinLength: 1}), "/x: expected no minLength on type number"},
		{"length/max-on-number", with(Field{Name: "x", Type: Number, MaxLength: new(int)}), "/x: expected no maxLength on type number"},
		{"length/negative", with(Field{Name: "x", Type: String, MinLength: -1}), "/x: expected 0 <= minLength <= maxLength"},
		{"length/none-between", with(Field{Name: "x", Type: String, MinLength: 1, MaxLength: new(int)}), "/x: expected 0 <= minLength <= maxLength"},
		{"minimum/on-string", with(Field{Name: "x", Type: String, Minimum: 1}), "/x: expected no minimum on type string"},
		{"minimum/not-a-number", with(Field{Name: "x", Type: Number, Minimum: "1"}), "/x: the minimum: expected number, found string"},
		{"minimum/twice", with(Field{Name: "x", Type: Number, Minimum: 1, ExclusiveMinimum: 1}), "/x: expected a minimum that is inclusive or exclusive, not both"},
		{"maximum/twice", with(Field{Name: "x", Type: Number, Maximum: 1, ExclusiveMaximum: 1}), "/x: expected a maximum that is inclusive or exclusive, not both"},
		{"maximum/below-minimum", with(Field{Name: "x", Type: Number, Minimum: json.Number("1e400"), Maximum: 1}), "/x: no number is between the minimum and the maximum"},
		{"maximum/exclusive", with(Field{Name: "x", Type: Number, Minimum: 1, ExclusiveMaximum: 1.0}), "/x: no number is between the minimum and the maximum"},
		{"multiple/on-boolean", with(Field{Name: "x", Type: Boolean, MultipleOf: 1}), "/x: expected no multipleOf on type boolean"},
		{"multiple/zero", with(Field{Name: "x", Type: Number, MultipleOf: json.Number("0.0")}), "/x: the multipleOf: expected a positive number"},
		{"multiple/negative", with(Field{Name: "x", Type: Number, MultipleOf: -1}), "/x: the multipleOf: expected a positive number"},
		{"multiple/digits", with(Field{Name: "x", Type: Number, MultipleOf: json.Number("1234567890.123456789")}), "/x: the multipleOf: expected a positive number"},
		{"multiple/exponent", with(Field{Name: "x", Type: Number, MultipleOf: json.Number("1e-1000")}), "/x: the multipleOf: expected a positive number"},
		{"const/and-enum", with(Field{Name: "x", Type: String, Const: "a", Enum: []any{"a"}}), "/x: expected a const or an enum, not both"},
		{"const/wrong-kind", with(Field{Name: "x", Type: String, Const: 1}), "/x: the const: expected string, found number"},
		{"const/on-array", with(Field{Name: "x", Type: Array, Const: json.RawMessage("[]")}), "/x: expected no const on type array"},
		{"enum/below-minimum", with(Field{Name: "x", Type: Number, Minimum: 2, Enum: []any{1}}), "/x: value 0 of the enum: expected at least 2"},
		{"enum/twice-by-value", with(Field{Name: "x", Type: Number, Enum: []any{1, json.Number("10e-1")}}), "/x: value 1 of the enum repeats an earlier one"},
		{"enum/too-many", with(Field{Name: "x", Type: String, Enum: values(1001)}), "/x: expected at most 1000 values in the enum"},
		{"default/not-the-pattern", with(Field{Name: "x", Type: String, Pattern: "a", Default: "b"}), "/x: the default: expected a match of a"},
		{"pii/unknown", with(Field{Name: "x", Type: String, PII: "email"}), `/x: the PII mark "email" is not known`},
		{"index/twice", with(Field{Name: "x", Type: String, Index: 1}, Field{Name: "y", Type: Object, Fields: []Field{{Name: "z", Type: String, Index: 1}}}), "/y/z: the index number 1 is that of /x"},
		{"index/retired", retired, "/x: the index number 3 is retired"},
		{"index/too-great", with(Field{Name: "x", Type: String, Index: 65_536}), "/x: expected an index number up to 65535"},
		{"index/too-many", with(indexes...), "expected at most 14 fields with an index"},
		{"index/on-object", with(Field{Name: "x", Type: Object, Index: 1}), "/x: expected an index only on"},
		{"index/on-array", with(Field{Name: "x", Type: Array, Index: 1}), "/x: expected an index only on"},
		{"index/on-items", with(Field{Name: "x", Type: Array, Items: &Field{Type: String, Index: 1}}), "/x/items: expected an index only on"},
		{"index/in-items", with(Field{Name: "x", Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "y", Type: String, Index: 1}}}}), "/x/items/y: expected an index only on"},
		{"unique/no-index", with(Field{Name: "x", Type: String, Unique: true}), "/x: a unique field needs an index"},
		{"unique/default", with(Field{Name: "x", Type: String, Unique: true, Index: 1, Default: "y"}), "/x: expected no default for a unique field"},
		{"unique/default-around", with(Field{Name: "x", Type: Object, Default: json.RawMessage("{}"), Fields: []Field{{Name: "y", Type: String, Unique: true, Index: 1}}}), "/x/y: expected no default for a unique field"},
		{"fold/unknown", with(Field{Name: "x", Type: String, Fold: "upper"}), `/x: the fold "upper" is not known`},
		{"fold/on-number", with(Field{Name: "x", Type: Number, Fold: "lower"}), "/x: expected a fold only on"},
		{"fold/on-date-time", with(Field{Name: "x", Type: String, Format: dateTime, Fold: "lower"}), "/x: expected a fold only on"},
		{"fold/on-items", with(Field{Name: "x", Type: Array, Items: &Field{Type: String, Fold: "lower"}}), "/x/items: expected a fold only on"},
		{"fields/on-string", with(Field{Name: "x", Type: String, Fields: sub}), "/x: expected no fields on type string"},
		{"items/on-object", with(Field{Name: "x", Type: Object, Items: &Field{Type: String}}), "/x: expected no items on type object"},
		{"items/name", with(Field{Name: "x", Type: Array, Items: &Field{Name: "y", Type: String}}), "/x/items: expected no name on items"},
		{"items/required", with(Field{Name: "x", Type: Array, Items: &Field{Type: String, Required: true}}), "/x/items: expected no required mark on items"},
		{"items/no-type", with(Field{Name: "x", Type: Array, Items: &Field{}}), "/x/items: the type is missing"},
		{"items/field", with(Field{Name: "a/b", Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "~"}}}}), "/a~1b/items/~0: the type is missing"},
		{"enum/empty", with(Field{Name: "x", Type: String, Enum: []any{}}), "/x: the enum allows no value"},
		{"enum/on-object", with(Field{Name: "x", Type: Object, Enum: []any{1}}), "/x: expected no enum on type object"},
		{"enum/wrong-kind", with(Field{Name: "x", Type: String, Enum: []any{"a", 1}}), "/x: value 1 of the enum: expected string, found number"},
		{"enum/twice", with(Field{Name: "x", Type: String, Enum: []any{"a", json.RawMessage(`"\u0061"`)}}), "/x: value 1 of the enum repeats an earlier one"},
		{"enum/not-the-format", with(Field{Name: "x", Type: String, Format: dateTime, Enum: []any{"today"}}), "/x: value 0 of the enum: expected a date-time"},
		{"enum/go-type", with(Field{Name: "x", Type: Number, Enum: []any{float32(1)}}), "/x: value 0 of the enum: a value of Go type float32; expected a string, a bool"},
		{"default/wrong-kind", with(Field{Name: "x", Type: Boolean, Default: "true"}), "/x: the default: expected boolean, found string"},
		{"default/fraction", with(Field{Name: "x", Type: Integer, Default: 1.5}), "/x: the default: expected integer"},
		{"default/null", with(Field{Name: "x", Type: String, Default: json.RawMessage("null")}), "/x: the default: expected string, found null"},
		{"default/not-in-enum", with(Field{Name: "x", Type: String, Enum: []any{"a"}, Default: "b"}), `/x: the default: expected one of "a"`},
		{"default/required", with(Field{Name: "x", Type: String, Required: true, Default: "b"}), "/x: expected no default on a required field"},
		{"default/in-items", with(Field{Name: "x", Type: Array, Items: &Field{Type: Object, Fields: []Field{{Name: "y", Type: String, Default: "a"}}}}), "/x/items/y: expected no default inside items"},
		{"default/of-items", with(Field{Name: "x", Type: Array, Items: &Field{Type: String, Default: "a"}}), "/x/items: expected no default inside items"},
		{"default/syntax", with(Field{Name: "x", Type: Number, Default: json.Number("1,5")}), "/x: the default: not strict JSON"},
		{"default/raw-syntax", with(Field{Name: "x", Type: Object, Default: json.RawMessage(`{"a":1,"a":2}`)}), "/x: the default: not strict JSON"},
		{"default/not-utf8", with(Field{Name: "x", Type: String, Default: "\xff"}), "/x: the default: expected valid UTF-8"},
		{"default/not-finite", with(Field{Name: "x", Type: Number, Default: math.Inf(1)}), "/x: the default: expected a finite number"},
		{"default/incomplete-object", with(Field{Name: "x", Type: Object, Fields: sub, Default: json.RawMessage(`{"d":true}`)}), "/x: the default: /s: required, but missing"},
		{"default/unknown-field", with(Field{Name: "x", Type: Object, Fields: sub, Default: json.RawMessage(`{"s":"a","d":true,"y":1}`)}), "/x: the default: /y: unknown field"},
		{"default/incomplete-item", with(Field{Name: "x", Type: Array, Items: &Field{Type: Object, Fields: sub[:1]}, Default: json.RawMessage(`[{}]`)}), "/x: the default: /0/s: required, but missing"},
		{"limits/levels", with(deep(64)), strings.Repeat("/x", 64) + ": expected at most 64 levels"},
		{"limits/items-cycle", with(cyclic), "expected at most 64 levels"},
		{"limits/fields-cycle", with(wide...), "expected at most 64 levels"},
		{"limits/fields", with(many...), "expected at most 10000 fields"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Compile(tt.def)
			assert.Nil(t, s)
			var mistakes *ValidationError
			require.ErrorAs(t, err, &mistakes)
			assert.Equal(t, "definition "+strconv.Quote(tt.def.Name), mistakes.Of)
			assert.Contains(t, mistakes.Violations[0].String(), tt.want)
			assert.Equal(t, codeDefinition, mistakes.Violations[0].Code)
			assert.Contains(t, err.Error(), "schema: invalid definition")
		})
	}
	for _, fields := range [][]Field{{deep(63)}, indexes[:14]} {
		_, err := Compile(with(fields...))
		assert.NoError(t, err)
	}
}

func TestCompileReportsAllMistakes(t *testing.T) {
	_, err := Compile(Definition{Fields: []Field{{}, {Name: "a", Type: Number, Format: "x", PII: "y"}}})
	var mistakes *ValidationError
	require.ErrorAs(t, err, &mistakes)
	assert.Len(t, mistakes.Violations, 7, "%v", err)
	assert.Panics(t, func() { MustCompile(Definition{}) })
}

func TestDefinitionIsACopy(t *testing.T) {
	def := definition(
		Field{Name: "o", Type: Object, Fields: []Field{{Name: "a", Type: String}}, Default: json.RawMessage(`{ "a": "b" }`)},
		Field{Name: "l", Type: Array, Items: &Field{Type: String, Enum: []any{"x", "y"}}},
		Field{Name: "m", Type: Object, MaxProperties: limit(5), Fields: []Field{{Name: "a", Type: String}, {Name: "b", Type: String}},
			Values:   &Field{Types: []Type{String, Number}, MaxLength: limit(5), Minimum: json.RawMessage("1")},
			Presence: []Presence{{Kind: "ifThen", Fields: []string{"a"}, Then: []string{"b"}}}},
	)
	def.Presence = []Presence{{Kind: "anyOf", Fields: []string{"id", "m"}}}
	def.RetiredIndexes = []uint32{1}
	s, err := Compile(def)
	require.NoError(t, err)
	want := s.Definition()
	assert.Equal(t, def, want)
	for _, d := range []Definition{def, s.Definition()} {
		d.RetiredIndexes[0] = 2
		d.Fields[0].Name = "changed"
		d.Fields[1].Fields[0].Name = "changed"
		d.Fields[1].Default.(json.RawMessage)[0] = 'x'
		d.Fields[2].Items.Enum[0] = "changed"
		d.Fields[2].Items.Type = Object
		*d.Fields[3].MaxProperties, *d.Fields[3].Values.MaxLength = 6, 6
		d.Fields[3].Values.Types[0] = Boolean
		d.Fields[3].Values.Minimum.(json.RawMessage)[0] = '2'
		d.Fields[3].Presence[0].Fields[0], d.Fields[3].Presence[0].Then[0], d.Presence[0].Fields[0] = "x", "x", "x"
	}
	assert.Equal(t, want, s.Definition())
	assert.Equal(t, want.ID, s.ID())
	assert.Equal(t, "things", s.Name())
	doc, err := write(s, "", `{"id":"1","l":["x"]}`, nil)
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","l":["x"],"o":{"a":"b"}}`, string(doc.Stored))
}

// patterned returns n fields with large patterns that differ.
func patterned(n int) []Field {
	list := make([]Field, n)
	for i := range list {
		list[i] = Field{Name: fmt.Sprintf("f%d", i), Type: String, Pattern: fmt.Sprintf(`%d(?:abcdefghij){850}`, i)}
	}
	return list
}

// values returns n strings.
func values(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = fmt.Sprintf("value-%08d", i)
	}
	return list
}

// Each Go type of the closed list, as a default.
func TestDefaultValues(t *testing.T) {
	for _, tt := range []struct {
		name  string
		field Field
		want  string
	}{
		{"string", Field{Type: String, Default: "a\"\n<é"}, `"a\"\n<é"`},
		{"bool", Field{Type: Boolean, Default: false}, `false`},
		{"int", Field{Type: Integer, Default: -1}, `-1`},
		{"int64", Field{Type: Number, Default: int64(math.MaxInt64)}, `9223372036854775807`},
		{"float64", Field{Type: Number, Default: 0.1}, `0.1`},
		{"json.Number", Field{Type: Number, Default: json.Number("1.00")}, `1.00`},
		{"json.RawMessage", Field{Type: Array, Default: json.RawMessage(` [ 1, null ] `)}, `[1,null]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.field.Name = "x"
			got, err := define(t, tt.field).Show([]byte(`{"id":"1"}`), nil)
			require.NoError(t, err)
			assert.Equal(t, `{"id":"1","x":`+tt.want+`}`, string(got))
		})
	}
}

// Objects of every size find their fields, and nothing else.
func TestFind(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 1000} {
		fields := make([]Field, n)
		for i := range fields {
			fields[i] = Field{Name: fmt.Sprintf("f%d", i), Type: Integer}
		}
		s := define(t, fields...)
		for i := range n {
			require.NoError(t, s.Validate(fmt.Appendf(nil, `{"f%d":1,"\u0069d":"1"}`, i)))
			require.Error(t, s.Validate(fmt.Appendf(nil, `{"id":"1","f%d":"x"}`, i)))
			require.Error(t, s.Validate(fmt.Appendf(nil, `{"id":"1","F%d":1}`, i)))
		}
	}
}

func TestWantOneOf(t *testing.T) {
	assert.Equal(t, `expected one of "a"`, wantOneOf([]string{`"a"`}))
	assert.Equal(t, `expected one of "a", "b"`, wantOneOf([]string{`"a"`, `"b"`}))
	assert.Equal(t, `expected one of 2 values: "a", …`, wantOneOf([]string{`"a"`, strings.Repeat("b", 200)}))
}

// TestOwnTypes: the values of a declaration may be constants of the program's own
// types.
func TestOwnTypes(t *testing.T) {
	type state string
	type level int8
	type count uint64
	type share float64
	type flag bool
	s := MustCompile(Definition{
		ID: uuid.MustParse("8a52dbc6-4a44-4f0e-8a63-7f3b7a3b1f10"), Name: "things", ExternalID: "id",
		Fields: []Field{
			{Name: "id", Type: String, Required: true},
			{Name: "state", Type: String, Enum: []any{state("open"), state("shut")}, Default: state("open")},
			{Name: "level", Type: Integer, Enum: []any{level(-1), level(2)}, Default: level(2)},
			{Name: "count", Type: Integer, Default: count(math.MaxUint64)},
			{Name: "share", Type: Number, Default: share(0.5)},
			{Name: "flag", Type: Boolean, Default: flag(true)},
		},
	})
	shown, err := s.Show([]byte(`{"id":"1"}`), nil)
	require.NoError(t, err)
	require.Equal(t, `{"id":"1","state":"open","level":2,"count":18446744073709551615,"share":0.5,"flag":true}`, string(shown))
	require.Error(t, s.Validate([]byte(`{"id":"1","state":"ajar"}`)))
	f, err := s.Filter(conditions(eq{"state", state("open")}, eq{"level", level(2)}))
	require.NoError(t, err)
	match, err := s.Show(shown, f)
	require.NoError(t, err)
	require.NotNil(t, match)
	_, err = s.Filter(conditions(eq{"state", state("ajar")}))
	var wrong *ValidationError
	require.ErrorAs(t, err, &wrong)
	require.Equal(t, codeEnum, wrong.Violations[0].Code)
}
