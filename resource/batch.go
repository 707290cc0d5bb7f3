package resource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"example.com/resourcekit/storage"
)

// DefaultMaxBatch is how many items a batch may have unless [Options] say
// otherwise.
const DefaultMaxBatch = 1000

// ErrBatchSize is returned for a batch with more items than Options.MaxBatch.
// Nothing of it was looked at.
var ErrBatchSize = errors.New("too many items in the batch")

// A PatchItem is one patch of a [Collection.PatchBatch].
type PatchItem struct {
	ExternalID string
	Patch      []byte           // a JSON object; not kept
	IfRevision storage.Revision // as in PatchOptions
}

// A DeleteItem is one delete of a [Collection.DeleteBatch].
type DeleteItem struct {
	ExternalID string
	IfRevision storage.Revision // as in DeleteOptions
}

// An ItemResult is what became of one item of a batch: its result, or its error.
type ItemResult struct {
	Result *Result // nil when there is an error
	Err    error   // what the call for this item alone would have returned
}

// A BatchResult is what became of a batch. Items has one result for each item,
// at its position; the counts are of those, and their sum is the number of
// items.
type BatchResult struct {
	Items                                        []ItemResult
	Created, Updated, Unchanged, Deleted, Failed int
}

// CreateBatch is [Collection.Create] for many documents. Items with the same
// external id are applied in their order, each on top of what the one before it
// made; apart from that they are independent, and one may fail and the others
// succeed. It is no transaction: others may see some of it before the rest.
//
// However many items there are, it asks the store twice: for all records at
// once, and to swap all that changed. Only records that somebody else changed in
// between are read and written again. opts may be nil and holds for every item;
// its IfRevision must be 0, for no two resources share a revision.
//
// Where several items change one resource, the state in between is never stored:
// the result of such an item has the revision 0, and the last one's that of the
// record. If the store fails, it fails for all of them.
//
// The error, in place of a result, is [storage.ErrInvalid] for a tenant or an
// IfRevision that is not valid, [ErrBatchSize], or what the store or the context
// says before anything is written. Everything else is in the items.
func (c *Collection) CreateBatch(ctx context.Context, tenant storage.Tenant, documents [][]byte, opts *CreateOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	b, err := c.newBatch("create batch", tenant, len(documents), opts.IfRevision, opts.DryRun)
	if err != nil {
		return nil, err
	}
	for _, document := range documents {
		b.add(c.creating(tenant, document, opts))
	}
	return b.run(ctx)
}

// PatchBatch is [Collection.Patch] for many items, in the way of
// [Collection.CreateBatch]. opts may be nil and holds for every item; its
// IfRevision must be 0, each item has its own.
func (c *Collection) PatchBatch(ctx context.Context, tenant storage.Tenant, items []PatchItem, opts *PatchOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &PatchOptions{}
	}
	b, err := c.newBatch("patch batch", tenant, len(items), opts.IfRevision, opts.DryRun)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.IfRevision = item.IfRevision
		b.add(c.patching(tenant, item.ExternalID, item.Patch, &own))
	}
	return b.run(ctx)
}

// DeleteBatch is [Collection.Delete] for many items, in the way of
// [Collection.CreateBatch]: of several items with the same external id the first
// deletes the resource, and the others do not find it. opts may be nil; its
// IfRevision must be 0, each item has its own.
func (c *Collection) DeleteBatch(ctx context.Context, tenant storage.Tenant, items []DeleteItem, opts *DeleteOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &DeleteOptions{}
	}
	b, err := c.newBatch("delete batch", tenant, len(items), opts.IfRevision, opts.DryRun)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.IfRevision = item.IfRevision
		b.add(c.deleting(tenant, item.ExternalID, &own))
	}
	return b.run(ctx)
}

// A batch is the items of one call. writes, items and results are by position.
type batch struct {
	c       *Collection
	op      string
	scope   storage.Scope
	dryRun  bool
	writes  []writing
	items   []ItemResult
	results []Result // where those of items point to
}

// A group is the items of one external id.
type group struct {
	key   storage.Key
	items []int // positions, in their order
}

// pending is the revision of a record that a batch has made and not stored yet.
// No caller has seen it, so it meets no precondition.
const pending = storage.Revision(math.MaxUint64)

