package scenarios_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/sqlite"
)

var reindexSize = flag.Int("reindex", 1500, "how many resources TestReindexLive has")

// people are found by email, which is unique, and by age. In the edition of before they
// are not.
var people, peopleBefore = func() (now, before *schema.Schema) {
	def := schema.Definition{
		ID: uuid.MustParse("7b000000-0000-4000-8000-000000000003"), Name: "people", ExternalID: "id",
		Fields: []schema.Field{
			{Name: "id", Type: schema.String, Required: true},
			{Name: "email", Type: schema.String},
			{Name: "age", Type: schema.Integer},
			{Name: "note", Type: schema.String},
		},
	}
	before = schema.MustCompile(def)
	def.Fields[1].Index, def.Fields[1].Unique, def.Fields[1].Fold = 1, true, "lower"
	def.Fields[2].Index = 2
	return schema.MustCompile(def), before
}()

// isTaken reports whether an error is the violation of a unique value.
func isTaken(err error) bool {
	var invalid *schema.ValidationError
	return errors.As(err, &invalid) && invalid.Violations[0].Code == "unique"
}

// twoServers returns two collections on one store, as two servers have.
func twoServers(t *testing.T, store storage.Store, opts resource.Options) [2]*resource.Collection {
	t.Helper()
	return [2]*resource.Collection{newCollection(t, people, store, &opts), newCollection(t, people, store, &opts)}
}

// TestFindBesideWriters: each walk by an index returns a resource that does not move
// exactly once, while others move, come and go.
func TestFindBesideWriters(t *testing.T) {
	const still, movers, walks = 120, 12, 6
	for _, store := range slices.Concat(stores, recalling) {
		t.Run(store.name, func(t *testing.T) {
			servers := twoServers(t, store.open(t), resource.Options{IndexCreatedAt: true, IndexUpdatedAt: true})
			var documents [][]byte
			for i := range still {
				documents = append(documents, fmt.Appendf(nil, `{"id":"s%03d","email":"s%d@x.org","age":%d}`, i, i, i%4))
			}
			items, err := servers[0].CreateBatch(ctx, everybody, documents, nil)
			require.NoError(t, err)
			for _, item := range items {
				require.NoError(t, item.Err)
			}
			var stop atomic.Bool
			var writing, walking sync.WaitGroup
			for w := range 4 {
				writing.Go(func() {
					for n := 0; !stop.Load(); n++ {
						c, id := servers[n%2], fmt.Sprintf("m%d", w+4*rand.IntN(movers/4))
						var err error
						if n%5 == 0 {
							_, err = c.Delete(ctx, everybody, id, nil)
						} else {
							_, err = c.Create(ctx, everybody, fmt.Appendf(nil, `{"id":"%s","email":"s%d@%s.org","age":%d}`, id, rand.IntN(still), id, rand.IntN(4)), nil)
						}
						if err != nil && !errors.Is(err, resource.ErrNotFound) {
							t.Error(err)
						}
					}
				})
			}
			for i, walk := range []struct {
				opts resource.ListOptions
				want int
			}{
				{resource.ListOptions{Order: "email"}, still},
				{resource.ListOptions{Order: "age", Descending: true}, still},
				{resource.ListOptions{Order: "resource.createdAt"}, still},
				{resource.ListOptions{Order: "resource.updatedAt", Descending: true}, still},
				{resource.ListOptions{Filter: []schema.Condition{{Field: "age", Value: 2}}}, still / 4},
				{resource.ListOptions{Filter: []schema.Condition{{Field: "email", Op: "prefix", Value: "S1"}}, Descending: true}, 31}, // 1, 10 to 19, 100 to 119
			} {
				walking.Go(func() {
					for range walks {
						opts := walk.opts
						opts.Limit = 1 + rand.IntN(40)
						seen := make(map[string]int)
						for r, err := range servers[i%2].All(ctx, everybody, &opts) {
							if err != nil {
								t.Error(err)
								return
							}
							if id := r.Key().ExternalID; id[0] == 's' {
								seen[id]++
								assert.Equal(t, 1, seen[id], "%s in %+v", id, opts)
							}
						}
						assert.Len(t, seen, walk.want, "%+v", opts)
					}
				})
			}
			walking.Wait()
			stop.Store(true)
			writing.Wait()
		})
	}
}

