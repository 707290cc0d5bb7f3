package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// A service brings its store and two hooks, and gets the whole contract.
func ExampleNewAPI() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	handler, err := httpapi.NewAPI(httpapi.Hooks{
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			if r.Header.Get("Authorization") != "Bearer secret" {
				return httpapi.Principal{}, httpapi.ErrUnauthenticated
			}
			return httpapi.Principal{Tenant: storage.TenantOf("my-platform", "acme")}, nil
		},
		ResolveTenant: func(_ context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
			if name == "" {
				return p.Tenant, nil
			}
			return storage.TenantOf("my-platform", name), nil
		},
	}, nil, customers)
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(handler)
	defer server.Close()

	post := func(tenant, body string) {
		req, err := http.NewRequest("POST", server.URL+"/api/resources/customers", strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", "Bearer secret")
		req.Header.Set("Content-Type", "application/json")
		if tenant != "" {
			req.Header.Set(httpapi.TenantHeader, tenant)
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
		// The ids and times of each run are its own.
		answer = regexp.MustCompile(`"data":\{"id".*"data":`).ReplaceAll(answer, []byte(`"data":{...,"data":`))
		fmt.Printf("%d %s\n", res.StatusCode, answer)
	}
	post("", `{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}`)
	post("", `{"data":{"customerId":"c-1","emial":"ada@example.com"}}`)
	post("globex", `{"data":{"customerId":"c-1"}}`)
	// Output:
	// 200 {"success":true,"message":"resource created","data":{...,"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true}}}
	// 400 {"success":false,"message":"the data is not valid","errors":["/emial: unknown field, did you mean \"email\"?"]}
	// 404 {"success":false,"message":"tenant not found","data":{"error":"tenant not found"}}
}

// The routes one by one on a ServeMux: here all that only read.
func ExampleAPI_Routes() {
	store := memory.New()
	var collections []*resource.Collection
	for _, s := range []*schema.Schema{schema.Customers(), schema.Locations()} {
		c, err := resource.NewCollection(s, store, nil)
		if err != nil {
			panic(err)
		}
		collections = append(collections, c)
	}
	api, err := httpapi.NewAPI(hooks, nil, collections...)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	for _, r := range api.Routes() {
		if r.Method == http.MethodGet {
			mux.Handle(r.String(), r.Handler)
			fmt.Println(r)
		}
	}
	// Output:
	// GET /api/resources/customers
	// GET /api/resources/customers/{externalId}
	// GET /api/resources/locations
	// GET /api/resources/locations/{externalId}
}

// A handler of a service's own that reads, and one that writes only over what its
// client has read.
func ExampleParsePreconditions() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		panic(err)
	}
	tenant := storage.TenantOf("my-platform", "acme")
	ada := []byte(`{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}`)
	if _, err := customers.Create(context.Background(), tenant, ada, nil); err != nil {
		panic(err)
	}

	get := func(w http.ResponseWriter, r *http.Request) error {
		res, err := customers.Get(r.Context(), tenant, "c-1")
		if err != nil {
			return err
		}
		return httpapi.WriteGet(w, r, res, nil) // 304 by If-None-Match
	}
	patch := func(w http.ResponseWriter, r *http.Request) error {
		condition, err := httpapi.ParsePreconditions(r)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		result, err := customers.Patch(r.Context(), tenant, "c-1", body, &resource.WriteOptions{If: condition})
		if err != nil {
			return err
		}
		httpapi.WritePatch(w, result, nil)
		return nil
	}

	send := func(handler httpapi.HandlerFunc, body, header, tag string) string {
		r, w := httptest.NewRequest("", "/", strings.NewReader(body)), httptest.NewRecorder()
		if header != "" {
			r.Header.Set(header, tag)
		}
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
		return w.Header().Get("ETag")
	}
	first := send(get, "", "", "")
	send(get, "", "If-None-Match", first)
	second := send(patch, `{"phone":"555-0100"}`, "If-Match", first)
	send(patch, `{"phone":"555-0199"}`, "If-Match", first)
	send(patch, `{"phone":"555-0199"}`, "If-Match", second)
	// Output:
	// 200
	// 304
	// 200
	// 412
	// 200
}

