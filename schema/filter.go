package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/internal/strictjson"
)

// A Condition is a demand on a field of a document.
type Condition struct {
	// Field is the name of a field, or a JSON Pointer (RFC 6901), which begins with
	// '/': "email", "/shipTo/city". It may be a member of a map: "/labels/env". Its type
	// is String, Boolean, Number or Integer, and it is not in an array.
	Field string
	// Op is the kind of condition:
	//
	//	""      the field has the value; if Value is nil, the field is absent
	//	from    the field has the value or a greater one; not for a Boolean
	//	to      the field has a smaller value; not for a Boolean
	//	prefix  the field begins with the value; only for a String that is no date-time
	Op string
	// Value is a valid value of the field, of the Go types of [Field.Enum]. A string may
	// also be the text of another value, as in a query: "true", "12.50". The value of
	// an Op other than "" need only be of the field's type, and a date-time.
	//
	// Numbers are compared by value and exactly, up to 1e500000000000: beyond it all
	// numbers of one sign are equal, and so are those as near to zero. Date-times are
	// compared by instant, and strings by the bytes of their UTF-8, in lower case if
	// [Field].Fold is "lower".
	Value any
}

// maxConditions is how many conditions a filter may have.
const maxConditions = 100

// A Filter is a compiled list of conditions, all of which must hold. It is immutable
// and safe for concurrent use. The zero value and nil match every document.
type Filter struct {
	conditions []condition
}

// A condition is the compiled form of Condition.
type condition struct {
	*field
	path  []*field
	op    string
	whole []byte // the value in the form of indexvalue; nil for absent
}

// Filter compiles conditions. The error is a [*ValidationError] with each condition on a
// field that is not declared, that cannot have it, or that cannot have the value; or for
// more than 100 conditions.
func (s *Schema) Filter(conditions []Condition) (*Filter, error) {
	if len(conditions) > maxConditions {
		return nil, &ValidationError{Of: "filter", Violations: []Violation{{"", codeType, "expected at most 100 conditions"}}}
	}
	f := &Filter{conditions: make([]condition, len(conditions))}
	var wrong []Violation
	for i, e := range conditions {
		c, violation := s.compileCondition(e)
		if violation != nil {
			wrong = append(wrong, *violation)
		}
		f.conditions[i] = c
	}
	if wrong != nil {
		return nil, &ValidationError{Of: "filter", Violations: wrong}
	}
	return f, nil
}

// fromText returns the value that a text stands for, as in a query: v itself if it is
// not a text, or does not stand for another value.
func (f *field) fromText(v any) any {
	text, ok := v.(string)
	switch {
	case !ok:
	case f.typ == Boolean && (text == "true" || text == "false"):
		return text == "true"
	case (f.typ == Number || f.typ == Integer) && isNumber(text):
		return json.Number(text)
	}
	return v
}

// isNumber reports whether the text is a number of JSON, without blanks.
func isNumber(text string) bool {
	d := strictjson.Get()
	defer strictjson.Put(d)
	return d.Parse([]byte(text), 1) == nil && d.Nodes[0].Kind == strictjson.Number && !d.Blanks
}

// namesOf returns the names in the path to a field, which is given by its name or by a
// JSON Pointer.
func namesOf(field string) []string {
	if !strings.HasPrefix(field, "/") {
		return []string{field}
	}
	names := strings.Split(field[1:], "/")
	for i, name := range names {
		names[i] = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
	}
	return names
}

// shownPointer returns the place of a field as a pointer for messages.
func shownPointer(names []string) Pointer {
	pointer := make([]byte, 0, maxShownPath)
	for _, name := range names {
		if pointer = append(pointer, '/'); len(pointer) <= maxShownPath {
			pointer = strictjson.AppendShownName(pointer, []byte(name))
		}
	}
	return Pointer(pointer)
}

