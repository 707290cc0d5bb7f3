package storagetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var closeCases = []testCase{
	{"close/closed", "After Close every method but Close gives ErrClosed, and Close does nothing and returns nil.", caseClosed},
	{"close/concurrent", "Close may run at the same time as every other method and as itself: those either finish or give ErrClosed.", caseCloseConcurrent},
}

func caseClosed(e *env) {
	ctx, store := context.Background(), e.open()
	rec := e.mustPut(store, record(testKey("key"), "x"), 0)
	for range 2 {
		require.NoError(e, store.Close())
		_, err := store.Get(ctx, rec.Key)
		require.ErrorIs(e, err, storage.ErrClosed, "get")
		_, err = put(store, record(rec.Key, "y"), rec.Revision)
		require.ErrorIs(e, err, storage.ErrClosed, "put")
		_, err = put(store, record(testKey("new"), "y"), 0)
		require.ErrorIs(e, err, storage.ErrClosed, "create")
		require.ErrorIs(e, remove(store, rec.Key, rec.Revision), storage.ErrClosed, "delete")
		_, err = store.List(ctx, testScope, "", 10)
		require.ErrorIs(e, err, storage.ErrClosed, "list")
		_, err = storage.GetMany(ctx, store, []storage.Key{rec.Key})
		require.ErrorIs(e, err, storage.ErrClosed, "get many")
		require.ErrorIs(e, settled(func() error {
			results, err := storage.PutMany(ctx, store, []storage.PutOp{{Record: rec, Expect: rec.Revision}})
			require.NoError(e, err)
			return results[0].Err
		}), storage.ErrClosed, "put many")
		require.ErrorIs(e, settled(func() error {
			errs, err := storage.DeleteMany(ctx, store, []storage.DeleteOp{{Key: rec.Key, Expect: rec.Revision}})
			require.NoError(e, err)
			return errs[0]
		}), storage.ErrClosed, "delete many")
	}
}

func caseCloseConcurrent(e *env) {
	const clients, closers, rounds = 6, 3, 5
	ctx := context.Background()
	for range rounds {
		store := e.open()
		rec := e.mustPut(store, record(testKey("key"), "x"), 0)
		err := inParallel(clients+closers, func(i int) error {
			if i >= clients {
				return store.Close()
			}
			for {
				_, err := addTo(store, testKey("key"))
				if err == nil {
					_, err = store.List(ctx, testScope, "", 10)
				}
				if err == nil {
					_, err = store.Get(ctx, rec.Key)
				}
				if errors.Is(err, storage.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
			}
		})
		require.NoError(e, err)
	}
}
