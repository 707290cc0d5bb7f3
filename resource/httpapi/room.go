package httpapi

import (
	"context"
	"maps"
	"math/bits"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A room bounds the bytes that are held at one time. An exchange that finds no room waits
// in line, and meanwhile clients that stall are cut.
type room struct {
	max int64

	mu      sync.Mutex
	held    int64
	lines   [16][]*claim // by size, see class; with claims that were given up
	waiting int          // claims in the lines that were not
	// stalled has the holds that wait for their clients, each with the time since
	// when.
	stalled map[*hold]time.Time
	relief  *time.Timer // not nil while a claim is waiting
}

// A hold is the bytes that one exchange has in a room.
type hold struct {
	room  *room
	used  bool   // it may hold something; only its exchange looks at this
	bytes int64  // guarded by room.mu
	cut   func() // makes the read or the write that waits for the client fail
}

// A claim is a place in a line.
type claim struct {
	hold  *hold // nil when it was given up
	bytes int64
	taken chan struct{} // closed when there is room
}

// patience is how long a client may keep its exchange waiting while others wait in
// line.
const patience = 500 * time.Millisecond

// fits reports whether there is room. A claim must leave room for three more of its
// size, or a quarter of all, so that small ones do not wait for large ones. In an
// empty room there is room for any.
func (r *room) fits(bytes int64) bool {
	return r.held <= 0 || r.held+min(4*bytes, bytes+r.max/4) <= r.max
}

// set makes h hold so many bytes.
func (r *room) set(h *hold, bytes int64) {
	r.held += bytes - h.bytes
	h.bytes = bytes
	if r.waiting > 0 {
		r.admit()
	}
}

// class returns the line for so many bytes: each is for up to four times as many as
// the one before.
func (r *room) class(bytes int64) int {
	return min(bits.Len64(uint64(bytes/smallBytes))/2, len(r.lines)-1)
}

// admit gives room to the claims in the lines for which there is some: of each line in
// their order. So only much smaller claims overtake one.
func (r *room) admit() {
	for i := range r.lines {
		line := &r.lines[len(r.lines)-1-i]
		for len(*line) > 0 {
			c := (*line)[0]
			if c.hold != nil {
				if !r.fits(c.bytes) {
					break
				}
				r.held += c.bytes
				c.hold.bytes = c.bytes
				r.waiting--
				close(c.taken)
			}
			*line = (*line)[1:]
		}
	}
}

// relieve cuts clients that stall, the longest first, as long as a claim waits in line.
func (r *room) relieve() {
	r.mu.Lock()
	defer r.mu.Unlock()
	longest := func(a, b *hold) int { return r.stalled[a].Compare(r.stalled[b]) }
	for _, h := range slices.SortedFunc(maps.Keys(r.stalled), longest) {
		if time.Since(r.stalled[h]) > patience && r.waiting > 0 {
			delete(r.stalled, h)
			h.cut()
			r.set(h, 0)
		}
	}
	if r.relief = nil; r.waiting > 0 {
		r.watch()
	}
}

func (r *room) watch() { r.relief = time.AfterFunc(patience/5, r.relieve) }

// try makes h hold so many bytes if there is room for what is new of them now.
func (h *hold) try(bytes int64) bool {
	h.used = true
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	ok := bytes <= h.bytes || h.room.fits(bytes-h.bytes)
	if ok {
		h.room.set(h, bytes)
	}
	return ok
}

// force makes h hold so many bytes, whether there is room or not. For a small request,
// which holds nothing anyway, it takes no lock.
func (h *hold) force(bytes int64) {
	if h.used = h.used || bytes > 0; !h.used {
		return
	}
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	h.room.set(h, bytes)
}

// wait makes h, which holds nothing, hold so many bytes as soon as there is room.
// The error is that of ctx, or errBusy when there was no room for so long.
func (h *hold) wait(ctx context.Context, bytes int64, most time.Duration) error {
	h.used = true
	r := h.room
	r.mu.Lock()
	if r.waiting == 0 && r.fits(bytes) {
		r.set(h, bytes)
		r.mu.Unlock()
		return nil
	}
	c := &claim{hold: h, bytes: bytes, taken: make(chan struct{})}
	line := &r.lines[r.class(bytes)]
	*line = append(*line, c)
	r.waiting++
	r.admit()
	if r.waiting > 0 && r.relief == nil {
		r.watch()
	}
	r.mu.Unlock()

	timeout := time.NewTimer(most)
	defer timeout.Stop()
	var err error
	select {
	case <-c.taken:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
		err = errBusy
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-c.taken: // there was room at the same moment
		return nil
	default:
		c.hold = nil
		r.waiting--
		r.admit() // those after it may need less room
		return err
	}
}

// waits says that h waits for its client until the func that it returns is called.
func (h *hold) waits() (done func()) {
	h.room.mu.Lock()
	defer h.room.mu.Unlock()
	if h.room.stalled == nil {
		h.room.stalled = map[*hold]time.Time{}
	}
	h.room.stalled[h] = time.Now()
	return func() {
		h.room.mu.Lock()
		defer h.room.mu.Unlock()
		delete(h.room.stalled, h)
	}
}

// errBusy: a request has waited in line for too long.
var errBusy = &Problem{
	Status:     http.StatusServiceUnavailable,
	Message:    "too many large requests at the same time",
	RetryAfter: retryAfter,
}
