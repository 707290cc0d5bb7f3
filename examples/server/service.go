package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"example.com/resourcekit/examples/internal/schemas"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/recent"
)

// A service is what the server serves: the API, and what those who run it want to
// know.
type service struct {
	http.Handler
	api         *httpapi.API
	store       storage.Store
	log         *slog.Logger
	metrics     *metrics
	collections []*resource.Collection
}

// newService returns the service of the tenants in the store. With history, the log of
// changes has their documents.
func newService(store storage.Store, tenants tenants, log *slog.Logger, history bool) (*service, error) {
	s := &service{store: store, log: log, metrics: newMetrics()}
	if remembering, ok := store.(interface{ Stats() recent.Stats }); ok {
		s.metrics.remembers(remembering.Stats)
	}
	opts := &resource.Options{Log: true, History: history, OnCall: s.called}
	for _, declared := range schemas.All() {
		c, err := resource.NewCollection(declared, store, opts)
		if err != nil {
			return nil, err
		}
		s.collections = append(s.collections, c)
	}
	hooks := httpapi.Hooks{
		// A service checks a token here and returns who it is for.
		Authenticate:  func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{Unconfined: true}, nil },
		ResolveTenant: tenants.resolve,
	}
	var err error
	s.api, err = httpapi.NewAPI(hooks, &httpapi.Options{
		OnError: func(r *http.Request, status int, err error) {
			if status >= http.StatusInternalServerError {
				log.ErrorContext(r.Context(), "request failed", "status", status, "err", err)
			}
		},
	}, s.collections...)
	if err != nil {
		return nil, err
	}
	s.Handler = logRequests(route(s.api, s.metrics.handler(), health(store)), log, s.metrics)
	return s, nil
}

// called sees each call of the library: a line for those that go wrong, and for the
// others with -v.
func (s *service) called(ctx context.Context, call resource.Call) {
	s.metrics.called(call)
	class, level := classOf(call.Err), slog.LevelDebug
	if call.Err != nil {
		level = slog.LevelInfo
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	s.log.LogAttrs(ctx, level, "call",
		slog.String("op", string(call.Op)), slog.String("schema", call.Schema), slog.String("class", class), tenantAttr(call.Tenant),
		slog.Any("results", call.Results), slog.Bool("dry_run", call.DryRun), slog.Int("attempts", call.Attempts),
		slog.Duration("duration", call.Duration))
}

// classOf is resource.ErrorClass with a word for no error.
func classOf(err error) string {
	if err == nil {
		return "ok"
	}
	return string(resource.ErrorClass(err))
}

func tenantAttr(t storage.Tenant) slog.Attr {
	return slog.Group("tenant", slog.String("platform", t.Platform.String()), slog.String("business", t.Business.String()))
}

// route serves /metrics and /healthz, and everything else by the API. A ServeMux
// would redirect some of the paths that the API knows.
func route(api, metrics, health http.Handler) http.Handler {
	beside := map[string]http.Handler{"/metrics": metrics, "/healthz": health}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, ok := beside[r.URL.Path]
		switch {
		case !ok:
			api.ServeHTTP(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			r.Pattern = r.URL.Path
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			r.Pattern = r.URL.Path
			handler.ServeHTTP(w, r)
		}
	})
}

// healthTimeout is how long the store may take to answer.
const healthTimeout = 2 * time.Second

// health answers 200 if the store does: it is asked for a record that does not exist.
func health(store storage.Store) http.Handler {
	absent := storage.Key{Tenant: storage.TenantOf("healthz", "healthz"), Schema: schema.Customers().ID(), ExternalID: "healthz"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if _, err := store.Get(ctx, absent); err != nil && !errors.Is(err, storage.ErrNotFound) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "the store does not answer\n")
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	})
}

// logRequests counts streams, and logs a line for each request when it ends: nothing that
// names a person, so the route's pattern and not the path, which holds external ids.
func logRequests(next http.Handler, log *slog.Logger, metrics *metrics) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK, metrics: metrics}
		next.ServeHTTP(recorder, r)
		if recorder.stream {
			metrics.streams.Dec()
		}
		log.InfoContext(r.Context(), "request", "method", method(r), "route", r.Pattern, "status", recorder.status,
			"bytes", recorder.bytes, "duration", time.Since(start))
	})
}

// method returns a request's method, unless it is one that the client made up.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// statusRecorder remembers what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status, bytes int
	stream        bool
	metrics       *metrics
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	if s.bytes == 0 && s.Header().Get("Content-Type") == "text/event-stream" {
		s.stream = true
		s.metrics.streams.Inc()
		s.metrics.streamed.Inc()
	}
	n, err := s.ResponseWriter.Write(b)
	if s.bytes += n; s.stream {
		s.metrics.sent.Add(float64(n))
	}
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
