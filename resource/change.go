package resource

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/merge"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// Erased is the outcome of a change in the log whose resource was erased, and of the one
// that [Collection.Erase] adds. A program that keeps anything of the resource with this ID
// must remove it.
const Erased Outcome = "erased"

// A Change is one change of a resource, as the log has it. Its JSON is that of
// [Change.AppendJSON]. Package fmt and log/slog print it without personal data.
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

	// Document is the document after the change, or before a delete. Patch is a merge patch
	// (RFC 7396) that makes it of the document before the change, or of {} if the change
	// created the resource. Both are of documents as a reader sees them today: without
	// fields that the schema does not declare, and with its defaults. They are read-only.
	//
	// Both are nil unless ChangeOptions ask for them and the collection keeps History. A
	// document of the log that is damaged gives neither. Patch is also nil for a delete,
	// and for a document with a null, which no merge patch can set.
	Document, Patch json.RawMessage

	// Cursor is the place of the change in the changes of its tenant and schema. Only
	// [Collection.Changes] and [Collection.History] set it. It is encrypted.
	Cursor string
}

// MakeChange returns the change of a resource that a change of a store's log stands for:
// for readers of [storage.Store.Changes]. Its Cursor is "", see [Collection.SealCursor]. It
// uses Documents, Patches and Unredacted of opts, which may be nil.
//
// The schema may be nil if it is not known. Then the change has no Schema, and Document and
// Patch only if opts are Unredacted: as they were stored.
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
		return c
	case from.Deleted:
		c.Outcome = Deleted
	case from.Before == 0:
		c.Outcome = Created
	}
	if opts == nil || s == nil && !opts.Unredacted {
		return c
	}
	document, before := from.Note.After, from.Note.Before
	if c.Outcome == Deleted {
		document = before
	}
	if opts.Documents || opts.Patches {
		document = shown(s, document)
	}
	if opts.Patches && document != nil && c.Outcome != Deleted {
		if c.Outcome == Created {
			before = []byte("{}")
		} else {
			before = shown(s, before)
		}
		if before != nil {
			patch, _ := merge.Diff(before, document) // an error leaves it nil
			c.Patch = opts.redact(s, patch)
		}
	}
	if opts.Documents {
		c.Document = opts.redact(s, document)
	}
	return c
}

// shown returns a document of the log as a reader sees it, nil if it is damaged or not
// there.
func shown(s *schema.Schema, document []byte) []byte {
	if len(document) == 0 {
		return nil
	}
	if s != nil {
		document, _ = s.Show(document, nil) // nil with an error
		return document
	}
	d := strictjson.Get()
	defer strictjson.Put(d)
	if d.Parse(document, strictjson.MaxDepth) != nil {
		return nil
	}
	return document
}

// redact returns a document or patch without its personal data, unless that is asked for.
func (o *ChangeOptions) redact(s *schema.Schema, document []byte) []byte {
	if document != nil && !o.Unredacted {
		document, _ = s.Redact(document)
	}
	return document
}

// Format writes the outcome, "resource" and the ID for any verb, and no personal data.
func (c Change) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.text()) }

// LogValue returns what Format writes.
func (c Change) LogValue() slog.Value { return slog.StringValue(c.text()) }

func (c Change) text() string { return string(c.Outcome) + " resource " + c.ID.String() }

// MarshalJSON returns what AppendJSON(nil) appends.
func (c Change) MarshalJSON() ([]byte, error) {
	const members = 600 // enough for most changes without document and patch
	return c.AppendJSON(make([]byte, 0, members+len(c.Document)+len(c.Patch))), nil
}

// AppendJSON appends the change as one compact JSON object to dst: id, outcome, schema,
// schemaDefinitionId, platformId, businessId, resourceExternalId, previousRevision,
// revision, time, actor, reason, document and patch. The revisions are strings of digits.
// Absent ones are left out. The Cursor is not in it.
func (c *Change) AppendJSON(dst []byte) []byte {
	name := func(name string) { dst = append(append(append(dst, `,"`...), name...), `":`...) }
	text := func(as, value string) {
		if value != "" {
			name(as)
			dst = strictjson.AppendQuoted(dst, value)
		}
	}
	id := func(id *uuid.UUID) { dst = append(appendUUID(append(dst, '"'), id), '"') }
	revision := func(as string, r storage.Revision) {
		if r != 0 {
			name(as)
			dst = append(strconv.AppendUint(append(dst, '"'), uint64(r), 10), '"')
		}
	}
	raw := func(as string, value []byte) {
		if value != nil {
			name(as)
			dst = append(dst, value...)
		}
	}
	dst = append(dst, `{"id":`...)
	id(&c.ID)
	text("outcome", string(c.Outcome))
	text("schema", c.Schema)
	name("schemaDefinitionId")
	id(&c.Key.Schema)
	name("platformId")
	id(&c.Key.Tenant.Platform)
	name("businessId")
	id(&c.Key.Tenant.Business)
	text("resourceExternalId", c.Key.ExternalID)
	revision("previousRevision", c.Before)
	revision("revision", c.Revision)
	if !c.Time.IsZero() {
		name("time")
		dst = append(appendTime(append(dst, '"'), &c.Time), '"')
	}
	text("actor", c.Actor)
	text("reason", c.Reason)
	raw("document", c.Document)
	raw("patch", c.Patch)
	return append(dst, '}')
}

func appendUUID(dst []byte, id *uuid.UUID) []byte {
	at := len(dst)
	dst = append(dst, blankUUID...)
	putUUID(dst, at, 0, id)
	return dst
}

func appendTime(dst []byte, t *time.Time) []byte {
	at := len(dst)
	dst = append(dst, blankTime...)
	putTime(dst, at, 0, t)
	return dst
}
