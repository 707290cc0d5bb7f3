package storagetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var uniqueCases = []testCase{
	{"unique/one", "No two records of a scope have a unique entry of one index and value.", caseUniqueOne},
	{"unique/error", "A NotUniqueError names the index of the entry, and neither the value nor the record that has it.", caseUniqueError},
	{"unique/batch", "The writes of one call are decided in their order: a value that an earlier one frees is free, one that only a later one frees is taken.", caseUniqueBatch},
	{"unique/alone", "A write that finds a value taken fails alone.", caseUniqueAlone},
	{"unique/race", "Of many writers that take one value at the same time exactly one gets it.", caseUniqueRace},
	{"unique/in-turn", "A value has at most one record at a time, however close together it is taken and freed.", caseUniqueInTurn},
}

func caseUniqueOne(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	ctx, s := context.Background(), make(shelf)
	e.shelve(store, s, testScope, map[string][]string{"holder": {"1!v", "2:v", "2!w"}, "other": {"1!o"}, "bare": {}})
	write := func(id string, texts ...string) error {
		w := s.next(testKey(id), strings.Join(texts, ","), entriesOf(texts...))
		err := writeEach(store, w)[0]
		if err == nil {
			s.take(w)
		}
		e.finds(store, s, 1, 2, 3)
		return err
	}
	set := func(id string, texts ...string) error {
		key := testKey(id)
		err := settled(func() error { return store.SetEntries(ctx, key, s[key].rec.Revision, entriesOf(texts...)) })
		if err == nil {
			s[key] = shelved{s[key].rec, entriesOf(texts...)}
		}
		e.finds(store, s, 1, 2, 3)
		return err
	}
	for _, id := range []string{"new", "other", "bare"} {
		require.ErrorIs(e, write(id, "1!v"), storage.ErrNotUnique, "a taken value for the record %q", id)
		require.ErrorIs(e, write(id, "1!free", "2!w", "3:x"), storage.ErrNotUnique, "a taken and a free value for the record %q", id)
	}
	for _, id := range []string{"other", "bare"} {
		require.ErrorIs(e, set(id, "1!v"), storage.ErrNotUnique, "SetEntries with a taken value")
		require.ErrorIs(e, set(id, "1!free", "2!w", "3:x"), storage.ErrNotUnique, "SetEntries with a taken value and a free one")
	}
	require.NoError(e, write("new", "1:v", "2!v", "3!v"), "the value where it is not unique, and in other indexes")
	require.ErrorIs(e, write("other", "3!v"), storage.ErrNotUnique)
	for _, scope := range confusableScopes() {
		e.shelve(store, s, scope, map[string][]string{"holder": {"1!v"}}) // in other scopes it is free
	}
	e.finds(store, s, 1, 2, 3)

	// A record never stands in its own way.
	require.NoError(e, write("holder", "1!v", "2!w"), "its own value again")
	require.NoError(e, set("holder", "1!v", "2!w"), "SetEntries with its own value again")
	require.NoError(e, write("holder", "1!v", "2:w"), "one of two not unique any more")
	require.NoError(e, write("other", "2!w"), "a value that is not unique any more")
	require.ErrorIs(e, write("holder", "1!v", "2!w"), storage.ErrNotUnique, "a value that has become unique for another record")
	require.NoError(e, write("holder", "1:v"))
	require.NoError(e, write("holder", "1!v"), "its own value unique again")
	require.ErrorIs(e, write("other", "1!v"), storage.ErrNotUnique)
	require.NoError(e, set("holder", "1:v"))
	require.NoError(e, set("holder", "1!v"), "its own value unique again")
	require.ErrorIs(e, set("other", "1!v"), storage.ErrNotUnique)

	// It is free when the record moves, loses the entry, or is deleted.
	require.NoError(e, write("holder", "1!moved"))
	require.NoError(e, write("other", "1!v"))
	require.NoError(e, write("other"))
	require.NoError(e, write("bare", "1!v"))
	require.NoError(e, set("bare", "1!elsewhere"))
	require.NoError(e, set("other", "1!v"))
	gone := s.gone(testKey("other"))
	e.mustTake(store, s, gone)
	require.NoError(e, write("holder", "1!v"))
	require.NoError(e, write("other", "1!moved"))
}

