package resource_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var shapeTenant = storage.Tenant{
	Platform: uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"),
	Business: uuid.MustParse("ffffffff-eeee-4ddd-8ccc-bbbbbbbbbbbb"),
}

// TestAppendJSON fixes the shape of the contract: 14 members in this order.
func TestAppendJSON(t *testing.T) {
	clock := before
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Now: func() time.Time { return clock }, NewID: newID})
	_, err := c.Create(ctx, shapeTenant, []byte(cust(``)), nil)
	require.NoError(t, err)
	clock = now
	res, err := c.Create(ctx, shapeTenant, []byte(cust(`,"email":"e"`)), nil)
	require.NoError(t, err)

	const full = `{"id":"018f0000-0000-7000-8000-000000000002",` +
		`"schemaDefinitionId":"6caaf7d9-0467-5c07-afa4-90718629419f","schema_definition_id":"6caaf7d9-0467-5c07-afa4-90718629419f",` +
		`"platformId":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d","platform_id":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",` +
		`"businessId":"ffffffff-eeee-4ddd-8ccc-bbbbbbbbbbbb","business_id":"ffffffff-eeee-4ddd-8ccc-bbbbbbbbbbbb",` +
		`"resourceExternalId":"c-1","resource_external_id":"c-1",` +
		`"createdAt":"2024-05-01T10:00:00.000Z","created_at":"2024-05-01T10:00:00.000Z",` +
		`"updatedAt":"2025-06-07T08:09:10.123Z","updated_at":"2025-06-07T08:09:10.123Z",` +
		`"data":{"customerId":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":true,"email":"e"}}`
	const short = `{"id":"018f0000-0000-7000-8000-000000000002",` +
		`"schemaDefinitionId":"6caaf7d9-0467-5c07-afa4-90718629419f",` +
		`"platformId":"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d",` +
		`"businessId":"ffffffff-eeee-4ddd-8ccc-bbbbbbbbbbbb",` +
		`"resourceExternalId":"c-1",` +
		`"createdAt":"2024-05-01T10:00:00.000Z",` +
		`"updatedAt":"2025-06-07T08:09:10.123Z",` +
		`"data":{"customerId":"c-1","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z","emailOptOut":false,"smsOptOut":true,"email":"e"}}`
	got, err := c.Get(ctx, shapeTenant, "c-1")
	require.NoError(t, err)
	for name, r := range map[string]*resource.Resource{"create": &res.Resource, "get": got} {
		assert.Equal(t, full, string(r.AppendJSON(nil, nil)), name)
		assert.Equal(t, full, string(r.AppendJSON(nil, &resource.ShapeOptions{})), name)
		assert.Equal(t, short, string(r.AppendJSON(nil, &resource.ShapeOptions{OmitDeprecated: true})), name)
		assert.Equal(t, "before "+full, string(r.AppendJSON([]byte("before "), nil)), name)
		assert.Equal(t, full, string(r.AppendJSON(make([]byte, 0, 1), nil)), name)
	}
	for name, v := range map[string]any{"resource": got, "result": res, "nested": map[string]any{"data": res}} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		if name == "nested" {
			text = text[len(`{"data":`) : len(text)-1]
		}
		assert.Equal(t, full, string(text), name)
	}
	assert.Len(t, members(t, full), 14)
}

// TestDeprecatedTwins holds that each twin says the same as its member.
func TestDeprecatedTwins(t *testing.T) {
	c, _ := customers(t)
	var shape map[string]any
	require.NoError(t, json.Unmarshal(create(t, c, cust(``)).AppendJSON(nil, nil), &shape))
	twin := regexp.MustCompile(`[A-Z]`)
	pairs := 0
	for name, value := range shape {
		snake := twin.ReplaceAllStringFunc(name, func(c string) string { return "_" + strings.ToLower(c) })
		if snake != name {
			pairs++
			assert.Equal(t, value, shape[snake], name)
		}
	}
	assert.Equal(t, 6, pairs)
}

