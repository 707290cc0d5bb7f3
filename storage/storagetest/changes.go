package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var logCases = []testCase{
	{"log/changes", "A write with a note is in the log, with its key, ID and revisions, and with the note: texts and documents byte for byte, the time in UTC, truncated to the millisecond.", caseLogChanges},
	{"log/applied", "The log has the writes that were applied with a note, and nothing else.", caseLogApplied},
	{"log/queries", "Changes returns the changes of the scope or the key that it is asked for, and no others.", caseLogQueries},
	{"log/pages", "A page has at most limit changes. Its Next, and the cursor of each change, lead on to all that come after.", caseLogPages},
	{"log/end", "A reader that begins at the end of the log gets all changes made from then on.", caseLogEnd},
	{"log/complete", "Changes leaves no change out, and returns the changes of one key in the order of their revisions.", caseLogComplete},
	{"log/expired", "A cursor that is not of this log is ErrExpired.", caseLogExpired},
	{"log/trim", "Trim removes changes from the start of the log up to the first one that was made at or after the given time. A cursor that is older than what is left is ErrExpired.", caseLogTrim},
	{"log/trim-end", "Trim removes nothing after the cursor end, and everything up to it that is old enough. An end that is not of this log is ErrExpired.", caseLogTrimEnd},
	{"log/redact", "Redact empties what the changes of a key say, puts a keyed hash in the place of its external id, and returns how many it has redacted. Positions, revisions and times stay. For each ID it adds one change with the note.", caseLogRedact},
	{"log/redact-race", "A change that is redacted while others write, read and redact has one after it that Redact added, and no reader misses that.", caseRedactRace},
	{"log/backwards", "A query that goes backwards returns the changes of the key, newest first, and ends after the oldest with a zero Next.", caseLogBackwards},
	{"log/documents", "A page has at most MaxPageBytes of notes, or one change. NoData leaves out the documents and nothing else.", caseLogDocuments},
}

func caseLogChanges(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	h, key := newHistory(), testKey("key")
	note := func(w storage.Write, note storage.Note) storage.Write {
		w.Note = &note
		return w
	}
	created := note(h.next(key, "a", nil), storage.Note{Time: testTime, Actor: "alice", Reason: "first", After: []byte("a")})
	e.mustLog(store, h, created)
	other := h.next(key, "b", nil)
	other.Record.ID[0]++ // the stored one counts
	e.mustLog(store, h, note(other, storage.Note{Time: testTime, Actor: "bob", Before: []byte("a"), After: []byte("b")}))
	gone := h.gone(key)
	gone.Record.ID[1]++ // of a delete the key and the revision count
	e.mustLog(store, h, note(gone, storage.Note{Time: testTime, Reason: "deleted", Before: []byte("b")}))
	e.mustLog(store, h, note(h.next(key, "again", nil), storage.Note{}))
	zone := time.FixedZone("far east", 11*3600)
	for _, at := range []time.Time{
		testTime.Add(999_999 * time.Nanosecond), time.Date(2025, 1, 1, 0, 0, 0, 1, zone),
		time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(1800, 5, 5, 5, 5, 5, 5_500_000, zone),
	} {
		e.mustLog(store, h, note(h.next(key, "x", nil), storage.Note{Time: at, Actor: "a", Reason: "b"}))
	}
	for _, text := range []string{"é e\u0301 \U0010ffff \u200b", "' \" \\ $1 %s -- ;", " ", "\x01\x7f\r\n", strings.Repeat("long ", 1000)} {
		e.mustLog(store, h, note(h.next(key, "x", nil), storage.Note{Time: testTime, Actor: text, Reason: text + text}))
	}
	var batch []storage.Write
	for name, data := range verbatimData() {
		w := h.next(testKey(name), "x", nil)
		batch = append(batch, note(w, storage.Note{Time: testTime, Before: data, After: append([]byte("and "), data...)}))
	}
	for i := range 20 { // entries do not show
		w := h.next(testKey(fmt.Sprint("batch ", i)), "x", nil)
		batch = append(batch, noted(w, fmt.Sprint(i), i))
	}
	e.mustLog(store, h, batch...)
	got := e.logged(store, storage.ChangeQuery{})
	// In a batch the changes of different keys may have any order.
	byKey := func(a, b storage.Change) int { return a.Key.Compare(b.Key) }
	first := len(got) - len(batch)
	require.GreaterOrEqual(e, first, 0, "changes in the log")
	slices.SortFunc(got[first:], byKey)
	slices.SortFunc(h.changes[len(h.changes)-len(batch):], byKey)
	e.sameChanges(h.changes, got)

	// Three documents of a megabyte may come in several pages.
	end := e.logEnd(store, storage.ChangeQuery{})
	before, big := len(h.changes), storage.Note{Before: []byte("{}"), After: bytes.Repeat([]byte("megabyte"), 1<<17)}
	for range 3 {
		e.mustLog(store, h, note(h.next(key, "x", nil), big))
	}
	e.sameChanges(h.changes[before:], e.logged(store, storage.ChangeQuery{After: end}))

	for _, text := range []string{"\x00", "\xff", "a\xc3"} {
		for _, n := range []storage.Note{{Actor: text}, {Reason: text}} {
			err := write(context.Background(), store, note(h.next(key, "x", nil), n))
			require.ErrorIs(e, err, storage.ErrInvalid, "a note with the text %q", text)
			e.silent(err, key.ExternalID)
		}
	}
}

