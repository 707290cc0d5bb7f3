package schema

import (
	"bytes"
	"strconv"
	"sync"

	"example.com/resourcekit/internal/strictjson"
)

// A walk goes once through the nodes of a document, beside the declaration. It
// works in two ways. Judging only counts, and is what valid requests pay for.
// Collecting does the same again with the stored document known, and builds the
// violations and dropped pointers; it runs only when there is something to say.
type walk struct {
	doc     strictjson.Doc // the request; for look and fill, the document to show
	opts    CheckOptions
	collect bool
	insert  bool            // collecting: nothing is stored
	stored  *strictjson.Doc // collecting: the stored document; nil when absent
	path    []frame         // the containers around the current member
	scratch []byte          // a decoded string

	// Found by judging.
	wrong      int  // violations, unless what is stored has the same value
	strayNulls int  // nulls on undeclared fields: deletions if stored, else unknown fields
	marked     int  // nodes that the policies drop from the request
	unknown    int  // of those, unknown fields
	lackTop    bool // the document lacks required fields
	lackNested bool // a declared object outside arrays does
	id         uint32
	hasID      bool // node id holds a good external id
	invisible  bool // which names nobody, and so is good only where it is stored

	// Found by collecting.
	violations []Violation
	more       int
	dropped    []byte // the pointers, one after another
	droppedEnd []int
	at         []uint32 // scratch of missing

	// Found by look.
	hidden   int  // marked nodes
	unfilled bool // some default is absent
}

// none is the stored node of a place at which nothing is stored.
const none = ^uint32(0)

// A frame is a step into a container: a declared member; the index of an
// element; or -1 minus the node of a member of an open object.
type frame struct {
	field *field
	index int
}

var walks = sync.Pool{New: func() any { return new(walk) }}

// maxPooled bounds what a pooled walk may keep of its own scratch memory.
const maxPooled = 1 << 16

func getWalk() *walk { return walks.Get().(*walk) }

func putWalk(w *walk) {
	if max(cap(w.at), cap(w.scratch)) > maxPooled {
		return
	}
	w.doc.Reset()
	w.reset()
	walks.Put(w)
}

// reset forgets everything but the parsed document and the scratch memory.
func (w *walk) reset() {
	clear(w.path[:cap(w.path)])
	w.opts, w.collect, w.insert, w.stored, w.path = CheckOptions{}, false, false, nil, w.path[:0]
	w.wrong, w.strayNulls, w.marked, w.unknown = 0, 0, 0, 0
	w.lackTop, w.lackNested, w.id, w.hasID, w.invisible = false, false, 0, false, false
	w.violations, w.more, w.dropped, w.droppedEnd = nil, 0, nil, nil
	w.hidden, w.unfilled = 0, false
}

// object judges the object at node by its declaration. stored is the node of
// the stored object at the same place, or none. whole is true inside arrays,
// where nothing is partial and null is a value.
func (w *walk) object(o *object, node, stored uint32, whole bool) {
	d := &w.doc
	seen, next := 0, &o.fields[0]
	var legacy storedNames
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		f := next
		if !f.is(d, c) {
			if f = o.find(d, c); f == nil {
				w.undeclared(o, c, stored, whole, &legacy)
				continue
			}
		}
		next = f.next
		switch kind := d.Nodes[c].Kind; {
		case f.accepts>>kind&1 != 0:
		case kind != strictjson.Null || whole:
			if !w.keeps(f, c, stored) {
				w.value(f, c, stored, whole)
			}
		case w.opts.Nulls == IgnoreNulls:
			w.mark(c)
			continue
		default:
			w.null(f)
		}
		if f.required {
			seen++
		}
	}
	if seen == o.required || w.collect {
		return
	}
	switch {
	case whole || w.opts.RequireComplete:
		w.wrong += o.required - seen
	case node == 0:
		w.lackTop = true
	default:
		w.lackNested = true
	}
}

