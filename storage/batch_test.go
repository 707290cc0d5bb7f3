package storage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// batcher is a BatchStore that notes the sizes of its batches.
type batcher struct {
	storage.Store
	max   int
	sizes []int
	err   error
	lose  int // results to leave out
}

func (b *batcher) Limits() storage.Limits { return storage.Limits{MaxBatch: b.max} }

func (b *batcher) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	b.sizes = append(b.sizes, len(keys))
	if b.err != nil {
		return nil, b.err
	}
	records, err := storage.GetMany(ctx, b.Store, keys)
	return records[b.lose:], err
}

func (b *batcher) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	b.sizes = append(b.sizes, len(ops))
	if b.err != nil {
		return nil, b.err
	}
	results, err := storage.PutMany(ctx, b.Store, ops)
	return results[b.lose:], err
}

func (b *batcher) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	b.sizes = append(b.sizes, len(ops))
	if b.err != nil {
		return nil, b.err
	}
	results, err := storage.DeleteMany(ctx, b.Store, ops)
	return results[b.lose:], err
}

// deletesOf returns the deletes of what a batch has put.
func deletesOf(ops []storage.PutOp, results []storage.PutResult) (deletes []storage.DeleteOp) {
	for i, op := range ops {
		deletes = append(deletes, storage.DeleteOp{Key: op.Record.Key, Expect: results[i].Revision})
	}
	return deletes
}

func batchOf(n int) (keys []storage.Key, ops []storage.PutOp) {
	for i := range n {
		keys = append(keys, key(fmt.Sprint("k", i)))
		ops = append(ops, storage.PutOp{Record: storage.Record{Key: keys[i], Data: []byte(fmt.Sprint(i))}})
	}
	return keys, ops
}

func TestBatchSizes(t *testing.T) {
	for _, tt := range []struct {
		max, n int
		want   []int
	}{
		{0, 7, []int{7}},
		{7, 7, []int{7}},
		{3, 7, []int{3, 3, 1}},
		{1, 2, []int{1, 1}},
		{3, 0, nil},
	} {
		t.Run(fmt.Sprintf("%d by %d", tt.n, tt.max), func(t *testing.T) {
			ctx, store := context.Background(), &batcher{Store: memory.New(), max: tt.max}
			keys, ops := batchOf(tt.n)
			results, err := storage.PutMany(ctx, store, ops)
			require.NoError(t, err)
			require.Equal(t, tt.want, store.sizes)
			store.sizes = nil
			records, err := storage.GetMany(ctx, store, keys)
			require.NoError(t, err)
			require.Equal(t, tt.want, store.sizes)
			for i, rec := range records {
				require.Equal(t, keys[i], rec.Key)
				require.Equal(t, fmt.Sprint(i), string(rec.Data))
				require.Equal(t, results[i].Revision, rec.Revision)
			}
			store.sizes = nil
			errs, err := storage.DeleteMany(ctx, store, deletesOf(ops, results))
			require.NoError(t, err)
			require.Equal(t, tt.want, store.sizes)
			for _, err := range errs {
				require.NoError(t, err)
			}
		})
	}
}

func TestBatchErrors(t *testing.T) {
	ctx := context.Background()
	keys, ops := batchOf(4)
	for _, tt := range []struct {
		name  string
		store *batcher
		want  error
	}{
		{"unavailable", &batcher{err: storage.ErrUnavailable}, storage.ErrUnavailable},
		{"of each part", &batcher{err: storage.ErrUnavailable, max: 3}, storage.ErrUnavailable},
		{"unknown outcome", &batcher{err: errors.Join(context.Canceled, storage.ErrUnknownOutcome)}, storage.ErrUnknownOutcome},
		{"lost results", &batcher{lose: 1}, storage.ErrUnknownOutcome},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.store.Store = memory.New()
			results, err := storage.PutMany(ctx, tt.store, ops)
			require.NoError(t, err, "the outcomes are in the results")
			require.Len(t, results, 4)
			for _, r := range results {
				require.ErrorIs(t, r.Err, tt.want)
				require.NotContains(t, r.Err.Error(), "k1")
			}
			errs, err := storage.DeleteMany(ctx, tt.store, []storage.DeleteOp{{Key: keys[0], Expect: 1}, {Key: keys[1], Expect: 1}})
			require.NoError(t, err)
			require.Len(t, errs, 2)
			for _, err := range errs {
				require.ErrorIs(t, err, tt.want)
				require.NotContains(t, err.Error(), "k1")
			}
			_, err = storage.GetMany(ctx, tt.store, keys)
			require.Error(t, err)
		})
	}
}

func TestBatchRefused(t *testing.T) {
	keys, ops := batchOf(2)
	store := &batcher{Store: memory.New()}
	ctx := context.Background()
	_, err := storage.PutMany(ctx, store, append(ops, ops[0]))
	require.ErrorIs(t, err, storage.ErrDuplicateKey)
	_, err = storage.GetMany(ctx, store, append(keys, keys[1]))
	require.ErrorIs(t, err, storage.ErrDuplicateKey)
	_, err = storage.GetMany(ctx, store, append(keys, key("\xff")))
	require.ErrorIs(t, err, storage.ErrInvalid)
	_, err = storage.DeleteMany(ctx, store, []storage.DeleteOp{{Key: keys[0], Expect: 1}, {Key: keys[0], Expect: 2}})
	require.ErrorIs(t, err, storage.ErrDuplicateKey)
	_, err = storage.DeleteMany(ctx, store, []storage.DeleteOp{{Key: keys[0], Expect: 1}, {Key: keys[1]}})
	require.ErrorIs(t, err, storage.ErrInvalid)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = storage.PutMany(cancelled, store, ops)
	require.ErrorIs(t, err, context.Canceled)
	_, err = storage.DeleteMany(cancelled, store, []storage.DeleteOp{{Key: keys[0], Expect: 1}})
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, store.sizes, "the store was not asked")
}

// TestPutManyCancelledMidway: what was written before stays, the rest says why
// it was not.
func TestPutManyCancelledMidway(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	store := &cancelling{Store: memory.New(), cancel: cancel}
	_, ops := batchOf(3)
	results, err := storage.PutMany(ctx, store, ops)
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	require.ErrorIs(t, results[1].Err, context.Canceled)
	require.ErrorIs(t, results[2].Err, context.Canceled)
}

type cancelling struct {
	storage.Store
	cancel func()
}

func (c *cancelling) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	defer c.cancel()
	return c.Store.Put(ctx, rec, expect)
}
