package schema

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// ruled compiles nested with rules.
func ruled(t testing.TB, rules ...Rule) *Schema {
	def := nested(t).Definition()
	def.Rules = rules
	s, err := Compile(def)
	require.NoError(t, err)
	return s
}

// priced is a rule about two fields and one about a change.
var priced = []Rule{
	{"priced", func(merged, stored []byte) []Violation {
		if gjson.GetBytes(merged, "live").Bool() && !gjson.GetBytes(merged, "price").Exists() {
			return []Violation{{Pointer: "/price", Message: "needed by what is live"}}
		}
		return nil
	}},
	{"sized-once", func(merged, stored []byte) []Violation {
		if old := gjson.GetBytes(stored, "size"); old.Exists() && old.Num > gjson.GetBytes(merged, "size").Num {
			return []Violation{{"/size", "acme_shrinks", "expected no smaller size than before"}, {Message: "expected another document"}}
		}
		return nil
	}},
}

func TestRules(t *testing.T) {
	s := ruled(t, priced...)
	for _, tt := range []struct {
		name, stored, request string
		opts                  *ReadOptions
		want                  []string
	}{
		{"insert/default-is-seen", "", have, nil, []string{"/price rule"}},
		{"insert/holds", "", full + `"price":1}`, nil, nil},
		{"insert/null-is-absent", "", full + `"price":null,"live":true}`, nil, []string{"/price rule"}},
		{"insert/only-without-other-violations", "", `{"id":"1","size":1.5}`, nil, []string{"/size type", "/name required"}},
		{"update/merged", full + `"live":false}`, `{"live":true}`, nil, []string{"/price rule"}},
		{"update/merged-holds", full + `"live":false,"price":1}`, `{"live":true}`, nil, nil},
		{"update/of-what-was-stored", full + `"live":false,"size":5}`, `{"size":4}`, nil, []string{"/size acme_shrinks", " rule"}},
		{"update/both", full + `"live":false,"size":5}`, `{"size":4,"live":true}`, nil, []string{"/price rule", "/size acme_shrinks", " rule"}},
		{"update/nothing-changes", full + `"live":true}`, `{"name":"n"}`, nil, nil},
		{"update/undeclared-is-seen", full + `"live":false,"price":1,"x":1}`, `{"size":4}`, nil, nil},
		{"update/dropped-is-not-seen", full + `"live":false}`, `{"live":true,"prise":1}`, &ReadOptions{UnknownFields: IgnoreUnknown}, []string{"/price rule"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := write(s, tt.stored, tt.request, tt.opts)
			assert.Equal(t, tt.want, lines(t, err), "%v", err)
			if tt.stored == "" && tt.opts == nil {
				assert.Equal(t, err, s.Validate([]byte(tt.request)), "Validate")
				r, readErr := s.Read([]byte(tt.request), nil)
				require.NoError(t, readErr)
				assert.Equal(t, err, r.Check(), "Check")
			}
		})
	}
}

// TestRuleArguments: a rule sees what would be stored and what is stored, byte for byte.
func TestRuleArguments(t *testing.T) {
	var calls []string
	s := ruled(t, Rule{"seen", func(merged, stored []byte) []Violation {
		calls = append(calls, fmt.Sprintf("%s %s %t", merged, stored, stored == nil))
		return nil
	}})
	doc, err := write(s, "", `{ "id":"1", "name":"n" }`, nil)
	require.NoError(t, err)
	_, err = write(s, full+`"old":1}`, `{"size":1.0}`, nil)
	require.NoError(t, err)
	_, err = write(s, string(doc.Stored), `{"live":true}`, nil)
	require.NoError(t, err)
	assert.Equal(t, []string{
		full + `"live":true}  true`,
		full + `"old":1,"size":1.0,"live":true} ` + full + `"old":1} false`,
	}, calls)
}

