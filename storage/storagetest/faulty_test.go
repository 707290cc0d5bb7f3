package storagetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/memory"
)

// TestFaultyIsAStore runs the suite through faults that the contract allows.
func TestFaultyIsAStore(t *testing.T) {
	Run(t, func(t *testing.T) storage.Store {
		return Faulty(memory.New(), RandomPlan(1, Rates{
			Conflict: 0.1, ShortPage: 0.5, Delay: 0.02, MaxDelay: 50 * time.Microsecond,
		}))
	})
}

// TestLinearizableWithUnknownOutcomes has the checker explain histories in
// which some writes may have been applied, and some calls were not.
func TestLinearizableWithUnknownOutcomes(t *testing.T) {
	c := findCase(t, cases(), "race/linearizable")
	for seed := range uint64(5) {
		r := watch(c, func(e *env) {
			e.open = func() storage.Store {
				return Faulty(memory.New(), RandomPlan(seed, Rates{Conflict: 0.05, Unavailable: 0.05, Unknown: 0.03}))
			}
		})
		if r.failed() {
			t.Errorf("seed %d: %s", seed, r.text())
		}
	}
	// The same where writes that wait go together.
	for seed := range uint64(5) {
		r := watch(c, func(e *env) {
			e.open = func() storage.Store {
				return coalesce.New(Faulty(memory.New(), RandomPlan(seed, Rates{
					Conflict: 0.05, Unavailable: 0.05, Unknown: 0.03, Delay: 0.2, MaxDelay: time.Millisecond,
				})))
			}
		})
		if r.failed() {
			t.Errorf("together, seed %d: %s", seed, r.text())
		}
	}
	// Unknown outcomes do not hide a mutant.
	caught := false
	for seed := uint64(0); seed < 20 && !caught; seed++ {
		caught = watch(c, func(e *env) {
			e.open = func() storage.Store {
				m := &mutant{Store: memory.New()}
				lostUpdate(m)
				return Faulty(m, RandomPlan(seed, Rates{Unknown: 0.02}))
			}
		}).failed()
	}
	require.True(t, caught, "a lost update between unknown outcomes")
}

// TestUpdateSettlesLostAnswers: the log of the store below tells which writes were
// applied. One that Update acknowledged was applied once, one that was unavailable never,
// one of unknown outcome at most once; also while another writer deletes the records.
func TestUpdateSettlesLostAnswers(t *testing.T) {
	const writers, writes, keys = 6, 200, 3
	ctx, inner := t.Context(), memory.New()
	store := Faulty(inner, RandomPlan(1, Rates{
		Conflict: 0.05, Unavailable: 0.05, Unknown: 0.3, Delay: 0.2, MaxDelay: 100 * time.Microsecond,
	}))
	all := make([]storage.Key, keys)
	for i := range all {
		all[i] = testKey(fmt.Sprint(i))
	}
	outcomes := make([]map[string]error, writers) // by the reason in the note
	require.NoError(t, inParallel(writers, func(w int) error {
		outcomes[w] = make(map[string]error)
		random := newRand(uint64(w))
		for n := range writes {
			reason := func(i int) string { return fmt.Sprintf("%d-%d-%d", w, n, i) }
			change := func(i int) func(storage.Record) (storage.Write, error) {
				return func(old storage.Record) (storage.Write, error) {
					runtime.Gosched() // so that others get between the read and the write
					if w < 2 && old.Revision == 0 {
						return storage.Write{}, storage.ErrNoChange
					}
					return storage.Write{Record: record(all[i], "x"), Delete: w < 2, Note: &storage.Note{Reason: reason(i)}}, nil
				}
			}
			if w%2 == 0 {
				i := random.IntN(keys)
				rec, err := storage.UpdateWith(ctx, store, all[i], change(i))
				if err == nil && rec.Revision == 0 {
					continue // there was nothing to delete
				}
				outcomes[w][reason(i)] = err
				continue
			}
			results, err := storage.UpdateMany(ctx, store, all, func(i int, old storage.Record) (storage.Write, error) { return change(i)(old) })
			if err != nil {
				return err
			}
			for i, r := range results {
				if r.Err != nil || r.Record.Revision != 0 {
					outcomes[w][reason(i)] = r.Err
				}
			}
		}
		return nil
	}))
	applied := make(map[string]int)
	for q := (storage.ChangeQuery{Limit: storage.MaxPage}); ; {
		page, err := inner.Changes(ctx, q)
		require.NoError(t, err)
		for _, c := range page.Changes {
			applied[c.Note.Reason]++
		}
		if q.After = page.Next; !page.More {
			break
		}
	}
	kinds := make(map[string]int)
	for _, of := range outcomes {
		for reason, err := range of {
			switch n := applied[reason]; {
			case err == nil:
				kinds["acknowledged"]++
				require.Equal(t, 1, n, "%s was acknowledged", reason)
			case errors.Is(err, storage.ErrUnknownOutcome):
				kinds["unknown"]++
				require.LessOrEqual(t, n, 1, reason)
			default:
				require.ErrorIs(t, err, storage.ErrUnavailable)
				kinds["unavailable"]++
				require.Zero(t, n, "%s was not applied", reason)
			}
		}
	}
	t.Log(kinds)
	require.Len(t, kinds, 3)
}

