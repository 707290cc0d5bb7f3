package sqlite_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/sqlite"
	"example.com/resourcekit/storage/storagetest"
)

var large = flag.Bool("large", false, "benchmark a million records as well")

func BenchmarkStore(b *testing.B) {
	storagetest.Bench(b, newStore, sizes()...)
}

func sizes() []int {
	sizes := []int{1_000, 10_000, 100_000}
	if *large {
		sizes = append(sizes, 1_000_000)
	}
	return sizes
}

// BenchmarkEntries measures entries and the log, as ratios to writes and reads without.
func BenchmarkEntries(b *testing.B) {
	storagetest.BenchEntries(b, newStore, sizes()...)
}

// BenchmarkGrowth compares 100,000 records with 1,000.
func BenchmarkGrowth(b *testing.B) {
	storagetest.BenchGrowth(b, newStore, 1_000, 100_000)
}

// BenchmarkWriters shows what package coalesce adds to the writer of the store: nothing.
func BenchmarkWriters(b *testing.B) {
	storagetest.BenchWriters(b, newStore, func(store storage.Store) storage.Store { return coalesce.New(store) })
}

func newStore(b *testing.B) storage.Store {
	store, err := sqlite.Open(context.Background(), filepath.Join(b.TempDir(), "records.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// BenchmarkCoalescing measures the purpose of the writer: 16 goroutines that upsert
// different records with synchronous=FULL, through the store, and with a transaction for
// each upsert, both in one run. Each has a second per round.
func BenchmarkCoalescing(b *testing.B) {
	const rounds, records = 3, 10_000
	var rates [2]float64
	for b.Loop() {
		for range rounds {
			for i, upsert := range []func(key storage.Key) error{throughStore(b, records), inTransactions(b, records)} {
				rates[i] += perSecond(b, records, upsert)
			}
		}
	}
	n := float64(b.N * rounds)
	b.ReportMetric(rates[0]/n, "store/s")
	b.ReportMetric(rates[1]/n, "own-transactions/s")
	b.ReportMetric(rates[0]/rates[1], "ratio")
	b.ReportMetric(0, "ns/op")
}

func benchKey(i int) storage.Key { return key(fmt.Sprintf("customer-%09d", i)) }

// perSecond runs upserts on 16 goroutines for a second and returns how many
// there were.
func perSecond(b *testing.B, records int, upsert func(storage.Key) error) float64 {
	var done atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 16 {
		wg.Go(func() {
			for time.Since(start) < time.Second {
				if err := upsert(benchKey(rand.IntN(records))); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}

func filled(b *testing.B, records int) (path string, store *sqlite.Store) {
	path = filepath.Join(b.TempDir(), "records.db")
	store = open(b, path, nil)
	for i := 0; i < records; i += 1000 {
		var writes []storage.Write
		for j := range 1000 {
			rec := storage.Record{Key: benchKey(i + j), Revision: storage.NextRevision(0), Data: make([]byte, 400)}
			writes = append(writes, storage.Write{Record: rec})
		}
		if _, err := store.Write(context.Background(), writes); err != nil {
			b.Fatal(err)
		}
	}
	return path, store
}

func throughStore(b *testing.B, records int) func(storage.Key) error {
	_, store := filled(b, records)
	return func(k storage.Key) error {
		_, err := storage.Update(context.Background(), store, k, func(old storage.Record) (storage.Record, error) {
			return storage.Record{Data: append([]byte(nil), old.Data...)}, nil
		})
		return err
	}
}

// inTransactions is the plain way: BEGIN IMMEDIATE, read, update, COMMIT, on one connection
// for which the goroutines wait in Go. With a connection for each of them they would wait
// in SQLite's pauses, which is much slower.
func inTransactions(b *testing.B, records int) func(storage.Key) error {
	path, store := filled(b, records)
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", path+"?_txlock=immediate&_busy_timeout=10000&_synchronous=FULL"+
		"&_pragma=cache_size(-8192)&_pragma=mmap_size(1073741824)&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	const where = " WHERE platform = ? AND business = ? AND schema = ? AND external_id = ?"
	read, err := db.Prepare("SELECT revision, data FROM records" + where)
	if err != nil {
		b.Fatal(err)
	}
	write, err := db.Prepare("UPDATE records SET data = ?, revision = revision + 1" + where + " AND revision = ?")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = read.Close(), write.Close() })
	return func(k storage.Key) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		var revision int64
		var data []byte
		platform, business, schema := k.Tenant.Platform[:], k.Tenant.Business[:], k.Schema[:]
		if err := tx.Stmt(read).QueryRow(platform, business, schema, k.ExternalID).Scan(&revision, &data); err != nil {
			return err
		}
		if _, err := tx.Stmt(write).Exec(data, platform, business, schema, k.ExternalID, revision); err != nil {
			return err
		}
		return tx.Commit()
	}
}
