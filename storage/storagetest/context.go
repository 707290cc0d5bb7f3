package storagetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var contextCases = []testCase{
	{"context/cancelled", "A context that is done before the call gives its error, and the call has no effect.", caseCancelled},
	{"context/ends-meanwhile", "A context that ends during calls leaves every key in a state that was written, and the store usable.", caseEndsMeanwhile},
	{"context/leak", "Calls whose contexts end leave no goroutine.", func(e *env) { e.cancelMany(e.open(), nil) }},
}

func currentOf(err error) *storage.Record {
	var c *storage.ConflictError
	if errors.As(err, &c) {
		return c.Current
	}
	return nil
}

func caseCancelled(e *env) {
	store := e.open()
	rec := e.mustPut(store, record(testKey("present"), "x"), 0)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancelLate := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancelLate()
	absent := testKey("absent")
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"cancelled", cancelled, context.Canceled},
		{"deadline passed", late, context.DeadlineExceeded},
	} {
		fails := func(op string, err error) {
			require.ErrorIs(e, err, tt.want, "%s, %s", op, tt.name)
			require.NotErrorIs(e, err, storage.ErrUnknownOutcome, "%s, %s: nothing was sent", op, tt.name)
		}
		for _, m := range methods(store, rec, absent) {
			if !m.lacks { // else it may also give ErrUnsupported
				fails(m.name, m.call(tt.ctx))
			}
		}
		_, err := store.Get(tt.ctx, absent)
		fails("get of an absent key", err)
		fails("conflicting put", write(tt.ctx, store, putOf(record(rec.Key, "y"), 0)))
		fails("conflicting delete", write(tt.ctx, store, deleteOf(absent, 1)))
		_, err = storage.Update(tt.ctx, store, rec.Key, func(old storage.Record) (storage.Record, error) { return old, nil })
		fails("update", err)
		e.holds(store, rec)
		e.absent(store, absent)
	}
}

// caseEndsMeanwhile cancels at random moments and then reads the record: an acknowledged
// write must be there, and one that failed for certain must not.
func caseEndsMeanwhile(e *env) {
	const rounds = 60
	store, random := e.open(), newRand(3)
	key := testKey("key")
	current := e.mustPut(store, record(key, "0"), 0)
	unknown := make(map[string]bool) // data whose writes have no known outcome, and may yet be applied
	for n := range rounds {
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(time.Duration(random.IntN(200))*time.Microsecond, cancel)
		next, err := record(key, ""), error(nil)
		for i := 0; err == nil; i++ {
			if over := ctx.Err() != nil; over && i > 0 {
				// The last write may have been on its way when the context ended, one
				// more may not.
				err = write(ctx, store, putOf(next, current.Revision))
				require.Error(e, err, "write under a context that has ended")
				break
			}
			next.Data = fmt.Appendf(nil, "%d-%d", n, i)
			next.Revision, err = storage.Put(ctx, store, next, current.Revision)
			if err == nil {
				current = next
			}
		}
		timer.Stop()
		cancel()
		switch {
		case errors.Is(err, storage.ErrUnknownOutcome):
			unknown[string(next.Data)] = true
		case errors.Is(err, context.Canceled), errors.Is(err, storage.ErrConflict):
		default:
			e.fatalf("write under a context that ends: %v", err)
		}
		got, err := store.Get(context.Background(), key)
		require.NoError(e, err)
		if unknown[string(got.Data)] {
			current.Revision, current.Data = got.Revision, got.Data
		}
		e.same(current, got)
	}
	// A write of unknown outcome may still come between and make this a conflict.
	require.NoError(e, settled(func() error {
		rec, err := store.Get(context.Background(), key)
		require.NoError(e, err)
		return storage.Delete(context.Background(), store, key, rec.Revision)
	}))
}
