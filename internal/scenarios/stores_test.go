package scenarios_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/sqlite"
)

// The stores, and what all tests of this package do with them.

var ctx = context.Background()

// stores are all stores of the project. open returns an empty one, which ends with the
// test.
var stores = []struct {
	name string
	open func(testing.TB) storage.Store
}{
	{"memory", openMemory},
	{"sqlite", openSQLite},
	{"postgres", openPostgres},
}

// recalling are stores in memory that recall records.
var recalling = []struct {
	name string
	open func(testing.TB) storage.Store
}{
	{"recent", func(tb testing.TB) storage.Store { return recent.New(memory.New(), 1<<20) }},
	{"coalesce", func(tb testing.TB) storage.Store { return coalesce.New(recent.New(memory.New(), 1<<20)) }},
	{"outdated", func(tb testing.TB) storage.Store {
		return &outdated{Store: recent.New(memory.New(), 1<<20), first: make(map[storage.Key]storage.Record)}
	}},
}

// outdated recalls of each key the first record that it ever recalled: each write begins
// with a record that is out of date.
type outdated struct {
	*recent.Store
	mu    sync.Mutex
	first map[storage.Key]storage.Record
}

func (o *outdated) Recall(key storage.Key) (storage.Record, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	rec, ok := o.first[key]
	if !ok {
		if rec, ok = o.Store.Recall(key); ok {
			o.first[key] = rec
		}
	}
	return rec, ok
}

func openMemory(testing.TB) storage.Store { return memory.New() }

func openSQLite(tb testing.TB) storage.Store {
	store, err := sqlite.Open(ctx, filepath.Join(tb.TempDir(), "records.db"), nil)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	return store
}

// openPostgres returns a store in an SQL schema of its own. The test is skipped
// when there is no server.
func openPostgres(tb testing.TB) storage.Store {
	dsn := pgtest.DSN(tb)
	opts := postgres.Options{Schema: pgtest.Schema(tb, dsn)}
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	require.NoError(tb, postgres.Migrate(ctx, pool, &opts))
	store, err := postgres.New(ctx, pool, &opts)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	return store
}

func newCollection(tb testing.TB, s *schema.Schema, store storage.Store, opts *resource.Options) *resource.Collection {
	tb.Helper()
	c, err := resource.NewCollection(s, store, opts)
	require.NoError(tb, err)
	return c
}

// dump returns all records of a tenant and a schema, one a line: everything but
// the revisions, which are random.
func dump(tb testing.TB, store storage.Store, tenant storage.Tenant, s *schema.Schema) []string {
	tb.Helper()
	var lines []string
	for _, rec := range records(tb, store, tenant, s) {
		lines = append(lines, fmt.Sprintf("%q %s %s %s %s", rec.Key.ExternalID, rec.ID, rec.CreatedAt, rec.UpdatedAt, rec.Data))
	}
	return lines
}

func records(tb testing.TB, store storage.Store, tenant storage.Tenant, s *schema.Schema) []storage.Record {
	tb.Helper()
	var all []storage.Record
	for r := (storage.Range{Limit: storage.MaxPage}); ; {
		page, err := store.List(ctx, storage.Scope{Tenant: tenant, Schema: s.ID()}, r)
		require.NoError(tb, err)
		all = append(all, page.Records...)
		if r.After = page.Next; r.After.IsZero() {
			return all
		}
	}
}

// witness is a store that knows the revisions which a tenant was given.
type witness struct {
	storage.Store
	tenant storage.Tenant
	mu     sync.Mutex
	given  map[storage.Revision]bool
}

func newWitness(store storage.Store, tenant storage.Tenant) *witness {
	return &witness{Store: store, tenant: tenant, given: make(map[storage.Revision]bool)}
}

func (w *witness) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	w.mu.Lock()
	for _, write := range writes {
		if write.Record.Key.Tenant == w.tenant {
			w.given[write.Record.Revision] = true
		}
	}
	w.mu.Unlock()
	return w.Store.Write(ctx, writes)
}

// Recall implements storage.Recaller, whether or not the store below does.
func (w *witness) Recall(key storage.Key) (storage.Record, bool) {
	if r, ok := w.Store.(storage.Recaller); ok {
		return r.Recall(key)
	}
	return storage.Record{}, false
}

// rename returns the text with a number in place of each revision of the tenant, also of
// those in entity tags, so that it is the same in every run. Revisions of others stay.
func (w *witness) rename(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := make(map[storage.Revision]string)
	return word.ReplaceAllStringFunc(text, func(found string) string {
		for _, base := range []int{10, 36} {
			n, err := strconv.ParseUint(found, base, 64)
			rev := storage.Revision(n)
			if err != nil || !w.given[rev] {
				continue
			}
			if names[rev] == "" {
				names[rev] = fmt.Sprint("revision-", len(names)+1)
			}
			return names[rev]
		}
		return found
	})
}

var word = regexp.MustCompile(`[0-9A-Za-z]+`)
