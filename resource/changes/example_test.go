package changes_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// A consumer keeps a copy of the documents. Personal data is redacted unless it is asked
// for.
func ExampleConsume() {
	ctx, cancel := context.WithCancel(context.Background())
	store := memory.New()
	customers, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: true, History: true})
	if err != nil {
		panic(err)
	}
	tenant := storage.TenantOf("acme", "corner-shop")
	for _, data := range []string{
		`{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z","emailOptOut":true}`,
		`{"customerId":"c-1","emailOptOut":false}`,
	} {
		if _, err := customers.Create(ctx, tenant, []byte(data), nil); err != nil {
			panic(err)
		}
	}
	if _, err := customers.Delete(ctx, tenant, "c-1", nil); err != nil {
		panic(err)
	}
	err = changes.Consume(ctx, store, "copy", func(ctx context.Context, e changes.Event) error {
		switch e.Outcome {
		case resource.Deleted, resource.Erased: // remove what is kept under e.ID
			cancel() // ends the example
			fmt.Println(e.Outcome)
		default:
			fmt.Printf("%s %s\n", e.Outcome, e.Document)
		}
		return nil
	}, &changes.Options{Collections: []*resource.Collection{customers}, Documents: true})
	fmt.Println(err)
	// Output:
	// created {"customerId":"[redacted]","firstName":"[redacted]","lastName":"[redacted]","createdAt":"2024-05-01T10:00:00Z","emailOptOut":true,"smsOptOut":true}
	// updated {"customerId":"[redacted]","firstName":"[redacted]","lastName":"[redacted]","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":true}
	// deleted
	// context canceled
}

// The figures of consumers in the text format of Prometheus. Any process that has the
// store can serve them.
func ExampleConsumers() {
	ctx, cancel := context.WithCancel(context.Background())
	store := memory.New()
	customers, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: true})
	if err != nil {
		panic(err)
	}
	const data = `{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z"}`
	if _, err := customers.Create(ctx, storage.TenantOf("acme", "corner-shop"), []byte(data), nil); err != nil {
		panic(err)
	}
	_ = changes.Consume(ctx, store, "search", func(context.Context, changes.Event) error {
		cancel() // ends the example
		return nil
	}, nil)

	consumers, err := changes.Consumers(context.Background(), store)
	if err != nil {
		panic(err)
	}
	for _, c := range consumers {
		var oldest time.Duration
		for _, p := range c.Parked {
			oldest = max(oldest, time.Since(p.Since))
		}
		for _, figure := range []struct {
			name  string
			value any
		}{
			{"resourcekit_consumer_lag_seconds", c.Lag.Seconds()},
			{"resourcekit_consumer_held_seconds", c.Held.Seconds()},
			{"resourcekit_consumer_delivered_total", c.Delivered},
			{"resourcekit_consumer_failed_total", c.Failed},
			{"resourcekit_consumer_parked", len(c.Parked)},
			{"resourcekit_consumer_parked_oldest_seconds", oldest.Seconds()},
		} {
			fmt.Fprintf(os.Stdout, "%s{consumer=%q} %v\n", figure.name, c.Name, figure.value)
		}
	}
	// Output:
	// resourcekit_consumer_lag_seconds{consumer="search"} 0
	// resourcekit_consumer_held_seconds{consumer="search"} 0
	// resourcekit_consumer_delivered_total{consumer="search"} 1
	// resourcekit_consumer_failed_total{consumer="search"} 0
	// resourcekit_consumer_parked{consumer="search"} 0
	// resourcekit_consumer_parked_oldest_seconds{consumer="search"} 0
}

// A stream follows the changes of one tenant from now on, and keeps its cursor itself.
func ExampleTail_Follow() {
	ctx := context.Background()
	store := memory.New()
	customers, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: true})
	if err != nil {
		panic(err)
	}
	tail := changes.NewTail(store, &changes.TailOptions{NoData: true}) // one for the process
	tenant := storage.TenantOf("acme", "corner-shop")

	now, err := store.Changes(ctx, storage.ChangeQuery{End: true})
	if err != nil {
		panic(err)
	}
	const data = `{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z"}`
	if _, err := customers.Create(ctx, tenant, []byte(data), nil); err != nil {
		panic(err)
	}
	tail.Wake()
	scope := storage.Scope{Tenant: tenant, Schema: customers.Schema().ID()}
	for page, err := range tail.Follow(ctx, scope, now.Next) {
		if err != nil {
			panic(err)
		}
		for _, c := range page.Changes {
			fmt.Println(resource.MakeChange(customers.Schema(), c, nil).Outcome)
		}
		if len(page.Changes) > 0 {
			break // a stream would go on
		}
	}
	// Output: created
}
