package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestRoutes is the table of routes, written down.
func TestRoutes(t *testing.T) {
	var got []string
	for _, r := range newService(t, nil).api.Routes() {
		require.NotNil(t, r.Handler)
		assert.Equal(t, strings.TrimSpace(r.Method+" "+r.Pattern), r.String())
		got = append(got, r.String())
	}
	var want []string
	reads := []string{"", "GET ", "HEAD ", "OPTIONS "}
	for _, name := range []string{"customers", "locations", "transactions"} {
		for _, method := range []string{"", "GET ", "HEAD ", "POST ", "OPTIONS "} {
			want = append(want, method+"/api/resources/"+name)
		}
		for _, method := range []string{"", "GET ", "HEAD ", "PATCH ", "DELETE ", "OPTIONS "} {
			want = append(want, method+"/api/resources/"+name+"/{externalId}")
		}
		for _, method := range reads {
			if name != "transactions" {
				want = append(want, method+"/api/resources/"+name+"/{externalId}/history")
			}
		}
	}
	for _, method := range reads {
		want = append(want, method+"/api/changes")
	}
	assert.Equal(t, want, got)
}

// TestMethods: every method on both kinds of path, of every schema: it is served,
// or it is a 405 with the ones that are.
func TestMethods(t *testing.T) {
	const all, one, read = "GET, HEAD, POST, OPTIONS", "GET, HEAD, PATCH, DELETE, OPTIONS", "GET, HEAD, OPTIONS"
	s := newService(t, nil)
	for _, name := range []string{"customers", "locations", "transactions"} {
		paths := map[string]string{"/api/resources/" + name: all, "/api/resources/" + name + "/x": one}
		if name != "transactions" {
			paths["/api/changes"], paths["/api/resources/"+name+"/x/history"] = read, read
		}
		for path, allow := range paths {
			for _, method := range []string{
				"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "get", "Patch", "GETX", "X",
			} {
				r := httptest.NewRequest("GET", path, nil)
				r.Method = method
				r.Header.Set("Authorization", "Bearer acme")
				w := httptest.NewRecorder()
				s.handler.ServeHTTP(w, r)
				served := false
				for m := range strings.SplitSeq(allow, ", ") {
					served = served || m == method
				}
				assert.Equal(t, !served, w.Code == 405, "%s %s: %d", method, path, w.Code)
				switch {
				case method == "OPTIONS":
					assert.Equal(t, 204, w.Code)
					assert.Equal(t, allow, w.Header().Get("Allow"))
					assert.Zero(t, w.Body.Len())
				case !served:
					assert.Equal(t, allow, w.Header().Get("Allow"))
				default:
					assert.Empty(t, w.Header().Get("Allow"))
				}
			}
		}
	}
}

// mounted is the API row by row on a ServeMux.
func mounted(api *httpapi.API) *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range api.Routes() {
		mux.Handle(r.String(), r.Handler)
	}
	return mux
}

