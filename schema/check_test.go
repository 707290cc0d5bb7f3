package schema

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func limit(n int) *int { return &n }

// Each row is a field and values of it: want lists the codes of the violations.
var fieldTests = []struct {
	name  string
	field Field
	value string
	want  string
}{
	{"types/integer", Field{Types: []Type{Integer, String}}, `8080`, ""},
	{"types/string", Field{Types: []Type{Integer, String}}, `"http"`, ""},
	{"types/fraction", Field{Types: []Type{Integer, String}}, `1.5`, "type"},
	{"types/other", Field{Types: []Type{Integer, String}}, `true`, "type"},
	{"types/null", Field{Types: []Type{Integer, String}}, `[null]`, "type"},
	{"types/checks-of-each-kind/string", Field{Types: []Type{Integer, String}, Minimum: 1, MinLength: 2}, `"a"`, "min_length"},
	{"types/checks-of-each-kind/number", Field{Types: []Type{Integer, String}, Minimum: 1, MinLength: 2}, `0`, "minimum"},
	{"types/enum/string", Field{Types: []Type{Integer, String, Boolean}, Enum: []any{1, "true"}}, `"1"`, "enum"},
	{"types/enum/number", Field{Types: []Type{Integer, String, Boolean}, Enum: []any{1, "true"}}, `1`, ""},
	{"types/enum/boolean", Field{Types: []Type{Integer, String, Boolean}, Enum: []any{1, "true"}}, `true`, "enum"},
	{"types/format-of-strings", Field{Types: []Type{Number, String}, Format: "date"}, `5`, ""},
	{"types/format-of-integers", Field{Types: []Type{Integer, String}, Format: "int32"}, `"9999999999"`, ""},

	{"const/string", Field{Type: String, Const: "a"}, `"\u0061"`, ""},
	{"const/other", Field{Type: String, Const: "a"}, `"b"`, "const"},
	{"const/number", Field{Type: Number, Const: 1}, `1.0`, ""},
	{"const/number-other", Field{Type: Number, Const: json.Number("1e400")}, `1e401`, "const"},
	{"const/false", Field{Type: Boolean, Const: false}, `true`, "const"},
	{"const/default", Field{Type: Boolean, Const: true, Default: true}, `true`, ""},

	{"pattern/searches", Field{Type: String, Pattern: "b"}, `"abc"`, ""},
	{"pattern/none", Field{Type: String, Pattern: "^b"}, `"abc"`, "pattern"},
	{"pattern/decoded", Field{Type: String, Pattern: "^é$"}, `"\u00e9"`, ""},
	{"pattern/empty-string", Field{Type: String, Pattern: "^$"}, `""`, ""},

	{"length/code-points", Field{Type: String, MaxLength: limit(2)}, `"\ud83d\ude00é"`, ""},
	{"length/code-points-more", Field{Type: String, MaxLength: limit(2)}, `"\ud83d\ude00éa"`, "max_length"},
	{"length/zero", Field{Type: String, MaxLength: limit(0)}, `"a"`, "max_length"},
	{"length/min", Field{Type: String, MinLength: 2}, `"é"`, "min_length"},
	{"length/min-reached", Field{Type: String, MinLength: 2}, `"éa"`, ""},
	{"length/and-pattern", Field{Type: String, MinLength: 2, Pattern: "b", Format: "email"}, `"a"`, "format min_length pattern"},

	{"minimum/equal", Field{Type: Number, Minimum: 1}, `10e-1`, ""},
	{"minimum/below", Field{Type: Number, Minimum: 1}, `0.99999999999999999999`, "minimum"},
	{"minimum/exclusive", Field{Type: Number, ExclusiveMinimum: 1}, `1.0`, "minimum"},
	{"minimum/exclusive-above", Field{Type: Number, ExclusiveMinimum: 1}, `1.00000000000000000001`, ""},
	{"minimum/huge", Field{Type: Number, Minimum: json.Number("1e400")}, `9.99e399`, "minimum"},
	{"minimum/huge-reached", Field{Type: Number, Minimum: json.Number("1e400")}, `10e399`, ""},
	{"minimum/tiny", Field{Type: Number, ExclusiveMinimum: 0}, `1e-400`, ""},
	{"minimum/negative-tiny", Field{Type: Number, Minimum: 0}, `-1e-400`, "minimum"},
	{"minimum/negative-zero", Field{Type: Number, Minimum: 0}, `-0.0`, ""},
	{"maximum/equal", Field{Type: Integer, Maximum: int64(9007199254740993)}, `9007199254740993`, ""},
	{"maximum/above", Field{Type: Integer, Maximum: int64(9007199254740993)}, `9007199254740994`, "maximum"},
	{"maximum/exclusive", Field{Type: Integer, ExclusiveMaximum: 10}, `10`, "maximum"},
	{"maximum/huge-exponent", Field{Type: Number, Maximum: 10}, `1e999999999`, "maximum"},
	{"maximum/type-comes-first", Field{Type: Integer, Maximum: 10}, `10.5`, "type"},

	{"multiple/hundredths", Field{Type: Number, MultipleOf: 0.01}, `19.99`, ""},
	{"multiple/hundredths-written-long", Field{Type: Number, MultipleOf: 0.01}, `19.9900`, ""},
	{"multiple/hundredths-not", Field{Type: Number, MultipleOf: 0.01}, `19.995`, "multiple_of"},
	{"multiple/negative", Field{Type: Number, MultipleOf: 1.5}, `-4.5`, ""},
	{"multiple/zero", Field{Type: Number, MultipleOf: 7}, `0e5`, ""},
	{"multiple/huge", Field{Type: Number, MultipleOf: 8}, `1e400`, ""},
	{"multiple/huge-not", Field{Type: Number, MultipleOf: 3}, `1e999999999`, "multiple_of"},
	{"multiple/tiny", Field{Type: Number, MultipleOf: 8}, `1e-400`, "multiple_of"},
	{"multiple/many-digits", Field{Type: Integer, MultipleOf: 7}, strings.Repeat("999999", 1000) + "7", ""},
	{"multiple/and-maximum", Field{Type: Integer, MultipleOf: 2, Maximum: 1, Enum: []any{0}}, `3`, "enum maximum multiple_of"},
}