func caseLogApplied(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h, key, absent := context.Background(), newHistory(), testKey("key"), testKey("absent")
	var entries []storage.Entry
	if !store.Limits().NoEntries {
		entries = entriesOf("1:a", "2!taken")
	}
	e.mustLog(store, h, noted(h.next(key, "a", entries), "created", 0), h.next(testKey("not noted"), "x", nil))
	e.mustLog(store, h, h.next(key, "b", entries)) // without a note
	e.mustLog(store, h, noted(h.next(key, "c", entries), "updated", 1))
	refused := []storage.Write{h.next(key, "d", nil), h.next(absent, "d", nil), h.gone(key)}
	refused[0].Expect--
	refused[1].Expect, refused[1].Record.Revision = 5, 6
	refused[2].Expect--
	again := h.next(key, "d", nil)
	again.Expect = 0
	refused = append(refused, again)
	if entries != nil {
		refused = append(refused, h.next(absent, "d", entriesOf("2!taken")), h.next(testKey("not noted"), "d", entriesOf("2!taken")))
	}
	if most := store.Limits().MaxData; most > 0 {
		refused = append(refused, h.next(absent, string(make([]byte, most+1)), nil))
	}
	for i, w := range refused {
		w = noted(w, "refused", i)
		require.Error(e, writeEach(store, w)[0])
		batch := []storage.Write{
			noted(h.next(testKey("before"), "x", nil), "before", i), w,
			h.next(testKey("after"), "x", nil), // without a note
		}
		errs := writeEach(store, batch...)
		require.NoError(e, errs[0])
		require.Error(e, errs[1])
		require.NoError(e, errs[2])
		h.take(batch[0], batch[2])
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := store.Write(done, []storage.Write{noted(h.next(key, "d", entries), "cancelled", 0)})
	require.ErrorIs(e, err, context.Canceled)
	_, err = store.Write(ctx, []storage.Write{noted(h.next(absent, "d", nil), "invalid", 0), noted(again, "invalid", 0), noted(again, "invalid", 0)})
	require.Error(e, err, "a batch with a key that comes twice")
	if entries != nil {
		require.NoError(e, settled(func() error { return store.SetEntries(ctx, key, h.shelf[key].rec.Revision, entriesOf("1:b")) }))
	}
	e.mustLog(store, h, h.gone(key)) // without a note
	e.mustLog(store, h, noted(h.next(key, "e", entries), "created again", 2))
	e.mustLog(store, h, noted(h.gone(key), "deleted", 3))
	e.sameChanges(h.changes, e.logged(store, storage.ChangeQuery{}))
}

func caseLogQueries(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h := context.Background(), newHistory()
	scopes := confusableScopes()
	ids := []string{"same", "Same", "same ", "%", "sam", "same-more"}
	for round := range 3 {
		for i, scope := range scopes {
			if i%4 == 3 {
				continue // some have no changes
			}
			for _, id := range ids[:3+i%3] {
				key := keyIn(scope, id)
				w := h.next(key, "x", nil)
				if round == 2 && i%2 == 0 {
					w = h.gone(key)
				}
				e.mustLog(store, h, noted(w, fmt.Sprintf("scope %d, %q, round %d", i, id, round), 0))
			}
		}
	}
	e.sameChanges(h.changes, e.logged(store, storage.ChangeQuery{}))
	mark := e.logMark(store)
	for i, scope := range scopes {
		q := storage.ChangeQuery{Scope: scope, Limit: 7}
		e.sameChanges(h.of(q), e.loggedUntil(store, q, mark))
		for _, id := range ids {
			q := storage.ChangeQuery{Scope: scope, ExternalID: id, Limit: 2}
			changes := e.loggedUntil(store, q, mark)
			e.sameChanges(h.of(q), changes)
			if i%5 != 0 || len(changes) == 0 {
				continue
			}
			// A cursor of one query is good for any other.
			q = storage.ChangeQuery{Scope: scope, After: changes[0].Cursor}
			rest := h.of(q)
			at := slices.IndexFunc(rest, func(c storage.Change) bool { return c.Cursor.Revision == q.After.Revision })
			e.sameChanges(rest[at+1:], e.loggedUntil(store, q, mark))
		}
	}
	for _, q := range []storage.ChangeQuery{{ExternalID: "same"}, {Scope: storage.Scope{Tenant: scopes[0].Tenant}}, {Scope: scopes[0], ExternalID: "\xff"}, {After: storage.Cursor{Position: 1}}, {After: storage.Cursor{Position: -1, Revision: 1}}} {
		q.Limit = 1
		_, err := store.Changes(ctx, q)
		require.ErrorIs(e, err, storage.ErrInvalid, "a query of %+v", q)
	}
}

func caseLogPages(e *env) {
	const n = 30
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h := context.Background(), newHistory()
	for i := range n {
		e.mustLog(store, h, noted(h.next(testKey(fmt.Sprint(i%3)), "x", nil), fmt.Sprint(i), i))
	}
	mark := e.logMark(store)
	all := e.loggedUntil(store, storage.ChangeQuery{}, mark)
	e.sameChanges(h.changes, all)
	for _, limit := range []int{1, 2, 7, n - 1, n, n + 1, storage.MaxPage + 1} {
		e.sameChanges(all, e.loggedUntil(store, storage.ChangeQuery{Limit: limit}, mark))
	}
	for i, c := range all {
		e.sameChanges(all[i+1:], e.loggedUntil(store, storage.ChangeQuery{After: c.Cursor}, mark))
	}
	for _, limit := range []int{0, -1} {
		_, err := store.Changes(ctx, storage.ChangeQuery{Limit: limit})
		require.ErrorIs(e, err, storage.ErrInvalid, "limit %d", limit)
	}
	page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 7})
	require.NoError(e, err)
	if len(page.Changes) == 7 {
		require.True(e, page.More, "More of a full page, when there are further changes")
	}
	// At the end: nothing, again and again, and then what comes.
	r := &logReader{store: store, q: storage.ChangeQuery{Limit: 100}}
	require.NoError(e, r.reach(mark))
	for range 3 {
		end := r.q.After
		more, err := r.next()
		require.NoError(e, err)
		require.False(e, more, "More at the end of the log")
		require.Equal(e, end, r.q.After, "Next at the end of the log")
		before := len(h.changes)
		e.mustLog(store, h, noted(h.next(testKey("late"), "x", nil), "late", 0))
		r.changes = nil
		require.NoError(e, r.until(func() bool { return len(r.changes) > 0 }))
		e.sameChanges(h.changes[before:], r.changes)
	}
}

