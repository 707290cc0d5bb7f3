package changes_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func keyOf(id string) storage.Key {
	return storage.Key{Tenant: tenant, Schema: schemaID, ExternalID: id}
}

// put logs a change of a record, which it creates if it is absent.
func put(t testing.TB, store storage.Store, ids ...string) {
	for _, id := range ids {
		_, err := storage.UpdateWith(ctx, store, keyOf(id), func(old storage.Record) (storage.Write, error) {
			data := []byte(fmt.Sprintf(`{"n":%d}`, len(old.Data)))
			return storage.Write{
				Record: storage.Record{ID: uuid.New(), Data: data},
				Note:   &storage.Note{Time: time.Now(), Before: old.Data, After: data},
			}, nil
		})
		require.NoError(t, err)
	}
}

func remove(t testing.TB, store storage.Store, id string) {
	_, err := storage.UpdateWith(ctx, store, keyOf(id), func(old storage.Record) (storage.Write, error) {
		return storage.Write{Delete: true, Note: &storage.Note{Time: time.Now()}}, nil
	})
	require.NoError(t, err)
}

// all returns the changes of a store, as "id revision".
func all(t testing.TB, store storage.Store) (names []string) {
	q := storage.ChangeQuery{Limit: 1000}
	for {
		page, err := store.Changes(ctx, q)
		require.NoError(t, err)
		for _, c := range page.Changes {
			names = append(names, fmt.Sprint(c.Key.ExternalID, " ", c.Cursor.Revision))
		}
		if q.After = page.Next; !page.More {
			return names
		}
	}
}

func nameOf(e changes.Event) string { return fmt.Sprint(e.Key.ExternalID, " ", e.Revision) }

// sink is a handler that keeps what it gets, and fails when fail says so.
type sink struct {
	mu    sync.Mutex
	calls []string // "id revision attempt"
	taken []string // "id revision"
	fail  func(e changes.Event) error
}

func (s *sink) handle(ctx context.Context, e changes.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprint(nameOf(e), " ", e.Attempt))
	if s.fail != nil {
		if err := s.fail(e); err != nil {
			return err
		}
	}
	s.taken = append(s.taken, nameOf(e))
	return nil
}

func (s *sink) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *sink) set(fail func(changes.Event) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func (s *sink) get() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// running is a Consume in a goroutine.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func run(store storage.Store, name string, handler changes.Handler, opts *changes.Options) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = changes.Consume(ctx, store, name, handler, opts)
	}()
	return r
}

// end ends the Consume, and returns its error.
func (r *running) end() error {
	r.cancel()
	<-r.done
	return r.err
}

// pass lets time pass, in which the others do all that they can.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// consumer returns what the store has of the consumer.
func consumer(t testing.TB, store storage.Store) changes.Consumer {
	list, err := changes.Consumers(ctx, store)
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

// TestConsume: what was logged before and what is logged then comes once, in the order of
// the log; after a clean end nothing comes twice.
func TestConsume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &sink{}
		for range 3 {
			put(t, store, "a", "b", "a")
			remove(t, store, "b")
			r := run(store, "search", s.handle, nil)
			pass(5 * time.Second)
			put(t, store, "b", "c")
			pass(5 * time.Second)
			require.Equal(t, all(t, store), s.get())
			put(t, store, "c")
			require.ErrorIs(t, r.end(), context.Canceled)
		}
		c := consumer(t, store)
		assert.Equal(t, "search", c.Name)
		assert.Empty(t, c.Owner)
		assert.Equal(t, uint64(time.Now().Add(-10*time.Second).UnixMilli()), c.Fence)
		assert.Equal(t, uint64(len(s.get())), c.Delivered)
	})
}

// TestConsumeFromEnd: a new consumer begins at the end, an old one where it was.
func TestConsumeFromEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, "a")
		s := &sink{}
		opts := &changes.Options{FromEnd: true}
		r := run(store, "c", s.handle, opts)
		pass(time.Second)
		require.Error(t, r.end())
		put(t, store, "b")
		r = run(store, "c", s.handle, opts)
		pass(time.Second)
		require.Error(t, r.end())
		require.Equal(t, all(t, store)[1:], s.get())
	})
}

// journal checks that the events of each key come in order and one at a time.
type journal struct {
	t     testing.TB
	mu    sync.Mutex
	order map[string][]string // of each key
	taken map[string]int      // how many of them were taken
	busy  map[string]bool
}

func newJournal(t testing.TB, log []string) *journal {
	j := &journal{t: t, order: map[string][]string{}, taken: map[string]int{}, busy: map[string]bool{}}
	for _, name := range log {
		id, _, _ := strings.Cut(name, " ")
		j.order[id] = append(j.order[id], name)
	}
	return j
}

func (j *journal) begin(e changes.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	id := e.Key.ExternalID
	assert.False(j.t, j.busy[id], "two calls for one key")
	j.busy[id] = true
	i := slices.Index(j.order[id], nameOf(e))
	assert.LessOrEqual(j.t, i, j.taken[id], "an event before the ones before it")
}

func (j *journal) finish(e changes.Event, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	id := e.Key.ExternalID
	j.busy[id] = false
	if i := slices.Index(j.order[id], nameOf(e)); ok && i == j.taken[id] {
		j.taken[id]++
	}
}

func (j *journal) missing() (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id := range j.order {
		n += len(j.order[id]) - j.taken[id]
	}
	return n
}

// mortal is a store as one process has it, which can be killed.
type mortal struct {
	storage.Store
	dead atomic.Bool
}

func (m *mortal) check(ctx context.Context) error {
	if m.dead.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (m *mortal) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := m.check(ctx); err != nil {
		return storage.Record{}, err
	}
	return m.Store.Get(ctx, key)
}

func (m *mortal) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if err := m.check(ctx); err != nil {
		return nil, err
	}
	return m.Store.Write(ctx, writes)
}

func (m *mortal) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	if err := m.check(ctx); err != nil {
		return storage.ChangePage{}, err
	}
	return m.Store.Changes(ctx, q)
}

