package postgres_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/recent"
)

// counts of what goes to the server.
type counts struct {
	statements, trips atomic.Int64
}

func (c *counts) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements.Add(1)
	return ctx
}
func (c *counts) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *counts) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	c.statements.Add(int64(data.Batch.Len()))
	return ctx
}
func (c *counts) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (c *counts) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// count counts what a pool with one connection sends.
func (c *counts) count(cfg *pgxpool.Config) {
	cfg.MaxConns = 1
	cfg.ConnConfig.Tracer = c
	dial := cfg.ConnConfig.DialFunc
	cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &countingConn{Conn: conn, counts: c}, err
	}
}

// countingConn counts a round trip whenever something is sent after something
// has been received.
type countingConn struct {
	net.Conn
	counts  *counts
	sending atomic.Bool
}

func (c *countingConn) Write(b []byte) (int, error) {
	if !c.sending.Swap(true) {
		c.counts.trips.Add(1)
	}
	return c.Conn.Write(b)
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.sending.Store(false)
	return n, err
}

// newStore returns a store on tables of its own, over a pool that configure, if
// not nil, has prepared.
func newStore(t testing.TB, opts postgres.Options, configure func(*pgxpool.Config)) (*postgres.Store, *pgxpool.Pool) {
	dsn := pgtest.DSN(t)
	opts.Schema = pgtest.Schema(t, dsn)
	return newStoreAt(t, dsn, opts, configure)
}

