package resource_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observer keeps what it is told.
type observer struct {
	mu     sync.Mutex
	events []resource.Event
}

func (o *observer) observe(e resource.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

// feeding returns a collection with a feed, and what waits for its events.
func feeding(t testing.TB, s *schema.Schema, store storage.Store, opts *resource.FeedOptions) (*resource.Collection, func() []resource.Event) {
	o := &observer{}
	feed := resource.NewFeed(o.observe, opts)
	c := open(t, s, store, &resource.Options{Now: fixed.Now, NewID: fixed.NewID, Feed: feed})
	return c, func() []resource.Event {
		require.NoError(t, feed.Close(ctx))
		return o.events
	}
}

func TestFeed(t *testing.T) {
	c, events := feeding(t, schema.Customers(), memory.New(), nil)
	created := create(t, c, cust(`,"email":"`+marker+`"`))
	create(t, c, cust(``)) // changes nothing
	_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"x"`)), &resource.CreateOptions{DryRun: true})
	require.NoError(t, err)
	_, err = c.Create(ctx, tenant, []byte(cust(`,"email":1`)), nil)
	require.Error(t, err)
	patched, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":null,"smsOptOut":false,"phone":"`+marker+`"}`), nil)
	require.NoError(t, err)
	_, err = c.Delete(ctx, tenant, "c-1", nil)
	require.NoError(t, err)
	_, err = c.Delete(ctx, tenant, "c-1", nil)
	require.Error(t, err)

	key := customerKey("c-1")
	const r = `"[redacted]"`
	assert.Equal(t, []resource.Event{
		{Key: key, ID: secondID, Outcome: resource.Created, After: created.Revision(), At: now, Patch: []byte(
			`{"customerId":` + r + `,"firstName":` + r + `,"lastName":` + r + `,"createdAt":"2024-05-01T10:00:00Z","email":` + r + outs + `}`)},
		{Key: key, ID: secondID, Outcome: resource.Updated, Before: created.Revision(), After: patched.Revision(), At: now, Patch: []byte(
			`{"smsOptOut":false,"phone":` + r + `,"email":null}`)},
		{Key: key, ID: secondID, Outcome: resource.Deleted, Before: patched.Revision()},
	}, events())
}

// TestFeedPatches: merged one after the other, the patches give the documents.
func TestFeedPatches(t *testing.T) {
	store := memory.New()
	c, events := feeding(t, person, store, &resource.FeedOptions{Unredacted: true})
	for _, request := range []string{
		`{"id":"1","name":{"first":"A","last":"B"},"any":["x",null],"score":1.0}`,
		`{"id":"1","name":{"last":null},"any":[{"a":null}],"score":1.00}`,
		`{"id":"1","free":{"a":{"b":1}}}`,
		`{"id":"1","free":{"a":{"b":null,"c":2}},"vip":null}`,
		`{"id":"1","prefs":{"tz":"x"}}`,
	} {
		_, err := c.Create(ctx, tenant, []byte(request), nil)
		require.NoError(t, err, request)
	}
	doc := []byte("{}")
	for _, e := range events() {
		var err error
		doc, err = merge.Patch(doc, e.Patch)
		require.NoError(t, err)
	}
	rec := stored(t, store, storage.Key{Tenant: tenant, Schema: person.ID(), ExternalID: "1"})
	assert.True(t, merge.Equal(rec.Data, doc), "%s, %s", rec.Data, doc) // a null on a default changes the order and no value
}

// TestFeedOfBatches: one event for each record that changed.
func TestFeedOfBatches(t *testing.T) {
	store := memory.New()
	c, events := feeding(t, schema.Customers(), store, nil)
	_, err := c.CreateBatch(ctx, tenant, append(numberedDocs(3, ""), numberedDocs(2, `,"email":"x"`)...), nil)
	require.NoError(t, err)
	_, err = c.PatchBatch(ctx, tenant, append(patches(3, `{"email":"x"}`), patches(1, `{"email":1}`)...), nil)
	require.NoError(t, err)
	_, err = c.DeleteBatch(ctx, tenant, append(deletions(2), deletions(2)...), nil)
	require.NoError(t, err)
	_, err = c.DeleteBatch(ctx, tenant, deletions(3), &resource.DeleteOptions{DryRun: true})
	require.NoError(t, err)
	var got []string
	for _, e := range events() {
		got = append(got, fmt.Sprintf("%s %s %v", e.Outcome, e.Key.ExternalID, strings.Contains(string(e.Patch), "email\":")))
	}
	assert.Equal(t, []string{
		"created c-000000 true", "created c-000001 true", "created c-000002 false",
		"updated c-000002 true",
		"deleted c-000000 false", "deleted c-000001 false",
	}, got)
}

