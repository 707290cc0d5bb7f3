package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// A Definition declares a schema. It is plain data; [Compile] judges it.
type Definition struct {
	// ID is part of the identity of each resource of the schema. It must be set, and
	// must not change when fields are edited.
	ID uuid.UUID
	// Name is the schema's name for people, and in routes: ASCII letters, digits, '_'
	// and '-'.
	Name string
	// Description is for people. Optional.
	Description string
	// ExternalID is the name of the field that identifies a resource for the clients: a
	// required string field of Fields.
	ExternalID string
	// Fields are the fields of a document. Missing ones are reported in this order.
	Fields []Field
	// RetiredIndexes are the numbers of indexes that earlier editions of the schema had:
	// no field can have them. Optional.
	RetiredIndexes []uint32
	// Presence says which of Fields a document may have together. Optional.
	Presence []Presence
	// Rules are functions that judge a document as a whole. Optional.
	Rules []Rule
	// Annotations are as in a Field, and $id. Optional.
	Annotations map[string]json.RawMessage
}

// A Field declares a member of an object, or (as Items) the elements of an
// array.
type Field struct {
	// Name is the member's name: any valid UTF-8, not empty, unique in its
	// object. The Name of Items is empty.
	Name string
	// Description is for people. Optional.
	Description string
	// Type is the kind of value. It must be set, or Types. A field of type Any has none of
	// the keywords that narrow values, no Index and no [Condition] with a value.
	Type Type
	// Types are the kinds of value of a union, in place of Type: two or more of String,
	// Boolean, and Number or Integer. Each keyword below narrows the values of its own
	// kind. A union has no Index, no Fold and no [Condition] with a value.
	Types []Type
	// Format narrows a String, or with int32 and int64 an Integer, by its name in JSON
	// Schema or OpenAPI. Optional.
	//
	//	date-time  RFC 3339, section 5.6, with a calendar check: T and Z may be in either
	//	           case, and second 60 is valid only at 23:59:60 UTC
	//	date       RFC 3339, section 5.6: full-date, with a calendar check
	//	duration   RFC 3339, appendix A: P1DT12H, P3W
	//	uuid       RFC 9562, section 4, in either case
	//	uri        RFC 3986, section 3, with a scheme
	//	email      RFC 5321, section 4.1.2: Mailbox, without quotes and comments
	//	hostname   RFC 1123, section 2.1, at most 253 bytes
	//	ipv4       RFC 2673, section 3.2: dotted quad
	//	ipv6       RFC 4291, section 2.2, without a zone
	//	byte       RFC 4648, section 4: base64 with its padding
	//	e164       ITU-T E.164: a telephone number, '+' and 2 to 15 digits
	//	int32      -2147483648 to 2147483647
	//	int64      -9223372036854775808 to 9223372036854775807
	Format string
	// Enum lists the allowed values, at most 1,000, of a String, Boolean, Number or
	// Integer. Optional. Each is a string, a bool, an integer or a float64, of any type
	// with one of these as its underlying type, or a [json.Number] or [json.RawMessage].
	// Values are compared as in JSON Schema: 1 and 1.0 are equal.
	Enum []any
	// Const is the only allowed value, of the Go types of Enum; nil for none. A field
	// has a Const or an Enum.
	Const any
	// Pattern is a regular expression that a String contains a match of; write ^ and $ to
	// match all of it. Optional. At most 4,096 bytes, and 10,000 instructions once it
	// is compiled.
	//
	// The syntax is that of [regexp/syntax], so that a match takes time linear in the
	// string, with the meanings of ECMA-262 where the two differ: \uXXXX, \u{XXXXX} and
	// \cX are characters, \s is all white space of Unicode, and a dot is no line
	// terminator. Look-around and back-references do not exist.
	Pattern string
	// MinLength and MaxLength bound a String, in Unicode code points. Optional.
	MinLength int
	MaxLength *int
	// Minimum, Maximum, ExclusiveMinimum and ExclusiveMaximum bound a Number or Integer;
	// nil for none. Each is a number of the Go types of Enum. They are compared by value
	// and exactly, as in a [Condition].
	Minimum, Maximum                   any
	ExclusiveMinimum, ExclusiveMaximum any
	// MultipleOf is what a Number or Integer is an integral multiple of, exactly: 0.01
	// allows 19.99. A positive number of the Go types of Enum: at most 18 digits, times
	// ten to the power of -999 to 999; nil for none.
	MultipleOf any
	// Required fields must be in every document that is inserted, and an update cannot
	// remove them. (A document that was stored before the field was required may lack
	// it.) Not for Items.
	Required bool
	// Default is the value that an absent field gets, of the Go types of Enum; nil for
	// none. It must be valid for the field. If it is an object, absent fields of
	// it have their own defaults. Not for a Required field and not inside Items.
	// Filling it in costs a copy of the document.
	Default any
	// PII says which personal data the field holds: "EMAIL", "PHONE", "FIRST_NAME",
	// "LAST_NAME", "NAME" or "EXTERNAL_ID". Optional. [Schema.Redact] hides the values
	// of such fields; nothing else depends on it.
	PII string
	// Index is the number of the field's index, by which documents are found and sorted:
	// 1 to 65,535, or 0 for none. A number is assigned once. When Type, Format, Fold or
	// Unique changes, give the field a new number, and put the old one in RetiredIndexes;
	// also that of a field that you remove. A new Default needs no new number, but the
	// index to be built again. At most 14 fields have an index. Not for an Object or an
	// Array, and not inside Items.
	Index uint32
	// Unique makes the value unique among the documents of a tenant; any number of them
	// may lack the field. Values are compared as in a [Condition]. It needs an Index, and
	// neither the field nor an object around it has a Default.
	Unique bool
	// Fold is "lower" if filters and the index compare strings in lower case, or "" if case
	// counts. Lower case is [unicode.ToLower] of each character, without a locale, in the
	// version of the Go toolchain. What is stored and shown stays as it is. Only for a
	// String that is no date-time, and not inside Items.
	Fold string
	// Fields are the fields of an Object. Without any and without Values, the object is
	// open: it may have any member.
	Fields []Field
	// Values makes an Object a map: it may have members of any names, and Values declares
	// those that are not in Fields. Merging, unknown fields, defaults and personal data
	// in a value are as in a field of its own. Values has no Name, and is neither Required
	// nor has a Default; no field in it has an Index. Optional.
	Values *Field
	// MinProperties and MaxProperties bound the number of members of an Object, as a
	// reader sees it: with defaults, and without undeclared members. Optional.
	MinProperties int
	MaxProperties *int
	// Presence says which of Fields an Object may have together. Optional.
	Presence []Presence
	// Items declares the elements of an Array. If it is nil, they may be any values.
	Items *Field
	// MinItems and MaxItems bound the number of elements of an Array. Optional.
	MinItems int
	MaxItems *int
	// UniqueItems allows no two equal elements in an Array. Values are compared as in JSON
	// Schema: numbers by value, so that 1 and 1.0 are equal, and objects without regard
	// to the order of their members.
	UniqueItems bool
	// Annotations are other keywords of JSON Schema, with their values as JSON. Optional.
	// They judge nothing: [ParseJSON] keeps them, and [Schema.JSON] gives them back. They
	// are title, examples, example, deprecated, readOnly, writeOnly, externalDocs,
	// contentMediaType, contentEncoding, $comment, and each name that begins with "x-"
	// and is not that of a field above. A String may have a $ref, "reach:schemas/NAME":
	// it holds the external id of a resource of that schema, which need not exist. Where
	// a Default cannot be, an annotation default may be; it fills nothing.
	Annotations map[string]json.RawMessage
}

