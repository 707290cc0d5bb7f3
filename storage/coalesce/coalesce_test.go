package coalesce_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/storagetest"
)

var ctx = context.Background()

func key(id string) storage.Key {
	return storage.Key{
		Tenant:     storage.TenantOf("acme", "main"),
		Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		ExternalID: id,
	}
}

// batching is memory with batches.
func batching() coalesce.Batcher {
	return storagetest.Faulty(memory.New(), func(storagetest.Op) storagetest.Fault { return storagetest.Fault{} }).(coalesce.Batcher)
}

func TestStore(t *testing.T) {
	for name, below := range map[string]func() coalesce.Batcher{
		"batches":                batching,
		"that remembers records": func() coalesce.Batcher { return recent.New(memory.New(), 1<<20) },
		"conflicts and delays": func() coalesce.Batcher {
			return storagetest.Faulty(memory.New(), storagetest.RandomPlan(1, storagetest.Rates{
				Conflict: 0.1, Delay: 0.02, MaxDelay: 200 * time.Microsecond,
			})).(coalesce.Batcher)
		},
	} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(*testing.T) storage.Store { return coalesce.New(below()) })
		})
	}
}

// gated is a store below that notes each write, and holds it up while it is told to.
type gated struct {
	coalesce.Batcher
	err error // of each batch of puts

	mu    sync.Mutex
	calls []string                 // the ids of each
	gates map[string]chan struct{} // for calls that have the id; "" is for each call
	begun chan string
}

func newGated() *gated {
	return &gated{Batcher: batching(), gates: make(map[string]chan struct{}), begun: make(chan string, 1000)}
}

// newStore returns a store whose calls keep their slots, however slow the test is.
func newStore(below coalesce.Batcher) *coalesce.Store {
	store := coalesce.New(below)
	store.SetPatience(time.Hour)
	return store
}

// hold holds up calls that have the id, from the next one on.
func (g *gated) hold(id string) (release func()) {
	gate := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gates[id] = gate
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.gates, id)
		close(gate)
	}
}

func (g *gated) begin(kind string, ids ...string) {
	g.mu.Lock()
	call := kind + " " + strings.Join(ids, " ")
	g.calls = append(g.calls, call)
	var gates []chan struct{}
	for _, id := range append(ids, "") {
		if gate := g.gates[id]; gate != nil {
			gates = append(gates, gate)
		}
	}
	g.mu.Unlock()
	g.begun <- call
	for _, gate := range gates {
		<-gate
	}
}

// next returns the next call that begins.
func (g *gated) next(t *testing.T) string {
	select {
	case call := <-g.begun:
		return call
	case <-time.After(time.Minute):
		t.Fatal("no call")
		return ""
	}
}

func (g *gated) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	g.begin("put", rec.Key.ExternalID)
	return g.Batcher.Put(ctx, rec, expect)
}

func (g *gated) Delete(ctx context.Context, k storage.Key, expect storage.Revision) error {
	g.begin("delete", k.ExternalID)
	return g.Batcher.Delete(ctx, k, expect)
}

func (g *gated) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	var ids []string
	for _, op := range ops {
		ids = append(ids, op.Record.Key.ExternalID)
	}
	g.begin("puts", ids...)
	if g.err != nil {
		return nil, g.err
	}
	return g.Batcher.PutMany(ctx, ops)
}

func (g *gated) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	var ids []string
	for _, op := range ops {
		ids = append(ids, op.Key.ExternalID)
	}
	g.begin("deletes", ids...)
	return g.Batcher.DeleteMany(ctx, ops)
}

// put starts a create and returns where its error comes.
func put(ctx context.Context, store storage.Store, id string) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := store.Put(ctx, storage.Record{Key: key(id), Data: []byte(id)}, 0)
		done <- err
	}()
	return done
}

