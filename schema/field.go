package schema

import (
	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

// An object is the compiled form of the fields of an object: in their order, and an open
// hash table of their names.
type object struct {
	fields   []field
	values   *field // of a map: what members are that are not in fields; or nil
	first    *field // of fields; one that no member is if there are none
	presence []presence
	present  uint64   // the bits of presence of fields with a default
	table    []uint16 // index of a field plus 1, or 0; at least half of it is 0
	mask     uint32
	required int // how many fields are required
	defaults int // how many fields have a default

	anyRequired bool // here or at any depth below, arrays included

	names     *strictjson.Names // of the fields, in their order; nil if they are too many
	defaulted uint64            // which of them have a default, as bits
	nested    uint64            // and in the values of which declared objects may stand
}

// A field is the compiled form of Field.
type field struct {
	name       string // "" for items and values
	hash       uint32
	index      int    // in the object
	presence   uint64 // its bit in the rules of presence of the object, or 0
	next       *field // in the object; the first after the last
	typ        Type   // "" for a union and Any
	want       string // the types, for messages
	required   bool
	externalID bool
	pii        bool
	dateTime   bool   // the format is date-time
	integral   bool   // numbers have no fraction
	number     uint32 // of its index, or 0
	unique     bool
	lower      bool // strings are compared in lower case
	kinds      uint // of values, as bits
	accepts    uint // kinds of values that need no further judging
	nested     bool // values may contain declared objects
	format     *format
	enum       *enum
	checks     *checks         // nil if there are none
	object     *object         // nil if the object is open, or for another type
	items      *field          // nil if any element is allowed, or for another type
	def        *strictjson.Doc // the default, compact, or nil
}

// kindsOf has the kinds of the values of each type, as bits.
var kindsOf = map[Type]uint{
	String:  1 << strictjson.String,
	Boolean: 1<<strictjson.True | 1<<strictjson.False,
	Number:  1 << strictjson.Number,
	Integer: 1 << strictjson.Number,
	Object:  1 << strictjson.Object,
	Array:   1 << strictjson.Array,
	Any: 1<<strictjson.String | 1<<strictjson.True | 1<<strictjson.False | 1<<strictjson.Number |
		1<<strictjson.Object | 1<<strictjson.Array,
}

// isKind reports whether values of the field can have this kind.
func (f *field) isKind(kind strictjson.Kind) bool { return f.kinds>>kind&1 != 0 }

// is reports whether member c of d has the name of f, written without escapes. It is
// the guess before find: members mostly come in the order of the schema, so the next is
// likely to be the field after the last one found.
func (f *field) is(d *strictjson.Doc, c uint32) bool {
	n := &d.Nodes[c]
	return f.hash == n.Hash && n.Escapes&strictjson.InName == 0 && string(d.Src[n.NameStart:n.NameEnd]) == f.name
}

// makeNames makes the names with which documents are read fast.
func (o *object) makeNames() *strictjson.Names {
	names, inner := make([]string, len(o.fields)), make([]*strictjson.Names, len(o.fields))
	for i := range o.fields {
		f := &o.fields[i]
		names[i] = f.name
		if f.def != nil {
			o.defaulted |= 1 << (i & 63)
		}
		if f.nested {
			o.nested |= 1 << (i & 63)
		}
		if f.items != nil {
			f = f.items
		}
		if f.object != nil && f.object.values == nil {
			inner[i] = f.object.makeNames()
		}
	}
	o.names = strictjson.NewNames(names, inner)
	return o.names
}

// find returns the field with the name of member c of d, or nil.
func (o *object) find(d *strictjson.Doc, c uint32) *field {
	hash := d.Nodes[c].Hash
	for slot := hash & o.mask; o.table[slot] != 0; slot = (slot + 1) & o.mask {
		if f := &o.fields[o.table[slot]-1]; f.hash == hash && d.NameIs(c, hash, f.name) {
			return f
		}
	}
	return nil
}

// member returns the declaration of member c of d, or nil.
func (o *object) member(d *strictjson.Doc, c uint32) *field {
	if f := o.find(d, c); f != nil {
		return f
	}
	return o.values
}

// named returns the field of this name, or nil.
func (o *object) named(name string) *field {
	hash := strictjson.HashName(name)
	for slot := hash & o.mask; o.table[slot] != 0; slot = (slot + 1) & o.mask {
		if f := &o.fields[o.table[slot]-1]; f.hash == hash && f.name == name {
			return f
		}
	}
	return nil
}

// An enum is a list of allowed values, which are sorted. Strings are decoded; others are
// numbers in the form of indexvalue, and the texts of booleans.
type enum struct {
	strings, others []string
	code, want      string // of the violation
}

// has reports whether a scalar value, given as text, a string decoded, is allowed.
func (e *enum) has(kind strictjson.Kind, text []byte) bool {
	var buf [64]byte
	list := e.others
	switch kind {
	case strictjson.String:
		list = e.strings
	case strictjson.Number:
		text = indexvalue.AppendNumber(buf[:0], text)
	}
	lo, hi := 0, len(list)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if list[mid] < string(text) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(list) && list[lo] == string(text)
}

// makeTable makes the table of find, and the next fields of the guess before it.
func (o *object) makeTable() {
	size := 2
	for size < 2*len(o.fields) {
		size *= 2
	}
	o.table, o.mask = make([]uint16, size), uint32(size-1)
	if len(o.fields) > 0 {
		o.first = &o.fields[0]
	} else { // a name that is not UTF-8
		o.first = &field{name: "\xff", hash: strictjson.HashName("\xff")}
		o.first.next = o.first
	}
	for i := range o.fields {
		o.fields[i].next = &o.fields[(i+1)%len(o.fields)]
		slot := o.fields[i].hash & o.mask
		for o.table[slot] != 0 {
			slot = (slot + 1) & o.mask
		}
		o.table[slot] = uint16(i + 1)
	}
}

// anyRequired reports whether a field inside values of f is required.
func (f *field) anyRequired() bool {
	for f.items != nil {
		f = f.items
	}
	return f.object != nil && f.object.anyRequired
}
