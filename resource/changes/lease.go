package changes

import (
	"context"
	"errors"
	"sync"
	"time"

	"example.com/resourcekit/storage"
)

// acquire waits for the lease of the consumer. A lease is free if its owner has given it
// up, or if its record has not changed for as long as the owner's lease: by the monotonic
// clock of this process, so that no clocks are compared, and none is set meanwhile.
func (c *consumer) acquire(ctx context.Context) (*session, error) {
	var (
		seen   storage.Revision // of the record, since
		since  time.Time
		faults int
	)
	for {
		began := time.Now()
		st, revision, err := c.look(ctx)
		if err == nil {
			if revision != seen {
				seen, since = revision, time.Now()
			}
			faults = 0
			if st.Owner == "" || st.Owner == c.owner || time.Since(since) >= st.Lease {
				// The clock keeps it ascending over a Remove, and over a backup of the store.
				st.Fence = max(st.Fence+1, uint64(time.Now().UnixMilli()))
				st.Owner, st.Lease, st.Renewed = c.owner, c.opts.Lease, now()
				rec, _ := st.record()
				rec.Key = c.key
				if _, err = storage.Put(ctx, c.store, rec, revision); err == nil {
					c.known = true
					return newSession(ctx, c, st, began), nil
				}
			}
		}
		wait := min(2*time.Second, c.opts.Lease/6)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && !isTemporary(err):
			return nil, err
		case err != nil && !errors.Is(err, storage.ErrConflict): // which another owner may cause
			c.report(err)
			faults++
			wait = storePause(faults)
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// look returns the state of the consumer and its revision: 0 and a new state if it is new.
func (c *consumer) look(ctx context.Context) (state, storage.Revision, error) {
	rec, err := c.store.Get(ctx, c.key)
	switch {
	case err == nil:
		c.known = true
		st, err := parse(rec)
		return st, rec.Revision, err
	case !errors.Is(err, storage.ErrNotFound):
		return state{}, 0, err
	case c.known:
		return state{}, 0, errAbsent
	case !c.opts.FromEnd:
		return newState(storage.Cursor{}), 0, nil
	}
	page, err := c.store.Changes(ctx, storage.ChangeQuery{End: true})
	return newState(page.Next), 0, err
}

// tick is how often a process looks whether it has to do something about the lease.
func (c *consumer) tick() time.Duration { return min(time.Second, c.opts.Lease/6) }

// storePause is how long to wait before a store is asked again that has failed n times.
func storePause(n int) time.Duration { return doubled(50*time.Millisecond, 5*time.Second, n) }

// doubled returns from, doubled n-1 times, and at most to.
func doubled(from, to time.Duration, n int) time.Duration {
	for ; n > 1; n-- {
		if from > to/2 {
			return to
		}
		from *= 2
	}
	return from
}

// elapsed is time.Since, by the wall clock too: the monotonic one may stand still while
// the machine sleeps. It is for an owner, which may take its lease for older than it is.
func elapsed(t time.Time) time.Duration {
	return max(time.Since(t), time.Now().Round(0).Sub(t.Round(0)))
}

// A session is the time of one lease.
type session struct {
	*consumer
	outer  context.Context // of Consume
	ctx    context.Context // ends with the session, which its cause says
	cancel context.CancelCauseFunc
	fence  uint64
	salt   []byte
	lapse  *time.Timer   // ends the session with the lease
	kick   chan struct{} // has an element when what is parked may have changed

	saving chan struct{} // has an element while the state is stored

	mu                sync.Mutex
	state             state // as it was stored; ahead of it are the following
	position          storage.Cursor
	delivered, failed uint64
	isDirty           bool
	renewed           time.Time // when the latest save began
}

func newSession(ctx context.Context, c *consumer, st state, began time.Time) *session {
	s := &session{
		consumer: c, outer: ctx, fence: st.Fence, salt: st.Salt, kick: make(chan struct{}, 1), saving: make(chan struct{}, 1),
		position: st.Position, delivered: st.Delivered, failed: st.Failed,
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.lapse = time.AfterFunc(c.opts.Lease-elapsed(began), func() { s.cancel(ErrLeaseLost) })
	s.adopt(st, began)
	return s
}

// run delivers changes until the context ends or the lease is lost, and gives the lease
// up.
func (s *session) run() error {
	var keeping sync.WaitGroup
	keeping.Go(s.keep)
	err := s.consume()
	s.cancel(err)
	keeping.Wait()
	if err == context.Cause(s.outer) && s.outer.Err() != nil {
		err = s.outer.Err()
	}
	if err != ErrLeaseLost && err != errAbsent { // not Is: a handler may have such an error, too
		s.last(func(st *state) { st.Owner = "" })
	}
	s.lapse.Stop()
	return err
}

// last saves a change after the session has ended, if the lease is still this process's.
// If the store does not answer for some time, the lease ends by itself.
func (s *session) last(change func(*state)) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.outer), min(5*time.Second, s.opts.Lease))
	defer cancel()
	for n := 1; ; n++ {
		err := s.write(ctx, change)
		if err == nil || err == ErrLeaseLost {
			return err == nil
		}
		s.report(err)
		if !isTemporary(err) || sleep(ctx, storePause(n)) != nil {
			return false
		}
	}
}

