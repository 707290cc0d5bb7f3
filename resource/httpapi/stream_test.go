package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// changesOf is a GET of the changes of customers by acme.
func changesOf(query string, header ...string) message {
	return message{method: "GET", target: "/api/changes?schema=customers" + query, header: append([]string{"Authorization: Bearer acme"}, header...)}
}

// streamOf is the same as a stream.
func streamOf(query string, header ...string) message {
	return changesOf(query, append(header, "Accept: text/event-stream")...)
}

// A change is one of an answer or of an event.
type change struct {
	Outcome, ResourceExternalID, Revision, Actor string
	Document, Patch                              json.RawMessage
}

// changed is what a GET of changes answers.
type changed struct {
	Data struct {
		Results    []change
		Pagination struct {
			HasNextPage bool
			Cursor      *string
		}
	}
}

func parseChanges(t testing.TB, a answer) changed {
	t.Helper()
	require.Equal(t, 200, a.status, a.body)
	var c changed
	require.NoError(t, json.Unmarshal([]byte(a.body), &c))
	return c
}

// An event is a block of a stream, by the rules for clients of the WHATWG.
type event struct{ id, kind, data, comment, retry string }

// An events is an open stream.
type events struct {
	t      testing.TB
	conn   net.Conn
	res    *http.Response
	reader *bufio.Reader
}

// stream opens a stream.
func (s *server) stream(t testing.TB, m message) *events {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	e := &events{t: t, conn: conn}
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = conn.Write([]byte(strings.Replace(string(m.bytes()), "Connection: close\r\n", "", 1)))
	require.NoError(t, err)
	e.res, err = http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: m.method})
	require.NoError(t, err)
	e.reader = bufio.NewReader(e.res.Body)
	return e
}

// next returns the next block.
func (e *events) next() (event, error) {
	var got event
	for {
		line, err := e.reader.ReadString('\n')
		if err != nil {
			return got, err
		}
		line = strings.TrimSuffix(line, "\n")
		assert.NotContains(e.t, line, "\r")
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			return got, nil
		case name == "":
			got.comment = value
		case name == "id":
			got.id = value
		case name == "event":
			got.kind = value
		case name == "data":
			got.data = strings.TrimPrefix(got.data+"\n"+value, "\n")
		case name == "retry":
			got.retry = value
		default:
			assert.Fail(e.t, "a line of no field", "%q", line)
		}
	}
}

// one returns the next block with data.
func (e *events) one() event {
	e.t.Helper()
	for {
		got, err := e.next()
		require.NoError(e.t, err)
		if got.data != "" {
			return got
		}
	}
}

// change returns the next change.
func (e *events) change() (change, string) {
	e.t.Helper()
	got := e.one()
	value, err := strictJSON([]byte(got.data))
	require.NoError(e.t, err, got.data)
	assert.Empty(e.t, conform("", value, changeShape))
	var c change
	require.NoError(e.t, json.Unmarshal([]byte(got.data), &c))
	assert.Equal(e.t, got.kind, c.Outcome)
	return c, got.id
}

// end reads up to the end, which must be a clean one.
func (e *events) end() (blocks []event) {
	e.t.Helper()
	for {
		got, err := e.next()
		if err != nil {
			require.ErrorIs(e.t, err, io.EOF)
			return blocks
		}
		blocks = append(blocks, got)
	}
}

// quiet waits until no stream is open.
func (s *service) quiet(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return s.api.Streams() == 0 }, 30*time.Second, time.Millisecond, "the streams end")
}

