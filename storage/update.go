package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// The bounds of Update. The first retries come at once, since most conflicts are with a
// single writer. After that the pauses double up to maxPause, so that many writers of one
// key spread out until most attempts succeed: of 64 writers on a store that needs 2 ms
// for a write, about every tenth attempt succeeds. All pauses together take some seconds
// at most.
const (
	maxAttempts = 256
	atOnce      = 2 // retries without a pause
	firstPause  = 25 * time.Microsecond
	maxPause    = 20 * time.Millisecond
)

// Update changes the record of a key, and returns it as it was written, with its new
// revision: it reads the record, calls fn to make the new one, and writes that if no other
// write came in between; otherwise it starts again with the newer record. It takes no
// lock: any number of Updates of one key can run at the same time, in any number of
// processes, and no change is lost.
//
// fn gets the record, or one with only Key set and Revision 0 if the key is absent. The
// record that it returns is written, except that Revision is ignored, an unset Key is
// filled in, and an existing record keeps its ID and CreatedAt. fn may be called several
// times, and only its last result counts. It must not change old.Data: Data must be a new
// slice. The record is written without entries and without a note; [UpdateWith] has them.
//
//   - If fn returns [ErrNoChange], nothing is written, and Update returns the record
//     that fn got and no error. Revision 0 then means that the key is absent.
//   - If fn returns [ErrDelete], the record is deleted, and Update returns it as it was
//     and no error. For an absent key this is the same as ErrNoChange.
//   - If fn returns another error, also one that wraps these two, nothing is written,
//     and Update returns that error as it is.
//
// All other errors are an [*OpError]. Conflicts are retried, after a random pause from
// the third on; after 256 attempts the error matches [ErrAttempts] and [ErrConflict].
// Every other error of the store is returned at once, [ErrUnavailable] among them: the
// caller decides whether to try again. A context that ends during a pause returns its
// error. [ErrInvalid] is for a key that is not valid, and for a record of fn with another
// key.
//
// When the answer to a write is lost, Update reads the record, unless the context has
// ended. If it has the revision that was written, Update succeeded. If it still has the
// one from before, and the store says that the write has ended ([ErrEnded]), the error is
// ErrUnavailable. Otherwise it is [ErrUnknownOutcome]: also of a delete or a create after
// which the key is absent, since another writer may have deleted the record.
//
// If the store is a [Recaller], the first call of fn may get a record that is out of
// date. Its result counts only if it leads to a write that succeeds, or that fails with
// ErrUnavailable or ErrUnknownOutcome. Otherwise Update reads the record and calls fn
// again.
func Update(ctx context.Context, store Store, key Key, fn func(old Record) (Record, error)) (Record, error) {
	return UpdateWith(ctx, store, key, func(old Record) (Write, error) {
		rec, err := fn(old)
		if err == ErrDelete {
			return Write{Delete: true}, nil
		}
		return Write{Record: rec}, err
	})
}

