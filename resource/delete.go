package resource

import (
	"cmp"
	"context"

	"example.com/resourcekit/storage"
)

// Delete deletes the tenant's resource with this external id and returns it as it was.
// opts may be nil. A resource that is created under the id later is another one, with
// another ID. A resource whose stored document is damaged is deleted too; the result's
// document is {} then.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant or opts are not valid.
//   - [ErrNotFound]: there is no such resource, or the id is not a valid one. Of
//     several deletes at the same time one succeeds, and the others return this.
//   - [ErrPrecondition]: If does not hold.
//   - the errors of the store, and the error of ctx when it ends, as for
//     [Collection.Create].
func (c *Collection) Delete(
	ctx context.Context, tenant storage.Tenant, externalID string, opts *WriteOptions,
) (*Result, error) {
	opts = opts.orZero()
	return c.do(ctx, Call{Op: "delete", Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newDelete(tenant, externalID, opts)
	})
}

// newDelete returns the write of a delete.
func (c *Collection) newDelete(tenant storage.Tenant, externalID string, opts *WriteOptions) (writeOp, error) {
	const name = "delete"
	key := c.key(tenant, externalID)
	if err := cmp.Or(key.Scope().Validate(), opts.validate(false)); err != nil {
		return writeOp{}, opError(name, key, err)
	}
	if key.Validate() != nil {
		return writeOp{}, opError(name, key, ErrNotFound)
	}
	return writeOp{
		name: name, key: key, delete: true, mayChange: true, condition: opts.If,
		dryRun: opts.DryRun, actor: opts.Actor, reason: opts.Reason,
	}, nil
}
