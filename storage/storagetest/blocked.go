package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var blockedCases = []testCase{
	{"blocked/context", "A blocked write ends when its context does: with the error of the context alone if it had no effect, with ErrUnknownOutcome too if it may have one, and with ErrEnded only if it can have none later.", caseBlocked},
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

// attempt is a call of Write that may be under way. Before it the keys have the expected
// revisions.
type attempt struct {
	name   string
	writes []storage.Write
}

// attempts returns one of each kind. The external id of its first write is in no other.
func (e *env) attempts(store storage.Store) []attempt {
	// None of the ids is a word that an error may use.
	present := func(id string) storage.Record {
		rec := e.mustPut(store, record(testKey(id), "before"), 0)
		rec.Data = []byte("after")
		return rec
	}
	create := func(id string) storage.Write { return putOf(record(testKey(id), "after"), 0) }
	update, many := present("id-of-update"), present("id-of-put-many")
	gone, goneMany := present("id-of-delete"), present("id-of-many-deletes")
	return []attempt{
		{"create", []storage.Write{create("id-of-create")}},
		{"update", []storage.Write{putOf(update, update.Revision)}},
		{"delete", []storage.Write{deleteOf(gone.Key, gone.Revision)}},
		{"update in a batch", []storage.Write{putOf(many, many.Revision), create("beside-an-update")}},
		{"delete in a batch", []storage.Write{deleteOf(goneMany.Key, goneMany.Revision), create("beside-a-delete")}},
	}
}

// do makes the call and returns one error per write.
func (a attempt) do(ctx context.Context, store storage.Store) []error {
	errs, err := writeAll(ctx, store, a.writes)
	if err != nil {
		return slices.Repeat([]error{err}, len(a.writes))
	}
	return errs
}

// left is the revision of the key after the write; 0 is absent.
func left(w storage.Write) storage.Revision {
	if w.Delete {
		return 0
	}
	return w.Record.Revision
}

// state returns the revision that the key of a write has, and checks the data that belong
// to it.
func (e *env) state(store storage.Store, w storage.Write) storage.Revision {
	rec, err := store.Get(context.Background(), w.Record.Key)
	if errors.Is(err, storage.ErrNotFound) {
		return 0
	}
	require.NoError(e, err)
	if rec.Revision == w.Record.Revision {
		e.same(w.Record, rec)
	}
	return rec.Revision
}

func caseBlocked(e *env) {
	place := e.newPlace()
	store := e.openAt(place)
	for _, a := range e.attempts(store) {
		release := e.hold(place)
		const timeout = 50 * time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		var errs []error
		_ = e.ends(a.name+", blocked", timeout, release, func() error {
			errs = a.do(ctx, store)
			return nil
		})
		for _, w := range a.writes {
			require.Equal(e, w.Expect, e.state(store, w), "%s: a blocked write shows", a.name)
		}
		release()
		cancel()
		for i, w := range a.writes {
			require.ErrorIs(e, errs[i], context.DeadlineExceeded, "%s, blocked", a.name)
			if !errors.Is(errs[i], storage.ErrUnknownOutcome) || errors.Is(errs[i], storage.ErrEnded) {
				time.Sleep(50 * time.Millisecond)
				require.Equal(e, w.Expect, e.state(store, w), "%s: %v, but it was applied later", a.name, errs[i])
				continue
			}
			require.Eventually(e, func() bool {
				now := e.state(store, w)
				return now == left(w) || now == w.Expect
			}, promptly, time.Millisecond, "%s: state after an unknown outcome", a.name)
		}
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
	before := e.goroutines()
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
		if after = e.goroutines(); after <= before+atOnce {
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
