package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// Bench measures a store as a service uses it, for each of the sizes (1000 if there are
// none): the number of records in the one scope that is used. Records have 400 bytes of
// data, have all been read once, and are picked at random.
//
//   - get: one record.
//   - upsert: a change by Update, of other records than get had. On a store that
//     remembers records (storage.Recaller) it begins with a read where the record is
//     not remembered.
//   - parallel-upsert: upsert on as many goroutines as there are processors.
//   - hot-key-16: upsert of one and the same record on 16 goroutines; max-ms is the
//     time of the slowest.
//   - create: a new record. (They are deleted while the clock stands still, so that the
//     size stays.)
//   - batch1000: GetMany and Write of 1000 records, or all if there are fewer; ns/record
//     is for one of them.
//   - page100: a page of 100 records from a random cursor.
//
// A durable store does not always write to the disk when it is told to: compare
// contenders in one run, and ratios between machines.
func Bench(b *testing.B, newStore func(b *testing.B) storage.Store, sizes ...int) {
	if len(sizes) == 0 {
		sizes = []int{1000}
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			store := newStore(b)
			defer store.Close()
			newBench(b, store, size).run(b)
		})
	}
}

type bench struct {
	ctx   context.Context
	store storage.Store
	keys  []storage.Key
	fresh []storage.Key // not stored, spread over the others
	data  []byte
	now   time.Time
}

func newBench(b *testing.B, store storage.Store, size int) *bench {
	bn := &bench{
		ctx:   context.Background(),
		store: store,
		keys:  make([]storage.Key, size),
		fresh: make([]storage.Key, 1024),
		data:  make([]byte, 400),
		now:   time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	scope := storage.Scope{Tenant: storage.TenantOf("bench", "bench"), Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001")}
	for i := range bn.fresh {
		id := fmt.Sprintf("customer-%09d-new", i*size/len(bn.fresh))
		bn.fresh[i] = storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: fmt.Sprintf("%s-%d", id, i)}
	}
	writes := make([]storage.Write, 0, storage.MaxBatch)
	for i, n := range shuffled(size) {
		key := storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: fmt.Sprintf("customer-%09d", n)}
		bn.keys[i] = key
		writes = append(writes, putOf(bn.record(key), 0))
		if len(writes) == storage.MaxBatch || i == size-1 {
			bn.write(b, writes)
			writes = writes[:0]
		}
	}
	// Read everything once: this measures a store in use, not its start.
	for r := (storage.Range{Limit: storage.MaxPage}); ; {
		page, err := store.List(bn.ctx, scope, r)
		if err != nil {
			b.Fatal(err)
		}
		if r.After = page.Next; r.After.IsZero() {
			return bn
		}
	}
}

// write makes the writes, all of which must be applied.
func (bn *bench) write(b *testing.B, writes []storage.Write) {
	errs, err := bn.store.Write(bn.ctx, writes)
	if err = errors.Join(err, errors.Join(errs...)); err != nil {
		b.Fatal(err)
	}
}

// shuffled returns the numbers below n in an order that is always the same.
func shuffled(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	newRand(1).Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

func (bn *bench) record(key storage.Key) storage.Record {
	data := append([]byte(nil), bn.data...) // each has memory of its own, as in life
	return storage.Record{Key: key, ID: uuid.Max, CreatedAt: bn.now, UpdatedAt: bn.now, Data: data}
}

// key returns another key for each i, in no order.
func (bn *bench) key(i int) storage.Key {
	return bn.keys[uint64(i)*0x9E3779B97F4A7C15>>20%uint64(len(bn.keys))]
}

// upsert writes a record as it was read.
func (bn *bench) upsert(key storage.Key) error {
	_, err := storage.Update(bn.ctx, bn.store, key, func(old storage.Record) (storage.Record, error) { return old, nil })
	return err
}

func (bn *bench) run(b *testing.B) {
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := bn.store.Get(bn.ctx, bn.key(i)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("upsert", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if err := bn.upsert(bn.key(i + 1<<30)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel-upsert", func(b *testing.B) {
		b.ReportAllocs()
		var seed atomic.Uint64 // another one for each goroutine
		b.RunParallel(func(pb *testing.PB) {
			random := newRand(seed.Add(1))
			for pb.Next() {
				if err := bn.upsert(bn.key(random.IntN(1 << 30))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
	b.Run("hot-key-16", bn.hotKey)
	b.Run("create", bn.create)
	b.Run("batch1000", bn.batch)
	b.Run("page100", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			key := bn.key(i)
			if _, err := bn.store.List(bn.ctx, key.Scope(), after(key.ExternalID, 100)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func (bn *bench) hotKey(b *testing.B) {
	var done, slowest atomic.Int64
	err := inParallel(16, func(int) error {
		for done.Add(1) <= int64(b.N) {
			start := time.Now()
			if err := bn.upsert(bn.keys[0]); err != nil {
				return err
			}
			for took := int64(time.Since(start)); ; {
				if old := slowest.Load(); took <= old || slowest.CompareAndSwap(old, took) {
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(slowest.Load())/1e6, "max-ms")
}

func (bn *bench) create(b *testing.B) {
	b.ReportAllocs()
	var made []storage.Record
	remove := func() {
		for _, rec := range made {
			if err := storage.Delete(bn.ctx, bn.store, rec.Key, rec.Revision); err != nil {
				b.Fatal(err)
			}
		}
		made = made[:0]
	}
	for b.Loop() {
		rec := bn.record(bn.fresh[len(made)])
		rev, err := storage.Put(bn.ctx, bn.store, rec, 0)
		if err != nil {
			b.Fatal(err)
		}
		rec.Revision = rev
		if made = append(made, rec); len(made) == len(bn.fresh) {
			b.StopTimer()
			remove()
			b.StartTimer()
		}
	}
	b.StopTimer()
	remove()
}

func (bn *bench) batch(b *testing.B) {
	b.ReportAllocs()
	n := min(storage.MaxBatch, len(bn.keys))
	keys := make([]storage.Key, n)
	writes := make([]storage.Write, n)
	for i := 0; b.Loop(); i++ {
		copy(keys, bn.keys[i*n%(len(bn.keys)-n+1):])
		records, err := bn.store.GetMany(bn.ctx, keys)
		if err != nil {
			b.Fatal(err)
		}
		for i, rec := range records {
			writes[i] = putOf(rec, rec.Revision)
		}
		bn.write(b, writes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
}
