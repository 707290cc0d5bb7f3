package resource_test

import (
	"errors"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/resource/internal/overlay"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// verbs are all ways to write a merge patch of the resource "1".
var verbs = map[string]func(c *resource.Collection, patch []byte) error{
	"create": func(c *resource.Collection, patch []byte) error {
		_, err := c.Create(ctx, tenant, patch, nil)
		return err
	},
	"create, dry run": func(c *resource.Collection, patch []byte) error {
		_, err := c.Create(ctx, tenant, patch, &resource.WriteOptions{DryRun: true})
		return err
	},
	"patch": func(c *resource.Collection, patch []byte) error {
		_, err := c.Patch(ctx, tenant, "1", patch, nil)
		return err
	},
	"patch, dry run": func(c *resource.Collection, patch []byte) error {
		_, err := c.Patch(ctx, tenant, "1", patch, &resource.WriteOptions{DryRun: true})
		return err
	},
	"create_batch": func(c *resource.Collection, patch []byte) error {
		items, err := c.CreateBatch(ctx, tenant, [][]byte{patch}, nil)
		return errors.Join(err, items[0].Err)
	},
	"patch_batch": func(c *resource.Collection, patch []byte) error {
		items, err := c.PatchBatch(ctx, tenant, []resource.Item{{ExternalID: "1", Data: patch}}, nil)
		return errors.Join(err, items[0].Err)
	},
	"patch_batch, dry run": func(c *resource.Collection, patch []byte) error {
		items, err := c.PatchBatch(ctx, tenant, []resource.Item{{ExternalID: "1", Data: patch}}, &resource.WriteOptions{DryRun: true})
		return errors.Join(err, items[0].Err)
	},
	"rehearsal": func(c *resource.Collection, patch []byte) error {
		c = c.Rehearsal(func(store storage.Store) storage.Store { return overlay.New(store) })
		_, err := c.Create(ctx, tenant, patch, nil)
		return err
	},
	"import": func(c *resource.Collection, patch []byte) error {
		return imported(c, patch, false)
	},
	"import, dry run": func(c *resource.Collection, patch []byte) error {
		return imported(c, patch, true)
	},
}

// imported returns the error of a document of an import.
func imported(c *resource.Collection, document []byte, dryRun bool) (failed error) {
	_, err := ingest.Import(ctx, c, tenant, ingest.NDJSON(strings.NewReader(string(document)+"\n"), 0), &ingest.Options{
		Create:  resource.WriteOptions{DryRun: dryRun},
		OnError: func(e ingest.DocumentError, _ []byte) error { failed = e.Err; return nil },
	})
	return errors.Join(err, failed)
}

// everything is a schema with a keyword of each kind, a map, presence and a rule.
func everything(rules ...schema.Rule) *schema.Schema {
	most := 2
	def := things(
		schema.Field{Name: "code", Type: schema.String, Pattern: "^[a-z]+$", MaxLength: &most},
		schema.Field{Name: "port", Types: []schema.Type{schema.Integer, schema.String}, Minimum: 1},
		schema.Field{Name: "labels", Type: schema.Object, MaxProperties: &most, Values: &schema.Field{Type: schema.String, Format: "date"}},
		schema.Field{Name: "tags", Type: schema.Array, UniqueItems: true, Items: &schema.Field{Type: schema.String}},
		schema.Field{Name: "a", Type: schema.Number, MultipleOf: 0.5}, number("b"), number("sum"), str("note"),
	).Definition()
	def.Presence = []schema.Presence{{Kind: "atMostOne", Fields: []string{"a", "b"}}}
	def.Rules = append(rules, schema.Rule{Name: "sum", Check: func(merged, stored []byte) []schema.Violation {
		if sum, old := gjson.GetBytes(merged, "sum").Num, gjson.GetBytes(stored, "sum").Num; sum < old {
			return []schema.Violation{{Pointer: "/sum", Message: "expected no smaller sum than before"}}
		}
		return nil
	}})
	return schema.MustCompile(def)
}

// TestVerbs: every way to write judges a schema alike, and stores nothing that breaks it.
func TestVerbs(t *testing.T) {
	const have = `{"id":"1","a":1,"sum":5,"labels":{"x":"2024-01-01","y":"2024-01-02"}}`
	s := everything()
	for name, verb := range verbs {
		for request, want := range map[string][]string{
			`"code":"A-1"`:                          {"/code max_length", "/code pattern"},
			`"port":0,"a":0.3`:                      {"/port minimum", "/a multiple_of"},
			`"port":true`:                           {"/port type"},
			`"labels":{"z":"2024-01-03","x":"now"}`: {"/labels/x format", "/labels max_properties"},
			`"tags":["a","b","a"]`:                  {"/tags unique_items"},
			`"b":1`:                                 {" presence"},
			`"sum":4`:                               {"/sum rule"},
			`"sum":null`:                            {"/sum rule"},
		} {
			t.Run(name+" "+request, func(t *testing.T) {
				store := memory.New()
				c := open(t, s, store, fixed)
				key := storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: "1"}
				old := put(t, store, key, have)
				err := verb(c, []byte(`{"id":"1",`+request+`}`))
				assert.Equal(t, want, violations(err), "%v", err)
				assert.Equal(t, old, stored(t, store, key))
			})
		}
		t.Run(name+" valid", func(t *testing.T) {
			store := memory.New()
			c := open(t, s, store, fixed)
			key := storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: "1"}
			old := put(t, store, key, have)
			require.NoError(t, verb(c, []byte(`{"id":"1","labels":{"x":null,"z":"2024-01-03"},"b":1,"a":null,"sum":6}`)))
			got := string(stored(t, store, key).Data)
			if got != string(old.Data) || !strings.Contains(name, "dry run") && name != "rehearsal" {
				assert.Equal(t, `{"id":"1","sum":6,"labels":{"y":"2024-01-02","z":"2024-01-03"},"b":1}`, got)
			}
		})
		t.Run(name+" broken rule", func(t *testing.T) {
			broken := everything(schema.Rule{Name: "broken", Check: func(merged, _ []byte) []schema.Violation { panic(string(merged)) }})
			store := memory.New()
			c := open(t, broken, store, fixed)
			key := storage.Key{Tenant: tenant, Schema: broken.ID(), ExternalID: "1"}
			old := put(t, store, key, have)
			err := verb(c, []byte(`{"id":"1","note":"s3cr3t"}`))
			require.ErrorContains(t, err, "rule broken: panic at verbs_test.go:")
			assert.NotContains(t, err.Error(), "s3cr3t")
			assert.Equal(t, resource.Class("internal"), resource.ErrorClass(err))
			assert.Equal(t, old, stored(t, store, key))
		})
	}
}