// A Presence is a rule about which fields of an object are there. A field with a default
// is always there. The rule is judged in the merged object; in an update only if one of its
// fields comes or goes.
type Presence struct {
	// Kind is what the rule demands:
	//
	//	anyOf      at least one of Fields
	//	oneOf      exactly one of Fields
	//	atMostOne  at most one of Fields
	//	notAll     not all of Fields
	//	ifThen     if all of Fields, then also all of Then
	Kind string
	// Fields are names of fields of the object, each once: at least two, one for
	// ifThen.
	Fields []string
	// Then are more of them, only for ifThen.
	Then []string
}

// A Rule judges what no keyword says. It runs after everything else, and only if there is
// no violation: in each create, patch, import and restore, also in a batch or a dry run.
type Rule struct {
	// Name is for errors about the rule: ASCII letters, digits, '_' and '-', unique in its
	// definition.
	Name string
	// Check returns what is wrong with merged, the document that would be stored: with
	// its defaults, and with stored members that are not declared. stored is the document
	// before, as it was stored, nil on an insert. An update that changes nothing is not
	// checked.
	//
	// A violation without a Code has the code "rule". Its Message must hold no value of
	// the document.
	//
	// Check must be safe for concurrent use, must not change or keep its arguments, and
	// depends on nothing else: it may run several times for one write. If it panics, or
	// returns a Pointer that is not a JSON Pointer or a violation without a Message, the
	// write fails with an error that names the rule, and nothing is stored.
	Check func(merged, stored []byte) []Violation
}

