package schema

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"example.com/resourcekit/internal/jsonmerge"
	"example.com/resourcekit/internal/strictjson"
)

// A judge compares a request with its declaration and the stored document, in one walk.
// It collects the violations, and marks the members that the policies drop.
type judge struct {
	doc    *strictjson.Doc // the request
	stored *strictjson.Doc // the stored document, or nil
	opts   ReadOptions
	insert bool // nothing is stored

	path       []frame // the containers around the current member
	omitted    int     // nodes that are marked as omitted
	lacking    bool    // some object lacks required fields
	nulls      bool    // some field is null
	resets     bool    // a null resets a default
	unfilled   bool    // an object that the request creates lacks a default
	opens      bool    // there are objects that declare no fields
	violations []Violation
	more       int    // violations that were left out
	dropped    []byte // the pointers of dropped fields, one after another
	droppedEnd []int

	scratch []byte      // a decoded string
	found   []Violation // of one value
	array   storedArray // around the current value
	seen    []uint64    // of repeated
	at      []uint64    // of missing
}

// A frame is a step into a container: a declared member; the index of an element; or -1
// minus the node of a member of an open object.
type frame struct {
	field *field
	index int
}

// none is the stored node of a place where nothing is stored.
const none = math.MaxUint32

// reset clears j, and keeps its scratch memory.
func (j *judge) reset() {
	clear(j.path[:cap(j.path)])
	*j = judge{path: j.path[:0], scratch: j.scratch, found: j.found[:0], at: j.at[:0], seen: j.seen[:0]}
}

// document judges the whole request. The error is a *ValidationError.
func (j *judge) document(root *object) error {
	stored := uint32(0)
	if j.insert = j.stored == nil; j.insert {
		stored = none
	}
	j.object(root, 0, stored, false)
	if j.omitted > 0 {
		j.doc.Nodes[0].Mark |= strictjson.Partial
	}
	if j.lacking {
		j.missing(root, 0, stored, false)
	}
	if len(j.violations) == 0 {
		return nil
	}
	return &ValidationError{Violations: j.violations, More: j.more}
}

// A storedObject is the stored object at the place of the object that is judged. It makes
// an index at the first find, so that many finds stay linear.
type storedObject struct {
	node    uint32
	indexed bool
	index   strictjson.Index
}

// find returns the stored member with the name of the request's member c, or 0.
func (s *storedObject) find(j *judge, c uint32) uint32 {
	if s.node == none {
		return 0
	}
	if !s.indexed {
		s.indexed = true
		s.index.Init(j.stored, s.node)
	}
	return s.index.Find(j.doc, c)
}

// object returns the stored member with the name of the request's member c, if it is an
// object, or none.
func (s *storedObject) object(j *judge, c uint32) uint32 {
	if old := s.find(j, c); old != 0 && j.stored.Nodes[old].Kind == strictjson.Object {
		return old
	}
	return none
}

// object judges the object at node by its declaration. stored is the node of the stored
// object at the same place, or none. whole is true inside arrays, where objects are
// complete and null is a value.
func (j *judge) object(o *object, node, stored uint32, whole bool) {
	d := j.doc
	seen, filled, next, known := 0, 0, o.first, d.ReadByNames(node)
	before := storedObject{node: stored}
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		f := next
		if known {
			f = &o.fields[d.Nodes[c].Known-1]
		} else if !f.is(d, c) {
			if f = o.find(d, c); f == nil {
				if o.values != nil {
					j.mapped(o.values, c, &before, whole)
				} else {
					j.undeclared(o, c, &before, whole)
				}
				continue
			}
		}
		next = f.next
		switch kind := d.Nodes[c].Kind; {
		case f.accepts>>kind&1 != 0:
		case kind != strictjson.Null || whole:
			j.value(f, c, &before, whole)
		case j.opts.Nulls == IgnoreNulls:
			j.omit(c)
			continue
		default:
			j.nulls = true
			j.null(f, c, &before)
		}
		if f.required {
			seen++
		}
		if f.def != nil {
			filled++
		}
	}
	if seen < o.required && j.judgesMissing(stored, whole) {
		j.lacking = true
	}
	if filled < o.defaults && stored == none {
		j.unfilled = true
	}
	if o.presence != nil {
		j.present(o, node, stored)
	}
}