// keeps reports whether the value of member c is the stored one of field f, and
// so nothing that the request introduces, whatever is wrong with it. Arrays are
// always judged, for there may be unknown fields in them, and objects member by
// member.
func (w *walk) keeps(f *field, c, stored uint32) bool {
	kind := w.doc.Nodes[c].Kind
	if !w.collect || stored == none || w.opts.RequireComplete || kind == strictjson.Object || kind == strictjson.Array {
		return false
	}
	old, ok := w.stored.Find(stored, f.hash, f.name)
	if !ok || w.stored.Nodes[old].Kind != kind {
		return false
	}
	return bytes.Equal(w.doc.Text(c), w.stored.Text(old)) || kind == strictjson.String && w.doc.SameString(c, w.stored, old)
}

// null judges a declared field that is null, and not ignored.
func (w *walk) null(f *field) {
	switch {
	case f.required:
		w.report(f, CodeRequired, "required, cannot be null")
	case w.opts.Nulls == RejectNulls:
		w.wrongKind(f, CodeNull, strictjson.Null)
	}
}

// value judges a value of a declared field.
func (w *walk) value(f *field, c, stored uint32, whole bool) {
	kind := w.doc.Nodes[c].Kind
	switch f.typ {
	case String:
		if kind != strictjson.String {
			break
		}
		if f.accepts == 0 {
			w.text(f, c)
		}
		return
	case Boolean:
		if kind != strictjson.True && kind != strictjson.False {
			break
		}
		w.member(f, c)
		return
	case Number:
		if kind != strictjson.Number {
			break
		}
		w.member(f, c)
		return
	case Integer:
		if kind != strictjson.Number {
			break
		}
		if !isIntegral(w.doc.Text(c)) {
			w.report(f, CodeType, "want integer, found number with a fraction")
			return
		}
		w.member(f, c)
		return
	case Object:
		if kind != strictjson.Object {
			break
		}
		switch {
		case f.object != nil:
			w.enter(f)
			w.object(f.object, c, w.storedObject(f, stored), whole)
			w.leave(f)
		case !whole && w.opts.Nulls != DeleteNulls:
			w.enter(f)
			w.open(c)
			w.leave(f)
		}
		return
	case Array:
		if kind != strictjson.Array {
			break
		}
		if f.items != nil {
			w.enter(f)
			w.elements(f.items, c)
			w.leave(f)
		}
		return
	}
	w.wrongKind(f, CodeType, kind)
}

func (w *walk) elements(items *field, node uint32) {
	w.path = append(w.path, frame{})
	top := len(w.path) - 1
	for c, end := node+1, w.doc.Nodes[node].Next; c < end; c = w.doc.Nodes[c].Next {
		w.value(items, c, none, true)
		w.path[top].index++
	}
	w.path = w.path[:top]
}

// open goes through an object that declares no fields, for the null policies.
func (w *walk) open(node uint32) {
	d := &w.doc
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		switch d.Nodes[c].Kind {
		case strictjson.Null:
			if w.opts.Nulls == IgnoreNulls {
				w.mark(c)
			} else {
				w.reportMember(c, CodeNull, "want a value, found null")
			}
		case strictjson.Object:
			w.path = append(w.path, frame{index: -1 - int(c)})
			w.open(c)
			w.path = w.path[:len(w.path)-1]
		}
	}
}

// member judges a boolean or a number by its enum.
func (w *walk) member(f *field, c uint32) {
	if f.enum != nil && !f.enum.has(w.doc.Text(c)) {
		w.report(f, CodeEnum, f.enum.want)
	}
}

