package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// Where the ready handler's routes are unless [Options] say otherwise: the beginning of
// those of collections, and the path of changes.
const (
	DefaultPrefix      = "/api/resources/"
	DefaultChangesPath = "/api/changes"
)

// Options are the optional parts of an [API]. A nil *Options is the zero value.
type Options struct {
	// Prefix is the path before a schema's name, clean, with a slash at both
	// ends and nothing in it to escape; "/api/resources/" when empty.
	Prefix string
	// MaxBody is how many bytes a request body may have; 1 MiB when 0 or less.
	// Working on a body of very many small values can take a hundred times its size
	// in memory. The API works on few large ones at a time, see MaxInFlight.
	MaxBody int64
	// MaxInFlight bounds two sums, each in bytes: the bodies and answers of more
	// than 16 KiB that wait for their clients, and the memory in use to work on such
	// bodies and to make such answers. 64 MiB when 0 or less.
	//
	// Requests that find no room wait, small ones before large ones, and for at most
	// twice StallTimeout: then the answer is a 503. While a request waits, clients
	// that have taken or sent nothing for half a second are cut. Bodies and answers
	// of up to 16 KiB never wait; bound their number by that of the connections.
	MaxInFlight int64
	// StallTimeout is how long a client may take to send or to receive 64 KiB, or
	// what is left; 10 seconds when 0 or less. Then its connection is closed, after a
	// 408 if it was sending. The server itself sends answers of up to 4 KiB later. Its own
	// ReadTimeout and WriteTimeout end an exchange earlier; with a writer without
	// deadlines (see http.ResponseController) only they do.
	StallTimeout time.Duration
	// RequirePrecondition refuses writes without If-Match or If-None-Match with 428
	// (RFC 6585, section 3): no client changes by accident what it has not seen. To
	// do so on purpose, a client sends If-Match: *, or If-None-Match: "" with a POST
	// that may create or change.
	RequirePrecondition bool
	// RequireComplete demands every required field in each POST, as the published
	// request schema does, also for a resource that exists. PATCH ignores it.
	RequireComplete bool
	// Nulls says what a null in a POST or PATCH does, whatever its media type:
	// schema.DeleteNulls, as in the contract, unless set. Clients that send null
	// for "not set" need schema.IgnoreNulls or schema.RejectNulls: a null that
	// deletes emailOptOut brings its default back, which is false.
	Nulls schema.Nulls
	// AllowScans allows lists with filters that no index serves, see
	// resource.ListOptions.AllowScan. Without it they are a 400 that names the fields
	// with an index.
	AllowScans bool
	// ChangesPath is the path of the changes, clean, with a slash at its beginning and
	// nothing in it to escape; "/api/changes" when empty. It is a route if one of the
	// collections logs changes (resource.Options.Log).
	ChangesPath string
	// Unredacted leaves personal data in the documents and patches of changes, where
	// clients ask for them with include. Otherwise it is replaced, see
	// schema.Schema.Redact.
	Unredacted bool
	// Tail, if not nil, is that of the store of all collections that log changes: for a
	// service whose consumers share it. If it has NoData, streams have no documents and
	// patches. Without a Tail, the API makes one for each store.
	Tail *changes.Tail
	// MaxStreams is how many streams of changes may be open, of all tenants together;
	// 2000 when 0 or less. The answer beyond that is a 503. A stream takes some 40 KiB.
	MaxStreams int
	// StreamTime is about how long a stream lasts, 10 minutes when 0 or less: a random
	// time from half to one and a half times that. Then the client connects again, and
	// the hooks are asked again.
	StreamTime time.Duration
	// Shape chooses the shape of resources; the full one when zero.
	Shape resource.ShapeOptions
	// OnError, if not nil, is called with each error before it is answered, and with
	// the status. Only here is the cause of a 500 to be seen. It is also called, with
	// status 500, for each damaged record that a list leaves out
	// (resource.Page.Damaged), though the answer is a 200.
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

	changes     place    // without a handler if no collection logs changes
	changesPath []string // the segments of Options.ChangesPath

	in, work room
	stall    time.Duration

	streams    atomic.Int64 // that are open
	heartbeat  time.Duration
	ending     context.Context // of EndStreams
	endStreams context.CancelFunc
}