// busy makes two calls, so that others wait, and returns what ends them both.
func busy(t *testing.T, below *gated, store storage.Store) (end func()) {
	var releases []func()
	for n := range 2 {
		id := fmt.Sprint("busy-", n)
		releases = append(releases, below.hold(id))
		put(ctx, store, id)
		for below.next(t) != "put "+id { // what came before may not have been looked at
		}
	}
	return func() {
		for _, release := range releases {
			release()
		}
	}
}

// queued waits until n writes wait.
func queued(t *testing.T, store *coalesce.Store, n int) {
	require.Eventually(t, func() bool { return store.Waiting() == n }, time.Minute, 100*time.Microsecond)
}

// TestTogether: 64 writers take three calls: two that find the store idle go at once,
// and all others go together.
func TestTogether(t *testing.T) {
	below := newGated()
	store := newStore(below)
	end := busy(t, below, store)
	var writers []<-chan error
	for i := range 62 {
		writers = append(writers, put(ctx, store, fmt.Sprint(i)))
	}
	queued(t, store, 62)
	end()
	for i, done := range writers {
		require.NoError(t, <-done)
		rec, err := store.Get(ctx, key(fmt.Sprint(i)))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(rec.Data))
	}
	assert.Len(t, below.calls, 3)
}

// TestTogetherEachByItself: puts and deletes that go together, of which every other
// one conflicts, have the outcomes of their own.
func TestTogetherEachByItself(t *testing.T) {
	below := newGated()
	store := newStore(below)
	for i := range 40 {
		require.NoError(t, <-put(ctx, store, fmt.Sprint(i)))
	}
	end := busy(t, below, store)
	var outcomes []<-chan error
	for i := range 40 {
		rec, err := store.Get(ctx, key(fmt.Sprint(i)))
		require.NoError(t, err)
		done := make(chan error, 1)
		outcomes = append(outcomes, done)
		go func() {
			expect := rec.Revision + storage.Revision(i/2%2)
			if i%2 == 0 {
				done <- store.Delete(ctx, rec.Key, expect)
				return
			}
			rec.Data = []byte("new")
			rev, err := store.Put(ctx, rec, expect)
			if now, _ := store.Get(ctx, rec.Key); err == nil && now.Revision != rev {
				err = errors.New("not the revision that was returned")
			}
			done <- err
		}()
	}
	queued(t, store, 40)
	before := len(below.calls)
	end()
	for i, done := range outcomes {
		if err := <-done; i/2%2 == 0 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, storage.ErrConflict)
		}
		rec, err := store.Get(ctx, key(fmt.Sprint(i)))
		require.Equal(t, i%4 == 0, errors.Is(err, storage.ErrNotFound))
		require.Equal(t, i%4 == 1, string(rec.Data) == "new")
	}
	assert.Len(t, below.calls, before+2, "one of puts and one of deletes")
}

// TestIdle: a write that finds the store idle is the store's own call, with its context
// and all that it says.
func TestIdle(t *testing.T) {
	type name struct{}
	seen := &values{Batcher: batching()}
	store := coalesce.New(seen)
	_, err := store.Put(context.WithValue(ctx, name{}, "me"), storage.Record{Key: key("k")}, 0)
	require.ErrorIs(t, err, storage.ErrConflict)
	require.Equal(t, "me", seen.ctx.Value(name{}))
	var conflict *storage.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.NotNil(t, conflict.Current)
}

// values is a Put that keeps its context.
type values struct {
	coalesce.Batcher
	ctx context.Context
}

func (v *values) Put(ctx context.Context, rec storage.Record, _ storage.Revision) (storage.Revision, error) {
	v.ctx = ctx
	return 0, &storage.ConflictError{Current: &rec}
}

// TestOneKey: writes of one key go one after the other, in their order, and keep no
// others waiting.
func TestOneKey(t *testing.T) {
	below := newGated()
	store := newStore(below)
	release := below.hold("k")
	var writers []<-chan error
	for n := range 10 {
		writers = append(writers, put(ctx, store, "k"))
		if n == 0 {
			require.Equal(t, "put k", below.next(t))
		}
		queued(t, store, n)
	}
	for n := range 10 {
		require.NoError(t, <-put(ctx, store, fmt.Sprint(n)))
	}
	require.Equal(t, 1, strings.Count(strings.Join(below.calls, " ")+" ", " k "))
	release()
	for n, done := range writers {
		if err := <-done; n == 0 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, storage.ErrConflict)
		}
	}
}

