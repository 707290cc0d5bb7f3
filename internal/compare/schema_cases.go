package main

import (
	"bytes"
	"errors"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/tidwall/gjson"

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
	return []source{{name: "validate", open: func() (*set, error) { return validateSet(customers(ascii, rotating)) }}}
}

func compileJSONSchema() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(customersJSONSchema)))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("customers.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("customers.json")
}

func validateSet(inputs []input) (*set, error) {
	compiled, err := compileJSONSchema()
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
	s.contenders = []contender{
		{name: "schema.Validate", goal: &goal{ofV: 1, rival: santhosh, times: 20}, run: func(i int) ([]byte, error) {
			return nil, ours.Validate(target(i))
		}},
		{name: yardstick, run: func(i int) ([]byte, error) {
			if !gjson.ValidBytes(target(i)) {
				return nil, errors.New("not valid")
			}
			return nil, nil
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
	}
	return s, nil
}