// TestConsumeAtLeastOnce: with a store and a handler that fail in every way, processes that
// end and are killed, every change is taken, in order for each key, one call at a time.
func TestConsumeAtLeastOnce(t *testing.T) {
	for _, concurrency := range []int{1, 8} {
		t.Run(fmt.Sprint(concurrency), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := memory.New()
				random := rand.New(rand.NewPCG(uint64(concurrency), 1))
				for range 2000 {
					id := fmt.Sprint("c-", random.IntN(40))
					if random.IntN(10) == 0 {
						put(t, log, id)
						remove(t, log, id)
					} else {
						put(t, log, id)
					}
				}
				j := newJournal(t, all(t, log))
				faulty := storagetest.Faulty(log, storagetest.RandomPlan(7, storagetest.Rates{
					Conflict: 0.05, Unavailable: 0.05, Unknown: 0.1, ShortPage: 0.3, Delay: 0.1, MaxDelay: 300 * time.Millisecond,
				}))
				var fate atomic.Uint64
				handler := func(ctx context.Context, e changes.Event) error {
					n := fate.Add(1)
					random := rand.New(rand.NewPCG(n, 3))
					j.begin(e)
					time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
					kind := random.IntN(60)
					j.finish(e, kind > 3 && ctx.Err() == nil)
					switch kind {
					case 0:
						return errors.New("no")
					case 1:
						return fmt.Errorf("down: %w", changes.ErrAgain)
					case 2:
						panic("no")
					case 3:
						runtime.Goexit()
					}
					return ctx.Err()
				}
				opts := &changes.Options{
					Concurrency: concurrency, Lease: 3 * time.Second, MaxBackoff: 4 * time.Second, MaxAttempts: 1000, MaxParked: 1000,
				}
				runs := 0
				for ; j.missing() > 0 && runs < 1000; runs++ {
					m := &mortal{Store: faulty}
					r := run(m, "c", handler, opts)
					pass(time.Duration(random.IntN(10_000)) * time.Millisecond)
					m.dead.Store(random.IntN(2) == 0)
					require.ErrorIs(t, r.end(), context.Canceled)
				}
				t.Logf("%d runs, %d calls for %d changes", runs, fate.Load(), len(all(t, log)))
				require.Zero(t, j.missing())
			})
		})
	}
}

// TestPark: the events of a resource that fails wait, in order, and those of others go on.
func TestPark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var broken atomic.Bool
		broken.Store(true)
		s := &sink{}
		var at []time.Duration // is used while the consumer rests
		start := time.Now()
		s.fail = func(e changes.Event) error {
			if e.Key.ExternalID != "a" || !broken.Load() {
				return nil
			}
			at = append(at, time.Since(start))
			return fmt.Errorf("no\n%s", strings.Repeat("é", 300))
		}
		var errs []error
		put(t, store, "a", "b", "a", "c")
		r := run(store, "c", s.handle, &changes.Options{MaxBackoff: 5 * time.Second, OnError: func(err error) { errs = append(errs, err) }})
		pass(20 * time.Second)
		put(t, store, "a", "b")
		remove(t, store, "a")
		put(t, store, "a")
		pass(1500 * time.Millisecond)
		log := all(t, store)
		require.Equal(t, []string{log[1], log[3], log[5]}, s.get(), "those of others")
		p := consumer(t, store).Parked
		require.Len(t, p, 1)
		assert.Equal(t, schemaID, p[0].Schema)
		assert.Equal(t, tenant, p[0].Tenant)
		assert.Equal(t, len(at), p[0].Attempts)
		assert.Equal(t, "no "+strings.Repeat("é", 98), p[0].Error)
		assert.NotContains(t, fmt.Sprint(consumer(t, store)), `"a"`)
		var want []time.Duration
		for _, seconds := range []int{0, 1, 3, 7, 12, 17} {
			want = append(want, time.Duration(seconds)*time.Second)
		}
		assert.Equal(t, want, at)
		assert.Len(t, errs, len(at))

		broken.Store(false)
		pass(10 * time.Second)
		require.Equal(t, []string{log[0], log[2], log[4], log[6], log[7]}, s.get()[3:], "in order")
		assert.Empty(t, consumer(t, store).Parked)
		assert.Contains(t, s.called(), log[0]+" 7")
		assert.Contains(t, s.called(), log[2]+" 1")
		assert.Equal(t, uint64(6), consumer(t, store).Failed)
		require.Error(t, r.end())
	})
}

// TestParkAgain: a later event of a parked resource fails, and the consumer ends in
// between.
func TestParkAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &sink{}
		s.fail = func(e changes.Event) error {
			if e.Attempt < 3 && e.Key.ExternalID == "a" {
				return errors.New("no")
			}
			return nil
		}
		for range 110 { // more than are tried at once
			put(t, store, "a", "b")
		}
		for range 1000 {
			r := run(store, "c", s.handle, nil)
			pass(30 * time.Second)
			require.Error(t, r.end())
			if len(s.get()) >= 220 {
				break
			}
		}
		var a []string
		for _, name := range all(t, store) {
			if strings.HasPrefix(name, "a") {
				a = append(a, name)
			}
		}
		require.Equal(t, a, slices.DeleteFunc(s.get(), func(name string) bool { return strings.HasPrefix(name, "b") }))
		assert.Empty(t, consumer(t, store).Parked)
	})
}

// TestRelease: after MaxAttempts a resource waits for Release, which another process may
// call.
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &sink{fail: func(e changes.Event) error {
			if e.Key.ExternalID < "c" {
				return errors.New("no")
			}
			return nil
		}}
		put(t, store, "a", "b", "c")
		r := run(store, "c", s.handle, &changes.Options{MaxAttempts: 3})
		pass(time.Hour)
		require.Len(t, s.called(), 7)
		p := consumer(t, store).Parked
		require.Len(t, p, 2)
		require.Zero(t, p[0].Next)
		require.Equal(t, 3, p[0].Attempts)

		require.NoError(t, changes.Release(ctx, store, "c", p[0].ID, uuid.New()))
		pass(5 * time.Second)
		require.Greater(t, len(s.called()), 7, "within a third of the lease")
		pass(time.Hour)
		require.Len(t, s.called(), 10)
		s.set(nil)
		require.NoError(t, changes.Release(ctx, store, "c"))
		pass(6 * time.Second)
		require.Len(t, s.get(), 3)
		require.Error(t, r.end())
		require.NoError(t, changes.Release(ctx, store, "c"))
		require.ErrorIs(t, changes.Release(ctx, store, "d"), storage.ErrNotFound)
		require.ErrorIs(t, changes.Release(ctx, store, ""), storage.ErrInvalid)
	})
}

