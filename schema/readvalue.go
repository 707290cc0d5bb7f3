package schema

import (
	"encoding/json"
	"iter"
	"math"
	"strconv"

	"example.com/resourcekit/internal/strictjson"
)

// isAny reports whether the schema at c allows every value.
func (r *reader) isAny(c uint32) bool {
	n := &r.doc.Nodes[c]
	return n.Kind == strictjson.True || n.Kind == strictjson.Object && n.Len == 0
}

// isNever reports whether the schema at c allows no value: it is false or {"not":{}}.
func (r *reader) isNever(c uint32) bool {
	n := &r.doc.Nodes[c]
	return n.Kind == strictjson.False || n.Kind == strictjson.Object && n.Len == 1 && string(r.doc.RawName(c+1)) == "not" && r.isAny(c+1)
}

// expect reports whether a node has this kind, and notes a mistake if it has not.
func (r *reader) expect(c uint32, kind strictjson.Kind) bool {
	if r.doc.Nodes[c].Kind != kind {
		r.mistake(c, "expected %s, not %s", article(kind), r.doc.Nodes[c].Kind)
		return false
	}
	return true
}

func article(kind strictjson.Kind) string {
	if kind == strictjson.Object || kind == strictjson.Array {
		return "an " + kind.String()
	}
	return "a " + kind.String()
}

// elements returns the elements of an array; none of a node that is not an array, which is
// a mistake.
func (r *reader) elements(c uint32) iter.Seq[uint32] {
	if !r.expect(c, strictjson.Array) {
		return func(func(uint32) bool) {}
	}
	return r.children(c)
}

// children returns the members or elements of a container.
func (r *reader) children(node uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for c := node + 1; c < r.doc.Nodes[node].Next; c = r.doc.Nodes[c].Next {
			if !yield(c) {
				return
			}
		}
	}
}

// text returns the value of a string; "" of another node.
func (r *reader) text(c uint32) string {
	if r.doc.Nodes[c].Kind != strictjson.String {
		return ""
	}
	return string(r.doc.AppendString(nil, c))
}

func (r *reader) string(c uint32) string {
	r.expect(c, strictjson.String)
	return r.text(c)
}

func (r *reader) bool(c uint32) bool {
	kind := r.doc.Nodes[c].Kind
	return kind == strictjson.True || kind != strictjson.False && r.expect(c, strictjson.True)
}

func (r *reader) number(c uint32) any {
	if r.doc.Nodes[c].Kind == strictjson.True { // exclusiveMinimum in OpenAPI 3.0
		r.mistake(c, "expected a number: write the minimum or maximum itself here")
		return nil
	}
	if !r.expect(c, strictjson.Number) {
		return nil
	}
	return json.Number(r.doc.Text(c))
}

// count reads a number of things.
func (r *reader) count(c uint32) int {
	if !r.expect(c, strictjson.Number) {
		return 0
	}
	text := r.doc.Text(c)
	n, err := strconv.Atoi(string(text))
	if err != nil && isIntegral(text) { // 1.0 or 1e3
		var f float64
		if f, err = strconv.ParseFloat(string(text), 64); f > math.MaxInt32 {
			err = strconv.ErrRange
		}
		n = int(f)
	}
	if err != nil || n < 0 {
		r.mistake(c, "expected an integer of 0 to %d", math.MaxInt)
		return 0
	}
	return n
}

func (r *reader) index(c uint32) uint32 {
	n := r.count(c)
	if n == 0 || n > maxIndex {
		r.mistake(c, "expected the number of an index, 1 to %d", maxIndex)
	}
	return uint32(n)
}

// value reads a value of the Go types of Field.Enum; nil is null.
func (r *reader) value(c uint32) any {
	switch r.doc.Nodes[c].Kind {
	case strictjson.Null:
		return nil
	case strictjson.False, strictjson.True:
		return r.doc.Nodes[c].Kind == strictjson.True
	case strictjson.Number:
		return json.Number(r.doc.Text(c))
	case strictjson.String:
		return r.text(c)
	}
	return json.RawMessage(strictjson.AppendCompact(nil, r.doc.Text(c)))
}
