package storagetest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// This file is the other store of the suite's own tests. The journal has one handle on its
// records, no server, no entries and no log. This one has all of these, so that the cases
// of two handles, of blocked writes and of a network have a right store that passes them,
// and wrong ones that they must catch.

// server keeps the records of a place, in memory.
type server struct {
	records storage.Store
	writes  sync.RWMutex // locked to block writes
}

// request is one call. It has the fields of every kind.
type request struct {
	Name    string
	Keys    []storage.Key
	Writes  []storage.Write
	Expect  storage.Revision
	Entries []storage.Entry
	Scope   storage.Scope
	Index   uint32
	Range   storage.Range
	Query   storage.ChangeQuery
	Before  time.Time
	Note    storage.Note
}

// writes reports whether the call may change records.
func (r request) writes() bool { return r.Name == "write" || r.Name == "set entries" }

type answer struct {
	Records  []storage.Record
	Page     storage.Page
	Changes  storage.ChangePage
	Redacted int
	Errs     []failure // of the writes
	Err      failure   // of the call
}

// failure is an error on the network: a place in failures, or the index of a
// NotUniqueError. The zero failure is none.
type failure struct {
	Kind  int
	Index uint32
}

var failures = []error{nil, storage.ErrNotFound, storage.ErrConflict, storage.ErrExpired, storage.ErrInvalid}

func failureOf(err error) failure {
	var taken *storage.NotUniqueError
	if errors.As(err, &taken) {
		return failure{Index: taken.Index}
	}
	return failure{Kind: slices.IndexFunc(failures, func(target error) bool { return errors.Is(err, target) })}
}

func (f failure) error() error {
	if f.Index != 0 {
		return &storage.NotUniqueError{Index: f.Index}
	}
	return failures[f.Kind]
}

// serve answers the one request of a connection.
func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	var req request
	if json.NewDecoder(conn).Decode(&req) != nil {
		return
	}
	if req.writes() {
		s.writes.RLock()
		defer s.writes.RUnlock()
	}
	ctx := context.Background()
	var a answer
	var err error
	switch req.Name {
	case "get many":
		a.Records, err = s.records.GetMany(ctx, req.Keys)
	case "write":
		var errs []error
		errs, err = s.records.Write(ctx, req.Writes)
		for _, err := range errs {
			a.Errs = append(a.Errs, failureOf(err))
		}
	case "list":
		a.Page, err = s.records.List(ctx, req.Scope, req.Range)
	case "lookup":
		a.Page, err = s.records.Lookup(ctx, req.Scope, req.Index, req.Range)
	case "set entries":
		err = s.records.SetEntries(ctx, req.Keys[0], req.Expect, req.Entries)
	case "changes":
		a.Changes, err = s.records.Changes(ctx, req.Query)
	case "redact":
		a.Redacted, err = s.records.Redact(ctx, req.Keys[0], req.Note)
	case "trim":
		err = s.records.Trim(ctx, req.Before, req.Query.After)
	}
	a.Err = failureOf(err)
	_ = json.NewEncoder(conn).Encode(a)
}

// client is a store on the records of a server, with a connection for each call.
type client struct {
	server *server
	wrap   func(net.Conn) net.Conn
	closed atomic.Bool
}

func (c *client) call(ctx context.Context, check error, req request) (a answer, err error) {
	if check != nil {
		return a, check
	}
	if c.closed.Load() {
		return a, storage.ErrClosed
	}
	conn, far := net.Pipe()
	go c.server.serve(far)
	if c.wrap != nil {
		conn = c.wrap(conn)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	message, err := json.Marshal(req)
	if err != nil {
		return a, err
	}
	// A pipe fails to write only bytes that were not read to their end.
	if _, err = conn.Write(message); err != nil {
		err = storage.ErrUnavailable
	} else if json.NewDecoder(conn).Decode(&a) != nil {
		if err = storage.ErrUnavailable; req.writes() {
			err = storage.ErrUnknownOutcome
		}
	}
	switch ended := ctx.Err(); {
	case err == nil:
		return a, a.Err.error()
	case ended != nil && err == storage.ErrUnavailable:
		return a, ended
	case ended != nil:
		return a, errors.Join(err, ended)
	}
	return a, err
}

func (c *client) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	records, err := c.GetMany(ctx, []storage.Key{key})
	if err != nil {
		return storage.Record{}, err
	}
	if records[0].Revision == 0 {
		return storage.Record{}, storage.ErrNotFound
	}
	return records[0], nil
}

