// Package merge applies, makes and compares JSON Merge Patches (RFC 7396) on raw
// JSON text, without decoding it.
//
//	doc := []byte(`{"name":"Ada","phone":"555-0100","balance":1.10}`)
//	out, err := merge.Patch(doc, []byte(`{"email":"ada@example.com","phone":null}`))
//	// out is {"name":"Ada","balance":1.10,"email":"ada@example.com"}
//
// [Patch] and [Append] apply a patch, [Diff] makes one from two documents, and a
// [Builder] makes one member by member. [Equal] and [Changes] compare documents. All
// functions are pure: they change none of their inputs, keep none of them, and are
// safe for concurrent use.
//
// # The rules
//
// A patch describes a change by looking like the result (RFC 7396, section 2):
//
//   - A patch that is an object is merged into the target, member by member.
//   - A member that is null in the patch is deleted from the target. On an absent
//     member it has no effect.
//   - A member that is an object is merged in turn. If the target has no object
//     there, the merge starts from an empty one, so nulls in it delete nothing and
//     are left out.
//   - Every other value replaces the one in the target: arrays are taken whole, and a
//     null inside an array is a value.
//   - A patch that is not an object replaces the whole target.
//
// Members that the patch does not name stay as they are.
//
// # What is kept
//
// A number keeps its text (1e400, 1.0, thirty digits), a string its escapes, and the
// members their order: those of the target first, then the new ones in the order of
// the patch. A member whose new value equals the old one, as [Equal] compares them,
// keeps its old text. So a patch that changes nothing returns the target, byte for
// byte if that is compact. Results are compact: blanks between tokens are left out.
//
// # Input
//
// All inputs must be strict JSON: RFC 8259 with the rules of I-JSON (RFC 7493) on
// names and strings. That is valid UTF-8, no lone surrogates, no byte order mark, no
// data after the value, and no duplicate names in an object, where names are compared
// after their escapes are decoded ("a" and "\u0061" are the same name). Noncharacters
// (U+FFFE and the like) are allowed. At most [MaxDepth] containers may be inside each
// other, and a text must be shorter than 4 GiB. The error for any other input wraps a
// [*SyntaxError], which has the byte offset. A member name is only a name, whatever
// characters it has: this package has no path language.
//
// # Limits of merge patches
//
// A merge patch cannot set a member to null (RFC 7396, section 1); [Diff] returns
// [ErrNotRepresentable] where that would be needed. Patches do not compose: merging
// two patches into one loses deletions below values that the first one replaces.
// Apply them one after the other.
//
// # Security considerations
//
// Time and memory are linear in the length of the inputs. Members of large objects
// are found by a hash with a random seed, so names cannot be chosen to collide. Depth
// is bounded before any function recurses. Errors hold offsets and names, and no
// value of the input. Working memory comes from a pool; an input of more than some
// 100,000 values gets memory that is not kept.
package merge
