package schema_test

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/resourcekit/schema"
)

const ada = `{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-05-01T09:30:00Z"}`

func Example_allViolationsAtOnce() {
	err := schema.Customers().Validate([]byte(`{
		"customerId": "c-1",
		"email": 42,
		"createdAt": "2023-02-30T10:00:00Z",
		"firstName": null
	}`))
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			fmt.Printf("%-12s %-9s %s\n", v.Pointer, v.Code, v.Message)
		}
	}
	// Output:
	// /email       type      expected string, found number
	// /createdAt   format    expected a date-time (RFC 3339), such as 2006-01-02T15:04:05Z
	// /firstName   required  required, cannot be null
	// /lastName    required  required, but missing
}

// What values must be beyond their type is said by the keywords of JSON Schema.
func Example_checks() {
	ten := 10
	services := schema.MustCompile(schema.Definition{
		ID: uuid.MustParse("0d3c9f5e-5b86-4a2c-9c1e-3f9a1f6f7a10"), Name: "services", ExternalID: "name",
		Fields: []schema.Field{
			{Name: "name", Type: schema.String, Required: true, Pattern: "^[a-z][-a-z0-9]*$", MaxLength: &ten},
			{Name: "port", Types: []schema.Type{schema.Integer, schema.String}, Minimum: 1, Maximum: 65535},
			{Name: "price", Type: schema.Number, ExclusiveMinimum: 0, MultipleOf: 0.01},
			{Name: "hosts", Type: schema.Array, UniqueItems: true, Items: &schema.Field{Type: schema.String, Format: "hostname"}},
			{Name: "labels", Type: schema.Object, Values: &schema.Field{Type: schema.String}, MaxProperties: &ten},
			{Name: "cpu", Type: schema.Number}, {Name: "plan", Type: schema.String},
		},
		Presence: []schema.Presence{{Kind: "oneOf", Fields: []string{"cpu", "plan"}}},
	})
	fmt.Println(services.Validate([]byte(`{"name":"web-1","port":"http","price":19.99,"hosts":["a.example"],"labels":{"env":"prod"},"plan":"s"}`)))

	err := services.Validate([]byte(`{"name":"Web server 1","port":0,"price":19.995,"hosts":["a","a"],"labels":{"env":5},"plan":"s","cpu":2}`))
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			fmt.Printf("%s %s: %s\n", v.Pointer, v.Code, v.Message)
		}
	}
	// Output:
	// <nil>
	// /name max_length: expected at most 10 characters
	// /name pattern: expected a match of ^[a-z][-a-z0-9]*$
	// /port minimum: expected at least 1
	// /price multiple_of: expected a multiple of 0.01
	// /hosts unique_items: expected no two equal elements, found some at 0 and 1
	// /labels/env type: expected string, found number
	//  presence: expected exactly one of "cpu", "plan"
}

func Example_unknownFieldDidYouMean() {
	r, _ := schema.Customers().Read([]byte(`{"customerId":"c-1","e-mail":"ada@example.com","first_name":"Ada","shoeSize":38}`), nil)
	_, err := r.Apply([]byte(ada))
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			fmt.Println(v)
		}
	}
	// Output:
	// /e-mail: unknown field, did you mean "email"?
	// /first_name: unknown field, did you mean "firstName"?
	// /shoeSize: unknown field
}

func Example_ignoreUnknownFields() {
	request := []byte(`{"customerId":"c-1","shoeSize":38,"phone":"+15550100"}`)
	r, _ := schema.Customers().Read(request, &schema.ReadOptions{UnknownFields: schema.IgnoreUnknown})
	doc, err := r.Apply([]byte(ada))
	fmt.Printf("%s\n", doc.Stored)
	fmt.Println(doc.Dropped, err)
	// Output:
	// {"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-05-01T09:30:00Z","phone":"+15550100","emailOptOut":false,"smsOptOut":true}
	// [/shoeSize] <nil>
}

func Example_defaultsFillAbsence() {
	r, _ := schema.Customers().Read([]byte(ada), nil)
	doc, _ := r.Apply(nil)
	fmt.Printf("%s\n", doc.Stored)
	// Output:
	// {"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-05-01T09:30:00Z","emailOptOut":false,"smsOptOut":true}
}

func Example_requiredFieldCannotBeNull() {
	r, _ := schema.Customers().Read([]byte(`{"customerId":"c-1","lastName":null}`), nil)
	_, err := r.Apply([]byte(ada))
	fmt.Println(err)
	// Output:
	// schema: invalid document: /lastName: required, cannot be null
}

