package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

const (
	maxFields     = 10_000 // of one definition, at all depths; it also bounds a definition that contains itself
	maxExternalID = 512    // bytes
	maxIndex      = 65_535 // the greatest number of an index
	maxIndexed    = 14     // fields of one definition
	maxEnum       = 1000   // values of one enum
)

// Compile returns the schema that def declares. The schema keeps a copy of def.
//
// The error is a [*ValidationError] with every mistake: a missing ID; an invalid name; an
// external id that is not a required string field of the document; an empty or repeated
// field name; a field without a type; keywords that do not belong to the type; a pattern
// that cannot be compiled, with the place in it; bounds between which nothing is; a rule
// of presence of fields that are not there; a rule without a name or a function; a
// description that is not UTF-8; an annotation that is not one; an enum value or default
// that is not valid for its field; a default on a required field or
// inside items; an index, a unique mark or a fold where it cannot be; an index number that
// is retired or has another field; more than 64 levels, 10,000 fields, 14 indexes, 1,000
// values of an enum, 64 rules of presence in an object, or 500,000 instructions in all
// patterns.
func Compile(def Definition) (*Schema, error) {
	c := compiler{indexes: make(map[uint32]string), patterns: patterns{compiled: make(map[string]*matcher), room: maxAllStates}}
	for _, number := range def.RetiredIndexes {
		c.indexes[number] = "retired"
	}
	if def.ID == uuid.Nil {
		c.mistake("", "the id is missing")
	}
	if !isName(def.Name) {
		c.mistake("", "expected a name of letters, digits, '_' and '-'")
	}
	c.prose(def.Description, def.Annotations, "", true)
	root := c.object(&Field{Fields: def.Fields, Presence: def.Presence}, place{depth: 1})
	id := c.externalID(root, def.ExternalID)
	s := &Schema{root: root, id: id}
	s.addIndexed(root, nil)
	for _, x := range s.indexed {
		if x.unique && slices.ContainsFunc(x.path, func(f *field) bool { return f.def != nil }) {
			c.mistake(string(pointerOf(x.path)), "expected no default for a unique field or an object around it")
		}
	}
	c.rules(def.Rules)
	if len(c.mistakes) > 0 {
		return nil, &ValidationError{Of: "definition " + strconv.Quote(def.Name), Violations: c.mistakes}
	}
	root.makeNames()
	s.def = copyDefinition(def) // not before: a definition that contains itself has no end
	return s, nil
}

// MustCompile is Compile for variables of a package: it panics if def has a mistake.
func MustCompile(def Definition) *Schema {
	s, err := Compile(def)
	if err != nil {
		panic(err)
	}
	return s
}

func isName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-') {
			return false
		}
	}
	return s != ""
}

type compiler struct {
	mistakes []Violation
	count    int               // fields so far
	indexes  map[uint32]string // the pointers of the fields with an index, or "retired", by number
	indexed  int               // fields with an index so far
	patterns patterns
}

// A place is the position of a field in a definition.
type place struct {
	pointer string
	depth   int  // containers around it, the object that it is in included
	items   bool // it is inside items, at any depth
	values  bool // it is inside values, at any depth
}

func (c *compiler) mistake(pointer, format string, args ...any) {
	c.mistakes = append(c.mistakes, Violation{Pointer(pointer), codeDefinition, fmt.Sprintf(format, args...)})
}

// externalID returns the field of the external id.
func (c *compiler) externalID(root *object, name string) *field {
	i := slices.IndexFunc(root.fields, func(f field) bool { return f.name == name })
	switch {
	case name == "":
		c.mistake("", "the name of the external id field is missing")
	case i < 0:
		c.mistake("", "the external id field %q is not declared", name)
	case root.fields[i].typ != String || !root.fields[i].required:
		c.mistake(pointerTo("", name), "expected a required string as the external id")
	default:
		root.fields[i].externalID = true
		root.fields[i].accepts = 0
		return &root.fields[i]
	}
	return nil
}

