package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

var testMeta = Meta{ID: uuid.MustParse("5f0c3f0e-7a0b-4a55-9d7e-2b1c0a5d9e11"), Name: "test", ExternalID: "id"}

// property returns the JSON Schema of a document with one property.
func property(schema string) string {
	return `{"type":"object","properties":{"id":{"type":"string"},"v":` + schema + `},"required":["id"]}`
}

// parseProperty returns the field that a JSON Schema says.
func parseProperty(t *testing.T, schema string) Field {
	t.Helper()
	def, err := ParseJSON([]byte(property(schema)), testMeta)
	require.NoError(t, err)
	require.Equal(t, "v", def.Fields[1].Name)
	return def.Fields[1]
}

func TestParseJSON(t *testing.T) {
	for _, tt := range []struct {
		name, schema string
		want         Field
	}{
		{"type", `{"type":"boolean"}`, Field{Type: Boolean}},
		{"type/in-an-array", `{"type":["integer"]}`, Field{Type: Integer}},
		{"type/union", `{"type":["integer","string"]}`, Field{Types: []Type{Integer, String}}},
		{"type/anyOf", `{"anyOf":[{"type":"integer"},{"type":"string"}],"pattern":"^[0-9]+$"}`, Field{Types: []Type{Integer, String}, Pattern: "^[0-9]+$"}},
		{"type/oneOf", `{"oneOf":[{"type":"boolean"},{"type":"string"}]}`, Field{Types: []Type{Boolean, String}}},
		{"type/int-or-string", `{"x-kubernetes-int-or-string":true}`, Field{Types: []Type{Integer, String}, Annotations: map[string]json.RawMessage{"x-kubernetes-int-or-string": json.RawMessage("true")}}},
		{"type/of-enum", `{"enum":["a","b"]}`, Field{Type: String, Enum: []any{"a", "b"}}},
		{"type/of-integers", `{"enum":[1,2.0]}`, Field{Type: Integer, Enum: []any{json.Number("1"), json.Number("2.0")}}},
		{"type/of-values", `{"enum":[1,0.5,true]}`, Field{Types: []Type{Number, Boolean}, Enum: []any{json.Number("1"), json.Number("0.5"), true}}},
		{"type/of-const", `{"const":"a"}`, Field{Type: String, Const: "a"}},
		{"null/type", `{"type":["string","null"]}`, Field{Type: String}},
		{"null/anyOf", `{"anyOf":[{"type":"string","minLength":1},{"type":"null"}]}`, Field{Type: String, MinLength: 1}},
		{"null/nullable", `{"type":"string","nullable":true,"enum":["a",null],"default":null}`, Field{Type: String, Enum: []any{"a"}}},
		{"null/not-nullable", `{"type":"string","nullable":false}`, Field{Type: String}},
		{"null/in-a-map", `{"type":"object","additionalProperties":{"type":["string","null"]}}`, Field{Type: Object, Values: &Field{Type: String}}},
		{"sizes", `{"type":"string","minLength":1e1,"maxLength":2147483647}`, Field{Type: String, MinLength: 10, MaxLength: new(math.MaxInt32)}},
		{"strings", `{"type":"string","pattern":"a","minLength":1,"maxLength":2.0,"format":"email"}`, Field{Type: String, Pattern: "a", MinLength: 1, MaxLength: new(2), Format: "email"}},
		{"numbers", `{"type":"number","minimum":-1e400,"maximum":1,"exclusiveMinimum":0,"exclusiveMaximum":2,"multipleOf":0.01}`, Field{
			Type: Number, Minimum: json.Number("-1e400"), Maximum: json.Number("1"),
			ExclusiveMinimum: json.Number("0"), ExclusiveMaximum: json.Number("2"), MultipleOf: json.Number("0.01"),
		}},
		{"arrays", `{"type":"array","items":{"type":"string"},"minItems":0,"maxItems":3,"uniqueItems":true}`, Field{Type: Array, Items: &Field{Type: String}, MaxItems: new(3), UniqueItems: true}},
		{"arrays/of-anything", `{"type":"array","items":{}}`, Field{Type: Array, Items: &Field{Type: Any}}},
		{"any", `true`, Field{Type: Any}},
		{"any/with-annotations", `{"description":"d","default":null,"nullable":true,"x-kubernetes-preserve-unknown-fields":true}`, Field{
			Type: Any, Description: "d", Annotations: map[string]json.RawMessage{"x-kubernetes-preserve-unknown-fields": json.RawMessage("true")},
		}},
		{"objects/closed/not-anything", `{"type":"object","additionalProperties":{"not":{}},"properties":{"a":{"type":"string"},"b":{"not":{}}}}`, Field{Type: Object, Fields: []Field{{Name: "a", Type: String}}}},
		{"objects/open", `{"type":"object"}`, Field{Type: Object}},
		{"objects/map-of-anything", `{"type":"object","additionalProperties":true}`, Field{Type: Object, Values: &Field{Type: Any}}},
		{"objects/never", `{"type":"object","properties":{"a":{"type":"string"},"b":false}}`, Field{Type: Object, Fields: []Field{{Name: "a", Type: String}}}},
		{"objects/closed", `{"type":"object","additionalProperties":false,"properties":{"a":{"type":"string"}},"required":["a"]}`, Field{Type: Object, Fields: []Field{{Name: "a", Type: String, Required: true}}}},
		{"objects/map", `{"type":"object","minProperties":1,"maxProperties":2,"additionalProperties":{"type":"string"},"properties":{"a":{"type":"number"}}}`, Field{
			Type: Object, Fields: []Field{{Name: "a", Type: Number}}, Values: &Field{Type: String}, MinProperties: 1, MaxProperties: new(2),
		}},
		{"defaults", `{"type":"object","properties":{"a":{"type":"boolean","default":true}},"default":{ "a" : false }}`, Field{
			Type: Object, Fields: []Field{{Name: "a", Type: Boolean, Default: true}}, Default: json.RawMessage(`{"a":false}`),
		}},
		{"defaults/that-fill-nothing", `{"type":"object","properties":{"a":{"type":"string","default":"x"}},"required":["a"],"additionalProperties":{"type":"array","items":{"type":"number","default": 1.0},"default":[]}}`, Field{
			Type:   Object,
			Fields: []Field{{Name: "a", Type: String, Required: true, Annotations: map[string]json.RawMessage{"default": json.RawMessage(`"x"`)}}},
			Values: &Field{
				Type: Array, Annotations: map[string]json.RawMessage{"default": json.RawMessage("[]")},
				Items: &Field{Type: Number, Annotations: map[string]json.RawMessage{"default": json.RawMessage("1.0")}},
			},
		}},
		{"extensions", `{"type":"string","x-pii-type":"EMAIL","x-index":3,"x-unique":true,"x-fold":"lower"}`, Field{Type: String, PII: "EMAIL", Index: 3, Unique: true, Fold: "lower"}},
		{"annotations", `{"type":"string","title":"T","description":"D","examples":[ 1 ],"x-a":{}}`, Field{
			Type: String, Description: "D", Annotations: map[string]json.RawMessage{"title": json.RawMessage(`"T"`), "examples": json.RawMessage("[1]"), "x-a": json.RawMessage("{}")},
		}},
		{"reference/to-a-schema", `{"$ref":"reach:schemas/customers"}`, Field{Type: String, Annotations: map[string]json.RawMessage{"$ref": json.RawMessage(`"reach:schemas/customers"`)}}},
		{"allOf", `{"type":"string","allOf":[{"pattern":"a"},{"minLength":2,"type":"string"}]}`, Field{Type: String, Pattern: "a", MinLength: 2}},
		{"allOf/properties", `{"allOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"properties":{"b":{"type":"string"}},"required":["a"]}]}`, Field{
			Type: Object, Fields: []Field{{Name: "a", Type: String, Required: true}, {Name: "b", Type: String}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Name = "v"
			require.Equal(t, tt.want, parseProperty(t, tt.schema))
		})
	}
}

func TestParseJSON_presence(t *testing.T) {
	for _, tt := range []struct {
		name, schema string
		want         []Presence
	}{
		{"anyOf", `"anyOf":[{"required":["a"]},{"required":["b"]},{"required":["c"]}]`, []Presence{{Kind: "anyOf", Fields: []string{"a", "b", "c"}}}},
		{"oneOf", `"oneOf":[{"required":["a"]},{"required":["b"]}]`, []Presence{{Kind: "oneOf", Fields: []string{"a", "b"}}}},
		{"oneOf/with-properties", `"oneOf":[{"properties":{"a":{}},"required":["a"]},{"properties":{"b":{}},"required":["b"]}]`, []Presence{{Kind: "oneOf", Fields: []string{"a", "b"}}}},
		{"oneOf/each-without-the-other", `"oneOf":[{"required":["a"],"not":{"required":["b"]}},{"required":["b"],"not":{"anyOf":[{"required":["a"]}]}}]`, []Presence{
			{Kind: "anyOf", Fields: []string{"a", "b"}}, {Kind: "notAll", Fields: []string{"b", "a"}},
		}},
		{"atMostOne", `"oneOf":[{"required":["a"]},{"required":["b"]},{"not":{"anyOf":[{"required":["a"]},{"required":["b"]}]}}]`, []Presence{{Kind: "atMostOne", Fields: []string{"a", "b"}}}},
		{"atMostOne/none-first", `"oneOf":[{"not":{"anyOf":[{"required":["a"]},{"required":["b"]}]}},{"required":["a"]},{"required":["b"]}]`, []Presence{{Kind: "atMostOne", Fields: []string{"a", "b"}}}},
		{"notAll", `"not":{"required":["a","b"]}`, []Presence{{Kind: "notAll", Fields: []string{"a", "b"}}}},
		{"ifThen", `"anyOf":[{"not":{"required":["a"]}},{"required":["b","c"]}]`, []Presence{{Kind: "ifThen", Fields: []string{"a"}, Then: []string{"b", "c"}}}},
		{"ifThen/dependentRequired", `"dependentRequired":{"a":["b","a"],"c":["b"],"b":[]}`, []Presence{
			{Kind: "ifThen", Fields: []string{"a"}, Then: []string{"b"}}, {Kind: "ifThen", Fields: []string{"c"}, Then: []string{"b"}},
		}},
		{"ifThen/dependencies", `"dependencies":{"a":["b"]}`, []Presence{{Kind: "ifThen", Fields: []string{"a"}, Then: []string{"b"}}}},
		{"always/true", `"anyOf":[{"required":["a"]},true],"not":false`, nil},
		{"always/false", `"oneOf":[{"required":["a"]},{"required":["b"]},false]`, []Presence{{Kind: "anyOf", Fields: []string{"a", "b"}}, {Kind: "notAll", Fields: []string{"a", "b"}}}},
		{"groups", `"anyOf":[{"required":["a","b"]},{"required":["c"]}]`, []Presence{{Kind: "anyOf", Fields: []string{"a", "c"}}, {Kind: "anyOf", Fields: []string{"b", "c"}}}},
		{"several", `"allOf":[{"not":{"required":["a","b"]}},{"oneOf":[{"required":["c"]},{"required":["b"]}]}]`, []Presence{
			{Kind: "notAll", Fields: []string{"a", "b"}}, {Kind: "oneOf", Fields: []string{"c", "b"}},
		}},
		{"always-true", `"anyOf":[{"required":["a"]},{"not":{"required":["a"]}}]`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parseProperty(t, `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}},`+tt.schema+`}`)
			require.Equal(t, tt.want, f.Presence)
			require.False(t, f.Fields[0].Required)
		})
	}
	f := parseProperty(t, `{"type":"object","properties":{"a":{"type":"string"}},"anyOf":[{"required":["a"]}]}`)
	require.True(t, f.Fields[0].Required)
}

