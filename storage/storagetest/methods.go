package storagetest

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// method is a call of a method of a store, with valid arguments.
type method struct {
	name  string
	lacks bool // the store says in its Limits that it lacks what the call needs
	call  func(ctx context.Context) error
}

// methods returns calls of every method but Limits and Close. rec is stored, under absent
// is no record, and the calls that change one of them would succeed.
func methods(store storage.Store, rec storage.Record, absent storage.Key) []method {
	entries := []storage.Entry{{Index: 1, Value: []byte("value")}}
	note := &storage.Note{Time: testTime, Actor: "actor"}
	withEntries, withNote := putOf(rec, rec.Revision), deleteOf(rec.Key, rec.Revision)
	withEntries.Entries, withNote.Note = entries, note
	writes := func(w storage.Write) func(context.Context) error {
		return func(ctx context.Context) error { return write(ctx, store, w) }
	}
	limits := store.Limits()
	return []method{
		{"get", false, func(ctx context.Context) error { _, err := store.Get(ctx, rec.Key); return err }},
		{"get many", false, func(ctx context.Context) error {
			_, err := store.GetMany(ctx, []storage.Key{rec.Key, absent})
			return err
		}},
		{"create", false, writes(putOf(record(absent, "y"), 0))},
		{"update", false, writes(putOf(record(rec.Key, "y"), rec.Revision))},
		{"delete", false, writes(deleteOf(rec.Key, rec.Revision))},
		{"write many", false, func(ctx context.Context) error {
			errs, err := writeAll(ctx, store, []storage.Write{putOf(record(absent, "y"), 0), deleteOf(rec.Key, rec.Revision)})
			return errors.Join(err, errors.Join(errs...))
		}},
		{"list", false, func(ctx context.Context) error {
			_, err := store.List(ctx, rec.Key.Scope(), storage.Range{Limit: 10})
			return err
		}},
		{"write with entries", limits.NoEntries, writes(withEntries)},
		{"lookup", limits.NoEntries, func(ctx context.Context) error {
			_, err := store.Lookup(ctx, rec.Key.Scope(), 1, storage.Range{Limit: 10})
			return err
		}},
		{"set entries", limits.NoEntries, func(ctx context.Context) error {
			return store.SetEntries(ctx, rec.Key, rec.Revision, entries)
		}},
		{"write with a note", limits.NoLog, writes(withNote)},
		{"changes", limits.NoLog, func(ctx context.Context) error {
			_, err := store.Changes(ctx, storage.ChangeQuery{Limit: 10})
			return err
		}},
		{"redact", limits.NoLog, func(ctx context.Context) error { return redact(ctx, store, rec.Key) }},
		{"trim", limits.NoLog, func(ctx context.Context) error { return store.Trim(ctx, testTime.Add(-time.Hour), storage.Cursor{}) }},
	}
}

// caseUnsupported is there for the stores that lack something.
func caseUnsupported(e *env) {
	store := e.open()
	rec := e.mustPut(store, record(testKey("present"), "x"), 0)
	for _, m := range methods(store, rec, testKey("absent")) {
		if m.lacks {
			require.ErrorIs(e, m.call(context.Background()), storage.ErrUnsupported, m.name)
		}
	}
	e.holds(store, rec)
	e.absent(store, testKey("absent"))
}
