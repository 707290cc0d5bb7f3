package resource_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
)

// keepers returns a collection that keeps the history of a customer.
func keepers() (*resource.Collection, storage.Tenant) {
	tenant := storage.TenantOf("acme", "corner-shop")
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), &resource.Options{Log: true, History: true})
	if err != nil {
		panic(err)
	}
	for _, data := range []string{
		`{"customerId":"c-1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z","emailOptOut":true}`,
		`{"customerId":"c-1","email":"ada@example.com","emailOptOut":false}`,
		`{"customerId":"c-1","email":null}`,
	} {
		if _, err := customers.Create(context.Background(), tenant, []byte(data), &resource.WriteOptions{Actor: "import"}); err != nil {
			panic(err)
		}
	}
	return customers, tenant
}

// Personal data is redacted unless it is asked for.
func ExampleCollection_Changes() {
	customers, tenant := keepers()
	opts := &resource.ChangeOptions{Patches: true}
	for {
		page, err := customers.Changes(context.Background(), tenant, opts)
		if err != nil {
			panic(err)
		}
		for _, c := range page.Changes {
			fmt.Println(c.Outcome, c.Key.ExternalID, string(c.Patch))
		}
		if opts.Cursor = page.Next; !page.More {
			break // ask again later, with this cursor
		}
	}
	// Output:
	// created c-1 {"customerId":"[redacted]","firstName":"[redacted]","lastName":"[redacted]","createdAt":"2024-05-01T10:00:00Z","emailOptOut":true,"smsOptOut":true}
	// updated c-1 {"emailOptOut":false,"email":"[redacted]"}
	// updated c-1 {"email":null}
}

// A mistake is taken back: the resource gets the document of before it.
func ExampleCollection_Restore() {
	ctx := context.Background()
	customers, tenant := keepers()
	history, err := customers.History(ctx, tenant, "c-1", &resource.ChangeOptions{Limit: 1})
	if err != nil {
		panic(err)
	}
	newest := history.Changes[0]
	res, err := customers.Restore(ctx, tenant, "c-1", newest.Before, &resource.WriteOptions{
		If: resource.AtRevision(newest.Revision), Actor: "ada", Reason: "removed by mistake",
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(res.Outcome, res.Changed(), res.Get("email"))
	// Output: updated [/email] ada@example.com
}

// A customer asks to be forgotten.
func ExampleCollection_Erase() {
	ctx := context.Background()
	customers, tenant := keepers()
	report, err := customers.Erase(ctx, tenant, "c-1", &resource.WriteOptions{Actor: "support", Reason: "ticket 4711"})
	if err != nil {
		panic(err)
	}
	fmt.Println("deleted:", report.Deleted, "changes:", report.Changes)
	page, err := customers.Changes(ctx, tenant, nil)
	if err != nil {
		panic(err)
	}
	for _, c := range page.Changes {
		fmt.Printf("%s %q\n", c.Outcome, c.Actor)
	}
	// Output:
	// deleted: true changes: 4
	// erased ""
	// erased ""
	// erased ""
	// erased ""
	// erased "support"
}

// An event of CloudEvents 1.0, for a broker or a webhook.
func ExampleChange_AppendCloudEvent() {
	change := resource.Change{
		Key:    storage.Key{Tenant: storage.TenantOf("acme", "corner-shop"), Schema: schema.Customers().ID(), ExternalID: "c-1"},
		Schema: "customers", ID: uuid.MustParse("01974000-0000-7000-8000-000000000001"), Outcome: resource.Created,
		Revision: 3697745577207423647, Time: time.Date(2025, 6, 7, 8, 9, 10, 0, time.UTC), Actor: "import",
	}
	event, err := change.AppendCloudEvent(nil, "https://api.example.com/", "com.example.")
	if err != nil {
		panic(err)
	}
	var text bytes.Buffer
	_ = json.Indent(&text, event, "", "  ")
	fmt.Println(&text)
	// Output:
	// {
	//   "specversion": "1.0",
	//   "id": "01974000-0000-7000-8000-000000000001-3697745577207423647",
	//   "source": "https://api.example.com/",
	//   "type": "com.example.customers.created",
	//   "subject": "01974000-0000-7000-8000-000000000001",
	//   "time": "2025-06-07T08:09:10.000Z",
	//   "datacontenttype": "application/json",
	//   "data": {
	//     "id": "01974000-0000-7000-8000-000000000001",
	//     "outcome": "created",
	//     "schema": "customers",
	//     "schemaDefinitionId": "6caaf7d9-0467-5c07-afa4-90718629419f",
	//     "platformId": "0d50def6-918f-5964-9489-d43fbd4d688e",
	//     "businessId": "ec6335ec-a582-56d6-8982-0d4c6f205e71",
	//     "resourceExternalId": "c-1",
	//     "revision": "3697745577207423647",
	//     "time": "2025-06-07T08:09:10.000Z",
	//     "actor": "import"
	//   }
	// }
}