func TestStream(t *testing.T) {
	s := newService(t, nil).serve(t)
	s.api.SetHeartbeat(time.Hour)
	e := s.stream(t, streamOf(""))
	first, err := e.next()
	require.NoError(t, err)
	assert.Regexp(t, `^[1-4]\d\d\d$`, first.retry)
	assert.NotEmpty(t, first.id, "a client that goes now misses nothing when it comes again")
	assert.Empty(t, first.data)

	require.Equal(t, 200, s.exchange(t, post("", customer("c-1", ""))).status)
	c, created := e.change()
	assert.Equal(t, change{"created", "c-1", c.Revision, "acme", nil, nil}, c)
	require.Equal(t, 200, s.exchange(t, post("", customer("theirs", "")).by("globex")).status)
	require.Equal(t, 200, s.exchange(t, post("", customer("c-1", `,"phone":"1"`))).status)
	c, updated := e.change()
	assert.Equal(t, "updated c-1", c.Outcome+" "+c.ResourceExternalID)
	require.Equal(t, 200, s.exchange(t, post("", customer("c-1", `,"phone":"1"`))).status) // unchanged
	require.Equal(t, 200, s.exchange(t, get("c-1").as("DELETE", "")).status)
	c, _ = e.change()
	assert.Equal(t, "deleted c-1", c.Outcome+" "+c.ResourceExternalID)
	e.conn.Close()
	s.quiet(t)

	for name, tc := range map[string]struct {
		from message
		want []string
	}{
		"from the start":        {streamOf("&after=start"), []string{"created", "updated", "deleted"}},
		"after a cursor":        {streamOf("&after=" + updated), []string{"deleted"}},
		"Last-Event-ID":         {streamOf("", "Last-Event-ID: "+created), []string{"updated", "deleted"}},
		"Last-Event-ID wins":    {streamOf("&after="+updated, "Last-Event-ID: "+created), []string{"updated", "deleted"}},
		"an empty one does not": {streamOf("&after="+updated, "Last-Event-ID: "), []string{"deleted"}},
		"what came before any":  {streamOf("", "Last-Event-ID: "+first.id), []string{"created", "updated", "deleted"}},
	} {
		e := s.stream(t, tc.from)
		for _, want := range tc.want {
			c, _ := e.change()
			assert.Equal(t, want, c.Outcome, name)
		}
		e.conn.Close()
	}
	// The same cursor is one of pages.
	page := parseChanges(t, s.exchange(t, changesOf("&after="+created)))
	assert.Len(t, page.Data.Results, 2)
	// The tenant is looked at again.
	assert.Equal(t, 401, s.exchange(t, streamOf("", "Last-Event-ID: "+created).by("revoked")).status)
}

// TestHeartbeats: they come at fixed times and look alike, whether other tenants write or
// not, and their cursors move.
func TestHeartbeats(t *testing.T) {
	s := newService(t, nil)
	s.api.SetHeartbeat(50 * time.Millisecond)
	srv := s.serve(t)
	start := time.Now()
	busy, idle := srv.stream(t, streamOf("")), srv.stream(t, streamOf("").by("globex"))
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				assert.Equal(t, 200, srv.exchange(t, post("", customer("c-1", fmt.Sprintf(`,"phone":"%d"`, i)))).status)
			}
		}
	})
	ids := map[string]bool{}
	last := ""
	for range 6 {
		got, err := idle.next()
		require.NoError(t, err)
		got.retry = ""
		assert.Equal(t, event{id: got.id}, got)
		assert.Len(t, got.id, 76)
		ids[got.id], last = true, got.id
	}
	assert.GreaterOrEqual(t, time.Since(start), 5*50*time.Millisecond, "no sooner than without the writes of others")
	assert.Len(t, ids, 6, "no two are equal, also if the place is")
	assert.NotEmpty(t, busy.one().id)
	close(stop)
	writer.Wait()
	require.Equal(t, 200, srv.exchange(t, post("", customer("c-2", "")).by("globex")).status)
	e := srv.stream(t, streamOf("", "Last-Event-ID: "+last).by("globex"))
	c, _ := e.change()
	assert.Equal(t, "c-2", c.ResourceExternalID)
}

// lost is a store that has lost its log for so many reads that begin after a cursor.
type lost struct {
	storage.Store
	reads atomic.Int64
}

func (l *lost) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	if q.After != (storage.Cursor{}) && l.reads.Add(-1) >= 0 {
		return storage.ChangePage{}, storage.ErrExpired
	}
	return l.Store.Changes(ctx, q)
}

