package strictjson

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// Names are the names that the members of a document mostly have, in their order.
// A document with no others, and without blanks between its tokens, is read in some
// two thirds of the time: the length of a name is known before the text is looked at,
// and that no name comes twice costs a bit. A nil *Names knows none.
type Names struct{ list []knownName }

const (
	maxNames = 64 // the bits of a word
	maxName  = nameText - len(`"":`)
	nameText = 24

	// How many names a member is compared with: Parse is quicker where the order is
	// another one and the names are many.
	maxTries = 16
)

// A knownName is the beginning of a member, `"name":`, as words in memory order.
type knownName struct {
	text, mask [nameText / 8]uint64
	size       uint32 // of the text
	hash       uint32
	inner      *Names // of an object that is the value, or of those in an array that is; nil if any may come
}

// NewNames returns nil if the names are more than 64 or one of them is longer than
// 21 bytes or needs an escape. If inner is not nil, inner[i] are the names in values of
// names[i].
func NewNames(names []string, inner []*Names) *Names {
	if len(names) == 0 || len(names) > maxNames {
		return nil
	}
	n := new(Names)
	for i, name := range names {
		member := append(AppendQuoted(nil, name), ':')
		if len(name) > maxName || len(member) != len(name)+len(`"":`) {
			return nil
		}
		var text, mask [nameText]byte
		copy(text[:], member)
		for b := range member {
			mask[b] = 0xFF
		}
		k := knownName{size: uint32(len(member)), hash: HashName(name)}
		if inner != nil {
			k.inner = inner[i]
		}
		for w := range k.text {
			k.text[w], k.mask[w] = load(text[:], 8*w), load(mask[:], 8*w)
		}
		n.list = append(n.list, k)
	}
	return n
}

// begins reports whether the text begins with the member's name.
func (n *knownName) begins(text *[nameText]byte) bool {
	return (binary.LittleEndian.Uint64(text[:])^n.text[0])&n.mask[0]|
		(binary.LittleEndian.Uint64(text[8:])^n.text[1])&n.mask[1]|
		(binary.LittleEndian.Uint64(text[16:])^n.text[2])&n.mask[2] == 0
}

// Slow, if true, makes ParseKnown the same as Parse. It is for tests.
var Slow bool

// ParseKnown is Parse for a document that mostly has these names. It leaves the same
// nodes and returns the same errors, in less time. names may be nil.
func (d *Doc) ParseKnown(src []byte, depth int, names *Names) error {
	if names != nil && !Slow && d.quick(src, depth, names) {
		return nil
	}
	return d.Parse(src, depth)
}

// OnQuick, if not nil, is called with each text that is read without Parse. It is for
// tests.
var OnQuick func(src []byte)

// quick reads src, and returns false if it has to be read by Parse: it never says
// that a text is wrong.
func (d *Doc) quick(src []byte, depth int, names *Names) bool {
	if len(src) == 0 || src[0] != '{' || uint64(len(src)) > math.MaxUint32 {
		return false
	}
	d.Src, d.Blanks, d.Names, d.Nodes, d.table, d.seen = src[:len(src):len(src)], false, names, d.Nodes[:0], d.table[:0], 0
	if d.object(0, min(depth, maxDepth), names) != len(src) {
		return false
	}
	if OnQuick != nil {
		OnQuick(src)
	}
	return true
}

// object reads the object that begins at src[i], and returns the offset after it, or 0
// if the text has to be read by Parse. The node has no name.
func (d *Doc) object(i, depth int, names *Names) int {
	src, list := d.Src[:len(d.Src):len(d.Src)], names.list
	if depth < 1 {
		return 0
	}
	var (
		at   = len(d.Nodes) // the object's node
		n    = at + 1       // the next node
		seen uint64
		k    = 0 // the name to try first
	)
	d.Nodes = slices.Grow(d.Nodes, len(list)+1)
	nodes := d.Nodes[:cap(d.Nodes)]
	nodes[at] = Node{Start: uint32(i), Kind: Object}
	if i++; i < len(src) && src[i] == '}' {
		goto done
	}
	for {
		if i > len(src)-nameText {
			if k = shortRest(list, k, src[i:]); k < 0 {
				return 0
			}
		} else if text := (*[nameText]byte)(src[i:]); !list[k].begins(text) {
			for tries := 1; ; tries++ {
				if tries == maxTries {
					return 0
				}
				if k++; k == len(list) {
					k = 0
				}
				if list[k].begins(text) {
					break
				}
			}
		}
		name := &list[k]
		if seen>>(k&63)&1 != 0 {
			return 0
		}
		seen |= 1 << (k & 63)
		value := i + int(name.size)
		if value >= len(src) {
			return 0
		}
		kind, escapes := String, Escapes(0)
		end := value + 1
		switch b := src[value]; b {
		case '"':
			for end < len(src)-7 {
				if m := special(load(src, end)); m != 0 {
					end += bits.TrailingZeros64(m) >> 3
					break
				}
				end += 8
			}
			if end >= len(src) || src[end] != '"' {
				var state int
				if end, state = scanString(src, end); state > escaped {
					return 0
				}
				if state == escaped {
					escapes = InValue
				}
			}
			end++
		case 't':
			kind = True
			if end = value + 4; end > len(src) || string(src[value:end]) != "true" {
				return 0
			}
		case 'f':
			kind = False
			if end = value + 5; end > len(src) || string(src[value:end]) != "false" {
				return 0
			}
		case 'n':
			kind = Null
			if end = value + 4; end > len(src) || string(src[value:end]) != "null" {
				return 0
			}
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			kind = Number
			var why string
			if end, why = scanNumber(src, value); why != "" {
				return 0
			}
		case '{', '[':
			d.Nodes = nodes[:n]
			if end = d.container(value, depth-1, name.inner); end == 0 {
				return 0
			}
			node := &d.Nodes[n]
			node.NameStart, node.NameEnd, node.Hash, node.Known = uint32(i+1), uint32(value-2), name.hash, uint8(k+1)
			n = len(d.Nodes)
			d.Nodes = slices.Grow(d.Nodes, len(list))
			nodes = d.Nodes[:cap(d.Nodes)]
			goto next
		default:
			return 0
		}
		if n >= len(nodes) {
			return 0 // not reached: there is room for all names
		}
		{
			node := &nodes[n]
			n++
			node.Start, node.End = uint32(value), uint32(end)
			node.NameStart, node.NameEnd = uint32(i+1), uint32(value-2)
			node.Next, node.Len = uint32(n), 0
			node.Hash, node.Kind, node.Known, node.Escapes, node.Mark = name.hash, kind, uint8(k+1), escapes, 0
		}
	next:
		if end >= len(src) {
			return 0
		}
		i = end
		if src[end] != ',' {
			if src[end] != '}' {
				return 0
			}
			break
		}
		i++
		if k++; k == len(list) {
			k = 0
		}
	}
done:
	object := &nodes[at]
	object.End, object.Next, object.Len = uint32(i+1), uint32(n), uint32(bits.OnesCount64(seen))
	d.Nodes, d.seen = nodes[:n], seen // in the end that of Nodes[0]
	return i + 1
}

