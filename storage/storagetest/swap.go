package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var swapCases = []testCase{
	{"swap/put", "A write stores the record if the revision of its key is the expected one, 0 for absent, and otherwise changes nothing and fails with ErrConflict.", casePut},
	{"swap/delete", "A delete removes the record if its revision is the expected one, whatever else is in the write. Otherwise it changes nothing and fails: with ErrInvalid if it expects 0, else with ErrConflict.", caseDelete},
	{"swap/revision", "A record has the revision that the writer gave it, whatever revisions its key had before.", caseRevision},
	{"swap/revision-invalid", "A write whose revision is not above the expected one, or is above MaxInt64, fails with ErrInvalid, and nothing is written.", caseRevisionInvalid},
	{"swap/stale-after-recreate", "A writer with the revision of a record that was deleted can neither change nor delete the record that was created after it.", caseStaleAfterRecreate},
}

// situation brings a key into one of the states of the table and tells which revisions
// it had.
type situation struct {
	state   string
	present *storage.Record // nil when absent
	last    storage.Revision
	old     storage.Revision // the one before last; 0 if there was none
}

func (e *env) situations(store storage.Store, prefix string) map[storage.Key]situation {
	two := func(id string) (storage.Record, storage.Revision) {
		first := e.mustPut(store, record(testKey(id), "first"), 0)
		return e.mustPut(store, record(testKey(id), "second"), first.Revision), first.Revision
	}
	present, oldOfPresent := two(prefix + "present")
	deleted, oldOfDeleted := two(prefix + "deleted")
	e.mustDelete(store, deleted)
	return map[storage.Key]situation{
		testKey(prefix + "absent"): {state: "absent"},
		present.Key:                {state: "present", present: &present, last: present.Revision, old: oldOfPresent},
		deleted.Key:                {state: "deleted", last: deleted.Revision, old: oldOfDeleted},
	}
}

// expectations are the columns of the table: what a writer may expect.
func (s situation) expectations() map[string]storage.Revision {
	const pattern = 0x1A5A5A5A5A5A5A5A // leaves room for a next revision
	all := map[string]storage.Revision{
		"0":        0,
		"random":   s.last ^ pattern,
		"greatest": math.MaxInt64 - 1,
		"next":     s.last + 1_000_000,
	}
	if s.last != 0 {
		all["current"], all["old"] = s.last, s.old
	}
	return all
}

// columns are the names of the expectations.
var columns = []string{"0", "current", "old", "random", "greatest", "next"}

// check fails unless the key is still in the situation.
func (e *env) check(store storage.Store, key storage.Key, s situation) {
	if s.present == nil {
		e.absent(store, key)
		return
	}
	e.holds(store, *s.present)
}

// checkConflict fails if a conflict carries another record than the present one.
func (e *env) checkConflict(err error, s situation) {
	var c *storage.ConflictError
	if !errors.As(err, &c) || c.Current == nil {
		return
	}
	if s.present == nil {
		e.fatalf("a conflict on an absent key carries a record")
	}
	e.same(*s.present, *c.Current)
}

func casePut(e *env) {
	store := e.open()
	for n, column := range columns {
		for key, s := range e.situations(store, fmt.Sprint(n, "-")) {
			expect, ok := s.expectations()[column]
			if !ok {
				continue
			}
			cell := s.state + ", expect " + column
			w := storage.Write{Record: record(key, "third"), Expect: expect}
			w.Record.Revision = expect + 1 // the least, for which there is always room
			applies := expect == 0 && s.present == nil || expect != 0 && s.present != nil && expect == s.last
			if applies {
				require.NoError(e, settled(func() error { return write(context.Background(), store, w) }), cell)
				e.holds(store, w.Record)
				continue
			}
			err := write(context.Background(), store, w)
			require.ErrorIs(e, err, storage.ErrConflict, cell)
			e.checkConflict(err, s)
			e.check(store, key, s)
		}
	}
}

