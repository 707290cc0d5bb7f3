package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/resourcekit/schema"
)

// A checkedField is a field in both languages, and its values.
type checkedField struct {
	json  string // the JSON Schema of its values
	field schema.Field
	value func(r *rand.Rand, n int) string
}

func most(n int) *int { return &n }

// checkedFields are those of a schema of 20 fields with checks of most kinds.
var checkedFields = func() []checkedField {
	word := func(least, more int) func(r *rand.Rand, _ int) string {
		return func(r *rand.Rand, _ int) string { return ascii.quote(ascii.word(r, least+r.IntN(more))) }
	}
	text := func(format string, numbers ...int) func(r *rand.Rand, _ int) string {
		return func(r *rand.Rand, _ int) string {
			args := make([]any, len(numbers))
			for i, n := range numbers {
				args[i] = r.IntN(n)
			}
			return fmt.Sprintf(format, args...)
		}
	}
	str := schema.Field{Type: schema.String, MinLength: 1, MaxLength: most(64)}
	const strJSON = `{"type":"string","minLength":1,"maxLength":64}`
	pattern := func(name, pattern, format string, numbers ...int) checkedField {
		return checkedField{`{"type":"string","pattern":"` + pattern + `"}`, schema.Field{Name: name, Type: schema.String, Pattern: pattern}, text(format, numbers...)}
	}
	named := func(f schema.Field, name string) schema.Field { f.Name = name; return f }
	return []checkedField{
		{strJSON, schema.Field{Name: "orderId", Type: schema.String, Required: true, MinLength: 1, MaxLength: most(64)}, func(_ *rand.Rand, n int) string { return fmt.Sprintf(`"order-%08d"`, n) }},
		{strJSON, named(str, "customer"), word(6, 20)},
		{strJSON, named(str, "street"), word(6, 20)},
		{strJSON, named(str, "city"), word(6, 20)},
		{strJSON, named(str, "note"), word(6, 20)},
		pattern("sku", "^[A-Z]{2}-[0-9]{4,8}$", `"AB-%06d"`, 1_000_000),
		pattern("zip", "^[0-9]{5}$", `"%05d"`, 100_000),
		pattern("label", "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", `"a-label-%d"`, 1_000_000),
		pattern("currency", "^[A-Z]{3}$", `"USD"`),
		{`{"enum":["open","paid","sent"]}`, schema.Field{Name: "state", Type: schema.String, Enum: []any{"open", "paid", "sent"}}, func(r *rand.Rand, _ int) string { return []string{`"open"`, `"paid"`, `"sent"`}[r.IntN(3)] }},
		{`{"type":"number","minimum":0,"exclusiveMaximum":1000000}`, schema.Field{Name: "total", Type: schema.Number, Minimum: 0, ExclusiveMaximum: 1_000_000}, text("%d.%02d", 10_000, 100)},
		{`{"type":"number","minimum":0,"multipleOf":0.01}`, schema.Field{Name: "tax", Type: schema.Number, Minimum: 0, MultipleOf: 0.01}, text("%d.%02d", 10_000, 100)},
		{`{"type":"integer","minimum":1,"maximum":65535}`, schema.Field{Name: "port", Type: schema.Integer, Minimum: 1, Maximum: 65535}, text("1%d", 10_000)},
		{`{"type":"integer","minimum":-2147483648,"maximum":2147483647}`, schema.Field{Name: "count", Type: schema.Integer, Format: "int32"}, text("%d", 1_000_000)},
		{`{"type":"boolean"}`, schema.Field{Name: "gift", Type: schema.Boolean}, func(r *rand.Rand, _ int) string { return fmt.Sprint(r.IntN(2) == 0) }},
		{`{"type":"string","format":"date-time"}`, schema.Field{Name: "placedAt", Type: schema.String, Format: "date-time"}, func(r *rand.Rand, n int) string { return ascii.member(r, "createdAt", n) }},
		{`{"type":"string","format":"uuid"}`, schema.Field{Name: "trace", Type: schema.String, Format: "uuid"}, text(`"%08x-0000-7000-8000-%012x"`, 1<<30, 1<<30)},
		{`{"type":"string","format":"email"}`, schema.Field{Name: "email", Type: schema.String, Format: "email"}, text(`"ada.lovelace%d@example.com"`, 1_000_000)},
		{`{"type":"array","items":{"type":"string","maxLength":32},"maxItems":10,"uniqueItems":true}`,
			schema.Field{Name: "tags", Type: schema.Array, UniqueItems: true, MaxItems: most(10), Items: &schema.Field{Type: schema.String, MaxLength: most(32)}},
			text(`["red","green%d","blue"]`, 1000)},
		{`{"type":"object","additionalProperties":{"type":"string","maxLength":63},"maxProperties":16}`,
			schema.Field{Name: "labels", Type: schema.Object, MaxProperties: most(16), Values: &schema.Field{Type: schema.String, MaxLength: most(63)}},
			text(`{"env":"prod","team":"a%d","zone":"eu-%d"}`, 1000, 10)},
	}
}()

// checkedSchema returns the schema of checkedFields.
func checkedSchema() *schema.Schema {
	def := schema.Definition{ID: uuid.NewSHA1(scope.Schema, []byte("checked")), Name: "checked", ExternalID: "orderId"}
	for _, f := range checkedFields {
		def.Fields = append(def.Fields, f.field)
	}
	return schema.MustCompile(def)
}

// checkedJSONSchema returns the same for the other library.
func checkedJSONSchema() (*jsonschema.Schema, error) {
	var b bytes.Buffer
	b.WriteString(`{"type":"object","required":["orderId"],"additionalProperties":false,"properties":{`)
	for i, f := range checkedFields {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", f.field.Name, f.json)
	}
	b.WriteString("}}")
	return compileJSONSchema(b.Bytes())
}

// checked returns n valid documents of checkedFields.
func checked(n int) [][]byte {
	r, list := seed(16), make([][]byte, n)
	for i := range list {
		doc := object{}
		for _, f := range checkedFields {
			doc.add(f.field.Name, f.value(r, i))
		}
		list[i] = doc.bytes()
	}
	return list
}

// checkedSet is about a schema of 20 fields, most of which have checks.
func checkedSet(documents [][]byte) (*set, error) {
	compiled, err := checkedJSONSchema()
	if err != nil {
		return nil, err
	}
	s, ours := &set{name: "validate-checks", title: "500 B of 20 fields with checks"}, checkedSchema()
	for _, d := range documents {
		s.bytes += len(d)
	}
	s.bytes /= len(documents)
	target := func(i int) []byte { return documents[i%len(documents)] }
	s.contenders = append([]contender{
		{name: "schema.Validate", goal: &goal{rival: santhosh, times: 10}, run: func(i int) ([]byte, error) {
			return nil, ours.Validate(target(i))
		}},
		{name: santhosh, run: func(i int) ([]byte, error) {
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(target(i)))
			if err != nil {
				return nil, err
			}
			return nil, compiled.Validate(doc)
		}},
	}, yardsticks(func(i int) (document, patch []byte) { return target(i), nil })...)
	return s, nil
}
