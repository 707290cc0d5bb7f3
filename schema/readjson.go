package schema

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"example.com/resourcekit/internal/strictjson"
)

// Meta is what a [Definition] has and a JSON Schema has no word for.
type Meta struct {
	// ID, Name and ExternalID are those of the Definition.
	ID         uuid.UUID
	Name       string
	ExternalID string
	// MaxBytes bounds the length of the text, and also what its references add to it. 0
	// stands for 256 KiB.
	MaxBytes int
}

const maxSchemaText = 256 << 10

// ParseJSON returns the definition that a JSON Schema says, of draft-07 or of 2020-12. It
// does not judge the definition: [Compile] does. [Schema.JSON] is the inverse. See
// "JSON Schema" in the comment of the package.
//
// The error is a [*SyntaxError] for a text that is not strict JSON, or a
// [*ValidationError] with each place where the text says something that a Definition
// cannot. Its pointers are places in the text, and its messages tell what to write
// instead. No keyword is ignored.
//
// The result shares nothing with text. The text may come from a stranger: time and memory
// are linear in MaxBytes.
func ParseJSON(text []byte, meta Meta) (Definition, error) {
	def := Definition{ID: meta.ID, Name: meta.Name, ExternalID: meta.ExternalID}
	r := reader{doc: strictjson.Get(), bytes: cmp.Or(meta.MaxBytes, maxSchemaText)}
	defer strictjson.Put(r.doc)
	if len(text) > r.bytes {
		r.mistakes = []Violation{{"", codeDefinition, fmt.Sprintf("expected at most %d bytes", r.bytes)}}
		return Definition{}, r.err(meta.Name)
	}
	if err := r.doc.Parse(text, 3*strictjson.MaxDepth); err != nil {
		return Definition{}, err
	}
	root := part{field: &Field{}, def: &def, seen: make(map[string]uint32)}
	r.keywords(&root, 0, 1)
	r.finish(&root, 0, inRoot, 0)
	if err := r.err(meta.Name); err != nil {
		return Definition{}, err
	}
	f := root.field
	def.Description, def.Fields, def.Presence, def.Annotations = f.Description, f.Fields, f.Presence, f.Annotations
	return def, nil
}

// A reader reads one JSON Schema.
type reader struct {
	doc      *strictjson.Doc
	mistakes []Violation
	more     int      // mistakes that were left out
	fields   int      // so far
	bytes    int      // that references may still add
	active   []uint32 // the targets of the references around
	items    int      // arrays around
	work     int      // of presence rules, see clauses
	full     bool     // a limit was met: what follows is not read

	childrenOf map[uint32]map[string]uint32 // see child
}

func (r *reader) err(name string) error {
	if len(r.mistakes) == 0 {
		return nil
	}
	return &ValidationError{Of: "definition " + strconv.Quote(name), Violations: r.mistakes, More: r.more}
}

// mistake notes what is wrong with a node.
func (r *reader) mistake(node uint32, format string, args ...any) {
	if len(r.mistakes) == maxViolations {
		r.more++
		return
	}
	r.mistakes = append(r.mistakes, Violation{r.pointer(node), codeDefinition, fmt.Sprintf(format, args...)})
}

// A nodePointer finds the place of a node when it is shown: most mistakes of a hostile
// text are only counted.
type nodePointer struct {
	reader *reader
	node   uint32
}

func (p nodePointer) String() string { return string(p.reader.pointer(p.node)) }

// pointer returns the place of a node in the text.
func (r *reader) pointer(node uint32) Pointer {
	var p []byte
	for at := uint32(0); at != node; {
		index := 0
		for c := range r.children(at) {
			if node < r.doc.Nodes[c].Next {
				if r.doc.Nodes[at].Kind == strictjson.Object {
					p = strictjson.AppendShownName(append(p, '/'), r.doc.AppendName(nil, c))
				} else {
					p = strconv.AppendInt(append(p, '/'), int64(index), 10)
				}
				at = c
				break
			}
			index++
		}
	}
	return Pointer(p)
}

