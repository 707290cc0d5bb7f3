package postgres_test

import (
	"flag"
	"testing"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/storagetest"
)

var large = flag.Bool("large", false, "run benchmarks with a million records as well")

// BenchmarkStore is the set of benchmarks that is the same for all stores.
func BenchmarkStore(b *testing.B) {
	sizes := []int{1_000, 10_000, 100_000}
	if testing.Short() {
		sizes = sizes[:2]
	}
	if *large {
		sizes = append(sizes, 1_000_000)
	}
	storagetest.Bench(b, func(b *testing.B) storage.Store {
		store, _ := newStore(b, postgres.Options{}, nil)
		return store
	}, sizes...)
}

// BenchmarkGrowth sets 100,000 records against 1,000: on a store that reads before
// each write, and on one that remembers all of the few and a sixth of the many.
func BenchmarkGrowth(b *testing.B) {
	for _, remember := range []int{-1, 0} {
		name := map[int]string{-1: "read-first", 0: "remember"}[remember]
		b.Run(name, func(b *testing.B) {
			storagetest.BenchGrowth(b, func(b *testing.B) storage.Store {
				store, _ := newStore(b, postgres.Options{Remember: remember}, nil)
				return store
			}, 1_000, 100_000)
		})
	}
}
