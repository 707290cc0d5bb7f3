package memory_test

import (
	"flag"
	"testing"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"
)

var large = flag.Bool("large", false, "benchmark a million records as well")

// BenchmarkStore compares sizes: what grows from 1,000 to 1,000,000 records is
// mostly the price of cache misses.
func BenchmarkStore(b *testing.B) {
	storagetest.Bench(b, newStore, sizes()...)
}

// BenchmarkEntries compares writes and reads with those without entries and log.
func BenchmarkEntries(b *testing.B) { storagetest.BenchEntries(b, newStore, sizes()...) }

func newStore(*testing.B) storage.Store { return memory.New() }

func sizes() []int {
	if *large {
		return []int{1_000, 10_000, 100_000, 1_000_000}
	}
	return []int{1_000, 10_000, 100_000}
}

// BenchmarkGrowth sets 100,000 records against 1,000.
func BenchmarkGrowth(b *testing.B) {
	storagetest.BenchGrowth(b, newStore, 1_000, 100_000)
}
