package feed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/feed"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// observer keeps what it is told.
type observer struct {
	mu     sync.Mutex
	events []feed.Event
}

func (o *observer) observe(e feed.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

// feeding returns a collection with a feed, and what waits for its events.
func feeding(t testing.TB, s *schema.Schema, store storage.Store, opts *feed.Options) (*resource.Collection, func() []feed.Event) {
	o := &observer{}
	f := feed.New(o.observe, opts)
	return open(t, s, store, f), func() []feed.Event {
		require.NoError(t, f.Close(ctx))
		return o.events
	}
}

func TestFeed(t *testing.T) {
	c, events := feeding(t, schema.Customers(), memory.New(), nil)
	created := create(t, c, cust(`,"email":"`+marker+`"`))
	create(t, c, cust(``)) // changes nothing
	_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"x"`)), &resource.WriteOptions{DryRun: true})
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
	assert.Equal(t, []feed.Event{
		{Key: key, ID: newID, Outcome: resource.Created, After: created.Revision(), At: now, Patch: []byte(
			`{"customerId":` + r + `,"firstName":` + r + `,"lastName":` + r + `,"createdAt":"2024-05-01T10:00:00Z","email":` + r + outs + `}`)},
		{Key: key, ID: newID, Outcome: resource.Updated, Before: created.Revision(), After: patched.Revision(), At: now, Patch: []byte(
			`{"smsOptOut":false,"phone":` + r + `,"email":null}`)},
		{Key: key, ID: newID, Outcome: resource.Deleted, Before: patched.Revision()},
	}, events())
}

// TestFeedPatches: merged one after the other, the patches give the documents.
func TestFeedPatches(t *testing.T) {
	store := memory.New()
	person := schema.MustCompile(schema.Definition{
		ID: uuid.MustParse("7b000000-0000-4000-8000-000000000001"), Name: "people", ExternalID: "id",
		Fields: []schema.Field{
			{Name: "id", Type: schema.String, Required: true}, {Name: "score", Type: schema.Number}, {Name: "any", Type: schema.Array},
			{Name: "name", Type: schema.Object, Fields: []schema.Field{{Name: "first", Type: schema.String}, {Name: "last", Type: schema.String}}},
			{Name: "free", Type: schema.Object}, {Name: "vip", Type: schema.Boolean, Default: false},
			{Name: "prefs", Type: schema.Object, Fields: []schema.Field{{Name: "lang", Type: schema.String, Default: "en"}, {Name: "tz", Type: schema.String}}},
		},
	})
	c, events := feeding(t, person, store, &feed.Options{Unredacted: true})
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
	rec, err := store.Get(ctx, storage.Key{Tenant: tenant, Schema: person.ID(), ExternalID: "1"})
	require.NoError(t, err)
	assert.True(t, merge.Equal(rec.Data, doc), "%s, %s", rec.Data, doc) // a null on a default changes the order and no value
}

// TestFeedOfBatches: one event for each record that changed.
func TestFeedOfBatches(t *testing.T) {
	store := memory.New()
	c, events := feeding(t, schema.Customers(), store, nil)
	_, err := c.CreateBatch(ctx, tenant, append(numberedDocs(3, ""), numberedDocs(2, `,"email":"x"`)...), nil)
	require.NoError(t, err)
	_, err = c.PatchBatch(ctx, tenant, append(items(3, []byte(`{"email":"x"}`)), items(1, []byte(`{"email":1}`))...), nil)
	require.NoError(t, err)
	_, err = c.DeleteBatch(ctx, tenant, append(items(2, nil), items(2, nil)...), nil)
	require.NoError(t, err)
	_, err = c.DeleteBatch(ctx, tenant, items(3, nil), &resource.WriteOptions{DryRun: true})
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
	store := storagetest.Faulty(yielding{memory.New()}, storagetest.RandomPlan(3, storagetest.Rates{Conflict: 0.05}))
	c, events := feeding(t, schema.Customers(), store, &feed.Options{Buffer: 1 << 20})
	changes := make([]int, 16)
	atOnce(len(changes), func(w int) {
		for round := range rounds {
			more := fmt.Sprintf(`,"email":"%d-%d"`, w, round)
			switch w % 4 {
			case 0:
				res, err := c.CreateBatch(ctx, tenant, numberedDocs(keys, more), nil)
				assert.NoError(t, err)
				changes[w] += changed(t, res)
			case 1:
				_, err := c.Delete(ctx, tenant, fmt.Sprintf("c-%06d", round%keys), nil)
				if err == nil {
					changes[w]++
				}
			case 2:
				res, err := c.DeleteBatch(ctx, tenant, items(keys, nil)[round%keys:], nil)
				assert.NoError(t, err)
				changes[w] += changed(t, res)
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
		rec, err := store.Get(ctx, key)
		if rev == 0 {
			assert.ErrorIs(t, err, storage.ErrNotFound)
		} else {
			require.NoError(t, err)
			assert.Equal(t, rec.Revision, rev)
		}
	}
}

// TestFeedHarmsNoWrite: an observer that hangs, and one that panics.
func TestFeedHarmsNoWrite(t *testing.T) {
	hang := make(chan struct{})
	first := make(chan feed.Event, 1)
	f := feed.New(func(e feed.Event) {
		select {
		case first <- e:
		default:
		}
		<-hang
	}, &feed.Options{Buffer: 3})
	c := open(t, schema.Customers(), memory.New(), f)
	create(t, c, string(numberedDocs(1, "")[0]))
	<-first
	res, err := c.CreateBatch(ctx, tenant, numberedDocs(10, `,"email":"x"`), nil)
	require.NoError(t, err)
	assert.Equal(t, 10, changed(t, res))
	assert.EqualValues(t, 7, f.Dropped(), "three fit into the buffer")
	soon, cancelSoon := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancelSoon()
	assert.ErrorIs(t, f.Close(soon), context.DeadlineExceeded)
	create(t, c, string(numberedDocs(1, "")[0]))
	_, err = c.Delete(ctx, tenant, "c-000000", nil)
	require.NoError(t, err)
	assert.EqualValues(t, 8, f.Dropped(), "after Close")
	close(hang)
	require.NoError(t, f.Close(ctx))
	require.NoError(t, f.Close(ctx), "again")

	var panics []any
	told := 0
	f = feed.New(func(feed.Event) { told++; panic("mine") }, &feed.Options{OnPanic: func(v any) { panics = append(panics, v) }})
	c = open(t, schema.Customers(), memory.New(), f)
	for _, doc := range numberedDocs(3, "") {
		create(t, c, string(doc))
	}
	require.NoError(t, f.Close(ctx))
	assert.Equal(t, 3, told)
	assert.Equal(t, []any{"mine", "mine", "mine"}, panics)
	assert.EqualValues(t, 3, f.Panics())
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for range 50 {
		require.NoError(t, f.Close(ended), "it has ended already")
	}

	f = feed.New(nil, nil)
	c = open(t, schema.Customers(), memory.New(), f)
	create(t, c, cust(``))
	require.NoError(t, f.Close(ctx))
	assert.EqualValues(t, 1, f.Dropped(), "nobody observes")
}

// TestFeedTenants: an event says whose it is, and holds nothing of another.
func TestFeedTenants(t *testing.T) {
	c, events := feeding(t, schema.Customers(), memory.New(), &feed.Options{Unredacted: true})
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
	for _, item := range res {
		assert.ErrorIs(t, item.Err, storage.ErrUnknownOutcome)
	}
	assert.Empty(t, events())
}

// TestObserverEndsItsGoroutine, as a failed require does in a test: the others
// still come.
func TestObserverEndsItsGoroutine(t *testing.T) {
	seen := 0
	f := feed.New(func(feed.Event) {
		if seen++; seen%2 == 1 {
			runtime.Goexit()
		}
	}, nil)
	c := open(t, schema.Customers(), memory.New(), f)
	for i := range 10 {
		_, err := c.Create(ctx, tenant, []byte(cust(fmt.Sprintf(`,"email":"%d"`, i))), nil)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close(ctx))
	require.NoError(t, f.Close(ctx))
	assert.Equal(t, 10, seen)
	assert.Zero(t, f.Dropped())
}

// TestPrinted: an event that is logged spills neither an external id nor its patch, and
// one that is encoded has all of it.
func TestPrinted(t *testing.T) {
	c, events := feeding(t, schema.Customers(), memory.New(), nil)
	create(t, c, customer(marker, `,"email":"`+marker+`"`))
	event := events()[0]
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.Equal(t, "created resource "+newID.String(), fmt.Sprintf(verb, event))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", event)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", event)
	assert.NotContains(t, log.String(), marker)
	text, err := json.Marshal(event)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"ExternalID":"`+marker+`"`)
	assert.Contains(t, string(text), `"Outcome":"created"`)
	assert.Contains(t, string(text), `"Patch":{"customerId":`)
}
