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
	slots        = 2                      // calls at the same time, but for those beyond patience
	patience     = 100 * time.Millisecond // after that a call loses its slot
	grace        = 100 * time.Millisecond // for an outcome that is on its way when the context ends
	maxOvertaken = 8                      // later calls that end first: one of its keys holds a call up
	maxApart     = 1000                   // keys that are remembered for having held a call up
)

var _ interface {
	Batcher
	storage.Limiter
	storage.Recaller
} = (*Store)(nil)

// Store is a storage.Store that sends writes which wait for the one below together.
// Make it with New; it is safe for concurrent use.
type Store struct {
	store    Batcher
	patience time.Duration

	mu           sync.Mutex // for all that follows
	closed       bool
	free         int                      // slots
	ready        []*write                 // they wait for a slot only; no two of one key
	lines        map[storage.Key][]*write // the keys of writes that are ready or sent, and what waits for these
	apart        map[storage.Key]struct{} // keys whose next write goes by itself
	begun, ended int                      // calls
}

// Batcher is a store that takes batches of puts and of deletes.
type Batcher interface {
	storage.BatchStore
	storage.BatchDeleter
}

// write is one Put or Delete. Its outcome is rev and err, once done is closed.
type write struct {
	ctx    context.Context
	op     storage.PutOp // of a delete only the key and the revision count
	remove bool
	state  state // under the Store's lock
	rev    storage.Revision
	err    error
	done   chan struct{}
}

type state int

const (
	waiting  state = iota
	left           // the caller's context has ended: it is not to be sent
	together       // sent in a call with others
	alone          // sent by itself, under the caller's context
)

func (w *write) key() storage.Key { return w.op.Record.Key }

// call is one call to the store: two, if it has puts and deletes.
type call struct {
	writes   []*write
	begun    int // it is the last one of so many
	slot     bool
	patience *time.Timer // takes the slot away
}

// New returns a Store in front of the given one, which it then owns: Close closes
// both. It has the limits of that store, and recalls what that recalls.
//
// Make one for a database and share it among all collections of the process: only
// writes of one Store go together.
func New(store Batcher) *Store {
	return &Store{
		store: store, patience: patience, free: slots,
		lines: make(map[storage.Key][]*write),
		apart: make(map[storage.Key]struct{}),
	}
}

// String returns no more than what it is: the rest is personal data.
func (s *Store) String() string { return "coalesce.Store" }

// GoString returns the same, for the verb %#v.
func (s *Store) GoString() string { return s.String() }

// Put implements storage.Store, see the package comment.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	return s.do(&write{ctx: ctx, op: storage.PutOp{Record: rec, Expect: expect}}, storage.CheckKey(ctx, rec.Key))
}

// Delete implements storage.Store, see the package comment.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	op := storage.PutOp{Record: storage.Record{Key: key}, Expect: expect}
	_, err := s.do(&write{ctx: ctx, op: op, remove: true}, storage.CheckDelete(ctx, key, expect))
	return err
}

// do has the write sent and waits for its outcome, unless the check failed.
func (s *Store) do(w *write, check error) (storage.Revision, error) {
	if check != nil {
		return 0, check
	}
	w.done = make(chan struct{})
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return 0, storage.ErrClosed
	}
	if line, taken := s.lines[w.key()]; taken {
		s.lines[w.key()] = append(line, w)
	} else {
		s.lines[w.key()] = nil
		s.admit(w)
	}
	s.send()
	s.mu.Unlock()

	select {
	case <-w.done:
		return w.rev, w.err
	case <-w.ctx.Done():
	}
	s.mu.Lock()
	was := w.state
	if was == waiting {
		w.state, w.op.Record.Data = left, nil
	}
	s.mu.Unlock()
	var late <-chan time.Time // never for a write of its own: the store knows its context
	switch was {
	case waiting:
		return 0, w.ctx.Err()
	case together:
		late = time.After(grace)
	}
	select {
	case <-w.done:
		return w.rev, w.err
	case <-late:
		return 0, fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, w.ctx.Err())
	}
}

// What follows is called with the lock held, but for run and write.

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

// send makes calls of what is ready, as long as there are slots.
func (s *Store) send() {
	for s.free > 0 && len(s.ready) > 0 {
		c, size := &call{slot: true}, 0
		for len(s.ready) > 0 && len(c.writes) < maxWrites {
			w := s.ready[0]
			size += len(w.op.Record.Data)
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

// run makes a call and hands out what became of it.
func (s *Store) run(c *call) {
	s.write(c.writes)
	c.patience.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	heldUp := s.ended > c.begun+maxOvertaken // so at least maxOvertaken of these began later
	for _, w := range c.writes {
		if len(s.apart) == maxApart {
			clear(s.apart)
		}
		delete(s.apart, w.key())
		sure := w.err == nil || errors.Is(w.err, storage.ErrConflict) || errors.Is(w.err, storage.ErrNotFound)
		if !sure || heldUp {
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

// write writes to the store and notes the outcomes.
func (s *Store) write(writes []*write) {
	if len(writes) == 1 {
		if w := writes[0]; w.remove {
			w.err = s.store.Delete(w.ctx, w.key(), w.op.Expect)
		} else {
			w.rev, w.err = s.store.Put(w.ctx, w.op.Record, w.op.Expect)
		}
		return
	}
	var puts []storage.PutOp
	var deletes []storage.DeleteOp
	for _, w := range writes {
		if w.remove {
			deletes = append(deletes, storage.DeleteOp{Key: w.key(), Expect: w.op.Expect})
		} else {
			puts = append(puts, w.op)
		}
	}
	// The keys are valid and distinct: there is no error in place of the results.
	results, _ := storage.PutMany(context.Background(), s.store, puts)
	errs, _ := storage.DeleteMany(context.Background(), s.store, deletes)
	for _, w := range writes {
		if w.remove {
			w.err, errs = errs[0], errs[1:]
		} else {
			w.rev, w.err, results = results[0].Revision, results[0].Err, results[1:]
		}
	}
}

// Close ends the writes that wait with storage.ErrClosed and closes the store below.
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
