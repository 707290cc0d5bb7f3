package scenarios_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// The size of the history that is checked, and how long a check may take. The
// check is exponential in the worst case and nearly linear for a service that is
// right; unknown outcomes are what makes it slow, so each client stops after a
// few.
const (
	linearClients    = 8
	linearOperations = 80 // of each client
	linearKeys       = 3
	linearUnknown    = 2 // of each client
	linearTimeout    = 20 * time.Second
)

var everybody = storage.TenantOf("scenarios", "everybody")

// newServers starts two services on one store, as two processes would be: the
// queues of one do not keep the writers of the other waiting. wrap may be nil.
func newServers(t *testing.T, store storage.Store, wrap func(http.Handler) http.Handler) [2]string {
	t.Helper()
	var urls [2]string
	for i := range urls {
		api, err := httpapi.NewAPI(hooksOf(everybody), nil, newCollection(t, schema.Customers(), store, nil))
		require.NoError(t, err)
		handler := http.Handler(api)
		if wrap != nil {
			handler = wrap(handler)
		}
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		urls[i] = server.URL + httpapi.DefaultPrefix + "customers"
	}
	return urls
}

// hooksOf are the hooks of a service with one tenant.
func hooksOf(tenant storage.Tenant) httpapi.Hooks {
	return httpapi.Hooks{
		Authenticate: func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{Tenant: tenant}, nil },
		ResolveTenant: func(_ context.Context, p httpapi.Principal, _ string) (storage.Tenant, error) {
			return p.Tenant, nil
		},
	}
}

// TestLinearizable records what some clients of two services do to a few
// customers over HTTP, and asks porcupine for an order in which one client alone
// could have seen the same.
func TestLinearizable(t *testing.T) {
	for _, store := range slices.Concat(stores, recalling) {
		t.Run(store.name, func(t *testing.T) {
			h := runClients(t, newServers(t, store.open(t), nil))
			result := porcupine.CheckOperationsTimeout(customerModel, h.operations, linearTimeout)
			require.Equal(t, porcupine.Ok, result, "the history of %d operations (Illegal: there is no order that explains it; Unknown: none was found in time)", len(h.operations))
			assert.Empty(t, h.twice, "entity tags that two writes were given")
			// A history in which hardly anything happens proves nothing.
			for _, kind := range []string{"created", "updated", "deleted", "found", "404", "412", "304", "exists"} {
				assert.NotZero(t, h.kinds[kind], "answers of the kind %s: %v", kind, h.kinds)
			}
		})
	}
	t.Run("unknown outcomes", func(t *testing.T) {
		h := runClients(t, newServers(t, &uncertain{Store: memory.New()}, nil))
		require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(customerModel, h.operations, linearTimeout))
		assert.NotZero(t, h.kinds["unknown"], "%v", h.kinds)
	})
}

// TestLinearizableMutants: services with one mistake each, none of which is a
// data race, are found out.
func TestLinearizableMutants(t *testing.T) {
	without := func(header string, methods ...string) func(http.Handler) http.Handler {
		return func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(strings.Join(methods, " "), r.Method) {
					r.Header.Del(header)
				}
				h.ServeHTTP(w, r)
			})
		}
	}
	for _, mutant := range []struct {
		name  string
		store func(storage.Store) storage.Store
		wrap  func(http.Handler) http.Handler
	}{
		{"a store that loses updates", func(s storage.Store) storage.Store { return lostUpdate{s} }, nil},
		{"a store that reads the past", func(s storage.Store) storage.Store { return &stale{Store: s} }, nil},
		{"a store that deletes whatever is there", func(s storage.Store) storage.Store { return anyDelete{s} }, nil},
		{"a PATCH without its If-Match", nil, without("If-Match", "PATCH")},
		{"a DELETE without its If-Match", nil, without("If-Match", "DELETE")},
		{"a POST without its If-None-Match", nil, without("If-None-Match", "POST")},
	} {
		t.Run(mutant.name, func(t *testing.T) {
			// Which operations meet is up to chance; the mistake has some.
			for range 10 {
				var store storage.Store = memory.New()
				if mutant.store != nil {
					store = mutant.store(store)
				}
				h := runClients(t, newServers(t, store, mutant.wrap))
				if porcupine.CheckOperationsTimeout(customerModel, h.operations, linearTimeout) == porcupine.Illegal {
					return
				}
			}
			t.Error("ten histories, and all of them have an order")
		})
	}
}

