package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/schemas"
	"example.com/resourcekit/examples/internal/testdb"
	"example.com/resourcekit/resource"
)

// marker stands for personal data: no line of the log, and nothing about dead letters, may
// have it.
const marker = "Zq9-PersonalData-Zq9"

// patience is for what comes soon; a test that succeeds does not wait for it.
const patience = 60 * time.Second

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

func (b *buffer) contains(text string) bool { return strings.Contains(b.String(), text) }

func discard() *log.Logger { return log.New(io.Discard, "", 0) }

// A webhook is what an endpoint has taken.
type webhook struct {
	id    string
	Type  string
	Fence string
	Data  struct {
		ID, ResourceExternalID, Revision, Outcome string
		Document, Patch                           map[string]any
	}
	body string
}

func (w webhook) fence(t *testing.T) uint64 {
	n, err := strconv.ParseUint(w.Fence, 10, 64)
	assert.NoError(t, err)
	return n
}

// An endpoint verifies webhooks, and answers them as a test wants.
type endpoint struct {
	url  string
	mu   sync.Mutex
	all  []webhook // those that it took
	hook *standardwebhooks.Webhook
	// status, if not nil, answers in place of 200.
	status func(webhook) int
}

func newEndpoint(t *testing.T) *endpoint {
	e := &endpoint{}
	var err error
	e.hook, err = standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed
		}
		got := webhook{id: r.Header.Get("webhook-id"), body: string(body)}
		assert.NoError(t, e.hook.Verify(body, r.Header))
		assert.NoError(t, json.Unmarshal(body, &got), got.body)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.status != nil {
			if status := e.status(got); status != 200 {
				w.WriteHeader(status)
				return
			}
		}
		e.all = append(e.all, got)
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

// answer sets how the endpoint answers from now on.
func (e *endpoint) answer(status func(webhook) int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = status
}

// webhooks returns those that the endpoint took, without repeats.
func (e *endpoint) webhooks() []webhook {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []webhook
	seen := map[string]bool{}
	for _, w := range e.all {
		if !seen[w.id] {
			seen[w.id] = true
			all = append(all, w)
		}
	}
	return all
}

// taken returns a line for each webhook that the endpoint took of a customer.
func (e *endpoint) taken(customer string) []string {
	var lines []string
	for _, w := range e.webhooks() {
		if w.Data.ResourceExternalID == customer {
			lines = append(lines, fmt.Sprintf("%s %v", strings.TrimPrefix(w.Type, "com.example.customers."), w.Data.Document["customerDetailUrl"]))
		}
	}
	return lines
}

// wants waits until the endpoint took these webhooks of a customer, and no others.
func (e *endpoint) wants(t *testing.T, customer string, want ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Equal(c, want, e.taken(customer)) }, patience, 5*time.Millisecond)
}

// A program that runs, in this process or as one of its own.
type program struct {
	base string // URL
	out  buffer
	log  buffer
	stop func() error
}

func secretFile(t *testing.T) string {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte(testSecret+"\n"), 0o600))
	return file
}

func sqliteFile(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "webhooks.db") }

// start runs the program on a free port and waits until it says that it listens.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	p, done := &program{}, make(chan error, 1)
	go func() {
		done <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), write, &p.log)
		write.Close()
	}()
	p.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { assert.NoError(t, p.stop()) })
	p.banner(t, read)
	return p
}

// banner reads what is printed up to the curl line, and keeps the rest.
func (p *program) banner(t *testing.T, r io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(r)
	for !strings.Contains(p.out.String(), "\ncurl ") {
		require.True(t, lines.Scan(), "the program ended after %q: %s", p.out.String(), p.log.String())
		fmt.Fprintln(&p.out, lines.Text())
	}
	p.base = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(p.out.String())
	go func() {
		for lines.Scan() {
			fmt.Fprintln(&p.out, lines.Text())
		}
	}()
}

func (p *program) call(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, p.base+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(answer)
}

// put writes a customer, whose text shows in webhooks.
func (p *program) put(t *testing.T, id, text string) {
	t.Helper()
	status, answer := p.call(t, "POST", "/api/resources/customers", fmt.Sprintf(
		`{"data":{"customerId":%q,"firstName":%q,"lastName":"x","customerDetailUrl":%q,"createdAt":"2024-01-02T03:04:05Z"}}`, id, marker, text))
	require.Equal(t, 200, status, answer)
}

// TestPrintedLine does what a reader does first: starts the program, and enters the line
// that it prints.
func TestPrintedLine(t *testing.T) {
	t.Parallel()
	p := start(t, "-store", sqliteFile(t))
	var line string
	for line = range strings.Lines(p.out.String()) {
		if strings.HasPrefix(line, "curl ") {
			break
		}
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), `"message":"resource created"`)
	require.Eventually(t, func() bool {
		return regexp.MustCompile(`(?m)^webhook [0-9a-f-]{36}-\d+: com\.example\.customers\.created, signature verified$`).MatchString(p.out.String())
	}, patience, 5*time.Millisecond, p.out.String())

	var help buffer
	assert.ErrorIs(t, run(t.Context(), []string{"-h"}, io.Discard, &help), flag.ErrHelp)
	assert.Contains(t, help.String(), strings.Replace(strings.TrimSpace(line), p.base, "http://127.0.0.1:8082", 1))
}

