package merge

import (
	"bytes"

	"example.com/resourcekit/internal/strictjson"
)

// Equal reports whether a and b are the same JSON value. The order of members,
// the escapes of names and strings, and blanks do not count; the order of
// elements does, and so does the text of numbers: 1.0 and 1 differ. Input that
// is not strict JSON equals nothing, not even itself.
func Equal(a, b []byte) bool {
	x, y := strictjson.Get(), strictjson.Get()
	defer strictjson.Put(x)
	defer strictjson.Put(y)
	return x.Parse(a, MaxDepth) == nil &&
		(bytes.Equal(a, b) || y.Parse(b, MaxDepth) == nil && same(x, 0, y, 0))
}

// same is Equal on parsed values. It visits each node once, so it is linear.
func same(a *strictjson.Doc, i uint32, b *strictjson.Doc, j uint32) bool {
	x, y := &a.Nodes[i], &b.Nodes[j]
	if x.Kind != y.Kind || x.Len != y.Len {
		return false
	}
	switch x.Kind {
	case strictjson.Number:
		return bytes.Equal(a.Text(i), b.Text(j))
	case strictjson.String:
		return a.SameString(i, b, j)
	case strictjson.Array:
		for c, d := i+1, j+1; c < x.Next; c, d = a.Nodes[c].Next, b.Nodes[d].Next {
			if !same(a, c, b, d) {
				return false
			}
		}
	case strictjson.Object:
		var index strictjson.Index
		index.Init(b, j)
		for c := i + 1; c < x.Next; c = a.Nodes[c].Next {
			if d := index.Find(a, c); d == 0 || !same(a, c, b, d) {
				return false
			}
		}
	}
	return true
}
