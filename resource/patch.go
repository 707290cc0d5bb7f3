package resource

import (
	"cmp"
	"context"

	"example.com/resourcekit/storage"
)

// Patch merges patch into the tenant's resource with this external id (RFC 7396):
// absent fields stay, and a null deletes. It never creates. patch is one JSON object; it
// is not kept and may be changed afterwards. It may have the external id, but not
// another one. opts may be nil. With an error, nothing was changed, except that
// [storage.ErrUnknownOutcome] leaves it open.
//
// Errors are those of [Collection.Create] without ErrExists, and [ErrNotFound] when there
// is no such resource, or when the id is not a valid one. A patch that is not strict
// JSON, or not an object, is refused first.
func (c *Collection) Patch(
	ctx context.Context, tenant storage.Tenant, externalID string, patch []byte, opts *WriteOptions,
) (*Result, error) {
	opts = opts.orZero()
	return c.do(ctx, Call{Op: "patch", Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newPatch(tenant, externalID, patch, opts)
	})
}

// newPatch returns the write of a patch.
func (c *Collection) newPatch(
	tenant storage.Tenant, externalID string, patch []byte, opts *WriteOptions,
) (writeOp, error) {
	const name = "patch"
	key := c.key(tenant, externalID)
	if err := cmp.Or(key.Scope().Validate(), opts.validate(false)); err != nil {
		return writeOp{}, opError(name, key, err)
	}
	policies := opts.read(externalID)
	request, err := c.schema.Read(patch, &policies)
	if err != nil {
		return writeOp{}, err
	}
	if key.Validate() != nil {
		request.Close()
		return writeOp{}, opError(name, key, ErrNotFound)
	}
	return writeOp{
		name: name, key: key, request: request, mayChange: true, condition: opts.If,
		dryRun: opts.DryRun, actor: opts.Actor, reason: opts.Reason,
	}, nil
}
