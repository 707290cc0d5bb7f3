package resource

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// maxBatch is how many items a batch may have unless [Options] say otherwise.
const maxBatch = 1000

// An Item is one patch or delete of a batch.
type Item struct {
	ExternalID string
	Data       []byte    // the merge patch, one JSON object; not kept. A delete has none.
	If         Condition // must hold, too, if the WriteOptions have one
}

// An ItemResult is the result of one item of a batch, or its error. Its JSON does not have
// the result, so that it can be logged.
type ItemResult struct {
	Result *Result `json:"-"` // nil when there is an error
	// Err is the error that the call for this item alone would return. For several items
	// of one resource see [Collection.CreateBatch].
	Err error
}

// CreateBatch is [Collection.Create] for many documents. It asks a store that takes
// batches twice, or as often as the store's limits demand: see [storage.UpdateMany]. opts
// may be nil, and is for every item.
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
// The results are in the order of the items. The error, in place of them, is
// [storage.ErrInvalid] for a tenant or options that are not valid, or [ErrBatchSize]. All
// other errors are in the items, also an error of the store or the context that is for all
// of them.
func (c *Collection) CreateBatch(
	ctx context.Context, tenant storage.Tenant, documents [][]byte, opts *WriteOptions,
) ([]ItemResult, error) {
	opts = opts.orZero()
	b, err := c.newBatch(ctx, "create_batch", tenant, len(documents), opts.DryRun, opts.validate(true))
	if err != nil {
		return nil, err
	}
	for _, document := range documents {
		b.add(c.newCreate(tenant, document, opts))
	}
	return b.run(ctx), nil
}

// PatchBatch is [Collection.Patch] for many items, as [Collection.CreateBatch] is for
// documents, with the same errors. opts may be nil, and is for every item; both its
// Condition and that of the item must hold.
func (c *Collection) PatchBatch(
	ctx context.Context, tenant storage.Tenant, items []Item, opts *WriteOptions,
) ([]ItemResult, error) {
	opts = opts.orZero()
	b, err := c.newBatch(ctx, "patch_batch", tenant, len(items), opts.DryRun, opts.validate(false))
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.If = opts.If.And(item.If)
		b.add(c.newPatch(tenant, item.ExternalID, item.Data, &own))
	}
	return b.run(ctx), nil
}

// DeleteBatch is [Collection.Delete] for many items, as [Collection.CreateBatch] is for
// documents, with the same errors. Of several items with the same external id the first
// deletes the resource, and the others fail with [ErrNotFound]. opts may be nil, and is
// for every item; both its Condition and that of the item must hold. An item with Data
// fails with [storage.ErrInvalid].
func (c *Collection) DeleteBatch(
	ctx context.Context, tenant storage.Tenant, items []Item, opts *WriteOptions,
) ([]ItemResult, error) {
	opts = opts.orZero()
	b, err := c.newBatch(ctx, "delete_batch", tenant, len(items), opts.DryRun, opts.validate(false))
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.If = opts.If.And(item.If)
		op, err := c.newDelete(tenant, item.ExternalID, &own)
		if err == nil && item.Data != nil {
			err = opError(op.name, op.key, fmt.Errorf("%w: Data of a delete", storage.ErrInvalid))
		}
		b.add(op, err)
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
	state  *knownState
	writes []writeOp
	items  []ItemResult
}

// A group is the items of one external id.
type group struct {
	key     storage.Key
	items   []int          // positions, in their order
	keeping int            // how many items come before the first that changes the resource
	outcome Outcome        // of all of them together
	dry     *storage.Write // what a dry run would write
}

// pending is the revision of a record that a batch has made and not stored yet. No caller
// has seen it, so no condition on a revision holds for it.
const pending = storage.Revision(math.MaxUint64)

