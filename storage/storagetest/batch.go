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
	{"batch/write", "Write makes each write by itself and returns one error per write in their order, or nil if all were applied.", caseWriteMany},
	{"batch/slice", "The slice of writes stays the caller's.", caseBatchSlice},
	{"batch/refused", "A call with a key that comes twice or is not valid, with a delete that expects 0, or with more than MaxBatch keys is refused before anything is written.", caseBatchRefused},
	{"batch/largest", "Write and GetMany take MaxBatch keys.", caseBatchLargest},
	{"batch/overlapping", "Batches with keys in common, in whatever order, lose no change and fail with nothing but conflicts.", caseOverlapping},
}

// writeMany makes the writes, and repeats each as long as it conflicts: use it where
// conflicts can only be spurious. It returns the first error of a write.
func writeMany(store storage.Store, writes ...storage.Write) error {
	for range maxSpurious {
		errs, err := writeAll(context.Background(), store, writes)
		if err != nil {
			return err
		}
		var again []storage.Write
		for i, err := range errs {
			switch {
			case errors.Is(err, storage.ErrConflict):
				again = append(again, writes[i])
			case err != nil:
				return err
			}
		}
		if writes = again; len(writes) == 0 {
			return nil
		}
	}
	return fmt.Errorf("%d of the writes still conflict after %d times", len(writes), maxSpurious)
}

func (e *env) mustWrite(store storage.Store, writes ...storage.Write) {
	require.NoError(e, writeMany(store, writes...), "writes with the right revisions")
}

