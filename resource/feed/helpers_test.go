package feed_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/feed"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const marker = "s3cr3t" // personal data

var (
	ctx    = context.Background()
	tenant = storage.TenantOf("platform", "business")
	newID  = uuid.MustParse("018f0000-0000-7000-8000-000000000002")
	now    = time.Date(2025, 6, 7, 8, 9, 10, 123_000_000, time.UTC)
)

// cust is the text of customer c-1 with more members at its end.
func cust(more string) string { return customer("c-1", more) }

func customer(id, more string) string {
	return fmt.Sprintf(`{"customerId":"%s","firstName":"Ada","lastName":"Byron","createdAt":"2024-05-01T10:00:00Z"%s}`, id, more)
}

// outs are the opt-outs as they are filled in.
const outs = `,"emailOptOut":false,"smsOptOut":true`

func numberedDocs(n int, more string) [][]byte {
	docs := make([][]byte, n)
	for i := range docs {
		docs[i] = []byte(customer(fmt.Sprintf("c-%06d", i), more))
	}
	return docs
}

func items(n int, patch []byte) []resource.Item {
	list := make([]resource.Item, n)
	for i := range list {
		list[i] = resource.Item{ExternalID: fmt.Sprintf("c-%06d", i), Data: patch}
	}
	return list
}

func customerKey(id string) storage.Key {
	return storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: id}
}

func open(t testing.TB, s *schema.Schema, store storage.Store, f *feed.Feed) *resource.Collection {
	t.Helper()
	c, err := resource.NewCollection(s, store, &resource.Options{
		Now: func() time.Time { return now }, NewID: func() (uuid.UUID, error) { return newID, nil }, OnChange: f.Add,
	})
	require.NoError(t, err)
	return c
}

func create(t testing.TB, c *resource.Collection, data string) *resource.Result {
	t.Helper()
	res, err := c.Create(ctx, tenant, []byte(data), nil)
	require.NoError(t, err)
	return res
}

// changed counts the items that have changed a resource, and requires that none failed
// with another error than ErrNotFound.
func changed(t testing.TB, items []resource.ItemResult) (n int) {
	for _, item := range items {
		if item.Err != nil {
			assert.ErrorIs(t, item.Err, resource.ErrNotFound)
		} else if item.Result.Outcome != resource.Unchanged {
			n++
		}
	}
	return n
}

// A yielding store gives way between reads and writes, so that writers do meet.
type yielding struct{ storage.Store }

func (s yielding) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	runtime.Gosched()
	return s.Store.Get(ctx, key)
}

func (s yielding) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	runtime.Gosched()
	return s.Store.Write(ctx, writes)
}

// atOnce calls fn in n goroutines at the same time.
func atOnce(n int, fn func(w int)) {
	var all sync.WaitGroup
	for w := range n {
		all.Go(func() { fn(w) })
	}
	all.Wait()
}
