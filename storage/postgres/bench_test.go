package postgres_test

import (
	"flag"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/storagetest"
)

var large = flag.Bool("large", false, "run benchmarks with a million records as well")

// BenchmarkStore is the set of benchmarks that is the same for all stores.
func BenchmarkStore(b *testing.B) {
	storagetest.Bench(b, plainStore, sizes()...)
}

// BenchmarkStoreEntries is the same for all stores, too.
func BenchmarkStoreEntries(b *testing.B) { storagetest.BenchEntries(b, plainStore, sizes()...) }

func plainStore(b *testing.B) storage.Store {
	store, _ := newStore(b, postgres.Options{}, nil)
	return store
}

func sizes() []int {
	switch all := []int{1_000, 10_000, 100_000, 1_000_000}; {
	case *large:
		return all
	case testing.Short():
		return all[:2]
	default:
		return all[:3]
	}
}

// BenchmarkGrowth compares 100,000 records with 1,000.
func BenchmarkGrowth(b *testing.B) {
	storagetest.BenchGrowth(b, plainStore, 1_000, 100_000)
}

// BenchmarkWriters is what package coalesce is for: 64 writers, and a pool of 4.
func BenchmarkWriters(b *testing.B) {
	storagetest.BenchWriters(b, func(b *testing.B) storage.Store {
		store, _ := newStore(b, postgres.Options{}, func(cfg *pgxpool.Config) { cfg.MaxConns = 4 })
		return store
	}, func(store storage.Store) storage.Store { return coalesce.New(store.(*postgres.Store)) })
}
