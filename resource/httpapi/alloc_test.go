//go:build !race

package httpapi_test

import (
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
