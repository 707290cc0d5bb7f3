package resource

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

// DefaultMaxBatch is how many items a batch may have unless [Options] say
// otherwise.
const DefaultMaxBatch = 1000

// ErrBatchSize is returned for a batch with more items than Options.MaxBatch, of which
// none was applied; and for items of one resource, once its states have more than 64 MiB
// together.
var ErrBatchSize = errors.New("too many items in the batch")

// A PatchItem is one patch of a [Collection.PatchBatch].
type PatchItem struct {
	ExternalID string
	Patch      []byte    // a JSON object; not kept
	If         Condition // must hold beside that of PatchOptions
}

// A DeleteItem is one delete of a [Collection.DeleteBatch].
type DeleteItem struct {
	ExternalID string
	If         Condition // must hold beside that of DeleteOptions
}

// An ItemResult is the result of one item of a batch, or its error.
type ItemResult struct {
	Result *Result // nil when there is an error
	// Err is the error that the call for this item alone would return. For several items
	// of one resource see [Collection.CreateBatch].
	Err error
}

// String returns the outcome and the resource's ID, or the error.
func (i ItemResult) String() string {
	if i.Result == nil {
		return fmt.Sprint(i.Err)
	}
	return i.Result.Outcome.String() + " " + i.Result.String()
}

// LogValue is String, for log/slog.
func (i ItemResult) LogValue() slog.Value { return slog.StringValue(i.String()) }

// A BatchResult has the results of the items of a batch, in the order of the items, and
// their counts, whose sum is the number of items.
type BatchResult struct {
	Items []ItemResult
	Counts
}

// String returns the counts.
func (r BatchResult) String() string {
	return fmt.Sprintf("%d created, %d updated, %d unchanged, %d deleted, %d failed", r.Created, r.Updated, r.Unchanged, r.Deleted, r.Failed)
}

// LogValue is String, for log/slog.
func (r BatchResult) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Counts are the numbers of writes by their outcome.
type Counts struct {
	Created, Updated, Unchanged, Deleted, Failed int
}

// add counts one more write.
func (n *Counts) add(result *Result, err error) {
	switch {
	case err != nil:
		n.Failed++
	case result.Outcome == Created:
		n.Created++
	case result.Outcome == Updated:
		n.Updated++
	case result.Outcome == Deleted:
		n.Deleted++
	default:
		n.Unchanged++
	}
}

// CreateBatch is [Collection.Create] for many documents. A store that takes batches is
// asked twice, or as often as its limits demand, whatever the number of items: see
// [storage.UpdateMany]. opts may be nil, and is for every item.
//
// Items with different external ids are independent: one may fail and the others
// succeed. It is not a transaction: other callers may see some of the writes before the
// rest. Items with the same external id are applied in their order, each to the state
// after the one before, and the resource is written once. States in between are never
// stored: their results have revision 0, and the last one has the revision of the
// record. If the write fails, the first item that changed the resource and all later
// items of it have the error.
//
// A batch has every document in memory, before and after each item. Once the states of
// one resource have 64 MiB, further items of it fail with [ErrBatchSize].
//
// The error, in place of a result, is [storage.ErrInvalid] for a tenant or options that
// are not valid, or [ErrBatchSize]. All other errors are in the items, also an error of
// the store or the context that is for all of them.
func (c *Collection) CreateBatch(ctx context.Context, tenant storage.Tenant, documents [][]byte, opts *CreateOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	b, err := c.newBatch(ctx, OpCreateBatch, tenant, len(documents), opts.DryRun, opts.validate())
	if err != nil {
		return nil, err
	}
	for _, document := range documents {
		b.add(c.newCreate(tenant, document, opts))
	}
	return b.run(ctx), nil
}

// PatchBatch is [Collection.Patch] for many items, as [Collection.CreateBatch] is for
// documents, with the same errors. opts may be nil, and is for every item; an item can
// have a Condition of its own beside.
func (c *Collection) PatchBatch(ctx context.Context, tenant storage.Tenant, items []PatchItem, opts *PatchOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &PatchOptions{}
	}
	b, err := c.newBatch(ctx, OpPatchBatch, tenant, len(items), opts.DryRun, opts.validate())
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.If = opts.If.And(item.If)
		b.add(c.newPatch(tenant, item.ExternalID, item.Patch, &own))
	}
	return b.run(ctx), nil
}

