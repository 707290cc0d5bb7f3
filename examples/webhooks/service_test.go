package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// newTestService is a service on the store that delivers to the endpoint. It runs when it
// is told to.
func newTestService(t *testing.T, store storage.Store, e *endpoint) (s *service, log *buffer) {
	t.Helper()
	keys, err := parseSecrets(testSecret)
	require.NoError(t, err)
	log = &buffer{}
	s, err = newService(store, slog.New(slog.NewTextHandler(log, nil)), config{
		url: e.url, keys: keys, attempts: 5, minBackoff: time.Millisecond, pause: time.Millisecond,
		keep: time.Hour, lease: 15 * time.Second,
	})
	require.NoError(t, err)
	return s, log
}

// goRun runs the service until the end of the test, or until the result is called.
func (s *service) goRun(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func (s *service) put(t *testing.T, id, text string) {
	t.Helper()
	_, err := s.customers.Create(t.Context(), openstore.Tenant("acme"), fmt.Appendf(nil,
		`{"customerId":%q,"firstName":"x","lastName":"x","customerDetailUrl":%q,"createdAt":"2024-01-02T03:04:05Z"}`, id, text), nil)
	require.NoError(t, err)
}

// TestBrokenEndpoint: one that refuses all that it gets does not make a dead letter of
// each. The consumer stops, and goes on when the endpoint works.
func TestBrokenEndpoint(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.answer(func(webhook) int { return 422 })
	s, log := newTestService(t, memory.New(), e)
	s.attempts = 1_000_000
	const customers = 150
	for i := range customers {
		s.put(t, fmt.Sprint("c-", i), "a")
		s.put(t, fmt.Sprint("c-", i), "b")
	}
	s.goRun(t)
	require.Eventually(t, func() bool { return log.contains("too many resources are parked") }, patience, time.Millisecond)
	e.answer(nil)
	for i := range customers {
		e.wants(t, fmt.Sprint("c-", i), "created a", "updated b")
	}
	letters, err := s.letters.List(t.Context(), openstore.Tenant("acme"), nil)
	require.NoError(t, err)
	assert.Empty(t, letters.Resources)
}

// TestReset: after the log has lost changes, the endpoint is told to read all customers,
// and then gets what is changed from then on.
func TestReset(t *testing.T) {
	t.Parallel()
	e, store := newEndpoint(t), memory.New()
	s, _ := newTestService(t, store, e)
	s.put(t, "c-1", "a")
	stop := s.goRun(t)
	require.Eventually(t, func() bool { // a consumer at the start of the log has missed nothing
		all, err := changes.Consumers(t.Context(), store)
		return err == nil && len(all) == 1 && all[0].Delivered > 0
	}, patience, time.Millisecond)
	stop()
	s.put(t, "c-1", "lost")
	s.put(t, "c-1", "lost too")
	require.NoError(t, store.Trim(t.Context(), time.Now().Add(time.Hour), storage.Cursor{}))

	failed := false
	e.answer(func(w webhook) int {
		if !failed && w.Type == "com.example.customers.reset" {
			failed = true
			return 400 // it comes again
		}
		return 200
	})
	s.goRun(t)
	require.Eventually(t, func() bool { return len(e.webhooks()) == 2 }, patience, time.Millisecond)
	s.put(t, "c-1", "b")
	e.wants(t, "c-1", "created a", "updated b")
	assert.Equal(t, "com.example.customers.reset", e.webhooks()[1].Type)
	assert.Contains(t, e.webhooks()[1].body, `"id":"`+e.webhooks()[1].id+`"`)
}

// TestTrim: the log keeps what is not delivered, and then what is not old. A dead letter
// whose change is gone cannot be sent again.
func TestTrim(t *testing.T) {
	t.Parallel()
	e, store := newEndpoint(t), memory.New()
	s, log := newTestService(t, store, e)
	s.keep, s.attempts = -time.Hour, 1 // nothing
	e.answer(func(webhook) int { return 503 })
	s.put(t, "c-1", "a")
	s.put(t, "c-1", "b")
	logged := func() int {
		page, err := s.customers.Changes(t.Context(), openstore.Tenant("acme"), nil)
		require.NoError(t, err)
		return len(page.Changes)
	}
	s.goRun(t)
	require.Eventually(t, func() bool { return log.contains("the log grows") }, patience, time.Millisecond)
	assert.Equal(t, 2, logged())
	e.answer(func(webhook) int { return 422 })
	require.Eventually(t, func() bool { return logged() == 0 }, patience, time.Millisecond)
	letters, err := s.letters.List(t.Context(), openstore.Tenant("acme"), nil)
	require.NoError(t, err)
	require.Len(t, letters.Resources, 2)
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest("POST", lettersPath+"/"+letters.Resources[0].Key().ExternalID+"/resend", nil))
	assert.Equal(t, 410, answer.Code, answer.Body)
}

// trimming is a store that loses its first change before documents are read, once begun.
type trimming struct {
	storage.Store
	first storage.Cursor
}

func (s *trimming) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	if s.first.Position > 0 && !q.NoData {
		if err := s.Trim(ctx, time.Now().Add(time.Hour), s.first); err != nil {
			return storage.ChangePage{}, err
		}
	}
	return s.Store.Changes(ctx, q)
}

// TestTrimDuringResend: no other change goes out in place of one that is trimmed while it
// is looked for.
func TestTrimDuringResend(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.answer(func(webhook) int { return 422 })
	store := &trimming{Store: memory.New()}
	s, _ := newTestService(t, store, e)
	s.put(t, "c-1", "a")
	s.put(t, "c-2", "b")
	page, err := store.Changes(t.Context(), storage.ChangeQuery{Limit: 1})
	require.NoError(t, err)
	first := page.Changes[0]
	require.NoError(t, s.bury(t.Context(), openstore.Tenant("acme"), deadLetter{
		EventID: "e-1", ResourceID: first.ID, Revision: first.Cursor.Revision, Time: first.Note.Time, Attempts: 1,
	}))
	e.answer(nil)
	store.first = first.Cursor
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, httptest.NewRequest("POST", lettersPath+"/e-1/resend", nil))
	assert.Equal(t, 410, answer.Code, answer.Body)
	assert.Empty(t, e.webhooks())
}

// TestNoDeadLetter: an event waits while its dead letter cannot be stored.
func TestNoDeadLetter(t *testing.T) {
	t.Parallel()
	e, down := newEndpoint(t), memory.New()
	e.answer(func(webhook) int { return 422 })
	s, _ := newTestService(t, memory.New(), e)
	var err error
	s.letters, err = resource.NewCollection(deadLetters, down, nil)
	require.NoError(t, err)
	require.NoError(t, down.Close())
	event := changes.Event{Attempt: s.attempts, Change: resource.Change{
		Key: storage.Key{Tenant: openstore.Tenant("acme"), Schema: s.customers.Schema().ID(), ExternalID: marker},
		ID:  uuid.New(), Outcome: resource.Created, Revision: 1, Time: time.Now(),
	}}
	err = s.handle(t.Context(), event)
	assert.ErrorIs(t, err, changes.ErrAgain)
	assert.ErrorIs(t, err, storage.ErrClosed)
	assert.NotContains(t, err.Error(), marker)
	event.Attempt--
	assert.Equal(t, refusal(422), s.handle(t.Context(), event))
}
