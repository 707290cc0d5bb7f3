package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
)

// marker stands for personal data: no line of the log may have it.
const marker = "Zq9-PersonalData-Zq9"

// A buffer is a bytes.Buffer for many goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// A running server, and what it printed.
type running struct {
	addr   string
	out    string // up to and with the last curl line
	log    *buffer
	cancel context.CancelFunc
	done   chan error
}

// start runs the server on a free port and waits until it says that it listens.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	s := &running{log: &buffer{}, cancel: cancel, done: make(chan error, 1)}
	go func() {
		s.done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), write, s.log)
		write.Close()
	}()
	s.out = banner(t, read)
	s.addr = regexp.MustCompile(`http://(127\.0\.0\.1:\d+),`).FindStringSubmatch(s.out)[1]
	t.Cleanup(func() { cancel(); read.Close() })
	return s
}

// banner reads what is printed at the start: all up to three curl lines.
func banner(t *testing.T, r io.Reader) string {
	t.Helper()
	var out strings.Builder
	lines := bufio.NewScanner(r)
	for curls := 0; curls < 3; {
		require.True(t, lines.Scan(), "the server ended after %q", out.String())
		out.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "curl ") {
			curls++
		}
	}
	go func() { // the rest is read and forgotten
		for lines.Scan() {
		}
	}()
	return out.String()
}

// stop ends the server and returns what run returned.
func (s *running) stop() error {
	s.cancel()
	return <-s.done
}

func (s *running) curls() []string {
	var all []string
	for line := range strings.Lines(s.out) {
		if strings.HasPrefix(line, "curl ") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

// words takes a line apart as a shell does that knows blanks and single quotes.
func words(line string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		all = append(all, m[1]+m[2])
	}
	return all
}

// request is what curl makes of its arguments, as far as the printed lines go.
func request(t *testing.T, args []string) *http.Request {
	t.Helper()
	method, target, body := "GET", "", ""
	header := http.Header{}
	for i := 1; i < len(args); i++ {
		switch args[i] {
		case "-sw": // silent; what to write after the answer
			i++
		case "-sN": // silent; each line at once
		case "-H":
			i++
			name, value, ok := strings.Cut(args[i], ": ")
			require.True(t, ok, args[i])
			header.Set(name, value)
		case "-d":
			i++
			method, body = "POST", args[i]
		default:
			require.Empty(t, target, "two URLs")
			target = args[i]
		}
	}
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	require.NoError(t, err)
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl does
	}
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	return req
}

func do(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// call sends a request for a customer of a tenant; "" is no header.
func (s *running) call(t *testing.T, method, rest, tenant, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+"/api/resources/customers"+rest, strings.NewReader(body))
	require.NoError(t, err)
	if tenant != "" {
		req.Header.Set("reach-tenant-id", tenant)
	}
	return do(t, req)
}

// get reads a path that is beside the API.
func (s *running) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+s.addr+path, nil)
	require.NoError(t, err)
	return do(t, req)
}

func customer(id, firstName string) string {
	return fmt.Sprintf(`{"data":{"customerId":%q,"firstName":%q,"lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}`, id, firstName)
}

// TestPrintedLines does what a reader does first: the printed lines, the stream in a
// window of its own.
func TestPrintedLines(t *testing.T) {
	s := start(t)
	assert.Contains(t, s.out, "Listening on http://"+s.addr+", data in memory, tenants acme, globex. Try:\n")
	curls := s.curls()
	require.Len(t, curls, 3)
	stream, err := http.DefaultClient.Do(request(t, words(curls[2])))
	require.NoError(t, err)
	defer stream.Body.Close()

	status, created := do(t, request(t, words(curls[0])))
	assert.Equal(t, 200, status, created)
	assert.Contains(t, created, `"message":"resource created"`)
	status, found := do(t, request(t, words(curls[1])))
	assert.Equal(t, 200, status, found)
	var post struct{ Data json.RawMessage }
	var get struct {
		Data struct{ Result json.RawMessage }
	}
	require.NoError(t, json.Unmarshal([]byte(created), &post))
	require.NoError(t, json.Unmarshal([]byte(found), &get))
	assert.JSONEq(t, string(post.Data), string(get.Data.Result))
	told := bufio.NewReader(stream.Body)
	for line := ""; line != "event: created\n"; {
		line, err = told.ReadString('\n')
		require.NoError(t, err)
	}
	require.NoError(t, s.stop(), "the server ends streams when it is stopped")
	_, err = io.ReadAll(told)
	require.NoError(t, err)
}

