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
	value []byte
	id    string
	entry *entry
}

func less(a, b place) bool {
	if c := bytes.Compare(a.value, b.value); c != 0 {
		return c < 0
	}
	return a.id < b.id
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
		v.trees[p.Index].Delete(place{p.Value, e.id, nil})
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
		tree.Set(place{p.Value, e.id, e})
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
	if len(found) == 0 {
		return storage.Page{}
	}
	page := storage.Page{Records: make([]storage.Record, len(found)), Values: make([][]byte, len(found))}
	for i, p := range found {
		page.Records[i] = records[i].public(ix.key(p.id))
		page.Values[i] = p.value
	}
	if more {
		last := found[len(found)-1]
		page.Next = storage.Position{Value: last.value, ExternalID: last.id}
	}
	return page
}

// places appends the places of a page, and reports whether there are more.
func (ix *index) places(dst []place, number uint32, r storage.Range) (_ []place, more bool) {
	tree := ix.trees[number]
	if tree == nil {
		return dst, false
	}
	after := place{value: r.After.Value, id: r.After.ExternalID}
	add := func(p place) bool {
		switch {
		case r.Backwards && r.From != nil && bytes.Compare(p.value, r.From) < 0,
			!r.Backwards && r.To != nil && bytes.Compare(p.value, r.To) >= 0:
			return false
		case p.id == after.id && bytes.Equal(p.value, after.value):
			return true
		case len(dst) == r.Limit:
			more = true
			return false
		}
		dst = append(dst, p)
		return true
	}
	start := after
	switch {
	case !r.Backwards:
		if from := (place{value: r.From}); less(start, from) {
			start = from
		}
		tree.Ascend(start, add)
	case start.id == "" && r.To == nil:
		tree.Reverse(add)
	default:
		if to := (place{value: r.To}); r.To != nil && (start.id == "" || less(to, start)) {
			start = to // sorts before every place with this value
		}
		tree.Descend(start, add)
	}
	return dst, more
}
