package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

func entry(value string) storage.Entry { return storage.Entry{Index: 1, Value: []byte(value)} }

func uniqueEntry(value string) storage.Entry {
	return storage.Entry{Index: 1, Value: []byte(value), Unique: true}
}

// found returns the values and ids of the entries in the scope of testKey.
func found(t *testing.T, store storage.Store) (entries []string) {
	page, err := store.Lookup(context.Background(), testKey("x").Scope(), 1, storage.Range{Limit: 1000})
	require.NoError(t, err)
	for i, rec := range page.Records {
		entries = append(entries, string(page.Values[i])+" "+rec.Key.ExternalID)
	}
	return entries
}

// stored counts the rows in the table of entries: those of no record, too.
func stored(t *testing.T, pool *pgxpool.Pool, schema string) (n int) {
	require.NoError(t, pool.QueryRow(context.Background(), "SELECT count(*) FROM "+schema+".entries").Scan(&n))
	return n
}

// TestEntriesBySQL: a row that SQL changes, deletes or gives another key has no entries
// afterwards, in an ordinary session and in one that turns ordinary triggers off, and
// SetEntries brings them back.
func TestEntriesBySQL(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	for _, session := range []string{"", "session_replication_role=replica"} {
		opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
		store, pool := newStoreAt(t, withParameters(dsn, session), opts, nil)
		run := func(sql string) { mustExec(t, pool, opts.Schema, sql) }
		writes := testWrites("key", 2)
		for _, tt := range []struct {
			sql  string
			left []string // of the entries; those of the record beside are always there
		}{
			{"UPDATE $.records SET data = data WHERE external_id = 'key-0000'", nil},
			{"UPDATE $.records SET updated_at = now(), revision = revision + 1 WHERE external_id = 'key-0000'", nil},
			{"UPDATE $.records SET revision = 7 WHERE external_id = 'key-0000'", nil},
			{"UPDATE $.records SET external_id = 'other' WHERE external_id = 'key-0000'", nil},
			{"UPDATE $.records SET scope = gen_random_uuid() WHERE external_id = 'key-0000'", nil},
			{"DELETE FROM $.records WHERE external_id = 'key-0000'", nil},
			{"BEGIN; CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT * FROM $.records; DELETE FROM $.records; INSERT INTO $.records SELECT * FROM kept; COMMIT",
				[]string{"a key-0000", "b key-0000"}},
			{"DELETE FROM $.entries WHERE external_id = 'key-0000'", nil},
		} {
			for i, values := range [][]storage.Entry{{entry("a"), uniqueEntry("b")}, {entry("a"), uniqueEntry("c")}} {
				writes[i].Expect, writes[i].Entries = 0, values
			}
			mustWrite(t, store, writes)
			require.Equal(t, []string{"a key-0000", "a key-0001", "b key-0000", "c key-0001"}, found(t, store))
			run(tt.sql)
			want := append([]string{"a key-0001", "c key-0001"}, tt.left...)
			slices.Sort(want)
			require.Equal(t, want, found(t, store), tt.sql)
			require.Equal(t, len(want), stored(t, pool, opts.Schema), tt.sql)
			if rec, err := store.Get(ctx, writes[0].Record.Key); err == nil {
				require.NoError(t, store.SetEntries(ctx, rec.Key, rec.Revision, writes[0].Entries))
				require.Equal(t, []string{"a key-0000", "a key-0001", "b key-0000", "c key-0001"}, found(t, store), tt.sql)
			}
			run("DELETE FROM $.records")
			require.Zero(t, stored(t, pool, opts.Schema))
		}
		writes[0].Expect = 0
		mustWrite(t, store, writes[:1])
		run("TRUNCATE $.records")
		require.Zero(t, stored(t, pool, opts.Schema), "truncate")
	}
}

