package strictjson

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// A SyntaxError says where a text stops being strict JSON, and why. It holds no
// value of the text.
type SyntaxError struct {
	Offset  int     // in bytes from the start of the text
	Pointer Pointer // the wrong value, or the container that Offset is in
	Reason  string  // what was found or expected there
}

// Error returns the offset, the pointer and the reason.
func (e *SyntaxError) Error() string {
	text := "not strict JSON at byte " + strconv.Itoa(e.Offset)
	if e.Pointer != "" {
		text += " (" + string(e.Pointer) + ")"
	}
	return text + ": " + e.Reason
}

// smallObject is the number of members up to which names are compared with each other
// one by one. Larger objects take an Index.
const smallObject = 16

// maxDepth is the largest depth that Parse accepts. A JSON Schema of documents of MaxDepth
// has two containers for each of theirs, and in the last one a value.
const maxDepth = 3 * MaxDepth

// OnParse, if not nil, is called with each text that Parse reads: for tests that count
// how often a text is read.
var OnParse func(src []byte)

// frame is what Parse keeps of a container that is still open.
type frame struct {
	node  uint32 // its node
	count uint32 // children so far
	seen  uint64 // one bit for each name's hash
	array bool
}

// Parse reads src, which must be exactly one JSON value with at most depth containers
// inside each other (at most 3*MaxDepth), and records its nodes. The error is a
// [*SyntaxError] for a text that breaks the package's rules; d has no nodes then. d keeps
// src, which must not change while d is in use.
func (d *Doc) Parse(src []byte, depth int) error {
	d.Src, d.Blanks, d.Names, d.Nodes, d.table = src, false, nil, d.Nodes[:0], d.table[:0]
	if OnParse != nil {
		OnParse(src)
	}
	i, why := 0, ""
	d.fault = ""
	switch {
	case uint64(len(src)) > math.MaxUint32:
		why = "the text is longer than 4 GiB"
	case len(src) >= 3 && src[0] == 0xEF && src[1] == 0xBB && src[2] == 0xBF:
		why = "byte order mark"
	default:
		if len(src) > 0 && src[0] <= ' ' {
			i = d.skipBlanks(i)
		}
		if i, why = d.parse(i, min(depth, maxDepth)); why == "" && i < len(src) {
			if i = d.skipBlanks(i); i < len(src) {
				why = "unexpected data after top-level value"
			}
		}
	}
	if why != "" {
		d.Nodes = d.Nodes[:0]
		return &SyntaxError{i, d.fault, why}
	}
	return nil
}

