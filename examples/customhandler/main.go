// Command customhandler puts the kit of resource/httpapi behind a handler of the
// service's own: another path, another envelope, the tenant from the path, and
// 409 for a customer that exists already.
//
//	go run ./examples/customhandler
//	curl -s 127.0.0.1:8081/v2/acme/customers -H 'Content-Type: application/json' -d '{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}'
package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func main() {
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "127.0.0.1:8081", Handler: routes(customers), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("POST customers to http://%s/v2/{tenant}/customers", server.Addr)
	log.Fatal(server.ListenAndServe())
}

func routes(customers *resource.Collection) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /v2/{tenant}/customers", createCustomer(customers))
	return mux
}

// answer is this service's own envelope.
type answer struct {
	Status   string            `json:"status"`
	Customer json.RawMessage   `json:"customer,omitempty"`
	Changed  []string          `json:"changed,omitempty"`
	Error    string            `json:"error,omitempty"`
	Details  []string          `json:"details,omitempty"`
	Fields   map[string]string `json:"fields,omitempty"` // by JSON Pointer
}

func createCustomer(customers *resource.Collection) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		res, err := create(customers, w, r)
		if err != nil {
			fail(w, err)
			return
		}
		status := http.StatusOK
		if res.Outcome == resource.Created {
			status = http.StatusCreated
		}
		reply(w, status, answer{
			Status:   res.Outcome.String(),
			Customer: res.AppendJSON(nil, &resource.ShapeOptions{OmitDeprecated: true}),
			Changed:  res.Changed(),
		})
	}
}

// create does the work with the kit: the query's policies, the body within its
// limits, and the one operation.
func create(customers *resource.Collection, w http.ResponseWriter, r *http.Request) (*resource.Result, error) {
	opts, err := httpapi.ParseCreateOptions(r)
	if err != nil {
		return nil, err
	}
	data, err := httpapi.ReadData(w, r, 64<<10)
	if err != nil {
		return nil, err
	}
	// A service looks the tenant up, and whether the caller may act for it.
	tenant := storage.TenantOf("my-platform", r.PathValue("tenant"))
	return customers.Create(r.Context(), tenant, data, &opts)
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
			a.Fields[v.Pointer] = v.Message
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