// text judges a string by its format, enum and use as the external id.
func (w *walk) text(f *field, c uint32) {
	s := w.doc.Text(c)
	s = s[1 : len(s)-1]
	if w.doc.Nodes[c].Escaped {
		w.scratch = w.doc.AppendString(w.scratch[:0], c)
		s = w.scratch
	}
	switch {
	case f.dateTime && !isDateTime(s):
		w.report(f, CodeFormat, "want a date-time as RFC 3339 has it, such as 2006-01-02T15:04:05Z")
	case f.enum != nil && !f.enum.has(s):
		w.report(f, CodeEnum, f.enum.want)
	case !f.externalID:
	case len(s) == 0:
		w.report(f, CodeExternalID, "want a string that is not empty")
	case len(s) > maxExternalID:
		w.report(f, CodeExternalID, "want at most 512 bytes, found more")
	case bytes.IndexByte(s, 0) >= 0:
		w.report(f, CodeExternalID, "want a string without NUL")
	case w.opts.ExternalID != "" && w.opts.ExternalID != string(s):
		w.report(f, CodeExternalID, "an external id never changes, found another one")
	case w.insert && !isVisible(s):
		w.report(f, CodeExternalID, "want at least one visible character: blanks and the like name nobody")
	default:
		w.id, w.hasID, w.invisible = c, true, !isVisible(s)
	}
}

// stringValue returns the decoded value of string node c.
func (w *walk) stringValue(c uint32) string {
	if w.doc.Nodes[c].Escaped {
		return string(w.doc.AppendString(nil, c))
	}
	s := w.doc.Text(c)
	return string(s[1 : len(s)-1])
}

// undeclared judges a member that the object does not declare.
func (w *walk) undeclared(o *object, c, stored uint32, whole bool, legacy *storedNames) {
	null := w.doc.Nodes[c].Kind == strictjson.Null && !whole && w.opts.Nulls == DeleteNulls
	if null {
		w.strayNulls++
		if w.collect && legacy.has(w, c, stored) {
			return // the deletion of a stored field
		}
	}
	if w.opts.UnknownFields == IgnoreUnknown {
		w.unknown++
		if !null {
			w.mark(c)
		}
		if w.collect {
			w.drop(c)
		}
		return
	}
	switch {
	case !w.collect && null: // counted as a stray null
	case !w.collect:
		w.wrong++
	case len(w.violations) == maxViolations:
		w.more++
	default:
		msg := "unknown field"
		if name := suggest(o.fields, w.doc.AppendName(nil, c)); name != "" {
			msg += `, did you mean "` + string(appendClientName(nil, []byte(name))) + `"?`
		}
		w.reportMember(c, CodeUnknownField, msg)
	}
}

func (w *walk) mark(c uint32) {
	w.doc.Nodes[c].Mark = true
	w.marked++
}

// storedObject returns the stored object of field f, or none.
func (w *walk) storedObject(f *field, stored uint32) uint32 {
	if stored == none {
		return none
	}
	c, ok := w.stored.Find(stored, f.hash, f.name)
	if !ok || w.stored.Nodes[c].Kind != strictjson.Object {
		return none
	}
	return c
}

// storedNames finds members of one stored object. It makes an index when it is
// first asked, so that many questions stay linear.
type storedNames struct {
	ready bool
	index strictjson.Index
}

func (s *storedNames) has(w *walk, c, stored uint32) bool {
	if stored == none {
		return false
	}
	if !s.ready {
		s.ready = true
		s.index.Init(w.stored, stored)
	}
	return s.index.Find(&w.doc, c) != 0
}

// missing reports the required fields that the object at node lacks, and those
// that objects in it lack, in the order of the schema. Null stands for absent
// where nulls are ignored; elsewhere it has been reported.
func (w *walk) missing(o *object, node, stored uint32, whole bool) {
	if !o.anyRequired {
		return
	}
	d := &w.doc
	judged := whole || w.opts.RequireComplete || stored == none
	base := len(w.at)
	w.at = append(w.at, make([]uint32, len(o.fields))...)
	at := w.at[base:]
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		f := o.find(d, c)
		if f == nil {
			continue
		}
		if d.Nodes[c].Kind == strictjson.Null && !whole && w.opts.Nulls == IgnoreNulls {
			continue
		}
		at[f.index] = c
	}
	for i := range o.fields {
		f := &o.fields[i]
		c := w.at[base+i]
		switch {
		case c != 0:
			w.missingIn(f, c, stored, whole)
		case f.required && judged:
			w.report(f, CodeRequired, "required, but missing")
		}
	}
	w.at = w.at[:base]
}

