// Package strictjson is the one JSON reader of this module: it judges a text strictly
// and, in the same pass, records the place of every value.
//
//	var d strictjson.Doc
//	err := d.Parse(text, strictjson.MaxDepth) // a *SyntaxError
//	c, ok := d.Find(0, strictjson.HashName("email"), "email")
//	email := d.AppendString(nil, c)
//
// Strict means RFC 8259 with the rules of I-JSON (RFC 7493, sections 2.1 and
// 2.3) on names and strings: valid UTF-8, no duplicate names in an object at
// any depth (compared after their escapes are decoded), no lone surrogates, no
// byte order mark, no data after the value, and a bounded depth. I-JSON's rule on
// numbers is left out on purpose: a number is its text, of any length. Noncharacters
// are allowed.
//
// # The tape
//
// [Doc.Parse] writes one [Node] for each value, in document order: a container is
// followed by the nodes of its members or elements, and Node.Next is the index of the
// first node after the whole subtree. This loop visits the children of node i:
//
//	for c := i + 1; c < d.Nodes[i].Next; c = d.Nodes[c].Next { ... }
//
// Node 0 is the whole document. Nodes hold offsets into Doc.Src, not copies: a number
// keeps its text, and a string its escapes.
//
// Parsing is linear in the input, does not recurse, and allocates nothing once a Doc
// has grown to the size of its documents.
//
// # Known names
//
// Most documents have no other names than a schema declares, or the documents before
// had. [Doc.ParseKnown] and [Learner] read such a document faster, by its [Names], and
// leave the same nodes. Node.Known also says which name a member has, so that no name
// is compared again. Everything else, with all errors, comes from Parse.
package strictjson
