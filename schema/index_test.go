package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// people has an index of each kind.
var people = MustCompile(definition(
	Field{Name: "email", Type: String, Index: 7, Unique: true, Fold: "lower"},
	Field{Name: "name", Type: String, Index: 2},
	Field{Name: "nick", Type: String, Fold: "lower"},
	Field{Name: "score", Type: Number, Index: 3},
	Field{Name: "age", Type: Integer, Index: 4},
	Field{Name: "vip", Type: Boolean, Index: 5, Default: false},
	Field{Name: "since", Type: String, Format: dateTime, Index: 6},
	Field{Name: "shipTo", Type: Object, Fields: []Field{
		{Name: "a/b", Type: String, Index: 65_535},
		{Name: "country", Type: String, Index: 1, Default: "US"},
	}},
	Field{Name: "tags", Type: Array, Items: &Field{Type: String}},
))

// entriesOf returns the entries as "index: value", the values in hexadecimal but for
// strings.
func entriesOf(t testing.TB, entries []Entry) (lines []string) {
	t.Helper()
	last := uint32(0)
	for _, e := range entries {
		require.Greater(t, e.Index, last, "in order")
		last = e.Index
		line := fmt.Sprintf("%d: %x", e.Index, e.Value)
		if len(e.Value) > 1 && slices.Contains([]uint32{1, 2, 7, 65_535}, e.Index) {
			line = fmt.Sprintf("%d: %q", e.Index, e.Value[1:])
		}
		if e.Unique {
			line += " unique"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestAppendEntries(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      []string
	}{
		{"nothing", `{"id":"1"}`, []string{"1: 00", "2: 00", "3: 00", "4: 00", "5: 01", "6: 00", "7: 00", "65535: 00"}},
		{
			"everything", `{"id":"1","email":"Ad\u00c4@X.org","name":"Ad\u00e4","score":12.50,"age":1e1,"vip":true,"since":"1970-01-01T01:00:00.250+01:00","shipTo":{"a/b":"c"}}`,
			[]string{`1: "US"`, `2: "Adä"`, "3: 03820d33", "4: 03820b", "5: 02", "6: 010100000000001a", `7: "adä@x.org" unique`, `65535: "c"`},
		},
		{
			"values of other types", `{"id":"1","email":7,"name":null,"score":"x","vip":null,"since":"yesterday","shipTo":[{"a/b":"c"}]}`,
			[]string{"1: 00", "2: 00", "3: 00", "4: 00", "5: 00", "6: 00", "7: 00", "65535: 00"},
		},
		{"empty strings", `{"email":"","name":""}`, []string{"1: 00", "2: 01", "3: 00", "4: 00", "5: 01", "6: 00", "7: 01 unique", "65535: 00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := people.AppendEntries([]Entry{{}}, []byte(tt.doc))
			require.NoError(t, err)
			require.Equal(t, Entry{}, got[0])
			assert.Equal(t, tt.want, entriesOf(t, got[1:]))
		})
	}
	_, err := people.AppendEntries(nil, []byte(`[]`))
	var corrupt *CorruptError
	assert.ErrorAs(t, err, &corrupt)
	none, err := Customers().AppendEntries(nil, []byte(`not even read`))
	assert.NoError(t, err)
	assert.Empty(t, none)
}

// TestApplyEntries: what Apply says are the entries before and after is what the
// documents have.
func TestApplyEntries(t *testing.T) {
	stored := []string{
		"", `{"id":"1"}`, `{"id":"1","email":"a@x","name":"n","score":1,"age":1,"vip":true,"since":"2024-01-01T00:00:00Z","shipTo":{"a/b":"c","country":"DE"}}`,
		`{"id":"1","shipTo":"odd","vip":"odd","score":1.0}`, `{"id":"1","shipTo":{}}`, `{"id":"1","vip":false,"shipTo":null}`,
	}
	requests := []string{
		`{"id":"1"}`, `{"id":"1","email":"A@X"}`, `{"id":"1","email":null,"name":null,"score":null,"age":null,"vip":null,"since":null,"shipTo":null}`,
		`{"id":"1","score":1.0,"age":10e-1}`, `{"id":"1","shipTo":{"a/b":"\u0064"}}`, `{"id":"1","shipTo":{"country":null}}`,
		`{"id":"1","shipTo":{"country":null,"a/b":null}}`, `{"id":"1","shipTo":{}}`, `{"id":"1","vip":false,"shoe":1,"tags":["x"]}`,
		`{"id":"1","since":"2024-01-01T01:00:00+01:00","name":"m"}`,
	}
	moved := 0
	for _, nulls := range []Nulls{DeleteNulls, IgnoreNulls} {
		for _, request := range requests {
			r, err := people.Read([]byte(request), &ReadOptions{UnknownFields: IgnoreUnknown, Nulls: nulls})
			require.NoError(t, err)
			for _, stored := range stored {
				doc, err := r.Apply([]byte(stored))
				require.NoError(t, err)
				after, err := people.AppendEntries(nil, doc.Stored)
				require.NoError(t, err)
				require.Equal(t, after, doc.Entries, "%s after %s", request, stored)
				if stored == "" {
					require.Nil(t, doc.Before)
					continue
				}
				before, err := people.AppendEntries(nil, []byte(stored))
				require.NoError(t, err)
				require.Equal(t, before, doc.Before, "%s after %s", request, stored)
				same := &doc.Entries[0] == &doc.Before[0]
				require.Equal(t, assert.ObjectsAreEqual(before, after), same, "one slice if nothing has moved")
				if !same {
					moved++
				}
			}
			r.Close()
		}
	}
	assert.Greater(t, moved, 20)
}

func TestIndexOfField(t *testing.T) {
	for name, want := range map[string]uint32{"email": 7, "/email": 7, "/shipTo/country": 1, "/shipTo/a~1b": 65_535} {
		got, err := people.Index(name)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for name, want := range map[string]string{
		"emial": `schema: invalid order: /emial: unknown field, did you mean "email"?`,
		"nick":  "schema: invalid order: /nick: expected a field with an index",
		"tags":  "schema: invalid order: /tags: expected a field of type string, boolean, number or integer, found array",
	} {
		_, err := people.Index(name)
		assert.EqualError(t, err, want)
	}
	assert.Equal(t, []string{"/shipTo/a~1b", "/shipTo/country", "age", "email", "name", "score", "since", "vip"}, people.Indexed())
	_, err := Locations().Index("city")
	assert.EqualError(t, err, "schema: invalid order: /city: expected a field with an index")
}

func TestNotUnique(t *testing.T) {
	assert.EqualError(t, people.NotUnique(7), "schema: invalid document: /email: expected a value that no other resource has")
	assert.Equal(t, []string{"/shipTo/a~1b unique"}, lines(t, people.NotUnique(65_535)))
	assert.NoError(t, people.NotUnique(8))
}

func TestConditions(t *testing.T) {
	const doc = `{"id":"1","email":"Ada@Example.org","name":"Ada","nick":"\u00c4da","score":12.50,"age":36,"since":"2024-05-01T12:00:00+02:00",` +
		`"shipTo":{"a/b":"x"}}`
	for _, tt := range []struct {
		field, op string
		value     any
		want      bool
		index     uint32
	}{
		{"email", "", "ADA@EXAMPLE.ORG", true, 7},
		{"email", "", "ada@example.or", false, 7},
		{"email", "prefix", "aDa@", true, 7},
		{"email", "prefix", "da@", false, 7},
		{"email", "from", "ADA", true, 7},
		{"email", "to", "ADB", true, 7},
		{"email", "to", "ada@example.org", false, 7},
		{"name", "", "ada", false, 2},
		{"name", "prefix", "", true, 2},
		{"name", "prefix", "A", true, 2},
		{"name", "prefix", "a", false, 2},
		{"name", "from", "Ada", true, 2},
		{"name", "from", "Ada\x00", false, 2},
		{"nick", "", "äDA", true, 0},
		{"nick", "prefix", "Ä", true, 0},
		{"score", "", "12.5", true, 3},
		{"score", "", "1.25e1", true, 3},
		{"score", "from", 12.5, true, 3},
		{"score", "to", 12.5, false, 3},
		{"score", "to", "12.50000000000000000000000000000000001", true, 3},
		{"score", "from", "-1e400", true, 3},
		{"age", "from", 36, true, 4},
		{"age", "from", 37, false, 4},
		{"age", "to", "36.0", false, 4},
		{"vip", "", "false", true, 5},
		{"vip", "", true, false, 5},
		{"since", "", "2024-05-01T10:00:00Z", true, 6},
		{"since", "from", "2024-05-01T10:00:00.000Z", true, 6},
		{"since", "to", "2024-05-01T10:00:00Z", false, 6},
		{"since", "to", "2024-05-01T10:00:00.0000000000000000000001Z", true, 6},
		{"/shipTo/a~1b", "", "x", true, 65_535},
		{"/shipTo/country", "prefix", "U", true, 1},
		{"/shipTo/country", "", nil, false, 1},
	} {
		t.Run(fmt.Sprint(tt.field, " ", tt.op, " ", tt.value), func(t *testing.T) {
			f, err := people.Filter([]Condition{{tt.field, tt.op, tt.value}})
			require.NoError(t, err)
			shown, err := people.Show([]byte(doc), f)
			require.NoError(t, err)
			assert.Equal(t, tt.want, shown != nil)
			index, from, to := f.Range(0)
			assert.Equal(t, tt.index, index)
			if tt.want {
				assertInRange(t, doc, index, from, to)
			}
			absent, err := people.Show([]byte(`{"shipTo":[]}`), f)
			require.NoError(t, err)
			assert.Equal(t, tt.value == nil || tt.value == "false", absent != nil)
		})
	}
}

// assertInRange demands that the document's entry is within the bounds.
func assertInRange(t *testing.T, doc string, index uint32, from, to []byte) {
	t.Helper()
	entries, err := people.AppendEntries(nil, []byte(doc))
	require.NoError(t, err)
	for _, e := range entries {
		if e.Index == index {
			if bytes.Compare(e.Value, from) < 0 || to != nil && bytes.Compare(e.Value, to) >= 0 {
				t.Fatalf("%.300s: %x is not in [%x, %x)", doc, e.Value, from, to)
			}
		}
	}
}

func TestConditionErrors(t *testing.T) {
	const marker = "Zq9-PersonalData"
	for _, tt := range []struct {
		in   Condition
		want string
	}{
		{Condition{"emial", "prefix", marker}, `/emial: unknown field, did you mean "email"?`},
		{Condition{"email", "like", marker}, "/email: unknown condition, expected from, to or prefix"},
		{Condition{"email", "prefix", nil}, "/email: expected a value"},
		{Condition{"email", "from", nil}, "/email: expected a value"},
		{Condition{"email", "prefix", 7}, "/email: expected string, found number"},
		{Condition{"score", "prefix", "1"}, "/score: expected no prefix on type number"},
		{Condition{"since", "prefix", "2024"}, "/since: expected no prefix on a date-time"},
		{Condition{"vip", "prefix", "t"}, "/vip: expected no prefix on type boolean"},
		{Condition{"vip", "from", true}, "/vip: expected no from on type boolean"},
		{Condition{"vip", "to", "true"}, "/vip: expected no to on type boolean"},
		{Condition{"score", "from", marker}, "/score: expected number, found string"},
		{Condition{"age", "to", 1.5}, "/age: expected integer, found number with a fraction"},
		{Condition{"since", "from", marker}, "/since: expected a date-time (RFC 3339)"},
		{Condition{"since", "to", "2024-05-01"}, "/since: expected a date-time (RFC 3339)"},
		{Condition{"tags", "prefix", marker}, "/tags: expected a field of type string"},
		{Condition{"shipTo", "from", marker}, "/shipTo: expected a field of type string"},
	} {
		_, err := people.Filter([]Condition{tt.in})
		var wrong *ValidationError
		require.ErrorAs(t, err, &wrong)
		assert.True(t, strings.HasPrefix(err.Error(), "schema: invalid filter: "+tt.want), "%v, want %s", err, tt.want)
		assert.NotContains(t, err.Error(), marker)
	}
	// Bounds need not be in the enum.
	s := define(t, Field{Name: "tier", Type: String, Enum: []any{"gold", "silver"}})
	_, err := s.Filter([]Condition{{"tier", "prefix", "go"}, {"tier", "from", "h"}, {"tier", "to", ""}})
	assert.NoError(t, err)
}

func TestRange(t *testing.T) {
	is := func(field string, value any) Condition { return Condition{Field: field, Value: value} }
	for _, tt := range []struct {
		name       string
		index      uint32
		conditions []Condition
		want       string // index, from and to
	}{
		{"nothing", 0, nil, "0 - -"},
		{"no index", 0, []Condition{is("nick", "x")}, "0 - -"},
		{"an order", 3, []Condition{is("name", "x")}, "3 - -"},
		{"unique before others", 0, []Condition{is("name", "x"), is("email", "E")}, `7 "\x01e" "\x01e\x00"`},
		{"equal before prefix", 0, []Condition{{"email", "prefix", "x"}, is("name", "")}, `2 "\x01" "\x01\x00"`},
		{"prefix before range", 0, []Condition{{"score", "from", 1}, {"name", "prefix", "ab"}}, `2 "\x01ab" "\x01ac"`},
		{"range before absent", 0, []Condition{is("name", nil), {"score", "from", 0}}, `3 "\x02" -`},
		{"absent", 0, []Condition{is("name", nil)}, `2 "\x00" "\x01"`},
		{"to leaves out what is absent", 0, []Condition{{"name", "to", "b"}}, `2 "\x01" "\x01b"`},
		{"from and to", 0, []Condition{{"name", "to", "b"}, {"name", "from", "a"}, {"name", "to", "c"}, {"name", "from", ""}}, `2 "\x01a" "\x01b"`},
		{"of the order", 2, []Condition{is("email", "x"), {"name", "from", "a"}}, `2 "\x01a" -`},
		{"nothing can match", 0, []Condition{is("name", "a"), is("name", "b")}, `2 "\x01b" "\x01a\x00"`},
		{"every prefix", 0, []Condition{{"name", "prefix", ""}}, `2 "\x01" "\x02"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := people.Filter(tt.conditions)
			require.NoError(t, err)
			index, from, to := f.Range(tt.index)
			show := func(b []byte) string {
				if b == nil {
					return "-"
				}
				return fmt.Sprintf("%q", b)
			}
			assert.Equal(t, tt.want, fmt.Sprint(index, " ", show(from), " ", show(to)))
		})
	}
	index, from, to := (*Filter)(nil).Range(9)
	assert.Equal(t, []any{uint32(9), []byte(nil), []byte(nil)}, []any{index, from, to})
}

// TestFilterAgainstOracle: conditions are judged as exact arithmetic, time.Time and
// strings judge them, and no document that matches is outside the bounds.
func TestFilterAgainstOracle(t *testing.T) {
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	r := rand.New(rand.NewPCG(seed, 0))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	number := func() string {
		return pick("", "-") + pick("0", "1", "12", "120", "9", strings.Repeat("9", 200), "1"+strings.Repeat("0", 600)) +
			pick("", ".0", ".5", ".50", "."+strings.Repeat("0", 300)+"1") + pick("", "e1", "E-1", "e400", "e-400")
	}
	instant := func() string {
		return "20" + pick("23", "24") + "-0" + pick("1", "2") + "-01T0" + pick("0", "1") + ":00:00" + pick("", ".0", ".5", ".000000001") + pick("Z", "+01:00", "-00:30", "z")
	}
	text := func() string {
		return pick("", "a", "A", strings.Repeat("a", 300)) + pick("", "b", "É", "é", "\U0010ffff") + pick("", "", strings.Repeat("x", 250))
	}
	lower := func(s string) string { return strings.Map(unicode.ToLower, s) }
	same := func(s string) string { return s }
	compareWith := func(f func(string) string) func(a, b string) int {
		return func(a, b string) int { return strings.Compare(f(a), f(b)) }
	}
	kinds := []struct {
		field   string
		random  func() string
		quote   bool
		compare func(a, b string) int
		prefix  func(a, b string) bool
	}{
		{"score", number, false, func(a, b string) int {
			x, _ := new(big.Rat).SetString(a)
			y, _ := new(big.Rat).SetString(b)
			return x.Cmp(y)
		}, nil},
		{"since", instant, true, func(a, b string) int {
			x, errA := time.Parse(time.RFC3339Nano, strings.ToUpper(a))
			y, errB := time.Parse(time.RFC3339Nano, strings.ToUpper(b))
			require.NoError(t, errA)
			require.NoError(t, errB)
			return x.Compare(y)
		}, nil},
		{"name", text, true, compareWith(same), strings.HasPrefix},
		{"email", text, true, compareWith(lower), func(a, b string) bool { return strings.HasPrefix(lower(a), lower(b)) }},
	}
	matched := map[string]int{}
	for range 20_000 {
		k := kinds[r.IntN(len(kinds))]
		value, bound, op := k.random(), k.random(), pick("", "from", "to", "prefix")
		want := false
		switch op {
		case "":
			want = k.compare(value, bound) == 0
		case "from":
			want = k.compare(value, bound) >= 0
		case "to":
			want = k.compare(value, bound) < 0
		default:
			if k.prefix == nil {
				continue
			}
			want = k.prefix(value, bound)
		}
		f, err := people.Filter([]Condition{{k.field, op, bound}})
		require.NoError(t, err)
		raw := value
		if k.quote {
			quoted, err := json.Marshal(value)
			require.NoError(t, err)
			raw = string(quoted)
		}
		doc := `{"` + k.field + `":` + raw + `}`
		shown, err := people.Show([]byte(doc), f)
		require.NoError(t, err)
		if want != (shown != nil) {
			t.Fatalf("%s %s %q: want %t for %s", k.field, op, bound, want, doc)
		}
		if index, from, to := f.Range(0); want {
			matched[k.field+" "+op]++
			assertInRange(t, doc, index, from, to)
		}
	}
	assert.Len(t, matched, 4*3+2)
	for name, n := range matched {
		assert.Positive(t, n, name)
	}
}
