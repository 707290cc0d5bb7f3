package resource

import (
	"context"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// OnConflict says what a create does when there is a resource with the external
// id already. Any other value than those below is taken for Reject.
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
	// IfRevision, if not 0, is the revision that the resource must have:
	// otherwise, and when there is none, the error is an ErrPrecondition.
	IfRevision storage.Revision
	// IfAbsent demands that there is no such resource: otherwise the error
	// is an ErrPrecondition, and that under Reject as well.
	IfAbsent bool
	// If, if not nil, says whether the write may be made over a revision, which
	// is 0 when there is no resource: otherwise the error is an ErrPrecondition.
	// It is asked at most once for each attempt, and must be quick and not call
	// the collection. Not for batches.
	If func(current storage.Revision) bool
	// DryRun gives the result of the write, or its error, and stores nothing.
	DryRun bool
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
//   - [storage.ErrInvalid]: the tenant is not valid.
//   - [*schema.SyntaxError]: data is not strict JSON.
//   - [*schema.ValidationError]: all violations of the schema and the policies.
//     Required fields must be in the merged document, so an update may leave
//     them out, unless RequireComplete wants them in data.
//   - [ErrExists]: data is valid, there is such a resource, and the policy is
//     [Reject].
//   - [ErrPrecondition]: IfRevision, IfAbsent or If do not hold, whether data
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
	start := c.start()
	w, err := c.creating(tenant, data, opts)
	return c.single(ctx, Call{Op: "create", Tenant: tenant, DryRun: opts.DryRun}, start, &w, err)
}

// creating returns the write that a create is.
func (c *Collection) creating(tenant storage.Tenant, data []byte, opts *CreateOptions) (writing, error) {
	const op = "create"
	key := c.key(tenant, "")
	if err := key.Scope().Validate(); err != nil {
		return writing{}, fail(op, key, err)
	}
	request, err := c.schema.Check(data, &schema.CheckOptions{
		UnknownFields: opts.UnknownFields, Nulls: opts.Nulls, RequireComplete: opts.RequireComplete,
	})
	if err != nil {
		return writing{}, err
	}
	var known bool
	if key.ExternalID, known = request.ExternalID(); !known || opts.OnConflict != Upsert {
		// Nothing can be stored without an id, and a reject changes nothing
		// that is stored: such a request is judged as the insert that it
		// would have been.
		if _, _, err := apply(&request, nil); err != nil || !known {
			return writing{}, err
		}
	}
	return writing{
		op: op, key: key, request: request, mayCreate: true, mayChange: opts.OnConflict == Upsert,
		ifRevision: opts.IfRevision, ifAbsent: opts.IfAbsent, ifTrue: opts.If, dryRun: opts.DryRun,
	}, nil
}
