package storage

import (
	"context"
	"fmt"
	"slices"
)

// BatchStore is a Store that handles many keys in fewer round trips. Programs call the
// functions [GetMany] and [PutMany], which use it. They make sure that the keys are valid
// and distinct, and at most Limits.MaxBatch.
//
// PutMany is not a transaction, and GetMany is not a snapshot.
type BatchStore interface {
	Store

	// GetMany returns one record per key, in the order of the keys; an absent one has its
	// Key and Revision 0. Each record by itself is as from Get. The slice is the
	// caller's.
	GetMany(ctx context.Context, keys []Key) ([]Record, error)

	// PutMany does a Put for each operation by itself: one may fail and the others
	// succeed. It returns one result per operation, in their order. An error in place of
	// the results is for each operation: unless it matches ErrUnknownOutcome, none was
	// applied.
	PutMany(ctx context.Context, ops []PutOp) ([]PutResult, error)
}

// PutOp is one operation of PutMany: the parameters of Put.
type PutOp struct {
	Record Record
	Expect Revision // 0 demands that the key is absent
}

// PutResult is the result of one PutOp: that of Put.
type PutResult struct {
	Revision Revision // the new one, when Err is nil
	Err      error
}

// BatchDeleter is a Store that deletes many keys in fewer round trips. Programs call the
// function [DeleteMany], which makes the same checks as for [BatchStore].
type BatchDeleter interface {
	Store

	// DeleteMany does a Delete for each operation by itself. It returns one error per
	// operation, in their order; nil means deleted. An error in place of them is for each
	// operation: unless it matches ErrUnknownOutcome, none was applied.
	DeleteMany(ctx context.Context, ops []DeleteOp) ([]error, error)
}

// DeleteOp is one operation of DeleteMany: the parameters of Delete.
type DeleteOp struct {
	Key    Key
	Expect Revision // not 0
}

// Limiter is a Store with limits of its own.
type Limiter interface {
	Limits() Limits
}

// Limits are the bounds of a store. In each field 0 means no limit.
type Limits struct {
	MaxData  int // bytes of Data; a Put of more returns ErrTooLarge. At least 1 MiB
	MaxBatch int // keys in one call of BatchStore or BatchDeleter; the functions of this package split above it
}

