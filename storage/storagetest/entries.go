package storagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var entryCases = []testCase{
	{"entries/replaced", "The entries of a write replace those that the record had, and are removed with it.", caseEntriesReplaced},
	{"entries/not-applied", "A write that is not applied changes no entry.", caseEntriesNotApplied},
	{"entries/largest", "A record may have MaxEntries entries, each with MaxValue bytes of any kind.", caseEntriesLargest},
	{"entries/set", "SetEntries gives a record other entries, if its revision is expect, which 0 never is. The revision, the times and the data stay.", caseSetEntries},
	{"entries/set-race", "A Write and a SetEntries of one record at the same time leave the entries of the one that came last.", caseSetEntriesRace},
	{"entries/random", "Lookup finds what a map of records and sorted entries would.", caseEntriesRandom},
}

// entriesOf makes entries of one text for each: "1:a" has index 1 and the value "a",
// and "1!a" is unique.
func entriesOf(texts ...string) []storage.Entry {
	var entries []storage.Entry
	for _, text := range texts {
		entries = append(entries, storage.Entry{
			Index: uint32(text[0] - '0'), Unique: text[1] == '!', Value: []byte(text[2:]),
		})
	}
	return storage.SortEntries(entries)
}

// A shelf is what a store should have: records, and what they are found by.
type shelf map[storage.Key]shelved

type shelved struct {
	rec     storage.Record
	entries []storage.Entry
}

// A hit is a place in an index.
type hit struct{ value, id string }

func compareHits(a, b hit) int { return cmp.Or(cmp.Compare(a.value, b.value), cmp.Compare(a.id, b.id)) }

// hits returns what a Lookup of the range finds, from its After on.
func (s shelf) hits(scope storage.Scope, index uint32, r storage.Range) []hit {
	after := hit{string(r.After.Value), r.After.ExternalID}
	hits := []hit{}
	for key, one := range s {
		for _, e := range one.entries {
			h := hit{string(e.Value), key.ExternalID}
			switch c := compareHits(h, after); {
			case key.Scope() != scope, e.Index != index,
				bytes.Compare(e.Value, r.From) < 0, r.To != nil && bytes.Compare(e.Value, r.To) >= 0,
				!r.After.IsZero() && (c == 0 || (c > 0) == r.Backwards):
				continue
			}
			hits = append(hits, h)
		}
	}
	slices.SortFunc(hits, compareHits)
	if r.Backwards {
		slices.Reverse(hits)
	}
	return hits
}

// lookUp walks through a range of an index in pages of the limit, and checks the rules of
// every walk.
func (e *env) lookUp(
	store storage.Store, scope storage.Scope, index uint32, r storage.Range,
) (hits []hit, records []storage.Record) {
	hits = []hit{}
	for {
		page, err := store.Lookup(context.Background(), scope, index, r)
		require.NoError(e, err, "lookup")
		require.LessOrEqual(e, len(page.Records), min(r.Limit, storage.MaxPage), "records in a page")
		require.Len(e, page.Values, len(page.Records), "values of a page")
		last := hit{string(r.After.Value), r.After.ExternalID}
		leads := func(h hit) bool { // from the last one on
			c := compareHits(h, last)
			return last.id == "" || c != 0 && (c < 0) == r.Backwards
		}
		for i, rec := range page.Records {
			h := hit{string(page.Values[i]), rec.Key.ExternalID}
			require.Equal(e, scope, rec.Key.Scope(), "scope of a record that was found")
			require.NotZero(e, rec.Revision, "revision of a record that was found")
			if h.value < string(r.From) || r.To != nil && h.value >= string(r.To) {
				e.fatalf("found %q, which is not in the range from %q to %q", h.value, r.From, r.To)
			}
			if !leads(h) {
				e.fatalf("found %q after %q (backwards: %v)", h, last, r.Backwards)
			}
			last = h
			hits, records = append(hits, h), append(records, rec)
		}
		if page.Next.IsZero() {
			return hits, records
		}
		next := hit{string(page.Next.Value), page.Next.ExternalID}
		if next != last && !leads(next) || len(page.Records) == 0 && next == last {
			e.fatalf("the position %q does not lead on from %q (backwards: %v)", next, last, r.Backwards)
		}
		r.After = page.Next
	}
}