func newStoreAt(t testing.TB, dsn string, opts postgres.Options, configure func(*pgxpool.Config)) (*postgres.Store, *pgxpool.Pool) {
	cfg, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	if configure != nil {
		configure(cfg)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, postgres.Migrate(context.Background(), pool, &opts))
	store, err := postgres.New(context.Background(), pool, &opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store, pool
}

func testKey(id string) storage.Key {
	return storage.Key{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max, ExternalID: id}
}

func testWrites(prefix string, n int) []storage.Write {
	writes := make([]storage.Write, n)
	for i := range writes {
		writes[i].Record = storage.Record{Key: testKey(fmt.Sprintf("%s-%04d", prefix, i)), Data: []byte(`{"a":1}`)}
	}
	return writes
}

// write gives the writes new revisions, makes them and returns the error of each.
func write(store storage.Store, writes []storage.Write) []error {
	return writeIn(context.Background(), store, writes)
}

func writeIn(ctx context.Context, store storage.Store, writes []storage.Write) []error {
	for i := range writes {
		writes[i].Record.Revision = storage.NextRevision(writes[i].Expect)
	}
	errs, err := store.Write(ctx, writes)
	if err != nil || errs == nil {
		errs = make([]error, len(writes))
	}
	for i := range errs {
		errs[i] = cmp.Or(errs[i], err)
	}
	return errs
}

// mustWrite makes the writes and lets them expect what they have written.
func mustWrite(t testing.TB, store storage.Store, writes []storage.Write) {
	for part := range slices.Chunk(writes, storage.MaxBatch) {
		for i, err := range write(store, part) {
			if err != nil {
				require.NoError(t, err)
			}
			part[i].Expect = part[i].Record.Revision
		}
	}
}

// deletesOf returns writes that delete what the writes have written.
func deletesOf(writes []storage.Write) []storage.Write {
	deletes := make([]storage.Write, len(writes))
	for i, w := range writes {
		deletes[i] = storage.Write{Record: storage.Record{Key: w.Record.Key}, Expect: w.Expect, Delete: true}
	}
	return deletes
}

func keysOf(writes []storage.Write) []storage.Key {
	keys := make([]storage.Key, len(writes))
	for i, w := range writes {
		keys[i] = w.Record.Key
	}
	return keys
}

// after is the part of a list after an external id.
func after(id string, limit int) storage.Range {
	return storage.Range{After: storage.Position{ExternalID: id}, Limit: limit}
}

// TestRoundTrips counts what the documentation promises for each method.
func TestRoundTrips(t *testing.T) {
	c := &counts{}
	store, _ := newStore(t, postgres.Options{}, c.count)
	ctx := context.Background()
	key := testKey("key")
	rev := storage.Revision(0)
	many := testWrites("many", storage.MaxBatch)
	var indexed []storage.Write
	round := 0
	steps := []struct {
		name              string
		statements, trips int64
		call              func()
	}{
		{"create", 1, 1, func() {
			var err error
			rev, err = storage.Put(ctx, store, storage.Record{Key: key}, 0)
			require.NoError(t, err)
		}},
		{"create over a record", 2, 2, func() {
			_, err := storage.Put(ctx, store, storage.Record{Key: key}, 0)
			require.ErrorIs(t, err, storage.ErrConflict)
		}},
		{"update", 1, 1, func() {
			var err error
			rev, err = storage.Put(ctx, store, storage.Record{Key: key}, rev)
			require.NoError(t, err)
		}},
		{"update in another revision", 2, 2, func() {
			_, err := storage.Put(ctx, store, storage.Record{Key: key}, rev+1)
			require.ErrorIs(t, err, storage.ErrConflict)
		}},
		{"get", 1, 1, func() {
			_, err := store.Get(ctx, key)
			require.NoError(t, err)
		}},
		{"list", 1, 1, func() {
			_, err := store.List(ctx, key.Scope(), after("", 100))
			require.NoError(t, err)
		}},
		{"delete in another revision", 2, 2, func() {
			require.ErrorIs(t, storage.Delete(ctx, store, key, rev+1), storage.ErrConflict)
		}},
		{"delete", 1, 1, func() { require.NoError(t, storage.Delete(ctx, store, key, rev)) }},
		{"delete of an absent record", 2, 2, func() {
			require.ErrorIs(t, storage.Delete(ctx, store, key, rev), storage.ErrConflict)
		}},
		{"create with entries and a note", 1, 1, func() {
			indexed = testWrites(fmt.Sprint("indexed-", round), 1)
			indexed[0].Entries, indexed[0].Note = []storage.Entry{entry("a"), uniqueEntry(fmt.Sprint("value ", round))}, &storage.Note{Actor: "x"}
			mustWrite(t, store, indexed)
		}},
		{"update with entries that stay", 1, 1, func() { mustWrite(t, store, indexed) }},
		{"update with entries that move", 1, 1, func() {
			indexed[0].Entries = []storage.Entry{entry("b"), uniqueEntry(fmt.Sprint("moved ", round))}
			mustWrite(t, store, indexed)
		}},
		{"set entries", 1, 1, func() {
			require.NoError(t, store.SetEntries(ctx, indexed[0].Record.Key, indexed[0].Expect, indexed[0].Entries))
		}},
		{"lookup", 1, 1, func() {
			_, err := store.Lookup(ctx, key.Scope(), 1, storage.Range{Limit: 100})
			require.NoError(t, err)
		}},
		{"changes after a write", 4, 4, func() {
			_, err := store.Changes(ctx, storage.ChangeQuery{Limit: 1000})
			require.NoError(t, err)
		}},
		{"changes after none, from a cursor", 3, 2, func() {
			end, err := store.Changes(ctx, storage.ChangeQuery{End: true})
			require.NoError(t, err)
			c.statements.Store(0)
			c.trips.Store(0)
			_, err = store.Changes(ctx, storage.ChangeQuery{After: end.Next, Limit: 1000})
			require.NoError(t, err)
		}},
		{"changes of a key backwards", 2, 2, func() {
			_, err := store.Changes(ctx, storage.ChangeQuery{Scope: key.Scope(), ExternalID: "x", Backwards: true, NoData: true, Limit: 1000})
			require.NoError(t, err)
		}},
		{"trim", 2, 2, func() {
			end, err := store.Changes(ctx, storage.ChangeQuery{End: true})
			require.NoError(t, err)
			c.statements.Store(0)
			c.trips.Store(0)
			require.NoError(t, store.Trim(ctx, time.Time{}, end.Next))
		}},
		{"delete with a note", 1, 1, func() {
			deletes := deletesOf(indexed)
			deletes[0].Note = &storage.Note{Actor: "x"}
			mustWrite(t, store, deletes)
		}},
		{"redact", 2, 2, func() { redacted(t, store, indexed[0].Record.Key) }},
		{"create 1000 with unique entries and notes", 2, 1, func() {
			writes := testWrites(fmt.Sprint("logged-", round), storage.MaxBatch)
			for i := range writes {
				writes[i].Entries, writes[i].Note = []storage.Entry{uniqueEntry(fmt.Sprint(round, " ", i))}, &storage.Note{Actor: "x"}
			}
			mustWrite(t, store, writes)
		}},
		{"create 1000", 1, 1, func() {
			many = testWrites(fmt.Sprint("many-", round), storage.MaxBatch)
			mustWrite(t, store, many)
		}},
		{"update 1000", 1, 1, func() { mustWrite(t, store, many) }},
		{"get 1000", 1, 1, func() {
			_, err := store.GetMany(ctx, keysOf(many))
			require.NoError(t, err)
		}},
		{"create 500 and update 500", 2, 1, func() {
			mixed := append(testWrites(fmt.Sprint("mixed-", round), 500), many[:500]...)
			mustWrite(t, store, mixed)
			copy(many, mixed[500:])
		}},
		{"delete 1000", 1, 1, func() { mustWrite(t, store, deletesOf(many)) }},
	}
	for _, warm := range []bool{false, true} { // a connection prepares what it does for the first time
		for _, tt := range steps {
			round++
			c.statements.Store(0)
			c.trips.Store(0)
			tt.call()
			if warm {
				require.Equal(t, tt.statements, c.statements.Load(), "statements of %s", tt.name)
				require.Equal(t, tt.trips, c.trips.Load(), "round trips of %s", tt.name)
			}
		}
	}
}

// TestUpdateRoundTrips: a change of a record takes a read and a swap. With package
// recent in front it takes the swap alone, and one round trip more than without if
// another process has changed the record.
func TestUpdateRoundTrips(t *testing.T) {
	ctx := context.Background()
	change := func(old storage.Record) (storage.Record, error) {
		old.Data = append(old.Data[:len(old.Data):len(old.Data)], 'x')
		return old, nil
	}
	remove := func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete }
	keep := func(old storage.Record) (storage.Record, error) { return old, storage.ErrNoChange }
	nothing := func(storage.Store, storage.Key) {}
	by := func(fn func(storage.Record) (storage.Record, error)) func(storage.Store, storage.Key) {
		return func(store storage.Store, key storage.Key) {
			_, err := storage.Update(ctx, store, key, fn)
			require.NoError(t, err)
		}
	}
	for _, tt := range []struct {
		name                string
		here, elsewhere     func(storage.Store, storage.Key) // before, of a record with the data "a"
		fn                  func(storage.Record) (storage.Record, error)
		remembered, without int64
		data                string // in the end
	}{
		{"a change", nothing, nothing, change, 1, 2, "ax"},
		{"a change after one", by(change), nothing, change, 1, 2, "axx"},
		{"a change of what was changed elsewhere", nothing, by(change), change, 3, 2, "axx"},
		{"a change after one of what was changed elsewhere", by(change), by(change), change, 3, 2, "axxx"},
		{"a change of what was created again elsewhere", nothing, func(store storage.Store, key storage.Key) {
			by(remove)(store, key)
			by(change)(store, key)
		}, change, 3, 2, "xx"},
		{"a change of what was deleted elsewhere", nothing, by(remove), change, 4, 2, "x"},
		{"a change of what was deleted", by(remove), nothing, change, 2, 2, "x"},
		{"a delete", nothing, nothing, remove, 1, 2, ""},
		{"a delete of what was changed elsewhere", nothing, by(change), remove, 3, 2, ""},
		{"no change", nothing, nothing, keep, 1, 1, "a"},
		{"no change of what was changed elsewhere", nothing, by(change), keep, 1, 1, "ax"},
	} {
		for remember, want := range map[int]int64{1 << 20: tt.remembered, 0: tt.without} {
			c := &counts{}
			dsn := pgtest.DSN(t)
			opts := postgres.Options{Schema: pgtest.Schema(t, dsn)}
			below, _ := newStoreAt(t, dsn, opts, c.count)
			store, other := storage.Store(below), storage.Store(nil)
			other, _ = newStoreAt(t, dsn, opts, nil)
			if remember > 0 {
				store, other = recent.New(store, remember), recent.New(other, remember)
			}
			for _, key := range []storage.Key{testKey("warm"), testKey("key")} { // a connection prepares what it does for the first time
				_, err := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte("a")}, 0)
				require.NoError(t, err)
				tt.here(store, key)
				tt.elsewhere(other, key)
				c.statements.Store(0)
				c.trips.Store(0)
				by(tt.fn)(store, key)
				rec, err := other.Get(ctx, key)
				if tt.data == "" {
					require.ErrorIs(t, err, storage.ErrNotFound, tt.name)
				} else {
					require.NoError(t, err, tt.name)
				}
				require.Equal(t, tt.data, string(rec.Data), tt.name)
			}
			require.Equal(t, want, c.statements.Load(), "statements of %s, remembering %d", tt.name, remember)
			require.Equal(t, want, c.trips.Load(), "round trips of %s, remembering %d", tt.name, remember)
		}
	}
}