func (c *Collection) newBatch(op string, tenant storage.Tenant, size int, ifRevision storage.Revision, dryRun bool) (*batch, error) {
	key := c.key(tenant, "")
	if err := key.Scope().Validate(); err != nil {
		return nil, fail(op, key, err)
	}
	if size > c.maxBatch {
		return nil, fail(op, key, fmt.Errorf("%w: found %d, want at most %d", ErrBatchSize, size, c.maxBatch))
	}
	if ifRevision != 0 {
		return nil, fail(op, key, fmt.Errorf("%w: IfRevision for a whole batch", storage.ErrInvalid))
	}
	return &batch{
		c: c, op: op, scope: key.Scope(), dryRun: dryRun,
		writes: make([]writing, 0, size), items: make([]ItemResult, size), results: make([]Result, size),
	}, nil
}

// add takes the next item, or the reason why it has failed already.
func (b *batch) add(w writing, err error) {
	b.items[len(b.writes)].Err = err
	b.writes = append(b.writes, w)
}

// groups returns the items that are left, by their keys and in the order of
// those, so that two batches do not wait for each other crosswise in the store.
func (b *batch) groups() []*group {
	order := make([]int, 0, len(b.items))
	for i := range b.items {
		if b.items[i].Err == nil {
			order = append(order, i)
		}
	}
	id := func(i int) string { return b.writes[order[i]].key.ExternalID }
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(strings.Compare(b.writes[x].key.ExternalID, b.writes[y].key.ExternalID), x-y)
	})
	all := make([]group, 0, len(order))
	for i := 0; i < len(order); {
		end := i + 1
		for end < len(order) && id(end) == id(i) {
			end++
		}
		all = append(all, group{key: b.writes[order[i]].key, items: order[i:end]})
		i = end
	}
	groups := make([]*group, len(all))
	for i := range all {
		groups[i] = &all[i]
	}
	return groups
}

// batchRounds is how often a batch tries to write what conflicts as one. Then
// each key that is left queues for itself.
const batchRounds = 3

func (b *batch) run(ctx context.Context) (*BatchResult, error) {
	groups := b.groups()
	size := len(groups)
	if _, ok := b.c.store.(storage.BatchStore); !ok {
		size = min(size, fewAtOnce)
	}
	for part := range slices.Chunk(groups, max(size, 1)) {
		if err := b.runGroups(ctx, part, len(part) < len(groups)); err != nil {
			return nil, err
		}
	}
	return b.result(), nil
}

// fewAtOnce is how many keys a batch handles at once in a store that takes no
// batches: there is no round trip to save, and what fits in the processor's cache
// is quicker.
const fewAtOnce = 32

// runGroups reads, changes and writes some of the records. An error, which there
// is for a whole batch only, says that nothing was written.
func (b *batch) runGroups(ctx context.Context, groups []*group, isPart bool) error {
	left := groups
	for round := 0; len(left) > 0; round++ {
		if round == batchRounds {
			for _, g := range left {
				b.alone(ctx, g)
			}
			break
		}
		again, err := b.round(ctx, left)
		if err != nil && round == 0 && !isPart {
			return err
		}
		if err != nil {
			for _, g := range left {
				b.failWrites(g, err)
			}
			break
		}
		left = again
	}
	return nil
}

// round reads the records of the groups, writes what changes, and returns the
// groups that somebody else was faster for.
func (b *batch) round(ctx context.Context, groups []*group) (again []*group, err error) {
	keys := make([]storage.Key, len(groups))
	for i, g := range groups {
		keys[i] = g.key
	}
	records, err := storage.GetMany(ctx, b.c.store, keys)
	if err != nil {
		return nil, b.fail(storage.Key{Tenant: b.scope.Tenant, Schema: b.scope.Schema}, err)
	}
	var swaps swaps
	for i, g := range groups {
		next, err := b.fold(g, records[i])
		switch {
		case err == storage.ErrNoChange || b.dryRun:
			b.settle(g, records[i].Revision)
		case err == storage.ErrDelete:
			swaps.deleting = append(swaps.deleting, g)
			swaps.deletes = append(swaps.deletes, storage.DeleteOp{Key: g.key, Expect: records[i].Revision})
		default:
			swaps.putting = append(swaps.putting, g)
			swaps.puts = append(swaps.puts, storage.PutOp{Record: next, Expect: records[i].Revision})
		}
	}
	swaps.run(ctx, b.c.store, func(g *group, rev storage.Revision, err error) {
		switch {
		case err == nil:
			b.settle(g, rev)
		case errors.Is(err, storage.ErrUnknownOutcome):
			b.failWrites(g, err)
		case errors.Is(err, storage.ErrConflict), errors.Is(err, storage.ErrNotFound): // deleted by somebody else
			again = append(again, g)
		default:
			b.failWrites(g, err)
		}
	})
	return again, nil
}

