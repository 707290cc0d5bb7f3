package postgres_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/postgres/pgtest"
)

// hostileNames are names that another syntax could take for something else.
var hostileNames = []string{
	`"; DROP TABLE records; --`, `a$$b`, `a$b$c`, `schema.`,
	`a b`, ` leading`, `quo'te`, `dou"ble`, `back\slash`, `semi;colon--`, `a?b#c`, `100%`, `%41`, `a+b`, `a&b=c`, `a@b`, `a/b:c`, `$1 $$ $body$`,
	`schema.records`, `{x}[y]`, `Übergröße`, `日本`, "new\nline", `-dash`, `select`, `UPPER`, strings.Repeat("x", 63),
}

// TestDSNNames: databases, roles and passwords of any name, in both forms of a DSN
// and with PgBouncer in between.
func TestDSNNames(t *testing.T) {
	t.Parallel()
	ctx, dsn := context.Background(), pgtest.Start(t, pgtest.Config{}).DSN()
	admin := newPool(t, dsn)
	server := admin.Config().ConnConfig
	for _, name := range []string{`a b'c"\;d`, `?#%41&x=y+z`, `-a@b/c:$1`, `Übergröße {日本}[x]`} {
		quoted := pgx.Identifier{name}.Sanitize()
		password := "p" + name + "'\"w"
		_, err := admin.Exec(ctx, "CREATE ROLE "+quoted+" LOGIN PASSWORD '"+strings.ReplaceAll(password, "'", "''")+"'")
		require.NoError(t, err, name)
		_, err = admin.Exec(ctx, "CREATE DATABASE "+quoted+" OWNER "+quoted+" TEMPLATE template0")
		require.NoError(t, err, name)

		inURL := url.URL{Scheme: "postgres", User: url.UserPassword(name, password), Host: fmt.Sprint(server.Host, ":", server.Port), RawQuery: "sslmode=disable"}
		asURL := strings.Replace(inURL.String(), "?", "/"+strings.ReplaceAll(url.PathEscape(name), "@", "%40")+"?", 1)
		in := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
		asWords := fmt.Sprintf("host=%s port=%d sslmode=disable user='%s' password='%s' dbname='%s'", server.Host, server.Port, in.Replace(name), in.Replace(password), in.Replace(name))
		pooled := withParameters(pgtest.Bouncer(t, asURL), "default_query_exec_mode=exec")
		for i, dsn := range []string{asURL, asWords, pooled} {
			store, pool := newStoreAt(t, dsn, postgres.Options{}, nil)
			var database, user string
			require.NoError(t, pool.QueryRow(ctx, "SELECT current_database(), current_user WHERE $1 = 1", 1).Scan(&database, &user), name)
			require.Equal(t, []string{name, name}, []string{database, user})
			_, err = storage.Put(ctx, store, storage.Record{Key: testKey(fmt.Sprint("key-", i))}, 0)
			require.NoError(t, err, name)
			require.NoError(t, store.Close())
			pool.Close()
		}
	}
}
