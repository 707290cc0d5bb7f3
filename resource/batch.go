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

// ErrBatchSize is returned for a batch with more items than Options.MaxBatch, of
// which nothing was looked at; and for the items of one resource whose states are
// more than 64 MiB together.
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
	// Err is what the call for this item alone would have returned, but where
	// several items change one resource, see CreateBatch.
	Err error
}

// String returns the outcome and the resource's ID, or the error.
func (i ItemResult) String() string {
	if i.Result == nil {
		return fmt.Sprint(i.Err)
	}
	return i.Result.Outcome.String() + " " + i.Result.String()
}

// LogValue returns String for log/slog: an item in a log line must not spill its
// document there.
func (i ItemResult) LogValue() slog.Value { return slog.StringValue(i.String()) }

// A BatchResult is what became of a batch. Items has one result for each item,
// at its position. Counts is of those, and its sum is the number of items.
type BatchResult struct {
	Items []ItemResult
	Counts
}

// String returns the counts.
func (r BatchResult) String() string {
	return fmt.Sprintf("%d created, %d updated, %d unchanged, %d deleted, %d failed", r.Created, r.Updated, r.Unchanged, r.Deleted, r.Failed)
}

// LogValue returns String for log/slog: a result in a log line must not spill
// documents there.
func (r BatchResult) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Counts are how many writes had which outcome.
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

// CreateBatch is [Collection.Create] for many documents. Items with the same
// external id are applied in their order, each on top of what the one before it
// made; apart from that they are independent, and one may fail and the others
// succeed. It is no transaction: others may see some of it before the rest.
//
// However many items there are, it asks a store that takes batches
// (storage.BatchStore) twice, or as often as the store's limits demand: for all
// records at once, and to swap all that changed. (Deletes go one by one to a store
// that is no storage.BatchDeleter.) Only records that somebody else changed in
// between are read and written again. Records that the store recalls
// (storage.Recaller) are not read first; where that did not lead to a swap they
// are, and their items are applied once more. Any other store is asked key by key. opts may
// be nil and holds for every item; its IfRevision must be 0 and its If nil, for no
// two resources share a revision.
//
// Where several items change one resource, the state in between is never stored:
// the result of such an item has the revision 0, and the last one's that of the
// record. If the write of the record fails, the first item that changes the record
// and every item after it get that error, even those that were invalid themselves,
// and even if only the last one made the record too large. Where the record was
// recalled, every item of it gets the error.
// A batch holds every document in memory, before and after each item; once the
// states of one resource have 64 MiB, further items of it fail with ErrBatchSize.
//
// The error, in place of a result, is [storage.ErrInvalid] for a tenant or
// options that are not valid, or [ErrBatchSize]. Everything else is in the items,
// also what the store or the context says of all of them.
func (c *Collection) CreateBatch(ctx context.Context, tenant storage.Tenant, documents [][]byte, opts *CreateOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &CreateOptions{}
	}
	b, err := c.newBatch(ctx, "create batch", tenant, len(documents), opts.IfRevision != 0 || opts.If != nil, opts.DryRun)
	if err != nil {
		return nil, err
	}
	for _, document := range documents {
		b.add(c.creating(tenant, document, opts))
	}
	return b.run(ctx), nil
}

// PatchBatch is [Collection.Patch] for many items, in the way of
// [Collection.CreateBatch]. opts may be nil and holds for every item; its
// IfRevision must be 0 and its If nil, each item has its own IfRevision.
func (c *Collection) PatchBatch(ctx context.Context, tenant storage.Tenant, items []PatchItem, opts *PatchOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &PatchOptions{}
	}
	b, err := c.newBatch(ctx, "patch batch", tenant, len(items), opts.IfRevision != 0 || opts.If != nil, opts.DryRun)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.IfRevision = item.IfRevision
		b.add(c.patching(tenant, item.ExternalID, item.Patch, &own))
	}
	return b.run(ctx), nil
}

