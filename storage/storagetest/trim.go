package storagetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// expired fails unless the cursor is ErrExpired for every query.
func (e *env) expired(store storage.Store, after storage.Cursor, why string) {
	for _, q := range []storage.ChangeQuery{{}, {Scope: testScope}, {Scope: testScope, ExternalID: "a"}, {Scope: confusableScopes()[0]}} {
		q.After, q.Limit = after, 10
		for _, q.Backwards = range []bool{false, q.ExternalID != ""} {
			page, err := store.Changes(context.Background(), q)
			require.ErrorIs(e, err, storage.ErrExpired, "%s: %d changes", why, len(page.Changes))
		}
	}
}

func caseLogExpired(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	h := newHistory()
	start := e.logEnd(store, storage.ChangeQuery{})
	for i := range 5 {
		e.mustLog(store, h, noted(h.next(testKey("a"), "x", nil), fmt.Sprint(i), 0))
	}
	all := e.logged(store, storage.ChangeQuery{})
	end := e.logMark(store)
	for _, c := range append([]storage.Cursor{start, end}, all[0].Cursor, all[2].Cursor) {
		_, err := store.Changes(context.Background(), storage.ChangeQuery{After: c, Limit: 10})
		require.NoError(e, err, "a cursor of the log")
		// As of another log, whose change at this position has another revision.
		e.expired(store, storage.Cursor{Position: c.Position, Revision: c.Revision + 1}, "a cursor with another revision")
	}
	for _, ahead := range []int64{1, 1000, 1 << 40} {
		e.expired(store, storage.Cursor{Position: end.Position + ahead, Revision: end.Revision}, "a cursor ahead of the log")
	}
}

func caseLogTrim(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h := context.Background(), newHistory()
	trim := func(minutes int) {
		require.NoError(e, store.Trim(ctx, testTime.Add(time.Duration(minutes)*time.Minute), storage.Cursor{}), "trim")
	}
	// trimmed trims until the log begins with the change of this number: a store may not
	// remove at once what another handle on it has just read.
	trimmed := func(minutes, first int) {
		var left []storage.Change
		for begun := time.Now(); time.Since(begun) < patience; time.Sleep(10 * time.Millisecond) {
			trim(minutes)
			if left = e.logged(store, storage.ChangeQuery{}); len(left) <= len(h.changes)-first {
				break
			}
		}
		e.sameChanges(h.changes[first:], left)
	}
	start := e.logEnd(store, storage.ChangeQuery{})
	trim(1000)
	require.Equal(e, start, e.logEnd(store, storage.ChangeQuery{}), "end of an empty log after Trim")

	// The times of changes do not ascend with them.
	for i, minute := range []int{0, 1, 2, 60, 3, 0, 70, 1} {
		e.mustLog(store, h, noted(h.next(testKey([]string{"a", "b"}[i%2]), "x", nil), fmt.Sprint(i), minute))
	}
	all := e.logged(store, storage.ChangeQuery{})
	e.sameChanges(h.changes, all)
	trim(0)
	e.sameChanges(all, e.logged(store, storage.ChangeQuery{After: start}))
	trimmed(10, 3) // up to the one of 60; those after it stay
	e.expired(store, start, "a cursor from before the log")
	for i, c := range all {
		if i < 2 {
			e.expired(store, c.Cursor, "a cursor older than what Trim left")
			continue
		}
		e.sameChanges(all[i+1:], e.logged(store, storage.ChangeQuery{After: c.Cursor}))
		q := storage.ChangeQuery{Scope: testScope, ExternalID: "a", After: c.Cursor}
		rest := slices.DeleteFunc(slices.Clone(all[i+1:]), func(c storage.Change) bool { return !q.Match(c.Key) })
		e.sameChanges(rest, e.logged(store, q))
	}
	trim(60) // made at the time, and so it stays
	e.sameChanges(all[3:], e.logged(store, storage.ChangeQuery{}))
	trimmed(61, 6)
	e.expired(store, all[4].Cursor, "a cursor older than what Trim left")
	e.sameChanges(all[6:], e.logged(store, storage.ChangeQuery{After: all[5].Cursor}))

	// All of it.
	trimmed(1000, len(h.changes))
	e.expired(store, all[6].Cursor, "a cursor of a log that is empty since")
	end := e.logEnd(store, storage.ChangeQuery{})
	require.Greater(e, end.Position, all[7].Cursor.Position, "position of the end of the log, after Trim")
	before := len(h.changes)
	e.mustLog(store, h, noted(h.next(testKey("a"), "x", nil), "later", 0))
	e.sameChanges(h.changes[before:], e.logged(store, storage.ChangeQuery{After: end}))
	for key, one := range h.shelf {
		got, err := store.Get(ctx, key)
		require.NoError(e, err)
		e.same(one.rec, got)
	}
}

func caseLogTrimEnd(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h := context.Background(), newHistory()
	start := e.logEnd(store, storage.ChangeQuery{})
	for i, minute := range []int{0, 1, 2, 3, 60, 5, 6} {
		e.mustLog(store, h, noted(h.next(testKey([]string{"a", "b"}[i%2]), "x", nil), fmt.Sprint(i), minute))
	}
	all := e.logged(store, storage.ChangeQuery{})
	at := func(minutes int) time.Time { return testTime.Add(time.Duration(minutes) * time.Minute) }
	unknown := func(why string, end storage.Cursor, first int) {
		require.ErrorIs(e, store.Trim(ctx, at(1000), end), storage.ErrExpired, why)
		e.sameChanges(all[first:], e.logged(store, storage.ChangeQuery{}))
	}
	trimmed := func(minutes int, end storage.Cursor, first int) {
		require.NoError(e, store.Trim(ctx, at(minutes), end))
		e.sameChanges(all[first:], e.logged(store, storage.ChangeQuery{}))
	}
	unknown("an end with another revision", storage.Cursor{Position: all[1].Cursor.Position, Revision: all[1].Cursor.Revision + 1}, 0)
	unknown("an end ahead of the log", storage.Cursor{Position: all[6].Cursor.Position + 1000, Revision: 1}, 0)
	for _, end := range []storage.Cursor{{Position: 1}, {Revision: 1}, {Position: -1, Revision: 1}} {
		require.ErrorIs(e, store.Trim(ctx, at(1000), end), storage.ErrInvalid, "%+v", end)
	}
	trimmed(1000, start, 0) // where the log begins
	trimmed(1000, all[1].Cursor, 2)
	trimmed(1000, all[1].Cursor, 2) // it is where the log begins now
	unknown("an end that was trimmed", all[0].Cursor, 2)
	unknown("an end from before the log", start, 2)
	trimmed(3, all[6].Cursor, 3)
	trimmed(10, all[5].Cursor, 4) // up to the one of 60
	trimmed(1000, all[5].Cursor, 6)
	e.sameChanges(all[6:], e.logged(store, storage.ChangeQuery{After: all[5].Cursor}))
}