// TestReleaseDuringRetry: a Release is not lost if the attempt that is under way fails.
func TestReleaseDuringRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		calls := 0
		put(t, store, "a")
		r := run(store, "c", func(context.Context, changes.Event) error {
			if calls++; calls == 3 {
				assert.NoError(t, changes.Release(ctx, store, "c"))
			}
			return errors.New("no")
		}, &changes.Options{MaxAttempts: 3})
		pass(time.Hour)
		require.Error(t, r.end())
		require.Equal(t, 6, calls)
	})
}

// TestParkedFull: the consumer stops before the event that does not fit.
func TestParkedFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		no := fmt.Errorf("no: %w", storage.ErrExpired) // a handler may have any error
		s := &sink{fail: func(e changes.Event) error { return no }}
		put(t, store, "a", "b", "c", "d")
		opts := &changes.Options{MaxParked: 2}
		err := changes.Consume(ctx, store, "c", s.handle, opts)
		require.ErrorIs(t, err, changes.ErrParked)
		require.ErrorIs(t, err, no)
		c := consumer(t, store)
		assert.Len(t, c.Parked, 2)
		assert.Empty(t, c.Owner)
		s.set(nil)
		r := run(store, "c", s.handle, opts)
		pass(5 * time.Second)
		require.Error(t, r.end())
		got := s.get()
		slices.Sort(got)
		want := all(t, store)
		slices.Sort(want)
		require.Equal(t, want, got)
	})
}

// reads is a store that counts what is read of one scope.
type reads struct {
	storage.Store
	pages, data atomic.Int64 // bytes of documents
}

func (r *reads) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	page, err := r.Store.Changes(ctx, q)
	if q.Scope != (storage.Scope{}) {
		r.pages.Add(1)
		for i := range page.Changes {
			r.data.Add(int64(len(page.Changes[i].Note.After)))
		}
	}
	return page, err
}

// TestRetryIsCheap: between two changes of a parked resource there may be many of others. To
// find the second one, these are read in large pages and without documents.
func TestRetryIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &reads{Store: memory.New()}
		put(t, store, "a")
		for i := range 2000 {
			put(t, store, fmt.Sprint("b", i))
		}
		put(t, store, "a")
		s := &sink{fail: func(e changes.Event) error {
			if e.Key.ExternalID == "a" && (e.Before != 0 || e.Attempt == 1) {
				return errors.New("no")
			}
			return nil
		}}
		r := run(store, "c", s.handle, &changes.Options{
			Documents: true, Unredacted: true, MaxAttempts: 3, MinBackoff: time.Minute,
		})
		pass(time.Second)
		assert.Zero(t, store.pages.Load())
		pass(time.Minute) // the first change succeeds, and the second one fails
		store.pages.Store(0)
		store.data.Store(0)
		pass(2 * time.Minute) // the second attempt with it
		require.Error(t, r.end())
		assert.LessOrEqual(t, store.pages.Load(), int64(5))
		assert.LessOrEqual(t, store.data.Load(), int64(100))
		assert.Len(t, s.get(), 2001)
	})
}

// TestErrAgain: nothing is parked, the events after wait, and attempts are not counted.
func TestErrAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var down atomic.Bool
		down.Store(true)
		s := &sink{}
		s.fail = func(changes.Event) error {
			if down.Load() {
				return fmt.Errorf("receiver: %w", changes.ErrAgain)
			}
			return nil
		}
		put(t, store, "a", "b")
		r := run(store, "c", s.handle, nil)
		pass(time.Hour)
		require.Empty(t, s.get())
		assert.Empty(t, consumer(t, store).Parked)
		assert.InDelta(t, time.Hour, consumer(t, store).Lag, float64(time.Minute))
		down.Store(false)
		pass(5 * time.Minute)
		require.Equal(t, all(t, store), s.get())
		assert.NotContains(t, strings.Join(s.called(), ",")+",", " 2,")
		require.Error(t, r.end())
	})
}

// TestPanic: a panic is a failure of its event. OnError gets the stack, and the list of
// parked resources what the panic says.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, "a")
		var errs []string
		n := 0
		r := run(store, "c", func(context.Context, changes.Event) error {
			if n++; n == 1 {
				panic("oh")
			}
			return nil
		}, &changes.Options{OnError: func(err error) { errs = append(errs, err.Error()) }})
		pass(500 * time.Millisecond)
		assert.Equal(t, "changes: the handler panicked: oh", consumer(t, store).Parked[0].Error)
		pass(5 * time.Second)
		require.Error(t, r.end())
		require.Len(t, errs, 1)
		assert.Contains(t, errs[0], "panicked: oh")
		assert.Contains(t, errs[0], "consume_test.go")
		assert.Equal(t, 2, n)
	})
}

// TestPanicFull: the error of Consume has no stack either.
func TestPanicFull(t *testing.T) {
	store := memory.New()
	put(t, store, "a", "b")
	var errs []string
	opts := &changes.Options{MaxParked: 1, OnError: func(err error) { errs = append(errs, err.Error()) }}
	err := changes.Consume(ctx, store, "c", func(context.Context, changes.Event) error { panic("oh") }, opts)
	require.ErrorIs(t, err, changes.ErrParked)
	assert.Equal(t, "changes: too many resources are parked: changes: the handler panicked: oh", err.Error())
	require.Len(t, errs, 2)
	assert.Contains(t, errs[1], "consume_test.go")
}

// TestExpired: without OnExpired, Consume returns ErrExpired. With it, it is called until
// it succeeds, also by the next process, and what is logged during the call comes.
func TestExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &sink{}
		put(t, store, "a")
		r := run(store, "c", s.handle, nil)
		pass(time.Second)
		require.Error(t, r.end())
		put(t, store, "b", "c")
		require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), storage.Cursor{}))
		assert.True(t, consumer(t, store).Expired)
		require.ErrorIs(t, changes.Consume(ctx, store, "c", s.handle, nil), storage.ErrExpired)

		m := &mortal{Store: store}
		calls := 0
		opts := &changes.Options{OnExpired: func(ctx context.Context) error {
			switch calls++; calls {
			case 1:
				return errors.New("no")
			case 2:
				panic("no")
			case 3: // the process is killed during the call
				m.dead.Store(true)
				<-ctx.Done()
				return nil
			}
			put(t, store, "d")
			return nil
		}}
		r = run(m, "c", s.handle, opts)
		pass(time.Minute)
		require.Error(t, r.end())
		require.Equal(t, 3, calls)
		require.ErrorIs(t, changes.Consume(ctx, store, "c", s.handle, nil), storage.ErrExpired, "another process must not go on")
		r = run(store, "c", s.handle, opts)
		pass(time.Minute)
		require.Error(t, r.end())
		require.Equal(t, 4, calls)
		require.Equal(t, all(t, store), s.get()[1:])
		assert.False(t, consumer(t, store).Expired)
	})
}