func TestParseJSON_sharesNothing(t *testing.T) {
	text := []byte(property(`{"type":"object","title":"a","properties":{"a":{"enum":["b",1]}},"default":{"a":1}}`))
	def, err := ParseJSON(text, testMeta)
	require.NoError(t, err)
	want, err := Compile(def)
	require.NoError(t, err)
	clear(text)
	got, err := Compile(def)
	require.NoError(t, err)
	require.Equal(t, string(want.JSON("")), string(got.JSON("")))
}

func TestParseJSON_references(t *testing.T) {
	def, err := ParseJSON([]byte(`{"type":"object","properties":{"id":{"$ref":"#/$defs/a/allOf/1"}},"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a/allOf/1"},{"type":"string"}]}}}`), testMeta)
	require.NoError(t, err)
	require.Equal(t, []Field{{Name: "id", Type: String}}, def.Fields)
	_, err = ParseJSON([]byte(`{"$ref":"#/$defs/a~2","$defs":{"a~2":{"type":"object"}}}`), testMeta)
	require.ErrorContains(t, err, "/$ref: expected a JSON Pointer")
	def, err = ParseJSON([]byte(`{
		"$schema": "http://json-schema.org/draft-07/schema#",
		"$ref": "#/definitions/Order",
		"definitions": {
			"Order": {
				"type": "object",
				"properties": {
					"id": {"type": "string"},
					"shipTo": {"$ref": "#/definitions/An%20address", "description": "where to", "default": {}},
					"billTo": {"allOf": [{"$ref": "#/definitions/An%20address"}]}
				},
				"required": ["id"]
			},
			"An address": {"type": "object", "description": "any address", "properties": {"a/b~c": {"type": "string"}, "again": {"$ref": "#/definitions/An%20address/properties/a~1b~0c"}}}
		}
	}`), testMeta)
	require.NoError(t, err)
	address := []Field{{Name: "a/b~c", Type: String}, {Name: "again", Type: String}}
	require.Equal(t, []Field{
		{Name: "id", Type: String, Required: true},
		{Name: "shipTo", Type: Object, Description: "where to", Default: json.RawMessage("{}"), Fields: address},
		{Name: "billTo", Type: Object, Description: "any address", Fields: address},
	}, def.Fields)
}

