package memory

import (
	"bytes"
	"encoding/binary"

	"github.com/tidwall/btree"

	"example.com/resourcekit/storage"
)

// places are the entries of one record, sorted. They never change.
type places []storage.Entry

// newPlaces copies entries, which may be pieces of a larger buffer.
func newPlaces(entries []storage.Entry) *places {
	if len(entries) == 0 {
		return nil
	}
	p := make(places, len(entries))
	for i, e := range entries {
		e.Value = bytes.Clone(e.Value)
		p[i] = e
	}
	return &p
}

func (p *places) all() places {
	if p == nil {
		return nil
	}
	return *p
}

// equal reports whether the entries are those of p.
func (p *places) equal(entries []storage.Entry) bool {
	mine := p.all()
	if len(mine) != len(entries) {
		return false
	}
	for i := range mine {
		if mine[i].Unique != entries[i].Unique || mine[i].Compare(entries[i]) != 0 {
			return false
		}
	}
	return true
}

// A place is a value in an index, and the entry that is found there.
type place struct {
	head  [2]uint64 // of the value: the first bytes, which decide most comparisons without a cache miss
	value []byte
	entry *entry // nil for a bound of a search, which comes before all entries with its value
}

const headSize = 16 // bytes

func newPlace(value []byte, e *entry) place {
	var head [headSize]byte
	copy(head[:], value)
	return place{
		head:  [2]uint64{binary.BigEndian.Uint64(head[:]), binary.BigEndian.Uint64(head[8:])},
		value: value, entry: e,
	}
}

func (p *place) id() string {
	if p.entry == nil {
		return ""
	}
	return p.entry.id
}

func less(a, b place) bool {
	if a.head[0] != b.head[0] {
		return a.head[0] < b.head[0]
	}
	if a.head[1] != b.head[1] {
		return a.head[1] < b.head[1]
	}
	c := len(a.value) - len(b.value) // of values that differ only in zeros at the end
	if max(len(a.value), len(b.value)) > headSize {
		c = bytes.Compare(a.value, b.value)
	}
	return c < 0 || c == 0 && a.id() < b.id()
}

// byValue has the places of the records of one scope: one tree for each index, and the
// entries that have unique values.
type byValue struct {
	trees map[uint32]*btree.BTreeG[place]
	taken map[string]*entry // by index and value
}

func unique(e storage.Entry) string {
	return string(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(e.Value)), e.Index), e.Value...))
}

// free returns a NotUniqueError if another entry has one of the places for itself.
func (v *byValue) free(e *entry, to *places) error {
	for _, p := range to.all() {
		if p.Unique {
			if other := v.taken[unique(p)]; other != nil && other != e {
				return &storage.NotUniqueError{Index: p.Index}
			}
		}
	}
	return nil
}

// move takes an entry from some places to others.
func (v *byValue) move(e *entry, from, to *places) {
	for _, p := range from.all() {
		v.trees[p.Index].Delete(newPlace(p.Value, e))
		if p.Unique {
			delete(v.taken, unique(p))
		}
	}
	for _, p := range to.all() {
		tree := v.trees[p.Index]
		if tree == nil {
			if v.trees == nil {
				v.trees, v.taken = make(map[uint32]*btree.BTreeG[place]), make(map[string]*entry)
			}
			tree = btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
			v.trees[p.Index] = tree
		}
		tree.Set(newPlace(p.Value, e))
		if p.Unique {
			v.taken[unique(p)] = e
		}
	}
}

// page returns a page of an index. It works in passes, as list does, and keeps the lock until
// it has the records, so that each is one that has the value.
func (ix *index) page(number uint32, r storage.Range) storage.Page {
	ix.mu.RLock()
	var buf [128]place // no allocation for usual limits
	found, more := ix.places(buf[:0], number, r)
	var recBuf [len(buf)]*record
	records := recBuf[:0]
	for i := range found {
		records = append(records, found[i].entry.rec.Load())
	}
	ix.mu.RUnlock()
	fetch(records)
	if len(found) == 0 {
		return storage.Page{}
	}
	page := storage.Page{Records: make([]storage.Record, len(found)), Values: make([][]byte, len(found))}
	for i, p := range found {
		page.Records[i] = records[i].public(ix.key(p.entry.id))
		page.Values[i] = p.value
	}
	if more {
		last := found[len(found)-1]
		page.Next = storage.Position{Value: last.value, ExternalID: last.entry.id}
	}
	return page
}

// places appends the places of a page, and reports whether there are more.
func (ix *index) places(dst []place, number uint32, r storage.Range) (_ []place, more bool) {
	tree := ix.trees[number]
	if tree == nil {
		return dst, false
	}
	from, to, after := newPlace(r.From, nil), newPlace(r.To, nil), newPlace(r.After.Value, nil)
	if !r.After.IsZero() {
		after.entry = &entry{id: r.After.ExternalID}
	}
	add := func(p place) bool {
		switch {
		case r.Backwards && less(p, from),
			!r.Backwards && r.To != nil && !less(p, to):
			return false
		case len(dst) == 0 && !less(p, after) && !less(after, p): // the first, if it is still there
			return true
		case len(dst) == r.Limit:
			more = true
			return false
		}
		dst = append(dst, p)
		return true
	}
	switch {
	case !r.Backwards && less(after, from):
		tree.Ascend(from, add)
	case !r.Backwards:
		tree.Ascend(after, add)
	case r.To != nil && (after.entry == nil || less(to, after)):
		tree.Descend(to, add) // which sorts before every place with this value
	case after.entry != nil:
		tree.Descend(after, add)
	default:
		tree.Reverse(add)
	}
	return dst, more
}
