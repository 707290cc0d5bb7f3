// Package testdb gives a test a PostgreSQL database of its own.
package testdb

import (
	"context"
	"crypto/rand"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/resourcekit/storage/postgres/pgtest"
)

// New returns the URL of a new database on the server that pgtest has for tests,
// or skips the test when there is none. The database is gone after the test.
func New(tb testing.TB) string {
	tb.Helper()
	dsn, err := url.Parse(pgtest.DSN(tb))
	if err != nil {
		tb.Fatal(pgtest.EnvDSN + " is no URL") // the error would hold the password
	}
	ctx, name := context.Background(), "test_"+strings.ToLower(rand.Text())
	conn, err := pgx.Connect(ctx, dsn.String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
		_ = conn.Close(ctx)
	})
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	dsn.Path = "/" + name
	return dsn.String()
}