// TestParseJSON_refused has every keyword that is not supported, and every form of a
// keyword. A row is a schema of /properties/v, and the place in it.
func TestParseJSON_refused(t *testing.T) {
	for _, tt := range []struct{ schema, place, message string }{
		{`{"type":"string","if":{},"then":{}}`, "/if", "not supported: write anyOf with not and required"},
		{`{"type":"string","then":{}}`, "/then", "not supported: write anyOf"},
		{`{"type":"string","else":{}}`, "/else", "not supported: write anyOf"},
		{`{"type":"object","patternProperties":{}}`, "/patternProperties", "write additionalProperties"},
		{`{"type":"object","propertyNames":{}}`, "/propertyNames", "declare the members in properties"},
		{`{"type":"object","dependentSchemas":{}}`, "/dependentSchemas", "write dependentRequired"},
		{`{"type":"object","dependencies":{"a":{"required":["b"]}}}`, "/dependencies/a", "expected an array of names"},
		{`{"type":"object","unevaluatedProperties":false}`, "/unevaluatedProperties", "write additionalProperties"},
		{`{"type":"array","unevaluatedItems":false}`, "/unevaluatedItems", "write items"},
		{`{"type":"array","additionalItems":false}`, "/additionalItems", "write items"},
		{`{"type":"array","prefixItems":[]}`, "/prefixItems", "write items"},
		{`{"type":"array","items":[{"type":"string"}]}`, "/items", "expected one schema for all elements"},
		{`{"type":"array","items":false}`, "/items", "no value is allowed here"},
		{`{"type":"array","contains":{}}`, "/contains", "write a Rule in Go"},
		{`{"type":"array","minContains":1}`, "/minContains", "write a Rule in Go"},
		{`{"type":"array","maxContains":1}`, "/maxContains", "write a Rule in Go"},
		{`{"type":"string","contentSchema":{}}`, "/contentSchema", "declare the content"},
		{`{"type":"string","$anchor":"a"}`, "/$anchor", "write a $ref with a JSON Pointer"},
		{`{"$dynamicRef":"#a"}`, "/$dynamicRef", "write a $ref with a JSON Pointer"},
		{`{"$recursiveRef":"#"}`, "/$recursiveRef", "write a $ref with a JSON Pointer"},
		{`{"type":"string","$dynamicAnchor":"a"}`, "/$dynamicAnchor", "write a $ref with a JSON Pointer"},
		{`{"type":"string","$recursiveAnchor":true}`, "/$recursiveAnchor", "write a $ref with a JSON Pointer"},
		{`{"type":"string","$vocabulary":{}}`, "/$vocabulary", "leave it out"},
		{`{"type":"string","id":"a"}`, "/id", "write $id"},
		{`{"type":"string","$id":"a"}`, "/$id", "in the root only"},
		{`{"type":"string","$schema":"http://json-schema.org/draft-07/schema#"}`, "/$schema", "in the root"},
		{`{"type":"object","x-kubernetes-validations":[]}`, "/x-kubernetes-validations", "write a Rule in Go"},
		{`{"type":"string","minLenght":1}`, "/minLenght", `the keyword is not known, did you mean "minLength"?`},
		{`{"type":"object","additionalproperties":false}`, "/additionalproperties", `did you mean "additionalProperties"?`},
		{`{"type":"string","__proto__":1}`, "/__proto__", "the keyword is not known"},
		{`{"type":"string","x-retired-indexes":[1]}`, "/x-retired-indexes", "only for the whole document"},

		{`{"type":"object","properties":{"a":false}}`, "/properties/a", "no value is allowed here"},
		{`{"type":"object","properties":{"a":false,"b":true},"additionalProperties":true}`, "/properties/a", "no value is allowed here"},
		{`{"type":"array","items":{"allOf":[false]}}`, "/items/allOf/0", "no value is allowed here"},
		{`1`, "", "expected a schema, which is an object"},
		{`{"properties":{}}`, "", `the type is missing: with properties, write "type": "object"`},
		{`{"pattern":"a"}`, "", `the type is missing: with pattern, write "type": "string"`},
		{`{"type":[]}`, "/type", "expected a type"},
		{`{"type":"null"}`, "/type", "expected a type of values that are not null"},
		{`{"type":["string","string"]}`, "/type/1", "twice"},
		{`{"type":"text"}`, "/type", "the type is not known"},
		{`{"type":["any"]}`, "/type/0", "the type is not known"},
		{`{"type":1}`, "/type", "expected a string, not number"},
		{`{"oneOf":[{"type":"integer"},{"type":"number"}]}`, "/oneOf/1/type", "no value is of exactly one"},
		{`{"anyOf":[{"type":"integer"},{"type":"string","minLength":1}]}`, "/anyOf/0/type", "may only say which fields are there"},
		{`{"type":"string","not":{"pattern":"a"}}`, "/not/pattern", "may only say which fields are there"},
		{`{"type":"object","properties":{"a":{"type":"string"}},"oneOf":[{"properties":{"a":{"const":"b"}}},{"required":["a"]}]}`, "/oneOf/0/properties/a", "may only say"},
		{`{"type":"object","not":{}}`, "/not", "no object"},
		{`{"type":"object","properties":{"a":{"type":"string"}},"not":{"required":["a"]}}`, "/not", "leave the field out"},
		{`{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"}},"anyOf":[{"not":{"required":["a"]}},{"required":["b"]},{"required":["c"]}]}`, "/anyOf", "write a Rule in Go"},
		{`{"type":"object","anyOf":{}}`, "/anyOf", "expected an array, not object"},
		{`{"const":null}`, "/const", "not null"},
		{`{"type":"string","enum":["a",null]}`, "/enum", "without null"},
		{`{"type":"string","enum":"a"}`, "/enum", "expected an array, not string"},
		{`{"type":"string","default":null}`, "/default", "leave it out"},
		{`{"type":"array","items":{"type":["string","null"]}}`, "/items/type/1", "an element of an array cannot be null"},
		{`{"type":"object","properties":{"a":{"type":"string","nullable":true}},"required":["a"]}`, "/properties/a/nullable", "a required field cannot be null"},
		{`{"type":"object","required":["a"]}`, "/required/0", "that properties declares"},
		{`{"type":"object","additionalProperties":false}`, "/additionalProperties", "an object without any is open"},
		{`{"type":"object","allOf":[{"properties":{"a":{"type":"string"}}}],"additionalProperties":{"type":"string"}}`, "/additionalProperties", "beside properties"},
		{`{"type":"object","allOf":[{"properties":{"b":{"type":"string"}}},{"properties":{"a":{"type":"string"}},"additionalProperties":false}]}`, "/allOf/1/additionalProperties", "beside properties"},
		{`{"type":"object","properties":{"a":{"type":"string"}},"allOf":[{"properties":{"a":{"type":"string"}}}]}`, "/allOf/0/properties/a", "also declared"},
		{`{"type":"string","pattern":"a","allOf":[{"pattern":"b"}]}`, "/allOf/0/pattern", "the keyword is also at /properties/v/pattern"},
		{`{"type":"string","allOf":[{"type":"integer"}]}`, "/allOf/0/type", "in another part"},
		{`{"type":"string","minLength":-1}`, "/minLength", "expected an integer of 0 to"},
		{`{"type":"string","maxLength":1e400}`, "/maxLength", "expected an integer of 0 to"},
		{`{"type":"string","maxLength":123456789012345678901}`, "/maxLength", "expected an integer of 0 to"},
		{`{"type":"string","x-index":65536}`, "/x-index", "the number of an index"},
		{`{"type":"string","maxLength":1.5}`, "/maxLength", "expected an integer of 0 to"},
		{`{"type":"number","minimum":"1"}`, "/minimum", "expected a number, not string"},
		{`{"type":"number","minimum":1,"exclusiveMinimum":true}`, "/exclusiveMinimum", "write the minimum or maximum itself here"},
		{`{"type":"array","uniqueItems":1}`, "/uniqueItems", "expected a boolean, not number"},
		{`{"type":"string","x-index":0}`, "/x-index", "the number of an index"},

		{`{"type":"object","properties":[]}`, "/properties", "expected an object, not array"},
		{`{"type":"string","minLength":"1"}`, "/minLength", "expected a number, not string"},
		{`{"type":"object","not":1}`, "/not", "expected an object, not number"},
		{`{"type":"object","not":{"properties":[]}}`, "/not/properties", "expected an object, not array"},
		{`{"type":"object","not":{"required":[1]}}`, "/not/required/0", "expected a string, not number"},
		{`{"type":"object","anyOf":[{"required":["a"]},{"not":{"pattern":"a"}}]}`, "/anyOf/1/not/pattern", "may only say"},
		{`{"type":"object","dependentRequired":[]}`, "/dependentRequired", "expected an object, not array"},
		{`{"anyOf":[{"type":1},{"type":"string"}]}`, "/anyOf/0/type", "may only say"},
		{`{"type":"object","anyOf":[{"required":["a"]},{"required":["a"]}]}`, "", "that properties declares"},
		{`{"title":"a","format":"email"}`, "", "the type is missing"},

		{`{"$ref":"#/definitions/none"}`, "/$ref", "nothing is there"},
		{`{"$ref":"other.json#/a"}`, "/$ref", "expected a reference into this text"},
		{`{"$ref":"#name"}`, "/$ref", "expected a JSON Pointer"},
		{`{"$ref":"#/%zz"}`, "/$ref", "expected a JSON Pointer"},
		{`{"$ref":1}`, "/$ref", "expected a string"},
		{`{"$ref":"#"}`, "/$ref", "contains itself"},
		{`{"$ref":"#/properties/id","minLength":1}`, "/minLength", "the drafts differ on keywords beside $ref"},
		{`{"$ref":"reach:schemas/a b"}`, "/$ref", "reach:schemas/NAME"},
		{`{"$ref":"reach:people/a"}`, "/$ref", "reach:schemas/NAME"},
	} {
		t.Run(tt.schema, func(t *testing.T) {
			_, err := ParseJSON([]byte(property(tt.schema)), testMeta)
			var invalid *ValidationError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, `definition "test"`, invalid.Of)
			v := invalid.Violations[0]
			require.Equal(t, "/properties/v"+tt.place, string(v.Pointer), v.Message)
			require.Equal(t, "definition", v.Code)
			require.Contains(t, v.Message, tt.message)
		})
	}
}