// container reads the object or array that begins at src[i] as object does: an object
// with these names, an array of such, or of any kind if they are nil.
func (d *Doc) container(i, depth int, names *Names) int {
	switch {
	case names == nil:
		end, why := d.parse(i, depth)
		if why != "" {
			return 0
		}
		return end
	case d.Src[i] == '{':
		return d.object(i, depth, names)
	}
	return d.array(i, depth, names)
}

// array reads the array that begins at src[i] as object does; names are those of the
// objects in it.
func (d *Doc) array(i, depth int, names *Names) int {
	if depth < 1 {
		return 0
	}
	src, at, count, start := d.Src, len(d.Nodes), 0, i
	d.push()
	if i++; i < len(src) && src[i] == ']' {
		goto done
	}
	for {
		if i < len(src) && src[i] == '{' {
			if i = d.object(i, depth-1, names); i == 0 {
				return 0
			}
		} else if end, why := d.parse(i, depth-1); why == "" {
			i = end
		} else {
			return 0
		}
		count++
		if i >= len(src) || src[i] != ',' && src[i] != ']' {
			return 0
		}
		if src[i] == ']' {
			break
		}
		i++
	}
done:
	d.Nodes[at] = Node{Start: uint32(start), End: uint32(i + 1), Next: uint32(len(d.Nodes)), Len: uint32(count), Kind: Array}
	return i + 1
}

// shortRest returns the name that rest begins with, or -1, for a rest that is shorter
// than nameText.
func shortRest(list []knownName, k int, rest []byte) int {
	var text [nameText]byte
	copy(text[:], rest)
	for range list {
		if int(list[k].size) <= len(rest) && list[k].begins(&text) {
			return k
		}
		if k++; k == len(list) {
			k = 0
		}
	}
	return -1
}

// A Learner parses documents, and learns the names that many of them have, at most 64.
// It keeps no values. The zero value has learned none.
type Learner struct {
	list   []string
	names  *Names
	misses int // documents since the last one that quick has read
	skip   int // how many documents are left to Parse
}

// After maxMisses documents in a row that quick could not read, a Learner leaves the
// next pause documents to Parse.
const (
	maxMisses = 4
	pause     = 16
)

// Parse is d.Parse.
func (l *Learner) Parse(d *Doc, src []byte, depth int) error {
	if l.skip > 0 {
		l.skip--
		return d.Parse(src, depth)
	}
	if l.names != nil && !Slow && d.quick(src, depth, l.names) {
		l.misses = 0
		return nil
	}
	if err := d.Parse(src, depth); err != nil {
		return err
	}
	if l.misses++; l.misses > maxMisses {
		l.misses, l.skip = maxMisses, pause
	}
	l.learn(d)
	return nil
}

// learn adds the names of d's members, if quick could read d with them: each after the
// member before it, as that is where quick looks first.
func (l *Learner) learn(d *Doc) {
	root := &d.Nodes[0]
	if root.Kind != Object || root.Len > maxNames || d.Blanks {
		return
	}
	list, at := slices.Clone(l.list), 0
	for c := uint32(1); c < root.Next; c = d.Nodes[c].Next {
		n := &d.Nodes[c]
		if n.Escapes&InName != 0 || n.NameEnd-n.NameStart > uint32(maxName) {
			return
		}
		name := d.RawName(c)
		i := slices.IndexFunc(list, func(s string) bool { return s == string(name) })
		if i < 0 {
			list, i = slices.Insert(list, at, string(name)), at
		}
		at = i + 1
	}
	if len(list) == len(l.list) {
		return
	}
	if len(list) > maxNames { // those of this document that were not known
		list = slices.DeleteFunc(list, func(s string) bool { return slices.Contains(l.list, s) })
	}
	if names := NewNames(list, nil); names != nil {
		l.list, l.names = list, names
	}
}