// A Type is a kind of JSON value, by its name in JSON Schema.
type Type string

// The types.
const (
	String  Type = "string"
	Boolean Type = "boolean" // true or false
	Number  Type = "number"  // any number
	Integer Type = "integer" // a number whose value is integral, however it is written
	Object  Type = "object"
	Array   Type = "array"
	Any     Type = "any" // each value but null; JSON Schema has no name for it
)

// A Schema is a compiled [Definition]. It is immutable and safe for concurrent use. Make
// one with [Compile]; the zero value cannot be used.
type Schema struct {
	def  Definition
	root *object
	id   *field // that of the external id, in root

	indexed []indexed // in the order of their numbers
}

// ID returns the definition's ID.
func (s *Schema) ID() uuid.UUID { return s.def.ID }

// Name returns the definition's Name.
func (s *Schema) Name() string { return s.def.Name }

// Definition returns a deep copy of the definition that the schema was compiled from.
// The caller may keep and change it.
func (s *Schema) Definition() Definition { return copyDefinition(s.def) }

func copyDefinition(def Definition) Definition {
	def.Fields = copyFields(def.Fields)
	def.RetiredIndexes = slices.Clone(def.RetiredIndexes)
	def.Presence = copyPresence(def.Presence)
	def.Rules = slices.Clone(def.Rules)
	def.Annotations = copyAnnotations(def.Annotations)
	return def
}

func copyAnnotations(m map[string]json.RawMessage) map[string]json.RawMessage {
	m = maps.Clone(m)
	for name, raw := range m {
		m[name] = bytes.Clone(raw)
	}
	return m
}

func copyPresence(list []Presence) []Presence {
	list = slices.Clone(list)
	for i := range list {
		list[i].Fields, list[i].Then = slices.Clone(list[i].Fields), slices.Clone(list[i].Then)
	}
	return list
}

func copyFields(fields []Field) []Field {
	fields = slices.Clone(fields)
	for i := range fields {
		fields[i] = copyField(fields[i])
	}
	return fields
}

func copyField(f Field) Field {
	f.Enum = slices.Clone(f.Enum)
	for i, v := range f.Enum {
		f.Enum[i] = copyValue(v)
	}
	f.Types = slices.Clone(f.Types)
	for _, v := range []*any{&f.Default, &f.Const, &f.Minimum, &f.Maximum, &f.ExclusiveMinimum, &f.ExclusiveMaximum, &f.MultipleOf} {
		*v = copyValue(*v)
	}
	for _, n := range []**int{&f.MaxLength, &f.MaxItems, &f.MaxProperties} {
		*n = copyOf(*n, func(n int) int { return n })
	}
	f.Fields, f.Presence = copyFields(f.Fields), copyPresence(f.Presence)
	f.Annotations = copyAnnotations(f.Annotations)
	f.Values, f.Items = copyOf(f.Values, copyField), copyOf(f.Items, copyField)
	return f
}

// copyOf returns nil for nil, or a pointer to a copy of what p points to.
func copyOf[T any](p *T, deep func(T) T) *T {
	if p == nil {
		return nil
	}
	v := deep(*p)
	return &v
}

func copyValue(v any) any {
	if raw, ok := v.(json.RawMessage); ok {
		return json.RawMessage(bytes.Clone(raw))
	}
	return v
}
