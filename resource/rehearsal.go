package resource

import (
	"context"
	"time"

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

var _ storage.Store = (*overlay)(nil)

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
	stored, err := o.store.GetMany(ctx, others)
	if err != nil {
		return nil, err
	}
	for i, rec := range stored {
		records[places[i]] = rec
	}
	return records, nil
}

func (o *overlay) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	var errs []error
	for i := range writes {
		rec := &writes[i].Record
		if most := o.Limits().MaxData; most > 0 && len(rec.Data) > most {
			if errs == nil {
				errs = make([]error, len(writes))
			}
			errs[i] = storage.ErrTooLarge
			continue
		}
		before, ok := o.records[rec.Key]
		if !ok {
			o.bytes += overlayRecord + int64(len(rec.Key.ExternalID))
		}
		o.bytes += int64(len(rec.Data) - len(before.Data))
		o.records[rec.Key] = *rec
	}
	return errs, ctx.Err()
}

// Limits returns the limits of the store, so that the overlay refuses the same writes.
func (o *overlay) Limits() storage.Limits { return o.store.Limits() }

// The rest of a store is not needed by creates.

func (o *overlay) List(context.Context, storage.Scope, storage.Range) (storage.Page, error) {
	return storage.Page{}, storage.ErrUnsupported
}

func (o *overlay) Lookup(context.Context, storage.Scope, uint32, storage.Range) (storage.Page, error) {
	return storage.Page{}, storage.ErrUnsupported
}

func (o *overlay) SetEntries(context.Context, storage.Key, storage.Revision, []storage.Entry) error {
	return storage.ErrUnsupported
}

func (o *overlay) Changes(context.Context, storage.ChangeQuery) (storage.ChangePage, error) {
	return storage.ChangePage{}, storage.ErrUnsupported
}

func (o *overlay) Redact(context.Context, storage.Key) error { return storage.ErrUnsupported }

func (o *overlay) Trim(context.Context, time.Time) error { return storage.ErrUnsupported }

func (o *overlay) Close() error { return nil }