// swaps are the compare-and-swaps of a round.
type swaps struct {
	puts              []storage.PutOp
	deletes           []storage.DeleteOp
	putting, deleting []*group
}

// run makes the swaps and tells what became of each.
func (s *swaps) run(ctx context.Context, store storage.Store, tell func(*group, storage.Revision, error)) {
	if len(s.puts) > 0 {
		results, err := storage.PutMany(ctx, store, s.puts)
		for i, g := range s.putting {
			if err != nil {
				tell(g, 0, err)
			} else {
				tell(g, results[i].Revision, results[i].Err)
			}
		}
	}
	if len(s.deletes) > 0 {
		errs, err := storage.DeleteMany(ctx, store, s.deletes)
		for i, g := range s.deleting {
			if err != nil {
				tell(g, 0, err)
			} else {
				tell(g, 0, errs[i])
			}
		}
	}
}

// alone writes a group in the queue of its key.
func (b *batch) alone(ctx context.Context, g *group) {
	lock, err := b.c.locks.lock(ctx, g.key)
	if err != nil {
		b.failWrites(g, err)
		return
	}
	defer lock.unlock()
	rec, err := storage.Update(ctx, b.c.store, g.key, func(old storage.Record) (storage.Record, error) {
		return b.fold(g, old)
	})
	if err != nil {
		b.failWrites(g, err)
		return
	}
	b.settle(g, rec.Revision)
}

// fold applies the items of a group to a record, each to what the one before it
// made, and says in b.items what became of them. It returns the record to put,
// or storage.ErrDelete, or storage.ErrNoChange.
func (b *batch) fold(g *group, old storage.Record) (storage.Record, error) {
	current := old
	for _, i := range g.items {
		result := &b.results[i]
		*result = Result{}
		next, err := b.c.attempt(&b.writes[i], current, result)
		result.record = current
		switch err {
		case nil:
			next.Revision = pending
			current, result.record = next, next
		case storage.ErrNoChange:
		case storage.ErrDelete:
			current = storage.Record{Key: g.key}
		default:
			b.items[i] = ItemResult{Err: b.writes[i].fail(err)}
			continue
		}
		b.items[i] = ItemResult{Result: result}
	}
	switch current.Revision {
	case old.Revision:
		return old, storage.ErrNoChange
	case 0:
		return old, storage.ErrDelete
	}
	return current, nil
}

// settle gives the items of a group the revision that the record has now. A
// state that was replaced within the batch has none.
func (b *batch) settle(g *group, rev storage.Revision) {
	replaced := false
	for _, i := range slices.Backward(g.items) {
		item := &b.items[i]
		var failed *PreconditionError
		switch {
		case errors.As(item.Err, &failed) && failed.Current == pending:
			failed.Current = rev
		case item.Result != nil && item.Result.record.Revision == pending:
			item.Result.record.Revision = rev
			if replaced {
				item.Result.record.Revision = 0
			}
			replaced = replaced || item.Result.Outcome != Unchanged && !b.dryRun
		}
	}
}

// failWrites gives the error to every item of a group that depends on a write.
func (b *batch) failWrites(g *group, err error) {
	for _, i := range g.items {
		item := &b.items[i]
		untouched := item.Result != nil && item.Result.Outcome == Unchanged && item.Result.record.Revision != pending
		if item.Err == nil && !untouched {
			*item = ItemResult{Err: b.fail(g.key, err)}
		}
	}
	b.settle(g, 0)
}

func (b *batch) fail(key storage.Key, err error) error { return fail(b.op, key, err) }

// result counts what became of the items.
func (b *batch) result() *BatchResult {
	r := &BatchResult{Items: b.items}
	for _, item := range b.items {
		switch {
		case item.Err != nil:
			r.Failed++
		case item.Result.Outcome == Created:
			r.Created++
		case item.Result.Outcome == Updated:
			r.Updated++
		case item.Result.Outcome == Deleted:
			r.Deleted++
		default:
			r.Unchanged++
		}
	}
	return r
}
