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
	// If is what the resource must be like: otherwise the error is an
	// ErrPrecondition. In a batch it holds for each item.
	If Condition
	// DryRun gives the result of the write, or its error, and stores nothing.
	DryRun bool
}

func (o *PatchOptions) validate() error {
	return validPolicies(&schema.ReadOptions{UnknownFields: o.UnknownFields, Nulls: o.Nulls})
}

// Patch merges patch into the tenant's resource with this external id (RFC
// 7396): fields that are not sent stay, and a null deletes. It never creates.
// The external id may be in the patch, too, but only as it is. patch is one JSON
// object; it is not kept and may be changed afterwards. opts may be nil. The
// resource is changed completely or, with an error, not at all; only
// [storage.ErrUnknownOutcome] leaves that open.
//
// Errors are those of [Collection.Create] without ErrExists, and [ErrNotFound]
// when there is no such resource, also when the id is one that no resource can
// have. A patch that is not strict JSON, or no object, is refused before it is
// known whether there is a resource.
func (c *Collection) Patch(ctx context.Context, tenant storage.Tenant, externalID string, patch []byte, opts *PatchOptions) (*Result, error) {
	if opts == nil {
		opts = &PatchOptions{}
	}
	return c.do(ctx, Call{Op: OpPatch, Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newPatch(tenant, externalID, patch, opts)
	})
}

// newPatch returns the write that a patch is.
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