// path returns the fields to one that conditions can name.
func (s *Schema) path(name string) ([]*field, *Violation) {
	var path []*field
	o := s.root
	names := namesOf(name)
	for i, step := range names {
		unknown := func(message string) ([]*field, *Violation) {
			return nil, &Violation{shownPointer(names[:i+1]), codeUnknownField, message}
		}
		if o == nil {
			return unknown("unknown field")
		}
		f := o.named(step)
		if f == nil && o.values != nil {
			value := *o.values // of the map's member with this name
			value.name, value.hash = step, strictjson.HashName(step)
			f = &value
		}
		if f == nil {
			near := s.respelled(name)
			if near == "" {
				near = suggest(o.fields, []byte(step))
			}
			if near != "" {
				return unknown(`unknown field, did you mean "` + near + `"?`)
			}
			return unknown("unknown field")
		}
		path, o = append(path, f), f.object
	}
	if f := path[len(path)-1]; f.kinds&(kindsOf[Object]|kindsOf[Array]) != 0 {
		return nil, &Violation{shownPointer(names), codeType, "expected a field of type string, boolean, number or integer, found " + f.want}
	}
	return path, nil
}

func (s *Schema) compileCondition(e Condition) (condition, *Violation) {
	path, violation := s.path(e.Field)
	if violation != nil {
		return condition{}, violation
	}
	c := condition{field: path[len(path)-1], path: path, op: e.Op}
	wrong := func(code, message string) (condition, *Violation) {
		return c, &Violation{shownPointer(namesOf(e.Field)), code, message}
	}
	value := c.field // what the value must be one of
	switch e.Op {
	case "":
		if e.Value == nil {
			return c, nil
		}
		if c.typ == "" {
			return wrong(codeCondition, "expected no value for a field of type "+c.want)
		}
	case "from", "to":
		if c.typ == Boolean || c.typ == "" {
			return wrong(codeCondition, "expected no "+e.Op+" on type "+c.want)
		}
		value = value.unchecked()
	case "prefix":
		if c.typ != String {
			return wrong(codeCondition, "expected no prefix on type "+c.want)
		}
		if c.dateTime {
			return wrong(codeCondition, "expected no prefix on a date-time")
		}
		value = value.unchecked()
	default:
		return wrong(codeCondition, "unknown condition, expected from, to or prefix")
	}
	if e.Value == nil {
		return wrong(codeCondition, "expected a value")
	}
	w := getWorkspace()
	defer w.put()
	if err := w.value(c.fromText(e.Value), value, len(path)); err != nil {
		var judged wrongValue
		if errors.As(err, &judged) {
			return wrong(judged.Code, judged.Message)
		}
		return wrong(codeType, err.Error())
	}
	c.whole = c.appendWhole(make([]byte, 0, len(w.merged.Src)), &w.merged, 0)
	return c, nil
}

// unchecked returns the field with all values of its type allowed, or all date-times.
func (f *field) unchecked() *field {
	if f.enum == nil && f.checks == nil && (f.format == nil || f.dateTime) {
		return f
	}
	open := *f
	open.enum, open.checks = nil, nil
	if !f.dateTime {
		open.format = nil
	}
	return &open
}

// respelled returns the JSON Pointer of the field within objects that is meant by a
// name such as billing.currency, billing/currency or billing][currency, "" if there
// is none.
func (s *Schema) respelled(name string) string {
	if strings.HasPrefix(name, "/") || len(name) > maxShownPath {
		return ""
	}
	pointer, o := "", s.root
	for _, step := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("./[]", r) }) {
		if o == nil {
			return ""
		}
		near := suggest(o.fields, []byte(step))
		i := slices.IndexFunc(o.fields, func(f field) bool { return f.name == near })
		if i < 0 {
			return ""
		}
		pointer += "/" + strings.ReplaceAll(strings.ReplaceAll(near, "~", "~0"), "/", "~1")
		o = o.fields[i].object
	}
	if strings.LastIndexByte(pointer, '/') <= 0 {
		return "" // a field of the document itself
	}
	return pointer
}

