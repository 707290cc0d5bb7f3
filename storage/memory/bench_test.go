package memory_test

import (
	"testing"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"
)

// BenchmarkStore compares sizes: what grows from 1,000 to 1,000,000 records is
// mostly the price of cache misses. -short leaves the million out, which
// takes some seconds to build.
func BenchmarkStore(b *testing.B) {
	sizes := []int{1_000, 100_000, 1_000_000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	storagetest.Bench(b, func(*testing.B) storage.Store { return memory.New() }, sizes...)
}
