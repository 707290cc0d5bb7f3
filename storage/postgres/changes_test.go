package postgres_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// delivered is a change as a reader of the log got it.
type delivered struct {
	seq              int64
	id               string
	before, revision storage.Revision
	deleted          bool
}

// A reader returns changes that it has not returned yet, or none for now.
type reader func() ([]delivered, error)

// storeReader reads as programs do.
func storeReader(store storage.Store) reader {
	var after storage.Cursor
	return func() (all []delivered, err error) {
		page, err := store.Changes(context.Background(), storage.ChangeQuery{After: after, Limit: 1000})
		if err != nil {
			return nil, err
		}
		after = page.Next
		for _, c := range page.Changes {
			all = append(all, delivered{c.Cursor.Position, c.Key.ExternalID, c.Before, c.Cursor.Revision, c.Deleted})
		}
		return all, nil
	}
}

// wrongReaders are readers that look right. Each leaves changes out, or swaps changes of
// one key.
func wrongReaders(pool *pgxpool.Pool, schema string) map[string]reader {
	ctx := context.Background()
	query := func(where, order string, args ...any) ([]delivered, []int64, error) {
		rows, err := pool.Query(ctx, "SELECT seq, external_id, before, revision, deleted, xmin::text::bigint FROM "+schema+".changes WHERE "+where+" ORDER BY "+order, args...)
		if err != nil {
			return nil, nil, err
		}
		var all []delivered
		var xids []int64
		var d delivered
		var before, revision, xid int64
		_, err = pgx.ForEachRow(rows, []any{&d.seq, &d.id, &before, &revision, &d.deleted, &xid}, func() error {
			d.before, d.revision = storage.Revision(before), storage.Revision(revision)
			all, xids = append(all, d), append(xids, xid)
			return nil
		})
		return all, xids, err
	}
	var greatest, fenced, fencedLast int64
	var last [2]int64
	var xmax int64
	return map[string]reader{
		"greater than the last": func() ([]delivered, error) {
			all, _, err := query("seq > $1", "seq", greatest)
			if n := len(all); n > 0 {
				greatest = all[n-1].seq
			}
			return all, err
		},
		"by transaction": func() ([]delivered, error) {
			all, xids, err := query("(xmin::text::bigint, seq) > ($1, $2) AND xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
				"xmin::text::bigint, seq", last[0], last[1])
			if n := len(all); n > 0 {
				last = [2]int64{xids[n-1], all[n-1].seq}
			}
			return all, err
		},
		"fence of xmax": func() ([]delivered, error) {
			if xmax == 0 {
				return nil, pool.QueryRow(ctx, "SELECT last_value, pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM "+schema+".changes_seq_seq").
					Scan(&fencedLast, &xmax)
			}
			all, _, err := query("seq > $1 AND seq <= $2 AND pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $3", "seq", fenced, fencedLast, xmax)
			if n := len(all); n > 0 {
				fenced = all[n-1].seq
			}
			var passed bool
			if err == nil {
				err = pool.QueryRow(ctx, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > $1", xmax).Scan(&passed)
			}
			if passed {
				xmax = 0
			}
			return all, err
		},
	}
}

// replica follows the changes that a reader gets. A change that is left out, or comes
// before one of its key that it followed, does not fit to the state of the key.
type replica struct {
	state map[string]storage.Revision
	got   []delivered
	wrong int
}

func (r *replica) apply(some []delivered) {
	if r.state == nil {
		r.state = make(map[string]storage.Revision)
	}
	for _, d := range some {
		if d.before != r.state[d.id] {
			r.wrong++
		}
		if r.state[d.id] = d.revision; d.deleted {
			r.state[d.id] = 0
		}
	}
	r.got = append(r.got, some...)
}

// missed returns how many changes of the log the reader did not get.
func (r *replica) missed(log []delivered) (n int) {
	seen := make(map[int64]bool)
	for _, d := range r.got {
		seen[d.seq] = true
	}
	for _, d := range log {
		if !seen[d.seq] {
			n++
		}
	}
	return n
}

// TestReadersOfTheLog: while 12 writers create and delete a few records in batches, the
// store delivers every change, those of one key in order. Three readers that look right
// do not, on the same log: so this test can fail.
func TestReadersOfTheLog(t *testing.T) {
	const writers, keys, events = 12, 12, 10_000
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, func(cfg *pgxpool.Config) { cfg.MaxConns = writers + 4 })
	var made atomic.Int64
	var stop, ended atomic.Bool
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 2))
			for !stop.Load() {
				picked := make([]storage.Key, 3)
				for i, n := range r.Perm(keys)[:len(picked)] {
					picked[i] = testKey(fmt.Sprint("key-", n))
				}
				var writes []storage.Write
				if r.IntN(2) == 0 {
					for _, key := range picked {
						writes = append(writes, storage.Write{Record: storage.Record{Key: key}})
					}
				} else {
					records, err := store.GetMany(ctx, picked)
					if err != nil {
						t.Error(err)
						return
					}
					for _, rec := range records {
						if rec.Revision != 0 {
							writes = append(writes, storage.Write{Record: storage.Record{Key: rec.Key}, Expect: rec.Revision, Delete: true})
						}
					}
				}
				for i := range writes {
					writes[i].Note = &storage.Note{Time: time.Now()}
				}
				for _, err := range write(store, writes) {
					if err == nil {
						made.Add(1)
					}
				}
			}
		})
	}
	readers := wrongReaders(pool, opts.Schema)
	readers["store"] = storeReader(store)
	got := make(map[string]*replica)
	var right atomic.Int64 // readers that have not gone wrong yet
	right.Store(int64(len(readers)))
	for name, read := range readers {
		r := new(replica)
		got[name] = r
		reading.Go(func() {
			for idle := 0; idle < 5; { // in a row, after the end
				last := ended.Load()
				some, err := read()
				if err != nil {
					t.Error(name, err)
					return
				}
				before := r.wrong
				if r.apply(some); before == 0 && r.wrong > 0 {
					right.Add(-1)
				}
				if idle++; !last || len(some) > 0 {
					idle = 0
				}
			}
		})
	}
	// The wrong readers go wrong by chance, so the writers go on until each has.
	deadline := time.Now().Add(4 * time.Minute)
	for (made.Load() < events || right.Load() > 1) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	stop.Store(true)
	writing.Wait()
	ended.Store(true)
	reading.Wait()
	log, err := wrongReaders(pool, opts.Schema)["greater than the last"]()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(log), events)
	for name, r := range got {
		missed := r.missed(log)
		t.Logf("%s: of %d changes %d missed, %d do not fit", name, len(log), missed, r.wrong)
		if name == "store" {
			require.Zero(t, r.wrong)
			require.Equal(t, log, r.got)
			continue
		}
		require.NotZero(t, r.wrong, "%s is a wrong way to read", name)
	}
}