func TestFaulty(t *testing.T) {
	ctx := context.Background()
	always := func(name string, f Fault) Plan {
		return func(op Op) Fault {
			if op.Name == name {
				return f
			}
			return Fault{}
		}
	}
	for _, tt := range []struct {
		name    string
		fault   Fault
		applied bool
	}{
		{"conflict", Fault{Err: storage.ErrConflict}, false},
		{"unavailable", Fault{Err: storage.ErrUnavailable}, false},
		{"unknown, not applied", Fault{Err: storage.ErrUnknownOutcome}, false},
		{"unknown, applied", Fault{Err: storage.ErrUnknownOutcome, Applied: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inner := memory.New()
			rec := record(testKey("key"), "x")
			rev, err := storage.Put(ctx, inner, rec, 0)
			require.NoError(t, err)

			store := Faulty(inner, always("put", tt.fault))
			_, err = storage.Put(ctx, store, record(rec.Key, "y"), rev)
			require.ErrorIs(t, err, tt.fault.Err)
			require.NotContains(t, err.Error(), rec.Key.ExternalID)
			got, err := store.Get(ctx, rec.Key)
			require.NoError(t, err)
			require.Equal(t, tt.applied, string(got.Data) == "y")

			store = Faulty(inner, always("set entries", tt.fault))
			require.ErrorIs(t, store.SetEntries(ctx, rec.Key, got.Revision, []storage.Entry{{Index: 1, Value: []byte("v")}}), tt.fault.Err)
			page, err := store.Lookup(ctx, testScope, 1, storage.Range{Limit: 1})
			require.NoError(t, err)
			require.Equal(t, tt.applied, len(page.Records) == 1)

			store = Faulty(inner, always("delete", tt.fault))
			require.ErrorIs(t, storage.Delete(ctx, store, rec.Key, got.Revision), tt.fault.Err)
			_, err = store.Get(ctx, rec.Key)
			require.Equal(t, tt.applied, err != nil)
		})
	}
	// A fault of one name leaves the other calls alone.
	inner := memory.New()
	names := make(map[string]error)
	for _, failing := range []string{"get", "list", "lookup", "changes", "redact", "trim"} {
		store := Faulty(inner, always(failing, Fault{Err: storage.ErrUnavailable}))
		_, names["get"] = store.Get(ctx, testKey("key"))
		_, many := store.GetMany(ctx, []storage.Key{testKey("key")})
		_, names["list"] = store.List(ctx, testScope, storage.Range{Limit: 1})
		_, names["lookup"] = store.Lookup(ctx, testScope, 1, storage.Range{Limit: 1})
		_, names["changes"] = store.Changes(ctx, storage.ChangeQuery{Limit: 1})
		_, names["redact"] = store.Redact(ctx, testKey("key"), storage.Note{})
		names["trim"] = store.Trim(ctx, testTime, storage.Cursor{})
		for name, err := range names {
			require.Equal(t, name == failing, errors.Is(err, storage.ErrUnavailable), "%s while %s fails: %v", name, failing, err)
		}
		require.Equal(t, failing == "get", errors.Is(many, storage.ErrUnavailable))
	}
}

