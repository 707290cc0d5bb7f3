package storagetest

import (
	"slices"
	"testing"
	"time"

	"example.com/resourcekit/storage"
)

// BenchGrowth measures how much more a call for one key costs among many records than
// among few. The two stores take turns, so that a disturbance meets both: "ratio" is that
// of the medians of single calls.
func BenchGrowth(b *testing.B, newStore func(b *testing.B) storage.Store, few, many int) {
	sizes := []int{few, many}
	benches := make([]*bench, len(sizes))
	for i, size := range sizes {
		store := newStore(b)
		defer store.Close()
		benches[i] = newBench(b, store, size)
	}
	for _, op := range []struct {
		name string
		do   func(bn *bench, i int) error
	}{
		{"get", func(bn *bench, i int) error {
			_, err := bn.store.Get(bn.ctx, bn.key(i))
			return err
		}},
		{"upsert", func(bn *bench, i int) error { return bn.upsert(bn.key(i)) }},
	} {
		b.Run(op.name, func(b *testing.B) {
			medians := takeTurns(b, func(i int) error { return op.do(benches[0], i) }, func(i int) error { return op.do(benches[1], i) })
			b.ReportMetric(0, "ns/op") // of both together
			b.ReportMetric(medians[0], "few-us")
			b.ReportMetric(medians[1], "many-us")
			b.ReportMetric(medians[1]/medians[0], "ratio")
		})
	}
}

// takeTurns calls two operations by turns, with another number each time, and returns the
// medians of their times in microseconds.
func takeTurns(b *testing.B, first, second func(i int) error) (medians [2]float64) {
	const turn = 20
	var times [2][]float64
	n := 0
	for b.Loop() {
		for k, op := range []func(i int) error{first, second} {
			for range turn {
				start := time.Now()
				if err := op(n); err != nil {
					b.Fatal(err)
				}
				times[k] = append(times[k], float64(time.Since(start).Nanoseconds())/1e3)
				n++
			}
		}
	}
	for k := range times {
		slices.Sort(times[k])
		medians[k] = times[k][len(times[k])/2]
	}
	return medians
}