// object compiles the members of an object at p.
func (c *compiler) object(decl *Field, p place) *object {
	fields := decl.Fields
	o := &object{fields: make([]field, 0, min(len(fields), maxFields))}
	if p.depth > strictjson.MaxDepth {
		c.mistake(p.pointer, "expected at most %d levels", strictjson.MaxDepth)
		return o
	}
	names := make(map[string]bool, min(len(fields), maxFields))
	for i := range fields {
		if c.count++; c.count > maxFields {
			if c.count == maxFields+1 {
				c.mistake("", "expected at most %d fields in all", maxFields)
			}
			return o
		}
		decl := &fields[i]
		at := p
		at.pointer = pointerTo(p.pointer, decl.Name)
		switch {
		case decl.Name == "":
			c.mistake(at.pointer, "the name is empty")
		case !utf8.ValidString(decl.Name):
			c.mistake(at.pointer, "the name is not valid UTF-8")
		case names[decl.Name]:
			c.mistake(at.pointer, "the name is declared twice")
		}
		names[decl.Name] = true

		f := c.field(decl, at)
		f.name, f.hash, f.index = decl.Name, strictjson.HashName(decl.Name), i
		if f.required {
			o.required++
		}
		if f.def != nil {
			o.defaults++
		}
		o.anyRequired = o.anyRequired || f.required || f.anyRequired()
		o.fields = append(o.fields, f)
	}
	if decl.Values != nil {
		p.values = true
		if decl.Values.Default != nil {
			c.mistake(p.pointer+"/values", "expected no default on values: only a field has one")
		}
		o.values = c.unnamed(decl.Values, "values", p)
		o.anyRequired = o.anyRequired || o.values.required || o.values.anyRequired()
	}
	o.makeTable()
	c.presence(decl.Presence, o, p)
	return o
}

// field compiles what a field and items have in common.
func (c *compiler) field(decl *Field, p place) field {
	f := field{required: decl.Required, pii: decl.PII != ""}
	if !c.types(decl, &f, p) {
		return f
	}
	if decl.Format != "" {
		f.format = formats[decl.Format]
		f.dateTime = decl.Format == dateTime
		switch {
		case f.format == nil:
			c.mistake(p.pointer, "the format %q is not known", decl.Format)
		case !f.isKind(f.format.of) || decl.Type == Any || f.format.of == strictjson.Number && !f.integral:
			c.mistake(p.pointer, "expected no format %s on type %s", decl.Format, f.want)
		}
	}
	switch decl.PII {
	case "", "EMAIL", "PHONE", "FIRST_NAME", "LAST_NAME", "NAME", "EXTERNAL_ID":
	default:
		c.mistake(p.pointer, "the PII mark %q is not known", decl.PII)
	}
	c.prose(decl.Description, decl.Annotations, p.pointer, false)
	if decl.Type != String && decl.Annotations["$ref"] != nil {
		c.mistake(p.pointer, "expected no $ref on type %s", f.want)
	}
	if decl.Type == Any && isTrue(decl.Annotations[intOrString]) {
		c.mistake(p.pointer, "expected a union of integer and string with %s", intOrString)
	}
	if decl.Annotations["default"] != nil && !p.items && !decl.Required && decl.Name != "" {
		c.mistake(p.pointer, "expected a Default in place of the annotation")
	}
	c.index(decl, &f, p)
	before := len(c.mistakes)
	for _, k := range []struct {
		name string
		set  bool
		of   Type
	}{
		{"pattern", decl.Pattern != "", String},
		{"minLength", decl.MinLength != 0, String},
		{"maxLength", decl.MaxLength != nil, String},
		{"minimum", decl.Minimum != nil || decl.ExclusiveMinimum != nil, Number},
		{"maximum", decl.Maximum != nil || decl.ExclusiveMaximum != nil, Number},
		{"multipleOf", decl.MultipleOf != nil, Number},
		{"fields", len(decl.Fields) > 0, Object},
		{"values", decl.Values != nil, Object},
		{"minProperties", decl.MinProperties != 0, Object},
		{"maxProperties", decl.MaxProperties != nil, Object},
		{"presence", len(decl.Presence) > 0, Object},
		{"items", decl.Items != nil, Array},
		{"minItems", decl.MinItems != 0, Array},
		{"maxItems", decl.MaxItems != nil, Array},
		{"uniqueItems", decl.UniqueItems, Array},
	} {
		if k.set && (f.kinds&kindsOf[k.of] == 0 || decl.Type == Any) {
			c.mistake(p.pointer, "expected no %s on type %s", k.name, f.want)
		}
	}
	f.checks = c.checks(decl, &f, p)
	inside := p
	inside.depth++
	switch {
	case decl.Type == Object && (len(decl.Fields) > 0 || decl.Values != nil):
		f.object = c.object(decl, inside)
		f.nested = len(decl.Fields) > 0 || f.object.values != nil && f.object.values.nested
	case decl.Type == Object && len(decl.Presence) > 0:
		c.mistake(p.pointer, "expected no presence on an object without fields")
	case decl.Type == Array && decl.Items != nil:
		inside.items = true
		f.items = c.unnamed(decl.Items, "items", inside)
		f.nested = f.items.nested
	}
	if len(c.mistakes) > before {
		return f // an enum or default cannot be judged by a field that is wrong
	}
	f.enum = c.enum(decl, &f, p)
	if f.enum == nil && f.format == nil && f.checks == nil && (decl.Type == Any || f.kinds&(kindsOf[Object]|kindsOf[Array]) == 0) {
		f.accepts = f.kinds &^ kindsOf[Object] // whose members may be null
		if f.integral {
			f.accepts &^= kindsOf[Integer]
		}
	}
	f.def = c.defaultOf(decl, &f, p)
	return f
}