func TestStreamReset(t *testing.T) {
	s := newService(t, nil)
	expired := &lost{Store: s.faults.Store}
	s.faults.Store = expired
	srv := s.serve(t)
	s.put(t, acme, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	old := *parseChanges(t, srv.exchange(t, changesOf(""))).Data.Pagination.Cursor
	expired.reads.Store(1)
	assert.Equal(t, 410, srv.exchange(t, changesOf("&after="+old)).status)
	expired.reads.Store(1)
	e := srv.stream(t, streamOf("", "Last-Event-ID: "+old))
	reset := e.one()
	assert.Equal(t, "reset", reset.kind)
	assert.JSONEq(t, `{"message":"some changes are not kept any more: read all resources, and go on with the events after this one"}`, reset.data)
	require.Equal(t, 200, srv.exchange(t, post("", customer("c-2", ""))).status)
	c, _ := e.change()
	assert.Equal(t, "c-2", c.ResourceExternalID)
	e.conn.Close()
	again := srv.stream(t, streamOf("", "Last-Event-ID: "+reset.id))
	c, _ = again.change()
	assert.Equal(t, "c-2", c.ResourceExternalID, "the id of a reset is the end of the log at that time")
	again.conn.Close()

	// A store that is broken gets no endless stream of resets.
	expired.reads.Store(1 << 40)
	e = srv.stream(t, streamOf("", "Last-Event-ID: "+reset.id))
	var resets int
	for _, got := range e.end() {
		if got.kind == "reset" {
			resets++
		}
	}
	assert.Equal(t, 1, resets)
	assert.ErrorIs(t, s.errors()[len(s.errors())-1], storage.ErrExpired, "the service is told why")
}

// TestStreamCursors: a cursor of another tenant or schema, and what is none.
func TestStreamCursors(t *testing.T) {
	s := newService(t, nil)
	cursor := func(m message) string { return *parseChanges(t, s.direct(t, m)).Data.Pagination.Cursor }
	theirs := cursor(changesOf("&after=end").by("globex"))
	other := changesOf("")
	other.target = "/api/changes?schema=locations&after=end"
	places := cursor(other)
	own := cursor(changesOf("&after=end"))
	for name, bad := range map[string]string{
		"another tenant": theirs, "another schema": places, "garbage": "garbage", "a number": "17", "the word for the end": "end",
		"cut": own[:59], "longer": own + "A", "of another version": "B" + own[1:], "1 MiB": strings.Repeat("A", 1<<20),
		"another letter": own[:30] + string('A'+(own[30]+1)%26) + own[31:],
		"not base64":     strings.Repeat("ä", 30),
	} {
		a := s.direct(t, streamOf("", "Last-Event-ID: "+bad))
		assert.Equal(t, 400, a.status, name)
		assert.Equal(t, "the cursor is not valid: begin the list again", problemMessage(t, a.body), name)
		if bad != "end" {
			assert.Equal(t, a, s.direct(t, streamOf("&after="+bad)), name)
			assert.Equal(t, a, s.direct(t, changesOf("&after="+bad)), name)
		}
	}
	assert.Equal(t, 400, s.direct(t, streamOf("", "Last-Event-ID: "+own, "Last-Event-ID: "+own)).status)
	assert.Equal(t, 200, s.direct(t, changesOf("&after="+own, "Last-Event-ID: garbage")).status, "it is for streams")
	assert.Equal(t, 200, s.direct(t, streamOf("", "Last-Event-ID: "+own).as("HEAD", "")).status)
}

// TestStreamText: what clients write does not end a line of the stream.
func TestStreamText(t *testing.T) {
	nasty := "a\n\ndata: x\r\nevent: erased\rid: 7\n\n\u2028\u2029\u0085\ufeff: é😀"
	s := newService(t, nil)
	srv := s.serve(t)
	collection, err := resource.NewCollection(findable, s.store, &resource.Options{IndexCreatedAt: true, Log: true, History: true})
	require.NoError(t, err)
	data := mustJSON(t, map[string]string{"customerId": nasty, "firstName": nasty, "lastName": "", "createdAt": "2024-01-02T03:04:05Z"})
	_, err = collection.Create(context.Background(), acme, data, &resource.WriteOptions{Actor: nasty, Reason: nasty})
	require.NoError(t, err)
	// A document with ends of lines between its members, as another program stores it.
	rec := s.keep(t, acme, "c-2", "{\n\"customerId\":\"c-2\",\r\n\"firstName\":\"\",\"lastName\":\"\",\"createdAt\":\"2024-01-02T03:04:05Z\"\n}")
	_, err = collection.Delete(context.Background(), acme, rec.Key.ExternalID, nil)
	require.NoError(t, err)

	e := srv.stream(t, streamOf("&after=start&include=document,patch"))
	c, _ := e.change()
	assert.Equal(t, nasty, c.ResourceExternalID)
	assert.Equal(t, nasty, c.Actor)
	assert.NotContains(t, string(c.Document), "data: x", "personal data")
	c, _ = e.change()
	assert.Equal(t, "c-2", c.ResourceExternalID)
	assert.NotEmpty(t, c.Document)
}

// TestStreamsAreBounded: there are as many as there may be, and their places are free
// when they end.
func TestStreamsAreBounded(t *testing.T) {
	s := newService(t, &httpapi.Options{MaxStreams: 2}).serve(t)
	one := s.stream(t, streamOf(""))
	s.stream(t, streamOf("").by("globex"))
	a := s.exchange(t, streamOf(""))
	assert.Equal(t, 503, a.status)
	assert.Equal(t, "5", a.header.Get("Retry-After"))
	assert.Equal(t, "too many streams are open", problemMessage(t, a.body))
	assert.Equal(t, 401, s.exchange(t, streamOf("").by("nobody")).status)
	assert.Equal(t, 200, s.exchange(t, changesOf("")).status, "a page is no stream")
	one.conn.Close()
	require.Eventually(t, func() bool { return s.api.Streams() == 1 }, 30*time.Second, time.Millisecond)
	s.stream(t, streamOf("")).conn.Close()
}

// TestShutdownWithStreams: the timeouts of the server do not end a stream, its shutdown
// does.
func TestShutdownWithStreams(t *testing.T) {
	s := newService(t, &httpapi.Options{Unredacted: true})
	ts := httptest.NewUnstartedServer(s.handler)
	ts.Config.ReadTimeout, ts.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	ts.Config.RegisterOnShutdown(s.api.EndStreams)
	ts.Start()
	t.Cleanup(ts.Close)
	srv := &server{service: s, addr: ts.Listener.Addr().String(), url: ts.URL}
	e := srv.stream(t, streamOf("&include=document"))
	time.Sleep(300 * time.Millisecond)
	for i, size := range []int{1, 20_000, 200_000} { // each is sent in another way
		require.Equal(t, 200, s.direct(t, post("", customer(fmt.Sprint(i), `,"email":"`+strings.Repeat("x", size)+`"`))).status)
		c, _ := e.change()
		assert.Equal(t, fmt.Sprint(i), c.ResourceExternalID)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	require.NoError(t, ts.Config.Shutdown(ctx))
	assert.Empty(t, e.end())
	a := s.direct(t, streamOf(""))
	assert.Equal(t, 503, a.status)
	assert.Equal(t, "the server is shutting down", problemMessage(t, a.body))
	assert.Equal(t, 200, s.direct(t, changesOf("")).status)
}

// TestStreamTime: a stream ends by itself, cleanly.
func TestStreamTime(t *testing.T) {
	s := newService(t, &httpapi.Options{StreamTime: 40 * time.Millisecond}).serve(t)
	start := time.Now()
	assert.Len(t, s.stream(t, streamOf("")).end(), 1)
	assert.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
}

// TestStreamOfHTTP10: without chunks, up to the end of the connection, as nginx asks for
// it unless told otherwise.
func TestStreamOfHTTP10(t *testing.T) {
	s := newService(t, &httpapi.Options{StreamTime: 100 * time.Millisecond}).serve(t)
	s.put(t, acme, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	m := strings.Replace(string(streamOf("&after=start").bytes()), "HTTP/1.1", "HTTP/1.0", 1)
	_, err = conn.Write([]byte(m))
	require.NoError(t, err)
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	head, body, _ := strings.Cut(string(text), "\r\n\r\n")
	assert.NotContains(t, head, "chunked")
	assert.Regexp(t, `^retry: \d+\n: start\n\nevent: created\ndata: \{.*\}\nid: \S+\n\n$`, body)
}

// TestStreamOfHTTP2: the deadline of a write is not that of the stream.
func TestStreamOfHTTP2(t *testing.T) {
	s := newService(t, &httpapi.Options{StallTimeout: 50 * time.Millisecond})
	ts := httptest.NewUnstartedServer(s.handler)
	ts.EnableHTTP2 = true
	ts.Config.WriteTimeout = 50 * time.Millisecond
	ts.StartTLS()
	t.Cleanup(ts.Close)
	req, err := http.NewRequest("GET", ts.URL+"/api/changes?schema=customers", nil)
	require.NoError(t, err)
	req.Header = http.Header{"Authorization": {"Bearer acme"}, "Accept": {"text/event-stream"}}
	res, err := ts.Client().Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, "HTTP/2.0", res.Proto)
	time.Sleep(300 * time.Millisecond)
	s.put(t, acme, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	e := &events{t: t, reader: bufio.NewReader(res.Body)}
	c, _ := e.change()
	assert.Equal(t, "c-1", c.ResourceExternalID)
	s.api.EndStreams()
	assert.Empty(t, e.end())
}

// plain hides all but the methods of a ResponseWriter.
type plain struct{ http.ResponseWriter }

// TestStreamWithoutFlush: a writer that keeps events back gets a JSON answer that says so.
func TestStreamWithoutFlush(t *testing.T) {
	s := newService(t, nil)
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "7")
	r := httptest.NewRequest("GET", "/api/changes?schema=customers", nil)
	r.Header = http.Header{"Authorization": {"Bearer acme"}, "Accept": {"text/event-stream"}}
	s.handler.ServeHTTP(plain{w}, r)
	checkAnswer(t, answer{method: "GET", status: w.Code, header: w.Header(), body: w.Body.String()})
	assert.Equal(t, 501, w.Code)
	assert.Equal(t, "this server cannot send events: ask for application/json", problemMessage(t, w.Body.String()))
	assert.Equal(t, "7", w.Header().Get("X-Request-Id"))
}

// fill writes n customers of some size.
func (s *service) fill(t testing.TB, n, size int) {
	t.Helper()
	for i := range n {
		a := s.direct(t, post("", customer(fmt.Sprintf("c-%04d", i), `,"email":"`+strings.Repeat("x", size)+`"`)))
		require.Equal(t, 200, a.status)
	}
}

// TestSlowStreams: a client that takes nothing, or a byte now and then, is cut, and others
// get every event meanwhile.
func TestSlowStreams(t *testing.T) {
	s := serveTight(t, 0, httpapi.Options{StallTimeout: 500 * time.Millisecond})
	whole := streamOf("&after=start")
	s.stall(t, whole.bytes())
	drip := s.stall(t, whole.bytes())
	live := s.stream(t, whole)
	require.Eventually(t, func() bool { return s.api.Streams() == 3 }, 30*time.Second, time.Millisecond)
	for i := range 300 { // one at a time
		require.Equal(t, 200, s.direct(t, post("", customer(fmt.Sprintf("c-%04d", i), ""))).status)
		_, _ = live.change()
	}
	live.conn.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for one := make([]byte, 1); ; time.Sleep(20 * time.Millisecond) {
			select {
			case <-stop:
				return
			default:
				if _, err := drip.Read(one); err != nil {
					return
				}
			}
		}
	}()
	s.stall(t, whole.bytes()) // and one that gets many at a time
	e := s.stream(t, whole)
	for i := range 300 {
		c, _ := e.change()
		require.Equal(t, fmt.Sprintf("c-%04d", i), c.ResourceExternalID)
	}
	e.conn.Close()
	s.quiet(t)
}

// TestDocumentsOfStreams: the documents that streams wait to send count as those of other
// large answers, and clients that stall make room for others.
func TestDocumentsOfStreams(t *testing.T) {
	const most = 2 << 20
	s := serveTight(t, 0, httpapi.Options{MaxInFlight: most, StallTimeout: time.Minute})
	s.fill(t, 60, 16<<10) // a page has 1 MB of documents
	whole := streamOf("&after=start&include=document")
	for range 20 {
		s.stall(t, whole.bytes())
	}
	require.Eventually(t, func() bool {
		in, _ := s.api.Held()
		return in >= 60*(16<<10)
	}, 30*time.Second, time.Millisecond, "a page that waits for its client counts")
	e := s.stream(t, whole)
	for i := range 60 {
		c, _ := e.change()
		require.Equal(t, fmt.Sprintf("c-%04d", i), c.ResourceExternalID)
		in, _ := s.api.Held()
		require.LessOrEqual(t, in, int64(most))
	}
	e.conn.Close()
	// Without documents a stream holds nothing.
	none := s.stream(t, streamOf("&after=start"))
	for range 60 {
		_, _ = none.change()
	}
}

// TestStreamsComeAndGo: whatever the clients do, nothing of their streams is left.
func TestStreamsComeAndGo(t *testing.T) {
	s := newService(t, nil).serve(t)
	s.put(t, acme, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	before := runtime.NumGoroutine()
	const clients, times = 20, 100
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range times {
				conn, err := net.Dial("tcp", s.addr)
				if !assert.NoError(t, err) {
					return
				}
				_, _ = conn.Write([]byte(strings.Replace(string(streamOf("&after=start").bytes()), "Connection: close\r\n", "", 1)))
				if (i+j)%2 == 0 {
					_, _ = conn.Read(make([]byte, 1+(i+j)%4000))
				}
				conn.Close()
			}
		})
	}
	wg.Wait()
	s.quiet(t)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+2 }, 30*time.Second, 10*time.Millisecond, "goroutines end")
}

