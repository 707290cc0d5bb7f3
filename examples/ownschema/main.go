// Command ownschema keeps orders: a schema of one's own with a nested object, an
// array, an enum and a default.
package main

import (
	"context"
	"fmt"
	"log"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
)

var orders = schema.MustCompile(schema.Definition{
	ID:         uuid.MustParse("5f0c3f0e-7a0b-4a55-9d7e-2b1c0a5d9e11"), // from uuidgen, kept for ever
	Name:       "orders",
	ExternalID: "orderId",
	Fields: []schema.Field{
		{Name: "orderId", Type: schema.String, Required: true},
		{Name: "state", Type: schema.String, Enum: []any{"open", "paid"}, Default: "open"},
		{Name: "total", Type: schema.Number, Required: true},
		{Name: "shipTo", Type: schema.Object, Fields: []schema.Field{
			{Name: "city", Type: schema.String, Required: true},
			{Name: "zip", Type: schema.String},
		}},
		{Name: "lines", Type: schema.Array, Items: &schema.Field{
			Type: schema.Object,
			Fields: []schema.Field{
				{Name: "sku", Type: schema.String, Required: true},
				{Name: "count", Type: schema.Integer},
			},
		}},
	},
})

func main() {
	ctx, tenant := context.Background(), storage.TenantOf("my-platform", "acme")
	c, err := resource.NewCollection(orders, memory.New(), nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, data := range []string{
		`{"orderId":"o-1","total":99.90,"shipTo":{"city":"London","zip":"N1"},"lines":[{"sku":"a","count":2}]}`,
		`{"orderId":"o-1","state":"paid","shipTo":{"zip":null}}`,
		`{"orderId":"o-1","state":"sent","total":"1","lines":[{"count":1.5}]}`,
	} {
		res, err := c.Create(ctx, tenant, []byte(data), nil)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s %s\n", res.Outcome, res.Data())
	}
}
