package storagetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var batchCases = []testCase{
	{"batch/get", "GetMany returns one record per key in their order, an absent one with its Key and Revision 0.", caseGetMany},
	{"batch/put", "PutMany does what Put does, for each operation by itself, and returns the results in their order.", casePutMany},
	{"batch/delete", "DeleteMany does what Delete does, for each operation by itself, and returns the errors in their order.", caseDeleteMany},
	{"batch/refused", "A batch with a key that is there twice or not valid is refused before anything is written.", caseBatchRefused},
	{"batch/overlapping", "Batches with keys in common, in whatever order, lose no change and fail with nothing but conflicts.", caseOverlapping},
}

// putMany is put for many: each operation is repeated as long as it conflicts,
// for calls in which that can only be spurious.
func putMany(store storage.Store, ops []storage.PutOp) ([]storage.Revision, error) {
	revisions := make([]storage.Revision, len(ops))
	place := make([]int, len(ops)) // of the operations that are left
	for i := range place {
		place[i] = i
	}
	for range maxSpurious {
		results, err := storage.PutMany(context.Background(), store, ops)
		if err != nil {
			return nil, err
		}
		if len(results) != len(ops) {
			return nil, fmt.Errorf("%d results for %d operations", len(results), len(ops))
		}
		var again []storage.PutOp
		var where []int
		for i, r := range results {
			switch {
			case r.Err == nil:
				revisions[place[i]] = r.Revision
			case errors.Is(r.Err, storage.ErrConflict):
				again, where = append(again, ops[i]), append(where, place[i])
			default:
				return nil, r.Err
			}
		}
		if ops, place = again, where; len(ops) == 0 {
			return revisions, nil
		}
	}
	return nil, fmt.Errorf("%d of the operations still conflict after %d times", len(ops), maxSpurious)
}

// mustPutAll puts new records and returns them as they must be from then on.
func (e *env) mustPutAll(store storage.Store, records []storage.Record) []storage.Record {
	ops := make([]storage.PutOp, len(records))
	for i, rec := range records {
		ops[i].Record = rec
	}
	revisions, err := putMany(store, ops)
	require.NoError(e, err)
	for i := range records {
		records[i].Revision = revisions[i]
	}
	return records
}

func caseGetMany(e *env) {
	store := e.open()
	var keys []storage.Key
	want := make(map[storage.Key]storage.Record)
	for i := range 30 {
		key := testKey(fmt.Sprintf("%d-%d", i*7%30, i)) // in no order
		keys = append(keys, key)
		want[key] = storage.Record{Key: key}
		if i%3 != 0 {
			want[key] = e.mustPut(store, record(key, fmt.Sprint("data of ", i)), 0)
		}
	}
	// The same external ids in another scope, in the same batch.
	other := confusableScopes()[0]
	keys = append(keys, keyIn(other, keys[1].ExternalID), keyIn(other, keys[0].ExternalID))
	want[keys[30]] = e.mustPut(store, record(keys[30], "of another scope"), 0)
	want[keys[31]] = storage.Record{Key: keys[31]}

	got, err := storage.GetMany(context.Background(), store, keys)
	require.NoError(e, err)
	require.Len(e, got, len(keys))
	for i, rec := range got {
		if want[keys[i]].Revision == 0 {
			require.Equal(e, keys[i], rec.Key)
			require.Zero(e, rec.Revision, "revision of an absent record")
			require.Empty(e, rec.Data)
			continue
		}
		e.same(want[keys[i]], rec)
	}

	// The slice is the caller's: neither the next call nor what the caller does to
	// it changes what others see.
	first := slices.Clone(got)
	_, err = storage.GetMany(context.Background(), store, keys[7:])
	require.NoError(e, err)
	require.Equal(e, first, got, "an answer after the next call")
	clear(got)
	got, err = storage.GetMany(context.Background(), store, keys)
	require.NoError(e, err)
	require.Equal(e, first, got, "an answer after the caller cleared the one before")

	got, err = storage.GetMany(context.Background(), store, nil)
	require.NoError(e, err)
	require.Empty(e, got)
}