// TestTrimDuringOnExpired: Trim leaves the changes that follow OnExpired, and those alone.
func TestTrimDuringOnExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &sink{}
		put(t, store, "a")
		r := run(store, "c", s.handle, nil)
		pass(time.Second)
		require.Error(t, r.end())
		put(t, store, "b", "c")
		require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), storage.Cursor{}))
		calls := 0
		r = run(store, "c", s.handle, &changes.Options{OnExpired: func(context.Context) error {
			calls++
			time.Sleep(time.Hour)
			return nil
		}})
		pass(time.Minute)
		put(t, store, "d")
		pass(time.Minute)
		names, err := changes.Trim(ctx, store, time.Now())
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, names)
		pass(2 * time.Hour)
		require.Error(t, r.end())
		require.Equal(t, 1, calls)
		require.Equal(t, all(t, store), s.get()[1:])
		require.Len(t, s.get(), 2)
	})
}

// failing is a store whose writes fail as long as fail says so of their records.
type failing struct {
	storage.Store
	fail func(storage.Record) bool
}

func (f *failing) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if f.fail(writes[0].Record) {
		return nil, storage.ErrUnavailable
	}
	return f.Store.Write(ctx, writes)
}

// TestExpiredNotStored: a call of OnExpired whose end cannot be stored is made again. What
// is stored is never half of it.
func TestExpiredNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		s := &sink{}
		put(t, store, "a")
		r := run(store, "c", s.handle, nil)
		pass(time.Second)
		require.Error(t, r.end())
		put(t, store, "b", "c")
		require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), storage.Cursor{}))

		calls, isBegun := 0, false
		opts := &changes.Options{OnExpired: func(context.Context) error { calls++; return nil }}
		r = run(&failing{store, func(rec storage.Record) bool { // until the end of the process is stored
			isBegun = isBegun || bytes.Contains(rec.Data, []byte(`"resume"`))
			return isBegun && !bytes.Contains(rec.Data, []byte(`"resume"`))
		}}, "c", s.handle, opts)
		pass(time.Second)
		require.Equal(t, 1, calls)
		require.Error(t, r.end())
		assert.True(t, consumer(t, store).Expired)

		r = run(store, "c", s.handle, opts)
		pass(time.Second)
		put(t, store, "d")
		pass(time.Minute)
		require.Error(t, r.end())
		assert.Equal(t, 2, calls)
		require.Equal(t, all(t, store), s.get()[1:])
		names, err := changes.Trim(ctx, store, time.Now().Add(time.Hour))
		require.NoError(t, err)
		assert.Empty(t, names)
		assert.Empty(t, all(t, store))
	})
}

// TestExpiredUnderWay: the log is trimmed below a consumer that runs, and has parked
// resources.
func TestExpiredUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		calls := 0
		s := &sink{fail: func(e changes.Event) error {
			if e.Key.ExternalID == "a" {
				return errors.New("no")
			}
			put(t, store, "c", "c")
			require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), storage.Cursor{}))
			return nil
		}}
		put(t, store, "a", "b")
		tail := changes.NewTail(store, nil)
		tail.Keep(0, 0)
		r := run(store, "c", s.handle, &changes.Options{Tail: tail, MaxAttempts: 1, OnExpired: func(context.Context) error {
			calls++
			s.set(nil)
			return nil
		}})
		pass(time.Minute)
		put(t, store, "d")
		pass(5 * time.Second)
		require.Error(t, r.end())
		require.Equal(t, 1, calls)
		require.Empty(t, consumer(t, store).Parked)
		require.Equal(t, all(t, store), s.get()[1:])
	})
}

// TestTakeOver: one process at a time owns the consumer. The next one takes over at once
// after a clean end, and a lease after a kill.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var owner, fence atomic.Uint64 // of the latest event
		stores := make([]*mortal, 5)
		runs := make([]*running, 5)
		for i := range runs {
			stores[i] = &mortal{Store: store}
			runs[i] = run(stores[i], "c", func(_ context.Context, e changes.Event) error {
				assert.LessOrEqual(t, fence.Load(), e.Fence)
				owner.Store(uint64(i))
				fence.Store(e.Fence)
				return nil
			}, &changes.Options{Concurrency: 3})
		}
		wait := func() time.Duration { // for the next owner
			start, before := time.Now(), fence.Load()
			for range 600 {
				put(t, store, "a")
				pass(100 * time.Millisecond)
				if fence.Load() > before {
					return time.Since(start)
				}
			}
			t.Fatal("there is no next owner")
			return 0
		}
		wait()
		pass(10 * time.Minute)
		require.Equal(t, fence.Load(), consumer(t, store).Fence, "an idle owner keeps its lease")

		stores[owner.Load()].dead.Store(true)
		took := wait()
		assert.Greater(t, took, 10*time.Second, "a lease")
		assert.Less(t, took, 20*time.Second, "a lease and a look")

		require.ErrorIs(t, runs[owner.Load()].end(), context.Canceled)
		assert.Empty(t, consumer(t, store).Owner)
		assert.Less(t, wait(), 3*time.Second, "a look")
		for _, r := range runs {
			require.ErrorIs(t, r.end(), context.Canceled)
		}
	})
}

// TestLostLease: the store of the owner does not answer any more. The next owner takes
// over, the call under way is told, and no other call begins: an overlap of one call for
// each lane.
func TestLostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		m := &mortal{Store: store}
		for range 20 {
			put(t, store, "a")
		}
		var began, late []string
		var causes []error
		blocked := make(chan struct{})
		var old atomic.Uint64
		first := run(m, "c", func(ctx context.Context, e changes.Event) error {
			old.Store(e.Fence)
			began = append(began, nameOf(e))
			if len(began) == 3 {
				m.dead.Store(true)
				<-ctx.Done()
				causes = append(causes, context.Cause(ctx))
				<-blocked // and goes on for long
				late = append(late, nameOf(e))
			}
			return nil
		}, nil)
		pass(time.Second)
		s := &sink{}
		var fence atomic.Uint64
		s.fail = func(e changes.Event) error { fence.Store(e.Fence); return nil }
		second := run(store, "c", s.handle, nil)
		pass(20 * time.Second)
		log := all(t, store)
		require.Equal(t, []error{changes.ErrLeaseLost}, causes)
		require.Equal(t, log, s.get(), "nothing was stored before")
		require.Greater(t, fence.Load(), old.Load())
		close(blocked)
		m.dead.Store(false)
		pass(time.Minute)
		require.Len(t, began, 3)
		require.Equal(t, log[2:3], late)
		require.ErrorIs(t, first.end(), context.Canceled)
		require.ErrorIs(t, second.end(), context.Canceled)
	})
}