// types compiles the types of a field. It reports whether they are right.
func (c *compiler) types(decl *Field, f *field, p place) bool {
	before := len(c.mistakes)
	types := decl.Types
	switch {
	case decl.Type == Any && types == nil:
		f.kinds, f.want = kindsOf[Any], "any"
		return true
	case decl.Type != "" && types != nil:
		c.mistake(p.pointer, "expected a type or a union of types, not both")
	case decl.Type != "":
		f.typ, types = decl.Type, []Type{decl.Type}
	case types == nil:
		c.mistake(p.pointer, "the type is missing")
	case len(types) < 2:
		c.mistake(p.pointer, "expected a union of two types or more")
	}
	for i, t := range types {
		switch kinds := kindsOf[t]; {
		case kinds == 0:
			c.mistake(p.pointer, "the type %q is not known", t)
		case f.kinds&kinds != 0:
			c.mistake(p.pointer, "the union has %s, and another type with such values", t)
		case f.typ == "" && (t == Object || t == Array || t == Any):
			c.mistake(p.pointer, "expected no %s in a union", t)
		default:
			f.kinds |= kinds
		}
		if i > 0 {
			f.want += " or "
		}
		f.want += string(t)
		f.integral = f.integral || t == Integer
	}
	return len(c.mistakes) == before
}

// prose judges what is for people and other programs.
func (c *compiler) prose(description string, m map[string]json.RawMessage, pointer string, ofRoot bool) {
	if !utf8.ValidString(description) {
		c.mistake(pointer, "the description is not valid UTF-8")
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if why := wrongAnnotation(name, m[name], ofRoot); why != "" {
			c.mistake(pointer, "the annotation %q: %s", name, why)
		}
	}
}

// index compiles how values of a field are compared and found.
func (c *compiler) index(decl *Field, f *field, p place) {
	f.number, f.unique, f.lower = decl.Index, decl.Unique, decl.Fold != ""
	switch {
	case decl.Fold == "":
	case decl.Fold != "lower":
		c.mistake(p.pointer, "the fold %q is not known", decl.Fold)
	case decl.Type != String || decl.Format == dateTime || p.items:
		c.mistake(p.pointer, "expected a fold only on a string that is no date-time and not inside items")
	}
	if decl.Index == 0 {
		if decl.Unique {
			c.mistake(p.pointer, "a unique field needs an index")
		}
		return
	}
	switch holder := c.indexes[decl.Index]; {
	case decl.Index > maxIndex:
		c.mistake(p.pointer, "expected an index number up to %d", maxIndex)
	case f.kinds&(kindsOf[Object]|kindsOf[Array]) != 0 || f.typ == "" || p.items || p.values:
		c.mistake(p.pointer, "expected an index only on a string, boolean, number or integer that is not inside items or values")
	case holder == "retired":
		c.mistake(p.pointer, "the index number %d is retired", decl.Index)
	case holder != "":
		c.mistake(p.pointer, "the index number %d is that of %s", decl.Index, holder)
	default:
		c.indexes[decl.Index] = p.pointer
		if c.indexed++; c.indexed == maxIndexed+1 {
			c.mistake("", "expected at most %d fields with an index", maxIndexed)
		}
	}
}

// unnamed compiles items or values, as name says.
func (c *compiler) unnamed(decl *Field, name string, p place) *field {
	p.pointer += "/" + name
	if c.count++; c.count > maxFields || p.depth > strictjson.MaxDepth {
		c.mistake(p.pointer, "expected at most %d levels and %d fields in all", strictjson.MaxDepth, maxFields)
		return &field{}
	}
	if decl.Name != "" {
		c.mistake(p.pointer, "expected no name on %s", name)
	}
	if decl.Required {
		c.mistake(p.pointer, "expected no required mark on %s", name)
	}
	f := c.field(decl, p)
	f.required = false
	return &f
}

