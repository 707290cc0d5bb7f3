//go:build !race

package schema

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/internal/growth"

	"github.com/stretchr/testify/assert"
)

// fields returns n optional fields.
func fields(n int) []Field {
	list := make([]Field, n)
	for i := range list {
		list[i] = Field{Name: fmt.Sprintf("f%d", i), Type: String}
	}
	return list
}

// membersOf returns n members, in the order of fields or against it.
func membersOf(n int, backwards bool) string {
	list := make([]string, n)
	for i := range list {
		k := i
		if backwards {
			k = n - 1 - i
		}
		list[i] = fmt.Sprintf(`"f%d":"v"`, k)
	}
	return strings.Join(list, ",")
}

// nestedIn returns n objects inside each other.
func nestedIn(n int) []Field {
	list := []Field{{Name: "x", Type: String}}
	for range n {
		list = []Field{{Name: "o", Type: Object, Fields: list}}
	}
	return list
}

// TestGrowth: no size makes another one more expensive. It is left
// out under the race detector, which makes sync.Pool drop items at random.
func TestGrowth(t *testing.T) {
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for name, tt := range map[string]struct {
		n       int
		prepare func(n int) func()
	}{
		"Compile, fields": {500, func(n int) func() {
			def := definition(fields(n)...)
			return func() { _, err := Compile(def); must(err) }
		}},
		"Compile, depth": {7, func(n int) func() {
			def := definition(nestedIn(n)...)
			return func() { _, err := Compile(def); must(err) }
		}},
		"Compile, enum values": {100, func(n int) func() {
			def := definition(Field{Name: "e", Type: String, Enum: values(n)})
			return func() { _, err := Compile(def); must(err) }
		}},
		"Definition, fields": {500, func(n int) func() {
			s := define(t, fields(n)...)
			return func() { s.Definition() }
		}},
		"ParseJSON, references": {300, func(n int) func() {
			text := `{"allOf":[` + many(n, `{"$ref":"#/$defs/a/allOf/%d"}`) + `],"type":"object","$defs":{"a":{"allOf":[` + many(n, `{"x-%d":1}`) + `]}}}`
			return func() { _, err := ParseJSON([]byte(text), Meta{MaxBytes: 1 << 30}); must(err) }
		}},
		"Validate, members": {1000, func(n int) func() {
			s, doc := define(t, fields(n)...), []byte(`{"id":"1",`+membersOf(n, true)+`}`)
			return func() { must(s.Validate(doc)) }
		}},
		"Validate, members that are not declared": {1000, func(n int) func() {
			s, doc := define(t, Field{Name: "free", Type: Object}), []byte(`{"id":"1","free":{`+membersOf(n, true)+`}}`)
			return func() { must(s.Validate(doc)) }
		}},
		"Validate, violations": {10_000, func(n int) func() {
			s, doc := Customers(), hostile(n)
			return func() {
				if s.Validate(doc) == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Apply, violations over as many members": {10_000, func(n int) func() {
			s, stored := nested(t), string(hostile(n))
			request := strings.ReplaceAll(string(hostile(2*n)), ":0", ":null")
			return func() {
				if _, err := write(s, stored, request, nil); err == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Validate, depth": {7, func(n int) func() {
			s, doc := define(t, nestedIn(n)...), []byte(`{"id":"1",`+strings.Repeat(`"o":{`, n)+`"x":"y"`+strings.Repeat("}", n)+`}`)
			return func() { must(s.Validate(doc)) }
		}},
		"Validate, members of a map": {1000, func(n int) func() {
			s := define(t, Field{Name: "m", Type: Object, Values: &Field{Type: String}, MaxProperties: limit(1 << 20)})
			doc := []byte(`{"id":"1","m":{` + membersOf(n, true) + `}}`)
			return func() { must(s.Validate(doc)) }
		}},
		"Apply, members of a map": {1000, func(n int) func() {
			s := define(t, Field{Name: "m", Type: Object, Values: &Field{Type: String}, MaxProperties: limit(1 << 20)})
			stored := `{"id":"1","m":{` + membersOf(n, true) + `}}`
			request := `{"m":{` + membersOf(n, false) + `,"new":"x"}}`
			return func() { _, err := write(s, stored, request, nil); must(err) }
		}},
		"Apply, missing fields of a map": {1000, func(n int) func() {
			s := define(t, Field{Name: "m", Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "r", Type: String, Required: true}}}})
			request := `{"id":"1","m":{` + strings.ReplaceAll(membersOf(n, true), `"v"`, `{}`) + `}}`
			return func() {
				if _, err := write(s, "", request, nil); err == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Apply, absent defaults of a map": {1000, func(n int) func() {
			s := define(t, Field{Name: "m", Type: Object, Values: &Field{Type: Object, Fields: []Field{{Name: "d", Type: String, Default: "x"}}}})
			request := `{"id":"1","m":{` + strings.ReplaceAll(membersOf(n, true), `"v"`, `{}`) + `}}`
			return func() { _, err := write(s, "", request, nil); must(err) }
		}},
		"Redact, members of a map": {1000, func(n int) func() {
			s := define(t, Field{Name: "m", Type: Object, Values: &Field{Type: String, PII: "NAME"}})
			doc := []byte(`{"id":"1","m":{` + membersOf(n, true) + `}}`)
			return func() { _, err := s.Redact(doc); must(err) }
		}},
		"Validate, unique elements": {1000, func(n int) func() {
			s := define(t, Field{Name: "set", Type: Array, UniqueItems: true})
			doc := []byte(`{"id":"1","set":` + elements(n) + `}`)
			return func() { must(s.Validate(doc)) }
		}},
		"Validate, digits": {10_000, func(n int) func() {
			s := define(t, Field{Name: "x", Type: Number, Minimum: 0, MultipleOf: json.Number("1e-999"), Enum: []any{0.5}})
			doc := []byte(`{"id":"1","x":0.` + strings.Repeat("0", n) + `}`)
			return func() {
				if s.Validate(doc) == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Validate, letters": {10_000, func(n int) func() {
			s := define(t, Field{Name: "x", Type: String, Pattern: `^(a|aa)+$`, MinLength: 1, Format: "hostname"})
			doc := []byte(`{"id":"1","x":"` + strings.Repeat("a", n) + `b"}`)
			return func() {
				if s.Validate(doc) == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Compile, patterns": {50, func(n int) func() {
			declared := fields(n)
			for i := range declared {
				declared[i].Pattern = fmt.Sprintf(`^[a-z]{9}%d$`, i)
			}
			def := definition(declared...)
			return func() { _, err := Compile(def); must(err) }
		}},
		"Show, hidden members": {1000, func(n int) func() {
			s, doc := define(t), []byte(`{"id":"1",`+membersOf(n, false)+`}`)
			return func() { _, err := s.Show(doc, nil); must(err) }
		}},
		"Show, absent defaults": {1000, func(n int) func() {
			declared := fields(n)
			for i := range declared {
				declared[i].Default = "v"
			}
			s, doc := define(t, declared...), []byte(`{"id":"1"}`)
			return func() { _, err := s.Show(doc, nil); must(err) }
		}},
		"Apply, violations": {1000, func(n int) func() {
			s, stored := define(t, fields(n)...), `{"id":"1",`+membersOf(n, true)+`}`
			request := strings.ReplaceAll(stored, `"v"`, "1")
			return func() {
				_, err := write(s, stored, request, nil)
				if err == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Apply, missing fields of elements": {1000, func(n int) func() {
			declared := fields(n)
			declared[0].Required = true
			s := define(t, Field{Name: "list", Type: Array, Items: &Field{Type: Object, Fields: declared}})
			request := `{"id":"1","list":[` + strings.Repeat(`{},`, n) + `{}]}`
			return func() {
				_, err := write(s, "", request, nil)
				if err == nil {
					t.Fatal("valid")
				}
			}
		}},
		"Apply, dropped members": {1000, func(n int) func() {
			s, request := define(t), `{"id":"1",`+membersOf(n, false)+`}`
			return func() {
				_, err := write(s, "", request, &ReadOptions{UnknownFields: IgnoreUnknown})
				must(err)
			}
		}},
		"Apply, dropped members below a long name": {1000, func(n int) func() {
			s := define(t, Field{Name: "m", Type: Object, Values: &Field{Type: Object, Fields: fields(1)}})
			request := `{"id":"1","m":{"` + strings.Repeat("n", 10*n) + `":{` + strings.ReplaceAll(membersOf(n, false), "f", "x") + `}}}`
			return func() {
				_, err := write(s, "", request, &ReadOptions{UnknownFields: IgnoreUnknown})
				must(err)
			}
		}},
		"Apply, deletions of what is not declared": {1000, func(n int) func() {
			s := define(t)
			stored := `{"id":"1",` + membersOf(n, false) + `}`
			request := strings.ReplaceAll(`{`+membersOf(n, true)+`}`, `"v"`, "null")
			return func() { _, err := write(s, stored, request, nil); must(err) }
		}},
		"Redact, members": {1000, func(n int) func() {
			s, doc := define(t, fields(n)...), []byte(`{"id":"1",`+membersOf(n, true)+`}`)
			return func() { _, err := s.Redact(doc); must(err) }
		}},
		"AppendEntries, members": {1000, func(n int) func() {
			s, doc := withIndexes(define(t, fields(1000)...)), []byte(`{"id":"1",`+membersOf(n, true)+`}`)
			return func() { _, err := s.AppendEntries(nil, doc); must(err) }
		}},
		"AppendEntries, fields": {500, func(n int) func() {
			s, doc := withIndexes(define(t, fields(n)...)), []byte(`{"id":"1",`+membersOf(500, true)+`}`)
			return func() { _, err := s.AppendEntries(nil, doc); must(err) }
		}},
		"AppendEntries, digits": {10_000, func(n int) func() {
			s, doc := withIndexes(nested(t)), []byte(`{"id":"1","price":0.`+strings.Repeat("0", n)+strings.Repeat("123456789", n)+`e`+strings.Repeat("0", n)+`1}`)
			return func() { _, err := s.AppendEntries(nil, doc); must(err) }
		}},
		"Match, letters": {10_000, func(n int) func() {
			s := define(t, Field{Name: "f", Type: String, Fold: "lower"})
			f, err := s.Filter([]Condition{{"f", "prefix", strings.Repeat("É", n)}})
			must(err)
			doc := []byte(`{"f":"` + strings.Repeat(`É`, n) + `"}`)
			return func() { _, err := s.Show(doc, f); must(err) }
		}},
		"Filter, conditions": {12, func(n int) func() {
			s, conditions := define(t, fields(1000)...), make([]Condition, n)
			for i := range conditions {
				conditions[i] = Condition{Field: fmt.Sprintf("f%d", 999-i), Value: "v"}
			}
			return func() { f, err := s.Filter(conditions); must(err); f.Sum() }
		}},
		"Filter, fields": {500, func(n int) func() {
			s := define(t, fields(n)...)
			return func() {
				_, err := s.Filter([]Condition{{Field: fmt.Sprintf("f%d", n-1), Value: "v"}})
				must(err)
			}
		}},
		"Match, conditions and members": {12, func(n int) func() {
			s, conditions := define(t, fields(1000)...), make([]Condition, n)
			for i := range conditions {
				conditions[i] = Condition{Field: fmt.Sprintf("f%d", i), Value: "v"}
			}
			f, err := s.Filter(conditions)
			must(err)
			doc := []byte(`{"id":"1",` + membersOf(1000, true) + `}`)
			return func() { _, err := s.Show(doc, f); must(err) }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			factor := growth.Factor(tt.n, tt.prepare)
			t.Logf("%.1f", factor)
			assert.LessOrEqual(t, factor, float64(growth.Limit))
		})
	}
}

// TestManyUniqueElements: comparisons allocate nothing, so this is about time after all: a
// second where each element is looked up, many minutes where each is compared with all.
func TestManyUniqueElements(t *testing.T) {
	s, doc := define(t, Field{Name: "set", Type: Array, UniqueItems: true}), []byte(`{"id":"1","set":`+elements(1<<19)+`}`)
	done := make(chan error, 1)
	go func() { done <- s.Validate(doc) }()
	select {
	case err := <-done:
		assert.NoError(t, err)
	case <-time.After(3 * time.Minute):
		t.Fatal("each element is compared with all others")
	}
	var invalid *ValidationError
	assert.ErrorAs(t, s.Validate([]byte(`{"id":"1","set":[5e-1,`+elements(1000)[1:len(elements(1000))-1]+`,0.50]}`)), &invalid)
	assert.Equal(t, "expected no two equal elements, found some at 0 and 1001", invalid.Violations[0].Message)
}
