package main

import (
	"bytes"
	"fmt"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/resourcekit/schema"
)

const santhosh = "santhosh-tekuri/jsonschema"

// customersJSONSchema says in JSON Schema what schema.Customers says of a whole
// document that is new.
const customersJSONSchema = `{
	"$schema": "https://json-schema.org/draft/2020-12/schema",
	"type": "object",
	"properties": {
		"customerId": {"type": "string", "minLength": 1, "maxLength": 512},
		"email": {"type": "string"},
		"phone": {"type": "string"},
		"firstName": {"type": "string"},
		"lastName": {"type": "string"},
		"emailOptOut": {"type": "boolean"},
		"smsOptOut": {"type": "boolean"},
		"customerDetailUrl": {"type": "string"},
		"createdAt": {"type": "string", "format": "date-time"}
	},
	"required": ["customerId", "firstName", "lastName", "createdAt"],
	"additionalProperties": false
}`

func schemaSources() []source {
	return []source{
		{name: "validate", open: func() (*set, error) { return validateSet(customers(ascii, rotating)) }},
		{name: "validate-fields", open: func() (*set, error) { return fieldsSet(orders(rotating)) }},
		{name: "validate-checks", open: func() (*set, error) { return checkedSet(checked(rotating)) }},
	}
}

func compileJSONSchema(text []byte) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
}

func validateSet(inputs []input) (*set, error) {
	compiled, err := compileJSONSchema([]byte(customersJSONSchema))
	if err != nil {
		return nil, err
	}
	ours := schema.Customers()
	s := &set{name: "validate", title: "350 B customers"}
	for _, in := range inputs {
		s.bytes += len(in.target)
	}
	s.bytes /= len(inputs)
	target := func(i int) []byte { return inputs[i%len(inputs)].target }
	s.contenders = append([]contender{
		{name: "schema.Validate", goal: &goal{ofV: 0.65, rival: santhosh, times: 45}, run: func(i int) ([]byte, error) {
			return nil, ours.Validate(target(i))
		}},
		{name: "schema.Read", goal: &goal{rival: santhosh, allocs: -1}, run: func(i int) ([]byte, error) {
			r, err := ours.Read(target(i), nil)
			r.Close()
			return nil, err
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

// fieldsSet is about a schema of 20 fields.
func fieldsSet(inputs []input) (*set, error) {
	s, ours := &set{name: "validate-fields", title: "450 B of 20 fields"}, ordersSchema()
	for _, in := range inputs {
		s.bytes += len(in.target)
	}
	s.bytes /= len(inputs)
	target := func(i int) []byte { return inputs[i%len(inputs)].target }
	s.contenders = append([]contender{{name: "schema.Validate", goal: &goal{}, run: func(i int) ([]byte, error) {
		return nil, ours.Validate(target(i))
	}}}, yardsticks(func(i int) (document, patch []byte) { return target(i), nil })...)
	return s, nil
}

// types are those of the fields in inputs.
var types = map[string]schema.Type{
	"string": schema.String, "date-time": schema.String, "number": schema.Number, "integer": schema.Integer, "boolean": schema.Boolean,
}

// ordersSchema is the schema of the documents that orders returns.
func ordersSchema() *schema.Schema {
	def := schema.Definition{ID: uuid.NewSHA1(scope.Schema, []byte("orders")), Name: "orders", ExternalID: "orderId"}
	for _, f := range orderFields {
		field := schema.Field{Name: f.name, Type: types[f.typ], Required: f.required}
		if f.typ == "date-time" {
			field.Format = "date-time"
		}
		def.Fields = append(def.Fields, field)
	}
	return schema.MustCompile(def)
}

// nestedSchema is the schema of the documents that nested returns: it declares every
// field at every depth.
func nestedSchema() *schema.Schema {
	field := func(typ, name string) schema.Field { return schema.Field{Name: name, Type: types[typ]} }
	object := func(name string, fields ...schema.Field) schema.Field {
		return schema.Field{Name: name, Type: schema.Object, Fields: fields}
	}
	array := func(name string, items schema.Field) schema.Field {
		return schema.Field{Name: name, Type: schema.Array, Items: &items}
	}
	address := func(name string) schema.Field {
		return object(name, field("string", "street"), field("string", "city"), field("string", "zip"),
			object("location", field("number", "lat"), field("number", "lon")))
	}
	channel := func(name string) schema.Field {
		return object(name, field("boolean", "enabled"), field("string", "frequency"), array("topics", field("string", "")))
	}
	item := object("", field("string", "sku"), field("integer", "count"), field("number", "price"), field("boolean", "gift"))
	var list []schema.Field
	for k := range 40 {
		list = append(list, object(fmt.Sprintf("order_%04d", k), field("string", "status"),
			schema.Field{Name: "placedAt", Type: schema.String, Format: "date-time"},
			object("ship", address("to"), field("string", "carrier"), field("string", "tracking")), array("items", item)))
	}
	id := field("string", "customerId")
	id.Required = true
	return schema.MustCompile(schema.Definition{
		ID: uuid.NewSHA1(scope.Schema, []byte("nested")), Name: "nested", ExternalID: id.Name,
		Fields: []schema.Field{
			id,
			object("profile", object("name", field("string", "first"), field("string", "last"), field("string", "title")),
				object("addresses", address("home"), address("work"))),
			object("preferences", object("channels", channel("email"), channel("sms"), channel("push")), field("string", "language")),
			object("orders", list...),
		},
	})
}
