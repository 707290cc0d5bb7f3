package storage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// basic is a Basic on a memory store. It calls before, if set, with the name of each call.
type basic struct {
	store  storage.Store
	before func(op string) error
}

func newBasic() *basic { return &basic{store: memory.New(), before: func(string) error { return nil }} }

func (b *basic) Get(ctx context.Context, k storage.Key) (storage.Record, error) {
	if err := b.before("get"); err != nil {
		return storage.Record{}, err
	}
	return b.store.Get(ctx, k)
}

func (b *basic) Put(_ context.Context, rec storage.Record, expect storage.Revision) error {
	return b.write("put", storage.Write{Record: rec, Expect: expect})
}

func (b *basic) Delete(_ context.Context, k storage.Key, expect storage.Revision) error {
	rec := storage.Record{Key: k, Revision: expect + 1}
	return b.write("delete", storage.Write{Record: rec, Expect: expect, Delete: true})
}

// write takes no notice of the context, as a simple store may.
func (b *basic) write(op string, w storage.Write) error {
	if err := b.before(op); err != nil {
		return err
	}
	errs, err := b.store.Write(context.Background(), []storage.Write{w})
	return errors.Join(err, errors.Join(errs...))
}

func (b *basic) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	if err := b.before(fmt.Sprint("list ", r.Limit)); err != nil {
		return storage.Page{}, err
	}
	return b.store.List(ctx, scope, r)
}

func (b *basic) Close() error { return b.store.Close() }

// limited is a Basic with limits.
type limited struct{ *basic }

func (limited) Limits() storage.Limits { return storage.Limits{MaxData: 5 << 20} }

// TestComplete: the conformance suite is in storagetest, over the journal; here is what it
// cannot see.
func TestComplete(t *testing.T) {
	ctx := t.Context()
	b := newBasic()
	store := storage.Complete(b)
	writes := []storage.Write{swapOf("b", 0), swapOf("a", 0), swapOf("c", 0)}

	errs, err := store.Write(ctx, writes)
	require.NoError(t, err)
	require.Nil(t, errs, "all were applied")
	records, err := store.GetMany(ctx, keys("c", "x", "a"))
	require.NoError(t, err)
	require.Equal(t, []storage.Revision{writes[2].Record.Revision, 0, writes[1].Record.Revision},
		[]storage.Revision{records[0].Revision, records[1].Revision, records[2].Revision})
	require.Equal(t, storage.Record{Key: key("x")}, records[1])

	gone := storage.Write{Record: storage.Record{Key: key("b"), Revision: 1 << 62}, Expect: writes[0].Record.Revision, Delete: true}
	errs, err = store.Write(ctx, []storage.Write{swapOf("a", 0), gone, swapOf("d", 0)})
	require.NoError(t, err)
	require.ErrorIs(t, errs[0], storage.ErrConflict)
	require.NoError(t, errors.Join(errs[1:]...))
	_, err = store.Get(ctx, key("b"))
	require.ErrorIs(t, err, storage.ErrNotFound)

	var calls []string
	b.before = func(op string) error { calls = append(calls, op); return nil }
	_, err = store.List(ctx, scope, storage.Range{Limit: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprint("list ", storage.MaxPage)}, calls, "the limit is checked already")

	broken := errors.New("broken")
	b.before = func(string) error { return broken }
	records, err = store.GetMany(ctx, keys("a", "b"))
	require.Equal(t, broken, err)
	require.Nil(t, records)
	errs, err = store.Write(ctx, []storage.Write{swapOf("y", 0), swapOf("z", 0)})
	require.NoError(t, err)
	require.Equal(t, []error{broken, broken}, errs)

	require.NoError(t, store.Close())
	_, err = storage.Complete(&basic{store: b.store, before: func(string) error { return nil }}).Get(ctx, key("a"))
	require.ErrorIs(t, err, storage.ErrClosed, "it closes the Basic")
}

// swapOf is a write of the data "x" with a revision that is always the same.
func swapOf(id string, expect storage.Revision) storage.Write {
	return storage.Write{Record: storage.Record{Key: key(id), Revision: expect + 7, Data: []byte("x")}, Expect: expect}
}

