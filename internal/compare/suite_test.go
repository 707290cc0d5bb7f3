package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	generator "github.com/google/jsonschema-go/jsonschema" // its module also has a copy of JSON-Schema-Test-Suite
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/schema"
)

// A suiteGroup is a schema of JSON-Schema-Test-Suite, with the values that it judges.
type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// TestSuite judges what JSON-Schema-Test-Suite judges, as the value of a field: each case
// has the verdict of the suite, or its schema is refused when it is defined, at a keyword.
//
// A Field has a type, which many schemas of the suite leave out. They are tried once more
// with the types that the value has, and with fields that a rule about them needs: they
// allow this value if they did before.
//
// One verdict differs: null is no value of a field, it deletes it. So null is not valid
// where a schema says nothing of types.
func TestSuite(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/jsonschema-go").Output()
	require.NoError(t, err)
	suite := filepath.Join(strings.TrimSpace(string(out)), "jsonschema", "testdata")

	for draft, want := range map[string]struct {
		uri             string
		passed, refused int
	}{
		"draft7":       {schema.Draft07, 374, 539},
		"draft2020-12": {schema.Draft2020, 371, 728},
	} {
		files, err := filepath.Glob(filepath.Join(suite, draft, "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		passed, refused := 0, 0
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var groups []suiteGroup
			require.NoError(t, json.Unmarshal(text, &groups))
			passedHere, refusedHere := 0, map[string]int{}
			for _, g := range groups {
				for _, test := range g.Tests {
					at := fmt.Sprintf("%s/%s/%s/%s", draft, name, g.Description, test.Description)
					valid, keyword := judgeAsField(t, want.uri, g.Schema, test.Data)
					switch {
					case keyword != "":
						refusedHere[keyword]++
						refused++
					case valid == (test.Valid && string(test.Data) != "null"):
						passedHere++
						passed++
					default:
						t.Errorf("%s: valid is %v. Schema: %s. Value: %s", at, valid, g.Schema, test.Data)
					}
				}
			}
			line := fmt.Sprintf("%-12s %-24s %3d passed", draft, name, passedHere)
			for _, keyword := range slices.Sorted(maps.Keys(refusedHere)) {
				line += fmt.Sprintf(", %d refused at %s", refusedHere[keyword], keyword)
			}
			t.Log(line)
		}
		t.Logf("%-12s %d passed, %d refused", draft, passed, refused)
		require.Equal(t, []int{want.passed, want.refused}, []int{passed, refused}, "what is supported has changed")
	}
}

// judgeAsField judges a value by a JSON Schema. keyword is that at which the schema is
// refused, or "".
func judgeAsField(t *testing.T, uri string, text, data json.RawMessage) (valid bool, keyword string) {
	valid, keyword = judgeField(t, uri, decodeJSON(t, text), data)
	if keyword != "" {
		return judgeField(t, uri, withTypes(decodeJSON(t, text), []any{decodeJSON(t, data)}), data)
	}
	return valid, keyword
}

func decodeJSON(t *testing.T, text []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	require.NoError(t, d.Decode(&v))
	return v
}

// judgeField judges a value as that of the field v, next to an external id.
func judgeField(t *testing.T, uri string, field any, data json.RawMessage) (valid bool, keyword string) {
	if object, ok := field.(map[string]any); ok {
		delete(object, "$schema") // which stands in the root
	}
	text, err := json.Marshal(map[string]any{
		"$schema":    uri,
		"type":       "object",
		"properties": map[string]any{"id": map[string]any{"type": "string"}, "v": moved(field)},
		"required":   []string{"id"},
	})
	require.NoError(t, err)
	def, err := schema.ParseJSON(text, schema.Meta{ID: uuid.MustParse("5f0c3f0e-7a0b-4a55-9d7e-2b1c0a5d9e11"), Name: "suite", ExternalID: "id"})
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		return false, refusedAt(invalid.Violations[0])
	}
	require.NoError(t, err)
	s, err := schema.Compile(def)
	if errors.As(err, &invalid) {
		message, _, _ := strings.Cut(invalid.Violations[0].Message, " on type ")
		return false, fmt.Sprintf("%q", message)
	}
	require.NoError(t, err)

	opts := &schema.ReadOptions{Nulls: schema.RejectNulls, RequireComplete: true, UnknownFields: schema.IgnoreUnknown}
	if bytes.Contains(text, []byte(`":false`)) || bytes.Contains(text, []byte(`"v":{"not":`)) { // a member of that name is not declared, or no other one
		opts.UnknownFields = schema.RejectUnknown
	}
	request, err := s.Read([]byte(`{"id":"1","v":`+string(data)+`}`), opts)
	require.NoError(t, err)
	defer request.Close()
	_, err = request.Apply(nil)
	require.True(t, err == nil || errors.As(err, &invalid), "%v", err)
	return err == nil, ""
}

