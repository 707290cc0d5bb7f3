// Package handlers has the two ways of serving customers over HTTP that
// docs/http.md shows: the ready handler, and a handler of your own made of the same
// parts.
package handlers

import (
	"context"
	"log/slog"
	"net/http"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"
)

// NewHooks returns hooks that know callers by their tokens and tenants by their names.
func NewHooks(
	tokens map[string]httpapi.Principal, // who a token is for
	tenants map[string]storage.Tenant, // by their names
) httpapi.Hooks {
	return httpapi.Hooks{
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			p, ok := tokens[r.Header.Get("Authorization")]
			if !ok {
				return p, httpapi.ErrUnauthenticated // 401
			}
			return p, nil // confined to p.Tenant; to act for all, it must be Unconfined
		},
		ResolveTenant: func(_ context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
			if name == "" { // no header reach-tenant-id: the caller's own
				return p.Tenant, nil
			}
			return tenants[name], nil // an unknown one is the zero tenant: 404
		},
	}
}

// NewAPI returns the ready handler, with failures in the log.
func NewAPI(customers *resource.Collection, hooks httpapi.Hooks) (http.Handler, error) {
	return httpapi.NewAPI(hooks, &httpapi.Options{
		OnError: func(r *http.Request, status int, err error) { // clients are not told why
			if status >= http.StatusInternalServerError {
				slog.ErrorContext(r.Context(), "request failed", "status", status, "err", err)
			}
		},
	}, customers)
}

// CreateCustomer returns a handler of your own for POST.
func CreateCustomer(customers *resource.Collection, hooks httpapi.Hooks) http.Handler {
	return httpapi.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		tenant, err := hooks.Tenant(r)
		if err != nil {
			return err
		}
		data, opts, err := httpapi.ReadCreate(w, r, 64<<10) // body, query, If-Match, If-None-Match
		if err != nil {
			return err
		}
		res, err := customers.Create(r.Context(), tenant, data, &opts)
		if err != nil {
			return err // answered with 400 and all violations, 412, 503 when the store is away, ...
		}
		httpapi.WriteCreate(w, res, nil)
		return nil
	})
}
