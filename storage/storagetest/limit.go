package storagetest

import (
	"context"
	"errors"
	"math"
	"strings"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var limitCases = []testCase{
	{"limit/keys", "A key, scope, cursor or limit that is not valid gives ErrInvalid and has no effect.", caseInvalid},
	{"limit/range", "A list with bounds of values, or with a cursor that has a value, gives ErrInvalid.", caseInvalidRange},
	{"limit/longest-id", "External ids of up to MaxExternalID bytes work, of whatever characters.", caseLongestID},
	{"limit/unsupported", "What the store lacks, by its Limits, gives ErrUnsupported and has no effect.", caseUnsupported},
	{"limit/data", "Data above the store's limit gives ErrTooLarge and has no effect, and the limit is at least 1 MiB. It is not one of the documents of a note.", caseTooLarge},
}

func caseInvalid(e *env) {
	ctx, store := context.Background(), e.open()
	rec := e.mustPut(store, record(testKey("present"), "x"), 0)
	longest := strings.Repeat("x", storage.MaxExternalID)
	ids := map[string]string{
		"empty":                   "",
		"NUL alone":               "\x00",
		"NUL at the end":          "present\x00",
		"invalid UTF-8":           "present\xff",
		"cut character":           "\xe4\xb8",
		"surrogate as UTF-8":      "\xed\xa0\x80",
		"overlong":                "\xc0\x80",
		"one byte too long":       longest + "x",
		"too long in bytes alone": strings.Repeat("é", storage.MaxExternalID/2) + "e",
		"very long":               strings.Repeat("x", 1<<20),
	}
	keys := map[string]storage.Key{
		"zero key":       {},
		"no tenant":      {Schema: testScope.Schema, ExternalID: "present"},
		"no platform":    {Tenant: storage.Tenant{Business: testScope.Tenant.Business}, Schema: testScope.Schema, ExternalID: "present"},
		"no business":    {Tenant: storage.Tenant{Platform: testScope.Tenant.Platform}, Schema: testScope.Schema, ExternalID: "present"},
		"no schema":      {Tenant: testScope.Tenant, ExternalID: "present"},
		"only the id":    {ExternalID: "present"},
		"schema is zero": {Tenant: testScope.Tenant, Schema: uuid.Nil, ExternalID: "other"},
	}
	for name, key := range keys {
		_, err := store.List(ctx, key.Scope(), storage.Range{Limit: 10})
		require.ErrorIs(e, err, storage.ErrInvalid, "list: %s", name)
	}
	for name, id := range ids {
		keys[name] = testKey(id)
		if id != "" {
			_, err := store.List(ctx, testScope, after(id, 10))
			require.ErrorIs(e, err, storage.ErrInvalid, "list: cursor %s", name)
			e.silent(err, id)
		}
	}
	for name, key := range keys {
		invalid := func(op string, err error) {
			require.ErrorIs(e, err, storage.ErrInvalid, "%s: %s", op, name)
			if len(key.ExternalID) > 2 {
				e.silent(err, key.ExternalID)
			}
		}
		_, err := store.Get(ctx, key)
		invalid("get", err)
		_, err = store.GetMany(ctx, []storage.Key{key})
		invalid("get many", err)
		invalid("create", write(ctx, store, putOf(storage.Record{Key: key}, 0)))
		invalid("update", write(ctx, store, putOf(storage.Record{Key: key}, rec.Revision)))
		invalid("delete", write(ctx, store, deleteOf(key, rec.Revision)))
		_, err = storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) { return old, nil })
		invalid("Update", err)
	}
	for _, limit := range []int{0, -1, math.MinInt} {
		_, err := store.List(ctx, testScope, storage.Range{Limit: limit})
		require.ErrorIs(e, err, storage.ErrInvalid, "limit %d", limit)
	}
	require.Len(e, e.walk(store, testScope, storage.Range{Limit: 10}), 1)
	e.holds(store, rec)
}

