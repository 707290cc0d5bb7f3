package ingest

import (
	"context"
	"errors"

	"example.com/resourcekit/storage"
)

// An overlay is a store for the dry run of an import: it reads another store and keeps
// what is put. It has one user, who has just read what it puts, and so need not look at
// revisions.
type overlay struct {
	store   storage.Store
	records map[storage.Key]storage.Record
	bytes   int64 // of records
}

func newOverlay(store storage.Store) *overlay {
	return &overlay{store: store, records: make(map[storage.Key]storage.Record)}
}

var (
	_ storage.BatchStore = (*overlay)(nil)
	_ storage.Limiter    = (*overlay)(nil)
)

// overlayRecord is the memory that a record takes in an overlay beside its data and
// external id, in bytes: keys and records in a map with free room.
const overlayRecord = 480

func (o *overlay) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if rec, ok := o.records[key]; ok {
		return rec, ctx.Err()
	}
	return o.store.Get(ctx, key)
}

func (o *overlay) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	records := make([]storage.Record, len(keys))
	var others []storage.Key
	var places []int
	for i, key := range keys {
		rec, ok := o.records[key]
		if !ok {
			others, places = append(others, key), append(places, i)
		}
		records[i] = rec
	}
	stored, err := storage.GetMany(ctx, o.store, others)
	if err != nil {
		return nil, err
	}
	for i, rec := range stored {
		records[places[i]] = rec
	}
	return records, nil
}

func (o *overlay) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if most := o.Limits().MaxData; most > 0 && len(rec.Data) > most {
		return 0, storage.ErrTooLarge
	}
	rec.Revision = storage.FirstRevision()
	if expect != 0 {
		rec.Revision = storage.NextRevision(expect)
	}
	before, ok := o.records[rec.Key]
	if !ok {
		o.bytes += overlayRecord + int64(len(rec.Key.ExternalID))
	}
	o.bytes += int64(len(rec.Data) - len(before.Data))
	o.records[rec.Key] = rec
	return rec.Revision, ctx.Err()
}

func (o *overlay) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	results := make([]storage.PutResult, len(ops))
	for i, op := range ops {
		results[i].Revision, results[i].Err = o.Put(ctx, op.Record, op.Expect)
	}
	return results, nil
}

// Limits returns the limits of the store, so that the overlay refuses the same writes.
func (o *overlay) Limits() storage.Limits {
	if store, ok := o.store.(storage.Limiter); ok {
		return store.Limits()
	}
	return storage.Limits{}
}

// The rest of a store is not needed by creates.

func (o *overlay) Delete(context.Context, storage.Key, storage.Revision) error {
	return errors.ErrUnsupported
}

func (o *overlay) List(context.Context, storage.Scope, string, int) (storage.Page, error) {
	return storage.Page{}, errors.ErrUnsupported
}

func (o *overlay) Close() error { return nil }
