package changes_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	ctx      = context.Background()
	tenant   = storage.TenantOf("acme", "corner-shop")
	schemaID = uuid.MustParse("7b000000-0000-4000-8000-000000000001")
)

// scope returns the scope of a number.
func scope(n int) storage.Scope {
	return storage.Scope{Tenant: storage.TenantOf("acme", fmt.Sprint("shop-", n)), Schema: schemaID}
}

// write logs one change of a new record of a scope.
func write(t testing.TB, store storage.Store, s storage.Scope, data ...byte) {
	id := uuid.New()
	w := storage.Write{
		Record: storage.Record{
			Key: storage.Key{Tenant: s.Tenant, Schema: s.Schema, ExternalID: id.String()},
			ID:  id, Revision: storage.NextRevision(0), Data: []byte("{}"),
		},
		Note: &storage.Note{Time: time.Now(), After: data},
	}
	errs, err := store.Write(ctx, []storage.Write{w})
	assert.NoError(t, err)
	assert.Empty(t, errs)
}

// logOf returns the changes of a scope, from the store.
func logOf(t testing.TB, store storage.Store, s storage.Scope) (all []storage.Cursor) {
	q := storage.ChangeQuery{Scope: s, Limit: 1000}
	for {
		page, err := store.Changes(ctx, q)
		require.NoError(t, err)
		all = append(all, cursors(page)...)
		if q.After = page.Next; !page.More {
			return all
		}
	}
}

func cursors(page storage.ChangePage) (all []storage.Cursor) {
	for _, c := range page.Changes {
		all = append(all, c.Cursor)
	}
	return all
}

// counting counts the queries of the log, and how many run at once.
type counting struct {
	storage.Store
	queries, now, most atomic.Int64
	change             func(q storage.ChangeQuery) error // called before each query, if not nil
}

func (s *counting) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	s.queries.Add(1)
	if now := s.now.Add(1); now > s.most.Load() {
		s.most.Store(now)
	}
	defer s.now.Add(-1)
	if s.change != nil {
		if err := s.change(q); err != nil {
			return storage.ChangePage{}, err
		}
	}
	return s.Store.Changes(ctx, q)
}

// follow returns the first page of a Follow.
func follow(t testing.TB, tail *changes.Tail, s storage.Scope, after storage.Cursor) storage.ChangePage {
	for page, err := range tail.Follow(ctx, s, after) {
		require.NoError(t, err)
		return page
	}
	return storage.ChangePage{}
}

// end returns the cursor at the end of the log.
func end(t testing.TB, store storage.Store) storage.Cursor {
	page, err := store.Changes(ctx, storage.ChangeQuery{End: true})
	require.NoError(t, err)
	return page.Next
}

// TestTailEveryChangeOnce: each reader gets the changes of its scope exactly once and in
// order, beside writers, faults, slow readers, and a ring that most of them fall off.
func TestTailEveryChangeOnce(t *testing.T) {
	const scopes, writers, each = 5, 4, 500
	log := memory.New()
	store := storagetest.Faulty(log, storagetest.RandomPlan(1, storagetest.Rates{Unavailable: 0.05, ShortPage: 0.2}))
	tail := changes.NewTail(store, &changes.TailOptions{MinPoll: time.Microsecond, MaxPoll: time.Millisecond, Idle: time.Millisecond})
	tail.Keep(50, 1000)
	read, cancel := context.WithCancel(ctx)
	defer cancel()
	var writing, reading sync.WaitGroup
	var left atomic.Int64 // readers that have not read to the end
	got := make([][]storage.Cursor, 4*(scopes+1))
	left.Store(int64(len(got)))
	done := make(chan struct{})
	for r := range got {
		s := storage.Scope{}
		if n := r % (scopes + 1); n > 0 {
			s = scope(n)
		}
		reading.Go(func() {
			random := rand.New(rand.NewPCG(uint64(r), 2))
			var after storage.Cursor
			var all []storage.Cursor
			for stop := false; !stop; { // again and again, as a stream that reconnects
				loops := 1 + random.IntN(20)
				for page, err := range tail.Follow(read, s, after) {
					if !assert.NoError(t, err) {
						return
					}
					if r >= len(got)/2 && random.IntN(3) == 0 {
						time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond)
					}
					assert.NotZero(t, page.Next)
					all, after = append(all, cursors(page)...), page.Next
					select {
					case <-done:
						stop = !page.More && after == end(t, log)
					default:
					}
					if loops--; stop || loops == 0 {
						break
					}
				}
			}
			got[r] = all
			left.Add(-1)
		})
	}
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				write(t, log, scope(1+(w+i)%scopes), make([]byte, i%100)...)
				if i%50 == 0 {
					runtime.Gosched()
				}
				tail.Wake()
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	require.Zero(t, left.Load())
	for r, all := range got {
		s := storage.Scope{}
		if n := r % (scopes + 1); n > 0 {
			s = scope(n)
		}
		require.Equal(t, logOf(t, log, s), all, "reader %d", r)
	}
}

