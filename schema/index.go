package schema

import (
	"cmp"
	"slices"
	"strings"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

// An Entry is the place of a document in an index. A document has one for each field with
// an index.
type Entry struct {
	Index uint32 // Field.Index
	// Value is 1 to 256 bytes, whose order is that of the field's values: numbers by
	// value, date-times by instant, false before true, strings by the bytes of their
	// UTF-8, in lower case if Field.Fold is "lower". A field that is absent, or has a
	// value of another type, has the one byte 0, which comes first.
	//
	// A value of more than 239 bytes is cut there, which leaves at least 200 digits of a
	// number. It is equal to other values that begin alike. In a unique field it ends in
	// a hash, so that values that differ, see Condition, stay different, but have no order.
	Value  []byte
	Unique bool // Field.Unique; false if Value is the byte 0
}

// AppendEntries appends the entries of a stored document as a reader sees it, with its
// defaults, in the order of their indexes. The values are new slices. The error is a
// [*CorruptError] when stored is not a JSON object.
func (s *Schema) AppendEntries(dst []Entry, stored []byte) ([]Entry, error) {
	if len(s.indexed) == 0 {
		return dst, nil
	}
	w := getWorkspace()
	defer w.put()
	if err := s.parseStored(&w.stored, stored); err != nil {
		return dst, err
	}
	return append(dst, w.entriesOf(s, nil, &w.stored)...), nil
}

// appendValue appends the value of the entry of the merged document, see find.
func (x *indexed) appendValue(dst []byte, request, stored *strictjson.Doc) []byte {
	from := len(dst)
	if d, node, ok := find(x.path, request, stored); ok {
		dst = x.appendWhole(dst, d, node)
	} else {
		dst = append(dst, indexvalue.Absent...)
	}
	return append(dst[:from], indexvalue.Cut(dst[from:], x.unique)...)
}

func (x *indexed) entry(value []byte) Entry {
	return Entry{Index: x.number, Value: value, Unique: x.unique && string(value) != indexvalue.Absent}
}

// appendWhole appends the whole value of node of d in the form of indexvalue: that of an
// absent field if it is not a value of f.
func (f *field) appendWhole(dst []byte, d *strictjson.Doc, node uint32) []byte {
	n := &d.Nodes[node]
	if !f.isKind(n.Kind) {
		return append(dst, indexvalue.Absent...)
	}
	text := d.Text(node)
	switch f.typ {
	case Boolean:
		return indexvalue.AppendBool(dst, n.Kind == strictjson.True)
	case Number, Integer:
		return indexvalue.AppendNumber(dst, text)
	}
	if text = text[1 : len(text)-1]; n.Escapes&strictjson.InValue != 0 {
		text = d.AppendString(nil, node)
	}
	return f.appendText(dst, text)
}

// appendText is appendWhole for a string.
func (f *field) appendText(dst, text []byte) []byte {
	switch {
	case f.lower:
		return indexvalue.AppendLower(dst, text)
	case !f.dateTime:
		return indexvalue.AppendString(dst, text)
	case isDateTime(text):
		return indexvalue.AppendInstant(dst, text)
	}
	return append(dst, indexvalue.Absent...)
}

// Index returns the number of a field's index, for an order by the field, which is given
// as in a [Condition]. The error is a [*ValidationError] if the field is not declared or
// has no index: [Schema.Indexed] has those that do.
func (s *Schema) Index(field string) (uint32, error) {
	path, violation := s.path(field)
	if violation == nil {
		f := path[len(path)-1]
		if f.number != 0 {
			return f.number, nil
		}
		violation = &Violation{shownPointer(namesOf(field)), codeIndex, "expected a field with an index"}
	}
	return 0, &ValidationError{Of: "order", Violations: []Violation{*violation}}
}

// Indexed returns the fields with an index, in the order of their names, each as in a
// [Condition]. The slice is the caller's.
func (s *Schema) Indexed() []string {
	var names []string
	for _, x := range s.indexed {
		name := string(pointerOf(x.path))
		if len(x.path) == 1 && !strings.ContainsAny(name[1:], "/~") {
			name = name[1:]
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// NotUnique returns the error of a document whose value of an index's field is that of
// another document: a [*ValidationError] for the field. It is nil if no field has the
// index.
func (s *Schema) NotUnique(index uint32) error {
	for _, x := range s.indexed {
		if x.number == index {
			return &ValidationError{Violations: []Violation{{pointerOf(x.path), codeUnique, "expected a value that no other resource has"}}}
		}
	}
	return nil
}

// An indexed is a field with an index, and the fields to it from the root of a document.
type indexed struct {
	*field
	path []*field
}

// addIndexed collects the fields of o that have an index; path is that to o.
func (s *Schema) addIndexed(o *object, path []*field) {
	for i := range o.fields {
		f := &o.fields[i]
		to := append(path[:len(path):len(path)], f)
		if f.number != 0 {
			s.indexed = append(s.indexed, indexed{f, to})
		}
		if f.object != nil {
			s.addIndexed(f.object, to)
		}
	}
	if path == nil {
		slices.SortFunc(s.indexed, func(a, b indexed) int { return cmp.Compare(a.number, b.number) })
	}
}

func pointerOf(path []*field) Pointer {
	var p []byte
	for _, f := range path {
		p = strictjson.AppendPointer(p, []byte(f.name))
	}
	return Pointer(p)
}

// find returns the value at path in the merged document of a request and a stored
// document, as a reader sees it: an absent field has its default. It does not merge them.
// One of the two may be nil. Members of the request that are marked as omitted are not
// there.
func find(path []*field, request, stored *strictjson.Doc) (d *strictjson.Doc, node uint32, ok bool) {
	r, s := uint32(0), uint32(0) // the value so far: that of the request, unless it is none
	if request == nil {
		r = none
	}
	if stored == nil {
		s = none
	}
	for _, f := range path {
		if !isObject(request, r) && !isObject(stored, s) {
			return nil, 0, false
		}
		r, s = member(request, r, f), member(stored, s, f)
		switch {
		case r == none:
		case request.Nodes[r].Kind == strictjson.Null:
			r, s = none, none
		case !isObject(request, r): // it replaces the stored value
			s = none
		}
		if r == none && s == none {
			if f.def == nil {
				return nil, 0, false
			}
			stored, s = f.def, 0
		}
	}
	if r != none {
		return request, r, true
	}
	return stored, s, true
}

func isObject(d *strictjson.Doc, node uint32) bool {
	return node != none && d.Nodes[node].Kind == strictjson.Object
}

// member returns the member of the object at node with the name of f, or none.
func member(d *strictjson.Doc, node uint32, f *field) uint32 {
	if node == none {
		return none
	}
	c, ok := d.Find(node, f.hash, f.name)
	if !ok || d.Nodes[c].Mark&strictjson.Omitted != 0 {
		return none
	}
	return c
}
