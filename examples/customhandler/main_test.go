package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const ada = `{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}`

// The life of a customer.
func Example() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(routes(customers))
	defer server.Close()

	send := func(method, target, body string, header ...string) (tag string) {
		res, answer := do(server.URL+"/v2/acme/customers"+target, method, body, header...)
		// The ids and times of each run are its own.
		answer = regexp.MustCompile(`\{"id":[^{]*"data":`).ReplaceAllString(answer, `{...,"data":`)
		fmt.Println(strings.TrimSpace(fmt.Sprint(method, " ", res.StatusCode, " ", answer)))
		return res.Header.Get("ETag")
	}
	first := send("POST", "", ada)
	send("POST", "?onconflict=reject", ada)
	send("POST", "", `{"data":{"customerId":"c-1","firstName":null,"emial":"a@example.com"}}`)
	send("POST", "", `{"customerId":"c-1"}`)
	send("GET", "/c-1", "", "If-None-Match", first)
	second := send("PATCH", "/c-1", `{"data":{"email":"ada@example.com"}}`, "If-Match", first)
	send("PATCH", "/c-1", `{"data":{"email":null}}`, "If-Match", first)
	send("GET", "?filter[email]=ada@example.com&limit=1", "")
	send("DELETE", "/c-1", "", "If-Match", second)
	send("GET", "/c-1", "")
	send("GET", "", "")
	// Output:
	// POST 201 {"status":"created","customer":{...,"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true}},"changed":["/customerId","/firstName","/lastName","/createdAt","/emailOptOut","/smsOptOut"]}
	// POST 409 {"status":"failed","error":"a resource with this customerId exists already"}
	// POST 400 {"status":"failed","error":"the data is not valid","fields":{"/emial":"unknown field, did you mean \"email\"?","/firstName":"required, cannot be null"}}
	// POST 400 {"status":"failed","error":"the request body is not valid: found no member \"data\", expected a JSON object with the member \"data\""}
	// GET 304
	// PATCH 200 {"status":"updated","customer":{...,"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true,"email":"ada@example.com"}},"changed":["/email"]}
	// PATCH 412 {"status":"failed","error":"precondition failed: the resource is not in the state that the request demands"}
	// GET 200 {"status":"listed","customers":[{...,"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true,"email":"ada@example.com"}}]}
	// DELETE 204
	// GET 404 {"status":"failed","error":"resource not found"}
	// GET 200 {"status":"listed","customers":[]}
}

func do(target, method, body string, header ...string) (*http.Response, string) {
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		panic(err)
	}
	return res, string(answer)
}

// TestExternalIDs: whatever chi makes of a path, an id is the one that was sent.
func TestExternalIDs(t *testing.T) {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	server := httptest.NewServer(routes(customers))
	defer server.Close()
	at := server.URL + "/v2/acme/customers"
	for path, id := range map[string]string{
		"/a%2Fb": "a/b", "/a%252Fb": "a%2Fb", "/a%20b": "a b", "/100%25": "100%", "/%C3%A9": "é", "/é": "é", "/a+b": "a+b", "/%63-1": "c-1",
		"/%2F": "/", "/-": "-", "/-?externalId=..": "..", "/%2D?externalId=a%2Fb%25": "a/b%", "/a%2F%25": "a/%", "/batch": "batch",
	} {
		res, answer := do(at, "POST", strings.Replace(ada, "c-1", id, 1))
		require.Equal(t, 201, res.StatusCode, answer)
		res, answer = do(at+path, "GET", "")
		require.Equal(t, 200, res.StatusCode, path)
		assert.Contains(t, answer, `"resourceExternalId":"`+id+`"`, path)
		res, _ = do(at+path, "PATCH", `{"data":{"phone":"555-0100"}}`)
		assert.Equal(t, 200, res.StatusCode, path)
		res, _ = do(at+path, "DELETE", "")
		assert.Equal(t, 204, res.StatusCode, path)
	}
	_, answer := do(at, "GET", "")
	assert.JSONEq(t, `{"status":"listed","customers":[]}`, answer)
}

