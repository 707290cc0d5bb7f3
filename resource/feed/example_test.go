package feed_test

import (
	"context"
	"fmt"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/feed"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// Personal data is redacted unless it is asked for.
func Example() {
	ctx := context.Background()
	changes := feed.New(func(e feed.Event) {
		fmt.Println(e.Outcome, e.Key.ExternalID, string(e.Patch))
	}, nil)
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), &resource.Options{OnChange: changes.Add})
	if err != nil {
		panic(err)
	}
	tenant := storage.TenantOf("acme", "corner-shop")
	for _, data := range []string{
		`{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z","emailOptOut":true}`,
		`{"customerId":"c-1","email":"ada@example.com","emailOptOut":false}`,
		`{"customerId":"c-1","email":null}`,
	} {
		if _, err := customers.Create(ctx, tenant, []byte(data), nil); err != nil {
			panic(err)
		}
	}
	if err := changes.Close(ctx); err != nil { // after the last write: waits for the observer
		panic(err)
	}
	// Output:
	// created c-1 {"customerId":"[redacted]","firstName":"[redacted]","lastName":"[redacted]","createdAt":"2024-05-01T10:00:00Z","emailOptOut":true,"smsOptOut":true}
	// updated c-1 {"emailOptOut":false,"email":"[redacted]"}
	// updated c-1 {"email":null}
}
