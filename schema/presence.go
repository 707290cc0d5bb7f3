package schema

import (
	"math/bits"
	"slices"
	"strings"

	"example.com/resourcekit/internal/strictjson"
)

const (
	maxPresence       = 64 // rules of one object
	maxPresenceFields = 64 // fields in the rules of one object: the bits of a word
)

// A presence is the compiled form of Presence: the bits of its fields.
type presence struct {
	kind         string
	fields, then uint64
	want         string // the message
}

// holds reports whether the rule holds for the fields that are there.
func (p *presence) holds(there uint64) bool {
	switch n := bits.OnesCount64(p.fields & there); p.kind {
	case "anyOf":
		return n > 0
	case "oneOf":
		return n == 1
	case "atMostOne":
		return n <= 1
	}
	return p.fields&^there != 0 || p.kind == "ifThen" && p.then&^there == 0
}

// present judges the rules of presence of the object at node.
func (j *judge) present(o *object, node, stored uint32) {
	before, after := o.present, o.present
	if stored != none {
		before |= o.presenceIn(j.stored, stored)
		after = before
	}
	for c, end := node+1, j.doc.Nodes[node].Next; c < end; c = j.doc.Nodes[c].Next {
		f := o.find(j.doc, c)
		switch {
		case f == nil || f.presence == 0 || j.doc.Nodes[c].Mark&strictjson.Omitted != 0:
		case j.doc.Nodes[c].Kind != strictjson.Null:
			after |= f.presence
		case f.def == nil && j.opts.Nulls != RejectNulls:
			after &^= f.presence
		}
	}
	for i := range o.presence {
		p := &o.presence[i]
		changed := stored == none || j.opts.RequireComplete || (before^after)&(p.fields|p.then) != 0
		if changed && !p.holds(after) {
			j.report(&noName, codePresence, p.want)
		}
	}
}

// noName is a field that has no name: what is reported by it is at the current path.
var noName field

// presenceIn returns the bits of the fields that the object at node has.
func (o *object) presenceIn(d *strictjson.Doc, node uint32) uint64 {
	var there uint64
	for c, end := node+1, d.Nodes[node].Next; c < end; c = d.Nodes[c].Next {
		if f := o.find(d, c); f != nil {
			there |= f.presence
		}
	}
	return there
}

// members judges how many members the object at node has: of a map or an open object all,
// of another one the declared ones, also those that have their default.
func (j *judge) members(f *field, node, stored uint32, whole bool) {
	o := f.object
	if o == nil {
		o = &openObject
	}
	before := storedObject{node: stored}
	was, size := -1, o.defaults
	if stored != none {
		for c, end := stored+1, j.stored.Nodes[stored].Next; c < end; c = j.stored.Nodes[c].Next {
			if f := o.member(j.stored, c); f != nil && f.def == nil {
				size++
			}
		}
		was = size
	}
	for c, end := node+1, j.doc.Nodes[node].Next; c < end; c = j.doc.Nodes[c].Next {
		f := o.member(j.doc, c)
		if f == nil || f.def != nil || j.doc.Nodes[c].Mark&strictjson.Omitted != 0 {
			continue
		}
		switch old := before.find(j, c) != 0; {
		case j.doc.Nodes[c].Kind == strictjson.Null && !whole:
			if old && j.opts.Nulls != RejectNulls {
				size--
			}
		case !old:
			size++
		}
	}
	if j.opts.RequireComplete {
		was = -1
	}
	for _, v := range f.checks.judgeSize(j.found[:0], ofObject, size, was) {
		j.report(f, v.Code, v.Message)
	}
}

// openObject declares an object of any members.
var openObject = object{values: &field{}, table: make([]uint16, 1)}

// presence compiles the rules of presence of an object.
func (c *compiler) presence(rules []Presence, o *object, p place) {
	if len(rules) > maxPresence {
		c.mistake(p.pointer, "expected at most %d rules of presence in an object", maxPresence)
		return
	}
	last := 0 // how many fields have a bit
	mask := func(rule int, names []string) (mask uint64) {
		for _, name := range names {
			i := slices.IndexFunc(o.fields, func(f field) bool { return f.name == name })
			if i < 0 {
				c.mistake(p.pointer, "rule %d of presence: the field %q is not declared", rule, name)
				continue
			}
			f := &o.fields[i]
			if f.presence == 0 {
				if last == maxPresenceFields {
					c.mistake(p.pointer, "expected at most %d fields in the rules of presence of an object", maxPresenceFields)
					return mask
				}
				f.presence = 1 << last
				last++
			}
			if mask&f.presence != 0 {
				c.mistake(p.pointer, "rule %d of presence: the field %q is there twice", rule, name)
			}
			mask |= f.presence
			if f.def != nil {
				o.present |= f.presence
			}
		}
		return mask
	}
	for i, rule := range rules {
		want, ok := presenceWants[rule.Kind]
		switch {
		case !ok:
			c.mistake(p.pointer, "rule %d of presence: the kind %q is not known", i, rule.Kind)
		case rule.Kind == "ifThen" && (len(rule.Fields) < 1 || len(rule.Then) < 1):
			c.mistake(p.pointer, "rule %d of presence: expected a field and then another one", i)
		case rule.Kind != "ifThen" && len(rule.Fields) < 2:
			c.mistake(p.pointer, "rule %d of presence: expected two fields or more", i)
		case rule.Kind != "ifThen" && len(rule.Then) > 0:
			c.mistake(p.pointer, "rule %d of presence: expected no Then on kind %s", i, rule.Kind)
		}
		compiled := presence{kind: rule.Kind, fields: mask(i, rule.Fields), then: mask(i, rule.Then)}
		if compiled.fields&compiled.then != 0 {
			c.mistake(p.pointer, "rule %d of presence: a field is in Fields and in Then", i)
		}
		compiled.want = strings.NewReplacer("FIELDS", quotedNames(rule.Fields), "THEN", quotedNames(rule.Then)).Replace(want)
		o.presence = append(o.presence, compiled)
	}
}

// presenceWants are the messages of each kind.
var presenceWants = map[string]string{
	"anyOf":     "expected at least one of FIELDS",
	"oneOf":     "expected exactly one of FIELDS",
	"atMostOne": "expected at most one of FIELDS",
	"notAll":    "expected not all of FIELDS",
	"ifThen":    "expected THEN together with FIELDS",
}

// quotedNames returns names for a message.
func quotedNames(names []string) string {
	var b []byte
	for i, name := range names {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '"')
		b = strictjson.AppendShownName(b, []byte(name))
		b = append(b, '"')
	}
	return cutText(string(b))
}
