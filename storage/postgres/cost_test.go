package postgres_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// contender is one of several ways to do something.
type contender struct {
	name string
	op   func(n int)
}

// takeTurns lets contenders take turns of size operations in one run, so that what
// disturbs one disturbs the others. The metrics are medians of the turns in microseconds,
// and their ratios to the first contender.
func takeTurns(b *testing.B, size int, contenders ...contender) {
	times := make([][]float64, len(contenders))
	n := 0
	for b.Loop() {
		for i, c := range contenders {
			start := time.Now()
			for range size {
				c.op(n)
				n++
			}
			times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/1e3/float64(size))
		}
	}
	median := func(i int) float64 { slices.Sort(times[i]); return times[i][len(times[i])/2] }
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	b.ReportMetric(median(0), contenders[0].name+"-us")
	for i, c := range contenders[1:] {
		b.ReportMetric(median(i+1)/median(0), c.name+"/"+contenders[0].name)
	}
}

// BenchmarkEntries compares writes with entries and notes to plain ones, and look-ups to
// reads by key.
func BenchmarkEntries(b *testing.B) {
	const records = 2_000 // so that each page has been written soon: the first time costs more
	ctx, dsn := context.Background(), pgtest.DSN(b)
	opts := postgres.Options{Schema: pgtest.Schema(b, dsn)}
	store, pool := newStoreAt(b, dsn, opts, nil)
	describe(b, pool)
	groups := make(map[string][]storage.Write)
	for _, name := range []string{"plain", "unmoved", "moved", "logged", "unique-moved"} {
		writes := testWrites(name, records)
		for i := range writes {
			writes[i].Record.Data = document(i)
			switch name {
			case "unmoved", "moved":
				writes[i].Entries = []storage.Entry{entry(fmt.Sprint("name ", i)), {Index: 2, Value: fmt.Appendf(nil, "%s %d", name, i)}}
			case "unique-moved":
				writes[i].Entries = []storage.Entry{{Index: 3, Value: fmt.Append(nil, i), Unique: true}}
			case "logged":
				writes[i].Note = &storage.Note{Time: time.Now(), Actor: "benchmark"}
			}
		}
		mustWrite(b, store, writes)
		groups[name] = writes
	}
	_, err := pool.Exec(ctx, "VACUUM ANALYZE")
	require.NoError(b, err)
	change := func(name string, move func(w *storage.Write, n int)) contender {
		return contender{name, func(n int) {
			w := &groups[name][n*104_729%records]
			w.Record.Data = document(n)
			if move != nil {
				move(w, n)
			}
			w.Record.Revision = storage.NextRevision(w.Expect)
			errs, err := store.Write(ctx, []storage.Write{*w})
			require.NoError(b, err)
			require.Nil(b, errs)
			w.Expect = w.Record.Revision
		}}
	}
	b.Run("write", func(b *testing.B) {
		takeTurns(b, 100, change("plain", nil), change("unmoved", nil),
			change("moved", func(w *storage.Write, n int) {
				w.Entries = []storage.Entry{w.Entries[0], {Index: 2, Value: fmt.Appendf(nil, "moved %d", 1_000_000+n)}}
			}),
			change("unique-moved", func(w *storage.Write, n int) {
				w.Entries = []storage.Entry{{Index: 3, Value: fmt.Append(nil, 1_000_000+n), Unique: true}}
			}),
			change("logged", nil))
	})
	scope := testKey("").Scope()
	b.Run("read", func(b *testing.B) {
		takeTurns(b, 200,
			contender{"get", func(n int) {
				_, err := store.Get(ctx, groups["unmoved"][n*104_729%records].Record.Key)
				require.NoError(b, err)
			}},
			contender{"lookup", func(n int) {
				value := groups["unmoved"][n*104_729%records].Entries[1].Value
				page, err := store.Lookup(ctx, scope, 2, storage.Range{From: value, To: append(value[:len(value):len(value)], 0), Limit: 1})
				require.NoError(b, err)
				require.Len(b, page.Records, 1)
			}})
	})
	b.Run("page", func(b *testing.B) {
		takeTurns(b, 20,
			contender{"list", func(n int) {
				page, err := store.List(ctx, scope, after(groups["unmoved"][n*104_729%records].Record.Key.ExternalID, 100))
				require.NoError(b, err)
				require.NotEmpty(b, page.Records)
			}},
			contender{"lookup", func(n int) {
				page, err := store.Lookup(ctx, scope, 1, storage.Range{From: groups["unmoved"][n*104_729%records].Entries[0].Value, Limit: 100})
				require.NoError(b, err)
				require.NotEmpty(b, page.Records)
			}})
	})
	b.Run("changes", func(b *testing.B) {
		var cursor storage.Cursor
		takeTurns(b, 10, contender{"page1000", func(int) {
			page, err := store.Changes(ctx, storage.ChangeQuery{After: cursor, Limit: 1000})
			require.NoError(b, err)
			if cursor = page.Next; !page.More {
				cursor = storage.Cursor{}
			}
		}})
	})
	size := 1000
	batch := func(name string) contender {
		return contender{name, func(n int) {
			part := groups[name][n%(records/size)*size:][:size]
			for i := range part {
				part[i].Record.Data = document(n)
			}
			mustWrite(b, store, part)
		}}
	}
	b.Run("batch1000", func(b *testing.B) { takeTurns(b, 2, batch("plain"), batch("unmoved"), batch("logged")) })
}

