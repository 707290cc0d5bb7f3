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
		{"format/unknown", with(Field{Name: "x", Type: String, Format: "date"}), `/x: the format "date" is not known`},
		{"format/on-number", with(Field{Name: "x", Type: Number, Format: dateTime}), "/x: expected no format on type number"},
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
		{"default/without-inner-default", with(Field{Name: "x", Type: Object, Fields: sub, Default: json.RawMessage(`{"s":"a"}`)}), "/x: the default: a field that has a default itself is absent"},
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
	)
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
	}
	assert.Equal(t, want, s.Definition())
	assert.Equal(t, want.ID, s.ID())
	assert.Equal(t, "things", s.Name())
	doc, err := write(s, "", `{"id":"1","l":["x"]}`, nil)
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","l":["x"],"o":{"a":"b"}}`, string(doc.Stored))
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
