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
	seen   uint64   // one bit for each name's hash: most names that are not there need no look
	slots  []uint32 // open hash table of nodes, at most half full; nil for a small object
	mask   uint32
}

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
	for slot := hash & ix.mask; ix.slots[slot] != 0; slot = (slot + 1) & ix.mask {
		if d.SameName(ix.slots[slot], e, member) {
			return ix.slots[slot]
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
	slot := ix.doc.Nodes[c].Hash & ix.mask
	for ix.slots[slot] != 0 { // node 0 is no member
		if ix.doc.SameName(ix.slots[slot], ix.doc, c) {
			return ix.slots[slot]
		}
		slot = (slot + 1) & ix.mask
	}
	ix.slots[slot] = c
	return 0
}