// TestPrintedLinesInAShell is the same with the programs that a reader has.
func TestPrintedLinesInAShell(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	s := start(t)
	for i, line := range s.curls() {
		cmd := exec.Command("sh", "-c", strings.Replace(line, "schema=customers'", "schema=customers&after=start' -m 1", 1))
		cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1")
		out, err := cmd.CombinedOutput()
		if i < 2 { // curl ends the stream, which counts as an error
			require.NoError(t, err, "%s", out)
		}
		assert.Contains(t, string(out), []string{`"message":"resource created"`, `"message":"resource found"`, "event: created"}[i])
	}
	require.NoError(t, s.stop())
}

func TestTenants(t *testing.T) {
	s := start(t)
	status, _ := s.call(t, "POST", "", "", customer("c-1", "Ada"))
	require.Equal(t, 200, status)

	status, body := s.call(t, "GET", "/c-1", "acme", "")
	assert.Equal(t, 200, status, "the first tenant is meant when none is named: %s", body)
	status, missing := s.call(t, "GET", "/c-1", "globex", "")
	assert.Equal(t, 404, status)
	assert.Contains(t, missing, "resource not found")
	status, body = s.call(t, "POST", "?onconflict=reject", "globex", customer("c-1", "Grace"))
	assert.Equal(t, 200, status, body)
	_, body = s.call(t, "GET", "/c-1", "", "")
	assert.Contains(t, body, "Ada")
	_, body = s.call(t, "GET", "/c-1", "globex", "")
	assert.Contains(t, body, "Grace")
	for _, name := range []string{"initech", "ACME", "acme,globex"} {
		status, body = s.call(t, "GET", "/c-1", name, "")
		assert.Equal(t, 404, status, name)
		assert.Contains(t, body, "tenant not found", name)
	}
	require.NoError(t, s.stop())

	s = start(t, "-tenants", " one , two ")
	assert.Contains(t, s.out, "tenants one, two.")
	status, _ = s.call(t, "POST", "", "one", customer("c-1", "Ada"))
	assert.Equal(t, 200, status)
	status, _ = s.call(t, "GET", "/c-1", "", "")
	assert.Equal(t, 200, status)
	status, _ = s.call(t, "GET", "/c-1", "acme", "")
	assert.Equal(t, 404, status)
	require.NoError(t, s.stop())
}

func TestFlagErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-port", "1"}, "-port"},
		{"argument", []string{"serve"}, `unexpected argument "serve"`},
		{"unknown store", []string{"-store", "tape"}, `-store: expected memory`},
		{"memory takes no path", []string{"-store", "memory:x"}, `-store: expected memory`},
		{"no SQLite file", []string{"-store", "sqlite:"}, `-store: `},
		{"no such folder", []string{"-store", "sqlite:" + filepath.Join(t.TempDir(), "none", "x.db")}, `-store: `},
		{"no URL of a database", []string{"-store", "postgres://u:secret@[::1/db"}, `-store: not the URL`},
		{"no database there", []string{"-store", "postgres://u:secret@127.0.0.1:1/db"}, `-store: `},
		{"no tenants", []string{"-tenants", ""}, "-tenants: expected names"},
		{"empty tenant", []string{"-tenants", "a,,b"}, "-tenants: expected names"},
		{"blank tenant", []string{"-tenants", "a, ,b"}, "-tenants: expected names"},
		{"a negative retention", []string{"-retention", "-1h"}, "-retention: expected a duration"},
		{"no address", []string{"-addr", "nowhere"}, "nowhere"},
		{"address taken", []string{"-addr", taken.Addr().String()}, "address already in use"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, log buffer
			err := run(context.Background(), tc.args, &out, &log)
			assert.ErrorContains(t, err, tc.want)
			assert.NotContains(t, fmt.Sprint(err), "secret")
			assert.Empty(t, out.String(), "nothing is said to listen")
		})
	}
	var out, log buffer
	assert.ErrorIs(t, run(context.Background(), []string{"-h"}, &out, &log), flag.ErrHelp)
	for _, name := range []string{"-addr", "-store", "-tenants", "-history", "-retention", "-v"} {
		assert.Contains(t, log.String(), name)
	}
}

