package schema

import (
	"sync"

	"github.com/google/uuid"
)

// locationsID is the UUID version 5 of the name
// "urn:resourcekit:schema:locations" in the URL namespace (RFC 9562, sections
// 5.5 and 6.6). It is written out because it is in the key of every record.
var locationsID = uuid.MustParse("62796c9c-ff8e-5c79-bdd5-5e3ac2b3dac0")

var locations = sync.OnceValue(func() *Schema {
	return MustCompile(Definition{
		ID:          locationsID,
		Name:        "locations",
		Description: "Default Location Resource",
		ExternalID:  "locationId",
		// A place of business: nothing here is marked as personal data.
		Fields: []Field{
			{Name: "locationId", Type: String, Required: true},
			{Name: "name", Type: String, Required: true},
			{Name: "address", Type: String, Required: true},
			{Name: "city", Type: String, Required: true},
			{Name: "state", Type: String, Required: true},
			{Name: "zipCode", Type: String, Required: true},
			{Name: "address2", Type: String},
			{Name: "address3", Type: String},
		},
	})
})

// Locations returns the built-in schema of locations, the same pointer every
// time. Its ID is the UUID version 5 of the name
// "urn:resourcekit:schema:locations" in the URL namespace, and never changes.
//
// Its fields, all of them strings:
//
//	locationId  required; the external id
//	name        required
//	address     required
//	city        required
//	state       required
//	zipCode     required
//	address2
//	address3
//
// The names and types are published. The required fields and the external id are
// inferred from the order of publication, required ones first, and from the other
// schemas.
func Locations() *Schema { return locations() }
