//go:build !race

package merge_test

import (
	"testing"

	"example.com/resourcekit/merge"

	"github.com/stretchr/testify/assert"
)

// TestAllocations holds the promises of Append and Patch. It is left out under
// the race detector, which makes sync.Pool drop items at random.
func TestAllocations(t *testing.T) {
	target := []byte(`{"customerId":"c-1","email":"a@example.com","firstName":"Ada","address":{"city":"London"},"tags":["x"]}`)
	patch := []byte(`{"email":"b@example.com","firstName":"Ada","address":{"zip":"N1","city":null},"tags":["y"],"new":1}`)
	dst := make([]byte, 0, len(target)+len(patch))
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if _, err := merge.Append(dst, target, patch); err != nil {
			t.Error(err)
		}
	}), "Append into a buffer with room")
	assert.Equal(t, 1.0, testing.AllocsPerRun(1000, func() {
		if _, err := merge.Patch(target, patch); err != nil {
			t.Error(err)
		}
	}), "Patch")
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		if merge.Equal(target, patch) {
			t.Error("equal")
		}
	}), "Equal")
}