// TestFenceAscends: also when the consumer was removed, or is of an older backup.
func TestFenceAscends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fences []uint64
		for range 3 {
			store := memory.New()
			for range 3 {
				require.NoError(t, changes.Remove(ctx, store, "c"))
				r := run(store, "c", func(context.Context, changes.Event) error { return nil }, nil)
				pass(time.Millisecond)
				require.Error(t, r.end())
				fences = append(fences, consumer(t, store).Fence)
			}
		}
		require.True(t, slices.IsSorted(fences))
		require.Len(t, slices.Compact(fences), 9)
	})
}

// TestOldLease: an owner that cannot renew its lease begins no call from two thirds of it
// on, so that its calls have most often ended when the next owner begins.
func TestOldLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		for i := range 100 {
			put(t, store, fmt.Sprint(i))
		}
		m := &mortal{Store: store}
		start := time.Now()
		var last, next atomic.Int64 // calls, as times since the start
		first := run(m, "c", func(ctx context.Context, e changes.Event) error {
			last.Store(int64(time.Since(start)))
			time.Sleep(time.Second)
			return nil
		}, nil)
		pass(3500 * time.Millisecond)
		m.dead.Store(true)
		second := run(store, "c", func(ctx context.Context, e changes.Event) error {
			next.CompareAndSwap(0, int64(time.Since(start)))
			return nil
		}, nil)
		pass(time.Minute)
		assert.InDelta(t, 12*time.Second, time.Duration(last.Load()), float64(1500*time.Millisecond), "renewed at 2 or 3 s, and 10 s old")
		assert.InDelta(t, 20*time.Second, time.Duration(next.Load()), float64(2500*time.Millisecond))
		require.Error(t, first.end())
		require.Error(t, second.end())
	})
}

// TestLongHandler: the lease is renewed while a call takes long.
func TestLongHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, "a", "b")
		n := 0
		handler := func(ctx context.Context, e changes.Event) error {
			n++
			time.Sleep(time.Hour)
			return ctx.Err()
		}
		opts := &changes.Options{Lease: 10 * time.Second}
		first, second := run(store, "c", handler, opts), run(store, "c", handler, opts)
		pass(time.Minute)
		fence := consumer(t, store).Fence
		pass(149 * time.Minute)
		require.Equal(t, 2, n)
		require.Equal(t, fence, consumer(t, store).Fence)
		first.end()
		second.end()
	})
}

// TestStoreDown: the store is down for minutes, and the consumer goes on.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.New()
		var down atomic.Bool
		store := storagetest.Faulty(log, func(op storagetest.Op) (f storagetest.Fault) {
			if down.Load() {
				f.Err = storage.ErrUnavailable
				if op.Name == "put" && op.N%2 == 0 {
					f.Err = storage.ErrUnknownOutcome
				}
			}
			return f
		})
		s := &sink{}
		var errs atomic.Int64
		r := run(store, "c", s.handle, &changes.Options{OnError: func(error) { errs.Add(1) }})
		for range 3 {
			put(t, log, "a", "b")
			pass(5 * time.Second)
			down.Store(true)
			put(t, log, "c")
			pass(10 * time.Minute)
			require.NotEqual(t, all(t, log), s.get())
			down.Store(false)
			pass(10 * time.Second)
			require.Equal(t, all(t, log), s.get())
		}
		require.Positive(t, errs.Load())
		require.Less(t, errs.Load(), int64(3*1000))
		require.Error(t, r.end())
	})
}

// TestErased: a parked resource whose changes were redacted gets what is left, and no
// change of it from before comes after it was told that it is erased.
func TestErased(t *testing.T) {
	for _, step := range []string{"waits", "created again", "partly"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := memory.New()
				var broken atomic.Bool
				broken.Store(true)
				var got []string
				revisions := map[uuid.UUID][]storage.Revision{}
				handler := func(_ context.Context, e changes.Event) error {
					if broken.Load() && (step != "partly" || e.Outcome == resource.Updated) && e.Key.ExternalID != "b" {
						return errors.New("no")
					}
					got = append(got, fmt.Sprint(e.Outcome, " ", e.ID))
					revisions[e.ID] = append(revisions[e.ID], e.Revision)
					if e.Outcome == resource.Erased {
						assert.Empty(t, e.Document)
						assert.NotEqual(t, "a", e.Key.ExternalID)
					}
					return nil
				}
				put(t, store, "a", "a")
				page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 1})
				require.NoError(t, err)
				id := page.Changes[0].ID
				r := run(store, "c", handler, &changes.Options{Documents: true, Unredacted: true, MaxBackoff: time.Minute})
				pass(10 * time.Second)
				remove(t, store, "a")
				again := uuid.Nil
				if step == "created again" {
					put(t, store, "a")
					remove(t, store, "a")
				}
				n, err := store.Redact(ctx, keyOf("a"), storage.Note{Time: time.Now()})
				require.NoError(t, err)
				require.Positive(t, n)
				if step == "created again" {
					put(t, store, "a")
					rec, err := store.Get(ctx, keyOf("a"))
					require.NoError(t, err)
					again = rec.ID
				}
				put(t, store, "b")
				pass(10 * time.Second)
				broken.Store(false)
				pass(2 * time.Minute)
				require.Error(t, r.end())
				require.Empty(t, consumer(t, store).Parked)
				want := map[uuid.UUID][]storage.Revision{}
				page, err = store.Changes(ctx, storage.ChangeQuery{Limit: 100})
				require.NoError(t, err)
				for _, c := range page.Changes {
					want[c.ID] = append(want[c.ID], c.Cursor.Revision)
				}
				assert.Equal(t, want, revisions, "each once and in order, also those of another ID of the key")
				last := map[string]string{}
				for _, e := range got {
					outcome, id, _ := strings.Cut(e, " ")
					assert.False(t, last[id] == "erased" && outcome != "erased", "%v after it was erased", outcome)
					last[id] = outcome
				}
				assert.Equal(t, "erased", last[id.String()])
				if step == "created again" {
					assert.Equal(t, "created", last[again.String()])
					assert.Len(t, last, 4)
				}
				assert.NotContains(t, slices.Collect(maps.Values(last)), "deleted")
			})
		})
	}
}