func TestParseJSON_refusedRoot(t *testing.T) {
	for _, tt := range []struct{ text, place, message string }{
		{`{"type":"string"}`, "", "expected the type object"},
		{`{"type":["object","null"]}`, "", "expected the type object"},
		{`{"type":"object","additionalProperties":true}`, "/additionalProperties", "expected false"},
		{`{"type":"object","additionalProperties":{"type":"string"}}`, "/additionalProperties", "expected false"},
		{`{"type":"object","minProperties":1}`, "/minProperties", "for the whole document"},
		{`{"$schema":"http://json-schema.org/draft-04/schema#","type":"object"}`, "/$schema", Draft2020},
		{`[]`, "", "expected a schema, which is an object"},
	} {
		_, err := ParseJSON([]byte(tt.text), testMeta)
		var invalid *ValidationError
		require.ErrorAs(t, err, &invalid, tt.text)
		require.Equal(t, tt.place, string(invalid.Violations[0].Pointer), tt.text)
		require.Contains(t, invalid.Violations[0].Message, tt.message)
	}
	_, err := ParseJSON([]byte(`{"type":"object","type":"object"}`), testMeta)
	var syn *SyntaxError
	require.ErrorAs(t, err, &syn)
}

// TestParseJSON_hostile: what a stranger may write ends in an error or a definition, and
// in neither case costs more than its length allows.
func TestParseJSON_hostile(t *testing.T) {
	bomb := `{"$ref":"#/$defs/d0","$defs":{`
	for i := range 30 {
		bomb += fmt.Sprintf(`"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}},`, i, i+1, i+1)
	}
	bomb += `"d30":{"type":"string"}}}`
	chain := `{"type":"object","properties":{"id":{"$ref":"#/$defs/d0"}},"$defs":{`
	for i := range 5000 {
		chain += fmt.Sprintf(`"d%d":{"$ref":"#/$defs/d%d"},`, i, i+1)
	}
	chain += `"d5000":{"type":"string"}}}`
	long := strings.Repeat("x", 100_000)
	for _, tt := range []struct{ name, text, message string }{
		{"10 MiB", property(`{"type":"string","description":"` + strings.Repeat("x", 10<<20) + `"}`), "expected at most 262144 bytes"},
		{"references/exponential", bomb, "the references add too much"},
		{"references/long", property(`{"type":"object","properties":{` + many(1000, `"p%d":{"$ref":"#/$defs/long"}`) + `}}},"$defs":{"long":{"type":"string","description":"` + long + `"}`), "the references add too much"},
		{"references/chain", chain, "at most 64 references"},
		{"references/cycle", property(`{"$ref":"#/$defs/a"},"w":{"type":"string"}},"$defs":{"a":{"type":"array","items":{"$ref":"#/$defs/b"}},"b":{"$ref":"#/$defs/a"}`), "contains itself"},
		{"depth/objects", property(strings.Repeat(`{"type":"object","properties":{"a":`, 80) + `{"type":"string"}` + strings.Repeat("}}", 80)), "at most 64 levels"},
		{"depth/arrays", property(strings.Repeat(`{"type":"array","items":`, 100) + `{"type":"string"}` + strings.Repeat("}", 100)), "at most 64 levels"},
		{"depth/not", property(`{"type":"object","x":` + strings.Repeat(`[`, 1000) + strings.Repeat("]", 1000) + `}`), "nested deeper than 192 levels"},
		{"presence/product", property(`{"type":"object","anyOf":[` + many(200, `{"required":["a%[1]d","b%[1]d"]}`) + `]}`), "too complex"},
		{"presence/pairs", property(`{"type":"object","oneOf":[` + many(3000, `{"required":["a%[1]d","b%[1]d"]}`) + `]}`), "too complex"},
		{"presence/not of one", property(`{"type":"object","not":{"oneOf":[{"required":["a"]},{"required":["b"]}]}}`), "too complex"},
		{"presence/names", property(`{"type":"object","dependentRequired":{"a":[` + many(20_000, `"%d"`) + `]}}`), "at most 64 names"},
		{"presence/all", property(`{"type":"object","not":{"anyOf":[` + many(8_000, `{"required":["%d"]}`) + `]}}`), "too complex"},
		{"presence/one", property(`{"type":"object","oneOf":[` + many(8_000, `{"required":["%d"]}`) + `]}`), "too complex"},
		{"types", property(`{"type":[` + many(20_000, `"%d"`) + `]}`), "the type is not known"},
		{"mistakes", `{"type":"object","properties":{` + many(5000, `"%d":{"minLength":1}`) + `}}`, "…and 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseJSON([]byte(tt.text), testMeta)
			require.ErrorContains(t, err, tt.message)
			require.Less(t, len(err.Error()), 10_000)
		})
	}

	t.Run("mistakes/not-shown", func(t *testing.T) { // nor is their place looked for
		const n = 2000
		text := strings.Repeat(`{"type":"object","properties":{"a":`, 50) + `{"minLength":1,"allOf":[` + many(n, `{"minLength":%d}`) + `]}` + strings.Repeat("}}", 50)
		require.Less(t, testing.AllocsPerRun(1, func() {
			_, err := ParseJSON([]byte(text), testMeta)
			require.Error(t, err)
		}), 30.0*n)
	})
	t.Run("fields/more", func(t *testing.T) {
		meta := testMeta
		meta.MaxBytes = 1 << 20
		_, err := ParseJSON([]byte(`{"type":"object","properties":{`+many(10_001, `"%d":{"type":"string"}`)+`}}`), meta)
		require.ErrorContains(t, err, "at most 10000 fields")
	})
	t.Run("names", func(t *testing.T) {
		def, err := ParseJSON([]byte(`{"type":"object","properties":{"id":{"type":"string"},"ID":{"type":"string"},"__proto__":{"type":"string"},"a/b~":{"type":"string"}},"required":["id"]}`), testMeta)
		require.NoError(t, err)
		s, err := Compile(def)
		require.NoError(t, err)
		again, err := ParseJSON(s.JSON(""), testMeta)
		require.NoError(t, err)
		require.Equal(t, def, again)
	})
	t.Run("names/escaped", func(t *testing.T) {
		_, err := ParseJSON([]byte(property(`{"type":"string","<script>`+long+`":1}`)), testMeta)
		require.ErrorContains(t, err, `/properties/v/\u003cscript\u003exxx`)
		require.Less(t, len(err.Error()), 500)
	})
	t.Run("pattern", func(t *testing.T) {
		def, err := ParseJSON([]byte(property(`{"type":"string","pattern":"(a{1000}){1000}"}`)), testMeta)
		require.NoError(t, err)
		_, err = Compile(def)
		require.ErrorContains(t, err, "/v: ")
	})
}

