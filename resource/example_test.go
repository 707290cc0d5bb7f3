package resource_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func Example() {
	ctx := context.Background()
	tenant := storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	for _, data := range []string{
		`{"customerId":"c-1","firstName":"Ada","lastName":"King","email":"ada@example.com","createdAt":"2024-05-01T10:00:00Z"}`,
		`{"customerId":"c-1","lastName":"Lovelace","smsOptOut":false}`,
		`{"customerId":"c-1","email":null}`, // null deletes a field
		`{"customerId":"c-1","firstName":"Ada"}`,
	} {
		res, err := customers.Create(ctx, tenant, []byte(data), nil)
		if err != nil {
			panic(err)
		}
		fmt.Println(res.Outcome, string(res.Data()))
	}
	// Output:
	// created {"customerId":"c-1","firstName":"Ada","lastName":"King","email":"ada@example.com","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":true}
	// updated {"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","email":"ada@example.com","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":false}
	// updated {"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":false}
	// unchanged {"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":false}
}

func ExampleCollection_Create_validationError() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	data := []byte(`{"customerId":"c-1","fristName":"Ada","emailOptOut":"no","createdAt":"yesterday"}`)
	_, err = customers.Create(context.Background(), storage.TenantOf("acme", "corner-shop"), data, nil)
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			fmt.Printf("%s (%s): %s\n", v.Pointer, v.Code, v.Message)
		}
	}
	// Output:
	// /fristName (unknown_field): unknown field, did you mean "firstName"?
	// /emailOptOut (type): expected boolean, found string
	// /createdAt (format): expected a date-time (RFC 3339), such as 2006-01-02T15:04:05Z
	// /firstName (required): required, but missing
	// /lastName (required): required, but missing
}

func ExampleResult_Changed() {
	ctx := context.Background()
	tenant := storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	_, err = customers.Create(ctx, tenant, []byte(`{"customerId":"c-1","firstName":"Ada","lastName":"King","phone":"1","createdAt":"2024-05-01T10:00:00Z"}`), nil)
	if err != nil {
		panic(err)
	}
	res, err := customers.Create(ctx, tenant, []byte(`{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","phone":null,"smsOptOut":false}`), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println("changed:", res.Changed())
	fmt.Println("removed:", res.Removed())
	// Output:
	// changed: [/lastName /smsOptOut]
	// removed: [/phone]
}

func ExampleOpError() {
	ctx := context.Background()
	tenant := storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	data := []byte(`{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z"}`)
	for range 2 {
		_, err = customers.Create(ctx, tenant, data, &resource.WriteOptions{RejectExisting: true})
		var exists *resource.OpError
		if errors.Is(err, resource.ErrExists) && errors.As(err, &exists) {
			fmt.Println(err)
			fmt.Println("exists:", exists.Key.ExternalID)
		}
	}
	// Output:
	// resource: create: a resource with this customerId exists already
	// exists: c-1
}
