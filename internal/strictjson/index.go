package strictjson

import (
	"math/bits"
	"slices"
)

// An Index finds the members of one object by name. Make it with Init. It uses memory
// of its Doc, and is valid until the next Parse.
//
// Members mostly come in the order in which they are looked for, so it first tries the
// one after the last it found. When that is another, it builds a table, in time linear
// in the object's members.
type Index struct {
	doc    *Doc
	object uint32
	next   uint32 // the member after the last one found
	built  bool
	seen   uint64 // one bit for each name's hash: most absent names need no further look
	slots  []slot // open hash table, at most half full; nil for a small object
	mask   uint32
}

// A slot is empty, 0, or a member: its hash and its node, so that most wrong members
// are told by the hash.
type slot uint64

func newSlot(hash, node uint32) slot { return slot(hash)<<32 | slot(node) }

func (s slot) hash() uint32 { return uint32(s >> 32) }
func (s slot) node() uint32 { return uint32(s) } // never 0: node 0 is not a member

// Init makes ix the index of the members of d's object i.
func (ix *Index) Init(d *Doc, i uint32) {
	ix.doc, ix.object, ix.next, ix.built = d, i, i+1, false
	ix.seen = ^uint64(0)
}

// Find returns the member that has the name of e's member, or 0.
func (ix *Index) Find(e *Doc, member uint32) uint32 {
	if ix.seen&(1<<(e.Nodes[member].Hash>>26)) == 0 {
		return 0
	}
	return ix.find(e, member)
}

// find is Find after its filter, which is small enough to be inlined.
func (ix *Index) find(e *Doc, member uint32) uint32 {
	d, hash, end := ix.doc, e.Nodes[member].Hash, ix.doc.Nodes[ix.object].Next
	if c := ix.next; c < end && d.Nodes[c].Hash == hash && d.SameName(c, e, member) {
		ix.next = d.Nodes[c].Next
		return c
	}
	if !ix.built {
		ix.build()
		return ix.Find(e, member)
	}
	if ix.slots == nil {
		for c := ix.object + 1; c < end; c = d.Nodes[c].Next {
			if d.Nodes[c].Hash == hash && d.SameName(c, e, member) {
				ix.next = d.Nodes[c].Next
				return c
			}
		}
		return 0
	}
	for i := hash & ix.mask; ix.slots[i] != 0; i = (i + 1) & ix.mask {
		if s := ix.slots[i]; s.hash() == hash && d.SameName(s.node(), e, member) {
			ix.next = d.Nodes[s.node()].Next
			return s.node()
		}
	}
	return 0
}

// build fills the filter and, for a large object, the table.
func (ix *Index) build() {
	d := ix.doc
	ix.built, ix.seen, ix.slots = true, 0, nil
	if n := d.Nodes[ix.object].Len; n > smallObject {
		ix.slots, ix.mask = d.newTable(n)
	}
	for c, end := ix.object+1, d.Nodes[ix.object].Next; c < end; c = d.Nodes[c].Next {
		ix.seen |= 1 << (d.Nodes[c].Hash >> 26)
		if ix.slots != nil {
			ix.add(c)
		}
	}
}

// newTable returns an empty table for n members, and its mask.
func (d *Doc) newTable(n uint32) ([]slot, uint32) {
	size := 1 << bits.Len32(2*n)
	from := len(d.table)
	d.table = slices.Grow(d.table, size)[:from+size]
	slots := d.table[from:]
	clear(slots)
	return slots, uint32(size - 1)
}

// add puts member c into the table and returns 0, or returns the member in it that has
// the same name.
func (ix *Index) add(c uint32) uint32 {
	hash := ix.doc.Nodes[c].Hash
	i := hash & ix.mask
	for ; ix.slots[i] != 0; i = (i + 1) & ix.mask {
		if s := ix.slots[i]; s.hash() == hash && ix.doc.SameName(s.node(), ix.doc, c) {
			return s.node()
		}
	}
	ix.slots[i] = newSlot(hash, c)
	return 0
}
