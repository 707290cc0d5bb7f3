package storage_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// recalling is a Recaller that recalls a given record of the key "k".
type recalling struct {
	*scripted
	recalled storage.Record
}

func (r *recalling) Recall(k storage.Key) (storage.Record, bool) { return r.recalled, k == key("k") }

// TestRecall: a recalled record counts only if it leads to a write that decides. The
// stored record of "k" has the data "stored"; the recalled one is that, or one from before.
func TestRecall(t *testing.T) {
	mine := errors.New("mine")
	change := func(old storage.Record) (storage.Write, error) {
		return storage.Write{Record: storage.Record{Data: []byte(string(old.Data) + "x")}}, nil
	}
	refuse := func(err error) func(storage.Record) (storage.Write, error) {
		return func(storage.Record) (storage.Write, error) { return storage.Write{}, err }
	}
	for _, tt := range []struct {
		name         string
		stale        bool
		err          error // of the first write
		fn           func(old storage.Record) (storage.Write, error)
		want         error
		calls        []string // data that fn got
		gets, writes int
		data         string // in the end
	}{
		{"stored", false, nil, change, nil, []string{"stored"}, 0, 1, "storedx"},
		{"from before", true, nil, change, nil, []string{"before", "stored"}, 0, 2, "storedx"}, // the conflict has the record
		{"no change", true, nil, refuse(storage.ErrNoChange), nil, []string{"before", "stored"}, 1, 0, "stored"},
		{"an error of fn", true, nil, refuse(mine), mine, []string{"before", "stored"}, 1, 0, "stored"},
		{"too large", true, storage.ErrTooLarge, change, nil, []string{"before", "stored"}, 1, 2, "storedx"},
		{"not unique", true, storage.ErrNotUnique, change, nil, []string{"before", "stored"}, 1, 2, "storedx"},
		{"unavailable", true, storage.ErrUnavailable, change, storage.ErrUnavailable, []string{"before"}, 0, 1, "stored"},
		{"unknown outcome", true, storage.ErrUnknownOutcome, change, storage.ErrUnknownOutcome, []string{"before"}, 1, 1, "stored"},
	} {
		for _, many := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				ctx := t.Context()
				store := &recalling{scripted: newScripted()}
				rec := storage.Record{Key: key("k"), Data: []byte("before")}
				var err error
				rec.Revision, err = storage.Put(ctx, store.Store, rec, 0)
				require.NoError(t, err)
				store.recalled = rec
				stored := rec
				stored.Data = []byte("stored")
				stored.Revision, err = storage.Put(ctx, store.Store, stored, rec.Revision)
				require.NoError(t, err)
				if !tt.stale {
					store.recalled = stored
				}
				if tt.err != nil {
					store.answers = []answer{{err: tt.err}}
				}
				var calls []string
				fn := func(old storage.Record) (storage.Write, error) {
					calls = append(calls, string(old.Data))
					return tt.fn(old)
				}
				gets := tt.gets
				var got storage.Record
				if many {
					var results []storage.UpdateResult
					results, err = storage.UpdateMany(ctx, store, keys("k"), func(_ int, old storage.Record) (storage.Write, error) { return fn(old) })
					require.NoError(t, err)
					got, err = results[0].Record, results[0].Err
					if tt.name == "from before" {
						gets = 1 // a batch reads after a conflict
					}
					if tt.want != nil && tt.want != mine {
						require.Zero(t, got, "a record that may be out of date")
					}
				} else {
					got, err = storage.UpdateWith(ctx, store, key("k"), fn)
				}
				require.ErrorIs(t, err, tt.want)
				require.Equal(t, tt.calls, calls)
				require.Equal(t, gets, store.gets, "reads")
				require.Equal(t, tt.writes, store.writes, "writes")
				now, getErr := store.Store.Get(ctx, key("k"))
				require.NoError(t, getErr)
				require.Equal(t, tt.data, string(now.Data))
				if tt.want == nil {
					require.Equal(t, now, got)
				}
			})
		}
	}
}

// TestRecallOfSome: UpdateMany reads only the records that are not recalled.
func TestRecallOfSome(t *testing.T) {
	ctx := t.Context()
	store := &recalling{scripted: newScripted()}
	rec := storage.Record{Key: key("k"), Data: []byte("stored")}
	var err error
	rec.Revision, err = storage.Put(ctx, store.Store, rec, 0)
	require.NoError(t, err)
	store.recalled = rec
	results, err := storage.UpdateMany(ctx, store, keys("a", "k", "z"), prepend("x"))
	require.NoError(t, err)
	for i, want := range []string{"x", "xstored", "x"} {
		require.NoError(t, results[i].Err)
		require.Equal(t, want, string(results[i].Record.Data))
	}
	require.Equal(t, []int{2, 3}, store.sizes)
}