// TestUniqueBesideWriters: of many writers that want one value, one gets it, whatever the
// verb; the others are told that it is taken.
func TestUniqueBesideWriters(t *testing.T) {
	const writers, rounds, values = 32, 6, 8
	for _, store := range slices.Concat(stores, recalling) {
		t.Run(store.name, func(t *testing.T) {
			servers := twoServers(t, store.open(t), resource.Options{})
			write := func(w, n int, document string) error {
				c := servers[w%2]
				if n%2 == 0 {
					_, err := c.Create(ctx, everybody, []byte(document), nil)
					return err
				}
				items, err := c.CreateBatch(ctx, everybody, [][]byte{[]byte(document)}, nil)
				require.NoError(t, err)
				return items[0].Err
			}
			race := func(write func(w int) error) (won int32) {
				var wg sync.WaitGroup
				var wins atomic.Int32
				for w := range writers {
					wg.Go(func() {
						if err := write(w); err == nil {
							wins.Add(1)
						} else {
							assert.True(t, isTaken(err), "%v", err)
						}
					})
				}
				wg.Wait()
				return wins.Load()
			}
			for n := range rounds {
				won := race(func(w int) error {
					return write(w, n, fmt.Sprintf(`{"id":"%d-%d","email":"Round%d@x.org"}`, n, w, n))
				})
				assert.EqualValues(t, 1, won)
			}
			for n := range rounds {
				race(func(w int) error {
					return write(w, n, fmt.Sprintf(`{"id":"mover-%d","email":"%d@x.org"}`, w, rand.IntN(values)))
				})
			}
			owners := make(map[string]string)
			for r, err := range servers[0].All(ctx, everybody, nil) {
				require.NoError(t, err)
				email := strings.ToLower(r.Get("email").String())
				if id := r.Key().ExternalID; email != "" {
					assert.Empty(t, owners[email], "%s has the email of another", id)
					owners[email] = id
				}
			}
			assert.GreaterOrEqual(t, len(owners), rounds+1)
			for email, id := range owners {
				var found []string
				for r, err := range servers[1].All(ctx, everybody, &resource.ListOptions{Filter: []schema.Condition{{Field: "email", Value: email}}}) {
					require.NoError(t, err)
					found = append(found, r.Key().ExternalID)
				}
				assert.Equal(t, []string{id}, found)
			}
		})
	}
}

// A place is where records outlive a store, so that another process can open them.
type place struct {
	name string
	make func(*testing.T) string // "" for a store in memory
	open func(ctx context.Context, place string) (storage.Store, func(), error)
}

var places = []place{
	{"memory", func(*testing.T) string { return "" }, func(context.Context, string) (storage.Store, func(), error) {
		return memory.New(), func() {}, nil
	}},
	{"sqlite", func(t *testing.T) string { return filepath.Join(t.TempDir(), "records.db") }, func(ctx context.Context, place string) (storage.Store, func(), error) {
		store, err := sqlite.Open(ctx, place, nil)
		return store, func() {}, err
	}},
	{"postgres", func(t *testing.T) string {
		dsn := pgtest.DSN(t)
		return pgtest.Schema(t, dsn) + " " + dsn
	}, func(ctx context.Context, place string) (storage.Store, func(), error) {
		name, dsn, _ := strings.Cut(place, " ")
		opts := &postgres.Options{Schema: name}
		pool, err := pgxpool.New(ctx, dsn)
		if err != nil {
			return nil, nil, err
		}
		if err := postgres.Migrate(ctx, pool, opts); err != nil {
			return nil, nil, err
		}
		store, err := postgres.New(ctx, pool, opts)
		return store, pool.Close, err
	}},
}

// reindexRole reindexes and says so for each page, until it is killed.
func reindexRole(ctx context.Context, args []string) error {
	store, err := openIn(ctx, args[0])
	if err != nil {
		return err
	}
	c, err := resource.NewCollection(people, store, &resource.Options{Log: true})
	if err != nil {
		return err
	}
	_, err = c.Reindex(ctx, everybody, func(r resource.Reindexed) error {
		fmt.Println("reindexed", r.Resources)
		return nil
	})
	return err
}

// killReindex starts a Reindex, and kills it after the given number of resources: a process
// where records outlive one, or else a call.
func killReindex(t *testing.T, p place, where string, c *resource.Collection, after int) {
	if where == "" {
		killed := errors.New("killed")
		_, err := c.Reindex(ctx, everybody, func(r resource.Reindexed) error {
			if r.Resources >= after {
				return killed
			}
			return nil
		})
		require.ErrorIs(t, err, killed)
		return
	}
	child := startChild(t, "reindex", p.name+" "+where)
	lines, done := bufio.NewScanner(child.out), 0
	for done < after && lines.Scan() {
		_, _ = fmt.Sscanf(lines.Text(), "reindexed %d", &done)
	}
	child.kill()
	require.GreaterOrEqual(t, done, after, "the process ended early: %s", lines.Text())
}

