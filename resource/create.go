package resource

import (
	"cmp"
	"context"
	"fmt"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// OnConflict is the policy of a create for a resource that exists.
type OnConflict int

// The conflict policies.
const (
	// Upsert merges the data into the resource (RFC 7396): absent fields stay, and a
	// null deletes.
	Upsert OnConflict = iota
	// Reject fails with [ErrExists].
	Reject
)

// CreateOptions are the policies of one [Collection.Create]. A nil
// *CreateOptions is the zero value.
type CreateOptions struct {
	OnConflict    OnConflict           // Upsert unless set
	UnknownFields schema.UnknownFields // schema.RejectUnknown unless set
	Nulls         schema.Nulls         // schema.DeleteNulls unless set
	// RequireComplete demands every required field in the data itself, also when it is
	// merged into a resource that has them.
	RequireComplete bool
	// If must hold for the resource; otherwise the error is ErrPrecondition, under
	// Reject as well. In a batch it is for each item.
	If Condition
	// DryRun returns the result of the write, or its error, and stores nothing.
	DryRun bool
}

// validate returns storage.ErrInvalid for a policy that is not one of its constants.
func (o *CreateOptions) validate() error {
	if o.OnConflict < Upsert || o.OnConflict > Reject {
		return fmt.Errorf("%w: OnConflict(%d)", storage.ErrInvalid, o.OnConflict)
	}
	return validPolicies(&schema.ReadOptions{UnknownFields: o.UnknownFields, Nulls: o.Nulls})
}

// validPolicies returns storage.ErrInvalid for a policy of a schema that is not one of
// its constants.
func validPolicies(o *schema.ReadOptions) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrInvalid, err)
	}
	return nil
}

// Create merges data into the tenant's resource with the external id in data, or
// creates it: an upsert, unless opts say [Reject]. data is one JSON object, a whole
// document or a merge patch for a resource that exists (RFC 7396); it is not kept and
// may be changed afterwards. opts may be nil. With an error, nothing was changed, except
// that [storage.ErrUnknownOutcome] leaves it open.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or a policy is not one of its
//     constants.
//   - [*schema.SyntaxError]: data is not strict JSON.
//   - [*schema.ValidationError]: all violations of the schema and the policies.
//     Required fields must be in the merged document, so an update may leave them out,
//     unless RequireComplete demands them in data.
//   - [ErrExists]: the resource exists, data is valid, and the policy is [Reject].
//   - [ErrPrecondition]: If does not hold. It comes before a ValidationError, except
//     under [Reject], which judges data first.
//   - [*schema.CorruptError]: the stored document is not a JSON object. The error has
//     the ID of the record; [Collection.Delete] deletes it.
//   - the errors of the store, with [storage.ErrAttempts] after too many conflicts, and
//     the error of ctx when it ends. They come before a ValidationError, since the
//     stored document decides which fields are missing.
func (c *Collection) Create(ctx context.Context, tenant storage.Tenant, data []byte, opts *CreateOptions) (*Result, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	return c.do(ctx, Call{Op: OpCreate, Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newCreate(tenant, data, opts)
	})
}

// newCreate returns the write of a create.
func (c *Collection) newCreate(tenant storage.Tenant, data []byte, opts *CreateOptions) (writeOp, error) {
	const name = OpCreate
	key := c.key(tenant, "")
	if err := cmp.Or(key.Scope().Validate(), opts.validate()); err != nil {
		return writeOp{}, opError(name, key, err)
	}
	request, err := c.schema.Read(data, &schema.ReadOptions{
		UnknownFields: opts.UnknownFields, Nulls: opts.Nulls, RequireComplete: opts.RequireComplete,
	})
	if err != nil {
		return writeOp{}, err
	}
	var known bool
	if key.ExternalID, known = request.ExternalID(); !known || opts.OnConflict != Upsert {
		// Nothing can be stored without an id, and a reject only inserts: such a
		// request is judged as an insert.
		if err := request.Check(); err != nil || !known {
			request.Close()
			return writeOp{}, err
		}
	}
	return writeOp{
		name: name, key: key, request: request, mayCreate: true, mayChange: opts.OnConflict == Upsert,
		condition: opts.If, dryRun: opts.DryRun,
	}, nil
}
