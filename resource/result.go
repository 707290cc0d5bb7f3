package resource

import (
	"fmt"

	"example.com/resourcekit/merge"
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
