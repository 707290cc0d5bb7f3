// Package pgtest gives tests a real PostgreSQL: the one that
// RESOURCEKIT_POSTGRES_DSN names, or a private one that it starts from
// installed binaries.
//
//	func TestSomething(t *testing.T) {
//		dsn := pgtest.DSN(t)
//		schema := pgtest.Schema(t, dsn)
//		...
//	}
//
// A test that gets neither is skipped with a line that says how to get one.
//
// A private server runs in a temporary folder as an unprivileged user, listens
// on 127.0.0.1 with a password of its own, and keeps fsync on. It ends, and
// its folder goes, with the process that started it, however that ends. It
// needs a Unix system with /bin/sh.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// EnvDSN is the environment variable with the DSN of a server to use. Its user
// must be allowed to create schemas.
const EnvDSN = "RESOURCEKIT_POSTGRES_DSN"

// errNotInstalled is the reason to skip a test.
var errNotInstalled = errors.New("no PostgreSQL: install one (apt-get install postgresql), or set " + EnvDSN)

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// DSN returns the DSN of a server that all tests of the process share, as a
// URL. It takes EnvDSN if that is set; otherwise the first call starts a
// server. Sessions of a benchmark wait for the disk at each commit. Those of a
// test do not: that protects from a crash of the server, and tests of one Start
// their own.
func DSN(tb testing.TB) string {
	tb.Helper()
	if dsn := os.Getenv(EnvDSN); dsn != "" {
		return dsn
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = start(Config{})
	}
	dsn := check(tb, shared.server, shared.err).DSN()
	if _, bench := tb.(*testing.B); !bench {
		dsn += "&synchronous_commit=off"
	}
	return dsn
}

// check ends the test if there is no server.
func check(tb testing.TB, s *Server, err error) *Server {
	tb.Helper()
	if errors.Is(err, errNotInstalled) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Schema returns the name of an SQL schema that does not exist yet. What is
// there at the end of the test is dropped.
func Schema(tb testing.TB, dsn string) string {
	tb.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	tb.Cleanup(func() { execute(tb, dsn, "DROP SCHEMA IF EXISTS "+name+" CASCADE") })
	return name
}

// execute runs statements on a connection of their own.
func execute(tb testing.TB, dsn, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		tb.Fatal(err)
	}
}