// TestLogSchedules has the three wrong readers and the store read in schedules that make
// each go wrong for certain.
func TestLogSchedules(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	for _, tt := range []struct {
		name  string // of the reader that goes wrong
		steps func(t *testing.T, pool *pgxpool.Pool, change func(pgx.Tx, string, int, int, bool), read func())
	}{
		{"greater than the last", func(t *testing.T, pool *pgxpool.Pool, change func(pgx.Tx, string, int, int, bool), read func()) {
			first, second := begin(t, pool), begin(t, pool)
			change(first, "a", 0, 1, false)
			change(second, "b", 0, 2, false)
			require.NoError(t, second.Commit(ctx))
			read()
			require.NoError(t, first.Commit(ctx))
		}},
		{"fence of xmax", func(t *testing.T, pool *pgxpool.Pool, change func(pgx.Tx, string, int, int, bool), read func()) {
			first, second := begin(t, pool), begin(t, pool)
			change(first, "a", 0, 1, false)
			change(second, "b", 0, 2, false) // both run, so the snapshot's xmax is the first
			third := begin(t, pool)
			change(third, "c", 0, 3, false)
			read() // takes xmax
			require.NoError(t, first.Commit(ctx))
			require.NoError(t, third.Commit(ctx))
			read()
			require.NoError(t, second.Commit(ctx))
		}},
		{"by transaction", func(t *testing.T, pool *pgxpool.Pool, change func(pgx.Tx, string, int, int, bool), read func()) {
			tx := begin(t, pool)
			change(tx, "a", 0, 1, false)
			require.NoError(t, tx.Commit(ctx))
			first, second := begin(t, pool), begin(t, pool)
			change(first, "b", 0, 2, false) // takes its id, and would wait for the row a now
			change(second, "a", 1, 3, true)
			require.NoError(t, second.Commit(ctx))
			change(first, "a", 0, 4, false)
			require.NoError(t, first.Commit(ctx))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
			store, pool := newStoreAt(t, dsn, opts, func(cfg *pgxpool.Config) { cfg.MaxConns = 6 })
			readers := wrongReaders(pool, opts.Schema)
			readers["store"] = storeReader(store)
			got := make(map[string]*replica)
			read := func() {
				for range 2 { // the fence takes its number first
					for name, read := range readers {
						some, err := read()
						require.NoError(t, err)
						if got[name] == nil {
							got[name] = new(replica)
						}
						got[name].apply(some)
					}
				}
			}
			tt.steps(t, pool, func(tx pgx.Tx, id string, before, revision int, deleted bool) {
				insertChange(t, tx, opts.Schema, id, before, revision, deleted)
			}, read)
			log, err := wrongReaders(pool, opts.Schema)["greater than the last"]()
			require.NoError(t, err)
			require.Eventually(t, func() bool { read(); return len(got["store"].got) == len(log) }, 20*time.Second, time.Millisecond)
			require.Equal(t, log, got["store"].got)
			require.NotZero(t, got[tt.name].missed(log)+got[tt.name].wrong, "%s is a wrong way to read", tt.name)
		})
	}
}