// canonical checks that Schema.JSON and ParseJSON are inverses of each other for def, and
// returns the text.
func canonical(t *testing.T, def Definition) string {
	t.Helper()
	s, err := Compile(def)
	require.NoError(t, err)
	meta := Meta{ID: def.ID, Name: def.Name, ExternalID: def.ExternalID, MaxBytes: 4 << 20}
	for _, draft := range []string{Draft07, Draft2020, ""} {
		text := s.JSON(draft)
		require.True(t, json.Valid(text), "%s", text)
		again, err := ParseJSON(text, meta)
		require.NoError(t, err, "%s", text)
		require.Equal(t, def, again, "%s", text)
		schema, err := Compile(again)
		require.NoError(t, err)
		require.Equal(t, string(text), string(schema.JSON(draft)))
	}
	return string(s.JSON(""))
}

func TestSchema_JSON(t *testing.T) {
	for _, s := range []*Schema{Locations(), Transactions(), Customers()} {
		canonical(t, s.Definition())
	}
	require.Equal(t, `{"type":"object","description":"Default Customer Resource","properties":{`+
		`"customerId":{"type":"string","x-pii-type":"EXTERNAL_ID"},`+
		`"email":{"type":"string","x-pii-type":"EMAIL"},`+
		`"phone":{"type":"string","x-pii-type":"PHONE"},`+
		`"firstName":{"type":"string","x-pii-type":"FIRST_NAME"},`+
		`"lastName":{"type":"string","x-pii-type":"LAST_NAME"},`+
		`"emailOptOut":{"type":"boolean","description":"Email subscription opt-out status. Defaults to false (opted in)","default":false},`+
		`"smsOptOut":{"type":"boolean","description":"SMS subscription opt-out status. Defaults to true (opted out)","default":true},`+
		`"customerDetailUrl":{"type":"string","description":"URL to click-out to the customer detail page"},`+
		`"createdAt":{"type":"string","format":"date-time"}},`+
		`"required":["customerId","firstName","lastName","createdAt"],"additionalProperties":false}`, string(Customers().JSON("")))

	// Values of all Go types come back as text.
	type state string
	s := MustCompile(Definition{ID: testMeta.ID, Name: "test", ExternalID: "id", Fields: []Field{
		{Name: "id", Type: String, Required: true},
		{Name: "state", Type: String, Enum: []any{state("on"), json.RawMessage(` "off" `)}, Default: state("on")},
		{Name: "level", Type: Number, Enum: []any{1, 2.5, json.Number("1e400")}},
		{Name: "open", Type: Object, Default: json.RawMessage(`{ "a" : [ 1 ] }`)},
	}})
	def, err := ParseJSON(s.JSON(Draft07), testMeta)
	require.NoError(t, err)
	require.Equal(t, []Field{
		{Name: "id", Type: String, Required: true},
		{Name: "state", Type: String, Enum: []any{"on", "off"}, Default: "on"},
		{Name: "level", Type: Number, Enum: []any{json.Number("1"), json.Number("2.5"), json.Number("1e400")}},
		{Name: "open", Type: Object, Default: json.RawMessage(`{"a":[1]}`)},
	}, def.Fields)
}