// TestWebhooks: what an endpoint gets of the life of a customer.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	for store, unredacted := range map[string]bool{sqliteFile(t): false, testdb.New(t): true} {
		e := newEndpoint(t)
		p := start(t, "-store", store, "-url", e.url, "-secret-file", secretFile(t), fmt.Sprint("-unredacted=", unredacted))
		p.put(t, "c-1", "a")
		p.put(t, "c-1", "b")
		status, _ := p.call(t, "DELETE", "/api/resources/customers/c-1", "")
		require.Equal(t, 200, status)
		p.put(t, "c-1", "c")
		e.wants(t, "c-1", "created a", "updated b", "deleted b", "created c")
		require.NoError(t, p.stop())

		for _, w := range e.webhooks() {
			assert.Equal(t, w.Data.ID+"-"+w.Data.Revision, w.id)
			assert.Contains(t, w.body, `"id":"`+w.id+`"`)
			assert.Equal(t, e.webhooks()[0].Fence, w.Fence)
			assert.Equal(t, unredacted, strings.Contains(w.body, marker), w.body)
		}
		assert.Equal(t, map[string]any{"customerDetailUrl": "b"}, e.webhooks()[1].Data.Patch)

		// An erasure while the program is down arrives when it is up again: its delete, and
		// an event for each of the two resources that c-1 was. The last of before may come
		// again, since the program was stopped.
		erase(t, store, "c-1")
		p = start(t, "-store", store, "-url", e.url, "-secret-file", secretFile(t))
		require.Eventually(t, func() bool { return len(e.first()) == 7 }, patience, 5*time.Millisecond)
		erased := map[string]bool{}
		for _, w := range e.webhooks()[4:] {
			assert.Equal(t, "com.example.customers.erased", w.Type)
			assert.Greater(t, w.fence(t), e.webhooks()[0].fence(t), "another process")
			assert.Regexp(t, "^redacted-", w.Data.ResourceExternalID)
			erased[w.Data.ID] = true
		}
		for _, w := range e.webhooks() {
			assert.True(t, erased[w.Data.ID])
		}
		assert.NotContains(t, p.log.String(), marker)
	}
}

// erase removes a customer and what the log has of it.
func erase(t *testing.T, store, id string) {
	t.Helper()
	opened, err := openstore.Open(t.Context(), store)
	require.NoError(t, err)
	defer opened.Close()
	customers, err := resource.NewCollection(schemas.Customers(), opened.Store, &resource.Options{Log: true, History: true})
	require.NoError(t, err)
	_, err = customers.Erase(t.Context(), openstore.Tenant("acme"), id, nil)
	require.NoError(t, err)
}

