package storagetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var listCases = []testCase{
	{"list/byte-order", "List returns records in the byte order of their external ids.", caseByteOrder},
	{"list/exclusive-cursor", "A page starts after the cursor, whose record need not exist.", caseCursor},
	{"list/deleted-cursor", "A walk goes on when the record of its cursor is deleted between two pages.", caseDeletedCursor},
	{"list/backwards", "Backwards, List returns the same records in the opposite order, before the cursor.", caseBackwards},
	{"list/empty", "An empty scope has one page, with no records and no Next.", caseEmptyScope},
	{"list/limit", "A page has at most limit records, and a limit above MaxPage counts as MaxPage.", casePageLimit},
	{"list/while-writing", "A walk returns every record that exists during all of it exactly once, in either direction, and each as it was at some instant.", caseListWhileWriting},
}

// nastyIDs are different ids that collations, case folding, normalization, trimming or
// numeric comparison would put into another order, or take for the same.
var nastyIDs = []string{
	"A", "a", "B", "b", "Z", "z", "AB", "Ab", "aB", "ab",
	"a-1", "a_1", "a1", "a.1", "a/1", "a 1", "a:1", "a%1", "a%2F1", "a\\1", "a\t1", "a\n1",
	"1", "01", "001", "9", "10", "1e1", "-1", "+1",
	"x", "x ", "x  ", " x", "x\u00a0",
	"é", "e\u0301", "É", "E\u0301", "ä", "ss", "ß", "ı", "I", "i", "İ",
	"\u007f", "\u0080", "\ufffd", "\uffff", "😀", "ﬀ", "ff", "中", "\u200b", "a\u200b",
	"%", "_", "*", "'", "\"", ";", "--", "..", ".", "/", "$1", "?", "null", "\x01",
	"prefix", "prefix-", "prefix-more", "prefix-more-still",
}

// absentIDs are not among nastyIDs.
var absentIDs = []string{"a-", "a0", "prefix-mo", "y", "\u00e8", "\U0010ffff"}

func (e *env) fill(store storage.Store, scope storage.Scope, ids []string) {
	for i, id := range ids {
		e.mustPut(store, record(keyIn(scope, id), fmt.Sprint(i)), 0)
	}
}

// idsOf returns the external ids of records, never nil.
func idsOf(records []storage.Record) []string {
	ids := make([]string, len(records))
	for i, rec := range records {
		ids[i] = rec.Key.ExternalID
	}
	return ids
}

func caseByteOrder(e *env) {
	store := e.open()
	e.fill(store, testScope, nastyIDs)
	want := slices.Sorted(slices.Values(nastyIDs)) // strings compare as bytes
	for _, limit := range []int{1, 2, 7, len(want) - 1, len(want), len(want) + 1} {
		require.Equal(e, want, idsOf(e.walk(store, testScope, storage.Range{Limit: limit})), "walk with pages of %d", limit)
	}
	for i, id := range nastyIDs {
		rec, err := store.Get(context.Background(), testKey(id))
		require.NoError(e, err)
		require.Equal(e, fmt.Sprint(i), string(rec.Data), "data under the id %q", id)
	}
}

func caseCursor(e *env) {
	store := e.open()
	e.fill(store, testScope, nastyIDs)
	sorted := slices.Sorted(slices.Values(nastyIDs))
	for i, id := range sorted {
		require.Equal(e, sorted[i+1:], idsOf(e.walk(store, testScope, after(id, 50))), "after %q", id)
	}
	for _, id := range absentIDs {
		i, exists := slices.BinarySearch(sorted, id)
		require.False(e, exists)
		require.Equal(e, sorted[i:], idsOf(e.walk(store, testScope, after(id, 50))), "after %q, which is absent", id)
	}
}

func caseDeletedCursor(e *env) {
	for _, backwards := range []bool{false, true} {
		store := e.open()
		ids := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		e.fill(store, testScope, ids)
		if backwards {
			slices.Reverse(ids)
		}
		var got []string
		for r := (storage.Range{Limit: 3, Backwards: backwards}); ; {
			page, err := store.List(context.Background(), testScope, r)
			require.NoError(e, err)
			got = append(got, idsOf(page.Records)...)
			if page.Next.IsZero() {
				break
			}
			require.LessOrEqual(e, len(got), len(ids), "ids in a walk, backwards: %v", backwards)
			for _, rec := range page.Records {
				e.mustDelete(store, rec)
			}
			r.After = page.Next
		}
		require.Equal(e, ids, got, "backwards: %v", backwards)
	}
}