// FuzzTail: the same, with steps that the input says, one at a time.
func FuzzTail(f *testing.F) {
	f.Add([]byte{0x00, 0x40, 0x80, 0x01, 0x41, 0x81, 0xc0, 0x80, 0x81, 0x82})
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		steps := make([]byte, 300)
		for i := range steps {
			steps[i] = byte(random.Uint32())
		}
		f.Add(steps)
	}
	f.Fuzz(func(t *testing.T, steps []byte) {
		synctest.Test(t, func(t *testing.T) {
			store := memory.New()
			tail := changes.NewTail(store, nil)
			tail.Keep(5, 20)
			type reader struct {
				scope storage.Scope
				after storage.Cursor
				got   []storage.Cursor
				next  func() (storage.ChangePage, error, bool)
				stop  func()
			}
			readers := make([]reader, 8)
			turn := func(r *reader) {
				page, err, ok := r.next()
				require.True(t, ok)
				require.NoError(t, err)
				r.got, r.after = append(r.got, cursors(page)...), page.Next
			}
			for i := range readers {
				readers[i].scope = scope(i)
				if i > 3 {
					readers[i].scope = storage.Scope{}
				}
			}
			for _, step := range steps[:min(len(steps), 500)] {
				n := int(step & 0x3f)
				r := &readers[n%len(readers)]
				switch {
				case step>>6 == 0 || step>>6 == 1: // a write
					write(t, store, scope(n%4), make([]byte, n%8)...)
				case step>>6 == 2: // a page
					if r.next == nil {
						r.next, r.stop = iter.Pull2(tail.Follow(ctx, r.scope, r.after))
					}
					turn(r)
				case n < 32: // the reader comes again
					if r.next != nil {
						r.stop()
						r.next = nil
					}
				default:
					tail.Wake()
					time.Sleep(time.Duration(n) * time.Millisecond)
				}
			}
			for i := range readers {
				r := &readers[i]
				if r.next == nil {
					r.next, r.stop = iter.Pull2(tail.Follow(ctx, r.scope, r.after))
				}
				for r.after != end(t, store) {
					turn(r)
				}
				require.Equal(t, logOf(t, store, r.scope), r.got, "reader %d", i)
				r.stop()
			}
		})
	})
}