// TestErasedInPages: of a parked resource that is erased, and has more changes than one
// retry, of many IDs, each comes once and in order.
func TestErasedInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		for range 125 {
			put(t, store, "a")
			remove(t, store, "a")
		}
		var got []storage.Revision
		isErased := false
		r := run(store, "c", func(_ context.Context, e changes.Event) error {
			if !isErased {
				return errors.New("no")
			}
			got = append(got, e.Revision)
			return nil
		}, &changes.Options{MinBackoff: time.Second})
		pass(500 * time.Millisecond)
		isErased = true
		// The parked resource is due before the consumer sees what this adds.
		_, err := store.Redact(ctx, keyOf("a"), storage.Note{Time: time.Now()})
		require.NoError(t, err)
		pass(time.Minute)
		require.Error(t, r.end())
		require.Empty(t, consumer(t, store).Parked)
		var want []storage.Revision
		for _, c := range logged(t, store) {
			want = append(want, c.Cursor.Revision)
		}
		require.Len(t, want, 250+125)
		require.Equal(t, want, got)
	})
}

// TestOneID: a page that is read while Erase is at work may have changes of one resource
// under two keys. They come one after the other.
func TestOneID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var mu sync.Mutex
		var got []string
		note := func(what string, e changes.Event) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, what+" "+e.Key.ExternalID)
		}
		id := uuid.New()
		var want []string
		for i := range 10 {
			key := keyOf(fmt.Sprint(i))
			_, err := storage.UpdateWith(ctx, store, key, func(storage.Record) (storage.Write, error) {
				return storage.Write{Record: storage.Record{ID: id}, Note: &storage.Note{Time: time.Now()}}, nil
			})
			require.NoError(t, err)
			want = append(want, "begin "+key.ExternalID, "end "+key.ExternalID)
		}
		r := run(store, "c", func(_ context.Context, e changes.Event) error {
			note("begin", e)
			time.Sleep(time.Second)
			note("end", e)
			return nil
		}, &changes.Options{Concurrency: 1000})
		pass(time.Minute)
		require.Error(t, r.end())
		require.Equal(t, want, got)
	})
}

// TestParkedBound: a change that is logged while a page is delivered comes after those
// that wait, and once.
func TestParkedBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		n := 0
		s := &sink{fail: func(e changes.Event) error {
			if n++; n == 1 {
				return errors.New("no")
			}
			return nil
		}}
		put(t, store, "a", "b")
		r := run(store, "c", func(ctx context.Context, e changes.Event) error {
			if e.Key.ExternalID == "b" {
				time.Sleep(5 * time.Second)
			}
			return s.handle(ctx, e)
		}, nil)
		pass(3 * time.Second)
		put(t, store, "a")
		pass(time.Minute)
		require.Error(t, r.end())
		log := all(t, store)
		require.Equal(t, []string{log[1], log[0], log[2]}, s.get())
	})
}

// TestEndOfRetry: after an end among the changes of a parked resource none comes twice.
func TestEndOfRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		var r *running
		started := make(chan struct{})
		s := &sink{}
		n := 0
		s.fail = func(e changes.Event) error {
			switch n++; n {
			case 1:
				return errors.New("no")
			case 3:
				<-started
				r.cancel()
				return errors.New("has ended")
			}
			return nil
		}
		put(t, store, "a", "a", "a")
		r = run(store, "c", s.handle, nil)
		close(started)
		pass(time.Minute)
		require.ErrorIs(t, r.end(), context.Canceled)
		again := run(store, "c", s.handle, nil)
		pass(time.Minute)
		require.ErrorIs(t, again.end(), context.Canceled)
		require.Equal(t, all(t, store), s.get())
		require.Empty(t, consumer(t, store).Parked)
	})
}

// lagging is a store that does not show all changes for some time, as a process does
// whose view of the log is not as far as the one of the process before it.
type lagging struct {
	storage.Store
	until atomic.Pointer[storage.Cursor] // nil: all
}

func (l *lagging) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	page, err := l.Store.Changes(ctx, q)
	if until := l.until.Load(); until != nil && err == nil && page.Next.Position > until.Position {
		i := slices.IndexFunc(page.Changes, func(c storage.Change) bool { return c.Cursor.Position > until.Position })
		if i >= 0 {
			page.Changes = page.Changes[:i]
		}
		page.Next, page.More = *until, false
		if until.Position < q.After.Position {
			page.Next = q.After
		}
	}
	return page, err
}

// TestParkedNotShown: a resource stays parked until all its changes up to the position are
// seen.
func TestParkedNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lagging{Store: memory.New()}
		var broken atomic.Bool
		broken.Store(true)
		s := &sink{}
		s.fail = func(e changes.Event) error {
			if broken.Load() && e.Key.ExternalID == "a" {
				return errors.New("no")
			}
			return nil
		}
		put(t, store, "b")
		at := end(t, store)
		put(t, store, "a", "a", "b", "a", "b")
		r := run(store, "c", s.handle, nil)
		pass(10 * time.Second)
		store.until.Store(&at)
		broken.Store(false)
		pass(2 * time.Minute)
		require.Len(t, consumer(t, store).Parked, 1)
		store.until.Store(nil)
		pass(time.Minute)
		require.Error(t, r.end())
		require.Empty(t, consumer(t, store).Parked)
		got := s.get()
		slices.Sort(got)
		want := all(t, store)
		slices.Sort(want)
		require.Equal(t, want, got)
	})
}

// TestConcurrency: calls for different resources run at once, as many as asked for.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		for range 5 {
			for i := range 200 { // so that no lane is empty
				put(t, store, fmt.Sprint(i))
			}
		}
		j := newJournal(t, all(t, store))
		var mu sync.Mutex
		var now, most int
		r := run(store, "c", func(_ context.Context, e changes.Event) error {
			j.begin(e)
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			j.finish(e, true)
			return nil
		}, &changes.Options{Concurrency: 10})
		pass(5 * time.Minute)
		require.Error(t, r.end())
		require.Zero(t, j.missing())
		assert.Equal(t, 10, most)
	})
}