// mapped judges a member of a map, whose values f declares.
func (j *judge) mapped(f *field, c uint32, before *storedObject, whole bool) {
	kind := j.doc.Nodes[c].Kind
	null := kind == strictjson.Null && !whole
	if !null && f.accepts>>kind&1 != 0 {
		return
	}
	j.path = append(j.path, frame{index: -1 - int(c)})
	switch {
	case !null:
		j.value(f, c, before, whole)
	case j.opts.Nulls == IgnoreNulls:
		j.omit(c)
	default:
		if j.nulls = true; j.opts.Nulls == RejectNulls {
			j.report(f, codeNull, f.wantKind(kind))
		}
	}
	j.path = j.path[:len(j.path)-1]
}

// null judges a declared field that is null, unless nulls are ignored.
func (j *judge) null(f *field, c uint32, before *storedObject) {
	switch {
	case f.required:
		j.report(f, codeRequired, "required, cannot be null")
	case j.opts.Nulls == RejectNulls:
		j.report(f, codeNull, f.wantKind(strictjson.Null))
	case f.def != nil:
		// A null resets the field. A field that has its default already is left alone,
		// so that it keeps its place and nothing changes.
		if old := before.find(j, c); old != 0 && jsonmerge.Equal(f.def, 0, j.stored, old) {
			j.omit(c)
		} else {
			j.resets = true
		}
	}
}

// value judges a value of a declared field.
func (j *judge) value(f *field, c uint32, before *storedObject, whole bool) {
	n := &j.doc.Nodes[c]
	omitted := j.omitted
	switch {
	case n.Kind == strictjson.Object && f.object != nil:
		stored := uint32(none)
		if !whole {
			stored = before.object(j, c)
		}
		j.enter(f)
		j.object(f.object, c, stored, whole)
		j.leave(f)
		if f.checks != nil {
			j.members(f, c, stored, whole)
		}
	case n.Kind == strictjson.Object && f.isKind(n.Kind):
		j.opens = true
		if !whole && j.opts.Nulls != DeleteNulls {
			j.enter(f)
			j.open(c)
			j.leave(f)
		}
		if f.checks != nil {
			stored := uint32(none)
			if !whole {
				stored = before.object(j, c)
			}
			j.members(f, c, stored, whole)
		}
	case n.Kind == strictjson.Array && f.isKind(n.Kind):
		if f.items == nil && f.checks == nil {
			break
		}
		reported, more := len(j.violations), j.more
		if !whole {
			j.array = j.storedArray(c, before)
			j.array.early = j.opts.UnknownFields == IgnoreUnknown
		}
		if f.items != nil {
			j.enter(f)
			j.elements(f.items, c, func(e uint32) { j.value(f.items, e, before, true) })
			j.leave(f)
		}
		if f.checks != nil {
			j.list(f, c)
		}
		if !whole {
			early := j.array.early && len(j.violations)+j.more > reported+more
			if j.array.early = false; early && j.kept() {
				j.violations, j.more = j.violations[:reported], more
			}
			j.array = storedArray{}
		}
	default:
		j.scalar(f, n.Kind, c)
		if len(j.found) > 0 && !j.keeps(c, before, whole) {
			for _, v := range j.found {
				j.report(f, v.Code, v.Message)
			}
		}
		return
	}
	if j.omitted > omitted {
		n.Mark |= strictjson.Partial
	}
}

// A storedArray is an array of the request and the value that is stored at its place, 0 if
// nothing is. An array that equals the stored one introduces nothing. It is early until
// all fields that the policies drop are known, without which it is compared.
type storedArray struct {
	node, stored           uint32
	early, compared, equal bool
}