// TestMountedRoutes: a ServeMux with the routes answers as the API itself does to
// everything that it lets through. What it does not is written down: it redirects
// paths with empty segments or steps, and does not know an id that is a slash.
func TestMountedRoutes(t *testing.T) {
	s := newService(t, nil)
	mux := mounted(s.api)
	ids := []string{
		"c-1", "none", ".", "..", "...", "-", "a/b", "/", "//", "a//b", "../..", "%", "%2F", "+", "a b", "a+b", "?", "#", "é", "日本", "😀",
		"\n", "'", `"`, "{externalId}", "batch", "batches", "*", ":", "@", "a.b", ".a", "a.", ";", "\x7f", strings.Repeat("i", 512),
	}
	for _, id := range ids {
		if id == "none" {
			continue
		}
		s.keep(t, acme, id, string(mustJSON(t, map[string]string{
			"customerId": id, "firstName": "", "lastName": "", "createdAt": "2024-01-02T03:04:05Z",
		})))
	}
	var targets []string
	for _, id := range ids {
		targets = append(targets, url.PathEscape(id), everyByte(id), "-?externalId="+url.QueryEscape(id),
			url.PathEscape(id)+"/history", everyByte(id)+"/%68istory", "-/history?externalId="+url.QueryEscape(id))
	}
	targets = append(targets, "", "a/b", "c-1/", "%62atch", "%zz", "c-1?x=%zz", "-?externalId=%zz", "%2e", "%2E%2E%2Fc-1", "c-1;v=1", "%00", "%FF", "-?externalId=a&externalId=b")
	redirected, unknown := map[string]bool{}, map[string]bool{}
	for _, target := range targets {
		for _, m := range []message{
			get(target), get(target).as("HEAD", ""), get(target, "If-None-Match: *"), get(target, "If-Match: \"x\""),
			get(target, "If-Match: *").as("PATCH", `{"data":{}}`), get(target).as("PATCH", `{"data":{"phone":7}}`),
			get(target).as("OPTIONS", ""), get(target).as("PUT", "{}"), get(target).as("POST", "{}"),
			get(target, `If-Match: "x"`).as("DELETE", ""), get(target).by("nobody"), get(target).by("acme", "globex"),
		} {
			want, got := serve(t, s.api, m), serve(t, mux, m)
			if want == nil {
				assert.Nil(t, got) // net/http itself refuses it
				continue
			}
			path, _, _ := strings.Cut(target, "?")
			switch {
			case got.status == http.StatusMovedPermanently || got.status == http.StatusTemporaryRedirect:
				redirected[path] = true
			case got.header.Get("Content-Type") == "text/plain; charset=utf-8":
				unknown[path] = true
				assert.Equal(t, 404, got.status)
			default:
				assert.Equal(t, *want, *got, "%s %s", m.method, target)
				assert.Equal(t, want.values, got.values)
			}
		}
	}
	assert.Equal(t, map[string]bool{".": true, "..": true, "./history": true, "../history": true}, redirected, "whom nobody can reach like that")
	assert.Equal(t, map[string]bool{"": true, "a/b": true, "c-1/": true, "%2F": true, "%2F/history": true, "%2F/%68istory": true}, unknown)

	for _, m := range []message{
		list(""), list("?limit=2"), list("").as("HEAD", ""), list("?limit=x"), list("").as("OPTIONS", ""), list("").as("DELETE", ""),
		post("?onconflict=reject", customer("c-1", "")), post("", customer("c-1", ""), "If-None-Match: *"), post("", `{"data":{"customerId":"c-1","phone":7}}`),
		{method: "GET", target: "/api/resources/%63ustomers/c-1", header: []string{"Authorization: Bearer acme"}},
		{method: "GET", target: "/%61pi/resources/customers", header: []string{"Authorization: Bearer acme"}},
		{method: "GET", target: "/api/resources/locations", header: []string{"Authorization: Bearer acme"}},
	} {
		assert.Equal(t, serve(t, s.api, m), serve(t, mux, m), "%s %s", m.method, m.target)
	}
}

// A served answer also has the path value of its request.
type served struct {
	answer
	values string
}

// serve hands the message to a handler, nil when it is no request to net/http.
func serve(t *testing.T, h http.Handler, m message) *served {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.bytes())))
	if err != nil {
		return nil
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	s := &served{answer: answer{method: m.method, status: w.Code, header: w.Header(), body: w.Body.String()}}
	if w.Code != http.StatusNotFound {
		s.values = r.PathValue("externalId")
	}
	return s
}

