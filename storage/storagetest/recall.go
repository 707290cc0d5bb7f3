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
	{"recall/stored", "What Recall returns is a record as it was stored under the key.", caseRecall},
}

// caseRecall does everything to some keys that may make a store remember or
// forget a record, and looks after each call at what it recalls.
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
		// Times and identities that a store does not keep as they are.
		rec := record(key, fmt.Sprint("data ", n))
		rec.ID = uuid.New()
		rec.CreatedAt = testTime.Add(time.Duration(n) * 1_234_567).In(time.FixedZone("east", 3600))
		rec.UpdatedAt = rec.CreatedAt.Add(time.Hour + 1)
		stored := func(rev storage.Revision) {
			rec.Revision = rev
			if was.Revision != 0 {
				rec.ID, rec.CreatedAt = was.ID, was.CreatedAt
			}
			current[key], all[key][rev] = rec, rec
		}
		switch random.IntN(7) {
		case 0:
			rev, err := put(store, rec, was.Revision)
			require.NoError(e, err)
			stored(rev)
		case 1:
			revisions, err := putMany(store, []storage.PutOp{{Record: rec, Expect: was.Revision}})
			require.NoError(e, err)
			stored(revisions[0])
		case 2: // a conflict
			_, err := store.Put(ctx, rec, was.Revision^1<<40)
			require.ErrorIs(e, err, storage.ErrConflict)
		case 3:
			results, err := storage.PutMany(ctx, store, []storage.PutOp{{Record: rec, Expect: was.Revision ^ 1<<40}})
			require.NoError(e, err)
			require.ErrorIs(e, results[0].Err, storage.ErrConflict)
		case 4:
			_, err := store.Get(ctx, key)
			require.Equal(e, was.Revision == 0, err != nil, "%v", err)
		case 5:
			_, err := storage.GetMany(ctx, store, keys)
			require.NoError(e, err)
		case 6:
			if was.Revision == 0 || random.IntN(3) > 0 {
				break
			}
			if random.IntN(2) == 0 {
				e.mustDelete(store, was)
			} else {
				require.NoError(e, settled(func() error {
					errs, err := storage.DeleteMany(ctx, store, []storage.DeleteOp{{Key: key, Expect: was.Revision}})
					if err != nil {
						return err
					}
					return errs[0]
				}))
			}
			delete(current, key)
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
