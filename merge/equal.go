package merge

import (
	"bytes"

	"example.com/resourcekit/internal/jsonmerge"
	"example.com/resourcekit/internal/strictjson"
)

// Equal reports whether a and b are the same JSON value. The order of members, the
// escapes of names and strings, and blanks do not count. The order of elements and the
// text of numbers do: 1.0 and 1 differ. It is false if a or b is not strict JSON.
func Equal(a, b []byte) bool {
	x, y := strictjson.Get(), strictjson.Get()
	defer strictjson.Put(x)
	defer strictjson.Put(y)
	return x.Parse(a, MaxDepth) == nil &&
		(bytes.Equal(a, b) || y.Parse(b, MaxDepth) == nil && jsonmerge.Equal(x, 0, y, 0))
}