// GetMany returns one record per key, in the order of the keys; an absent one has its Key
// and Revision 0. Each record by itself is as from Store.Get; together they are not a
// snapshot. A store that is not a [BatchStore] is asked key by key.
//
// The error is an [*OpError]: [ErrInvalid] for a key that is not valid, [ErrDuplicateKey]
// for one that comes twice, or the first error of the store.
func GetMany(ctx context.Context, store Store, keys []Key) ([]Record, error) {
	if key, err := checkBatch(len(keys), func(i int) *Key { return &keys[i] }); err != nil {
		return nil, &OpError{Op: "get many", Key: key, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, &OpError{Op: "get many", Err: err}
	}
	batch, ok := store.(BatchStore)
	if !ok {
		records := make([]Record, 0, len(keys))
		for _, key := range keys {
			rec, err := getOrAbsent(ctx, store, key)
			if err != nil {
				return nil, opError("get many", key, err)
			}
			records = append(records, rec)
		}
		return records, nil
	}
	var records []Record
	size := batchSize(store, len(keys))
	for len(keys) > 0 {
		n := min(size, len(keys))
		part, err := batch.GetMany(ctx, keys[:n])
		if err == nil && len(part) != n {
			err = errResults
		}
		if err != nil {
			return nil, opError("get many", Key{}, err)
		}
		if keys = keys[n:]; records == nil {
			records = slices.Grow(slices.Clip(part), len(keys)) // mostly this was all
		} else {
			records = append(records, part...)
		}
	}
	return records, nil
}

// PutMany puts many records, each by a compare-and-swap of its own, and returns one
// result per operation, in their order. It is not a transaction: one may conflict while
// the others are applied. A store that is not a [BatchStore] is called operation by
// operation.
//
// An error in place of the results means that nothing was written: a key is not valid
// ([ErrInvalid]) or comes twice ([ErrDuplicateKey]), or the context was done already. All
// later errors, the end of the context included, are in the results.
//
// Two batches with common keys cost the least if both are sorted by key.
func PutMany(ctx context.Context, store Store, ops []PutOp) ([]PutResult, error) {
	if key, err := checkBatch(len(ops), func(i int) *Key { return &ops[i].Record.Key }); err != nil {
		return nil, &OpError{Op: "put many", Key: key, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, &OpError{Op: "put many", Err: err}
	}
	batch, ok := store.(BatchStore)
	if !ok {
		results := make([]PutResult, len(ops))
		for i, op := range ops {
			results[i].Revision, results[i].Err = store.Put(ctx, op.Record, op.Expect)
		}
		return results, nil
	}
	return writeMany(store, ops, func(part []PutOp) ([]PutResult, error) {
		return batch.PutMany(ctx, part)
	}, func(op PutOp, err error) PutResult {
		return PutResult{Err: opError("put many", op.Record.Key, err)}
	}), nil
}

// DeleteMany deletes many records, each by a compare-and-swap of its own, and returns one
// error per operation, in their order: that of Delete. It is not a transaction. A store
// that is not a [BatchDeleter] is called operation by operation.
//
// An error in place of the results means that nothing was deleted: a key is not valid or
// an operation expects revision 0 ([ErrInvalid]), a key comes twice ([ErrDuplicateKey]),
// or the context was done already. All later errors, the end of the context included,
// are in the results.
func DeleteMany(ctx context.Context, store Store, ops []DeleteOp) ([]error, error) {
	key, err := checkBatch(len(ops), func(i int) *Key { return &ops[i].Key })
	for i := 0; err == nil && i < len(ops); i++ {
		key, err = ops[i].Key, checkExpect(ops[i].Expect)
	}
	if err != nil {
		return nil, &OpError{Op: "delete many", Key: key, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, &OpError{Op: "delete many", Err: err}
	}
	batch, ok := store.(BatchDeleter)
	if !ok {
		results := make([]error, len(ops))
		for i, op := range ops {
			results[i] = store.Delete(ctx, op.Key, op.Expect)
		}
		return results, nil
	}
	return writeMany(store, ops, func(part []DeleteOp) ([]error, error) {
		return batch.DeleteMany(ctx, part)
	}, func(op DeleteOp, err error) error {
		return opError("delete many", op.Key, err)
	}), nil
}

// writeMany gives operations to a store in parts of its size, and returns their results;
// failed makes the result of an operation from an error of its whole part.
func writeMany[O, R any](store Store, ops []O, write func([]O) ([]R, error), failed func(O, error) R) []R {
	results := make([]R, 0, len(ops))
	for part := range slices.Chunk(ops, max(1, batchSize(store, len(ops)))) {
		some, err := write(part)
		if err == nil && len(some) != len(part) {
			err = fmt.Errorf("%w: %w", ErrUnknownOutcome, errResults)
		}
		if err == nil {
			results = append(results, some...)
			continue
		}
		for _, op := range part {
			results = append(results, failed(op, err))
		}
	}
	return results
}

// checkBatch returns the first key that is not valid or comes twice, with the error. It
// allocates nothing if the keys ascend, as mostly.
func checkBatch(n int, key func(i int) *Key) (Key, error) {
	ascends := true
	for i := range n {
		if err := key(i).Validate(); err != nil {
			return *key(i), err
		}
		ascends = ascends && (i == 0 || key(i-1).Compare(*key(i)) < 0)
	}
	if ascends {
		return Key{}, nil
	}
	seen := make(map[Key]struct{}, n)
	for i := range n {
		k := *key(i)
		if _, twice := seen[k]; twice {
			return k, ErrDuplicateKey
		}
		seen[k] = struct{}{}
	}
	return Key{}, nil
}

// batchSize returns how many of n keys go into one call.
func batchSize(store Store, n int) int {
	if l, ok := store.(Limiter); ok && l.Limits().MaxBatch > 0 {
		return l.Limits().MaxBatch
	}
	return n
}
