package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// The vocabulary of the tests in this package: two tenants of one platform and
// one of another, a token for each caller, and a service around one store whose
// clock and ids are fixed.

const route = "/api/resources/customers"

var (
	acme     = storage.TenantOf("platform", "acme")
	globex   = storage.TenantOf("platform", "globex")
	stranger = storage.TenantOf("other-platform", "stranger")

	tenants = map[string]storage.Tenant{"acme": acme, "globex": globex, "stranger": stranger}

	// principals by bearer token.
	principals = map[string]httpapi.Principal{
		"acme":     {Subject: "acme", Tenant: acme},
		"globex":   {Subject: "globex", Tenant: globex},
		"platform": {Subject: "platform", Tenant: storage.Tenant{Platform: acme.Platform}},
		"operator": {Subject: "operator", Unconfined: true},
	}
)

// authenticate is the Authenticate hook of the tests.
func authenticate(r *http.Request) (httpapi.Principal, error) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p, ok := principals[token]
	if !ok {
		return httpapi.Principal{}, errors.New("no such token: " + token)
	}
	return p, nil
}

// resolveTenant is the ResolveTenant hook of the tests. It leaves it to the kit
// to confine the caller: any name that there is gives its tenant.
func resolveTenant(_ context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
	if name == "" {
		name = p.Subject
	}
	tenant, ok := tenants[name]
	if !ok {
		return storage.Tenant{}, fmt.Errorf("%w: %s", httpapi.ErrUnknownTenant, name)
	}
	return tenant, nil
}

var hooks = httpapi.Hooks{Authenticate: authenticate, ResolveTenant: resolveTenant}

// findable are customers that are found by email, which is not unique, by createdAt, and
// by customerDetailUrl, which is.
var findable = func() *schema.Schema {
	def := schema.Customers().Definition()
	for i := range def.Fields {
		switch f := &def.Fields[i]; f.Name {
		case "email":
			f.Index, f.Fold = 1, "lower"
		case "createdAt":
			f.Index = 2
		case "customerDetailUrl":
			f.Index, f.Unique = 3, true
		}
	}
	return schema.MustCompile(def)
}()

// A service is the ready handler over a store of its own, with the three default
// schemas. Its customers are findable, also by resource.createdAt. The changes of customers
// are logged with documents, those of locations without, and those of transactions not.
type service struct {
	store   *memory.Store
	faults  *faults
	handler http.Handler
	api     *httpapi.API

	mu       sync.Mutex
	answered []error // what OnError saw
}

// newService returns a service whose clock starts at a fixed time and goes on by
// a second with each write, and whose ids are numbered. opts may be nil.
func newService(t testing.TB, opts *httpapi.Options) *service {
	t.Helper()
	s := &service{store: memory.New()}
	s.faults = &faults{Store: s.store}
	var ticks, ids atomic.Int64
	start := time.Date(2025, 6, 7, 8, 9, 10, 123_456_789, time.UTC)
	var collections []*resource.Collection
	for _, kind := range []*schema.Schema{findable, schema.Locations(), schema.Transactions()} {
		collection, err := resource.NewCollection(kind, s.faults, &resource.Options{
			IndexCreatedAt: kind == findable, Log: kind.Name() != "transactions", History: kind == findable,
			Now: func() time.Time { return start.Add(time.Duration(ticks.Add(1)-1) * time.Second) },
			NewID: func() (uuid.UUID, error) {
				return uuid.MustParse(fmt.Sprintf("01974000-0000-7000-8000-%012d", ids.Add(1))), nil
			},
		})
		require.NoError(t, err)
		collections = append(collections, collection)
	}
	all := httpapi.Options{}
	if opts != nil {
		all = *opts
	}
	all.OnError = func(_ *http.Request, _ int, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.answered = append(s.answered, err)
	}
	var err error
	s.api, err = httpapi.NewAPI(hooks, &all, collections...)
	require.NoError(t, err)
	s.handler = s.api
	return s
}

// errors returns what OnError saw.
func (s *service) errors() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.answered...)
}

// faults is a store that fails when it is told to, but for writes of a collection's state.
type faults struct {
	storage.Store
	get, put atomic.Pointer[error]
}

func (f *faults) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := f.get.Load(); err != nil {
		return storage.Record{}, &storage.OpError{Op: "get", Key: key, Err: *err}
	}
	return f.Store.Get(ctx, key)
}

func (f *faults) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	if err := f.get.Load(); err != nil {
		return storage.ChangePage{}, &storage.OpError{Op: "changes", Err: *err}
	}
	return f.Store.Changes(ctx, q)
}

func (f *faults) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if err := f.put.Load(); err != nil && writes[0].Record.Key.ExternalID != "state" {
		return nil, &storage.OpError{Op: "write", Err: *err}
	}
	return f.Store.Write(ctx, writes)
}

func (f *faults) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	if err := f.get.Load(); err != nil {
		return storage.Page{}, &storage.OpError{Op: "list", Key: storage.Key{Tenant: scope.Tenant, Schema: scope.Schema}, Err: *err}
	}
	return f.Store.List(ctx, scope, r)
}

// set makes each read and each write fail with its error from now on; nil for
// none.
func (f *faults) set(get, put error) {
	set := func(p *atomic.Pointer[error], err error) {
		p.Store(nil)
		if err != nil {
			p.Store(&err)
		}
	}
	set(&f.get, get)
	set(&f.put, put)
}

