package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/google/uuid"

	"example.com/resourcekit/internal/strictjson"
)

const (
	maxFields     = 10_000 // of one definition, at all depths; it also bounds a definition that contains itself
	maxExternalID = 512    // bytes
)

// An object is the compiled form of []Field: the fields in their order, and an open
// hash table of their names.
type object struct {
	fields   []field
	table    []uint16 // index of a field plus 1, or 0; at least half of it is 0
	mask     uint32
	required int // how many fields are required
	defaults int // how many fields have a default

	anyRequired bool // here or at any depth below, arrays included

	names     *strictjson.Names // of the fields, in their order; nil if they are too many
	defaulted uint64            // which of them have a default, as bits
	nested    uint64            // and in the values of which declared objects may stand
}

// A field is the compiled form of Field.
type field struct {
	name       string // "" for items
	hash       uint32
	index      int    // in the object
	next       *field // in the object; the first after the last
	typ        Type
	required   bool
	externalID bool
	pii        bool
	format     Format
	accepts    uint // kinds, as bits, of values that need no further judging
	nested     bool // values may contain declared objects
	enum       *enum
	object     *object         // nil if the object is open, or for another type
	items      *field          // nil if any element is allowed, or for another type
	def        *strictjson.Doc // the default, compact, or nil
}

// acceptable has, by type and as bits, the kinds whose values are valid whatever they
// are. Null is not one of them.
var acceptable = [...]uint{
	String:  1 << strictjson.String,
	Boolean: 1<<strictjson.True | 1<<strictjson.False,
	Number:  1 << strictjson.Number,
	Array:   0, // and so for Integer and Object
}

// is reports whether member c of d has the name of f, written without escapes. It is
// the guess before find: members mostly come in the order of the schema, so the next is
// likely to be the field after the last one found.
func (f *field) is(d *strictjson.Doc, c uint32) bool {
	n := &d.Nodes[c]
	return f.hash == n.Hash && n.Escapes&strictjson.InName == 0 && string(d.Src[n.NameStart:n.NameEnd]) == f.name
}

// know makes the names with which documents are read.
func (o *object) know() *strictjson.Names {
	names, inner := make([]string, len(o.fields)), make([]*strictjson.Names, len(o.fields))
	for i := range o.fields {
		f := &o.fields[i]
		names[i] = f.name
		if f.def != nil {
			o.defaulted |= 1 << (i & 63)
		}
		if f.nested {
			o.nested |= 1 << (i & 63)
		}
		if f.items != nil {
			f = f.items
		}
		if f.object != nil {
			inner[i] = f.object.know()
		}
	}
	o.names = strictjson.NewNames(names, inner)
	return o.names
}

// find returns the field with the name of member c of d, or nil.
func (o *object) find(d *strictjson.Doc, c uint32) *field {
	hash := d.Nodes[c].Hash
	for slot := hash & o.mask; o.table[slot] != 0; slot = (slot + 1) & o.mask {
		if f := &o.fields[o.table[slot]-1]; f.hash == hash && d.NameIs(c, hash, f.name) {
			return f
		}
	}
	return nil
}

// named returns the field of this name, or nil.
func (o *object) named(name string) *field {
	hash := strictjson.HashName(name)
	for slot := hash & o.mask; o.table[slot] != 0; slot = (slot + 1) & o.mask {
		if f := &o.fields[o.table[slot]-1]; f.hash == hash && f.name == name {
			return f
		}
	}
	return nil
}

// An enum is a list of allowed values: strings decoded, other values as their text.
type enum struct {
	sorted []string
	want   string // for messages
}

func (e *enum) has(value []byte) bool {
	lo, hi := 0, len(e.sorted)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if e.sorted[mid] < string(value) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(e.sorted) && e.sorted[lo] == string(value)
}