func (j *judge) storedArray(c uint32, before *storedObject) storedArray {
	a := storedArray{node: c}
	if !j.opts.RequireComplete {
		a.stored = before.find(j, c)
	}
	return a
}

// kept reports whether the current value is in an array that equals the stored one. It
// compares the two when there is something to report, and not before.
func (j *judge) kept() bool {
	if a := &j.array; !a.compared && !a.early {
		a.compared = true
		a.equal = a.stored != 0 && jsonmerge.Equal(j.stored, a.stored, j.doc, a.node)
	}
	return j.array.equal
}

// elements calls visit for each element of the array at node, with the path set.
func (j *judge) elements(items *field, node uint32, visit func(element uint32)) {
	j.path = append(j.path, frame{})
	top := len(j.path) - 1
	for c, end := node+1, j.doc.Nodes[node].Next; c < end; c = j.doc.Nodes[c].Next {
		visit(c)
		j.path[top].index++
	}
	j.path = j.path[:top]
}

// keeps reports whether member c repeats the stored value, which is then not judged
// again: a scalar, or what has another kind than declared. Declared objects are judged
// member by member; for arrays see kept.
func (j *judge) keeps(c uint32, before *storedObject, whole bool) bool {
	if whole || j.opts.RequireComplete {
		return false
	}
	old := before.find(j, c)
	return old != 0 && jsonmerge.Equal(j.stored, old, j.doc, c)
}

// scalar judges node c as a value of field f, and sets j.found to its violations; objects
// and arrays that f allows do not come here.
func (j *judge) scalar(f *field, kind strictjson.Kind, c uint32) {
	text := j.doc.Text(c)
	if kind == strictjson.String {
		text = text[1 : len(text)-1]
		if j.doc.Nodes[c].Escapes&strictjson.InValue != 0 {
			j.scratch = j.doc.AppendString(j.scratch[:0], c)
			text = j.scratch
		}
	}
	j.found = f.judge(j.found[:0], kind, text)
	if len(j.found) > 0 || !f.externalID {
		return
	}
	code, message := judgeExternalID(text, j.opts.ExternalID)
	if code == "" && j.insert && !isVisible(text) {
		code, message = codeExternalID, "expected at least one visible character"
	}
	if code != "" {
		j.found = append(j.found, Violation{Code: code, Message: message})
	}
}

// judge appends the violations of a scalar value, given as text, a string decoded. They
// have no Pointer.
func (f *field) judge(dst []Violation, kind strictjson.Kind, text []byte) []Violation {
	switch {
	case !f.isKind(kind):
		return append(dst, Violation{Code: codeType, Message: f.wantKind(kind)})
	case f.integral && kind == strictjson.Number && !isIntegral(text):
		return append(dst, Violation{Code: codeType, Message: "expected " + f.want + ", found number with a fraction"})
	}
	if f.format != nil && f.format.of == kind && !f.format.is(text) {
		dst = append(dst, Violation{Code: codeFormat, Message: f.format.want})
	}
	if f.enum != nil && !f.enum.has(kind, text) {
		dst = append(dst, Violation{Code: f.enum.code, Message: f.enum.want})
	}
	if f.checks != nil {
		dst = f.checks.judge(dst, kind, text)
	}
	return dst
}

// judgeExternalID returns the violation of an external id, which must be expected, if
// that is not "". The code is "" if the id is valid.
func judgeExternalID(id []byte, expected string) (string, string) {
	switch {
	case len(id) == 0:
		return codeExternalID, "expected a string that is not empty"
	case len(id) > maxExternalID:
		return codeExternalID, "expected at most 512 bytes, found more"
	case bytes.IndexByte(id, 0) >= 0:
		return codeExternalID, "expected a string without NUL"
	case expected != "" && string(id) != expected:
		return codeExternalID, "an external id never changes, found another one"
	}
	return "", ""
}

// wantKind returns the message for a value of another kind.
func (f *field) wantKind(found strictjson.Kind) string {
	return "expected " + f.want + ", found " + found.String()
}

