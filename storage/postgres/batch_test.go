package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
)

// TestLargeBatch: data above the limit fails alone, and more than fits into one
// statement is written by several and read in short pages.
func TestLargeBatch(t *testing.T) {
	ctx := context.Background()
	store, _ := newStore(t, postgres.Options{}, nil)
	most := bytes.Repeat([]byte("x"), postgres.MaxData)
	ops := testWrites("key", 3)
	for i := range ops {
		ops[i].Record.Data = most
	}
	ops[1].Record.Data = append(most[:len(most):len(most)], 'x')
	for i, err := range write(store, ops) {
		if i == 1 {
			require.ErrorIs(t, err, storage.ErrTooLarge)
			continue
		}
		require.NoError(t, err, i)
	}
	var ids []string
	pages := 0
	for last := ""; ; pages++ {
		page, err := store.List(ctx, testKey("x").Scope(), after(last, 100))
		require.NoError(t, err)
		for _, rec := range page.Records {
			require.Len(t, rec.Data, postgres.MaxData)
			ids = append(ids, rec.Key.ExternalID)
		}
		if last = page.Next.ExternalID; last == "" {
			break
		}
	}
	require.Equal(t, []string{"key-0000", "key-0002"}, ids)
	require.Equal(t, 1, pages, "pages before the last")
}

// received counts the bytes that come from the server.
type received struct {
	net.Conn
	bytes *atomic.Int64
}

func (c received) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

// TestLargePage: the server sends no more than a page holds, at every limit.
// Every record is there once, small ones among large ones as well.
func TestLargePage(t *testing.T) {
	const large, small = 24, 30
	ctx := context.Background()
	var bytes atomic.Int64
	store, _ := newStore(t, postgres.Options{}, func(cfg *pgxpool.Config) {
		dial := cfg.ConnConfig.DialFunc
		cfg.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return received{conn, &bytes}, err
		}
	})
	ops := testWrites("key", large+small)
	for i := range ops {
		switch {
		case i >= large:
		case i%2 == 0:
			ops[i].Record.Data = make([]byte, 1<<20) // which the server compresses
		default:
			ops[i].Record.Data = incompressible(1 << 20)
		}
	}
	mustWrite(t, store, ops)
	for _, limit := range []int{1, 7, large - 1, large, large + 1, large + small, 1000} {
		var ids []string
		for last := ""; ; {
			bytes.Store(0)
			page, err := store.List(ctx, testKey("x").Scope(), after(last, limit))
			require.NoError(t, err)
			// The small ones of the first statement are sent in vain.
			require.Less(t, bytes.Load(), int64(17<<20), "limit %d after %q", limit, last)
			require.NotEmpty(t, page.Records)
			require.LessOrEqual(t, len(page.Records), limit)
			for _, rec := range page.Records {
				ids = append(ids, rec.Key.ExternalID)
				i := len(ids) - 1
				require.Equal(t, len(ops[i].Record.Data), len(rec.Data))
				require.Equal(t, ops[i].Expect, rec.Revision)
			}
			if last = page.Next.ExternalID; last == "" {
				break
			}
		}
		require.Len(t, ids, large+small, "limit %d", limit)
		for i, id := range ids {
			require.Equal(t, ops[i].Record.Key.ExternalID, id)
		}
	}
}

// TestPageOfHugeRecords: two records that are too large together are two pages.
func TestPageOfHugeRecords(t *testing.T) {
	store, _ := newStore(t, postgres.Options{}, nil)
	ops := testWrites("key", 3)
	for i := range ops[:2] {
		ops[i].Record.Data = make([]byte, 9<<20)
	}
	mustWrite(t, store, ops)
	scope := testKey("x").Scope()
	first, err := store.List(context.Background(), scope, after("", 10))
	require.NoError(t, err)
	require.Len(t, first.Records, 1)
	second, err := store.List(context.Background(), scope, storage.Range{After: first.Next, Limit: 10})
	require.NoError(t, err)
	require.Len(t, second.Records, 2)
	require.True(t, second.Next.IsZero())
}

func incompressible(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// TestBatchOfScopes: one round trip also for keys of several tenants, whose
// ids may be the same.
func TestBatchOfScopes(t *testing.T) {
	store, _ := newStore(t, postgres.Options{}, nil)
	var ops []storage.Write
	for i := range 90 {
		key := testKey(fmt.Sprint(i % 30))
		key.Tenant = storage.TenantOf("acme", fmt.Sprint(i/30))
		ops = append(ops, storage.Write{Record: storage.Record{Key: key, Data: fmt.Append(nil, i)}})
	}
	mustWrite(t, store, ops[:60]) // the first two tenants
	mustWrite(t, store, ops[:30])
	stale := ops[40].Expect + 7
	ops[40].Expect = stale
	errs := write(store, ops)
	records, err := store.GetMany(context.Background(), keysOf(ops))
	require.NoError(t, err)
	for i, err := range errs {
		require.Equal(t, fmt.Sprint(i), string(records[i].Data))
		if i == 40 {
			require.ErrorIs(t, err, storage.ErrConflict)
			continue
		}
		require.NoError(t, err, i)
		require.Equal(t, ops[i].Record.Revision, records[i].Revision)
	}
}
