package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/schema"
)

// A schemaMaker makes JSON Schemas by chance, and documents that obey them, more or less.
type schemaMaker struct {
	*rand.Rand
	fields int
}

func pick[T any](m *schemaMaker, list ...T) T { return list[m.IntN(len(list))] }

func (m *schemaMaker) may() bool { return m.IntN(3) == 0 }

var (
	someNumbers = []json.Number{"0", "-0", "1", "1.0", "2", "-3", "0.5", "1e2", "100", "0.01", "19.99", "1e400", "-1e400", "1e-400", "123456789012345678901234567890", "2147483648", "9223372036854775808"}
	someStrings = []string{"", "a", "aa", "é", "e\u0301", "💩", "a\nb", "2024-02-29", "2023-02-29", "2024-05-01T09:30:00Z", "127.0.0.1", "::1", "0191e4a0-0000-7000-8000-000000000001", "1"}
	somePattern = []string{"^a", "a$", "^a*$", "[0-9]{2}", "^.$", "é"}
	someFormats = []string{"date", "date-time", "uuid", "ipv4", "ipv6"}
)

// schema makes a JSON Schema.
func (m *schemaMaker) schema(depth int) map[string]any {
	m.fields++
	s := map[string]any{}
	may := func(keyword string, value any) {
		if m.may() {
			s[keyword] = value
		}
	}
	sizes := func(of string) {
		least := m.IntN(3)
		may("min"+of, least)
		may("max"+of, least+m.IntN(3))
	}
	kinds := 7
	if depth > 3 || m.fields > 30 {
		kinds = 5
	}
	switch m.IntN(kinds) {
	case 0:
		s["type"] = "string"
		switch m.IntN(4) {
		case 0:
			s["format"] = pick(m, someFormats...)
		case 1:
			s["enum"] = []string{"a", "aa", "é"}
		default:
			may("pattern", pick(m, somePattern...))
			sizes("Length")
		}
	case 1:
		s["type"] = pick(m, "integer", "number")
		may("minimum", pick(m, json.Number("-1"), "0", "-1e400", "1e-400"))
		may("exclusiveMaximum", pick(m, json.Number("100"), "1e400", "123456789012345678901234567891"))
		may("exclusiveMinimum", json.Number("-2"))
		may("maximum", json.Number("1e2"))
		may("multipleOf", pick(m, json.Number("1"), "0.01", "2", "0.5"))
	case 2:
		s["type"] = pick(m, []string{"integer", "string"}, []string{"boolean", "number"}, []string{"boolean", "number", "string"})
	case 3:
		s["const"] = pick[any](m, "a", true, json.Number("1.0"), json.Number("100"))
	case 4:
		s["title"] = "any value"
	case 5:
		s["type"] = "array"
		if !m.may() {
			s["items"] = m.schema(depth + 1)
		}
		sizes("Items")
		may("uniqueItems", true)
	case 6:
		s["type"] = "object"
		properties, names := map[string]any{}, []string{"a", "b", "c"}[:m.IntN(4)]
		for _, name := range names {
			properties[name] = m.schema(depth + 1)
		}
		if len(names) > 0 {
			s["properties"] = properties
			s["additionalProperties"] = false
			may("required", names[:1])
		}
		if m.may() {
			s["additionalProperties"] = m.schema(depth + 1)
		}
		if len(names) == 3 {
			has := func(names ...string) map[string]any { return map[string]any{"required": names} }
			switch m.IntN(6) {
			case 0:
				s["anyOf"] = []any{has("a"), has("b", "c")}
			case 1:
				s["oneOf"] = []any{has("a"), has("b"), has("c")}
			case 2:
				s["oneOf"] = []any{has("a"), has("c"), map[string]any{"not": map[string]any{"anyOf": []any{has("a"), has("c")}}}}
			case 3:
				s["not"] = has("a", "b")
			case 4:
				s["dependentRequired"] = map[string]any{"a": []string{"b", "c"}}
			}
		}
		sizes("Properties")
	}
	return s
}

// value makes a value that a schema may allow.
func (m *schemaMaker) value(s map[string]any, depth int) any {
	kind, _ := s["type"].(string)
	if types, ok := s["type"].([]string); ok {
		kind = pick(m, types...)
	}
	if m.IntN(12) == 0 || s["title"] != nil {
		kind = pick(m, "string", "number", "boolean", "array", "object")
	} else if s["const"] != nil && !m.may() {
		return s["const"]
	}
	switch kind {
	case "object":
		object := map[string]any{}
		properties, _ := s["properties"].(map[string]any)
		for _, name := range []string{"a", "b", "c", "d"} {
			of, ok := properties[name].(map[string]any)
			if !ok {
				of, ok = s["additionalProperties"].(map[string]any)
			}
			if (ok || m.IntN(12) == 0) && m.IntN(3) > 0 {
				object[name] = m.value(of, depth+1)
			}
		}
		return object
	case "array":
		list := make([]any, m.IntN(4))
		items, _ := s["items"].(map[string]any)
		for i := range list {
			list[i] = m.value(items, depth+1)
		}
		return list
	case "boolean":
		return m.may()
	case "string":
		return pick(m, someStrings...)
	}
	return pick(m, someNumbers...)
}

// FuzzSchemas: a document has the verdict of santhosh-tekuri/jsonschema, by the JSON Schema
// as it was written and as Schema.JSON writes it.
func FuzzSchemas(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := schemaMaker{Rand: rand.New(rand.NewPCG(seed, 0))}
		field := m.schema(1)
		text, err := json.Marshal(map[string]any{
			"$schema":              schema.Draft2020,
			"type":                 "object",
			"properties":           map[string]any{"id": map[string]any{"type": "string"}, "v": field},
			"required":             []string{"id"},
			"additionalProperties": false,
		})
		require.NoError(t, err)
		def, err := schema.ParseJSON(text, schema.Meta{ID: uuid.MustParse("5f0c3f0e-7a0b-4a55-9d7e-2b1c0a5d9e11"), Name: "fuzz", ExternalID: "id"})
		require.NoError(t, err, "%s", text)
		ours, err := schema.Compile(def)
		if err != nil {
			return // bounds between which nothing is, and the like
		}
		written, again := oracle(t, text), oracle(t, ours.JSON(schema.Draft2020))
		for range 8 {
			value, err := json.Marshal(m.value(field, 1))
			require.NoError(t, err)
			doc := fmt.Appendf(nil, `{"id":"1","v":%s}`, value)
			theirs := written.Validate(decodeJSON(t, doc))
			got := ours.Validate(doc)
			require.Equal(t, theirs == nil, got == nil, "schema %s\ndocument %s\nours: %v\ntheirs: %v", text, doc, got, theirs)
			require.Equal(t, theirs == nil, again.Validate(decodeJSON(t, doc)) == nil, "schema %s\nwritten as %s\ndocument %s", text, ours.JSON(""), doc)
		}
	})
}

func oracle(t *testing.T, text []byte) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource("fuzz.json", doc))
	s, err := c.Compile("fuzz.json")
	require.NoError(t, err, "%s", text)
	return s
}
