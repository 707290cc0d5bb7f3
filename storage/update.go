package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

// Update changes the record of a key, and returns it as it was put, with its new
// revision: it reads the record, calls fn to make the new one, and puts that if no other
// write came in between; otherwise it starts again with the newer record. It takes no
// lock: any number of Updates of one key can run at the same time, in any number of
// processes, and no change is lost.
//
// fn gets the record, or one with only Key set and Revision 0 if the key is absent. The
// record that it returns is put, except that Revision is ignored, an unset Key is filled
// in, and an existing record keeps its ID and CreatedAt. fn may be called several times,
// and only its last result counts. It must not change old.Data: Data must be a new slice.
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
// Every other error of the store is returned at once, [ErrUnavailable] and
// [ErrUnknownOutcome] among them: the caller decides whether to try again, after an
// unknown outcome with a fresh read. A context that ends during a pause returns its
// error. [ErrInvalid] is for a key that is not valid, and for a record of fn with
// another key.
//
// If the store is a [Recaller], the first call of fn may get a record that is out of
// date. Its result counts only if it leads to a swap that succeeds, or that fails with
// ErrUnavailable or ErrUnknownOutcome. Otherwise Update reads the record and calls fn
// again.
func Update(ctx context.Context, store Store, key Key, fn func(old Record) (Record, error)) (Record, error) {
	rec, err := update(ctx, store, key, fn)
	if err != nil {
		return Record{}, err
	}
	return rec, nil
}