// TestFeedOrder: the events of each key are a chain from revision to revision,
// with single writes, batches and deletes at the same time, and every change is
// in it.
func TestFeedOrder(t *testing.T) {
	const keys, rounds = 5, 30
	store := storagetest.Faulty(yielding(), storagetest.RandomPlan(3, storagetest.Rates{Conflict: 0.05}))
	c, events := feeding(t, schema.Customers(), store, &resource.FeedOptions{Buffer: 1 << 20})
	changes := make([]int, 16)
	atOnce(len(changes), func(w int) {
		for round := range rounds {
			more := fmt.Sprintf(`,"email":"%d-%d"`, w, round)
			switch w % 4 {
			case 0:
				res, err := c.CreateBatch(ctx, tenant, numberedDocs(keys, more), nil)
				if assert.NoError(t, err) && assert.Zero(t, res.Failed) {
					changes[w] += res.Created + res.Updated
				}
			case 1:
				_, err := c.Delete(ctx, tenant, fmt.Sprintf("c-%06d", round%keys), nil)
				if err == nil {
					changes[w]++
				}
			case 2:
				res, err := c.DeleteBatch(ctx, tenant, deletions(keys)[round%keys:], nil)
				if assert.NoError(t, err) {
					changes[w] += res.Deleted
				}
			default:
				res, err := c.Create(ctx, tenant, numberedDocs(keys, more)[round%keys], nil)
				if assert.NoError(t, err) && res.Outcome != resource.Unchanged {
					changes[w]++
				}
			}
		}
	})
	want := 0
	for _, n := range changes {
		want += n
	}
	last := map[storage.Key]storage.Revision{}
	all := events()
	assert.Len(t, all, want)
	for i, e := range all {
		require.Equal(t, last[e.Key], e.Before, "event %d, %v", i, e.Outcome)
		require.Equal(t, e.Outcome == resource.Created, e.Before == 0)
		require.Equal(t, e.Outcome == resource.Deleted, e.After == 0)
		last[e.Key] = e.After
	}
	for key, rev := range last {
		assert.Equal(t, stored(t, store, key).Revision, rev)
	}
}

// TestFeedHarmsNoWrite: an observer that hangs, and one that panics.
func TestFeedHarmsNoWrite(t *testing.T) {
	hang := make(chan struct{})
	first := make(chan resource.Event, 1)
	feed := resource.NewFeed(func(e resource.Event) {
		select {
		case first <- e:
		default:
		}
		<-hang
	}, &resource.FeedOptions{Buffer: 3})
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Feed: feed})
	create(t, c, string(numberedDocs(1, "")[0]))
	<-first
	res, err := c.CreateBatch(ctx, tenant, numberedDocs(10, `,"email":"x"`), nil)
	require.NoError(t, err)
	assert.Equal(t, 10, res.Created+res.Updated)
	assert.EqualValues(t, 7, feed.Dropped(), "three fit into the buffer")
	soon, cancelSoon := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancelSoon()
	assert.ErrorIs(t, feed.Close(soon), context.DeadlineExceeded)
	create(t, c, string(numberedDocs(1, "")[0]))
	_, err = c.Delete(ctx, tenant, "c-000000", nil)
	require.NoError(t, err)
	assert.EqualValues(t, 8, feed.Dropped(), "after Close")
	close(hang)
	require.NoError(t, feed.Close(ctx))
	require.NoError(t, feed.Close(ctx), "again")

	var panics []any
	told := 0
	feed = resource.NewFeed(func(resource.Event) { told++; panic("mine") }, &resource.FeedOptions{OnPanic: func(v any) { panics = append(panics, v) }})
	c = open(t, schema.Customers(), memory.New(), &resource.Options{Feed: feed})
	for _, doc := range numberedDocs(3, "") {
		create(t, c, string(doc))
	}
	require.NoError(t, feed.Close(ctx))
	assert.Equal(t, 3, told)
	assert.Equal(t, []any{"mine", "mine", "mine"}, panics)
	assert.EqualValues(t, 3, feed.Panics())
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for range 50 {
		require.NoError(t, feed.Close(ended), "it has ended already")
	}

	feed = resource.NewFeed(nil, nil)
	c = open(t, schema.Customers(), memory.New(), &resource.Options{Feed: feed})
	create(t, c, cust(``))
	require.NoError(t, feed.Close(ctx))
	assert.EqualValues(t, 1, feed.Dropped(), "nobody observes")
}

// TestFeedTenants: an event says whose it is, and holds nothing of another.
func TestFeedTenants(t *testing.T) {
	c, events := feeding(t, schema.Customers(), memory.New(), &resource.FeedOptions{Unredacted: true})
	theirs := storage.TenantOf("platform", "theirs")
	create(t, c, cust(``))
	_, err := c.Create(ctx, theirs, []byte(cust(`,"email":"`+marker+`"`)), nil)
	require.NoError(t, err)
	_, err = c.Patch(ctx, theirs, "c-1", []byte(`{"email":null}`), nil)
	require.NoError(t, err)
	ours := 0
	for _, e := range events() {
		if e.Key.Tenant == tenant {
			ours++
			assert.NotContains(t, string(e.Patch), marker)
		}
	}
	assert.Equal(t, 1, ours)
}

// TestFeedOfUnknownOutcome: a write of unknown outcome is no event.
func TestFeedOfUnknownOutcome(t *testing.T) {
	store := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if op.Name == "put" {
			return storagetest.Fault{Err: storage.ErrUnknownOutcome} // not applied, but it might be still
		}
		return storagetest.Fault{}
	})
	c, events := feeding(t, schema.Customers(), store, nil)
	_, err := c.Create(ctx, tenant, []byte(cust(``)), nil)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	res, err := c.CreateBatch(ctx, tenant, numberedDocs(2, ""), nil)
	require.NoError(t, err)
	assert.Equal(t, 2, res.Failed)
	assert.Empty(t, events())
}

// TestObserverEndsItsGoroutine, as a failed require does in a test: the others
// still come.
func TestObserverEndsItsGoroutine(t *testing.T) {
	seen := 0
	feed := resource.NewFeed(func(resource.Event) {
		if seen++; seen%2 == 1 {
			runtime.Goexit()
		}
	}, nil)
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Feed: feed})
	for i := range 10 {
		_, err := c.Create(ctx, tenant, []byte(cust(fmt.Sprintf(`,"email":"%d"`, i))), nil)
		require.NoError(t, err)
	}
	require.NoError(t, feed.Close(ctx))
	require.NoError(t, feed.Close(ctx))
	assert.Equal(t, 10, seen)
	assert.Zero(t, feed.Dropped())
}
