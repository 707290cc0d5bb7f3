package changes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// consume delivers changes until the session ends, whose cause it returns.
func (s *session) consume() error {
	for {
		err := s.follow()
		if !errors.Is(err, storage.ErrExpired) || s.ended() != nil { // a handler may have such an error, too
			return err
		}
		// The log may be trimmed up to the place of another owner.
		if err := s.mustSave(func(*state) {}); err != nil {
			return err
		}
		if s.opts.OnExpired == nil {
			return fmt.Errorf("changes: the log does not have the place of the consumer: %w", err)
		}
		if err := s.startOver(); err != nil {
			return err
		}
	}
}

// startOver calls OnExpired, and goes on from the end of the log as it was before. Until
// then the position stays the one that has expired: if the process ends, it is done again.
func (s *session) startOver() error {
	for n := 1; ; n++ {
		page, err := s.query(storage.ChangeQuery{End: true})
		if err == nil {
			err = s.mustSave(func(st *state) { st.Resume = page.Next }) // Trim leaves what follows
		}
		if err != nil {
			return err
		}
		err = guard(func() error { return s.opts.OnExpired(s.ctx) })
		if err == nil { // all at once, or it is done again
			err := s.mustSave(func(st *state) { st.Position, st.Resume, st.Parked = page.Next, storage.Cursor{}, nil })
			if err == nil {
				s.mu.Lock()
				s.position, s.isDirty = page.Next, true // a renewal may have stored the old one
				s.mu.Unlock()
			}
			return err
		}
		if err := s.ended(); err != nil {
			return err
		}
		s.report(err)
		if err := s.sleep(s.backoff(n)); err != nil {
			return err
		}
	}
}

// query asks the store for changes, until it is available.
func (s *session) query(q storage.ChangeQuery) (storage.ChangePage, error) {
	for n := 1; ; n++ {
		page, err := s.store.Changes(s.ctx, q)
		if err == nil {
			return page, nil
		}
		if err := s.ended(); err != nil {
			return page, err
		}
		if !isTemporary(err) {
			return page, err
		}
		s.report(err)
		if err := s.sleep(storePause(n)); err != nil {
			return page, err
		}
	}
}

// follow delivers the pages of the log, and between them the changes of parked resources
// that are due. Nothing of a page is under way then, so a resource that is not parked any
// more has had all its changes up to the position.
func (s *session) follow() error {
	type result struct {
		page storage.ChangePage
		err  error
	}
	ctx, cancel := context.WithCancel(s.ctx)
	results := make(chan result)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	after := s.position
	following.Go(func() {
		for page, err := range s.opts.Tail.Follow(ctx, storage.Scope{}, after) {
			select {
			case results <- result{page, err}:
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		var due <-chan time.Time
		if at := s.due(); !at.IsZero() {
			due = time.After(time.Until(at))
		}
		select {
		case <-s.ctx.Done():
			return s.ended()
		case r := <-results:
			if r.err != nil {
				return cmp.Or(s.ended(), r.err)
			}
			if err := s.deliver(r.page); err != nil {
				return err
			}
		case <-due:
		case <-s.kick:
			continue
		}
		if err := s.retryDue(); err != nil {
			return err
		}
		if s.isDirtyNow() {
			s.save(nil)
		}
	}
}

func (s *session) isDirtyNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isDirty
}

// deliver delivers the changes of a page, in lanes.
func (s *session) deliver(page storage.ChangePage) error {
	erased := make(map[storage.Scope]bool)
	for i := range page.Changes {
		if c := &page.Changes[i]; c.Redacted {
			erased[c.Key.Scope()] = true
		}
	}
	if err := s.learn(erased, s.position.Position); err != nil {
		return err
	}
	after := make([]storage.Cursor, len(page.Changes)+1) // after[i] is before change i
	after[0] = s.position
	for i := range page.Changes {
		after[i+1] = page.Changes[i].Cursor
	}
	after[len(page.Changes)] = page.Next
	finished := make([]bool, len(page.Changes))
	low := 0 // the changes before are finished
	finish := func(i int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for finished[i] = true; low < len(finished) && finished[low]; low++ {
			s.position = after[low+1]
		}
		s.isDirty = true
	}
	lanes := make([][]int, s.opts.Concurrency) // numbers of changes
	byID := make(map[uuid.UUID]int)            // lanes
	for i := range page.Changes {
		c := &page.Changes[i]
		if s.schemas != nil && s.schemas[c.Key.Schema] == nil {
			finish(i)
			continue
		}
		// A change that was redacted has another key, and the ID of those that were not yet.
		lane, ok := byID[c.ID]
		if !ok {
			lane = int(maphash.Comparable(laneSeed, c.Key) % uint64(len(lanes)))
			byID[c.ID] = lane
		}
		lanes[lane] = append(lanes[lane], i)
	}
	lanes = slices.DeleteFunc(lanes, func(lane []int) bool { return len(lane) == 0 })
	err := s.each(len(lanes), func(lane int) error {
		for _, i := range lanes[lane] {
			c := &page.Changes[i]
			if !s.isParked(c) {
				failed, err := s.try(c, 1)
				if failed != nil {
					if err = s.park(c, after[i], failed); err == nil {
						err = s.learn(erased, c.Cursor.Position) // it may be erased since the page was read
					}
				}
				if err != nil {
					return err
				}
			}
			finish(i)
		}
		return nil
	})
	if err == nil && len(page.Changes) == 0 {
		s.mu.Lock()
		s.position = page.Next // is stored with the next renewal
		s.mu.Unlock()
	}
	return err
}

var laneSeed = maphash.MakeSeed()

// each calls fn with 0 to n-1 at the same time. The first error ends the session.
func (s *session) each(n int, fn func(i int) error) error {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if err := fn(i); err != nil {
				s.cancel(err)
			}
		})
	}
	all.Wait()
	return s.ended()
}

// try calls the handler until its error is not ErrAgain, and returns that, or an error
// because the session has ended.
func (s *session) try(c *storage.Change, attempt int) (failed, err error) {
	e := Event{Fence: s.fence, Attempt: attempt, Change: resource.MakeChange(s.schemas[c.Key.Schema], *c, &resource.ChangeOptions{
		Documents: s.opts.Documents, Patches: s.opts.Patches, Unredacted: s.opts.Unredacted,
	})}
	for n := 1; ; n++ {
		if err := s.own(); err != nil {
			return nil, err
		}
		err := guard(func() error { return s.handler(s.ctx, e) })
		s.mu.Lock()
		if err == nil {
			s.delivered++
		} else {
			s.failed++
		}
		s.mu.Unlock()
		if err == nil {
			return nil, nil
		}
		if err := s.ended(); err != nil {
			return nil, err // the handler may have failed for that
		}
		s.report(fmt.Errorf("changes: attempt %d of %v: %w", attempt, e.Change, err))
		if !errors.Is(err, ErrAgain) {
			return err, nil
		}
		if err := s.sleep(s.backoff(n)); err != nil {
			return nil, err
		}
	}
}

// guard calls a function of the user. A panic is an error, and so is the end of its
// goroutine.
func guard(fn func() error) (err error) {
	done := make(chan error)
	go func() {
		err := errors.New("changes: the handler has ended its goroutine")
		defer func() {
			if value := recover(); value != nil {
				err = &panicError{fmt.Sprint(value), debug.Stack()}
			}
			done <- err
		}()
		err = fn()
	}()
	return <-done
}

// A panicError is a panic of a function of the user. Its text is kept in the store, and has
// no stack.
type panicError struct {
	value string
	stack []byte
}

func (e *panicError) Error() string { return "changes: the handler panicked: " + e.value }
