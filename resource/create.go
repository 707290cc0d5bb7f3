package resource

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/merge"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
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
}

// Outcome says what a write did.
type Outcome int

// The outcomes. The zero value is none of them.
const (
	Created   Outcome = iota + 1 // there was no such resource
	Updated                      // the resource was changed
	Unchanged                    // it had that data already; nothing was written
)

// String returns "created", "updated" or "unchanged".
func (o Outcome) String() string {
	switch o {
	case Created:
		return "created"
	case Updated:
		return "updated"
	case Unchanged:
		return "unchanged"
	}
	return fmt.Sprintf("Outcome(%d)", int(o))
}

// A Result is a resource as a write left it, and what the write did. The methods
// of Resource are those of the resource alone: marshalling a Result to JSON
// gives the resource.
type Result struct {
	Resource
	Outcome Outcome // what the write did
	// Dropped are the unknown fields that were left out under
	// schema.IgnoreUnknown, as JSON Pointers (RFC 6901) in the order of the
	// data. The names are the client's own, unescaped for logs.
	Dropped []string

	before []byte // the stored document before the write; nil when there was none
}

// Changed returns where the stored document has new or other values than before
// the write, as JSON Pointers (RFC 6901) to the topmost members that differ; an
// array counts as one value. It is computed with each call.
func (r *Result) Changed() []string {
	changed, _ := r.changes()
	return changed
}

// Removed returns which members of the stored document are gone since before
// the write, as [Result.Changed] does.
func (r *Result) Removed() []string {
	_, removed := r.changes()
	return removed
}

func (r *Result) changes() (changed, removed []string) {
	before := r.before
	if before == nil {
		before = []byte("{}")
	}
	// Both documents have been parsed by the write itself.
	changed, removed, _ = merge.Changes(before, r.record.Data)
	return changed, removed
}

// Create stores a new resource for the tenant, or merges data into the resource
// that has its external id already. data is one JSON object, the whole document
// or a merge patch for a resource that exists (RFC 7396); it is not kept and may
// be changed afterwards. opts may be nil. The tenant's resource is changed
// completely or, with an error, not at all; only [storage.ErrUnknownOutcome]
// leaves that open.
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
//   - [*schema.CorruptError]: the stored document is not a JSON object.
//   - what the store reports, with [storage.ErrAttempts] when other writers
//     were faster again and again; and the error of ctx when it ends. These
//     come in place of a ValidationError, for what is stored decides which
//     fields are missing.
func (c *Collection) Create(ctx context.Context, tenant storage.Tenant, data []byte, opts *CreateOptions) (*Result, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	key := c.key(tenant, "")
	if err := key.Scope().Validate(); err != nil {
		return nil, fail("create", key, err)
	}
	request, err := c.schema.Check(data, &schema.CheckOptions{
		UnknownFields: opts.UnknownFields, Nulls: opts.Nulls, RequireComplete: opts.RequireComplete,
	})
	if err != nil {
		return nil, err
	}
	var known bool
	if key.ExternalID, known = request.ExternalID(); !known {
		// Nothing can be stored under such an id, so the request is judged as
		// what it would have been: an insert.
		_, _, err := apply(&request, nil)
		return nil, err
	}
	if opts.OnConflict != Upsert {
		if _, _, err := apply(&request, nil); err != nil {
			return nil, err
		}
	}
	lock, err := c.locks.lock(ctx, key)
	if err != nil {
		return nil, fail("create", key, err)
	}
	defer lock.unlock()

	result := new(Result)
	var id uuid.UUID
	hasID := false
	rec, err := storage.Update(ctx, c.store, key, func(old storage.Record) (storage.Record, error) {
		if old.Revision != 0 && opts.OnConflict != Upsert {
			return old, &ExistsError{Key: key, Field: c.field}
		}
		stored, err := document(old)
		if err != nil {
			return old, err
		}
		doc, merged, err := apply(&request, stored)
		if err != nil {
			return old, err
		}
		result.before, result.Dropped, result.shown = stored, doc.Dropped, doc.Shown
		next := storage.Record{Key: key, ID: old.ID, CreatedAt: old.CreatedAt, UpdatedAt: c.timestamp(), Data: doc.Stored}
		if old.Revision == 0 {
			result.Outcome = Created
			if !hasID { // else from an attempt that met a conflict
				if id, err = c.newID(); err != nil {
					return old, fmt.Errorf("resource: cannot make an id: %w", err)
				}
				hasID = true
			}
			next.ID, next.CreatedAt = id, next.UpdatedAt
			return next, nil
		}
		same, err := c.unchanged(stored, merged, doc.Stored)
		if err != nil {
			return old, err
		}
		if same {
			result.Outcome = Unchanged
			if !bytes.Equal(stored, doc.Stored) { // the same values, in another order
				if result.shown, err = c.schema.Show(stored); err != nil {
					return old, err
				}
			}
			return old, storage.ErrNoChange
		}
		result.Outcome = Updated
		if next.UpdatedAt.Before(old.UpdatedAt) {
			next.UpdatedAt = old.UpdatedAt
		}
		return next, nil
	})
	if err != nil {
		var corrupt *schema.CorruptError
		if errors.As(err, &corrupt) {
			err = fail("create", key, err)
		}
		return nil, err
	}
	result.record = rec
	return result, nil
}

