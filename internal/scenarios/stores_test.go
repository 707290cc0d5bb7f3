package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/sqlite"
)

// The stores, and what all tests of this package do with them.

var ctx = context.Background()

// stores are all that there are, as they come. open returns an empty one, which ends
// with the test.
var stores = []struct {
	name string
	open func(testing.TB) storage.Store
}{
	{"memory", openMemory},
	{"sqlite", openSQLite},
	{"postgres", openPostgres},
}

// others are stores that recall records.
var others = []struct {
	name string
	open func(testing.TB) storage.Store
}{
	{"recent", func(tb testing.TB) storage.Store { return recent.New(memory.New(), 1<<20) }},
	{"postgres remembering", func(tb testing.TB) storage.Store { return recent.New(openPostgres(tb), 1<<20) }},
	{"outdated", func(tb testing.TB) storage.Store {
		return &outdated{Store: recent.New(memory.New(), 1<<20), first: make(map[storage.Key]storage.Record)}
	}},
}

// outdated recalls of each key the first record that it ever recalled: each write
// begins with what is not true any more.
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
// the revisions, of which stores make their own.
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
	for after := ""; ; {
		page, err := store.List(ctx, storage.Scope{Tenant: tenant, Schema: s.ID()}, after, storage.MaxPage)
		require.NoError(tb, err)
		all = append(all, page.Records...)
		if after = page.Next; after == "" {
			return all
		}
	}
}

// numbered is a store that counts the revisions of each key from 1 on, so that
// what is said of them is the same in every run. A revision of another key that
// got mixed up with them would show as a number that nobody was given.
type numbered struct {
	storage.Store
	mu   sync.Mutex
	keys map[storage.Key][]storage.Revision // of the store below, in the order in which they were seen
}

// newNumbered returns a store that takes batches exactly if the one below does.
func newNumbered(store storage.Store) storage.Store {
	n := &numbered{Store: store, keys: make(map[storage.Key][]storage.Revision)}
	if _, ok := store.(storage.BatchStore); ok {
		return numberedBatch{n}
	}
	return n
}

// up returns the number of a revision of the store below.
func (n *numbered) up(key storage.Key, revision storage.Revision) storage.Revision {
	if revision == 0 {
		return 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.Index(n.keys[key], revision)
	if i < 0 {
		i = len(n.keys[key])
		n.keys[key] = append(n.keys[key], revision)
	}
	return storage.Revision(i + 1)
}

// down returns the revision of a number, and for a number that was never given
// out one that no record has.
func (n *numbered) down(key storage.Key, number storage.Revision) storage.Revision {
	n.mu.Lock()
	defer n.mu.Unlock()
	if number == 0 {
		return 0
	}
	if number > storage.Revision(len(n.keys[key])) {
		return math.MaxInt64
	}
	return n.keys[key][number-1]
}

func (n *numbered) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	rec, err := n.Store.Get(ctx, key)
	rec.Revision = n.up(key, rec.Revision)
	return rec, err
}

// Recall implements storage.Recaller, whether or not the store below does.
func (n *numbered) Recall(key storage.Key) (storage.Record, bool) {
	r, ok := n.Store.(storage.Recaller)
	if !ok {
		return storage.Record{}, false
	}
	rec, ok := r.Recall(key)
	rec.Revision = n.up(key, rec.Revision)
	return rec, ok
}

func (n *numbered) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	revision, err := n.Store.Put(ctx, rec, n.down(rec.Key, expect))
	return n.up(rec.Key, revision), n.conflict(err)
}

func (n *numbered) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	return n.conflict(n.Store.Delete(ctx, key, n.down(key, expect)))
}

// conflict leaves the record out of a conflict, whose revision would be that of
// the store below.
func (n *numbered) conflict(err error) error {
	if errors.Is(err, storage.ErrConflict) {
		return storage.ErrConflict
	}
	return err
}

func (n *numbered) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	page, err := n.Store.List(ctx, scope, after, limit)
	for i := range page.Records {
		page.Records[i].Revision = n.up(page.Records[i].Key, page.Records[i].Revision)
	}
	return page, err
}

// numberedBatch is a numbered with the batches of the store below.
type numberedBatch struct{ *numbered }

func (n numberedBatch) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	recs, err := storage.GetMany(ctx, n.Store, keys)
	for i := range recs {
		recs[i].Revision = n.up(recs[i].Key, recs[i].Revision)
	}
	return recs, err
}

func (n numberedBatch) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	below := slices.Clone(ops)
	for i := range below {
		below[i].Expect = n.down(below[i].Record.Key, below[i].Expect)
	}
	results, err := storage.PutMany(ctx, n.Store, below)
	for i := range results {
		results[i].Revision = n.up(ops[i].Record.Key, results[i].Revision)
		results[i].Err = n.conflict(results[i].Err)
	}
	return results, err
}

func (n numberedBatch) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	below := slices.Clone(ops)
	for i := range below {
		below[i].Expect = n.down(below[i].Key, below[i].Expect)
	}
	return storage.DeleteMany(ctx, n.Store, below)
}
