package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/storagetest"
)

// testService is the service on a store, with its log.
func testService(t *testing.T, store storage.Store) (*service, *buffer) {
	t.Helper()
	tenants, err := parseTenants("acme")
	require.NoError(t, err)
	log := &buffer{}
	s, err := newService(store, tenants, slog.New(slog.NewTextHandler(log, nil)), false)
	require.NoError(t, err)
	return s, log
}

func (s *service) send(method, path, body string) (int, string) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

// ours returns the metrics of the library on the page, without those of Go and the
// process, and what is a matter of time.
func (s *service) ours(t *testing.T) []string {
	t.Helper()
	status, page := s.send("GET", "/metrics", "")
	require.Equal(t, 200, status)
	var all []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "resourcekit_") && !regexp.MustCompile(`^\S+_(bucket|sum)\b`).MatchString(line) {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

const (
	customersPath = "/api/resources/customers"
	c1            = `{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}`
)

func TestMetrics(t *testing.T) {
	failing := false
	store := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if failing {
			return storagetest.Fault{Err: storage.ErrUnavailable}
		}
		return storagetest.Fault{}
	})
	s, _ := testService(t, store)
	assert.Equal(t, []string{"resourcekit_attempts_count 0", "resourcekit_stream_bytes_total 0", "resourcekit_streams 0", "resourcekit_streams_total 0"}, s.ours(t))
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", customersPath, c1, 200},
		{"POST", customersPath, c1, 200},
		{"POST", customersPath + "?onconflict=reject", c1, 400},
		{"POST", customersPath, `{"data":{"customerId":"c-2"}}`, 400},
		{"PATCH", customersPath + "/c-1", `{"data":{"email":"a@b"}}`, 200},
		{"PATCH", customersPath + "/c-3", `{"data":{"email":"a@b"}}`, 404},
		{"GET", customersPath + "/c-1", "", 200},
		{"GET", customersPath, "", 200},
		{"GET", "/api/resources/locations/l-1", "", 404},
		{"DELETE", customersPath + "/c-1", "", 200},
	} {
		status, body := s.send(r.method, r.path, r.body)
		require.Equal(t, r.status, status, "%s %s: %s", r.method, r.path, body)
	}
	failing = true
	status, _ := s.send("GET", customersPath+"/c-1", "")
	assert.Equal(t, 503, status)
	assert.Equal(t, []string{
		`resourcekit_attempts_count 7`,
		`resourcekit_call_duration_seconds_count{op="create",schema="customers"} 4`,
		`resourcekit_call_duration_seconds_count{op="delete",schema="customers"} 1`,
		`resourcekit_call_duration_seconds_count{op="get",schema="customers"} 2`,
		`resourcekit_call_duration_seconds_count{op="get",schema="locations"} 1`,
		`resourcekit_call_duration_seconds_count{op="list",schema="customers"} 1`,
		`resourcekit_call_duration_seconds_count{op="patch",schema="customers"} 2`,
		`resourcekit_calls_total{class="exists",op="create",schema="customers"} 1`,
		`resourcekit_calls_total{class="invalid",op="create",schema="customers"} 1`,
		`resourcekit_calls_total{class="not_found",op="get",schema="locations"} 1`,
		`resourcekit_calls_total{class="not_found",op="patch",schema="customers"} 1`,
		`resourcekit_calls_total{class="ok",op="create",schema="customers"} 2`,
		`resourcekit_calls_total{class="ok",op="delete",schema="customers"} 1`,
		`resourcekit_calls_total{class="ok",op="get",schema="customers"} 1`,
		`resourcekit_calls_total{class="ok",op="list",schema="customers"} 1`,
		`resourcekit_calls_total{class="ok",op="patch",schema="customers"} 1`,
		`resourcekit_calls_total{class="unavailable",op="get",schema="customers"} 1`,
		`resourcekit_failed_writes_total{class="exists",schema="customers"} 1`,
		`resourcekit_failed_writes_total{class="invalid",schema="customers"} 1`,
		`resourcekit_failed_writes_total{class="not_found",schema="customers"} 1`,
		`resourcekit_stream_bytes_total 0`, `resourcekit_streams 0`, `resourcekit_streams_total 0`,
		`resourcekit_writes_total{outcome="created",schema="customers"} 1`,
		`resourcekit_writes_total{outcome="deleted",schema="customers"} 1`,
		`resourcekit_writes_total{outcome="failed",schema="customers"} 3`,
		`resourcekit_writes_total{outcome="unchanged",schema="customers"} 1`,
		`resourcekit_writes_total{outcome="updated",schema="customers"} 1`,
	}, s.ours(t))
	_, page := s.send("GET", "/metrics", "")
	for _, name := range []string{"go_goroutines ", "process_resident_memory_bytes "} {
		assert.Contains(t, page, "\n"+name)
	}
}

// TestMetricsOfRemembered: what a store remembers, with records that were changed
// past it. One of the records is the state of the indexes.
func TestMetricsOfRemembered(t *testing.T) {
	below := memory.New()
	s, _ := testService(t, recent.New(below, 1<<20))
	elsewhere, _ := testService(t, below)
	for _, r := range []struct {
		at    *service
		email string
	}{{s, "1"}, {s, "2"}, {elsewhere, "3"}, {s, "4"}} {
		status, body := r.at.send("POST", customersPath, strings.Replace(c1, `"lastName"`, `"email":"`+r.email+`","lastName"`, 1))
		require.Equal(t, 200, status, body)
	}
	page := strings.Join(s.ours(t), "\n")
	for _, want := range []string{"hits_total 2", "misses_total 2", "outdated_total 1"} {
		assert.Contains(t, page, "resourcekit_recall_"+want)
	}
	assert.Regexp(t, `resourcekit_recall_bytes 1[23]\d\d`, page)
	assert.NotContains(t, strings.Join(elsewhere.ours(t), "\n"), "recall")
}