// document returns the document in a record, nil when the record is absent.
func document(rec storage.Record) ([]byte, error) {
	if rec.Revision != 0 && len(rec.Data) == 0 {
		return nil, &schema.CorruptError{Reason: "want object, found nothing"}
	}
	return rec.Data, nil
}

// apply returns what the request makes of a stored document, nil for none, and
// the merged document before its defaults were filled in.
func apply(request *schema.Checked, stored []byte) (doc schema.Document, merged []byte, err error) {
	if merged, err = merge.Patch(stored, request.Patch()); err != nil {
		var syntax *merge.SyntaxError
		if errors.As(err, &syntax) { // the request has been parsed: it is the stored document
			err = &schema.CorruptError{Offset: syntax.Offset, Reason: syntax.Reason}
		}
		return doc, nil, err
	}
	doc, err = request.Finish(stored, merged)
	return doc, merged, err
}

// unchanged reports whether a write would have no effect: the merged document is
// the stored one, or lacks only what the defaults put back.
//
// It looks at values only where it must. A merge keeps the text of what it does
// not change, so a merged document that equals a stored one has its very bytes,
// unless the stored document has blanks and so is longer.
func (c *Collection) unchanged(stored, merged, filled []byte) (bool, error) {
	switch {
	case bytes.Equal(stored, filled) || bytes.Equal(stored, merged):
		return true, nil
	case len(merged) >= len(stored):
		return false, nil
	case len(filled) == len(merged): // no default was put back
		return sameButBlanks(stored, merged) && merge.Equal(stored, merged), nil
	}
	diff, err := merge.Diff(stored, merged)
	if err != nil || !onlyDeletes(diff) {
		return false, nil
	}
	before, err := c.nothing.Finish(stored, stored)
	if err != nil {
		return false, err
	}
	return merge.Equal(before.Stored, filled), nil
}

// onlyDeletes reports whether a merge patch does nothing but delete members.
func onlyDeletes(patch []byte) bool {
	d := strictjson.Get()
	defer strictjson.Put(d)
	if d.Parse(patch, strictjson.MaxDepth) != nil {
		return false
	}
	for i, n := range d.Nodes {
		if n.Kind != strictjson.Null && (n.Kind != strictjson.Object || n.Len == 0 && i > 0) {
			return false
		}
	}
	return true
}

// sameButBlanks reports whether b is a without some of its blanks. It is the
// quick way to find out that two documents differ; if it is true they may still.
func sameButBlanks(a, b []byte) bool {
	i := 0
	for _, c := range a {
		switch {
		case i < len(b) && b[i] == c:
			i++
		case c != ' ' && c != '\n' && c != '\t' && c != '\r':
			return false
		}
	}
	return i == len(b)
}
