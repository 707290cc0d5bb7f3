package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// TestCloudEvents: the SDK of CloudEvents reads the events of changes as they were meant,
// and finds them valid.
func TestCloudEvents(t *testing.T) {
	change := resource.Change{
		Key:    storage.Key{Tenant: storage.TenantOf("p", "b"), Schema: schema.Customers().ID(), ExternalID: "c-\"1\"\u2028\n\x7fé"},
		Schema: "customers", ID: uuid.MustParse("018f0000-0000-7000-8000-000000000001"), Revision: 1<<63 - 1,
		Time: time.Date(2025, 6, 7, 8, 9, 10, 123_000_000, time.UTC), Actor: "<eve>", Reason: "\x01",
		Document: []byte(`{"n":1.0,"big":123456789012345678901234567890}`), Patch: []byte(`{"n":null}`),
	}
	for _, source := range []string{"https://api.example.com/v1/", "/shop", "urn:uuid:018f0000-0000-7000-8000-000000000001", "shop?a=%C3%A9#b"} {
		for _, outcome := range []resource.Outcome{resource.Created, resource.Updated, resource.Deleted, resource.Erased} {
			for _, known := range []bool{true, false} {
				change := change
				change.Outcome = outcome
				kind := "com.example.customers." + string(outcome)
				if !known {
					change.Schema, change.Time, change.Document, change.Patch = "", time.Time{}, nil, nil
					kind = "com.example." + string(outcome)
				}
				text, err := change.AppendCloudEvent(nil, source, "com.example.")
				require.NoError(t, err)
				var e event.Event
				require.NoError(t, json.Unmarshal(text, &e), "%s", text)
				require.NoError(t, e.Validate(), "%s", text)
				id := fmt.Sprintf("%v-%d", change.ID, change.Revision)
				if outcome == resource.Erased {
					id += "-erased"
				}
				assert.Equal(t, []string{"1.0", id, source, kind, change.ID.String(), "application/json"},
					[]string{e.SpecVersion(), e.ID(), e.Source(), e.Type(), e.Subject(), e.DataContentType()})
				assert.True(t, e.Time().Equal(change.Time))
				assert.Empty(t, e.Extensions())
				assert.Equal(t, string(change.AppendJSON(nil)), string(e.Data()))
			}
		}
	}
}
