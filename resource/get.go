package resource

import (
	"context"
	"errors"
	"slices"

	"example.com/resourcekit/storage"
)

// Get returns the tenant's resource with this external id, as of an instant of the call.
//
// The error is [ErrNotFound] when there is none, or when the id is not a valid one;
// [storage.ErrInvalid] when the tenant is not valid; a [*schema.CorruptError] with the
// record's ID when the stored document is not a JSON object; or one of the store.
func (c *Collection) Get(ctx context.Context, tenant storage.Tenant, externalID string) (*Resource, error) {
	start := c.start()
	r, err := c.get(ctx, tenant, externalID)
	if c.opts.OnCall != nil {
		call := Call{Op: "get", Tenant: tenant, Err: err}
		if err == nil {
			call.count(found, 1)
		}
		c.called(ctx, start, call)
	}
	return r, err
}

func (c *Collection) get(ctx context.Context, tenant storage.Tenant, externalID string) (*Resource, error) {
	key := c.key(tenant, externalID)
	if err := key.Scope().Validate(); err != nil {
		return nil, opError("get", key, err)
	}
	rec, err := c.store.Get(ctx, key)
	if errors.Is(err, storage.ErrInvalid) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, opError("get", key, err)
	}
	return c.read("get", rec)
}

// GetBatch returns the tenant's resources with these external ids, in the order of the
// ids: nil for a resource that does not exist, and for an id that is not valid. An id
// may come several times. Each resource is as of an instant of the call; together they
// are not a snapshot. The store is asked once for each storage.MaxBatch (1000) of them.
//
// The error is [storage.ErrInvalid] when the tenant is not valid, [ErrBatchSize] for more
// ids than Options.MaxBatch, or one of the store. If stored documents are damaged,
// GetBatch returns the other resources beside an error that joins those of Get, each a
// [*schema.CorruptError].
func (c *Collection) GetBatch(ctx context.Context, tenant storage.Tenant, externalIDs []string) ([]*Resource, error) {
	start := c.start()
	resources, n, err := c.getBatch(ctx, tenant, externalIDs)
	if c.opts.OnCall != nil {
		call := Call{Op: "get_batch", Tenant: tenant, Err: err}
		if n > 0 {
			call.count(found, n)
		}
		c.called(ctx, start, call)
	}
	return resources, err
}

func (c *Collection) getBatch(
	ctx context.Context, tenant storage.Tenant, externalIDs []string,
) (resources []*Resource, n int, err error) {
	const op = "get_batch"
	if err := c.checkBatch(op, tenant, len(externalIDs), nil); err != nil {
		return nil, 0, err
	}
	keys := make([]storage.Key, 0, len(externalIDs))
	places := make(map[string]int, len(externalIDs)) // in keys
	for _, id := range externalIDs {
		key := c.key(tenant, id)
		if _, known := places[id]; !known && key.Validate() == nil {
			places[id] = len(keys)
			keys = append(keys, key)
		}
	}
	var records []storage.Record
	for some := range slices.Chunk(keys, storage.MaxBatch) {
		part, err := c.store.GetMany(ctx, some)
		if err != nil {
			return nil, 0, opError(op, c.key(tenant, ""), err)
		}
		records = append(records, part...)
	}
	read := make([]*Resource, len(records))
	var damaged []error
	for i, rec := range records {
		if rec.Revision == 0 {
			continue
		}
		if read[i], err = c.read(op, rec); err != nil {
			damaged = append(damaged, err)
		}
	}
	resources = make([]*Resource, len(externalIDs))
	for i, id := range externalIDs {
		place, valid := places[id]
		if valid && read[place] != nil {
			resources[i] = read[place]
			n++
		}
	}
	return resources, n, errors.Join(damaged...)
}

// read returns the resource in a record.
func (c *Collection) read(op Op, rec storage.Record) (*Resource, error) {
	shown, err := c.schema.Show(rec.Data, nil)
	if err != nil {
		nameRecord(&rec, err)
		return nil, opError(op, rec.Key, err)
	}
	return &Resource{record: rec, shown: shown}, nil
}
