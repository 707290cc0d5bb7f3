package resource

import (
	"context"
	"time"

	"example.com/resourcekit/storage"
)

// An Op is an operation of a Collection, as a word for labels of metrics: create, patch,
// delete, get, list, create_batch, patch_batch, delete_batch, get_batch, changes, history,
// restore or erase. [Collection.All] is a list for each of its pages.
type Op string

// A Call is one call of a method of a Collection, as Options.OnCall gets it when it
// ends. It has no part of a document and no external id, except in the errors that
// errors.As finds in Err.
type Call struct {
	Op     Op
	Tenant storage.Tenant
	Schema string // the schema's name
	// Results counts what the call did: writes by their [Outcome], writes that failed by
	// the [Class] of their error, and resources that a get or list returned, and changes,
	// as "found". An erase that found nothing is unchanged. It may be nil. For a dry run
	// the results are those of the write.
	Results map[string]int
	DryRun  bool
	// Attempts is how often a write was tried: 1, and 1 more for each conflict and for
	// each record that the store recalled (storage.Recaller) without a swap in the end;
	// 0 if it failed before the first attempt. For a batch it is the sum of its items.
	Attempts int
	Duration time.Duration
	// Err is the error that the method returns. Errors of items are not in it: Results
	// counts them, also if the store refused all of them.
	Err error
}

// add counts a write.
func (c *Call) add(result *Result, err error) {
	if err != nil {
		c.count(string(ErrorClass(err)), 1)
	} else {
		c.count(string(result.Outcome), 1)
	}
}

// found is the word for resources in Call.Results.
const found = "found"

func (c *Call) count(what string, n int) {
	if c.Results == nil {
		c.Results = make(map[string]int)
	}
	c.Results[what] += n
}

// called calls OnCall for a call that began at start.
func (c *Collection) called(ctx context.Context, start time.Time, call Call) {
	call.Schema, call.Duration = c.schema.Name(), time.Since(start)
	c.opts.OnCall(ctx, call)
}

// start returns the time, if it is needed for OnCall.
func (c *Collection) start() (now time.Time) {
	if c.opts.OnCall != nil {
		now = time.Now()
	}
	return now
}