// TestWriteWaitsForSetEntries: a write that waited for the row of a SetEntries, or the
// other way round, leaves exactly the entries of the one that came last.
func TestWriteWaitsForSetEntries(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	for _, isolation := range []string{"read%20committed", "serializable"} {
		store, pool := newStoreAt(t, withParameters(dsn, "default_transaction_isolation="+isolation), opts, nil)
		rec := testWrites("key", 1)
		rec[0].Record.Key.ExternalID = isolation
		rec[0].Entries = []storage.Entry{entry("a"), entry("b")}
		mustWrite(t, store, rec)
		for i := range 10 {
			unlock := lockRows(t, pool, opts.Schema, isolation)
			var calls sync.WaitGroup
			var setErr, writeErr error
			set, other := []storage.Entry{entry("b"), entry(fmt.Sprint("s", i))}, []storage.Entry{entry("a"), entry(fmt.Sprint("w", i))}
			next := rec[0]
			next.Record.Revision, next.Entries = storage.NextRevision(next.Expect), other
			calls.Go(func() { setErr = store.SetEntries(ctx, rec[0].Record.Key, rec[0].Expect, set) })
			calls.Go(func() {
				errs, err := store.Write(ctx, []storage.Write{next})
				if writeErr = err; errs != nil {
					writeErr = errs[0]
				}
			})
			if i%2 == 0 {
				require.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 3 }, 20e9, 1e6, "both wait")
			}
			unlock()
			calls.Wait()
			for _, err := range []error{setErr, writeErr} {
				if err != nil {
					require.ErrorIs(t, err, storage.ErrConflict)
				}
			}
			require.False(t, setErr != nil && writeErr != nil, "one of them is not in conflict")
			want := set
			if writeErr == nil { // after it, SetEntries would be in conflict
				want, rec[0].Expect = other, next.Record.Revision
			}
			var got []string
			for _, e := range want {
				got = append(got, string(e.Value)+" "+isolation)
			}
			require.Equal(t, got, found(t, store))
		}
		mustWrite(t, store, deletesOf(rec))
		require.Zero(t, stored(t, pool, opts.Schema))
	}
}