func TestFaultyBatch(t *testing.T) {
	ctx := context.Background()
	faults := map[string]Fault{
		"b": {Err: storage.ErrConflict},
		"c": {Err: storage.ErrUnknownOutcome},
		"d": {Err: storage.ErrUnknownOutcome, Applied: true},
	}
	store := Faulty(memory.New(), func(op Op) Fault {
		if op.Name == "put" {
			return faults[op.Key.ExternalID]
		}
		return Fault{}
	})
	var writes []storage.Write
	var keys []storage.Key
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		writes = append(writes, putOf(record(testKey(id), id), 0))
		keys = append(keys, testKey(id))
	}
	errs, err := writeAll(ctx, store, writes)
	require.NoError(t, err)
	records, err := store.GetMany(ctx, keys)
	require.NoError(t, err)
	for i, stored := range []bool{true, false, false, true, true} {
		require.ErrorIs(t, errs[i], faults[keys[i].ExternalID].Err, keys[i].ExternalID)
		require.Equal(t, stored, records[i].Revision != 0, keys[i].ExternalID)
		if stored {
			require.Equal(t, writes[i].Record.Revision, records[i].Revision)
		}
	}
}

func TestFaultyDelayAndPages(t *testing.T) {
	inner := memory.New()
	for i := range 5 {
		w := putOf(record(testKey(fmt.Sprint(i)), "x"), 0)
		w.Entries = []storage.Entry{{Index: 1, Value: []byte("v")}}
		w.Note = &storage.Note{}
		require.NoError(t, write(context.Background(), inner, w))
	}
	short := Faulty(inner, func(Op) Fault { return Fault{MaxPage: 2} })
	page, err := short.List(context.Background(), testScope, storage.Range{Limit: 4})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, idsOf(page.Records))
	require.Equal(t, storage.Position{ExternalID: "1"}, page.Next)
	page, err = short.Lookup(context.Background(), testScope, 1, storage.Range{Limit: 4})
	require.NoError(t, err)
	require.Equal(t, []string{"0", "1"}, idsOf(page.Records))
	require.Len(t, page.Values, 2)
	require.Equal(t, storage.Position{Value: []byte("v"), ExternalID: "1"}, page.Next)
	changes, err := short.Changes(context.Background(), storage.ChangeQuery{Limit: 4})
	require.NoError(t, err)
	require.Len(t, changes.Changes, 2)
	require.True(t, changes.More)

	slow := Faulty(inner, func(Op) Fault { return Fault{Delay: time.Hour} })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	_, err = storage.Put(ctx, slow, record(testKey("new"), "x"), 0)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = inner.Get(context.Background(), testKey("new"))
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func TestRandomPlanDependsOnSeedAlone(t *testing.T) {
	faults := Rates{Conflict: 0.3, Unavailable: 0.2, Unknown: 0.3, ShortPage: 0.5, Delay: 0.5, MaxDelay: time.Second}
	a, b, other := RandomPlan(1, faults), RandomPlan(1, faults), RandomPlan(2, faults)
	differs := false
	for n := range 200 {
		op := Op{Name: []string{"get", "put", "delete", "list"}[n%4], N: n + 1}
		require.Equal(t, a(op), b(op))
		if a(op) != other(op) {
			differs = true
		}
		if op.Name == "get" || op.Name == "list" {
			require.NotErrorIs(t, a(op).Err, storage.ErrConflict)
			require.NotErrorIs(t, a(op).Err, storage.ErrUnknownOutcome)
		}
	}
	require.True(t, differs)
}