// DeleteBatch is [Collection.Delete] for many items, as [Collection.CreateBatch] is for
// documents, with the same errors. Of several items with the same external id the first
// deletes the resource, and the others fail with [ErrNotFound]. opts may be nil, and is
// for every item; an item can have a Condition of its own beside.
func (c *Collection) DeleteBatch(ctx context.Context, tenant storage.Tenant, items []DeleteItem, opts *DeleteOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &DeleteOptions{}
	}
	b, err := c.newBatch(ctx, OpDeleteBatch, tenant, len(items), opts.DryRun, nil)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.If = opts.If.And(item.If)
		b.add(c.newDelete(tenant, item.ExternalID, &own))
	}
	return b.run(ctx), nil
}

// A batch is the items of one call. writes and items are by position.
type batch struct {
	c      *Collection
	op     Op
	tenant storage.Tenant
	start  time.Time
	dryRun bool
	writes []writeOp
	items  []ItemResult
}

// A group is the items of one external id.
type group struct {
	key     storage.Key
	items   []int           // positions, in their order
	keeping int             // how many items come before the first that changes the resource
	outcome Outcome         // of all of them together
	before  *storage.Record // the record that they were applied to, for the feed
}

// pending is the revision of a record that a batch has made and not stored yet. No caller
// has seen it, so no condition on a revision holds for it.
const pending = storage.Revision(math.MaxUint64)

func (c *Collection) newBatch(ctx context.Context, op Op, tenant storage.Tenant, size int, dryRun bool, invalid error) (*batch, error) {
	if err := c.checkBatch(op, tenant, size, invalid); err != nil {
		if c.onCall != nil {
			c.called(ctx, c.start(), Call{Op: op, Tenant: tenant, DryRun: dryRun, Err: err})
		}
		return nil, err
	}
	return &batch{
		c: c, op: op, tenant: tenant, start: c.start(), dryRun: dryRun,
		writes: slices.Grow(*writeOps.Get().(*[]writeOp), size), items: make([]ItemResult, size),
	}, nil
}

// writeOps are empty slices for batch.writes. For 1000 items one has a quarter of a
// megabyte, and allocating it would take a tenth of the batch's time.
var writeOps = sync.Pool{New: func() any { return new([]writeOp) }}

// release returns the writes to the pool, unless there are very many.
func (b *batch) release() {
	for i := range b.writes {
		b.writes[i].request.Close()
	}
	if cap(b.writes) <= 2*DefaultMaxBatch {
		clear(b.writes) // they refer to the requests
		writes := b.writes[:0]
		writeOps.Put(&writes)
	}
}

// checkBatch returns the error of a batch that does not depend on its items.
func (c *Collection) checkBatch(op Op, tenant storage.Tenant, size int, invalid error) error {
	key := c.key(tenant, "")
	err := key.Scope().Validate()
	switch {
	case err != nil:
	case size > c.maxBatch:
		err = fmt.Errorf("%w: found %d, expected at most %d", ErrBatchSize, size, c.maxBatch)
	default:
		err = invalid
	}
	if err != nil {
		return opError(op, key, err)
	}
	return nil
}

// add adds the next item, or the error that it has already.
func (b *batch) add(op writeOp, err error) {
	op.request.Shrink() // there may be many
	b.items[len(b.writes)].Err = err
	b.writes = append(b.writes, op)
}

// byKey yields the positions of the items without an error, those of one key together.
// The keys are in order, so that two batches never deadlock in the store.
func (b *batch) byKey() iter.Seq[[]int] {
	// The ids are beside the positions, so that sorting reads no other memory.
	type place struct {
		id string
		i  int
	}
	order := make([]place, 0, len(b.items))
	sorted := true
	for i := range b.items {
		if b.items[i].Err == nil {
			id := b.writes[i].key.ExternalID
			sorted = sorted && (len(order) == 0 || order[len(order)-1].id <= id)
			order = append(order, place{id, i})
		}
	}
	if !sorted {
		slices.SortFunc(order, func(x, y place) int {
			if c := strings.Compare(x.id, y.id); c != 0 {
				return c
			}
			return x.i - y.i
		})
	}
	positions := make([]int, len(order))
	return func(yield func([]int) bool) {
		for i := 0; i < len(order); {
			end := i
			for end < len(order) && order[end].id == order[i].id {
				positions[end] = order[end].i
				end++
			}
			if !yield(positions[i:end]) {
				return
			}
			i = end
		}
	}
}

// groups returns the items without an error as groups, one for each key.
func (b *batch) groups() []group {
	groups := make([]group, 0, len(b.items))
	for items := range b.byKey() {
		groups = append(groups, group{key: b.writes[items[0]].key, items: items})
	}
	return groups
}

func (b *batch) run(ctx context.Context) *BatchResult {
	defer b.release()
	groups := b.groups()
	keys := make([]storage.Key, len(groups))
	for i := range groups {
		keys[i] = groups[i].key
	}
	if err := b.write(ctx, groups, keys); err != nil {
		for i := range groups {
			b.failWrites(&groups[i], err)
		}
	}
	return b.result(ctx)
}

