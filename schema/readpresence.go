package schema

import (
	"slices"

	"example.com/resourcekit/internal/strictjson"
)

// Presence rules are written in JSON Schema with required, anyOf, oneOf, allOf and not.
// They are read as logic: an expression of "the field is there" becomes clauses, each of
// which is a Presence or part of one. So every way to write a rule is read, not only that
// of Schema.JSON.

// An expr is a condition on the fields that an object has.
type expr struct {
	op   byte   // 'f' a field is there; or of exprs: '&' all, '|' any, '1' exactly one, '!' not the one
	name string // of the field
	of   []expr
}

// A clause demands that one of its fields is there, or that one of not is not.
type clause struct{ fields, not []string }

const (
	maxWork = 10_000 // clauses that are made of the rules in other forms than that of Schema.JSON
)

// combination reads anyOf, oneOf, not, dependentRequired or dependencies at c.
func (r *reader) combination(p *part, c uint32) {
	name := string(r.doc.AppendName(nil, c))
	if name == "dependentRequired" || name == "dependencies" {
		r.dependent(p, c)
		return
	}
	if name != "not" && r.union(p, c, name == "oneOf") {
		return
	}
	e, ok := r.keywordExpr(name, c)
	if !ok {
		return
	}
	if rule, ok := written(e); ok {
		p.field.Presence = append(p.field.Presence, rule)
		return
	}
	clauses, ok := r.clauses(e, true)
	if !ok {
		r.mistake(c, "the rule is too complex: write several, in allOf")
		return
	}
	first := len(p.field.Presence)
	for _, cl := range clauses {
		rules := p.field.Presence
		last := len(rules) - 1
		switch {
		case len(cl.not) == 0 && len(cl.fields) == 1:
			p.needed = append(p.needed, cl.fields[0])
		case len(cl.not) == 0 && len(cl.fields) > 1:
			p.field.Presence = append(rules, Presence{Kind: "anyOf", Fields: cl.fields})
		case len(cl.fields) == 0 && len(cl.not) > 1:
			p.field.Presence = append(rules, Presence{Kind: "notAll", Fields: cl.not})
		case len(cl.fields) == 1 && last >= first && rules[last].Kind == "ifThen" && slices.Equal(rules[last].Fields, cl.not):
			rules[last].Then = append(rules[last].Then, cl.fields[0])
		case len(cl.fields) == 1:
			p.field.Presence = append(rules, Presence{Kind: "ifThen", Fields: cl.not, Then: cl.fields})
		case len(cl.fields) == 0:
			r.mistake(c, "no object, or none with a certain field, is allowed: leave the field out")
			return
		default:
			r.mistake(c, "the rule is not one of those that Presence has: write a Rule in Go")
			return
		}
	}
}

// written reads a rule in a form that Schema.JSON writes, in time linear in its text: so
// that a definition may have as many of them as Compile allows.
func written(e expr) (Presence, bool) {
	switch {
	case e.op == '1':
		none := slices.IndexFunc(e.of, func(f expr) bool { return f.op == '!' })
		if none < 0 {
			fields := fieldsOf(e.of)
			return Presence{Kind: "oneOf", Fields: fields}, len(fields) > 1
		}
		fields, or := fieldsOf(slices.Delete(slices.Clone(e.of), none, none+1)), e.of[none].of[0]
		return Presence{Kind: "atMostOne", Fields: fields}, len(fields) > 1 && or.op == '|' && slices.Equal(fields, fieldsOf(or.of))
	case e.op == '!' && e.of[0].op == '&':
		fields := fieldsOf(e.of[0].of)
		return Presence{Kind: "notAll", Fields: fields}, len(fields) > 1
	case e.op == '|' && len(e.of) == 2 && e.of[0].op == '!':
		fields, then := allOf(e.of[0].of[0]), allOf(e.of[1])
		rule := Presence{Kind: "ifThen", Fields: fieldsOf(fields), Then: fieldsOf(then)}
		return rule, rule.Fields != nil && rule.Then != nil && fieldsOf(slices.Concat(fields, then)) != nil
	case e.op == '|':
		fields := fieldsOf(e.of)
		return Presence{Kind: "anyOf", Fields: fields}, len(fields) > 1
	}
	return Presence{}, false
}