// keep renews the lease, and stores the position while events are delivered.
func (s *session) keep() {
	for sleep(s.ctx, s.tick()) == nil {
		s.mu.Lock()
		isDue := s.isDirty || elapsed(s.renewed) >= s.opts.Lease/3
		s.mu.Unlock()
		if isDue {
			s.save(nil)
		}
	}
}

// own returns when the lease is sure to be this process's for a third of it. The error is
// that the session has ended.
func (s *session) own() error {
	for n := 1; s.age() >= s.opts.Lease*2/3; n++ {
		if !s.save(nil) {
			if err := s.sleep(storePause(n)); err != nil {
				return err
			}
		}
	}
	return s.ended()
}

func (s *session) age() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return elapsed(s.renewed)
}

// ended returns why the session has ended, or nil.
func (s *session) ended() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return nil
}

// sleep waits, or returns why the session has ended.
func (s *session) sleep(d time.Duration) error {
	_ = sleep(s.ctx, d)
	return s.ended()
}

// save stores the state with a change, which may be called several times, and reports
// whether it has. Without a change nothing is stored if that was done just now. An error
// that is not temporary ends the session.
func (s *session) save(change func(*state)) bool {
	err := s.write(s.ctx, change)
	switch {
	case err == nil:
		return true
	case s.ctx.Err() != nil:
	case isTemporary(err):
		s.report(err)
	default:
		s.cancel(err)
	}
	return false
}

// mustSave saves until it has. The error is that the session has ended before.
func (s *session) mustSave(change func(*state)) error {
	for n := 1; !s.save(change); n++ {
		if err := s.sleep(storePause(n)); err != nil {
			if s.last(change) {
				return nil
			}
			return err
		}
	}
	return nil
}

func (s *session) write(ctx context.Context, change func(*state)) error {
	select {
	case s.saving <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.saving }()
	if change == nil && s.age() < s.tick()/2 {
		return nil
	}
	began := time.Now()
	var st state
	_, err := storage.Update(ctx, s.store, s.key, func(old storage.Record) (_ storage.Record, err error) {
		if old.Revision == 0 {
			return old, errAbsent
		}
		if st, err = parse(old); err != nil {
			return old, err
		}
		if st.Fence != s.fence || st.Owner != s.owner {
			return old, ErrLeaseLost
		}
		s.mu.Lock()
		st.Position, st.Delivered, st.Failed = s.position, s.delivered, s.failed
		s.isDirty = false
		s.mu.Unlock()
		st.Renewed = now()
		if change != nil {
			change(&st)
		}
		return st.record()
	})
	if err != nil {
		s.mu.Lock()
		s.isDirty = true
		s.mu.Unlock()
		return err
	}
	s.lapse.Reset(s.opts.Lease - elapsed(began))
	s.adopt(st, began)
	return nil
}

// adopt takes over a state that was stored, with what others have changed in it.
func (s *session) adopt(st state, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state, s.renewed = st, began
	select {
	case s.kick <- struct{}{}:
	default:
	}
}
