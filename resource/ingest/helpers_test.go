package ingest_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/require"
)

var (
	ctx    = context.Background()
	tenant = storage.TenantOf("platform", "business")
)

func open(t testing.TB, s *schema.Schema, store storage.Store, opts *resource.Options) *resource.Collection {
	t.Helper()
	c, err := resource.NewCollection(s, store, opts)
	require.NoError(t, err)
	return c
}

// customers returns a collection of customers in a new memory store.
func customers(t testing.TB) (*resource.Collection, storage.Store) {
	store := memory.New()
	return open(t, schema.Customers(), store, nil), store
}

// customer is a whole document.
func customer(id, more string) string {
	return fmt.Sprintf(`{"customerId":"%s","firstName":"Ada","lastName":"L","createdAt":"2024-05-01T10:00:00Z"%s}`, id, more)
}

func numbered(n int) []string {
	docs := make([]string, n)
	for i := range docs {
		docs[i] = customer(fmt.Sprintf("c-%06d", i), "")
	}
	return docs
}

// documents is a sequence that uses one piece of memory for all its documents.
func documents(docs ...string) iter.Seq2[ingest.Document, error] {
	return func(yield func(ingest.Document, error) bool) {
		var buf []byte
		for _, d := range docs {
			buf = append(buf[:0], d...)
			if !yield(ingest.Document{Data: buf}, nil) {
				return
			}
			for i := range buf {
				buf[i] = '!'
			}
		}
	}
}

// failing is a sequence with errors instead of some documents: of the document, or
// of the sequence, which then ends.
func failing(docs []string, alone map[int]error, last map[int]error) iter.Seq2[ingest.Document, error] {
	return func(yield func(ingest.Document, error) bool) {
		for i, d := range docs {
			if !yield(ingest.Document{Data: []byte(d), Err: alone[i]}, last[i]) || last[i] != nil {
				return
			}
		}
	}
}

// lines is a sequence of NDJSON.
func lines(docs ...string) iter.Seq2[ingest.Document, error] {
	return ingest.NDJSON(strings.NewReader(strings.Join(docs, "\n")), 0)
}

// counts are position, created, updated, unchanged, failed.
func counts(r *ingest.Result) [5]int {
	return [5]int{int(r.Position.Documents), r.Created, r.Updated, r.Unchanged, r.Failed}
}

func count(t testing.TB, store storage.Store) int {
	t.Helper()
	page, err := store.List(ctx, storage.Scope{Tenant: tenant, Schema: schema.Customers().ID()}, storage.Range{Limit: storage.MaxPage})
	require.NoError(t, err)
	require.Empty(t, page.Next)
	return len(page.Records)
}

// A batching is a store that notes how many keys it is asked for, and how many writes it makes.
type batching struct {
	storage.Store
	mu    sync.Mutex
	calls []string
}

func (s *batching) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, fmt.Sprintf(format, args...))
}

func (s *batching) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *batching) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	s.note("get %d", len(keys))
	return s.Store.GetMany(ctx, keys)
}

func (s *batching) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	s.note("put %d", len(writes))
	return s.Store.Write(ctx, writes)
}
