package changes_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// byID keeps the revisions of each ID that a handler has taken. Some calls fail.
type byID struct {
	mu    sync.Mutex
	taken map[uuid.UUID][]storage.Revision
	fails func() bool
}

func (b *byID) handle(_ context.Context, e changes.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails() {
		return errors.New("no")
	}
	if b.taken == nil {
		b.taken = map[uuid.UUID][]storage.Revision{}
	}
	b.taken[e.ID] = append(b.taken[e.ID], e.Revision)
	return nil
}

// requireAll checks that all changes of the log were taken: those of each ID in order, and
// each once.
func (b *byID) requireAll(t *testing.T, store storage.Store, seed any) {
	want := map[uuid.UUID][]storage.Revision{}
	for _, c := range logged(t, store) {
		want[c.ID] = append(want[c.ID], c.Cursor.Revision)
	}
	require.Equal(t, want, b.taken, "seed %v", seed)
}

func redact(t *testing.T, store storage.Store, id string) {
	_, err := store.Redact(ctx, keyOf(id), storage.Note{Time: time.Now()})
	require.NoError(t, err)
}

// TestErasedLives: the later resources of an external id wait for the first, which is
// parked. Once all of them are erased, the rest of their changes wait, too.
func TestErasedLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		isDown := true
		b := &byID{fails: func() bool { return isDown }}
		put(t, store, "a")
		remove(t, store, "a")
		put(t, store, "a", "a")
		r := run(store, "c", b.handle, nil)
		pass(500 * time.Millisecond)
		require.Error(t, r.end())
		require.Len(t, consumer(t, store).Parked, 1)
		put(t, store, "a", "a")
		remove(t, store, "a")
		redact(t, store, "a")
		isDown = false
		r = run(store, "c", b.handle, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		b.requireAll(t, store, nil)
		require.Empty(t, consumer(t, store).Parked)
	})
}

// TestErasedSurvivor: a change that was redacted is parked, and its resource lives on, as
// one that is created while Erase is at work.
func TestErasedSurvivor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		n := 0
		b := &byID{fails: func() bool { n++; return n == 1 }}
		put(t, store, "a")
		redact(t, store, "a")
		put(t, store, "a")
		r := run(store, "c", b.handle, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		b.requireAll(t, store, nil)
	})
}

// racing is a store that redacts a key just before it answers a query of that key.
type racing struct {
	storage.Store
	key  storage.Key
	once sync.Once
}

func (s *racing) Changes(ctx context.Context, q storage.ChangeQuery) (page storage.ChangePage, err error) {
	if q.ExternalID == s.key.ExternalID {
		s.once.Do(func() { _, err = s.Redact(ctx, s.key, storage.Note{Time: time.Now()}) })
	}
	if err != nil {
		return page, err
	}
	return s.Store.Changes(ctx, q)
}

// TestErasedDuringRetry: the changes that wait are redacted while they are read.
func TestErasedDuringRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &racing{Store: memory.New(), key: keyOf("a")}
		n := 0
		b := &byID{fails: func() bool { n++; return n == 1 }}
		put(t, store, "a", "a")
		remove(t, store, "a")
		put(t, store, "a")
		remove(t, store, "a")
		r := run(store, "c", b.handle, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		b.requireAll(t, store, nil)
	})
}

// TestErasedPartly: some of what waits is delivered, and then all is redacted. What is left
// is of another ID than what has failed.
func TestErasedPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var r *running
		started := make(chan struct{})
		n := 0
		b := &byID{}
		b.fails = func() bool {
			if n++; n == 5 { // b is the second
				<-started
				r.cancel()
			}
			return n == 1 || n == 5
		}
		put(t, store, "a")
		remove(t, store, "a")
		put(t, store, "a", "a", "b")
		r = run(store, "c", b.handle, nil)
		close(started)
		pass(time.Minute)
		require.Error(t, r.end())
		remove(t, store, "a")
		redact(t, store, "a")
		r = run(store, "c", b.handle, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		b.requireAll(t, store, nil)
	})
}

