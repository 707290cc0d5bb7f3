package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
)

const (
	eventStream = "text/event-stream"
	// heartbeat is how often a stream tells its client the place where it is. A proxy
	// often takes a connection without traffic for a dead one after 30 or 60 seconds.
	heartbeat = 15 * time.Second
	// batchBytes is how much is sent at once, if there are as many events.
	batchBytes = 8 << 10
	// busyRetry is the advice of a 503 for want of streams, in seconds.
	busyRetry = 5
)

// StreamChanges answers a GET of changes with server-sent events, until the context of
// the request ends or the client takes nothing for 10 seconds. tail is that of the store
// of c; all streams share it. opts are those of [ReadChanges].
//
// An event has the outcome as its type, the change as [resource.Change.AppendJSON] makes
// it as its data, and as its id a cursor, which clients send as Last-Event-ID when they
// connect again. If the changes after the cursor are not kept any more, the first event is
// a reset, and the stream goes on at the end of the log: the client must read all
// resources anew. Every 15 seconds comes an id without data.
//
// It sets the deadlines for writing itself, so the timeouts of the server do not
// count. Bound the number of streams, and end them with their contexts: after some minutes,
// so that the caller's rights are looked at again, and when the server shuts down.
//
// If there is an error, nothing has been written. Errors are those of
// [resource.Collection.OpenCursor] and of the store; [storage.ErrUnsupported] if c does
// not log changes; [storage.ErrInvalid] if opts ask for documents that c does not keep;
// and a [*Problem] with status 501 for a w that cannot flush. After the
// first byte an error ends the stream.
func StreamChanges(
	w http.ResponseWriter, r *http.Request, c *resource.Collection, tenant storage.Tenant,
	opts *resource.ChangeOptions, tail *changes.Tail,
) error {
	s := &stream{
		w: w, control: http.NewResponseController(w), c: c, tenant: tenant, tail: tail,
		stall: DefaultStallTimeout, heartbeat: heartbeat,
	}
	if opts != nil {
		s.opts = *opts
	}
	err := s.open(r)
	if err == nil && r.Method != http.MethodHead {
		_ = s.run(r.Context()) // the client comes again and gets the error then
	}
	return err
}

// stream answers with a stream, if there is room for one more.
func (e *endpoint) stream(x *exchange, r *http.Request, tenant storage.Tenant, opts resource.ChangeOptions) error {
	a := e.api
	defer a.streams.Add(-1)
	switch most := int64(cmp.Or(max(a.opts.MaxStreams, 0), DefaultMaxStreams)); {
	case a.streams.Add(1) > most:
		return &Problem{Status: http.StatusServiceUnavailable, Message: "too many streams are open", RetryAfter: busyRetry}
	case a.ending.Err() != nil:
		return &Problem{Status: http.StatusServiceUnavailable, Message: "the server is shutting down", RetryAfter: busyRetry}
	}
	lasts := cmp.Or(max(a.opts.StreamTime, 0), DefaultStreamTime)
	ctx, cancel := context.WithTimeout(r.Context(), lasts/2+rand.N(lasts))
	defer cancel()
	defer context.AfterFunc(a.ending, cancel)()
	s := &stream{
		w: x, control: &x.controller, x: x, c: e.collection, tenant: tenant, opts: opts, tail: e.tail,
		stall: a.stall, heartbeat: a.heartbeat,
	}
	x.writing, x.writeBy = true, time.Time{}
	if err := s.open(r.WithContext(ctx)); err != nil || r.Method == http.MethodHead {
		return err
	}
	if err := s.run(ctx); err != nil {
		a.tell(r, err)
	}
	return nil
}

// A stream is an answer with server-sent events.
type stream struct {
	w                http.ResponseWriter
	control          *http.ResponseController
	x                *exchange // with the room for documents; nil in a handler of a service's own
	c                *resource.Collection
	tenant           storage.Tenant
	opts             resource.ChangeOptions
	tail             *changes.Tail
	stall, heartbeat time.Duration

	mu    sync.Mutex         // of the writer and the following, which a heartbeat uses, too
	over  context.CancelFunc // ends the stream
	timer *time.Timer        // of the next heartbeat
	at    storage.Cursor     // of the last event; zero is the start
	reset bool               // the last event was a reset
	holds int64              // bytes of documents that x.in has for it
	lacks int64              // what there was no room for
}

// open finds where the stream begins and answers with the header, or returns an error and
// has written nothing.
func (s *stream) open(r *http.Request) (err error) {
	switch {
	case s.c.Log() == nil:
		return storage.ErrUnsupported
	case (s.opts.Documents || s.opts.Patches) && !s.c.KeepsHistory():
		return fmt.Errorf("httpapi: %w: documents and patches of a collection without History", storage.ErrInvalid)
	case s.opts.Cursor != "":
		s.at, err = s.c.OpenCursor(r.Context(), s.tenant, s.opts.Cursor)
	case s.opts.FromEnd:
		s.at, err = s.end(r.Context())
	}
	if err != nil {
		return err
	}
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall))
	h := s.w.Header()
	before := h.Clone()
	h.Set("Content-Type", eventStream)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store, no-transform") // a proxy that compresses keeps events back
	h.Set("X-Accel-Buffering", "no")                 // as nginx does, unless it is told
	if err := s.control.Flush(); errors.Is(err, http.ErrNotSupported) {
		clear(h)
		for name, values := range before {
			h[name] = values
		}
		return &Problem{
			Status:  http.StatusNotImplemented,
			Message: "this server cannot send events: ask for application/json",
		}
	}
	return nil
}