// insertChange adds a change to the log as a writer does.
func insertChange(t *testing.T, tx pgx.Tx, schema, id string, before, revision int, deleted bool) {
	_, err := tx.Exec(context.Background(), "INSERT INTO "+schema+`.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, at, actor, reason)
SELECT g, $1, g, g, g, $2, $3, g, $4, now(), '', '' FROM gen_random_uuid() AS g`, id, revision, before, deleted)
	require.NoError(t, err)
}

func begin(t *testing.T, pool *pgxpool.Pool) pgx.Tx {
	tx, err := pool.Begin(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// TestHeld: a page says for how long changes are held back, by a transaction that is
// open in another database, too. A prepared transaction is one.
func TestHeld(t *testing.T) {
	ctx := context.Background()
	server := pgtest.Start(t, pgtest.Config{Settings: map[string]string{"max_prepared_transactions": "2"}})
	store, pool := newStoreAt(t, server.DSN(), postgres.Options{}, nil)
	_, err := pool.Exec(ctx, "CREATE DATABASE other")
	require.NoError(t, err)
	cfg, err := pgx.ParseConfig(server.DSN())
	require.NoError(t, err)
	cfg.Database = "other"
	other, err := pgx.ConnectConfig(ctx, cfg)
	require.NoError(t, err)
	defer other.Close(ctx)
	for _, end := range []string{"COMMIT", "PREPARE TRANSACTION 'x'"} {
		_, err = other.Exec(ctx, "BEGIN; SELECT pg_current_xact_id()")
		require.NoError(t, err)
		if end != "COMMIT" {
			_, err = other.Exec(ctx, end)
			require.NoError(t, err)
			end = "COMMIT PREPARED 'x'"
		}
		before, err := store.Changes(ctx, storage.ChangeQuery{End: true})
		require.NoError(t, err)
		logged := testWrites(end, 1)
		logged[0].Note = &storage.Note{}
		mustWrite(t, store, logged)
		query := storage.ChangeQuery{After: before.Next, Limit: 10}
		held := time.Duration(0)
		require.Eventually(t, func() bool {
			page, err := store.Changes(ctx, query)
			require.NoError(t, err)
			require.Empty(t, page.Changes)
			require.GreaterOrEqual(t, page.Held, held)
			held = page.Held
			return held > 20*time.Millisecond
		}, 20*time.Second, 5*time.Millisecond)
		_, err = other.Exec(ctx, end)
		require.NoError(t, err)
		page, err := store.Changes(ctx, query)
		require.NoError(t, err)
		require.Len(t, page.Changes, 1)
		require.Zero(t, page.Held)
	}
}

// TestRestoredLog: a store that runs on while its database is restored from a backup, or
// fails over to a standby that lags, refuses cursors of lost changes, also after the
// positions have been drawn again; and it reads the changes that are there.
func TestRestoredLog(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	running, pool := newStoreAt(t, dsn, opts, nil)
	n := 0
	change := func(count int) {
		for range count {
			n++
			writes := testWrites(fmt.Sprint(n), 1)
			writes[0].Note = &storage.Note{}
			mustWrite(t, running, writes)
		}
	}
	read := func(store storage.Store, after storage.Cursor) ([]int64, storage.Cursor) {
		page, err := store.Changes(ctx, storage.ChangeQuery{After: after, Limit: 100})
		require.NoError(t, err)
		var positions []int64
		for _, c := range page.Changes {
			positions = append(positions, c.Cursor.Position)
		}
		return positions, page.Next
	}
	change(3)
	_, kept := read(running, storage.Cursor{})
	mustExec(t, pool, opts.Schema, "CREATE TABLE $.backup AS SELECT * FROM $.changes")
	change(4)
	positions, lost := read(running, kept)
	require.Len(t, positions, 4)
	mustExec(t, pool, opts.Schema, "DELETE FROM $.changes WHERE seq > (SELECT max(seq) FROM $.backup); SELECT setval('$.changes_seq_seq', (SELECT max(seq) FROM $.backup))")
	// A transaction that is open now may add a change before those that the store sees.
	open := begin(t, pool)
	insertChange(t, open, opts.Schema, "open", 0, 1, false)
	change(1)
	since, _ := read(running, kept)
	require.Empty(t, since)
	require.NoError(t, open.Commit(ctx))
	for _, more := range []int{0, 2, 5} { // before the cursor, and past it
		change(more)
		reopened, err := postgres.New(ctx, pool, &opts)
		require.NoError(t, err)
		for _, store := range []storage.Store{running, reopened} {
			_, err := store.Changes(ctx, storage.ChangeQuery{After: lost, Limit: 1})
			require.ErrorIs(t, err, storage.ErrExpired)
			all, end := read(store, storage.Cursor{})
			require.Len(t, all, 3+1+n-7)
			require.True(t, slices.IsSorted(all))
			since, next := read(store, kept)
			require.Equal(t, all[3:], append([]int64{}, since...))
			require.Equal(t, end, next)
		}
	}
}

// TestTrimInParts: Trim removes many changes by several statements, and keeps those
// that are held back.
func TestTrimInParts(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	c := &counts{}
	store, _ := newStoreAt(t, dsn, opts, c.count)
	pool := newPool(t, dsn)
	insert := "INSERT INTO $.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, at, actor, reason) " +
		"SELECT g, i::text, g, g, g, i, 0, g, false, '2024-01-01'::timestamptz + i * interval '1 s', '', '' FROM generate_series(1, 12000) AS i, gen_random_uuid() AS g"
	mustExec(t, pool, opts.Schema, insert)
	start := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, store.Trim(ctx, start, storage.Cursor{})) // nothing
	c.statements.Store(0)
	require.NoError(t, store.Trim(ctx, start.Add(11_500*time.Second), storage.Cursor{}))
	require.EqualValues(t, 1+3, c.statements.Load(), "a look, and statements that trim")
	page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 1000})
	require.NoError(t, err)
	require.Len(t, page.Changes, 501)
	require.Equal(t, start.Add(11_500*time.Second), page.Changes[0].Note.Time)

	open := begin(t, pool)
	_, err = open.Exec(ctx, "SELECT pg_current_xact_id()")
	require.NoError(t, err)
	logged := testWrites("held", 1)
	logged[0].Note = &storage.Note{}
	mustWrite(t, store, logged)
	require.NoError(t, store.Trim(ctx, time.Now(), storage.Cursor{}))
	after, err := store.Changes(ctx, storage.ChangeQuery{After: page.Next, Limit: 10})
	require.NoError(t, err, "the floor is the last change that was trimmed")
	require.Empty(t, after.Changes)
	require.NoError(t, open.Rollback(ctx))
	after, err = store.Changes(ctx, storage.ChangeQuery{After: page.Next, Limit: 10})
	require.NoError(t, err)
	require.Len(t, after.Changes, 1)
}