// refusedAt returns the keyword at which a schema is refused: "type" if that is missing.
func refusedAt(v schema.Violation) string {
	if strings.Contains(v.Message, "expected a schema with a type") || strings.Contains(v.Message, "the type is missing") {
		return "type"
	}
	tokens := strings.Split(string(v.Pointer), "/")
	for _, token := range slices.Backward(tokens) {
		if token != "" && strings.Trim(token, "0123456789") != "" {
			return token
		}
	}
	return "the root"
}

// moved returns a schema that stands at /properties/v: with other references into itself.
func moved(v any) any {
	switch v := v.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for name, value := range v {
			if ref, ok := value.(string); ok && name == "$ref" && (ref == "#" || strings.HasPrefix(ref, "#/")) {
				value = "#/properties/v" + ref[1:]
			}
			object[name] = moved(value)
		}
		return object
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = moved(v[i])
		}
		return list
	}
	return v
}

// withTypes returns a schema with the types that the values have, where it has none.
func withTypes(v any, values []any) any {
	object, ok := v.(map[string]any)
	if v == true {
		object, ok = map[string]any{}, true
	}
	if !ok {
		return v
	}
	object = maps.Clone(object)
	for _, keyword := range []string{"$ref", "enum", "const"} {
		if object[keyword] != nil {
			return object
		}
	}
	var types []string
	var members []map[string]any
	var elements []any
	for _, value := range values {
		kind := ""
		switch value := value.(type) {
		case string:
			kind = "string"
		case bool:
			kind = "boolean"
		case json.Number:
			kind = "number"
		case map[string]any:
			kind = "object"
			members = append(members, value)
		case []any:
			kind = "array"
			elements = append(elements, value...)
		}
		if kind != "" && !slices.Contains(types, kind) {
			types = append(types, kind)
		}
	}
	if len(types) == 0 {
		types = []string{"string"} // which judges nothing
	}
	if object["type"] == nil {
		object["type"] = types
	}
	properties, _ := object["properties"].(map[string]any)
	if properties = maps.Clone(properties); properties != nil {
		object["properties"] = properties
	}
	if object["additionalProperties"] == nil && len(members) > 0 {
		for _, name := range needed(object) {
			if properties == nil {
				properties = make(map[string]any)
				object["properties"] = properties
			}
			if properties[name] == nil {
				properties[name] = true
			}
		}
	}
	for name := range properties {
		var values []any
		for _, m := range members {
			if value, ok := m[name]; ok {
				values = append(values, value)
			}
		}
		properties[name] = withTypes(properties[name], values)
	}
	if items := object["items"]; items != nil && items != true {
		object["items"] = withTypes(items, elements)
	}
	if rest := object["additionalProperties"]; rest != nil && rest != true {
		var values []any
		for _, m := range members {
			for name, value := range m {
				if _, ok := properties[name]; !ok {
					values = append(values, value)
				}
			}
		}
		object["additionalProperties"] = withTypes(rest, values)
	}
	return object
}

// needed returns the names in rules of presence that are not declared beside them.
func needed(v any) (names []string) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	declared, _ := object["properties"].(map[string]any)
	add := func(list any) {
		elements, _ := list.([]any)
		for _, name := range elements {
			if name, ok := name.(string); ok && (declared[name] == nil || declared[name] == true) {
				names = append(names, name)
			}
		}
	}
	add(object["required"])
	for _, keyword := range []string{"dependencies", "dependentRequired"} {
		dependent, _ := object[keyword].(map[string]any)
		for name, list := range dependent {
			names = append(names, name)
			add(list)
		}
	}
	names = append(names, needed(object["not"])...)
	for _, keyword := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := object[keyword].([]any)
		for _, sub := range list {
			names = append(names, needed(sub)...)
		}
	}
	return names
}

// TestGenerated: a JSON Schema that google/jsonschema-go makes of a Go type can be read.
func TestGenerated(t *testing.T) {
	type line struct {
		SKU   string `json:"sku"`
		Count int    `json:"count,omitempty"`
	}
	type order struct {
		ID     string            `json:"id" jsonschema:"the number on the invoice"`
		Lines  []line            `json:"lines,omitempty"`
		ShipTo *line             `json:"shipTo,omitempty"`
		Labels map[string]string `json:"labels,omitempty"`
		Rest   map[string]any    `json:"rest,omitempty"`
		Extra  any               `json:"extra,omitempty"`
		Paid   *bool             `json:"paid,omitempty"`
		Total  float64           `json:"total"`
	}
	made, err := generator.For[order](nil)
	require.NoError(t, err)
	text, err := json.Marshal(made)
	require.NoError(t, err)
	def, err := schema.ParseJSON(text, schema.Meta{ID: uuid.Max, Name: "orders", ExternalID: "id"})
	require.NoError(t, err, "%s", text)
	s, err := schema.Compile(def)
	require.NoError(t, err)
	require.NoError(t, s.Validate([]byte(`{"id":"1","lines":[{"sku":"a"}],"labels":{"a":"b"},"rest":{"a":[null]},"extra":1,"paid":null,"total":1.5}`)))
	require.Error(t, s.Validate([]byte(`{"id":"1","lines":[{"count":1}],"total":"1.5"}`)))
}
