package changes_test

import (
	"context"
	"fmt"
	"testing"

	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage/memory"
)

// A change through a consumer whose handler does nothing, beside the store.
func BenchmarkConsume(b *testing.B) {
	for _, concurrency := range []int{1, 8} {
		b.Run(fmt.Sprint(concurrency), func(b *testing.B) {
			store := memory.New()
			for range 100_000 {
				write(b, store, scope(1))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; {
				ctx, cancel := context.WithCancel(context.Background())
				n := make(chan struct{}, min(left, 100_000)) // handlers may run at once
				_ = changes.Consume(ctx, store, fmt.Sprint(left), func(context.Context, changes.Event) error {
					select {
					case n <- struct{}{}:
					default:
						cancel()
					}
					if len(n) == cap(n) {
						cancel()
					}
					return nil
				}, &changes.Options{Concurrency: concurrency})
				left -= cap(n)
			}
		})
	}
}
