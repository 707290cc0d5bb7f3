package keylock

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// TestKeyLocks: one holder of each key at a time, whoever gives up, and no
// memory for keys that nobody holds.
func TestKeyLocks(t *testing.T) {
	locks := New[string]()
	var holders [3]int // guarded by the locks, for the race detector
	var taken, left [3]int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for g := range 32 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(g), 1))
			for range 100 {
				k := random.IntN(len(holders))
				ctx, cancel := context.WithCancel(context.Background())
				if random.IntN(2) == 0 {
					go cancel()
				}
				h, err := locks.Lock(ctx, fmt.Sprint(k), nil)
				if err == nil {
					holders[k]++
					assert.Equal(t, 1, holders[k])
					holders[k]--
					h.Unlock()
				} else {
					assert.ErrorIs(t, err, context.Canceled)
				}
				cancel()
				mu.Lock()
				if err == nil {
					taken[k]++
				} else {
					left[k]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Log("taken:", taken, "left:", left)
	for i := range locks.shards {
		assert.Empty(t, locks.shards[i].held)
	}
}

// TestKeyLocksTurnAndEnd: a waiter whose end and whose turn come in the same
// moment passes the lock on if it takes the end for an answer. On the synthetic
// clock a lock that got lost is a deadlock, and so a failure.
func TestKeyLocksTurnAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := New[string]()
		key := "k"
		ended := 0
		for range 200 {
			h, err := locks.Lock(context.Background(), key, nil)
			assert.NoError(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			for _, c := range []context.Context{ctx, context.Background()} {
				wg.Go(func() {
					h, err := locks.Lock(c, key, nil)
					if err != nil {
						ended++
						return
					}
					h.Unlock()
				})
				synctest.Wait() // so they queue in this order
			}
			cancel()
			h.Unlock() // most often before the waiter has seen its end
			wg.Wait()
		}
		t.Log(ended, "of 200 waiters ended")
		for i := range locks.shards {
			assert.Empty(t, locks.shards[i].held)
		}
	})
}