// judgeValue returns the violations of a value of a field, which is a null in an array if it
// is written as one.
func judgeValue(t testing.TB, f Field, value string) error {
	if value == "[null]" {
		items := f
		f = Field{Type: Array, Items: &items}
	}
	f.Name = "x"
	return define(t, f).Validate([]byte(`{"id":"1","x":` + value + `}`))
}

func TestFieldChecks(t *testing.T) {
	for _, tt := range fieldTests {
		t.Run(tt.name, func(t *testing.T) {
			var codes []string
			err := judgeValue(t, tt.field, tt.value)
			for _, line := range lines(t, err) {
				_, code, _ := strings.Cut(line, " ")
				codes = append(codes, code)
			}
			assert.Equal(t, tt.want, strings.Join(codes, " "), "%v", err)
		})
	}
}

// TestChecksRatchet: a stored value that breaks a check stays, and may be sent again; what
// is new is judged.
func TestChecksRatchet(t *testing.T) {
	for _, tt := range fieldTests {
		if tt.want == "" || tt.value == "[null]" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			f := tt.field
			f.Name = "x"
			s := define(t, f, Field{Name: "y", Type: Number}, Field{Name: "z", Type: Array, Items: &tt.field})
			stored := `{"id":"1","x":` + tt.value + `}`
			_, err := write(s, stored, `{"y":1}`, nil)
			require.NoError(t, err)
			_, err = write(s, stored, `{"x":`+tt.value+`,"y":1}`, nil)
			require.NoError(t, err)
			_, err = write(s, stored, `{"x":null}`, nil)
			require.NoError(t, err)
			_, err = write(s, stored, `{"x":`+tt.value+`}`, &ReadOptions{RequireComplete: true, ExternalID: "1"})
			require.Error(t, err)
			_, err = write(s, `{"id":"1"}`, `{"x":`+tt.value+`}`, nil)
			require.Error(t, err)
			_, err = write(s, stored, `{"z":[`+tt.value+`]}`, nil)
			require.Error(t, err)
		})
	}
}

