package jsonmerge

import (
	"bytes"

	"example.com/resourcekit/internal/strictjson"
)

// Equal reports whether value i of a and value j of b are the same JSON value. The
// order of members, escapes and blanks do not count; the text of numbers does. Values
// of b that are marked as strictjson.Omitted are ignored. It visits each node once, and
// makes indexes in b.
func Equal(a *strictjson.Doc, i uint32, b *strictjson.Doc, j uint32) bool {
	x, y := &a.Nodes[i], &b.Nodes[j]
	if x.Kind != y.Kind || x.Len != length(b, j) {
		return false
	}
	switch x.Kind {
	case strictjson.Number:
		return bytes.Equal(a.Text(i), b.Text(j))
	case strictjson.String:
		return a.SameString(i, b, j)
	case strictjson.Array:
		for c, d := i+1, j+1; c < x.Next; c, d = a.Nodes[c].Next, b.Nodes[d].Next {
			if !Equal(a, c, b, d) {
				return false
			}
		}
	case strictjson.Object:
		var index strictjson.Index
		index.Init(b, j)
		for c := i + 1; c < x.Next; c = a.Nodes[c].Next {
			if d := index.Find(a, c); d == 0 || b.Nodes[d].Mark&strictjson.Omitted != 0 || !Equal(a, c, b, d) {
				return false
			}
		}
	}
	return true
}

// length returns how many children value i has that are not omitted.
func length(d *strictjson.Doc, i uint32) uint32 {
	n := &d.Nodes[i]
	size := n.Len
	if n.Mark&strictjson.Partial != 0 {
		for c := i + 1; c < n.Next; c = d.Nodes[c].Next {
			if d.Nodes[c].Mark&strictjson.Omitted != 0 {
				size--
			}
		}
	}
	return size
}
