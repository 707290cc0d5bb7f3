//go:build !race

package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHandlerAllocations: an upsert makes at most 14 allocations in the handler, those
// of the collection and the memory store included. It is left out under the race
// detector, which makes sync.Pool drop items at random.
func TestHandlerAllocations(t *testing.T) {
	const own = 2 // the request and its body
	send := upserts(t)
	require.Equal(t, 200, send())
	allocations := testing.AllocsPerRun(1000, func() { send() })
	assert.LessOrEqual(t, allocations-own, 14.0)
}

// TestLookupAllocations: a look-up by a field makes few more allocations than a get: for the
// query, the condition and the page, and none for a cursor that there is not.
func TestLookupAllocations(t *testing.T) {
	s := newService(t, nil)
	s.someone(t, "c-1", "ada", "2024-01-02T03:04:05Z")
	count := func(rest string) float64 {
		request, err := http.NewRequest("GET", "https://example.com"+route+rest, nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer acme")
		w := &discard{header: http.Header{}}
		return testing.AllocsPerRun(1000, func() {
			r := *request
			clear(w.header)
			s.handler.ServeHTTP(w, &r)
			require.Equal(t, 200, w.status)
		})
	}
	get, lookup := count("/c-1"), count("?filter[email]=ada@example.com")
	assert.LessOrEqual(t, lookup-get, 15.0, "%v and %v", get, lookup)
}
