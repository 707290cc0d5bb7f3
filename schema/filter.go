package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"example.com/resourcekit/internal/strictjson"
)

// Equals is a condition on a document: a declared field has this value.
type Equals struct {
	// Field is the name of a field, or a JSON Pointer (RFC 6901), which begins with
	// '/': "email", "/shipTo/city". Its type is String, Boolean, Number or Integer, and
	// it is not in an array.
	Field string
	// Value is a valid value of the field, of the Go types of [Field.Enum]. A string may
	// also be the text of another value, as in a query: "true", "12.50". Strings are
	// compared by value, other values by their text, so 1 is not 1.0. Nil demands that
	// the field is absent.
	Value any
}

// maxConditions is how many conditions a filter may have.
const maxConditions = 100

// A Filter is a compiled list of conditions, all of which must hold. It is immutable
// and safe for concurrent use. The zero value and nil match every document.
type Filter struct {
	conditions []condition
}

// A condition is the compiled form of Equals.
type condition struct {
	path   []*field
	value  []byte // JSON; nil for absent
	text   string // of a string, decoded
	isText bool
}

// Filter compiles conditions. The error is a [*ValidationError] with each field that is not
// declared, cannot be compared, or cannot have the value; or for more than 100
// conditions.
func (s *Schema) Filter(conditions []Equals) (*Filter, error) {
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

// fromText returns the value that a text stands for, as in a query: the text itself if it
// does not stand for one.
func (f *field) fromText(text string) any {
	switch {
	case f.typ == Boolean && (text == "true" || text == "false"):
		return text == "true"
	case (f.typ == Number || f.typ == Integer) && isNumber(text):
		return json.Number(text)
	}
	return text
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

func (s *Schema) compileCondition(e Equals) (condition, *Violation) {
	var c condition
	names := namesOf(e.Field)
	pointer := []byte{}
	var f *field
	o := s.root
	for _, name := range names {
		if pointer = append(pointer, '/'); len(pointer) <= maxShownPath {
			pointer = strictjson.AppendShownName(pointer, []byte(name))
		}
		if o == nil {
			return c, &Violation{Pointer(pointer), codeUnknownField, "unknown field"}
		}
		if f = o.named(name); f == nil {
			near := s.respelled(e.Field)
			if near == "" {
				near = suggest(o.fields, []byte(name))
			}
			message := "unknown field"
			if near != "" {
				message = `unknown field, did you mean "` + near + `"?`
			}
			return c, &Violation{Pointer(pointer), codeUnknownField, message}
		}
		o = f.object
		c.path = append(c.path, f)
	}
	switch f.typ {
	case Object, Array:
		return c, &Violation{Pointer(pointer), codeType, "expected a field of type string, boolean, number or integer, found " + string(f.typ)}
	}
	if e.Value == nil {
		return c, nil
	}
	if text, ok := e.Value.(string); ok {
		e.Value = f.fromText(text)
	}
	alone := *f
	alone.name = "" // or the message would begin with a pointer of its own
	raw, err := new(compiler).value(e.Value, &alone, place{depth: len(names)})
	if err != nil {
		code := codeType
		var wrong wrongValue
		if errors.As(err, &wrong) {
			code = wrong.Code
		}
		return c, &Violation{Pointer(pointer), code, err.Error()}
	}
	c.value = raw
	if f.typ == String {
		c.isText, c.text = true, decoded(raw)
	}
	return c, nil
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
func (f *Filter) holds(d *strictjson.Doc) bool {
	if f == nil {
		return true
	}
	for i := range f.conditions {
		if !f.conditions[i].holds(d) {
			return false
		}
	}
	return true
}

// holds judges one condition; an absent field counts as its default. Whatever this
// depends on must be in Filter.Sum, which is a part of cursors.
func (c *condition) holds(d *strictjson.Doc) bool {
	node := uint32(0)
	for _, f := range c.path {
		member, ok := d.Find(node, f.hash, f.name)
		switch {
		case ok:
			node = member
		case d.Nodes[node].Kind == strictjson.Object && f.def != nil:
			d, node = f.def, 0
		default:
			return c.value == nil
		}
	}
	if c.isText && d.Nodes[node].Kind == strictjson.String {
		return d.StringIs(node, c.text)
	}
	return c.value != nil && string(d.Text(node)) == string(c.value)
}

// Sum returns a hash of the conditions, for cursors to recognise their filter. It is the
// same on every machine and for every order of the conditions.
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
		value := string(c.value)
		if c.isText {
			value = "\"" + c.text
		}
		texts[i] = string(appendSized(b, value))
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
