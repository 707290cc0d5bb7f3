package recent_test

import (
	"context"
	"fmt"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/storagetest"
)

func Example() {
	ctx, tenant := context.Background(), storage.TenantOf("acme", "main")
	// The database, which prints the calls for c-1 that reach it.
	database := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if op.Key.ExternalID == "c-1" {
			fmt.Print(op.Name, " ")
		}
		return storagetest.Fault{}
	})
	for i, store := range []storage.Store{database, recent.New(database, 16<<20)} {
		fmt.Println([]string{"without:", "with:"}[i])
		customers, err := resource.NewCollection(schema.Customers(), store, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, request := range []string{
			`{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","phone":"555-0100"}`,
			`{"customerId":"c-1","phone":"555-0101"}`,
			`{"customerId":"c-1","phone":null}`,
		} {
			res, err := customers.Create(ctx, tenant, []byte(request), nil)
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(res.Outcome)
		}
		if _, err := customers.Delete(ctx, tenant, "c-1", nil); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("deleted")
	}
	// Output:
	// without:
	// get put created
	// get put updated
	// get put updated
	// get delete deleted
	// with:
	// get put created
	// put updated
	// put updated
	// delete deleted
}
