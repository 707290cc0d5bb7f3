package ingest_test

import (
	"context"
	"fmt"
	"strings"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func Example() {
	file := strings.NewReader(`{"customerId":"c-1","firstName":"Ada","lastName":"L","createdAt":"2024-05-01T10:00:00Z"}
{"customerId":"c-2","email":7}
{"customerId":"c-1","email":"ada@example.com"}
`)
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	tenant := storage.TenantOf("platform", "business")
	res, err := ingest.Import(context.Background(), customers, tenant, ingest.NDJSON(file, 0), nil)
	fmt.Println("created:", res.Created, "updated:", res.Updated, "failed:", res.Failed, err)
	for _, e := range res.Errors {
		fmt.Println(e)
	}
	// Output:
	// created: 1 updated: 1 failed: 1 <nil>
	// line 2: schema: invalid document: /email: expected string, found number; /firstName: required, but missing; /lastName: required, but missing; /createdAt: required, but missing
}

// A file from a spreadsheet: semicolons, columns with names of its own, and a dry run
// first.
func ExampleNewCSV() {
	const file = `Customer ID;First Name;Last Name;createdAt;emailOptOut
c-1;Ada;L;2024-05-01T10:00:00Z;TRUE
c-2;Bob;B;2024-05-01T10:00:00Z;no
`
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	tenant := storage.TenantOf("platform", "business")
	_, err = ingest.NewCSV(strings.NewReader(file), customers.Schema(), nil)
	fmt.Println(err)
	for _, dryRun := range []bool{true, false} {
		csv, err := ingest.NewCSV(strings.NewReader(file), customers.Schema(), &ingest.CSVOptions{
			Columns: map[string]string{"Customer ID": "customerId", "First Name": "firstName", "Last Name": "lastName"},
		})
		if err != nil {
			panic(err)
		}
		res, err := ingest.Import(context.Background(), customers, tenant, csv.Documents(), &ingest.Options{
			Create: resource.WriteOptions{DryRun: dryRun},
		})
		fmt.Println("created:", res.Created, "failed:", res.Failed, res.Errors, err)
	}
	// Output:
	// line 1: the header row: column 1 "Customer ID" is not a field, did you mean "customerId"?; column 2 "First Name" is not a field, did you mean "firstName"?; column 3 "Last Name" is not a field, did you mean "lastName"?; expected fields of customers: customerId, email, phone, firstName, lastName, emailOptOut, smsOptOut, customerDetailUrl, createdAt
	// created: 1 failed: 1 [line 3: /emailOptOut: expected true or false] <nil>
	// created: 1 failed: 1 [line 3: /emailOptOut: expected true or false] <nil>
}