// TestSchema_JSON_presence: as many rules, and as large ones, as Compile allows.
func TestSchema_JSON_presence(t *testing.T) {
	def := definition()
	def.Fields = nil
	names := make([]string, maxPresenceFields)
	for i := range names {
		names[i] = fmt.Sprint("f", i)
		def.Fields = append(def.Fields, Field{Name: names[i], Type: String, Required: i == 0})
	}
	def.ExternalID = names[0]
	for _, kind := range []string{"anyOf", "oneOf", "atMostOne", "notAll", "ifThen"} {
		def.Presence = nil
		for i := range maxPresence {
			rule := Presence{Kind: kind, Fields: append(slices.Clone(names[i:]), names[:i]...)}
			if kind == "ifThen" {
				rule.Fields, rule.Then = rule.Fields[:maxPresenceFields/2], rule.Fields[maxPresenceFields/2:]
			}
			def.Presence = append(def.Presence, rule)
		}
		canonical(t, def)
	}
}

func TestCompile_annotations(t *testing.T) {
	for name, raw := range map[string]string{
		"minLength":                `1`,
		"x-index":                  `1`,
		"x-kubernetes-validations": `[]`,
		"$ref":                     `"#/a"`,
		"default":                  `"a`,
		"$id":                      `"a"`,
		"title":                    `"a`,
		"examples":                 strings.Repeat("[", 65) + strings.Repeat("]", 65),
	} {
		_, err := Compile(Definition{ID: testMeta.ID, Name: "test", ExternalID: "id", Fields: []Field{
			{Name: "id", Type: String, Required: true, Annotations: map[string]json.RawMessage{name: json.RawMessage(raw)}},
		}})
		require.ErrorContains(t, err, fmt.Sprintf("/id: the annotation %q", name))
	}
	_, err := Compile(Definition{ID: testMeta.ID, Name: "test", ExternalID: "id", Fields: []Field{
		{Name: "id", Type: String, Required: true},
		{Name: "n", Type: Integer, Annotations: map[string]json.RawMessage{"$ref": json.RawMessage(`"reach:schemas/a"`)}},
	}})
	require.ErrorContains(t, err, "/n: expected no $ref on type integer")
}