// TestLog: a line for each request, call and change, with nothing of what it was
// about, and nothing of that among the metrics.
func TestLog(t *testing.T) {
	s := start(t, "-v", "-tenants", "acme,"+marker+"-tenant")
	secret := customer(marker, marker)
	const (
		all = "/api/resources/customers"
		one = "/api/resources/customers/{externalId}"
	)
	var want []string
	for _, tc := range []struct {
		method, rest, tenant, body string
		route                      string
		status                     int
	}{
		{"POST", "", "", secret, all, 200},
		{"POST", "?onconflict=reject", "", secret, all, 400},
		{"POST", "?onconflict=" + marker, "", secret, all, 400},
		{"POST", "?x=" + marker, marker, secret, all, 404},
		{"POST", "", marker + "-tenant", `{"data":{"customerId":"` + marker + `","phone":7,"` + marker + `":1}}`, all, 400},
		{"POST", "", "", `{"data":"` + marker, all, 400},
		{"GET", "/" + marker, "", "", one, 200},
		{"GET", "/" + marker + "-2", "", "", one, 404},
		{"GET", "/-?externalId=" + marker, "", "", one, 200},
		{"GET", "/-?externalId=" + marker + ";%zz", "", "", one, 400},
		{"HEAD", "/" + marker, "", "", one, 200},
		{"GET", "?filter[createdAt]=2024-01-02T03:04:05Z&filter[firstName]=" + marker, "", "", all, 200},
		{"GET", "?filter[email]=" + marker + "&sort=-email", "", "", all, 200},
		{"GET", "?filter[firstName]=" + marker, "", "", all, 400},
		{"GET", "?sort=" + marker, "", "", all, 400},
		{"GET", "?filter[" + marker + "]=" + marker, "", "", all, 400},
		{"GET", "?cursor=" + marker, "", "", all, 400},
		{"PATCH", "/" + marker, "", `{"data":{"email":"` + marker + `"}}`, one, 200},
		{"PATCH", "/" + marker, "", `{"data":{"email":null,"` + marker + `":1}}`, one, 400},
		{"PATCH", "/" + marker + "-2", "", `{"data":{"email":"` + marker + `"}}`, one, 404},
		{"DELETE", "/" + marker, "", "", one, 200},
		{"DELETE", "/" + marker, "", "", one, 404},
		{"PUT", "/" + marker, "", "", one, 405},
		{"GET", "/" + marker + "/" + marker, "", "", `""`, 404},
		{"GET", "/" + marker + "/history", "", "", one + "/history", 200},
		{marker, "/" + marker, "", "", one, 405},
	} {
		status, body := s.call(t, tc.method, tc.rest, tc.tenant, tc.body)
		assert.Equal(t, tc.status, status, "%s %s: %s", tc.method, tc.rest, body)
		want = append(want, fmt.Sprintf("level=INFO msg=request method=%s route=%s status=%d bytes=", strings.Replace(tc.method, marker, "other", 1), tc.route, tc.status))
	}
	// What net/http itself answers, and says to ErrorLog.
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	fmt.Fprintf(conn, "GET /%s HTTP/1.1\r\n%s\r\n\r\n", marker, marker)
	_, err = io.ReadAll(conn)
	require.NoError(t, err)
	conn.Close()
	status, page := s.get(t, "/metrics")
	assert.Equal(t, 200, status)
	assert.NotContains(t, strings.ToLower(page), strings.ToLower(marker))
	require.NoError(t, s.stop())

	var requests []string
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "msg=request ") && !strings.Contains(line, "route=/metrics") {
			requests = append(requests, line)
		}
	}
	require.Len(t, requests, len(want), "%s", s.log.String())
	for i := range want {
		assert.Contains(t, requests[i], want[i])
		assert.Regexp(t, `bytes=[1-9]\d* duration=\S+\n$`, requests[i])
	}
	assert.Contains(t, s.log.String(), "shutting down")
	tenant := openstore.Tenant("acme")
	whose := fmt.Sprintf(`tenant.platform=%s tenant.business=%s`, tenant.Platform, tenant.Business)
	for _, want := range []string{
		"level=DEBUG msg=call op=create schema=customers class=ok " + whose + " results=map[created:1] dry_run=false attempts=1 duration=",
		"level=INFO msg=call op=create schema=customers class=exists " + whose + " results=map[exists:1] ",
		"level=INFO msg=call op=create schema=customers class=invalid ",
		"level=INFO msg=call op=get schema=customers class=not_found ",
		"level=DEBUG msg=call op=list schema=customers class=ok " + whose + " results=map[found:1] ",
	} {
		assert.Contains(t, s.log.String(), want)
	}
	assert.NotContains(t, strings.ToLower(s.log.String()), strings.ToLower(marker))
}

