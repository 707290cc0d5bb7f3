package resource

import (
	"context"
	"errors"

	"example.com/resourcekit/storage"
)

// A Rehearsal is a dry run of many calls: it reads the store of a collection, keeps
// what is written in memory, and stores nothing. So each call sees the results of the
// calls before it, which options with DryRun cannot do. Make it with
// [Collection.Rehearsal]. It is for one goroutine.
type Rehearsal struct {
	c       *Collection
	overlay *overlay
}

// Rehearsal returns a rehearsal of writes to c. Options.OnCall gets its calls as dry
// runs; Options.Feed gets none.
func (c *Collection) Rehearsal() *Rehearsal {
	o := &overlay{store: c.store, records: make(map[storage.Key]storage.Record)}
	opts := &Options{Now: c.now, NewID: c.newID, MaxBatch: c.maxBatch}
	if c.onCall != nil {
		opts.OnCall = func(ctx context.Context, call Call) {
			call.DryRun = true
			c.onCall(ctx, call)
		}
	}
	rehearsed, _ := NewCollection(c.schema, o, opts) // fails only for a schema or store that c could not have
	return &Rehearsal{c: rehearsed, overlay: o}
}

// CreateBatch is [Collection.CreateBatch] without effect on the store, with the same
// errors. The results have the revision 0, and a [PreconditionError] may have one that
// is not in the store. With DryRun in opts, later calls do not see the results.
func (r *Rehearsal) CreateBatch(ctx context.Context, tenant storage.Tenant, documents [][]byte, opts *CreateOptions) (*BatchResult, error) {
	batch, err := r.c.CreateBatch(ctx, tenant, documents, opts)
	if err != nil {
		return nil, err
	}
	for _, item := range batch.Items {
		if item.Result != nil {
			item.Result.record.Revision = 0
		}
	}
	return batch, nil
}

// Bytes returns about how many bytes of memory the rehearsal has. It grows with each
// resource that is created or changed.
func (r *Rehearsal) Bytes() int64 { return r.overlay.bytes }

// An overlay is a store that reads another one and keeps what is put. It has one
// user, who has just read what it puts, and so need not look at revisions.
type overlay struct {
	store   storage.Store
	records map[storage.Key]storage.Record
	bytes   int64 // of records
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