func (c *client) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	a, err := c.call(ctx, storage.CheckKeys(ctx, keys), request{Name: "get many", Keys: keys})
	return a.Records, err
}

func (c *client) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	a, err := c.call(ctx, storage.CheckWrites(ctx, writes), request{Name: "write", Writes: writes})
	if err != nil || a.Errs == nil {
		return nil, err
	}
	errs := make([]error, len(a.Errs))
	for i, f := range a.Errs {
		errs[i] = f.error()
	}
	return errs, nil
}

func (c *client) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckList(ctx, scope, r)
	a, err := c.call(ctx, err, request{Name: "list", Scope: scope, Range: r})
	return a.Page, err
}

func (c *client) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckLookup(ctx, scope, index, r)
	a, err := c.call(ctx, err, request{Name: "lookup", Scope: scope, Index: index, Range: r})
	return a.Page, err
}

func (c *client) SetEntries(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
	_, err := c.call(ctx, storage.CheckKey(ctx, key), request{Name: "set entries", Keys: []storage.Key{key}, Expect: expect, Entries: entries})
	return err
}

func (c *client) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	q, err := storage.CheckChanges(ctx, q)
	a, err := c.call(ctx, err, request{Name: "changes", Query: q})
	return a.Changes, err
}

func (c *client) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	a, err := c.call(ctx, storage.CheckKey(ctx, key), request{Name: "redact", Keys: []storage.Key{key}, Note: note})
	return a.Redacted, err
}

func (c *client) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	_, err := c.call(ctx, ctx.Err(), request{Name: "trim", Before: before, Query: storage.ChangeQuery{After: end}})
	return err
}

func (c *client) Limits() storage.Limits { return storage.Limits{} }

func (c *client) Close() error {
	c.closed.Store(true)
	return nil
}

var servers sync.Map // by their places

func serverAt(place string) *server {
	s, _ := servers.Load(place)
	return s.(*server)
}

// served tells the suite how to open the store.
var served = Durable{
	New: func(t *testing.T) string {
		place := uuid.NewString()
		servers.Store(place, &server{records: memory.New()})
		t.Cleanup(func() { servers.Delete(place) })
		return place
	},
	Open: func(_ context.Context, place string) (storage.Store, error) {
		return &client{server: serverAt(place)}, nil
	},
	OpenConn: func(_ context.Context, place string, wrap func(net.Conn) net.Conn) (storage.Store, error) {
		return &client{server: serverAt(place), wrap: wrap}, nil
	},
	Block: func(_ *testing.T, place string) (release func()) {
		writes := &serverAt(place).writes
		writes.Lock()
		return writes.Unlock
	},
}

// TestServed: a right store passes the cases that neither memory nor the journal can
// try.
func TestServed(t *testing.T) {
	t.Parallel()
	others := regexp.MustCompile("^(durable|peer/(swap|list|batch|model))/")
	all := slices.DeleteFunc(served.cases(), func(c testCase) bool {
		race := strings.HasPrefix(c.name, "peer/race/") && c.name != "peer/race/linearizable"
		return race || others.MatchString(c.name)
	})
	runCases(t, all, served.prepare(t.Name()))
}

func TestServedMutants(t *testing.T) {
	impatient(t)
	runDurableMutants(t, served, true)
}
