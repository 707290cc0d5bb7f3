package typed_test

import (
	"context"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const marker = "Zq9-PersonalData" // must be in no error

var (
	ctx    = context.Background()
	tenant = storage.TenantOf("platform", "business")
)

// cust is a customer with more members.
func cust(more string) string {
	return `{"customerId":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z"` + more + `}`
}

// open returns a collection in a new memory store.
func open(t testing.TB, s *schema.Schema) *resource.Collection {
	t.Helper()
	c, err := resource.NewCollection(s, memory.New(), nil)
	require.NoError(t, err)
	return c
}

func create(t testing.TB, c *resource.Collection, data string) *resource.Result {
	t.Helper()
	res, err := c.Create(ctx, tenant, []byte(data), nil)
	require.NoError(t, err)
	return res
}

func things(fields ...schema.Field) *schema.Schema {
	return schema.MustCompile(schema.Definition{
		ID: uuid.MustParse("7b000000-0000-4000-8000-000000000001"), Name: "things", ExternalID: "id",
		Fields: append([]schema.Field{{Name: "id", Type: schema.String, Required: true}}, fields...),
	})
}

func number(name string) schema.Field  { return schema.Field{Name: name, Type: schema.Number} }
func integer(name string) schema.Field { return schema.Field{Name: name, Type: schema.Integer} }
func object(name string) schema.Field  { return schema.Field{Name: name, Type: schema.Object} }
func array(name string) schema.Field   { return schema.Field{Name: name, Type: schema.Array} }
