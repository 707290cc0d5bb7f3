package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"
)

// pace is how long and how often things are timed.
type pace struct {
	rounds int
	batch  time.Duration // of calls of one contender in one round, about
}

// parts is the number of parts that a batch is timed in. Its time is the median
// of theirs: so a part in which another process had the processor does not count,
// while what the work itself brings with it, like garbage collection, does.
const parts = 10

// A timing is what a contender took, in nanoseconds for each call and round.
type timing struct {
	rounds []float64
	allocs []float64 // for each call, by round
	calls  int       // in a round
	next   int       // the number of the next call
}

func (t *timing) median() float64 { return median(t.rounds) }

// allocated is a median too: the runtime itself allocates at times.
func (t *timing) allocated() float64 { return median(t.allocs) }

// by returns the median of the ratios of t to u, round by round.
func (t *timing) by(u *timing) float64 {
	n := min(len(t.rounds), len(u.rounds))
	ratios := make([]float64, n)
	for i := range n {
		ratios[i] = t.rounds[i] / u.rounds[i]
	}
	return median(ratios)
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// measure times the contenders of s in rounds: in each, one short batch of
// every contender, one contender after the other, so that whatever else the
// machine does meets all of them alike.
func measure(s *set, p pace) ([]timing, error) {
	timings := make([]timing, len(s.contenders))
	for i := range s.contenders {
		if err := timings[i].calibrate(&s.contenders[i], p.batch/parts); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for round := range p.rounds {
		for i := range s.contenders {
			c, t := &s.contenders[i], &timings[i]
			if c.once && round > 0 {
				continue
			}
			if !s.bigHeap {
				runtime.GC() // what the contender before has left is not this one's to clean up
			}
			if err := t.batch(c, p.batch); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return timings, nil
}

// calibrate finds the number of calls that takes about d.
func (t *timing) calibrate(c *contender, d time.Duration) error {
	if t.calls = 1; c.once {
		return nil
	}
	for {
		took, err := t.time(c, t.calls)
		if err != nil {
			return err
		}
		if took >= d/4 || t.calls >= 1<<30 {
			t.calls = max(1, int(float64(t.calls)*float64(d)/float64(took)))
			return nil
		}
		t.calls *= 2
	}
}

// batch warms up and adds a round of about d.
func (t *timing) batch(c *contender, d time.Duration) error {
	if !c.once {
		if _, err := t.time(c, t.calls); err != nil {
			return err
		}
	}
	list := make([]float64, 0, parts)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for start := time.Now(); len(list) == 0 || len(list) < parts && time.Since(start) < d; {
		took, err := t.time(c, t.calls)
		if err != nil {
			return err
		}
		list = append(list, float64(took)/float64(t.calls))
	}
	runtime.ReadMemStats(&after)
	calls := t.calls * len(list)
	t.rounds = append(t.rounds, median(list))
	t.allocs = append(t.allocs, math.Floor(float64(after.Mallocs-before.Mallocs)/float64(calls))) // as package testing does
	return nil
}

func (t *timing) time(c *contender, calls int) (time.Duration, error) {
	start := time.Now()
	for range calls {
		if _, err := c.run(t.next); err != nil {
			return 0, fmt.Errorf("%s, call %d: %w", c.name, t.next, err)
		}
		t.next++
	}
	return time.Since(start), nil
}
