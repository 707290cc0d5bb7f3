package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/recent"
)

var floorSize = flag.Int("floorsize", 10_000, "records in the tables of BenchmarkFloor")

// floor is the fastest way to keep JSON in PostgreSQL that anybody would write
// by hand: one statement that merges with jsonb's || (which has other rules:
// it is shallow, and keeps nulls).
type floor struct {
	pool               *pgxpool.Pool
	read, single, many string
}

// floorScope stands for the tenant in the floor's key, which is that of the store.
const floorScope = "ffffffff-ffff-ffff-ffff-ffffffffffff"

func newFloor(b *testing.B, ids []string, data []byte) *floor {
	dsn := pgtest.DSN(b)
	table := pgtest.Schema(b, dsn)
	f := &floor{pool: newPool(b, dsn)}
	_, err := f.pool.Exec(context.Background(), fmt.Sprintf(`CREATE SCHEMA %s; CREATE TABLE %s.floor (
	scope uuid, external_id text COLLATE "C", data jsonb NOT NULL, PRIMARY KEY (scope, external_id)) WITH (fillfactor = 80)`, table, table))
	require.NoError(b, err)
	f.read = fmt.Sprintf("SELECT data FROM %s.floor WHERE scope = $1 AND external_id = $2", table)
	f.single = fmt.Sprintf(`INSERT INTO %s.floor AS f (scope, external_id, data) VALUES ($1, $2, $3)
ON CONFLICT (scope, external_id) DO UPDATE SET data = f.data || excluded.data`, table)
	f.many = fmt.Sprintf(`INSERT INTO %s.floor AS f (scope, external_id, data)
SELECT $1, k.external_id, k.data FROM unnest($2::text[], $3::jsonb[]) AS k (external_id, data)
ON CONFLICT (scope, external_id) DO UPDATE SET data = f.data || excluded.data`, table)
	for part := range slices.Chunk(ids, 1000) {
		docs := make([][]byte, len(part))
		for i := range docs {
			docs[i] = data
		}
		require.NoError(b, f.putMany(part, docs))
	}
	_, err = f.pool.Exec(context.Background(), "VACUUM ANALYZE "+table+".floor")
	require.NoError(b, err)
	return f
}

func (f *floor) put(id string, patch []byte) error {
	_, err := f.pool.Exec(context.Background(), f.single, floorScope, id, patch)
	return err
}

// readAndPut is a read before the put: the least that takes two statements.
func (f *floor) readAndPut(id string, patch []byte) error {
	var data []byte
	if err := f.pool.QueryRow(context.Background(), f.read, floorScope, id).Scan(&data); err != nil {
		return err
	}
	return f.put(id, patch)
}

func (f *floor) putMany(ids []string, patches [][]byte) error {
	_, err := f.pool.Exec(context.Background(), f.many, floorScope, ids, patches)
	return err
}

// document is a customer of some 400 bytes, of which a counter changes.
func document(n int) []byte {
	return fmt.Appendf(nil, `{"customerId":"customer-000001","firstName":"Ada","lastName":"Lovelace","email":"ada.lovelace@example.com",`+
		`"phone":"+441632960001","birthDate":"1990-12-10","address":{"street":"12 St James's Square","city":"London","postalCode":"SW1Y 4JH","country":"GB"},`+
		`"emailOptOut":false,"smsOptOut":true,"tags":["vip","newsletter"],"createdAt":"2025-03-01T12:30:15Z","loyalty":{"tier":"gold","points":%d}, "n":%d}`, n%1000, n)
}

