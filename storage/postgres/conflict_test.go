package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// currentOf returns the record that a conflict carries, or nil.
func currentOf(t *testing.T, err error) *storage.Record {
	require.ErrorIs(t, err, storage.ErrConflict)
	var c *storage.ConflictError
	if !errors.As(err, &c) {
		return nil
	}
	return c.Current
}

// TestConflictTells: a conflict carries the conflicting record, in every protocol.
func TestConflictTells(t *testing.T) {
	ctx := context.Background()
	for _, mode := range execModes {
		dsn := withParameters(pgtest.DSN(t), "default_query_exec_mode="+mode)
		store, _ := newStoreAt(t, dsn, postgres.Options{Schema: pgtest.Schema(t, pgtest.DSN(t))}, nil)
		rec := storage.Record{Key: testKey("key"), CreatedAt: time.UnixMilli(1).UTC(), UpdatedAt: time.UnixMilli(2).UTC(), Data: []byte(`{"a":1}`)}
		rev, err := storage.Put(ctx, store, rec, 0)
		require.NoError(t, err, mode)
		rec.Revision = rev

		_, err = storage.Put(ctx, store, rec, 0)
		require.Equal(t, &rec, currentOf(t, err), "%s: create", mode)
		_, err = storage.Put(ctx, store, rec, rev+1)
		require.Equal(t, &rec, currentOf(t, err), "%s: update", mode)
		require.Equal(t, &rec, currentOf(t, storage.Delete(ctx, store, rec.Key, rev+1)), "%s: delete", mode)

		_, err = storage.Put(ctx, store, storage.Record{Key: testKey("absent")}, rev)
		require.Nil(t, currentOf(t, err), "%s: update of an absent one", mode)
		require.ErrorIs(t, storage.Delete(ctx, store, testKey("absent"), rev), storage.ErrConflict, mode)
	}
}

// TestConflictWhileWaiting: a write that had to wait for another one, and then
// conflicts, tells the record as it is after that: a caller who went on with that of
// before would conflict again.
func TestConflictWhileWaiting(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	for name, write := range map[string]func(storage.Record) error{
		"update": func(rec storage.Record) error {
			_, err := storage.Put(ctx, store, rec, rec.Revision)
			return err
		},
		"delete": func(rec storage.Record) error { return storage.Delete(ctx, store, rec.Key, rec.Revision) },
	} {
		rec := storage.Record{Key: testKey(name), Data: []byte("before")}
		var err error
		rec.Revision, err = storage.Put(ctx, store, rec, 0)
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
		current := currentOf(t, <-failed)
		require.NotNil(t, current, name)
		require.Equal(t, "after", string(current.Data), name)
		_, err = storage.Put(ctx, store, *current, current.Revision)
		require.NoError(t, err, name)
	}
}

// meanwhile is a tracer that calls a function before the next read is sent.
type meanwhile struct{ before func() }

func (m *meanwhile) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if before := m.before; before != nil && strings.HasPrefix(data.SQL, "\nSELECT") {
		m.before = nil
		before()
	}
	return ctx
}

