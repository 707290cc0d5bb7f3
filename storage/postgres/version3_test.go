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
