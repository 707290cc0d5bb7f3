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
	sizes := []int{1_000, 10_000, 100_000}
	if *large {
		sizes = append(sizes, 1_000_000)
	}
	storagetest.Bench(b, newStore, sizes...)
}

// BenchmarkGrowth sets 100,000 records against 1,000.
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

// BenchmarkCoalescing is what the writer is for: 16 goroutines that upsert
// different records with synchronous=FULL, through the store, and the same with
// a transaction for each upsert, both in one run. Each has a second per round.
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

// inTransactions is the plain way: BEGIN IMMEDIATE, read, update, COMMIT. On one
// connection, for which the goroutines wait in Go: with one for each of them
// they would wait in SQLite's pauses, which is much slower still.
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

// BenchmarkEntries measures writes with entries and with a note, and look-ups, as ratios
// to those without, all in one run: the cases take turns, with synchronous=FULL.
func BenchmarkEntries(b *testing.B) {
	sizes := []int{1_000, 100_000}
	if *large {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchEntries(b, size) })
	}
}

func benchEntries(b *testing.B, size int) {
	ctx, store := context.Background(), newStore(b).(*sqlite.Store)
	defer store.Close()
	revisions := make([]storage.Revision, size)
	entries := func(i, moved int) []storage.Entry {
		return []storage.Entry{
			{Index: 1, Value: fmt.Appendf(nil, "customer-%d-%d@example.com", i, moved), Unique: true},
			{Index: 2, Value: fmt.Appendf(nil, "2025-03-01T12:%07d", i*7919%size)},
		}
	}
	write := func(i int, w storage.Write) storage.Write {
		w.Expect = revisions[i]
		revisions[i] = storage.NextRevision(w.Expect)
		w.Record = storage.Record{Key: benchKey(i), Revision: revisions[i], Data: make([]byte, 400)}
		return w
	}
	// One half of the records has entries.
	withEntries := func() int { return rand.IntN(size/2) * 2 }
	for i := 0; i < size; {
		var writes []storage.Write
		for ; i < size && len(writes) < 1000; i++ {
			w := storage.Write{}
			if i%2 == 0 {
				w.Entries = entries(i, 0)
			}
			writes = append(writes, write(i, w))
		}
		if errs, err := store.Write(ctx, writes); err != nil || errs != nil {
			b.Fatal(err, errs)
		}
	}
	one := func(w storage.Write) {
		if errs, err := store.Write(ctx, []storage.Write{w}); err != nil || errs != nil {
			b.Fatal(err, errs)
		}
	}
	moves := make([]int, size)
	cases := []struct {
		name  string
		calls int
		call  func()
	}{
		{"write", 100, func() { one(write(withEntries()+1, storage.Write{})) }},
		{"unmoved", 100, func() { i := withEntries(); one(write(i, storage.Write{Entries: entries(i, moves[i])})) }},
		{"moved", 100, func() {
			i := withEntries()
			moves[i]++
			one(write(i, storage.Write{Entries: entries(i, moves[i])}))
		}},
		{"logged", 100, func() {
			one(write(withEntries()+1, storage.Write{Note: &storage.Note{Time: time.Now(), Actor: "bench"}}))
		}},
		{"get", 1000, func() {
			if _, err := store.Get(ctx, benchKey(withEntries())); err != nil {
				b.Fatal(err)
			}
		}},
		{"lookup", 1000, func() {
			i := withEntries()
			value := entries(i, moves[i])[0].Value
			page, err := store.Lookup(ctx, scope, 1, storage.Range{From: value, To: append(value[:len(value):len(value)], 0), Limit: 1})
			if err != nil || len(page.Records) != 1 {
				b.Fatal(err, page)
			}
		}},
		{"list", 20, func() {
			r := storage.Range{Limit: 100, After: storage.Position{ExternalID: benchKey(rand.IntN(size)).ExternalID}}
			if _, err := store.List(ctx, scope, r); err != nil {
				b.Fatal(err)
			}
		}},
		{"lookup100", 20, func() {
			r := storage.Range{Limit: 100, From: entries(rand.IntN(size), 0)[1].Value}
			if _, err := store.Lookup(ctx, scope, 2, r); err != nil {
				b.Fatal(err)
			}
		}},
	}
	took := make([]time.Duration, len(cases))
	for b.Loop() {
		for i, c := range cases {
			start := time.Now()
			for range c.calls {
				c.call()
			}
			took[i] += time.Since(start)
		}
	}
	per := make(map[string]float64)
	for i, c := range cases {
		per[c.name] = float64(took[i].Nanoseconds()) / float64(c.calls*b.N)
		b.ReportMetric(per[c.name]/1000, c.name+"-us")
	}
	for _, ratio := range [][2]string{{"unmoved", "write"}, {"moved", "write"}, {"logged", "write"}, {"lookup", "get"}, {"lookup100", "list"}} {
		b.ReportMetric(per[ratio[0]]/per[ratio[1]], ratio[0]+"/"+ratio[1])
	}
	b.ReportMetric(0, "ns/op")
}
