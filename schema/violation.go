package schema

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"example.com/resourcekit/internal/strictjson"
)

const (
	maxViolations = 100 // kept in one ValidationError
	maxShownPath  = 192 // bytes of a pointer, after which no more names of clients are added
	maxErrorText  = 4 << 10
)

// The codes of violations.
const (
	codeType         = "type"
	codeRequired     = "required"
	codeUnknownField = "unknown_field"
	codeNull         = "null"
	codeFormat       = "format"
	codeEnum         = "enum"
	codeConst        = "const"
	codePattern      = "pattern"
	codeMinimum      = "minimum"
	codeMaximum      = "maximum"
	codeMultipleOf   = "multiple_of"
	codeUniqueItems  = "unique_items"
	codePresence     = "presence"
	codeRule         = "rule"
	codeExternalID   = "external_id"
	codeUnique       = "unique"
	codeIndex        = "index"
	codeCondition    = "condition"
	codeDefinition   = "definition"
)

// A Violation is one mistake, of a document, a definition or a filter.
type Violation struct {
	// Pointer is the place, a JSON Pointer (RFC 6901); "" is the whole document. A
	// name that a client made up is escaped and cut at 64 bytes, and a long path of
	// them ends in an ellipsis.
	Pointer Pointer
	// Code is the kind of mistake, for programs. Messages may change; codes do not.
	//
	//	type           the value has another kind
	//	required       a required field is missing or null
	//	unknown_field  the field is not declared
	//	null           null under RejectNulls
	//	format         the string does not have the declared format
	//	enum           the value is not one of the declared ones
	//	const          the value is not the declared one
	//	pattern        the string has no match of the declared pattern
	//	min_length     the string has too few characters
	//	max_length     the string has too many characters
	//	minimum        the number is too small
	//	maximum        the number is too large
	//	multiple_of    the number is not a multiple of the declared one
	//	min_items      the array has too few elements
	//	max_items      the array has too many elements
	//	unique_items   the array has two equal elements
	//	min_properties the object has too few members
	//	max_properties the object has too many members
	//	presence       the object breaks a rule of presence
	//	rule           a Rule has found it; or a code of its own
	//	external_id    not a valid external id, or not the expected one
	//	unique         another document has the value
	//	index          the field has no index
	//	condition      the field cannot have a condition of this kind
	//	definition     a mistake in a Definition
	Code string
	// Message says what was found and what was expected. It holds neither the pointer
	// nor a value of the document.
	Message string
}

// String returns "pointer: message", or the message alone for the whole document.
func (v Violation) String() string {
	if v.Pointer == "" {
		return v.Message
	}
	return string(v.Pointer) + ": " + v.Message
}

// A ValidationError holds all violations of a document, first those in the order of the
// document, then the missing fields in the order of the schema; or all mistakes of a
// definition, or of the conditions of a filter. It holds no value of them.
//
// The pointers of [ParseJSON] are places in its text. Those of [Compile] name fields,
// "/address/city"; the items of an array are "/tags/items", and the values of a map
// "/labels/values".
type ValidationError struct {
	// Of is "filter", "order" (see Schema.Index) or `definition "NAME"`; it is "" for a
	// document.
	Of         string
	Violations []Violation // at least 1, at most 100 of a document
	More       int         // how many violations were left out
}

// Error returns the violations in one line, cut after some 4 KiB.
func (e *ValidationError) Error() string {
	return "schema: invalid " + cmp.Or(e.Of, "document") + ": " + joinViolations(e.Violations, e.More)
}

func joinViolations(list []Violation, more int) string {
	var b strings.Builder
	for i, v := range list {
		text := v.String()
		if i > 0 {
			if b.Len()+len(text) > maxErrorText {
				more += len(list) - i
				break
			}
			b.WriteString("; ")
		}
		b.WriteString(text)
	}
	if more > 0 {
		b.WriteString(" …and ")
		b.WriteString(strconv.Itoa(more))
		b.WriteString(" more")
	}
	return b.String()
}

// A SyntaxError says where an input stops being strict JSON. Its fields are Offset, an
// int, in bytes from the start of the input; Pointer, a [Pointer] to the wrong value or
// to the container around it; and Reason, a string that says what was found or expected.
// It holds no value of the input. It is the same type as merge.SyntaxError.
type SyntaxError = strictjson.SyntaxError

// A Pointer is a JSON Pointer (RFC 6901): the place of a value in a document. "" is
// the whole document.
type Pointer = strictjson.Pointer

// A CorruptError says that a stored document is not a JSON object. Err is the reason, a
// [*SyntaxError] if the document is not strict JSON. The error does not unwrap to it: a
// SyntaxError that errors.As finds is a mistake of the client.
type CorruptError struct {
	Record uuid.UUID // the ID of its record, set by package resource; otherwise zero
	Err    error     // holds no value of the document
}

// Error returns the reason and the record's ID, if it is known.
func (e *CorruptError) Error() string {
	of := ""
	if e.Record != uuid.Nil {
		of = " of record " + e.Record.String()
	}
	return "schema: corrupt stored document" + of + ": " + e.Err.Error()
}