// TestCompile_inverse: what Schema.JSON could not give back is refused.
func TestCompile_inverse(t *testing.T) {
	annotation := func(name, raw string) map[string]json.RawMessage {
		return map[string]json.RawMessage{name: json.RawMessage(raw)}
	}
	for _, tt := range []struct {
		def  Definition
		want string
	}{
		{Definition{Description: "\xff"}, "the description is not valid UTF-8"},
		{Definition{Annotations: annotation("x-\xff", "1")}, "expected valid UTF-8"},
		{Definition{Annotations: annotation("default", "{}")}, "expected it on a field only"},
		{Definition{Annotations: annotation("$ref", `"reach:schemas/a"`)}, "expected it on a field only"},
		{definition(Field{Name: "a", Type: String, Description: "\xff"}), "/a: the description is not valid UTF-8"},
		{definition(Field{Name: "a", Type: Array, Items: &Field{Type: String, Description: "\xff"}}), "/a/items: the description is not valid UTF-8"},
		{definition(Field{Name: "a", Type: String, Annotations: annotation("x-\xff", "1")}), "expected valid UTF-8"},
		{definition(Field{Name: "a", Type: Any, Annotations: annotation("x-kubernetes-int-or-string", " true")}), "/a: expected a union of integer and string"},
	} {
		_, err := Compile(tt.def)
		require.ErrorContains(t, err, tt.want)
	}
	_, err := ParseJSON([]byte(`{"type":"object","$ref":"reach:schemas/a"}`), testMeta)
	require.ErrorContains(t, err, "/$ref: expected it on a field only")
}

// A maker makes definitions by chance.
type maker struct {
	*rand.Rand
	fields, indexes int
}

func (m *maker) one(list ...string) string { return list[m.IntN(len(list))] }
func (m *maker) may() bool                 { return m.IntN(3) == 0 }

func (m *maker) size(least *int, most **int) {
	if m.may() {
		*least = m.IntN(3)
	}
	if m.may() {
		*most = new(*least + m.IntN(4))
	}
}

