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
	{"context/leak", "Calls whose contexts end leave nothing behind.", func(e *env) { e.cancelMany(e.open(), nil) }},
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
		absent := testKey("absent")
		_, err := store.Get(tt.ctx, rec.Key)
		fails("get", err)
		_, err = store.Get(tt.ctx, absent)
		fails("get", err)
		_, err = store.Put(tt.ctx, record(absent, "y"), 0)
		fails("create", err)
		_, err = store.Put(tt.ctx, record(rec.Key, "y"), rec.Revision)
		fails("put", err)
		_, err = store.Put(tt.ctx, record(rec.Key, "y"), 0)
		fails("conflicting put", err)
		fails("delete", store.Delete(tt.ctx, rec.Key, rec.Revision))
		fails("delete", store.Delete(tt.ctx, absent, 1))
		_, err = store.List(tt.ctx, testScope, "", 10)
		fails("list", err)
		_, err = storage.GetMany(tt.ctx, store, []storage.Key{rec.Key})
		fails("get many", err)
		_, err = storage.PutMany(tt.ctx, store, []storage.PutOp{{Record: record(absent, "y")}})
		fails("put many", err)
		_, err = storage.DeleteMany(tt.ctx, store, []storage.DeleteOp{{Key: rec.Key, Expect: rec.Revision}})
		fails("delete many", err)
		if batch, ok := store.(storage.BatchStore); ok {
			_, err = batch.GetMany(tt.ctx, []storage.Key{rec.Key})
			fails("get many of the store itself", err)
			results, err := batch.PutMany(tt.ctx, []storage.PutOp{{Record: record(absent, "y")}})
			if err == nil && len(results) == 1 {
				err = results[0].Err
			}
			fails("put many of the store itself", err)
		}
		if batch, ok := store.(storage.BatchDeleter); ok {
			results, err := batch.DeleteMany(tt.ctx, []storage.DeleteOp{{Key: rec.Key, Expect: rec.Revision}})
			if err == nil && len(results) == 1 {
				err = results[0]
			}
			fails("delete many of the store itself", err)
		}
		_, err = storage.Update(tt.ctx, store, rec.Key, func(old storage.Record) (storage.Record, error) { return old, nil })
		fails("update", err)
		e.holds(store, rec)
		e.absent(store, absent)
	}
}

// caseEndsMeanwhile cancels at random moments, and then finds out what was
// written: what was acknowledged must be there, and what failed for certain
// must not.
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
				// The last put may have been on its way when the context ended, one
				// more may not.
				_, err = store.Put(ctx, next, current.Revision)
				require.Error(e, err, "put under a context that has ended")
				break
			}
			next.Data = fmt.Appendf(nil, "%d-%d", n, i)
			next.Revision, err = store.Put(ctx, next, current.Revision)
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
			e.fatalf("put under a context that ends: %v", err)
		}
		got, err := store.Get(context.Background(), key)
		require.NoError(e, err)
		if unknown[string(got.Data)] {
			current.Revision, current.Data = got.Revision, got.Data
		}
		e.same(current, got)
	}
	// A write of unknown outcome may still come between, and so make this a
	// conflict.
	require.NoError(e, settled(func() error {
		rec, err := store.Get(context.Background(), key)
		require.NoError(e, err)
		return store.Delete(context.Background(), key, rec.Revision)
	}))
}
