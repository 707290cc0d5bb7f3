package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// The bounds of Update. The first retries come at once, since most conflicts
// are a single writer that was faster. After that the pauses double up to
// maxPause, so that many writers on one key spread out until most attempts
// succeed: 64 writers on a store that needs 2 ms for a write still win about
// every tenth attempt. All attempts together take some seconds at most, plus
// the time that the store itself needs.
const (
	maxAttempts = 256
	atOnce      = 2 // retries without a pause
	firstPause  = 25 * time.Microsecond
	maxPause    = 20 * time.Millisecond
)

// Update changes the record of a key: it reads it, lets fn make the new one,
// and puts that if nobody wrote in between; otherwise it starts again with the
// newer record. It returns the record as put, with its new revision. It holds
// no lock while fn runs, and any number of Updates on one key can run at the
// same time, in any number of processes, without losing a change.
//
// With a [Recaller] fn may first be given a record that is out of date, and what it
// makes of that counts only if the swap succeeds. If fn returns an error other than
// ErrDelete, or the swap one other than ErrUnavailable and ErrUnknownOutcome, Update
// reads the stored record and calls fn again. So an fn that refuses or changes
// nothing runs twice, even if nobody else wrote.
//
// fn is given the record, or one with only Key set and Revision 0 if the key is
// absent. What it returns is put as it is, except that Revision is ignored, an
// unset Key is filled in, and ID and CreatedAt stay those of a record that is
// there. fn may run several times and only its last result counts; it must not
// change old.Data, and must return a new slice.
//
//   - fn returns ErrNoChange: nothing is written, and Update returns the
//     record that fn was given and no error. Revision 0 then says that the
//     key is absent.
//   - fn returns ErrDelete: the record is deleted, and Update returns it as it
//     was and no error. For an absent key this is ErrNoChange.
//   - fn returns another error: nothing is written, and Update returns that
//     error as it is.
//   - fn returns a record with another key: ErrInvalid.
//
// Conflicts are retried, after a random pause from the third on; when the
// attempts (256) are used up the error matches ErrAttempts and ErrConflict.
// Every other error of the store, but for what is said of a Recaller, is returned
// at once, ErrUnavailable and ErrUnknownOutcome among them: trying again is the
// caller's decision, and after an unknown outcome it takes a fresh read. A context
// that ends during a pause gives its error. Errors other than fn's own are an
// *OpError.
func Update(ctx context.Context, store Store, key Key, fn func(old Record) (Record, error)) (Record, error) {
	fail := func(err error) (Record, error) {
		return Record{}, &OpError{Op: "update", Key: key, Err: err}
	}
	if err := key.Validate(); err != nil {
		return fail(err)
	}
	old, recalled := recall(store, key)
	err := ctx.Err()
	if !recalled {
		old, err = getOrAbsent(ctx, store, key)
	}
	for attempt := 1; err == nil; attempt++ {
		next, fnErr := fn(old)
		if recalled && !leadsToSwap(key, next, fnErr) {
			recalled = false // only a swap can show that the record is the stored one
			old, err = getOrAbsent(ctx, store, key)
			continue
		}
		var swapErr error
		switch {
		case errors.Is(fnErr, ErrNoChange), errors.Is(fnErr, ErrDelete) && old.Revision == 0:
			return old, nil
		case errors.Is(fnErr, ErrDelete):
			next, swapErr = old, remove(ctx, store, key, old.Revision)
		case fnErr != nil:
			return Record{}, fnErr
		default:
			next, swapErr = replace(ctx, store, key, old, next)
		}
		switch {
		case swapErr == nil:
			return next, nil
		case errors.Is(swapErr, ErrUnknownOutcome):
			return fail(swapErr)
		case recalled && !errors.Is(swapErr, ErrUnavailable): // of the stored record the store may take it
		case !errors.Is(swapErr, ErrConflict):
			return fail(swapErr)
		case attempt == maxAttempts:
			return fail(fmt.Errorf("%w: %w", ErrAttempts, swapErr))
		}
		recalled = false
		old, err = afterConflict(ctx, store, key, attempt, swapErr)
	}
	return fail(err)
}

// leadsToSwap reports whether Update swaps a record for what fn returned.
func leadsToSwap(key Key, next Record, fnErr error) bool {
	if fnErr == nil {
		return next.Key == key || next.Key == Key{}
	}
	return errors.Is(fnErr, ErrDelete) && !errors.Is(fnErr, ErrNoChange)
}

// replace puts the record in the place of the old one, and returns it as it is then.
func replace(ctx context.Context, store Store, key Key, old, rec Record) (_ Record, err error) {
	switch rec.Key {
	case key:
	case Key{}:
		rec.Key = key
	default:
		return rec, invalid("the record to put has another key")
	}
	if old.Revision != 0 {
		rec.ID, rec.CreatedAt = old.ID, old.CreatedAt
	}
	rec.Revision, err = store.Put(ctx, rec, old.Revision)
	return rec, err
}

// remove deletes the record. That somebody else has deleted it is a conflict
// like any other: what is to be done now is for fn to say.
func remove(ctx context.Context, store Store, key Key, expect Revision) error {
	err := store.Delete(ctx, key, expect)
	if errors.Is(err, ErrNotFound) {
		return ErrConflict
	}
	return err
}

// afterConflict returns the record to try again with. The record that came
// with the conflict saves a read when the retry is immediate; after a pause it
// would be stale.
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

// pause returns a random duration below a bound that doubles with each
// attempt: full jitter, so that writers which collided once do not stay in step.
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

// getOrAbsent is Get with an absent record as one of revision 0.
func getOrAbsent(ctx context.Context, store Store, key Key) (Record, error) {
	rec, err := store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return Record{Key: key}, nil
	}
	return rec, err
}
