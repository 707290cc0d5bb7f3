package schema

import "example.com/resourcekit/internal/strictjson"

// Show returns a stored document as a reader sees it: compact, without undeclared
// fields, at every depth that declares fields and in the elements of arrays, and with
// the defaults of absent fields. The other members keep their order and their text;
// defaults come last in their object, in the order of the schema. Nothing is judged: a
// stored value of the wrong type is shown as it is.
//
// It returns stored itself if nothing is to be changed, and nil if the document does not
// match the filter. A nil filter matches every document. The error is a [*CorruptError]
// when stored is not a JSON object.
func (s *Schema) Show(stored []byte, filter *Filter) ([]byte, error) {
	w := getWorkspace()
	defer w.put()
	if err := s.parseStored(&w.stored, stored); err != nil {
		return nil, err
	}
	if !filter.holds(w, &w.stored) {
		return nil, nil
	}
	return w.show(s.root, &w.stored), nil
}

// show returns document d as a reader sees it.
func (w *workspace) show(root *object, d *strictjson.Doc) []byte {
	if w.view.complete(root, d) && !d.Blanks {
		return d.Src
	}
	return w.view.append(make([]byte, 0, len(d.Src)), root, 0, true)
}

// A view compares a document with its declaration: which members are hidden, and which
// defaults are absent.
type view struct {
	doc      *strictjson.Doc
	hidden   int      // number of undeclared members, which are marked
	unfilled bool     // some default is absent
	at       []uint32 // scratch of append
}

// look sets hidden and unfilled, and marks the members to hide.
func (v *view) look(root *object, d *strictjson.Doc) {
	v.doc, v.hidden, v.unfilled = d, 0, false
	if d.Names != nil && d.Has()&root.nested == 0 { // nothing is undeclared
		v.unfilled = root.defaulted&^d.Has() != 0
		return
	}
	v.object(root, 0)
}

// complete reports whether there is nothing to hide or to fill in.
func (v *view) complete(root *object, d *strictjson.Doc) bool {
	v.look(root, d)
	return v.hidden == 0 && !v.unfilled
}

func (v *view) object(o *object, node uint32) {
	d := v.doc
	filled, next, known := 0, o.first, d.ReadByNames(node)
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		f := next
		if known {
			f = &o.fields[d.Nodes[c].Known-1]
		} else if !f.is(d, c) {
			if f = o.find(d, c); f == nil {
				if o.values == nil {
					d.Nodes[c].Mark = strictjson.Omitted
					v.hidden++
				} else if o.values.nested {
					v.value(o.values, c)
				}
				continue
			}
		}
		next = f.next
		if f.def != nil {
			filled++
		}
		if f.nested {
			v.value(f, c)
		}
	}
	if filled < o.defaults {
		v.unfilled = true
	}
}

func (v *view) value(f *field, node uint32) {
	n := &v.doc.Nodes[node]
	hidden := v.hidden
	switch {
	case f.object != nil && n.Kind == strictjson.Object:
		v.object(f.object, node)
	case f.items != nil && n.Kind == strictjson.Array:
		for c := node + 1; c < n.Next; c = v.doc.Nodes[c].Next {
			v.value(f.items, c)
		}
	}
	if v.hidden > hidden {
		n.Mark = strictjson.Partial
	}
}

// append appends the object at node with the defaults that it lacks and, if shown is
// true, without the members to hide. It is linear in the object and its declaration.
func (v *view) append(dst []byte, o *object, node uint32, shown bool) []byte {
	d := v.doc
	base := len(v.at)
	v.at = append(v.at, make([]uint32, len(o.fields))...)
	dst = append(dst, '{')
	first := len(dst)
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		if shown && d.Nodes[c].Mark == strictjson.Omitted {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		dst = strictjson.AppendMemberName(dst, d, c)
		f := o.member(d, c)
		if f != nil && f != o.values {
			v.at[base+f.index] = c
		}
		switch {
		case f != nil && f.object != nil && d.Nodes[c].Kind == strictjson.Object:
			dst = v.append(dst, f.object, c, shown)
		case shown:
			dst = strictjson.AppendValue(dst, d, c)
		default:
			dst = appendText(dst, d, c)
		}
	}
	for i := range o.fields {
		if f := &o.fields[i]; f.def != nil && v.at[base+i] == 0 {
			if len(dst) > first {
				dst = append(dst, ',')
			}
			dst = append(append(strictjson.AppendQuoted(dst, f.name), ':'), f.def.Src...)
		}
	}
	v.at = v.at[:base]
	return append(dst, '}')
}

// appendText appends node i, compact.
func appendText(dst []byte, d *strictjson.Doc, i uint32) []byte {
	if d.Blanks {
		return strictjson.AppendCompact(dst, d.Text(i))
	}
	return append(dst, d.Text(i)...)
}
