package storagetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var networkCases = []testCase{
	{"network/lost-answer", "A write whose answer got lost gives ErrUnknownOutcome, and is not sent again.", caseLostAnswer},
	{"network/lost-read", "A read whose answer got lost gives ErrUnavailable or is repeated; it has no unknown outcome.", caseLostRead},
	{"network/lost-request", "A write that could not be sent has no effect, and no error says otherwise.", caseLostRequest},
}

// network connects a store with its server.
type network struct {
	mu      sync.Mutex
	secret  []byte        // breaks the connection that it is written to
	request bool          // before the server gets it, rather than after it has answered
	sent    int           // how often it was written
	delay   time.Duration // of each message to the server
}

func (n *network) slow(delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = delay
}

// breakAt lets the next connection break over which the secret is sent: an external id, or
// another text of a call.
func (n *network) breakAt(secret string, request bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.secret, n.request, n.sent = []byte(secret), request, 0
}

func (n *network) timesSent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent
}

// sees reports whether a connection breaks at this piece, and where, and how long the
// piece takes.
func (n *network) sees(piece []byte) (breaks, request bool, delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.secret) == 0 {
		return false, false, n.delay
	}
	times := bytes.Count(piece, n.secret) + bytes.Count(piece, []byte(hex.EncodeToString(n.secret)))
	n.sent += times
	return times > 0 && n.sent == times, n.request, n.delay
}

func (n *network) wrap(c net.Conn) net.Conn { return &breakingConn{Conn: c, network: n} }

type breakingConn struct {
	net.Conn
	network *network
	broken  atomic.Bool
}

func (c *breakingConn) Write(b []byte) (int, error) {
	breaks, request, delay := c.network.sees(b)
	time.Sleep(delay)
	if breaks && request {
		_ = c.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	if breaks {
		c.broken.Store(true)
	}
	return c.Conn.Write(b)
}

// Read waits for the answer before it breaks: the server is done by then.
func (c *breakingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.broken.Load() {
		_ = c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// openNetwork opens two stores on the same records: one on a network that breaks, and one
// that reads the result without it. Each connection of the first has made every kind of
// call, so that a driver has nothing left to prepare.
func (e *env) openNetwork() (broken, beside storage.Store, n *network) {
	place := e.newPlace()
	n = &network{}
	broken, err := e.places.OpenConn(context.Background(), place, n.wrap)
	require.NoError(e, err, "open")
	e.closeLater(broken)
	err = inParallel(16, func(i int) error {
		scope := confusableScopes()[i]
		for range 5 {
			key, beside := keyIn(scope, "warm up"), keyIn(scope, "warm up, batch")
			first := putOf(record(key, "x"), 0)
			second := putOf(record(key, "y"), first.Record.Revision)
			other := putOf(record(beside, "x"), 0)
			for _, writes := range [][]storage.Write{
				{first}, {second}, {deleteOf(key, second.Record.Revision)},
				{first, other},
				{second, putOf(record(beside, "y"), other.Record.Revision)},
			} {
				if err := writeMany(broken, writes...); err != nil {
					return err
				}
			}
			for _, key := range []storage.Key{key, beside} {
				rec, err := broken.Get(context.Background(), key)
				if err != nil {
					return err
				}
				if err := remove(broken, key, rec.Revision); err != nil {
					return err
				}
			}
		}
		return nil
	})
	require.NoError(e, err)
	return broken, e.openAt(place), n
}

// usable calls op until it works: with a connection others of its pool may break.
func (e *env) usable(op func() error) {
	var err error
	for range 100 {
		if err = op(); !errors.Is(err, storage.ErrUnavailable) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	require.NoError(e, err, "a call after a connection broke")
}

func caseLostAnswer(e *env) {
	store, beside, n := e.openNetwork()
	for _, a := range e.attempts(store) {
		id := a.writes[0].Record.Key.ExternalID
		n.breakAt(id, false)
		errs := a.do(context.Background(), store)
		require.Equal(e, 1, n.timesSent(), "%s: times it was sent (0: the suite did not recognise it, is the connection encrypted?)", a.name)
		for i, w := range a.writes {
			require.ErrorIs(e, errs[i], storage.ErrUnknownOutcome, "%s, whose answer got lost", a.name)
			e.silent(errs[i], id, "before", "after")
			require.Equal(e, left(w), e.state(beside, w), "%s: the server had done it", a.name)
		}
		e.usable(func() error {
			_, err := store.List(context.Background(), testScope, storage.Range{Limit: 1})
			return err
		})
	}
}

func caseLostRead(e *env) {
	store, _, n := e.openNetwork()
	rec := e.mustPut(store, record(testKey("read me"), "x"), 0)
	for range 3 {
		for _, read := range []struct {
			name string
			call func() error
		}{
			{"get", func() error { _, err := store.Get(context.Background(), rec.Key); return err }},
			{"get many", func() error {
				_, err := store.GetMany(context.Background(), []storage.Key{rec.Key})
				return err
			}},
			{"list", func() error {
				_, err := store.List(context.Background(), testScope, after(rec.Key.ExternalID, 5))
				return err
			}},
		} {
			n.breakAt(rec.Key.ExternalID, false)
			err := read.call()
			require.NotErrorIs(e, err, storage.ErrUnknownOutcome, read.name)
			if err != nil {
				require.ErrorIs(e, err, storage.ErrUnavailable, read.name)
			}
			require.NotZero(e, n.timesSent(), "%s: times it was sent", read.name)
			e.usable(read.call)
		}
	}
	e.holds(store, rec)
}

func caseLostRequest(e *env) {
	store, beside, n := e.openNetwork()
	for _, a := range e.attempts(store) {
		n.breakAt(a.writes[0].Record.Key.ExternalID, true)
		errs := a.do(context.Background(), store)
		for i, w := range a.writes {
			now := e.state(beside, w)
			if errs[i] == nil { // the store knew that the server had not got it, and sent it again
				require.Equal(e, left(w), now, a.name)
				continue
			}
			require.Equal(e, w.Expect, now, "%s, which failed before it was sent", a.name)
			if !errors.Is(errs[i], storage.ErrUnavailable) {
				require.ErrorIs(e, errs[i], storage.ErrUnknownOutcome, a.name)
			}
		}
		e.usable(func() error {
			_, err := store.List(context.Background(), testScope, storage.Range{Limit: 1})
			return err
		})
	}
}
