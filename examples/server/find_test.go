package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/testdb"
	"example.com/resourcekit/storage/storagetest"
)

var large = flag.Bool("large", false, "let BenchmarkFind find among a million customers, and not 10,000")

var findStores = []struct {
	name string
	open func(tb testing.TB) string
}{
	{"memory", func(testing.TB) string { return "memory" }},
	{"sqlite", func(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "customers.db") }},
	{"postgres", testdb.New},
}

// A crowd is a service with n customers of the first tenant. The order of their emails and
// that of their createdAt have nothing to do with that of their ids.
type crowd struct {
	*service
	n     int
	calls map[string]int // of the store, by the name of the operation
}

func newCrowd(tb testing.TB, store string, n int) *crowd {
	tb.Helper()
	opened, err := openstore.Open(context.Background(), store)
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, opened.Close()) })
	c := &crowd{n: n, calls: make(map[string]int)}
	counted := storagetest.Faulty(opened.Store, func(op storagetest.Op) storagetest.Fault {
		c.calls[op.Name]++
		return storagetest.Fault{}
	})
	tenants, err := parseTenants("acme")
	require.NoError(tb, err)
	c.service, err = newService(counted, tenants, slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})), false)
	require.NoError(tb, err)
	scattered := rand.New(rand.NewPCG(1, 2)).Perm(n)
	for first := 0; first < n; first += 1000 {
		var batch [][]byte
		for i := first; i < min(n, first+1000); i++ {
			at := time.Unix(int64(1e9+scattered[i]), 0).UTC()
			batch = append(batch, fmt.Appendf(nil, `{"customerId":"c-%07d","firstName":"Ada","lastName":"Lovelace","email":"%s","createdAt":"%s"}`,
				i, email(scattered[i]), at.Format(time.RFC3339)))
		}
		items, err := c.collections[0].CreateBatch(context.Background(), openstore.Tenant("acme"), batch, nil)
		require.NoError(tb, err)
		for _, item := range items {
			require.NoError(tb, item.Err)
		}
	}
	if strings.HasPrefix(store, "postgres:") { // at once what its autovacuum does after a minute
		conn, err := pgx.Connect(context.Background(), store)
		require.NoError(tb, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(context.Background(), "VACUUM ANALYZE")
		require.NoError(tb, err)
	}
	return c
}

func email(i int) string { return fmt.Sprintf("person%d@example.com", i) }

// answer sends a GET for customers.
func (c *crowd) answer(tb testing.TB, rest string) string {
	status, body := c.send("GET", customersPath+rest, "")
	if status != 200 {
		tb.Fatalf("GET %s: %d %s", rest, status, body)
	}
	return body
}

// cursorIn returns the parameter for the page after the one in the body, "" for the last.
func cursorIn(body string) string {
	if _, rest, ok := strings.Cut(body, `"cursor":"`); ok {
		cursor, _, _ := strings.Cut(rest, `"`)
		return "&cursor=" + cursor
	}
	return ""
}

// TestFindAmongMany: among 10,000 customers the first page of a list by email has the hit
// and is the last, and the store is asked once; lists in order of a field have everyone.
func TestFindAmongMany(t *testing.T) {
	for _, store := range findStores {
		t.Run(store.name, func(t *testing.T) {
			const n = 10_000
			c := newCrowd(t, store.open(t), n)
			for _, i := range []int{0, 1, n / 2, n - 1} {
				c.answer(t, "?filter[email]="+email(i)) // the first one reads the state of the indexes
				clear(c.calls)
				body := c.answer(t, "?limit=1000&filter[email]="+strings.ToUpper(email(i)))
				assert.Contains(t, body, `"email":"`+email(i)+`"`)
				assert.Contains(t, body, `"hasNextPage":false,"total":1,`)
				assert.Equal(t, map[string]int{"lookup": 1}, c.calls)
			}
			seen, last := 0, ""
			for next := "-"; next != ""; {
				body := c.answer(t, "?sort=-createdAt&limit=1000"+strings.TrimPrefix(next, "-"))
				next = cursorIn(body)
				for _, part := range strings.Split(body, `"data":{"customerId"`)[1:] {
					_, at, _ := strings.Cut(part, `"createdAt":"`)
					at = at[:len("2006-01-02T03:04:05Z")]
					require.True(t, last == "" || at < last, "%s after %s", at, last)
					last = at
					seen++
				}
			}
			assert.Equal(t, n, seen)
		})
	}
}