// TestMountedWhole: the API as one handler of a ServeMux, and behind StripPrefix.
func TestMountedWhole(t *testing.T) {
	s := newService(t, nil)
	s.put(t, acme, `{"customerId":"a/b","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	mux := http.NewServeMux()
	mux.Handle(httpapi.DefaultPrefix, s.api)
	mux.Handle("/behind/", http.StripPrefix("/behind", s.api))
	for _, target := range []string{route + "/a%2Fb", "/behind" + route + "/a%2Fb"} {
		m := get("")
		m.target = target
		a := serve(t, mux, m)
		assert.Equal(t, 200, a.status, target)
		assert.Equal(t, 404, serve(t, mux, get("a/b")).status)
	}
	assert.Equal(t, "no such route", problemMessage(t, serve(t, mux, get("a/b")).body))
}

// TestMountedInParts: some rows alone, at a prefix of the service's own, and on a
// router that hands path values on as they were sent.
func TestMountedInParts(t *testing.T) {
	s := newService(t, nil)
	s.put(t, acme, `{"customerId":"a/b","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	s.put(t, acme, `{"customerId":"a%2Fb","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	mux := http.NewServeMux()
	for _, r := range s.api.Routes() {
		if r.Method == "GET" && r.Pattern == route+"/{externalId}" {
			mux.Handle("GET /read/{externalId}", r.Handler)
			mux.HandleFunc("GET /careless/{externalId}", func(w http.ResponseWriter, req *http.Request) {
				req.SetPathValue("externalId", "a%2Fb") // of a router that takes it as it is sent
				r.Handler.ServeHTTP(w, req)
			})
		}
	}
	for _, at := range []string{"/read/", "/careless/"} {
		m := get("")
		m.target = at + "a%2Fb"
		a := serve(t, mux, m)
		require.Equal(t, 200, a.status)
		assert.Contains(t, a.body, `"resourceExternalId":"a/b"`)
		m.method = "DELETE"
		assert.Equal(t, 405, serve(t, mux, m).status, "not mounted")
	}
}

func problemMessage(t *testing.T, body string) string {
	t.Helper()
	v, err := strictJSON([]byte(body))
	require.NoError(t, err)
	message, _ := v.(map[string]any)["message"].(string)
	return message
}

// TestPatternForLogs: r.Pattern is the route's and never holds what was asked for.
func TestPatternForLogs(t *testing.T) {
	s := newService(t, nil)
	mux := mounted(s.api)
	for _, tc := range []struct{ method, target, direct, mounted string }{
		{"GET", route, route, "GET " + route},
		{"PUT", route, route, route},
		{"PATCH", route + "/" + marker, route + "/{externalId}", "PATCH " + route + "/{externalId}"},
		{"PUT", route + "/" + marker, route + "/{externalId}", route + "/{externalId}"},
		{"GET", route + "/batch", "", "GET " + route + "/{externalId}"},
		{"GET", route + "/" + marker + "/history", route + "/{externalId}/history", "GET " + route + "/{externalId}/history"},
		{"GET", "/api/changes?after=" + marker, "/api/changes", "GET /api/changes"},
		{"GET", "/" + marker, "", ""},
		{"GET", route + "/a/" + marker, "", ""},
	} {
		r := httptest.NewRequest(tc.method, tc.target, nil)
		r.Pattern = "/left/behind"
		s.api.ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, tc.direct, r.Pattern, tc.target)
		r = httptest.NewRequest(tc.method, tc.target, nil)
		mux.ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, tc.mounted, r.Pattern, tc.target)
	}
	// A router that sets no pattern.
	for _, r := range s.api.Routes() {
		req := httptest.NewRequest(http.MethodPut, route+"/c-1", nil)
		r.Handler.ServeHTTP(httptest.NewRecorder(), req)
		assert.Equal(t, r.Pattern, req.Pattern)
	}
}

