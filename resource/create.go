package resource

import (
	"cmp"
	"context"
	"fmt"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// OnConflict is what a create does when there is a resource with the external id
// already.
type OnConflict int

// The conflict policies.
const (
	// Upsert merges the data into the resource (RFC 7396): fields that are
	// not sent stay, and a null deletes.
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
	// RequireComplete wants every required field in the data itself, also
	// when it is merged into a resource that has them.
	RequireComplete bool
	// If is what the resource must be like: otherwise the error is an
	// ErrPrecondition, and that under Reject as well. In a batch it holds for each
	// item.
	If Condition
	// DryRun gives the result of the write, or its error, and stores nothing.
	DryRun bool
}

// validate returns storage.ErrInvalid for a policy that is none.
func (o *CreateOptions) validate() error {
	if o.OnConflict < Upsert || o.OnConflict > Reject {
		return fmt.Errorf("%w: OnConflict(%d)", storage.ErrInvalid, o.OnConflict)
	}
	return validPolicies(&schema.ReadOptions{UnknownFields: o.UnknownFields, Nulls: o.Nulls})
}

// validPolicies returns storage.ErrInvalid for a policy of a schema that is none.
func validPolicies(o *schema.ReadOptions) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrInvalid, err)
	}
	return nil
}

// Create stores a new resource for the tenant, or merges data into the resource
// that has its external id already: an upsert, unless opts say [Reject]. data is
// one JSON object, the whole document or a merge patch for a resource that exists
// (RFC 7396); it is not kept and may be changed afterwards. opts may be nil. The
// tenant's resource is changed completely or, with an error, not at all; only
// [storage.ErrUnknownOutcome] leaves that open.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or a policy is none of its
//     constants.
//   - [*schema.SyntaxError]: data is not strict JSON.
//   - [*schema.ValidationError]: all violations of the schema and the policies.
//     Required fields must be in the merged document, so an update may leave
//     them out, unless RequireComplete wants them in data.
//   - [ErrExists]: data is valid, there is such a resource, and the policy is
//     [Reject].
//   - [ErrPrecondition]: If does not hold, whether data
//     is valid or not, but for [Reject], which judges data first.
//   - [*schema.CorruptError]: the stored document is not a JSON object. It has the
//     ID of the record, which can be deleted by [Collection.Delete].
//   - what the store reports, with [storage.ErrAttempts] when other writers
//     were faster again and again; and the error of ctx when it ends. These
//     come in place of a ValidationError, for what is stored decides which
//     fields are missing.
func (c *Collection) Create(ctx context.Context, tenant storage.Tenant, data []byte, opts *CreateOptions) (*Result, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	return c.do(ctx, Call{Op: OpCreate, Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newCreate(tenant, data, opts)
	})
}

// newCreate returns the write that a create is.
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
		// Nothing can be stored without an id, and a reject changes nothing
		// that is stored: such a request is judged as the insert that it
		// would have been.
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
