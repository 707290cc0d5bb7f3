// Command server serves customers over HTTP, for trying the library out:
//
//	go run ./examples/server
//
// It keeps them in memory and trusts every caller. What a service would replace
// is in the two hooks, and in -store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errFlags): // printed already, with the usage
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// errFlags is returned for arguments that package flag has complained about.
var errFlags = errors.New("bad flags")

// shutdownGrace is how long requests may go on after the signal to stop.
const shutdownGrace = 10 * time.Second

// run serves until ctx ends or a signal to stop comes, and then until the
// requests under way are done.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8080", "address to listen on")
	storeName := flags.String("store", "memory", "where to keep the data: memory")
	tenantNames := flags.String("tenants", "acme,globex", "names of the tenants, separated by commas; the first is meant when a request names none")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errFlags, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	store, err := openStore(*storeName)
	if err != nil {
		return err
	}
	defer store.Close()
	tenants, err := parseTenants(*tenantNames)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	handler, err := newHandler(store, tenants, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	address := listener.Addr().String()
	if host, port, _ := net.SplitHostPort(address); host == "::" || host == "0.0.0.0" {
		address = "localhost:" + port
	}
	url := "http://" + address + httpapi.DefaultPrefix + "customers"
	fmt.Fprintf(stdout, `Listening on http://%s, data in %s, tenants %s. Try:

curl -sw '\n' '%s' -H 'Content-Type: application/json' -d '{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}'
curl -sw '\n' '%s/c-1'

Another tenant is chosen with -H 'reach-tenant-id: NAME'. Ctrl-C stops the server.

`, address, *storeName, strings.Join(tenants.names, ", "), url, url)

	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop() // a second signal ends the program at once
	log.Info("shutting down")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	return server.Shutdown(grace)
}

// openStore returns the store of this name.
func openStore(name string) (storage.Store, error) {
	if name == "memory" {
		return memory.New(), nil
	}
	return nil, fmt.Errorf("-store: want memory, found %q", name)
}

// newHandler returns what the server serves: the customers of the tenants in the
// store, with one line in the log for each request.
func newHandler(store storage.Store, tenants tenants, log *slog.Logger) (http.Handler, error) {
	customers, err := resource.NewCollection(schema.Customers(), store, nil)
	if err != nil {
		return nil, err
	}
	hooks := httpapi.Hooks{
		// A service checks a token here and returns who it is for.
		Authenticate:  func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{}, nil },
		ResolveTenant: tenants.resolve,
	}
	api, err := httpapi.NewHandler(customers, hooks, &httpapi.Options{
		OnError: func(r *http.Request, status int, err error) {
			if status >= http.StatusInternalServerError {
				log.ErrorContext(r.Context(), "request failed", "status", status, "err", err)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	return logRequests(api, log), nil
}

// tenants are the businesses that the server knows, all on one platform.
type tenants struct {
	names []string
	ids   map[string]storage.Tenant
}

func parseTenants(list string) (tenants, error) {
	t := tenants{ids: map[string]storage.Tenant{}}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			return t, errors.New("-tenants: want names separated by commas")
		}
		t.names = append(t.names, name)
		t.ids[name] = storage.TenantOf("example", name)
	}
	return t, nil
}

func (t tenants) resolve(_ context.Context, _ httpapi.Principal, name string) (storage.Tenant, error) {
	if name == "" {
		name = t.names[0]
	}
	tenant, ok := t.ids[name]
	if !ok {
		return storage.Tenant{}, httpapi.ErrUnknownTenant
	}
	return tenant, nil
}

// logRequests logs a line for each request: nothing that names a person, so the
// route's pattern and not the path, which holds external ids.
func logRequests(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		log.InfoContext(r.Context(), "request", "method", r.Method, "route", r.Pattern, "status", recorder.status,
			"bytes", recorder.bytes, "duration", time.Since(start))
	})
}

// statusRecorder remembers what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status, bytes int
}

func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	n, err := s.ResponseWriter.Write(b)
	s.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