// TestTrimEndBeyondTheFence: Trim ends at the fence, if the end is after it.
func TestTrimEndBeyondTheFence(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	for _, id := range []string{"a", "b"} {
		logged := testWrites(id, 1)
		logged[0].Note = &storage.Note{}
		mustWrite(t, store, logged)
	}
	_, err := store.Changes(ctx, storage.ChangeQuery{End: true}) // the fence is after these
	require.NoError(t, err)
	open := begin(t, pool)
	insertChange(t, open, opts.Schema, "open", 0, 1, false)
	logged := testWrites("after", 1)
	logged[0].Note = &storage.Note{}
	mustWrite(t, store, logged)
	var end storage.Cursor
	require.NoError(t, pool.QueryRow(ctx, "SELECT seq, revision FROM "+opts.Schema+".changes ORDER BY seq DESC").Scan(&end.Position, &end.Revision))
	require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), end))
	require.NoError(t, open.Commit(ctx))
	page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Changes, 2)
	require.Equal(t, "open", page.Changes[0].Key.ExternalID)
	require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), end))
	page, err = store.Changes(ctx, storage.ChangeQuery{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page.Changes)
	require.Equal(t, end, page.Next)
}

// TestRedactedIsHeld: the fence holds back what Redact adds, while a change that was drawn
// before may still come.
func TestRedactedIsHeld(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, nil)
	logged := testWrites("k", 1)
	logged[0].Note = &storage.Note{Actor: "alice"}
	mustWrite(t, store, logged)
	read := storeReader(store)
	some, err := read()
	require.NoError(t, err)
	require.Len(t, some, 1)
	open := begin(t, pool)
	insertChange(t, open, opts.Schema, "open", 0, 1, false)
	require.Equal(t, 1, redacted(t, store, logged[0].Record.Key))
	for range 3 {
		some, err = read()
		require.NoError(t, err)
		require.Empty(t, some)
	}
	require.NoError(t, open.Commit(ctx))
	some, err = read()
	require.NoError(t, err)
	require.Len(t, some, 2)
	require.Equal(t, "open", some[0].id)
	require.True(t, some[1].deleted)
}