// TestContext: what a context says that ends while the write waits, and after it went.
func TestContext(t *testing.T) {
	below := newGated()
	store := newStore(below)
	end := busy(t, below, store)
	leaving, leave := context.WithCancel(ctx)
	waits, stays, goes := put(leaving, store, "waits"), put(ctx, store, "stays"), make(chan error, 1)
	inCall, leaveCall := context.WithCancel(ctx)
	queued(t, store, 2)
	leave()
	err := <-waits
	require.Equal(t, context.Canceled, err)
	go func() {
		_, err := store.Put(inCall, storage.Record{Key: key("goes")}, 0)
		goes <- err
	}()
	queued(t, store, 2)
	release := below.hold("goes")
	end()
	require.Contains(t, []string{"puts stays goes", "puts goes stays"}, below.next(t))
	leaveCall()
	err = <-goes
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	require.ErrorIs(t, err, context.Canceled)
	release()
	require.NoError(t, <-stays, "the call goes on for the others")
	_, err = store.Get(ctx, key("goes"))
	require.NoError(t, err)
	_, err = store.Get(ctx, key("waits"))
	require.ErrorIs(t, err, storage.ErrNotFound)

	// The line of a key goes on without those that left it.
	release = below.hold("line")
	first := put(ctx, store, "line")
	require.Equal(t, "put line", below.next(t))
	leaving, leave = context.WithCancel(ctx)
	second, third := put(leaving, store, "line"), put(ctx, store, "line")
	queued(t, store, 2)
	leave()
	require.Equal(t, context.Canceled, <-second)
	release()
	require.NoError(t, <-first)
	require.ErrorIs(t, <-third, storage.ErrConflict)
}

// TestFailedCall: what failed and was certainly not applied goes again, by itself, so
// that only those fail whose fault it is. What may have been applied does not.
func TestFailedCall(t *testing.T) {
	poison := errors.New("a value out of range")
	for _, tt := range []struct {
		name string
		err  error // of the call with all
		good error
		goes string // of the good ones: by itself again
	}{
		{"anything", poison, nil, "puts put"},
		{"unavailable", storage.ErrUnavailable, nil, "puts put"},
		{"unknown", errors.Join(storage.ErrUnknownOutcome, storage.ErrUnavailable), storage.ErrUnknownOutcome, "puts"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below := newGated()
			below.Batcher = storagetest.Faulty(below.Batcher, func(op storagetest.Op) storagetest.Fault {
				if op.Key.ExternalID == "bad" {
					return storagetest.Fault{Err: poison}
				}
				return storagetest.Fault{}
			}).(coalesce.Batcher)
			below.err = tt.err
			store := newStore(below)
			end := busy(t, below, store)
			writers := map[string]<-chan error{}
			for _, id := range []string{"a", "bad", "c"} {
				writers[id] = put(ctx, store, id)
			}
			queued(t, store, 3)
			end()
			for id, done := range writers {
				want := tt.good
				if id == "bad" && want == nil {
					want = poison
				}
				require.ErrorIs(t, <-done, want, id)
			}
			var goes []string
			for _, call := range below.calls {
				if kind, ids, _ := strings.Cut(call, " "); strings.Contains(" "+ids+" ", " a ") {
					goes = append(goes, kind)
				}
			}
			assert.Equal(t, tt.goes, strings.Join(goes, " "))
		})
	}
}

