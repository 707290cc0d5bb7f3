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

// BenchmarkGrowth compares 100,000 records with 1,000.
func BenchmarkGrowth(b *testing.B) {
	storagetest.BenchGrowth(b, func(b *testing.B) storage.Store {
		store, _ := newStore(b, postgres.Options{}, nil)
		return store
	}, 1_000, 100_000)
}
