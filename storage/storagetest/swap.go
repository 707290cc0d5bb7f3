package storagetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// revisionRounds is how often a key is created and deleted to find a revision
// that comes back.
const revisionRounds = 1000

var swapCases = []testCase{
	{"swap/put", "Put stores the record if the revision of its key is the expected one, 0 for absent, and otherwise changes nothing and returns ErrConflict.", casePut},
	{"swap/delete", "Delete removes the record if its revision is the expected one, and otherwise changes nothing: ErrNotFound when the key is absent, ErrConflict when the revision is another, ErrInvalid for 0.", caseDelete},
	{"swap/revision-unique", "No revision is given to one key twice, not after delete and re-create either.", caseRevisionUnique},
	{"swap/stale-after-recreate", "A writer with the revision of a record that was deleted can neither change nor delete the record that was created after it.", caseStaleAfterRecreate},
}

// situation brings a key into one of the states of the table and tells which
// revisions it had.
type situation struct {
	state   string
	present *storage.Record // nil when absent
	last    storage.Revision
	old     storage.Revision // before last; 0 if there was none
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
	const pattern = 0x5A5A5A5A5A5A5A5A
	all := map[string]storage.Revision{
		"0":        0,
		"random":   s.last ^ pattern,
		"greatest": ^storage.Revision(0),
		"next":     s.last + 1_000_000,
	}
	if s.last != 0 {
		all["current"], all["old"] = s.last, s.old
	}
	return all
}

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
	n := 0
	for _, column := range []string{"0", "current", "old", "random", "greatest", "next"} {
		n++
		for key, s := range e.situations(store, fmt.Sprint(n, "-")) {
			expect, ok := s.expectations()[column]
			if !ok {
				continue
			}
			cell := s.state + ", expect " + column
			rec := record(key, "third")
			applies := expect == 0 && s.present == nil || expect != 0 && s.present != nil && expect == s.last
			if applies {
				rev, err := put(store, rec, expect)
				require.NoError(e, err, cell)
				for _, earlier := range []storage.Revision{0, s.last, s.old} {
					require.NotEqual(e, earlier, rev, "%s: the new revision", cell)
				}
				rec.Revision = rev
				e.holds(store, rec)
				continue
			}
			_, err := store.Put(context.Background(), rec, expect)
			require.ErrorIs(e, err, storage.ErrConflict, cell)
			e.checkConflict(err, s)
			e.check(store, key, s)
		}
	}
}

func caseDelete(e *env) {
	store := e.open()
	n := 0
	for _, column := range []string{"0", "current", "old", "random", "greatest", "next"} {
		n++
		for key, s := range e.situations(store, fmt.Sprint(n, "-")) {
			expect, ok := s.expectations()[column]
			if !ok {
				continue
			}
			cell := s.state + ", expect " + column
			switch {
			case expect == 0:
				require.ErrorIs(e, remove(store, key, 0), storage.ErrInvalid, cell)
			case s.present == nil:
				require.ErrorIs(e, remove(store, key, expect), storage.ErrNotFound, cell)
			case expect == s.last:
				require.NoError(e, remove(store, key, expect), cell)
				s.present = nil
			default:
				err := store.Delete(context.Background(), key, expect)
				require.ErrorIs(e, err, storage.ErrConflict, cell)
				e.checkConflict(err, s)
			}
			e.check(store, key, s)
		}
	}
}

func caseRevisionUnique(e *env) {
	store := e.open()
	seen := make(map[storage.Revision]bool)
	note := func(rec storage.Record) storage.Record {
		if seen[rec.Revision] {
			e.fatalf("revision %d came twice, after %d others", rec.Revision, len(seen))
		}
		seen[rec.Revision] = true
		return rec
	}
	key := testKey("again")
	for range revisionRounds {
		rec := note(e.mustPut(store, record(key, "a"), 0))
		rec = note(e.mustPut(store, record(key, "b"), rec.Revision))
		e.mustDelete(store, rec)
	}
}

func caseStaleAfterRecreate(e *env) {
	store := e.open()
	key := testKey("recreated")
	stale := e.mustPut(store, record(key, "deleted"), 0)
	e.mustDelete(store, stale)
	current := e.mustPut(store, record(key, "created again"), 0)

	_, err := store.Put(context.Background(), record(key, "resurrected"), stale.Revision)
	require.ErrorIs(e, err, storage.ErrConflict)
	require.ErrorIs(e, store.Delete(context.Background(), key, stale.Revision), storage.ErrConflict)
	e.holds(store, current)
}