func TestCheckMessages(t *testing.T) {
	for _, tt := range []struct {
		field       Field
		value, want string
	}{
		{Field{Types: []Type{Integer, String}}, `true`, "expected integer or string, found boolean"},
		{Field{Types: []Type{Integer, String}}, `1.5`, "expected integer or string, found number with a fraction"},
		{Field{Type: String, Const: "a"}, `"b"`, `expected "a"`},
		{Field{Type: String, Pattern: "^a+$"}, `"b"`, "expected a match of ^a+$"},
		{Field{Type: String, Pattern: "^a+" + strings.Repeat("é", 50)}, `"b"`, "expected a match of ^a+" + strings.Repeat("é", 48) + "…"},
		{Field{Type: String, MinLength: 1}, `""`, "expected at least 1 character"},
		{Field{Type: String, MaxLength: limit(3)}, `"1234"`, "expected at most 3 characters"},
		{Field{Type: Number, Minimum: json.Number("1.50")}, `1`, "expected at least 1.50"},
		{Field{Type: Number, ExclusiveMinimum: 0}, `0`, "expected more than 0"},
		{Field{Type: Number, Maximum: 1e6}, `1e7`, "expected at most 1000000"},
		{Field{Type: Number, ExclusiveMaximum: 5}, `5`, "expected less than 5"},
		{Field{Type: Number, MultipleOf: 0.01}, `0.001`, "expected a multiple of 0.01"},
		{Field{Type: Integer, Format: "int32"}, `2147483648`, "expected an integer of 32 bits: -2147483648 to 2147483647"},
	} {
		assert.EqualError(t, judgeValue(t, tt.field, tt.value), "schema: invalid document: /x: "+tt.want)
	}
}

// FuzzNumberChecks compares bounds and multiples with math/big.
func FuzzNumberChecks(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		s := strconv.Itoa(r.IntN(1000))
		if r.IntN(2) == 0 {
			s += fmt.Sprintf(".%d", r.IntN(1000))
		}
		if r.IntN(2) == 0 {
			s += fmt.Sprintf("e%d", r.IntN(60)-30)
		}
		if r.IntN(3) == 0 {
			s = "-" + s
		}
		return s
	}
	for range 500 {
		f.Add(text(), text())
	}
	f.Add("1e-400", "1e400")
	f.Add("2305843009213693952e1", "4611686018427387904e-3")
	f.Fuzz(func(t *testing.T, value, with string) {
		if len(value)+len(with) > 200 || !isNumber(value) || !isNumber(with) {
			return
		}
		for _, s := range []string{value, with} { // math/big would write large ones out
			if _, e, ok := strings.Cut(strings.ToLower(s), "e"); ok && len(strings.TrimLeft(e, "+-0")) > 4 {
				return
			}
		}
		a, _ := new(big.Rat).SetString(value)
		b, _ := new(big.Rat).SetString(with)
		n := json.Number(with)
		valid := func(field Field) bool { return judgeValue(t, field, value) == nil }
		require.Equal(t, a.Cmp(b) >= 0, valid(Field{Type: Number, Minimum: n}), "minimum")
		require.Equal(t, a.Cmp(b) > 0, valid(Field{Type: Number, ExclusiveMinimum: n}), "exclusive minimum")
		require.Equal(t, a.Cmp(b) <= 0, valid(Field{Type: Number, Maximum: n}), "maximum")
		require.Equal(t, a.Cmp(b) < 0, valid(Field{Type: Number, ExclusiveMaximum: n}), "exclusive maximum")
		require.Equal(t, a.Cmp(b) == 0, valid(Field{Type: Number, Const: n}), "const")
		if s, err := Compile(definition(Field{Name: "x", Type: Number, MultipleOf: n})); err == nil {
			want := new(big.Rat).Quo(a, b).IsInt()
			require.Equal(t, want, s.Validate([]byte(`{"id":"1","x":`+value+`}`)) == nil, "multiple")
		}
		for name, bits := range map[string]uint{"int32": 31, "int64": 63} {
			most := new(big.Int).Lsh(big.NewInt(1), bits)
			want := a.IsInt() && a.Num().Cmp(most) < 0 && a.Num().Cmp(new(big.Int).Neg(most)) >= 0
			require.Equal(t, want, valid(Field{Type: Integer, Format: name}), name)
		}
	})
}
