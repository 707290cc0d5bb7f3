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

// Outcome says what a write did.
type Outcome int

// The outcomes. The zero value is none of them.
const (
	Created   Outcome = iota + 1 // there was no such resource
	Updated                      // the resource was changed
	Unchanged                    // it had that data already; nothing was written
	Deleted                      // it is gone
)

// String returns "created", "updated", "unchanged" or "deleted".
func (o Outcome) String() string {
	switch o {
	case Created:
		return "created"
	case Updated:
		return "updated"
	case Unchanged:
		return "unchanged"
	case Deleted:
		return "deleted"
	}
	return fmt.Sprintf("Outcome(%d)", int(o))
}

// MarshalText returns the text of an outcome; one that is none of them is an error.
func (o Outcome) MarshalText() ([]byte, error) {
	if o < Created || o > Deleted {
		return nil, fmt.Errorf("resource: %v is no outcome", o)
	}
	return []byte(o.String()), nil
}

// A Result is a resource as a write left it, and what the write did. The methods
// of Resource are those of the resource alone: marshalling a Result to JSON
// gives the resource.
//
// The result of a dry run is that of the write, with the revision from before
// it, 0 for a resource that would be created.
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
	before, after := r.before, r.record.Data
	if before == nil {
		before = []byte("{}")
	}
	if r.Outcome == Deleted {
		after = []byte("{}")
	}
	// Both documents have been parsed by the write itself.
	changed, removed, _ = merge.Changes(before, after)
	return changed, removed
}

// A writing is one create, patch or delete: what its attempts have in common.
type writing struct {
	op         string // for errors
	key        storage.Key
	request    schema.Checked // of a create or patch
	remove     bool           // a delete
	mayCreate  bool
	mayChange  bool             // else ErrExists
	ifRevision storage.Revision // 0 for any
	ifAbsent   bool
	ifTrue     func(storage.Revision) bool // nil for any
	dryRun     bool

	attempts int // made so far

	id    uuid.UUID // of the resource that is created, once it is made
	hasID bool
}

// write makes attempts until one is stored.
func (c *Collection) write(ctx context.Context, w *writing) (*Result, error) {
	if !w.dryRun {
		lock, err := c.locks.Lock(ctx, w.key)
		if err != nil {
			return nil, fail(w.op, w.key, err)
		}
		defer lock.Unlock()
	}
	result := new(Result)
	var was storage.Record
	rec, err := storage.Update(ctx, c.store, w.key, func(old storage.Record) (storage.Record, error) {
		was = old
		next, err := c.attempt(w, old, result)
		if w.dryRun && (err == nil || err == storage.ErrDelete) {
			next.Revision = old.Revision
			result.record = next
			return old, storage.ErrNoChange
		}
		return next, err
	})
	if err != nil {
		return nil, w.fail(was, err)
	}
	if !w.dryRun || result.Outcome == Unchanged {
		result.record = rec
	}
	if !w.dryRun && result.Outcome != Unchanged {
		if w.remove {
			rec = storage.Record{}
		}
		c.feed.add(c.schema, was, rec) // while the lock is held, for the order
	}
	return result, nil
}

// fail names the operation, the key and the record that was found where the error does
// not say enough by itself.
func (w *writing) fail(rec storage.Record, err error) error {
	if errors.Is(err, ErrNotFound) || nameRecord(rec, err) {
		return fail(w.op, w.key, err)
	}
	return err
}

// attempt returns what the write makes of a record, and says in result what that
// is. The error is storage.ErrNoChange when it is the record itself, and
// storage.ErrDelete when it is to be deleted.
func (c *Collection) attempt(w *writing, old storage.Record, result *Result) (storage.Record, error) {
	w.attempts++
	if err := w.permits(old, c.field); err != nil {
		return old, err
	}
	if w.remove {
		result.Outcome = Deleted
		var err error
		if result.shown, err = c.schema.Show(old.Data); err == nil {
			result.before = old.Data
		} else { // a damaged document must not keep its record from being deleted
			result.shown = []byte("{}")
		}
		return old, storage.ErrDelete
	}
	stored, err := document(old)
	if err != nil {
		return old, err
	}
	doc, merged, err := apply(&w.request, stored)
	if err != nil {
		return old, err
	}
	result.before, result.Dropped, result.shown = stored, doc.Dropped, doc.Shown
	next := storage.Record{Key: w.key, ID: old.ID, CreatedAt: old.CreatedAt, UpdatedAt: c.timestamp(), Data: doc.Stored}
	if old.Revision == 0 {
		result.Outcome = Created
		if !w.hasID { // else from an attempt that met a conflict
			if w.id, err = c.newID(); err != nil {
				return old, noID(err)
			}
			w.hasID = true
		}
		next.ID, next.CreatedAt = w.id, next.UpdatedAt
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
}

// noID is the error of a write whose NewID failed. What that says of a record of its
// own, it does not say of this one: only that it was unavailable counts.
func noID(err error) error {
	if class := ErrorClass(err); class != "internal" && class != "unavailable" || errors.Is(err, storage.ErrNoChange) || errors.Is(err, storage.ErrDelete) {
		err = errors.New(err.Error())
	}
	return fmt.Errorf("resource: cannot make an id: %w", err)
}

// permits returns why the write may not be made over this record.
func (w *writing) permits(old storage.Record, field string) error {
	switch present := old.Revision != 0; {
	case !present && !w.mayCreate:
		return ErrNotFound
	case w.ifRevision != 0 && (old.Revision != w.ifRevision || old.Revision == pending), w.ifAbsent && present,
		w.ifTrue != nil && !w.ifTrue(old.Revision):
		return &PreconditionError{Key: w.key, Current: old.Revision}
	case present && !w.mayChange:
		return &ExistsError{Key: w.key, Field: field}
	}
	return nil
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