// mustPutAll puts new records and returns them as they must be from then on.
func (e *env) mustPutAll(store storage.Store, records []storage.Record) []storage.Record {
	for batch := range slices.Chunk(records, storage.MaxBatch) {
		writes := make([]storage.Write, len(batch))
		for i := range batch {
			writes[i] = putOf(batch[i], 0)
			batch[i].Revision = writes[i].Record.Revision
		}
		e.mustWrite(store, writes...)
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

	got, err := store.GetMany(context.Background(), keys)
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

	// The slice is the caller's: neither the next call nor a change by the caller shows
	// elsewhere.
	first := slices.Clone(got)
	_, err = store.GetMany(context.Background(), keys[7:])
	require.NoError(e, err)
	require.Equal(e, first, got, "an answer after the next call")
	clear(got)
	got, err = store.GetMany(context.Background(), keys)
	require.NoError(e, err)
	require.Equal(e, first, got, "an answer after the caller cleared the one before")

	got, err = store.GetMany(context.Background(), nil)
	require.NoError(e, err)
	require.Empty(e, got)
}

func caseWriteMany(e *env) {
	ctx, store := context.Background(), e.open()
	old := make(map[string]storage.Record)
	for _, id := range []string{"updated", "wrong", "exists", "removed", "0 removed", "kept", "gone"} {
		old[id] = e.mustPut(store, record(testKey(id), "old"), 0)
	}
	e.mustDelete(store, old["gone"])
	stranger := e.mustPut(store, record(keyIn(confusableScopes()[0], "removed"), "of another scope"), 0)

	writes := []struct {
		write    storage.Write
		conflict bool
	}{
		{putOf(record(testKey("new"), "new"), 0), false},
		{putOf(record(testKey("wrong"), "refused"), old["wrong"].Revision^1<<40), true},
		{deleteOf(testKey("removed"), old["removed"].Revision), false},
		{putOf(record(testKey("updated"), "new"), old["updated"].Revision), false},
		{putOf(record(testKey("exists"), "refused"), 0), true},
		{deleteOf(testKey("kept"), old["kept"].Revision^1<<40), true},
		{putOf(record(keyIn(confusableScopes()[0], "exists"), "new"), 0), false},
		{putOf(record(testKey("gone"), "refused"), old["gone"].Revision), true},
		{deleteOf(testKey("never there"), 42), true},
		{deleteOf(keyIn(confusableScopes()[1], "removed"), old["removed"].Revision), true},
		{deleteOf(testKey("0 removed"), old["0 removed"].Revision), false}, // before the others in the order of the keys
		{putOf(record(testKey("never there, too"), "refused"), 42), true},
	}
	// Those that must be applied and conflict did so spuriously. They are repeated beside
	// those that must conflict.
	left := writes
	for range maxSpurious {
		batch := make([]storage.Write, len(left))
		for i, w := range left {
			batch[i] = w.write
		}
		errs, err := writeAll(ctx, store, batch)
		require.NoError(e, err)
		again := left[:0:0]
		applied := true
		for i, w := range left {
			if w.conflict || errs[i] != nil {
				require.ErrorIs(e, errs[i], storage.ErrConflict, "write %d", i)
				e.silent(errs[i], w.write.Record.Key.ExternalID)
				again = append(again, w)
				applied = applied && w.conflict
			}
		}
		if left = again; applied {
			break
		}
	}
	for _, w := range writes {
		if w.conflict {
			continue
		}
		if w.write.Delete {
			e.absent(store, w.write.Record.Key)
		} else {
			e.holds(store, w.write.Record)
		}
	}
	for _, id := range []string{"wrong", "exists", "kept"} {
		e.holds(store, old[id])
	}
	e.holds(store, stranger)
	for _, id := range []string{"gone", "never there", "never there, too"} {
		e.absent(store, testKey(id))
	}

	errs, err := store.Write(ctx, nil)
	require.NoError(e, err)
	require.Empty(e, errs)
}

func caseBatchSlice(e *env) {
	store := e.open()
	batch := []storage.Write{putOf(record(testKey("a"), "of a"), 0), putOf(record(testKey("b"), "of b"), 0)}
	want := slices.Clone(batch)
	e.mustWrite(store, batch...)
	require.Equal(e, want, batch, "writes after the call")
	clear(batch)
	for _, w := range want {
		e.holds(store, w.Record)
	}
}

func caseBatchRefused(e *env) {
	ctx, store := context.Background(), e.open()
	present := e.mustPut(store, record(testKey("present"), "x"), 0)
	good, twice := testKey("good"), testKey("twice")
	many := make([]storage.Key, storage.MaxBatch+1)
	for i := range many {
		many[i] = testKey(fmt.Sprintf("%04d", i))
	}
	for _, tt := range []struct {
		name string
		keys []storage.Key
		want error
	}{
		{"twice", []storage.Key{good, twice, twice}, storage.ErrDuplicateKey},
		{"twice, far apart", []storage.Key{twice, good, twice}, storage.ErrDuplicateKey},
		{"empty id", []storage.Key{good, testKey("")}, storage.ErrInvalid},
		{"zero key", []storage.Key{good, {}}, storage.ErrInvalid},
		{"more than MaxBatch", many, storage.ErrInvalid},
		{"more than MaxBatch, in no order", slices.Concat(many[7:], many[:7]), storage.ErrInvalid},
	} {
		var puts, deletes []storage.Write
		for _, key := range tt.keys {
			puts = append(puts, putOf(record(key, "x"), 0))
			deletes = append(deletes, deleteOf(key, 42))
		}
		mixed := slices.Concat(puts[:1], deletes[1:])
		for _, writes := range [][]storage.Write{puts, deletes, mixed} {
			errs, err := store.Write(ctx, writes)
			require.ErrorIs(e, err, tt.want, tt.name)
			require.Empty(e, errs, tt.name)
		}
		records, err := store.GetMany(ctx, tt.keys)
		require.ErrorIs(e, err, tt.want, tt.name)
		require.Empty(e, records, tt.name)
	}
	errs, err := store.Write(ctx, []storage.Write{
		putOf(record(good, "x"), 0), deleteOf(present.Key, present.Revision), deleteOf(testKey("expects 0"), 0),
	})
	require.ErrorIs(e, err, storage.ErrInvalid, "a delete expects 0")
	require.Empty(e, errs)
	require.Len(e, e.walk(store, testScope, storage.Range{Limit: 10}), 1)
	e.holds(store, present)
}

func caseBatchLargest(e *env) {
	store := e.open()
	keys := make([]storage.Key, storage.MaxBatch)
	records := make([]storage.Record, len(keys))
	for i := range keys {
		keys[i] = testKey(fmt.Sprintf("%04d", i*7%len(keys))) // in no order
		records[i] = record(keys[i], fmt.Sprint("data of ", i))
	}
	e.mustPutAll(store, records)
	got, err := store.GetMany(context.Background(), keys)
	require.NoError(e, err)
	require.Len(e, got, len(keys))
	deletes := make([]storage.Write, len(keys))
	for i, rec := range got {
		e.same(records[i], rec)
		deletes[i] = deleteOf(rec.Key, rec.Revision)
	}
	e.mustWrite(store, deletes...)
	require.Empty(e, e.walk(store, testScope, storage.Range{Limit: 10}))
}

// caseOverlapping has writers that write the same keys in opposite order, beside one that
// writes them singly. Each adds a line to each record.
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
		records, err := store.GetMany(context.Background(), todo)
		if err != nil {
			return err
		}
		runtime.Gosched() // so that others get between the reads and the writes
		writes := make([]storage.Write, len(records))
		for i, rec := range records {
			writes[i] = putOf(record(rec.Key, string(rec.Data)+line+"\n"), rec.Revision)
		}
		errs, err := writeAll(context.Background(), store, writes)
		if err != nil {
			return err
		}
		var again []storage.Key
		for i, err := range errs {
			if err != nil {
				if !errors.Is(err, storage.ErrConflict) {
					return err
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