// finds fails unless the store has the records of the shelf, and finds them by their
// entries in these indexes and by nothing else.
func (e *env) finds(store storage.Store, s shelf, indexes ...uint32) {
	scopes := make(map[storage.Scope]bool)
	for key := range s {
		scopes[key.Scope()] = true
	}
	scopes[testScope] = true
	for scope := range scopes {
		for _, index := range indexes {
			r := storage.Range{Limit: 100}
			hits, records := e.lookUp(store, scope, index, r)
			require.Equal(e, s.hits(scope, index, r), hits, "found in index %d", index)
			for _, rec := range records {
				e.same(s[rec.Key].rec, rec)
			}
		}
	}
	for keys := range slices.Chunk(slices.Collect(maps.Keys(s)), storage.MaxBatch) {
		records, err := store.GetMany(context.Background(), keys)
		require.NoError(e, err)
		for i, rec := range records {
			e.same(s[keys[i]].rec, rec)
		}
	}
}

// writeEach makes writes, those again that conflict, and returns one error for each.
func writeEach(store storage.Store, writes ...storage.Write) []error {
	errs := make([]error, len(writes))
	left := make([]int, len(writes))
	for i := range left {
		left[i] = i
	}
	for range maxSpurious {
		var some []storage.Write
		for _, i := range left {
			some = append(some, writes[i])
		}
		results, err := writeAll(context.Background(), store, some)
		var again []int
		for k, i := range left {
			if errs[i] = err; err == nil {
				errs[i] = results[k]
			}
			if errors.Is(errs[i], storage.ErrConflict) {
				again = append(again, i)
			}
		}
		if left = again; len(left) == 0 {
			break
		}
	}
	return errs
}

// next returns the write of other data and entries over what the shelf has.
func (s shelf) next(key storage.Key, data string, entries []storage.Entry) storage.Write {
	old := s[key].rec
	rec := record(key, data)
	rec.Revision = storage.NextRevision(old.Revision)
	return storage.Write{Record: rec, Expect: old.Revision, Entries: entries}
}

// gone returns the write that deletes what the shelf has.
func (s shelf) gone(key storage.Key) storage.Write {
	old := s[key].rec.Revision
	return storage.Write{Record: storage.Record{Key: key, Revision: storage.NextRevision(old)}, Expect: old, Delete: true}
}

// take puts what a write left on the shelf.
func (s shelf) take(writes ...storage.Write) {
	for _, w := range writes {
		if w.Delete {
			delete(s, w.Record.Key)
			continue
		}
		if old, ok := s[w.Record.Key]; ok {
			w.Record.ID, w.Record.CreatedAt = old.rec.ID, old.rec.CreatedAt
		}
		s[w.Record.Key] = shelved{w.Record, w.Entries}
	}
}

// mustTake makes writes that must succeed, and puts them on the shelf.
func (e *env) mustTake(store storage.Store, s shelf, writes ...storage.Write) {
	for i, err := range writeEach(store, writes...) {
		require.NoError(e, err, "write %d of %d with the right revision", i+1, len(writes))
	}
	s.take(writes...)
}

// shelve fills a store and a shelf.
func (e *env) shelve(store storage.Store, s shelf, scope storage.Scope, ids map[string][]string) {
	var writes []storage.Write
	for id, entries := range ids {
		writes = append(writes, s.next(keyIn(scope, id), "data of "+id, entriesOf(entries...)))
	}
	e.mustTake(store, s, writes...)
}

