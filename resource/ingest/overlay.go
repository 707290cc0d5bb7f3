package ingest

import (
	"context"
	"time"

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

var _ storage.Store = (*overlay)(nil)

func newOverlay(store storage.Store) *overlay {
	return &overlay{store: store, records: make(map[storage.Key]storage.Record)}
}

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