// records returns everything that is stored, of all tenants.
func (s *service) records(t testing.TB) []storage.Record {
	t.Helper()
	var all []storage.Record
	for _, tenant := range []storage.Tenant{acme, globex, stranger} {
		for _, kind := range []*schema.Schema{schema.Customers(), schema.Locations(), schema.Transactions()} {
			for r := (storage.Range{Limit: storage.MaxPage}); ; {
				page, err := s.store.List(context.Background(), storage.Scope{Tenant: tenant, Schema: kind.ID()}, r)
				require.NoError(t, err)
				all = append(all, page.Records...)
				if r.After = page.Next; r.After.IsZero() {
					break
				}
			}
		}
	}
	return all
}

// put stores a customer without HTTP.
func (s *service) put(t testing.TB, tenant storage.Tenant, data string) {
	t.Helper()
	collection, err := resource.NewCollection(findable, s.store, &resource.Options{IndexCreatedAt: true, Log: true})
	require.NoError(t, err)
	_, err = collection.Create(context.Background(), tenant, []byte(data), nil)
	require.NoError(t, err)
}

// keep stores a document as another program may have: past the collection.
func (s *service) keep(t testing.TB, tenant storage.Tenant, id, data string) storage.Record {
	t.Helper()
	rec := storage.Record{
		Key: storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: id}, ID: uuid.Must(uuid.NewV7()),
		CreatedAt: time.UnixMilli(0), UpdatedAt: time.UnixMilli(0), Data: []byte(data),
	}
	var err error
	rec.Revision, err = storage.Put(context.Background(), s.store, rec, 0)
	require.NoError(t, err)
	return rec
}

// serve starts the service on a real port.
func (s *service) serve(t testing.TB) *server {
	t.Helper()
	ts := httptest.NewServer(s.handler)
	t.Cleanup(ts.Close)
	return &server{service: s, addr: ts.Listener.Addr().String(), url: ts.URL}
}

// A server is a service that listens.
type server struct {
	*service
	addr, url string
}

// A message is a request as it goes over the wire. No client stands in between
// that would put it in order.
type message struct {
	method, target string
	header         []string // "Name: value"
	body           string
	chunked        bool // no Content-Length
}

// bytes returns the message with the headers that it needs but does not show:
// Host, Connection and Content-Length.
func (m message) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n", m.method, m.target)
	length := m.chunked
	for _, line := range m.header {
		length = length || strings.HasPrefix(strings.ToLower(line), "content-length:")
		fmt.Fprintf(&b, "%s\r\n", line)
	}
	switch {
	case m.chunked:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\n\r\n")
		for body := m.body; body != ""; {
			n := min(len(body), 4096)
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
			body = body[n:]
		}
		b.WriteString("0\r\n\r\n")
		return b.Bytes()
	case !length && (m.body != "" || m.method == http.MethodPost):
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(m.body))
	}
	b.WriteString("\r\n" + m.body)
	return b.Bytes()
}

// post is a POST by acme, declared as JSON unless header says otherwise.
func post(query, body string, header ...string) message {
	if !slices.ContainsFunc(header, func(line string) bool { return strings.HasPrefix(line, "Content-") }) {
		header = append([]string{"Content-Type: application/json"}, header...)
	}
	return message{method: "POST", target: route + query, body: body, header: append([]string{"Authorization: Bearer acme"}, header...)}
}

// get is a GET by acme. rest is what follows the slash.
func get(rest string, header ...string) message {
	return message{method: "GET", target: route + "/" + rest, header: append([]string{"Authorization: Bearer acme"}, header...)}
}

// list is a GET of all customers by acme.
func list(query string, header ...string) message {
	return message{method: "GET", target: route + query, header: append([]string{"Authorization: Bearer acme"}, header...)}
}

// as returns the message with another method and body.
func (m message) as(method, body string) message {
	m.method, m.body = method, body
	return m
}

// by returns the message with another caller, and the tenants named in headers.
func (m message) by(token string, names ...string) message {
	header := []string{"Authorization: Bearer " + token}
	for _, line := range m.header {
		if !strings.HasPrefix(line, "Authorization:") {
			header = append(header, line)
		}
	}
	for _, name := range names {
		header = append(header, "reach-tenant-id: "+name)
	}
	m.header = header
	return m
}

// An answer is what came back.
type answer struct {
	method string // of the request
	status int
	header http.Header
	body   string
}

// exchange sends the message over a connection of its own and returns the
// answer, which has been compared with the contract.
func (s *server) exchange(t testing.TB, m message) answer {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	// The server may answer, and close, before it has read everything: a
	// failed write is the answer's business.
	sent := make(chan struct{})
	go func() { defer close(sent); _, _ = conn.Write(m.bytes()) }()
	a := readAnswer(t, conn, m.method)
	conn.Close()
	<-sent
	checkAnswer(t, a)
	return a
}

func readAnswer(t testing.TB, conn net.Conn, method string) answer {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{method: method, status: res.StatusCode, header: res.Header, body: string(body)}
}

// direct hands the message to the handler without a network.
func (s *service) direct(t testing.TB, m message) answer {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.bytes())))
	require.NoError(t, err)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	a := answer{method: m.method, status: w.Code, header: w.Header(), body: w.Body.String()}
	checkAnswer(t, a)
	return a
}

// customer is the text of a complete request with this external id, and with
// more members at the end of its data.
func customer(id, more string) string {
	return `{"data":{"customerId":"` + id + `","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"` + more + `}}`
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	return bytes.TrimSpace(b.Bytes())
}
