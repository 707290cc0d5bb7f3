package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/schemas"
	"example.com/resourcekit/storage"
)

// TestKill ends the program with SIGKILL while it serves and delivers, again and again on
// the same store, and erases a customer while it is down. All that the log has must arrive,
// in order for each customer, at an endpoint that fails now and then.
func TestKill(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "webhooks")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	e, store := newEndpoint(t), sqliteFile(t)
	e.answer(func(webhook) int {
		time.Sleep(time.Millisecond)
		switch n := rand.IntN(200); {
		case n == 0:
			return 503
		case n < 10:
			return 422
		}
		return 200
	})
	launch := func() *program {
		cmd := exec.Command(binary, "-addr", "127.0.0.1:0", "-store", store, "-url", e.url+"/?token=hidden", "-secret-file", secretFile(t),
			"-lease", "1s", "-backoff", "5ms", "-attempts", "1000")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		p := &program{}
		cmd.Stderr = &p.log
		require.NoError(t, cmd.Start())
		p.stop = sync.OnceValue(func() error { _ = cmd.Process.Kill(); return cmd.Wait() })
		t.Cleanup(func() { _ = p.stop() })
		p.banner(t, stdout)
		return p
	}
	for round := range 3 {
		p := launch()
		before := len(e.webhooks())
		var stop atomic.Bool
		var writers sync.WaitGroup
		for customer := range 8 {
			writers.Go(func() {
				for i := 0; !stop.Load(); i++ {
					p.write(fmt.Sprint("c-", customer), fmt.Sprint(round, ".", i), i%5 == 4)
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		require.Eventually(t, func() bool { return len(e.webhooks()) > before+100 }, 2*patience, time.Millisecond, p.log.String())
		require.Error(t, p.stop())
		stop.Store(true)
		writers.Wait()
	}
	erase(t, store, "c-0")
	p := launch()
	wanted := readLog(t, store)
	keys, all := map[string]string{}, 0 // of each webhook-id, that of its customer
	for key, ids := range wanted {
		for _, id := range ids {
			keys[id] = key
			all++
		}
	}
	require.Greater(t, all, 300)
	assert.Eventually(t, func() bool { return len(e.first()) >= all }, 2*patience, 10*time.Millisecond)
	got := map[string][]string{}
	for _, id := range e.first() {
		got[keys[id]] = append(got[keys[id]], id)
	}
	for key, want := range wanted {
		have := got[key]
		at := 0
		for at < min(len(want), len(have)) && want[at] == have[at] {
			at++
		}
		assert.Equal(t, want[at:min(at+3, len(want))], have[at:min(at+3, len(have))],
			"%s: %d of %d arrived, and then not in order", key, at, len(want))
	}
	assert.Len(t, got, len(wanted), "nothing else arrives")
	assert.Greater(t, len(wanted), 8, "one of eight was erased")
	assert.NotContains(t, p.log.String(), "hidden")
}

// readLog returns the webhook-ids of all changes in the log, for each customer in order; of
// an erased one for each time that it was created. A change of which the endpoint hears
// after the erasure has "-erased" after its id.
func readLog(t *testing.T, store string) map[string][]string {
	opened, err := openstore.Open(t.Context(), store)
	require.NoError(t, err)
	defer opened.Close()
	ids := map[string][]string{}
	for opts := (storage.ChangeQuery{Scope: storage.Scope{Tenant: openstore.Tenant("acme"), Schema: schemas.Customers().ID()}, Limit: 1000}); ; {
		page, err := opened.Store.Changes(t.Context(), opts)
		require.NoError(t, err)
		for _, c := range page.Changes {
			of := c.Key.ExternalID
			if c.Redacted {
				of = "erased " + c.ID.String()
			}
			ids[of] = append(ids[of], fmt.Sprintf("%s-%d", c.ID, c.Cursor.Revision))
		}
		if opts.After = page.Next; !page.More {
			return ids
		}
	}
}

// first returns the ids as in readLog of the webhooks that the endpoint took, without
// repeats.
func (e *endpoint) first() []string {
	var ids []string
	seen := map[string]bool{}
	for _, w := range e.webhooks() {
		if id := strings.TrimSuffix(w.id, "-erased"); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// write writes or deletes a customer. The program may be killed meanwhile.
func (p *program) write(id, text string, remove bool) {
	method, path := http.MethodPost, p.base+"/api/resources/customers"
	if remove {
		method, path = http.MethodDelete, path+"/"+id
	}
	req, _ := http.NewRequest(method, path, strings.NewReader(fmt.Sprintf(
		`{"data":{"customerId":%q,"firstName":"x","lastName":"x","customerDetailUrl":%q,"createdAt":"2024-01-02T03:04:05Z"}}`, id, text)))
	req.Header.Set("Content-Type", "application/json")
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
}
