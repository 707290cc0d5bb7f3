// Package strictjson is the one JSON reader of this module: it judges a text
// strictly and, in the same pass, records where every value stands.
//
// Strict means RFC 8259 with the rules of I-JSON (RFC 7493, sections 2.1 and
// 2.3) on names and strings: valid UTF-8, no duplicate names in an object at
// any depth (compared after their escapes are decoded), no lone surrogates, no
// byte order mark, nothing after the value, and a bounded depth. I-JSON's rule
// on numbers is left out on purpose: a number is its text, of any length, and
// noncharacters are let through.
//
// # The tape
//
// [Doc.Parse] writes one [Node] for each value, in document order: a container
// is followed by the nodes of its members or elements, and Node.Next is the
// index of the first node behind the whole subtree. So the children of node i
// are walked with
//
//	for c := i + 1; c < d.Nodes[i].Next; c = d.Nodes[c].Next { ... }
//
// and node 0 is the whole document. Nodes hold offsets into Doc.Src, never
// copies: a number keeps its text, a string its escapes, and blanks between
// tokens are simply not in any scalar's range.
//
// Parsing is linear in the input, does not recurse, and allocates nothing once
// a Doc has grown to the size of its documents.
//
// # Known names
//
// Most documents have no other names than a schema declares, or the documents
// before had. [Doc.ParseKnown] and [Learner] read such a document in less time, by
// [Names], and leave the same nodes; in Node.Known they also say which name a member
// has, so that nobody has to compare it again. Everything else, all errors among it,
// comes from Parse.
package strictjson