// BenchmarkFind is what a look-up by email costs by HTTP, without the network, beside a get
// by id; and a page of 100 in order of createdAt beside one in order of ids: the first page,
// which is in the cache, and the pages after it one by one, whose customers are anywhere in
// the store. All are taken in turn, with 1,000 customers and with 10,000 (-large: a
// million). What is reported are medians: of the large store in microseconds, and ratios.
func BenchmarkFind(b *testing.B) {
	const (
		get = iota
		find
		first
		firstSorted
		next
		nextSorted
		kinds
	)
	n := 10_000
	if *large {
		n = 1_000_000
	}
	for _, store := range findStores {
		b.Run(fmt.Sprint(store.name, "/", n), func(b *testing.B) {
			crowds := []*crowd{newCrowd(b, store.open(b), 1000), newCrowd(b, store.open(b), n)}
			var took [2][kinds][]float64
			var cursors [2][kinds]string // where the next pages begin
			for b.Loop() {
				for i, c := range crowds {
					who := rand.IntN(c.n)
					for kind, rest := range [kinds]string{
						get:         fmt.Sprintf("/c-%07d", who),
						find:        "?filter[email]=" + email(who),
						first:       "?limit=100",
						firstSorted: "?limit=100&sort=createdAt",
						next:        "?limit=100" + cursors[i][next],
						nextSorted:  "?limit=100&sort=createdAt" + cursors[i][nextSorted],
					} {
						start := time.Now()
						body := c.answer(b, rest)
						took[i][kind] = append(took[i][kind], float64(time.Since(start)))
						if kind == find && !strings.Contains(body, `"email":"`+email(who)+`"`) {
							b.Fatal("the first page has no hit")
						}
						cursors[i][kind] = cursorIn(body)
					}
				}
			}
			median := func(crowd, kind int) float64 {
				slices.Sort(took[crowd][kind])
				return took[crowd][kind][len(took[crowd][kind])/2]
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(1, get)/1e3, "get-µs")
			b.ReportMetric(median(1, find)/1e3, "find-µs")
			b.ReportMetric(median(1, first)/1e3, "page-µs")
			b.ReportMetric(median(1, find)/median(1, get), "find/get")
			b.ReportMetric(median(1, find)/median(0, find), "find/find-of-1000")
			b.ReportMetric(median(1, firstSorted)/median(1, first), "sorted/page")
			b.ReportMetric(median(1, nextSorted)/median(1, next), "next-sorted/next-page")
		})
	}
}

// TestDocsFind does what docs/http.md shows about finding and sorting.
func TestDocsFind(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	require.NoError(t, err)
	urls := regexp.MustCompile(`(?m)^curl -g 'http://127\.0\.0\.1:8080(.*)'$`).FindAllStringSubmatch(string(page), -1)
	require.Len(t, urls, 3)
	c := newCrowd(t, "memory", 0)
	for _, id := range []string{"c-1", "c-2"} {
		status, body := c.send("POST", customersPath, fmt.Sprintf(
			`{"data":{"customerId":%q,"firstName":"Ada","lastName":"Lovelace","email":"Ada@example.com","createdAt":"2024-01-0%sT00:00:00Z"}}`, id, id[2:]))
		require.Equal(t, 200, status, body)
	}
	for i, want := range []string{"c-1 c-2", "c-1 c-2", "c-2 c-1"} {
		status, body := c.send("GET", urls[i][1], "")
		assert.Equal(t, want, ids(t, status, body), urls[i][1])
	}
}
