package storagetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// modelOperations is the length of the random run.
const modelOperations = 1500

var modelCases = []testCase{
	{"model/random", "The store behaves like a map with a compare-and-swap.", caseRandom},
}

// caseRandom does the same to a store and to a map. The seed is new each time; a failure
// prints it, with the number of the operation.
func caseRandom(e *env) {
	seed := uint64(time.Now().UnixNano())
	e.contract += fmt.Sprintf(" (random operations of the seed %d)", seed)
	runRandom(e, seed)
}

func runRandom(e *env, seed uint64) {
	ctx, store, random := context.Background(), e.open(), newRand(seed)
	scopes := confusableScopes()[:3]
	model := make(map[storage.Key]storage.Record)
	given := make(map[storage.Key][]storage.Revision) // all revisions a key ever had
	randomKey := func() storage.Key {
		return keyIn(scopes[random.IntN(len(scopes))], nastyIDs[random.IntN(12)])
	}
	for n := range modelOperations {
		key := randomKey()
		current, present := model[key]
		expect := current.Revision // 0 when absent
		switch dice := random.IntN(8); {
		case dice == 0:
			expect = 0
		case dice == 1 && len(given[key]) > 0:
			expect = given[key][random.IntN(len(given[key]))]
		case dice == 2:
			expect = storage.Revision(random.Uint64N(1 << 62))
		}
		switch random.IntN(5) {
		case 0, 1:
			rec := record(key, fmt.Sprint("data ", n))
			if expect != current.Revision {
				require.ErrorIs(e, write(ctx, store, putOf(rec, expect)), storage.ErrConflict, "operation %d", n)
				break
			}
			rec = e.mustPut(store, rec, expect)
			given[key] = append(given[key], rec.Revision)
			model[key] = rec
		case 2:
			switch {
			case expect == 0:
				require.ErrorIs(e, write(ctx, store, deleteOf(key, 0)), storage.ErrInvalid, "operation %d", n)
			case expect != current.Revision:
				require.ErrorIs(e, write(ctx, store, deleteOf(key, expect)), storage.ErrConflict, "operation %d", n)
			default:
				require.NoError(e, remove(store, key, expect), "operation %d", n)
				delete(model, key)
			}
		case 3:
			got, err := store.Get(ctx, key)
			if !present {
				require.True(e, errors.Is(err, storage.ErrNotFound), "operation %d: get of an absent key: %v", n, err)
				break
			}
			require.NoError(e, err, "operation %d", n)
			e.same(current, got)
		case 4:
			r := storage.Range{Limit: 1 + random.IntN(15), Backwards: random.IntN(2) == 0}
			if random.IntN(3) > 0 {
				r.After.ExternalID = randomKey().ExternalID
			}
			e.sameList(store, model, key.Scope(), r)
		}
	}
	for _, scope := range scopes {
		e.sameList(store, model, scope, storage.Range{Limit: 100})
	}
}

func (e *env) sameList(
	store storage.Store, model map[storage.Key]storage.Record, scope storage.Scope, r storage.Range,
) {
	ids := slices.Sorted(maps.Keys(idsIn(model, scope)))
	if r.Backwards {
		slices.Reverse(ids)
	}
	var want []storage.Record
	for _, id := range ids {
		from := r.After.ExternalID
		if from == "" || id > from && !r.Backwards || id < from && r.Backwards {
			want = append(want, model[keyIn(scope, id)])
		}
	}
	got := e.walk(store, scope, r)
	require.Equal(e, idsOf(want), idsOf(got), "list of %+v", r)
	for i := range want {
		e.same(want[i], got[i])
	}
}

func idsIn(model map[storage.Key]storage.Record, scope storage.Scope) map[string]bool {
	ids := make(map[string]bool)
	for key := range model {
		if key.Scope() == scope {
			ids[key.ExternalID] = true
		}
	}
	return ids
}