// DeleteBatch is [Collection.Delete] for many items, in the way of
// [Collection.CreateBatch]: of several items with the same external id the first
// deletes the resource, and the others do not find it. opts may be nil; its
// IfRevision must be 0 and its If nil, each item has its own IfRevision.
func (c *Collection) DeleteBatch(ctx context.Context, tenant storage.Tenant, items []DeleteItem, opts *DeleteOptions) (*BatchResult, error) {
	if opts == nil {
		opts = &DeleteOptions{}
	}
	b, err := c.newBatch(ctx, "delete batch", tenant, len(items), opts.IfRevision != 0 || opts.If != nil, opts.DryRun)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		own := *opts
		own.IfRevision = item.IfRevision
		b.add(c.deleting(tenant, item.ExternalID, &own))
	}
	return b.run(ctx), nil
}

// A batch is the items of one call. writes, items and results are by position.
type batch struct {
	c      *Collection
	op     string
	tenant storage.Tenant
	start  time.Time
	dryRun bool
	writes []writing
	items  []ItemResult

	outcomesOnly bool // the results are to hold nothing else
}

// A group is the items of one external id.
type group struct {
	key       storage.Key
	items     []int          // positions, in their order
	old, next storage.Record // around its items; Revision 0 is absent
	keeping   int            // how many items come before the first that changes something
	recalled  bool           // old may be out of date
	again     bool           // to be done in the next round
}

// pending is the revision of a record that a batch has made and not stored yet.
// No caller has seen it, so it meets no precondition.
const pending = storage.Revision(math.MaxUint64)

func (c *Collection) newBatch(ctx context.Context, op string, tenant storage.Tenant, size int, conditional, dryRun bool) (*batch, error) {
	if err := c.checkBatch(op, tenant, size, conditional); err != nil {
		if c.onCall != nil {
			c.called(ctx, c.start(), Call{Op: op, Tenant: tenant, DryRun: dryRun, Err: err})
		}
		return nil, err
	}
	return &batch{
		c: c, op: op, tenant: tenant, start: c.start(), dryRun: dryRun,
		writes: slices.Grow(*writings.Get().(*[]writing), size), items: make([]ItemResult, size),
	}, nil
}

// writings are slices for batch.writes, empty. That of a batch of 1000 is a
// quarter of a megabyte, and to get it anew would be a tenth of the batch's time.
var writings = sync.Pool{New: func() any { return new([]writing) }}

// release gives the writes back. Larger ones are rare, and left to the collector.
func (b *batch) release() {
	if cap(b.writes) <= 2*DefaultMaxBatch {
		clear(b.writes) // they hold on to the requests
		writes := b.writes[:0]
		writings.Put(&writes)
	}
}

// checkBatch returns why a batch cannot be: what does not depend on its items.
func (c *Collection) checkBatch(op string, tenant storage.Tenant, size int, conditional bool) error {
	key := c.key(tenant, "")
	err := key.Scope().Validate()
	switch {
	case err != nil:
	case size > c.maxBatch:
		err = fmt.Errorf("%w: found %d, want at most %d", ErrBatchSize, size, c.maxBatch)
	case conditional:
		err = fmt.Errorf("%w: IfRevision or If for a whole batch", storage.ErrInvalid)
	}
	if err != nil {
		return fail(op, key, err)
	}
	return nil
}

// add takes the next item, or the reason why it has failed already.
func (b *batch) add(w writing, err error) {
	b.items[len(b.writes)].Err = err
	b.writes = append(b.writes, w)
}

