package resource_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func marked(f schema.Field) schema.Field { f.PII = "NAME"; return f }

// marks has personal data at each place where it can be.
var marks = things(marked(str("name")), str("city"), object("home", marked(str("street")), str("zip")),
	array("phones", marked(str(""))), marked(object("card")), defaulted(boolean("vip"), false))

func TestMakeChange(t *testing.T) {
	const (
		ada  = `{"id":"1","name":"Ada","city":"Turin"}`
		bob  = `{"id":"1","name":"Bob","home":{"street":"Main","zip":"1"},"phones":["1","2"],"card":{"no":"7"},"vip":true}`
		shoe = `{"id":"1","shoe":44}`
	)
	both := resource.ChangeOptions{Documents: true, Patches: true}
	open := both
	open.Unredacted = true
	for _, tt := range []struct {
		name          string
		of            storage.Change
		before, after string
		opts          *resource.ChangeOptions
		unknown       bool // the schema
		outcome       resource.Outcome
		document      string
		patch         string
	}{
		{name: "created", after: ada, opts: &both, outcome: "created",
			document: `{"id":"1","name":"[redacted]","city":"Turin","vip":false}`, patch: `{"id":"1","name":"[redacted]","city":"Turin","vip":false}`},
		{name: "updated", of: storage.Change{Before: 1}, before: ada, after: bob, opts: &both, outcome: "updated",
			document: `{"id":"1","name":"[redacted]","home":{"street":"[redacted]","zip":"1"},"phones":["[redacted]","[redacted]"],"card":"[redacted]","vip":true}`,
			patch:    `{"name":"[redacted]","home":{"street":"[redacted]","zip":"1"},"phones":["[redacted]","[redacted]"],"card":"[redacted]","vip":true,"city":null}`},
		{name: "unredacted", of: storage.Change{Before: 1}, before: bob, after: ada, opts: &open, outcome: "updated",
			document: `{"id":"1","name":"Ada","city":"Turin","vip":false}`,
			patch:    `{"name":"Ada","city":"Turin","vip":false,"home":null,"phones":null,"card":null}`},
		{name: "redacted, but that it went", of: storage.Change{Before: 1}, before: bob, after: ada, opts: &resource.ChangeOptions{Patches: true}, outcome: "updated",
			patch: `{"name":"[redacted]","city":"Turin","vip":false,"home":null,"phones":null,"card":null}`},
		{name: "deleted", of: storage.Change{Before: 1, Deleted: true}, before: ada, opts: &both, outcome: "deleted",
			document: `{"id":"1","name":"[redacted]","city":"Turin","vip":false}`},
		{name: "erased", of: storage.Change{Before: 1, Deleted: true, Redacted: true}, before: ada, opts: &open, outcome: "erased"},
		{name: "erased, of a create", of: storage.Change{Redacted: true}, after: ada, opts: &open, outcome: "erased"},
		{name: "not asked for", after: ada, opts: &resource.ChangeOptions{Unredacted: true}, outcome: "created"},
		{name: "no options", after: ada, outcome: "created"},
		{name: "documents alone", after: ada, opts: &resource.ChangeOptions{Documents: true}, outcome: "created",
			document: `{"id":"1","name":"[redacted]","city":"Turin","vip":false}`},
		{name: "no history", of: storage.Change{Before: 1}, opts: &open, outcome: "updated"},
		{name: "history of later", of: storage.Change{Before: 1}, after: ada, opts: &open, outcome: "updated",
			document: `{"id":"1","name":"Ada","city":"Turin","vip":false}`},
		{name: "not declared any more", of: storage.Change{Before: 1}, before: ada, after: shoe, opts: &open, outcome: "updated",
			document: `{"id":"1","vip":false}`, patch: `{"name":null,"city":null}`},
		{name: "damaged before", of: storage.Change{Before: 1}, before: `{"id":`, after: ada, opts: &both, outcome: "updated",
			document: `{"id":"1","name":"[redacted]","city":"Turin","vip":false}`},
		{name: "damaged", of: storage.Change{Before: 1, Deleted: true}, before: `[1]`, opts: &open, outcome: "deleted"},
		{name: "a null that no patch can set", of: storage.Change{Before: 1}, before: ada, after: `{"id":"1","city":null}`, opts: &both, outcome: "updated",
			document: `{"id":"1","city":null,"vip":false}`},
		{name: "unknown schema", unknown: true, after: ada, opts: &both, outcome: "created"},
		{name: "unknown schema, unredacted", unknown: true, of: storage.Change{Before: 1}, before: ada, after: shoe, opts: &open, outcome: "updated",
			document: shoe, patch: `{"shoe":44,"name":null,"city":null}`},
		{name: "unknown schema, damaged", unknown: true, of: storage.Change{Before: 1, Deleted: true}, before: `{"id":`, opts: &open, outcome: "deleted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, of := marks, tt.of
			of.Key = storage.Key{Tenant: tenant, Schema: s.ID(), ExternalID: "1"}
			of.ID, of.Cursor = firstID, storage.Cursor{Position: 7, Revision: 8}
			of.Note = storage.Note{Time: now, Actor: "eve", Reason: "asked", Before: []byte(tt.before), After: []byte(tt.after)}
			want := resource.Change{
				Key: of.Key, Schema: "things", ID: firstID, Outcome: tt.outcome, Before: of.Before, Revision: 8,
				Time: now, Actor: "eve", Reason: "asked",
			}
			if tt.unknown {
				s, want.Schema = nil, ""
			}
			if tt.document != "" {
				want.Document = json.RawMessage(tt.document)
			}
			if tt.patch != "" {
				want.Patch = json.RawMessage(tt.patch)
			}
			assert.Equal(t, want, resource.MakeChange(s, of, tt.opts))
			assert.Equal(t, tt.before+tt.after, string(of.Note.Before)+string(of.Note.After), "the log's documents were changed")
		})
	}
}