// missingIn does the same for a value of field f.
func (w *walk) missingIn(f *field, c, stored uint32, whole bool) {
	kind := w.doc.Nodes[c].Kind
	switch {
	case !f.anyRequired():
	case f.object != nil && kind == strictjson.Object:
		w.enter(f)
		w.missing(f.object, c, w.storedObject(f, stored), whole)
		w.leave(f)
	case f.items != nil && kind == strictjson.Array:
		w.enter(f)
		w.path = append(w.path, frame{})
		top := len(w.path) - 1
		for e, end := c+1, w.doc.Nodes[c].Next; e < end; e = w.doc.Nodes[e].Next {
			w.missingIn(f.items, e, none, true)
			w.path[top].index++
		}
		w.path = w.path[:top]
		w.leave(f)
	}
}

// enter and leave stand around what is inside a value of f. Items add nothing:
// the element's index is there already.
func (w *walk) enter(f *field) {
	if f.name != "" {
		w.path = append(w.path, frame{field: f})
	}
}

func (w *walk) leave(f *field) {
	if f.name != "" {
		w.path = w.path[:len(w.path)-1]
	}
}

// report notes a violation by the current value of field f.
func (w *walk) report(f *field, code Code, msg string) {
	if !w.room() {
		return
	}
	p := w.appendPath(nil)
	if f.name != "" {
		p = strictjson.AppendPointer(p, []byte(f.name))
	}
	w.violations = append(w.violations, Violation{string(p), code, msg})
}

// wrongKind notes that a value of field f is of another kind.
func (w *walk) wrongKind(f *field, code Code, found strictjson.Kind) {
	if !w.collect {
		w.wrong++
		return
	}
	w.report(f, code, "want "+f.typ.String()+", found "+found.String())
}

// reportMember notes a violation by member c, which is not declared.
func (w *walk) reportMember(c uint32, code Code, msg string) {
	if !w.room() {
		return
	}
	p := append(w.appendPath(nil), '/')
	p = appendClientName(p, w.doc.AppendName(nil, c))
	w.violations = append(w.violations, Violation{string(p), code, msg})
}

// room counts a violation and reports whether it is to be built.
func (w *walk) room() bool {
	switch {
	case !w.collect:
		w.wrong++
	case len(w.violations) == maxViolations:
		w.more++
	default:
		return true
	}
	return false
}

// drop notes the pointer of member c, with its exact name.
func (w *walk) drop(c uint32) {
	w.dropped = w.appendPath(w.dropped)
	w.dropped = strictjson.AppendPointer(w.dropped, w.doc.AppendName(nil, c))
	w.droppedEnd = append(w.droppedEnd, len(w.dropped))
}

// droppedPointers returns what drop noted; they share one string.
func (w *walk) droppedPointers() []string {
	if len(w.droppedEnd) == 0 {
		return nil
	}
	all, from := string(w.dropped), 0
	list := make([]string, len(w.droppedEnd))
	for i, end := range w.droppedEnd {
		list[i], from = all[from:end], end
	}
	return list
}

// appendPath appends the pointer of the current container. Names that a client
// made up end in an ellipsis when the pointer gets too long.
func (w *walk) appendPath(dst []byte) []byte {
	start := len(dst)
	for _, f := range w.path {
		switch {
		case f.field != nil:
			dst = strictjson.AppendPointer(dst, []byte(f.field.name))
		case f.index >= 0:
			dst = strconv.AppendInt(append(dst, '/'), int64(f.index), 10)
		case len(dst)-start > maxShownPath:
			return append(dst, "/…"...)
		default:
			dst = appendClientName(append(dst, '/'), w.doc.AppendName(nil, uint32(-1-f.index)))
		}
	}
	return dst
}
