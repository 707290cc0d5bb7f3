package resource

import (
	"context"

	"example.com/resourcekit/storage"
)

// Restore writes the document that a resource had at an earlier revision as a new change.
func (c *Collection) Restore(
	ctx context.Context, tenant storage.Tenant, externalID string, revision storage.Revision, opts *WriteOptions,
) (*Result, error) {
	return nil, storage.ErrUnsupported
}

// An Erasure is the report of a [Collection.Erase]. It has no personal data.
type Erasure struct {
	Deleted bool // the resource existed
	Changes int  // of the log, from which its personal data was removed
}

// Erase removes a resource and all that the log has of it.
func (c *Collection) Erase(ctx context.Context, tenant storage.Tenant, externalID string, opts *WriteOptions) (*Erasure, error) {
	return nil, storage.ErrUnsupported
}