func (c *Collection) newBatch(
	ctx context.Context, op Op, tenant storage.Tenant, size int, dryRun bool, invalid error,
) (*batch, error) {
	if err := c.checkBatch(op, tenant, size, invalid); err != nil {
		if c.opts.OnCall != nil {
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
	if cap(b.writes) <= 2*maxBatch {
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
	case size > c.opts.MaxBatch:
		err = fmt.Errorf("%w: found %d, expected at most %d", ErrBatchSize, size, c.opts.MaxBatch)
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

func (b *batch) run(ctx context.Context) []ItemResult {
	defer b.release()
	groups := b.groups()
	if len(groups) == 0 {
		return b.result(ctx)
	}
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
	var err error
	if b.state, err = b.c.writeState(ctx, b.tenant, nil, b.dryRun); err != nil {
		return err
	}
	update := func(i int, old storage.Record) (storage.Write, error) {
		var err error
		if b.state, err = b.c.writeState(ctx, b.tenant, b.state, b.dryRun); err != nil {
			groups[i].keeping = 0
			return storage.Write{}, err
		}
		return b.fold(&groups[i], old)
	}
	results, err := storage.UpdateMany(ctx, b.c.store, keys, update)
	if err != nil {
		return err
	}
	for again := true; again; {
		if again = false; b.dryRun {
			b.rehearse(ctx, groups, results)
		}
		for i := range groups {
			for r := &results[i]; r.Err != nil && b.share(&groups[i], r.Err); again = true {
				r.Record, r.Err = storage.UpdateWith(ctx, b.c.store, keys[i],
					func(old storage.Record) (storage.Write, error) { return update(i, old) })
			}
		}
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
		switch g.outcome {
		case Deleted:
			rec = storage.Record{Key: g.key}
		case Updated:
			b.c.recheck(ctx, &rec, &b.writes[g.items[0]])
		}
		b.settle(g, rec.Revision)
	}
	return nil
}

// rehearse sets the errors that the writes of a dry run would have.
func (b *batch) rehearse(ctx context.Context, groups []group, results []storage.UpdateResult) {
	var writes []storage.Write
	var at []int // their groups
	for i := range groups {
		if groups[i].dry != nil && results[i].Err == nil {
			writes, at = append(writes, *groups[i].dry), append(at, i)
		}
	}
	for k, err := range b.c.rehearse(ctx, writes) {
		results[at[k]].Err = err
	}
}

// share is Collection.share for the items of a group.
func (b *batch) share(g *group, err error) bool {
	if !errors.Is(err, storage.ErrNotUnique) {
		return false
	}
	var ops []*writeOp
	for _, i := range g.items {
		ops = append(ops, &b.writes[i])
	}
	return b.c.share(err, ops...)
}

// maxFolded is how many bytes of documents the results of one resource's items may have
// together.
const maxFolded = 64 << 20

// fold applies the items of a group to a record, each to the state after the one before,
// and sets their results in b.items. It returns the write, or storage.ErrNoChange.
func (b *batch) fold(g *group, old storage.Record) (storage.Write, error) {
	current, size := old, 0
	var w storage.Write // of the last item that changes the record
	g.keeping, g.outcome = len(g.items), Unchanged
	for k, i := range g.items {
		if size > maxFolded {
			b.items[i] = ItemResult{Err: opError(b.op, g.key, fmt.Errorf("%w: the states of one resource are too large together", ErrBatchSize))}
			continue
		}
		result := new(Result)
		b.writes[i].state = b.state
		next, err := b.c.attempt(&b.writes[i], &current, result)
		result.record = current
		switch {
		case err == storage.ErrNoChange:
		case err == nil && next.Delete:
			w, current = next, storage.Record{Key: g.key}
		case err == nil:
			next.Record.Revision = pending
			w, current, result.record = next, next.Record, next.Record
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
	w.Expect = old.Revision
	if w.Note != nil && b.c.opts.History {
		w.Note.Before = old.Data // not that of the item before
	}
	switch {
	case current.Revision == old.Revision:
		return w, storage.ErrNoChange
	case b.dryRun:
		dry := w // else each w would be allocated
		g.dry = &dry
		return w, storage.ErrNoChange
	case current.Revision == 0:
		g.outcome = Deleted
	default:
		g.outcome = Updated
	}
	return w, nil
}

// settle sets the revision of the record in the results of a group. A state that was
// replaced within the batch gets 0.
func (b *batch) settle(g *group, rev storage.Revision) {
	replaced := false
	for _, i := range slices.Backward(g.items) {
		item := &b.items[i]
		switch {
		case item.Err != nil:
			var failed *OpError
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
	if err = b.c.taken(err); !isType[*schema.ValidationError](err) {
		err = opError(b.op, g.key, err)
	}
	for _, i := range g.items[g.keeping:] {
		b.items[i] = ItemResult{Err: err}
	}
}

// result returns the results, and tells OnCall.
func (b *batch) result(ctx context.Context) []ItemResult {
	if b.c.opts.OnCall != nil {
		call := Call{Op: b.op, Tenant: b.tenant, DryRun: b.dryRun}
		for i := range b.writes {
			call.Attempts += b.writes[i].attempts
			call.add(b.items[i].Result, b.items[i].Err)
		}
		b.c.called(ctx, b.start, call)
	}
	return b.items
}
