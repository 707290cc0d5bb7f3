package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var blockedCases = []testCase{
	{"blocked/context", "A blocked write ends when its context does: with the error of the context alone if it had no effect, with ErrUnknownOutcome too if it may have one.", caseBlocked},
	{"blocked/leak", "Blocked writes whose contexts end leave no goroutine.", caseBlockedLeak},
}

// promptly is how long a call may take to notice that its context has ended. A test
// of the suite has less patience with a store that hangs.
var promptly = 2 * time.Second

// ends runs calls whose contexts end within the timeout, and returns their error. If they
// are still under way after that and promptly, it releases the block and fails.
func (e *env) ends(what string, timeout time.Duration, release func(), calls func() error) error {
	done := make(chan error, 1)
	go func() { done <- calls() }()
	select {
	case err := <-done:
		return err
	case <-time.After(timeout + promptly):
	}
	release()
	select {
	case <-done:
	case <-time.After(promptly): // for ever, perhaps
	}
	e.fatalf("%s: still under way %v after the end of the context", what, promptly)
	return nil
}

// hold blocks the writes to a place until release is called or the case ends.
func (e *env) hold(place string) (release func()) {
	release = sync.OnceFunc(e.places.Block(e.places.t, place))
	e.cleanups = append(e.cleanups, release)
	return release
}

// attempt is a write that may be under way, and the data that it leaves when it is
// applied: nil means no record.
type attempt struct {
	name  string
	key   storage.Key
	data  []byte
	write func(ctx context.Context) error
}

// attempts returns one write of each kind. With the batches goes a write that the attempt
// does not look at.
func (e *env) attempts(store storage.Store) []attempt {
	// None of the ids is a word that an error may use.
	update := e.mustPut(store, record(testKey("id-of-update"), "before"), 0)
	gone := e.mustPut(store, record(testKey("id-of-delete"), "before"), 0)
	many := e.mustPut(store, record(testKey("id-of-put-many"), "before"), 0)
	goneMany := e.mustPut(store, record(testKey("id-of-many-deletes"), "before"), 0)
	for _, rec := range []*storage.Record{&update, &many} {
		rec.Data = []byte("after")
	}
	created := record(testKey("id-of-create"), "after")
	alone := func(name string, w storage.Write) attempt {
		return attempt{name, w.Record.Key, w.Record.Data, func(ctx context.Context) error { return write(ctx, store, w) }}
	}
	together := func(name string, w storage.Write) attempt {
		a := alone(name, w)
		a.write = func(ctx context.Context) error {
			errs, err := writeAll(ctx, store, []storage.Write{w, putOf(record(testKey("beside "+name), "x"), 0)})
			if err == nil {
				err = errs[0]
			}
			return err
		}
		return a
	}
	return []attempt{
		alone("create", putOf(created, 0)),
		alone("update", putOf(update, update.Revision)),
		alone("delete", deleteOf(gone.Key, gone.Revision)),
		together("update in a batch", putOf(many, many.Revision)),
		together("delete in a batch", deleteOf(goneMany.Key, goneMany.Revision)),
	}
}

// state returns the data under a key, nil if it is absent.
func (e *env) state(store storage.Store, key storage.Key) []byte {
	rec, err := store.Get(context.Background(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	require.NoError(e, err)
	return rec.Data
}

func caseBlocked(e *env) {
	place := e.newPlace()
	store := e.openAt(place)
	for _, a := range e.attempts(store) {
		before := e.state(store, a.key)
		release := e.hold(place)
		const timeout = 50 * time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		err := e.ends(a.name+", blocked", timeout, release, func() error { return a.write(ctx) })
		during := e.state(store, a.key)
		release()
		cancel()
		require.ErrorIs(e, err, context.DeadlineExceeded, "%s, blocked", a.name)
		require.Equal(e, before, during, "%s: a blocked write shows", a.name)
		if !errors.Is(err, storage.ErrUnknownOutcome) {
			time.Sleep(50 * time.Millisecond)
			require.Equal(e, before, e.state(store, a.key), "%s: %v, but it was applied later", a.name, err)
			continue
		}
		require.Eventually(e, func() bool {
			now := string(e.state(store, a.key))
			return now == string(a.data) || now == string(before)
		}, promptly, time.Millisecond, "%s: state after an unknown outcome", a.name)
	}
	rec := e.mustPut(store, record(testKey("afterwards"), "x"), 0)
	e.holds(store, rec)
}

func caseBlockedLeak(e *env) {
	place := e.newPlace()
	store := e.openAt(place)
	e.cancelMany(store, func() (release func()) { return e.hold(place) })
}

// cancelMany makes 1000 calls whose contexts end while they are under way, and
// fails if something is left of them. hold, if not nil, blocks writes.
func (e *env) cancelMany(store storage.Store, hold func() (release func())) {
	const calls, atOnce = 1000, 20
	ctx := context.Background()
	records := make([]storage.Record, atOnce)
	keys := make([]storage.Key, atOnce)
	for i := range records {
		records[i] = e.mustPut(store, record(testKey(fmt.Sprint("key-", i)), "0"), 0)
		keys[i] = records[i].Key
	}
	// A store may keep what it needs for this many callers at once.
	burst := func(timeout func(i int) time.Duration) error {
		return inParallel(atOnce, func(i int) error {
			ctx, cancel := context.WithTimeout(ctx, timeout(i))
			defer cancel()
			var err error
			switch rec := record(keys[i], "1"); i % 6 {
			case 0:
				_, err = store.Get(ctx, rec.Key)
			case 1:
				err = write(ctx, store, putOf(rec, records[i].Revision))
			case 2:
				err = write(ctx, store, deleteOf(rec.Key, records[i].Revision))
			case 3:
				_, err = store.List(ctx, testScope, storage.Range{Limit: 10})
			case 4:
				_, err = store.GetMany(ctx, keys)
			case 5:
				_, err = writeAll(ctx, store, []storage.Write{
					putOf(rec, records[i].Revision), deleteOf(keys[0], records[0].Revision),
				})
			}
			for _, expected := range []error{context.DeadlineExceeded, storage.ErrConflict, storage.ErrNotFound} {
				if errors.Is(err, expected) {
					return nil
				}
			}
			return err
		})
	}
	require.NoError(e, burst(func(int) time.Duration { return time.Minute }))
	before := goroutines()
	random := newRand(5)
	for range calls / atOnce {
		release := func() {}
		if hold != nil {
			release = hold()
		}
		const longest = 3 * time.Millisecond
		waits := make([]time.Duration, atOnce)
		for i := range waits {
			waits[i] = time.Duration(random.Int64N(int64(longest)))
		}
		err := e.ends("calls whose contexts end", longest, release, func() error {
			return burst(func(i int) time.Duration { return waits[i] })
		})
		release()
		require.NoError(e, err)
	}
	after := 0
	for range 100 {
		if after = goroutines(); after <= before+atOnce {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	require.LessOrEqual(e, after, before+atOnce, "goroutines after %d calls that were given up; there were %d", calls, before)
	for i, key := range keys {
		rec := storage.Record{Key: key}
		if got, err := store.Get(ctx, key); !errors.Is(err, storage.ErrNotFound) {
			require.NoError(e, err)
			rec = got
		}
		e.holds(store, e.mustPut(store, record(key, fmt.Sprint("after ", i)), rec.Revision))
	}
}
