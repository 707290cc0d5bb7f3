package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Held returns the bytes that the exchanges of an API hold: what waits for clients,
// and what is being worked on.
func (a *API) Held() (in, work int64) {
	held := func(r *room) int64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.held
	}
	return held(&a.in), held(&a.work)
}

// Streams returns how many streams are open.
func (a *API) Streams() int64 { return a.streams.Load() }

// SetHeartbeat sets how often a stream tells where it is.
func (a *API) SetHeartbeat(d time.Duration) { a.heartbeat = d }

// inLine waits until so many wait in line.
func (r *room) inLine(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.waiting == n
	}, 10*time.Second, time.Millisecond)
}

func TestRoom(t *testing.T) {
	ctx := context.Background()
	const unit = smallBytes
	r := &room{max: 1000 * unit}
	enter := func(bytes int64) *hold {
		h := &hold{room: r}
		require.NoError(t, h.wait(ctx, bytes, time.Minute))
		return h
	}
	// Each leaves room for three more of its size, or a quarter.
	enter(5000 * unit).force(0) // alone
	large := []*hold{enter(300 * unit), enter(300 * unit)}
	admitted := make(chan int64, 10)
	line := 0
	queue := func(bytes int64) {
		go func() {
			h := &hold{room: r}
			if err := h.wait(ctx, bytes, time.Minute); err == nil {
				admitted <- bytes
			}
		}()
		line++
		r.inLine(t, line)
	}
	queue(300 * unit)
	queue(299 * unit) // is not let in before the one that is hardly larger
	enter(40 * unit)
	enter(40 * unit).force(0)
	assert.EqualValues(t, 640*unit, r.held)
	large[0].force(280 * unit)
	assert.Empty(t, admitted)
	large[0].force(0)
	assert.EqualValues(t, 300*unit, <-admitted)
	large[1].force(0)
	assert.EqualValues(t, 299*unit, <-admitted)

	h := &hold{room: r}
	assert.False(t, h.try(300*unit))
	assert.True(t, h.try(50*unit))
	assert.True(t, h.try(20*unit), "less is always possible")
	assert.EqualValues(t, (300+299+40+20)*unit, r.held)
	h.force(2000 * unit)
	assert.EqualValues(t, (300+299+40+2000)*unit, r.held)
	assert.Zero(t, r.waiting)
}

// TestRoomErrors: who leaves the line holds nothing.
func TestRoomErrors(t *testing.T) {
	r := &room{max: 1000}
	full := &hold{room: r}
	full.force(1000)
	h := &hold{room: r}
	assert.Equal(t, error(errBusy), h.wait(context.Background(), 10, time.Millisecond))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, h.wait(ctx, 10, time.Minute), context.Canceled)
	assert.EqualValues(t, 1000, r.held)
	assert.Zero(t, r.waiting)
	full.force(0)
	require.NoError(t, h.wait(ctx, 10, time.Minute), "there is room")
}

// TestRelief: while there is a line, those who wait for their clients are cut, the
// longest first, and no more than it takes.
func TestRelief(t *testing.T) {
	r := &room{max: 1000}
	var cut []int
	for i := range 3 {
		h := &hold{room: r, cut: func() { cut = append(cut, i) }}
		h.force(200)
		if i != 1 {
			h.waits()
			r.stalled[h] = time.Now().Add(-time.Duration(i+1) * time.Minute)
		}
	}
	h := &hold{room: r}
	require.NoError(t, h.wait(context.Background(), 200, time.Minute))
	assert.Equal(t, []int{2}, cut, "the one that has waited for longest")
}

// TestRoomLeft: when the first in a line leaves, the next one gets the room that there is.
func TestRoomLeft(t *testing.T) {
	r := &room{max: 1000 * smallBytes}
	(&hold{room: r}).force(500 * smallBytes)
	ctx, cancel := context.WithCancel(context.Background())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- (&hold{room: r}).wait(ctx, 300*smallBytes, time.Minute) }() // does not fit
	r.inLine(t, 1)
	go func() { second <- (&hold{room: r}).wait(context.Background(), 240*smallBytes, 10*time.Second) }()
	r.inLine(t, 2)
	cancel()
	assert.ErrorIs(t, <-first, context.Canceled)
	assert.NoError(t, <-second)
}

