package schema

import (
	"sync"

	"github.com/google/uuid"
)

// customersID is the UUID version 5 of the name
// "urn:resourcekit:schema:customers" in the URL namespace (RFC 9562, sections
// 5.5 and 6.6). It is written out because it is in the key of every record.
var customersID = uuid.MustParse("6caaf7d9-0467-5c07-afa4-90718629419f")

var customers = sync.OnceValue(func() *Schema {
	return MustCompile(Definition{
		ID:          customersID,
		Name:        "customers",
		Description: "Default Customer Resource",
		ExternalID:  "customerId",
		Fields: []Field{
			{Name: "customerId", Type: String, Required: true, PII: "EXTERNAL_ID"},
			{Name: "email", Type: String, PII: "EMAIL"},
			{Name: "phone", Type: String, PII: "PHONE"},
			{Name: "firstName", Type: String, Required: true, PII: "FIRST_NAME"},
			{Name: "lastName", Type: String, Required: true, PII: "LAST_NAME"},
			{
				Name: "emailOptOut", Type: Boolean, Default: false,
				Description: "Email subscription opt-out status. Defaults to false (opted in)",
			},
			{
				Name: "smsOptOut", Type: Boolean, Default: true,
				Description: "SMS subscription opt-out status. Defaults to true (opted out)",
			},
			{
				Name: "customerDetailUrl", Type: String,
				Description: "URL to click-out to the customer detail page",
			},
			{Name: "createdAt", Type: String, Format: "date-time", Required: true},
		},
	})
})

// Customers returns the built-in schema of customers, the same pointer every
// time. Its ID is the UUID version 5 of the name
// "urn:resourcekit:schema:customers" in the URL namespace, and never changes.
//
// Its fields, strings unless stated otherwise:
//
//	customerId         required; the external id
//	email
//	phone
//	firstName          required
//	lastName           required
//	emailOptOut        boolean; false (opted in) when absent
//	smsOptOut          boolean; true (opted out) when absent
//	customerDetailUrl
//	createdAt          required; a date-time
func Customers() *Schema { return customers() }
