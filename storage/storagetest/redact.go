package storagetest

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

func caseLogRedact(e *env) {
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx, h, lives := context.Background(), newHistory(), byte(0)
	key, other := testKey("alice@example.com"), testKey("bob@example.com")
	foreign := keyIn(confusableScopes()[0], key.ExternalID)
	log := func(key storage.Key, texts ...string) {
		for _, text := range texts {
			w := h.next(key, text, nil)
			if text == "deleted" {
				w = h.gone(key)
			} else if w.Expect == 0 { // the ID of each life is another
				w.Record.ID[0] += lives
				lives++
			}
			w.Note = &storage.Note{Time: testTime.Add(time.Second), Actor: "actor " + text, Reason: "reason " + text, Before: []byte("before " + text), After: []byte("after " + text)}
			e.mustLog(store, h, w)
		}
	}
	require.Empty(e, e.mustRedact(store, h, key), "of a key without changes")
	for _, k := range []storage.Key{key, other, foreign} {
		log(k, "one", "two", "deleted", "three")
	}
	before := e.logged(store, storage.ChangeQuery{})
	e.sameChanges(h.changes, before)
	hashes := make(map[storage.Key]string)
	redactKey := func(key storage.Key) {
		hash := e.mustRedact(store, h, key)
		if known := hashes[key]; known != "" && hash != "" {
			require.Equal(e, known, hash, "external ids in redacted changes of one key")
		}
		if hash != "" {
			hashes[key] = hash
			hashed := key
			hashed.ExternalID = hash
			require.NoError(e, hashed.Validate(), "key of a redacted change")
			require.NotContains(e, hash, key.ExternalID)
			require.NotContains(e, hash, "alice")
		}
		after := e.logged(store, storage.ChangeQuery{})
		for i := range after[:len(before)] {
			require.Equal(e, before[i].Cursor, after[i].Cursor, "cursor of change %d", i)
		}
		e.sameChanges(h.changes[5:], e.logged(store, storage.ChangeQuery{After: before[4].Cursor})) // it still works
		for _, scope := range []storage.Scope{testScope, foreign.Scope()} {
			q := storage.ChangeQuery{Scope: scope}
			e.sameChanges(h.of(q), e.logged(store, q))
		}
		q := storage.ChangeQuery{Scope: key.Scope(), ExternalID: key.ExternalID}
		e.sameChanges(h.of(q), e.logged(store, q))
	}
	redactKey(key)
	redactKey(key)                   // once more
	impostor := testKey(hashes[key]) // an external id as any other
	log(impostor, "one", "deleted")
	redactKey(impostor)
	redactKey(impostor)
	require.NotEqual(e, hashes[key], hashes[impostor])
	log(key, "four", "deleted")   // what comes after is not redacted,
	log(other, "four", "deleted") //
	e.sameChanges(h.changes, e.logged(store, storage.ChangeQuery{}))
	redactKey(key)
	redactKey(foreign)
	redactKey(other)
	require.Len(e, hashes, 4)
	require.NotEqual(e, hashes[key], hashes[other], "external ids in redacted changes of two keys")
	require.NotEqual(e, hashes[key], hashes[foreign], "external ids in redacted changes of two keys of one id")
	got, err := store.Get(ctx, foreign) // the record stays as it is
	require.NoError(e, err)
	e.same(h.shelf[foreign].rec, got)

	// The hash has a key, which no other store has.
	store, h = e.open(), newHistory()
	log(key, "one")
	there := e.mustRedact(store, h, key)
	require.NotEqual(e, hashes[key], there, "external ids in redacted changes of two stores")
	require.ErrorIs(e, redact(ctx, store, storage.Key{}), storage.ErrInvalid)
	for _, note := range []storage.Note{{Before: []byte("x")}, {After: []byte("x")}, {Actor: "\xff"}, {Reason: "\x00"}} {
		_, err := store.Redact(ctx, key, note)
		require.ErrorIs(e, err, storage.ErrInvalid, "a redaction with the note %+v", note)
		e.silent(err, key.ExternalID)
	}
	require.Empty(e, e.mustRedact(store, h, key))
}

// caseRedactRace has writers give a few keys one life after the other, and others redact
// them, while a reader follows the log.
func caseRedactRace(e *env) {
	const keys, redactors, rounds = 3, 2, 40
	store, ok := e.openLogged()
	if !ok {
		return
	}
	ctx := context.Background()
	var writing, redacted atomic.Int64
	writing.Store(keys)
	follower := &logReader{store: store, q: storage.ChangeQuery{Limit: 10}}
	err := inParallel(keys+redactors+1, func(n int) error {
		switch {
		case n == keys+redactors:
			return follower.until(func() bool { return writing.Load() == 0 })
		case n >= keys:
			for i := 0; writing.Load() > 0; i++ {
				count, err := store.Redact(ctx, testKey(fmt.Sprint(i%keys)), storage.Note{Time: testTime})
				if err != nil {
					return err
				}
				redacted.Add(int64(count))
			}
			return nil
		}
		defer writing.Add(-1)
		s, key := make(shelf), testKey(fmt.Sprint(n))
		for round := range rounds {
			w := s.next(key, "x", nil)
			if w.Record.ID[0] = byte(round); round%4 == 3 {
				w = s.gone(key)
			}
			w = noted(w, "x", 0)
			if err := writeMany(store, w); err != nil {
				return err
			}
			s.take(w)
		}
		return nil
	})
	require.NoError(e, err)
	for n := range keys {
		count, err := store.Redact(ctx, testKey(fmt.Sprint(n)), storage.Note{Time: testTime})
		require.NoError(e, err)
		redacted.Add(int64(count))
	}
	all := e.logged(store, storage.ChangeQuery{})
	require.NoError(e, follower.reach(e.logMark(store)))
	require.EqualValues(e, keys*rounds, redacted.Load(), "changes that the calls of Redact say they have redacted")
	e.told(all)
	followed := unmarked(follower.changes)
	require.Len(e, followed, len(all), "changes that a reader got meanwhile, and changes in the log")
	for i, c := range followed {
		require.Equal(e, all[i].Cursor, c.Cursor, "change %d, as it came when it was made", i)
	}
}

// told fails unless each redacted change has one after it, of its key and ID, that Redact
// has added.
func (e *env) told(all []storage.Change) {
	type life struct {
		key storage.Key
		id  uuid.UUID
	}
	last := make(map[life]bool) // redacted, and the last one was added
	for _, c := range all {
		if c.Redacted {
			last[life{c.Key, c.ID}] = added(c)
		}
	}
	for l, told := range last {
		require.True(e, told, "changes of the ID %s are redacted, and nothing after them says so", l.id)
	}
}

// redact redacts the changes of a key without a note.
func redact(ctx context.Context, store storage.Store, key storage.Key) error {
	_, err := store.Redact(ctx, key, storage.Note{Time: testTime})
	return err
}