// TestRedactInSteps: Redact takes a statement for each 5000 changes. If it ends between two, no
// change is redacted without one after it that says so; the same call again does the rest,
// and adds none for an ID that has one.
func TestRedactInSteps(t *testing.T) {
	const n = 12_000
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	c := &counts{}
	store, _ := newStoreAt(t, dsn, opts, c.count)
	pool := newPool(t, dsn)
	key := testKey("k")
	insert := func(id string) {
		// Of the IDs 0, 1 and 2 one is in the first step, one in three, and one in the last.
		_, err := pool.Exec(ctx, inSchema(opts.Schema, `
INSERT INTO $.changes (scope, external_id, platform, business, schema_id, revision, before, id, deleted, at, actor, reason)
SELECT $.scope($1, $2, $3), $4, $1, $2, $3, i, i - 1, lpad((CASE WHEN i <= 10 THEN 0 WHEN i <= 11990 THEN 1 ELSE 2 END)::text, 32, '0')::uuid, false, now(), 'alice', ''
FROM generate_series(1, 12000) AS i`), key.Tenant.Platform, key.Tenant.Business, key.Schema, id)
		require.NoError(t, err)
	}
	insert("other") // a key of the same IDs
	insert("k")
	told := func() (ids []byte) {
		open := make(map[byte]bool) // redacted, and nothing after it says so
		for q := (storage.ChangeQuery{Limit: storage.MaxPage}); ; {
			page, err := store.Changes(ctx, q)
			require.NoError(t, err)
			for _, c := range page.Changes {
				switch {
				case c.Deleted && c.Before == 0:
					require.Equal(t, "eve", c.Note.Actor)
					require.NotZero(t, c.Cursor.Revision)
					ids, open[c.ID[15]] = append(ids, c.ID[15]), false
				case c.Redacted:
					open[c.ID[15]] = true
				}
			}
			if q.After = page.Next; !page.More {
				break
			}
		}
		require.NotContains(t, slices.Collect(maps.Values(open)), true)
		return ids
	}
	lock := begin(t, pool)
	_, err := lock.Exec(ctx, inSchema(opts.Schema, "SELECT FROM $.changes WHERE external_id = 'k' AND revision = 7000 FOR UPDATE"))
	require.NoError(t, err)
	called, cancel := context.WithCancel(ctx)
	failed := make(chan error)
	go func() {
		_, err := store.Redact(called, key, storage.Note{Actor: "eve"})
		failed <- err
	}()
	require.Eventually(t, func() bool { // the second step waits
		var waiting int
		err := pool.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", int32(lock.Conn().PgConn().PID())).Scan(&waiting)
		return err == nil && waiting == 1
	}, time.Minute, 5*time.Millisecond)
	cancel()
	require.ErrorIs(t, <-failed, storage.ErrUnknownOutcome)
	require.NoError(t, lock.Rollback(ctx))
	// The server may go on with the second step.
	require.Eventually(t, func() bool {
		var running int
		err := pool.QueryRow(ctx, "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND mode = 'RowExclusiveLock'", opts.Schema+".changes").Scan(&running)
		return err == nil && running == 0
	}, time.Minute, 5*time.Millisecond)
	require.Equal(t, []byte{0, 1}, told())
	c.statements.Store(0)
	left := redacted(t, store, key)
	require.Contains(t, []int{n - maxStep, n - 2*maxStep}, left)
	require.EqualValues(t, 1+1+left/maxStep, c.statements.Load())
	require.Equal(t, []byte{0, 1, 2}, told())
	require.Zero(t, redacted(t, store, key))
	require.Equal(t, []byte{0, 1, 2}, told())
	key.ExternalID = "other"
	require.Equal(t, n, redacted(t, store, key))
	require.Equal(t, []byte{0, 1, 2, 0, 1, 2}, told())
}

