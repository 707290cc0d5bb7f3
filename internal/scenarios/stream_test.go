package scenarios_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/postgres/pgtest"
)

var (
	streamClients = flag.Int("clients", 60, "how many clients TestStream has")
	streamChanges = flag.Int("streamed", 160, "how many changes they get")
)

// TestStream: many clients read the stream of one server, and half of them stall. The
// others get each change once and in order, also those that come again with the id of the
// last event. The memory of the server is bounded, and without changes it asks the
// database every two seconds at most.
func TestStream(t *testing.T) {
	t.Parallel()
	const maxMemory = 256 << 20
	db := pgtest.Start(t, pgtest.Config{Settings: map[string]string{"fsync": "off", "shared_preload_libraries": "'pg_stat_statements'"}})
	where := "postgres resources " + db.DSN()
	store, err := openIn(ctx, where)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	server := startChild(t, "serve", where)
	var addr string
	_, err = fmt.Fscanf(server.out, "listening %s\n", &addr)
	require.NoError(t, err, "%s", &server.errors)

	for range *streamClients / 2 {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(4096))
		_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", streamPath)
		require.NoError(t, err)
	}
	clients := make([]*streamClient, (*streamClients+1)/2)
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	var wg sync.WaitGroup
	var connected atomic.Int64
	for i := range clients {
		clients[i] = &streamClient{url: "http://" + addr + streamPath, connected: &connected}
		if i%4 == 0 {
			clients[i].again = 1 + *streamChanges/7
		}
		wg.Go(func() { clients[i].read(reading) })
	}
	require.Eventually(t, func() bool { return connected.Load() == int64(len(clients)) }, time.Minute, 10*time.Millisecond, "clients")

	// Half of the changes are made by the server, the others by this process.
	c := newCollection(t, people, store, &resource.Options{Log: true, History: true})
	made := make(map[storage.Revision]time.Time)
	note := strings.Repeat("x", 2000)
	for n := range *streamChanges {
		document := fmt.Appendf(nil, `{"id":"p%d","note":"%d %s"}`, n%17, n, note)
		begin := time.Now()
		if n%2 == 0 {
			res, err := http.Post("http://"+addr+"/api/resources/people", "application/json", strings.NewReader(`{"data":`+string(document)+`}`))
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, res.Body)
			require.NoError(t, err)
			res.Body.Close()
			require.Equal(t, http.StatusOK, res.StatusCode)
			r, err := c.Get(ctx, everybody, fmt.Sprintf("p%d", n%17))
			require.NoError(t, err)
			made[r.Revision()] = begin
		} else {
			r, err := c.Create(ctx, everybody, document, nil)
			require.NoError(t, err)
			made[r.Revision()] = begin
		}
		time.Sleep(time.Until(begin.Add(25 * time.Millisecond)))
	}
	require.Eventually(t, func() bool {
		return !slices.ContainsFunc(clients, func(c *streamClient) bool { return c.count.Load() < int64(*streamChanges) })
	}, time.Minute, 20*time.Millisecond, "a client has not had all changes")
	memory, peak := memoryOf(t, server.pid())
	statements := statementsIn(t, db.DSN())
	time.Sleep(4 * time.Second) // it asks less and less
	asked, begin := callsOf(t, addr), time.Now()
	idle := statementsIn(t, db.DSN())
	time.Sleep(6 * time.Second)
	asked = callsOf(t, addr) - asked
	idle = statementsIn(t, db.DSN()) - idle
	assert.LessOrEqual(t, asked, int(time.Since(begin)/(2*time.Second))+1, "calls of Changes by an idle server in %v", time.Since(begin))
	stopReading()
	wg.Wait()

	var delays []time.Duration
	for i, c := range clients {
		require.NoError(t, c.err, "client %d", i)
		require.Len(t, c.events, *streamChanges, "client %d, events", i)
		last := make(map[string]string)
		for _, e := range c.events {
			begin, ok := made[e.revision]
			require.True(t, ok, "an event of a change that was not made")
			require.Equal(t, last[e.key], e.previous, "client %d: the changes of %s are not in their order", i, e.key)
			last[e.key] = strconv.FormatUint(uint64(e.revision), 10)
			if c.again == 0 {
				delays = append(delays, e.at.Sub(begin))
			}
		}
	}
	slices.Sort(delays)
	if *streamClients >= 1000 { // with its own machine it is below 250 ms
		assert.Less(t, delays[len(delays)*99/100], 3*time.Second, "the 99th percentile of the delay")
	}
	assert.Less(t, peak, maxMemory, "bytes of memory")
	t.Logf("%d clients, half of them stalled: %d MiB, at most %d MiB; delay of %d events p50 %v, p99 %v, most %v; %d statements, and when idle %d in 6s (%d calls)",
		*streamClients, memory>>20, peak>>20, len(delays), delays[len(delays)/2].Round(time.Millisecond),
		delays[len(delays)*99/100].Round(time.Millisecond), delays[len(delays)-1].Round(time.Millisecond), statements, idle, asked)
	server.stop()
}