// request is one operation on a customer.
type request struct {
	op      string // POST, reject, absent (a POST with If-None-Match: *), PATCH, GET, DELETE
	key     string
	ifMatch string // of a PATCH or DELETE; of a GET it is the If-None-Match
	value   string // of email in a POST, of phone in a PATCH; no other client writes it
}

// response is the answer.
type response struct {
	kind  string // created, updated, deleted, found, 404, 412, 304, exists, busy, unknown
	state customer
}

// customer is the state of one key: absent, or its revision and the two fields
// that are written. After a write of unknown outcome the tag is "": no client knows it yet.
type customer struct {
	present      bool
	etag         string
	email, phone string
}

// meet returns the customer with the tag that was seen, or false if it differs from the
// one that was seen. A deleted one is seen without its tag.
func (c customer) meet(seen customer) (customer, bool) {
	if c.etag == "" || seen.etag == "" {
		known := max(c.etag, seen.etag)
		c.etag, seen.etag = known, known
	}
	return c, c == seen
}

// is reports whether the customer can have a tag, and returns it with that one.
func (c customer) is(etag string) (customer, bool) {
	return c.meet(customer{c.present, etag, c.email, c.phone})
}

// written returns the customer after a write.
func (c customer) written(in request) customer {
	c.present, c.etag = true, ""
	if in.op == "PATCH" {
		c.phone = in.value
	} else {
		c.email = in.value
	}
	return c
}

// customerModel says what one client alone would see.
var customerModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range history {
			key := op.Input.(request).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return customer{} },
	Step: func(state, input, output any) (bool, any) {
		c, in, out := state.(customer), input.(request), output.(response)
		return stepOf(c, in, out)
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func stepOf(c customer, in request, out response) (bool, any) {
	conditional := in.ifMatch != "" && in.op != "GET"
	switch out.kind {
	case "found":
		c, ok := c.meet(out.state)
		return ok && c.present, c
	case "404":
		return !c.present, c
	case "304":
		c, ok := c.is(in.ifMatch)
		return ok && c.present, c
	case "exists":
		return c.present && in.op == "reject", c
	case "412":
		if in.op == "absent" {
			return c.present, c
		}
		// The tag is not the one that was demanded. A tag that no client has seen
		// is another one, too: its writer was not told it.
		return c.present && conditional && c.etag != in.ifMatch, c
	case "created", "updated":
		if conditional && (!c.present || c.etag != in.ifMatch) || (in.op == "reject" || in.op == "absent") && c.present {
			return false, c
		}
		next, ok := c.written(in).meet(out.state)
		return ok && (out.kind == "updated") == c.present && next.etag != c.etag, next
	case "deleted":
		seen, ok := c.meet(out.state)
		return ok && c.present && (!conditional || seen.etag == in.ifMatch), customer{}
	case "unknown":
		// Its return is at the end of time, so it can come after all others,
		// where no client sees whether it was applied.
		switch {
		case conditional && c.etag != in.ifMatch, in.op == "PATCH" && !c.present, (in.op == "reject" || in.op == "absent") && c.present:
			return true, c
		case in.op == "DELETE":
			return true, customer{}
		}
		return true, c.written(in)
	case "busy": // certainly not applied
		return true, c
	}
	return false, c // unchanged, for one: every value is new
}

// history is what all clients did.
type history struct {
	operations []porcupine.Operation
	kinds      map[string]int
	twice      []string
}

// runClients lets the clients loose, half of them on each server.
func runClients(t *testing.T, urls [2]string) history {
	t.Helper()
	begin := time.Now()
	clients := make([]*client, linearClients)
	var wg sync.WaitGroup
	for i := range clients {
		clients[i] = newClient(i, urls[i%2], begin)
		wg.Go(clients[i].run)
	}
	wg.Wait()
	h := history{kinds: make(map[string]int)}
	tags := make(map[string]bool)
	for _, c := range clients {
		c.http.CloseIdleConnections()
		require.NoError(t, c.err)
		h.operations = append(h.operations, c.history...)
		for _, op := range c.history {
			in, out := op.Input.(request), op.Output.(response)
			h.kinds[out.kind]++
			if out.kind == "created" || out.kind == "updated" {
				tag := in.key + out.state.etag
				if tags[tag] {
					h.twice = append(h.twice, tag)
				}
				tags[tag] = true
			}
		}
	}
	return h
}

// client is one client with connections of its own.
type client struct {
	id      int
	url     string
	http    *http.Client
	begin   time.Time
	seen    map[string]string // the last tag by key
	history []porcupine.Operation
	unknown int
	err     error
}

func newClient(id int, url string, begin time.Time) *client {
	return &client{
		id: id, url: url, begin: begin, seen: make(map[string]string),
		http: &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second},
	}
}

