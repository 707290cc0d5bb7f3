package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
)

// A Route is one row of an API's table of routes.
type Route struct {
	// Method is the request method, or "" for every method that no other row
	// has for the pattern: those are answered with 405.
	Method string
	// Pattern is the path as a pattern of [http.ServeMux], without a method:
	// "/api/resources/customers/{externalId}".
	Pattern string
	// Handler answers. It takes the external id from the last segment of the request's
	// path as it was sent, for a history from the one before, so it works with any
	// router: what the router makes of escapes and path values does not count.
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
	add := func(p place, handler http.HandlerFunc) {
		for _, method := range append([]string{""}, p.methods...) {
			routes = append(routes, Route{method, p.pattern, handler})
		}
	}
	for _, e := range a.endpoints {
		add(e.all, e.all.serve)
		add(e.one, func(w http.ResponseWriter, r *http.Request) {
			_, segment := lastSegment(r.URL.EscapedPath())
			e.serve(e.one, segment, w, r)
		})
		if e.tail != nil {
			add(e.history, func(w http.ResponseWriter, r *http.Request) {
				path, _ := lastSegment(r.URL.EscapedPath())
				_, segment := lastSegment(path)
				e.serve(e.history, segment, w, r)
			})
		}
	}
	if a.changes.handler != nil {
		add(a.changes, a.changes.serve)
	}
	return routes
}

// lastSegment splits the last segment off a path.
func lastSegment(path string) (before, segment string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 0)], path[i+1:]
}

// A place is a path with all of its methods.
type place struct {
	pattern string // of http.ServeMux, without a method
	handler http.HandlerFunc
	methods []string
}

// place returns the place of a pattern; OPTIONS is added to its actions.
func (a *API) place(pattern string, actions ...action) place {
	actions = append(actions, action{http.MethodOptions, options(actions)})
	return place{pattern, a.handle(actions), methods(actions)}
}

func (p place) serve(w http.ResponseWriter, r *http.Request) {
	if r.Pattern == "" {
		r.Pattern = p.pattern
	}
	p.handler(w, r)
}

// An endpoint serves the routes of one collection.
type endpoint struct {
	api        *API
	collection *resource.Collection
	name       string        // of the schema
	tail       *changes.Tail // of the log that the collection writes; nil if it writes none

	all, one, history place
}

const (
	// batchSegment is the path segment under a collection that is kept free for batches.
	// No resource has it, with or without percent-encoding.
	batchSegment = "batch"
	// historySegment is the last one of the path of a history.
	historySegment = "history"
)

// newEndpoint has the methods of each path. A new path also needs API.Routes, and
// API.ServeHTTP in handler.go.
func newEndpoint(a *API, c *resource.Collection, name, path string, tail *changes.Tail) *endpoint {
	e := &endpoint{api: a, collection: c, name: name, tail: tail}
	one := path + "/{" + pathValue + "}"
	e.all = a.place(path,
		action{http.MethodGet, a.forTenant(e.list)}, action{http.MethodHead, a.forTenant(e.list)},
		action{http.MethodPost, a.forTenant(e.create)})
	e.one = a.place(one,
		action{http.MethodGet, a.forTenant(e.get)}, action{http.MethodHead, a.forTenant(e.get)},
		action{http.MethodPatch, a.forTenant(e.patch)}, action{http.MethodDelete, a.forTenant(e.delete)})
	e.history = a.place(one+"/"+historySegment,
		action{http.MethodGet, a.forTenant(e.changesOf)}, action{http.MethodHead, a.forTenant(e.changesOf)})
	return e
}

// serve serves a place with an external id, whose segment is given as it was sent.
func (e *endpoint) serve(p place, segment string, w http.ResponseWriter, r *http.Request) {
	id := unescape(segment)
	if id == "" || segment == "." || segment == ".." || id == batchSegment {
		e.api.noRoute(w, r)
		return
	}
	r.SetPathValue(pathValue, id)
	p.serve(w, r)
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