// BenchmarkVersion3 compares the statements and the tables of today with those of version
// 3, for records without entries and without a log.
func BenchmarkVersion3(b *testing.B) {
	const records = 10_000
	ctx, dsn := context.Background(), pgtest.DSN(b)
	opts := postgres.Options{Schema: pgtest.Schema(b, dsn)}
	store, pool := newStoreAt(b, dsn, opts, nil)
	describe(b, pool)
	old := pgtest.Schema(b, dsn)
	ddl, err := os.ReadFile("testdata/version3.sql")
	require.NoError(b, err)
	_, err = pool.Exec(ctx, "CREATE SCHEMA "+old+";"+strings.ReplaceAll(string(ddl), "schema.", old+"."))
	require.NoError(b, err)
	sum := testKey("").Scope().Sum()
	tenant := testKey("").Tenant
	run := func(sql, id string, args ...any) {
		tag, err := pool.Exec(ctx, strings.ReplaceAll(sql, "$.", old+"."), append([]any{sum[:16], id}, args...)...)
		require.NoError(b, err)
		require.EqualValues(b, 1, tag.RowsAffected())
	}
	now := time.Now()
	create := func(id string) {
		run(create3, id, int64(1), uuid.Max, now, now, tenant.Platform, tenant.Business, uuid.Max, document(1))
	}
	writes := testWrites("key", records)
	for i := range writes {
		writes[i].Record.Data = document(1)
		create(writes[i].Record.Key.ExternalID)
	}
	mustWrite(b, store, writes)
	revisions := make([]int64, records)
	_, err = pool.Exec(ctx, "VACUUM ANALYZE")
	require.NoError(b, err)
	b.Run("update", func(b *testing.B) {
		takeTurns(b, 100, contender{"old", func(n int) {
			i := n * 104_729 % records
			revisions[i]++
			run(update3, writes[i].Record.Key.ExternalID, revisions[i], revisions[i]+1, now, document(n))
		}}, contender{"new", func(n int) {
			i := n * 104_729 % records
			writes[i].Record.Data = document(n)
			mustWrite(b, store, writes[i:i+1])
		}})
	})
	b.Run("create-and-delete", func(b *testing.B) {
		takeTurns(b, 50, contender{"old", func(n int) {
			id := fmt.Sprint("new-", n)
			create(id)
			run(delete3, id, int64(1))
		}}, contender{"new", func(n int) {
			writes := testWrites(fmt.Sprint("new-", n), 1)
			writes[0].Record.Data = document(1)
			mustWrite(b, store, writes)
			mustWrite(b, store, deletesOf(writes))
		}})
	})
}
