package schema

import (
	"encoding/json"
	"fmt"
	"slices"

	"example.com/resourcekit/internal/strictjson"
)

// finish completes a field after all of its keywords. mistakes is how many there were
// before it.
func (r *reader) finish(p *part, node uint32, in where, mistakes int) {
	f := p.field
	if kind := r.doc.Nodes[node].Kind; r.full || kind != strictjson.Object && kind != strictjson.True {
		return
	}
	for _, c := range p.rules {
		r.combination(p, c)
	}
	r.impliedTypes(p)
	switch {
	case len(p.types) == 1:
		f.Type = p.types[0]
	case len(p.types) > 1:
		f.Types = p.types
	case p.saysNothing():
		f.Type = Any
	default:
		if len(r.mistakes) == mistakes { // or the type may be in what is wrong
			r.mistake(node, "the type is missing%s", typeHint(p))
		}
		return
	}
	if p.null != 0 {
		f.Enum = slices.DeleteFunc(f.Enum, func(v any) bool { return v == nil })
	}
	if slices.Contains(f.Enum, nil) {
		r.mistake(p.seen["enum"], "expected values of the type, without null")
	}
	if c := p.seen["default"]; c != 0 && f.Default == nil && p.null == 0 {
		r.mistake(c, "expected a value of the type, not null: leave it out")
	}
	if in == inValues || r.items > 0 {
		keepDefault(f)
	}
	if in == inItems && p.null != 0 {
		r.mistake(p.null, "an element of an array cannot be null here: leave null out")
	}
	if in == inRoot && (p.null != 0 || f.Type != Object) {
		r.mistake(node, "expected the type object for the whole document")
	}
	r.object(p, node, in)
}

// object completes an object.
func (r *reader) object(p *part, node uint32, in where) {
	f := p.field
	if c := p.seen["additionalProperties"]; c != 0 {
		switch {
		case in == inRoot && !r.isNever(c):
			r.mistake(c, "expected false for the whole document, whose members are declared")
		case p.declared != nil && p.declaredIn != p.valuesIn:
			r.mistake(c, "expected it beside properties, in the same schema")
		case r.isNever(c) && len(f.Fields) == 0:
			r.mistake(c, "expected properties beside it: an object without any is open")
		}
	}
	if p.never != 0 && (f.Values != nil || len(f.Fields) == 0) {
		r.mistake(p.never, "no value is allowed here: declare others in properties, and leave additionalProperties out")
	}
	need := func(name string, node uint32) {
		switch field, ok := p.declared[name]; {
		case !ok:
			r.mistake(node, "expected the name of a field that properties declares")
		case field.null != 0:
			r.mistake(field.null, "a required field cannot be null: leave null out, or the field out of required")
		default:
			f.Fields[field.index].Required = true
			keepDefault(&f.Fields[field.index])
		}
	}
	for _, c := range p.required {
		need(r.text(c), c)
	}
	for _, name := range p.needed {
		need(name, node)
	}
}

// impliedTypes finds the types of a schema without the keyword.
func (r *reader) impliedTypes(p *part) {
	if len(p.types) > 0 || p.seen["type"] != 0 {
		return
	}
	values := p.field.Enum
	switch {
	case p.field.Annotations["$ref"] != nil:
		p.types = []Type{String} // the external id of another resource
		return
	case isTrue(p.field.Annotations[intOrString]):
		p.types = []Type{Integer, String}
		return
	case p.field.Const != nil:
		values = []any{p.field.Const}
	}
	integral := true
	for _, v := range values {
		t := Object // refused by Compile
		switch v := v.(type) {
		case nil:
			p.null = p.seen["enum"]
			continue
		case string:
			t = String
		case bool:
			t = Boolean
		case json.Number:
			t = Number
			integral = integral && isIntegral([]byte(v))
		}
		if !slices.Contains(p.types, t) {
			p.types = append(p.types, t)
		}
	}
	if i := slices.Index(p.types, Number); i >= 0 && integral {
		p.types[i] = Integer
	}
}

// keepDefault keeps a default that cannot be one of f as an annotation.
func keepDefault(f *Field) {
	if f.Default == nil {
		return
	}
	raw, _ := rawValue(f.Default) // it was JSON
	if f.Annotations == nil {
		f.Annotations = make(map[string]json.RawMessage)
	}
	f.Annotations["default"], f.Default = raw, nil
}

// saysNothing reports whether no keyword narrows the values.
func (p *part) saysNothing() bool {
	for name := range p.seen {
		switch name {
		case "description", "default", "nullable", "x-pii-type", "$ref", "allOf", "$defs", "definitions":
		default:
			if !isAnnotation(name) {
				return false
			}
		}
	}
	return true
}

// typeHint says which type the keywords of a schema belong to.
func typeHint(p *part) string {
	for _, hint := range []struct {
		of       Type
		keywords []string
	}{
		{Object, []string{"properties", "additionalProperties", "required", "minProperties", "maxProperties"}},
		{Array, []string{"items", "minItems", "maxItems", "uniqueItems"}},
		{String, []string{"pattern", "minLength", "maxLength"}},
		{Number, []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}},
	} {
		for _, keyword := range hint.keywords {
			if p.seen[keyword] != 0 {
				return fmt.Sprintf(`: with %s, write "type": %q`, keyword, hint.of)
			}
		}
	}
	return ""
}
