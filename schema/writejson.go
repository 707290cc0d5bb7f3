package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/resourcekit/internal/strictjson"
)

// The drafts of JSON Schema, by their URI in $schema.
const (
	Draft07   = "http://json-schema.org/draft-07/schema#"
	Draft2020 = "https://json-schema.org/draft/2020-12/schema"
)

// JSON returns the schema as a JSON Schema: compact, with the fields in their order. The
// result means the same in draft-07 and in 2020-12; draft is its $schema, [Draft07] or
// [Draft2020], or "" for none. The slice is the caller's.
//
// [ParseJSON] is the inverse, up to what Meta holds and to Rules, which are functions:
// JSON leaves both out. Values come back as text (json.Number for a number).
func (s *Schema) JSON(draft string) []byte {
	w := writer{out: []byte{'{'}}
	if draft != "" {
		w.string("$schema", draft)
	}
	w.field(&Field{
		Type: Object, Description: s.def.Description, Fields: s.def.Fields,
		Presence: s.def.Presence, Annotations: s.def.Annotations,
	})
	if retired := s.def.RetiredIndexes; len(retired) > 0 {
		w.name("x-retired-indexes")
		list, _ := json.Marshal(retired) // integers
		w.out = append(w.out, list...)
	}
	return append(w.out, '}')
}

// A writer writes a JSON Schema.
type writer struct{ out []byte }

// name begins a member.
func (w *writer) name(name string) {
	if last := w.out[len(w.out)-1]; last != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(strictjson.AppendQuoted(w.out, name), ':')
}

func (w *writer) string(name, value string) {
	if value != "" {
		w.name(name)
		w.out = strictjson.AppendQuoted(w.out, value)
	}
}

func (w *writer) bool(name string, value bool) {
	if value {
		w.name(name)
		w.out = append(w.out, "true"...)
	}
}

func (w *writer) int(name string, value int) {
	w.name(name)
	w.out = strconv.AppendInt(w.out, int64(value), 10)
}

// sizes writes the bounds of a number of things.
func (w *writer) sizes(things string, least int, most *int) {
	if least > 0 {
		w.int("min"+things, least)
	}
	if most != nil {
		w.int("max"+things, *most)
	}
}

// value writes a value of the Go types of Field.Enum, unless it is nil.
func (w *writer) value(name string, v any) {
	if v != nil {
		w.name(name)
		w.appendValue(v)
	}
}

func (w *writer) appendValue(v any) {
	raw, _ := rawValue(v) // Compile has judged it
	d := strictjson.Get()
	defer strictjson.Put(d)
	if d.Parse(raw, strictjson.MaxDepth) == nil {
		w.out = strictjson.AppendValue(w.out, d, 0)
	}
}

// strings writes an array of strings.
func (w *writer) strings(name string, list []string) {
	w.name(name)
	for i, s := range list {
		w.out = strictjson.AppendQuoted(append(w.out, "[,"[min(i, 1)]), s)
	}
	w.out = append(w.out, ']')
}

// schema writes a member that is the schema of a field.
func (w *writer) schema(name string, f *Field) {
	w.name(name)
	w.out = append(w.out, '{')
	w.field(f)
	w.out = append(w.out, '}')
}

// field writes the keywords of a field.
func (w *writer) field(f *Field) {
	if f.Type != Any {
		w.string("type", string(f.Type))
	}
	if f.Types != nil {
		list := make([]string, len(f.Types))
		for i, t := range f.Types {
			list[i] = string(t)
		}
		w.strings("type", list)
	}
	w.string("description", f.Description)
	w.string("format", f.Format)
	if f.Enum != nil {
		w.name("enum")
		for i, v := range f.Enum {
			w.out = append(w.out, "[,"[min(i, 1)])
			w.appendValue(v)
		}
		w.out = append(w.out, ']')
	}
	w.value("const", f.Const)
	w.string("pattern", f.Pattern)
	w.sizes("Length", f.MinLength, f.MaxLength)
	w.value("minimum", f.Minimum)
	w.value("maximum", f.Maximum)
	w.value("exclusiveMinimum", f.ExclusiveMinimum)
	w.value("exclusiveMaximum", f.ExclusiveMaximum)
	w.value("multipleOf", f.MultipleOf)
	w.value("default", f.Default)
	if len(f.Fields) > 0 {
		w.name("properties")
		w.out = append(w.out, '{')
		var required []string
		for i := range f.Fields {
			w.schema(f.Fields[i].Name, &f.Fields[i])
			if f.Fields[i].Required {
				required = append(required, f.Fields[i].Name)
			}
		}
		w.out = append(w.out, '}')
		if required != nil {
			w.strings("required", required)
		}
		if f.Values == nil {
			w.name("additionalProperties")
			w.out = append(w.out, "false"...)
		}
	}
	if f.Values != nil {
		w.schema("additionalProperties", f.Values)
	}
	w.sizes("Properties", f.MinProperties, f.MaxProperties)
	w.presence(f.Presence)
	if f.Items != nil {
		w.schema("items", f.Items)
	}
	w.sizes("Items", f.MinItems, f.MaxItems)
	w.bool("uniqueItems", f.UniqueItems)
	w.string("x-pii-type", f.PII)
	if f.Index != 0 {
		w.int("x-index", int(f.Index))
	}
	w.bool("x-unique", f.Unique)
	w.string("x-fold", f.Fold)
	for _, name := range slices.Sorted(maps.Keys(f.Annotations)) {
		w.value(name, f.Annotations[name])
	}
}

