package schema

import (
	"bytes"
	"encoding/json"
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
}

// A Field declares a member of an object, or (as Items) the elements of an
// array.
type Field struct {
	// Name is the member's name: any valid UTF-8, not empty, unique in its
	// object. The Name of Items is empty.
	Name string
	// Description is for people. Optional.
	Description string
	// Type is the kind of value. It must be set.
	Type Type
	// Format narrows a String, by its name in JSON Schema. Optional. The only one is
	// "date-time": RFC 3339, section 5.6, with a calendar check. T and Z may be in
	// either case, and second 60 is valid only where a leap second can be (23:59:60
	// UTC).
	Format string
	// Enum lists the allowed values of a String, Boolean, Number or Integer. Optional.
	// Each is a string, a bool, an integer or a float64, of any type with one of these
	// as its underlying type, or a [json.Number] or [json.RawMessage]. Strings are
	// compared by value, other values by their text.
	Enum []any
	// Required fields must be in every document that is inserted, and an update cannot
	// remove them. (A document that was stored before the field was required may lack
	// it.) Not for Items.
	Required bool
	// Default is the value that an absent field gets, of the Go types of Enum; nil for
	// none. It must be valid for the field. If it is an object, it must have the
	// defaults of its own fields. Not for a Required field and not inside Items.
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
	// String without a Format, and not inside Items.
	Fold string
	// Fields are the fields of an Object. Without any, the object is open: it may have
	// any member.
	Fields []Field
	// Items declares the elements of an Array. If it is nil, they may be any values.
	Items *Field
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
)

// dateTime is the only format.
const dateTime = "date-time"

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
	return def
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
	f.Default = copyValue(f.Default)
	f.Fields = copyFields(f.Fields)
	if f.Items != nil {
		items := copyField(*f.Items)
		f.Items = &items
	}
	return f
}

func copyValue(v any) any {
	if raw, ok := v.(json.RawMessage); ok {
		return json.RawMessage(bytes.Clone(raw))
	}
	return v
}
