package resource

import "example.com/resourcekit/merge"

// Outcome is what a write did.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"   // the resource is new
	Updated   Outcome = "updated"   // the resource was changed
	Unchanged Outcome = "unchanged" // it had that data already; nothing was written
	Deleted   Outcome = "deleted"   // the resource was deleted
)

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