// A service with an envelope of its own still has the reading of errors.
func ExampleProblemOf() {
	for _, err := range []error{
		fmt.Errorf("reading: %w", resource.ErrNotFound),
		fmt.Errorf("importing: %w", resource.ErrExists),
		schema.Customers().Validate([]byte(`{"customerId":"c-1","firstName":"Ada","lastName":7}`)),
		storage.ErrUnavailable,
		errors.New("dial tcp 10.0.0.7:5432: connection refused"),
	} {
		p := httpapi.ProblemOf(err)
		fmt.Println(p.Status, p.Message)
		for _, line := range p.Errors {
			fmt.Println("   ", line)
		}
	}
	// Output:
	// 404 resource not found
	// 400 the resource exists already
	// 400 the data is not valid
	//     /lastName: expected string, found number
	//     /createdAt: required, but missing
	// 503 temporarily unavailable
	// 500 internal error
}

// The parts of the kit in a handler of a service's own.
func ExampleReadCreate() {
	handler := httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		data, opts, err := httpapi.ReadCreate(w, r, 4<<10)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "reject: %v, if: %v, data: %s", opts.RejectExisting, opts.If, data)
		return nil
	})
	for _, request := range []struct{ query, body string }{
		{"?onconflict=reject", `{"data": {"customerId": "c-1"}}`},
		{"?onconflict=REJECT", `{"data": {"customerId": "c-1"}}`},
		{"", `{"customerId": "c-1"}`},
		{"", `{"data": {"customerId": "c-1"}, "data": {}}`},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", "/import"+request.query, strings.NewReader(request.body)))
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 reject: true, if: any, data: {"customerId": "c-1"}
	// 400 {"success":false,"message":"the query is not valid","errors":["onconflict: expected \"upsert\" or \"reject\", in lower case"]}
	// 400 {"success":false,"message":"the request body is not valid: found no member \"data\", expected a JSON object with the member \"data\""}
	// 400 {"success":false,"message":"the request is not strict JSON: duplicate member name at byte 32"}
}

// A handler of a service's own for changes: pages, or a stream that ends after an hour or
// when the server shuts down.
func ExampleStreamChanges() {
	store := memory.New()
	customers, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: true})
	if err != nil {
		panic(err)
	}
	tail := changes.NewTail(store, nil) // one for all streams
	stopping, stop := context.WithCancel(context.Background())
	handler := httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		tenant, err := hooks.Tenant(r)
		if err != nil {
			return err
		}
		opts, stream, err := httpapi.ReadChanges(r)
		if err != nil {
			return err
		}
		if stream {
			ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
			defer cancel()
			defer context.AfterFunc(stopping, cancel)()
			return httpapi.StreamChanges(w, r.WithContext(ctx), customers, tenant, &opts, tail)
		}
		page, err := customers.Changes(r.Context(), tenant, &opts)
		if err != nil {
			return err
		}
		httpapi.WriteChanges(w, page)
		return nil
	})
	server := httptest.NewUnstartedServer(handler)
	server.Config.RegisterOnShutdown(stop)
	server.Start()
	defer server.Close()

	ada := []byte(`{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}`)
	if _, err := customers.Create(context.Background(), acme, ada, nil); err != nil {
		panic(err)
	}
	req, err := http.NewRequest("GET", server.URL+"?after=start", nil)
	if err != nil {
		panic(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer acme"}, "Accept": {"text/event-stream"}}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "event: ") {
			fmt.Println(lines.Text())
			go server.Config.Shutdown(context.Background())
		}
	}
	fmt.Println("end:", lines.Err())
	// Output:
	// event: created
	// end: <nil>
}
