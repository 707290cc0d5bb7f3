package strictjson

import (
	"math/bits"
	"slices"
)

// An Index finds the members of one object by name. It is made of its Doc's
// memory and is valid until the next Parse.
type Index struct {
	doc    *Doc
	object uint32
	seen   uint64 // one bit for each name's hash: most names that are not there need no look
	slots  []slot // open hash table, at most half full; nil for a small object
	mask   uint32
}

// A slot is empty, 0, or a member: its hash beside its node, so that a look at
// the wrong one need not go to the node.
type slot uint64

func newSlot(hash, node uint32) slot { return slot(hash)<<32 | slot(node) }

func (s slot) hash() uint32 { return uint32(s >> 32) }
func (s slot) node() uint32 { return uint32(s) } // never 0: node 0 is no member

// Index returns an index of object i's members, in time linear in their number.
func (d *Doc) Index(i uint32) Index {
	ix := Index{doc: d, object: i}
	if d.Nodes[i].Len > smallObject {
		ix = d.newIndex(i)
	}
	for c, end := i+1, d.Nodes[i].Next; c < end; c = d.Nodes[c].Next {
		ix.seen |= 1 << (d.Nodes[c].Hash >> 26)
		if ix.slots != nil {
			ix.add(c)
		}
	}
	return ix
}

// Find returns the member whose name is that of e's member, or 0.
func (ix *Index) Find(e *Doc, member uint32) uint32 {
	hash := e.Nodes[member].Hash
	if ix.seen&(1<<(hash>>26)) == 0 {
		return 0
	}
	d := ix.doc
	if ix.slots == nil {
		for c, end := ix.object+1, d.Nodes[ix.object].Next; c < end; c = d.Nodes[c].Next {
			if d.SameName(c, e, member) {
				return c
			}
		}
		return 0
	}
	for i := hash & ix.mask; ix.slots[i] != 0; i = (i + 1) & ix.mask {
		if s := ix.slots[i]; s.hash() == hash && d.SameName(s.node(), e, member) {
			return s.node()
		}
	}
	return 0
}

// newIndex returns an index with an empty table for the members of object i.
func (d *Doc) newIndex(i uint32) Index {
	size := 1 << bits.Len32(2*d.Nodes[i].Len)
	from := len(d.table)
	d.table = slices.Grow(d.table, size)[:from+size]
	slots := d.table[from:]
	clear(slots)
	return Index{doc: d, object: i, slots: slots, mask: uint32(size - 1)}
}

// add puts member c into the table, or returns the member there that has the
// same name.
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