// holds reports whether all conditions hold for a stored document as a reader sees it:
// absent fields have their defaults.
func (f *Filter) holds(w *workspace, d *strictjson.Doc) bool {
	if f == nil {
		return true
	}
	for i := range f.conditions {
		if !f.conditions[i].holds(w, d) {
			return false
		}
	}
	return true
}

// holds judges one condition. Whatever this depends on must be in Filter.Sum, which is a
// part of cursors.
func (c *condition) holds(w *workspace, d *strictjson.Doc) bool {
	d, node, ok := find(c.path, nil, d)
	if !ok || c.whole == nil {
		return !ok && c.whole == nil
	}
	w.values = c.appendWhole(w.values[:0], d, node)
	if string(w.values) == indexvalue.Absent {
		return false // a value of another type
	}
	switch c.op {
	case "prefix":
		return bytes.HasPrefix(w.values, c.whole)
	case "from":
		return bytes.Compare(w.values, c.whole) >= 0
	case "to":
		return bytes.Compare(w.values, c.whole) < 0
	}
	return bytes.Equal(w.values, c.whole)
}

// bounds returns the values from and to of Filter.Range for one condition.
func (c *condition) bounds() (from, to []byte) {
	switch {
	case c.whole == nil:
		return []byte(indexvalue.Absent), []byte(indexvalue.Present)
	case c.op == "prefix":
		return indexvalue.From(c.whole), indexvalue.Next(c.whole)
	case c.op == "from":
		return indexvalue.From(c.whole), nil
	case c.op == "to":
		return []byte(indexvalue.Present), indexvalue.To(c.whole)
	}
	return indexvalue.Only(c.whole, c.unique)
}

// rank is greater for a condition that fewer documents fulfil, as far as one can tell.
func (c *condition) rank() int {
	switch {
	case c.whole == nil:
		return 1
	case c.op == "prefix":
		return 3
	case c.op != "":
		return 2
	case c.unique:
		return 5
	}
	return 4
}

// Range returns an index to search, and the bounds of the search: every document that
// the filter matches has an entry in the index with from <= Value < to, in the order of
// bytes. Other documents may have one, too, so [Schema.Show] must judge each that is
// found. A bound is nil, which is no bound, or has 1 to 256 bytes. If nothing can match,
// to may come before from.
//
// index is a number that [Schema.Index] has returned, for an order by its field; or 0,
// and Range chooses the index that narrows the search best. Then number is 0 if no
// condition is on a field with an index. f may be nil.
func (f *Filter) Range(index uint32) (number uint32, from, to []byte) {
	if f == nil {
		return index, nil, nil
	}
	for i, best := 0, 0; index == 0 && i < len(f.conditions); i++ {
		if c := &f.conditions[i]; c.number != 0 && c.rank() > best {
			best, number = c.rank(), c.number
		}
	}
	number = max(number, index)
	for i := range f.conditions {
		c := &f.conditions[i]
		if c.number == 0 || c.number != number {
			continue
		}
		low, high := c.bounds()
		if bytes.Compare(low, from) > 0 {
			from = low
		}
		if to == nil || high != nil && bytes.Compare(high, to) < 0 {
			to = high
		}
	}
	return number, from, to
}

// Sum returns a hash of the conditions, for cursors to recognise their filter. It is the
// same on every machine, for every order of the conditions, and for every text of the
// same values.
func (f *Filter) Sum() [sha256.Size]byte {
	if f == nil {
		f = &Filter{}
	}
	texts := make([]string, len(f.conditions))
	for i, c := range f.conditions {
		var b []byte
		for _, f := range c.path {
			b = appendSized(b, f.name)
		}
		b = append(b, 0xff) // the length of a name never begins with it
		b = appendSized(b, c.op)
		texts[i] = string(appendSized(b, string(c.whole)))
	}
	slices.Sort(texts)
	var all []byte
	for _, text := range slices.Compact(texts) {
		all = appendSized(all, text)
	}
	return sha256.Sum256(all)
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
}