// A liveWriter changes resources of its own while a Reindex runs, and knows what they are.
type liveWriter struct {
	t       *testing.T
	servers [2]*resource.Collection
	name    string
	ids     []string
	known   map[string]*liveRecord
}

type liveRecord struct {
	revision storage.Revision // 0: deleted
	email    string
	changes  []liveChange
}

type liveChange struct {
	revision storage.Revision // 0: of a delete
	reason   string
}

// run makes changes until stop.
func (w *liveWriter) run(stop *atomic.Bool) {
	for n := 0; !stop.Load(); n++ {
		time.Sleep(rand.N(4 * time.Millisecond))
		id := w.ids[rand.IntN(len(w.ids))]
		rec := w.known[id]
		if rec == nil {
			rec = &liveRecord{revision: 1}
			w.known[id] = rec
		}
		reason := fmt.Sprint("reason ", n)
		opts := &resource.WriteOptions{Actor: w.name, Reason: reason}
		var result *resource.Result
		var err error
		c := w.servers[n%2]
		switch {
		case rec.revision == 0:
			rec.email = fmt.Sprintf("%s-%d@x.org", w.name, n)
			result, err = c.Create(ctx, everybody, fmt.Appendf(nil, `{"id":"%s","email":"%s","age":%d}`, id, rec.email, n%100), opts)
		case n%4 == 0:
			_, err = c.Delete(ctx, everybody, id, opts)
		case n%4 == 1:
			email := fmt.Sprintf("%s-%d@x.org", w.name, n)
			if result, err = c.Patch(ctx, everybody, id, fmt.Appendf(nil, `{"email":"%s"}`, email), opts); err == nil {
				rec.email = email
			}
		default:
			var items []resource.ItemResult
			items, err = c.PatchBatch(ctx, everybody, []resource.Item{{ExternalID: id, Data: fmt.Appendf(nil, `{"age":%d,"note":"%d"}`, n%100, n)}}, opts)
			if err == nil {
				result, err = items[0].Result, items[0].Err
			}
		}
		if errors.Is(err, storage.ErrUnavailable) {
			continue // certainly not applied
		}
		if !assert.NoError(w.t, err) {
			return
		}
		rec.revision = 0
		if result != nil {
			rec.revision = result.Revision()
		}
		rec.changes = append(rec.changes, liveChange{rec.revision, reason})
	}
}

// TestReindexLive: a Reindex beside eight writers, of which one run is killed, finds every
// resource, changes no revision and logs nothing; and the log has each change of the
// writers.
func TestReindexLive(t *testing.T) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			where := p.make(t)
			store, closeStore, err := p.open(ctx, where)
			require.NoError(t, err)
			t.Cleanup(func() {
				assert.NoError(t, store.Close())
				closeStore()
			})
			reindexLive(t, p, where, store)
		})
	}
}

