package storagetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// forgetful is a store that makes all checks of contexts and of Close by itself, and
// forgets them in one method.
type forgetful struct {
	store  storage.Store // never closed
	method string
	closed atomic.Bool
}

// begin returns the context for a call of the store, or the error of a check.
func (f *forgetful) begin(ctx context.Context, method string) (context.Context, error) {
	switch {
	case method == f.method:
		return context.WithoutCancel(ctx), nil
	case f.closed.Load():
		return ctx, storage.ErrClosed
	}
	return ctx, ctx.Err()
}

// forget makes a call with one result.
func forget[T any](ctx context.Context, f *forgetful, method string, call func(ctx context.Context) (T, error)) (T, error) {
	ctx, err := f.begin(ctx, method)
	if err != nil {
		var none T
		return none, err
	}
	return call(ctx)
}

func (f *forgetful) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	return forget(ctx, f, "Get", func(ctx context.Context) (storage.Record, error) { return f.store.Get(ctx, key) })
}

func (f *forgetful) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	return forget(ctx, f, "GetMany", func(ctx context.Context) ([]storage.Record, error) { return f.store.GetMany(ctx, keys) })
}

func (f *forgetful) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	return forget(ctx, f, "Write", func(ctx context.Context) ([]error, error) { return f.store.Write(ctx, writes) })
}

func (f *forgetful) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	return forget(ctx, f, "List", func(ctx context.Context) (storage.Page, error) { return f.store.List(ctx, scope, r) })
}

func (f *forgetful) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	return forget(ctx, f, "Lookup", func(ctx context.Context) (storage.Page, error) { return f.store.Lookup(ctx, scope, index, r) })
}

func (f *forgetful) SetEntries(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
	ctx, err := f.begin(ctx, "SetEntries")
	if err != nil {
		return err
	}
	return f.store.SetEntries(ctx, key, expect, entries)
}

func (f *forgetful) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	return forget(ctx, f, "Changes", func(ctx context.Context) (storage.ChangePage, error) { return f.store.Changes(ctx, q) })
}

func (f *forgetful) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	return forget(ctx, f, "Redact", func(ctx context.Context) (int, error) { return f.store.Redact(ctx, key, note) })
}

func (f *forgetful) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	ctx, err := f.begin(ctx, "Trim")
	if err != nil {
		return err
	}
	return f.store.Trim(ctx, before, end)
}

func (f *forgetful) Limits() storage.Limits { return f.store.Limits() }

func (f *forgetful) Close() error {
	f.closed.Store(true)
	return nil
}

// TestEveryMethodIsChecked: the cases of contexts and of Close find a method that forgets
// its checks, whichever it is.
func TestEveryMethodIsChecked(t *testing.T) {
	caught := []string{"context/cancelled", "close/closed"}
	for _, method := range []string{"Get", "GetMany", "Write", "List", "Lookup", "SetEntries", "Changes", "Redact", "Trim"} {
		t.Run(method, func(t *testing.T) {
			runMutant(t, cases(), caught, func(e *env) {
				e.open = func() storage.Store { return &forgetful{store: memory.New(), method: method} }
			})
		})
	}
	for _, name := range caught {
		c := findCase(t, cases(), name)
		r := watch(c, func(e *env) {
			e.open = func() storage.Store { return &forgetful{store: memory.New()} }
		})
		if r.failed() {
			t.Errorf("%s without a mistake: %s", name, r.text())
		}
	}
}
