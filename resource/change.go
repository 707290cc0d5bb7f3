package resource

import (
	"context"
	"encoding/json"
	"time"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// A Change is one change of a resource, as the log has it. Its JSON has names in lower
// camel case; see [Change.AppendJSON]. Package fmt and log/slog print it without personal
// data.
type Change struct {
	// Key is that of the resource. If the outcome is Erased, a keyed hash is in the place
	// of its external id.
	Key    storage.Key
	Schema string    // the schema's name; "" when it is not known
	ID     uuid.UUID // of the resource

	// Outcome is Created, Updated, Deleted or Erased.
	Outcome Outcome

	// Before is the revision before the change, 0 for absent. Revision names the change,
	// together with ID; if the resource exists after it, it is the resource's revision.
	Before, Revision storage.Revision

	Time          time.Time
	Actor, Reason string // see WriteOptions

	// Document is the document after the change, or before a delete, and Patch the change
	// as a merge patch (RFC 7396) of the document before; a created one is patched from
	// {}. Both are nil unless ChangeOptions ask for them and the collection keeps History.
	// Patch is nil for a delete, too, and where no patch leads from one document to the
	// other, since a stored document has a null.
	Document, Patch json.RawMessage

	// Cursor is the place of the change in the changes of its tenant and schema. Only
	// [Collection.Changes] and [Collection.History] set it. It is encrypted.
	Cursor string
}

// Erased is the outcome of a change in the log whose resource was erased, and of the one
// that [Collection.Erase] adds. Who keeps anything of the resource with this ID must
// remove it.
const Erased Outcome = "erased"

// ChangeOptions say which changes a page has, and what of each. A nil *ChangeOptions is
// the zero value.
type ChangeOptions struct {
	// Cursor is where the page begins: the Next of a page, or the Cursor of a change. ""
	// is the start of what the log has; for a history its end, since it begins with the
	// newest change.
	Cursor string
	// FromEnd returns no changes, but the cursor at the end of the log: a reader that
	// begins there gets all changes made from now on. A history has no such option.
	FromEnd bool
	Limit   int // changes in a page: 100 when 0. More than storage.MaxPage (1000) counts as that

	Documents, Patches bool // ask for Change.Document and Change.Patch
	// Unredacted leaves the personal data in them, which is replaced otherwise: see
	// [schema.Schema.Redact].
	Unredacted bool
}

// ChangePage is one page of changes. Its JSON has neither the changes nor the cursor, so
// that it can be logged.
type ChangePage struct {
	Changes []Change `json:"-"`
	// Next is the cursor of the next page. In a history it is "" after the oldest change;
	// otherwise it is never "", and moves on also when the page is empty.
	Next string `json:"-"`
	More bool   // there are further changes now. Without it, ask again later
}

// MakeChange returns a change of the log as a resource's, without a Cursor. The schema
// may be nil if it is not known: then there is no name, and no Document and Patch unless
// they may be Unredacted. Of the options only those that say what of a change counts.
func MakeChange(s *schema.Schema, from storage.Change, opts *ChangeOptions) Change {
	c := Change{
		Key: from.Key, ID: from.ID, Before: from.Before, Revision: from.Cursor.Revision, Outcome: Updated,
		Time: from.Note.Time, Actor: from.Note.Actor, Reason: from.Note.Reason,
	}
	if s != nil {
		c.Schema = s.Name()
	}
	switch {
	case from.Redacted:
		c.Outcome = Erased
	case from.Deleted:
		c.Outcome = Deleted
	case from.Before == 0:
		c.Outcome = Created
	}
	return c
}

// Changes returns a page of the changes of a tenant's resources, oldest first. opts may
// be nil. No change is left out, and the changes of one resource come in their order.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid.
//   - [ErrCursor]: the cursor is not one of this tenant and schema.
//   - [storage.ErrExpired]: the cursor is older than the log, or of a log before a backup
//     was restored. Read the resources anew, from the cursor of a page with FromEnd on.
//   - [storage.ErrUnsupported]: the collection does not log changes.
//   - those of the store and of the context.
func (c *Collection) Changes(ctx context.Context, tenant storage.Tenant, opts *ChangeOptions) (*ChangePage, error) {
	return nil, storage.ErrUnsupported
}

// History returns a page of the changes of one resource, newest first, also of one that
// was deleted; after an Erase there are none. An external id that was deleted and created
// again has both histories. opts may be nil. Errors are those of [Collection.Changes].
func (c *Collection) History(ctx context.Context, tenant storage.Tenant, externalID string, opts *ChangeOptions) (*ChangePage, error) {
	return nil, storage.ErrUnsupported
}

// SealCursor returns a cursor of the log as one that may be shown to the tenant:
// encrypted, and bound to the tenant and the schema. The error is that of the store, which
// has the key.
func (c *Collection) SealCursor(ctx context.Context, tenant storage.Tenant, at storage.Cursor) (string, error) {
	return "", storage.ErrUnsupported
}

// OpenCursor returns what SealCursor has sealed. The error is ErrCursor, or that of the
// store.
func (c *Collection) OpenCursor(ctx context.Context, tenant storage.Tenant, cursor string) (storage.Cursor, error) {
	return storage.Cursor{}, storage.ErrUnsupported
}

// AppendJSON appends the change as one compact JSON object to dst: id, outcome, schema,
// schemaDefinitionId, platformId, businessId, resourceExternalId, previousRevision and
// revision (strings of digits), time, actor, reason, document and patch. Absent ones are
// left out.
func (c *Change) AppendJSON(dst []byte) []byte { return dst }

// AppendCloudEvent appends the change as a CloudEvents 1.0 event in the JSON format to dst.
func (c *Change) AppendCloudEvent(dst []byte, source, typePrefix string) []byte { return dst }

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
