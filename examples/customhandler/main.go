// Command customhandler uses the functions of resource/httpapi in handlers of its own:
// the router chi, other paths, another envelope, the tenant from the path, 201 for a new
// customer and 409 for one that exists already.
//
//	go run ./examples/customhandler
//	curl -si 127.0.0.1:8081/v2/acme/customers -H 'Content-Type: application/json' -d '{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}'
//	curl -si 127.0.0.1:8081/v2/acme/customers/c-1
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/url"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/go-chi/chi/v5"
)

func main() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr:    "127.0.0.1:8081",
		Handler: routes(customers),
		// The ready handler cuts clients that stall; in a handler of one's own only
		// these do.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
	}
	log.Printf("customers at http://%s/v2/{tenant}/customers", server.Addr)
	log.Fatal(server.ListenAndServe())
}

func routes(customers *resource.Collection) http.Handler {
	s := service{customers}
	r := chi.NewRouter()
	r.Route("/v2/{tenant}/customers", func(r chi.Router) {
		r.Post("/", s.serve(s.create))
		r.Get("/", s.serve(s.list))
		r.Get("/{externalId}", s.serve(s.get))
		r.Patch("/{externalId}", s.serve(s.patch))
		r.Delete("/{externalId}", s.serve(s.delete))
	})
	return r
}

// answer is this service's own envelope.
type answer struct {
	Status    string            `json:"status"`
	Customer  json.RawMessage   `json:"customer,omitempty"`
	Customers []json.RawMessage `json:"customers,omitzero"`
	Next      string            `json:"next,omitempty"` // the cursor of the next page
	Changed   []string          `json:"changed,omitempty"`
	Removed   []string          `json:"removed,omitempty"`
	Error     string            `json:"error,omitempty"`
	Details   []string          `json:"details,omitempty"`
	Fields    map[string]string `json:"fields,omitempty"` // by JSON Pointer
}

type service struct{ customers *resource.Collection }

// An operation answers a request of a tenant, or returns an error and has written
// nothing.
type operation func(w http.ResponseWriter, r *http.Request, tenant storage.Tenant) error

// serve finds out for which tenant an operation is, and answers its errors.
func (s service) serve(do operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// A service looks the tenant up, and whether the caller may act for it.
		tenant := storage.TenantOf("my-platform", parameter(r, "tenant"))
		err := tenant.Validate()
		if err != nil {
			err = httpapi.ErrUnknownTenant
		} else {
			err = do(w, r, tenant)
		}
		if err != nil {
			fail(w, err)
		}
	}
}

// create does its work with the kit: the query's policies, the preconditions, the
// body within its limits, and the one operation.
func (s service) create(w http.ResponseWriter, r *http.Request, tenant storage.Tenant) error {
	data, opts, err := httpapi.ReadCreate(w, r, 64<<10)
	if err != nil {
		return err
	}
	result, err := s.customers.Create(r.Context(), tenant, data, &opts)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if result.Outcome == resource.Created {
		status = http.StatusCreated
	}
	replyChange(w, status, result)
	return nil
}

func (s service) get(w http.ResponseWriter, r *http.Request, tenant storage.Tenant) error {
	id, err := httpapi.ReadGet(withID(r))
	if err != nil {
		return err
	}
	customer, err := s.customers.Get(r.Context(), tenant, id)
	if err != nil {
		return err
	}
	modified, err := httpapi.Modified(r, customer)
	if err != nil {
		return err
	}
	if !modified {
		httpapi.WriteNotModified(w, customer)
		return nil
	}
	w.Header().Set("ETag", httpapi.ETag(customer))
	reply(w, http.StatusOK, answer{Status: "found", Customer: shape(customer)})
	return nil
}

func (s service) patch(w http.ResponseWriter, r *http.Request, tenant storage.Tenant) error {
	id, patch, opts, err := httpapi.ReadPatch(w, withID(r), 64<<10)
	if err != nil {
		return err
	}
	result, err := s.customers.Patch(r.Context(), tenant, id, patch, &opts)
	if err != nil {
		return err
	}
	replyChange(w, http.StatusOK, result)
	return nil
}

func (s service) delete(w http.ResponseWriter, r *http.Request, tenant storage.Tenant) error {
	id, opts, err := httpapi.ReadDelete(withID(r))
	if err != nil {
		return err
	}
	if _, err := s.customers.Delete(r.Context(), tenant, id, &opts); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent) // this service's clients know what they delete
	return nil
}

func (s service) list(w http.ResponseWriter, r *http.Request, tenant storage.Tenant) error {
	opts, err := httpapi.ReadList(r, s.customers.Schema())
	if err != nil {
		return err
	}
	opts.AllowScan = true // some thousand customers need no index on what they are found by
	page, err := s.customers.List(r.Context(), tenant, &opts)
	if err != nil {
		return err
	}
	for _, damaged := range page.Damaged { // left out of the page
		log.Print(damaged)
	}
	a := answer{Status: "listed", Customers: []json.RawMessage{}, Next: page.Next}
	for _, customer := range page.Resources {
		a.Customers = append(a.Customers, shape(customer))
	}
	reply(w, http.StatusOK, a)
	return nil
}

// parameter returns a parameter of the path. chi matches the path as it was sent
// when it has escapes that Go would not make, a%2Fb for one, and hands all of its
// parts on as they are: a tenant taken like that is another one.
func parameter(r *http.Request, name string) string {
	text := chi.URLParam(r, name)
	if r.URL.RawPath != "" {
		text, _ = url.PathUnescape(text) // the server refuses a path that is not valid
	}
	return text
}

// withID returns the request with the external id in the path where the kit looks for
// it.
func withID(r *http.Request) *http.Request {
	r.SetPathValue("externalId", parameter(r, "externalId"))
	return r
}

func shape(customer *resource.Resource) json.RawMessage {
	return customer.AppendJSON(nil, &resource.ShapeOptions{OmitDeprecated: true})
}

func replyChange(w http.ResponseWriter, status int, result *resource.Result) {
	w.Header().Set("ETag", httpapi.ETag(&result.Resource))
	reply(w, status, answer{
		Status:   string(result.Outcome),
		Customer: shape(&result.Resource),
		Changed:  result.Changed(),
		Removed:  result.Removed(),
	})
}

// fail answers with the kit's reading of the error, except where this service
// wants something else.
func fail(w http.ResponseWriter, err error) {
	problem := httpapi.ProblemOf(err)
	a := answer{Status: "failed", Error: problem.Message, Details: problem.Errors}
	if errors.Is(err, resource.ErrExists) {
		problem.Status = http.StatusConflict
	}
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) {
		a.Details, a.Fields = nil, map[string]string{}
		for _, v := range invalid.Violations {
			a.Fields[string(v.Pointer)] = v.Message
		}
	}
	reply(w, problem.Status, a)
}

func reply(w http.ResponseWriter, status int, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // the customer goes out as it is stored
	// An error here means that the client is gone.
	_ = enc.Encode(a)
}