func caseLogEnd(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	h := newHistory()
	empty := &logReader{store: store, q: storage.ChangeQuery{Limit: 1}}
	more, err := empty.next()
	require.NoError(e, err)
	require.False(e, more, "More of an empty log")
	require.Empty(e, empty.changes, "changes in an empty log")
	for round := range 5 {
		after := storage.ChangeQuery{After: e.logEnd(store, storage.ChangeQuery{})}
		scoped := storage.ChangeQuery{Scope: testScope, After: e.logEnd(store, storage.ChangeQuery{Scope: testScope, ExternalID: "1"})}
		before := len(h.changes)
		for i := range 3 {
			e.mustLog(store, h, noted(h.next(testKey(fmt.Sprint(i)), "x", nil), fmt.Sprintf("%d %d", round, i), 0))
		}
		e.sameChanges(h.changes[before:], e.logged(store, after))
		e.sameChanges(h.changes[before:], e.logged(store, scoped))
	}
	e.sameChanges(h.changes, e.logged(store, empty.q))
}

// The size of the history of caseLogComplete.
const (
	logWriters = 16
	logKeys    = 12
	logRounds  = 30 // of each writer
	logBatch   = 4  // keys that one call writes
)

// caseLogComplete has many writers create, change and delete the same few keys in calls
// of several writes, in no order. One reader polls from the start, one makes a replica: it
// takes the end of the log, lists the records and follows the log from there. A third
// reads everything when it is over. All must have the same.
func caseLogComplete(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx := context.Background()
	scopes := confusableScopes()[:2]
	keys := make([]storage.Key, logKeys)
	for i := range keys {
		keys[i] = keyIn(scopes[i%2], fmt.Sprint("key-", i))
	}
	var mu sync.Mutex
	applied := make(map[storage.Cursor]storage.Key) // by their revisions; positions are 0
	var writing atomic.Int64
	writing.Store(logWriters)
	poller := &logReader{store: store, q: storage.ChangeQuery{Limit: 50}}
	replica := make(map[storage.Key]storage.Revision)
	follower := &logReader{store: store}
	err := inParallel(logWriters+2, func(n int) error {
		switch n {
		case logWriters:
			return poller.until(func() bool { return writing.Load() == 0 })
		case logWriters + 1:
			for writing.Load() == logWriters { // begin in the middle
				time.Sleep(time.Millisecond)
			}
			page, err := store.Changes(ctx, storage.ChangeQuery{End: true})
			if err != nil {
				return err
			}
			follower.q = storage.ChangeQuery{After: page.Next, Limit: 20}
			for _, scope := range scopes {
				for r := (storage.Range{Limit: 5}); ; {
					page, err := store.List(ctx, scope, r)
					if err != nil {
						return err
					}
					for _, rec := range page.Records {
						replica[rec.Key] = rec.Revision
					}
					if r.After = page.Next; r.After.IsZero() {
						break
					}
				}
			}
			return follower.until(func() bool { return writing.Load() == 0 })
		}
		defer writing.Add(-1)
		return e.writeLog(store, keys, n, func(w storage.Write) {
			mu.Lock()
			defer mu.Unlock()
			applied[storage.Cursor{Revision: w.Record.Revision}] = w.Record.Key
		})
	})
	require.NoError(e, err)

	mark := e.logMark(store)
	require.NoError(e, poller.reach(mark))
	require.NoError(e, follower.reach(mark))
	all := e.loggedUntil(store, storage.ChangeQuery{Limit: 33}, mark)
	polled := unmarked(poller.changes)
	require.Len(e, polled, len(all), "changes that a reader got while they were made, and changes in the log")
	for i, c := range polled {
		require.Equal(e, all[i].Cursor, c.Cursor, "change %d, as it came when it was made", i)
	}
	for _, c := range all {
		at := storage.Cursor{Revision: c.Cursor.Revision}
		if applied[at] != c.Key {
			e.fatalf("the log has a change of revision %d which no writer made, or has it twice", c.Cursor.Revision)
		}
		delete(applied, at)
	}
	require.Empty(e, applied, "writes that were acknowledged, and are missing in the log")
	stored := make(map[storage.Key]storage.Revision)
	for _, scope := range scopes {
		for _, rec := range e.walk(store, scope, storage.Range{Limit: 50}) {
			stored[rec.Key] = rec.Revision
		}
	}
	require.Equal(e, stored, e.chains(all, nil), "revisions of the records, and by the log")
	for _, c := range unmarked(follower.changes) {
		if replica[c.Key] = c.Cursor.Revision; c.Deleted {
			delete(replica, c.Key)
		}
	}
	require.Equal(e, stored, replica, "revisions of the records, and of a replica")
	for _, scope := range scopes {
		q := storage.ChangeQuery{Scope: scope}
		of := slices.DeleteFunc(slices.Clone(all), func(c storage.Change) bool { return !q.Match(c.Key) })
		e.sameChanges(of, e.logged(store, q))
	}
}