// allOf returns conditions that are all true where e is.
func allOf(e expr) []expr {
	if e.op == '&' {
		return e.of
	}
	return []expr{e}
}

// fieldsOf returns the names of the fields that conditions demand; nil if one of them is
// another condition or is there twice, or if they are too many for a Presence.
func fieldsOf(list []expr) []string {
	if len(list) > maxPresenceFields {
		return nil
	}
	var names []string
	for _, e := range list {
		if e.op != 'f' || slices.Contains(names, e.name) {
			return nil
		}
		names = append(names, e.name)
	}
	return names
}

// clauses returns the clauses that are all true where e is, or where it is not. It is
// false if there are too many.
func (r *reader) clauses(e expr, is bool) ([]clause, bool) {
	switch {
	case e.op == 'f' && is:
		return []clause{{fields: []string{e.name}}}, true
	case e.op == 'f':
		return []clause{{not: []string{e.name}}}, true
	case e.op == '!':
		return r.clauses(e.of[0], !is)
	case e.op == '1' && !is:
		return nil, false
	case e.op == '1':
		all := expr{op: '&', of: []expr{{op: '|', of: e.of}}}
		for i := range e.of {
			for j := range i {
				if r.work++; r.work > maxWork {
					return nil, false
				}
				all.of = append(all.of, expr{op: '!', of: []expr{{op: '&', of: []expr{e.of[j], e.of[i]}}}})
			}
		}
		return r.clauses(all, true)
	}
	if (e.op == '&') == is { // all of them
		var list []clause
		for _, sub := range e.of {
			clauses, ok := r.clauses(sub, is)
			if !ok {
				return nil, false
			}
			for _, c := range clauses {
				if list = addClause(list, c); len(list) > maxPresence {
					return nil, false
				}
			}
		}
		return list, true
	}
	list := []clause{{}}
	for _, sub := range e.of { // one of them
		clauses, ok := r.clauses(sub, is)
		if !ok {
			return nil, false
		}
		var product []clause
		for _, a := range list {
			for _, b := range clauses {
				if r.work += 1 + len(a.fields) + len(a.not); r.work > maxWork {
					return nil, false
				}
				if c, ok := a.or(b); ok {
					product = addClause(product, c)
				}
				if len(product) > maxPresence {
					return nil, false
				}
			}
		}
		list = product
	}
	return list, true
}

// addClause adds a clause to a list, without those that others imply.
func addClause(list []clause, c clause) []clause {
	if slices.ContainsFunc(list, func(other clause) bool { return other.implies(c) }) {
		return list
	}
	return append(slices.DeleteFunc(list, c.implies), c)
}

// or returns the clause that demands a or b; it is false if every object has that.
func (a clause) or(b clause) (clause, bool) {
	c := clause{slices.Clone(a.fields), slices.Clone(a.not)}
	for _, name := range b.fields {
		if slices.Contains(a.not, name) {
			return clause{}, false
		}
		if !slices.Contains(c.fields, name) {
			c.fields = append(c.fields, name)
		}
	}
	for _, name := range b.not {
		if slices.Contains(a.fields, name) {
			return clause{}, false
		}
		if !slices.Contains(c.not, name) {
			c.not = append(c.not, name)
		}
	}
	return c, true
}

// implies reports whether b is true wherever a is.
func (a clause) implies(b clause) bool {
	return isPart(a.fields, b.fields) && isPart(a.not, b.not)
}

func isPart(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(name string) bool { return !slices.Contains(whole, name) })
}

