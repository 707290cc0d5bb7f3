// Package schemas has the schemas of the examples that share stores. All that write to a
// store must have the same indexes: what one of them stores without an entry, the others
// do not find.
package schemas

import (
	"sync"

	"example.com/resourcekit/schema"
)

// Customers are the customers of package schema, found and sorted by email, in whatever
// case, and by createdAt. Two customers may have the same email.
var Customers = sync.OnceValue(func() *schema.Schema {
	def := schema.Customers().Definition()
	for i := range def.Fields {
		switch field := &def.Fields[i]; field.Name {
		case "email":
			field.Index, field.Fold = 1, "lower"
		case "createdAt":
			field.Index = 2
		}
	}
	return schema.MustCompile(def)
})

// All returns all schemas.
func All() []*schema.Schema {
	return []*schema.Schema{Customers(), schema.Locations(), schema.Transactions()}
}
