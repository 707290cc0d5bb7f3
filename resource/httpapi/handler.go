package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"

	"example.com/resourcekit/resource"
)

// DefaultPrefix is where the ready handler's routes begin unless [Options] say
// otherwise.
const DefaultPrefix = "/api/resources/"

// Options are the optional parts of the ready handler. A nil *Options is the
// zero value.
type Options struct {
	// Prefix is the path before the schema's name, clean, with a slash at both
	// ends and nothing in it to escape; "/api/resources/" when empty.
	Prefix string
	// MaxBody is how many bytes a request body may have; 1 MiB when 0. Reading
	// a body can take up to a hundred times its size in memory for a moment,
	// when it is made of as many values as fit in.
	MaxBody int64
	// RequireComplete wants every required field in each POST, as the
	// published request schema has it, also for a resource that exists.
	RequireComplete bool
	// Shape chooses the shape of resources; the full one when zero.
	Shape resource.ShapeOptions
	// OnError, if not nil, sees each error that is answered, with the status,
	// before it is. It is the only place where the cause of a 500 is seen.
	OnError func(r *http.Request, status int, err error)
}

// handler serves the routes of one collection.
type handler struct {
	collection *resource.Collection
	hooks      Hooks
	opts       Options

	path            string // of the collection
	all, one, other http.HandlerFunc
}

// NewHandler returns the ready handler of a collection: its routes, and 404 in
// the shape of the contract for every other path. opts may be nil.
//
// It returns an error when the collection or a hook is nil, or when the prefix
// is no clean path with a slash at both ends and nothing in it to escape.
func NewHandler(c *resource.Collection, hooks Hooks, opts *Options) (http.Handler, error) {
	if c == nil {
		return nil, errors.New("httpapi: NewHandler without a collection")
	}
	if err := hooks.validate(); err != nil {
		return nil, err
	}
	h := &handler{collection: c, hooks: hooks}
	if opts != nil {
		h.opts = *opts
	}
	prefix := cmp.Or(h.opts.Prefix, DefaultPrefix)
	if path.Join("/", prefix, "x") != prefix+"x" || (&url.URL{Path: prefix}).EscapedPath() != prefix {
		return nil, errors.New("httpapi: Options.Prefix must be a clean path with a slash at both ends and nothing in it to escape")
	}
	h.path = prefix + c.Schema().Name()
	h.all = h.route(map[string]operation{http.MethodPost: h.create})
	h.one = h.route(map[string]operation{http.MethodGet: h.get})
	h.other = h.route(nil)
	return h, nil
}

// ServeHTTP finds the route itself, on the path as it was sent: a ServeMux would
// redirect or take apart paths in which an external id has slashes or dots.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, found := strings.CutPrefix(r.URL.EscapedPath(), h.path)
	segment, deeper := strings.CutPrefix(rest, "/")
	id, err := url.PathUnescape(segment)
	switch {
	case found && rest == "":
		r.Pattern = h.path
		h.all(w, r)
	case found && deeper && err == nil && segment != "" && segment != "." && segment != ".." && !strings.Contains(segment, "/"):
		r.Pattern = h.path + "/{" + pathValue + "}"
		r.SetPathValue(pathValue, id)
		h.one(w, r)
	default:
		r.Pattern = ""
		h.other(w, r)
	}
}

// An operation answers a request, or returns an error and has written nothing.
type operation func(w http.ResponseWriter, r *http.Request) error

// route serves a path by the operations of its methods; without any it is no
// route at all. HEAD is served as GET.
func (h *handler) route(operations map[string]operation) http.HandlerFunc {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if operations[method] != nil {
			allow = append(allow, method)
			if method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
	}
	notAllowed := &Problem{Status: http.StatusMethodNotAllowed, Message: "method not allowed", Allow: strings.Join(allow, ", ")}
	notFound := &Problem{Status: http.StatusNotFound, Message: "no such route"}
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		var err error = notFound
		if op := operations[method]; op != nil {
			err = op(w, r)
		} else if len(operations) > 0 {
			err = notAllowed
		}
		if err == nil {
			return
		}
		if h.opts.OnError != nil {
			h.opts.OnError(r, ProblemOf(err).Status, err)
		}
		WriteError(w, err)
	}
}

func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	tenant, err := h.hooks.Tenant(r)
	if err != nil {
		return err
	}
	opts, err := ParseCreateOptions(r)
	if err != nil {
		return err
	}
	opts.RequireComplete = h.opts.RequireComplete
	data, err := ReadData(w, r, h.opts.MaxBody)
	if err != nil {
		return err
	}
	result, err := h.collection.Create(r.Context(), tenant, data, &opts)
	if err != nil {
		return err
	}
	WriteResult(w, result, &h.opts.Shape)
	return nil
}

func (h *handler) get(w http.ResponseWriter, r *http.Request) error {
	tenant, err := h.hooks.Tenant(r)
	if err != nil {
		return err
	}
	id, err := ExternalID(r)
	if err != nil {
		return err
	}
	res, err := h.collection.Get(r.Context(), tenant, id)
	if err != nil {
		return err
	}
	WriteResource(w, res, &h.opts.Shape)
	return nil
}