// parse reads the value whose first byte is src[i], and appends its nodes. It returns
// the offset after the value; or the offset of a fault and its reason, and sets d.fault
// to its place.
func (d *Doc) parse(i, depth int) (int, string) {
	src := d.Src[:len(d.Src):len(d.Src)] // one number to check against, not two

	// The loop below is a state machine, with labels for states:
	// value -> closed -> (member -> value | value | closed).
	// Its memory is in nodes and frames, so that the variables fit into registers.
	var (
		n     *Node  // the node of the value that is being read
		level int    // open containers
		cur   *frame // the innermost of them
		why   string
	)
element: // src[i] is the first byte of a value without a name
	n = d.push()
	n.NameStart, n.NameEnd, n.Hash, n.Known, n.Escapes = 0, 0, 0, 0, 0

value: // src[i] is the first byte of the value of n
	if i >= len(src) {
		why = "unexpected end, expected a value"
		goto failInValue
	}
	n.Start, n.Mark = uint32(i), 0
	switch b := src[i]; b {
	case '"':
		n.Kind = String
		i++
		for i+8 <= len(src) {
			m := special(load(src, i))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(src) || src[i] != '"' {
			end, state := scanString(src, i)
			if i = end; state > escaped {
				why = reasons[state]
				goto failInValue
			}
			if state == escaped {
				n.Escapes |= InValue
			}
		}
		i++

	case '{', '[':
		if level >= depth {
			why = "nested deeper than " + strconv.Itoa(depth) + " levels"
			goto failInValue
		}
		level++
		if level >= len(d.stack) {
			d.stack = append(d.stack, make([]frame, level+3)...)
		}
		cur = &d.stack[level]
		*cur = frame{node: uint32(len(d.Nodes) - 1), array: b == '['}
		n.Kind = Object
		if b == '[' {
			n.Kind = Array
		}
		i++
		if i < len(src) && src[i] <= ' ' {
			i = d.skipBlanks(i)
		}
		if i < len(src) && src[i] == b+2 { // '{'+2 == '}', '['+2 == ']'
			goto closing
		}
		if b == '[' {
			goto element
		}
		goto member

	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		n.Kind = Number
		if i, why = scanNumber(src, i); why != "" {
			goto failInValue
		}

	case 't':
		if len(src)-i < 4 || string(src[i:i+4]) != "true" {
			why = "expected a value"
			goto failInValue
		}
		n.Kind = True
		i += 4

	case 'f':
		if len(src)-i < 5 || string(src[i:i+5]) != "false" {
			why = "expected a value"
			goto failInValue
		}
		n.Kind = False
		i += 5

	case 'n':
		if len(src)-i < 4 || string(src[i:i+4]) != "null" {
			why = "expected a value"
			goto failInValue
		}
		n.Kind = Null
		i += 4

	default:
		why = "expected a value"
		goto failInValue
	}
	n.End, n.Next, n.Len = uint32(i), uint32(len(d.Nodes)), 0

closed: // a value ended before src[i]
	if level == 0 {
		return i, ""
	}
	cur.count++
	if i+1 < len(src) && src[i] == ',' && src[i+1] == '"' && !cur.array { // no blanks around: the usual case
		i++
		goto quotedName
	}
	if i < len(src) && src[i] <= ' ' {
		i = d.skipBlanks(i)
	}
	if i >= len(src) {
		why = "unexpected end, expected ',' or the end of the " + containerName(cur.array)
		goto fail
	}
	switch b := src[i]; {
	case b == ',':
		i++
		if i < len(src) && src[i] <= ' ' {
			i = d.skipBlanks(i)
		}
		if cur.array {
			goto element
		}
		goto member
	case b == '}' && !cur.array, b == ']' && cur.array:
		goto closing
	case cur.array:
		why = "expected ',' or ']' after array element"
	default:
		why = "expected ',' or '}' after object member"
	}
	goto fail

member: // src[i] is the first byte of a member's name
	if i >= len(src) || src[i] != '"' {
		why = "expected a member name in quotes"
		goto fail
	}
quotedName: // src[i] is the quote before a member's name
	i++
	n = d.push()
	n.NameStart, n.Known, n.Escapes = uint32(i), 0, 0
	if end, hash, ok := shortName(src, i); ok {
		i, n.Hash = end, hash
	} else {
		end, state := scanString(src, i)
		if i = end; state > escaped {
			why = reasons[state]
			goto fail
		}
		name := src[n.NameStart:end]
		if state == escaped {
			n.Escapes = InName
			d.scratch = appendDecoded(d.scratch[:0], name)
			name = d.scratch
		}
		n.Hash = hashName(name)
	}
	n.NameEnd = uint32(i)
	if cur.count < smallObject {
		bit := uint64(1) << (n.Hash >> 26)
		if cur.seen&bit != 0 && d.lastIsDuplicate(cur.node) {
			i, why = int(n.NameStart)-1, "duplicate member name"
			goto fail
		}
		cur.seen |= bit
	}
	i++
	if i+1 < len(src) && src[i] == ':' && src[i+1] > ' ' { // likewise
		i++
		goto value
	}
	if i < len(src) && src[i] <= ' ' {
		i = d.skipBlanks(i)
	}
	if i >= len(src) || src[i] != ':' {
		why = "expected ':' after member name"
		goto fail
	}
	i++
	if i < len(src) && src[i] <= ' ' {
		i = d.skipBlanks(i)
	}
	goto value

closing: // src[i] closes cur
	i++
	n = &d.Nodes[cur.node]
	n.End, n.Next, n.Len = uint32(i), uint32(len(d.Nodes)), cur.count
	if cur.count > smallObject && !cur.array {
		if dup := d.findDuplicate(cur.node); dup != 0 {
			i, why = int(d.Nodes[dup].NameStart)-1, "duplicate member name"
			goto fail
		}
	}
	level--
	cur = &d.stack[level]
	goto closed

failInValue:
	d.fault = d.place(level, true)
	return i, why
fail:
	d.fault = d.place(level, false)
	return i, why
}

// place returns the pointer to the innermost open container, or, if value is true, to
// the last node, which is in it.
func (d *Doc) place(level int, value bool) Pointer {
	var p []byte
	for l := 1; l <= level; l++ {
		node := uint32(len(d.Nodes) - 1)
		if l < level {
			node = d.stack[l+1].node
		} else if !value {
			break
		}
		switch {
		case len(p) > maxShownPath:
			return Pointer(append(p, "/…"...))
		case d.stack[l].array:
			p = strconv.AppendUint(append(p, '/'), uint64(d.stack[l].count), 10)
		default:
			p = AppendShownName(append(p, '/'), d.AppendName(nil, node))
		}
	}
	return Pointer(p)
}

// push appends a node, whose fields are not cleared: the caller writes each. Copying a
// whole Node would wait for the writes of its fields.
func (d *Doc) push() *Node {
	if len(d.Nodes) == cap(d.Nodes) {
		d.grow()
	}
	d.Nodes = d.Nodes[:len(d.Nodes)+1]
	return &d.Nodes[len(d.Nodes)-1]
}

// grow makes room for at least one node: as much again as there is, or, once there are
// many, as the rest of the text will take if it is like its beginning.
func (d *Doc) grow() {
	more := len(d.Nodes) + 32
	if n := len(d.Nodes); n >= 1<<12 {
		done := float64(d.Nodes[n-1].Start + 1)
		more = int(float64(n)*(float64(len(d.Src))/done-1)*1.05) + 1<<10
	}
	d.Nodes = slices.Grow(d.Nodes, more)
}

// skipBlanks returns the offset of the first byte from src[i] on that is not a blank.
func (d *Doc) skipBlanks(i int) int {
	start := i
	for i < len(d.Src) && isBlank(d.Src[i]) {
		i++
	}
	d.Blanks = d.Blanks || i > start
	return i
}

func isBlank(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

func containerName(array bool) string {
	if array {
		return "array"
	}
	return "object"
}

// shortName reads the name whose first byte is src[i], if it is at most 16 plain ASCII
// characters and not near the end of src. It returns the offset of the closing quote
// and the name's hash.
func shortName(src []byte, i int) (end int, hash uint32, ok bool) {
	if i+16 > len(src) {
		return 0, 0, false
	}
	w := load(src, i)
	if m := special(w); m != 0 {
		size := bits.TrailingZeros64(m) >> 3
		return i + size, mix(w&lowBytes[size], 0, size), src[i+size] == '"'
	}
	w2 := load(src, i+8)
	m := special(w2)
	if m == 0 {
		return 0, 0, false
	}
	size := bits.TrailingZeros64(m) >> 3
	return i + 8 + size, mix(w, w2&lowBytes[size], 8+size), src[i+8+size] == '"'
}

// lastIsDuplicate reports whether another member of the same open object has the name
// of the last node.
func (d *Doc) lastIsDuplicate(object uint32) bool {
	last := uint32(len(d.Nodes) - 1)
	for c := object + 1; c < last; c = d.Nodes[c].Next {
		if d.SameName(c, d, last) {
			return true
		}
	}
	return false
}

// findDuplicate returns the first member of a complete object whose name an earlier
// member has, or 0. It is linear: the hash is seeded, so names cannot be chosen to
// collide.
func (d *Doc) findDuplicate(object uint32) uint32 {
	d.table = d.table[:0]
	ix := Index{doc: d, object: object}
	ix.slots, ix.mask = d.newTable(d.Nodes[object].Len)
	for c, end := object+1, d.Nodes[object].Next; c < end; c = d.Nodes[c].Next {
		if ix.add(c) != 0 {
			return c
		}
	}
	return 0
}

// The states that scanString returns: two for a valid string, then the faults.
const (
	plain = iota
	escaped
	cutOff
	controlCharacter
	badUTF8
	badEscape
	loneSurrogate
)

var reasons = [...]string{
	cutOff:           "unexpected end inside a string",
	controlCharacter: "unescaped control character in a string",
	badUTF8:          "invalid UTF-8",
	badEscape:        "invalid escape",
	loneSurrogate:    "surrogate escape without its other half",
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)
