package resource_test

import (
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEditions is the table of docs/schemas.md: what a later edition of a schema
// makes of a document that is stored.
func TestEditions(t *testing.T) {
	declare := func(name string, fields ...schema.Field) *schema.Schema {
		return schema.MustCompile(schema.Definition{
			ID: uuid.MustParse("4d1f3c52-7e0a-4a8f-b6a5-91a3f3c9d2e8"), Name: name, ExternalID: "id",
			Fields: append([]schema.Field{{Name: "id", Type: schema.String, Required: true}}, fields...),
		})
	}
	text := func(name string) schema.Field { return schema.Field{Name: name, Type: schema.String} }
	enum := func(values ...any) schema.Field { return schema.Field{Name: "a", Type: schema.String, Enum: values} }
	first := declare("things", text("a"))
	const old = `{"id":"1","a":"x"}`
	wants := func(code string) func(error) {
		return func(err error) {
			t.Helper()
			var invalid *schema.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, code, invalid.Violations[0].Code)
		}
	}
	type write struct {
		patch  string
		stored string // after it
		fails  func(error)
	}
	for _, tt := range []struct {
		name   string
		later  *schema.Schema
		shown  string
		writes []write
	}{
		{"optional field", declare("things", text("a"), text("b")), old, []write{
			{`{"b":"y"}`, `{"id":"1","a":"x","b":"y"}`, nil},
		}},
		{"field with a default", declare("things", text("a"), schema.Field{Name: "b", Type: schema.Number, Default: 7}), `{"id":"1","a":"x","b":7}`, []write{
			{`{"a":"y"}`, `{"id":"1","a":"y","b":7}`, nil},
		}},
		{"required field", declare("things", text("a"), schema.Field{Name: "b", Type: schema.String, Required: true}), old, []write{
			{`{"a":"y"}`, `{"id":"1","a":"y"}`, nil},
			{`{"b":null}`, old, wants("required")},
			{`{"b":"z"}`, `{"id":"1","a":"x","b":"z"}`, nil},
		}},
		{"narrower enum", declare("things", enum("y", "z"), text("b")), old, []write{
			{`{"b":"1"}`, `{"id":"1","a":"x","b":"1"}`, nil},
			{`{"a":"x","b":"1"}`, `{"id":"1","a":"x","b":"1"}`, nil},
			{`{"a":"w"}`, old, wants("enum")},
			{`{"a":"y"}`, `{"id":"1","a":"y"}`, nil},
		}},
		{"other type", declare("things", schema.Field{Name: "a", Type: schema.Number}, text("b")), old, []write{
			{`{"b":"1"}`, `{"id":"1","a":"x","b":"1"}`, nil},
			{`{"a":"w"}`, old, wants("type")},
			{`{"a":1.0}`, `{"id":"1","a":1.0}`, nil},
		}},
		{"wider enum", declare("things", enum("x", "y")), old, []write{{`{"a":"y"}`, `{"id":"1","a":"y"}`, nil}}},
		{"removed field", declare("things", text("b")), `{"id":"1"}`, []write{
			{`{"b":"1"}`, `{"id":"1","a":"x","b":"1"}`, nil},
			{`{"a":"y"}`, old, wants("unknown_field")},
			{`{"a":null}`, `{"id":"1"}`, nil},
		}},
		{"other name of the schema", declare("gadgets", text("a")), old, []write{{`{"a":"y"}`, `{"id":"1","a":"y"}`, nil}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, w := range tt.writes {
				store := memory.New()
				_, err := open(t, first, store, nil).Create(ctx, tenant, []byte(old), nil)
				require.NoError(t, err)
				later := open(t, tt.later, store, nil)
				res, err := later.Get(ctx, tenant, "1")
				require.NoError(t, err)
				assert.Equal(t, tt.shown, string(res.Data()))
				_, err = later.Patch(ctx, tenant, "1", []byte(w.patch), nil)
				if w.fails != nil {
					w.fails(err)
				} else {
					require.NoError(t, err, w.patch)
				}
				rec, err := store.Get(ctx, storage.Key{Tenant: tenant, Schema: first.ID(), ExternalID: "1"})
				require.NoError(t, err)
				assert.Equal(t, w.stored, string(rec.Data), w.patch)
			}
		})
	}

	// An instance with the old edition leaves what it does not know alone.
	store := memory.New()
	both := open(t, declare("things", text("a"), text("b")), store, nil)
	_, err := both.Create(ctx, tenant, []byte(`{"id":"1","a":"x","b":"y"}`), nil)
	require.NoError(t, err)
	before := open(t, first, store, nil)
	_, err = before.Create(ctx, tenant, []byte(`{"id":"1","a":"z"}`), nil)
	require.NoError(t, err)
	_, err = before.Create(ctx, tenant, []byte(`{"id":"1","b":"z"}`), nil)
	wants("unknown_field")(err)
	res, err := before.Create(ctx, tenant, []byte(`{"id":"1","b":"z"}`), &resource.WriteOptions{UnknownFields: schema.IgnoreUnknown})
	require.NoError(t, err)
	assert.Equal(t, []string{"/b"}, res.Dropped)
	res2, err := both.Get(ctx, tenant, "1")
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","a":"z","b":"y"}`, string(res2.Data()))
}
