package storage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// TestUpdateMany: one row is one key, k-0 is not there, the others hold "old".
func TestUpdateMany(t *testing.T) {
	ctx := t.Context()
	mine := errors.New("mine")
	for _, batches := range []bool{true, false} {
		t.Run(fmt.Sprintf("batches %v", batches), func(t *testing.T) {
			inner := memory.New()
			counting := &batcher{Store: inner}
			var store storage.Store = counting
			if !batches {
				store = inner
			}
			keys := make([]storage.Key, 7)
			for i := range keys {
				keys[i] = key(fmt.Sprintf("k-%d", i))
				if i > 0 {
					_, err := inner.Put(ctx, storage.Record{Key: keys[i], Data: []byte("old")}, 0)
					require.NoError(t, err)
				}
			}
			results, err := storage.UpdateMany(ctx, store, keys, func(i int, old storage.Record) (storage.Record, error) {
				require.Equal(t, keys[i], old.Key)
				switch i {
				case 2:
					return old, storage.ErrDelete
				case 3:
					return old, storage.ErrNoChange
				case 4:
					return old, mine
				case 5:
					old.Key = key("other")
				case 6:
					return storage.Record{Data: []byte("new")}, nil // the key is filled in
				}
				old.Data = append([]byte("x"), old.Data...)
				return old, nil
			})
			require.NoError(t, err)
			for i, want := range []string{"x", "xold", "", "old", "old", "old", "new"} {
				rec, err := inner.Get(ctx, keys[i])
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
			if batches {
				assert.Equal(t, []int{7, 3, 1}, counting.sizes, "all reads, all puts, all deletes")
			}
		})
	}
}

// interfering is a BatchStore in which another process writes some keys after
// each read.
type interfering struct {
	batcher
	keys   []storage.Key
	rounds int
}

func (s *interfering) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	records, err := s.batcher.GetMany(ctx, keys)
	if s.rounds--; s.rounds >= 0 {
		for _, k := range s.keys {
			if _, err := storage.Update(ctx, s.Store, k, appendX); err != nil {
				return nil, err
			}
		}
	}
	return records, err
}

// TestUpdateManyConflicts: only what another process changed is read again, in
// rounds, and in the end key by key; no change is lost.
func TestUpdateManyConflicts(t *testing.T) {
	for rounds, want := range [][]int{{10, 10}, {10, 10, 2, 2}, {10, 10, 2, 2, 2, 2}, {10, 10, 2, 2, 2, 2}} {
		t.Run(fmt.Sprintf("%d rounds", rounds), func(t *testing.T) {
			ctx := t.Context()
			keys := make([]storage.Key, 10)
			for i := range keys {
				keys[i] = key(fmt.Sprintf("k-%d", i))
			}
			store := &interfering{batcher{Store: memory.New()}, []storage.Key{keys[3], keys[8]}, rounds}
			results, err := storage.UpdateMany(ctx, store, keys, func(_ int, old storage.Record) (storage.Record, error) {
				old.Data = append([]byte("y"), old.Data...)
				return old, nil
			})
			require.NoError(t, err)
			assert.Equal(t, want, store.sizes)
			for i, k := range keys {
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
	two := []storage.Key{key("a"), key("b")}
	never := func(int, storage.Record) (storage.Record, error) { panic("called") }
	_, err := storage.UpdateMany(ctx, memory.New(), []storage.Key{key("a"), key("a")}, never)
	assert.ErrorIs(t, err, storage.ErrDuplicateKey)
	_, err = storage.UpdateMany(ctx, memory.New(), []storage.Key{{}}, never)
	assert.ErrorIs(t, err, storage.ErrInvalid)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = storage.UpdateMany(ended, memory.New(), two, never)
	assert.ErrorIs(t, err, context.Canceled)
	results, err := storage.UpdateMany(ctx, memory.New(), nil, never)
	assert.NoError(t, err)
	assert.Empty(t, results)

	// The store cannot be read: nothing was judged.
	results, err = storage.UpdateMany(ctx, &batcher{Store: memory.New(), err: storage.ErrUnavailable}, two, never)
	require.NoError(t, err)
	for _, r := range results {
		assert.ErrorIs(t, r.Err, storage.ErrUnavailable)
		assert.Zero(t, r.Record)
	}

	// The writes fail: the record is the one that was judged, and nothing is tried again.
	for _, fault := range []error{storage.ErrUnavailable, storage.ErrUnknownOutcome, storage.ErrTooLarge} {
		calls := 0
		results, err = storage.UpdateMany(ctx, &failingWrites{batcher{Store: memory.New()}, fault}, two, func(_ int, old storage.Record) (storage.Record, error) {
			calls++
			return appendX(old)
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
	}
}

// failingWrites is a BatchStore whose puts fail.
type failingWrites struct {
	batcher
	fault error
}

func (s *failingWrites) PutMany(context.Context, []storage.PutOp) ([]storage.PutResult, error) {
	return nil, s.fault
}
