// Command quickstart is the library in thirty lines: a customer is created,
// changed by a partial upsert in which null deletes a field, and read again.
package main

import (
	"context"
	"fmt"
	"log"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func main() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		log.Fatal(err)
	}
	acme := storage.TenantOf("my-platform", "acme")
	for _, data := range []string{
		`{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","phone":"555-0100",
		  "createdAt":"2024-01-02T03:04:05Z"}`,
		`{"customerId":"c-1","email":"ada@example.com","phone":null}`, // what is not sent stays
		`{"customerId":"c-1","emial":"ada@example.org"}`,
	} {
		res, err := customers.Create(context.Background(), acme, []byte(data), nil)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(res.Outcome, res.Changed(), res.Removed())
	}
}
