// Command webhooks delivers the changes of customers as signed webhooks: a pattern for a
// service, complete and small.
//
//	go run ./examples/webhooks
//
// It serves the API of customers and prints two curl lines that make changes. A receiver of
// its own verifies each webhook and prints a line. All data is in webhooks.db in the working
// directory, unless -store says otherwise. To deliver to an endpoint elsewhere:
//
//	WEBHOOK_SECRET=whsec_... go run ./examples/webhooks -url https://example.com/hook
//
// The secret is 24 to 64 bytes in base64 after whsec_, or two of them while it is changed,
// separated by a space. It comes from the environment or from -secret-file, never from a
// flag, and is not logged. The other flags: -h.
//
// # What is sent
//
// Each change is a CloudEvent 1.0 in JSON, of the type com.example.customers.created,
// .updated, .deleted or .erased. Its data is a resource.Change with document and patch.
// Personal data in these is redacted, except with -unredacted; the external id is sent in
// any case. The headers are those of Standard Webhooks. For the receiver:
//
//   - Verify the signature on the bytes as they came, before anything else.
//   - A webhook may come more than once. Its webhook-id, made of the ID of the resource and
//     the revision, is the same each time: drop repeats.
//   - The webhooks of one customer come in the order of the changes, except those that an
//     operator sends again, and .erased.
//   - At each .erased, remove all that you keep under the ID of the resource. There may be
//     several, and the last webhook of the ID is one. The external id is a hash then, and
//     the webhook-id ends with -erased.
//   - A greater fence comes with each next process that delivers. One that was paused may
//     send a webhook late, with a smaller one. What an operator sends again has none.
//   - After the type com.example.customers.reset, read all customers by the API: the log was
//     trimmed before all was delivered.
//
// # When the endpoint does not take it
//
// The client tries three times if there is no answer, or after status 5xx (except 501) or
// 429, and waits as Retry-After says, up to 5 minutes. It follows no redirects and reads 4
// KiB of an answer. Then it depends:
//
//   - No connection, or status 401, 404, 410, 429, 502, 503 or 504: no webhook would be
//     taken. All wait, and come in order when the endpoint is back.
//   - Anything else is about this webhook. Those of the same customer wait, and those of
//     others go on. After -attempts it is a dead letter, and the next one of the customer
//     goes out.
//   - If 100 customers wait, the consumer stops for half a minute: the endpoint is broken.
//
// Dead letters are a collection of the API, without personal data. GET
// /api/resources/dead_letters lists them, DELETE of one gives it up, and
// POST /api/resources/dead_letters/{eventId}/resend sends it again, as long as the log has
// its change (-keep). Metrics are at /metrics.
//
// # Security
//
// The URL comes from the operator, who may send to any address. A service whose tenants
// choose URLs must also refuse addresses of its own network, in the Control function of the
// net.Dialer: when the name is resolved, not before. This program trusts every caller; see
// the two hooks.
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
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource/httpapi"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errFlags): // printed already, with the usage
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "webhooks:", err)
		os.Exit(1)
	}
}

// errFlags is returned for arguments that package flag has complained about.
var errFlags = errors.New("bad flags")

// shutdownGrace is how long requests may go on after the signal to stop.
const shutdownGrace = 10 * time.Second

// run serves and delivers until ctx ends or a signal to stop comes.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	flags := flag.NewFlagSet("webhooks", flag.ContinueOnError)
	flags.SetOutput(stderr)
	cfg := config{pause: 30 * time.Second}
	addr := flags.String("addr", "127.0.0.1:8082", "address to listen on")
	storeName := flags.String("store", "sqlite:webhooks.db", "where to keep the data: "+openstore.Usage)
	secretFile := flags.String("secret-file", "", "file with the secret of the endpoint, in place of the environment variable "+secretVariable)
	flags.StringVar(&cfg.url, "url", "", "the endpoint; a receiver in this process unless set")
	flags.IntVar(&cfg.attempts, "attempts", 10, "how often the consumer tries a webhook before it is a dead letter")
	flags.DurationVar(&cfg.minBackoff, "backoff", time.Second, "the wait after the first attempt; it doubles with each, up to 5 minutes")
	flags.BoolVar(&cfg.unredacted, "unredacted", false, "send personal data in documents and patches too")
	flags.DurationVar(&cfg.keep, "keep", 7*24*time.Hour, "for how long the log keeps changes that were delivered; a dead letter is sent again only as long")
	flags.DurationVar(&cfg.lease, "lease", 15*time.Second, "how long another process waits until it delivers in place of one that was killed")
	usage := flags.Usage
	flags.Usage = func() {
		usage()
		fmt.Fprintf(stderr, "\nTo try it, change a customer while it runs:\n\n%s\n", curl("http://"+*addr))
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errFlags, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	var err error
	if cfg.keys, err = readSecrets(*secretFile); err != nil {
		return err
	}
	own := cfg.url == ""
	switch {
	case cfg.attempts < 1:
		return errors.New("-attempts: expected 1 or more")
	case cfg.minBackoff <= 0:
		return errors.New("-backoff: expected a duration above 0, such as 1s")
	case cfg.keep < 0:
		return errors.New("-keep: expected a duration, such as 168h")
	case cfg.lease < 100*time.Millisecond:
		return errors.New("-lease: expected 100ms or more")
	case !own && !valid(cfg.url):
		return errors.New("-url: expected http:// or https:// and a host") // it may have a token
	case !own && cfg.keys == nil:
		return errors.New("-url needs a secret: set " + secretVariable + " or -secret-file")
	case cfg.keys == nil:
		if cfg.keys, err = randomSecret(); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	opened, err := openstore.Open(ctx, *storeName)
	if err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	defer opened.Close() // last of all
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	base := "http://" + listener.Addr().String()
	if own {
		cfg.url = base + receiverPath
	}
	service, err := newService(opened.Store, log, cfg)
	if err != nil {
		return err
	}
	if own {
		service.receiver = &receiver{keys: cfg.keys, out: stdout, max: 32 << 20}
	}
	fmt.Fprintf(stdout, "Listening on %s, data in %s. Try:\n\n%s\n\n"+
		"Dead letters are at %s, changes at %s, metrics at /metrics. Ctrl-C stops the program.\n\n",
		base, opened.Place, curl(base), lettersPath, httpapi.DefaultChangesPath)

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
	delivered := make(chan struct{})
	go func() { defer close(delivered); service.run(ctx) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		err = http.ErrServerClosed
	}
	stop()      // a second signal ends the program at once
	<-delivered // first who sends, since the receiver may be ours
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, server.Shutdown(grace))
}

// curl is the lines that make changes. The first alone changes nothing the second time.
func curl(base string) string {
	return "curl -sw '\\n' '" + base + httpapi.DefaultPrefix + `customers' -H 'Content-Type: application/json' ` +
		`-d '{"data":{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}}'` +
		"\ncurl -sw '\\n' -X DELETE '" + base + httpapi.DefaultPrefix + "customers/c-1'"
}

func valid(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