// keywordExpr reads the keyword at c as a condition. It is false after a mistake.
func (r *reader) keywordExpr(name string, c uint32) (expr, bool) {
	if name == "not" {
		e, ok := r.expr(c)
		return expr{op: '!', of: []expr{e}}, ok
	}
	e := expr{op: map[string]byte{"required": '&', "allOf": '&', "anyOf": '|', "oneOf": '1'}[name]}
	if !r.expect(c, strictjson.Array) {
		return e, false
	}
	for element := range r.children(c) {
		sub, ok := expr{op: 'f'}, true
		if name == "required" {
			ok = r.expect(element, strictjson.String)
			sub.name = r.text(element)
		} else {
			sub, ok = r.expr(element)
		}
		if !ok {
			return e, false
		}
		e.of = append(e.of, sub)
	}
	if len(e.of) == 1 {
		e = e.of[0]
	}
	return e, true
}

// expr reads the schema at c as a condition. It is false after a mistake.
func (r *reader) expr(c uint32) (expr, bool) {
	e := expr{op: '&'}
	switch {
	case r.isAny(c):
		return e, true
	case r.isNever(c):
		return expr{op: '!', of: []expr{e}}, true
	case !r.expect(c, strictjson.Object):
		return e, false
	}
	for m := range r.children(c) {
		switch name := string(r.doc.AppendName(nil, m)); name {
		case "required", "anyOf", "oneOf", "allOf", "not":
			sub, ok := r.keywordExpr(name, m)
			if !ok {
				return e, false
			}
			e.of = append(e.of, sub)
		case "properties":
			if !r.expect(m, strictjson.Object) {
				return e, false
			}
			for property := range r.children(m) {
				if !r.isAny(property) {
					r.mistake(property, onlyPresence)
					return e, false
				}
			}
		default:
			if !isAnnotation(name) && name != "description" && (name != "type" || r.text(m) != string(Object)) {
				r.mistake(m, onlyPresence)
				return e, false
			}
		}
	}
	if len(e.of) == 1 {
		e = e.of[0]
	}
	return e, true
}

const onlyPresence = "anyOf, oneOf and not may only say which fields are there, with required: write the keyword outside of them, or a Rule in Go"

// union reads anyOf or oneOf of types, one of which may be null: a union of scalars. It is
// false if some schema in it is another one.
func (r *reader) union(p *part, c uint32, one bool) bool {
	var types []Type
	null := uint32(0)
	if r.doc.Nodes[c].Kind != strictjson.Array || r.doc.Nodes[c].Len == 0 || p.types != nil {
		return false
	}
	for element := range r.children(c) {
		keyword := element + 1
		if n := &r.doc.Nodes[element]; n.Kind != strictjson.Object || n.Len != 1 || !r.doc.NameIs(keyword, strictjson.HashName("type"), "type") {
			return false
		}
		switch t := Type(r.text(keyword)); {
		case t == "":
			return false
		case t == "null":
			null = keyword
		case one && (slices.Contains(types, t) || t == Number && slices.Contains(types, Integer) || t == Integer && slices.Contains(types, Number)):
			r.mistake(keyword, "no value is of exactly one of these types")
			return true
		case !slices.Contains(types, t):
			types = append(types, t)
		}
	}
	p.types, p.null = types, max(p.null, null)
	return true
}

// dependent reads dependentRequired, or dependencies of that form.
func (r *reader) dependent(p *part, c uint32) {
	if !r.expect(c, strictjson.Object) {
		return
	}
	for m := range r.children(c) {
		rule := Presence{Kind: "ifThen", Fields: []string{string(r.doc.AppendName(nil, m))}}
		if r.doc.Nodes[m].Kind != strictjson.Array {
			r.mistake(m, "expected an array of names: write other rules in Go")
			continue
		}
		for v := range r.children(m) {
			if len(rule.Then) == maxPresenceFields {
				r.mistake(m, "expected at most %d names", maxPresenceFields)
				break
			}
			if name := r.string(v); name != rule.Fields[0] && !slices.Contains(rule.Then, name) {
				rule.Then = append(rule.Then, name)
			}
		}
		if len(rule.Then) > 0 {
			p.field.Presence = append(p.field.Presence, rule)
		}
	}
}
