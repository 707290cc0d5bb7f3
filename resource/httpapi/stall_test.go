package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tightListener gives connections that the kernel keeps little for, so that a
// client which does not read is felt at once.
type tightListener struct{ net.Listener }

func (l tightListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return conn, err
}

// serveTight starts the service for clients that stall, with n customers of 16 KB.
func serveTight(t *testing.T, n int, opts httpapi.Options) *server {
	t.Helper()
	s := newService(t, &opts)
	for i := range n {
		s.put(t, acme, fmt.Sprintf(`{"customerId":"%03d","firstName":"%s","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`, i, strings.Repeat("x", 16<<10)))
	}
	ts := httptest.NewUnstartedServer(s.handler)
	ts.Listener = tightListener{ts.Listener}
	ts.Start()
	t.Cleanup(ts.CloseClientConnections)
	return &server{service: s, addr: ts.Listener.Addr().String(), url: ts.URL}
}

// stall sends a message, of whose answer nothing is read.
func (s *server) stall(t *testing.T, sent []byte) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
	go func() { _, _ = conn.Write(sent) }()
	return conn
}

// ended reads the rest of an answer, and reports whether it was whole.
func ended(t *testing.T, conn net.Conn) (whole bool) {
	t.Helper()
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return err == nil
}

// TestStalledClients: many clients that never read get no more than the room there
// is, small answers do not wait for theirs, large ones wait until somebody is cut,
// and everybody else gets a 200.
func TestStalledClients(t *testing.T) {
	const limit, clients = 12 << 20, 18
	for name, stalling := range map[string][]byte{
		"answers": list("?limit=1000").bytes(),
		"bodies": []byte("POST " + route + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer acme\r\nContent-Length: 1000000\r\n\r\n" +
			strings.Repeat(" ", 900_000)),
	} {
		t.Run(name, func(t *testing.T) {
			// StallTimeout is out of reach: they are cut because others wait.
			s := serveTight(t, 100, httpapi.Options{MaxInFlight: limit, StallTimeout: time.Minute})
			for range clients {
				s.stall(t, stalling)
			}
			require.Eventually(t, func() bool {
				in, _ := s.api.Held()
				return in > limit*2/3 // a quarter stays free, and a page has 1.25 MiB
			}, 10*time.Second, time.Millisecond, "they hold what they may")
			var most atomic.Int64
			stop := make(chan struct{})
			go func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						in, work := s.api.Held()
						most.Store(max(most.Load(), in, work))
					}
				}
			}()
			for range 20 {
				assert.Equal(t, 200, s.exchange(t, get("000")).status)
				assert.Equal(t, 200, s.exchange(t, list("?limit=1")).status)
				assert.Equal(t, 200, s.exchange(t, post("", customer("c-1", ""))).status)
			}
			a := s.exchange(t, list("?limit=1000")) // somebody was cut for it
			assert.NotEmpty(t, parseList(t, a).Data.Results)
			close(stop)
			assert.LessOrEqual(t, most.Load(), int64(limit), "bytes held at one time")
		})
	}
}

// TestNothingIsHeld: after an exchange, however it ends, its bytes are given back.
func TestNothingIsHeld(t *testing.T) {
	s := serveTight(t, 100, httpapi.Options{MaxInFlight: 4 << 20, StallTimeout: 500 * time.Millisecond})
	large := post("", customer("c-1", `,"email":"`+strings.Repeat("x", 200_000)+`"`))
	for _, m := range []message{
		list("?limit=1000"), get("000"), large, large, get("000").as("PATCH", `{"data":{"phone":"1"}}`),
		post("", `{"data":{"customerId":"c-1","x":"`+strings.Repeat("x", 200_000)+`"}}`),
		get("000").as("DELETE", ""), list("?cursor=x"), get("no").as("PATCH", large.body),
	} {
		s.exchange(t, m)
	}
	whole := list("?limit=1000").bytes()
	conn := s.stall(t, whole)
	time.Sleep(time.Millisecond)
	s.stall(t, whole).Close()
	s.stall(t, large.bytes()[:100_000]).Close()
	require.Eventually(t, func() bool {
		in, work := s.api.Held()
		return in == 0 && work == 0
	}, 30*time.Second, 10*time.Millisecond)
	assert.False(t, ended(t, conn), "cut after StallTimeout, without any line")
}

// TestDeadlinesEnd: an exchange leaves no deadline of its own to the next one on
// the connection, nor to the work between its body and its answer.
func TestDeadlinesEnd(t *testing.T) {
	const stall = 100 * time.Millisecond
	s := newService(t, &httpapi.Options{StallTimeout: stall})
	s.put(t, acme, `{"customerId":"large","firstName":"`+strings.Repeat("x", 100_000)+`","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	var slow atomic.Bool
	s.faults.Store = &slowStore{s.faults.Store, &slow, 3 * stall}
	ts := httptest.NewServer(s.handler)
	t.Cleanup(ts.Close)
	conn, err := net.Dial("tcp", ts.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	answers := bufio.NewReader(conn)
	send := func(m message) {
		t.Helper()
		_, err := conn.Write([]byte(strings.Replace(string(m.bytes()), "Connection: close\r\n", "", 1)))
		require.NoError(t, err)
		res, err := http.ReadResponse(answers, &http.Request{Method: m.method})
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(t, err)
		assert.Equal(t, 200, res.StatusCode)
	}
	send(get("large"))
	time.Sleep(3 * stall)
	send(get("large"))
	slow.Store(true)
	send(post("", customer("c-1", "")))
	send(post("", customer("c-2", `,"email":"`+strings.Repeat("x", 100_000)+`"`)))
}

// slowStore is a store whose writes take a while when they shall.
type slowStore struct {
	storage.Store
	slow *atomic.Bool
	time time.Duration
}

func (s *slowStore) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if s.slow.Load() {
		select {
		case <-time.After(s.time):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Store.Write(ctx, writes)
}

// TestServersDeadlines: those of the server end an exchange earlier.
func TestServersDeadlines(t *testing.T) {
	s := newService(t, nil)
	ts := httptest.NewUnstartedServer(s.handler)
	ts.Config.ReadTimeout = 100 * time.Millisecond
	ts.Start()
	t.Cleanup(ts.Close)
	srv := &server{service: s, addr: ts.Listener.Addr().String()}
	conn := srv.stall(t, post("", customer("c-1", "")).bytes()[:200])
	a := readAnswer(t, conn, "POST")
	checkAnswer(t, a)
	assert.Equal(t, 408, a.status)
}