// open applies the null policies to an object that declares no fields.
func (j *judge) open(node uint32) {
	d := j.doc
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		switch d.Nodes[c].Kind {
		case strictjson.Null:
			if j.opts.Nulls == IgnoreNulls {
				j.omit(c)
			} else {
				j.reportMember(c, codeNull, "expected a value, found null")
			}
		case strictjson.Object:
			omitted := j.omitted
			j.path = append(j.path, frame{index: -1 - int(c)})
			j.open(c)
			j.path = j.path[:len(j.path)-1]
			if j.omitted > omitted {
				d.Nodes[c].Mark |= strictjson.Partial
			}
		}
	}
}

// undeclared judges a member that the object does not declare.
func (j *judge) undeclared(o *object, c uint32, before *storedObject, whole bool) {
	null := j.doc.Nodes[c].Kind == strictjson.Null && !whole && j.opts.Nulls == DeleteNulls
	switch {
	case null && before.find(j, c) != 0: // the deletion of a stored field
		j.nulls = true
	case j.opts.UnknownFields == IgnoreUnknown:
		j.omit(c)
		j.dropped = j.appendPath(j.dropped, true)
		j.dropped = strictjson.AppendPointer(j.dropped, j.doc.AppendName(nil, c))
		j.droppedEnd = append(j.droppedEnd, len(j.dropped))
	case len(j.violations) == maxViolations:
		j.more++
	default:
		message := "unknown field"
		if name := suggest(o.fields, j.doc.AppendName(nil, c)); name != "" {
			message += `, did you mean "` + string(strictjson.AppendShownName(nil, []byte(name))) + `"?`
		}
		j.reportMember(c, codeUnknownField, message)
	}
}

func (j *judge) omit(c uint32) {
	j.doc.Nodes[c].Mark |= strictjson.Omitted
	j.omitted++
}

// judgesMissing reports whether an object must have its required fields: one in an
// array, and one that the request creates.
func (j *judge) judgesMissing(stored uint32, whole bool) bool {
	return whole || j.opts.RequireComplete || stored == none
}

// missing reports the required fields that the object at node and the objects in it
// lack, in the order of the schema. A null counts as absent where nulls are ignored;
// elsewhere it has been reported.
func (j *judge) missing(o *object, node, stored uint32, whole bool) {
	if !o.anyRequired {
		return
	}
	d, base, lacks := j.doc, len(j.at), o.required
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		f := o.member(d, c)
		if f == nil || d.Nodes[c].Kind == strictjson.Null && !whole && j.opts.Nulls == IgnoreNulls {
			continue
		}
		if f.required {
			lacks--
		}
		index := f.index
		if f == o.values {
			index = len(o.fields) // the values of a map come last
		}
		j.at = append(j.at, uint64(index)<<32|uint64(c))
	}
	slices.Sort(j.at[base:])
	end := len(j.at)
	if !j.judgesMissing(stored, whole) {
		lacks = 0
	}
	before := storedObject{node: stored}
	from := 0 // the fields before it have been looked at
	for i := base; i < end; i++ {
		index, c := int(j.at[i]>>32), uint32(j.at[i])
		lacks = j.missingBetween(o, from, index, lacks)
		from = index + 1
		switch {
		case index < len(o.fields):
			if f := &o.fields[index]; f.anyRequired() {
				j.missingIn(f, c, &before, whole)
			}
		case o.values.anyRequired():
			j.path = append(j.path, frame{index: -1 - int(c)})
			j.missingIn(o.values, c, &before, whole)
			j.path = j.path[:len(j.path)-1]
		}
	}
	j.missingBetween(o, from, len(o.fields), lacks)
	j.at = j.at[:base]
}

