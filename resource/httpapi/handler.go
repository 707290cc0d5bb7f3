package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

// DefaultPrefix is where the ready handler's routes begin unless [Options] say
// otherwise.
const DefaultPrefix = "/api/resources/"

// Options are the optional parts of an [API]. A nil *Options is the zero value.
type Options struct {
	// Prefix is the path before a schema's name, clean, with a slash at both
	// ends and nothing in it to escape; "/api/resources/" when empty.
	Prefix string
	// MaxBody is how many bytes a request body may have; 1 MiB when 0 or less.
	// Working on a body can take up to a hundred times its size in memory, when it
	// is made of as many values as fit in. The API works on few large ones at a
	// time, see MaxInFlight.
	MaxBody int64
	// MaxInFlight is how many bytes the bodies and answers of more than 16 KiB may
	// have that wait for their clients, and again how many may be in use to work on
	// such bodies and to make such answers; DefaultMaxInFlight, 64 MiB, when 0 or
	// less. Requests that find no room wait, small ones before large ones, and
	// while any does, clients that have taken or sent nothing for half a second are
	// cut. One that has waited for twice StallTimeout is answered with 503.
	//
	// Small requests never wait for large ones. A service bounds their number by
	// that of its connections.
	MaxInFlight int64
	// StallTimeout is how long a client may take to send or to receive 64 KiB, or
	// what is left; DefaultStallTimeout, 10 seconds, when 0 or less. Then its
	// connection is closed, with a 408 for a body that is not there. The server's
	// own ReadTimeout and WriteTimeout end an exchange earlier. Without support for
	// deadlines in the writer (see http.ResponseController) only they do.
	StallTimeout time.Duration
	// RequirePrecondition refuses writes without If-Match or If-None-Match with
	// 428 (RFC 6585, section 3), so that no client changes what it has not seen.
	// A client that means to says If-Match: *, or If-None-Match: "" for a POST
	// that may create or change.
	RequirePrecondition bool
	// RequireComplete wants every required field in each POST, as the
	// published request schema has it, also for a resource that exists. It is
	// not about PATCH.
	RequireComplete bool
	// Nulls says what a null in a POST or PATCH does, whatever its media type:
	// schema.DeleteNulls, as the contract has it, unless set. Clients that send null
	// for "not set" need schema.IgnoreNulls or schema.RejectNulls: a null that
	// deletes emailOptOut brings its default back, which is false.
	Nulls schema.Nulls
	// Shape chooses the shape of resources; the full one when zero.
	Shape resource.ShapeOptions
	// OnError, if not nil, sees each error that is answered, with the status,
	// before it is. It is the only place where the cause of a 500 is seen. It also
	// sees an error for each damaged record that a list leaves out
	// (resource.Page.Damaged): with status 500, though the list is answered with 200.
	OnError func(r *http.Request, status int, err error)
}

// An API is the ready handler: the routes of one or more collections, and 404 in
// the shape of the contract for every other path. It is safe for concurrent use.
type API struct {
	hooks     Hooks
	opts      Options
	prefix    []string // the segments of Options.Prefix
	endpoints []*endpoint
	noRoute   http.HandlerFunc

	in, work room
	stall    time.Duration
}

// NewAPI returns the API of collections. opts may be nil.
//
// It returns an error when there is no collection or a nil one, when two have
// schemas of the same name (the case of letters does not count), when a hook is
// nil, when the prefix is no clean path with a slash at both ends and nothing in it
// to escape, or when Options.Nulls is none of the policies.
func NewAPI(hooks Hooks, opts *Options, collections ...*resource.Collection) (*API, error) {
	if len(collections) == 0 {
		return nil, errors.New("httpapi: an API without a collection")
	}
	if err := hooks.validate(); err != nil {
		return nil, err
	}
	a := &API{hooks: hooks}
	if opts != nil {
		a.opts = *opts
	}
	a.in.max = cmp.Or(max(a.opts.MaxInFlight, 0), DefaultMaxInFlight)
	a.work.max = a.in.max
	a.stall = cmp.Or(max(a.opts.StallTimeout, 0), DefaultStallTimeout)
	prefix := cmp.Or(a.opts.Prefix, DefaultPrefix)
	if path.Join("/", prefix, "x") != prefix+"x" || (&url.URL{Path: prefix}).EscapedPath() != prefix {
		return nil, errors.New("httpapi: Options.Prefix must be a clean path with a slash at both ends and nothing in it to escape")
	}
	a.prefix = strings.Split(strings.Trim(prefix, "/"), "/")
	if prefix == "/" {
		a.prefix = nil
	}
	switch a.opts.Nulls {
	case schema.DeleteNulls, schema.RejectNulls, schema.IgnoreNulls:
	default:
		return nil, errors.New("httpapi: Options.Nulls is none of the policies")
	}
	for _, c := range collections {
		if c == nil {
			return nil, errors.New("httpapi: an API without a collection: one of them is nil")
		}
		name := c.Schema().Name()
		if a.endpoint(name, strings.EqualFold) != nil {
			return nil, errors.New("httpapi: two collections with schemas of the name " + name)
		}
		a.endpoints = append(a.endpoints, newEndpoint(a, c, name, prefix+name))
	}
	a.noRoute = a.handle(nil)
	return a, nil
}

// A HandlerFunc is a handler that may return an error, which is then answered by
// [WriteError]. It must not have written anything by then.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP calls f.
func (f HandlerFunc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := f(w, r); err != nil {
		WriteError(w, err)
	}
}

// endpoint returns the endpoint of a name, nil if there is none.
func (a *API) endpoint(name string, same func(a, b string) bool) *endpoint {
	for _, e := range a.endpoints {
		if same(e.name, name) {
			return e
		}
	}
	return nil
}

// ServeHTTP finds the route itself, on the path as it was sent: a ServeMux would
// redirect or take apart paths in which an external id has slashes or dots. It
// sets r.Pattern and the path value externalId, for logs.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Pattern = ""
	rest := r.URL.EscapedPath()
	for _, want := range a.prefix {
		var segment string
		if segment, rest = firstSegment(rest); unescape(segment) != want {
			a.noRoute(w, r)
			return
		}
	}
	name, rest := firstSegment(rest)
	e := a.endpoint(unescape(name), func(a, b string) bool { return a == b })
	switch {
	case e == nil:
		a.noRoute(w, r)
	case rest == "":
		r.Pattern = e.path
		e.all(w, r)
	case strings.IndexByte(rest[1:], '/') < 0:
		e.serveOne(w, r, rest[1:])
	default:
		a.noRoute(w, r)
	}
}

// firstSegment takes the first segment off a path, which begins with a slash
// unless it is empty.
func firstSegment(path string) (segment, rest string) {
	path = strings.TrimPrefix(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// unescape returns the text of a path segment, or "", which no route has, for one
// that is not valid. Percent-encoded or not, it is the same segment (RFC 3986,
// section 6.2.2.2).
func unescape(segment string) string {
	text, err := url.PathUnescape(segment)
	if err != nil {
		return ""
	}
	return text
}
