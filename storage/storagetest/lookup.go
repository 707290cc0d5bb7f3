package storagetest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var lookupCases = []testCase{
	{"lookup/order", "Lookup returns records in the byte order of (value, external id), or backwards.", caseLookupOrder},
	{"lookup/bounds", "Lookup returns the records with a value within the bounds: From <= value < To, as bytes; nil is no bound.", caseLookupBounds},
	{"lookup/position", "A page begins after its position, which need not be that of a record.", caseLookupPosition},
	{"lookup/limit", "A page has at most limit records, and a limit above MaxPage counts as MaxPage. A limit below 1, index 0 and an invalid scope are ErrInvalid.", caseLookupLimit},
	{"lookup/scopes", "Lookup returns records of its scope and its index, and no others.", caseLookupScopes},
	{"lookup/moving-pages", "A walk returns every record whose entry does not move exactly once, whatever comes, goes or moves between its pages.", caseLookupMovingPages},
	{"lookup/while-moving", "A walk returns every record whose entry does not move exactly once. A record and its entries are those of one instant.", caseLookupWhileMoving},
}

// directions are both ways through an index.
var directions = []bool{false, true}

// nastyValues are values that text, numbers or the end of a string would put into
// another order, or take for the same.
func nastyValues() []string {
	values := []string{
		"\x00", "\x00\x00", "\x00\xff", "\x01", "a", "a\x00", "a\x00b", "a\xff", "a\xff\xff", "ab", "A", "AB", "b", "B",
		"\x7f", "\x80", "\xc3", "\xff", "\xff\x00", "\xff\xff", "\xfe\xff", "1", "01", "10", "9", " ", "  ", "a ", "%", "_", "\\", "'",
		strings.Repeat("a", storage.MaxValue), strings.Repeat("a", storage.MaxValue-1), strings.Repeat("\xff", storage.MaxValue),
	}
	for _, id := range nastyIDs {
		if !slices.Contains(values, id) {
			values = append(values, id)
		}
	}
	return values
}

func caseLookupOrder(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s, ids := make(shelf), make(map[string][]string)
	for i, value := range nastyValues() {
		// In another order than the ids, and some values twice or three times.
		ids[nastyIDs[(i*7)%len(nastyIDs)]] = append(ids[nastyIDs[(i*7)%len(nastyIDs)]], "1:"+value)
		if i%3 == 0 {
			ids[fmt.Sprint("also ", i)] = []string{"1:" + value}
			ids[fmt.Sprint("Also ", i)] = []string{"1:" + value, "2:" + value}
		}
	}
	e.shelve(store, s, testScope, ids)
	for _, backwards := range directions {
		want := s.hits(testScope, 1, storage.Range{Backwards: backwards})
		for _, limit := range []int{1, 7, len(want) - 1, len(want), len(want) + 1} {
			r := storage.Range{Backwards: backwards, Limit: limit}
			hits, records := e.lookUp(store, testScope, 1, r)
			require.Equal(e, want, hits, "%+v", r)
			for _, rec := range records {
				e.same(s[rec.Key].rec, rec)
			}
		}
	}
	// List has each record once, and walk sees that it has no values.
	require.Len(e, e.walk(store, testScope, storage.Range{Limit: 50}), len(ids), "records in a list")
}

func caseLookupBounds(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s := make(shelf)
	values := []string{"\x00", "a", "a\x00", "ab", "b", "b\xff", "\xff", "\xff\xff"}
	for i, value := range values {
		e.shelve(store, s, testScope, map[string][]string{
			fmt.Sprint("x", i):   {"1:" + value},
			fmt.Sprint("y", i%3): append([]string{"1:" + value}, textsOf(s[testKey(fmt.Sprint("y", i%3))].entries)...),
			fmt.Sprint("z", i):   {"2:" + value},
		})
	}
	bounds := [][]byte{nil, {}}
	for _, value := range values {
		bounds = append(bounds, []byte(value))
	}
	bounds = append(bounds, []byte("a\x00\x00"), []byte("c"), []byte("\xff\xff\xff"), []byte(strings.Repeat("\xff", storage.MaxValue+1)))
	for _, from := range bounds {
		for _, to := range bounds {
			for _, backwards := range directions {
				for _, limit := range []int{2, 100} {
					r := storage.Range{From: from, To: to, Backwards: backwards, Limit: limit}
					hits, _ := e.lookUp(store, testScope, 1, r)
					require.Equal(e, s.hits(testScope, 1, r), hits, "from %q to %q, backwards %v", from, to, backwards)
				}
			}
		}
	}
}

// textsOf is the inverse of entriesOf.
func textsOf(entries []storage.Entry) (texts []string) {
	for _, entry := range entries {
		mark := ":"
		if entry.Unique {
			mark = "!"
		}
		texts = append(texts, fmt.Sprint(entry.Index)+mark+string(entry.Value))
	}
	return texts
}