func caseUniqueError(e *env) {
	const value, holder, taker = "alice@example.com", "id-of-alice", "id-of-bob"
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s := make(shelf)
	e.shelve(store, s, testScope, map[string][]string{holder: {"3!" + value}, taker: {}})
	texts := []string{"1:first", "2!free", "3!" + value, "4!free"}
	check := func(err error) {
		var notUnique *storage.NotUniqueError
		require.ErrorIs(e, err, storage.ErrNotUnique)
		require.True(e, errors.As(err, &notUnique), "%T is not a NotUniqueError", err)
		require.EqualValues(e, 3, notUnique.Index, "index of a NotUniqueError")
		e.silent(err, value, "alice", holder, taker, "bob", "data of")
		var conflict *storage.ConflictError
		require.False(e, errors.As(err, &conflict), "a NotUniqueError has a ConflictError, which may show a record")
	}
	for _, id := range []string{taker, "new"} {
		check(writeEach(store, s.next(testKey(id), "x", entriesOf(texts...)))[0])
		check(writeEach(store, s.next(testKey("beside the "+id), "x", nil), s.next(testKey(id), "x", entriesOf(texts...)))[1])
	}
	check(settled(func() error {
		return store.SetEntries(context.Background(), testKey(taker), s[testKey(taker)].rec.Revision, entriesOf(texts...))
	}))
}

func caseUniqueBatch(e *env) {
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	free, taken := error(nil), storage.ErrNotUnique
	type step struct {
		id      string
		entries string // separated by blanks; "-" deletes
		want    error
	}
	for n, c := range []struct {
		name   string
		before map[string][]string
		steps  []step
	}{
		{"two take one value", nil, []step{{"b", "1!v", free}, {"a", "1!v", taken}, {"c", "1!w", free}}},
		{"freed by a delete", map[string][]string{"b": {"1!v"}}, []step{{"b", "-", free}, {"a", "1!v", free}}},
		{"freed by a move", map[string][]string{"b": {"1!v"}}, []step{{"b", "1!w", free}, {"a", "1!v", free}}},
		{"freed by an update without it", map[string][]string{"b": {"1!v"}, "a": {"1!w"}}, []step{{"b", "", free}, {"a", "1!v", free}}},
		{"freed as it becomes not unique", map[string][]string{"b": {"1!v"}}, []step{{"b", "1:v", free}, {"a", "1!v", free}}},
		{"freed too late by a delete", map[string][]string{"b": {"1!v"}}, []step{{"a", "1!v", taken}, {"b", "-", free}}},
		{"freed too late by a move", map[string][]string{"b": {"1!v"}}, []step{{"a", "1!v", taken}, {"b", "1!w", free}, {"c", "1!v", free}}},
		{"exchanged", map[string][]string{"a": {"1!v"}, "b": {"1!w"}}, []step{{"a", "1!w", taken}, {"b", "1!v", taken}}},
		{"in a ring", map[string][]string{"a": {"1!u"}, "b": {"1!v"}, "c": {"1!w"}}, []step{{"a", "1!x", free}, {"c", "1!u", free}, {"b", "1!w", free}, {"d", "1!v", free}}},
		{"in a ring, backwards", map[string][]string{"a": {"1!u"}, "b": {"1!v"}}, []step{{"b", "1!u", taken}, {"a", "1!x", free}, {"d", "1!u", free}}},
		{"kept for one that fails", map[string][]string{"a": {"1!v"}, "b": {"1!w"}}, []step{{"a", "1!w 1!x", taken}, {"c", "1!x", free}, {"d", "1!v", taken}}},
		{"one value of several", map[string][]string{"b": {"1!v", "2!v"}}, []step{{"b", "2!v", free}, {"a", "1!v 2!v", taken}, {"c", "1!v", free}}},
		{"not unique beside unique", map[string][]string{"b": {"1!v"}}, []step{{"a", "1:v", free}, {"b", "1!v", free}, {"c", "1:v", free}}},
	} {
		scope, s := confusableScopes()[n], make(shelf)
		e.shelve(store, s, scope, c.before)
		var writes []storage.Write
		for _, step := range c.steps {
			key := keyIn(scope, step.id)
			if step.entries == "-" {
				writes = append(writes, s.gone(key))
				continue
			}
			writes = append(writes, s.next(key, "after", entriesOf(strings.Fields(step.entries)...)))
		}
		// A spurious conflict would change what comes after it, so none is retried:
		// what is expected depends on them.
		errs, err := writeAll(context.Background(), store, writes)
		require.NoError(e, err, c.name)
		spurious := false
		for i, w := range writes {
			if spurious = spurious || errors.Is(errs[i], storage.ErrConflict); !spurious {
				require.ErrorIs(e, errs[i], c.steps[i].want, "%s: write %d", c.name, i+1)
			}
			if errs[i] == nil {
				s.take(w)
			}
		}
		e.finds(store, s, 1, 2)
	}
}

