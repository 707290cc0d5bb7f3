package recent_test

import (
	"context"
	"fmt"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"
)

// trips stands for a database: it prints the reads and writes that reach it.
type trips struct{ storage.Store }

func (s trips) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	fmt.Print("get ")
	return s.Store.Get(ctx, key)
}

func (s trips) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	fmt.Print("write ")
	return s.Store.Write(ctx, writes)
}

func Example() {
	ctx, tenant := context.Background(), storage.TenantOf("acme", "main")
	database := trips{memory.New()}
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
	// get write created
	// get write updated
	// get write updated
	// get write deleted
	// with:
	// get write created
	// write updated
	// write updated
	// write deleted
}