// TestStreamIsWoken: the API tells its tail of its own writes. Without that the tail would
// look after 20 seconds.
func TestStreamIsWoken(t *testing.T) {
	for name, m := range map[string]message{
		"POST": post("", customer("c-2", "")), "PATCH": get("c-1").as("PATCH", `{"data":{"phone":"1"}}`), "DELETE": get("c-1").as("DELETE", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memory.New()
			c, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: true})
			require.NoError(t, err)
			tail := changes.NewTail(store, &changes.TailOptions{MinPoll: 20 * time.Second, MaxPoll: 20 * time.Second})
			api, err := httpapi.NewAPI(hooks, &httpapi.Options{Tail: tail}, c)
			require.NoError(t, err)
			s := (&service{store: store, handler: api, api: api}).serve(t)
			require.Equal(t, 200, s.exchange(t, post("", customer("c-1", ""))).status)
			open := streamOf("")
			open.target = "/api/changes" // there is only one collection
			e := s.stream(t, open)
			_, err = e.next()
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond) // the tail has looked
			require.Equal(t, 200, s.exchange(t, m).status)
			require.NoError(t, e.conn.SetDeadline(time.Now().Add(15*time.Second)))
			_, _ = e.change()
		})
	}
}

// TestAcceptsStream: JSON unless events are asked for, and preferred if both are.
func TestAcceptsStream(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/*": false, "application/json": false, "text/event-stream": true, "Text/Event-Stream; charset=utf-8": true,
		"text/event-stream;q=0": false, "text/event-stream, */*;q=0.5": true, "application/json, text/event-stream": true,
		"application/json, text/event-stream;q=0.9": false, "application/json;q=0.5,text/event-stream;q=0.9": true, "text/event-streams": false,
		"text/event-stream;q=x": false, ",,;q=1, text/event-stream": true,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		_, stream, err := httpapi.ReadChanges(r)
		require.NoError(t, err)
		assert.Equal(t, want, stream, accept)
	}
}