func caseDelete(e *env) {
	store := e.open()
	for n, column := range columns {
		for key, s := range e.situations(store, fmt.Sprint(n, "-")) {
			expect, ok := s.expectations()[column]
			if !ok {
				continue
			}
			cell := s.state + ", expect " + column
			w := storage.Write{Record: record(key, "of a delete"), Expect: expect, Delete: true}
			w.Record.Revision = expect + 1
			switch {
			case expect == 0:
				require.ErrorIs(e, write(context.Background(), store, w), storage.ErrInvalid, cell)
			case s.present != nil && expect == s.last:
				require.NoError(e, settled(func() error { return write(context.Background(), store, w) }), cell)
				s.present = nil
			default:
				err := write(context.Background(), store, w)
				require.ErrorIs(e, err, storage.ErrConflict, cell)
				require.NotErrorIs(e, err, storage.ErrNotFound, cell)
				e.checkConflict(err, s)
			}
			e.check(store, key, s)
		}
	}
}

func caseRevision(e *env) {
	store := e.open()
	// Each line is one life of two keys: the revisions from the create on.
	for _, life := range [][]storage.Revision{
		{1 << 40, 1<<40 + 1, 1 << 62},
		{1, 2, 3},
		{5, 1<<53 - 1, 1<<53 + 1},
		{2, 1<<31 + 1, 1 << 32},
		{1, math.MaxInt64 - 1, math.MaxInt64},
	} {
		alone, together := testKey("alone"), testKey("in a batch")
		var expect storage.Revision
		for _, rev := range life {
			set := func(key storage.Key) storage.Write {
				w := storage.Write{Record: record(key, fmt.Sprint("data of ", rev)), Expect: expect}
				w.Record.Revision = rev
				return w
			}
			e.mustWrite(store, set(alone))
			e.mustWrite(store, putOf(record(testKey(fmt.Sprintf("beside %d of %v", rev, life)), "x"), 0), set(together))
			e.holds(store, set(alone).Record)
			e.holds(store, set(together).Record)
			expect = rev
		}
		if expect < math.MaxInt64 { // else there is no next one, not even for a delete
			e.mustWrite(store, deleteOf(alone, expect), deleteOf(together, expect))
		}
	}
}

func caseRevisionInvalid(e *env) {
	ctx, store := context.Background(), e.open()
	present := e.mustPut(store, record(testKey("present"), "x"), 0)
	for _, tt := range []struct {
		key              storage.Key
		expect, revision storage.Revision
	}{
		{testKey("absent"), 0, 0},
		{testKey("absent"), 0, math.MaxInt64 + 1},
		{testKey("absent"), 0, math.MaxUint64},
		{testKey("absent"), 7, 7},
		{present.Key, present.Revision, 0},
		{present.Key, present.Revision, 1},
		{present.Key, present.Revision, present.Revision - 1},
		{present.Key, present.Revision, present.Revision},
		{present.Key, present.Revision, math.MaxInt64 + 1},
		{present.Key, present.Revision, math.MaxUint64},
		{present.Key, math.MaxUint64, 1},
	} {
		cell := fmt.Sprintf("revision %d over %d", tt.revision, tt.expect)
		w := storage.Write{Record: record(tt.key, "refused"), Expect: tt.expect}
		w.Record.Revision = tt.revision
		good := putOf(record(testKey("good"), "x"), 0)
		for _, deletes := range []bool{false, true} {
			if w.Delete = deletes; deletes {
				w.Record = storage.Record{Key: tt.key, Revision: tt.revision}
			}
			for _, batch := range [][]storage.Write{{w}, {good, w}, {w, good}} {
				errs, err := store.Write(ctx, batch)
				require.ErrorIs(e, err, storage.ErrInvalid, cell)
				require.Empty(e, errs, cell)
			}
		}
	}
	e.absent(store, testKey("absent"))
	e.absent(store, testKey("good"))
	e.holds(store, present)
}

func caseStaleAfterRecreate(e *env) {
	ctx, store := context.Background(), e.open()
	key := testKey("recreated")
	stale := e.mustPut(store, record(key, "deleted"), 0)
	e.mustDelete(store, stale)
	current := e.mustPut(store, record(key, "created again"), 0)

	require.ErrorIs(e, write(ctx, store, putOf(record(key, "resurrected"), stale.Revision)), storage.ErrConflict)
	require.ErrorIs(e, write(ctx, store, deleteOf(key, stale.Revision)), storage.ErrConflict)
	e.holds(store, current)
}
