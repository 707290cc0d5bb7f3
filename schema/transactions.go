package schema

import (
	"sync"

	"github.com/google/uuid"
)

// transactionsID is the UUID version 5 of the name
// "urn:resourcekit:schema:transactions" in the URL namespace (RFC 9562, sections
// 5.5 and 6.6). It is written out because it is in the key of every record.
var transactionsID = uuid.MustParse("957e4af7-d723-5f29-9c14-ece2d17e93b3")

var transactions = sync.OnceValue(func() *Schema {
	return MustCompile(Definition{
		ID:          transactionsID,
		Name:        "transactions",
		Description: "Default Transaction Resource",
		ExternalID:  "transactionId",
		Fields: []Field{
			{Name: "transactionId", Type: String, Required: true},
			{Name: "customerId", Type: String, PII: "EXTERNAL_ID"},
			{Name: "locationId", Type: String},
			{Name: "transactionDate", Type: String, Format: "date-time", Required: true},
			{Name: "transactionTotal", Type: Number, Required: true},
			{Name: "transactionDetailUrl", Type: String},
		},
	})
})

// Transactions returns the built-in schema of transactions, the same pointer
// every time. Its ID is the UUID version 5 of the name
// "urn:resourcekit:schema:transactions" in the URL namespace, and never changes.
//
// Its fields, strings unless stated otherwise:
//
//	transactionId         required; the external id
//	customerId            the external id of a customer
//	locationId            the external id of a location
//	transactionDate       required; a date-time
//	transactionTotal      required; a number, whose text is kept: 12.50 stays 12.50
//	transactionDetailUrl
//
// The names are published, and that transactionDate is a date-time. The rest is
// inferred: the required fields, the external id, and that a total need not be
// integral. The total has no currency. customerId and locationId are plain text: the
// customer and the location need not exist.
func Transactions() *Schema { return transactions() }
