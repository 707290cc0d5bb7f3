package resource_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keeping returns a collection that keeps documents in the log of a memory store.
func keeping(t testing.TB, s *schema.Schema) (*resource.Collection, storage.Store) {
	store := memory.New()
	return open(t, s, store, &resource.Options{Log: true, History: true}), store
}

func allChanges(t testing.TB, c *resource.Collection, opts resource.ChangeOptions) (all []resource.Change) {
	for more := true; more; {
		page, err := c.Changes(ctx, tenant, &opts)
		require.NoError(t, err)
		all = append(all, page.Changes...)
		opts.Cursor, more = page.Next, page.More
	}
	return all
}

func TestChanges(t *testing.T) {
	c, _ := keeping(t, schema.Customers())
	as := &resource.WriteOptions{Actor: "eve", Reason: "asked"}
	res, err := c.Create(ctx, tenant, []byte(cust(`,"email":"`+marker+`"`)), as)
	require.NoError(t, err)
	create(t, c, cust(``))
	patched, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":null,"smsOptOut":false,"phone":"`+marker+`"}`), nil)
	require.NoError(t, err)
	_, err = c.Delete(ctx, tenant, "c-1", as)
	require.NoError(t, err)
	all := allChanges(t, c, resource.ChangeOptions{Limit: 1, Documents: true, Patches: true})
	var got []string
	for _, change := range all {
		text, err := json.Marshal(change)
		require.NoError(t, err)
		require.True(t, json.Valid(text), "%s", text)
		got = append(got, string(text))
	}
	fmt.Println(strings.Join(got, "\n"))
	fmt.Println(all[0].Cursor)
	assert.Len(t, all, 3)
	_, _ = res, patched
	history, err := c.History(ctx, tenant, "c-1", nil)
	if err == nil {
		fmt.Println(history)
	}
}