func TestNewAPIErrors(t *testing.T) {
	of := func(name string) *resource.Collection {
		c, err := resource.NewCollection(schema.MustCompile(schema.Definition{
			ID: uuid.New(), Name: name, ExternalID: "id", Fields: []schema.Field{{Name: "id", Type: schema.String, Required: true}},
		}), memory.New(), nil)
		require.NoError(t, err)
		return c
	}
	for _, tc := range []struct {
		name        string
		collections []*resource.Collection
		want        string
	}{
		{"none", nil, "without a collection"},
		{"nil", []*resource.Collection{collection(t), nil}, "one of them is nil"},
		{"the same twice", []*resource.Collection{of("a"), of("b"), of("a")}, "two collections with schemas of the name a"},
		{"the same but for case", []*resource.Collection{of("orders"), of("Orders")}, "two collections with schemas of the name Orders"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			api, err := httpapi.NewAPI(hooks, nil, tc.collections...)
			assert.ErrorContains(t, err, tc.want)
			assert.Nil(t, api)
		})
	}
	// A schema may be called batch, and a name may begin with another.
	api, err := httpapi.NewAPI(hooks, &httpapi.Options{Prefix: "/"}, of("batch"), of("order"), of("orders"))
	require.NoError(t, err)
	for target, want := range map[string]int{
		"/batch": 200, "/order": 200, "/orders": 200, "/orders/order": 404, "/Orders": 404, "/orders/": 404, "/": 404, "": 404, "/batch/batch": 404,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = target
		r.Header.Set("Authorization", "Bearer acme")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, target)
	}
	mounted(api)
}

// TestChangesPath: where the changes are, and where they cannot be.
func TestChangesPath(t *testing.T) {
	logging := func(name string, store storage.Store) *resource.Collection {
		c, err := resource.NewCollection(schema.MustCompile(schema.Definition{
			ID: uuid.New(), Name: name, ExternalID: "id", Fields: []schema.Field{{Name: "id", Type: schema.String, Required: true}},
		}), store, &resource.Options{Log: true})
		require.NoError(t, err)
		return c
	}
	store := memory.New()
	changes1, orders := logging("changes", store), logging("orders", store)
	tail := changes.NewTail(store, nil)
	for name, tc := range map[string]struct {
		opts        httpapi.Options
		collections []*resource.Collection
		want        string // the path, or a part of the error
	}{
		"usual":               {httpapi.Options{}, []*resource.Collection{changes1, orders}, "/api/changes"},
		"another":             {httpapi.Options{ChangesPath: "/log"}, []*resource.Collection{orders}, "/log"},
		"below the prefix":    {httpapi.Options{ChangesPath: "/api/resources/log"}, []*resource.Collection{orders}, "/api/resources/log"},
		"at the root":         {httpapi.Options{Prefix: "/", ChangesPath: "/log"}, []*resource.Collection{orders}, "/log"},
		"one tail":            {httpapi.Options{Tail: tail}, []*resource.Collection{changes1, orders}, "/api/changes"},
		"of a collection":     {httpapi.Options{Prefix: "/api/"}, []*resource.Collection{changes1}, "is one of the collection changes: set Options.ChangesPath"},
		"below a collection":  {httpapi.Options{ChangesPath: "/api/resources/orders/log"}, []*resource.Collection{orders}, "is one of the collection orders"},
		"no slash":            {httpapi.Options{ChangesPath: "log"}, []*resource.Collection{orders}, "Options.ChangesPath must be"},
		"a slash at its end":  {httpapi.Options{ChangesPath: "/log/"}, []*resource.Collection{orders}, "Options.ChangesPath must be"},
		"the root":            {httpapi.Options{ChangesPath: "/"}, []*resource.Collection{orders}, "Options.ChangesPath must be"},
		"steps":               {httpapi.Options{ChangesPath: "/a/../log"}, []*resource.Collection{orders}, "Options.ChangesPath must be"},
		"a pattern":           {httpapi.Options{ChangesPath: "/{log}"}, []*resource.Collection{orders}, "Options.ChangesPath must be"},
		"a tail of two":       {httpapi.Options{Tail: tail}, []*resource.Collection{orders, logging("b", memory.New())}, "Options.Tail reads another store"},
		"a tail of another":   {httpapi.Options{Tail: tail}, []*resource.Collection{logging("b", memory.New())}, "Options.Tail reads another store"},
		"two tails":           {httpapi.Options{}, []*resource.Collection{orders, logging("b", memory.New())}, "/api/changes"},
		"stores of one value": {httpapi.Options{Tail: tail}, []*resource.Collection{logging("a", valued{Store: store}), logging("b", valued{Store: store})}, "Options.Tail reads another store"},
	} {
		api, err := httpapi.NewAPI(hooks, &tc.opts, tc.collections...)
		if !strings.HasPrefix(tc.want, "/") {
			assert.ErrorContains(t, err, tc.want, name)
			continue
		}
		require.NoError(t, err, name)
		for path, want := range map[string]int{tc.want: 200, tc.want + "/": 404, tc.want + "/x": 404, "/%61pi/changes": 404, everyByteOf(tc.want): 200} {
			if tc.want == "/api/changes" && path == "/%61pi/changes" {
				want = 200
			}
			m := get("")
			m.target = path + "?schema=" + tc.collections[0].Schema().Name()
			for _, h := range []http.Handler{api, mounted(api)} {
				if got := serve(t, h, m); want == 200 {
					assert.Equal(t, want, got.status, "%s: %s", name, path)
				} else {
					assert.NotEqual(t, 200, got.status, "%s: %s", name, path)
				}
			}
		}
	}
	// Nothing is logged: there is no such route, and its path need not be right.
	quiet, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	api, err := httpapi.NewAPI(hooks, &httpapi.Options{ChangesPath: "x"}, quiet)
	require.NoError(t, err)
	assert.Len(t, api.Routes(), 11)
	assert.Equal(t, 404, serve(t, api, changesOf("")).status)
}

