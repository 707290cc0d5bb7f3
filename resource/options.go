package resource

import (
	"fmt"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// WriteOptions are the policies of one create, patch, delete, or batch of these, and of a
// restore or an erase. A nil *WriteOptions is the zero value. A call that cannot have an
// option, or a policy that is not one of its constants, fails with [storage.ErrInvalid].
type WriteOptions struct {
	// RejectExisting makes a create fail with ErrExists if the resource exists, instead
	// of merging the data into it. Only a create can have it.
	RejectExisting bool
	// RequireComplete demands every required field in the data itself, also when it is
	// merged into a resource that has them. Only a create can have it.
	RequireComplete bool
	// UnknownFields and Nulls say what becomes of such members of the data, of which a
	// delete has none: schema.RejectUnknown and schema.DeleteNulls unless set.
	UnknownFields schema.UnknownFields
	Nulls         schema.Nulls
	// If must hold for the resource; otherwise the error is ErrPrecondition. In a batch
	// it is for each item.
	If Condition
	// Actor and Reason say who made the change and why, for a collection that logs
	// changes (Options.Log). They are in no answer and no error.
	Actor, Reason string
	// DryRun returns the result of the write, or its error, and stores nothing.
	DryRun bool
}

// orZero returns the options, the zero value for nil.
func (o *WriteOptions) orZero() *WriteOptions {
	if o == nil {
		return &WriteOptions{}
	}
	return o
}

// validate returns storage.ErrInvalid for options that a write cannot have.
func (o *WriteOptions) validate(creates bool) error {
	if !creates && (o.RejectExisting || o.RequireComplete) {
		return fmt.Errorf("%w: RejectExisting and RequireComplete are options of a create", storage.ErrInvalid)
	}
	read := o.read("")
	if err := read.Validate(); err != nil {
		return fmt.Errorf("%w: %w", storage.ErrInvalid, err)
	}
	return nil
}

// bare returns storage.ErrInvalid for options that a restore or an erase cannot have.
func (o *WriteOptions) bare() error {
	if *o != (WriteOptions{If: o.If, Actor: o.Actor, Reason: o.Reason, DryRun: o.DryRun}) {
		return fmt.Errorf("%w: only If, Actor, Reason and DryRun are options of this call", storage.ErrInvalid)
	}
	return nil
}

// read returns the policies for reading the data.
func (o *WriteOptions) read(externalID string) schema.ReadOptions {
	return schema.ReadOptions{
		UnknownFields: o.UnknownFields, Nulls: o.Nulls, RequireComplete: o.RequireComplete, ExternalID: externalID,
	}
}