// TestChangeJSON: all of a change but its cursor, and nothing that is absent.
func TestChangeJSON(t *testing.T) {
	change := resource.Change{
		Key:    storage.Key{Tenant: storage.Tenant{Platform: uuid.UUID{0xa}, Business: uuid.UUID{0xb}}, Schema: uuid.UUID{0xc}, ExternalID: "c-\"1\u2028é\n"},
		Schema: "customers", ID: secondID, Outcome: resource.Updated, Before: 1<<63 - 2, Revision: 1<<63 - 1, Time: now,
		Actor: `<e\ve>`, Reason: "\x01", Document: []byte(`{"a":1.0}`), Patch: []byte(`{}`), Cursor: "secret",
	}
	const ids = `"schemaDefinitionId":"0c000000-0000-0000-0000-000000000000","platformId":"0a000000-0000-0000-0000-000000000000",` +
		`"businessId":"0b000000-0000-0000-0000-000000000000","resourceExternalId":"c-\"1` + "\u2028" + `é\n"`
	text, err := json.Marshal(&change)
	require.NoError(t, err)
	// encoding/json escapes a line separator, and < and >, in what MarshalJSON returns.
	plain := strings.NewReplacer(`\u2028`, "\u2028", `\u003c`, "<", `\u003e`, ">").Replace(string(text))
	want := `{"id":"018f0000-0000-7000-8000-000000000002","outcome":"updated","schema":"customers",` + ids +
		`,"previousRevision":"9223372036854775806","revision":"9223372036854775807","time":"2025-06-07T08:09:10.123Z",` +
		`"actor":"<e\\ve>","reason":"\u0001","document":{"a":1.0},"patch":{}}`
	assert.Equal(t, want, plain)
	assert.Equal(t, "x"+want, string(change.AppendJSON([]byte("x"))))

	bare := resource.Change{Key: change.Key, ID: secondID, Outcome: resource.Erased, Revision: 1}
	assert.Equal(t, `{"id":"018f0000-0000-7000-8000-000000000002","outcome":"erased",`+ids+`,"revision":"1"}`, string(bare.AppendJSON(nil)))
}