// writeLog is one of the writers of caseLogComplete. It tells which writes were applied.
func (e *env) writeLog(store storage.Store, keys []storage.Key, writer int, applied func(storage.Write)) error {
	ctx, random := context.Background(), newRand(uint64(writer))
	for round := range logRounds {
		some := make([]storage.Key, logBatch)
		for i, k := range random.Perm(len(keys))[:logBatch] {
			some[i] = keys[k]
		}
		records, err := store.GetMany(ctx, some)
		if err != nil {
			return err
		}
		var writes []storage.Write
		for i, old := range records {
			w := putOf(record(some[i], fmt.Sprint(writer, " ", round)), old.Revision)
			if old.Revision != 0 && random.IntN(2) == 0 {
				w = deleteOf(some[i], old.Revision)
			}
			writes = append(writes, noted(w, fmt.Sprint(writer, " ", round), round))
		}
		errs, err := writeAll(ctx, store, writes)
		if err != nil {
			return err
		}
		for i, err := range errs {
			switch {
			case err == nil:
				applied(writes[i])
			case !errors.Is(err, storage.ErrConflict):
				return err
			}
		}
	}
	return nil
}

// chains returns the revisions that the records have by changes in the order of the log,
// after those of before. It fails unless each change begins with the revision that the
// one before of its key left: so none is missing, none comes twice, and none is out of
// order.
func (e *env) chains(
	changes []storage.Change, before map[storage.Key]storage.Revision,
) map[storage.Key]storage.Revision {
	now := make(map[storage.Key]storage.Revision)
	maps.Copy(now, before)
	for i, c := range changes {
		if added(c) {
			delete(now, c.Key)
			continue
		}
		if c.Before != now[c.Key] {
			e.fatalf("change %d of the log (%s) is of a record at revision %d, which has revision %d by the changes before (0: absent)",
				i+1, c.Note.Reason, c.Before, now[c.Key])
		}
		if now[c.Key] = c.Cursor.Revision; c.Deleted {
			delete(now, c.Key)
		}
	}
	return now
}

