package coalesce

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

const (
	maxWrites    = 256                    // in a call
	maxBytes     = 1 << 20                // of data in a call, unless its first write has more
	slots        = 2                      // calls at the same time, beside those that lost their slot
	patience     = 100 * time.Millisecond // after that a call loses its slot
	grace        = 100 * time.Millisecond // for an outcome that is on its way when the context ends
	maxOvertaken = 8                      // later calls that end first, before a call counts as bad
	maxApart     = 1000                   // keys of bad calls that are remembered
)

var _ storage.Recaller = (*Store)(nil)

// Store is a storage.Store that sends waiting writes together to the store below. Make it
// with New; it is safe for concurrent use.
type Store struct {
	store    storage.Store
	patience time.Duration

	mu           sync.Mutex // for all that follows
	closed       bool
	free         int                      // slots
	ready        []*write                 // they wait for a slot only; no two of one key
	lines        map[storage.Key][]*write // by the key of a write that is ready or sent: those that wait for it
	apart        map[storage.Key]struct{} // keys whose next write goes alone
	begun, ended int                      // calls
}

// write is a write of one caller. Once done is closed, err is its outcome.
type write struct {
	storage.Write
	ctx   context.Context
	state state // under the Store's lock
	err   error
	done  chan struct{}
}

type state int

const (
	waiting  state = iota
	left           // the caller's context has ended: it is not to be sent
	together       // sent in a call with others
	alone          // sent by itself, under the caller's context
)

func (w *write) key() storage.Key { return w.Record.Key }

// size returns how many bytes the write has, for large ones.
func (w *write) size() int { return len(w.Record.Data) + w.Note.Size() }

// call is one call of the store below.
type call struct {
	writes   []*write
	begun    int // its number
	slot     bool
	patience *time.Timer // takes the slot away
}

// New returns a Store in front of the given one, which it then owns: Close closes both.
// It has the limits of that store, and recalls the same records.
//
// Make one for a database and share it among all collections of the process: only writes
// of one Store go together.
func New(store storage.Store) *Store {
	return &Store{
		store: store, patience: patience, free: slots,
		lines: make(map[storage.Key][]*write),
		apart: make(map[storage.Key]struct{}),
	}
}

// String returns the name of the type alone, as the waiting writes are personal data.
func (s *Store) String() string { return "coalesce.Store" }

// GoString is String, for the verb %#v.
func (s *Store) GoString() string { return s.String() }

// Write implements storage.Store. A single write may wait and share its call with others,
// see the package comment; several in one call go straight to the store below.
func (s *Store) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if len(writes) != 1 {
		return s.store.Write(ctx, writes)
	}
	if err := storage.CheckWrites(ctx, writes); err != nil {
		return nil, err
	}
	w := &write{Write: writes[0], ctx: ctx, done: make(chan struct{})}
	if err := s.add(w); err != nil {
		return nil, err
	}
	if err := s.wait(w); err != nil {
		return []error{err}, nil
	}
	return nil, nil
}

// add puts the write in the line of its key, or sends it.
func (s *Store) add(w *write) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	if line, taken := s.lines[w.key()]; taken {
		s.lines[w.key()] = append(line, w)
	} else {
		s.lines[w.key()] = nil
		s.admit(w)
	}
	s.send()
	return nil
}

// wait returns the outcome of the write, or that its context has ended.
func (s *Store) wait(w *write) error {
	select {
	case <-w.done:
		return w.err
	case <-w.ctx.Done():
	}
	var late <-chan time.Time // never for a write that goes alone: the store knows its context
	switch s.leave(w) {
	case waiting:
		return w.ctx.Err()
	case together:
		late = time.After(grace)
	}
	select {
	case <-w.done:
		return w.err
	case <-late:
		return fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, w.ctx.Err())
	}
}