// TestDeadLetter: an event that the endpoint never takes becomes a dead letter, later ones
// of the same customer go on, and the dead letter can be sent again.
func TestDeadLetter(t *testing.T) {
	t.Parallel()
	e, store := newEndpoint(t), sqliteFile(t)
	e.answer(func(w webhook) int {
		if w.Data.Document["customerDetailUrl"] == "bad" {
			return 422
		}
		return 200
	})
	p := start(t, "-store", store, "-url", e.url+"/?token=hidden", "-secret-file", secretFile(t), "-attempts", "3", "-backoff", "1ms")
	p.put(t, marker, "good")
	p.put(t, marker, "bad")
	p.put(t, marker, "better")
	p.put(t, "c-2", "good")
	e.wants(t, marker, "created good", "updated better")
	e.wants(t, "c-2", "created good")

	const letters = "/api/resources/dead_letters"
	status, list := p.call(t, "GET", letters, "")
	require.Equal(t, 200, status)
	var answer struct {
		Data struct{ Results []struct{ Data deadLetter } }
	}
	require.NoError(t, json.Unmarshal([]byte(list), &answer))
	require.Len(t, answer.Data.Results, 1, list)
	letter := answer.Data.Results[0].Data
	assert.Equal(t, fmt.Sprintf("%s-%d", letter.ResourceID, letter.Revision), letter.EventID)
	assert.Equal(t, 3, letter.Attempts)
	assert.Equal(t, 422, letter.LastStatus)
	for _, w := range e.webhooks() { // those of c-2 may be the first
		if w.Data.ResourceExternalID == marker {
			assert.Equal(t, w.Data.ID, letter.ResourceID.String())
		}
	}
	assert.WithinDuration(t, time.Now(), letter.Time, time.Hour)
	_, page := p.call(t, "GET", "/metrics", "")
	for _, want := range []string{
		`webhooks_dead_total 1`, `webhooks_delivered_total{consumer="webhooks"} 4`, `webhooks_failed_total{consumer="webhooks"} 2`,
		`webhooks_parked{consumer="webhooks"} 0`, `webhooks_lag_seconds{consumer="webhooks"} 0`,
	} {
		assert.Eventually(t, func() bool { // the consumer writes its state about once a second
			_, page = p.call(t, "GET", "/metrics", "")
			return strings.Contains(page, "\n"+want+"\n")
		}, patience, 50*time.Millisecond, want)
	}

	// Nobody else makes or changes one.
	one := letters + "/" + letter.EventID
	for _, tc := range []struct{ method, path string }{{"POST", letters}, {"PATCH", one}, {"PATCH", letters + "/-?externalId=" + letter.EventID}} {
		status, _ := p.call(t, tc.method, tc.path, `{"data":{"eventId":"x","attempts":1}}`)
		assert.Equal(t, 405, status, tc)
	}
	for path, want := range map[string]int{
		letters + "/none/resend": 404, letters + "//resend": 404, letters + "/resend": 405, one + "/resend/": 405, one + "/resend": 502,
	} {
		status, text := p.call(t, "POST", path, "")
		assert.Equal(t, want, status, "%s: %s", path, text)
		assert.NotContains(t, text, "hidden")
	}
	e.answer(nil)
	status, text := p.call(t, "POST", one+"/resend", "")
	assert.Equal(t, 204, status, text)
	e.wants(t, marker, "created good", "updated better", "updated bad")
	last := e.webhooks()[3]
	assert.Equal(t, letter.EventID, last.id)
	assert.Empty(t, last.Fence)
	status, _ = p.call(t, "POST", one+"/resend", "")
	assert.Equal(t, 404, status, "it is gone")
	for _, text := range []string{list, page, p.log.String(), p.out.String()} {
		assert.NotContains(t, strings.ToLower(text), strings.ToLower(marker))
		assert.NotContains(t, text, "hidden")
		assert.NotContains(t, text, testSecret)
	}
	assert.Contains(t, p.log.String(), "dead letter")
}

// TestEndpointDown: while the endpoint takes nothing, nothing is parked or given up, and
// all comes in order when it is up again.
func TestEndpointDown(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	refused := make(chan struct{}, 1000)
	e.answer(func(webhook) int { refused <- struct{}{}; return 503 })
	p := start(t, "-store", sqliteFile(t), "-url", e.url, "-secret-file", secretFile(t), "-attempts", "1", "-backoff", "1ms")
	var want []string
	for i := range 20 {
		p.put(t, "c-1", fmt.Sprint(i))
		want = append(want, fmt.Sprintf("updated %d", i))
	}
	want[0] = "created 0"
	for range 2 * (retries + 1) { // two calls of the consumer, with their retries
		<-refused
	}
	_, page := p.call(t, "GET", "/metrics", "")
	assert.Contains(t, page, "\nwebhooks_dead_total 0\n")
	assert.Contains(t, page, "\nwebhooks_parked{consumer=\"webhooks\"} 0\n")
	e.answer(nil)
	e.wants(t, "c-1", want...)
}

func TestFlagErrors(t *testing.T) {
	t.Parallel()
	file := secretFile(t)
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"unknown flag", []string{"-port", "1"}, "-port"},
		{"no flag for the secret", []string{"-secret", testSecret}, "-secret"},
		{"argument", []string{"serve"}, `unexpected argument "serve"`},
		{"unknown store", []string{"-store", "tape"}, `-store: expected memory`},
		{"no secret", []string{"-url", "http://127.0.0.1/hidden"}, "-url needs a secret"},
		{"no file", []string{"-secret-file", file + "x"}, "-secret-file: "},
		{"scheme", []string{"-secret-file", file, "-url", "ftp://hidden"}, "-url: expected http"},
		{"host", []string{"-secret-file", file, "-url", "https:///hidden"}, "-url: expected http"},
		{"not a URL", []string{"-secret-file", file, "-url", "http://[::1/hidden"}, "-url: expected http"},
		{"attempts", []string{"-attempts", "0"}, "-attempts: "},
		{"backoff", []string{"-backoff", "0"}, "-backoff: "},
		{"keep", []string{"-keep", "-1h"}, "-keep: "},
		{"lease", []string{"-lease", "1ms"}, "-lease: "},
		{"address", []string{"-store", "memory", "-addr", "nowhere"}, "nowhere"},
	} {
		var out, log buffer
		err := run(t.Context(), tc.args, &out, &log)
		assert.ErrorContains(t, err, tc.want, tc.name)
		assert.NotContains(t, fmt.Sprint(err), "hidden", tc.name)
		assert.Empty(t, out.String(), tc.name)
	}
}