// TestTenants: a tenant is the one that was sent, whatever else is in the path.
func TestTenants(t *testing.T) {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	server := httptest.NewServer(routes(customers))
	defer server.Close()
	post := func(tenant string) int {
		res, _ := do(server.URL+"/v2/"+tenant+"/customers", "POST", strings.Replace(ada, "c-1", "a/b", 1))
		return res.StatusCode
	}
	get := func(tenant, id string) int {
		res, _ := do(server.URL+"/v2/"+tenant+"/customers/"+id, "GET", "")
		return res.StatusCode
	}
	require.Equal(t, 201, post("a%2520b")) // of the tenant "a%20b"
	for _, id := range []string{"a%2Fb", "-?externalId=a/b"} {
		assert.Equal(t, 200, get("a%2520b", id))
		assert.Equal(t, 404, get("a%20b", id), "another tenant")
	}
	require.Equal(t, 201, post("a%20b"))
	require.Equal(t, 201, post("acm%65"))
	for _, id := range []string{"a%2Fb", "-?externalId=a/b"} {
		assert.Equal(t, 200, get("a%20b", id))
		assert.Equal(t, 200, get("acme", id))
	}
	assert.Equal(t, 404, post(""), "no tenant")
}

// TestReadyRoutesBehindChi: the ready routes on chi answer as the API itself.
func TestReadyRoutesBehindChi(t *testing.T) {
	router := chi.NewRouter()
	for _, r := range readyAPI(t).Routes() {
		if r.Method == "" {
			router.Handle(r.Pattern, r.Handler)
		} else {
			router.Method(r.Method, r.Pattern, r.Handler)
		}
	}
	direct, behind := httptest.NewServer(readyAPI(t)), httptest.NewServer(router)
	defer direct.Close()
	defer behind.Close()
	const path = httpapi.DefaultPrefix + "customers"
	for _, step := range []struct{ method, target, body string }{
		{"POST", "", ada}, {"POST", "", strings.Replace(ada, "c-1", "a/b", 1)}, {"POST", "", strings.Replace(ada, "c-1", "a%2Fb", 1)},
		{"GET", "/c-1", ""}, {"HEAD", "/c-1", ""}, {"GET", "/a%2Fb", ""}, {"GET", "/a%252Fb", ""}, {"GET", "/%2F", ""}, {"GET", "/-?externalId=a%2Fb", ""},
		{"PATCH", "/a%2Fb", `{"data":{"phone":"1"}}`}, {"PATCH", "/none", `{"data":{}}`}, {"GET", "/batch", ""}, {"DELETE", "/batch", ""},
		{"GET", "?limit=1", ""}, {"HEAD", "", ""}, {"OPTIONS", "", ""}, {"OPTIONS", "/c-1", ""}, {"PUT", "", "{}"}, {"POST", "/c-1", "{}"},
		{"DELETE", "/a%2Fb", ""}, {"GET", "/a%252Fb", ""}, {"GET", "/a%2Fb", ""},
	} {
		want, wantBody := do(direct.URL+path+step.target, step.method, step.body)
		got, gotBody := do(behind.URL+path+step.target, step.method, step.body)
		assert.Equal(t, want.StatusCode, got.StatusCode, "%s %s", step.method, step.target)
		assert.Equal(t, want.Header.Get("Allow"), got.Header.Get("Allow"), "%s %s", step.method, step.target)
		assert.Equal(t, withoutRun(wantBody), withoutRun(gotBody), "%s %s", step.method, step.target)
	}
}

// readyAPI is the ready handler over an empty store.
func readyAPI(t *testing.T) *httpapi.API {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	api, err := httpapi.NewAPI(httpapi.Hooks{
		Authenticate: func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{Unconfined: true}, nil },
		ResolveTenant: func(context.Context, httpapi.Principal, string) (storage.Tenant, error) {
			return storage.TenantOf("my-platform", "acme"), nil
		},
	}, nil, customers)
	require.NoError(t, err)
	return api
}

// withoutRun leaves out the ids and times of a run.
func withoutRun(body string) string {
	return regexp.MustCompile(`"(id|createdAt|created_at|updatedAt|updated_at)":"[^"]*",`).ReplaceAllString(body, "")
}
