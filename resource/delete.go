package resource

import (
	"context"

	"example.com/resourcekit/storage"
)

// DeleteOptions are the optional parts of one [Collection.Delete]. A nil
// *DeleteOptions is the zero value.
type DeleteOptions struct {
	// If is what the resource must be like: otherwise the error is an
	// ErrPrecondition. In a batch it holds for each item.
	If Condition
	// DryRun gives the result of the call, or its error, and deletes nothing.
	DryRun bool
}

// Delete deletes the tenant's resource with this external id. opts may be nil.
// The result is the resource as it was; a resource that is created under the id
// later is another one, with another ID. A resource whose stored document is damaged is
// deleted like any other; the document in the result is {} then.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid.
//   - [ErrNotFound]: there is no such resource, also when the id is one that no
//     resource can have. So of several deletes at the same time one succeeds.
//   - [ErrPrecondition]: If does not hold.
//   - what the store reports, and the error of ctx when it ends, as for
//     [Collection.Create].
func (c *Collection) Delete(ctx context.Context, tenant storage.Tenant, externalID string, opts *DeleteOptions) (*Result, error) {
	if opts == nil {
		opts = &DeleteOptions{}
	}
	return c.do(ctx, Call{Op: OpDelete, Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newDelete(tenant, externalID, opts)
	})
}

// newDelete returns the write that a delete is.
func (c *Collection) newDelete(tenant storage.Tenant, externalID string, opts *DeleteOptions) (writeOp, error) {
	const name = OpDelete
	key := c.key(tenant, externalID)
	if err := key.Scope().Validate(); err != nil {
		return writeOp{}, opError(name, key, err)
	}
	if key.Validate() != nil {
		return writeOp{}, opError(name, key, ErrNotFound)
	}
	return writeOp{
		name: name, key: key, delete: true, mayChange: true, condition: opts.If, dryRun: opts.DryRun,
	}, nil
}