// BenchmarkFloor compares the store with the floor, both with the same number
// of records of the same size, taking turns in one run: what disturbs one
// disturbs the other. Each turn is many operations; the metrics are medians of
// the turns, and the ratio is that of the medians.
//
// An upsert is an Update, and a batch an UpdateMany: on the store itself, so that they
// read first, and with package recent in front: with all records remembered; with all
// remembered as they never were; and on two stores that change the same records in
// turns, which they learn. What two statements cost at least is shown beside the
// first: the floor's after a bare SELECT of the same row (two-us, and two-ratio to the
// floor).
func BenchmarkFloor(b *testing.B) {
	ctx := context.Background()
	dsn := pgtest.DSN(b)
	opts := postgres.Options{Schema: pgtest.Schema(b, dsn)}
	store, pool := newStoreAt(b, dsn, opts, nil)
	second, _ := newStoreAt(b, dsn, opts, nil)
	remembering, another := recent.New(store, 16<<20), recent.New(second, 16<<20)
	describe(b, pool)
	ids := make([]string, *floorSize)
	ops := make([]storage.Write, len(ids))
	for i := range ids {
		ids[i] = fmt.Sprintf("customer-%09d", i*7919%len(ids))
		ops[i].Record = storage.Record{Key: testKey(ids[i]), Data: document(0)}
	}
	mustWrite(b, store, ops)
	_, err := pool.Exec(ctx, "VACUUM ANALYZE "+opts.Schema+".records")
	require.NoError(b, err)
	f := newFloor(b, ids, document(0))
	n := 0
	next := func() int { n++; return n }
	// Made beforehand: what it takes to make a document is not the store's.
	patches, documents := make([][]byte, 4099), make([][]byte, 4099)
	for i := range documents {
		patches[i], documents[i] = fmt.Appendf(nil, `{"n":%d}`, i), document(i)
	}
	patch := func() []byte { return patches[next()%len(patches)] }
	changed := func() []byte { return documents[next()%len(documents)] }
	pick := func() int { return next() * 104_729 % len(ids) }

	// Each contender begins with the records as they are: others have changed them.
	remember := func(stores []storage.Store) {
		for _, store := range slices.Concat(stores, stores) { // at the second sight they are taken to be its own
			for part := range slices.Chunk(ops, storage.MaxBatch) {
				_, err := store.GetMany(ctx, keysOf(part))
				require.NoError(b, err)
			}
		}
	}

	// single lets the stores change one record after the other, of the first n.
	single := func(name string, n int, two func(), stores ...storage.Store) {
		b.Run(name, func(b *testing.B) {
			remember(stores)
			turn, id := 0, ""
			compareTurns(b, 200, two, func() { require.NoError(b, f.put(ids[pick()], patch())) }, func() {
				if turn%len(stores) == 0 {
					id = ids[pick()%n]
				}
				_, err := storage.Update(ctx, stores[turn%len(stores)], testKey(id), func(rec storage.Record) (storage.Record, error) {
					rec.Data = changed()
					return rec, nil
				})
				require.NoError(b, err)
				turn++
			})
		})
	}
	single("single", len(ids), func() { require.NoError(b, f.readAndPut(ids[pick()], patch())) }, store)
	single("single-remembered", len(ids), nil, remembering)
	single("single-outdated", len(ids), nil, outdated{remembering})
	single("single-in-turns", min(500, len(ids)), nil, remembering, another)

	// batch lets the stores change one of n batches after the other.
	batch := func(name string, n int, stores ...storage.Store) {
		const size = 1000
		key := testKey("") // to make its ids takes longer than to use them
		var part []string
		choose := func(start int) {
			part = part[:0]
			for i := range size {
				part = append(part, ids[(start+i*7)%len(ids)]) // scattered over the table
			}
			slices.Sort(part)
		}
		b.Run(name, func(b *testing.B) {
			remember(stores)
			turn := 0
			var keys []storage.Key
			compareTurns(b, 4, nil, func() {
				choose(pick())
				patches := make([][]byte, size)
				for i := range patches {
					patches[i] = patch()
				}
				require.NoError(b, f.putMany(part, patches))
			}, func() {
				if turn%len(stores) == 0 {
					choose(pick() % n)
					keys = make([]storage.Key, size)
					for i, id := range part {
						keys[i] = key
						keys[i].ExternalID = id
					}
				}
				results, err := storage.UpdateMany(ctx, stores[turn%len(stores)], keys, func(_ int, rec storage.Record) (storage.Write, error) {
					rec.Data = changed()
					return storage.Write{Record: rec}, nil
				})
				require.NoError(b, err)
				for _, r := range results {
					require.NoError(b, r.Err)
				}
				turn++
			})
		})
	}
	// The heap of a service, and that of a program which holds next to nothing: such
	// a one collects the garbage of each batch, some 3 MB, gives the memory back to
	// the system and takes it again.
	heap := make([]byte, 64<<20)
	batch("batch1000", len(ids), store)
	batch("batch1000-remembered", len(ids), remembering)
	batch("batch1000-outdated", len(ids), outdated{remembering})
	batch("batch1000-in-turns", 1, remembering, another)
	runtime.KeepAlive(heap)
	batch("batch1000-small-heap", len(ids), store)
	batch("batch1000-small-heap-remembered", len(ids), remembering)
}

// outdated recalls revisions that never were.
type outdated struct{ *recent.Store }

func (o outdated) Recall(key storage.Key) (storage.Record, bool) {
	rec, ok := o.Store.Recall(key)
	rec.Revision ^= 1 << 40
	return rec, ok
}

// compareTurns lets the floor and the store take turns of size operations, and
// the two statements too, unless they are nil.
func compareTurns(b *testing.B, size int, two, floor, store func()) {
	var twos, floors, stores []float64
	turn := func(times *[]float64, op func()) {
		start := time.Now()
		for range size {
			op()
		}
		*times = append(*times, float64(time.Since(start).Microseconds())/float64(size))
	}
	for b.Loop() {
		if two != nil {
			turn(&twos, two)
		}
		turn(&floors, floor)
		turn(&stores, store)
	}
	median := func(times []float64) float64 { slices.Sort(times); return times[len(times)/2] }
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	if two != nil {
		b.ReportMetric(median(twos), "two-us")
		b.ReportMetric(median(twos)/median(floors), "two-ratio")
	}
	b.ReportMetric(median(floors), "floor-us")
	b.ReportMetric(median(stores), "store-us")
	b.ReportMetric(median(stores)/median(floors), "ratio")
}

