package resource

import (
	"cmp"
	"context"

	"example.com/resourcekit/storage"
)

// Create merges data into the tenant's resource with the external id in data, or
// creates it: an upsert, unless opts say RejectExisting. data is one JSON object, a whole
// document or a merge patch for a resource that exists (RFC 7396); it is not kept and
// may be changed afterwards. opts may be nil. With an error, nothing was changed, except
// that [storage.ErrUnknownOutcome] leaves it open.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or opts are not.
//   - [*schema.SyntaxError]: data is not strict JSON.
//   - [*schema.ValidationError]: all violations of the schema and the policies.
//     Required fields must be in the merged document, so an update may leave them out,
//     unless RequireComplete demands them in data.
//   - [ErrExists]: the resource exists, data is valid, and opts say RejectExisting.
//   - [ErrPrecondition]: If does not hold. It comes before a ValidationError, except
//     with RejectExisting, which judges data first.
//   - [*schema.CorruptError]: the stored document is not a JSON object. The error has
//     the ID of the record; [Collection.Delete] deletes it.
//   - the errors of the store, with [storage.ErrAttempts] after too many conflicts, and
//     the error of ctx when it ends. They come before a ValidationError, since the
//     stored document decides which fields are missing.
func (c *Collection) Create(
	ctx context.Context, tenant storage.Tenant, data []byte, opts *WriteOptions,
) (*Result, error) {
	opts = opts.orZero()
	return c.do(ctx, Call{Op: "create", Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newCreate(tenant, data, opts)
	})
}

// newCreate returns the write of a create.
func (c *Collection) newCreate(tenant storage.Tenant, data []byte, opts *WriteOptions) (writeOp, error) {
	const name = "create"
	key := c.key(tenant, "")
	if err := cmp.Or(key.Scope().Validate(), opts.validate(true)); err != nil {
		return writeOp{}, opError(name, key, err)
	}
	policies := opts.read("")
	request, err := c.schema.Read(data, &policies)
	if err != nil {
		return writeOp{}, err
	}
	var known bool
	if key.ExternalID, known = request.ExternalID(); !known || opts.RejectExisting {
		// Nothing can be stored without an id, and a reject only inserts: such a
		// request is judged as an insert.
		if err := request.Check(); err != nil || !known {
			request.Close()
			return writeOp{}, err
		}
	}
	return writeOp{
		name: name, key: key, request: request, mayCreate: true, mayChange: !opts.RejectExisting,
		condition: opts.If, dryRun: opts.DryRun, actor: opts.Actor, reason: opts.Reason,
	}, nil
}