// TestIncludeWithoutHistory: documents that are not kept are refused, and not left out in
// silence.
func TestIncludeWithoutHistory(t *testing.T) {
	c, err := resource.NewCollection(schema.Customers(), memory.New(), &resource.Options{Log: true})
	require.NoError(t, err)
	api, err := httpapi.NewAPI(hooks, nil, c)
	require.NoError(t, err)
	for _, path := range []string{"/api/changes?", "/api/resources/customers/c-1/history?"} {
		for _, accept := range []string{"application/json", "text/event-stream"} {
			for _, what := range []string{"document", "patch"} {
				r := httptest.NewRequest("GET", path+"include="+what, nil)
				r.Header.Set("Authorization", "Bearer acme")
				r.Header.Set("Accept", accept)
				w := httptest.NewRecorder()
				api.ServeHTTP(w, r)
				assert.Equal(t, 400, w.Code, path+accept)
				assert.Contains(t, w.Body.String(), "leave out include", path+accept)
			}
		}
	}
}

// TestStreamChangesErrors: nothing is written with an error.
func TestStreamChangesErrors(t *testing.T) {
	store := memory.New()
	tail := changes.NewTail(store, nil)
	for name, tc := range map[string]struct {
		log  bool
		opts resource.ChangeOptions
		want error
	}{
		"no log":     {false, resource.ChangeOptions{}, storage.ErrUnsupported},
		"bad cursor": {true, resource.ChangeOptions{Cursor: "x"}, resource.ErrCursor},
		"documents":  {true, resource.ChangeOptions{Documents: true}, storage.ErrInvalid},
		"patches":    {true, resource.ChangeOptions{Patches: true}, storage.ErrInvalid},
	} {
		c, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: tc.log})
		require.NoError(t, err)
		w := httptest.NewRecorder()
		err = httpapi.StreamChanges(w, httptest.NewRequest("GET", "/", nil), c, acme, &tc.opts, tail)
		assert.ErrorIs(t, err, tc.want, name)
		assert.Empty(t, w.Header(), name)
	}
	require.NoError(t, store.Close())
	c, err := resource.NewCollection(schema.Customers(), store, &resource.Options{Log: true})
	require.NoError(t, err)
	err = httpapi.StreamChanges(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), c, acme, &resource.ChangeOptions{FromEnd: true}, tail)
	assert.True(t, errors.Is(err, storage.ErrClosed), "%v", err)
}