func (c *compiler) enum(decl *Field, f *field, p place) *enum {
	values, name := decl.Enum, "enum"
	if decl.Const != nil {
		values, name = []any{decl.Const}, "const"
	}
	switch {
	case values == nil:
		return nil
	case decl.Const != nil && decl.Enum != nil:
		c.mistake(p.pointer, "expected a const or an enum, not both")
		return nil
	case f.kinds&(kindsOf[Object]|kindsOf[Array]) != 0:
		c.mistake(p.pointer, "expected no %s on type %s", name, f.want)
		return nil
	case len(values) == 0:
		c.mistake(p.pointer, "the enum allows no value")
		return nil
	case len(values) > maxEnum:
		c.mistake(p.pointer, "expected at most %d values in the enum", maxEnum)
		return nil
	}
	e := &enum{code: codeEnum}
	seen := make(map[string]bool, len(values))
	var shown []string
	for i, v := range values {
		raw, err := valueOf(v, f, p)
		if err != nil {
			if name == "const" {
				c.mistake(p.pointer, "the const: %v", err)
			} else {
				c.mistake(p.pointer, "value %d of the enum: %v", i, err)
			}
			continue
		}
		key := string(raw)
		switch {
		case raw[0] == '"':
			e.strings = append(e.strings, decoded(raw))
			key = `"` + decoded(raw)
		case raw[0] == 't' || raw[0] == 'f':
			e.others = append(e.others, key)
		default:
			key = string(indexvalue.AppendNumber(nil, raw))
			e.others = append(e.others, key)
		}
		if seen[key] {
			c.mistake(p.pointer, "value %d of the enum repeats an earlier one", i)
		}
		seen[key] = true
		shown = append(shown, string(raw))
	}
	slices.Sort(e.strings)
	slices.Sort(e.others)
	e.want = wantOneOf(shown)
	if name == "const" && len(shown) > 0 {
		e.code, e.want = codeConst, "expected "+cutText(shown[0])
	}
	return e
}

// wantOneOf returns the message for an enum: its values in the declared order, cut after
// some 100 bytes.
func wantOneOf(values []string) string {
	const maxList = 100
	text := ""
	for i, v := range values {
		if len(text)+len(v) > maxList {
			text += "…"
			return "expected one of " + strconv.Itoa(len(values)) + " values: " + text
		}
		text += v
		if i < len(values)-1 {
			text += ", "
		}
	}
	return "expected one of " + text
}

func (c *compiler) defaultOf(decl *Field, f *field, p place) *strictjson.Doc {
	if decl.Default == nil {
		return nil
	}
	if p.items {
		c.mistake(p.pointer, "expected no default inside items: an array is stored as it was sent")
		return nil
	}
	if decl.Required {
		c.mistake(p.pointer, "expected no default on a required field")
		return nil
	}
	raw, err := valueOf(decl.Default, f, p)
	if err != nil {
		c.mistake(p.pointer, "the default: %v", err)
		return nil
	}
	d := new(strictjson.Doc)
	if err := d.Parse(raw, strictjson.MaxDepth); err != nil {
		c.mistake(p.pointer, "the default: %v", err) // not reached: valueOf has parsed it
	}
	return d
}

// valueOf returns v as compact JSON. The error tells why it is not valid for f.
func valueOf(v any, f *field, p place) ([]byte, error) {
	w := getWorkspace()
	defer w.put()
	if err := w.value(v, f, p.depth); err != nil {
		return nil, err
	}
	if f.object != nil {
		if w.view.look(f.object, &w.merged); w.view.unfilled {
			return w.view.append(nil, f.object, 0, false), nil
		}
	}
	if w.merged.Blanks {
		return strictjson.AppendCompact(nil, w.merged.Src), nil
	}
	return w.merged.Src, nil
}

// value reads v into w.merged. The error tells why it is not valid for f, which is in so
// many containers.
func (w *workspace) value(v any, f *field, depth int) error {
	raw, err := rawValue(v)
	if err != nil {
		return err
	}
	if err := w.merged.Parse(raw, strictjson.MaxDepth-depth); err != nil {
		return err
	}
	w.judge.doc = &w.merged
	nothing := storedObject{node: none}
	w.judge.value(f, 0, &nothing, true)
	w.judge.missingIn(f, 0, &nothing, true)
	if len(w.judge.violations) > 0 {
		return wrongValue{w.judge.violations[0]}
	}
	return nil
}

// wrongValue is the error of a value that is not valid for its field.
type wrongValue struct{ Violation }

func (e wrongValue) Error() string { return e.String() }

func pointerTo(parent, name string) string {
	return parent + string(strictjson.AppendPointer(nil, []byte(name)))
}
