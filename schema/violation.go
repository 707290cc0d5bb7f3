package schema

import (
	"strconv"
	"strings"

	"github.com/google/uuid"

	"example.com/resourcekit/internal/strictjson"
)

const (
	maxViolations = 100 // kept in one ValidationError
	maxShownPath  = 192 // bytes of a pointer from which on no more client-made names are added
	maxErrorText  = 4 << 10
)

// A Code says what is wrong, for programs. Codes are stable: texts may change,
// codes do not.
type Code string

// The codes.
const (
	CodeType         Code = "type"          // the value is of another kind
	CodeRequired     Code = "required"      // a required field is missing or null
	CodeUnknownField Code = "unknown_field" // the field is not declared
	CodeNull         Code = "null"          // null, which RejectNulls refuses
	CodeFormat       Code = "format"        // the string is not of the declared format
	CodeEnum         Code = "enum"          // the value is none of the declared ones
	CodeExternalID   Code = "external_id"   // no possible external id, or not the expected one
	CodeDefinition   Code = "definition"    // in a DefinitionError only
)

// A Violation is one thing that is wrong.
type Violation struct {
	// Pointer is the place, a JSON Pointer (RFC 6901); "" is the whole
	// document. A name that a client made up is escaped and cut at 64 bytes,
	// and a long row of them ends in an ellipsis.
	Pointer Pointer
	Code    Code // what is wrong, for programs
	// Message says what was found and what was wanted. It holds neither the
	// pointer nor any value of the document.
	Message string
}

// String returns "pointer: message", or the message alone when the pointer is
// that of the whole document.
func (v Violation) String() string {
	if v.Pointer == "" {
		return v.Message
	}
	return string(v.Pointer) + ": " + v.Message
}

// A ValidationError holds all violations of a request, first those in the order
// of the request, then the missing fields in the order of the schema. It never
// holds a value of the request.
type ValidationError struct {
	Violations []Violation // at least 1, at most 100
	More       int         // how many more there were
}

// Error returns the violations in one line, bounded in length.
func (e *ValidationError) Error() string {
	return "schema: invalid document: " + joinViolations(e.Violations, e.More)
}

// A DefinitionError holds all mistakes of a [Definition]. The pointers name
// fields, "/address/city"; the items of an array are "/tags/items".
type DefinitionError struct {
	Name     string // Definition.Name
	Mistakes []Violation
}

// Error returns the mistakes in one line, bounded in length.
func (e *DefinitionError) Error() string {
	return "schema: definition " + strconv.Quote(e.Name) + ": " + joinViolations(e.Mistakes, 0)
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

// A SyntaxError says that an input is not strict JSON. Its fields are Offset, an int,
// in bytes from the start of the input; Pointer, a [Pointer] to the value that is
// wrong or to the container around it; and Reason, a string that says what was found
// or expected. It holds no value of the input. It is the same type as
// merge.SyntaxError.
type SyntaxError = strictjson.SyntaxError

// A Pointer is a JSON Pointer (RFC 6901): the place of a value in a document. "" is
// the whole document.
type Pointer = strictjson.Pointer

// A CorruptError says that a document which should have come from the store is not
// a JSON object. It holds what is wrong, a [*SyntaxError] if it is not strict JSON,
// and does not unwrap to it: a SyntaxError that errors.As finds is the client's
// mistake, and this is not.
type CorruptError struct {
	Record uuid.UUID // the ID of its record, as package resource sets it; else zero
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
