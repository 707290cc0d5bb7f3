package schema

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/uuid"
)

const (
	maxViolations = 100 // kept in one ValidationError
	maxShownName  = 64  // bytes of a client-made name, in its escaped form
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
	Pointer string
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
	return v.Pointer + ": " + v.Message
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

// A SyntaxError says that an input is not strict JSON.
type SyntaxError struct {
	Offset int    // in bytes from the start of the input
	Reason string // what was found; never a part of the input
}

// Error returns the reason and the offset.
func (e *SyntaxError) Error() string {
	return "schema: not strict JSON at byte " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// A CorruptError says that a document which should have come from the store is
// not a JSON object. It is not a [SyntaxError], because it is not the client's
// mistake.
type CorruptError struct {
	Offset int       // in bytes from the start of the document
	Reason string    // what was found; never a part of the document
	Record uuid.UUID // the ID of its record, as package resource sets it; else zero
}

// Error returns the reason, the offset and the record's ID, if it is known.
func (e *CorruptError) Error() string {
	of := ""
	if e.Record != uuid.Nil {
		of = " of record " + e.Record.String()
	}
	return "schema: corrupt stored document" + of + " at byte " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// appendClientName appends a name that a client made up as one token of a JSON
// Pointer, fit for a log line, a terminal and a web page: escaped, and cut at
// maxShownName bytes between two characters.
func appendClientName(dst, name []byte) []byte {
	start := len(dst)
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		name = name[size:]
		before := len(dst)
		dst = appendClientRune(dst, r)
		if len(dst)-start > maxShownName {
			return append(dst[:before], "…"...)
		}
	}
	return dst
}

func appendClientRune(dst []byte, r rune) []byte {
	switch {
	case r == '~':
		return append(dst, "~0"...)
	case r == '/':
		return append(dst, "~1"...)
	case strings.ContainsRune("\"\\<>&'`", r) || !unicode.IsPrint(r):
		if r > 0xffff {
			hi, lo := utf16.EncodeRune(r)
			return appendEscape(appendEscape(dst, hi), lo)
		}
		return appendEscape(dst, r)
	}
	return utf8.AppendRune(dst, r)
}

func appendEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
