package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/schemas"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"
)

// consumerName is that of the consumer in the store: it remembers what was delivered.
const consumerName = "webhooks"

// A config is what the flags say.
type config struct {
	url        string
	keys       secrets
	attempts   int           // of the consumer for one event
	minBackoff time.Duration // between them; twice that each time
	unredacted bool
	keep       time.Duration // for how long the log has a change
	lease      time.Duration
	pause      time.Duration // before the consumer starts again after an error, or the log is trimmed
}

// A service has the API of customers and of dead letters, and delivers the changes of
// customers.
type service struct {
	config
	store              storage.Store
	log                *slog.Logger
	customers, letters *resource.Collection
	hooks              httpapi.Hooks
	tail               *changes.Tail
	sender             *sender
	api                *httpapi.API
	metrics            http.Handler
	receiver           http.Handler // nil if webhooks go elsewhere
	dead               prometheus.Counter
}

// The source and the start of the types of the CloudEvents.
const (
	eventSource = "/examples/webhooks"
	eventPrefix = "com.example."
)

const (
	receiverPath = "/receiver"
	lettersPath  = httpapi.DefaultPrefix + "dead_letters"
)

func newService(store storage.Store, log *slog.Logger, cfg config) (*service, error) {
	s := &service{config: cfg, store: store, log: log, sender: newSender(cfg.url, cfg.keys)}
	s.tail = changes.NewTail(store, &changes.TailOptions{
		OnError: func(err error) { log.Warn("cannot read the log of the store", "err", err) },
	})
	var err error
	if s.customers, err = resource.NewCollection(schemas.Customers(), store, &resource.Options{Log: true, History: true}); err != nil {
		return nil, err
	}
	if s.letters, err = resource.NewCollection(deadLetters, store, nil); err != nil {
		return nil, err
	}
	s.hooks = httpapi.Hooks{
		// A service checks a token here and returns who it is for.
		Authenticate: func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{Unconfined: true}, nil },
		// A service looks the tenant up. Here any name is one.
		ResolveTenant: func(_ context.Context, _ httpapi.Principal, name string) (storage.Tenant, error) {
			if name == "" {
				name = "acme"
			}
			return openstore.Tenant(name), nil
		},
	}
	s.api, err = httpapi.NewAPI(s.hooks, &httpapi.Options{
		Tail:    s.tail, // a write wakes the consumer
		OnError: s.onError,
	}, s.customers, s.letters)
	if err != nil {
		return nil, err
	}
	s.metrics = s.newMetrics()
	return s, nil
}

// ServeHTTP passes on to the API what is not the program's own.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	one, isLetter := strings.CutPrefix(r.URL.Path, lettersPath+"/")
	id, isResend := strings.CutSuffix(one, "/resend")
	writes := r.Method == http.MethodPost || r.Method == http.MethodPatch
	switch {
	case r.URL.Path == "/metrics":
		s.metrics.ServeHTTP(w, r)
	case r.URL.Path == receiverPath && s.receiver != nil:
		s.receiver.ServeHTTP(w, r)
	case isLetter && isResend && r.Method == http.MethodPost:
		r.SetPathValue("eventId", id)
		if err := s.resend(w, r); err != nil {
			s.onError(r, httpapi.ProblemOf(err).Status, err)
			httpapi.WriteError(w, err)
		}
	case writes && (isLetter || r.URL.Path == lettersPath):
		httpapi.WriteError(w, &httpapi.Problem{
			Status: http.StatusMethodNotAllowed, Message: "dead letters are made by the service alone",
			Header: http.Header{"Allow": {"GET, HEAD, DELETE"}},
		})
	default:
		s.api.ServeHTTP(w, r)
	}
}

func (s *service) onError(r *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError {
		s.log.ErrorContext(r.Context(), "request failed", "status", status, "err", err)
	}
}

// run delivers changes, and trims the log, until the context ends.
func (s *service) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.repeat(ctx, s.consume) })
	wg.Go(func() { s.repeat(ctx, s.trim) })
	wg.Wait()
}

func (s *service) repeat(ctx context.Context, do func(context.Context) error) {
	for ctx.Err() == nil {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("delivery or trim ended; it begins again", "wait", s.pause, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.pause):
		}
	}
}

func (s *service) consume(ctx context.Context) error {
	return changes.Consume(ctx, s.store, consumerName, s.handle, &changes.Options{
		Collections: []*resource.Collection{s.customers},
		Documents:   true, Patches: true, Unredacted: s.unredacted,
		Concurrency: 4,
		Lease:       s.lease,
		MinBackoff:  s.minBackoff,
		MaxAttempts: 2 * s.attempts, // handle gives up before
		OnExpired:   s.expired,
		OnError:     func(err error) { s.log.Warn("delivery failed", "err", err) },
		Tail:        s.tail,
	})
}

// trim removes changes from the log that have been delivered, and are old. Before the first
// start of the consumer it would not know what that needs.
func (s *service) trim(ctx context.Context) error {
	all, err := changes.Consumers(ctx, s.store)
	if err != nil || !slices.ContainsFunc(all, func(c changes.Consumer) bool { return c.Name == consumerName }) {
		return err
	}
	waiting, err := changes.Trim(ctx, s.store, time.Now().Add(-s.keep))
	if len(waiting) > 0 {
		s.log.Warn("the log grows: old changes wait for consumers", "consumers", waiting)
	}
	return err
}

// handle delivers one event. After too many failures it makes a dead letter of it.
func (s *service) handle(ctx context.Context, e changes.Event) error {
	id, payload, err := s.webhook(&e.Change, e.Fence)
	if err != nil {
		return err
	}
	err = s.sender.send(ctx, id, payload)
	var refused refusal
	if !errors.As(err, &refused) || errors.Is(err, changes.ErrAgain) || e.Attempt < s.attempts {
		return err
	}
	err = s.bury(ctx, e.Key.Tenant, deadLetter{
		EventID: id, ResourceID: e.ID, Revision: e.Revision, Time: e.Time, Attempts: e.Attempt, LastStatus: int(refused),
	})
	if err != nil {
		return fmt.Errorf("%w: cannot write a dead letter: %w", changes.ErrAgain, err)
	}
	s.dead.Add(1)
	s.log.Warn("dead letter", "event", id, "attempts", e.Attempt, "last_status", int(refused))
	return nil
}

// webhook returns the change as a CloudEvent, and its id: the same each time that the change
// is sent, until the resource is erased. It has no full stop, since the signature puts one
// after it.
//
// The fence is an attribute, and not a header: the signature is of the body alone, and a
// forged fence would shut out all that follows.
func (s *service) webhook(c *resource.Change, fence uint64) (id string, payload []byte, err error) {
	payload, err = c.AppendCloudEvent(nil, eventSource, eventPrefix)
	if err != nil {
		return "", nil, err
	}
	var event struct{ ID string }
	if err := json.Unmarshal(payload, &event); err != nil {
		return "", nil, err
	}
	if fence > 0 { // else an operator sends it again
		payload = fmt.Appendf(payload[:len(payload)-1], `,"fence":"%d"}`, fence)
	}
	return event.ID, payload, nil
}

// expired tells the receiver that it may have missed changes, since the log was trimmed
// before they were delivered. It then reads all customers by the API.
func (s *service) expired(ctx context.Context) error {
	id := "reset-" + uuid.NewString()
	return s.sender.send(ctx, id, fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":%q,"type":%q,"time":%q}`,
		id, eventSource, eventPrefix+"customers.reset", time.Now().UTC().Format(time.RFC3339)))
}