// update is Update, which returns a record with an error too: the one that fn got last,
// or the zero Record if there is none or it was recalled.
func update(ctx context.Context, store Store, key Key, fn func(old Record) (Record, error)) (Record, error) {
	if err := key.Validate(); err != nil {
		return Record{}, updateError(key, err)
	}
	old, recalled := recall(store, key)
	err := ctx.Err()
	if !recalled {
		old, err = getOrAbsent(ctx, store, key)
	}
	for attempt := 1; err == nil; attempt++ {
		next, fnErr := fn(old)
		op := swapOf(key, old, next, fnErr)
		if op.done {
			if !recalled {
				return op.result, op.err
			}
			recalled = false // only a swap can show that it is the stored record
			old, err = getOrAbsent(ctx, store, key)
			continue
		}
		rec, swapErr := op.run(ctx, store)
		seen := old
		if recalled {
			seen = Record{}
		}
		switch {
		case swapErr == nil:
			return rec, nil
		case settled(swapErr, recalled):
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
	// got last; or the zero Record if fn got none, or one that may be out of date.
	Record Record
	Err    error // the error that Update returns
}

// updateRounds is how often UpdateMany tries conflicting keys as a batch.
const updateRounds = 3

// UpdateMany is [Update] for many keys in few round trips. fn is called with the
// position of a key and its record. It returns one result per key, in the order of the
// keys. The keys are independent: one may fail while the others are changed.
//
// A store that takes batches is asked twice, or as often as its limits demand: for all
// records, and to swap all that changed. (Deletes go one by one to a store that is not a
// [BatchDeleter].) Only records that another process changed in between are read and
// written again; after three rounds each of them is updated by itself. Any other store
// is asked key by key.
//
// An error in place of the results means that nothing was written: a key is not valid
// ([ErrInvalid]) or comes twice ([ErrDuplicateKey]), or the context was done already.
//
// Two batches with common keys cost the least if both are sorted by key.
func UpdateMany(ctx context.Context, store Store, keys []Key, fn func(i int, old Record) (Record, error)) ([]UpdateResult, error) {
	if key, err := checkBatch(len(keys), func(i int) *Key { return &keys[i] }); err != nil {
		return nil, &OpError{Op: "update many", Key: key, Err: err}
	}
	if err := ctx.Err(); err != nil {
		return nil, &OpError{Op: "update many", Err: err}
	}
	left := make([]int, len(keys)) // positions of the keys that are not settled
	for i := range left {
		left[i] = i
	}
	u := updates{store: store, keys: keys, fn: fn}
	if _, ok := store.(BatchStore); !ok {
		u.results = make([]UpdateResult, len(keys))
	} else {
		for round := 0; round < updateRounds && len(left) > 0; round++ {
			left = u.round(ctx, left, round == 0)
		}
	}
	for _, i := range left {
		u.results[i].Record, u.results[i].Err = update(ctx, store, keys[i], func(old Record) (Record, error) { return fn(i, old) })
	}
	return u.results, nil
}

// updates is one UpdateMany.
type updates struct {
	store   Store
	keys    []Key
	fn      func(i int, old Record) (Record, error)
	results []UpdateResult // made after the first read, which takes as much memory
}

// round reads the records at the positions, swaps those that change, and returns the
// positions that are not settled then, in their order.
func (u *updates) round(ctx context.Context, positions []int, first bool) (left []int) {
	records, recalled, err := u.read(ctx, positions, first)
	if first {
		u.results = make([]UpdateResult, len(u.keys))
	}
	if err != nil {
		for _, i := range positions {
			u.results[i] = UpdateResult{Err: updateError(u.keys[i], err)}
		}
		return nil
	}
	var (
		puts             []PutOp
		deletes          []DeleteOp
		putting, deleted []int // indexes in positions
		ops              = make([]swap, len(positions))
		again            = make([]bool, len(positions))
	)
	for n, i := range positions {
		next, err := u.fn(i, records[n])
		op := swapOf(u.keys[i], records[n], next, err)
		ops[n] = op
		switch {
		case op.done:
			again[n] = recalled[n] // only a swap can show that the record is the stored one
			u.results[i] = UpdateResult{op.result, op.err}
		case op.delete:
			deletes, deleted = append(deletes, DeleteOp{Key: u.keys[i], Expect: op.expect}), append(deleted, n)
		default:
			if puts == nil { // most often there is one for each key
				puts, putting = make([]PutOp, 0, len(positions)-n), make([]int, 0, len(positions)-n)
			}
			puts, putting = append(puts, PutOp{Record: op.result, Expect: op.expect}), append(putting, n)
		}
	}
	settle := func(n int, rec Record, err error) {
		i := positions[n]
		again[n] = !settled(err, recalled[n])
		switch {
		case err == nil:
		case recalled[n]:
			rec = Record{}
		default:
			rec = records[n]
		}
		u.results[i] = UpdateResult{rec, updateError(u.keys[i], err)}
	}
	if len(puts) > 0 {
		results, err := PutMany(ctx, u.store, puts)
		for k, n := range putting {
			rec, swapErr := ops[n].result, err
			if err == nil {
				rec.Revision, swapErr = results[k].Revision, results[k].Err
			}
			settle(n, rec, swapErr)
		}
	}
	if len(deletes) > 0 {
		errs, err := DeleteMany(ctx, u.store, deletes)
		for k, n := range deleted {
			swapErr := err
			if err == nil {
				swapErr = gone(errs[k])
			}
			settle(n, ops[n].result, swapErr)
		}
	}
	for n, i := range positions {
		if again[n] {
			left = append(left, i)
		}
	}
	return left
}

// read returns the records at the positions, and which of them were recalled. In the
// first round it does not read records that the store recalls.
func (u *updates) read(ctx context.Context, positions []int, first bool) (records []Record, recalled []bool, err error) {
	recalled = make([]bool, len(positions))
	if _, ok := u.store.(Recaller); !ok && first {
		records, err = GetMany(ctx, u.store, u.keys)
		return records, recalled, err
	}
	records = make([]Record, len(positions))
	keys, places := make([]Key, 0, len(positions)), make([]int, 0, len(positions))
	for n, i := range positions {
		if first {
			records[n], recalled[n] = recall(u.store, u.keys[i])
		}
		if !recalled[n] {
			keys, places = append(keys, u.keys[i]), append(places, n)
		}
	}
	read, err := GetMany(ctx, u.store, keys)
	for k := range read {
		records[places[k]] = read[k]
	}
	return records, recalled, err
}

func updateError(key Key, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Op: "update", Key: key, Err: err}
}

// A swap is the consequence of what fn returned.
type swap struct {
	expect Revision // of the record that fn got
	delete bool
	result Record // the record to put; without a put, the one that fn got
	done   bool   // there is nothing to swap: result and err are the outcome
	err    error
}

// swapOf returns the swap for a record and the result of fn.
func swapOf(key Key, old, next Record, err error) swap {
	switch {
	case err == ErrNoChange, err == ErrDelete && old.Revision == 0:
		return swap{result: old, done: true}
	case err == ErrDelete:
		return swap{expect: old.Revision, delete: true, result: old}
	case err != nil:
		return swap{result: old, done: true, err: err}
	case next.Key == Key{}:
		next.Key = key
	case next.Key != key:
		return swap{result: old, done: true, err: updateError(key, invalid("the record to put has another key"))}
	}
	if old.Revision != 0 {
		next.ID, next.CreatedAt = old.ID, old.CreatedAt
	}
	return swap{expect: old.Revision, result: next}
}

// run makes the swap, and returns the record as it was put, or as it was deleted.
func (s *swap) run(ctx context.Context, store Store) (rec Record, err error) {
	rec = s.result
	if s.delete {
		err = gone(store.Delete(ctx, rec.Key, s.expect))
	} else {
		rec.Revision, err = store.Put(ctx, rec, s.expect)
	}
	if err != nil {
		rec = Record{}
	}
	return rec, err
}

// gone returns the error of a delete. An absent record is a conflict like any other: fn
// decides again.
func gone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return ErrConflict
	}
	return err
}

// settled reports whether a swap that ended with err is the end of an update. A conflict
// is not. If the swap was of a recalled record, neither is an error that the store might
// not return for the stored one.
func settled(err error, recalled bool) bool {
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
func getOrAbsent(ctx context.Context, store Store, key Key) (Record, error) {
	rec, err := store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return Record{Key: key}, nil
	}
	return rec, err
}
