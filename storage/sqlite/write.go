package sqlite

import (
	"context"
	"errors"
	"fmt"

	"example.com/resourcekit/storage"
)

// Put implements storage.Store. When the context ends after the record went into
// a transaction, Put waits for the outcome up to 100 ms longer, and then gives an
// error that matches the context's and ErrUnknownOutcome.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	rev, err := s.putOne(ctx, rec, expect)
	if err != nil {
		return 0, &storage.OpError{Op: "put", Key: rec.Key, Err: err}
	}
	return rev, nil
}

func (s *Store) putOne(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if err := errors.Join(storage.CheckKey(ctx, rec.Key), checkData(rec.Data)); err != nil {
		return 0, err
	}
	swaps := []swap{{record: rec, expect: expect}}
	if err := s.writer.do(ctx, swaps); err != nil {
		return 0, err
	}
	return swaps[0].rev, swaps[0].err
}

func checkData(data []byte) error {
	if len(data) > MaxData {
		return fmt.Errorf("%w: %d bytes, and at most %d are possible", storage.ErrTooLarge, len(data), MaxData)
	}
	return nil
}

// Delete implements storage.Store. The context is as for Put.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	err := s.deleteOne(ctx, key, expect)
	if err != nil {
		return &storage.OpError{Op: "delete", Key: key, Err: err}
	}
	return nil
}

func (s *Store) deleteOne(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := storage.CheckDelete(ctx, key, expect); err != nil {
		return err
	}
	swaps := []swap{{record: storage.Record{Key: key}, expect: expect, remove: true}}
	if err := s.writer.do(ctx, swaps); err != nil {
		return err
	}
	return swaps[0].err
}

// PutMany implements storage.BatchStore. The operations share one transaction, or
// several if they have more than 16 MiB of data; one that conflicts leaves the
// others alone.
func (s *Store) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	results, err := s.putMany(ctx, ops)
	if err != nil {
		return nil, &storage.OpError{Op: "put many", Err: err}
	}
	return results, nil
}

func (s *Store) putMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	swaps := make([]swap, len(ops))
	for i, op := range ops {
		swaps[i] = swap{record: op.Record, expect: op.Expect}
	}
	results := make([]storage.PutResult, 0, len(ops))
	for len(swaps) > 0 {
		n, size := 1, len(swaps[0].record.Data)
		for n < len(swaps) && size+len(swaps[n].record.Data) <= maxGroupBytes {
			size += len(swaps[n].record.Data)
			n++
		}
		err := ctx.Err()
		if err == nil {
			err = s.writer.do(ctx, swaps[:n])
		}
		if err != nil && len(results) == 0 {
			return nil, err
		}
		for i := range swaps[:n] {
			// Without an outcome the swap may still be the writer's.
			if err != nil {
				results = append(results, storage.PutResult{Err: &storage.OpError{Op: "put many", Key: swaps[i].record.Key, Err: err}})
			} else {
				results = append(results, storage.PutResult{Revision: swaps[i].rev, Err: swaps[i].err})
			}
		}
		swaps = swaps[n:]
	}
	return results, nil
}

// DeleteMany implements storage.BatchDeleter. The operations share one
// transaction; one that conflicts leaves the others alone.
func (s *Store) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	results, err := s.deleteMany(ctx, ops)
	if err != nil {
		return nil, &storage.OpError{Op: "delete many", Err: err}
	}
	return results, nil
}

func (s *Store) deleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	swaps := make([]swap, len(ops))
	for i, op := range ops {
		swaps[i] = swap{record: storage.Record{Key: op.Key}, expect: op.Expect, remove: true}
	}
	if err := s.writer.do(ctx, swaps); err != nil {
		return nil, err
	}
	results := make([]error, len(ops))
	for i, sw := range swaps {
		results[i] = sw.err
	}
	return results, nil
}
