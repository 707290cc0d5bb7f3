package pgtest

import (
	"bufio"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func ask(t *testing.T, dsn, sql string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer conn.Close(ctx)
	var answer string
	require.NoError(t, conn.QueryRow(ctx, sql, pgx.QueryExecModeSimpleProtocol).Scan(&answer))
	return answer
}

func TestShared(t *testing.T) {
	dsn := DSN(t)
	require.Equal(t, dsn, DSN(t))
	var schema string
	t.Run("schema", func(t *testing.T) {
		schema = Schema(t, dsn)
		execute(t, dsn, "CREATE SCHEMA "+schema+"; CREATE TABLE "+schema+".x ()")
	})
	require.Equal(t, "0", ask(t, dsn, "SELECT count(*)::text FROM pg_namespace WHERE nspname = '"+schema+"'"), "dropped")
	if os.Getenv(EnvDSN) == "" {
		require.Equal(t, "on", ask(t, dsn, "SHOW fsync"))
	}
}

func TestDSNFromEnvironment(t *testing.T) {
	t.Setenv(EnvDSN, "postgres://elsewhere/db")
	require.Equal(t, "postgres://elsewhere/db", DSN(t))
}

func TestBouncer(t *testing.T) {
	require.Equal(t, "1", ask(t, Bouncer(t, DSN(t)), "SELECT '1'"))
	dsn, err := url.Parse(DSN(t))
	require.NoError(t, err)
	q := dsn.Query()
	q.Set("test.word", "it's")
	dsn.RawQuery = q.Encode()
	require.Equal(t, "it's", ask(t, Bouncer(t, dsn.String()), "SHOW test.word"))
}

// TestServer, in a folder and by a name that another syntax could take for something
// else.
func TestServer(t *testing.T) {
	folder, err := os.MkdirTemp("", `a b'"%41;#?&ü`)
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755)) // servers run as another user
	t.Setenv("TMPDIR", folder)
	primary := Start(t, Config{Settings: map[string]string{"work_mem": "'1234kB'"}})
	require.Equal(t, "1234kB", ask(t, primary.DSN(), "SHOW work_mem"))
	require.Equal(t, "1", ask(t, Bouncer(t, primary.DSN()), "SELECT '1'"))
	for _, again := range []func(testing.TB){primary.Restart, primary.Crash} {
		again(t)
		require.Equal(t, "1234kB", ask(t, primary.DSN(), "SHOW work_mem"))
	}
	standby := Start(t, Config{Primary: primary, Name: "o'n e&x"})
	require.Eventually(t, func() bool { // it answers before it streams
		return ask(t, primary.DSN(), "SELECT coalesce(max(application_name), '') FROM pg_stat_replication") == "o'n e&x"
	}, startTimeout, 20*time.Millisecond)
	dsn := MultiDSN(standby, primary)
	require.Equal(t, "false", ask(t, dsn, "SELECT pg_is_in_recovery()::text"))
	primary.Kill(t)
	_, err = pgx.Connect(context.Background(), primary.DSN())
	require.Error(t, err)
	standby.Promote(t)
	require.Equal(t, "false", ask(t, dsn, "SELECT pg_is_in_recovery()::text"))
}

// TestEndsEarly: a server that ends while it starts is noticed, with what it
// said, and not waited for.
func TestEndsEarly(t *testing.T) {
	bin, err := binaries()
	if errors.Is(err, errNotInstalled) {
		t.Skip(err)
	}
	begin := time.Now()
	_, err = startOnce(bin, Config{Settings: map[string]string{"work_mem": "'nonsense'"}})
	require.ErrorContains(t, err, "nonsense")
	require.Less(t, time.Since(begin), startTimeout/2)
}

// TestEndsWithProcess: however the test process ends, the server and its folder
// go.
func TestEndsWithProcess(t *testing.T) {
	const isChild = "PGTEST_CHILD"
	if os.Getenv(isChild) != "" {
		server := Start(t, Config{})
		_, _ = os.Stdout.WriteString("folder " + server.folder + "\n")
		select {}
	}
	if _, err := binaries(); errors.Is(err, errNotInstalled) {
		t.Skip(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestEndsWithProcess$")
	child.Env = append(os.Environ(), isChild+"=1")
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var folder string
	for lines := bufio.NewScanner(out); folder == "" && lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "folder "); ok {
			folder = name
		}
	}
	require.NotEmpty(t, folder)
	require.DirExists(t, folder)
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(folder)
		return os.IsNotExist(err)
	}, 30*time.Second, 20*time.Millisecond)
}
