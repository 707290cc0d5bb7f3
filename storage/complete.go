package storage

import (
	"context"
	"time"
)

// Basic is the least that a store does. [Complete] makes a [Store] of it.
type Basic interface {
	// Get is Store.Get.
	Get(ctx context.Context, key Key) (Record, error)

	// Put makes one write of [Store.Write] without entries and note, and returns its
	// error: it stores rec, with its Revision, if the revision of the key is expect.
	// A Put over a record keeps the stored ID and CreatedAt.
	Put(ctx context.Context, rec Record, expect Revision) error

	// Delete removes the record of the key if its revision is expect, which is not 0.
	// Otherwise the error is ErrConflict.
	Delete(ctx context.Context, key Key, expect Revision) error

	// List is Store.List.
	List(ctx context.Context, scope Scope, r Range) (Page, error)

	// Close is Store.Close.
	Close() error
}

// Complete returns a Store that does what basic can: many keys one after the other, and
// neither entries nor a log. It makes the checks that methods start with, except the one
// for ErrClosed. Its Limits are those of basic if that has a method Limits.
func Complete(basic Basic) Store { return &completed{basic} }

type completed struct{ Basic }

var _ Store = (*completed)(nil)

func (c *completed) Get(ctx context.Context, key Key) (Record, error) {
	if err := CheckKey(ctx, key); err != nil {
		return Record{}, err
	}
	return c.Basic.Get(ctx, key)
}

func (c *completed) GetMany(ctx context.Context, keys []Key) ([]Record, error) {
	if err := CheckKeys(ctx, keys); err != nil {
		return nil, err
	}
	records := make([]Record, len(keys))
	for i, key := range keys {
		rec, err := getOrAbsent(ctx, c.Basic, key)
		if err != nil {
			return nil, err
		}
		records[i] = rec
	}
	return records, nil
}

func (c *completed) Write(ctx context.Context, writes []Write) ([]error, error) {
	if err := CheckWrites(ctx, writes); err != nil {
		return nil, err
	}
	for i := range writes {
		if len(writes[i].Entries) > 0 || writes[i].Note != nil {
			return nil, ErrUnsupported
		}
	}
	var errs []error
	for i := range writes {
		err := ctx.Err() // the context may have ended since the write before
		switch w := &writes[i]; {
		case err != nil:
		case w.Delete:
			err = c.Basic.Delete(ctx, w.Record.Key, w.Expect)
		default:
			err = c.Basic.Put(ctx, w.Record, w.Expect)
		}
		if err != nil {
			if errs == nil {
				errs = make([]error, len(writes))
			}
			errs[i] = err
		}
	}
	return errs, nil
}

func (c *completed) List(ctx context.Context, scope Scope, r Range) (Page, error) {
	r, err := CheckList(ctx, scope, r)
	if err != nil {
		return Page{}, err
	}
	return c.Basic.List(ctx, scope, r)
}

func (c *completed) Lookup(context.Context, Scope, uint32, Range) (Page, error) {
	return Page{}, ErrUnsupported
}

func (c *completed) SetEntries(context.Context, Key, Revision, []Entry) error { return ErrUnsupported }

func (c *completed) Changes(context.Context, ChangeQuery) (ChangePage, error) {
	return ChangePage{}, ErrUnsupported
}

func (c *completed) Redact(context.Context, Key, Note) (int, error) { return 0, ErrUnsupported }

func (c *completed) Trim(context.Context, time.Time, Cursor) error { return ErrUnsupported }

func (c *completed) Limits() Limits {
	var limits Limits
	if l, ok := c.Basic.(interface{ Limits() Limits }); ok {
		limits = l.Limits()
	}
	limits.NoEntries, limits.NoLog = true, true
	return limits
}
