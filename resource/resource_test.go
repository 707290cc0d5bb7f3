package resource_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The vocabulary of the tests in this package.

var (
	ctx    = context.Background()
	tenant = storage.TenantOf("platform", "business")

	firstID  = uuid.MustParse("018f0000-0000-7000-8000-000000000001") // of records that were there before
	secondID = uuid.MustParse("018f0000-0000-7000-8000-000000000002") // what newID makes

	before = time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)           // when those were written
	now    = time.Date(2025, 6, 7, 8, 9, 10, 123_000_000, time.UTC) // what the clock says
	fixed  = &resource.Options{Now: func() time.Time { return now }, NewID: newID}
)

func newID() (uuid.UUID, error) { return secondID, nil }

// things compiles a schema with the external-id field id and the fields, always
// under the same ID, so that a second one is a later edition of the first.
func things(fields ...schema.Field) *schema.Schema {
	return schema.MustCompile(schema.Definition{
		ID: uuid.MustParse("7b000000-0000-4000-8000-000000000001"), Name: "things", ExternalID: "id",
		Fields: append([]schema.Field{required(str("id"))}, fields...),
	})
}

func str(name string) schema.Field     { return schema.Field{Name: name, Type: schema.String} }
func boolean(name string) schema.Field { return schema.Field{Name: name, Type: schema.Boolean} }
func number(name string) schema.Field  { return schema.Field{Name: name, Type: schema.Number} }
func integer(name string) schema.Field { return schema.Field{Name: name, Type: schema.Integer} }

func object(name string, fields ...schema.Field) schema.Field {
	return schema.Field{Name: name, Type: schema.Object, Fields: fields}
}

// array is an array of any elements, or of the one that is given.
func array(name string, items ...schema.Field) schema.Field {
	f := schema.Field{Name: name, Type: schema.Array}
	if len(items) > 0 {
		f.Items = &items[0]
	}
	return f
}

func required(f schema.Field) schema.Field { f.Required = true; return f }

func enum(f schema.Field, values ...any) schema.Field { f.Enum = values; return f }

func defaulted(f schema.Field, value any) schema.Field { f.Default = value; return f }

func dateTime(name string) schema.Field { f := str(name); f.Format = "date-time"; return f }

// cust is the text of customer c-1 with more members at its end.
func cust(more string) string {
	return `{"customerId":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z"` + more + `}`
}

// outs are the opt-outs as they are filled in.
const outs = `,"emailOptOut":false,"smsOptOut":true`

func customerKey(id string) storage.Key {
	return storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: id}
}

func open(t testing.TB, s *schema.Schema, store storage.Store, opts *resource.Options) *resource.Collection {
	t.Helper()
	c, err := resource.NewCollection(s, store, opts)
	require.NoError(t, err)
	return c
}

// customers returns a collection of customers in a new memory store.
func customers(t testing.TB) (*resource.Collection, storage.Store) {
	store := memory.New()
	return open(t, schema.Customers(), store, fixed), store
}

func create(t testing.TB, c *resource.Collection, data string) *resource.Result {
	t.Helper()
	res, err := c.Create(ctx, tenant, []byte(data), nil)
	require.NoError(t, err)
	return res
}

// put stores a document as somebody else may have written it.
func put(t testing.TB, store storage.Store, key storage.Key, data string) storage.Record {
	t.Helper()
	rec := storage.Record{Key: key, ID: firstID, CreatedAt: before, UpdatedAt: before, Data: []byte(data)}
	var err error
	rec.Revision, err = storage.Put(ctx, store, rec, 0)
	require.NoError(t, err)
	return rec
}

// stored returns the record of the key, with revision 0 when there is none.
func stored(t testing.TB, store storage.Store, key storage.Key) storage.Record {
	t.Helper()
	rec, err := store.Get(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Record{}
	}
	require.NoError(t, err)
	rec.Data = bytes.Clone(rec.Data)
	return rec
}

// count returns how many records a tenant has of a schema.
func count(t testing.TB, store storage.Store, tenant storage.Tenant, s *schema.Schema) int {
	t.Helper()
	page, err := store.List(ctx, storage.Scope{Tenant: tenant, Schema: s.ID()}, storage.Range{Limit: storage.MaxPage})
	require.NoError(t, err)
	require.Empty(t, page.Next)
	return len(page.Records)
}

// violations returns what a validation error holds, as "pointer code".
func violations(err error) []string {
	var v *schema.ValidationError
	if !errors.As(err, &v) {
		return nil
	}
	list := make([]string, len(v.Violations))
	for i, one := range v.Violations {
		list[i] = string(one.Pointer) + " " + string(one.Code)
	}
	return list
}

func TestNewCollection(t *testing.T) {
	_, err := resource.NewCollection(nil, memory.New(), nil)
	assert.Error(t, err, "without a schema")
	_, err = resource.NewCollection(schema.Customers(), nil, nil)
	assert.Error(t, err, "without a store")
	c, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	assert.Same(t, schema.Customers(), c.Schema())
}