func caseInvalidRange(e *env) {
	store := e.open()
	e.fill(store, testScope, []string{"a", "b"})
	for name, r := range map[string]storage.Range{
		"from":              {From: []byte("a"), Limit: 10},
		"empty from":        {From: []byte{}, Limit: 10},
		"to":                {To: []byte("b"), Limit: 10},
		"value of a cursor": {After: storage.Position{Value: []byte("a"), ExternalID: "a"}, Limit: 10},
		"value alone":       {After: storage.Position{Value: []byte("a")}, Limit: 10},
	} {
		for _, r.Backwards = range []bool{false, true} {
			_, err := store.List(context.Background(), testScope, r)
			require.ErrorIs(e, err, storage.ErrInvalid, name)
		}
	}
}

func caseLongestID(e *env) {
	store := e.open()
	ascii := strings.Repeat("x", storage.MaxExternalID)
	ids := []string{
		ascii,
		ascii[:storage.MaxExternalID-1],
		ascii[:storage.MaxExternalID-1] + "y",
		strings.Repeat("é", storage.MaxExternalID/2),
		strings.Repeat("😀", storage.MaxExternalID/4),
		strings.Repeat("\x01", storage.MaxExternalID),
		strings.Repeat("'", storage.MaxExternalID),
	}
	e.fill(store, testScope, ids)
	listed := e.walk(store, testScope, storage.Range{Limit: 2})
	require.Len(e, listed, len(ids))
	for _, rec := range listed {
		e.holds(store, rec)
		e.mustDelete(store, rec)
	}
}

func caseTooLarge(e *env) {
	store := e.open()
	most := store.Limits().MaxData
	if most == 0 {
		return // no limit; data/verbatim stores 1 MiB
	}
	require.GreaterOrEqual(e, most, 1<<20, "MaxData")
	data := strings.Repeat("x", most+1)
	rec := e.mustPut(store, record(testKey("largest"), data[:most]), 0)
	_, err := put(store, record(testKey("too large"), data), 0)
	require.ErrorIs(e, err, storage.ErrTooLarge)
	_, err = put(store, record(rec.Key, data), rec.Revision)
	require.ErrorIs(e, err, storage.ErrTooLarge)
	e.absent(store, testKey("too large"))
	e.holds(store, rec)

	// In a batch it fails alone.
	first, last := putOf(record(testKey("first"), "x"), 0), putOf(record(testKey("the last"), "x"), 0)
	errs, err := writeAll(context.Background(), store, []storage.Write{
		first, putOf(record(testKey("too large"), data), 0), putOf(record(rec.Key, data), rec.Revision), last,
	})
	require.NoError(e, err)
	for i, good := range map[int]storage.Write{0: first, 3: last} {
		if errors.Is(errs[i], storage.ErrConflict) { // a spurious one
			errs[i] = writeMany(store, good)
		}
		require.NoError(e, errs[i])
		e.holds(store, good.Record)
	}
	for _, i := range []int{1, 2} {
		if !errors.Is(errs[i], storage.ErrConflict) { // a spurious one
			require.ErrorIs(e, errs[i], storage.ErrTooLarge)
		}
	}
	e.absent(store, testKey("too large"))
	e.holds(store, rec)

	// Documents are earlier states, of a time when the limit was another, too.
	if store.Limits().NoLog {
		return
	}
	h, document := newHistory(), []byte(data)
	h.shelf.take(storage.Write{Record: rec})
	for _, w := range []storage.Write{h.next(testKey("noted"), "x", nil), h.next(rec.Key, "y", nil), h.gone(rec.Key)} {
		if w.Delete {
			w = h.gone(rec.Key)
		}
		w.Note = &storage.Note{Time: testTime, Before: document, After: document}
		e.mustLog(store, h, w)
	}
	e.sameChanges(h.changes, e.logged(store, storage.ChangeQuery{}))
}