// BenchmarkHotKey has 16 writers on one record for a while, in turns: a loop
// without any courtesy (get, put, and on a conflict at once again), the
// storage.Update loop, and resource.Collection, which queues in front of it, also
// with package recent in front of the store.
func BenchmarkHotKey(b *testing.B) {
	const writers, turn = 16, 500 * time.Millisecond
	ctx := context.Background()
	dsn := pgtest.DSN(b)
	opts := postgres.Options{Schema: pgtest.Schema(b, dsn)}
	enough := func(cfg *pgxpool.Config) { cfg.MaxConns = writers }
	store, pool := newStoreAt(b, dsn, opts, enough)
	describe(b, pool)
	customers, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(b, err)
	remembering, err := resource.NewCollection(schema.Customers(), recent.New(store, 16<<20), nil)
	require.NoError(b, err)
	tenant := storage.TenantOf("acme", "main")
	createIn := func(c *resource.Collection, n int) error {
		_, err := c.Create(ctx, tenant, fmt.Appendf(nil, `{"customerId":"hot","firstName":"A","lastName":"B","email":"hot-%d@example.com","createdAt":"2025-01-01T00:00:00Z"}`, n), nil)
		return err
	}
	require.NoError(b, createIn(customers, 0))
	key := storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: "hot"}
	change := func(old storage.Record) (storage.Record, error) {
		var doc map[string]any
		if err := json.Unmarshal(old.Data, &doc); err != nil {
			return old, err
		}
		doc["email"] = fmt.Sprintf("hot-%d@example.com", time.Now().UnixNano())
		data, err := json.Marshal(doc)
		return storage.Record{Key: key, ID: old.ID, CreatedAt: old.CreatedAt, UpdatedAt: old.UpdatedAt, Data: data}, err
	}
	contenders := []struct {
		name string
		op   func(n int) error
	}{
		{"naive", func(int) error {
			for {
				old, err := store.Get(ctx, key)
				if err != nil {
					return err
				}
				rec, err := change(old)
				if err != nil {
					return err
				}
				if _, err := storage.Put(ctx, store, rec, old.Revision); !errors.Is(err, storage.ErrConflict) {
					return err
				}
			}
		}},
		{"update", func(int) error {
			_, err := storage.Update(ctx, store, key, change)
			return err
		}},
		{"collection", func(n int) error { return createIn(customers, n) }},
		{"collection-remembering", func(n int) error { return createIn(remembering, n) }},
	}
	done := make([]int, len(contenders))
	spent := make([]time.Duration, len(contenders))
	for b.Loop() {
		for i, c := range contenders {
			start := time.Now()
			counts := make([]int, writers)
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for time.Since(start) < turn {
						if err := c.op(w*1_000_000 + counts[w] + int(start.UnixNano()%1_000_000)); err != nil {
							b.Error(err)
							return
						}
						counts[w]++
					}
				})
			}
			wg.Wait()
			for _, n := range counts {
				done[i] += n
			}
			spent[i] += time.Since(start)
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, c := range contenders {
		b.ReportMetric(float64(done[i])/spent[i].Seconds(), c.name+"/s")
	}
	naive := float64(done[0]) / spent[0].Seconds()
	for i, c := range contenders[1:] {
		b.ReportMetric(float64(done[i+1])/spent[i+1].Seconds()/naive, c.name+"/naive")
	}
}

var described sync.Once

// describe prints what the figures depend on.
func describe(b *testing.B, pool *pgxpool.Pool) {
	described.Do(func() {
		settings := make(map[string]string)
		rows, err := pool.Query(context.Background(), "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'fsync', 'synchronous_commit', 'data_directory', 'shared_buffers')")
		require.NoError(b, err)
		var name, value string
		_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { settings[name] = value; return nil })
		require.NoError(b, err)
		disk := "a file system that is not visible from here"
		if out, err := exec.Command("df", "-PT", settings["data_directory"]).Output(); err == nil {
			if fields := strings.Fields(string(out[strings.IndexByte(string(out), '\n'):])); len(fields) > 1 {
				disk = fields[1] + " on " + fields[0]
			}
		}
		fmt.Fprintf(os.Stderr, "# PostgreSQL %s, fsync %s, synchronous_commit %s, %s\n", settings["server_version"], settings["fsync"], settings["synchronous_commit"], disk)
	})
}
