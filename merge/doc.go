// Package merge applies, makes and compares JSON Merge Patches (RFC 7396) on
// raw JSON text, without decoding it.
//
// # The rules
//
// A patch describes a change by looking like the result (RFC 7396, section 2):
//
//   - A patch that is an object is merged into the target, member by member.
//   - A member that is null in the patch is deleted from the target. On an
//     absent member it has no effect.
//   - A member that is an object is merged in turn. When the target has no
//     object there, the merge starts from an empty one, so nulls below it
//     delete nothing and do not arrive.
//   - Everything else replaces what was there: arrays are taken whole, and a
//     null inside an array is a value like any other.
//   - A patch that is not an object replaces the whole target.
//
// Members that the patch does not name stay as they are.
//
// # What is kept
//
// Nothing is decoded, so nothing is rounded, reordered or escaped anew. A
// number keeps its text (1e400, 1.0, thirty digits), a string its escapes, and
// the members their order: those of the target first, then the new ones in the
// patch's order. A member whose new value equals the old one, in the sense of
// [Equal], keeps its old text; so a patch that changes nothing gives the target
// back, byte for byte, once that is compact. Results are compact: blanks
// between tokens are left out.
//
// # Input
//
// All inputs must be strict JSON: RFC 8259 with the rules of I-JSON (RFC 7493)
// on names and strings, but for noncharacters (U+FFFE and the like), which pass.
// That is valid UTF-8, no lone surrogates, no byte order mark, nothing behind the
// value, and no duplicate names in an object, where
// names are compared after their escapes are decoded ("a" and "\u0061" are the
// same name). At most [MaxDepth] containers may stand inside each other, and a
// text must be shorter than 4 GiB. Any other input is refused with a [SyntaxError]
// that holds the byte offset. A member's name is only ever a name, whatever
// characters it has: there is no path language in this package.
//
// # Limits of merge patches
//
// A merge patch cannot set a member to null (RFC 7396, section 1); [Diff] says
// so with [ErrNotRepresentable]. Patches do not compose: merging two patches
// into one loses deletions below values that the first one replaces, so this
// package offers no such function. Apply them one after the other.
//
// # Security considerations
//
// Time and memory are linear in the length of the inputs for any input; large
// objects are looked up by a hash with a random seed, so names cannot be chosen
// to collide. Depth is bounded before anything recurses. Errors hold offsets
// and never text of the input. Working memory comes from a pool; what an input of
// more than some 100,000 values needs is taken anew with each call, and given up.
//
// All functions are pure: they change none of their inputs, keep none of them,
// and are safe for concurrent use.
package merge
