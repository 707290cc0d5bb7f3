package resource_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/typed"
	"example.com/resourcekit/storage"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPrintedByValue: a Result or Resource that is passed on by value (a log
// call with *res, a map or an interface that holds one) must not spill its
// document into the log, and must marshal to the same JSON as by pointer.
func TestPrintedByValue(t *testing.T) {
	c, _ := customers(t)
	res := create(t, c, cust(`,"email":"`+marker+`"`))
	for _, v := range []any{*res, res.Resource} {
		assert.NotContains(t, fmt.Sprintf("%s", v), marker)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("created", "res", v)
		assert.NotContains(t, log.String(), marker)
		assert.Contains(t, log.String(), "resource "+secondID.String())
		assert.Equal(t, "resource "+secondID.String(), fmt.Sprint(v))
		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, string(res.AppendJSON(nil, nil)), string(text))
	}
}

// TestPrinted: nor does anything else that a program may log as it is.
func TestPrinted(t *testing.T) {
	c, _ := customers(t)
	other := strings.Replace(cust(`,"email":"`+marker+`"`), "c-1", marker, 1)
	res := create(t, c, other)
	page, err := c.List(ctx, tenant, &resource.ListOptions{Limit: 1})
	require.NoError(t, err)
	batch, err := c.CreateBatch(ctx, tenant, [][]byte{[]byte(other), []byte(`{"customerId":"` + marker + `","email":7}`)}, nil)
	require.NoError(t, err)
	_, exists := c.Create(ctx, tenant, []byte(other), &resource.WriteOptions{RejectExisting: true})
	_, failed := c.Create(ctx, tenant, []byte(other), &resource.WriteOptions{If: resource.Absent()})
	_, gone := c.Get(ctx, tenant, "not "+marker)
	decoded, err := typed.Decode[typed.Customer](res)
	require.NoError(t, err)
	decoded.CustomerID = "c-1"

	for name, v := range map[string]any{
		"resource": res.Resource, "result": res, "page": page, "page by value": *page, "batch": batch, "typed": decoded,
		"exists": exists, "failed": failed, "gone": gone, "call": resource.Call{Op: "create", Err: exists},
	} {
		for _, verb := range []string{"%v", "%+v"} {
			assert.NotContains(t, fmt.Sprintf(verb, v), marker, "%s %s", name, verb)
		}
		var text, encoded bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
		assert.NotContains(t, text.String(), marker, name)
		if name != "typed" { // which is there to be encoded
			slog.New(slog.NewJSONHandler(&encoded, nil)).Info("m", "v", v)
			assert.NotContains(t, encoded.String(), marker, name)
		}
	}
	for _, v := range []any{res, *res, res.Resource, decoded, batch, exists, failed, gone, &storage.ConflictError{Current: &storage.Record{Data: []byte(marker)}}} {
		assert.NotContains(t, fmt.Sprintf("%#v", v), marker)
	}
	for want, v := range map[string]any{
		"page of 1 resources": page, "resource: get: record not found": gone,
		"[{resource " + secondID.String() + " <nil>} {<nil> schema: invalid document: /email: expected string, found number}]": batch,
	} {
		assert.Equal(t, want, fmt.Sprint(v))
	}
	// An encoder that meets an error inside of something else looks at its fields.
	for _, err := range []error{exists, failed, gone, &storage.ConflictError{Current: &storage.Record{Key: customerKey(marker), Data: []byte(marker)}}} {
		text, jsonErr := json.Marshal(struct{ Err error }{err})
		require.NoError(t, jsonErr)
		assert.Equal(t, fmt.Sprintf(`{"Err":%q}`, err.Error()), string(text))
	}
	for _, item := range batch {
		assert.NotContains(t, fmt.Sprintf("%+v", item), marker)
		var text bytes.Buffer
		slog.New(slog.NewJSONHandler(&text, nil)).Info("m", "v", item)
		assert.NotContains(t, text.String(), marker)
	}
}
