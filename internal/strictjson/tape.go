package strictjson

import "sync"

// MaxDepth is how many containers may be inside each other, as the public packages
// promise.
const MaxDepth = 64

// Kind is the kind of a JSON value.
type Kind uint8

// The kinds, in no order that matters.
const (
	Null Kind = iota + 1
	False
	True
	Number
	String
	Array
	Object
)

// String returns the kind's name as error messages use it.
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case False, True:
		return "boolean"
	case Number:
		return "number"
	case String:
		return "string"
	case Array:
		return "array"
	case Object:
		return "object"
	}
	return "nothing"
}

// A Node is one value of a document. Offsets count bytes of Doc.Src.
type Node struct {
	Start, End         uint32 // the value's text, quotes and brackets included
	NameStart, NameEnd uint32 // a member's name between its quotes, as written; 0, 0 elsewhere
	Next               uint32 // index of the first node after this value's subtree
	Len                uint32 // members of an object, elements of an array
	Hash               uint32 // HashName of a member's decoded name
	Kind               Kind
	Known              uint8   // 1 more than the number of a member's name in Doc.Names; 0 elsewhere
	Escapes            Escapes // the parts that hold an escape
	Mark               Mark    // for the caller; 0 after Parse
}

// Escapes are the parts of a node that hold an escape.
type Escapes uint8

// The parts.
const (
	InName  Escapes = 1 << iota // a member's name
	InValue                     // a string
)

// A Mark is what a caller notes about a node.
type Mark uint8

// The marks.
const (
	Omitted Mark = 1 << iota // AppendValue leaves the value out
	Partial                  // some value in the value is Omitted
	Matched                  // the other document has a member of this name
)

// A Doc is a parsed document. The zero value is ready for Parse, and Parse may be
// called again and again. It is not safe for concurrent use.
type Doc struct {
	Src    []byte // the parsed text; not copied, never changed
	Nodes  []Node // Nodes[0] is the whole document
	Blanks bool   // some blank stands outside strings
	Names  *Names // not nil if it was read by ParseKnown's fast way: the names of all members of Nodes[0]

	seen uint64           // if there are Names: which of them have a member, as bits
	by   [maxNames]uint32 // and which, after Number

	stack   []frame // of Parse, by level; kept, because clearing it would cost more than reading a small text
	table   []slot  // the slots of all indexes made since Parse
	scratch []byte  // scratch for decoding escaped names
	fault   Pointer // where Parse found a fault
}

// maxPooledNodes bounds what a pooled Doc may keep in memory: 4 MiB of nodes.
const maxPooledNodes = 1 << 17

// maxPooledScratch bounds its other memory, in bytes.
const maxPooledScratch = 1 << 16

var pool = sync.Pool{New: func() any { return new(Doc) }}

// Get returns a Doc from a pool. Return it with Put.
func Get() *Doc { return pool.Get().(*Doc) }

// Put returns d to the pool. Neither d nor its nodes may be used afterwards. Slices of
// the parsed text stay valid: they are the caller's.
func Put(d *Doc) {
	d.Reset()
	pool.Put(d)
}

// Reset makes d forget its text and, if it has much memory, give that up, so that d
// may be kept.
func (d *Doc) Reset() {
	d.Src = nil
	if cap(d.Nodes) > maxPooledNodes || cap(d.table) > 4*maxPooledNodes || cap(d.scratch) > maxPooledScratch {
		d.Nodes, d.table, d.scratch = nil, nil, nil
	}
}

// NodeSize is the size of a Node in bytes.
const NodeSize = 32

// Load makes d what ParseKnown made of src before: nodes, blanks and names are what
// it left in d. d keeps src, and copies the nodes.
func (d *Doc) Load(src []byte, nodes []Node, blanks bool, names *Names) {
	d.Src, d.Nodes, d.Blanks, d.Names, d.table = src, append(d.Nodes[:0], nodes...), blanks, names, d.table[:0]
	if names != nil {
		d.Number()
	}
}

// Number makes Named find the members of a document with Names.
func (d *Doc) Number() {
	d.seen = 0
	for c := uint32(1); c < d.Nodes[0].Next; c = d.Nodes[c].Next {
		number := (d.Nodes[c].Known - 1) & (maxNames - 1)
		d.seen |= 1 << number
		d.by[number] = c
	}
}

