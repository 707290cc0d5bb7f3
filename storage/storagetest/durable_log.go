package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// The cases of entries and the log for stores whose records outlive them. caseKill looks
// at both, too.
var (
	keptCases = []testCase{
		{"durable/entries", "Entries that were acknowledged are there after Close, and unique values are still taken.", caseReopenEntries},
		{"durable/log", "The log is there after Close, with its cursors, what Trim left, and the key of redacted ids.", caseReopenLog},
	}
	restoredCases = []testCase{
		{"restored/log", "A cursor of a log that is not in the copy, which the store was restored from, is ErrExpired, also when the log has passed its position again, and also of a change that Redact added.", caseRestoredLog},
	}
	blockedEntryCases = []testCase{
		{"blocked/entries", "A Write and a SetEntries of one record that were blocked together leave the entries of the one that came last.", caseBlockedEntries},
	}
	networkLogCases = []testCase{
		{"network/update", "Update settles a lost answer: it ends as applied with one change, as not applied with none, or as unknown, and never changes a record twice.", caseLostUpdateAnswer},
		{"network/set-entries", "SetEntries whose answer got lost gives ErrUnknownOutcome, and is not sent again.", caseLostSetEntries},
		{"network/latency", "Latency breaks no guarantee: no change is lost, made twice, or missing in the log, and entries are those of the record.", caseLatency},
	}
)

func caseReopenEntries(e *env) {
	place := e.newPlace()
	store := e.openAt(place)
	if store.Limits().NoEntries {
		return
	}
	s := make(shelf)
	for i, scope := range confusableScopes()[:3] {
		e.shelve(store, s, scope, map[string][]string{
			"kept": {"1:a", "2!taken"}, "moved": {"1:a"}, "set": {"1:\x00", "1:\xff"}, "gone": {"1:a", fmt.Sprint("3!", i)},
		})
		e.mustTake(store, s, s.next(keyIn(scope, "moved"), "moved", entriesOf("1:b", "3:b")), s.gone(keyIn(scope, "gone")))
		key := keyIn(scope, "set")
		require.NoError(e, settled(func() error {
			return store.SetEntries(context.Background(), key, s[key].rec.Revision, entriesOf("1:set", "3!set"))
		}))
		s[key] = shelved{s[key].rec, entriesOf("1:set", "3!set")}
	}
	for range 2 {
		require.NoError(e, store.Close())
		store = e.openAt(place)
		e.finds(store, s, 1, 2, 3)
		for _, scope := range confusableScopes()[:3] {
			for id, entries := range map[string][]storage.Entry{"kept": entriesOf("3!set"), "set": entriesOf("2!taken")} {
				err := writeEach(store, s.next(keyIn(scope, id), "x", entries))[0]
				require.ErrorIs(e, err, storage.ErrNotUnique, "a value that was taken before the store was opened")
			}
		}
		key := keyIn(confusableScopes()[0], "kept")
		e.mustTake(store, s, s.next(key, "after", entriesOf("1:a", "2!taken", "3:after")))
		e.finds(store, s, 1, 2, 3)
	}
}