func caseLookupPosition(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s := make(shelf)
	e.shelve(store, s, testScope, map[string][]string{
		"a": {"1:x", "1:y"}, "b": {"1:x"}, "c": {"1:x", "1:z"}, "d": {"1:xx"}, "B": {"1:y"}, "é": {"1:y", "1:\x00"},
	})
	for _, value := range []string{"\x00", "w", "x", "x\x00", "xx", "y", "z", "\xff"} {
		for _, id := range []string{"A", "a", "a ", "aa", "b", "c", "\U0010ffff"} {
			for _, backwards := range directions {
				r := storage.Range{After: storage.Position{Value: []byte(value), ExternalID: id}, Backwards: backwards, Limit: 3}
				hits, _ := e.lookUp(store, testScope, 1, r)
				require.Equal(e, s.hits(testScope, 1, r), hits, "after %q, %q, backwards %v", value, id, backwards)
				r.From, r.To = []byte("x"), []byte("y") // a position may be outside of the bounds
				hits, _ = e.lookUp(store, testScope, 1, r)
				require.Equal(e, s.hits(testScope, 1, r), hits, "after %q, %q within bounds, backwards %v", value, id, backwards)
			}
		}
	}
}

func caseLookupLimit(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	ctx, s := context.Background(), make(shelf)
	for _, r := range []storage.Range{{Limit: 1}, {Limit: 5, Backwards: true}} {
		page, err := store.Lookup(ctx, testScope, 1, r)
		require.NoError(e, err)
		require.Empty(e, page.Records, "of an index that was never used")
		require.True(e, page.Next.IsZero())
	}
	var writes []storage.Write
	for i := range 3 * storage.MaxPage / 4 {
		entries := entriesOf(fmt.Sprintf("1:%04d", i%100), fmt.Sprintf("1:%04d", 100+i))
		writes = append(writes, s.next(testKey(fmt.Sprintf("%04d", i)), "x", entries))
	}
	e.mustTake(store, s, writes...)
	for _, backwards := range directions {
		for _, limit := range []int{1, 2, storage.MaxPage, storage.MaxPage + 1, math.MaxInt32} {
			page, err := store.Lookup(ctx, testScope, 1, storage.Range{Limit: limit, Backwards: backwards})
			require.NoError(e, err)
			require.LessOrEqual(e, len(page.Records), min(limit, storage.MaxPage), "limit %d", limit)
			require.False(e, page.Next.IsZero(), "Next of a page of %d", limit)
		}
		r := storage.Range{Limit: storage.MaxPage, Backwards: backwards}
		hits, _ := e.lookUp(store, testScope, 1, r)
		require.Equal(e, s.hits(testScope, 1, r), hits)
	}
	for _, limit := range []int{0, -1} {
		_, err := store.Lookup(ctx, testScope, 1, storage.Range{Limit: limit})
		require.ErrorIs(e, err, storage.ErrInvalid, "limit %d", limit)
	}
	_, err := store.Lookup(ctx, storage.Scope{}, 1, storage.Range{Limit: 1})
	require.ErrorIs(e, err, storage.ErrInvalid, "zero scope")
	_, err = store.Lookup(ctx, testScope, 0, storage.Range{Limit: 1})
	require.ErrorIs(e, err, storage.ErrInvalid, "index 0")
}

// caseLookupScopes uses the same ids and values everywhere. Each scope and each index
// must answer as if the others were not there.
func caseLookupScopes(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s, scopes := make(shelf), confusableScopes()
	for i, scope := range scopes {
		ids := map[string][]string{"same": {"1:v", "2:v", "3!v"}, fmt.Sprint("own-", i): {"1:v", fmt.Sprintf("2:%d", i)}}
		switch i % 4 {
		case 2:
			ids = map[string][]string{"same": {"4:v"}}
		case 3:
			ids = map[string][]string{"same": {}}
		}
		e.shelve(store, s, scope, ids)
	}
	e.finds(store, s, 1, 2, 3, 4, 5)
	for i, scope := range scopes { // and when they go
		switch key := keyIn(scope, "same"); i % 3 {
		case 0:
			e.mustTake(store, s, s.gone(key))
		case 1:
			e.mustTake(store, s, s.next(key, "moved", entriesOf("1:w")))
		case 2:
			require.NoError(e, settled(func() error {
				return store.SetEntries(context.Background(), key, s[key].rec.Revision, entriesOf("2:w", "3!v"))
			}))
			s[key] = shelved{s[key].rec, entriesOf("2:w", "3!v")}
		}
	}
	e.finds(store, s, 1, 2, 3, 4, 5)
}