// presence writes presence rules: the only one as a keyword, several in allOf.
func (w *writer) presence(rules []Presence) {
	if len(rules) == 1 {
		w.rule(rules[0])
		return
	}
	for i, rule := range rules {
		if i == 0 {
			w.name("allOf")
		}
		w.out = append(w.out, "[,"[min(i, 1)], '{')
		w.rule(rule)
		w.out = append(w.out, '}')
		if i == len(rules)-1 {
			w.out = append(w.out, ']')
		}
	}
}

func (w *writer) rule(rule Presence) {
	switch rule.Kind {
	case "anyOf", "oneOf":
		w.oneEach(rule.Kind, rule.Fields)
		w.out = append(w.out, ']')
	case "atMostOne":
		w.oneEach("oneOf", rule.Fields)
		w.out = append(w.out, `,{"not":{`...)
		w.oneEach("anyOf", rule.Fields)
		w.out = append(w.out, `]}}]`...)
	case "notAll":
		w.name("not")
		w.out = append(w.out, '{')
		w.strings("required", rule.Fields)
		w.out = append(w.out, '}')
	case "ifThen":
		w.name("anyOf")
		w.out = append(w.out, `[{"not":{`...)
		w.strings("required", rule.Fields)
		w.out = append(w.out, `}},{`...)
		w.strings("required", rule.Then)
		w.out = append(w.out, `}]`...)
	}
}

// oneEach writes schemas of an object that has one of the fields, for each field; the
// array stays open.
func (w *writer) oneEach(name string, fields []string) {
	w.name(name)
	for i, field := range fields {
		w.out = append(w.out, "[,"[min(i, 1)], '{')
		w.strings("required", []string{field})
		w.out = append(w.out, '}')
	}
}

// isAnnotation reports whether a keyword of JSON Schema judges nothing and has no other
// place in a Field.
func isAnnotation(name string) bool {
	switch name {
	case "title", "examples", "example", "deprecated", "readOnly", "writeOnly", "externalDocs",
		"contentMediaType", "contentEncoding", "$comment":
		return true
	case "x-pii-type", "x-index", "x-unique", "x-fold", "x-retired-indexes", "x-kubernetes-validations":
		return false
	}
	return strings.HasPrefix(name, "x-")
}

// intOrString is an annotation that, if it is true, says the types of a schema without any.
const intOrString = "x-kubernetes-int-or-string"

func isTrue(raw []byte) bool { return string(bytes.TrimSpace(raw)) == "true" }

// wrongAnnotation says what is wrong with an annotation, or "".
func wrongAnnotation(name string, raw []byte, ofRoot bool) string {
	d := strictjson.Get()
	defer strictjson.Put(d)
	if err := d.Parse(raw, strictjson.MaxDepth); err != nil {
		return "expected JSON: " + err.Error()
	}
	switch target, ok := strings.CutPrefix(decoded(raw), "reach:schemas/"); {
	case !utf8.ValidString(name):
		return "expected valid UTF-8"
	case ofRoot && (name == "$ref" || name == "default"):
		return "expected it on a field only"
	case name == "$ref" && !(ok && isName(target)):
		return "expected a reference to a schema, reach:schemas/NAME"
	case name == "$id" && (!ofRoot || raw[0] != '"'):
		return "expected a URI, in the root only"
	case name != "$ref" && name != "$id" && name != "default" && !isAnnotation(name):
		return `the keyword is not known: names of your own begin with "x-"`
	}
	return ""
}
