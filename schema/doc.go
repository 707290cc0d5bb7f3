// Package schema declares the documents of a resource, judges requests by the
// declaration, and applies them to what is stored: on raw JSON bytes, with every
// violation reported at once.
//
//	customers := schema.Customers()
//	req, err := customers.Read([]byte(`{"customerId":"c-1","phone":null}`), nil)
//	...
//	id, ok := req.ExternalID()    // "c-1": now find what is stored
//	doc, err := req.Apply(stored) // all violations, or what to store
//	req.Close()
//
// Most programs only declare: package resource does the rest.
//
//   - Declare: a [Definition] of [Field] values is plain data. [ParseJSON] reads one from
//     a JSON Schema. [Customers], [Locations] and [Transactions] are built in.
//   - Compile: [Compile] reports each mistake in a definition and returns a [Schema],
//     which is immutable and safe for concurrent use.
//   - Check: a [Field] has the keywords of JSON Schema for the values of its type, a
//     [Presence] says which fields go together, and a [Rule] is a function of the program.
//   - Judge: [Schema.Validate] judges a whole document. A [ValidationError] has every
//     [Violation]; a [SyntaxError] says where a text is not strict JSON.
//   - Read and apply: [Schema.Read] reads a whole new document or a merge patch (RFC
//     7396) once. [Request.Apply] judges it beside the stored document, merges the two
//     and fills in defaults. A loop that retries calls Apply again.
//   - Show: [Schema.Show] returns a stored document as a reader sees it, and
//     [Schema.Redact] without its personal data.
//   - Filter and find: [Schema.Filter] compiles each [Condition] for Show. An [Entry]
//     says where an index has a document, and [Filter.Range] where to search.
//
// # Terms
//
//   - absent: there is no member of that name. A member that is null is not absent.
//   - null: the JSON value. As a member of an object it deletes the field (RFC 7396,
//     section 2). Inside an array a null is a value and deletes nothing; no declared
//     type accepts it there.
//   - declared: named by the schema. An object field without declared fields and
//     values is open: it may have any members. An array field without declared items
//     may have any elements.
//   - map: an object field with declared values. Its members may have any names, and
//     those that are not declared as fields are values of the map.
//   - unknown: a field of a request that the schema does not declare. Open objects and
//     maps have no unknown fields.
//   - undeclared: a field of a stored document that the schema does not declare. It is
//     kept, it is not shown, and a null deletes it.
//   - violation: one mistake of a request, with the JSON Pointer (RFC 6901) of its
//     place, a stable code and a message.
//
// # Judging
//
// Object fields of a request are partial objects: a field that is absent is not judged.
// An array is one value, which replaces the stored one (RFC 7396, section 2), so its
// elements are judged completely, with their required fields. A string, number, boolean or
// array that equals the stored one is not judged again; only unknown fields in an array
// are, and an array that loses one is another array. So a stored document that a later
// schema made invalid can still be updated in its other parts.
//
// A required field must be in the merged document. It is judged on an insert, in an
// object that the update creates, and if the update would delete it. A required field
// that was missing before is not a violation. With [ReadOptions].RequireComplete the
// request itself must have all required fields, whatever is stored.
//
// The number of members of an object and its rules of presence are judged in the merged
// object. An update is not judged by a number that it does not make worse, or by a rule
// none of whose fields comes or goes; unless RequireComplete is set. A field with a
// default is always there.
//
// An external id has 1 to 512 bytes without NUL. On an insert it needs at least one
// character outside the Unicode categories Z and C, in the version of the Go toolchain:
// blanks, controls and zero-width characters are not an identity.
//
// A type is a kind of JSON value. Integer accepts each number whose value is integral,
// however it is written: 1, 1.0, 10e-1. Numbers have no range and no precision but those
// of the declaration: their text is judged and stored. The other keywords narrow the
// values of a type, and mean what they do in JSON Schema. A value has a violation for each
// that it breaks. Numbers are compared by value and exactly, up to 1e500000000000, so
// that an enum with 1 allows 1.0; strings by their decoded value, and their length is in
// code points.
//
// Elements that must be unique are compared as in JSON Schema: 1 and 1.0 are equal. What
// the package calls a change is stricter: 1.0 replaces 1.
//
// Violations and dropped fields come in the order of the request, those of an object or
// array as a whole after those in it. Missing required fields come after all other
// violations, in the order of the schema, those in the values of a map in the order of
// the request.
//
// # Defaults
//
// A default fills absence: [Request.Apply] puts it into the document that is stored,
// and [Schema.Show] into a document that was stored without it. It fills fields of the
// document and of declared objects that are there, also in a map. It never creates an object, never
// replaces a value, and never reaches into an array. So a null on a field with a
// default resets it; if the field has its default already, nothing changes. Required
// fields have no defaults.
//
// # Indexes
//
// [Field].Index gives a field an index: the store finds and sorts documents by entries of
// bytes, and knows neither fields nor types. An index may find too many documents, since
// a long value is cut and an index may lag; it never misses one. So each document that it
// finds is judged by the filter again, exactly.
//
// The number of an index is assigned once and never used again, because entries that
// were written under it may still be in the store. A field whose type, format, fold or
// uniqueness changes gets a new number.
//
// # JSON Schema
//
// [ParseJSON] reads a definition from a JSON Schema, and [Schema.JSON] writes one. The
// keywords have the names of the fields of [Field]. Nothing is ignored: a keyword is
// judged, kept as an annotation, or refused with its place and what to write instead.
// The differences to a validator of JSON Schema:
//
//   - Each schema has a type, or an enum or const, which says it. A schema that says
//     nothing, {} or true, is of type [Any]. A union is one of scalars: an array of types,
//     or an anyOf or oneOf of them.
//   - null deletes a field. So nullable and a type "null" are read, and say nothing more; a
//     required field or an element of an array cannot have them.
//   - Members that properties does not declare are refused or dropped, as the request
//     says, with additionalProperties: false and without. Only an object without
//     properties is open.
//   - A default fills an absent field. That of a required field, of the values of a map or
//     inside items fills nothing, and is kept as an annotation.
//   - A property that is false is not declared.
//   - A $ref into the text is followed: what it means is read in its place. It cannot lead
//     to itself. A $ref to reach:schemas/NAME is kept: the field holds the external id of a
//     resource of that schema.
//   - allOf is read as one schema with the keywords of all. No keyword can be in two of
//     them, except type (if it is the same), properties, required and presence rules; and
//     of a description, default or annotation, the first and outermost counts.
//   - anyOf, oneOf, not and dependentRequired are a [Presence]: they only say, with
//     required, which fields are there.
//   - A format is judged, and one that is not known is refused.
//   - The extensions x-pii-type, x-index, x-unique and x-fold are PII, Index, Unique and
//     Fold of a Field, and x-retired-indexes of the whole schema is RetiredIndexes.
//
// # Security considerations
//
// Input is read by RFC 8259 with the rules of I-JSON (RFC 7493) on names and strings,
// except that noncharacters (U+FFFE and the like) are allowed. Duplicate names, lone
// surrogates, invalid UTF-8 and more than 64 levels are refused with a [*SyntaxError],
// so that any two readers of a stored document see the same. There is no limit on size;
// set one where the bytes are received.
//
// Values may be personal data. No error of this package holds a value of a document:
// messages name the kind that was found. Names that a client made up do appear, cut at
// 64 bytes; control characters, quotes, markup characters and unprintable ones in them
// are escaped as \uXXXX. A [ValidationError] keeps at most 100 violations and counts the
// rest. A message holds the pattern, bound or enum that a value breaks: they are the
// schema's, and not secret. The names in [Document].Dropped are exact, and there is no limit on their
// number: they are for programs; escape them before they are shown. The values of an
// [Entry] are those of the document, and as personal.
//
// Time and memory are linear in the request and what is stored. Field names are found
// by a hash that is seeded in each process. Numbers are never converted, so
// 1e999999999 costs as much as any eleven bytes. A pattern takes time linear in the string,
// but at worst as often as the pattern has instructions: give strings with a pattern a
// MaxLength, or bound the request.
//
// A definition may come from a stranger: its fields, levels, enums and patterns are
// bounded, and what a pattern would be written out to is known before it is.
package schema