// TestTailAsksSeldom: an idle tail asks every MaxPoll, after a Wake at once, and without
// readers never. A reader that begins where the tail is asks nothing by itself.
func TestTailAsksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memory.New()}
		tail := changes.NewTail(store, nil)
		read, cancel := context.WithCancel(ctx)
		got := make(chan time.Time, 1)
		go func() {
			for page := range tail.Follow(read, scope(1), end(t, store)) {
				if len(page.Changes) > 0 {
					got <- time.Now()
				}
			}
		}()
		time.Sleep(time.Minute)
		before := store.queries.Load()
		time.Sleep(time.Hour)
		assert.InDelta(t, 1800, store.queries.Load()-before, 2)

		follow(t, tail, scope(2), end(t, store.Store))
		before = store.queries.Load()
		for i := range 1000 {
			go func() {
				for range tail.Follow(read, scope(i), end(t, store.Store)) {
				}
			}()
		}
		synctest.Wait()
		assert.Equal(t, before, store.queries.Load(), "queries of readers that begin at the end")

		time.Sleep(700 * time.Millisecond)
		write(t, store, scope(1))
		wrote := time.Now()
		tail.Wake()
		assert.Less(t, (<-got).Sub(wrote), 10*time.Millisecond)
		write(t, store, scope(1))
		wrote = time.Now()
		assert.Less(t, (<-got).Sub(wrote), 200*time.Millisecond, "without a Wake, soon after a change")

		cancel()
		synctest.Wait()
		before = store.queries.Load()
		tail.Wake()
		time.Sleep(time.Hour)
		assert.Equal(t, before, store.queries.Load(), "queries without readers")
	})
}

// TestTailWakeTooEarly: a change that the store does not show yet when the tail is woken
// comes soon after it does, and not after MaxPoll.
func TestTailWakeTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lagging{Store: memory.New()}
		tail := changes.NewTail(store, &changes.TailOptions{MaxPoll: time.Hour, Idle: 24 * time.Hour})
		at := end(t, store)
		time.AfterFunc(100*time.Minute, func() {
			store.until.Store(&at)
			write(t, store, scope(1))
			tail.Wake()
			time.AfterFunc(100*time.Millisecond, func() { store.until.Store(nil) })
		})
		start := time.Now()
		require.Len(t, follow(t, tail, scope(1), at).Changes, 1)
		assert.Less(t, time.Since(start), 100*time.Minute+300*time.Millisecond)
	})
}

// TestTailOneQuery: however many readers there are, one query is for new changes, and one
// for those that are further back.
func TestTailOneQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memory.New(), change: func(storage.ChangeQuery) error {
			time.Sleep(time.Millisecond)
			return nil
		}}
		for range 3000 {
			write(t, store, scope(1))
		}
		tail := changes.NewTail(store, nil)
		read, cancel := context.WithCancel(ctx)
		for range 20 {
			go func() {
				for range tail.Follow(read, scope(1), storage.Cursor{}) {
				}
			}()
		}
		for range 100 {
			write(t, store, scope(1))
			tail.Wake()
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		time.Sleep(time.Second) // a query ends
		assert.LessOrEqual(t, store.most.Load(), int64(2))
	})
}

// TestTailIdle: a reader without changes gets a page from time to time, whose cursor goes
// with the log.
func TestTailIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		tail := changes.NewTail(store, nil)
		start, pages := time.Now(), 0
		for page, err := range tail.Follow(ctx, scope(1), end(t, store)) {
			require.NoError(t, err)
			require.Empty(t, page.Changes)
			if pages++; pages > 1 {
				assert.Equal(t, end(t, store), page.Next)
			}
			if pages == 5 {
				break
			}
			write(t, store, scope(2))
			tail.Wake()
		}
		assert.InDelta(t, 50, time.Since(start).Seconds(), 10)
	})
}

// TestTailUnavailable: the poller and the readers ask a store again that is down.
func TestTailUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		store := &counting{Store: memory.New(), change: func(storage.ChangeQuery) error {
			if down.Load() {
				return &storage.OpError{Op: "changes", Err: storage.ErrUnavailable}
			}
			return nil
		}}
		var errs atomic.Int64
		tail := changes.NewTail(store, &changes.TailOptions{OnError: func(error) { errs.Add(1) }})
		for range 2 {
			write(t, store, scope(1))
			down.Store(true)
			before := errs.Load()
			time.AfterFunc(10*time.Minute, func() { down.Store(false) })
			var got int
			for page, err := range tail.Follow(ctx, storage.Scope{}, storage.Cursor{}) {
				require.NoError(t, err)
				if got += len(page.Changes); len(page.Changes) > 0 && got == len(logOf(t, store.Store, scope(1))) && !down.Load() {
					break
				}
			}
			assert.InDelta(t, 300, errs.Load()-before, 30, "asked every 2 s")
		}
	})
}