// A part is a field that is being read: by one schema, or by several of an allOf.
type part struct {
	field    *Field
	def      *Definition       // of the whole document; nil elsewhere
	seen     map[string]uint32 // the keywords so far
	types    []Type
	null     uint32              // where null is allowed; 0 if it is not
	declared map[string]declared // the properties
	never    uint32              // one of them that no value may have; 0 if there is none
	required []uint32            // the names, and
	needed   []string            // those that rules add
	rules    []uint32            // keywords that are presence rules

	declaredIn, valuesIn uint32 // the schemas with properties and additionalProperties
}

// A declared is one of the properties: its place in Fields, and where null is allowed.
type declared struct {
	index int
	null  uint32
}

// A where says whose values a schema is about.
type where int

const (
	inRoot where = iota
	inProperty
	inItems
	inValues
)

// read reads the schema at node into f, as one at this depth. It returns where null is
// allowed, or 0.
func (r *reader) read(f *Field, node uint32, in where, depth int) uint32 {
	if r.fields++; r.fields > maxFields {
		r.limit(node, "expected at most %d fields in all", maxFields)
		return 0
	}
	if depth > strictjson.MaxDepth+1 {
		r.mistake(node, "expected at most %d levels", strictjson.MaxDepth)
		return 0
	}
	p, mistakes := part{field: f, seen: make(map[string]uint32)}, len(r.mistakes)
	r.keywords(&p, node, depth)
	r.finish(&p, node, in, mistakes)
	return p.null
}

// limit is mistake for what ends the reading.
func (r *reader) limit(node uint32, format string, args ...any) {
	if !r.full {
		r.mistake(node, format, args...)
	}
	r.full = true
}

// keywords reads the keywords of the schema at node into p.
func (r *reader) keywords(p *part, node uint32, depth int) {
	switch r.doc.Nodes[node].Kind {
	case strictjson.Object:
	case strictjson.True:
		return
	case strictjson.False:
		r.mistake(node, "no value is allowed here: leave the field out")
		return
	default:
		r.mistake(node, "expected a schema, which is an object")
		return
	}
	var others []uint32 // schemas that p also obeys
	for c := range r.children(node) {
		if r.full {
			return
		}
		name := string(r.doc.AppendName(nil, c))
		switch before, twice := p.seen[name]; {
		case !twice:
			p.seen[name] = c
		case name == "type", name == "properties", name == "required", name == "allOf", name == "anyOf", name == "oneOf", name == "not",
			name == "$ref", name == "$defs", name == "definitions", name == "dependentRequired", name == "dependencies":
		case isAnnotation(name) || name == "description" || name == "default":
			continue // the outer one counts
		default:
			r.mistake(c, "the keyword is also at %s: write one of them", nodePointer{r, before})
			continue
		}
		if name == "allOf" {
			for element := range r.elements(c) {
				others = append(others, element)
			}
			continue
		}
		if name == "anyOf" || name == "oneOf" {
			if only, null := r.only(c); only != 0 {
				others, p.null = append(others, only), max(p.null, null)
				continue
			}
		}
		if name == "$ref" && !strings.HasPrefix(r.string(c), "reach:") {
			others = append(others, c)
			continue
		}
		r.keyword(p, name, node, c, depth)
	}
	for _, c := range others {
		if r.full {
			return
		}
		if r.doc.Nodes[c].NameStart != 0 { // it is not an element
			r.follow(p, node, c, depth)
		} else {
			r.keywords(p, c, depth)
		}
	}
}

// only returns the only schema of anyOf or oneOf at c, and where another one allows null;
// or 0 if there are several.
func (r *reader) only(c uint32) (only, null uint32) {
	if r.doc.Nodes[c].Kind != strictjson.Array {
		return 0, 0
	}
	for element := range r.children(c) {
		switch {
		case string(strictjson.AppendCompact(nil, r.doc.Text(element))) == `{"type":"null"}`:
			null = element
		case only != 0:
			return 0, 0
		default:
			only = element
		}
	}
	return only, null
}