// field makes a field; in items and values with neither a default nor an index.
func (m *maker) field(name string, depth int, inside bool) Field {
	m.fields++
	f := Field{Name: name}
	if m.may() {
		f.Description = m.one("a", `"<é>"`, "\n")
	}
	if m.may() {
		f.Annotations = map[string]json.RawMessage{m.one("title", "x-a", "$comment"): json.RawMessage(m.one(`"a"`, `{"b":[1,null]}`))}
	}
	kinds := 9
	if depth > 4 || m.fields > 50 {
		kinds = 5
	}
	switch m.IntN(kinds) {
	case 0:
		f.Type = Boolean
		if m.may() && !inside {
			f.Default = m.may()
		}
		if m.may() {
			f.Const = true
			f.Default = nil
		}
	case 1, 2:
		f.Type = String
		switch m.IntN(4) {
		case 0:
			f.Format = m.one("date-time", "date", "uuid", "uri", "email", "hostname", "ipv4", "ipv6", "byte", "duration", "e164")
		case 1:
			f.Enum = []any{"", `"\`, "ö"}
		case 2:
			f.Pattern = m.one("^a+$", `\d{3}`, "[^]", `\u00e9`)
		}
		if f.Enum == nil {
			m.size(&f.MinLength, &f.MaxLength)
		}
		f.PII = m.one("", "NAME", "EMAIL")
		if !inside && m.indexes < 14 && m.may() {
			m.indexes++
			f.Index, f.Unique = uint32(m.indexes), m.may()
			if f.Format != "date-time" {
				f.Fold = m.one("", "lower")
			}
		}
		if f.Format == "" && m.may() {
			f.Annotations = map[string]json.RawMessage{"$ref": json.RawMessage(`"reach:schemas/customers"`)}
		}
	case 3:
		f.Type = Type(m.one("number", "integer"))
		switch m.IntN(3) {
		case 0:
			f.Enum = []any{json.Number("1"), json.Number("1e400")}
		case 1:
			f.Minimum, f.ExclusiveMaximum = json.Number(m.one("-1", "-1e400")), json.Number("1e400")
			f.MultipleOf = json.Number("1")
		case 2:
			f.ExclusiveMinimum, f.Maximum = json.Number("0"), json.Number("12.50")
		}
	case 4:
		f.Types = []Type{Integer, String}
		if m.may() {
			f.Types = []Type{String, Number, Boolean}
			f.Enum = []any{"a", false, json.Number("1")}
		}
	case 5:
		f.Type = Array
		if !m.may() {
			items := m.field("", depth+1, true)
			f.Items = &items
		}
		m.size(&f.MinItems, &f.MaxItems)
		f.UniqueItems = m.may()
	case 6:
		f.Type = Any
		if m.may() && !inside {
			f.Default = json.RawMessage(`{"a":[1]}`)
		}
	default:
		f.Type = Object
		f.Fields, f.Presence = m.members(depth+1, inside)
		if m.may() {
			values := m.field("", depth+1, true)
			f.Values = &values
		}
		if len(f.Fields) == 0 {
			m.size(&f.MinProperties, &f.MaxProperties)
		}
	}
	return f
}

func (m *maker) members(depth int, inside bool) (fields []Field, rules []Presence) {
	var names []string
	for i := range m.IntN(5) {
		name := fmt.Sprintf("%s%d", m.one("a", "A", "__proto__", "x/~", "é\"\n", "type", "$ref"), i)
		names = append(names, name)
		f := m.field(name, depth, inside)
		f.Required = f.Default == nil && m.may()
		if f.Required && m.may() {
			f.Annotations = map[string]json.RawMessage{"default": json.RawMessage(`1`)}
		}
		fields = append(fields, f)
	}
	for len(names) >= 3 && m.may() {
		switch kind := m.one("anyOf", "oneOf", "atMostOne", "notAll", "ifThen"); kind {
		case "ifThen":
			rules = append(rules, Presence{Kind: kind, Fields: names[:1], Then: names[1:]}, Presence{Kind: kind, Fields: names[1:], Then: names[:1]})
		default:
			rules = append(rules, Presence{Kind: kind, Fields: names[m.IntN(2):]})
		}
	}
	return fields, rules
}

func (m *maker) definition() Definition {
	def := Definition{ID: testMeta.ID, Name: "test", ExternalID: "id"}
	if m.may() {
		def.Description = "d"
		def.RetiredIndexes = []uint32{65_535, 17}
		def.Annotations = map[string]json.RawMessage{"$id": json.RawMessage(`"https://example.com/a"`)}
	}
	def.Fields, def.Presence = m.members(1, false)
	def.Fields = append(def.Fields, Field{Name: "id", Type: String, Required: true})
	return def
}

// FuzzSchemaJSON: each definition comes back from its JSON Schema.
func FuzzSchemaJSON(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m := maker{Rand: rand.New(rand.NewPCG(seed, 0))}
		canonical(t, m.definition())
	})
}

// FuzzParseJSON: each text is refused, or says a definition that comes back.
func FuzzParseJSON(f *testing.F) {
	for seed := range uint64(50) {
		m := maker{Rand: rand.New(rand.NewPCG(seed, 1))}
		if s, err := Compile(m.definition()); err == nil {
			f.Add(s.JSON(Draft07))
		}
	}
	for _, v := range []string{
		`{"anyOf":[{"type":"integer"},{"type":"string"}]}`, `{"allOf":[{"$ref":"#/properties/id"}],"minLength":1}`, `{"enum":["a",null,1]}`,
		`{"type":"object","properties":{"a":{"type":["string","null"]}},"dependentRequired":{"a":["b"]},"oneOf":[{"required":["a"]},{"not":{"required":["a"]}}]}`,
	} {
		f.Add([]byte(property(v)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		def, err := ParseJSON(text, testMeta)
		var invalid *ValidationError
		var syn *SyntaxError
		if err != nil {
			require.True(t, errors.As(err, &invalid) || errors.As(err, &syn))
			require.Equal(t, Definition{}, def)
			return
		}
		if _, err := Compile(def); err == nil {
			canonical(t, def)
		}
	})
}

// condition makes a JSON Schema of which of a, b and c are there, and what it says of a set
// of them.
func (m *maker) condition(depth int) (text string, holds func(there string) bool) {
	name := m.one("a", "b", "c")
	kind := m.IntN(6)
	if depth > 2 {
		kind = 0
	}
	switch kind {
	case 0, 1:
		other := m.one("a", "b", "c")
		return fmt.Sprintf(`{"required":["%s","%s"]}`, name, other), func(there string) bool {
			return strings.Contains(there, name) && strings.Contains(there, other)
		}
	case 2:
		text, holds := m.condition(depth + 1)
		return `{"not":` + text + `}`, func(there string) bool { return !holds(there) }
	}
	keyword := []string{"anyOf", "allOf", "oneOf"}[kind-3]
	var texts []string
	var parts []func(string) bool
	for range 1 + m.IntN(3) {
		text, holds := m.condition(depth + 1)
		texts, parts = append(texts, text), append(parts, holds)
	}
	return fmt.Sprintf(`{"%s":[%s]}`, keyword, strings.Join(texts, ",")), func(there string) bool {
		n := 0
		for _, holds := range parts {
			if holds(there) {
				n++
			}
		}
		return map[string]bool{"anyOf": n > 0, "allOf": n == len(parts), "oneOf": n == 1}[keyword]
	}
}

// TestParseJSON_logic: rules of presence mean what they say, however they are written, or
// are refused.
func TestParseJSON_logic(t *testing.T) {
	read := 0
	for seed := range uint64(3000) {
		m := maker{Rand: rand.New(rand.NewPCG(seed, 2))}
		text, holds := m.condition(0)
		def, err := ParseJSON([]byte(property(`{"type":"object","properties":{"a":true,"b":true,"c":true},"allOf":[`+text+`]}`)), testMeta)
		if err != nil {
			continue
		}
		read++
		s, err := Compile(def)
		require.NoError(t, err, text)
		for _, there := range []string{"", "a", "b", "c", "ab", "ac", "bc", "abc"} {
			var members []string
			for _, name := range there {
				members = append(members, fmt.Sprintf(`"%c":1`, name))
			}
			err := s.Validate([]byte(`{"id":"1","v":{` + strings.Join(members, ",") + `}}`))
			require.Equal(t, holds(there), err == nil, "%s with %q: %v", text, there, err)
		}
	}
	require.Greater(t, read, 1500)
}
