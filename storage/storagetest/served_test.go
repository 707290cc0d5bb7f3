package storagetest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// This file is the other store of the suite's own tests. The journal has one handle
// on its records and no server; this one has a server, so that the cases of two
// handles, of held-up writes and of a network have a right store to pass on and wrong
// ones to catch.

// server keeps the records of a place, in memory.
type server struct {
	records storage.Store
	writes  sync.RWMutex // locked to hold writes up
}

// request is one call. It has the fields of every kind.
type request struct {
	Name   string
	Record storage.Record // of get and delete the key counts, of list the scope, after it the external id
	Expect storage.Revision
	Limit  int
}

type answer struct {
	Record storage.Record
	Page   storage.Page
	Err    int // a place in answerErrors
}

var answerErrors = []error{nil, storage.ErrNotFound, storage.ErrConflict}

// serve answers the one request of a connection.
func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	var req request
	if json.NewDecoder(conn).Decode(&req) != nil {
		return
	}
	ctx, key := context.Background(), req.Record.Key
	var a answer
	var err error
	if req.Name == "put" || req.Name == "delete" {
		s.writes.RLock()
		defer s.writes.RUnlock()
	}
	switch req.Name {
	case "get":
		a.Record, err = s.records.Get(ctx, key)
	case "put":
		a.Record.Revision, err = s.records.Put(ctx, req.Record, req.Expect)
	case "delete":
		err = s.records.Delete(ctx, key, req.Expect)
	case "list":
		a.Page, err = s.records.List(ctx, key.Scope(), key.ExternalID, req.Limit)
	}
	a.Err = slices.IndexFunc(answerErrors, func(target error) bool { return errors.Is(err, target) })
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
	// A pipe fails to write only what was not read to its end.
	if _, err = conn.Write(message); err != nil {
		err = storage.ErrUnavailable
	} else if json.NewDecoder(conn).Decode(&a) != nil {
		if err = storage.ErrUnavailable; req.Name == "put" || req.Name == "delete" {
			err = storage.ErrUnknownOutcome
		}
	}
	switch ended := ctx.Err(); {
	case err == nil:
		return a, answerErrors[a.Err]
	case ended != nil && err == storage.ErrUnavailable:
		return a, ended
	case ended != nil:
		return a, errors.Join(err, ended)
	}
	return a, err
}

func (c *client) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	a, err := c.call(ctx, storage.CheckKey(ctx, key), request{Name: "get", Record: storage.Record{Key: key}})
	return a.Record, err
}

func (c *client) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	a, err := c.call(ctx, storage.CheckKey(ctx, rec.Key), request{Name: "put", Record: rec, Expect: expect})
	return a.Record.Revision, err
}

func (c *client) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	_, err := c.call(ctx, storage.CheckDelete(ctx, key, expect), request{Name: "delete", Record: storage.Record{Key: key}, Expect: expect})
	return err
}

func (c *client) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(ctx, scope, after, limit)
	a, err := c.call(ctx, err, request{Name: "list", Record: storage.Record{Key: keyIn(scope, after)}, Limit: limit})
	return a.Page, err
}

func (c *client) Close() error {
	c.closed.Store(true)
	return nil
}

var servers sync.Map // by their places

func serverAt(place string) *server {
	s, _ := servers.Load(place)
	return s.(*server)
}

// served is all that the suite needs to know of it.
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
	all := slices.Concat(peerCases, blockedCases, networkCases)
	all = append(all, findCase(t, served.cases(), "peer/race/linearizable"))
	runCases(t, all, served.prepare(t.Name()))
}

func TestServedMutants(t *testing.T) {
	impatient(t)
	runDurableMutants(t, served, true)
}
