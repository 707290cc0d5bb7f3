package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// inTheWay returns what a conflict tells of the record, or nil.
func inTheWay(t *testing.T, err error) *storage.Record {
	require.ErrorIs(t, err, storage.ErrConflict)
	var c *storage.ConflictError
	if !errors.As(err, &c) {
		return nil
	}
	return c.Current
}

// TestConflictTells: a conflict carries the record that is in the way, whatever the
// protocol.
func TestConflictTells(t *testing.T) {
	ctx := context.Background()
	for _, mode := range execModes {
		dsn := withParameters(pgtest.DSN(t), "default_query_exec_mode="+mode)
		store, _ := newStoreAt(t, dsn, postgres.Options{Schema: pgtest.Schema(t, pgtest.DSN(t))}, nil)
		rec := storage.Record{Key: testKey("key"), CreatedAt: time.UnixMilli(1).UTC(), UpdatedAt: time.UnixMilli(2).UTC(), Data: []byte(`{"a":1}`)}
		rev, err := store.Put(ctx, rec, 0)
		require.NoError(t, err, mode)
		rec.Revision = rev

		_, err = store.Put(ctx, rec, 0)
		require.Equal(t, &rec, inTheWay(t, err), "%s: create", mode)
		_, err = store.Put(ctx, rec, rev+1)
		require.Equal(t, &rec, inTheWay(t, err), "%s: update", mode)
		require.Equal(t, &rec, inTheWay(t, store.Delete(ctx, rec.Key, rev+1)), "%s: delete", mode)

		rec.Key, rec.Data = testKey("large"), make([]byte, 1<<20+1)
		_, err = store.Put(ctx, rec, 0)
		require.NoError(t, err, mode)
		_, err = store.Put(ctx, rec, 0)
		require.Nil(t, inTheWay(t, err), "%s: above 1 MiB", mode)

		_, err = store.Put(ctx, storage.Record{Key: testKey("absent")}, rev)
		require.Nil(t, inTheWay(t, err), "%s: update of an absent one", mode)
		require.ErrorIs(t, store.Delete(ctx, testKey("absent"), rev), storage.ErrNotFound, mode)
	}
}

// TestConflictWhileWaiting: a write that had to wait for another one, and then
// conflicts, does not tell the record as it was before that: who goes on with it
// would conflict again.
func TestConflictWhileWaiting(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	for name, write := range map[string]func(storage.Record) error{
		"update": func(rec storage.Record) error {
			_, err := store.Put(ctx, rec, rec.Revision)
			return err
		},
		"delete": func(rec storage.Record) error { return store.Delete(ctx, rec.Key, rec.Revision) },
	} {
		rec := storage.Record{Key: testKey(name), Data: []byte("before")}
		var err error
		rec.Revision, err = store.Put(ctx, rec, 0)
		require.NoError(t, err)

		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		t.Cleanup(func() { _ = tx.Rollback(ctx) })
		_, err = tx.Exec(ctx, "UPDATE "+opts.Schema+".records SET data = 'after' WHERE external_id = $1", name)
		require.NoError(t, err)
		failed := make(chan error, 1)
		go func() { failed <- write(rec) }()
		waiting(t, pool, opts.Schema)
		require.NoError(t, tx.Commit(ctx))
		require.Nil(t, inTheWay(t, <-failed), name)

		// Update reads again, and goes on with what is there.
		_, err = storage.Update(ctx, store, rec.Key, func(old storage.Record) (storage.Record, error) {
			require.Equal(t, "after", string(old.Data), name)
			return old, nil
		})
		require.NoError(t, err, name)
	}
}
