// Command jsonschema keeps orders by a JSON Schema, which an editor helps to write.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"log"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
)

//go:embed orders.schema.json
var text []byte

// newOrders returns the collection that the JSON Schema declares.
func newOrders(store storage.Store) (*resource.Collection, error) {
	def, err := schema.ParseJSON(text, schema.Meta{
		ID:         uuid.MustParse("0197a7c4-3c1f-7cc0-a2f5-6d8a1b9e4f27"), // from uuidgen, kept for ever
		Name:       "orders",
		ExternalID: "orderId",
	})
	if err != nil {
		return nil, err // each place that is wrong, and what to write instead
	}
	orders, err := schema.Compile(def)
	if err != nil {
		return nil, err
	}
	return resource.NewCollection(orders, store, nil)
}

func main() {
	ctx, tenant := context.Background(), storage.TenantOf("my-platform", "acme")
	c, err := newOrders(memory.New())
	if err != nil {
		log.Fatal(err)
	}
	for _, data := range []string{
		`{"orderId":"o-1","total":99.90,"shipTo":{"city":"London"},"labels":{"season":"spring"}}`,
		`{"orderId":"o-1","state":"paid","labels":{"season":null,"gift":"yes"}}`,
		`{"orderId":"o-1","total":0.001,"pickUpAt":"2024-05-01T09:30:00Z","lines":[{"count":0}]}`,
	} {
		res, err := c.Create(ctx, tenant, []byte(data), nil)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s %s\n", res.Outcome, res.Data())
	}
}
