package schema

import (
	"github.com/tidwall/sjson"

	"example.com/resourcekit/internal/strictjson"
)

// Show returns a stored document as a reader sees it: undeclared fields hidden,
// at every depth that declares fields and in the elements of arrays, defaults
// filled in where a field is absent, compact. What stays keeps its order and its
// text; what is filled in comes last in its object, in the order of the schema.
// Nothing is validated: a stored value of the wrong type is shown as it is.
//
// It returns stored itself when that is the answer. The error is a
// [*CorruptError] when stored is not a JSON object.
func (s *Schema) Show(stored []byte) ([]byte, error) {
	w := getWalk()
	defer putWalk(w)
	if err := parseStored(&w.doc, stored); err != nil {
		return nil, err
	}
	w.look(s.root, 0)
	if w.hidden == 0 && !w.unfilled && !w.doc.Blanks {
		return stored, nil
	}
	return w.show(s.root)
}

// look marks what is to be hidden in the object at node, and finds out whether
// there is a default to fill in.
func (w *walk) look(o *object, node uint32) {
	filled, next := 0, &o.fields[0]
	for c, end := node+1, w.doc.Nodes[node].Next; c < end; c = w.doc.Nodes[c].Next {
		f := next
		if !f.is(&w.doc, c) {
			if f = o.find(&w.doc, c); f == nil {
				w.doc.Nodes[c].Mark = true
				w.hidden++
				continue
			}
		}
		next = f.next
		if f.def != nil {
			filled++
		}
		if !f.nested {
			continue
		}
		switch kind := w.doc.Nodes[c].Kind; {
		case f.object != nil && kind == strictjson.Object:
			w.look(f.object, c)
		case f.items != nil && kind == strictjson.Array:
			w.lookInside(f.items, c)
		}
	}
	if filled < o.defaults {
		w.unfilled = true
	}
}

// lookInside does the same for the elements of the array at node, in which
// nothing has a default.
func (w *walk) lookInside(items *field, node uint32) {
	for c, end := node+1, w.doc.Nodes[node].Next; c < end; c = w.doc.Nodes[c].Next {
		switch kind := w.doc.Nodes[c].Kind; {
		case items.object != nil && kind == strictjson.Object:
			w.look(items.object, c)
		case items.items != nil && kind == strictjson.Array:
			w.lookInside(items.items, c)
		}
	}
}

// show returns the document that look has gone through, as a reader sees it.
func (w *walk) show(root *object) ([]byte, error) {
	out := w.doc.Src
	if w.hidden > 0 || w.doc.Blanks {
		out = appendUnmarked(make([]byte, 0, len(out)), &w.doc, 0)
	}
	if !w.unfilled {
		return out, nil
	}
	return w.fill(root, 0, out)
}

// fill returns out with the defaults that are absent from the object at node.
// out is the document, with or without its marked members.
func (w *walk) fill(o *object, node uint32, out []byte) ([]byte, error) {
	if !o.anyDefault {
		return out, nil
	}
	var err error
	for i := range o.fields {
		f := &o.fields[i]
		if f.def == nil && f.object == nil {
			continue
		}
		switch c, ok := w.doc.Find(node, f.hash, f.name); {
		case !ok && f.def != nil:
			out, err = sjson.SetRawBytes(out, f.path, f.def)
		case ok && f.object != nil && w.doc.Nodes[c].Kind == strictjson.Object:
			out, err = w.fill(f.object, c, out)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendUnmarked appends node i without its marked members, compact.
func appendUnmarked(dst []byte, d *strictjson.Doc, i uint32) []byte {
	n := &d.Nodes[i]
	if n.Kind != strictjson.Object && n.Kind != strictjson.Array {
		return append(dst, d.Src[n.Start:n.End]...)
	}
	dst = append(dst, d.Src[n.Start])
	for c, first := i+1, true; c < n.Next; c = d.Nodes[c].Next {
		if d.Nodes[c].Mark {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		if n.Kind == strictjson.Object {
			dst = append(append(append(dst, '"'), d.RawName(c)...), '"', ':')
		}
		dst = appendUnmarked(dst, d, c)
	}
	return append(dst, d.Src[n.End-1])
}