// maxStep is how many changes one statement redacts.
const maxStep = 5000

func inSchema(schema, sql string) string { return strings.ReplaceAll(sql, "$.", schema+".") }

// TestNoDataIsNotRead: the server does not read the documents that NoData leaves out.
func TestNoDataIsNotRead(t *testing.T) {
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	store, pool := newStoreAt(t, dsn, opts, func(cfg *pgxpool.Config) { cfg.MaxConns = 1 })
	document := make([]byte, 100_000)
	for i := range document {
		document[i] = byte(rand.Uint32()) // not one that the server could compress
	}
	logged := testWrites("k", 20)
	for i := range logged {
		logged[i].Note = &storage.Note{Before: document, After: document}
	}
	mustWrite(t, store, logged)
	read := func() (blocks int) { // of documents, so far
		_, err := pool.Exec(ctx, "SELECT pg_stat_force_next_flush()")
		require.NoError(t, err)
		err = pool.QueryRow(ctx, `
SELECT toast_blks_hit + toast_blks_read + tidx_blks_hit + tidx_blks_read FROM pg_statio_user_tables
WHERE schemaname = $1 AND relname = 'changes'`, opts.Schema).Scan(&blocks)
		require.NoError(t, err)
		return blocks
	}
	scope := logged[0].Record.Key.Scope()
	for _, q := range []storage.ChangeQuery{
		{}, {Scope: scope}, {Scope: scope, ExternalID: logged[3].Record.Key.ExternalID},
		{Scope: scope, ExternalID: logged[3].Record.Key.ExternalID, Backwards: true},
	} {
		q.Limit = 100
		before := read()
		with, err := store.Changes(ctx, q)
		require.NoError(t, err)
		require.Len(t, with.Changes[0].Note.After, len(document))
		middle := read()
		require.Greater(t, middle, before)
		q.NoData = true
		without, err := store.Changes(ctx, q)
		require.NoError(t, err)
		require.Equal(t, middle, read(), "blocks of documents that were read for %+v", q)
		require.Len(t, without.Changes, len(with.Changes))
	}
}

