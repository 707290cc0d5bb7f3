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

// caseRandom does the same to a store and to a map. The seed is new each time
// and printed when the case fails, by then with what was done last.
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
			expect = storage.Revision(random.Uint64())
		}
		switch random.IntN(5) {
		case 0, 1:
			rec := record(key, fmt.Sprint("data ", n))
			if expect != current.Revision {
				_, err := store.Put(ctx, rec, expect)
				require.ErrorIs(e, err, storage.ErrConflict, "operation %d", n)
				break
			}
			rec = e.mustPut(store, rec, expect)
			require.NotContains(e, given[key], rec.Revision, "operation %d: the revision is not new", n)
			given[key] = append(given[key], rec.Revision)
			model[key] = rec
		case 2:
			err := remove(store, key, expect)
			switch {
			case expect == 0:
				require.ErrorIs(e, err, storage.ErrInvalid, "operation %d", n)
			case !present:
				require.ErrorIs(e, err, storage.ErrNotFound, "operation %d", n)
			case expect != current.Revision:
				require.ErrorIs(e, err, storage.ErrConflict, "operation %d", n)
			default:
				require.NoError(e, err, "operation %d", n)
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
			after := ""
			if random.IntN(3) > 0 {
				after = randomKey().ExternalID
			}
			e.sameList(store, model, key.Scope(), after, 1+random.IntN(15))
		}
	}
	for _, scope := range scopes {
		e.sameList(store, model, scope, "", 100)
	}
}

func (e *env) sameList(store storage.Store, model map[storage.Key]storage.Record, scope storage.Scope, after string, limit int) {
	var want []storage.Record
	for _, id := range slices.Sorted(maps.Keys(idsIn(model, scope))) {
		if id > after {
			want = append(want, model[keyIn(scope, id)])
		}
	}
	got := e.walk(store, scope, after, limit)
	require.Equal(e, idsOf(want), idsOf(got), "list after %q", after)
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