// TestChangePatches: merged one after the other, the patches give the documents.
func TestChangePatches(t *testing.T) {
	s := things(number("score"), array("any"), object("name", str("first"), str("last")), object("free"),
		defaulted(boolean("vip"), false), object("prefs", defaulted(str("lang"), "en"), str("tz")))
	c, _ := keeping(t, s)
	for _, request := range []string{
		`{"id":"1","name":{"first":"A","last":"B"},"any":["x",null],"score":1.0}`,
		`{"id":"1","name":{"last":null},"any":[{"a":null}],"score":1.00}`,
		`{"id":"1","free":{"a":{"b":1}}}`,
		`{"id":"1","free":{"a":{"b":null,"c":2}},"vip":null}`,
		`{"id":"1","prefs":{"tz":"x"}}`,
	} {
		create(t, c, request)
	}
	doc := []byte("{}")
	all := allChanges(t, c, resource.ChangeOptions{Documents: true, Patches: true, Unredacted: true})
	require.Len(t, all, 5)
	for _, change := range all {
		var err error
		doc, err = merge.Patch(doc, change.Patch)
		require.NoError(t, err)
		assert.True(t, merge.Equal(change.Document, doc), "%s, %s", change.Document, doc)
	}
	got, err := c.Get(ctx, tenant, "1")
	require.NoError(t, err)
	assert.Equal(t, string(got.Data()), string(all[4].Document))
}

func TestCloudEvent(t *testing.T) {
	change := resource.Change{
		Key: customerKey("c-1"), Schema: "customers", ID: secondID, Outcome: resource.Created, Revision: 12, Time: now,
	}
	data := string(change.AppendJSON(nil))
	text, err := change.AppendCloudEvent([]byte("["), "/shop", "com.example.")
	require.NoError(t, err)
	assert.Equal(t, `[{"specversion":"1.0","id":"018f0000-0000-7000-8000-000000000002-12","source":"/shop",`+
		`"type":"com.example.customers.created","subject":"018f0000-0000-7000-8000-000000000002",`+
		`"time":"2025-06-07T08:09:10.123Z","datacontenttype":"application/json","data":`+data+`}`, string(text))

	change.Schema, change.Outcome, change.Time = "", resource.Erased, time.Time{}
	text, err = change.AppendCloudEvent(nil, "urn:x", "")
	require.NoError(t, err)
	assert.Equal(t, `{"specversion":"1.0","id":"018f0000-0000-7000-8000-000000000002-12-erased","source":"urn:x","type":"erased",`+
		`"subject":"018f0000-0000-7000-8000-000000000002","datacontenttype":"application/json","data":`+string(change.AppendJSON(nil))+`}`, string(text))

	for _, source := range []string{"https://api.example.com/", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", "mailto:a@example.com", "a", "/a/b?c=%20&d#e", "//[::1]:80/"} {
		_, err := change.AppendCloudEvent(nil, source, "é.")
		assert.NoError(t, err, source)
	}
	for _, bad := range [][2]string{
		{"", ""}, {"a b", ""}, {"é", ""}, {"a\n", ""}, {"%zz", ""}, {"a?%4", ""}, {"a#b#c", ""}, {":", ""}, {`a"b`, ""}, {"a\\b", ""}, {"//[::1/", ""},
		{"a", "\x00"}, {"a", "b\n"}, {"a", "\x7f"}, {"a", "\u0085"}, {"a", "\xff"}, {"a", "\uffff"}, {"a", "\U0001fffe"},
	} {
		text, err := change.AppendCloudEvent([]byte("x"), bad[0], bad[1])
		assert.ErrorIs(t, err, storage.ErrInvalid, "%q", bad)
		assert.Equal(t, "x", string(text))
	}
}

// TestChangePrinted: what a program prints or logs of a change by value, by pointer and
// in a page has no personal data.
func TestChangePrinted(t *testing.T) {
	c, _ := keeping(t, schema.Customers())
	_, err := c.Create(ctx, tenant, []byte(strings.ReplaceAll(cust(`,"email":"c-1"`), "c-1", marker)), &resource.WriteOptions{Actor: marker, Reason: marker})
	require.NoError(t, err)
	page, err := c.Changes(ctx, tenant, &resource.ChangeOptions{Documents: true, Patches: true, Unredacted: true})
	require.NoError(t, err)
	change := page.Changes[0]
	assert.Contains(t, string(change.Document)+string(change.Patch), marker)
	for _, v := range []any{change, &change, page, *page} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%q"} {
			text := fmt.Sprintf(verb, v)
			assert.NotContains(t, text, marker, verb)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		assert.NotContains(t, log.String(), marker)
	}
	assert.Equal(t, "created resource "+change.ID.String(), fmt.Sprint(change))
}