func (c *client) run() {
	random := rand.New(rand.NewPCG(uint64(c.id), 1))
	for n := range linearOperations {
		if c.unknown == linearUnknown {
			return
		}
		in := request{key: "register-" + strconv.Itoa(random.IntN(linearKeys)), value: fmt.Sprintf("%d-%d", c.id, n)}
		switch dice := random.IntN(22); {
		case dice < 3:
			in.op = "POST"
		case dice < 5:
			in.op = "reject"
		case dice < 7:
			in.op = "absent"
		case dice < 10:
			in.op = "PATCH"
		case dice < 14:
			in.op, in.ifMatch = "PATCH", c.seen[in.key]
		case dice < 15:
			in.op = "DELETE"
		case dice < 17:
			in.op, in.ifMatch = "DELETE", c.seen[in.key]
		case dice < 20:
			in.op, in.ifMatch = "GET", c.seen[in.key]
		default:
			in.op = "GET"
		}
		call := time.Since(c.begin)
		out, err := c.do(in)
		if err != nil {
			c.err = err
			return
		}
		op := porcupine.Operation{ClientId: c.id, Input: in, Output: out, Call: int64(call), Return: int64(time.Since(c.begin))}
		if out.kind == "unknown" {
			op.Return = math.MaxInt64 // it may be applied at any later time
			c.unknown++
		}
		if out.state.etag != "" {
			c.seen[in.key] = out.state.etag
		}
		c.history = append(c.history, op)
	}
}

// do sends one request and reads the answer. An error is an answer that no
// service may give.
func (c *client) do(in request) (response, error) {
	method, target, body := in.op, c.url+"/"+in.key, ""
	switch in.op {
	case "POST", "reject", "absent":
		method, target = "POST", c.url
		body = `{"data":` + cust(in.key, `,"email":"`+in.value+`"`) + `}`
		if in.op == "reject" {
			target += "?onconflict=reject"
		}
	case "PATCH":
		body = `{"data":{"phone":"` + in.value + `"}}`
	}
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	switch {
	case in.op == "absent":
		req.Header.Set("If-None-Match", "*")
	case in.ifMatch != "" && method == "GET":
		req.Header.Set("If-None-Match", in.ifMatch)
	case in.ifMatch != "":
		req.Header.Set("If-Match", in.ifMatch)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return response{kind: "unknown"}, nil // it broke off: who knows
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return response{kind: "unknown"}, nil
	}
	return parseResponse(method, res, text)
}