// Compile returns the schema that def declares. The schema keeps a copy of def.
//
// The error is a [*DefinitionError] with every mistake: a missing ID; an invalid name; an
// external id that is not a required string field of the document; an empty or repeated
// field name; a field without a type; properties that do not belong to the type; an
// enum value or default that is not valid for its field; a default on a required field
// or inside items; more than 64 levels; more than 10,000 fields.
func Compile(def Definition) (*Schema, error) {
	c := compiler{}
	if def.ID == uuid.Nil {
		c.mistake("", "the id is missing")
	}
	if !isName(def.Name) {
		c.mistake("", "expected a name of letters, digits, '_' and '-'")
	}
	root := c.object(def.Fields, place{depth: 1})
	id := c.externalID(root, def.ExternalID)
	if len(c.mistakes) > 0 {
		return nil, &DefinitionError{Name: def.Name, Mistakes: c.mistakes}
	}
	root.know()
	return &Schema{def: copyDefinition(def), root: root, id: id}, nil
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
	count    int // fields so far
}

// A place is the position of a field in a definition.
type place struct {
	pointer string
	depth   int  // containers around it, the object that it is in included
	items   bool // it is inside items, at any depth
}

func (c *compiler) mistake(pointer, format string, args ...any) {
	c.mistakes = append(c.mistakes, Violation{Pointer(pointer), CodeDefinition, fmt.Sprintf(format, args...)})
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

// object compiles the fields of an object at p.
func (c *compiler) object(fields []Field, p place) *object {
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
	o.index()
	return o
}

// index makes the table of find, and the next fields of the guess before it.
func (o *object) index() {
	size := 2
	for size < 2*len(o.fields) {
		size *= 2
	}
	o.table, o.mask = make([]uint16, size), uint32(size-1)
	for i := range o.fields {
		o.fields[i].next = &o.fields[(i+1)%len(o.fields)]
		slot := o.fields[i].hash & o.mask
		for o.table[slot] != 0 {
			slot = (slot + 1) & o.mask
		}
		o.table[slot] = uint16(i + 1)
	}
}

// anyRequired reports whether a field inside values of f is required.
func (f *field) anyRequired() bool {
	for f.items != nil {
		f = f.items
	}
	return f.object != nil && f.object.anyRequired
}

// field compiles what a field and items have in common.
func (c *compiler) field(decl *Field, p place) field {
	f := field{typ: decl.Type, required: decl.Required, pii: decl.PII != ""}
	if decl.Type < String || decl.Type > Array {
		c.mistake(p.pointer, "the type is missing")
		return f
	}
	switch {
	case decl.Format == "":
	case decl.Type != String:
		c.mistake(p.pointer, "expected no format on type %v", decl.Type)
	case decl.Format == DateTime:
		f.format = decl.Format
	default:
		c.mistake(p.pointer, "the format %q is not known", decl.Format)
	}
	switch decl.PII {
	case "", PIIEmail, PIIPhone, PIIFirstName, PIILastName, PIIName, PIIExternalID:
	default:
		c.mistake(p.pointer, "the PII mark %q is not known", decl.PII)
	}
	if decl.Type != Object && len(decl.Fields) > 0 {
		c.mistake(p.pointer, "expected no fields on type %v", decl.Type)
	}
	if decl.Type != Array && decl.Items != nil {
		c.mistake(p.pointer, "expected no items on type %v", decl.Type)
	}
	inside := p
	inside.depth++
	before := len(c.mistakes)
	if decl.Type == Object && len(decl.Fields) > 0 {
		f.object = c.object(decl.Fields, inside)
		f.nested = true
	}
	if decl.Type == Array && decl.Items != nil {
		inside.pointer += "/items"
		inside.items = true
		f.items = c.items(decl.Items, inside)
		f.nested = f.items.nested
	}
	if len(c.mistakes) > before {
		return f // an enum or default cannot be judged by a field that is wrong
	}
	f.enum = c.enum(decl, &f, p)
	if f.enum == nil && f.format == "" {
		f.accepts = acceptable[f.typ]
	}
	f.def = c.defaultOf(decl, &f, p)
	return f
}

func (c *compiler) items(decl *Field, p place) *field {
	if c.count++; c.count > maxFields || p.depth > strictjson.MaxDepth {
		c.mistake(p.pointer, "expected at most %d levels and %d fields in all", strictjson.MaxDepth, maxFields)
		return &field{}
	}
	if decl.Name != "" {
		c.mistake(p.pointer, "expected no name on items")
	}
	if decl.Required {
		c.mistake(p.pointer, "expected no required mark on items")
	}
	f := c.field(decl, p)
	f.required = false
	return &f
}

func (c *compiler) enum(decl *Field, f *field, p place) *enum {
	if decl.Enum == nil {
		return nil
	}
	if decl.Type == Object || decl.Type == Array {
		c.mistake(p.pointer, "expected no enum on type %v", decl.Type)
		return nil
	}
	if len(decl.Enum) == 0 {
		c.mistake(p.pointer, "the enum allows no value")
		return nil
	}
	e := &enum{}
	seen := make(map[string]bool, len(decl.Enum))
	var shown []string
	for i, v := range decl.Enum {
		raw, err := c.value(v, f, p)
		if err != nil {
			c.mistake(p.pointer, "value %d of the enum: %v", i, err)
			continue
		}
		text := string(raw)
		if f.typ == String {
			text = decoded(raw)
		}
		if seen[text] {
			c.mistake(p.pointer, "value %d of the enum stands there twice", i)
		}
		seen[text] = true
		e.sorted = append(e.sorted, text)
		shown = append(shown, string(raw))
	}
	slices.Sort(e.sorted)
	e.want = wantOneOf(shown)
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
	raw, err := c.value(decl.Default, f, p)
	if err != nil {
		c.mistake(p.pointer, "the default: %v", err)
		return nil
	}
	d := new(strictjson.Doc)
	if err := d.Parse(raw, strictjson.MaxDepth); err != nil {
		c.mistake(p.pointer, "the default: %v", err) // not reached: value has parsed it
	}
	return d
}

// value returns v as compact JSON. The error tells why it is not valid for f.
func (c *compiler) value(v any, f *field, p place) ([]byte, error) {
	raw, err := rawValue(v)
	if err != nil {
		return nil, err
	}
	w := getWorkspace()
	defer w.put()
	if err := w.merged.Parse(raw, strictjson.MaxDepth-p.depth); err != nil {
		return nil, err
	}
	w.judge.doc = &w.merged
	nothing := storedObject{node: none}
	w.judge.value(f, 0, &nothing, true)
	w.judge.missingIn(f, 0, &nothing, true)
	if len(w.judge.violations) > 0 {
		return nil, wrongValue{w.judge.violations[0]}
	}
	if f.object != nil {
		if w.view.look(f.object, &w.merged); w.view.unfilled {
			return nil, errors.New("a field that has a default itself is absent in it")
		}
	}
	if w.merged.Blanks {
		raw = strictjson.AppendCompact(nil, raw)
	}
	return raw, nil
}

// wrongValue is the error of a value that is not valid for its field.
type wrongValue struct{ Violation }

func (e wrongValue) Error() string { return e.String() }

// rawValue returns the JSON text of a Go value of the types of Field.Enum.
func rawValue(v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("expected valid UTF-8")
		}
		return strictjson.AppendQuoted(nil, v), nil
	case bool:
		return strconv.AppendBool(nil, v), nil
	case int:
		return strconv.AppendInt(nil, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(nil, v, 10), nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, errors.New("expected a finite number")
		}
		return json.Marshal(v)
	case json.Number:
		return []byte(v), nil
	case json.RawMessage:
		return slices.Clone([]byte(v)), nil
	}
	switch v := reflect.ValueOf(v); v.Kind() { // a type of the program's own
	case reflect.String:
		return rawValue(v.String())
	case reflect.Bool:
		return rawValue(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rawValue(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(nil, v.Uint(), 10), nil
	case reflect.Float64:
		return rawValue(v.Float())
	}
	return nil, fmt.Errorf("a value of Go type %T; expected a string, a bool, an integer, a float64, json.Number or json.RawMessage", v)
}

// decoded returns the value of a valid JSON string.
func decoded(raw []byte) string {
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return ""
	}
	return s
}

func pointerTo(parent, name string) string {
	return parent + string(strictjson.AppendPointer(nil, []byte(name)))
}