func caseReopenLog(e *env) {
	ctx, place := context.Background(), e.newPlace()
	store := e.openAt(place)
	if store.Limits().NoLog {
		return
	}
	h, a, b := newHistory(), testKey("a"), testKey("b")
	empty := e.logEnd(store, storage.ChangeQuery{})
	reopen := func() {
		require.NoError(e, store.Close())
		store = e.openAt(place)
	}
	reopen()
	require.Equal(e, empty, e.logEnd(store, storage.ChangeQuery{}), "end of an empty log after Close and Open")
	for i := range 10 {
		e.mustLog(store, h, noted(h.next([]storage.Key{a, b}[i%2], "x", nil), fmt.Sprint(i), i))
	}
	all := e.logged(store, storage.ChangeQuery{})
	e.sameChanges(h.changes, all)
	reopen()
	e.sameChanges(all, e.logged(store, storage.ChangeQuery{After: empty}))
	for i, c := range all {
		e.sameChanges(all[i+1:], e.logged(store, storage.ChangeQuery{After: c.Cursor}))
	}
	end := e.logEnd(store, storage.ChangeQuery{})

	before := len(h.changes)
	hash := e.mustRedact(store, h, a)
	reopen()
	e.mustLog(store, h, noted(h.gone(a), "deleted", 10))
	e.mustLog(store, h, noted(h.next(b, "y", nil), "later", 11))
	require.Len(e, e.logged(store, storage.ChangeQuery{After: end}), len(h.changes)-before)
	require.Equal(e, hash, e.mustRedact(store, h, a), "external ids in redacted changes of one key, before and after Close and Open")
	require.Empty(e, e.mustRedact(store, h, a))

	// What Trim removed stays removed, and its last cursor is known.
	for begun := time.Now(); time.Since(begun) < patience; time.Sleep(10 * time.Millisecond) {
		require.NoError(e, store.Trim(ctx, testTime.Add(5*time.Minute), storage.Cursor{}))
		if len(e.logged(store, storage.ChangeQuery{})) == len(h.changes)-5 {
			break
		}
	}
	for range 2 {
		reopen()
		e.expired(store, all[3].Cursor, "a cursor older than what Trim left, before Close and Open")
		e.expired(store, empty, "a cursor older than what Trim left, before Close and Open")
		require.Len(e, e.logged(store, storage.ChangeQuery{}), len(h.changes)-5)
		require.Len(e, e.logged(store, storage.ChangeQuery{After: all[4].Cursor}), len(h.changes)-5, "changes after the last one that Trim removed")
	}
}

// caseRestoredLog reads a log to an end that the copy does not have. The copy gets other
// changes in its place, fewer at first, and then as many and more. The first of both is
// one that Redact adds.
func caseRestoredLog(e *env) {
	place := e.newPlace()
	store := e.openAt(place)
	if store.Limits().NoLog {
		return
	}
	h := newHistory()
	log := func(store storage.Store, n int) {
		for i := range n {
			e.mustLog(store, h, noted(h.next(testKey("a"), "x", nil), fmt.Sprint(i), i))
		}
	}
	log(store, 5)
	all := e.logged(store, storage.ChangeQuery{})
	common := e.logEnd(store, storage.ChangeQuery{})
	require.NoError(e, store.Close())
	copied := e.places.Copy(e.places.t, place)
	restored := make(shelf)
	for key, one := range h.shelf {
		restored[key] = one
	}

	store = e.openAt(place)
	redacted := e.mustRedact(store, h, testKey("a"))
	log(store, 5)
	lost := e.logged(store, storage.ChangeQuery{After: common})
	require.Len(e, lost, 1+5)
	end := e.logEnd(store, storage.ChangeQuery{})
	require.NoError(e, store.Close())

	store, h = e.openAt(copied), &history{shelf: restored, changes: slices.Clone(all)}
	e.sameChanges(all, e.loggedUntil(store, storage.ChangeQuery{}, common))
	require.Equal(e, redacted, e.mustRedact(store, h, testKey("a")), "external ids in redacted changes of one key, of a store and its copy")
	for range 8 { // marks are in the log, too
		for _, c := range lost {
			e.expired(store, c.Cursor, "a cursor of a change that is not in the copy")
		}
		e.expired(store, end, "the end of a log, which the copy does not have")
		log(store, 1)
	}
	e.sameChanges(h.changes[len(all):], e.logged(store, storage.ChangeQuery{After: common}))
	e.sameChanges(h.changes, e.logged(store, storage.ChangeQuery{}))
}

// caseBlockedEntries blocks the three calls of a race, and lets them all go at once.
func caseBlockedEntries(e *env) {
	const rounds = 8
	place := e.newPlace()
	store := e.openAt(place)
	if store.Limits().NoEntries {
		return
	}
	s := make(shelf)
	for round := range rounds {
		r := e.newEntryRace(store, s, testKey("key"), round)
		release := e.hold(place)
		done := make(chan error, 1)
		go func() {
			done <- inParallel(len(r.errs), func(n int) error {
				time.Sleep(time.Duration((n+round)%len(r.errs)) * time.Millisecond)
				r.run(store, n)
				return nil
			})
		}()
		time.Sleep(10 * time.Millisecond)
		release()
		<-done
		e.finish(store, s, r)
		e.finds(store, s, 1, 2, 3)
	}
}