// TestIdleStreams: however many streams there are, and however long, an idle server asks the
// store every two seconds at most.
func TestIdleStreams(t *testing.T) {
	for _, streams := range []int{1, 2, 50} {
		t.Run(strconv.Itoa(streams), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &askedStore{Store: memory.New()}
				c := newCollection(t, people, store, &resource.Options{Log: true, History: true})
				api, err := httpapi.NewAPI(hooksOf(everybody), &httpapi.Options{StreamTime: time.Hour}, c)
				require.NoError(t, err)
				_, err = c.Create(t.Context(), everybody, []byte(`{"id":"p"}`), nil)
				require.NoError(t, err)
				for range streams {
					req := httptest.NewRequestWithContext(t.Context(), "GET", streamPath, nil)
					req.Header.Set("Accept", "text/event-stream")
					go api.ServeHTTP(httptest.NewRecorder(), req)
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(10 * time.Second)
				before := store.calls.Load()
				time.Sleep(10 * time.Minute)
				asked := store.calls.Load() - before
				assert.LessOrEqual(t, asked, int64(10*time.Minute/(2*time.Second)))
				assert.GreaterOrEqual(t, asked, int64(100), "the streams are not there")
				api.EndStreams()
			})
		})
	}
}

const streamPath = "/api/changes?schema=people&include=document"

// A streamClient reads the stream, and comes again after some events.
type streamClient struct {
	url       string
	again     int // events of one connection; 0: all
	connected *atomic.Int64
	count     atomic.Int64
	events    []streamed
	err       error
}

type streamed struct {
	revision      storage.Revision
	key, previous string
	at            time.Time
}

func (c *streamClient) read(ctx context.Context) {
	for last, first := "", true; c.err == nil && ctx.Err() == nil; first = false {
		var err error
		if last, err = c.connect(ctx, last, first); err != nil && ctx.Err() == nil {
			c.err = err
		}
	}
}

func (c *streamClient) connect(ctx context.Context, last string, first bool) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", c.url, nil)
	if err != nil {
		return last, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return last, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		return last, fmt.Errorf("%s, %s", res.Status, res.Header.Get("Content-Type"))
	}
	if first {
		c.connected.Add(1) // changes that are made from now on must come
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	id, data := last, ""
	for n := 0; lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			id = value
		case "event":
			if value == "reset" {
				return last, errors.New("reset")
			}
		case "data":
			data = value
		case "":
			if lines.Text() != "" {
				continue // a comment
			}
			last = id
			if data == "" {
				continue
			}
			revision, err := strconv.ParseUint(member(data, "revision"), 10, 64)
			if err != nil {
				return last, err
			}
			c.events = append(c.events, streamed{storage.Revision(revision), member(data, "resourceExternalId"), member(data, "previousRevision"), time.Now()})
			c.count.Add(1)
			data = ""
			if n++; n == c.again {
				return last, nil
			}
		}
	}
	return last, nil // a planned end, or a broken connection
}

// member returns the text of a string member of an event, which needs no parser here.
func member(data, name string) string {
	_, rest, _ := strings.Cut(data, `"`+name+`":"`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// serveRole serves a collection, and counts how often the log is read.
func serveRole(ctx context.Context, args []string) error {
	store, err := openIn(ctx, args[0])
	if err != nil {
		return err
	}
	asked := &askedStore{Store: store}
	c, err := resource.NewCollection(people, asked, &resource.Options{Log: true, History: true})
	if err != nil {
		return err
	}
	api, err := httpapi.NewAPI(hooksOf(everybody), nil, c)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("/calls", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, asked.calls.Load()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening", listener.Addr())
	server := &http.Server{Handler: mux, ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
		_ = conn.(*net.TCPConn).SetWriteBuffer(16 << 10) // so that stalls are noticed soon
		return ctx
	}}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return store.Close()
}

// askedStore counts how often the log is read.
type askedStore struct {
	storage.Store
	calls atomic.Int64
}

func (s *askedStore) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	s.calls.Add(1)
	return s.Store.Changes(ctx, q)
}

func callsOf(t *testing.T, addr string) (calls int) {
	t.Helper()
	res, err := http.Get("http://" + addr + "/calls")
	require.NoError(t, err)
	defer res.Body.Close()
	_, err = fmt.Fscan(res.Body, &calls)
	require.NoError(t, err)
	return calls
}

// memoryOf returns how much memory a process has, and the most that it had, in bytes.
func memoryOf(t *testing.T, pid int) (now, most int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(status)) {
		var kilobytes int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); err == nil {
			now = kilobytes << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); err == nil {
			most = kilobytes << 10
		}
	}
	return now, most
}

// statementsIn returns how many statements a server has executed.
func statementsIn(t *testing.T, dsn string) (calls int) {
	t.Helper()
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(ctx, "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'").Scan(&calls))
	return calls
}
