package storagetest

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var tenantCases = []testCase{
	{"tenant/get", "A record of another tenant or schema answers exactly as an absent one.", caseTenantGet},
	{"tenant/write", "A write changes the record of its own scope and no other.", caseTenantWrite},
	{"tenant/list", "List returns the records of its scope and no other.", caseTenantList},
	{"tenant/errors", "The text of an error has neither external ids nor data.", caseTenantErrors},
}

// confusableScopes differ in one part each, or have the same UUIDs in other places, or
// UUIDs that differ in one byte at either end.
func confusableScopes() []storage.Scope {
	a := uuid.MustParse("aaaaaaaa-0000-4000-8000-00000000000a")
	b := uuid.MustParse("bbbbbbbb-0000-4000-8000-00000000000b")
	c := uuid.MustParse("cccccccc-0000-4000-8000-00000000000c")
	scope := func(platform, business, schema uuid.UUID) storage.Scope {
		return storage.Scope{Tenant: storage.Tenant{Platform: platform, Business: business}, Schema: schema}
	}
	first, last := a, a
	first[0]++
	last[15]++
	return []storage.Scope{
		scope(a, b, c), scope(b, a, c), scope(a, c, b), scope(c, b, a), scope(b, c, a), scope(c, a, b),
		scope(a, a, a), scope(a, a, b), scope(a, b, a), scope(b, a, a), scope(a, b, b),
		scope(first, b, c), scope(last, b, c), scope(b, first, c), scope(b, last, c), scope(b, c, first), scope(b, c, last),
		scope(uuid.Max, b, c), scope(a, uuid.Max, c), scope(a, b, uuid.Max),
	}
}

// sharedIDs are used in every scope.
var sharedIDs = []string{
	"same", "Same", "same ", " same", "same-more", "sam",
	"é", "e\u0301",
	"aaaaaaaa-0000-4000-8000-00000000000a", "a/b", "a:b", "a|b", "a,b", "a\x1fb", "%", "_", "*", "..", "' OR '1'='1",
}

func dataOf(scope int, id string) string {
	return fmt.Sprintf("secret of scope %d under %s", scope, id)
}

func caseTenantGet(e *env) {
	store, scopes := e.open(), confusableScopes()
	for i, scope := range scopes {
		for _, other := range scopes[i:] {
			for _, id := range sharedIDs[:3] {
				rec, err := store.Get(context.Background(), keyIn(other, id))
				require.ErrorIs(e, err, storage.ErrNotFound, "scope %d is not filled yet", i)
				require.Equal(e, storage.Record{}.Data, rec.Data)
			}
		}
		for _, id := range sharedIDs {
			e.mustPut(store, record(keyIn(scope, id), dataOf(i, id)), 0)
		}
	}
	for i, scope := range scopes {
		for _, id := range sharedIDs {
			rec, err := store.Get(context.Background(), keyIn(scope, id))
			require.NoError(e, err)
			require.Equal(e, keyIn(scope, id), rec.Key)
			require.Equal(e, dataOf(i, id), string(rec.Data), "data of scope %d", i)
		}
	}
}

func caseTenantWrite(e *env) {
	store, scopes := e.open(), confusableScopes()
	ctx, id := context.Background(), sharedIDs[0]
	records := make([]storage.Record, len(scopes))
	for i, scope := range scopes {
		records[i] = e.mustPut(store, record(keyIn(scope, id), dataOf(i, id)), 0)
	}
	others := func(except int) {
		for i, rec := range records {
			if i != except && rec.Revision != 0 {
				got, err := store.Get(ctx, rec.Key)
				require.NoError(e, err, "record of scope %d after a write to scope %d", i, except)
				e.same(rec, got)
			}
		}
	}
	for i := range scopes {
		stranger := records[(i+1)%len(records)].Revision
		require.ErrorIs(e, write(ctx, store, putOf(record(records[i].Key, "with a stranger's revision"), stranger)), storage.ErrConflict)
		require.ErrorIs(e, write(ctx, store, deleteOf(records[i].Key, stranger)), storage.ErrConflict)
		rec := records[i]
		rec.Data = []byte("changed in scope " + fmt.Sprint(i))
		records[i] = e.mustPut(store, rec, rec.Revision)
		others(-1)
	}
	for i, rec := range records {
		e.mustDelete(store, rec)
		records[i].Revision = 0
		_, err := store.Get(ctx, rec.Key)
		require.ErrorIs(e, err, storage.ErrNotFound)
		others(i)
	}
}

func caseTenantList(e *env) {
	store, scopes := e.open(), confusableScopes()
	for i, scope := range scopes {
		if i%4 == 3 {
			continue // some stay empty
		}
		for _, id := range append([]string{fmt.Sprintf("only-%d", i)}, sharedIDs...) {
			e.mustPut(store, record(keyIn(scope, id), dataOf(i, id)), 0)
		}
	}
	for i, scope := range scopes {
		records := e.walk(store, scope, storage.Range{Limit: 5}) // walk sees that each is of the scope
		want := len(sharedIDs) + 1
		if i%4 == 3 {
			want = 0
		}
		require.Len(e, records, want, "records of scope %d", i)
		for _, rec := range records {
			require.Equal(e, dataOf(i, rec.Key.ExternalID), string(rec.Data))
		}
	}
}

func caseTenantErrors(e *env) {
	const id, data = "alice@example.com", "born 1970-01-01"
	ctx, store := context.Background(), e.open()
	other := confusableScopes()[0]
	e.mustPut(store, record(keyIn(other, id), data+" (the other tenant)"), 0)
	silent := func(err error) {
		require.Error(e, err)
		e.silent(err, id, "alice", data, "born")
	}
	key := testKey(id)
	_, err := store.Get(ctx, key)
	silent(err)
	silent(write(ctx, store, deleteOf(key, 1)))
	silent(write(ctx, store, putOf(record(key, data), 12345)))
	rec := e.mustPut(store, record(key, data), 0)
	silent(write(ctx, store, putOf(record(key, data), 0)))
	silent(write(ctx, store, putOf(record(key, data), rec.Revision+1)))
	silent(write(ctx, store, storage.Write{Record: record(key, data), Expect: rec.Revision})) // without a new revision
	silent(write(ctx, store, deleteOf(key, rec.Revision+1)))
	silent(write(ctx, store, deleteOf(key, 0)))
	for _, bad := range []string{id + "\x00", id + "\xff"} {
		_, err = store.Get(ctx, testKey(bad))
		silent(err)
		_, err = store.GetMany(ctx, []storage.Key{key, testKey(bad)})
		silent(err)
		silent(write(ctx, store, putOf(record(testKey(bad), data), 0)))
		_, err = store.List(ctx, testScope, after(bad, 1))
		silent(err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = store.Get(done, key)
	silent(err)
	silent(write(done, store, putOf(record(key, data), rec.Revision)))
	_ = store.Close()
	_, err = store.Get(ctx, key)
	silent(err)
	silent(write(ctx, store, putOf(record(key, data), rec.Revision)))
}
