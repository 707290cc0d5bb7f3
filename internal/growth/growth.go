// Package growth tells in tests how the memory that work takes grows with the size of
// what is worked on. Memory can be counted where time cannot: work that grows with the
// product of two sizes mostly copies something again and again.
package growth

import "runtime"

// Steps is how many times larger the larger size of Factor is. Linear work takes so
// many times the memory, quadratic work the square of it.
const Steps = 8

// Limit is a factor that tells the two apart, with room for what slices grow by and
// for what is pooled.
const Limit = 3 * Steps

// Factor returns how many times as many bytes, or allocations if that is more, the work
// of size Steps*n takes as that of size n. prepare returns the work, and is not counted.
func Factor(n int, prepare func(n int) (work func())) float64 {
	smallBytes, smallCount := least(prepare(n))
	largeBytes, largeCount := least(prepare(Steps * n))
	// The small one may have found all that it needs in a pool.
	return max(largeBytes/max(smallBytes, 1024, float64(128*n)), largeCount/max(smallCount, 16))
}

// least returns the fewest bytes and allocations of some runs: another goroutine may
// allocate in between, and a pool may have been emptied.
func least(work func()) (bytes, count float64) {
	for i := range 4 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		work()
		runtime.ReadMemStats(&after)
		b, n := float64(after.TotalAlloc-before.TotalAlloc), float64(after.Mallocs-before.Mallocs)
		if i == 0 {
			bytes, count = b, n
		}
		bytes, count = min(bytes, b), min(count, n)
	}
	return bytes, count
}