// TestErasedBetweenRetries: so many changes wait that they are delivered in parts, and the
// first part ends with one ID when all are redacted.
func TestErasedBetweenRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		n := 0
		b := &byID{fails: func() bool { n++; return n == 1 }}
		for range 100 {
			put(t, store, "a")
		}
		remove(t, store, "a")
		put(t, store, "a", "a", "a")
		r := run(store, "c", func(ctx context.Context, e changes.Event) error {
			if e.Outcome == resource.Deleted {
				_, _ = store.Redact(ctx, keyOf("a"), storage.Note{Time: time.Now()})
			}
			return b.handle(ctx, e)
		}, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		b.requireAll(t, store, nil)
	})
}

// growing is a store whose first page has changes from before and from after an erasure.
type growing struct {
	storage.Store
	once sync.Once
}

func (s *growing) Changes(ctx context.Context, q storage.ChangeQuery) (page storage.ChangePage, err error) {
	page, err = s.Store.Changes(ctx, q)
	s.once.Do(func() {
		_, _ = s.Redact(ctx, keyOf("a"), storage.Note{Time: time.Now()})
		q.After = page.Next
		more, _ := s.Store.Changes(ctx, q)
		page.Changes, page.Next = append(page.Changes, more.Changes...), more.Next
	})
	return page, err
}

// TestErasedWithinPage: a resource is parked whose page has changes of later ones with its
// external id, with and without that.
func TestErasedWithinPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &growing{Store: memory.New()}
		n := 0
		b := &byID{fails: func() bool { n++; return n == 1 }}
		put(t, store, "a")
		remove(t, store, "a")
		put(t, store, "a")
		remove(t, store, "a")
		r := run(store, "c", b.handle, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		b.requireAll(t, store, nil)
	})
}

// TestErasedAtRandom: resources come, go, come again and are erased, while the handler
// fails now and then and the consumer ends. Each change comes once, in the order of its
// ID. If a resource survives an erasure and is erased again, a change of that may come
// twice.
func TestErasedAtRandom(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			store, rate, survives := memory.New(), 0, seed%2 == 0
			failures := rand.New(rand.NewPCG(seed, 1)) // under the lock of b
			b := &byID{fails: func() bool { return failures.IntN(10) < rate }}
			opts := &changes.Options{Concurrency: 1 + random.IntN(3), MinBackoff: time.Second, MaxBackoff: 4 * time.Second, MaxAttempts: 1 << 20}
			var r *running
			for range 60 {
				id := fmt.Sprint(random.IntN(2))
				switch random.IntN(8) {
				case 0, 1, 2:
					put(t, store, id)
				case 3:
					if _, err := store.Get(ctx, keyOf(id)); err == nil {
						remove(t, store, id)
					}
				case 4:
					if _, err := store.Get(ctx, keyOf(id)); err == nil && (!survives || random.IntN(4) > 0) {
						remove(t, store, id)
					}
					redact(t, store, id)
				case 5:
					if r == nil {
						rate = random.IntN(10)
						r = run(store, "c", b.handle, opts)
					}
				case 6:
					pass(time.Duration(random.IntN(3000)) * time.Millisecond)
				case 7:
					if r != nil {
						require.ErrorIs(t, r.end(), context.Canceled)
						r = nil
					}
				}
				synctest.Wait()
			}
			b.mu.Lock()
			rate = 0
			b.mu.Unlock()
			if r == nil {
				r = run(store, "c", b.handle, opts)
			}
			pass(time.Minute)
			require.Error(t, r.end())
			if survives {
				for id := range b.taken {
					b.taken[id] = slices.Compact(b.taken[id])
				}
			}
			b.requireAll(t, store, seed)
			assert.Empty(t, consumer(t, store).Parked)
		})
	}
}