// keyword reads one keyword of the schema at node, whose value is at c.
func (r *reader) keyword(p *part, name string, node, c uint32, depth int) {
	f := p.field
	if p.def != nil && slices.Contains(notOfRoot, name) {
		r.mistake(c, "expected no %s for the whole document", name)
		return
	}
	switch name {
	case "type":
		r.typeOf(p, c)
	case "nullable":
		if r.bool(c) {
			p.null = c
		}
	case "description":
		f.Description = r.string(c)
	case "format":
		f.Format = r.string(c)
	case "pattern":
		f.Pattern = r.string(c)
	case "enum":
		f.Enum = []any{}
		for v := range r.elements(c) {
			f.Enum = append(f.Enum, r.value(v))
		}
	case "const":
		if f.Const = r.value(c); f.Const == nil {
			r.mistake(c, "expected a value that is not null: null deletes a field")
		}
	case "default":
		f.Default = r.value(c)
	case "minimum":
		f.Minimum = r.number(c)
	case "maximum":
		f.Maximum = r.number(c)
	case "exclusiveMinimum":
		f.ExclusiveMinimum = r.number(c)
	case "exclusiveMaximum":
		f.ExclusiveMaximum = r.number(c)
	case "multipleOf":
		f.MultipleOf = r.number(c)
	case "minLength":
		f.MinLength = r.count(c)
	case "maxLength":
		f.MaxLength = new(r.count(c))
	case "minItems":
		f.MinItems = r.count(c)
	case "maxItems":
		f.MaxItems = new(r.count(c))
	case "uniqueItems":
		f.UniqueItems = r.bool(c)
	case "minProperties":
		f.MinProperties = r.count(c)
	case "maxProperties":
		f.MaxProperties = new(r.count(c))
	case "x-pii-type":
		f.PII = r.string(c)
	case "x-index":
		f.Index = r.index(c)
	case "x-unique":
		f.Unique = r.bool(c)
	case "x-fold":
		f.Fold = r.string(c)
	case "x-retired-indexes":
		if p.def == nil {
			r.mistake(c, "expected it only for the whole document")
			return
		}
		for v := range r.elements(c) {
			p.def.RetiredIndexes = append(p.def.RetiredIndexes, r.index(v))
		}
	case "properties":
		if p.declared != nil && p.declaredIn != node {
			node = math.MaxUint32 // in several
		}
		p.declaredIn = node
		r.properties(p, c, depth)
	case "required":
		for v := range r.elements(c) {
			if r.expect(v, strictjson.String) {
				p.required = append(p.required, v)
			}
		}
	case "items":
		if r.doc.Nodes[c].Kind == strictjson.Array {
			r.mistake(c, "expected one schema for all elements")
		} else {
			f.Items = new(Field)
			r.items++
			r.read(f.Items, c, inItems, depth+1)
			r.items--
		}
	case "additionalProperties":
		p.valuesIn = node
		if !r.isNever(c) {
			f.Values = new(Field)
			r.read(f.Values, c, inValues, depth+1)
		}
	case "anyOf", "oneOf", "not", "dependentRequired", "dependencies":
		p.rules = append(p.rules, c)
	case "$defs", "definitions":
		r.expect(c, strictjson.Object)
	case "$schema":
		draft := strings.TrimSuffix(r.string(c), "#")
		if p.def == nil || draft != strings.TrimSuffix(Draft07, "#") && draft != Draft2020 {
			r.mistake(c, "expected it once, in the root: %s or %s", Draft07, Draft2020)
		}
	default:
		if advice, ok := instead[name]; ok {
			r.mistake(c, "the keyword is not supported: %s", advice)
			return
		}
		raw := strictjson.AppendCompact(nil, r.doc.Text(c))
		if why := wrongAnnotation(name, raw, p.def != nil); why != "" {
			if len(r.mistakes) < maxViolations { // those after are not shown
				if near := suggest(known, []byte(name)); near != "" && near != name {
					why = fmt.Sprintf("the keyword is not known, did you mean %q?", near)
				}
			}
			r.mistake(c, "%s", why)
			return
		}
		if f.Annotations == nil {
			f.Annotations = make(map[string]json.RawMessage)
		}
		f.Annotations[name] = raw
	}
}

