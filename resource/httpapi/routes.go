package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"example.com/resourcekit/resource"
)

// A Route is one row of an API's table of routes.
type Route struct {
	// Method is the request method, or "" for every method that no other row
	// has for the pattern: those are answered with 405.
	Method string
	// Pattern is the path as a pattern of [http.ServeMux], without a method:
	// "/api/resources/customers/{externalId}".
	Pattern string
	// Handler answers. It takes the external id from the last segment of the
	// request's path as it was sent, so it works with any router: what the router
	// makes of escapes and path values does not count.
	Handler http.Handler
}

// String returns the pattern with its method, as [http.ServeMux.Handle] takes it.
func (r Route) String() string { return strings.TrimPrefix(r.Method+" "+r.Pattern, " ") }

// Routes returns the table of routes, for a service that mounts all or some of
// them on a router of its own:
//
//	for _, r := range api.Routes() {
//		mux.Handle(r.String(), r.Handler)
//	}
//
// The row without a method comes first for each pattern, for routers in which a
// later row replaces an earlier one.
func (a *API) Routes() []Route {
	var routes []Route
	for _, e := range a.endpoints {
		add := func(pattern string, handler http.HandlerFunc, methods []string) {
			for _, method := range append([]string{""}, methods...) {
				routes = append(routes, Route{method, pattern, handler})
			}
		}
		add(e.path, e.mountedAll, e.allMethods)
		add(e.onePath, e.mountedOne, e.oneMethods)
	}
	return routes
}

// An endpoint serves the routes of one collection.
type endpoint struct {
	api        *API
	collection *resource.Collection
	name       string // of the schema

	path, onePath          string // of the collection, and the pattern of one resource
	all, one               http.HandlerFunc
	allMethods, oneMethods []string
}

// batchSegment is the path segment under a collection that is kept free for batches. No
// resource has it, with or without percent-encoding.
const batchSegment = "batch"

// newEndpoint has the methods of one path. A new path also needs API.Routes, and
// API.ServeHTTP in handler.go.
func newEndpoint(a *API, c *resource.Collection, name, path string) *endpoint {
	e := &endpoint{api: a, collection: c, name: name, path: path, onePath: path + "/{" + pathValue + "}"}
	all := []action{
		{http.MethodGet, e.forTenant(e.list)}, {http.MethodHead, e.forTenant(e.list)}, {http.MethodPost, e.forTenant(e.create)},
	}
	one := []action{
		{http.MethodGet, e.forTenant(e.get)}, {http.MethodHead, e.forTenant(e.get)},
		{http.MethodPatch, e.forTenant(e.patch)}, {http.MethodDelete, e.forTenant(e.delete)},
	}
	all = append(all, action{http.MethodOptions, options(all)})
	one = append(one, action{http.MethodOptions, options(one)})
	e.all, e.allMethods = a.handle(all), methods(all)
	e.one, e.oneMethods = a.handle(one), methods(one)
	return e
}

// serveOne serves the path of one resource, whose last segment is given as it
// was sent.
func (e *endpoint) serveOne(w http.ResponseWriter, r *http.Request, segment string) {
	id := unescape(segment)
	if id == "" || segment == "." || segment == ".." || id == batchSegment {
		e.api.noRoute(w, r)
		return
	}
	if r.Pattern == "" {
		r.Pattern = e.onePath
	}
	r.SetPathValue(pathValue, id)
	e.one(w, r)
}

func (e *endpoint) mountedOne(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	e.serveOne(w, r, path[strings.LastIndexByte(path, '/')+1:])
}

func (e *endpoint) mountedAll(w http.ResponseWriter, r *http.Request) {
	if r.Pattern == "" {
		r.Pattern = e.path
	}
	e.all(w, r)
}

// A reply answers a request, or returns an error and has written nothing.
type reply func(x *exchange, r *http.Request) error

// An action is what a method does on a path.
type action struct {
	method string
	do     reply
}

func methods(actions []action) []string {
	names := make([]string, len(actions))
	for i, a := range actions {
		names[i] = a.method
	}
	return names
}

// options answers OPTIONS with the methods of a path (RFC 9110, section 9.3.7) and the
// media types of its PATCH (RFC 5789, section 3.1). Like a 405, it asks no hook.
func options(actions []action) reply {
	allow := append(methods(actions), http.MethodOptions)
	return func(x *exchange, _ *http.Request) error {
		x.Header().Set("Allow", strings.Join(allow, ", "))
		if slices.Contains(allow, http.MethodPatch) {
			x.Header().Set("Accept-Patch", acceptPatch)
		}
		x.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// handle serves a path by its actions; without any it is not a route.
func (a *API) handle(actions []action) http.HandlerFunc {
	other := &Problem{Status: http.StatusNotFound, Message: "no such route"}
	if len(actions) > 0 {
		allow := http.Header{"Allow": {strings.Join(methods(actions), ", ")}}
		other = &Problem{Status: http.StatusMethodNotAllowed, Message: "method not allowed", Header: allow}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		x := a.exchange(w, r)
		defer x.done()
		var err error = other
		for _, action := range actions {
			if action.method == r.Method {
				err = action.do(x, r)
				break
			}
		}
		if err == nil {
			return
		}
		a.tell(r, err)
		WriteError(x, err)
	}
}

// tell hands an error to Options.OnError.
func (a *API) tell(r *http.Request, err error) {
	if a.opts.OnError != nil {
		a.opts.OnError(r, ProblemOf(err).Status, err)
	}
}