// added reports whether Redact has added the change: no other delete is of revision 0.
func added(c storage.Change) bool { return c.Deleted && c.Before == 0 }

func caseLogBackwards(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h := context.Background(), newHistory()
	key, foreign := testKey("key"), keyIn(confusableScopes()[0], "key")
	start := e.logEnd(store, storage.ChangeQuery{})
	for i := range 40 {
		k := []storage.Key{key, testKey("key2"), foreign, key}[i%4]
		w := noted(h.next(k, "x", nil), fmt.Sprint(i), i)
		w.Note.After = []byte(fmt.Sprint(i))
		e.mustLog(store, h, w)
	}
	all := e.logged(store, storage.ChangeQuery{})
	of := func(changes []storage.Change) []storage.Change {
		changes = slices.DeleteFunc(slices.Clone(changes), func(c storage.Change) bool { return c.Key != key })
		slices.Reverse(changes)
		return changes
	}
	q := storage.ChangeQuery{Scope: key.Scope(), ExternalID: key.ExternalID, Limit: 100}
	for _, limit := range []int{1, 3, 19, 20, 21, storage.MaxPage + 1} {
		q.Limit = limit
		e.sameChanges(of(all), e.backwards(store, q))
	}
	q.Limit = 3
	for i, c := range all {
		q.After = c.Cursor
		e.sameChanges(of(all[:i]), e.backwards(store, q))
	}
	q.After = start
	require.Empty(e, e.backwards(store, q), "changes from before the log")
	for _, wrong := range []storage.ChangeQuery{{}, {Scope: testScope}, {Scope: testScope, ExternalID: "key", End: true}} {
		wrong.Backwards, wrong.Limit = true, 1
		_, err := store.Changes(ctx, wrong)
		require.ErrorIs(e, err, storage.ErrInvalid, "backwards: %+v", wrong)
	}

	// Pages go on from where they were, whatever is logged meanwhile.
	r := &logReader{store: store, q: storage.ChangeQuery{Scope: key.Scope(), ExternalID: key.ExternalID, Backwards: true, Limit: 3}}
	for more := true; more; {
		var err error
		more, err = r.next()
		require.NoError(e, err)
		e.mustLog(store, h, noted(h.next(key, "x", nil), "meanwhile", 0))
	}
	e.sameChanges(of(all), r.changes)

	// What is left of a page after a redaction is under another external id.
	r.q.After, r.changes = storage.Cursor{}, nil
	_, err := r.next()
	require.NoError(e, err)
	require.Len(e, r.changes, 3)
	hash := e.mustRedact(store, h, key)
	more, err := r.next()
	require.NoError(e, err)
	require.False(e, more)
	require.Len(e, r.changes, 3)
	all = e.logged(store, storage.ChangeQuery{})
	key.ExternalID = hash
	r.q.ExternalID, r.q.After, q.ExternalID, q.After = hash, r.changes[2].Cursor, hash, storage.Cursor{}
	e.sameChanges(of(all), e.backwards(store, q))

	// After Trim it ends where the log begins.
	require.NoError(e, store.Trim(ctx, testTime.AddDate(100, 0, 0), all[9].Cursor))
	e.sameChanges(of(all[10:]), e.backwards(store, q))
	q.After = all[9].Cursor
	require.Empty(e, e.backwards(store, q))
	e.expired(store, all[8].Cursor, "a cursor older than what Trim left")
}

