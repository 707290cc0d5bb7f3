package strictjson

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// A SyntaxError says where a text stops being strict JSON, and why. It never
// holds any part of the text.
type SyntaxError struct {
	Offset int    // in bytes from the start of the text
	Reason string // what was found or wanted there
}

// Error returns the reason and the offset.
func (e *SyntaxError) Error() string {
	return "invalid JSON at byte " + strconv.Itoa(e.Offset) + ": " + e.Reason
}

// smallObject is the number of members up to which names are compared with
// each other directly; larger objects go through an Index.
const smallObject = 16

// maxDepth is the size of Parse's stack: MaxDepth and room for an envelope.
const maxDepth = MaxDepth + 8

// frame is what Parse keeps of a container that is still open.
type frame struct {
	node  uint32 // its node
	count uint32 // children so far
	seen  uint64 // one bit for each name's hash
	array bool
}

// memberName is a member's name: its range between the quotes and its hash.
type memberName struct {
	start, end, hash uint32
	escaped          bool
}

// Parse reads src, which must hold exactly one JSON value with at most depth
// containers inside each other (at most MaxDepth+8), and records its nodes. On
// any violation of the package's rules it returns a *SyntaxError, and the nodes
// are not to be used. d keeps src, which must not change while d is in use.
func (d *Doc) Parse(src []byte, depth int) error {
	d.Src, d.Blanks, d.Nodes, d.table = src, false, d.Nodes[:0], d.table[:0]
	if uint64(len(src)) > math.MaxUint32 {
		return &SyntaxError{0, "the text is longer than 4 GiB"}
	}
	depth = min(depth, maxDepth)

	// The one loop below is a state machine with its state in local variables:
	// value -> closed -> (member -> value | value | closed), see the labels.
	var (
		nodes  = d.Nodes
		stack  = &d.stack // the open containers around cur
		level  int        // open containers, cur included
		cur    frame      // the innermost open container
		blanks bool
		name   memberName // of the value being read
		i      int
		why    string

		start   int // of the value being read
		kind    Kind
		escapes bool
	)
	if len(src) >= 3 && src[0] == 0xEF && src[1] == 0xBB && src[2] == 0xBF {
		why = "byte order mark"
		goto fail
	}
	for i < len(src) && src[i] <= ' ' && isBlank(src[i]) {
		i++
		blanks = true
	}

value: // src[i] is the first byte of a value; name is its name, if it has one
	if i >= len(src) {
		why = "unexpected end, want a value"
		goto fail
	}
	start, escapes = i, false
	switch b := src[i]; b {
	case '"':
		kind = String
		i++
		for i+8 <= len(src) {
			m := special(binary.LittleEndian.Uint64(src[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(src) || src[i] != '"' {
			end, state := scanString(src, i)
			if state > escaped {
				i, why = end, reasons[state]
				goto fail
			}
			i, escapes = end, state == escaped
		}
		i++

	case '{', '[':
		if level >= depth {
			why = "nested deeper than " + strconv.Itoa(depth) + " levels"
			goto fail
		}
		if level > 0 {
			stack[level-1] = cur
		}
		level++
		cur = frame{node: uint32(len(nodes)), array: b == '['}
		kind = Object
		if cur.array {
			kind = Array
		}
		nodes = append(nodes, Node{
			Start: uint32(start), NameStart: name.start, NameEnd: name.end,
			Hash: name.hash, NameEscaped: name.escaped, Kind: kind,
		})
		i++
		for i < len(src) && src[i] <= ' ' && isBlank(src[i]) {
			i++
			blanks = true
		}
		if i < len(src) && src[i] == b+2 { // '{'+2 == '}', '['+2 == ']'
			goto closing
		}
		if cur.array {
			name = memberName{}
			goto value
		}
		goto member

	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		end, reason := scanNumber(src, i)
		if reason != "" {
			i, why = end, reason
			goto fail
		}
		i = end
		kind = Number

	case 't':
		if len(src)-i < 4 || string(src[i:i+4]) != "true" {
			why = "want a value"
			goto fail
		}
		i += 4
		kind = True

	case 'f':
		if len(src)-i < 5 || string(src[i:i+5]) != "false" {
			why = "want a value"
			goto fail
		}
		i += 5
		kind = False

	case 'n':
		if len(src)-i < 4 || string(src[i:i+4]) != "null" {
			why = "want a value"
			goto fail
		}
		i += 4
		kind = Null

	default:
		why = "want a value"
		goto fail
	}
	// Written field by field into its place: a copy of a Node just made would
	// wait for the stores.
	if len(nodes) == cap(nodes) {
		nodes = append(nodes, Node{})
	} else {
		nodes = nodes[:len(nodes)+1]
	}
	{
		n := &nodes[len(nodes)-1]
		n.Start, n.End = uint32(start), uint32(i)
		n.NameStart, n.NameEnd = name.start, name.end
		n.Next, n.Len, n.Hash = uint32(len(nodes)), 0, name.hash
		n.Kind, n.NameEscaped, n.Escaped, n.Mark = kind, name.escaped, escapes, false
	}

closed: // a value ended in front of src[i]
	if level == 0 {
		goto finish
	}
	cur.count++
	if i+1 < len(src) && src[i] == ',' && src[i+1] == '"' && !cur.array { // likewise
		i++
		goto quotedName
	}
	if i < len(src) && src[i] <= ' ' {
		for i < len(src) && isBlank(src[i]) {
			i++
		}
		blanks = true
	}
	if i >= len(src) {
		why = "unexpected end, want ',' or the end of the " + containerName(cur.array)
		goto fail
	}
	switch b := src[i]; {
	case b == ',':
		i++
		for i < len(src) && src[i] <= ' ' && isBlank(src[i]) {
			i++
			blanks = true
		}
		if cur.array {
			name = memberName{}
			goto value
		}
		goto member
	case b == '}' && !cur.array, b == ']' && cur.array:
		goto closing
	case cur.array:
		why = "want ',' or ']' behind an element"
	default:
		why = "want ',' or '}' behind a member"
	}
	goto fail

member: // src[i] is the first byte of a member's name
	if i >= len(src) || src[i] != '"' {
		why = "want a member name in quotes"
		goto fail
	}
quotedName: // src[i] is the quote before a member's name
	i++
	name = memberName{start: uint32(i)}
	if end, w, ok := shortName(src, i); ok {
		name.hash = w
		i = end
	} else {
		end, state := scanString(src, i)
		if state > escaped {
			i, why = end, reasons[state]
			goto fail
		}
		if name.escaped = state == escaped; name.escaped {
			d.scratch = appendDecoded(d.scratch[:0], src[i:end])
			name.hash = hashName(d.scratch)
		} else {
			name.hash = hashName(src[i:end])
		}
		i = end
	}
	name.end = uint32(i)
	if cur.count < smallObject {
		bit := uint64(1) << (name.hash >> 26)
		if cur.seen&bit != 0 {
			d.Nodes = nodes
			if d.hasName(cur.node, name) {
				i, why = int(name.start)-1, "duplicate member name"
				goto fail
			}
		}
		cur.seen |= bit
	}
	i++
	if i+1 < len(src) && src[i] == ':' && src[i+1] > ' ' { // no blanks around: the usual case
		i++
		goto value
	}
	for i < len(src) && src[i] <= ' ' && isBlank(src[i]) {
		i++
		blanks = true
	}
	if i >= len(src) || src[i] != ':' {
		why = "want ':' behind a member name"
		goto fail
	}
	i++
	for i < len(src) && src[i] <= ' ' && isBlank(src[i]) {
		i++
		blanks = true
	}
	goto value

closing: // src[i] closes cur
	i++
	{
		c := &nodes[cur.node]
		c.End = uint32(i)
		c.Next = uint32(len(nodes))
		c.Len = cur.count
		if cur.count > smallObject && !cur.array {
			d.Nodes = nodes
			if dup := d.findDuplicate(cur.node); dup != 0 {
				i, why = int(nodes[dup].NameStart)-1, "duplicate member name"
				goto fail
			}
		}
	}
	level--
	if level > 0 {
		cur = stack[level-1]
	}
	goto closed

finish:
	for i < len(src) && isBlank(src[i]) {
		i++
		blanks = true
	}
	if i < len(src) {
		why = "want nothing behind the value"
		goto fail
	}
	d.Nodes, d.Blanks = nodes, blanks
	return nil

fail:
	d.Nodes = nodes[:0]
	return &SyntaxError{i, why}
}

func isBlank(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

func containerName(array bool) string {
	if array {
		return "array"
	}
	return "object"
}

// shortName reads the name whose first byte is src[i] when it is the common
// kind: at most 16 plain ASCII characters, well inside src. It returns the
// offset of the closing quote and the name's hash.
func shortName(src []byte, i int) (end int, hash uint32, ok bool) {
	if i+16 > len(src) {
		return 0, 0, false
	}
	w := binary.LittleEndian.Uint64(src[i:])
	if m := special(w); m != 0 {
		size := bits.TrailingZeros64(m) >> 3
		return i + size, mix(w&lowBytes[size], 0, size), src[i+size] == '"'
	}
	w2 := binary.LittleEndian.Uint64(src[i+8:])
	m := special(w2)
	if m == 0 {
		return 0, 0, false
	}
	size := bits.TrailingZeros64(m) >> 3
	return i + 8 + size, mix(w, w2&lowBytes[size], 8+size), src[i+8+size] == '"'
}

// hasName reports whether the open object has a member with n's name among the
// nodes read so far.
func (d *Doc) hasName(object uint32, n memberName) bool {
	name := d.Src[n.start:n.end]
	for c := object + 1; c < uint32(len(d.Nodes)); c = d.Nodes[c].Next {
		o := &d.Nodes[c]
		if o.Hash == n.hash && sameDecoded(d.Src[o.NameStart:o.NameEnd], o.NameEscaped, name, n.escaped) {
			return true
		}
	}
	return false
}

// findDuplicate returns the first member of a complete object whose name an
// earlier member has, or 0. It is linear: the hash is seeded, so nobody can
// choose names that collide.
func (d *Doc) findDuplicate(object uint32) uint32 {
	d.table = d.table[:0]
	ix := d.newIndex(object)
	for c, end := object+1, d.Nodes[object].Next; c < end; c = d.Nodes[c].Next {
		if ix.add(c) != 0 {
			return c
		}
	}
	return 0
}

// The states that scanString returns: the two good ones, then the reasons of
// failure.
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
	controlCharacter: "control character inside a string, want it escaped",
	badUTF8:          "invalid UTF-8",
	badEscape:        "invalid escape",
	loneSurrogate:    "surrogate escape without its other half",
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special returns a word whose lowest set bit is the high bit of the first byte
// of w (in memory order) that is a quote, a backslash, a control character or
// not ASCII; 0 when there is none.
func special(w uint64) uint64 {
	quote := w ^ ones*'"'
	backslash := w ^ ones*'\\'
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*' ')&^w | w) & highs
}

// scanString reads the string whose first byte behind the quote is src[i], and
// returns the offset of the closing quote and plain or escaped, or the offset
// of the fault and its reason.
func scanString(src []byte, i int) (int, int) {
	state := plain
	for {
		for i+8 <= len(src) {
			if m := special(binary.LittleEndian.Uint64(src[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				goto found
			}
			i += 8
		}
		for i < len(src) && src[i] >= ' ' && src[i] < 0x80 && src[i] != '"' && src[i] != '\\' {
			i++
		}
		if i >= len(src) {
			return i, cutOff
		}
	found:
		switch b := src[i]; {
		case b == '"':
			return i, state
		case b == '\\':
			size, fault := scanEscape(src[i:])
			if fault != plain {
				if fault == cutOff {
					i = len(src)
				}
				return i, fault
			}
			i += size
			state = escaped
		case b < ' ':
			return i, controlCharacter
		default:
			end := scanMultibyte(src, i)
			if end < 0 {
				return ^end, badUTF8
			}
			i = end
		}
	}
}

// scanEscape returns the length of the escape (or pair of surrogate escapes) at
// the start of s, and plain, or a fault.
func scanEscape(s []byte) (int, int) {
	if len(s) < 2 {
		return 0, cutOff
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, plain
	case 'u':
		u := hex4(s[2:])
		switch {
		case u < 0:
			if len(s) < 6 {
				return 0, cutOff
			}
			return 0, badEscape
		case u < 0xD800 || u > 0xDFFF:
			return 6, plain
		case u > 0xDBFF || len(s) < 12 || s[6] != '\\' || s[7] != 'u':
			return 0, loneSurrogate
		}
		if low := hex4(s[8:]); low < 0xDC00 || low > 0xDFFF {
			return 0, loneSurrogate
		}
		return 12, plain
	}
	return 0, badEscape
}

// hex4 returns the value of the four hexadecimal digits at the start of s, or
// -1 when there are not four.
func hex4(s []byte) int {
	if len(s) < 4 {
		return -1
	}
	v := 0
	for _, b := range s[:4] {
		switch {
		case b >= '0' && b <= '9':
			b -= '0'
		case b >= 'a' && b <= 'f':
			b -= 'a' - 10
		case b >= 'A' && b <= 'F':
			b -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | int(b)
	}
	return v
}

// scanMultibyte reads characters beyond ASCII from src[i] on and returns the
// offset behind them, or the complement of the offset of invalid UTF-8. It
// follows the table of well-formed sequences in RFC 3629, section 4.
func scanMultibyte(src []byte, i int) int {
	for i < len(src) && src[i] >= 0x80 {
		// Two characters of three bytes at once: most of the world's scripts.
		for i+8 <= len(src) {
			w := binary.LittleEndian.Uint64(src[i:])
			if w&0xC0C0F0C0C0F0 != 0x8080E08080E0 || !goodLead3(w) || !goodLead3(w>>24) {
				break
			}
			i += 6
		}
		if i >= len(src) || src[i] < 0x80 {
			break
		}
		rest := src[i:]
		switch b := rest[0]; {
		case b < 0xC2 || b > 0xF4:
			return ^i
		case b < 0xE0:
			if len(rest) < 2 || rest[1]&0xC0 != 0x80 {
				return ^i
			}
			i += 2
		case b < 0xF0:
			if len(rest) < 3 || rest[1]&0xC0 != 0x80 || rest[2]&0xC0 != 0x80 ||
				!goodLead3(uint64(b)|uint64(rest[1])<<8) {
				return ^i
			}
			i += 3
		default:
			if len(rest) < 4 || rest[1]&0xC0 != 0x80 || rest[2]&0xC0 != 0x80 || rest[3]&0xC0 != 0x80 ||
				b == 0xF0 && rest[1] < 0x90 || b == 0xF4 && rest[1] > 0x8F {
				return ^i
			}
			i += 4
		}
	}
	return i
}

// goodLead3 reports whether the first two bytes of a three-byte sequence are
// neither an overlong form (E0 80..9F) nor a surrogate (ED A0..BF).
func goodLead3(w uint64) bool {
	lead := w & 0x20FF
	return lead != 0x00E0 && lead != 0x20ED
}

// scanNumber returns the offset behind the number that starts at src[i], or the
// offset of a fault and what was wanted there (RFC 8259, section 6).
func scanNumber(src []byte, i int) (int, string) {
	if src[i] == '-' {
		i++
	}
	switch {
	case i < len(src) && src[i] == '0':
		i++
	case i < len(src) && src[i] >= '1' && src[i] <= '9':
		i = scanDigits(src, i+1)
	default:
		return i, "want a digit in a number"
	}
	if i < len(src) && src[i] == '.' {
		end := scanDigits(src, i+1)
		if end == i+1 {
			return end, "want a digit behind the decimal point"
		}
		i = end
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		end := scanDigits(src, i)
		if end == i {
			return end, "want a digit in an exponent"
		}
		i = end
	}
	return i, ""
}

func scanDigits(src []byte, i int) int {
	for i < len(src) && src[i] >= '0' && src[i] <= '9' {
		i++
	}
	return i
}
