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
	{"blocked/context", "A write that is held up ends when its context does: with the context's error alone when it had no effect, and with ErrUnknownOutcome as well when it may have one.", caseBlocked},
	{"blocked/leak", "Writes that are held up and given up leave nothing behind.", caseBlockedLeak},
}

// promptly is how long a call may take to notice that its context has ended. A test
// of the suite has less patience with a store that hangs.
var promptly = 2 * time.Second

// ends runs calls whose contexts end within the timeout, and returns their error.
// If they are still under way promptly after that, it releases what holds them up
// and fails.
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

// hold holds up the writes to a place, until release is called or the case ends.
func (e *env) hold(place string) (release func()) {
	release = sync.OnceFunc(e.places.Block(e.places.t, place))
	e.cleanups = append(e.cleanups, release)
	return release
}

// attempt is a write that may be under way, and what it leaves when it is
// applied: nil means no record.
type attempt struct {
	name  string
	key   storage.Key
	data  []byte
	write func(ctx context.Context) error
}

// attempts returns one write of each kind.
func (e *env) attempts(store storage.Store) []attempt {
	// None of the ids is a word that an error may use.
	update := e.mustPut(store, record(testKey("id-of-update"), "before"), 0)
	gone := e.mustPut(store, record(testKey("id-of-delete"), "before"), 0)
	many := e.mustPut(store, record(testKey("id-of-put-many"), "before"), 0)
	goneMany := e.mustPut(store, record(testKey("id-of-many-deletes"), "before"), 0)
	single := func(name string, rec storage.Record) attempt {
		after := rec
		after.Data = []byte("after")
		return attempt{name, rec.Key, after.Data, func(ctx context.Context) error {
			_, err := store.Put(ctx, after, rec.Revision)
			return err
		}}
	}
	batch := single("put many", many)
	batch.write = func(ctx context.Context) error {
		after := many
		after.Data = batch.data
		results, err := storage.PutMany(ctx, store, []storage.PutOp{{Record: after, Expect: many.Revision}})
		if err == nil {
			err = results[0].Err
		}
		return err
	}
	return []attempt{
		single("create", storage.Record{Key: testKey("id-of-create")}),
		single("update", update),
		{"delete", gone.Key, nil, func(ctx context.Context) error { return store.Delete(ctx, gone.Key, gone.Revision) }},
		batch,
		{"delete many", goneMany.Key, nil, func(ctx context.Context) error {
			errs, err := storage.DeleteMany(ctx, store, []storage.DeleteOp{{Key: goneMany.Key, Expect: goneMany.Revision}})
			if err == nil {
				err = errs[0]
			}
			return err
		}},
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
		err := e.ends(a.name+", held up", timeout, release, func() error { return a.write(ctx) })
		during := e.state(store, a.key)
		release()
		cancel()
		require.ErrorIs(e, err, context.DeadlineExceeded, "%s, held up", a.name)
		require.Equal(e, before, during, "%s: a write that is held up shows", a.name)
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
// fails if something is left of them. hold, if not nil, holds writes up.
func (e *env) cancelMany(store storage.Store, hold func() (release func())) {
	const calls, atOnce = 1000, 20
	ctx := context.Background()
	records := make([]storage.Record, atOnce)
	keys := make([]storage.Key, atOnce)
	for i := range records {
		records[i] = e.mustPut(store, record(testKey(fmt.Sprint("key-", i)), "0"), 0)
		keys[i] = records[i].Key
	}
	// What a store keeps for many callers at once it may keep.
	burst := func(timeout func(i int) time.Duration) error {
		return inParallel(atOnce, func(i int) error {
			ctx, cancel := context.WithTimeout(ctx, timeout(i))
			defer cancel()
			var err error
			switch rec := record(keys[i], "1"); i % 6 {
			case 0:
				_, err = store.Get(ctx, rec.Key)
			case 1:
				_, err = store.Put(ctx, rec, records[i].Revision)
			case 2:
				err = store.Delete(ctx, rec.Key, records[i].Revision)
			case 3:
				_, err = store.List(ctx, testScope, "", 10)
			case 4:
				_, err = storage.PutMany(ctx, store, []storage.PutOp{{Record: rec, Expect: records[i].Revision}})
			case 5:
				_, err = storage.DeleteMany(ctx, store, []storage.DeleteOp{{Key: rec.Key, Expect: records[i].Revision}})
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
