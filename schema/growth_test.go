//go:build !race

package schema

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/internal/growth"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		"Compile, enum values": {1000, func(n int) func() {
			def := definition(Field{Name: "e", Type: String, Enum: values(n)})
			return func() { _, err := Compile(def); must(err) }
		}},
		"Definition, fields": {500, func(n int) func() {
			s := define(t, fields(n)...)
			return func() { s.Definition() }
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

func values(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = fmt.Sprintf("value-%08d", i)
	}
	return list
}

// TestManyEnumValues: comparisons allocate nothing, so this is about time after all: a
// second where each value is looked up, many minutes where each is compared with all.
func TestManyEnumValues(t *testing.T) {
	done := make(chan error, 1)
	go func() {
		_, err := Compile(definition(Field{Name: "e", Type: String, Enum: values(1 << 19)}))
		done <- err
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(3 * time.Minute):
		t.Fatal("the enum is compared value by value")
	}
	_, err := Compile(definition(Field{Name: "e", Type: String, Enum: []any{"a", "b", "a", "c", "b"}}))
	assert.EqualError(t, err, `schema: invalid definition "things": /e: value 2 of the enum repeats an earlier one; /e: value 4 of the enum repeats an earlier one`)
}
