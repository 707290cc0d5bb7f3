package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// TenantHeader names the header by which a caller chooses the tenant to act for.
const TenantHeader = "reach-tenant-id"

var tenantHeader = http.CanonicalHeaderKey(TenantHeader)

// A Principal is who is calling.
type Principal struct {
	// Subject is the service's own name for the caller. The package only passes it
	// on, to ResolveTenant and by PrincipalFrom.
	Subject string
	// Tenant is what the caller is confined to: one business of a platform when
	// both parts are set, one platform when only that part is. A caller with a
	// business and no platform may act for no tenant.
	Tenant storage.Tenant
	// Unconfined lets a caller whose Tenant is zero act for every tenant; with a
	// Tenant it has no effect. A caller with neither may act for none.
	Unconfined bool
}

// mayActFor reports whether the tenant is within what the caller is confined to.
func (p Principal) mayActFor(tenant storage.Tenant) bool {
	switch {
	case p.Tenant == storage.Tenant{}:
		return p.Unconfined
	case p.Tenant.Business == uuid.Nil:
		return p.Tenant.Platform == tenant.Platform
	}
	return p.Tenant == tenant
}

// Hooks are the questions about a request that the service answers. Both are required,
// and both are called from many goroutines.
type Hooks struct {
	// Authenticate returns who is calling. An error is answered with 401, with two
	// exceptions: a *Problem is answered as it is (a 403, for instance), and
	// storage.ErrUnavailable and the errors of contexts are a 503. Wrap
	// storage.ErrUnavailable when the service that knows the tokens is down. The
	// text of an error goes to Options.OnError and never to the client.
	Authenticate func(*http.Request) (Principal, error)
	// ResolveTenant returns the tenant that the principal means by name, the header
	// reach-tenant-id, which is "" if absent or empty. It returns ErrUnknownTenant if
	// there is no such tenant or the principal may not act for it; a tenant that is
	// not valid counts as that. Other errors are answered as by WriteError: a
	// *Problem as it is, such as a 400 that asks for the header.
	ResolveTenant func(ctx context.Context, p Principal, name string) (storage.Tenant, error)
}

type principalKey struct{}

// PrincipalFrom returns who is calling, for stores, logs and metrics: from the context
// of a request after [Hooks.Tenant], which the ready handler calls first. ok is false if
// no caller was authenticated.
func PrincipalFrom(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Tenant returns the tenant that the request is for, by both hooks, and puts the
// principal into the context of r, see [PrincipalFrom]. A
// principal gets [ErrUnknownTenant] for a tenant outside of its own, also if ResolveTenant
// returns it, as for one that does not exist. A header that is given twice is a [*Problem] with status 400.
func (h Hooks) Tenant(r *http.Request) (storage.Tenant, error) {
	if err := h.validate(); err != nil {
		return storage.Tenant{}, err
	}
	p, err := h.Authenticate(r)
	if err != nil {
		var problem *Problem
		switch {
		case errors.Is(err, ErrUnauthenticated):
		case errors.As(err, &problem), errors.Is(err, storage.ErrUnavailable),
			errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		default:
			err = fmt.Errorf("%w: %w", ErrUnauthenticated, err)
		}
		return storage.Tenant{}, err
	}
	*r = *r.WithContext(context.WithValue(r.Context(), principalKey{}, p))
	names := r.Header[tenantHeader]
	if len(names) > 1 {
		return storage.Tenant{}, badRequest("the header " + TenantHeader + " is given more than once")
	}
	name := ""
	if len(names) == 1 {
		name = names[0]
	}
	tenant, err := h.ResolveTenant(r.Context(), p, name)
	if errors.Is(err, storage.ErrNotFound) {
		// From a service that keeps its tenants in a store of this kind:
		// the answer must not differ from that for a foreign tenant.
		err = ErrUnknownTenant
	}
	if err == nil {
		// A tenant without its ids belongs to no principal, even one that may act for all.
		if err = tenant.Validate(); err != nil {
			err = fmt.Errorf("%w: %w", ErrUnknownTenant, err)
		}
	}
	if err != nil {
		return storage.Tenant{}, err
	}
	if !p.mayActFor(tenant) {
		return storage.Tenant{}, ErrUnknownTenant
	}
	return tenant, nil
}

func (h Hooks) validate() error {
	if h.Authenticate == nil || h.ResolveTenant == nil {
		return errors.New("httpapi: Hooks need both Authenticate and ResolveTenant")
	}
	return nil
}