// TestUniqueInBatches: among many writes those that gain a taken value fail, each by
// itself, and all others are made. So it is with several statements in one batch.
func TestUniqueInBatches(t *testing.T) {
	store, _ := newStore(t, postgres.Options{}, nil)
	const n = 300
	writes := testWrites("key", n)
	for i := range writes {
		writes[i].Entries = []storage.Entry{uniqueEntry(fmt.Sprint("value ", i))}
		if i%50 == 7 {
			writes[i].Entries = []storage.Entry{uniqueEntry(fmt.Sprint("value ", i-1))} // taken by the write before
		}
		if i%2 == 0 {
			writes[i].Note = &storage.Note{Actor: "a"}
		}
	}
	for round := range 2 {
		for i, err := range write(store, writes) {
			if i%50 == 7 {
				var taken *storage.NotUniqueError
				require.ErrorAs(t, err, &taken, "%d in round %d", i, round)
				require.EqualValues(t, 1, taken.Index)
				continue
			}
			require.NoError(t, err, "%d in round %d", i, round)
			writes[i].Expect = writes[i].Record.Revision
		}
		require.Len(t, found(t, store), n-n/50)
	}
	page, err := store.Changes(context.Background(), storage.ChangeQuery{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, page.Changes, n)
}

// TestUniqueInTurn: many writes are decided in their order, also where that is not the
// order of the keys, in which the store makes them.
func TestUniqueInTurn(t *testing.T) {
	dsn := pgtest.DSN(t)
	taken := func(err error) bool { return errors.Is(err, storage.ErrNotUnique) }
	for _, kind := range []string{"moved", "deleted", "without"} {
		for _, keys := range [][2]string{{"a", "b"}, {"b", "a"}} {
			for _, freedFirst := range []bool{true, false} {
				opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
				store, pool := newStoreAt(t, dsn, opts, nil)
				writes := testWrites("x", 2)
				writes[0].Record.Key, writes[1].Record.Key = testKey(keys[0]), testKey(keys[1])
				writes[0].Entries = []storage.Entry{uniqueEntry("v")}
				mustWrite(t, store, writes)
				switch kind {
				case "moved":
					writes[0].Entries = []storage.Entry{uniqueEntry("w")}
				case "deleted":
					writes[0] = deletesOf(writes)[0]
				case "without":
					writes[0].Entries = nil
				}
				writes[1].Entries = []storage.Entry{uniqueEntry("v")}
				if !freedFirst {
					slices.Reverse(writes)
				}
				errs := write(store, writes)
				what := fmt.Sprintf("%s, keys %v, freed first %t: %v", kind, keys, freedFirst, errs)
				if freedFirst {
					require.Equal(t, []error{nil, nil}, errs, what)
				} else {
					require.True(t, taken(errs[0]) && errs[1] == nil, what)
				}
				mustBeConsistent(t, pool, opts.Schema)
			}
		}
	}
}

// TestEntriesUnderConcurrency: while writers move, set and remove the entries of a few
// records, one by one and in batches, the table of entries always becomes that of the
// records, and no two records have the same unique value.
func TestEntriesUnderConcurrency(t *testing.T) {
	const writers, records, rounds = 8, 6, 60
	ctx, dsn := context.Background(), pgtest.DSN(t)
	for _, isolation := range []string{"read%20committed", "serializable"} {
		opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
		store, pool := newStoreAt(t, withParameters(dsn, "default_transaction_isolation="+isolation), opts, func(cfg *pgxpool.Config) { cfg.MaxConns = writers + 1 })
		some := func(r *rand.Rand) (entries []storage.Entry) {
			for range r.IntN(4) {
				entries = append(entries, storage.Entry{Index: 1 + r.Uint32N(2), Value: fmt.Appendf(nil, "value %d", r.IntN(5)), Unique: r.IntN(2) == 0})
			}
			return storage.SortEntries(entries)
		}
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				r := rand.New(rand.NewPCG(uint64(w), 1))
				keys := make([]storage.Key, records)
				for i := range keys {
					keys[i] = testKey(fmt.Sprint("key-", i))
				}
				for range rounds {
					r.Shuffle(records, func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
					read, err := store.GetMany(ctx, keys[:1+r.IntN(3)])
					if err != nil {
						t.Error(err)
						return
					}
					if r.IntN(3) == 0 {
						if err := store.SetEntries(ctx, read[0].Key, read[0].Revision, some(r)); err != nil && !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrNotUnique) {
							t.Error(err)
						}
						continue
					}
					writes := make([]storage.Write, len(read))
					for i, rec := range read {
						writes[i] = storage.Write{Record: storage.Record{Key: rec.Key, Data: []byte("x")}, Expect: rec.Revision, Entries: some(r)}
						if rec.Revision != 0 && r.IntN(4) == 0 {
							writes[i].Delete, writes[i].Entries = true, nil
						}
					}
					for _, err := range write(store, writes) {
						if err != nil && !errors.Is(err, storage.ErrConflict) && !errors.Is(err, storage.ErrNotUnique) {
							t.Error(err)
						}
					}
				}
			})
		}
		all.Wait()
		mustBeConsistent(t, pool, opts.Schema)
	}
}

// mustBeConsistent fails unless the table of entries is equal to those of the records.
func mustBeConsistent(t *testing.T, pool *pgxpool.Pool, schema string) {
	t.Helper()
	var wrong, taken int
	err := pool.QueryRow(context.Background(), `
WITH said AS (SELECT scope, substring(e FROM 2) AS place, external_id, get_byte(e, 0) = 1 AS is_unique, false AS lost FROM `+schema+`.records, unnest(entries) AS e)
SELECT (SELECT count(*) FROM (SELECT * FROM said EXCEPT SELECT * FROM `+schema+`.entries) AS a)
	+ (SELECT count(*) FROM (SELECT * FROM `+schema+`.entries EXCEPT SELECT * FROM said) AS b),
	(SELECT count(*) FROM (SELECT 1 FROM said WHERE is_unique GROUP BY scope, place HAVING count(*) > 1) AS c)`).Scan(&wrong, &taken)
	require.NoError(t, err)
	require.Zero(t, wrong, "entries that are missing or too many")
	require.Zero(t, taken, "unique values of two records")
}
