// Command server serves customers, locations and transactions over HTTP, for
// trying the library out:
//
//	go run ./examples/server
//
// It keeps them in memory unless -store says otherwise, and trusts every caller.
// What a service would replace is in the two hooks. The flags:
//
//	-addr ADDRESS    where to listen; 127.0.0.1:8080
//	-store STORE     memory, sqlite:PATH or postgres://USER@HOST/DATABASE
//	-tenants NAMES   separated by commas; the first is meant when a request names none
//	-history         log the documents too, for include=document,patch
//	-retention TIME  how long changes stay in the log, trimmed once an hour; 720h, and 0 for ever
//	-v               log each call of the library too
//
// Each change is logged, and who watches a stream of them hears of it:
//
//	curl -sN 'http://127.0.0.1:8080/api/changes?schema=customers' -H 'Accept: text/event-stream'
//
// Customers are found and sorted by email and createdAt. A store that is older than these
// indexes gets them at the start, while requests are answered.
//
// Beside the API there are /metrics, for Prometheus, and /healthz, which is 200 as
// long as the store answers. Neither they nor the log hold an external id or
// anything of a document.
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
	"sync"
	"syscall"
	"time"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"
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
	storeName := flags.String("store", "memory", "where to keep the data: "+openstore.Usage)
	tenantNames := flags.String("tenants", "acme,globex", "names of the tenants, separated by commas; the first is meant when a request names none")
	history := flags.Bool("history", false, "log the documents before and after each change too, for include=document,patch of changes and histories")
	retention := flags.Duration("retention", 30*24*time.Hour, "how long changes stay in the log, which is trimmed at the start and then once an hour; 0 for ever")
	verbose := flags.Bool("v", false, "log each call of the library")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errFlags, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *retention < 0 {
		return errors.New("-retention: expected a duration such as 720h, or 0 for ever")
	}
	tenants, err := parseTenants(*tenantNames)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	opened, err := openstore.Open(ctx, *storeName)
	if err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	// Last of all: the requests before it need the store.
	defer opened.Close()
	service, err := newService(opened.Store, tenants, log, *history)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	// Deferred after the store, so done before that is closed.
	var background sync.WaitGroup
	background.Go(func() { service.reindex(ctx, tenants) })
	if *retention > 0 {
		background.Go(func() { service.trim(ctx, *retention) })
	}
	defer func() { stop(); background.Wait() }()
	address := listener.Addr().String()
	if host, port, _ := net.SplitHostPort(address); host == "::" || host == "0.0.0.0" {
		address = "localhost:" + port
	}
	address = "http://" + address
	url := address + httpapi.DefaultPrefix + "customers"
	fmt.Fprintf(stdout, `Listening on %s, data in %s, tenants %s. Try:

curl -sw '\n' '%s' -H 'Content-Type: application/json' -d '{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}'
curl -sw '\n' '%s/c-1'
curl -sN '%s?schema=customers' -H 'Accept: text/event-stream'

The last one shows changes as they are made; enter it in another window. The changes of one customer are at
%s/c-1/history (?include=patch with -history). Another tenant is chosen with -H 'reach-tenant-id: NAME'. There are
locations and transactions as well, and /metrics and /healthz. Ctrl-C stops the server.

`, address, opened.Place, strings.Join(tenants.names, ", "), url, url, address+httpapi.DefaultChangesPath, httpapi.DefaultPrefix+"customers")

	server := &http.Server{
		Handler:           service,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(service.api.EndStreams)
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
			return t, errors.New("-tenants: expected names separated by commas")
		}
		t.names = append(t.names, name)
		t.ids[name] = openstore.Tenant(name)
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