// valued is a store that cannot be compared.
type valued struct {
	storage.Store
	_ []int
}

// everyByteOf encodes every byte of a path but the slashes.
func everyByteOf(path string) string {
	segments := strings.Split(path, "/")
	for i := range segments {
		segments[i] = everyByte(segments[i])
	}
	return strings.Join(segments, "/")
}

// TestRequireCompleteIsAboutPost: a PATCH is partial by its nature.
func TestRequireCompleteIsAboutPost(t *testing.T) {
	s := newService(t, &httpapi.Options{RequireComplete: true})
	require.Equal(t, 200, s.direct(t, post("", customer("c-1", ""))).status)
	assert.Equal(t, 400, s.direct(t, post("", `{"data":{"customerId":"c-1","phone":"1"}}`)).status)
	assert.Equal(t, 400, s.direct(t, post("", `{"data":{"customerId":"c-1","phone":"1"}}`, "If-Match: *")).status)
	assert.Equal(t, 200, s.direct(t, get("c-1").as("PATCH", `{"data":{"phone":"1"}}`)).status)
}

// TestMaxBodyOfAPatch: the limit is for every body.
func TestMaxBodyOfAPatch(t *testing.T) {
	s := newService(t, &httpapi.Options{MaxBody: 200})
	require.Equal(t, 200, s.direct(t, post("", customer("c-1", ""))).status)
	assert.Equal(t, 413, s.direct(t, get("c-1").as("PATCH", `{"data":{"phone":"`+strings.Repeat("1", 200)+`"}}`)).status)
	assert.Equal(t, 413, s.direct(t, get("c-1", "Content-Type: application/merge-patch+json").as("PATCH", `{"phone":"`+strings.Repeat("1", 200)+`"}`)).status)
}

// TestShapeOfEveryAnswer: Options.Shape is for all of them.
func TestShapeOfEveryAnswer(t *testing.T) {
	s := newService(t, &httpapi.Options{Shape: resource.ShapeOptions{OmitDeprecated: true}})
	for _, m := range []message{
		post("", customer("c-1", "")), get("c-1"), get("c-1").as("PATCH", `{"data":{"phone":"1"}}`), list(""), get("c-1").as("DELETE", ""),
	} {
		a := s.direct(t, m)
		require.Equal(t, 200, a.status)
		assert.NotContains(t, a.body, "_id", m.method)
		assert.Contains(t, a.body, "platformId", m.method)
	}
}

