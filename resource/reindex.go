package resource

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// A Reindexed is what a [Collection.Reindex] has done so far.
type Reindexed struct {
	Resources int // looked at, by this call

	// Duplicates are the resources whose unique value another one has: the IDs of at
	// most 100 for each field, by the JSON Pointer of the field. Until they are mended,
	// and Reindex has run again, the index of the field is not used.
	Duplicates map[string][]uuid.UUID

	// Damaged are resources whose stored document is not a JSON object: at most 100.
	Damaged []uuid.UUID
}

// maxReported is how many resources a Reindexed names.
const maxReported = 100

// reindexers is how many goroutines write entries.
const reindexers = 8

// Indexed reports whether lists use all indexes of the collection for a tenant. Otherwise
// run [Collection.Reindex]: the tenant has resources that are older than an index or were
// written by a collection without it, or duplicates, or has never been written to. It reads
// one record of the store.
//
// The error is [storage.ErrInvalid] for a tenant that is not valid, or that of the store.
func (c *Collection) Indexed(ctx context.Context, tenant storage.Tenant) (bool, error) {
	scope := c.key(tenant, "").Scope()
	err := scope.Validate()
	var state scopeState
	if err == nil && len(c.index) > 0 {
		state, err = c.readState(ctx, scope)
	}
	if err != nil {
		return false, opError("reindex", storage.Key{Tenant: tenant, Schema: scope.Schema}, err)
	}
	return state.all(c.index, ready), nil
}

// Reindex gives each resource of a tenant its entries, so that lists can use indexes that
// are new to the schema. Writes go on meanwhile. Revisions, times and documents stay, and
// nothing is logged.
//
// Run it after every process that writes has the new schema and options, and after records
// were changed or deleted by SQL. A call that ends early, by an error or the process, is
// continued by the next one, and two at once do no harm. For new unique fields it first
// waits two seconds, until all writers enforce them. progress, if not nil, is called from
// time to time with the sum so far; its error ends the call.
//
// The error is [storage.ErrInvalid] for a tenant that is not valid; [storage.ErrUnavailable]
// if a collection without one of the indexes writes meanwhile; that of progress or the
// store, or that of ctx when it ends. Duplicates are not an error.
func (c *Collection) Reindex(
	ctx context.Context, tenant storage.Tenant, progress func(Reindexed) error,
) (Reindexed, error) {
	r := &reindex{c: c, scope: c.key(tenant, "").Scope(), progress: progress}
	err := r.scope.Validate()
	if err == nil {
		err = r.run(ctx)
	}
	if err != nil {
		err = opError("reindex", storage.Key{Tenant: tenant, Schema: r.scope.Schema}, err)
	}
	return r.done, err
}

type reindex struct {
	c        *Collection
	scope    storage.Scope
	progress func(Reindexed) error
	id       uint64     // scopeState.Run
	state    scopeState // in which values are unique

	mu         sync.Mutex // for what follows
	done       Reindexed
	duplicates []uint32 // indexes with duplicates
}

// run tells the writers to make values unique, waits until all of them do, and gives every
// record its entries.
func (r *reindex) run(ctx context.Context) (err error) {
	if len(r.c.index) == 0 {
		return nil
	}
	r.state, err = r.c.changeState(ctx, r.scope, func(s *scopeState) error {
		s.only(r.c.index)
		if s.Run == 0 || !s.all(r.c.index, enforcing) {
			s.Run, s.After, s.Erased = rand.Uint64N(math.MaxUint64)+1, "", 0
		}
		for _, index := range r.c.index {
			if s.Indexes[index.name] == building {
				s.set(index, enforcing)
			}
		}
		r.id = s.Run
		return nil
	})
	if err != nil {
		return err
	}
	r.c.states.forget(r.scope.Tenant)
	if r.c.unique && !r.state.all(r.c.index, ready) {
		if err := wait(ctx, settleAge); err != nil {
			return err
		}
	}
	if err := r.pass(ctx); err != nil {
		return err
	}
	err = r.change(ctx, func(s *scopeState) {
		if s.Run == r.id { // otherwise another call has finished it
			for _, index := range r.c.index {
				s.set(index, ready)
			}
			s.Run, s.After, s.Erased = 0, "", 0
		}
		r.mark(s)
	})
	r.c.states.forget(r.scope.Tenant)
	return err
}

// change changes the state, unless a collection without the indexes has removed them.
func (r *reindex) change(ctx context.Context, change func(*scopeState)) error {
	_, err := r.c.changeState(ctx, r.scope, func(s *scopeState) error {
		s.only(r.c.index)
		if !s.all(r.c.index, enforcing) {
			return &reason{storage.ErrUnavailable, "another process writes with other indexes: it has another edition of the schema, or other options"}
		}
		change(s)
		return nil
	})
	return err
}