// caseLostUpdateAnswer loses the answer to the write of an Update, or the write itself.
// The network knows it by the reason of its note.
func caseLostUpdateAnswer(e *env) {
	store, beside, n := e.openNetwork()
	if store.Limits().NoLog {
		return
	}
	ctx := context.Background()
	update := func(key storage.Key, w storage.Write) error {
		_, err := storage.UpdateWith(ctx, store, key, func(storage.Record) (storage.Write, error) { return w, nil })
		return err
	}
	for round, request := range []bool{false, true, false} {
		for kind, name := range []string{"create", "update", "update in a batch", "delete"} {
			key, reason := testKey(fmt.Sprint("key-", round)), fmt.Sprintf("cut-%d-%d", round, kind)
			w := storage.Write{Record: record(key, reason), Note: &storage.Note{Time: testTime, Reason: reason}, Delete: name == "delete"}
			if w.Delete {
				w.Record = storage.Record{Key: key}
			}
			before, err := e.stored(beside, key)
			require.NoError(e, err)
			n.breakAt(reason, request)
			if kind == 2 {
				keys := []storage.Key{key, testKey("beside")}
				results, many := storage.UpdateMany(ctx, store, keys, func(i int, _ storage.Record) (storage.Write, error) {
					if i == 0 {
						return w, nil
					}
					return storage.Write{Record: record(keys[i], "x")}, nil
				})
				if err = many; err == nil {
					err = results[0].Err
				}
			} else {
				err = update(key, w)
			}
			require.NotZero(e, n.timesSent(), "%s: times it was sent (0: the suite did not recognise it, is the connection encrypted?)", name)
			n.breakAt("", false)
			after, getErr := e.stored(beside, key)
			require.NoError(e, getErr)
			made := 0
			for _, c := range e.logged(beside, storage.ChangeQuery{Scope: key.Scope(), ExternalID: key.ExternalID}) {
				if c.Note.Reason == reason {
					require.Equal(e, before.Revision, c.Before, "%s: revision before it", name)
					require.Equal(e, after.Revision == 0, c.Deleted)
					made++
				}
			}
			require.LessOrEqual(e, made, 1, "%s: changes that one Update made", name)
			require.Equal(e, made > 0, after.Revision != before.Revision, "%s: the record has changed, and a change is in the log", name)
			switch {
			case err == nil:
				require.Equal(e, 1, made, "%s, which succeeded: changes in the log", name)
			case errors.Is(err, storage.ErrUnavailable):
				require.Zero(e, made, "%s, which was certainly not applied: changes in the log", name)
			default:
				require.ErrorIs(e, err, storage.ErrUnknownOutcome, name)
			}
			e.usable(func() error {
				_, err := store.List(ctx, testScope, storage.Range{Limit: 1})
				return err
			})
			if made == 0 { // the next kind needs it
				e.usable(func() error { return update(key, w) })
			}
		}
	}
}

// stored returns the record of a key, or one of revision 0.
func (e *env) stored(store storage.Store, key storage.Key) (storage.Record, error) {
	rec, err := store.Get(context.Background(), key)
	if errors.Is(err, storage.ErrNotFound) {
		return storage.Record{Key: key}, nil
	}
	return rec, err
}

