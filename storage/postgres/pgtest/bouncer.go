package pgtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Bouncer starts a PgBouncer in transaction mode in front of a server and
// returns the DSN of the database through it. Parameters in the server's DSN
// are those of all its connections to the server. It ends with the test, which is
// skipped if PgBouncer is not installed.
func Bouncer(tb testing.TB, dsn string) string {
	tb.Helper()
	program := lookBouncer()
	if program == "" {
		tb.Skip("no PgBouncer: install one (apt-get install pgbouncer)")
	}
	through, err := startBouncer(tb, program, dsn)
	if err != nil {
		tb.Fatal(err)
	}
	return through
}

func lookBouncer() string {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path
	}
	const debian = "/usr/sbin/pgbouncer" // often not in PATH
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return ""
}

func startBouncer(tb testing.TB, program, dsn string) (string, error) {
	server, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "", err
	}
	folder, err := newFolder()
	if err != nil {
		return "", err
	}
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	database := fmt.Sprintf("* = host=%s port=%d", server.Host, server.Port)
	if len(server.RuntimeParams) > 0 {
		var set strings.Builder
		for name, value := range server.RuntimeParams {
			fmt.Fprintf(&set, "SET %s = '%s';", pgx.Identifier{name}.Sanitize(), strings.ReplaceAll(value, "'", "''"))
		}
		database += " connect_query='" + strings.ReplaceAll(set.String(), "'", "''") + "'"
	}
	users, ini := filepath.Join(folder, "users"), filepath.Join(folder, "pgbouncer.ini")
	err = errors.Join(
		writeFile(users, quote(server.User)+" "+quote(server.Password)+"\n"),
		writeFile(ini, fmt.Sprintf(`[databases]
%s
[pgbouncer]
listen_addr = %s
listen_port = %s
unix_socket_dir =
auth_type = plain
auth_file = %s
pool_mode = transaction
default_pool_size = 8
max_client_conn = 200
server_tls_sslmode = prefer
`, database, host, port, users)))
	if err != nil {
		return "", err
	}
	proc, err := startProcess(folder, "TERM", program, ini)
	if err != nil {
		return "", err
	}
	tb.Cleanup(proc.stop)
	u := url.URL{Scheme: "postgres", User: url.UserPassword(server.User, server.Password), Host: addr, Path: "/" + server.Database, RawQuery: "sslmode=disable"}
	// A ping is an empty statement, which needs nothing prepared.
	return u.String(), proc.waitReady(u.String())
}

// quote quotes a word for the file of users, which knows no other escape than the
// doubled quote.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