// leave returns the state of the write. One that was waiting is not sent any more.
func (s *Store) leave(w *write) state {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := w.state
	if was == waiting {
		w.state, w.Write = left, storage.Write{Record: storage.Record{Key: w.key()}}
	}
	return was
}

// The methods below are called with the lock held, except run, write and Close.

// admit lets a write go that is the first in the line of its key.
func (s *Store) admit(w *write) {
	if _, ok := s.apart[w.key()]; ok {
		s.start(&call{writes: []*write{w}})
	} else {
		s.ready = append(s.ready, w)
	}
}

// advance lets the next write go that waits for the key.
func (s *Store) advance(key storage.Key) {
	line := s.lines[key]
	for len(line) > 0 && line[0].state == left {
		line = line[1:]
	}
	if len(line) == 0 {
		delete(s.lines, key)
		return
	}
	s.lines[key] = line[1:]
	s.admit(line[0])
}

// send makes calls of the writes that are ready, as long as there are slots.
func (s *Store) send() {
	for s.free > 0 && len(s.ready) > 0 {
		c, size := &call{slot: true}, 0
		for len(s.ready) > 0 && len(c.writes) < maxWrites {
			w := s.ready[0]
			size += w.size()
			if len(c.writes) > 0 && size > maxBytes {
				break
			}
			s.ready[0], s.ready = nil, s.ready[1:]
			if w.state == left {
				s.advance(w.key())
			} else {
				c.writes = append(c.writes, w)
			}
		}
		if len(c.writes) > 0 {
			s.free--
			s.start(c)
		}
	}
}

func (s *Store) start(c *call) {
	s.begun++
	c.begun = s.begun
	for _, w := range c.writes {
		if w.state = together; len(c.writes) == 1 {
			w.state = alone
		}
	}
	c.patience = time.AfterFunc(s.patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.leaveSlot(c)
	})
	go s.run(c)
}

// run makes a call and hands out the outcomes.
func (s *Store) run(c *call) {
	s.write(c.writes)
	c.patience.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	overtaken := s.ended > c.begun+maxOvertaken // so at least maxOvertaken of the calls that have ended began later
	for _, w := range c.writes {
		if len(s.apart) == maxApart {
			clear(s.apart)
		}
		delete(s.apart, w.key())
		sure := w.err == nil || errors.Is(w.err, storage.ErrConflict) || errors.Is(w.err, storage.ErrNotUnique)
		if !sure || overtaken {
			s.apart[w.key()] = struct{}{}
		}
		if !sure && w.state == together && !errors.Is(w.err, storage.ErrUnknownOutcome) {
			s.start(&call{writes: []*write{w}})
			continue
		}
		close(w.done)
		s.advance(w.key())
	}
	s.leaveSlot(c)
}

// leaveSlot lets others have the slot of a call, if it still has one.
func (s *Store) leaveSlot(c *call) {
	if c.slot {
		c.slot = false
		s.free++
	}
	s.send()
}

// write calls the store below and notes the outcomes.
func (s *Store) write(writes []*write) {
	ctx := context.Background()
	if len(writes) == 1 {
		ctx = writes[0].ctx
	}
	given := make([]storage.Write, len(writes))
	for i, w := range writes {
		given[i] = w.Write
	}
	errs, err := s.store.Write(ctx, given)
	if len(errs) != len(writes) && errs != nil {
		err = fmt.Errorf("%w: %d errors of %d writes", storage.ErrUnknownOutcome, len(errs), len(writes))
	}
	for i, w := range writes {
		if w.err = err; err == nil && errs != nil {
			w.err = errs[i]
		}
	}
}

// Close ends waiting writes with storage.ErrClosed, and closes the store below.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, line := range s.lines {
		s.ready = append(s.ready, line...)
	}
	for _, w := range s.ready {
		if w.state == waiting {
			w.state, w.err = left, storage.ErrClosed
			close(w.done)
		}
	}
	s.ready = nil
	clear(s.lines)
	s.mu.Unlock()
	return s.store.Close()
}