// TestCompleteChecksFirst: a Basic gets no call that is not valid or not supported.
func TestCompleteChecksFirst(t *testing.T) {
	b := newBasic()
	b.before = func(op string) error { panic("called: " + op) }
	store := storage.Complete(b)
	note, entries := swapOf("a", 0), swapOf("a", 0)
	note.Note = &storage.Note{}
	entries.Entries = []storage.Entry{{Index: 1, Value: []byte("v")}}
	noRevision := storage.Write{Record: storage.Record{Key: key("a")}}
	for _, tt := range []struct {
		name string
		want error // nil for calls that are valid, under a context that is done
		call func(ctx context.Context) error
	}{
		{"get", storage.ErrInvalid, func(ctx context.Context) error { _, err := store.Get(ctx, key("")); return err }},
		{"get, done", nil, func(ctx context.Context) error { _, err := store.Get(ctx, key("a")); return err }},
		{"get many", storage.ErrDuplicateKey, func(ctx context.Context) error { _, err := store.GetMany(ctx, keys("a", "a")); return err }},
		{"get many, done", nil, func(ctx context.Context) error { _, err := store.GetMany(ctx, keys("a")); return err }},
		{"write", storage.ErrInvalid, func(ctx context.Context) error {
			_, err := store.Write(ctx, []storage.Write{swapOf("b", 0), noRevision})
			return err
		}},
		{"write, done", nil, func(ctx context.Context) error {
			_, err := store.Write(ctx, []storage.Write{swapOf("b", 0)})
			return err
		}},
		{"write with a note", storage.ErrUnsupported, func(ctx context.Context) error {
			_, err := store.Write(ctx, []storage.Write{swapOf("b", 0), note})
			return err
		}},
		{"write with entries", storage.ErrUnsupported, func(ctx context.Context) error {
			_, err := store.Write(ctx, []storage.Write{swapOf("b", 0), entries})
			return err
		}},
		{"list", storage.ErrInvalid, func(ctx context.Context) error { _, err := store.List(ctx, scope, storage.Range{}); return err }},
		{"list, done", nil, func(ctx context.Context) error { _, err := store.List(ctx, scope, storage.Range{Limit: 1}); return err }},
		{"lookup", storage.ErrUnsupported, func(ctx context.Context) error {
			_, err := store.Lookup(ctx, scope, 1, storage.Range{Limit: 1})
			return err
		}},
		{"set entries", storage.ErrUnsupported, func(ctx context.Context) error { return store.SetEntries(ctx, key("a"), 1, nil) }},
		{"changes", storage.ErrUnsupported, func(ctx context.Context) error {
			_, err := store.Changes(ctx, storage.ChangeQuery{Limit: 1})
			return err
		}},
		{"redact", storage.ErrUnsupported, func(ctx context.Context) error {
			_, err := store.Redact(ctx, key("a"), storage.Note{})
			return err
		}},
		{"trim", storage.ErrUnsupported, func(ctx context.Context) error { return store.Trim(ctx, time.Now(), storage.Cursor{}) }},
	} {
		if tt.want == nil {
			require.Equal(t, context.Canceled, tt.call(done(t)), tt.name)
		} else {
			require.ErrorIs(t, tt.call(t.Context()), tt.want, tt.name)
		}
	}
}

func TestCompleteLimits(t *testing.T) {
	require.Equal(t, storage.Limits{NoEntries: true, NoLog: true}, storage.Complete(newBasic()).Limits())
	require.Equal(t, storage.Limits{MaxData: 5 << 20, NoEntries: true, NoLog: true}, storage.Complete(limited{newBasic()}).Limits())
}

// TestCompleteStopsWithTheContext: writes that were made stay, the others have the error
// of the context.
func TestCompleteStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBasic()
	b.before = func(op string) error {
		cancel()
		return nil
	}
	errs, err := storage.Complete(b).Write(ctx, []storage.Write{swapOf("a", 0), swapOf("b", 0), swapOf("c", 0)})
	require.NoError(t, err)
	require.Equal(t, []error{nil, context.Canceled, context.Canceled}, errs)
	records, err := b.store.GetMany(t.Context(), keys("a", "b", "c"))
	require.NoError(t, err)
	require.NotZero(t, records[0].Revision)
	require.Zero(t, records[1].Revision+records[2].Revision)
}