// TestLocked: records that are locked hold up the writes that share their calls, and no
// others, however many there are. Their next write goes by itself.
func TestLocked(t *testing.T) {
	below := newGated()
	store := coalesce.New(below)
	store.SetPatience(time.Millisecond)
	var releases []func()
	var locked []<-chan error
	for n := range 5 { // more than there are calls at the same time
		id := fmt.Sprint("locked-", n)
		releases = append(releases, below.hold(id))
		locked = append(locked, put(ctx, store, id))
		require.Equal(t, "put "+id, below.next(t))
	}
	// One more has company.
	store.SetPatience(time.Hour)
	end := busy(t, below, store)
	releases = append(releases, below.hold("locked"))
	locked = append(locked, put(ctx, store, "locked"), put(ctx, store, "company"))
	queued(t, store, 2)
	end()
	require.Contains(t, []string{"puts locked company", "puts company locked"}, below.next(t))
	for n := range 20 {
		require.NoError(t, <-put(ctx, store, fmt.Sprint(n)))
		below.next(t)
	}
	for n, done := range locked {
		select {
		case err := <-done:
			t.Fatalf("%d was not held up: %v", n, err)
		default:
		}
	}
	for _, release := range releases {
		release()
	}
	for _, done := range locked {
		require.NoError(t, <-done)
	}
	end = busy(t, below, store)
	done, free := put(ctx, store, "locked"), put(ctx, store, "free")
	require.Equal(t, "put locked", below.next(t), "at once, and by itself")
	require.ErrorIs(t, <-done, storage.ErrConflict)
	done = put(ctx, store, "locked")
	queued(t, store, 2)
	end()
	require.Contains(t, []string{"puts locked free", "puts free locked"}, below.next(t), "with others again")
	require.ErrorIs(t, <-done, storage.ErrConflict)
	require.NoError(t, <-free)
}

// TestBounds: a call has at most 256 writes, and 1 MiB of data unless one has more.
func TestBounds(t *testing.T) {
	for _, tt := range []struct{ writes, size, calls int }{
		{600, 1, 3},
		{10, 300_000, 4},
		{3, 2 << 20, 3},
	} {
		below := newGated()
		store := newStore(below)
		end := busy(t, below, store)
		var wg sync.WaitGroup
		for i := range tt.writes {
			wg.Go(func() {
				_, err := store.Put(ctx, storage.Record{Key: key(fmt.Sprint(i)), Data: make([]byte, tt.size)}, 0)
				assert.NoError(t, err)
			})
		}
		queued(t, store, tt.writes)
		end()
		wg.Wait()
		assert.Len(t, below.calls, 2+tt.calls)
	}
}

// TestClose: writes that wait get ErrClosed and are not sent.
func TestClose(t *testing.T) {
	below := newGated()
	store := newStore(below)
	end := busy(t, below, store)
	ready, line := put(ctx, store, "ready"), put(ctx, store, "busy-0")
	queued(t, store, 2)
	leaving, leave := context.WithCancel(ctx)
	left := put(leaving, store, "left")
	queued(t, store, 3)
	leave()
	require.Equal(t, context.Canceled, <-left)
	require.NoError(t, store.Close())
	require.ErrorIs(t, <-ready, storage.ErrClosed)
	require.ErrorIs(t, <-line, storage.ErrClosed)
	require.ErrorIs(t, <-put(ctx, store, "late"), storage.ErrClosed)
	require.Len(t, below.calls, 2)
	require.NoError(t, store.Close())
	end()
}

// TestForwards: a store with limits and a memory keeps them.
func TestForwards(t *testing.T) {
	remembers := recent.New(batching(), 1<<20)
	store := coalesce.New(remembers)
	_, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	_, ok := store.Recall(key("k"))
	require.True(t, ok)
	_, ok = coalesce.New(batching()).Recall(key("k"))
	require.False(t, ok)
	require.Equal(t, storage.Limits{MaxData: 4711}, coalesce.New(limited{batching()}).Limits())
	require.Zero(t, coalesce.New(struct{ coalesce.Batcher }{batching()}).Limits())
}

type limited struct{ coalesce.Batcher }

func (limited) Limits() storage.Limits { return storage.Limits{MaxData: 4711} }

// TestPrint: what waits ends up in no log.
func TestPrint(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "coalesce.Store", fmt.Sprintf(format, coalesce.New(batching())), format)
	}
}