// mark takes the indexes with duplicates out of use.
func (r *reindex) mark(s *scopeState) {
	for _, index := range r.c.index {
		if slices.Contains(r.duplicates, index.number) {
			s.set(index, enforcing)
		}
	}
}

// recheck makes the values of a record unique if a Reindex may have come to it before it
// was written: one that shares a value, or that was written so long after the state was
// read that no Reindex has waited for it. The write has been made, so recheck has no
// error.
func (c *Collection) recheck(ctx context.Context, rec *storage.Record, op *writeOp) {
	late := c.unique && time.Since(op.state.read) >= settleAge && !op.state.all(c.index, enforcing)
	if !late && len(op.shared) == 0 {
		return
	}
	r := &reindex{c: c, scope: rec.Key.Scope()}
	var err error
	if r.state, err = c.readState(ctx, r.scope); err == nil && r.record(ctx, *rec) == nil && len(r.duplicates) > 0 {
		_ = r.change(ctx, r.mark)
	}
}

// pass gives every record after the place of the run its entries. Duplicates are not
// remembered by a later call, which therefore begins again. So it does if a resource was
// erased since the page was read: the place may be its id, which must not be stored.
func (r *reindex) pass(ctx context.Context) error {
	after := storage.Position{ExternalID: r.state.After}
	erased, seen := r.state.Erased, uint64(0)
	for {
		page, err := r.c.store.List(ctx, r.scope, storage.Range{After: after, Limit: storage.MaxPage})
		if err != nil {
			return err
		}
		if err := r.page(ctx, page.Records); err != nil {
			return err
		}
		r.done.Resources += len(page.Records)
		if r.progress != nil {
			if err := r.progress(r.done); err != nil {
				return err
			}
		}
		if after = page.Next; after.IsZero() {
			return nil
		}
		err = r.change(ctx, func(s *scopeState) {
			seen = s.Erased
			switch {
			case s.Run != r.id:
			case len(r.duplicates) > 0 || seen != erased:
				s.After = ""
			default:
				s.After = after.ExternalID
			}
		})
		if err != nil {
			return err
		}
		erased = seen
	}
}

// page gives the records of a page their entries, several at a time: stores write what
// waits together.
func (r *reindex) page(ctx context.Context, records []storage.Record) error {
	var (
		group sync.WaitGroup
		errs  [reindexers]error
	)
	for n := range reindexers {
		group.Go(func() {
			for i := n; i < len(records) && errs[n] == nil; i += reindexers {
				errs[n] = r.record(ctx, records[i])
			}
		})
	}
	group.Wait()
	return cmp.Or(errs[:]...)
}

// record gives a record its entries.
func (r *reindex) record(ctx context.Context, rec storage.Record) error {
	for attempt := 1; ; attempt++ {
		of, err := r.c.schema.AppendEntries(nil, rec.Data)
		if err != nil {
			r.report(func() {
				if len(r.done.Damaged) < maxReported {
					r.done.Damaged = append(r.done.Damaged, rec.ID)
				}
			})
			return nil
		}
		entries := r.c.entries(of, &rec, &r.state)
		err = r.c.store.SetEntries(ctx, rec.Key, rec.Revision, entries)
		var taken *storage.NotUniqueError
		for errors.As(err, &taken) {
			r.report(func() { r.duplicate(taken.Index, rec.ID) })
			for i := range entries {
				if entries[i].Index == taken.Index {
					entries[i].Unique = false
				}
			}
			err = r.c.store.SetEntries(ctx, rec.Key, rec.Revision, entries)
		}
		if !errors.Is(err, storage.ErrConflict) || attempt == maxReindexAttempts {
			return err
		}
		// It was changed meanwhile, and may have been by a writer that does not know the
		// index.
		rec, err = r.c.store.Get(ctx, rec.Key)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if attempt > 2 {
			if err := wait(ctx, time.Duration(attempt)*time.Millisecond); err != nil {
				return err
			}
		}
	}
}

// maxReindexAttempts is how often the entries of one record are set while others write
// it.
const maxReindexAttempts = 100

func (r *reindex) report(add func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	add()
}

// duplicate notes a record whose unique value another one has.
func (r *reindex) duplicate(index uint32, id uuid.UUID) {
	if !slices.Contains(r.duplicates, index) {
		r.duplicates = append(r.duplicates, index)
	}
	field := string(firstPointer(r.c.schema.NotUnique(index)))
	all := maps.Clone(r.done.Duplicates) // progress may have the one of before
	if all == nil {
		all = make(map[string][]uuid.UUID)
	}
	if ids := all[field]; len(ids) < maxReported && !slices.Contains(ids, id) {
		all[field] = append(slices.Clone(ids), id)
	}
	r.done.Duplicates = all
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