// TestLife takes a resource of each schema through its life.
func TestLife(t *testing.T) {
	s := newService(t, nil)
	for name, tc := range map[string]struct{ id, full, patch string }{
		"customers":    {"customerId", `"firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"`, `"phone":"1"`},
		"locations":    {"locationId", `"name":"n","address":"a","city":"c","state":"s","zipCode":"z"`, `"address2":"1"`},
		"transactions": {"transactionId", `"transactionDate":"2024-01-02T03:04:05Z","transactionTotal":1.0`, `"customerId":"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/api/resources/" + name
			send := func(method, rest, body string, header ...string) answer {
				return s.direct(t, message{method: method, target: path + rest, body: body, header: append([]string{"Authorization: Bearer acme"}, header...)})
			}
			id := fmt.Sprintf(`{"data":{%q:"x/1",`, tc.id)
			created := send("POST", "", id+tc.full+"}}", "If-None-Match: *")
			require.Equal(t, 200, created.status, created.body)
			tag := created.header.Get("ETag")
			assert.Equal(t, 304, send("GET", "/x%2F1", "", "If-None-Match: "+tag).status)
			patched := send("PATCH", "/x%2F1", `{"data":{`+tc.patch+"}}", "If-Match: "+tag)
			require.Equal(t, 200, patched.status, patched.body)
			assert.Contains(t, patched.body, tc.patch)
			assert.Equal(t, 412, send("DELETE", "/x%2F1", "", "If-Match: "+tag).status)
			assert.Len(t, parseList(t, send("GET", "", "")).Data.Results, 1)
			deleted := send("DELETE", "/x%2F1", "", "If-Match: "+patched.header.Get("ETag"))
			require.Equal(t, 200, deleted.status)
			assert.Equal(t, strings.Replace(patched.body, "updated", "deleted", 1), deleted.body)
			assert.Equal(t, 404, send("GET", "/x%2F1", "").status)
			assert.Empty(t, parseList(t, send("GET", "", "")).Data.Results)
		})
	}
	assert.Empty(t, s.records(t))
}

// TestCursorOfAnotherSchema: a cursor is for its own list.
func TestCursorOfAnotherSchema(t *testing.T) {
	s := newService(t, nil)
	for _, id := range []string{"a", "b"} {
		s.put(t, acme, `{"customerId":"`+id+`","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	}
	cursor := *parseList(t, s.direct(t, list("?limit=1"))).Data.Pagination.Cursor
	m := list("")
	m.target = "/api/resources/locations?cursor=" + cursor
	assert.Equal(t, 400, s.direct(t, m).status)
}

// TestContextReachesTheStore: each operation hands the request's context on.
func TestContextReachesTheStore(t *testing.T) {
	s := newService(t, nil)
	s.put(t, acme, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, m := range []message{
		post("", customer("c-1", "")), get("c-1"), get("c-1").as("PATCH", `{"data":{}}`), list(""), get("c-1").as("DELETE", ""),
		get("c-1", `If-Match: "x"`).as("DELETE", ""), post("", customer("c-1", ""), "If-Match: *"),
	} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(m.bytes())))
		require.NoError(t, err)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r.WithContext(ctx))
		assert.Equal(t, 503, w.Code, "%s %s: %s", m.method, m.target, w.Body)
		assert.Contains(t, w.Body.String(), "cancelled; nothing was changed")
	}
	_, err := s.store.Get(context.Background(), storage.Key{Tenant: acme, Schema: schema.Customers().ID(), ExternalID: "c-1"})
	assert.NoError(t, err)
}