func caseLookupMovingPages(e *env) {
	const n = 60
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	ctx := context.Background()
	for _, backwards := range directions {
		s := make(shelf)
		name := func(i int, kind string) storage.Key { return testKey(fmt.Sprintf("%v-%s-%02d", backwards, kind, i)) }
		value := func(i int) string { return fmt.Sprintf("1:%v-%02d", backwards, i) }
		var writes []storage.Write
		for i := range n {
			for _, kind := range []string{"stays", "goes", "moves"} {
				writes = append(writes, s.next(name(i, kind), "x", entriesOf(value(i))))
			}
		}
		e.mustTake(store, s, writes...)
		seen := make(map[storage.Key]int)
		bounds := storage.Range{From: []byte(fmt.Sprint(backwards, "-")), To: []byte(fmt.Sprint(backwards, "."))}
		r := storage.Range{From: bounds.From, To: bounds.To, Backwards: backwards, Limit: 7}
		for page := 0; ; page++ {
			got, err := store.Lookup(ctx, testScope, 1, r)
			require.NoError(e, err)
			for _, rec := range got.Records {
				seen[rec.Key]++
				// Whatever was found goes, moves or changes: the cursor stays where it was.
				switch kind := strings.Split(rec.Key.ExternalID, "-")[1]; {
				case kind == "goes":
					e.mustTake(store, s, s.gone(rec.Key))
				case kind == "moves" && page%2 == 0:
					e.mustTake(store, s, s.next(rec.Key, "moved", entriesOf(value(page*11%n))))
				case kind == "stays":
					e.mustTake(store, s, s.next(rec.Key, "changed", s[rec.Key].entries))
				}
			}
			if r.After = got.Next; r.After.IsZero() {
				break
			}
			e.mustTake(store, s, s.next(testKey(fmt.Sprintf("%v-new-%02d", backwards, page)), "new", entriesOf(value(page*7%n))))
			require.Less(e, page, 10*n, "pages of a walk")
		}
		for i := range n {
			require.Equal(e, 1, seen[name(i, "stays")], "times that a record whose entry does not move was found")
			require.LessOrEqual(e, seen[name(i, "goes")], 1, "times that a record was found before it was deleted")
		}
		hits, _ := e.lookUp(store, testScope, 1, storage.Range{From: bounds.From, To: bounds.To, Backwards: backwards, Limit: 100})
		bounds.Backwards = backwards
		require.Equal(e, s.hits(testScope, 1, bounds), hits)
	}
}

// caseLookupWhileMoving has writers move some records and change others in place, while
// readers walk. The data of a record names the value that it is found by.
func caseLookupWhileMoving(e *env) {
	const stable, volatile, writers, walks = 50, 24, 4, 8
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	value := func(i int) string { return fmt.Sprintf("%02d", i) }
	s := make(shelf)
	var writes []storage.Write
	for i := range stable {
		writes = append(writes, s.next(testKey("stable-"+value(i)), value(i)+" 0", entriesOf("1:"+value(i))))
	}
	for i := range volatile {
		writes = append(writes, s.next(testKey("volatile-"+value(i)), value(i)+" 0", entriesOf("1:"+value(i))))
	}
	e.mustTake(store, s, writes...)
	var stop atomic.Bool
	err := inParallel(writers+2, func(n int) error {
		if n < writers {
			random := newRand(uint64(n))
			for round := 1; !stop.Load(); round++ {
				i := random.IntN(stable)
				key, to := testKey("stable-"+value(i)), value(i)
				if random.IntN(2) == 0 {
					key, to = testKey("volatile-"+value(random.IntN(volatile))), value(random.IntN(stable))
				}
				data, entries := fmt.Sprintf("%s %d-%d", to, n, round), entriesOf("1:"+to)
				_, err := storage.UpdateWith(context.Background(), store, key, func(storage.Record) (storage.Write, error) {
					return storage.Write{Record: record(key, data), Entries: entries}, nil
				})
				if err != nil {
					return err
				}
			}
			return nil
		}
		defer stop.Store(true)
		return e.watchIndex(store, stable, walks, n == writers)
	})
	require.NoError(e, err)
}

// watchIndex walks through what caseLookupWhileMoving has in motion. It runs beside
// the case, and so returns what is wrong.
func (e *env) watchIndex(store storage.Store, stable, walks int, backwards bool) error {
	for walk := range walks {
		seen := make(map[string]int)
		r := storage.Range{Backwards: backwards, Limit: 7 + walk}
		for {
			page, err := store.Lookup(context.Background(), testScope, 1, r)
			if err != nil {
				return err
			}
			for i, rec := range page.Records {
				seen[rec.Key.ExternalID]++
				if named, _, _ := strings.Cut(string(rec.Data), " "); named != string(page.Values[i]) {
					return fmt.Errorf("found by %q a record as it was when its value was %q", page.Values[i], named)
				}
			}
			if r.After = page.Next; r.After.IsZero() {
				break
			}
		}
		for i := range stable {
			if n := seen[fmt.Sprintf("stable-%02d", i)]; n != 1 {
				return fmt.Errorf("a record whose entry does not move was found %d times in a walk", n)
			}
		}
	}
	return nil
}