// byKey yields the positions of the items that are left, those of one key
// together, and the keys in their order, so that two batches do not wait for each
// other crosswise in the store.
func (b *batch) byKey() iter.Seq[[]int] {
	// The ids stand beside the positions: sorting looks at nothing else.
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

// group returns the items of one key as a group.
func (b *batch) group(items []int) group { return group{key: b.writes[items[0]].key, items: items} }

// batchRounds is how often a batch tries to write what conflicts as one. Then
// each key that is left queues for itself.
const batchRounds = 3

func (b *batch) run(ctx context.Context) *BatchResult {
	if _, ok := b.c.store.(storage.BatchStore); ok {
		groups := make([]*group, 0, len(b.items))
		for items := range b.byKey() {
			g := b.group(items)
			groups = append(groups, &g)
		}
		b.write(ctx, groups)
	} else { // no round trips to save
		var g group
		for items := range b.byKey() {
			g = b.group(items)
			b.alone(ctx, &g, false)
		}
	}
	defer b.release()
	return b.result(ctx)
}

// write reads, changes and writes the records of all groups at once.
func (b *batch) write(ctx context.Context, groups []*group) {
	locked := b.c.feed != nil && !b.dryRun
	if locked {
		// Held while the keys are written, so that the feed hears of the
		// changes of each in their order.
		unlock, err := b.c.locks.LockAll(ctx, keysOf(groups))
		if err != nil {
			for _, g := range groups {
				b.failAll(g, err)
			}
			return
		}
		defer unlock()
	}
	for n := range batchRounds {
		if groups = b.round(ctx, groups, n == 0); len(groups) == 0 {
			return
		}
	}
	for _, g := range groups {
		b.alone(ctx, g, locked)
	}
}

func keysOf(groups []*group) []storage.Key {
	keys := make([]storage.Key, len(groups))
	for i, g := range groups {
		keys[i] = g.key
	}
	return keys
}

// read returns the records of the groups. In the first round it does not read
// those that the store recalls (storage.Recaller), and says so in the groups; a dry
// run, which ends with no swap, reads all.
func (b *batch) read(ctx context.Context, groups []*group, first bool) ([]storage.Record, error) {
	recaller, ok := b.c.store.(storage.Recaller)
	if !ok || !first || b.dryRun {
		for _, g := range groups {
			g.recalled = false
		}
		return storage.GetMany(ctx, b.c.store, keysOf(groups))
	}
	records := make([]storage.Record, len(groups))
	var unknown []*group
	for i, g := range groups {
		if records[i], g.recalled = recaller.Recall(g.key); !g.recalled {
			unknown = append(unknown, g)
		}
	}
	read, err := storage.GetMany(ctx, b.c.store, keysOf(unknown))
	if err != nil {
		return nil, err
	}
	for i, g := range groups {
		if !g.recalled {
			records[i], read = read[0], read[1:]
		}
	}
	return records, nil
}

// round reads the records of the groups, writes what changes, and returns the
// groups that are to be done again: somebody else was faster, or a record was
// recalled and no swap has shown that it is the stored one.
func (b *batch) round(ctx context.Context, groups []*group, first bool) (again []*group) {
	records, err := b.read(ctx, groups, first)
	if err != nil {
		for _, g := range groups {
			b.failAll(g, err)
		}
		return nil
	}
	var swaps swaps
	for i, g := range groups {
		g.again = false
		switch b.fold(g, records[i]) {
		case storage.ErrNoChange:
			if g.again = g.recalled; !g.again {
				b.settle(g)
			}
		case storage.ErrDelete:
			swaps.deleting = append(swaps.deleting, g)
			swaps.deletes = append(swaps.deletes, storage.DeleteOp{Key: g.key, Expect: g.old.Revision})
		default:
			if swaps.puts == nil { // most often there is one for each group
				swaps.putting = make([]*group, 0, len(groups)-i)
				swaps.puts = make([]storage.PutOp, 0, len(groups)-i)
			}
			swaps.putting = append(swaps.putting, g)
			swaps.puts = append(swaps.puts, storage.PutOp{Record: g.next, Expect: g.old.Revision})
		}
	}
	swaps.run(ctx, b.c.store, func(g *group, rev storage.Revision, err error) {
		switch {
		case err == nil:
			g.next.Revision = rev
			b.settle(g)
		case errors.Is(err, storage.ErrUnknownOutcome):
			b.failWrites(g, err)
		case errors.Is(err, storage.ErrConflict), errors.Is(err, storage.ErrNotFound): // deleted by somebody else
			g.again = true
		case g.recalled && !errors.Is(err, storage.ErrUnavailable): // of the stored record the store may take it
			g.again = true
		default:
			b.failWrites(g, err)
		}
	})
	for _, g := range groups { // in their order, whatever the reason
		if g.again {
			again = append(again, g)
		}
	}
	return again
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

// alone writes a group in the queue of its key, which may be held already.
func (b *batch) alone(ctx context.Context, g *group, locked bool) {
	if !locked && !b.dryRun {
		lock, err := b.c.locks.Lock(ctx, g.key)
		if err != nil {
			b.failAll(g, err)
			return
		}
		defer lock.Unlock()
	}
	g.recalled, g.keeping = false, 0 // what was found out before is of no use any more
	rec, err := storage.Update(ctx, b.c.reading, g.key, func(old storage.Record) (storage.Record, error) {
		err := b.fold(g, old)
		return g.next, err
	})
	if err != nil {
		b.failWrites(g, err)
		return
	}
	if g.next.Revision != 0 {
		g.next.Revision = rec.Revision
	}
	b.settle(g)
}

// maxFolded is how many bytes of documents the results of one resource's items
// may hold together.
const maxFolded = 64 << 20

// fold applies the items of a group to a record, each to what the one before it
// made, and says in b.items what became of them. The error is storage.ErrNoChange
// when nothing is to be written, and storage.ErrDelete when the record is to be
// deleted; else g.next is to be put.
func (b *batch) fold(g *group, old storage.Record) error {
	current, size := old, 0
	g.keeping = len(g.items)
	for k, i := range g.items {
		if size > maxFolded {
			b.items[i] = ItemResult{Err: b.fail(g.key, fmt.Errorf("%w: the states of one resource are too large together", ErrBatchSize))}
			continue
		}
		result := new(Result)
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
			b.items[i] = ItemResult{Err: b.writes[i].fail(current, err)}
			continue
		}
		if err != storage.ErrNoChange {
			g.keeping = min(g.keeping, k)
		}
		if b.outcomesOnly {
			result = &Result{Outcome: result.Outcome}
		} else if len(g.items) > 1 {
			size += len(result.record.Data) + len(result.shown)
		}
		b.items[i] = ItemResult{Result: result}
	}
	g.old, g.next = old, current
	switch {
	case b.dryRun:
		g.next = old
		return storage.ErrNoChange
	case current.Revision == old.Revision:
		return storage.ErrNoChange
	case current.Revision == 0:
		return storage.ErrDelete
	}
	return nil
}

// settle gives the items of a group the revision that the record has now. A
// state that was replaced within the batch has none.
func (b *batch) settle(g *group) {
	if g.next.Revision != g.old.Revision {
		b.c.feed.add(b.c.schema, g.old, g.next)
	}
	b.setRevision(g, g.next.Revision)
}

func (b *batch) setRevision(g *group, rev storage.Revision) {
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

// failWrites gives the error of a write to the item that made it necessary, and to
// all behind it: they were judged by a state that was never stored. Where the
// record was recalled, that may be so for each of them.
func (b *batch) failWrites(g *group, err error) {
	if g.recalled {
		g.keeping = 0
	}
	for _, i := range g.items[g.keeping:] {
		b.items[i] = ItemResult{Err: b.fail(g.key, err)}
	}
}

// failAll gives the error to all items of a group: it could not even be read.
func (b *batch) failAll(g *group, err error) {
	g.keeping = 0
	b.failWrites(g, err)
}

func (b *batch) fail(key storage.Key, err error) error { return fail(b.op, key, err) }

// result counts what became of the items.
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
