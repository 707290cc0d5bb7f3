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
	{"limit/longest-id", "External ids of up to MaxExternalID bytes work, of whatever characters.", caseLongestID},
	{"limit/data", "Data above the store's limit gives ErrTooLarge and has no effect, and the limit is at least 1 MiB.", caseTooLarge},
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
		_, err := store.List(ctx, key.Scope(), "", 10)
		require.ErrorIs(e, err, storage.ErrInvalid, "list: %s", name)
	}
	for name, id := range ids {
		keys[name] = testKey(id)
		if id != "" {
			_, err := store.List(ctx, testScope, id, 10)
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
		_, err = store.Put(ctx, storage.Record{Key: key}, 0)
		invalid("create", err)
		_, err = store.Put(ctx, storage.Record{Key: key}, rec.Revision)
		invalid("put", err)
		invalid("delete", store.Delete(ctx, key, rec.Revision))
		_, err = storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) { return old, nil })
		invalid("update", err)
	}
	for _, limit := range []int{0, -1, math.MinInt} {
		_, err := store.List(ctx, testScope, "", limit)
		require.ErrorIs(e, err, storage.ErrInvalid, "limit %d", limit)
	}
	require.ErrorIs(e, remove(store, rec.Key, 0), storage.ErrInvalid, "delete expects 0")
	require.Len(e, e.walk(store, testScope, "", 10), 1)
	e.holds(store, rec)
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
	listed := e.walk(store, testScope, "", 2)
	require.Len(e, listed, len(ids))
	for _, rec := range listed {
		e.holds(store, rec)
		e.mustDelete(store, rec)
	}
}

func caseTooLarge(e *env) {
	limiter, ok := e.open().(storage.Limiter)
	if !ok || limiter.Limits().MaxData == 0 {
		return // no limit; data/verbatim stores 1 MiB
	}
	most := limiter.Limits().MaxData
	require.GreaterOrEqual(e, most, 1<<20, "MaxData")
	store := e.open()
	data := strings.Repeat("x", most+1)
	rec := e.mustPut(store, record(testKey("largest"), data[:most]), 0)
	_, err := put(store, record(testKey("too large"), data), 0)
	require.ErrorIs(e, err, storage.ErrTooLarge)
	_, err = put(store, record(rec.Key, data), rec.Revision)
	require.ErrorIs(e, err, storage.ErrTooLarge)
	e.absent(store, testKey("too large"))
	e.holds(store, rec)

	// In a batch it fails alone.
	first, last := record(testKey("first"), "x"), record(testKey("the last"), "x")
	results, err := storage.PutMany(context.Background(), store, []storage.PutOp{
		{Record: first},
		{Record: record(testKey("too large"), data)},
		{Record: record(rec.Key, data), Expect: rec.Revision},
		{Record: last},
	})
	require.NoError(e, err)
	require.Len(e, results, 4)
	for i, good := range map[int]storage.Record{0: first, 3: last} {
		if good.Revision = results[i].Revision; errors.Is(results[i].Err, storage.ErrConflict) { // a spurious one
			good = e.mustPut(store, good, 0)
			continue
		}
		require.NoError(e, results[i].Err)
		e.holds(store, good)
	}
	for _, i := range []int{1, 2} {
		if !errors.Is(results[i].Err, storage.ErrConflict) { // a spurious one
			require.ErrorIs(e, results[i].Err, storage.ErrTooLarge)
		}
	}
	e.absent(store, testKey("too large"))
	e.holds(store, rec)
}