// missingBetween reports the required fields among the fields [from, to), all of which
// are absent. lacks is the number of required fields that are absent from there on; the
// result is the number of those after to. If lacks is 0, as mostly, no field is visited.
func (j *judge) missingBetween(o *object, from, to, lacks int) int {
	if lacks > 0 && j.kept() {
		return 0
	}
	for i := from; i < to && lacks > 0; i++ {
		if len(j.violations) == maxViolations {
			j.more += lacks
			return 0
		}
		if o.fields[i].required {
			j.report(&o.fields[i], codeRequired, "required, but missing")
			lacks--
		}
	}
	return lacks
}

// missingIn reports the required fields that the objects in a value of field f lack.
func (j *judge) missingIn(f *field, c uint32, before *storedObject, whole bool) {
	switch kind := j.doc.Nodes[c].Kind; {
	case f.object != nil && kind == strictjson.Object:
		stored := uint32(none)
		if !whole {
			stored = before.object(j, c)
		}
		j.enter(f)
		j.missing(f.object, c, stored, whole)
		j.leave(f)
	case f.items != nil && kind == strictjson.Array:
		if !whole {
			j.array = j.storedArray(c, before)
		}
		j.enter(f)
		j.elements(f.items, c, func(e uint32) { j.missingIn(f.items, e, before, true) })
		j.leave(f)
		if !whole {
			j.array = storedArray{}
		}
	}
}

// enter and leave put f on the path while a value of f is judged. Items are not on the
// path: the index of the element is.
func (j *judge) enter(f *field) {
	if f.name != "" {
		j.path = append(j.path, frame{field: f})
	}
}

func (j *judge) leave(f *field) {
	if f.name != "" {
		j.path = j.path[:len(j.path)-1]
	}
}

// report adds a violation by the current value of field f.
func (j *judge) report(f *field, code, message string) {
	if j.kept() {
		return
	}
	if len(j.violations) == maxViolations {
		j.more++
		return
	}
	p := j.appendPath(nil, false)
	if f.name != "" {
		p = strictjson.AppendPointer(p, []byte(f.name))
	}
	j.violations = append(j.violations, Violation{Pointer(p), code, message})
}

// reportMember adds a violation by member c, which is not declared.
func (j *judge) reportMember(c uint32, code, message string) {
	if len(j.violations) == maxViolations {
		j.more++
		return
	}
	p := append(j.appendPath(nil, false), '/')
	p = strictjson.AppendShownName(p, j.doc.AppendName(nil, c))
	j.violations = append(j.violations, Violation{Pointer(p), code, message})
}

// droppedPointers returns the pointers of the dropped fields; they share one string.
func (j *judge) droppedPointers() []string {
	if len(j.droppedEnd) == 0 {
		return nil
	}
	all, from := string(j.dropped), 0
	list := make([]string, len(j.droppedEnd))
	for i, end := range j.droppedEnd {
		list[i], from = all[from:end], end
	}
	return list
}

// appendPath appends the pointer of the current container. It ends in an ellipsis if the
// names of a client make it too long: many places may have one long name in their path.
// Unless it is to be exact, these names are made fit to be shown.
func (j *judge) appendPath(dst []byte, exact bool) []byte {
	start := len(dst)
	for _, f := range j.path {
		switch {
		case f.field != nil:
			dst = strictjson.AppendPointer(dst, []byte(f.field.name))
		case f.index >= 0:
			dst = strconv.AppendInt(append(dst, '/'), int64(f.index), 10)
		case len(dst)-start > maxShownPath || exact && len(dst)-start+j.nameSize(f) > maxShownPath:
			return append(dst, "/…"...)
		case exact:
			dst = strictjson.AppendPointer(dst, j.doc.AppendName(nil, uint32(-1-f.index)))
		default:
			dst = strictjson.AppendShownName(append(dst, '/'), j.doc.AppendName(nil, uint32(-1-f.index)))
		}
	}
	return dst
}

// nameSize returns the size of the name of a member of an open object or a map, as it is
// written.
func (j *judge) nameSize(f frame) int {
	n := &j.doc.Nodes[-1-f.index]
	return int(n.NameEnd - n.NameStart)
}