// TestRestoreJudges: what an earlier edition allowed is judged when it comes back.
func TestRestoreJudges(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	store := memory.New()
	s := everything()
	loose := s.Definition()
	loose.Rules, loose.Presence, loose.Fields[1].MaxLength = nil, nil, nil
	old := open(t, schema.MustCompile(loose), store, opts)
	rev := upsert(t, old, `{"id":"1","code":"abc","sum":1,"a":1,"b":1}`)
	upsert(t, old, `{"id":"1","code":"a","sum":2,"b":null}`)
	c := open(t, s, store, opts)
	_, err := c.Restore(ctx, tenant, "1", rev, nil)
	assert.Equal(t, []string{"/code max_length", " presence"}, violations(err))
	loose.Rules = s.Definition().Rules
	_, err = open(t, schema.MustCompile(loose), store, opts).Restore(ctx, tenant, "1", rev, nil)
	assert.Equal(t, []string{"/sum rule"}, violations(err))
}

// TestRulesInABatchOfOneResource: each item is judged with the state before it.
func TestRulesInABatchOfOneResource(t *testing.T) {
	store := memory.New()
	c := open(t, everything(), store, fixed)
	items, err := c.CreateBatch(ctx, tenant, [][]byte{
		[]byte(`{"id":"1","sum":5}`), []byte(`{"id":"1","sum":4}`), []byte(`{"id":"1","sum":7}`), []byte(`{"id":"1","sum":6}`),
	}, nil)
	require.NoError(t, err)
	for i, want := range [][]string{nil, {"/sum rule"}, nil, {"/sum rule"}} {
		assert.Equal(t, want, violations(items[i].Err), i)
	}
	res, err := c.Get(ctx, tenant, "1")
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","sum":7}`, string(res.Data()))
}

// TestFindByMembersOfAMap: a filter names a member of a map, and a write says which of
// them has changed.
func TestFindByMembersOfAMap(t *testing.T) {
	c := open(t, everything(), memory.New(), fixed)
	create(t, c, `{"id":"1","labels":{"a/b":"2024-01-01"}}`)
	create(t, c, `{"id":"2","labels":{"a/b":"2024-01-02","x":"2024-01-01"}}`)
	create(t, c, `{"id":"3"}`)
	for field, want := range map[string]string{"/labels/a~1b": "1", "/labels/x": "2"} {
		page, err := c.List(ctx, tenant, &resource.ListOptions{AllowScan: true, Filter: []schema.Condition{{Field: field, Value: "2024-01-01"}}})
		require.NoError(t, err)
		require.Len(t, page.Resources, 1)
		assert.Equal(t, want, page.Resources[0].Key().ExternalID)
	}
	res, err := c.Patch(ctx, tenant, "2", []byte(`{"labels":{"a/b":"2025-01-01","x":null}}`), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"/labels/a~1b"}, res.Changed())
	assert.Equal(t, []string{"/labels/x"}, res.Removed())
}
