package postgres_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// documented returns the blocks of a language in a section of docs/stores.md, for a
// store in another SQL schema.
func documented(t *testing.T, heading, language, in string) []string {
	text, err := os.ReadFile("../../docs/stores.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	require.True(t, found, heading)
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for _, block := range strings.Split(section, "\n```"+language+"\n")[1:] {
		block, _, _ = strings.Cut(block, "\n```\n")
		blocks = append(blocks, strings.ReplaceAll(block, "resourcekit.", in+"."))
	}
	return blocks
}

// documentedStore returns the store of a collection of customers under the ready
// handler, whose connections are prepared as in docs/stores.md.
func documentedStore(t *testing.T) (in string, pool *pgxpool.Pool, customers *resource.Collection, api http.Handler) {
	dsn := pgtest.DSN(t)
	in = pgtest.Schema(t, dsn)
	store, pool := newStoreAt(t, dsn, postgres.Options{Schema: in}, func(config *pgxpool.Config) {
		config.ConnConfig.RuntimeParams["search_path"] = in // for the table of the outbox
		config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
			p, _ := httpapi.PrincipalFrom(ctx)
			_, err := conn.Exec(ctx, "SELECT set_config('app.actor', $1, false)", p.Subject)
			return err == nil, err
		}
	})
	customers, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	api, err = httpapi.NewAPI(httpapi.Hooks{
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			return httpapi.Principal{Subject: r.Header.Get("Authorization"), Unconfined: true}, nil
		},
		ResolveTenant: func(context.Context, httpapi.Principal, string) (storage.Tenant, error) {
			return testKey("").Tenant, nil
		},
	}, nil, customers)
	require.NoError(t, err)
	return in, pool, customers, api
}

// TestOutbox: each change has a row with the name of its caller, and one that is not
// made has none.
func TestOutbox(t *testing.T) {
	in, pool, _, api := documentedStore(t)
	ctx := context.Background()
	_, err := pool.Exec(ctx, documented(t, "PostgreSQL: an outbox in the same transaction", "sql", in)[0])
	require.NoError(t, err)
	goText := documented(t, "PostgreSQL: an outbox in the same transaction", "go", "resourcekit")[0]
	source, err := os.ReadFile("docs_test.go")
	require.NoError(t, err)
	require.Contains(t, strings.ReplaceAll(string(source), "\n\t\t", "\n"), goText, "the program of the page")

	call := func(caller, method, path, body string, status int) {
		r := httptest.NewRequest(method, "/api/resources/customers"+path, strings.NewReader(body))
		r.Header.Set("Authorization", caller)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, w.Body)
	}
	const ada = `{"data":{"customerId":"c-1","firstName":"Ada","lastName":"L","createdAt":"2024-01-02T03:04:05Z"}}`
	call("alice", "POST", "", ada, 200)
	call("bob", "POST", "", ada, 200) // unchanged
	call("bob", "PATCH", "/c-1", `{"data":{"email":"ada@example.com"}}`, 200)
	call("carol", "PATCH", "/c-1", `{"data":{"emial":1}}`, 400)
	call("carol", "DELETE", "/c-1", "", 200)
	rows, err := pool.Query(ctx, "SELECT actor || ' ' || op || ' ' || external_id FROM outbox ORDER BY seq")
	require.NoError(t, err)
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, []string{"alice INSERT c-1", "bob UPDATE c-1", "carol DELETE c-1"}, got)

	// No row without its change, and no change without its row.
	_, err = pool.Exec(ctx, "ALTER TABLE outbox ADD CHECK (actor <> 'mallory')")
	require.NoError(t, err)
	call("mallory", "POST", "", ada, 500)
	call("alice", "GET", "/c-1", "", 404)
}

// TestSortedByField: the query is answered by the index, in its order.
func TestSortedByField(t *testing.T) {
	in, pool, customers, _ := documentedStore(t)
	ctx, tenant := context.Background(), testKey("").Tenant
	sql := documented(t, "PostgreSQL: sorting by a field", "sql", in)
	_, err := pool.Exec(ctx, sql[0])
	require.NoError(t, err)
	var documents [][]byte
	for i := range 500 {
		documents = append(documents, fmt.Appendf(nil, `{"customerId":"c-%03d","firstName":"A","lastName":"B","createdAt":"2024-01-02T03:04:05Z","email":"%03d@example.com"}`, i, i*7%500))
	}
	res, err := customers.CreateBatch(ctx, tenant, documents, nil)
	require.NoError(t, err)
	for _, item := range res {
		require.NoError(t, item.Err)
	}
	_, err = pool.Exec(ctx, "ANALYZE "+in+".records")
	require.NoError(t, err)

	arguments := []any{tenant.Platform, tenant.Business, schema.Customers().ID()}
	rows, err := pool.Query(ctx, sql[1], arguments...)
	require.NoError(t, err)
	type row struct{ ID, Email string }
	got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	require.NoError(t, err)
	require.Len(t, got, 100)
	for i, r := range got {
		require.Equal(t, fmt.Sprintf("%03d@example.com", i), r.Email)
	}
	rows, err = pool.Query(ctx, "EXPLAIN "+sql[1], arguments...)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, strings.Join(plan, "\n"), "records_by_email")
	require.NotContains(t, strings.Join(plan, "\n"), "Sort")
}