func reindexLive(t *testing.T, p place, where string, store storage.Store) {
	const writers = 8
	size := *reindexSize
	before := newCollection(t, peopleBefore, store, nil)
	owned := make([]*liveWriter, writers)
	servers := twoServers(t, store, resource.Options{Log: true})
	for w := range owned {
		owned[w] = &liveWriter{t: t, servers: servers, name: fmt.Sprint("writer-", w), known: make(map[string]*liveRecord)}
	}
	var documents [][]byte
	for i := range size {
		id := fmt.Sprintf("p%06d", i)
		documents = append(documents, fmt.Appendf(nil, `{"id":"%s","email":"%s@x.org","age":%d}`, id, id, i%100))
		if w := i % (10 * writers); w < writers { // a tenth of them is written to
			owned[w].ids = append(owned[w].ids, id)
		}
		if len(documents) == 1000 || i == size-1 {
			items, err := before.CreateBatch(ctx, everybody, documents, nil)
			require.NoError(t, err)
			for _, item := range items {
				require.NoError(t, item.Err)
			}
			documents = documents[:0]
		}
	}
	old := make(map[string]storage.Record)
	for _, rec := range records(t, store, everybody, people) {
		old[rec.Key.ExternalID] = rec
	}
	require.Len(t, old, size)

	var stop atomic.Bool
	var writing sync.WaitGroup
	for _, w := range owned {
		writing.Go(func() { w.run(&stop) })
	}
	start := time.Now()
	killReindex(t, p, where, servers[0], size/3)
	killedAfter := time.Since(start)
	start = time.Now()
	done, err := servers[1].Reindex(ctx, everybody, nil)
	took := time.Since(start)
	stop.Store(true)
	writing.Wait()
	require.NoError(t, err)
	assert.Empty(t, done.Duplicates)
	assert.Empty(t, done.Damaged)

	known := make(map[string]*liveRecord)
	actors := make(map[string]string)
	changes := 0
	for _, w := range owned {
		for id, rec := range w.known {
			if len(rec.changes) > 0 {
				known[id], actors[id] = rec, w.name
				changes += len(rec.changes)
			}
		}
	}
	t.Logf("%d resources: killed after %v; then %d more in %v, beside %d changes of %d writers", size, killedAfter, done.Resources, took, changes, writers)

	// Every resource is found, with the revision of its last writer.
	emails := make(map[string]string)
	for _, order := range []string{"email", "age"} {
		for _, c := range servers {
			indexed, err := c.Indexed(ctx, everybody)
			require.NoError(t, err)
			require.True(t, indexed)
		}
		found := make(map[string]bool)
		for r, err := range servers[0].All(ctx, everybody, &resource.ListOptions{Order: order, Limit: 1000}) {
			require.NoError(t, err)
			id := r.Key().ExternalID
			require.False(t, found[id], "%s is found twice", id)
			found[id] = true
			emails[r.Get("email").String()] = id
			want := old[id].Revision
			if known[id] != nil {
				want = known[id].revision
			}
			require.Equal(t, want, r.Revision(), id)
			if known[id] == nil {
				require.Equal(t, old[id].UpdatedAt, r.UpdatedAt(), id)
			}
		}
		for id := range old {
			deleted := known[id] != nil && known[id].revision == 0
			require.Equal(t, !deleted, found[id], "%s in order of %s", id, order)
		}
	}
	n := 0
	for email, id := range emails {
		page, err := servers[1].List(ctx, everybody, &resource.ListOptions{Filter: []schema.Condition{{Field: "email", Value: strings.ToUpper(email)}}})
		require.NoError(t, err)
		require.Len(t, page.Resources, 1)
		require.Equal(t, id, page.Resources[0].Key().ExternalID)
		_, err = servers[n%2].Create(ctx, everybody, fmt.Appendf(nil, `{"id":"twin","email":"%s"}`, email), nil)
		require.True(t, isTaken(err), "%v", err)
		if n++; n == 300 {
			break
		}
	}
	checkLog(t, store, old, known, actors, changes)
	_, err = newCollection(t, people, store, nil).Create(ctx, everybody, []byte(`{"id":"plain"}`), nil)
	assert.ErrorIs(t, err, resource.ErrLogged)
}

// checkLog compares the log with the changes that the writers have made.
func checkLog(t *testing.T, store storage.Store, old map[string]storage.Record, known map[string]*liveRecord, actors map[string]string, changes int) {
	t.Helper()
	query := storage.ChangeQuery{Scope: storage.Scope{Tenant: everybody, Schema: people.ID()}, Limit: storage.MaxPage}
	last := make(map[string]storage.Revision)
	seen := make(map[string]int)
	for deadline, got := time.Now().Add(time.Minute), 0; ; {
		page, err := store.Changes(ctx, query)
		require.NoError(t, err)
		for _, change := range page.Changes {
			id := change.Key.ExternalID
			require.NotNil(t, known[id], "a change that no writer made")
			require.Less(t, seen[id], len(known[id].changes), "%s has more changes than were made", id)
			want := known[id].changes[seen[id]]
			require.Equal(t, want.revision == 0, change.Deleted)
			require.Equal(t, actors[id]+" "+want.reason, change.Note.Actor+" "+change.Note.Reason)
			before := old[id].Revision
			if seen[id] > 0 {
				before = last[id]
			}
			require.Equal(t, before, change.Before, "changes of one key are not in order")
			if !change.Deleted {
				require.Equal(t, want.revision, change.Cursor.Revision)
			}
			last[id] = want.revision
			seen[id]++
			got++
		}
		query.After = page.Next
		if page.More {
			continue
		}
		if got == changes && page.Held == 0 {
			return
		}
		require.True(t, time.Now().Before(deadline), "%d of %d changes are in the log", got, changes)
		time.Sleep(20 * time.Millisecond)
	}
}