// TestBrokenRules: a rule that fails is an error with its name and without a value, and
// not a violation.
func TestBrokenRules(t *testing.T) {
	const secret = "s3cr3t"
	violation := func(v Violation) func(merged, stored []byte) []Violation {
		return func(_, _ []byte) []Violation { return []Violation{{Message: "x"}, v} }
	}
	for name, tt := range map[string]struct {
		check func(merged, stored []byte) []Violation
		want  string
	}{
		"panic":      {func(merged, _ []byte) []Violation { panic(string(merged)) }, "rule broken: panic at rule_test.go:"},
		"runtime":    {func(merged, _ []byte) []Violation { _ = merged[len(merged)]; return nil }, "index out of range"},
		"nil":        {func(_, _ []byte) []Violation { panic(nil) }, "panic called with nil"},
		"error":      {func(merged, _ []byte) []Violation { panic(errors.New(string(merged))) }, "a value of type *errors.errorString"},
		"no-slash":   {violation(Violation{Pointer: "size", Message: "x"}), "rule broken: violation 1: expected a JSON Pointer and a message"},
		"no-escape":  {violation(Violation{Pointer: "/a~2", Message: "x"}), "expected a JSON Pointer and a message"},
		"not-utf8":   {violation(Violation{Pointer: "/\xff", Message: "x"}), "expected a JSON Pointer and a message"},
		"no-message": {violation(Violation{Pointer: "/a"}), "expected a JSON Pointer and a message"},
	} {
		t.Run(name, func(t *testing.T) {
			s := ruled(t, Rule{"good", violation(Violation{Message: "y"})}, Rule{"broken", tt.check})
			doc, err := write(s, "", `{"id":"1","name":"`+secret+`"}`, nil)
			require.ErrorContains(t, err, tt.want)
			var invalid *ValidationError
			assert.False(t, errors.As(err, &invalid))
			assert.NotContains(t, err.Error(), secret)
			assert.Zero(t, doc)
			assert.Equal(t, err, s.Validate([]byte(`{"id":"1","name":"`+secret+`"}`)))
		})
	}
}

// TestManyRuleViolations: at most 100 are kept, and they are not those of the rule.
func TestManyRuleViolations(t *testing.T) {
	found := make([]Violation, 80)
	for i := range found {
		found[i] = Violation{Pointer: "/a~1b/0", Message: "x"}
	}
	check := func(_, _ []byte) []Violation { return found }
	err := ruled(t, Rule{"a", check}, Rule{"b", check}).Validate([]byte(have))
	var invalid *ValidationError
	require.ErrorAs(t, err, &invalid)
	assert.Len(t, invalid.Violations, 100)
	assert.Equal(t, 60, invalid.More)
	assert.Equal(t, codeRule, invalid.Violations[99].Code)
	assert.Empty(t, found[0].Code, "the rule's own slice")
}

func TestRuleMistakes(t *testing.T) {
	check := func(_, _ []byte) []Violation { return nil }
	def := definition()
	def.Rules = []Rule{{"", check}, {"a b", check}, {"a", nil}, {"b", check}, {"b", check}}
	_, err := Compile(def)
	assert.EqualError(t, err, `schema: invalid definition "things": rule 0: expected a name of letters, digits, '_' and '-'; `+
		`rule 1: expected a name of letters, digits, '_' and '-'; rule a: the function Check is missing; rule 4: the name b is there twice`)
	def.Rules = def.Rules[3:4]
	s := MustCompile(def)
	s.Definition().Rules[0].Name = "changed"
	def.Rules[0].Name = "changed"
	assert.Equal(t, "b", s.Definition().Rules[0].Name)
}

// FuzzRules: a schema with rules that find nothing judges as one without rules.
func FuzzRules(f *testing.F) {
	for _, tt := range checkTests {
		f.Add([]byte(tt.stored), []byte(tt.request))
	}
	plain, with := nested(f), ruled(f, Rule{"none", func(merged, _ []byte) []Violation {
		if !gjson.ValidBytes(merged) {
			panic("not JSON")
		}
		return nil
	}})
	f.Fuzz(func(t *testing.T, stored, request []byte) {
		before := bytes.Clone(stored)
		want, wantErr := write(plain, string(stored), string(request), nil)
		got, err := write(with, string(stored), string(request), nil)
		require.Equal(t, wantErr, err)
		require.Equal(t, want, got)
		require.Equal(t, plain.Validate(request), with.Validate(request))
		require.Equal(t, before, stored)
	})
}