// openIndexed opens a store for a case of entries, unless it says that it has none.
func (e *env) openIndexed() (store storage.Store, ok bool) {
	store = e.open()
	return store, !store.Limits().NoEntries
}

func caseEntriesReplaced(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s, key, other := make(shelf), testKey("key"), testKey("other")
	e.shelve(store, s, testScope, map[string][]string{"other": {"1:same", "2:same", "3:other"}})
	for n, entries := range [][]string{
		{"1:a"},
		{"1:a"},                           // not moved
		{"1:a", "2:b"},                    // one more
		{"1:c", "2:b"},                    // one moved, one not
		{"2:b"},                           // one less
		{},                                // none
		{"1:same", "2:same"},              // as another record
		{"1:a", "1:b", "1:c", "2:a"},      // several of an index
		{"1:b", "1:d", "3:x"},             // some of them stay
		{"1!b", "1:d", "3!x"},             // unique now
		{"1:b", "1!d"},                    // and not
		{"1:b" + strings.Repeat("b", 50)}, // longer
		{"2:b" + strings.Repeat("b", 50)}, // the same elsewhere
	} {
		e.mustTake(store, s, s.next(key, fmt.Sprint("single ", n), entriesOf(entries...)))
		e.finds(store, s, 1, 2, 3)
		// The same in a batch, between others that move and do not, come and go.
		batch := []storage.Write{
			s.next(testKey(fmt.Sprint("new-", n)), "x", entriesOf("1:same", "2:new")),
			s.next(other, fmt.Sprint("other ", n), entriesOf("1:same", "2:same", "3:other")),
			s.next(testKey("batch"), fmt.Sprint("batch ", n), entriesOf(entries...)),
		}
		for i := range batch[2].Entries {
			batch[2].Entries[i].Value = append([]byte("batch "), batch[2].Entries[i].Value...)
		}
		if n > 0 {
			batch = append(batch, s.gone(testKey(fmt.Sprint("new-", n-1))))
		}
		e.mustTake(store, s, batch...)
		e.finds(store, s, 1, 2, 3)
	}
	// Deleted, created again without entries, deleted without entries, created with some.
	for _, entries := range [][]string{{}, {"1:again"}} {
		e.mustTake(store, s, s.gone(key))
		e.finds(store, s, 1, 2, 3)
		e.mustTake(store, s, s.next(key, "again", entriesOf(entries...)))
		e.finds(store, s, 1, 2, 3)
	}
}

