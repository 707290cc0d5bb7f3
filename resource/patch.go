package resource

import (
	"cmp"
	"context"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// PatchOptions are the policies of one [Collection.Patch]. A nil *PatchOptions is
// the zero value.
type PatchOptions struct {
	UnknownFields schema.UnknownFields // schema.RejectUnknown unless set
	Nulls         schema.Nulls         // schema.DeleteNulls unless set
	// If must hold for the resource; otherwise the error is ErrPrecondition. In a batch
	// it is for each item.
	If Condition
	// DryRun returns the result of the write, or its error, and stores nothing.
	DryRun bool
}

func (o *PatchOptions) validate() error {
	return validPolicies(&schema.ReadOptions{UnknownFields: o.UnknownFields, Nulls: o.Nulls})
}

// Patch merges patch into the tenant's resource with this external id (RFC 7396):
// absent fields stay, and a null deletes. It never creates. patch is one JSON object; it
// is not kept and may be changed afterwards. It may have the external id, but not
// another one. opts may be nil. With an error, nothing was changed, except that
// [storage.ErrUnknownOutcome] leaves it open.
//
// Errors are those of [Collection.Create] without ErrExists, and [ErrNotFound] when there
// is no such resource, or when the id is not a valid one. A patch that is not strict
// JSON, or not an object, is refused first.
func (c *Collection) Patch(ctx context.Context, tenant storage.Tenant, externalID string, patch []byte, opts *PatchOptions) (*Result, error) {
	if opts == nil {
		opts = &PatchOptions{}
	}
	return c.do(ctx, Call{Op: OpPatch, Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newPatch(tenant, externalID, patch, opts)
	})
}

// newPatch returns the write of a patch.
func (c *Collection) newPatch(tenant storage.Tenant, externalID string, patch []byte, opts *PatchOptions) (writeOp, error) {
	const name = OpPatch
	key := c.key(tenant, externalID)
	if err := cmp.Or(key.Scope().Validate(), opts.validate()); err != nil {
		return writeOp{}, opError(name, key, err)
	}
	request, err := c.schema.Read(patch, &schema.ReadOptions{
		UnknownFields: opts.UnknownFields, Nulls: opts.Nulls, ExternalID: externalID,
	})
	if err != nil {
		return writeOp{}, err
	}
	if key.Validate() != nil {
		request.Close()
		return writeOp{}, opError(name, key, ErrNotFound)
	}
	return writeOp{
		name: name, key: key, request: request, mayChange: true, condition: opts.If, dryRun: opts.DryRun,
	}, nil
}