// TestTailErrors: other errors end the readers, and the next one begins anew.
func TestTailErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fault atomic.Pointer[error]
		store := &counting{Store: memory.New(), change: func(storage.ChangeQuery) error {
			if err := fault.Load(); err != nil {
				return *err
			}
			return nil
		}}
		tail := changes.NewTail(store, nil)
		for _, want := range []error{storage.ErrClosed, storage.ErrExpired, fmt.Errorf("disk is damaged")} {
			fault.Store(nil)
			var all sync.WaitGroup
			for i := range 10 {
				all.Go(func() {
					var last error
					for _, err := range tail.Follow(ctx, scope(i), end(t, store.Store)) {
						last = err
					}
					assert.ErrorIs(t, last, want)
				})
			}
			synctest.Wait()
			fault.Store(&want)
			all.Wait()
		}
		for _, bad := range []storage.Scope{{Tenant: tenant}, {Schema: schemaID}} {
			for _, err := range tail.Follow(ctx, bad, storage.Cursor{}) {
				require.ErrorIs(t, err, storage.ErrInvalid)
			}
		}
		for _, err := range tail.Follow(ctx, scope(1), storage.Cursor{Position: 1}) {
			require.ErrorIs(t, err, storage.ErrInvalid)
		}
		done, cancel := context.WithCancel(ctx)
		cancel()
		for _, err := range tail.Follow(done, scope(1), storage.Cursor{}) {
			require.ErrorIs(t, err, context.Canceled)
		}
	})
}

// swapped is a store whose log is another one from some time on.
type swapped struct {
	storage.Store
	now atomic.Pointer[storage.Store]
}

func (s *swapped) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	return (*s.now.Load()).Changes(ctx, q)
}

// TestTailRestored: no reader passes over the changes of a restored store, also one that
// has read further than the poller.
func TestTailRestored(t *testing.T) {
	for _, more := range []int{0, 1, 5, 20} {
		synctest.Test(t, func(t *testing.T) {
			old := memory.New()
			s := &swapped{Store: old}
			s.now.Store(&s.Store)
			tail := changes.NewTail(s, &changes.TailOptions{MinPoll: time.Second})
			read, cancel := context.WithCancel(ctx)
			defer cancel()
			start := end(t, old)
			go func() { // keeps the poller where it is
				for range tail.Follow(read, storage.Scope{}, start) {
				}
			}()
			time.Sleep(1900 * time.Millisecond)
			for range 3 {
				write(t, old, scope(1))
			}
			last := storage.Cursor{}
			next, stop := iter.Pull2(tail.Follow(ctx, scope(1), last))
			page, err, _ := next() // is ahead of the poller
			require.NoError(t, err)
			require.Len(t, page.Changes, 3)

			restored := storage.Store(memory.New())
			for range more {
				write(t, restored, scope(1))
			}
			s.now.Store(&restored)
			for err == nil {
				page, err, _ = next()
				require.Empty(t, page.Changes, "of the restored store")
			}
			require.ErrorIs(t, err, storage.ErrExpired)
			stop()
		})
	}
}

// TestTailLeaks: when the readers have ended, so has the poller.
func TestTailLeaks(t *testing.T) {
	store := memory.New()
	tail := changes.NewTail(store, nil)
	before := runtime.NumGoroutine()
	for range 100 {
		write(t, store, scope(1))
		follow(t, tail, scope(1), storage.Cursor{})
		read, cancel := context.WithTimeout(ctx, time.Millisecond)
		for range tail.Follow(read, scope(1), end(t, store)) {
		}
		cancel()
	}
	for runtime.NumGoroutine() > before { // until the time of the test is over
		time.Sleep(time.Millisecond)
	}
}
