package resource_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/tidwall/gjson"
)

var million = flag.Bool("million", false, "run the benchmarks with 1,000,000 resources as well")

// benchSizes are how many customers there are. A thousand fit in the caches, a
// million do not.
func benchSizes() []int {
	if *million {
		return []int{1_000, 1_000_000}
	}
	return []int{1_000}
}

func benchID(i int) string { return fmt.Sprintf("cus_%08d", i) }

// benchCustomer is a customer of about 350 bytes, benchPatch a patch of 120.
func benchCustomer(i int) []byte {
	return fmt.Appendf(nil, `{"customerId":"%s","email":"customer.%d@mail.example.com","phone":"+1 555 %07d","firstName":"First%d","lastName":"Lastname-%d",`+
		`"emailOptOut":%v,"smsOptOut":%v,"customerDetailUrl":"https://crm.example.com/businesses/42/customers/%d?tab=details&source=import","createdAt":"2024-05-%02dT10:%02d:00.%03dZ"}`,
		benchID(i), i, i, i%97, i%89, i%2 == 0, i%3 == 0, i, 1+i%28, i%60, i%1000)
}

func benchPatch(i, round int) []byte {
	return fmt.Appendf(nil, `{"customerId":"%s","email":"new.%d.%d@mail.example.com","phone":"+1 555 %07d","smsOptOut":%v}`,
		benchID(i), i, round, i+round, (i+round)%2 == 0)
}

func benchCollection(b *testing.B, n int) *resource.Collection {
	c := open(b, schema.Customers(), memory.New(), nil)
	for i := range n {
		if _, err := c.Create(ctx, tenant, benchCustomer(i), nil); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// benchRequests are patches for at least 512 customers in an order that no
// cache foresees, for each customer more than one, so that each one changes it.
func benchRequests(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	order := random.Perm(n)
	if len(order) > 1<<14 {
		order = order[:1<<14]
	}
	var list [][]byte
	for round := range 2 {
		for _, i := range order {
			list = append(list, benchPatch(i, round))
		}
	}
	return list
}

// BenchmarkCreateExisting stands for the usual day: a partial upsert of a
// customer that is there, everything included.
func BenchmarkCreateExisting(b *testing.B) {
	for _, n := range benchSizes() {
		b.Run(fmt.Sprintf("resources=%d", n), func(b *testing.B) {
			c, requests := benchCollection(b, n), benchRequests(n)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				res, err := c.Create(ctx, tenant, requests[i%len(requests)], nil)
				if err != nil || res.Outcome != resource.Updated {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkCreateUnchanged is the same for a client that sends again what it
// sent before.
func BenchmarkCreateUnchanged(b *testing.B) {
	const n = 1000
	c := benchCollection(b, n)
	requests := make([][]byte, n)
	for i := range requests {
		requests[i] = benchCustomer(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		res, err := c.Create(ctx, tenant, requests[i%n], nil)
		if err != nil || res.Outcome != resource.Unchanged {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkCreateNew inserts customers into a store that grows.
func BenchmarkCreateNew(b *testing.B) {
	c := benchCollection(b, 0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		b.StopTimer()
		data := benchCustomer(i)
		b.StartTimer()
		if _, err := c.Create(ctx, tenant, data, nil); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkV is the yardstick: gjson.ValidBytes over the inputs of
// BenchmarkCreateExisting, request and stored document.
func BenchmarkV(b *testing.B) {
	const n = 1000
	requests := benchRequests(n)
	docs := make([][]byte, n)
	for i := range docs {
		docs[i] = benchCustomer(i)
	}
	i := 0
	for b.Loop() {
		if !gjson.ValidBytes(requests[i%len(requests)]) || !gjson.ValidBytes(docs[i%n]) {
			b.Fatal("not valid")
		}
		i++
	}
}

// BenchmarkGet reads one customer of many.
func BenchmarkGet(b *testing.B) {
	for _, n := range benchSizes() {
		b.Run(fmt.Sprintf("resources=%d", n), func(b *testing.B) {
			c := benchCollection(b, n)
			ids := make([]string, 0, 1<<14)
			for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n)[:min(n, cap(ids))] {
				ids = append(ids, benchID(i))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := c.Get(ctx, tenant, ids[i%len(ids)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkAppendJSON shapes resources into one buffer.
func BenchmarkAppendJSON(b *testing.B) {
	const n = 1000
	c := benchCollection(b, n)
	list := make([]*resource.Resource, n)
	for i := range list {
		var err error
		if list[i], err = c.Get(ctx, tenant, benchID(i)); err != nil {
			b.Fatal(err)
		}
	}
	for name, opts := range map[string]*resource.ShapeOptions{"full": nil, "without deprecated": {OmitDeprecated: true}} {
		b.Run(name, func(b *testing.B) {
			buf := make([]byte, 0, 4096)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				buf = list[i%n].AppendJSON(buf[:0], opts)
				i++
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkHotKey has 16 goroutines write one customer: in one collection,
// where they queue, and in two, where they collide as two processes would.
func BenchmarkHotKey(b *testing.B) {
	const goroutines = 16
	for _, n := range []int{1, 2} {
		b.Run(fmt.Sprintf("collections=%d", n), func(b *testing.B) {
			store := storage.Store(memory.New())
			all := collections(b, n, schema.Customers(), store)
			if _, err := all[0].Create(ctx, tenant, benchCustomer(0), nil); err != nil {
				b.Fatal(err)
			}
			requests := make([][]byte, 1024)
			for i := range requests {
				requests[i] = benchPatch(0, i)
			}
			b.SetParallelism((goroutines + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			b.ReportAllocs()
			var who atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				me := int(who.Add(1))
				for i := me; pb.Next(); i += goroutines {
					if _, err := all[me%n].Create(ctx, tenant, requests[i%len(requests)], nil); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkBatch sets a batch of 1000 upserts beside 1000 single ones, of the
// same customers; ratio is how much longer the batch takes.
func BenchmarkBatch(b *testing.B) {
	const n = 1000
	for _, size := range benchSizes() {
		b.Run(fmt.Sprintf("resources=%d", size), func(b *testing.B) {
			c, requests := benchCollection(b, size), benchRequests(size)
			rounds := len(requests) / n // an even number
			var single, batch time.Duration
			for i := 0; b.Loop(); i++ {
				of := requests[2*i%rounds*n:][:n]
				start := time.Now()
				for _, request := range of {
					if _, err := c.Create(ctx, tenant, request, nil); err != nil {
						b.Fatal(err)
					}
				}
				middle := time.Now()
				// Others, so that each changes something too.
				of = requests[(2*i+1)%rounds*n:][:n]
				res, err := c.CreateBatch(ctx, tenant, of, nil)
				if err != nil || counted(res).Failed > 0 {
					b.Fatal(err, counted(res).Failed)
				}
				single, batch = single+middle.Sub(start), batch+time.Since(middle)
			}
			b.ReportMetric(float64(single.Nanoseconds())/float64(b.N*n), "ns/single")
			b.ReportMetric(float64(batch.Nanoseconds())/float64(b.N*n), "ns/item")
			b.ReportMetric(float64(batch)/float64(single), "ratio")
		})
	}
}
