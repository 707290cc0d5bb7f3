package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config describes a private server.
type Config struct {
	// Settings go into postgresql.conf, with values as they stand there:
	// {"synchronous_standby_names": "'ANY 1 (*)'"}.
	Settings map[string]string

	// Primary makes the server a streaming standby of a running one, as a copy
	// of it. Name is what the standby is called in synchronous_standby_names.
	Primary *Server
	Name    string

	// PrimaryAddr is where the standby finds its primary, if not at
	// Primary.Addr(): a proxy that a test has put in between.
	PrimaryAddr string
}

// Server is a private server.
type Server struct {
	addr, password string
	folder         string
	proc           *process
	before         []*process // of Restart
}

// startTimeout bounds the start of a server, on a machine that is busy.
const startTimeout = time.Minute

// Start starts a server of the test's own, which ends with the test.
func Start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	s, err := start(cfg)
	check(tb, s, err)
	tb.Cleanup(s.Stop)
	return s
}

// Addr returns the host and the port that the server listens on.
func (s *Server) Addr() string { return s.addr }

// DSN returns the URL of the server's database.
func (s *Server) DSN() string { return s.url(s.addr) }

// url returns the DSN for a database at one or several addresses.
func (s *Server) url(addr string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", s.password), Host: addr, Path: "/postgres", RawQuery: "sslmode=disable"}
	return u.String()
}

// MultiDSN returns a DSN that names several servers which have one password,
// a primary and its standbys. It makes clients look for the one that takes
// writes.
func MultiDSN(servers ...*Server) string {
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.addr)
	}
	return servers[0].url(strings.Join(addrs, ",")) + "&target_session_attrs=read-write"
}

// Stop ends the server as a crash would, and removes its folder.
func (s *Server) Stop() {
	s.proc.stop()
	for _, p := range s.before {
		p.stop()
	}
}

// Restart shuts the server down as an administrator does (fast), which ends all
// sessions, and starts it again at the same address.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	if err := s.restart(func(pid int) error { return syscall.Kill(pid, syscall.SIGINT) }); err != nil {
		tb.Fatal(err)
	}
}

// Crash ends all processes of the server at once, by SIGKILL, and starts it again at the
// same address.
func (s *Server) Crash(tb testing.TB) {
	tb.Helper()
	if err := s.restart(kill); err != nil {
		tb.Fatal(err)
	}
}

func (s *Server) restart(stop func(pid int) error) error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	if err := s.proc.end(stop, startTimeout); err != nil {
		return err
	}
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		// The supervisor of the process that has ended waits for the end of the test
		// to remove the folder.
		s.before = append(s.before, s.proc)
		if s.proc, err = startServer(bin, s.folder); err != nil {
			return err
		}
		err = s.proc.waitReady(s.DSN())
		if err == nil || !s.proc.hasEnded() || time.Since(begin) > startTimeout {
			return err
		}
		// After a crash it refuses to start until the last process of the old one has ended.
		if err := os.Remove(filepath.Join(s.folder, "ended")); err != nil {
			return err
		}
	}
}

func startServer(bin, folder string) (*process, error) {
	return startProcess(folder, "QUIT", filepath.Join(bin, "postgres"), "-D", filepath.Join(folder, "data"))
}

// Kill ends all processes of the server at once, by SIGKILL. Its folder stays
// until the test ends.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	pid, err := s.proc.pid()
	if err == nil {
		err = kill(pid)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// Promote makes a standby a primary and waits until it takes writes.
func (s *Server) Promote(tb testing.TB) {
	tb.Helper()
	execute(tb, s.DSN(), "SELECT pg_promote(true, 60)")
}

func start(cfg Config) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// Another program may take the port between its choice and its use.
	for attempt := 1; ; attempt++ {
		s, err := startOnce(bin, cfg)
		if err == nil || attempt == 3 {
			return s, err
		}
	}
}

func startOnce(bin string, cfg Config) (*Server, error) {
	folder, err := newFolder()
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, password: rand.Text()}
	fail := func(err error) (*Server, error) {
		if s.proc != nil {
			s.proc.stop()
		}
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if s.addr, err = freeAddr(); err != nil {
		return fail(err)
	}
	data := filepath.Join(folder, "data")
	if cfg.Primary == nil {
		err = s.initialize(bin, data)
	} else {
		s.password = cfg.Primary.password
		err = s.copyFrom(bin, data, cfg)
	}
	if err != nil {
		return fail(err)
	}
	if err := s.configure(data, cfg); err != nil {
		return fail(err)
	}
	if s.proc, err = startServer(bin, folder); err != nil {
		return fail(err)
	}
	if err := s.proc.waitReady(s.DSN()); err != nil {
		return fail(err)
	}
	return s, nil
}

// initialize makes a database whose collation is not the order of bytes where
// the binaries can do that, since most databases are like that.
func (s *Server) initialize(bin, data string) error {
	pwfile := filepath.Join(s.folder, "password")
	if err := writeFile(pwfile, s.password); err != nil {
		return err
	}
	args := []string{"-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--pwfile=" + pwfile, "--no-sync"}
	icu := append(slices.Clone(args), "--locale-provider=icu", "--icu-locale=en")
	if run(s.folder, filepath.Join(bin, "initdb"), icu...) == nil {
		return nil
	}
	return run(s.folder, filepath.Join(bin, "initdb"), args...)
}

// copyFrom makes a standby.
func (s *Server) copyFrom(bin, data string, cfg Config) error {
	if err := run(s.folder, filepath.Join(bin, "pg_basebackup"), "-D", data, "-d", cfg.Primary.DSN(), "-c", "fast", "--no-sync"); err != nil {
		return err
	}
	return writeFile(filepath.Join(data, "standby.signal"), "")
}

func (s *Server) configure(data string, cfg Config) error {
	_, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return err
	}
	settings := map[string]string{
		"listen_addresses":        "'127.0.0.1'",
		"port":                    port,
		"unix_socket_directories": "''",
		"max_connections":         "200",
		"fsync":                   "on",
		"synchronous_commit":      "on",
	}
	if cfg.Primary != nil {
		addr := cfg.PrimaryAddr
		if addr == "" {
			addr = cfg.Primary.addr
		}
		settings["primary_conninfo"] = fmt.Sprintf("'%s&application_name=%s'", cfg.Primary.url(addr), strings.ReplaceAll(url.QueryEscape(cfg.Name), "+", "%20"))
		// The copy has the primary's settings, and what those wait for is not
		// there after a promotion.
		settings["synchronous_standby_names"] = "''"
	}
	for name, value := range cfg.Settings {
		settings[name] = value
	}
	var conf strings.Builder
	for name, value := range settings {
		fmt.Fprintf(&conf, "%s = %s\n", name, value)
	}
	file, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(conf.String())
	return errors.Join(err, file.Close())
}

// waitReady waits until the server answers.
func (p *process) waitReady(dsn string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := ping(ctx, dsn)
		if err == nil {
			return nil
		}
		if p.hasEnded() {
			return fmt.Errorf("the server ended: %s", p.log())
		}
		select {
		case <-p.ended:
			return errors.New("the server was stopped")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w: %s", err, p.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ping(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx)
}

// binaries returns the folder of the newest server that is installed.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		// A link in the PATH may be without its neighbours.
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian's place
	best, newest := "", 0
	for _, path := range found {
		version, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		if version > newest {
			best, newest = filepath.Dir(path), version
		}
	}
	if best == "" {
		return "", errNotInstalled
	}
	return best, nil
}

// freeAddr returns a loopback address that nothing listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