// TestDefaultOptions is about what a collection without options makes.
func TestDefaultOptions(t *testing.T) {
	c := open(t, schema.Customers(), memory.New(), &resource.Options{})
	from := time.Now().UTC().Truncate(time.Millisecond)
	res := create(t, c, cust(""))
	assert.Equal(t, uuid.Version(7), res.ID().Version())
	assert.Equal(t, time.UTC, res.CreatedAt().Location())
	assert.Zero(t, res.CreatedAt().Nanosecond()%int(time.Millisecond))
	assert.False(t, res.CreatedAt().Before(from) || res.CreatedAt().After(time.Now()))
	assert.Equal(t, res.CreatedAt(), res.UpdatedAt())
}

func TestResource(t *testing.T) {
	c, _ := customers(t)
	res := create(t, c, cust(""))
	got, err := c.Get(ctx, tenant, "c-1")
	require.NoError(t, err)
	for _, r := range []*resource.Resource{&res.Resource, got} {
		assert.Equal(t, secondID, r.ID())
		assert.Equal(t, tenant, r.Key().Tenant)
		assert.Equal(t, schema.Customers().ID(), r.Key().Schema)
		assert.Equal(t, "c-1", r.Key().ExternalID)
		assert.Equal(t, now, r.CreatedAt())
		assert.Equal(t, now, r.UpdatedAt())
		assert.NotZero(t, r.Revision())
		assert.Equal(t, cust(outs), string(r.Data()))
	}
	assert.Equal(t, res.Revision(), got.Revision())
}

// TestPrintedResource holds that a log line does not spill a document.
func TestPrintedResource(t *testing.T) {
	c, _ := customers(t)
	res := create(t, c, cust(`,"email":"marker"`))
	assert.Equal(t, "resource "+secondID.String(), fmt.Sprint(res.Resource))
	for _, verb := range []string{"%v", "%s", "%+v", "%#v", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, &res.Resource), "marker", verb)
		assert.NotContains(t, fmt.Sprintf(verb, res), "marker", verb)
	}
}

// TestOwnership holds that no slice is shared with the caller.
func TestOwnership(t *testing.T) {
	data := []byte(cust(`,"email":"a@example.com"`))
	for _, tt := range []struct{ name, stored, want string }{
		{"created", "", cust(`,"email":"a@example.com"` + outs)},
		{"updated", cust(outs), cust(outs + `,"email":"a@example.com"`)},
		{"unchanged", cust(`,"email":"a@example.com"` + outs), cust(`,"email":"a@example.com"` + outs)},
		{"unchanged, to be filled", cust(`,"email":"a@example.com"`), cust(`,"email":"a@example.com"` + outs)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, store := customers(t)
			if tt.stored != "" {
				put(t, store, customerKey("c-1"), tt.stored)
			}
			request := bytes.Clone(data)
			res, err := c.Create(ctx, tenant, request, nil)
			require.NoError(t, err)
			assert.Equal(t, data, request, "the request was changed")
			kept := stored(t, store, customerKey("c-1"))
			got, err := c.Get(ctx, tenant, "c-1")
			require.NoError(t, err)

			scribble(request)
			scribble(res.Data())
			scribble(got.Data())
			marshalled, err := res.MarshalJSON()
			require.NoError(t, err)
			scribble(marshalled)

			assert.Equal(t, kept, stored(t, store, customerKey("c-1")))
			assert.Equal(t, "c-1", res.Key().ExternalID)
			assert.Equal(t, tt.want, string(res.Data()))
			assert.Equal(t, tt.want, string(got.Data()))
		})
	}
}

// TestOwnershipOfDropped holds that the dropped names outlive the request.
func TestOwnershipOfDropped(t *testing.T) {
	c, _ := customers(t)
	request := []byte(cust(`,"vip":true`))
	res, err := c.Create(ctx, tenant, request, &resource.WriteOptions{UnknownFields: schema.IgnoreUnknown})
	require.NoError(t, err)
	scribble(request)
	assert.Equal(t, []string{"/vip"}, res.Dropped)
}

func scribble(b []byte) {
	for i := range b {
		b[i] = '!'
	}
}

func TestGet(t *testing.T) {
	c, store := customers(t)
	put(t, store, customerKey("c-1"), cust(`,"shoeSize":44`))
	put(t, store, customerKey("secret-1"), `[1]`)
	put(t, store, customerKey("secret-2"), `{"customerId":`)

	got, err := c.Get(ctx, tenant, "c-1")
	require.NoError(t, err)
	assert.Equal(t, cust(outs), string(got.Data()), "undeclared fields hidden, defaults filled in")
	assert.Equal(t, cust(`,"shoeSize":44`), string(stored(t, store, customerKey("c-1")).Data), "a read writes nothing")

	for _, id := range []string{"c-2", "C-1", "c-1 ", "", "nul\x00", "bad\xff", string(make([]byte, 513))} {
		_, err := c.Get(ctx, tenant, id)
		assert.ErrorIs(t, err, resource.ErrNotFound, "%q", id)
		assert.NotErrorIs(t, err, storage.ErrInvalid, "%q", id)
	}
	for _, id := range []string{"secret-1", "secret-2"} {
		_, err := c.Get(ctx, tenant, id)
		var corrupt *schema.CorruptError
		assert.ErrorAs(t, err, &corrupt, id)
		assert.NotContains(t, err.Error(), id)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = c.Get(cancelled, tenant, "c-1")
	assert.ErrorIs(t, err, context.Canceled)
}