func caseLostSetEntries(e *env) {
	store, beside, n := e.openNetwork()
	if store.Limits().NoEntries {
		return
	}
	s, key := make(shelf), testKey("id-of-set-entries")
	e.shelve(store, s, testScope, map[string][]string{key.ExternalID: {"1:a"}})
	set := func(texts ...string) error {
		return store.SetEntries(context.Background(), key, s[key].rec.Revision, entriesOf(texts...))
	}
	e.usable(func() error { return settled(func() error { return set("1:b") }) })
	for i := range 3 {
		texts := []string{fmt.Sprint("1:", i), "2:x"}
		n.breakAt(key.ExternalID, false)
		require.ErrorIs(e, set(texts...), storage.ErrUnknownOutcome, "SetEntries whose answer got lost")
		require.Equal(e, 1, n.timesSent(), "times it was sent")
		s[key] = shelved{s[key].rec, entriesOf(texts...)}
		e.finds(beside, s, 1, 2)
		e.usable(func() error {
			_, err := store.List(context.Background(), testScope, storage.Range{Limit: 1})
			return err
		})
	}
	for _, read := range []struct {
		name string
		call func() error
	}{
		{"lookup", func() error {
			r := storage.Range{After: storage.Position{Value: []byte("0"), ExternalID: key.ExternalID}, Limit: 5}
			_, err := store.Lookup(context.Background(), testScope, 1, r)
			return err
		}},
		{"changes", func() error {
			_, err := store.Changes(context.Background(), storage.ChangeQuery{Scope: testScope, ExternalID: key.ExternalID, Limit: 5})
			return err
		}},
	} {
		if read.name == "changes" && store.Limits().NoLog {
			continue
		}
		n.breakAt(key.ExternalID, false)
		if err := read.call(); err != nil {
			require.ErrorIs(e, err, storage.ErrUnavailable, read.name)
			require.NotErrorIs(e, err, storage.ErrUnknownOutcome, read.name)
		}
		require.NotZero(e, n.timesSent(), "%s: times it was sent", read.name)
		e.usable(read.call)
	}
}

// latency is how long the network of caseLatency takes for each message to the server.
const latency = 200 * time.Millisecond

// caseLatency has writers change one record, with its entries and a note, SetEntries in
// between, and readers, where every call takes long.
func caseLatency(e *env) {
	const writers = 4
	store, beside, n := e.openNetwork()
	limits := store.Limits()
	ctx, key := context.Background(), testKey("slow")
	e.mustPut(store, record(key, ""), 0)
	var entries, none []storage.Entry
	if !limits.NoEntries {
		entries, none = entriesOf("1:set", "2:set"), entriesOf("1:")[:0]
	}
	n.slow(latency)
	err := inParallel(writers+1, func(w int) error {
		if w == writers {
			if limits.NoEntries {
				return nil
			}
			rec, err := store.Get(ctx, key)
			if err == nil {
				err = store.SetEntries(ctx, key, rec.Revision, entries)
			}
			if errors.Is(err, storage.ErrConflict) {
				return nil
			}
			return err
		}
		_, err := storage.UpdateWith(ctx, store, key, func(old storage.Record) (storage.Write, error) {
			next := storage.Write{Record: record(key, string(old.Data)+fmt.Sprint(w, "\n")), Entries: none}
			if !limits.NoEntries {
				next.Entries = entriesOf(fmt.Sprintf("1:%d", len(next.Record.Data)))
			}
			if !limits.NoLog {
				next.Note = &storage.Note{Time: testTime, Reason: fmt.Sprint(w)}
			}
			return next, nil
		})
		return err
	})
	require.NoError(e, err)
	rec, err := store.Get(ctx, key)
	require.NoError(e, err)
	for w := range writers {
		require.Equal(e, 1, strings.Count(string(rec.Data), fmt.Sprint(w, "\n")), "times that a change is in the record")
	}
	if !limits.NoEntries {
		require.Equal(e, entriesOf(fmt.Sprintf("1:%d", len(rec.Data))), e.entriesOf(store, key, 1, 2), "entries after the last Write")
	}
	if !limits.NoLog {
		changes := e.logged(store, storage.ChangeQuery{})
		require.Len(e, changes, writers, "changes in the log")
		now := e.chains(changes, map[storage.Key]storage.Revision{key: changes[0].Before})
		require.Equal(e, rec.Revision, now[key], "revision of the record, and by the log")
	}
	n.slow(0)
	e.holds(beside, rec)
}