// TestPosition: a process that is killed has stored its position a second ago at most.
func TestPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		for i := range 1000 {
			put(t, store, fmt.Sprint(i))
		}
		m := &mortal{Store: store}
		n := 0
		r := run(m, "c", func(context.Context, changes.Event) error {
			time.Sleep(10 * time.Millisecond)
			n++
			return nil
		}, nil)
		pass(5500 * time.Millisecond)
		m.dead.Store(true)
		require.Error(t, r.end())
		assert.InDelta(t, n, consumer(t, store).Delivered, 101)
		s := &sink{}
		r = run(store, "c", s.handle, nil)
		pass(time.Minute)
		require.Error(t, r.end())
		assert.InDelta(t, 1000-n, len(s.get()), 101)
	})
}

func TestConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		list, err := changes.Consumers(ctx, store)
		require.NoError(t, err)
		require.Empty(t, list)
		put(t, store, "a")
		s := &sink{}
		for _, name := range []string{"b", "a", "C.d-e_9"} {
			r := run(store, name, s.handle, nil)
			pass(time.Second)
			require.Error(t, r.end())
		}
		put(t, store, "b")
		pass(time.Minute)
		put(t, store, "c")
		list, err = changes.Consumers(ctx, store)
		require.NoError(t, err)
		require.Len(t, list, 3)
		for i, name := range []string{"C.d-e_9", "a", "b"} {
			assert.Equal(t, name, list[i].Name)
			assert.Equal(t, time.Minute, list[i].Lag)
			assert.Equal(t, uint64(1), list[i].Delivered)
		}
		r, waits := run(store, "a", s.handle, nil), run(store, "a", s.handle, nil)
		pass(10 * time.Second)
		list, err = changes.Consumers(ctx, store)
		require.NoError(t, err)
		assert.Zero(t, list[1].Lag)
		assert.NotEmpty(t, list[1].Owner)

		require.NoError(t, changes.Remove(ctx, store, "a"), "it runs")
		pass(10 * time.Second)
		for _, r := range []*running{r, waits} {
			<-r.done
			require.ErrorIs(t, r.err, storage.ErrNotFound)
		}
		require.NoError(t, changes.Remove(ctx, store, "a"))
		require.ErrorIs(t, changes.Remove(ctx, store, "/"), storage.ErrInvalid)
		list, err = changes.Consumers(ctx, store)
		require.NoError(t, err)
		require.Len(t, list, 2)
	})
}

// TestConsumerJSON: the figures as JSON have names like those of a change, units, no zero
// times and no null, and can be read again.
func TestConsumerJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, "a")
		r := run(store, "c", func(context.Context, changes.Event) error { return errors.New("no") }, &changes.Options{MaxAttempts: 1})
		pass(500 * time.Millisecond)
		require.Error(t, r.end())
		put(t, store, "b")
		pass(1500 * time.Millisecond)
		id := logged(t, store)[0].ID.String()
		c := consumer(t, store)
		text, err := json.Marshal(c)
		require.NoError(t, err)
		assert.Equal(t, `{"name":"c","owner":"","fence":946684800000,"renewed":"2000-01-01T00:00:00.5Z",`+
			`"lagNanoseconds":1500000000,"heldNanoseconds":0,"expired":false,"delivered":0,"failed":1,`+
			`"parked":[{"tenant":{"platformId":"`+tenant.Platform.String()+`","businessId":"`+tenant.Business.String()+
			`"},"schemaDefinitionId":"`+schemaID.String()+`","id":"`+id+`","since":"2000-01-01T00:00:00Z","attempts":1,"error":"no"}]}`, string(text))
		var again changes.Consumer
		require.NoError(t, json.Unmarshal(text, &again))
		assert.Equal(t, c, again)

		require.NoError(t, changes.Remove(ctx, store, "c"))
		r = run(store, "c", (&sink{}).handle, nil)
		pass(time.Second)
		require.Error(t, r.end())
		text, err = json.Marshal(consumer(t, store))
		require.NoError(t, err)
		assert.Contains(t, string(text), `"parked":[]`)
	})
}

// overtaken is a store in which another Trim, of all changes, always comes first.
type overtaken struct{ storage.Store }

func (o *overtaken) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	if err := o.Store.Trim(ctx, before, storage.Cursor{}); err != nil {
		return err
	}
	return o.Store.Trim(ctx, before, end)
}

// TestTrimOvertaken: of two Trims at the same time the later one may find that its end is
// gone, and has nothing to do then.
func TestTrimOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, "a", "b")
		r := run(store, "c", func(_ context.Context, e changes.Event) error {
			if e.Key.ExternalID == "b" {
				return errors.New("no")
			}
			return nil
		}, nil)
		pass(time.Second)
		require.Error(t, r.end())
		put(t, store, "c")
		names, err := changes.Trim(ctx, &overtaken{store}, time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, names)
	})
}

// TestTrim: nothing goes that a consumer or a parked resource needs.
func TestTrim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		trim := func() []string {
			names, err := changes.Trim(ctx, store, time.Now().Add(-time.Minute))
			require.NoError(t, err)
			return names
		}
		put(t, store, "a", "b", "c")
		pass(time.Hour)
		put(t, store, "d")
		require.Empty(t, trim())
		log := all(t, store)
		require.Len(t, log, 1, "without consumers, by time alone")

		s := &sink{fail: func(e changes.Event) error {
			if e.Key.ExternalID == "e" {
				return errors.New("no")
			}
			return nil
		}}
		runs := []*running{run(store, "ends", s.handle, nil), run(store, "parks", s.handle, nil)}
		pass(time.Second)
		require.Error(t, runs[0].end())
		put(t, store, "e", "f")
		pass(time.Hour)
		put(t, store, "g")
		pass(10 * time.Second)
		require.Equal(t, []string{"ends", "parks"}, trim())
		log = all(t, store)
		require.Len(t, log, 3)
		require.Regexp(t, "^e ", log[0])
		require.NoError(t, changes.Remove(ctx, store, "ends"))
		require.Equal(t, []string{"parks"}, trim())
		s.set(nil)
		require.NoError(t, changes.Release(ctx, store, "parks"))
		pass(10 * time.Second)
		require.Empty(t, trim())
		require.Len(t, all(t, store), 1, "g is not old enough")
		require.Error(t, runs[1].end())

		put(t, store, "h")
		pass(time.Hour)
		require.NoError(t, store.Trim(ctx, time.Now(), storage.Cursor{}))
		put(t, store, "i")
		pass(time.Hour)
		require.Empty(t, trim(), "a consumer whose place is gone keeps nothing back")
		require.Empty(t, all(t, store))
	})
}