// ReadByNames reports whether the object at node i was read with Names that hold all of
// its members: then Node.Known says which they are. Without members it is false.
func (d *Doc) ReadByNames(i uint32) bool { return d.Nodes[i].Len > 0 && d.Nodes[i+1].Known != 0 }

// SameNames reports whether both documents were read with the same names.
func (d *Doc) SameNames(e *Doc) bool { return d.Names != nil && d.Names == e.Names }

// Has returns which of its Names the document has, as bits.
func (d *Doc) Has() uint64 { return d.seen }

// Named returns the member of Nodes[0] with this Node.Known, or 0. Call Number first.
func (d *Doc) Named(known uint8) uint32 {
	number := (known - 1) & (maxNames - 1)
	if d.seen>>number&1 == 0 {
		return 0
	}
	return d.by[number]
}

// Unmark removes all marks and indexes: d is as it was after Parse.
func (d *Doc) Unmark() {
	for i := range d.Nodes {
		d.Nodes[i].Mark = 0
	}
	d.table = d.table[:0]
}

// Text returns the text of node i, a slice of Src.
func (d *Doc) Text(i uint32) []byte {
	n := &d.Nodes[i]
	return d.Src[n.Start:n.End:n.End]
}

// RawName returns the name of member i as it is written, without its quotes: a slice
// of Src.
func (d *Doc) RawName(i uint32) []byte {
	n := &d.Nodes[i]
	return d.Src[n.NameStart:n.NameEnd:n.NameEnd]
}

// AppendName appends the decoded name of member i to dst.
func (d *Doc) AppendName(dst []byte, i uint32) []byte {
	if d.Nodes[i].Escapes&InName != 0 {
		return appendDecoded(dst, d.RawName(i))
	}
	return append(dst, d.RawName(i)...)
}

// AppendString appends the decoded value of string node i to dst.
func (d *Doc) AppendString(dst []byte, i uint32) []byte {
	n := &d.Nodes[i]
	body := d.Src[n.Start+1 : n.End-1]
	if n.Escapes&InValue != 0 {
		return appendDecoded(dst, body)
	}
	return append(dst, body...)
}

// NameIs reports whether member i has this decoded name. hash is HashName(name).
func (d *Doc) NameIs(i uint32, hash uint32, name string) bool {
	n := &d.Nodes[i]
	if n.Hash != hash {
		return false
	}
	if n.Escapes&InName != 0 {
		return string(appendDecoded(nil, d.RawName(i))) == name
	}
	return string(d.Src[n.NameStart:n.NameEnd]) == name
}

// StringIs reports whether string i has this decoded value.
func (d *Doc) StringIs(i uint32, s string) bool {
	n := &d.Nodes[i]
	body := d.Src[n.Start+1 : n.End-1]
	if n.Escapes&InValue != 0 {
		return string(appendDecoded(nil, body)) == s
	}
	return string(body) == s
}

// SameName reports whether member i of d and member j of e have equal decoded
// names.
func (d *Doc) SameName(i uint32, e *Doc, j uint32) bool {
	a, b := &d.Nodes[i], &e.Nodes[j]
	if a.Hash != b.Hash {
		return false
	}
	x, y := d.Src[a.NameStart:a.NameEnd], e.Src[b.NameStart:b.NameEnd]
	return string(x) == string(y) || (a.Escapes|b.Escapes)&InName != 0 && sameDecoded(x, y)
}

// SameString reports whether string i of d and string j of e have equal decoded
// values.
func (d *Doc) SameString(i uint32, e *Doc, j uint32) bool {
	a, b := &d.Nodes[i], &e.Nodes[j]
	x, y := d.Src[a.Start+1:a.End-1], e.Src[b.Start+1:b.End-1]
	return string(x) == string(y) || (a.Escapes|b.Escapes)&InValue != 0 && sameDecoded(x, y)
}

// Find returns the member of object i with this decoded name; hash is HashName(name).
// It is false when there is none, or when i is not an object. It is linear in the
// object's members.
func (d *Doc) Find(i uint32, hash uint32, name string) (uint32, bool) {
	if d.Nodes[i].Kind != Object {
		return 0, false
	}
	for c, end := i+1, d.Nodes[i].Next; c < end; c = d.Nodes[c].Next {
		if d.NameIs(c, hash, name) {
			return c, true
		}
	}
	return 0, false
}