// TestLargeNotes: a note that no row can hold is ErrTooLarge, and nothing of it is sent.
func TestLargeNotes(t *testing.T) {
	c := &counts{}
	store, _ := newStoreAt(t, pgtest.DSN(t), postgres.Options{Schema: pgtest.Schema(t, pgtest.DSN(t))}, c.count)
	large := make([]byte, 128<<20+1) // the system has no memory for it until it is read
	writes := testWrites("k", 2)
	writes[0].Note = &storage.Note{Before: large, After: large}
	c.statements.Store(0)
	require.ErrorIs(t, write(store, writes[:1])[0], storage.ErrTooLarge)
	require.Zero(t, c.statements.Load())
	errs := write(store, writes)
	require.ErrorIs(t, errs[0], storage.ErrTooLarge)
	require.NoError(t, errs[1])
	_, err := store.Redact(context.Background(), writes[1].Record.Key, storage.Note{Reason: strings.Repeat("x", 256<<20+1)})
	require.ErrorIs(t, err, storage.ErrTooLarge)
}

// redacted redacts the changes of a key, and returns how many.
func redacted(t *testing.T, store storage.Store, key storage.Key) int {
	t.Helper()
	n, err := store.Redact(context.Background(), key, storage.Note{Time: time.Now(), Actor: "eve"})
	require.NoError(t, err)
	return n
}

// TestReadersShareRounds: readers at the same time wait for one round of the fence that
// begins after they came.
func TestReadersShareRounds(t *testing.T) {
	const readers = 50
	ctx, dsn := context.Background(), pgtest.DSN(t)
	opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
	c := &counts{}
	store, _ := newStoreAt(t, dsn, opts, c.count)
	beside := newPool(t, dsn)
	unlock := lockTable(t, beside, opts.Schema+".changes")
	var calls sync.WaitGroup
	c.statements.Store(0)
	for range readers {
		calls.Go(func() {
			_, err := store.Changes(ctx, storage.ChangeQuery{End: true})
			if err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond) // most have come by then
	unlock()
	calls.Wait()
	require.LessOrEqual(t, c.statements.Load(), int64(readers/2), "statements of %d readers", readers)
}

// lockTable makes every use of a table wait until it is called again.
func lockTable(t *testing.T, pool *pgxpool.Pool, table string) (unlock func()) {
	tx := begin(t, pool)
	_, err := tx.Exec(context.Background(), "LOCK TABLE "+table+" IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	return func() { _ = tx.Rollback(context.Background()) }
}

// TestLargeChanges: a page of changes ends early when it holds 16 MiB, and the server
// sends no more.
func TestLargeChanges(t *testing.T) {
	ctx := context.Background()
	store, _ := newStore(t, postgres.Options{}, nil)
	writes := testWrites("key", 7)
	for i := range writes {
		writes[i].Note = &storage.Note{Before: make([]byte, 3<<20), After: []byte("after")}
		if i == 3 {
			writes[i].Note.After = make([]byte, 20<<20)
		}
	}
	mustWrite(t, store, writes)
	var sizes []int
	var after storage.Cursor
	for more := true; more; {
		page, err := store.Changes(ctx, storage.ChangeQuery{After: after, Limit: 100})
		require.NoError(t, err)
		sizes = append(sizes, len(page.Changes))
		after, more = page.Next, page.More
	}
	require.Equal(t, []int{3, 1, 3}, sizes)
}
