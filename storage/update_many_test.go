package storage_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// prepend is a change of UpdateMany.
func prepend(text string) func(int, storage.Record) (storage.Write, error) {
	return func(_ int, old storage.Record) (storage.Write, error) {
		old.Data = []byte(text + string(old.Data))
		return storage.Write{Record: old}, nil
	}
}

// TestUpdateMany: one case of fn is one key. The first is absent, the others have "old".
func TestUpdateMany(t *testing.T) {
	ctx := t.Context()
	mine := errors.New("mine")
	store := newScripted()
	all := numbered(9)
	for i, k := range all {
		if i > 0 {
			_, err := storage.Put(ctx, store.Store, storage.Record{Key: k, Data: []byte("old")}, 0)
			require.NoError(t, err)
		}
	}
	results, err := storage.UpdateMany(ctx, store, all, func(i int, old storage.Record) (storage.Write, error) {
		require.Equal(t, all[i], old.Key)
		switch i {
		case 2:
			return storage.Write{Delete: true}, nil
		case 3:
			return storage.Write{}, storage.ErrNoChange
		case 4:
			return storage.Write{}, mine
		case 5:
			old.Key = key("other")
		case 6:
			return storage.Write{Record: storage.Record{Data: []byte("new")}}, nil // the key is filled in
		case 7:
			return storage.Write{}, fmt.Errorf("wrapped: %w", storage.ErrNoChange)
		case 8:
			return storage.Write{
				Record: old, Entries: []storage.Entry{{Index: 1, Value: []byte("v")}}, Note: &storage.Note{Actor: "me"},
			}, nil
		}
		return prepend("x")(i, old)
	})
	require.NoError(t, err)
	for i, want := range []string{"x", "xold", "", "old", "old", "old", "new", "old", "old"} {
		rec, err := store.Get(ctx, all[i])
		if want == "" {
			require.ErrorIs(t, err, storage.ErrNotFound)
			require.NoError(t, results[i].Err)
			assert.Equal(t, "old", string(results[i].Record.Data), "a deleted record as it was")
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, want, string(rec.Data), "%d", i)
		assert.Equal(t, rec, results[i].Record, "%d", i)
	}
	assert.Equal(t, mine, results[4].Err)
	assert.ErrorIs(t, results[5].Err, storage.ErrInvalid)
	assert.ErrorIs(t, results[7].Err, storage.ErrNoChange)
	assert.Equal(t, []int{9, 5}, store.sizes, "one call reads all, one writes all that change")
	page, err := store.Lookup(ctx, scope, 1, storage.Range{Limit: 10})
	require.NoError(t, err)
	assert.Equal(t, results[8:9], []storage.UpdateResult{{Record: page.Records[0]}})
	changes, err := store.Changes(ctx, storage.ChangeQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, changes.Changes, 1)
	assert.Equal(t, "me", changes.Changes[0].Note.Actor)
}

// TestUpdateManyAsksTwice for each MaxBatch keys, and not to write nothing.
func TestUpdateManyAsksTwice(t *testing.T) {
	for n, want := range map[int][]int{
		0:                        nil,
		1:                        {1, 1},
		storage.MaxBatch:         {1000, 1000},
		storage.MaxBatch + 1:     {1000, 1000, 1, 1},
		2*storage.MaxBatch + 500: {1000, 1000, 1000, 1000, 500, 500},
	} {
		store := newScripted()
		all := numbered(n)
		slices.Reverse(all)
		results, err := storage.UpdateMany(t.Context(), store, all, prepend("x"))
		require.NoError(t, err)
		require.Equal(t, want, store.sizes, "%d keys", n)
		require.Len(t, results, n)
		for i, r := range results {
			require.NoError(t, r.Err)
			require.Equal(t, all[i], r.Record.Key)
			require.Equal(t, "x", string(r.Record.Data))
		}
		store.sizes = nil
		_, err = storage.UpdateMany(t.Context(), store, all, func(int, storage.Record) (storage.Write, error) {
			return storage.Write{}, storage.ErrNoChange
		})
		require.NoError(t, err)
		require.Len(t, store.sizes, len(want)/2, "only reads")
	}
}

// interfering is a store in which another process writes some keys after each read.
type interfering struct {
	*scripted
	keys   []storage.Key
	rounds int
}

func (s *interfering) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	records, err := s.scripted.GetMany(ctx, keys)
	if s.rounds--; s.rounds >= 0 {
		for _, k := range s.keys {
			if _, err := storage.Update(ctx, s.Store, k, appendX); err != nil {
				return nil, err
			}
		}
	}
	return records, err
}

