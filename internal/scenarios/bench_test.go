package scenarios_test

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

var large = flag.Bool("large", false, "page through 1,000,000 customers in place of 10,000")

// batchSize is how many writes are compared: the largest batch of a collection.
const batchSize = 1000

// BenchmarkBatchAgainstSingle compares one batch of 1000 upserts with 1000 single
// calls, one after the other, on the same customers. Both are made in each round,
// in an order that alternates, and each write is a change; their requests are
// made beforehand. It reports the medians, and how many times faster the batch is.
// Collecting garbage is part of both: a collection before each of them would give
// the memory back that a batch reuses.
//
//	go test -run - -bench BatchAgainstSingle -benchtime 5x
func BenchmarkBatchAgainstSingle(b *testing.B) {
	for _, store := range stores {
		b.Run(store.name, func(b *testing.B) {
			c := newCollection(b, schema.Customers(), store.open(b), nil)
			fill(b, c, batchSize)
			var singles, batches []time.Duration
			n := 0
			upserts := func() [][]byte {
				n++
				requests := make([][]byte, batchSize)
				for i := range requests {
					requests[i] = fmt.Appendf(nil, `{"customerId":"%s","email":"new.%d.%d@mail.example.com","phone":"+1 555 %07d"}`, benchID(i), i, n, n)
				}
				return requests
			}
			single := func(requests [][]byte) {
				begin := time.Now()
				for _, request := range requests {
					r, err := c.Create(ctx, everybody, request, nil)
					if err != nil || r.Outcome != resource.Updated {
						b.Fatal(r, err)
					}
				}
				singles = append(singles, time.Since(begin))
			}
			batch := func(requests [][]byte) {
				begin := time.Now()
				r, err := c.CreateBatch(ctx, everybody, requests, nil)
				if err != nil || countOf(r, resource.Updated) != batchSize {
					b.Fatal(countOf(r, resource.Updated), err)
				}
				batches = append(batches, time.Since(begin))
			}
			for round := 0; b.Loop(); round++ {
				b.StopTimer()
				one, many := upserts(), upserts()
				b.StartTimer()
				if round%2 == 0 {
					single(one)
					batch(many)
				} else {
					batch(many)
					single(one)
				}
			}
			s, m := median(singles), median(batches)
			b.ReportMetric(float64(s)/batchSize, "single-ns/write")
			b.ReportMetric(float64(m)/batchSize, "batch-ns/write")
			b.ReportMetric(float64(s)/float64(m), "times-faster")
		})
	}
}

// BenchmarkPaging goes through many customers by pages of 100. It reports what a
// page costs in the first and in the last tenth of the way, as the median, and how
// much the heap grew at most in between: what is left of it after a garbage
// collection, measured at each tenth.
//
//	go test -run - -bench Paging -benchtime 1x -large -timeout 1h
func BenchmarkPaging(b *testing.B) {
	n := 10_000
	if *large {
		n = 1_000_000
	}
	const page = 100
	for _, store := range stores[:2] { // a million rows over a socket measure the socket
		b.Run(fmt.Sprintf("%s/%d", store.name, n), func(b *testing.B) {
			c := newCollection(b, schema.Customers(), store.open(b), nil)
			fill(b, c, n)
			var first, last []time.Duration
			var growth uint64
			for b.Loop() {
				b.StopTimer()
				before := heap()
				b.StartTimer()
				cursor, found := "", 0
				for i := 0; ; i++ {
					if tenth := n / page / 10; i > 0 && i%tenth == 0 {
						b.StopTimer()
						if now := heap(); now > before {
							growth = max(growth, now-before)
						}
						b.StartTimer()
					}
					begin := time.Now()
					p, err := c.List(ctx, everybody, &resource.ListOptions{Cursor: cursor, Limit: page})
					took := time.Since(begin)
					require.NoError(b, err)
					switch i * 10 / (n / page) {
					case 0:
						first = append(first, took)
					case 9:
						last = append(last, took)
					}
					found += len(p.Resources)
					if cursor = p.Next; cursor == "" {
						break
					}
				}
				require.Equal(b, n, found)
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N*n/page), "ns/page")
			b.ReportMetric(float64(median(first)), "first-ns/page")
			b.ReportMetric(float64(median(last)), "last-ns/page")
			b.ReportMetric(float64(growth), "heap-growth-B")
		})
	}
}

// heap returns how many bytes are in use after a garbage collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}

func benchID(i int) string { return fmt.Sprintf("cus_%08d", i) }

// fill creates customers of about 350 bytes, in batches.
func fill(b *testing.B, c *resource.Collection, n int) {
	b.Helper()
	for i := 0; i < n; i += batchSize {
		documents := make([][]byte, min(batchSize, n-i))
		for j := range documents {
			k := i + j
			documents[j] = fmt.Appendf(nil, `{"customerId":"%s","email":"customer.%d@mail.example.com","phone":"+1 555 %07d","firstName":"First%d","lastName":"Lastname-%d",`+
				`"emailOptOut":%v,"smsOptOut":%v,"customerDetailUrl":"https://crm.example.com/businesses/42/customers/%d?tab=details&source=import","createdAt":"2024-05-%02dT10:%02d:00.%03dZ"}`,
				benchID(k), k, k, k%97, k%89, k%2 == 0, k%3 == 0, k, 1+k%28, k%60, k%1000)
		}
		r, err := c.CreateBatch(ctx, everybody, documents, nil)
		require.NoError(b, err)
		require.Equal(b, len(documents), countOf(r, resource.Created))
	}
}

// countOf returns how many items had the outcome.
func countOf(items []resource.ItemResult, outcome resource.Outcome) (n int) {
	for _, item := range items {
		if item.Err == nil && item.Result.Outcome == outcome {
			n++
		}
	}
	return n
}
