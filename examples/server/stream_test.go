package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"

	"example.com/resourcekit/storage/memory"
)

// watch reads the stream of customers with a client library, which connects again by
// itself, until the test ends. lastID is the id of the last event that the client knows.
func watch(t *testing.T, url, lastID string) <-chan sse.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	require.NoError(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	client := sse.Client{
		Backoff: sse.Backoff{InitialInterval: 50 * time.Millisecond, MaxInterval: 200 * time.Millisecond},
		ResponseValidator: func(r *http.Response) error {
			if r.StatusCode != 200 || r.Header.Get("Content-Type") != "text/event-stream" {
				return fmt.Errorf("status %d, type %q", r.StatusCode, r.Header.Get("Content-Type"))
			}
			return nil
		},
	}
	events := make(chan sse.Event, 1000)
	conn := client.NewConnection(req)
	conn.SubscribeToAll(func(e sse.Event) {
		if e.Data != "" {
			events <- e
		}
	})
	done := make(chan error, 1)
	go func() { done <- conn.Connect() }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			assert.NoError(t, err)
		}
	})
	return events
}

// next returns the next event, and the document that it has.
func next(t *testing.T, events <-chan sse.Event) (sse.Event, string) {
	t.Helper()
	select {
	case e := <-events:
		var change struct {
			Outcome, ResourceExternalID string
			Patch                       json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(e.Data), &change))
		return e, strings.TrimSpace(e.Type + " " + change.ResourceExternalID + " " + string(change.Patch))
	case <-time.After(30 * time.Second):
		require.Fail(t, "no event")
		return sse.Event{}, ""
	}
}

// freeAddress returns an address that no one listens on.
func freeAddress(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return listener.Addr().String()
}

// TestStream: a client library follows the changes over a SIGKILL of the server, and
// misses none; and it is told when the log does not go back as far as it has got.
func TestStream(t *testing.T) {
	t.Parallel()
	binary := build(t)
	addr := freeAddress(t)
	args := []string{"-addr", addr, "-history", "-store", "sqlite:" + filepath.Join(t.TempDir(), "customers.db")}
	url := "http://" + addr + "/api/changes?schema=customers"
	server := startBinary(t, binary, args...)
	send := func(method, rest, body string) {
		t.Helper()
		req, err := http.NewRequest(method, server.url+rest, strings.NewReader(body))
		require.NoError(t, err)
		status, answer := do(t, req)
		require.Equal(t, 200, status, answer)
	}

	send("POST", "", customer("c-0", "Ada"))
	events := watch(t, url+"&include=patch&after=start", "")
	first, what := next(t, events)
	assert.Equal(t, `created c-0 {"customerId":"[redacted]","firstName":"[redacted]","lastName":"[redacted]","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true}`, what)
	send("PATCH", "/c-0", `{"data":{"emailOptOut":true}}`)
	_, what = next(t, events)
	assert.Equal(t, `updated c-0 {"emailOptOut":true}`, what)
	server.kill()

	server = startBinary(t, binary, args...)
	send("DELETE", "/c-0", "")
	for i := range 300 {
		send("POST", "", customer(fmt.Sprint("c-", i+1), "Ada"))
	}
	_, what = next(t, events)
	assert.Equal(t, "deleted c-0", what)
	for i := range 300 {
		e, _ := next(t, events)
		assert.Contains(t, e.Data, fmt.Sprintf(`"resourceExternalId":"c-%d"`, i+1))
	}
	server.kill()

	server = startBinary(t, binary, append(args, "-retention", "1ms")...)
	require.Eventually(t, func() bool { // the changes are removed in the background
		res, err := http.Get(url + "&after=" + first.LastEventID)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode == 410 && strings.Contains(string(body), "read all resources")
	}, 30*time.Second, 10*time.Millisecond)
	late := watch(t, url, first.LastEventID)
	e, _ := next(t, late)
	assert.Equal(t, "reset", e.Type)
	send("DELETE", "/c-1", "")
	_, what = next(t, late)
	assert.Equal(t, "deleted c-1", what)
	_, what = next(t, events)
	assert.Equal(t, "deleted c-1", what, "a client that had all of them goes on")
}

// TestStreamMetrics counts streams that are open, and those that were.
func TestStreamMetrics(t *testing.T) {
	s, _ := testService(t, memory.New())
	ctx, cancel := context.WithCancel(context.Background())
	server := httptest.NewServer(s)
	defer server.Close()
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/changes?schema=customers", nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = io.ReadFull(res.Body, make([]byte, 10))
	require.NoError(t, err)
	page := strings.Join(s.ours(t), "\n")
	assert.Contains(t, page, "resourcekit_streams 1")
	assert.Contains(t, page, "resourcekit_streams_total 1")
	assert.NotContains(t, page, "resourcekit_stream_bytes_total 0")
	cancel()
	require.Eventually(t, func() bool { return strings.Contains(strings.Join(s.ours(t), "\n"), "resourcekit_streams 0") }, 30*time.Second, time.Millisecond)
}
