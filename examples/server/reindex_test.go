package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/testdb"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"
)

// ids returns the external ids in the answer to a list.
func ids(t testing.TB, status int, body string) string {
	t.Helper()
	require.Equal(t, 200, status, body)
	var list struct {
		Data struct {
			Results []struct{ ResourceExternalID string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &list))
	var all []string
	for _, r := range list.Data.Results {
		all = append(all, r.ResourceExternalID)
	}
	return strings.Join(all, " ")
}

// older stores customers as the server did before they had an index.
func older(t testing.TB, store storage.Store, n int) {
	t.Helper()
	c, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	for first := 0; first < n; first += 1000 {
		var batch [][]byte
		for i := first; i < min(n, first+1000); i++ {
			batch = append(batch, fmt.Appendf(nil, `{"customerId":"%07d","firstName":"F","lastName":"L","email":"Person%d@Example.com","createdAt":"%s"}`,
				i, i, time.Unix(int64(1e9-i), 0).UTC().Format(time.RFC3339)))
		}
		items, err := c.CreateBatch(context.Background(), openstore.Tenant("acme"), batch, nil)
		require.NoError(t, err)
		for _, item := range items {
			require.NoError(t, item.Err)
		}
	}
}

// stored returns the customers of a tenant as the store has them, their revisions too.
func stored(t testing.TB, name, tenant string) []storage.Record {
	t.Helper()
	opened, err := openstore.Open(context.Background(), name)
	require.NoError(t, err)
	defer opened.Close()
	page, err := opened.Store.List(context.Background(), storage.Scope{Tenant: openstore.Tenant(tenant), Schema: schema.Customers().ID()}, storage.Range{Limit: storage.MaxPage})
	require.NoError(t, err)
	return page.Records
}

// TestOlderStore: a store from before customers had indexes gets them when the server
// starts, and the log says so. Nothing else in it changes, and the next start does
// nothing. The file was made by the server of that time.
func TestOlderStore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		store func(t *testing.T) string
		has   int
		email string
	}{
		{"sqlite", func(t *testing.T) string {
			old, err := os.ReadFile("testdata/before-indexes.sqlite")
			require.NoError(t, err)
			path := filepath.Join(t.TempDir(), "customers.db")
			require.NoError(t, os.WriteFile(path, old, 0o600))
			return "sqlite:" + path
		}, 8, "c-2 c-8"},
		{"postgres", func(t *testing.T) string {
			name := testdb.New(t)
			opened, err := openstore.Open(context.Background(), name)
			require.NoError(t, err)
			defer opened.Close()
			older(t, opened.Store, 1100)
			return name
		}, 1100, "0000002"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := tt.store(t)
			before := stored(t, name, "acme")
			s := start(t, "-store", name)
			done := fmt.Sprintf(`msg="reindex done" schema=customers tenant=acme resources=%d duplicates=0 damaged=0 `, tt.has)
			require.Eventually(t, func() bool { return strings.Contains(s.log.String(), done) }, time.Minute, 10*time.Millisecond, s.log)
			assert.Contains(t, s.log.String(), `msg="reindex: the data is older than the indexes" schema=customers tenant=acme resources=`)
			status, body := s.call(t, "GET", "?filter[email]="+url.QueryEscape("PERSON2@example.com"), "", "")
			assert.Equal(t, tt.email, ids(t, status, body))
			status, body = s.call(t, "GET", "?sort=-createdAt&limit=1", "", "")
			assert.Equal(t, map[int]string{8: "c-8", 1100: "0000000"}[tt.has], ids(t, status, body))
			require.NoError(t, s.stop())
			assert.Equal(t, before, stored(t, name, "acme"))

			s = start(t, "-store", name)
			status, body = s.call(t, "GET", "?sort=-createdAt&limit=1", "", "")
			assert.Equal(t, map[int]string{8: "c-8", 1100: "0000000"}[tt.has], ids(t, status, body))
			require.NoError(t, s.stop())
			assert.NotContains(t, s.log.String(), "reindex")
		})
	}
}

// TestReindexGoesOn: requests are answered while there are no indexes, and a reindex that
// ends early is finished by the next one, which does not begin again.
func TestReindexGoesOn(t *testing.T) {
	below := memory.New()
	older(t, below, 2500)
	var left atomic.Int64
	left.Store(2000)
	store := storagetest.Faulty(below, func(op storagetest.Op) storagetest.Fault {
		if op.Name == "set entries" && left.Add(-1) < 0 {
			return storagetest.Fault{Err: storage.ErrUnavailable}
		}
		return storagetest.Fault{}
	})
	s, log := testService(t, store)
	tenants, err := parseTenants("acme")
	require.NoError(t, err)
	find := func() (int, string) { return s.send("GET", customersPath+"?filter[email]=person2400@example.com", "") }

	s.reindex(context.Background(), tenants)
	assert.Contains(t, log.String(), `level=WARN msg="reindex ended early; the next start goes on with it" schema=customers tenant=acme err=`)
	assert.NotContains(t, log.String(), "reindex done")
	status, body := find()
	assert.Equal(t, "0002400", ids(t, status, body), "by a scan")
	status, body = s.send("GET", customersPath+"?sort=createdAt", "")
	assert.Equal(t, 503, status, body)

	left.Store(2500)
	s.reindex(context.Background(), tenants)
	assert.Contains(t, log.String(), "resources=500 duplicates=0 damaged=0", "the pages before are done")
	status, body = find()
	assert.Equal(t, "0002400", ids(t, status, body))
	status, body = s.send("GET", customersPath+"?sort=createdAt&limit=1", "")
	assert.Equal(t, "0002499", ids(t, status, body))
}
