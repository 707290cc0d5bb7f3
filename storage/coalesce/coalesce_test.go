package coalesce_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

func TestStore(t *testing.T) {
	for name, below := range map[string]func() storage.Store{
		"memory":                 func() storage.Store { return memory.New() },
		"that remembers records": func() storage.Store { return recent.New(memory.New(), 1<<20) },
		"conflicts and delays": func() storage.Store {
			return storagetest.Faulty(memory.New(), storagetest.RandomPlan(1, storagetest.Rates{
				Conflict: 0.1, Delay: 0.02, MaxDelay: 200 * time.Microsecond,
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(*testing.T) storage.Store { return coalesce.New(below()) })
		})
	}
}

// gated is a store below that notes each call of Write, and delays it while it is told to.
type gated struct {
	storage.Store
	err error // of each call of several writes
	bad error // of a write with the id "bad"

	mu    sync.Mutex
	calls []string                 // the ids of each
	gates map[string]chan struct{} // for calls that have the id
	begun chan string
}

func newGated() *gated {
	return &gated{Store: memory.New(), gates: make(map[string]chan struct{}), begun: make(chan string, 1000)}
}

// newStore returns a store whose calls keep their slots, however slow the test is.
func newStore(below storage.Store) *coalesce.Store {
	store := coalesce.New(below)
	store.SetPatience(time.Hour)
	return store
}

// hold delays calls that have the id, from the next one on.
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

// begin notes a call and waits while one of its ids is held.
func (g *gated) begin(ids []string) {
	call := strings.Join(ids, " ")
	var gates []chan struct{}
	g.mu.Lock()
	g.calls = append(g.calls, call)
	for _, id := range ids {
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

// with returns how many calls had the id.
func (g *gated) with(id string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, call := range g.calls {
		if slices.Contains(strings.Fields(call), id) {
			n++
		}
	}
	return n
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

func (g *gated) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	var ids []string
	for _, w := range writes {
		ids = append(ids, w.Record.Key.ExternalID)
	}
	g.begin(ids)
	if g.err != nil && len(writes) > 1 {
		return nil, g.err
	}
	if g.bad != nil && len(writes) == 1 && ids[0] == "bad" {
		return nil, g.bad
	}
	return g.Store.Write(ctx, writes)
}

// write starts a write and returns where its error comes.
func write(ctx context.Context, store storage.Store, w storage.Write) <-chan error {
	done := make(chan error, 1)
	go func() {
		errs, err := store.Write(ctx, []storage.Write{w})
		if errs != nil {
			err = errs[0]
		}
		done <- err
	}()
	return done
}

// put starts a create with revision 1.
func put(ctx context.Context, store storage.Store, id string) <-chan error {
	return write(ctx, store, storage.Write{Record: storage.Record{Key: key(id), Revision: 1, Data: []byte(id)}})
}

// busy makes two calls, so that others wait, and returns a function that ends both.
func busy(t *testing.T, below *gated, store storage.Store) (end func()) {
	var releases []func()
	for n := range 2 {
		id := fmt.Sprint("busy-", n)
		releases = append(releases, below.hold(id))
		put(ctx, store, id)
		for below.next(t) != id { // skips calls that came before
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

// TestTogetherEachByItself: writes that go together keep their entries and notes, and each
// has its own outcome: the store says so for each, and none goes again.
func TestTogetherEachByItself(t *testing.T) {
	below := newGated()
	store := newStore(below)
	unique := func(value string) []storage.Entry {
		return []storage.Entry{{Index: 1, Value: []byte(value), Unique: true}}
	}
	change := func(id string, expect storage.Revision) storage.Write {
		return storage.Write{
			Record: storage.Record{Key: key(id), Revision: expect + 1, Data: []byte("new")}, Expect: expect,
			Note: &storage.Note{Actor: "actor of " + id},
		}
	}
	taken := change("taken", 0)
	taken.Entries = unique("taken")
	require.NoError(t, <-write(ctx, store, taken))

	kinds := []struct {
		name string
		to   func(*storage.Write)
		err  error
	}{
		{"updated", func(w *storage.Write) { w.Entries = unique("of " + w.Record.Key.ExternalID) }, nil},
		{"conflict", func(w *storage.Write) { w.Expect, w.Record.Revision = 5, 6 }, storage.ErrConflict},
		{"not unique", func(w *storage.Write) { w.Entries = unique("taken") }, storage.ErrNotUnique},
		{"deleted", func(w *storage.Write) { w.Delete = true }, nil},
		{"deleted in conflict", func(w *storage.Write) { w.Delete, w.Expect, w.Record.Revision = true, 5, 6 }, storage.ErrConflict},
	}
	const of = 8 // each kind
	for _, kind := range kinds {
		for n := range of {
			require.NoError(t, <-put(ctx, store, fmt.Sprint(kind.name, n)))
		}
	}
	end := busy(t, below, store)
	outcomes := map[string]<-chan error{}
	for n := range of {
		for _, kind := range kinds {
			id := fmt.Sprint(kind.name, n)
			w := change(id, 1)
			kind.to(&w)
			outcomes[id] = write(ctx, store, w)
		}
	}
	queued(t, store, len(outcomes))
	before := len(below.calls)
	end()
	for _, kind := range kinds {
		for n := range of {
			id := fmt.Sprint(kind.name, n)
			require.ErrorIs(t, <-outcomes[id], kind.err, id)
			rec, err := store.Get(ctx, key(id))
			require.Equal(t, kind.name == "deleted", errors.Is(err, storage.ErrNotFound), id)
			require.Equal(t, kind.name == "updated", string(rec.Data) == "new", id)
		}
	}
	require.Len(t, below.calls, before+1)

	page, err := store.Lookup(ctx, key("k").Scope(), 1, storage.Range{Limit: 100})
	require.NoError(t, err)
	require.Len(t, page.Records, 1+of)
	for n, rec := range page.Records[:of] {
		require.Equal(t, fmt.Sprint("updated", n), rec.Key.ExternalID)
	}
	changes, err := store.Changes(ctx, storage.ChangeQuery{Limit: 100})
	require.NoError(t, err)
	require.Len(t, changes.Changes, 1+2*of)
	for _, c := range changes.Changes {
		require.Equal(t, "actor of "+c.Key.ExternalID, c.Note.Actor)
		require.Equal(t, c.Deleted, strings.HasPrefix(c.Key.ExternalID, "deleted"))
	}
}

// TestIdle: a write that finds the store idle is the store's own call, with its context
// and the whole error.
func TestIdle(t *testing.T) {
	type name struct{}
	seen := &values{Store: memory.New()}
	store := coalesce.New(seen)
	require.NoError(t, <-put(ctx, store, "k"))
	err := <-put(context.WithValue(ctx, name{}, "me"), store, "k")
	require.ErrorIs(t, err, storage.ErrConflict)
	require.Equal(t, "me", seen.ctx.Value(name{}))
	var conflict *storage.ConflictError
	require.ErrorAs(t, err, &conflict)
	require.NotNil(t, conflict.Current)
}

// values is a store that keeps the context of a write.
type values struct {
	storage.Store
	ctx context.Context
}

func (v *values) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	v.ctx = ctx
	return v.Store.Write(ctx, writes)
}

// TestOneKey: writes of one key go one after the other, in their order. Others do not wait
// for them.
func TestOneKey(t *testing.T) {
	below := newGated()
	store := newStore(below)
	release := below.hold("k")
	var writers []<-chan error
	for n := range 10 {
		writers = append(writers, put(ctx, store, "k"))
		if n == 0 {
			require.Equal(t, "k", below.next(t))
		}
		queued(t, store, n)
	}
	for n := range 10 {
		require.NoError(t, <-put(ctx, store, fmt.Sprint(n)))
	}
	require.Equal(t, 1, below.with("k"))
	release()
	for n, done := range writers {
		if err := <-done; n == 0 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, storage.ErrConflict)
		}
	}
}

// TestContext: a context that ends while the write waits, and one that ends after it was
// sent.
func TestContext(t *testing.T) {
	below := newGated()
	store := newStore(below)
	end := busy(t, below, store)
	leaving, leave := context.WithCancel(ctx)
	waits, stays := put(leaving, store, "waits"), put(ctx, store, "stays")
	inCall, leaveCall := context.WithCancel(ctx)
	queued(t, store, 2)
	leave()
	err := <-waits
	require.Equal(t, context.Canceled, err)
	goes := put(inCall, store, "goes")
	queued(t, store, 2)
	release := below.hold("goes")
	end()
	require.Contains(t, []string{"stays goes", "goes stays"}, below.next(t))
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
	require.Equal(t, "line", below.next(t))
	leaving, leave = context.WithCancel(ctx)
	second, third := put(leaving, store, "line"), put(ctx, store, "line")
	queued(t, store, 2)
	leave()
	require.Equal(t, context.Canceled, <-second)
	release()
	require.NoError(t, <-first)
	require.ErrorIs(t, <-third, storage.ErrConflict)
}

// TestFailedCall: writes of a call that failed, and that were certainly not applied, go
// again, each alone. So only the one at fault fails. Writes that may have been applied do
// not go again.
func TestFailedCall(t *testing.T) {
	poison := errors.New("a value out of range")
	for _, tt := range []struct {
		name  string
		err   error // of the call with all
		good  error // of the good ones
		calls int   // with each
	}{
		{"anything", poison, nil, 2},
		{"unavailable", storage.ErrUnavailable, nil, 2},
		{"unsupported", storage.ErrUnsupported, nil, 2},
		{"unknown", errors.Join(storage.ErrUnknownOutcome, storage.ErrUnavailable), storage.ErrUnknownOutcome, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below := newGated()
			below.err, below.bad = tt.err, poison
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
				assert.Equal(t, tt.calls, below.with(id), id)
			}
		})
	}
}

// TestWrongCount: a store that returns too few errors leaves the outcomes unknown.
func TestWrongCount(t *testing.T) {
	store := coalesce.New(short{memory.New()})
	require.ErrorIs(t, <-put(ctx, store, "k"), storage.ErrUnknownOutcome)
}

type short struct{ storage.Store }

func (short) Write(context.Context, []storage.Write) ([]error, error) { return []error{}, nil }

// TestLocked: records that are locked delay the writes that share their calls, and no
// others, however many there are. Their next write goes alone.
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
		require.Equal(t, id, below.next(t))
	}
	// One more has company.
	store.SetPatience(time.Hour)
	end := busy(t, below, store)
	releases = append(releases, below.hold("locked"))
	locked = append(locked, put(ctx, store, "locked"), put(ctx, store, "company"))
	queued(t, store, 2)
	end()
	require.Contains(t, []string{"locked company", "company locked"}, below.next(t))
	for n := range 20 {
		require.NoError(t, <-put(ctx, store, fmt.Sprint(n)))
		below.next(t)
	}
	for n, done := range locked {
		select {
		case err := <-done:
			t.Fatalf("%d did not wait: %v", n, err)
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
	require.Equal(t, "locked", below.next(t), "at once, and alone")
	require.ErrorIs(t, <-done, storage.ErrConflict)
	done = put(ctx, store, "locked")
	queued(t, store, 2)
	end()
	require.Contains(t, []string{"locked free", "free locked"}, below.next(t), "with others again")
	require.ErrorIs(t, <-done, storage.ErrConflict)
	require.NoError(t, <-free)
}

// TestBounds: a call has at most 256 writes, and 1 MiB of data unless its first write has
// more.
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
				rec := storage.Record{Key: key(fmt.Sprint(i)), Revision: 1}
				w := storage.Write{Record: rec, Note: &storage.Note{}}
				w.Record.Data, w.Note.After = make([]byte, tt.size/2), make([]byte, tt.size-tt.size/2)
				assert.NoError(t, <-write(ctx, store, w))
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
	remembers := recent.New(memory.New(), 1<<20)
	store := coalesce.New(remembers)
	require.NoError(t, <-put(ctx, store, "k"))
	_, ok := store.Recall(key("k"))
	require.True(t, ok)
	_, ok = coalesce.New(memory.New()).Recall(key("k"))
	require.False(t, ok)
	require.Equal(t, storage.Limits{MaxData: 4711}, coalesce.New(limited{memory.New()}).Limits())
}

type limited struct{ storage.Store }

func (limited) Limits() storage.Limits { return storage.Limits{MaxData: 4711} }

// TestForgetsRedacted: a key that is redacted is not kept in memory.
func TestForgetsRedacted(t *testing.T) {
	below := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if op.Name == "put" {
			return storagetest.Fault{Err: storage.ErrUnknownOutcome}
		}
		return storagetest.Fault{}
	})
	store := coalesce.New(below)
	require.ErrorIs(t, <-put(ctx, store, "k"), storage.ErrUnknownOutcome)
	require.Equal(t, 1, store.Apart())
	_, err := store.Redact(ctx, key("k"), storage.Note{})
	require.NoError(t, err)
	require.Zero(t, store.Apart())
}

// TestPrint: waiting writes do not end up in logs.
func TestPrint(t *testing.T) {
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "coalesce.Store", fmt.Sprintf(format, coalesce.New(memory.New())), format)
	}
}