// NewAPI returns the API of the collections. opts may be nil.
//
// It is an error if there is no collection or one of them is nil, if two have schemas of
// the same name (the case of letters does not count), if a hook is nil, if the prefix is not a
// clean path with a slash at both ends and nothing to escape, if the path of changes is not
// a clean one or is that of a collection, if Options.Tail reads another store than that of
// a collection which logs changes, or if Options.Nulls is not one of the policies.
func NewAPI(hooks Hooks, opts *Options, collections ...*resource.Collection) (*API, error) {
	if len(collections) == 0 {
		return nil, errors.New("httpapi: an API without a collection")
	}
	if err := hooks.validate(); err != nil {
		return nil, err
	}
	a := &API{hooks: hooks, heartbeat: heartbeat}
	if opts != nil {
		a.opts = *opts
	}
	a.ending, a.endStreams = context.WithCancel(context.Background())
	a.in.max = cmp.Or(max(a.opts.MaxInFlight, 0), DefaultMaxInFlight)
	a.work.max = a.in.max
	a.stall = cmp.Or(max(a.opts.StallTimeout, 0), DefaultStallTimeout)
	prefix := cmp.Or(a.opts.Prefix, DefaultPrefix)
	if path.Join("/", prefix, "x") != prefix+"x" || (&url.URL{Path: prefix}).EscapedPath() != prefix {
		return nil, errors.New("httpapi: Options.Prefix must be a clean path with a slash at both ends and nothing in it to escape")
	}
	a.prefix = segments(prefix)
	if err := (&schema.ReadOptions{Nulls: a.opts.Nulls}).Validate(); err != nil {
		return nil, fmt.Errorf("httpapi: Options.Nulls: %w", err)
	}
	var logs []log
	for _, c := range collections {
		if c == nil {
			return nil, errors.New("httpapi: an API without a collection: one of them is nil")
		}
		name := c.Schema().Name()
		if a.endpoint(name, strings.EqualFold) != nil {
			return nil, errors.New("httpapi: two collections with schemas of the name " + name)
		}
		a.endpoints = append(a.endpoints, newEndpoint(a, c, name, prefix+name, a.tail(&logs, c.Log())))
	}
	switch {
	case a.opts.Tail != nil && slices.ContainsFunc(logs, func(l log) bool { return !a.opts.Tail.Reads(l.store) }):
		return nil, errors.New("httpapi: Options.Tail reads another store than that of a collection which logs changes")
	case len(logs) > 0:
		if err := a.openChanges(); err != nil {
			return nil, err
		}
	}
	a.noRoute = a.handle(nil)
	return a, nil
}

// A log is one that the collections of an API write.
type log struct {
	store storage.Store
	tail  *changes.Tail
}

// tail returns the tail of a store, nil for none.
func (a *API) tail(logs *[]log, store storage.Store) *changes.Tail {
	if store == nil {
		return nil
	}
	for _, l := range *logs {
		if reflect.ValueOf(l.store).Comparable() && l.store == store {
			return l.tail
		}
	}
	tail := a.opts.Tail
	if tail == nil {
		tail = changes.NewTail(store, nil)
	}
	*logs = append(*logs, log{store, tail})
	return tail
}

// openChanges makes the route of the changes.
func (a *API) openChanges() error {
	at := cmp.Or(a.opts.ChangesPath, DefaultChangesPath)
	if path.Join("/", at) != at || at == "/" || (&url.URL{Path: at}).EscapedPath() != at {
		return errors.New("httpapi: Options.ChangesPath must be a clean path with a slash at its beginning and nothing in it to escape")
	}
	for _, e := range a.endpoints {
		if strings.HasPrefix(at+"/", e.all.pattern+"/") {
			return errors.New("httpapi: the path of changes is one of the collection " + e.name + ": set Options.ChangesPath")
		}
	}
	a.changesPath = segments(at)
	do := a.forTenant(a.listChanges)
	a.changes = a.place(at, action{http.MethodGet, do}, action{http.MethodHead, do})
	return nil
}

// EndStreams ends all streams of changes, and answers further ones with 503. Other
// requests go on. A server with open streams needs it to shut down:
//
//	server.RegisterOnShutdown(api.EndStreams)
func (a *API) EndStreams() { a.endStreams() }

// A HandlerFunc is a handler that may return an error, which [WriteError] answers. It
// must not have written anything by then.
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

// ServeHTTP serves the request. It sets r.Pattern and the path value externalId, for
// logs. It finds the route itself, on the path as it was sent: a ServeMux would redirect
// or split paths in which an external id has slashes or dots.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Pattern = ""
	whole := r.URL.EscapedPath()
	if rest, ok := cutSegments(whole, a.changesPath); ok && rest == "" && a.changes.handler != nil {
		a.changes.serve(w, r)
		return
	}
	rest, ok := cutSegments(whole, a.prefix)
	name, rest := firstSegment(rest)
	e := a.endpoint(unescape(name), func(a, b string) bool { return a == b })
	if !ok || e == nil {
		a.noRoute(w, r)
		return
	}
	if rest == "" {
		e.all.serve(w, r)
		return
	}
	id, rest := firstSegment(rest)
	switch {
	case rest == "":
		e.serve(e.one, id, w, r)
	case e.tail != nil && strings.IndexByte(rest[1:], '/') < 0 && unescape(rest[1:]) == historySegment:
		e.serve(e.history, id, w, r)
	default:
		a.noRoute(w, r)
	}
}

// segments returns those of a clean path without escapes.
func segments(path string) []string {
	if path = strings.Trim(path, "/"); path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

// cutSegments takes these segments off the beginning of a path.
func cutSegments(path string, segments []string) (rest string, ok bool) {
	for _, want := range segments {
		var segment string
		if segment, path = firstSegment(path); unescape(segment) != want {
			return "", false
		}
	}
	return path, true
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