func caseUniqueAlone(e *env) {
	const n = 40
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s := make(shelf)
	e.shelve(store, s, testScope, map[string][]string{"holder": {"1!taken"}})
	for round := range 3 { // create, update, and delete some
		var writes []storage.Write
		for i := range n {
			key := testKey(fmt.Sprintf("%02d", i))
			w := s.next(key, fmt.Sprint("round ", round), entriesOf(fmt.Sprintf("1!%d-%d", round, i), "2:common"))
			switch {
			case i == n/2 || i == n-1:
				w.Entries = entriesOf("1!taken", "2:common")
			case round == 2 && i%3 == 0:
				w = s.gone(key)
			}
			writes = append(writes, w)
		}
		errs := writeEach(store, writes...)
		for i, w := range writes {
			if i == n/2 || i == n-1 {
				require.ErrorIs(e, errs[i], storage.ErrNotUnique, "write %d of %d, whose value is taken", i+1, n)
				continue
			}
			require.NoError(e, errs[i], "write %d of %d, whose value is free", i+1, n)
			s.take(w)
		}
		e.finds(store, s, 1, 2)
	}
}

// caseUniqueRace lets many writers take one value at the same time, each for a record of
// its own: by a create, by an update, and by SetEntries.
func caseUniqueRace(e *env) {
	const writers, rounds = 64, 3
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	s := make(shelf)
	for round := range rounds {
		for kind, take := range []func(w storage.Write) error{
			func(w storage.Write) error { return writeEach(store, w)[0] }, // creates
			func(w storage.Write) error { return writeEach(store, w)[0] }, // updates
			func(w storage.Write) error {
				return settled(func() error {
					return store.SetEntries(context.Background(), w.Record.Key, w.Expect, w.Entries)
				})
			},
		} {
			value := fmt.Sprintf("%d-%d", round, kind)
			writes := make([]storage.Write, writers)
			for i := range writes {
				key := testKey(fmt.Sprintf("%d-%d", round, i))
				writes[i] = s.next(key, value, entriesOf("1!"+value, fmt.Sprintf("2!%s-%d", value, i)))
			}
			var errs [writers]error
			_ = inParallel(writers, func(i int) error {
				errs[i] = take(writes[i])
				return nil
			})
			winners := 0
			for i, w := range writes {
				if errs[i] != nil {
					require.ErrorIs(e, errs[i], storage.ErrNotUnique)
					continue
				}
				if winners++; kind == 2 {
					s[w.Record.Key] = shelved{s[w.Record.Key].rec, w.Entries}
					continue
				}
				s.take(w)
			}
			require.Equal(e, 1, winners, "writers that got the value")
			e.finds(store, s, 1, 2)
			if kind == 0 { // the others exist from now on
				var others []storage.Write
				for i, w := range writes {
					if errs[i] != nil {
						others = append(others, s.next(w.Record.Key, "created", entriesOf("2:common")))
					}
				}
				e.mustTake(store, s, others...)
			}
		}
	}
}

// caseUniqueInTurn has writers take a value and free it again, by all means, as often as
// they can. Who has it counts itself, and must be alone.
func caseUniqueInTurn(e *env) {
	const writers, turns = 8, 15
	store, ok := e.openIndexed()
	if !ok {
		return
	}
	var holders, last atomic.Int64 // last is when one got the value
	var failed atomic.Bool
	begun := time.Now()
	err := inParallel(writers, func(i int) (err error) {
		defer func() {
			if err != nil {
				failed.Store(true)
			}
		}()
		s, key := make(shelf), testKey(fmt.Sprint("key-", i))
		do := func(w storage.Write) error {
			err := writeEach(store, w)[0]
			if err == nil {
				s.take(w)
			}
			return err
		}
		for turn := 0; turn < turns && !failed.Load(); {
			err := do(s.next(key, "has it", entriesOf("1!v")))
			if errors.Is(err, storage.ErrNotUnique) && time.Since(begun)-time.Duration(last.Load()) < patience {
				time.Sleep(20 * time.Microsecond)
				continue
			}
			if err != nil {
				return err
			}
			turn++
			last.Store(int64(time.Since(begun)))
			if n := holders.Add(1); n != 1 {
				return fmt.Errorf("%d records have the value at the same time", n)
			}
			time.Sleep(50 * time.Microsecond) // for others to come
			if turn%2 == 0 {                  // it keeps what it has
				if err := do(s.next(key, "has it still", entriesOf("1!v", "2:x"))); err != nil {
					return err
				}
			}
			holders.Add(-1)
			switch turn % 3 {
			case 0:
				err = do(s.next(key, "freed it", nil))
			case 1:
				err = do(s.gone(key))
			default:
				err = do(s.next(key, "freed it", entriesOf(fmt.Sprint("1!", i))))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(e, err)
}
