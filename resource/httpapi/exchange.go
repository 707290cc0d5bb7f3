package httpapi

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"time"
)

// The defaults of [Options].
const (
	DefaultMaxInFlight  = 64 << 20
	DefaultStallTimeout = 10 * time.Second
	DefaultMaxStreams   = 2000
	DefaultStreamTime   = 10 * time.Minute
)

const (
	// smallBytes is what a body or an answer may have without being counted: a
	// connection takes about as much.
	smallBytes = 16 << 10
	// pieceBytes is what a client must take or send within Options.StallTimeout.
	pieceBytes = 64 << 10
	// A list without a limit has usualLimit resources, each taken for usualBytes. A list
	// is at most taken for maxListBytes: maxPageBytes of documents with what is around
	// them.
	usualLimit   = 100
	usualBytes   = 4 << 10
	maxListBytes = maxPageBytes + maxPageBytes/4
	// A change without documents is taken for usualChange, and with them for so many times
	// that: the store reads the documents of a whole page, at most 16 MiB, also if the
	// answer has no room for them.
	usualChange   = 512
	withDocuments = 32
	maxDocuments  = 4 << 20
	// A list counts as so many times its bytes while it is made: what the store
	// gives, what is shown of it and the answer are four, and twice that leaves
	// processors to small requests. A body of numbers of one digit is worked on in
	// bodyWork times its bytes.
	listWork = 8
	bodyWork = 32
)

// An exchange is a request and its answer in the ready handler. It keeps to what
// Options say of bytes in flight and of clients that stall:
//
//   - in is what waits for the client: the body and then the answer, once they are
//     no longer small. The rest of a large body is not read before there is room.
//   - work is what is needed to work on a large body or to make a large answer. It
//     is never held while the exchange waits for its client.
type exchange struct {
	http.ResponseWriter
	r          *http.Request
	controller http.ResponseController
	stall      time.Duration
	readBy     time.Time // the server's own deadlines, zero for none
	writeBy    time.Time
	in, work   hold

	size     int64 // bytes of the body, as declared or at most
	received int64 // of them
	counted  bool  // in holds size
	due      int64 // the number of them at which the deadline for reading moves
	writing  bool
	again    bool  // an answer for which there is no room can be made again
	lacks    int64 // what there was no room for
}

// exchange begins an exchange. The caller ends it with done.
func (a *API) exchange(w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{ResponseWriter: w, r: r, controller: *http.NewResponseController(w), stall: a.stall}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		now := time.Now()
		if server.ReadTimeout > 0 {
			x.readBy = now.Add(server.ReadTimeout)
		}
		if server.WriteTimeout > 0 {
			x.writeBy = now.Add(server.WriteTimeout)
		}
	}
	x.in.room, x.work.room = &a.in, &a.work
	return x
}

// Unwrap lets http.ResponseController reach the writer below.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// done gives back what is held.
func (x *exchange) done() {
	x.in.force(0)
	x.work.force(0)
}

// waits says that the exchange waits for its client until the func that it returns is
// called.
func (x *exchange) waits() (done func()) {
	x.in.cut = x.cut
	return x.in.waits()
}

// cut makes the read or the write that waits for the client fail. A writer without
// deadlines (http.ErrNotSupported) is left to the server's.
func (x *exchange) cut() {
	past := time.Unix(1, 0)
	if x.writing {
		_ = x.controller.SetWriteDeadline(past)
	} else {
		_ = x.controller.SetReadDeadline(past)
	}
}

// deadline returns when a client that stalls from now on is cut.
func (x *exchange) deadline(server time.Time) time.Time {
	deadline := time.Now().Add(x.stall)
	if !server.IsZero() && server.Before(deadline) {
		return server
	}
	return deadline
}

// Read reads from the body of the request. A large one waits for room before more
// than smallBytes of it are read.
func (x *exchange) Read(p []byte) (n int, err error) {
	large := x.size > smallBytes && x.received >= smallBytes
	switch {
	case x.received < smallBytes:
		p = p[:min(int64(len(p)), smallBytes-x.received)]
	case large && !x.counted:
		if err := x.in.wait(x.r.Context(), x.size, 2*x.stall); err != nil {
			return 0, ProblemOf(err) // it is not the client who is late
		}
		x.counted, x.due = true, x.received
	}
	if x.received >= x.due {
		_ = x.controller.SetReadDeadline(x.deadline(x.readBy))
		x.due = x.received + pieceBytes
	}
	if large {
		defer x.waits()()
	}
	n, err = x.r.Body.Read(p)
	if x.received += int64(n); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		_ = x.controller.SetReadDeadline(x.readBy)
	}
	return n, err
}

// begin waits until there is room to work on a large body.
func (x *exchange) begin(ctx context.Context, body []byte) error {
	if len(body) <= smallBytes {
		return nil
	}
	return x.work.wait(ctx, bodyWork*int64(len(body)), 2*x.stall)
}

// admit says that an answer of so many bytes is there, and reports whether it can
// be sent now; if not, it has to be made again. What the request held is done with.
func (x *exchange) admit(bytes int) bool {
	x.work.force(0)
	switch bytes := int64(bytes); {
	case bytes <= smallBytes:
		x.in.force(0)
	case !x.again:
		x.in.force(bytes)
	case !x.in.try(bytes):
		x.lacks = bytes
		return false
	}
	return true
}

// answer calls do, which reads from the store and writes an answer of about so many
// bytes. It waits until there is room for them. When the answer turns out to be
// larger than that, and there is no room, do has written nothing, and is called
// again when there is.
func (x *exchange) answer(bytes int64, do func() error) error {
	for x.again = true; ; x.again = false {
		if bytes > smallBytes {
			err := x.in.wait(x.r.Context(), bytes, 2*x.stall)
			if err == nil {
				err = x.work.wait(x.r.Context(), listWork*bytes, 2*x.stall)
			}
			if err != nil {
				return err
			}
		}
		x.lacks = 0
		if err := do(); err != nil || x.lacks == 0 {
			return err
		}
		x.in.force(0)
		bytes = x.lacks
	}
}

// Write sends the answer, in pieces for each of which the client has
// Options.StallTimeout.
func (x *exchange) Write(b []byte) (n int, err error) {
	if len(b) <= 4<<10 { // net/http keeps as much, and sends it afterwards
		return x.ResponseWriter.Write(b)
	}
	x.writing = true
	for piece := range slices.Chunk(b, pieceBytes) {
		m, err := x.send(piece)
		if n += m; err != nil {
			return n, err
		}
	}
	err = x.flush()
	_ = x.controller.SetWriteDeadline(x.writeBy)
	return n, err
}

// flush sends what net/http has kept of the last piece, while that has a deadline. A
// writer that cannot flush sends it later.
func (x *exchange) flush() error {
	defer x.waits()()
	if err := x.controller.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

func (x *exchange) send(piece []byte) (int, error) {
	_ = x.controller.SetWriteDeadline(x.deadline(x.writeBy))
	defer x.waits()()
	return x.ResponseWriter.Write(piece)
}
