package resource

import (
	"fmt"

	"example.com/resourcekit/merge"
)

// Outcome is what a write did.
type Outcome int

// The outcomes. The zero value is not an outcome.
const (
	Created   Outcome = iota + 1 // the resource is new
	Updated                      // the resource was changed
	Unchanged                    // it had that data already; nothing was written
	Deleted                      // the resource was deleted
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

// MarshalText returns the text of String, or an error for a value that is not an
// outcome.
func (o Outcome) MarshalText() ([]byte, error) {
	if o < Created || o > Deleted {
		return nil, fmt.Errorf("resource: %v is not an outcome", o)
	}
	return []byte(o.String()), nil
}

// A Result is a resource after a write, or as it was before a delete, and what the write
// did. Its JSON is that of the resource alone, without the Outcome.
//
// The result of a dry run is that of the write, with the revision from before it: 0 for
// a resource that would be created.
type Result struct {
	Resource
	Outcome Outcome // what the write did
	// Dropped are the unknown fields that were dropped under schema.IgnoreUnknown, as
	// JSON Pointers (RFC 6901) in the order of the data. The names are exactly those of
	// the client: escape them before they are logged.
	Dropped []string

	before []byte // the stored document before the write; nil if there was none
}

// Changed returns the members of the stored document that are new or have another value
// since the write, as JSON Pointers (RFC 6901) to the topmost members that differ; an
// array is one value. Each call computes it.
func (r *Result) Changed() []string {
	changed, _ := r.changes()
	return changed
}

// Removed returns the members of the stored document that the write removed, in the form
// of [Result.Changed].
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
	// There is no error: the write has parsed both documents.
	changed, removed, _ = merge.Changes(before, after)
	return changed, removed
}