// TestZeroResource: what nobody made is still valid JSON.
func TestZeroResource(t *testing.T) {
	var r resource.Resource
	assert.True(t, json.Valid(r.AppendJSON(nil, nil)))
	assert.Contains(t, string(r.AppendJSON(nil, nil)), `"data":{}}`)
	assert.Empty(t, r.Data())
	var res resource.Result
	assert.NotPanics(t, func() { res.Changed(); res.Removed() })
}

// checkShape fails unless the text is strict JSON, without duplicate names at
// any depth, compact, and says what the resource says.
func checkShape(t *testing.T, r *resource.Resource) {
	t.Helper()
	for _, opts := range []*resource.ShapeOptions{nil, {OmitDeprecated: true}} {
		text := r.AppendJSON(nil, opts)
		envelope, isLast := bytes.CutSuffix(text, append(r.Data(), '}'))
		require.True(t, isLast, "%s", text)
		for _, part := range [][]byte{r.Data(), append(envelope, "{}}"...)} { // together they may have 65 levels
			require.True(t, merge.Equal(part, part), "not strict: %s", part)
		}
		text = r.AppendJSON(nil, opts)
		var compact bytes.Buffer
		require.NoError(t, json.Compact(&compact, text))
		require.Equal(t, compact.String(), string(text))
		var shape struct {
			ID                 uuid.UUID
			ResourceExternalID string
			CreatedAt          time.Time
			UpdatedAt          time.Time
			Data               json.RawMessage
		}
		require.NoError(t, json.Unmarshal(text, &shape))
		require.Equal(t, r.ID(), shape.ID)
		require.Equal(t, r.Key().ExternalID, shape.ResourceExternalID)
		require.True(t, r.CreatedAt().Equal(shape.CreatedAt))
		require.True(t, r.UpdatedAt().Equal(shape.UpdatedAt))
		require.Equal(t, string(r.Data()), string(shape.Data))
	}
}

func TestShapeOfAwkwardIDs(t *testing.T) {
	c, store := customers(t)
	for _, id := range []string{`"`, `\`, `\"`, "\x01", "\x1f\x7f", "\n\r\t\b\f", "/", "<&>", "\u2028", "\ufffd", "é", "😀", strings.Repeat(`"`, 512), strings.Repeat("\x01", 512)} {
		quoted, err := json.Marshal(id)
		require.NoError(t, err)
		put(t, store, customerKey(id), strings.Replace(cust(``), `"c-1"`, string(quoted), 1)) // some may not be created
		res, err := c.Get(ctx, tenant, id)
		require.NoError(t, err)
		require.Equal(t, id, res.Key().ExternalID)
		checkShape(t, res)
	}
}

// FuzzShape creates a customer with any external id and any text, and reads the
// shape back.
func FuzzShape(f *testing.F) {
	f.Add("c-1", "a@example.com", int64(0))
	f.Add("\"\\\u2028\x01", "\x00\ufffd", int64(1<<40))
	f.Add("}]", `","id":"`, int64(-1<<40))
	f.Fuzz(func(t *testing.T, id, email string, milli int64) {
		request, err := json.Marshal(map[string]any{"customerId": id, "email": email, "firstName": "A", "lastName": "B", "createdAt": "2024-05-01T10:00:00Z"})
		require.NoError(t, err)
		const year1, year9999 = -62135596800000, 253402300799999
		milli = year1 + int64(uint64(milli-year1)%uint64(year9999-year1+1))
		c := open(t, schema.Customers(), memory.New(), &resource.Options{Now: func() time.Time { return time.UnixMilli(milli) }})
		res, err := c.Create(ctx, tenant, request, nil)
		if err != nil {
			require.Equal(t, []string{"/customerId external_id"}, violations(err))
			return
		}
		checkShape(t, &res.Resource)
		require.Equal(t, milli, res.CreatedAt().UnixMilli())
	})
}
