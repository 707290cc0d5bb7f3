package storagetest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var recallCases = []testCase{
	{"recall/stored", "Recall returns a record as it was stored under the key at some time.", caseRecall},
}

// caseRecall does everything to some keys that may make a store remember or forget a
// record, and checks what it recalls after each call.
func caseRecall(e *env) {
	ctx, store, random := context.Background(), e.open(), newRand(uint64(time.Now().UnixNano()))
	recaller, ok := store.(storage.Recaller)
	if !ok {
		return // it recalls nothing
	}
	scopes := confusableScopes()[:3]
	var keys []storage.Key
	for _, scope := range scopes {
		for i := range 4 {
			keys = append(keys, keyIn(scope, fmt.Sprint("id-", i)))
		}
	}
	current := make(map[storage.Key]storage.Record)
	all := make(map[storage.Key]map[storage.Revision]storage.Record) // each state there was
	for _, key := range keys {
		all[key] = make(map[storage.Revision]storage.Record)
	}
	for n := range modelOperations {
		key := keys[random.IntN(len(keys))]
		was := current[key]
		// Times that a store truncates, and an identity that an update does not change.
		rec := record(key, fmt.Sprint("data ", n))
		rec.ID = uuid.New()
		rec.CreatedAt = testTime.Add(time.Duration(n) * 1_234_567).In(time.FixedZone("east", 3600))
		rec.UpdatedAt = rec.CreatedAt.Add(time.Hour + 1)
		// apply makes the write, alone or in a batch.
		apply := func(w storage.Write) {
			beside := putOf(record(testKey(fmt.Sprint("beside ", n)), "x"), 0)
			if random.IntN(2) == 0 {
				e.mustWrite(store, w)
			} else {
				e.mustWrite(store, beside, w)
			}
		}
		switch random.IntN(6) {
		case 0, 1:
			w := putOf(rec, was.Revision)
			apply(w)
			rec.Revision = w.Record.Revision
			if was.Revision != 0 {
				rec.ID, rec.CreatedAt = was.ID, was.CreatedAt
			}
			current[key], all[key][rec.Revision] = rec, rec
		case 2:
			conflict := putOf(rec, was.Revision^1<<40)
			errs, err := writeAll(ctx, store, []storage.Write{conflict, putOf(record(testKey(fmt.Sprint("beside ", n)), "x"), 0)}[:1+random.IntN(2)])
			require.NoError(e, err)
			require.ErrorIs(e, errs[0], storage.ErrConflict)
		case 3:
			_, err := store.Get(ctx, key)
			require.Equal(e, was.Revision == 0, err != nil, "%v", err)
		case 4:
			_, err := store.GetMany(ctx, keys)
			require.NoError(e, err)
		case 5:
			if was.Revision != 0 && random.IntN(3) == 0 {
				apply(deleteOf(key, was.Revision))
				delete(current, key)
			}
		}
		for _, key := range keys {
			rec, ok := recaller.Recall(key)
			if !ok {
				continue
			}
			want, ever := all[key][rec.Revision]
			require.True(e, ever, "operation %d: a revision that the key never had", n)
			e.same(want, rec)
		}
	}
}