func (m *meanwhile) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestConflictThatMoves: the record changes between a swap that did nothing
// and the read that tells the conflict.
func TestConflictThatMoves(t *testing.T) {
	dsn := pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	other, pool := newStoreAt(t, dsn, opts, nil)
	var m meanwhile
	store, _ := newStoreAt(t, withParameters(dsn, "application_name="+opts.Schema), opts, func(cfg *pgxpool.Config) { cfg.ConnConfig.Tracer = &m })

	put := func(ctx context.Context, key storage.Key, expect storage.Revision) error {
		_, err := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte("refused")}, expect)
		return err
	}
	create := func(ctx context.Context, key storage.Key, _ storage.Revision) error { return put(ctx, key, 0) }
	remove := func(ctx context.Context, key storage.Key, expect storage.Revision) error {
		return storage.Delete(ctx, store, key, expect)
	}
	change := func(key storage.Key) {
		_, err := storage.Update(context.Background(), other, key, func(storage.Record) (storage.Record, error) {
			return storage.Record{Data: []byte("moved")}, nil
		})
		require.NoError(t, err)
	}
	vanish := func(key storage.Key) {
		_, err := storage.Update(context.Background(), other, key, func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete })
		require.NoError(t, err)
	}
	terminate := func(storage.Key) {
		_, err := pool.Exec(context.Background(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1", opts.Schema)
		require.NoError(t, err)
	}
	expected := storage.Revision(1 << 61) // which the record does not have, unless it is given to it
	give := func(key storage.Key) {
		_, err := pool.Exec(context.Background(), "UPDATE "+opts.Schema+".records SET revision = $1 WHERE external_id = $2", int64(expected), key.ExternalID)
		require.NoError(t, err)
	}
	for _, tt := range []struct {
		name   string
		absent bool // before
		write  func(context.Context, storage.Key, storage.Revision) error
		before func(storage.Key)
		err    error
		data   string // of the record that the conflict tells, and that is stored
	}{
		{"update, changed", false, put, change, storage.ErrConflict, "moved"},
		{"update, deleted", false, put, vanish, storage.ErrConflict, ""},
		{"update, given the expected revision", false, put, give, storage.ErrConflict, "stored"},
		{"update, session ended", false, put, terminate, storage.ErrConflict, "stored"},
		{"update of none, created", true, put, change, storage.ErrConflict, "moved"},
		{"create, changed", false, create, change, storage.ErrConflict, "moved"},
		{"create, deleted", false, create, vanish, storage.ErrConflict, ""},
		{"create, session ended", false, create, terminate, storage.ErrConflict, "stored"},
		{"delete, changed", false, remove, change, storage.ErrConflict, "moved"},
		{"delete, deleted", false, remove, vanish, storage.ErrConflict, ""},
		{"delete, given the expected revision", false, remove, give, storage.ErrConflict, "stored"},
		{"delete, session ended", false, remove, terminate, storage.ErrConflict, "stored"},
		{"delete of none, created", true, remove, change, storage.ErrConflict, "moved"},
		{"delete of none, session ended", true, remove, terminate, storage.ErrConflict, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			key := testKey(tt.name)
			if !tt.absent {
				_, err := storage.Put(context.Background(), other, storage.Record{Key: key, Data: []byte("stored")}, 0)
				require.NoError(t, err)
			}
			m.before = func() { tt.before(key) }
			err := tt.write(context.Background(), key, expected)
			require.Nil(t, m.before, "it read the record")
			require.ErrorIs(t, err, tt.err)
			stored, getErr := other.Get(context.Background(), key)
			if tt.data == "" {
				require.ErrorIs(t, getErr, storage.ErrNotFound)
				var c *storage.ConflictError
				require.False(t, errors.As(err, &c), "it tells no record")
				return
			}
			require.NoError(t, getErr)
			require.Equal(t, tt.data, string(stored.Data))
			require.Equal(t, &stored, currentOf(t, err))
		})
	}
	// A statement that was sent twice, and applied the first time.
	t.Run("own revision", func(t *testing.T) {
		for expect, deleted := range map[storage.Revision]bool{0: false, 7: false, 8: true} {
			key := testKey(fmt.Sprint("own ", expect))
			_, err := storage.Put(context.Background(), other, storage.Record{Key: key, Data: []byte("stored")}, 0)
			require.NoError(t, err)
			m.before = func() { give(key) }
			errs, err := store.Write(context.Background(), []storage.Write{{Record: storage.Record{Key: key, Revision: expected}, Expect: expect, Delete: deleted}})
			require.NoError(t, err)
			if deleted {
				require.ErrorIs(t, errs[0], storage.ErrConflict)
				continue
			}
			require.Nil(t, errs)
		}
	})
	t.Run("context ended", func(t *testing.T) {
		for name, write := range map[string]func(context.Context, storage.Key, storage.Revision) error{"put": put, "delete": remove} {
			ctx, cancel := context.WithCancel(context.Background())
			unlock := func() {}
			m.before = func() {
				unlock = lock(t, pool, opts.Schema, true) // so that the read cannot end before its caller has left
				cancel()
			}
			err := write(ctx, testKey("absent"), expected)
			unlock()
			require.ErrorIs(t, err, context.Canceled, name)
			require.NotErrorIs(t, err, storage.ErrUnknownOutcome, "%s: the swap did nothing", name)
		}
	})
}