// TestTrimStart: a consumer that has not stored a position needs all of the log.
func TestTrimStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		put(t, store, "a")
		r := run(store, "c", func(ctx context.Context, e changes.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}, nil)
		pass(time.Hour)
		names, err := changes.Trim(ctx, store, time.Now())
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, names)
		require.Len(t, all(t, store), 1)
		require.Error(t, r.end())
	})
}

// customers returns a collection that logs to a store.
func customers(t testing.TB, store storage.Store, opts *resource.Options) *resource.Collection {
	c, err := resource.NewCollection(schema.Customers(), store, opts)
	require.NoError(t, err)
	return c
}

const customer = `{"customerId":"cust_1","firstName":"Ada","lastName":"King","createdAt":"2024-05-01T10:00:00Z","email":"ada@example.com"}`

// TestCollections: a consumer gets the changes of its collections alone, with what it asks
// for.
func TestCollections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		c := customers(t, store, &resource.Options{Log: true, History: true})
		put(t, store, "a")
		_, err := c.Create(ctx, tenant, []byte(customer), &resource.WriteOptions{Actor: "me"})
		require.NoError(t, err)
		put(t, store, "a")
		var got []changes.Event
		handler := func(_ context.Context, e changes.Event) error {
			got = append(got, e)
			return nil
		}
		for i, opts := range []*changes.Options{
			{}, {Documents: true}, {Patches: true, Unredacted: true},
		} {
			opts.Collections = []*resource.Collection{c}
			r := run(store, fmt.Sprint(i), handler, opts)
			pass(time.Second)
			require.Error(t, r.end())
		}
		require.Len(t, got, 3)
		for _, e := range got {
			assert.Equal(t, "customers", e.Schema)
			assert.Equal(t, resource.Created, e.Outcome)
			assert.Equal(t, "me", e.Actor)
			assert.NotContains(t, fmt.Sprintf("%v %+v", e, e), "cust_1")
		}
		assert.Nil(t, got[0].Document)
		assert.Contains(t, string(got[1].Document), `"email":"[redacted]"`)
		assert.Nil(t, got[1].Patch)
		assert.Contains(t, string(got[2].Patch), `"email":"ada@example.com"`)
	})
}

type noLog struct{ storage.Store }

func (noLog) Limits() storage.Limits { return storage.Limits{NoLog: true} }

func TestOptions(t *testing.T) {
	store := memory.New()
	logs := customers(t, store, &resource.Options{Log: true})
	keeps, err := resource.NewCollection(schema.Locations(), store, &resource.Options{Log: true, History: true})
	require.NoError(t, err)
	fine := func(context.Context, changes.Event) error { return nil }
	of := func(c ...*resource.Collection) *changes.Options { return &changes.Options{Collections: c} }
	for name, opts := range map[string]*changes.Options{
		"nil collection":      of(nil),
		"no log":              of(customers(t, store, nil)),
		"another store":       of(customers(t, memory.New(), &resource.Options{Log: true})),
		"a schema twice":      of(logs, customers(t, store, &resource.Options{Log: true})),
		"concurrency":         {Concurrency: 1001},
		"lease":               {Lease: 1},
		"backoff":             {MinBackoff: 2, MaxBackoff: 1},
		"parked":              {MaxParked: 1001},
		"redacted documents":  {Documents: true},
		"another store: tail": {Tail: changes.NewTail(memory.New(), nil)},
		"no history":          {Collections: []*resource.Collection{logs}, Documents: true},
		"no history: patches": {Collections: []*resource.Collection{keeps, logs}, Patches: true},
		"tail without data":   {Patches: true, Unredacted: true, Tail: changes.NewTail(store, &changes.TailOptions{NoData: true})},
	} {
		assert.ErrorIs(t, changes.Consume(ctx, store, "c", fine, opts), storage.ErrInvalid, name)
	}
	for _, name := range []string{"", strings.Repeat("a", 101), "a/b", "a b", "ä", "a\x00"} {
		assert.ErrorIs(t, changes.Consume(ctx, store, name, fine, nil), storage.ErrInvalid, name)
	}
	assert.ErrorIs(t, changes.Consume(ctx, store, "c", nil, nil), storage.ErrInvalid)
	assert.ErrorIs(t, changes.Consume(ctx, nil, "c", fine, nil), storage.ErrInvalid)
	assert.ErrorIs(t, changes.Consume(ctx, noLog{store}, "c", fine, nil), storage.ErrUnsupported)
	done, cancel := context.WithCancel(ctx)
	cancel()
	assert.ErrorIs(t, changes.Consume(done, store, "c", fine, nil), context.Canceled)
	list, err := changes.Consumers(ctx, store)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, store.Close())
	assert.ErrorIs(t, changes.Consume(ctx, store, "c", fine, nil), storage.ErrClosed)
}

// TestStateIsBounded: a record with all parked resources that it may have is below the
// smallest limit of a store, 1 MiB, with the dearest errors.
func TestStateIsBounded(t *testing.T) {
	for _, text := range []string{`"`, "<", `\`, "\x00", "\xff", "\u2028", "\x7f", "é"} {
		size := changes.LargestState(errors.New(strings.Repeat(text, 1000)))
		assert.Less(t, size, 1<<20, "%q", text)
	}
}

// TestSharedTail: consumers and streams share a tail, and one query.
func TestSharedTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memory.New()}
		tail := changes.NewTail(store, nil)
		sinks := make([]sink, 20)
		runs := make([]*running, len(sinks))
		for i := range sinks {
			runs[i] = run(store, fmt.Sprint(i), sinks[i].handle, &changes.Options{Tail: tail})
		}
		pass(time.Minute)
		before := store.queries.Load()
		pass(time.Minute)
		assert.InDelta(t, 30, store.queries.Load()-before, 2)
		put(t, store, "a")
		tail.Wake()
		pass(20 * time.Millisecond)
		for i := range sinks {
			assert.Len(t, sinks[i].get(), 1)
			runs[i].end()
		}
	})
}
