package resource_test

import (
	"context"
	"errors"
	"fmt"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/typed"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// shop returns a collection with some customers of a tenant.
func shop(opts *resource.Options) (*resource.Collection, storage.Tenant) {
	tenant := storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), opts)
	if err != nil {
		panic(err)
	}
	for i, name := range []string{"Ada", "Grace", "Edsger", "Barbara"} {
		document := fmt.Appendf(nil, `{"customerId":"c-%d","firstName":"%s","lastName":"X","emailOptOut":%t,"createdAt":"2024-05-01T10:00:00Z"}`, i+1, name, i%2 == 0)
		if _, err := customers.Create(context.Background(), tenant, document, nil); err != nil {
			panic(err)
		}
	}
	return customers, tenant
}

// Two clients read the same resource, and both change it.
func ExampleCollection_Patch_ifRevision() {
	ctx := context.Background()
	customers, tenant := shop(nil)
	seen, err := customers.Get(ctx, tenant, "c-1")
	if err != nil {
		panic(err)
	}
	for _, patch := range []string{`{"phone":"1"}`, `{"phone":"2"}`} {
		res, err := customers.Patch(ctx, tenant, "c-1", []byte(patch), &resource.WriteOptions{If: resource.AtRevision(seen.Revision())})
		switch {
		case errors.Is(err, resource.ErrPrecondition):
			fmt.Println("somebody was faster: read again")
		case err != nil:
			panic(err)
		default:
			fmt.Println(res.Outcome, res.Changed())
		}
	}
	// Output:
	// updated [/phone]
	// somebody was faster: read again
}

// A dry run tells what a write would do.
func ExampleCollection_Delete_dryRun() {
	ctx := context.Background()
	customers, tenant := shop(nil)
	res, err := customers.Delete(ctx, tenant, "c-1", &resource.WriteOptions{DryRun: true})
	fmt.Println(res.Outcome, err)
	_, err = customers.Get(ctx, tenant, "c-1")
	fmt.Println("still there:", err == nil)
	// Output:
	// deleted <nil>
	// still there: true
}

// Page by page, with a filter; the cursor can go through a client and back.
func ExampleCollection_List() {
	ctx := context.Background()
	customers, tenant := shop(nil)
	opts := &resource.ListOptions{AllowScan: true, Limit: 1, Filter: []schema.Condition{{Field: "emailOptOut", Value: true}}}
	for {
		page, err := customers.List(ctx, tenant, opts)
		if err != nil {
			panic(err)
		}
		for _, r := range page.Resources {
			fmt.Println(r.Key().ExternalID)
		}
		if opts.Cursor = page.Next; opts.Cursor == "" {
			return
		}
	}
	// Output:
	// c-1
	// c-3
}

func ExampleCollection_All() {
	customers, tenant := shop(nil)
	for r, err := range customers.All(context.Background(), tenant, nil) {
		if err != nil {
			panic(err)
		}
		fmt.Println(r.Key().ExternalID)
	}
	// Output:
	// c-1
	// c-2
	// c-3
	// c-4
}

// Items of one resource are applied in their order; everything else is
// independent.
func ExampleCollection_PatchBatch() {
	customers, tenant := shop(nil)
	res, err := customers.PatchBatch(context.Background(), tenant, []resource.Item{
		{ExternalID: "c-1", Data: []byte(`{"phone":"1"}`)},
		{ExternalID: "c-2", Data: []byte(`{"phone":2}`)},
		{ExternalID: "c-1", Data: []byte(`{"phone":null}`)},
		{ExternalID: "c-9", Data: []byte(`{"phone":"9"}`)},
	}, nil)
	if err != nil {
		panic(err)
	}
	for i, item := range res {
		if item.Err != nil {
			fmt.Println(i, item.Err)
			continue
		}
		fmt.Println(i, item.Result.Outcome, item.Result.Changed(), item.Result.Removed())
	}
	fmt.Println("updated:", counted(res).Updated, "failed:", counted(res).Failed)
	// Output:
	// 0 updated [/phone] []
	// 1 schema: invalid document: /phone: expected string, found number
	// 2 updated [] [/phone]
	// 3 resource: patch: record not found
	// updated: 2 failed: 2
}

// A typed document holds what is set, so that a merge leaves the rest alone.
func ExampleOpt() {
	ctx := context.Background()
	customers, tenant := shop(nil)
	patch, err := typed.Encode(typed.Customer{
		Phone:       typed.Set("555-0100"),
		EmailOptOut: typed.Null[bool](), // back to the default
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(patch))
	res, err := customers.Patch(ctx, tenant, "c-1", patch, nil)
	if err != nil {
		panic(err)
	}
	ada, err := typed.Decode[typed.Customer](res)
	if err != nil {
		panic(err)
	}
	fmt.Println(ada.FirstName.Or("?"), ada.Phone.Or("no phone"), ada.EmailOptOut.Or(true))
	// Output:
	// {"phone":"555-0100","emailOptOut":null}
	// Ada 555-0100 false
}
