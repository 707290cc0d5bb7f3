package resource

import (
	"context"
	"errors"

	"example.com/resourcekit/storage"
)

// Get returns the tenant's resource with this external id, as of a moment
// during the call.
//
// It returns [ErrNotFound] when there is none, also when the id is one that no
// resource can have; [storage.ErrInvalid] when the tenant is not valid; a
// [*schema.CorruptError] when the stored document is not a JSON object; and
// otherwise what the store reports.
func (c *Collection) Get(ctx context.Context, tenant storage.Tenant, externalID string) (*Resource, error) {
	start := c.start()
	r, err := c.get(ctx, tenant, externalID)
	if c.onCall != nil {
		call := Call{Op: "get", Tenant: tenant, Err: err}
		if err == nil {
			call.Found = 1
		}
		c.called(ctx, start, call)
	}
	return r, err
}

func (c *Collection) get(ctx context.Context, tenant storage.Tenant, externalID string) (*Resource, error) {
	key := c.key(tenant, externalID)
	if err := key.Scope().Validate(); err != nil {
		return nil, fail("get", key, err)
	}
	rec, err := c.store.Get(ctx, key)
	if errors.Is(err, storage.ErrInvalid) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fail("get", key, err)
	}
	return c.read("get", rec)
}

// read returns the resource in a record.
func (c *Collection) read(op string, rec storage.Record) (*Resource, error) {
	shown, err := c.schema.Show(rec.Data)
	if err != nil {
		return nil, fail(op, rec.Key, err)
	}
	return &Resource{record: rec, shown: shown}, nil
}
