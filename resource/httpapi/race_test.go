package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/resourcekit/storage"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConcurrentClients: 64 clients upsert five fields of one customer at the
// same time, each time another one. Exactly one of them created it, nothing
// fails, and the last value of each client's own writes is not lost: each field
// has the value of the last round.
func TestConcurrentClients(t *testing.T) {
	const clients, rounds = 64, 4
	fields := []string{"email", "phone", "firstName", "lastName", "customerDetailUrl"}
	s := newService(t, nil)
	ts := httptest.NewServer(s.handler)
	defer ts.Close()

	var mu sync.Mutex
	outcomes := map[string]int{}
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for round := range rounds {
				// Every request is complete, since any of them may be the first,
				// and changes one field: the others are as everybody has them.
				values := map[string]string{"customerId": "c-1", "createdAt": "2024-01-02T03:04:05Z"}
				if round == 0 {
					values["firstName"], values["lastName"] = "", ""
				}
				values[fields[(client+round)%len(fields)]] = fmt.Sprint("round ", round)
				data, err := json.Marshal(map[string]any{"data": values})
				if !assert.NoError(t, err) {
					return
				}
				req, err := http.NewRequest("POST", ts.URL+route, strings.NewReader(string(data)))
				if !assert.NoError(t, err) {
					return
				}
				req.Header.Set("Authorization", "Bearer acme")
				res, err := ts.Client().Do(req)
				if !assert.NoError(t, err) {
					return
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				assert.NoError(t, err)
				checkAnswer(t, answer{method: "POST", status: res.StatusCode, header: res.Header, body: string(body)})
				assert.Equal(t, 200, res.StatusCode, string(body))
				var parsed struct{ Message string }
				assert.NoError(t, json.Unmarshal(body, &parsed))
				mu.Lock()
				outcomes[parsed.Message]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 1, outcomes["resource created"], "%v", outcomes)
	assert.Equal(t, clients*rounds, outcomes["resource created"]+outcomes["resource updated"]+outcomes["resource unchanged"], "%v", outcomes)
	records := s.records(t)
	require.Len(t, records, 1)
	var stored map[string]any
	require.NoError(t, json.Unmarshal(records[0].Data, &stored))
	for _, field := range fields {
		assert.Contains(t, stored, field)
	}
	assert.Empty(t, s.errors())
}

// TestNoFieldIsLost: each of five groups of clients owns a field and counts it
// up; in the end each field has its last count.
func TestNoFieldIsLost(t *testing.T) {
	fields := []string{"email", "phone", "firstName", "lastName", "customerDetailUrl"}
	s := newService(t, nil)
	s.put(t, acme, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	ts := httptest.NewServer(s.handler)
	defer ts.Close()
	const count = 40
	var wg sync.WaitGroup
	for _, field := range fields {
		wg.Go(func() {
			for i := range count {
				req, err := http.NewRequest("POST", ts.URL+route, strings.NewReader(fmt.Sprintf(`{"data":{"customerId":"c-1",%q:"%d"}}`, field, i+1)))
				if !assert.NoError(t, err) {
					return
				}
				req.Header.Set("Authorization", "Bearer acme")
				res, err := ts.Client().Do(req)
				if !assert.NoError(t, err) {
					return
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				assert.NoError(t, err)
				assert.Contains(t, string(body), `"resource updated"`)
				assert.Contains(t, string(body), fmt.Sprintf(`%q:"%d"`, field, i+1), "a client reads its own write")
			}
		})
	}
	wg.Wait()
	rec, err := s.store.Get(context.Background(), storage.Key{Tenant: acme, Schema: s.records(t)[0].Key.Schema, ExternalID: "c-1"})
	require.NoError(t, err)
	var stored map[string]any
	require.NoError(t, json.Unmarshal(rec.Data, &stored))
	for _, field := range fields {
		assert.Equal(t, fmt.Sprint(count), stored[field], field)
	}
}

// TestAnswersDoNotMix: answers are made in memory that is used again. Clients of two
// tenants, many of which go away meanwhile, get their own answers, over HTTP/2 too.
func TestAnswersDoNotMix(t *testing.T) {
	s := newService(t, nil)
	names := []string{"acme", "globex"}
	for _, name := range names {
		s.put(t, tenants[name], `{"customerId":"c-1","firstName":"`+strings.Repeat(name, 2000)+`","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	}
	ts := httptest.NewUnstartedServer(s.handler)
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	var whole [2]atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			name := names[i%2]
			for n := range 60 {
				ctx, cancel := context.WithCancel(context.Background())
				r, err := http.NewRequestWithContext(ctx, "GET", ts.URL+route+"/c-1", nil)
				assert.NoError(t, err)
				r.Header.Set("Authorization", "Bearer "+name)
				res, err := ts.Client().Do(r)
				if !assert.NoError(t, err) {
					cancel()
					return
				}
				var body []byte
				if n%3 == 0 {
					body, err = io.ReadAll(res.Body)
					assert.NoError(t, err)
					whole[i%2].Add(1)
				}
				cancel() // resets the stream, unless all was read
				res.Body.Close()
				assert.Equal(t, 2, res.ProtoMajor)
				assert.NotContains(t, string(body), names[1-i%2])
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, [2]int64{80, 80}, [2]int64{whole[0].Load(), whole[1].Load()})
}