// end returns the place at the end of the log.
func (s *stream) end(ctx context.Context) (storage.Cursor, error) {
	page, err := s.c.Log().Changes(ctx, storage.ChangeQuery{Scope: s.scope(), End: true})
	return page.Next, err
}

func (s *stream) scope() storage.Scope {
	return storage.Scope{Tenant: s.tenant, Schema: s.c.Schema().ID()}
}

// run sends events until the context ends or the client is gone. The error is that of the
// store, for the service.
func (s *stream) run(ctx context.Context) error {
	ctx, s.over = context.WithCancel(ctx)
	defer s.close()
	s.mu.Lock()
	s.timer = time.AfterFunc(s.heartbeat, func() { s.beat(ctx) })
	b := newBody("retry: ", strconv.Itoa(1000+rand.IntN(4000)), "\n")
	err := s.place(ctx, b) // a client that goes now misses nothing when it comes again
	s.send(b)
	s.mu.Unlock()
	for err == nil && ctx.Err() == nil {
		err = s.follow(ctx)
		if err == nil && s.lacks > 0 {
			s.x.in.force(0)
			err = s.x.in.wait(ctx, s.lacks, 2*s.stall)
			s.mu.Lock()
			s.holds, s.lacks = s.lacks, 0
			s.mu.Unlock()
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// close waits for a heartbeat that is under way. After it nothing is written.
func (s *stream) close() {
	s.over()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall)) // for the end of the answer
}

// beat sends where the stream is, whether that is another place or not: the place moves
// when other tenants write, too, which must not be seen.
func (s *stream) beat(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if b := newBody(); s.place(ctx, b) == nil {
		s.send(b)
	}
	s.timer.Reset(s.heartbeat)
}

// follow sends events until there is no room for the next ones, or after a reset.
func (s *stream) follow(ctx context.Context) error {
	for page, err := range s.tail.Follow(ctx, s.scope(), s.at) {
		if errors.Is(err, storage.ErrExpired) && !s.reset {
			return s.restart(ctx)
		}
		if err != nil {
			return err
		}
		if err := s.events(ctx, page); err != nil || s.lacks > 0 {
			return err
		}
	}
	return nil
}

// restart goes on at the end of the log, and tells the client.
func (s *stream) restart(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at, err = s.end(ctx); err != nil {
		return err
	}
	b := newBody("event: reset\ndata: {\"message\":\"some changes are not kept any more: read all resources, and go on with the events after this one\"}\n")
	if err := s.place(ctx, b); err != nil {
		return err
	}
	s.reset = true
	s.send(b)
	return nil
}

// admit reports whether there is room for the documents of a page while the client takes
// it. They count as those of large answers do.
func (s *stream) admit(list []storage.Change) bool {
	bytes := int64(0)
	for i := range list {
		note := &list[i].Note
		if !s.opts.Documents && !s.opts.Patches {
			note.Before, note.After = nil, nil
		}
		bytes += int64(len(note.Before) + len(note.After))
	}
	switch {
	case s.x == nil || bytes <= smallBytes:
	case bytes > s.holds && !s.x.in.try(bytes):
		s.lacks = bytes
		return false
	default:
		s.holds = max(s.holds, bytes)
	}
	return true
}

// events sends the changes of a page, several at once as long as they are small; none if
// there is no room for their documents.
func (s *stream) events(ctx context.Context, page storage.ChangePage) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := page.Changes
	if s.reset = false; !s.admit(list) {
		return nil
	}
	for len(list) > 0 && ctx.Err() == nil {
		b := newBody()
		for len(list) > 0 && len(b.text) < batchBytes {
			change := resource.MakeChange(s.c.Schema(), list[0], &s.opts)
			s.at, list = list[0].Cursor, list[1:]
			b.text = append(append(append(b.text, "event: "...), change.Outcome...), "\ndata: "...)
			b.text = append(change.AppendJSON(b.text), '\n') // on one line
			if err := s.place(ctx, b); err != nil {
				return err
			}
		}
		s.send(b)
	}
	if s.at = page.Next; s.holds > 0 {
		s.x.in.force(0)
		s.holds = 0
	}
	return nil
}

// place appends the id that says where the stream is, and ends the event.
func (s *stream) place(ctx context.Context, b *body) error {
	if s.at == (storage.Cursor{}) {
		b.text = append(b.text, ": start\n\n"...)
		return nil
	}
	id, err := s.c.SealCursor(ctx, s.tenant, s.at)
	b.text = append(append(append(b.text, "id: "...), id...), "\n\n"...)
	return err
}

// send sends what is in b. A client that takes nothing for too long loses its connection;
// it goes on where it was when it comes again.
func (s *stream) send(b *body) {
	if s.holds > 0 {
		defer s.x.waits()()
	}
	for piece := range slices.Chunk(b.text, pieceBytes) {
		_ = s.control.SetWriteDeadline(time.Now().Add(s.stall))
		_, err := s.w.Write(piece)
		if err == nil {
			err = s.control.Flush()
		}
		if err != nil {
			s.over()
			return
		}
	}
	_ = s.control.SetWriteDeadline(time.Time{}) // it would reset an idle stream of HTTP/2
	if cap(b.text) <= maxPooled {
		bodies.Put(b)
	}
}