func casePutMany(e *env) {
	ctx, store := context.Background(), e.open()
	present := e.mustPut(store, record(testKey("present"), "old"), 0)
	wrong := e.mustPut(store, record(testKey("wrong revision"), "old"), 0)
	exists := e.mustPut(store, record(testKey("exists"), "old"), 0)
	deleted := e.mustPut(store, record(testKey("deleted"), "old"), 0)
	e.mustDelete(store, deleted)
	other := keyIn(confusableScopes()[0], "exists")

	ops := []storage.PutOp{
		{Record: record(testKey("new"), "new")},
		{Record: record(wrong.Key, "refused"), Expect: wrong.Revision ^ 1<<40},
		{Record: record(present.Key, "new"), Expect: present.Revision},
		{Record: record(exists.Key, "refused")},
		{Record: record(other, "new")},
		{Record: record(deleted.Key, "refused"), Expect: deleted.Revision},
		{Record: record(testKey("never there"), "refused"), Expect: 42},
	}
	// An operation that must work and conflicts did so spuriously, and is
	// repeated by itself.
	results, err := storage.PutMany(ctx, store, ops)
	require.NoError(e, err)
	require.Len(e, results, len(ops))
	for i, op := range ops {
		if string(op.Record.Data) == "refused" {
			require.ErrorIs(e, results[i].Err, storage.ErrConflict, "operation %d", i)
			continue
		}
		for range maxSpurious {
			if results[i].Err == nil {
				break
			}
			again, err := storage.PutMany(ctx, store, ops[i:i+1])
			require.NoError(e, err)
			results[i] = again[0]
		}
		require.NoError(e, results[i].Err, "operation %d", i)
		op.Record.Revision = results[i].Revision
		e.holds(store, op.Record)
	}
	e.holds(store, wrong)
	e.holds(store, exists)
	e.absent(store, deleted.Key)
	e.absent(store, testKey("never there"))

	results, err = storage.PutMany(ctx, store, nil)
	require.NoError(e, err)
	require.Empty(e, results)
}

func caseDeleteMany(e *env) {
	ctx, store := context.Background(), e.open()
	present := e.mustPut(store, record(testKey("present"), "old"), 0)
	wrong := e.mustPut(store, record(testKey("wrong revision"), "old"), 0)
	deleted := e.mustPut(store, record(testKey("deleted"), "old"), 0)
	e.mustDelete(store, deleted)
	other := e.mustPut(store, record(keyIn(confusableScopes()[0], "present"), "of another scope"), 0)
	second := e.mustPut(store, record(testKey("0 second"), "old"), 0) // before the others in the order of the keys

	ops := []storage.DeleteOp{
		{Key: testKey("never there"), Expect: 42},
		{Key: present.Key, Expect: present.Revision},
		{Key: wrong.Key, Expect: wrong.Revision ^ 1<<40},
		{Key: deleted.Key, Expect: deleted.Revision},
		{Key: second.Key, Expect: second.Revision},
		{Key: keyIn(confusableScopes()[1], "present"), Expect: present.Revision},
	}
	want := []error{storage.ErrNotFound, nil, storage.ErrConflict, storage.ErrNotFound, nil, storage.ErrNotFound}
	results, err := storage.DeleteMany(ctx, store, ops)
	require.NoError(e, err)
	require.Len(e, results, len(ops))
	for i, err := range results {
		for range maxSpurious {
			if want[i] != nil || !errors.Is(err, storage.ErrConflict) {
				break
			}
			again, manyErr := storage.DeleteMany(ctx, store, ops[i:i+1])
			require.NoError(e, manyErr)
			err = again[0]
		}
		require.ErrorIs(e, err, want[i], "operation %d", i)
		e.silent(err, ops[i].Key.ExternalID)
	}
	e.absent(store, present.Key)
	e.absent(store, second.Key)
	e.holds(store, wrong)
	e.holds(store, other)

	results, err = storage.DeleteMany(ctx, store, nil)
	require.NoError(e, err)
	require.Empty(e, results)
	for name, bad := range map[string][]storage.DeleteOp{
		"twice":     {{Key: wrong.Key, Expect: wrong.Revision}, {Key: wrong.Key, Expect: wrong.Revision}},
		"expects 0": {{Key: wrong.Key, Expect: wrong.Revision}, {Key: testKey("x")}},
		"empty id":  {{Key: wrong.Key, Expect: wrong.Revision}, {Key: testKey(""), Expect: 1}},
	} {
		results, err = storage.DeleteMany(ctx, store, bad)
		require.Error(e, err, name)
		require.Empty(e, results, name)
		e.holds(store, wrong)
	}
	e.mustDelete(store, wrong)
	created := e.mustPut(store, record(wrong.Key, "created again"), 0)
	require.NotEqual(e, wrong.Revision, created.Revision)
}

