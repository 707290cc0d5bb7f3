package resource

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"

	"example.com/resourcekit/storage"
)

// keyLocks has a lock for every key, and memory only for those that are held.
//
// It is not what keeps writes right, the store's compare-and-swap is. It keeps
// them from colliding: writers that queue for a busy key get more done, and
// none of them waits long, while those that compete read and merge again and
// again in vain.
type keyLocks struct {
	seed   maphash.Seed
	shards [64]lockShard
}

type lockShard struct {
	mu sync.Mutex
	// held has the queue of each locked key, by the key's hash: two keys that
	// share one would only wait for each other. A waiter's channel is closed
	// when the lock has become its own.
	held map[uint64][]chan struct{}
	_    [48]byte // keeps the shards on cache lines of their own
}

func (l *keyLocks) init() {
	l.seed = maphash.MakeSeed()
	for i := range l.shards {
		l.shards[i].held = make(map[uint64][]chan struct{})
	}
}

// A heldLock is a lock that was acquired and waits for its unlock.
type heldLock struct {
	shard *lockShard
	hash  uint64
}

// lock waits for the key's lock, first come, first served, or for the end of
// ctx, whose error it then returns. It calls onWait, if not nil, before it waits.
func (l *keyLocks) lock(ctx context.Context, key storage.Key, onWait func()) (heldLock, error) {
	return l.lockHash(ctx, maphash.Comparable(l.seed, key), onWait)
}

// lockAll waits for the locks of several keys, and returns what gives them up
// again. Every caller takes them in the same order, so two never wait for each
// other.
func (l *keyLocks) lockAll(ctx context.Context, keys []storage.Key) (unlock func(), err error) {
	hashes := make([]uint64, len(keys))
	for i, key := range keys {
		hashes[i] = maphash.Comparable(l.seed, key)
	}
	slices.Sort(hashes)
	hashes = slices.Compact(hashes) // two keys with one hash share a lock
	held := make([]heldLock, 0, len(hashes))
	unlock = func() {
		for _, h := range held {
			h.unlock()
		}
	}
	for _, hash := range hashes {
		h, err := l.lockHash(ctx, hash, nil)
		if err != nil {
			unlock()
			return nil, err
		}
		held = append(held, h)
	}
	return unlock, nil
}

func (l *keyLocks) lockHash(ctx context.Context, hash uint64, onWait func()) (heldLock, error) {
	h := heldLock{&l.shards[hash%uint64(len(l.shards))], hash}
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
		h.unlock()
	}
	return heldLock{}, ctx.Err()
}

// unlock gives the lock to the next in the queue, or up.
func (h heldLock) unlock() {
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
