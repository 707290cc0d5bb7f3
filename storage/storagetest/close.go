package storagetest

import (
	"context"
	"errors"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var closeCases = []testCase{
	{"close/closed", "After Close every method but Close and Limits gives ErrClosed, and Close does nothing and returns nil.", caseClosed},
	{"close/concurrent", "Close may run at the same time as every other method and as itself: those either finish or give ErrClosed.", caseCloseConcurrent},
}

func caseClosed(e *env) {
	store := e.open()
	rec := e.mustPut(store, record(testKey("key"), "x"), 0)
	limits := store.Limits()
	for range 2 {
		require.NoError(e, store.Close())
		for _, m := range methods(store, rec, testKey("new")) {
			if m.lacks {
				continue // it may also give ErrUnsupported
			}
			err := settled(func() error { return m.call(context.Background()) })
			require.ErrorIs(e, err, storage.ErrClosed, m.name)
		}
		require.Equal(e, limits, store.Limits())
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
					_, err = store.List(ctx, testScope, storage.Range{Limit: 10})
				}
				if err == nil {
					_, err = store.Get(ctx, rec.Key)
				}
				if err == nil && !store.Limits().NoEntries {
					_, err = store.Lookup(ctx, testScope, 1, storage.Range{Limit: 10})
				}
				if err == nil && !store.Limits().NoLog {
					_, err = store.Changes(ctx, storage.ChangeQuery{Limit: 10})
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