func caseLogDocuments(e *env) {
	const mib = 1 << 20
	store, ok := e.openLogged()
	if !ok {
		return
	}
	h, key := newHistory(), testKey("key")
	for i, sizes := range [][2]int{{6 * mib, 0}, {1, 6 * mib}, {0, 0}, {5 * mib, 5 * mib}, {9 * mib, 9 * mib}, {1, 1}, {8 * mib, 1}} {
		w := noted(h.next(key, "x", nil), fmt.Sprint("reason ", i), i)
		w.Note.Before, w.Note.After = bytes.Repeat([]byte("b"), sizes[0]), bytes.Repeat([]byte("a"), sizes[1])
		e.mustLog(store, h, w)
	}
	mark := e.logMark(store)
	without := slices.Clone(h.changes)
	for i := range without {
		without[i].Note.Before, without[i].Note.After = nil, nil
	}
	back := func(changes []storage.Change) []storage.Change {
		changes = slices.Clone(changes)
		slices.Reverse(changes)
		return changes
	}
	for _, q := range []storage.ChangeQuery{{}, {Scope: key.Scope()}, {Scope: key.Scope(), ExternalID: key.ExternalID}} {
		e.sameChanges(h.changes, e.loggedUntil(store, q, mark))
		q.NoData = true
		e.sameChanges(without, e.loggedUntil(store, q, mark))
		if q.Limit = 100; q.ExternalID != "" {
			e.sameChanges(back(without), e.backwards(store, q))
			q.NoData = false
			e.sameChanges(back(h.changes), e.backwards(store, q))
		}
	}
}