func caseBackwards(e *env) {
	store := e.open()
	e.fill(store, testScope, nastyIDs)
	want := slices.Sorted(slices.Values(nastyIDs))
	slices.Reverse(want)
	back := func(id string, limit int) []string {
		r := after(id, limit)
		r.Backwards = true
		return idsOf(e.walk(store, testScope, r))
	}
	for _, limit := range []int{1, 2, 7, len(want) - 1, len(want), len(want) + 1} {
		require.Equal(e, want, back("", limit), "walk with pages of %d", limit)
	}
	for i, id := range want {
		require.Equal(e, want[i+1:], back(id, 50), "before %q", id)
	}
	for _, id := range absentIDs {
		i := slices.IndexFunc(want, func(stored string) bool { return stored < id })
		require.Equal(e, want[i:], back(id, 50), "before %q, which is absent", id)
	}
	// The first page is the end of the scope, with neighbours that have nothing to do
	// with it.
	scopes := confusableScopes()
	for _, scope := range scopes {
		e.fill(store, scope, []string{"a", "b"})
	}
	page, err := store.List(context.Background(), scopes[0], storage.Range{Limit: 1, Backwards: true})
	require.NoError(e, err)
	for _, rec := range page.Records {
		require.Equal(e, keyIn(scopes[0], "b"), rec.Key)
	}
}

func caseEmptyScope(e *env) {
	store := e.open()
	check := func(why string) {
		for _, backwards := range []bool{false, true} {
			page, err := store.List(context.Background(), testScope, storage.Range{Limit: 10, Backwards: backwards})
			require.NoError(e, err, why)
			require.Empty(e, page.Records, why)
			require.True(e, page.Next.IsZero(), why)
		}
	}
	check("never used")
	rec := e.mustPut(store, record(testKey("only"), "x"), 0)
	require.Empty(e, e.walk(store, testScope, after("only", 10)), "after the only record")
	e.mustDelete(store, rec)
	check("its only record deleted")
}

func casePageLimit(e *env) {
	store := e.open()
	const n = storage.MaxPage + 5
	var ids []string
	var records []storage.Record
	for i := range n {
		ids = append(ids, fmt.Sprintf("%05d", i))
		records = append(records, record(testKey(ids[i]), "x"))
	}
	e.mustPutAll(store, records)
	for _, backwards := range []bool{false, true} {
		for _, limit := range []int{1, 2, storage.MaxPage, storage.MaxPage + 1, math.MaxInt32} {
			page, err := store.List(context.Background(), testScope, storage.Range{Limit: limit, Backwards: backwards})
			require.NoError(e, err)
			most := min(limit, storage.MaxPage)
			require.LessOrEqual(e, len(page.Records), most, "limit %d", limit)
			require.False(e, page.Next.IsZero(), "limit %d of %d records", limit, n)
		}
		require.Equal(e, ids, idsOf(e.walk(store, testScope, storage.Range{Limit: storage.MaxPage + 1, Backwards: backwards})))
		slices.Reverse(ids)
	}
}

func caseListWhileWriting(e *env) {
	const stable, writers, walks = 120, 4, 15
	store := e.open()
	key := func(i int) storage.Key { return testKey(fmt.Sprintf("%03d-stable", i)) }
	// The data of the stable records are their revisions.
	next := func(key storage.Key, expect storage.Revision) storage.Write {
		w := putOf(record(key, ""), expect)
		w.Record.Data = fmt.Append(nil, w.Record.Revision)
		return w
	}
	var writes []storage.Write
	for i := range stable {
		writes = append(writes, next(key(i), 0))
	}
	e.mustWrite(store, writes...)

	var stop atomic.Bool
	done := make(chan error, 1)
	go func() {
		done <- inParallel(writers, func(w int) error {
			random := newRand(uint64(w))
			for !stop.Load() {
				i := random.IntN(stable)
				rec, err := store.Get(context.Background(), key(i))
				if err == nil {
					err = write(context.Background(), store, next(key(i), rec.Revision))
				}
				if err != nil && !errors.Is(err, storage.ErrConflict) {
					return err
				}
				// Each writer has volatile keys of its own, between the stable ones.
				rec = record(testKey(fmt.Sprintf("%03d-volatile-%d", i, w)), "v")
				rev, err := put(store, rec, 0)
				if err != nil {
					return err
				}
				if err := remove(store, rec.Key, rev); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	// The writers end before the case does, also when it fails.
	var joined bool
	join := func() (err error) {
		if !joined {
			joined = true
			stop.Store(true)
			err = <-done
		}
		return err
	}
	defer func() { _ = join() }()

	for walk := range walks {
		seen := make([]int, stable)
		for _, rec := range e.walk(store, testScope, storage.Range{Limit: 7 + walk, Backwards: walk%2 == 1}) {
			var i int
			if _, err := fmt.Sscanf(rec.Key.ExternalID, "%03d-stable", &i); err == nil {
				seen[i]++
				require.Equal(e, fmt.Sprint(rec.Revision), string(rec.Data), "data that were written with the revision")
			}
		}
		for i, n := range seen {
			require.Equal(e, 1, n, "how often a walk has the stable record %d", i)
		}
	}
	require.NoError(e, join())
}

// addTo changes a record, without letting it grow.
func addTo(store storage.Store, key storage.Key) (storage.Record, error) {
	return storage.Update(context.Background(), store, key, func(old storage.Record) (storage.Record, error) {
		return record(key, fmt.Sprint(len(old.Data)%10)), nil
	})
}