// TestUpdateManyConflicts: only records that another process changed are read again, in
// rounds, and in the end key by key. No change is lost.
func TestUpdateManyConflicts(t *testing.T) {
	for rounds, want := range [][]int{{10, 10}, {10, 10, 2, 2}, {10, 10, 2, 2, 2, 2}, {10, 10, 2, 2, 2, 2, 1, 1}} {
		t.Run(fmt.Sprintf("%d rounds", rounds), func(t *testing.T) {
			ctx := t.Context()
			all := numbered(10)
			store := &interfering{newScripted(), []storage.Key{all[3], all[8]}, rounds}
			results, err := storage.UpdateMany(ctx, store, all, prepend("y"))
			require.NoError(t, err)
			assert.Equal(t, want, store.sizes)
			for i, k := range all {
				require.NoError(t, results[i].Err)
				rec, err := store.Get(ctx, k)
				require.NoError(t, err)
				assert.Equal(t, rec, results[i].Record)
				data := "y"
				if i == 3 || i == 8 {
					data += "xxx"[:rounds]
				}
				assert.Equal(t, data, string(rec.Data))
			}
		})
	}
}

func TestUpdateManyErrors(t *testing.T) {
	ctx := t.Context()
	two := keys("a", "b")
	never := func(int, storage.Record) (storage.Write, error) { panic("called") }
	store := newScripted()
	_, err := storage.UpdateMany(ctx, store, keys("a", "b", "a"), never)
	assert.ErrorIs(t, err, storage.ErrDuplicateKey)
	assert.NotContains(t, err.Error(), "acme")
	_, err = storage.UpdateMany(ctx, store, []storage.Key{{}}, never)
	assert.ErrorIs(t, err, storage.ErrInvalid)
	twice := numbered(storage.MaxBatch + 1)
	twice[storage.MaxBatch] = twice[0]
	_, err = storage.UpdateMany(ctx, store, twice, never)
	assert.ErrorIs(t, err, storage.ErrDuplicateKey, "in two batches")
	_, err = storage.UpdateMany(done(t), store, two, never)
	assert.ErrorIs(t, err, context.Canceled)
	results, err := storage.UpdateMany(ctx, store, nil, never)
	assert.NoError(t, err)
	assert.Empty(t, results)
	assert.Empty(t, store.sizes, "the store was not asked")

	// The store cannot be read: nothing was judged.
	store = newScripted()
	store.failing, store.writes = storage.ErrUnavailable, 1
	results, err = storage.UpdateMany(ctx, store, two, never)
	require.NoError(t, err)
	for _, r := range results {
		assert.ErrorIs(t, r.Err, storage.ErrUnavailable)
		assert.Zero(t, r.Record)
	}

	// The writes fail: the record is the one that fn got, and nothing is tried again.
	for _, whole := range []bool{false, true} {
		for _, fault := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome, storage.ErrTooLarge, storage.ErrUnsupported, &storage.NotUniqueError{Index: 7}} {
			calls := 0
			store = newScripted(answer{err: fault, whole: whole})
			results, err = storage.UpdateMany(ctx, store, two, func(i int, old storage.Record) (storage.Write, error) {
				calls++
				return prepend("x")(i, old)
			})
			require.NoError(t, err)
			assert.Equal(t, 2, calls)
			for i, r := range results {
				assert.ErrorIs(t, r.Err, fault)
				assert.Equal(t, storage.Record{Key: two[i]}, r.Record)
				var op *storage.OpError
				require.ErrorAs(t, r.Err, &op)
				assert.Equal(t, two[i], op.Key)
			}
			if fault == storage.ErrUnknownOutcome {
				assert.Equal(t, []int{2, 2, 2}, store.sizes, "one read for all lost answers")
			}
		}
	}
}

// TestUpdateManyStopsWithItsContext: keys of a batch that was written before stay written.
func TestUpdateManyStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := newScripted(answer{applied: true, whole: true})
	store.meanwhile = cancel
	all := numbered(storage.MaxBatch + 1)
	results, err := storage.UpdateMany(ctx, store, all, prepend("x"))
	require.NoError(t, err)
	last := results[storage.MaxBatch]
	require.ErrorIs(t, last.Err, context.Canceled)
	require.Zero(t, last.Record)
	for _, r := range results[:storage.MaxBatch] {
		require.NoError(t, r.Err)
	}
	records, err := store.Store.GetMany(t.Context(), []storage.Key{all[0], all[storage.MaxBatch]})
	require.NoError(t, err)
	require.Equal(t, results[0].Record, records[0])
	require.Zero(t, records[1].Revision)
}