// TestMetricsAreBounded: whatever clients send, labels have the values of closed
// sets.
func TestMetricsAreBounded(t *testing.T) {
	s, _ := testService(t, memory.New())
	for _, x := range []string{"a", "b", "customers", "create_batch", "Zq9", "%7B", "locations", "%00"} {
		for _, path := range []string{"/" + x, "/api/resources/" + x, customersPath + "/" + x, customersPath + "/-?externalId=" + x, customersPath + "?onconflict=" + x, "/metrics/" + x, "/metrics?" + x} {
			for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", x} {
				s.send(method, path, strings.ReplaceAll(c1, "c-1", x))
				s.send(method, path, `{"data":{"`+x+`":1}}`)
			}
		}
	}
	_, page := s.send("GET", "/metrics", "")
	series := regexp.MustCompile(`(?m)^resourcekit_\w+(?:\{(.*)\})? `).FindAllStringSubmatch(page, -1)
	assert.Greater(t, len(series), 100)
	closed := map[string][]string{
		"op": {"create", "patch", "delete", "get", "list"}, "schema": {"customers", "locations", "transactions"},
		"class":   {"ok", "invalid", "not_found", "exists", "precondition"},
		"outcome": {"created", "updated", "unchanged", "deleted", "failed"},
	}
	for _, labels := range series {
		for _, label := range regexp.MustCompile(`(\w+)="([^"]*)",?`).FindAllStringSubmatch(labels[1], -1) {
			if label[1] == "le" {
				continue
			}
			assert.Contains(t, closed[label[1]], label[2], labels[0])
		}
	}
}

// TestHealthOfARemovedFile: a service whose SQLite file is gone says so, instead
// of losing everything at its next start.
func TestHealthOfARemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "customers.db")
	opened, err := openstore.Open(context.Background(), "sqlite:"+path)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, opened.Close()) })
	s, _ := testService(t, opened.Store)
	status, _ := s.send("POST", customersPath, c1)
	require.Equal(t, 200, status)
	require.NoError(t, os.Remove(path))
	status, _ = s.send("POST", customersPath, strings.ReplaceAll(c1, "c-1", "c-2"))
	assert.Equal(t, 503, status)
	require.Eventually(t, func() bool {
		status, _ = s.send("GET", "/healthz", "")
		return status == 503
	}, 10*time.Second, time.Millisecond)
}

// TestBesides: what is beside the API, and that it is in nobody's way.
func TestBesides(t *testing.T) {
	broken := false
	store := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if broken {
			return storagetest.Fault{Err: errors.New("marker-of-the-cause")}
		}
		return storagetest.Fault{}
	})
	s, log := testService(t, store)
	status, body := s.send("GET", "/healthz", "")
	assert.Equal(t, 200, status)
	assert.Equal(t, "ok\n", body)
	broken = true
	status, body = s.send("GET", "/healthz", "")
	assert.Equal(t, 503, status)
	assert.Equal(t, "the store does not answer\n", body)
	broken = false
	for _, path := range []string{"/healthz", "/metrics"} {
		for method, want := range map[string]int{"HEAD": 200, "POST": 405, "DELETE": 405} {
			status, _ = s.send(method, path, "")
			assert.Equal(t, want, status, "%s %s", method, path)
		}
		assert.Contains(t, log.String(), "method=HEAD route="+path+" status=200")
	}
	for _, path := range []string{"/", "//metrics", "/metrics/", "/api/resources/metrics", "/api/resources//customers", "/api/resources/./customers", customersPath + "/a/../b"} {
		status, body = s.send("GET", path, "")
		assert.Equal(t, 404, status, path)
		assert.Contains(t, body, `"success":false`, path)
	}
	for _, name := range []string{"locations", "transactions"} {
		status, _ = s.send("GET", "/api/resources/"+name, "")
		assert.Equal(t, 200, status, name)
	}
}

// TestMetricsOfCalls: calls that the API does not make.
func TestMetricsOfCalls(t *testing.T) {
	s, _ := testService(t, memory.New())
	s.metrics.called(resource.Call{Op: "create", Schema: "customers", DryRun: true, Attempts: 1, Results: map[string]int{"created": 1}})
	s.metrics.called(resource.Call{Op: "create_batch", Schema: "customers", Attempts: 7, Results: map[string]int{"updated": 5, "conflict": 2}})
	assert.Equal(t, []string{
		`resourcekit_attempts_count 0`,
		`resourcekit_call_duration_seconds_count{op="create",schema="customers"} 1`,
		`resourcekit_call_duration_seconds_count{op="create_batch",schema="customers"} 1`,
		`resourcekit_calls_total{class="ok",op="create",schema="customers"} 1`,
		`resourcekit_calls_total{class="ok",op="create_batch",schema="customers"} 1`,
		`resourcekit_failed_writes_total{class="conflict",schema="customers"} 2`,
		`resourcekit_stream_bytes_total 0`, `resourcekit_streams 0`, `resourcekit_streams_total 0`,
		`resourcekit_writes_total{outcome="failed",schema="customers"} 2`,
		`resourcekit_writes_total{outcome="updated",schema="customers"} 5`,
	}, s.ours(t))
}