// notOfRoot are keywords that a Definition has no place for.
var notOfRoot = []string{
	"nullable", "format", "pattern", "enum", "const", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
	"multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "items",
	"x-pii-type", "x-index", "x-unique", "x-fold",
}

// known are the keywords that a wrong one may stand for.
var known = func() (list []field) {
	for _, name := range append(notOfRoot, "type", "description", "properties", "required", "additionalProperties", "anyOf", "oneOf", "allOf", "not",
		"dependentRequired", "$ref", "$defs", "definitions", "$schema", "$id", "$comment", "title", "examples", "deprecated", "readOnly", "writeOnly") {
		list = append(list, field{name: name})
	}
	return list
}()

// instead says what to write in the place of keywords that are not supported.
var instead = map[string]string{
	"if":                       ifInstead,
	"then":                     ifInstead,
	"else":                     ifInstead,
	"patternProperties":        "write additionalProperties with a schema of all other members",
	"propertyNames":            "declare the members in properties, or write a Rule in Go",
	"dependentSchemas":         "write dependentRequired, or a Rule in Go",
	"unevaluatedProperties":    "write additionalProperties",
	"unevaluatedItems":         itemsInstead,
	"additionalItems":          itemsInstead,
	"prefixItems":              itemsInstead,
	"contains":                 "write a Rule in Go",
	"minContains":              "write a Rule in Go",
	"maxContains":              "write a Rule in Go",
	"$anchor":                  refInstead,
	"$dynamicAnchor":           refInstead,
	"$dynamicRef":              refInstead,
	"$recursiveAnchor":         refInstead,
	"$recursiveRef":            refInstead,
	"$vocabulary":              "leave it out",
	"id":                       "write $id, in the root",
	"contentSchema":            "declare the content as a field of its own",
	"x-kubernetes-validations": "write a Rule in Go",
}

const (
	ifInstead    = "write anyOf with not and required, or a Rule in Go"
	itemsInstead = "write items, one schema for all elements"
	refInstead   = "write a $ref with a JSON Pointer, such as #/$defs/NAME"
)

func (r *reader) typeOf(p *part, c uint32) {
	var types []Type
	null, mistakes := uint32(0), len(r.mistakes)
	add := func(v uint32) {
		switch t := Type(r.string(v)); {
		case t == "null":
			null = v
		case kindsOf[t] == 0 || t == Any:
			if r.doc.Nodes[v].Kind == strictjson.String {
				r.mistake(v, "the type is not known")
			}
		case slices.Contains(types, t):
			r.mistake(v, "the type is there twice")
		default:
			types = append(types, t)
		}
	}
	if r.doc.Nodes[c].Kind == strictjson.Array {
		for v := range r.elements(c) {
			add(v)
		}
	} else {
		add(c)
	}
	switch {
	case p.types != nil && !slices.Equal(p.types, types):
		r.mistake(c, "expected the type that is also said in another part")
	case len(types) == 0 && len(r.mistakes) == mistakes:
		r.mistake(c, "expected a type of values that are not null: null deletes a field")
	}
	p.types, p.null = types, max(p.null, null)
}

func (r *reader) properties(p *part, c uint32, depth int) {
	if !r.expect(c, strictjson.Object) {
		return
	}
	if p.declared == nil {
		p.declared = make(map[string]declared)
	}
	for m := range r.children(c) {
		if r.full {
			return
		}
		if r.isNever(m) {
			p.never = m
			continue
		}
		f := Field{Name: string(r.doc.AppendName(nil, m))}
		if _, twice := p.declared[f.Name]; twice {
			r.mistake(m, "the field is also declared in another part: write one of them")
			continue
		}
		null := r.read(&f, m, inProperty, depth+1)
		p.declared[f.Name] = declared{len(p.field.Fields), null}
		p.field.Fields = append(p.field.Fields, f)
	}
}
