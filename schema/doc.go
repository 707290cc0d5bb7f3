// Package schema declares what the documents of a resource look like and holds
// requests against the declaration: on raw JSON bytes, in one strict pass, with
// every violation reported at once.
//
// A [Definition] is what a program writes down. [Compile] turns it into a
// [Schema], which is immutable and safe for concurrent use; whatever is wrong
// with a declaration is reported then, never while a document is read.
// [Customers], [Locations] and [Transactions] are built in.
//
// Most programs need Compile or one of those and no more: package resource does
// the rest.
//
// # Writing
//
// A request is either a whole new document or a merge patch (RFC 7396); both
// are read in the same way, in two steps, because what is stored is known only
// when the request's external id has been read:
//
//	c, err := s.Check(request, nil)          // reads the request, once
//	id, ok := c.ExternalID()                 // where to look
//	merged := ...                            // RFC 7396: stored, changed by c.Patch()
//	doc, err := c.Finish(stored, merged)     // all violations, or what to store
//
// [Schema.Validate] does both steps for a whole document. [Schema.Show] gives a
// stored document as a reader sees it.
//
// # Words
//
//   - absent: no member of that name. A member that is null is there; it is
//     never called empty.
//   - null: the JSON value. As a member of an object it asks for the deletion of
//     the field (RFC 7396, section 2). Inside an array it is a value like any
//     other, and so is of the wrong type for every declared element and for
//     every declared field of an element.
//   - declared: named by the schema. An object field that declares no fields of
//     its own is open: whatever stands in it counts as declared, optional and of
//     any type. So does an element of an array field that declares no items.
//   - unknown: a field of a request that is not declared, at any depth at which
//     fields are declared.
//   - undeclared: a field of a stored document that the schema does not declare,
//     or no longer. It is kept, it is not shown, and a null deletes it.
//   - violation: one thing that is wrong with a request, with the JSON Pointer
//     (RFC 6901) of the place, a stable code and a message.
//
// # What is checked
//
// Object fields of a request are read as partial objects: a field that is not
// mentioned is not judged. An array is one value, which replaces the stored one
// whole (RFC 7396, section 2), so its elements are judged completely, with
// their required fields. Only what the request introduces is judged: fields that
// it does not send are not, and neither is a string, number or boolean equal to
// the stored one. So a stored document that a later schema made invalid can still
// be updated in its other parts.
//
// Required fields are judged on the merged document, and only what the update
// introduces counts: all of them on an insert, those of an object that the
// update creates, and those it would delete.
// [CheckOptions].RequireComplete judges the request alone instead.
//
// An external id has 1 to 512 bytes without NUL. On an insert it needs at least one
// character outside the Unicode categories Z and C, as the Go toolchain knows them:
// blanks, controls and zero-width characters alone name nobody.
//
// A type is a kind of JSON value. Integer takes each number whose value is
// integral, however it is written: 1, 1.0, 10e-1. Numbers have no range and no
// precision here: their text decides, and their text is stored. An enum
// compares strings after their escapes are decoded and everything else by its
// text, so that 1 and 1.0 are two values. The format date-time is RFC 3339,
// section 5.6, with a calendar check; no other format is known, and none is
// checked unless it is declared.
//
// # Defaults
//
// A default fills absence: [Checked.Finish] puts it into the document that is
// stored, and [Schema.Show] into a document that was stored before the field had
// one. It fills fields of the document and of declared objects that are there;
// it never creates an object, never replaces a value, and never reaches into
// an array. A null on a field with a default therefore resets it. Required
// fields have no defaults.
//
// # Order
//
// Violations and dropped fields come in the order of the request. The required
// fields that are missing come after all other violations, in the order of the
// schema.
//
// # Security considerations
//
// Input is read by RFC 8259 with the rules of I-JSON (RFC 7493) on names and
// strings, but for the one on noncharacters (U+FFFE and the like), which pass:
// duplicate names, lone surrogates, invalid UTF-8 and more than 64 levels are
// refused with a [SyntaxError], so that no two readers of a stored document can
// disagree about it. There is no limit on size; set one where the bytes are
// received.
//
// Values may be personal data. No error of this package holds a value of a
// document: messages say which kind was found, never what. Names that a client
// made up do appear; control characters, quotes, markup characters and
// everything unprintable in them are escaped as \uXXXX, and they are cut at 64
// bytes. A [ValidationError] keeps at most 100 violations and counts the rest.
// The names in [Document].Dropped are exact, and as many as were dropped: they
// are for programs; escape them before they are shown.
//
// Checking is linear in the request, whatever it holds; field names are found
// through a hash that is seeded in each process. Numbers are never converted,
// so that 1e999999999 costs what its eleven bytes cost.
//
// A PII mark is a note for the program around this package. It changes nothing
// about checking.
package schema