// TestShutdownFinishesRequests: a request whose body is still on its way when
// the server is told to stop is answered, and nobody else is let in.
func TestShutdownFinishesRequests(t *testing.T) {
	s := start(t)
	body := customer("c-1", "Ada")
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	// The server asks for the body when its handler reads it: so the request
	// is under way.
	fmt.Fprintf(conn, "POST /api/resources/customers HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	answers := bufio.NewReader(conn)
	line, err := answers.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = answers.ReadString('\n')
	require.NoError(t, err)
	_, err = conn.Write([]byte(body[:20]))
	require.NoError(t, err)

	s.cancel()
	require.Eventually(t, func() bool {
		late, err := net.Dial("tcp", s.addr)
		if err == nil {
			late.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "the port is closed")
	select {
	case err := <-s.done:
		require.Fail(t, "run returned while a request was under way", "%v", err)
	default:
	}
	_, err = conn.Write([]byte(body[20:]))
	require.NoError(t, err)
	res, err := http.ReadResponse(answers, nil)
	require.NoError(t, err)
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Equal(t, 200, res.StatusCode)
	assert.Contains(t, string(answer), `"message":"resource created"`)
	require.NoError(t, <-s.done)
	assert.Contains(t, s.log.String(), "method=POST route=/api/resources/customers status=200")
	assert.NotContains(t, s.log.String(), "msg=call", "not without -v")
}

// TestStopBeforeStart: a context that has ended already is no error.
func TestStopBeforeStart(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, log buffer
	assert.NoError(t, run(ctx, []string{"-addr", "127.0.0.1:0"}, &out, &log))
}

func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// TestBinary builds the program, and ends it as a service manager does.
func TestBinary(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, sig := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		cmd := exec.Command(binary, "-addr", "127.0.0.1:0")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		var log buffer
		cmd.Stderr = &log
		require.NoError(t, cmd.Start())
		s := &running{out: banner(t, stdout)}
		status, body := do(t, request(t, words(s.curls()[0])))
		assert.Equal(t, 200, status, body)
		require.NoError(t, cmd.Process.Signal(sig))
		assert.NoError(t, cmd.Wait(), "exit code 0 after %v: %s", sig, log.String())
		assert.Contains(t, log.String(), "shutting down")
	}

	exit := func(args ...string) (int, string) {
		out, err := exec.Command(binary, args...).CombinedOutput()
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return failed.ExitCode(), string(out)
		}
		require.NoError(t, err)
		return 0, string(out)
	}
	code, text := exit("-h")
	assert.Equal(t, 0, code)
	assert.Contains(t, text, "-tenants")
	code, text = exit("-store", "tape")
	assert.Equal(t, 1, code)
	assert.Equal(t, "server: -store: expected memory, sqlite:PATH or postgres://USER@HOST/DATABASE\n", text)
	code, text = exit("-port", "1")
	assert.NotEqual(t, 0, code)
	assert.Contains(t, text, "-port")
}