func ExampleCompile() {
	s, err := schema.Compile(schema.Definition{
		ID:         uuid.MustParse("b2a5a1c5-6f5e-4a53-9d3c-0d2f7c1f9a10"),
		Name:       "orders",
		ExternalID: "orderId",
		Fields: []schema.Field{
			{Name: "orderId", Type: schema.String, Required: true},
			{Name: "status", Type: schema.String, Enum: []any{"open", "paid"}, Default: "open"},
			{Name: "lines", Type: schema.Array, Items: &schema.Field{Type: schema.Object, Fields: []schema.Field{
				{Name: "sku", Type: schema.String, Required: true},
				{Name: "quantity", Type: schema.Integer, Default: 1},
			}}},
			{Name: "discount", Type: schema.Number, Default: "none"},
		},
	})
	fmt.Println(s == nil)
	var mistakes *schema.ValidationError
	if errors.As(err, &mistakes) {
		for _, m := range mistakes.Violations {
			fmt.Println(m)
		}
	}
	// Output:
	// true
	// /lines/items/quantity: expected no default inside items: an array is stored as it was sent
	// /discount: the default: expected number, found string
}

func ExampleSchema_Show() {
	stored := `{"customerId":"c-1","smsOptOut":false,"legacyScore":7}`
	shown, _ := schema.Customers().Show([]byte(stored), nil)
	fmt.Printf("%s\n", shown)
	// Output:
	// {"customerId":"c-1","smsOptOut":false,"emailOptOut":false}
}

func ExampleSchema_Filter() {
	people := schema.MustCompile(schema.Definition{
		ID:         uuid.MustParse("0d6e3c5e-3a55-4c0e-8a6c-6c1f3a1b7e55"),
		Name:       "people",
		ExternalID: "personId",
		Fields: []schema.Field{
			{Name: "personId", Type: schema.String, Required: true},
			{Name: "email", Type: schema.String, Index: 1, Unique: true, Fold: "lower"},
			{Name: "joined", Type: schema.String, Format: "date-time", Index: 2},
		},
	})
	stored := []byte(`{"personId":"p-1","email":"Ada@Example.org","joined":"2024-05-01T01:30:00+02:00"}`)
	for _, conditions := range [][]schema.Condition{
		{{Field: "email", Value: "ada@example.org"}},
		{{Field: "email", Op: "prefix", Value: "ADA@"}, {Field: "joined", Op: "to", Value: "2024-05-01T00:00:00Z"}},
		{{Field: "joined", Op: "from", Value: "2024-05-01T00:00:00Z"}},
	} {
		filter, err := people.Filter(conditions)
		if err != nil {
			fmt.Println(err)
			continue
		}
		shown, err := people.Show(stored, filter)
		index, _, _ := filter.Range(0)
		fmt.Println(shown != nil, err, "index", index)
	}
	_, err := people.Filter([]schema.Condition{{Field: "joined", Op: "prefix", Value: "2024"}})
	fmt.Println(err)
	// Output:
	// true <nil> index 1
	// true <nil> index 1
	// false <nil> index 2
	// schema: invalid filter: /joined: expected no prefix on a date-time
}

// A JSON Schema becomes a schema, and a mistake in it an error that says what to write.
func ExampleParseJSON() {
	meta := schema.Meta{ID: uuid.MustParse("5f0c3f0e-7a0b-4a55-9d7e-2b1c0a5d9e11"), Name: "orders", ExternalID: "orderId"}
	def, err := schema.ParseJSON([]byte(`{
		"type": "object",
		"properties": {
			"orderId": {"type": "string"},
			"state": {"enum": ["open", "paid"], "default": "open"},
			"buyer": {"type": "string", "x-pii-type": "NAME"}
		},
		"required": ["orderId"]
	}`), meta)
	if err != nil {
		fmt.Println(err)
		return
	}
	orders := schema.MustCompile(def)
	fmt.Println(orders.Validate([]byte(`{"orderId":"o-1","state":"lost"}`)))
	fmt.Println(string(orders.JSON("")))

	_, err = schema.ParseJSON([]byte(`{"type": "object", "properties": {"orderId": {"type": "string", "if": {}}}}`), meta)
	fmt.Println(err)
	// Output:
	// schema: invalid document: /state: expected one of "open", "paid"
	// {"type":"object","properties":{"orderId":{"type":"string"},"state":{"type":"string","enum":["open","paid"],"default":"open"},"buyer":{"type":"string","x-pii-type":"NAME"}},"required":["orderId"],"additionalProperties":false}
	// schema: invalid definition "orders": /properties/orderId/if: the keyword is not supported: write anyOf with not and required, or a Rule in Go
}
