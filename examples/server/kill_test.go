package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/testdb"
)

// TestKill ends the server with SIGKILL while clients write, again and again on
// the same store, and then asks the next server for every write that the last
// one acknowledged.
func TestKill(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for _, tt := range []struct {
		name  string
		store func(t testing.TB) string
	}{
		{"sqlite", func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "customers.db") }},
		{"postgres", testdb.New},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			store := tt.store(t)
			clients := newClients(t)
			for round := range 3 {
				server := startBinary(t, binary, "-store", store)
				clients.check(t, server.url)
				clients.load(t, server, time.Duration(100+150*round)*time.Millisecond)
			}
			server := startBinary(t, binary, "-store", store)
			clients.check(t, server.url)
			server.kill()
		})
	}
}

type process struct {
	url  string // of the customers
	pid  int
	kill func() // ends it with SIGKILL and waits
}

func startBinary(t *testing.T, binary string, args ...string) process {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var once sync.Once
	p := process{pid: cmd.Process.Pid, kill: func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}}
	t.Cleanup(p.kill)
	s := &running{out: banner(t, stdout)}
	p.url = strings.Trim(words(s.curls()[0])[3], "'")
	return p
}

// clients write two things: each a field of its own in a customer that all of
// them share, and a customer of its own, again and again.
type clients struct {
	prefix string
	fields []string
	acked  []atomic.Int64 // the last number that was acknowledged
}

func newClients(t *testing.T) *clients {
	c := &clients{
		prefix: fmt.Sprintf("kill-%d-", time.Now().UnixNano()),
		fields: []string{"email", "phone", "lastName", "customerDetailUrl", "firstName"},
	}
	c.acked = make([]atomic.Int64, len(c.fields))
	return c
}

// load writes for so long, and kills the server under it.
func (c *clients) load(t *testing.T, server process, d time.Duration) {
	before := c.sum()
	if before == 0 {
		require.True(t, c.post(server.url, c.customer("shared", "0")))
	}
	var wg sync.WaitGroup
	var stop atomic.Bool
	for i, field := range c.fields {
		wg.Go(func() {
			for !stop.Load() {
				n := c.acked[i].Load() + 1
				number := fmt.Sprint(n)
				shared := map[string]any{"customerId": c.prefix + "shared", field: number}
				own := c.customer(fmt.Sprint(i), number)
				if !c.post(server.url, shared) || !c.post(server.url, own) {
					time.Sleep(time.Millisecond)
					continue
				}
				c.acked[i].Store(n)
			}
		})
	}
	deadline := time.Now().Add(30 * time.Second)
	for c.sum() < before+10 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(d)
	server.kill()
	stop.Store(true)
	wg.Wait()
	require.Greater(t, c.sum(), before, "writes acknowledged before the kill")
}

func (c *clients) customer(id, name string) map[string]any {
	return map[string]any{
		"customerId": c.prefix + id, "firstName": name, "lastName": name, "createdAt": "2024-01-02T03:04:05Z",
	}
}

func (c *clients) sum() (sum int64) {
	for i := range c.acked {
		sum += c.acked[i].Load()
	}
	return sum
}

// post reports whether the write was acknowledged.
func (c *clients) post(url string, data map[string]any) bool {
	body, _ := json.Marshal(map[string]any{"data": data})
	res, err := http.Post(url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode == http.StatusOK
}

// check fails unless each acknowledged number is there, or the one after it,
// which was on its way.
func (c *clients) check(t *testing.T, url string) {
	t.Helper()
	shared := c.get(t, url, "shared")
	for i, field := range c.fields {
		n := c.acked[i].Load()
		if n == 0 {
			continue
		}
		assert.Contains(t, []string{fmt.Sprint(n), fmt.Sprint(n + 1)}, shared[field], "the field of client %d", i)
		own := c.get(t, url, fmt.Sprint(i))
		assert.Contains(t, []string{fmt.Sprint(n), fmt.Sprint(n + 1)}, own["firstName"], "the customer of client %d", i)
		assert.Equal(t, own["firstName"], own["lastName"], "one write is there in part")
	}
}

func (c *clients) get(t *testing.T, address, id string) map[string]any {
	t.Helper()
	res, err := http.Get(address + "/" + url.PathEscape(c.prefix+id))
	require.NoError(t, err)
	defer res.Body.Close()
	var answer struct {
		Data struct {
			Result struct{ Data map[string]any }
		}
	}
	require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	return answer.Data.Result.Data
}