// UpdateWith is [Update] for records with entries, and for changes that are logged: fn
// returns the whole write. Expect is ignored. A Write with Delete takes the place of
// ErrDelete; for an absent key it writes nothing.
func UpdateWith(ctx context.Context, store Store, key Key, fn func(old Record) (Write, error)) (Record, error) {
	rec, err := update(ctx, store, key, fn)
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// update is UpdateWith, which returns a record with an error too: the one that fn got
// last, or the zero Record if there is none or it was recalled.
func update(ctx context.Context, store Store, key Key, fn func(old Record) (Write, error)) (Record, error) {
	if err := key.Validate(); err != nil {
		return Record{}, updateError(key, err)
	}
	old, recalled := recall(store, key)
	err := ctx.Err()
	if !recalled {
		old, err = getOrAbsent(ctx, store, key)
	}
	for attempt := 1; err == nil; attempt++ {
		w, fnErr := fn(old)
		next, done := swapOf(key, old, w, fnErr)
		if done {
			if !recalled {
				return old, next.err
			}
			recalled = false // only a write can show that it is the stored record
			old, err = getOrAbsent(ctx, store, key)
			continue
		}
		swapErr := next.outcome(write(ctx, store, next.Write))
		if errors.Is(swapErr, ErrUnknownOutcome) && ctx.Err() == nil {
			if rec, err := getOrAbsent(ctx, store, key); err == nil {
				swapErr = next.settle(rec, swapErr)
			}
		}
		seen := old
		if recalled {
			seen = Record{}
		}
		switch {
		case swapErr == nil:
			return next.result(old), nil
		case final(swapErr, recalled):
			return seen, updateError(key, swapErr)
		case attempt == maxAttempts:
			return seen, updateError(key, fmt.Errorf("%w: %w", ErrAttempts, swapErr))
		}
		recalled = false
		old, err = afterConflict(ctx, store, key, attempt, swapErr)
	}
	return Record{}, updateError(key, err)
}

// UpdateResult is the result of [UpdateMany] for one key.
type UpdateResult struct {
	// Record is the record that Update returns. If Err is not nil, it is the one that fn
	// got last. It is the zero Record if fn got none, or if that may be out of date.
	Record Record
	Err    error // the error that Update returns
}

// updateRounds is how often UpdateMany tries conflicting keys as a batch.
const updateRounds = 3

// UpdateMany is [UpdateWith] for many keys in few round trips. fn is called with the
// position of a key and its record. It returns one result per key, in the order of the
// keys. The keys are independent: one may fail while the others are changed.
//
// The store is asked twice for each [MaxBatch] keys: for all records, and to write all
// that change. Only records that another process changed in between are read and written
// again; after three rounds each of them is updated by itself.
//
// An error in place of the results means that nothing was written: a key is not valid
// ([ErrInvalid]) or comes twice ([ErrDuplicateKey]), or the context was done already.
//
// Two batches with common keys cost the least if both are sorted by key.
func UpdateMany(
	ctx context.Context, store Store, keys []Key, fn func(i int, old Record) (Write, error),
) ([]UpdateResult, error) {
	if err := checkMany(ctx, len(keys), func(i int) *Key { return &keys[i] }); err != nil {
		return nil, &OpError{Op: "update many", Err: err}
	}
	u := updates{store: store, keys: keys, fn: fn}
	left := make([]pending, 0, min(MaxBatch, len(keys)))
	for first := 0; first < len(keys); first += MaxBatch {
		left = left[:0]
		for i := first; i < min(first+MaxBatch, len(keys)); i++ {
			p := pending{i: i}
			if rec, ok := recall(store, keys[i]); ok {
				old := rec // else each rec would be allocated
				p.old, p.recalled = &old, true
			}
			left = append(left, p)
		}
		for round := 0; round < updateRounds && len(left) > 0; round++ {
			left = u.round(ctx, left)
		}
		for _, p := range left {
			r := &u.results[p.i]
			r.Record, r.Err = update(ctx, store, keys[p.i], func(old Record) (Write, error) { return fn(p.i, old) })
		}
	}
	return u.results, nil
}

// updates is one UpdateMany.
type updates struct {
	store   Store
	keys    []Key
	fn      func(i int, old Record) (Write, error)
	results []UpdateResult // made after the first read, which takes as much memory
}

// pending is a key of UpdateMany that is not settled.
type pending struct {
	i        int // its position
	old      *Record
	recalled bool // old is recalled
	writes   bool // in this round
	again    bool // in the next round
}

// round reads the records that were not recalled, writes those that change, and returns
// the keys that are not settled then, in their order.
func (u *updates) round(ctx context.Context, left []pending) []pending {
	err := u.read(ctx, left)
	if u.results == nil {
		u.results = make([]UpdateResult, len(u.keys))
	}
	if err != nil {
		for _, p := range left {
			u.results[p.i] = UpdateResult{Err: updateError(u.keys[p.i], err)}
		}
		return nil
	}
	var writes []Write
	for n := range left {
		p := &left[n]
		w, err := u.fn(p.i, *p.old)
		next, done := swapOf(u.keys[p.i], *p.old, w, err)
		if p.writes = !done; done {
			p.again = p.recalled // only a write can show that the record is the stored one
			u.results[p.i] = UpdateResult{*p.old, next.err}
			continue
		}
		if writes == nil { // most often there is one for each key
			writes = make([]Write, 0, len(left)-n)
		}
		writes = append(writes, next.Write)
	}
	if len(writes) > 0 {
		errs := u.write(ctx, writes)
		for n := range left {
			if left[n].writes {
				var err error
				if errs != nil {
					err, errs = errs[0], errs[1:]
				}
				u.settle(&left[n], writes[0], err)
				writes = writes[1:]
			}
		}
	}
	left = slices.DeleteFunc(left, func(p pending) bool { return !p.again })
	for n := range left {
		left[n].recalled = false
	}
	return left
}

// read reads the records that were not recalled.
func (u *updates) read(ctx context.Context, left []pending) error {
	keys := u.keys[left[0].i : left[len(left)-1].i+1]
	if len(keys) > len(left) || slices.ContainsFunc(left, func(p pending) bool { return p.recalled }) {
		keys = make([]Key, 0, len(left))
		for _, p := range left {
			if !p.recalled {
				keys = append(keys, u.keys[p.i])
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	records, err := u.store.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	if len(records) != len(keys) {
		return errResults
	}
	for n := range left {
		if p := &left[n]; !p.recalled {
			p.old, records = &records[0], records[1:]
		}
	}
	return nil
}

// settle notes the result of a write.
func (u *updates) settle(p *pending, w Write, err error) {
	p.again = !final(err, p.recalled)
	r := &u.results[p.i]
	r.Err = updateError(u.keys[p.i], err)
	switch {
	case err == nil:
		r.Record = (&swap{Write: w}).result(*p.old)
	case !p.recalled:
		r.Record = *p.old
	}
}

// write makes the writes and returns one error for each, or nil if all were applied. It
// reads the records of those whose answer was lost.
func (u *updates) write(ctx context.Context, writes []Write) []error {
	errs, err := u.store.Write(ctx, writes)
	switch {
	case err == nil && errs == nil:
		return nil
	case err == nil && len(errs) != len(writes):
		err = fmt.Errorf("%w: %w", ErrUnknownOutcome, errResults)
	}
	if err != nil {
		errs = make([]error, len(writes))
		for i := range errs {
			errs[i] = err
		}
	}
	var (
		lost   []int
		unsure []Key
	)
	for i, err := range errs {
		if err == nil {
			continue
		}
		errs[i] = (&swap{Write: writes[i]}).outcome(err)
		if errors.Is(errs[i], ErrUnknownOutcome) {
			lost, unsure = append(lost, i), append(unsure, writes[i].Record.Key)
		}
	}
	if len(lost) > 0 && ctx.Err() == nil {
		if records, err := u.store.GetMany(ctx, unsure); err == nil && len(records) == len(lost) {
			for k, i := range lost {
				errs[i] = (&swap{Write: writes[i]}).settle(records[k], errs[i])
			}
		}
	}
	return errs
}

func updateError(key Key, err error) error {
	if err == nil {
		return nil
	}
	return opError("update", key, err)
}

// A swap is the consequence of what fn returned.
type swap struct {
	Write
	err error // of an update that is done
}

// swapOf returns the swap for a record and the result of fn, or that the update is done.
func swapOf(key Key, old Record, w Write, err error) (_ swap, done bool) {
	switch {
	case err == ErrNoChange, err == nil && w.Delete && old.Revision == 0:
		return swap{}, true
	case err != nil:
		return swap{err: err}, true
	case w.Record.Key == Key{}:
		w.Record.Key = key
	case w.Record.Key != key:
		return swap{err: updateError(key, invalid("the record to write has another key"))}, true
	}
	if old.Revision != 0 {
		w.Record.ID, w.Record.CreatedAt = old.ID, old.CreatedAt
	}
	w.Expect, w.Record.Revision = old.Revision, NextRevision(old.Revision)
	return swap{Write: w}, false
}

// result returns the record as it was written, or old as it was deleted.
func (s *swap) result(old Record) Record {
	if s.Delete {
		return old
	}
	return s.Record
}

// outcome returns the error of a write: none if the conflicting record is the one that
// was written, by an attempt whose answer the store has lost.
func (s *swap) outcome(err error) error {
	if err == nil || s.Delete {
		return err
	}
	var c *ConflictError
	if errors.As(err, &c) && c.Current != nil && c.Current.Revision == s.Record.Revision {
		return nil
	}
	return err
}

// settle returns the error of a write whose outcome is unknown, given a record that was
// read after it.
func (s *swap) settle(rec Record, err error) error {
	switch {
	case !s.Delete && rec.Revision == s.Record.Revision:
		return nil
	case rec.Revision == s.Expect && s.Expect != 0 && errors.Is(err, ErrEnded):
		return &lostError{err} // no key gets a revision twice; absent it can be twice
	}
	return err
}

// lostError is an ErrUnavailable: a write whose answer was lost and that was not applied.
type lostError struct{ cause error }

func (e *lostError) Error() string        { return ErrUnavailable.Error() + ": " + e.cause.Error() }
func (e *lostError) Is(target error) bool { return target == ErrUnavailable }

// final reports whether a write that ended with err is the end of an update. A conflict
// is not. If the write was of a recalled record, neither is an error that the store might
// not return for the stored one.
func final(err error, recalled bool) bool {
	if err == nil || errors.Is(err, ErrUnknownOutcome) || errors.Is(err, ErrUnavailable) {
		return true
	}
	return !recalled && !errors.Is(err, ErrConflict)
}

// afterConflict returns the record for the next attempt. If that comes at once, the
// record in the conflict saves a read; after a pause it would be out of date.
func afterConflict(ctx context.Context, store Store, key Key, attempt int, conflict error) (Record, error) {
	if attempt <= atOnce {
		var c *ConflictError
		if errors.As(conflict, &c) && c.Current != nil && c.Current.Key == key {
			return *c.Current, ctx.Err()
		}
	} else if err := sleep(ctx, pause(attempt)); err != nil {
		return Record{}, err
	}
	return getOrAbsent(ctx, store, key)
}

// pause returns a random duration below a bound that doubles with each attempt: full
// jitter, so that writers which collided once do not stay in step.
func pause(attempt int) time.Duration {
	bound := maxPause
	if n := attempt - atOnce - 1; n < 10 { // 25 us << 10 is above maxPause
		bound = min(bound, firstPause<<n)
	}
	return rand.N(bound)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// getOrAbsent is Get, which returns an absent record as one of revision 0.
func getOrAbsent(ctx context.Context, store interface {
	Get(context.Context, Key) (Record, error)
}, key Key) (Record, error) {
	rec, err := store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return Record{Key: key}, nil
	}
	return rec, err
}
