package httpapi_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/require"
)

// upserts returns a func that sends one POST by which a field of a customer changes,
// over the memory store and without a network: what is left is the handler's work.
func upserts(t testing.TB) (send func() (status int)) {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	api, err := httpapi.NewAPI(httpapi.Hooks{
		Authenticate:  func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{Tenant: acme}, nil },
		ResolveTenant: func(_ context.Context, p httpapi.Principal, _ string) (storage.Tenant, error) { return p.Tenant, nil },
	}, nil, customers)
	require.NoError(t, err)
	var bodies [2]string
	for i := range bodies {
		bodies[i] = customer("c-1", `,"phone":"555-010`+string(rune('0'+i))+`"`)
	}
	request, err := http.NewRequest("POST", "https://example.com"+route, nil)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer secret")
	request.Header.Set("Reach-Tenant-Id", "acme")
	body, w, n := new(strings.Reader), &discard{header: http.Header{}}, 0
	return func() int {
		r := *request
		body.Reset(bodies[n%2])
		n++
		r.Body, r.ContentLength = io.NopCloser(body), body.Size()
		clear(w.header)
		api.ServeHTTP(w, &r)
		return w.status
	}
}

// discard is a response writer that keeps the status. As a server's, it has deadlines.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header              { return d.header }
func (d *discard) WriteHeader(status int)           { d.status = status }
func (d *discard) Write(b []byte) (int, error)      { return len(b), nil }
func (d *discard) SetReadDeadline(time.Time) error  { return nil }
func (d *discard) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkHandler is what the ready handler adds to a server for an upsert.
func BenchmarkHandler(b *testing.B) {
	send := upserts(b)
	send()
	b.ReportAllocs()
	for b.Loop() {
		if status := send(); status != 200 {
			b.Fatal(status)
		}
	}
}