// write writes the records of all groups. An error is for each of them.
func (b *batch) write(ctx context.Context, groups []group, keys []storage.Key) error {
	if b.c.feed != nil && !b.dryRun {
		// The keys are locked while they are written, so that the feed gets the
		// changes of each in their order.
		unlock, err := b.c.locks.LockAll(ctx, keys)
		if err != nil {
			return err
		}
		defer unlock()
	}
	results, err := storage.UpdateMany(ctx, b.c.store, keys, func(i int, old storage.Record) (storage.Write, error) {
		return b.fold(&groups[i], old)
	})
	if err != nil {
		return err
	}
	for i := range groups {
		g, rec := &groups[i], results[i].Record
		if err := results[i].Err; err != nil {
			if rec.Key != g.key { // the items were not judged by the stored record
				g.keeping = 0
			}
			b.failWrites(g, err)
			continue
		}
		if g.outcome == Deleted {
			rec = storage.Record{Key: g.key}
		}
		if g.outcome != Unchanged && b.c.feed != nil {
			b.c.feed.add(b.c.schema, *g.before, rec)
		}
		b.settle(g, rec.Revision)
	}
	return nil
}

// maxFolded is how many bytes of documents the results of one resource's items may have
// together.
const maxFolded = 64 << 20

// fold applies the items of a group to a record, each to the state after the one before,
// and sets their results in b.items. It returns the write, or storage.ErrNoChange.
func (b *batch) fold(g *group, old storage.Record) (storage.Write, error) {
	current, size := old, 0
	g.keeping, g.outcome = len(g.items), Unchanged
	if b.c.feed != nil {
		g.before = &storage.Record{}
		*g.before = old
	}
	for k, i := range g.items {
		if size > maxFolded {
			b.items[i] = ItemResult{Err: opError(b.op, g.key, fmt.Errorf("%w: the states of one resource are too large together", ErrBatchSize))}
			continue
		}
		result := new(Result)
		next, err := b.c.attempt(&b.writes[i], &current, result)
		result.record = current
		switch err {
		case nil:
			next.Revision = pending
			current, result.record = next, next
		case storage.ErrNoChange:
		case storage.ErrDelete:
			current = storage.Record{Key: g.key}
		default:
			b.items[i] = ItemResult{Err: b.writes[i].wrap(&current, err)}
			continue
		}
		if err != storage.ErrNoChange {
			g.keeping = min(g.keeping, k)
		}
		if len(g.items) > 1 {
			size += len(result.record.Data) + len(result.shown)
		}
		b.items[i] = ItemResult{Result: result}
	}
	switch {
	case b.dryRun, current.Revision == old.Revision:
		return storage.Write{}, storage.ErrNoChange
	case current.Revision == 0:
		g.outcome = Deleted
		return storage.Write{Delete: true}, nil
	}
	g.outcome = Updated
	return storage.Write{Record: current}, nil
}

// settle sets the revision of the record in the results of a group. A state that was
// replaced within the batch gets 0.
func (b *batch) settle(g *group, rev storage.Revision) {
	replaced := false
	for _, i := range slices.Backward(g.items) {
		item := &b.items[i]
		switch {
		case item.Err != nil:
			var failed *PreconditionError
			if errors.As(item.Err, &failed) && failed.Current == pending {
				failed.Current = rev
			}
		case item.Result != nil && item.Result.record.Revision == pending:
			item.Result.record.Revision = rev
			if replaced {
				item.Result.record.Revision = 0
			}
			replaced = replaced || item.Result.Outcome != Unchanged && !b.dryRun
		}
	}
}

// failWrites sets the error of a write for the first item that changed the record, and
// for all items after it: they were judged by a state that was not stored.
func (b *batch) failWrites(g *group, err error) {
	for _, i := range g.items[g.keeping:] {
		b.items[i] = ItemResult{Err: opError(b.op, g.key, err)}
	}
}

// result counts the results, and tells OnCall.
func (b *batch) result(ctx context.Context) *BatchResult {
	r := &BatchResult{Items: b.items}
	for _, item := range b.items {
		r.add(item.Result, item.Err)
	}
	if b.c.onCall != nil {
		call := Call{Op: b.op, Tenant: b.tenant, Counts: r.Counts, DryRun: b.dryRun}
		for i := range b.writes {
			call.Attempts += b.writes[i].attempts
			call.failed(b.items[i].Err)
		}
		b.c.called(ctx, b.start, call)
	}
	return r
}