func caseBatchRefused(e *env) {
	ctx, store := context.Background(), e.open()
	good, twice := record(testKey("good"), "x"), record(testKey("twice"), "x")
	for _, tt := range []struct {
		name string
		keys []storage.Key
		want error
	}{
		{"twice", []storage.Key{good.Key, twice.Key, twice.Key}, storage.ErrDuplicateKey},
		{"twice, far apart", []storage.Key{twice.Key, good.Key, twice.Key}, storage.ErrDuplicateKey},
		{"empty id", []storage.Key{good.Key, testKey("")}, storage.ErrInvalid},
		{"zero key", []storage.Key{good.Key, {}}, storage.ErrInvalid},
	} {
		var ops []storage.PutOp
		for _, key := range tt.keys {
			ops = append(ops, storage.PutOp{Record: record(key, "x")})
		}
		results, err := storage.PutMany(ctx, store, ops)
		require.ErrorIs(e, err, tt.want, tt.name)
		require.Empty(e, results, tt.name)
		_, err = storage.GetMany(ctx, store, tt.keys)
		require.ErrorIs(e, err, tt.want, tt.name)
		require.Empty(e, e.walk(store, testScope, "", 10), tt.name)
	}
}

// caseOverlapping has writers put the same keys in opposite order, next to one
// that puts them singly. Each adds a line to each record until it got through.
func caseOverlapping(e *env) {
	const writers, keys, rounds = 4, 12, 8
	store := e.open()
	var forward []storage.Key
	for i := range keys {
		forward = append(forward, testKey(fmt.Sprintf("%02d", i)))
	}
	backward := slices.Clone(forward)
	slices.Reverse(backward)
	err := inParallel(writers+1, func(w int) error {
		for r := range rounds {
			line := fmt.Sprintf("%d-%d", w, r)
			if w == writers {
				for _, key := range forward {
					if _, err := addField(store, key, line); err != nil {
						return err
					}
				}
				continue
			}
			todo := forward
			if w%2 == 1 {
				todo = backward
			}
			if err := addToAll(store, todo, line); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(e, err)
	for _, key := range forward {
		rec, err := store.Get(context.Background(), key)
		require.NoError(e, err)
		require.Equal(e, (writers+1)*rounds, strings.Count(string(rec.Data), "\n"), "changes in a record")
	}
}

// addToAll adds a line to each record, by batches until none conflicts.
func addToAll(store storage.Store, todo []storage.Key, line string) error {
	const attempts = 1000
	for range attempts {
		records, err := storage.GetMany(context.Background(), store, todo)
		if err != nil {
			return err
		}
		runtime.Gosched() // so that others get between the reads and the writes
		ops := make([]storage.PutOp, len(records))
		for i, rec := range records {
			ops[i] = storage.PutOp{Record: record(rec.Key, string(rec.Data)+line+"\n"), Expect: rec.Revision}
		}
		results, err := storage.PutMany(context.Background(), store, ops)
		if err != nil {
			return err
		}
		var again []storage.Key
		for i, r := range results {
			if r.Err != nil {
				if !errors.Is(r.Err, storage.ErrConflict) {
					return r.Err
				}
				again = append(again, todo[i])
			}
		}
		if todo = again; len(todo) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d keys still conflict after %d batches", len(todo), attempts)
}