// TestStalledTail: a client that reads all but the end of an answer, which net/http keeps
// and sends last, is cut as well.
func TestStalledTail(t *testing.T) {
	for _, tail := range []int{1000, 8000} {
		a := &API{stall: 100 * time.Millisecond}
		a.in.max, a.work.max = DefaultMaxInFlight, DefaultMaxInFlight
		ended := make(chan error, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			x := a.exchange(w, r)
			defer x.done()
			_, err := x.Write(make([]byte, 64<<10+tail))
			ended <- err
		}))
		client, conn := net.Pipe() // without buffers of the system
		server.Listener = &oneConn{conn: conn, closed: make(chan struct{})}
		server.Start()
		_, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReaderSize(client, 16), nil)
		require.NoError(t, err)
		_, err = io.CopyN(io.Discard, res.Body, 64<<10)
		require.NoError(t, err)
		select {
		case err := <-ended:
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded, "%d bytes left", tail)
		case <-time.After(10 * time.Second):
			t.Error("the client was not cut")
		}
		client.Close()
		server.Close()
	}
}

// TestDamagedIsToldOnce: also if a list has to be read twice, since there was no room for
// an answer larger than expected.
func TestDamagedIsToldOnce(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	c, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	tenant, told := storage.TenantOf("p", "b"), 0
	a, err := NewAPI(Hooks{
		Authenticate:  func(*http.Request) (Principal, error) { return Principal{Unconfined: true}, nil },
		ResolveTenant: func(context.Context, Principal, string) (storage.Tenant, error) { return tenant, nil },
	}, &Options{MaxInFlight: 1 << 20, OnError: func(*http.Request, int, error) { told++ }}, c)
	require.NoError(t, err)
	_, err = c.Create(ctx, tenant, []byte(`{"customerId":"c-1","firstName":"`+strings.Repeat("x", 300<<10)+`","lastName":"L","createdAt":"2024-01-02T03:04:05Z"}`), nil)
	require.NoError(t, err)
	damaged := storage.Record{Key: storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: "c-2"}, Data: []byte("[]")}
	_, err = storage.Put(ctx, store, damaged, 0)
	require.NoError(t, err)

	full := &hold{room: &a.in}
	full.force(900 << 10)
	go func() {
		time.Sleep(50 * time.Millisecond) // the first reading has found no room by then
		full.force(0)
	}()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest("GET", "/api/resources/customers?limit=2", nil))
	assert.Equal(t, 200, w.Code)
	assert.Greater(t, w.Body.Len(), 300<<10)
	assert.Equal(t, 1, told)
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// sink keeps what a stream writes.
type sink struct{ bytes.Buffer }

func (s *sink) Header() http.Header { return http.Header{} }
func (s *sink) WriteHeader(int)     {}
func (s *sink) Flush()              {}

const oneEvent = `event: updated\ndata: (\{[^\r\n]*\})\nid: [A-Za-z0-9_-]{76}\n\n`

var twoEvents = regexp.MustCompile(`^` + oneEvent + oneEvent + `$`)

// FuzzEvents: whatever is in the log, a change is one event of three lines.
func FuzzEvents(f *testing.F) {
	c, err := resource.NewCollection(schema.Customers(), memory.New(), &resource.Options{Log: true, History: true})
	require.NoError(f, err)
	tenant := storage.TenantOf("a", "b")
	for _, text := range []string{"a", "a\nb", "\r\n\r\ndata: x", "\u2028", "\xff\x00", `{"customerId":"x"}`, "{\n\"customerId\"\r:\"x\"}", `{"customerId":"a` + "\n" + `b"}`} {
		f.Add(text, text, text, true)
		f.Add(text, text, text, false)
	}
	f.Fuzz(func(t *testing.T, id, actor, document string, unredacted bool) {
		w := &sink{}
		s := &stream{
			w: w, control: http.NewResponseController(w), c: c, tenant: tenant, over: func() {},
			opts: resource.ChangeOptions{Documents: true, Patches: true, Unredacted: unredacted},
		}
		change := storage.Change{
			Cursor: storage.Cursor{Position: 7, Revision: 7}, Key: storage.Key{Tenant: tenant, Schema: schema.Customers().ID(), ExternalID: id}, Before: 1,
			Note: storage.Note{Actor: actor, Reason: actor, Before: []byte(`{"customerId":"y"}`), After: []byte(document)},
		}
		require.NoError(t, s.events(context.Background(), storage.ChangePage{Changes: []storage.Change{change, change}, Next: change.Cursor}))
		match := twoEvents.FindSubmatch(w.Bytes())
		require.NotNil(t, match, "%q", w.String())
		require.True(t, json.Valid(match[1]), "%q", match[1])
	})
}
