// Package handlers holds the two ways of putting customers behind HTTP that the
// README shows: the ready handler, and the same parts in a handler of one's own.
package handlers

import (
	"context"
	"log/slog"
	"net/http"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"
)

// NewHooks answers the two questions that the library has about a request.
func NewHooks(tokens map[string]httpapi.Principal, tenants map[string]storage.Tenant) httpapi.Hooks {
	return httpapi.Hooks{
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			p, ok := tokens[r.Header.Get("Authorization")]
			if !ok {
				return p, httpapi.ErrUnauthenticated // 401
			}
			return p, nil // confined to p.Tenant; to act for all, it must be Unconfined
		},
		ResolveTenant: func(ctx context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
			if name == "" { // no header reach-tenant-id: the caller's own
				return p.Tenant, nil
			}
			return tenants[name], nil // an unknown one is the zero tenant: 404
		},
	}
}

// NewAPI returns the ready handler.
func NewAPI(customers *resource.Collection, hooks httpapi.Hooks) (http.Handler, error) {
	return httpapi.NewHandler(customers, hooks, &httpapi.Options{
		OnError: func(r *http.Request, status int, err error) { // clients are not told why
			if status >= http.StatusInternalServerError {
				slog.ErrorContext(r.Context(), "request failed", "status", status, "err", err)
			}
		},
	})
}

// CreateCustomer returns a handler made of the parts.
func CreateCustomer(customers *resource.Collection, hooks httpapi.Hooks) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tenant, err := hooks.Tenant(r)
		if err != nil {
			httpapi.WriteError(w, err)
			return
		}
		opts, err := httpapi.ParseCreateOptions(r) // ?onconflict=upsert|reject&ignoreUnknownFields=true|false
		if err != nil {
			httpapi.WriteError(w, err)
			return
		}
		data, err := httpapi.ReadData(w, r, 64<<10) // the member "data" of a JSON body of at most 64 KiB
		if err != nil {
			httpapi.WriteError(w, err)
			return
		}
		pre, err := httpapi.ParsePreconditions(r) // If-Match, If-None-Match
		if err != nil {
			httpapi.WriteError(w, err)
			return
		}
		res, err := pre.Create(r.Context(), customers, tenant, data, &opts)
		if err != nil {
			httpapi.WriteError(w, err) // 400 with all violations, 412, 503 when the store is away, ...
			return
		}
		httpapi.WriteResult(w, res, nil)
	}
}
