// Package keylock has locks by key, for writers that would otherwise compete.
package keylock

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
)

// Locks has a lock for every key, and memory only for those that are held. Make it
// with New.
//
// It is not what keeps writes right, the store's compare-and-swap is. Writers that
// queue for a busy key get more done, and none of them waits long, while those that
// compete read and merge again and again in vain; and those that wait hold nothing
// else, such as a connection.
type Locks[K comparable] struct {
	seed   maphash.Seed
	shards [64]shard
}

type shard struct {
	mu sync.Mutex
	// held has the queue of each locked key, by the key's hash: two keys that
	// share one would only wait for each other. A waiter's channel is closed
	// when the lock has become its own.
	held map[uint64][]chan struct{}
	_    [48]byte // keeps the shards on cache lines of their own
}

// New returns locks of which none is held.
func New[K comparable]() *Locks[K] {
	l := &Locks[K]{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].held = make(map[uint64][]chan struct{})
	}
	return l
}

// A Held is a lock that was acquired and waits for its Unlock.
type Held struct {
	shard *shard
	hash  uint64
}

// Lock waits for the key's lock, first come, first served, or for the end of
// ctx, whose error it then returns. It calls onWait, if not nil, before it waits.
func (l *Locks[K]) Lock(ctx context.Context, key K, onWait func()) (Held, error) {
	hash := maphash.Comparable(l.seed, key)
	h := Held{&l.shards[hash%uint64(len(l.shards))], hash}
	h.shard.mu.Lock()
	queue, held := h.shard.held[hash]
	if !held {
		h.shard.held[hash] = nil
		h.shard.mu.Unlock()
		return h, nil
	}
	turn := make(chan struct{})
	h.shard.held[hash] = append(queue, turn)
	h.shard.mu.Unlock()

	if onWait != nil {
		onWait()
	}
	select {
	case <-turn:
		return h, nil
	case <-ctx.Done():
	}
	h.shard.mu.Lock()
	queue = h.shard.held[hash]
	i := slices.Index(queue, turn)
	if i >= 0 {
		h.shard.held[hash] = slices.Delete(queue, i, i+1)
	}
	h.shard.mu.Unlock()
	if i < 0 { // the turn came in the same moment: pass it on
		h.Unlock()
	}
	return Held{}, ctx.Err()
}

// Unlock gives the lock to the next in the queue, or up.
func (h Held) Unlock() {
	h.shard.mu.Lock()
	defer h.shard.mu.Unlock()
	queue := h.shard.held[h.hash]
	if len(queue) == 0 {
		delete(h.shard.held, h.hash)
		return
	}
	close(queue[0])
	h.shard.held[h.hash] = queue[1:]
}