func parseResponse(method string, res *http.Response, text []byte) (response, error) {
	var m struct {
		Message string
		Data    json.RawMessage
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &m); err != nil {
			return response{}, err
		}
	}
	switch status := res.StatusCode; {
	case status == http.StatusNotFound, status == http.StatusPreconditionFailed, status == http.StatusNotModified:
		return response{kind: strconv.Itoa(status)}, nil
	case status == http.StatusServiceUnavailable:
		return response{kind: "busy"}, nil
	case status == http.StatusBadRequest && strings.HasSuffix(m.Message, "exists already"):
		return response{kind: "exists"}, nil
	case status == http.StatusInternalServerError && strings.HasPrefix(m.Message, "the outcome of the write is unknown"):
		return response{kind: "unknown"}, nil
	case status != http.StatusOK:
		return response{}, fmt.Errorf("%s: status %d: %s", method, status, text)
	}
	if method != "POST" {
		var wrapped struct{ Result json.RawMessage }
		if err := json.Unmarshal(m.Data, &wrapped); err != nil {
			return response{}, err
		}
		m.Data = wrapped.Result
	}
	var resource struct{ Data struct{ Email, Phone string } }
	if err := json.Unmarshal(m.Data, &resource); err != nil {
		return response{}, err
	}
	out := response{kind: strings.TrimPrefix(m.Message, "resource ")}
	out.state = customer{true, res.Header.Get("ETag"), resource.Data.Email, resource.Data.Phone}
	if out.state.etag == "" && out.kind != "deleted" {
		return response{}, errors.New("an answer with a resource and without its tag")
	}
	return out, nil
}

// uncertain is a store that now and then does not know whether it has written.
type uncertain struct {
	storage.Store
	n atomic.Int64
}

func (u *uncertain) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	switch u.n.Add(1) % 40 {
	case 0:
		return nil, storage.ErrUnknownOutcome
	case 20:
		errs, err := u.Store.Write(ctx, writes)
		if errs == nil && err == nil {
			err = storage.ErrUnknownOutcome
		}
		return errs, err
	}
	return u.Store.Write(ctx, writes)
}

// each makes writes one by one.
func each(writes []storage.Write, do func(storage.Write) error) ([]error, error) {
	errs := make([]error, len(writes))
	for i, w := range writes {
		errs[i] = do(w)
	}
	return errs, nil
}

// one makes one write.
func one(ctx context.Context, store storage.Store, w storage.Write) error {
	errs, err := store.Write(ctx, []storage.Write{w})
	if errs != nil {
		return errs[0]
	}
	return err
}

// lostUpdate compares the revision, and then replaces any record.
type lostUpdate struct{ storage.Store }

func (m lostUpdate) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	return each(writes, func(w storage.Write) error {
		current, err := m.Store.Get(ctx, w.Record.Key)
		if err != nil || current.Revision != w.Expect || w.Delete {
			return one(ctx, m.Store, w)
		}
		time.Sleep(time.Millisecond)
		for {
			w.Expect = current.Revision
			if err := one(ctx, m.Store, w); !errors.Is(err, storage.ErrConflict) {
				return err
			}
			if current, err = m.Store.Get(ctx, w.Record.Key); err != nil || w.Record.Revision <= current.Revision {
				return storage.ErrConflict
			}
		}
	})
}

// anyDelete deletes a record in any revision.
type anyDelete struct{ storage.Store }

func (m anyDelete) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	return each(writes, func(w storage.Write) error {
		if !w.Delete {
			return one(ctx, m.Store, w)
		}
		time.Sleep(time.Millisecond)
		for {
			current, err := m.Store.Get(ctx, w.Record.Key)
			if err != nil {
				return storage.ErrConflict
			}
			err = storage.Delete(ctx, m.Store, w.Record.Key, current.Revision)
			if !errors.Is(err, storage.ErrConflict) {
				return err
			}
		}
	})
}

// stale answers a read with the record before the last write, now and then.
type stale struct {
	storage.Store
	mu     sync.Mutex
	before map[storage.Key]storage.Record
	n      int
}

func (m *stale) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return each(writes, func(w storage.Write) error {
		old, missing := m.Store.Get(ctx, w.Record.Key)
		err := one(ctx, m.Store, w)
		if err == nil && missing == nil && !w.Delete {
			if m.before == nil {
				m.before = make(map[storage.Key]storage.Record)
			}
			m.before[w.Record.Key] = old
		}
		return err
	})
}

func (m *stale) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	if old, ok := m.before[key]; ok && m.n%5 == 0 {
		return old, nil
	}
	return m.Store.Get(ctx, key)
}