func caseEntriesNotApplied(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	ctx, s := context.Background(), make(shelf)
	e.shelve(store, s, testScope, map[string][]string{"key": {"1:a", "2!b"}, "other": {"1!taken", "3:c"}})
	key, absent := testKey("key"), testKey("absent")
	moved := entriesOf("1:moved", "3:moved")
	stale, taken := s.next(key, "stale", moved), s.next(key, "taken", entriesOf("1!taken", "3:moved"))
	stale.Expect--
	again := s.next(key, "created", moved)
	again.Expect = 0
	updated := s.next(absent, "updated", moved)
	updated.Expect, updated.Record.Revision = 5, 6
	deleted := s.gone(key)
	deleted.Expect++
	refused := []struct {
		name string
		w    storage.Write
		err  error
	}{
		{"a stale update", stale, storage.ErrConflict},
		{"a create of a present key", again, storage.ErrConflict},
		{"an update of an absent key", updated, storage.ErrConflict},
		{"a stale delete", deleted, storage.ErrConflict},
		{"an update with a taken value", taken, storage.ErrNotUnique},
		{"a create with a taken value", s.next(absent, "taken", taken.Entries), storage.ErrNotUnique},
	}
	if most := store.Limits().MaxData; most > 0 {
		large := s.next(key, "", moved)
		large.Record.Data = make([]byte, most+1)
		refused = append(refused, struct {
			name string
			w    storage.Write
			err  error
		}{"too much data", large, storage.ErrTooLarge})
	}
	for _, r := range refused {
		require.ErrorIs(e, writeEach(store, r.w)[0], r.err, r.name)
		e.finds(store, s, 1, 2, 3)
		// Between others, which are applied.
		batch := []storage.Write{
			s.next(testKey("before"), r.name, entriesOf("1:before", "2:"+r.name)), r.w,
			s.next(testKey("after"), r.name, entriesOf("1:after", "2:"+r.name)),
		}
		errs := writeEach(store, batch...)
		require.NoError(e, errs[0], "a write beside %s", r.name)
		require.ErrorIs(e, errs[1], r.err, "%s in a batch", r.name)
		require.NoError(e, errs[2], "a write beside %s", r.name)
		s.take(batch[0], batch[2])
		e.finds(store, s, 1, 2, 3)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := store.Write(done, []storage.Write{s.next(key, "cancelled", moved)})
	require.ErrorIs(e, err, context.Canceled)
	require.ErrorIs(e, store.SetEntries(done, key, s[key].rec.Revision, moved), context.Canceled)
	invalid := s.next(key, "invalid", moved)
	invalid.Entries = []storage.Entry{moved[1], moved[0]}
	_, err = store.Write(ctx, []storage.Write{s.next(absent, "x", moved), invalid})
	require.ErrorIs(e, err, storage.ErrInvalid, "entries that are not sorted")
	e.silent(err, "moved", "absent", "key")
	err = store.SetEntries(ctx, key, s[key].rec.Revision, invalid.Entries)
	require.ErrorIs(e, err, storage.ErrInvalid, "entries that are not sorted")
	e.silent(err, "moved", "key")
	e.finds(store, s, 1, 2, 3)
}

func caseEntriesLargest(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s, key := make(shelf), testKey(strings.Repeat("k", storage.MaxExternalID))
	for _, first := range []byte{0, 0x7f, 0xff} {
		var entries []storage.Entry
		for i := range storage.MaxEntries {
			value := bytes.Repeat([]byte{first}, storage.MaxValue)
			value[storage.MaxValue-1] = byte(i) // they differ at the end alone
			entries = append(entries, storage.Entry{Index: 1, Value: value})
		}
		e.mustTake(store, s, s.next(key, "x", entries))
		e.finds(store, s, 1)
	}
	indexes := []uint32{1, 2, 1 << 16, 1 << 31, 1<<32 - 1}
	var entries []storage.Entry
	for _, index := range indexes {
		entries = append(entries, storage.Entry{Index: index, Value: []byte{byte(index)}, Unique: true})
	}
	e.mustTake(store, s, s.next(key, "x", entries))
	e.finds(store, s, indexes...)
}

func caseSetEntries(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	ctx, s, key := context.Background(), make(shelf), testKey("key")
	set := func(expect storage.Revision, texts ...string) error {
		return settled(func() error { return store.SetEntries(ctx, key, expect, entriesOf(texts...)) })
	}
	for _, expect := range []storage.Revision{0, 1, 1 << 40} {
		require.ErrorIs(e, set(expect, "1:a"), storage.ErrConflict, "of an absent key")
	}
	e.finds(store, s, 1)
	e.shelve(store, s, testScope, map[string][]string{"key": {"1:a"}, "other": {"1:a"}})
	before := s[key].rec.Revision
	e.mustTake(store, s, s.next(key, "newer", entriesOf("1:b")))
	current := s[key].rec.Revision
	for _, expect := range []storage.Revision{0, before, current + 1, current - 1} {
		require.ErrorIs(e, set(expect, "1:c"), storage.ErrConflict, "of another revision")
	}
	e.finds(store, s, 1, 2)
	for _, texts := range [][]string{{"1:c"}, {"1:c"}, {"1:c", "2:d"}, {"2:d", "2:e"}, {}, {"1:f"}} {
		require.NoError(e, set(current, texts...))
		s[key] = shelved{s[key].rec, entriesOf(texts...)}
		e.finds(store, s, 1, 2)
	}
	// A write of the same entries as those that SetEntries made, or as those of before.
	for _, texts := range [][]string{{"1:f"}, {"1:b"}} {
		require.NoError(e, set(s[key].rec.Revision, "1:f"))
		e.mustTake(store, s, s.next(key, "written", entriesOf(texts...)))
		e.finds(store, s, 1, 2)
	}
	require.NoError(e, set(s[key].rec.Revision, "1:g"))
	e.mustTake(store, s, s.gone(key))
	e.finds(store, s, 1, 2)
}

func caseSetEntriesRace(e *env) {
	const keys, rounds = 8, 25
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s := make(shelf)
	for round := range rounds {
		races := make([]*entryRace, keys)
		for k := range races {
			races[k] = e.newEntryRace(store, s, testKey(fmt.Sprint("key-", k)), round+k)
		}
		_ = inParallel(3*keys, func(n int) error {
			races[n/3].run(store, n%3)
			return nil
		})
		for _, r := range races {
			e.finish(store, s, r)
		}
		e.finds(store, s, 1, 2, 3)
	}
}

// entryRace is two SetEntries and a Write of one record at the same time. Their entries
// have some in common. Every other Write has those that the record had before, so that
// one which compares with an old state leaves some out, or too many.
type entryRace struct {
	write storage.Write
	sets  [2][]storage.Entry
	errs  [3]error // of the two SetEntries and the Write
}

func (e *env) newEntryRace(store storage.Store, s shelf, key storage.Key, n int) *entryRace {
	own := func(kind string) string { return "1:" + key.ExternalID + kind }
	if _, ok := s[key]; !ok {
		e.mustTake(store, s, s.next(key, "created", entriesOf(own("start"), "2:common")))
	}
	r := &entryRace{write: s.next(key, fmt.Sprint("round ", n), s[key].entries)}
	r.sets = [2][]storage.Entry{entriesOf(own("set 0"), "2:common", "3:0"), entriesOf(own("set 1"), "3:1")}
	switch n % 4 {
	case 0:
		r.write.Entries = entriesOf(own("write"), "2:common")
	case 1:
		r.write = s.gone(key)
	}
	return r
}

// run makes one of the three calls.
func (r *entryRace) run(store storage.Store, n int) {
	if ctx := context.Background(); n < len(r.sets) {
		r.errs[n] = store.SetEntries(ctx, r.write.Record.Key, r.write.Expect, r.sets[n])
	} else {
		r.errs[n] = write(ctx, store, r.write)
	}
}

// finish fails unless the entries are those of the call that must have come last.
func (e *env) finish(store storage.Store, s shelf, r *entryRace) {
	for _, err := range r.errs {
		if err != nil {
			require.ErrorIs(e, err, storage.ErrConflict)
		}
	}
	key := r.write.Record.Key
	found := e.entriesOf(store, key, 1, 2, 3)
	if r.errs[2] == nil { // any SetEntries that succeeded came before
		s.take(r.write)
		require.Equal(e, s[key].entries, found, "entries after a Write that met SetEntries")
		return
	}
	var left [][]storage.Entry // one of these
	for i, set := range r.sets {
		if r.errs[i] == nil {
			left = append(left, set)
		}
	}
	if left == nil {
		left = append(left, s[key].entries)
	}
	require.Contains(e, left, found, "entries after SetEntries that met a Write, which conflicted")
	s[key] = shelved{s[key].rec, found}
}

// entriesOf returns what finds the record of a key in some indexes; nothing is unique.
func (e *env) entriesOf(store storage.Store, key storage.Key, indexes ...uint32) []storage.Entry {
	var entries []storage.Entry
	for _, index := range indexes {
		hits, _ := e.lookUp(store, key.Scope(), index, storage.Range{Limit: storage.MaxPage})
		for _, h := range hits {
			if h.id == key.ExternalID {
				entries = append(entries, storage.Entry{Index: index, Value: []byte(h.value)})
			}
		}
	}
	return entries
}

// caseEntriesRandom does the same to a store and to a shelf.
func caseEntriesRandom(e *env) {
	const operations = 400
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	seed := uint64(time.Now().UnixNano())
	e.contract += fmt.Sprintf(" (random operations of the seed %d)", seed)
	ctx, random, s := context.Background(), newRand(seed), make(shelf)
	scopes := confusableScopes()[:2]
	values := []string{"a", "b", "ab", "B", "\x00", "a\x00", "\xff"}
	key := func() storage.Key { return keyIn(scopes[random.IntN(2)], nastyIDs[random.IntN(6)]) }
	entries := func() (some []storage.Entry) {
		for range random.IntN(4) {
			some = append(some, storage.Entry{
				Index: 1 + random.Uint32N(2), Value: []byte(values[random.IntN(len(values))]), Unique: random.IntN(4) == 0,
			})
		}
		return storage.SortEntries(some)
	}
	for n := range operations {
		switch random.IntN(4) {
		case 0, 1:
			var writes []storage.Write
			for range 1 + random.IntN(4) {
				k := key()
				if slices.ContainsFunc(writes, func(w storage.Write) bool { return w.Record.Key == k }) {
					continue
				}
				w := s.next(k, fmt.Sprint(n), entries())
				if w.Expect != 0 && random.IntN(3) == 0 {
					w = s.gone(k)
				}
				writes = append(writes, w)
			}
			errs, err := writeAll(ctx, store, writes)
			require.NoError(e, err)
			for i, w := range writes { // in their order
				if errors.Is(errs[i], storage.ErrConflict) {
					continue // spurious
				}
				if index := s.taken(w.Record.Key, w.Entries); index != 0 {
					require.ErrorIs(e, errs[i], storage.ErrNotUnique, "operation %d, write %d of %d: index %d", n, i+1, len(writes), index)
					continue
				}
				require.NoError(e, errs[i], "operation %d, write %d of %d", n, i+1, len(writes))
				s.take(w)
			}
		case 2:
			k, some := key(), entries()
			one, ok := s[k]
			if !ok {
				continue
			}
			err := settled(func() error { return store.SetEntries(ctx, k, one.rec.Revision, some) })
			if s.taken(k, some) != 0 {
				require.ErrorIs(e, err, storage.ErrNotUnique, "operation %d", n)
				continue
			}
			require.NoError(e, err, "operation %d", n)
			s[k] = shelved{one.rec, some}
		case 3:
			r := storage.Range{Limit: 1 + random.IntN(5), Backwards: random.IntN(2) == 0}
			value := func() []byte { return []byte(values[random.IntN(len(values))]) }
			if random.IntN(2) == 0 {
				r.From = value()
			}
			if random.IntN(2) == 0 {
				r.To = value()
			}
			if random.IntN(2) == 0 {
				r.After = storage.Position{Value: value(), ExternalID: key().ExternalID}
			}
			scope, index := key().Scope(), 1+random.Uint32N(2)
			hits, _ := e.lookUp(store, scope, index, r)
			require.Equal(e, s.hits(scope, index, r), hits, "operation %d: range %+v of index %d", n, r, index)
		}
	}
	e.finds(store, s, 1, 2)
}

// taken returns the index of an entry that another record has for itself, or 0.
func (s shelf) taken(key storage.Key, entries []storage.Entry) uint32 {
	for other, one := range s {
		for _, o := range one.entries {
			for _, mine := range entries {
				if other.Scope() == key.Scope() && other != key && o.Unique && mine.Unique && o.Compare(mine) == 0 {
					return mine.Index
				}
			}
		}
	}
	return 0
}
