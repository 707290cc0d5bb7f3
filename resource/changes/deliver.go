package changes

import (
	"bytes"
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

func (s *session) backoff(n int) time.Duration {
	return doubled(s.opts.MinBackoff, s.opts.MaxBackoff, n)
}

// next returns when an event comes again that has failed so many times.
func (s *session) next(attempts int) time.Time {
	if attempts >= s.opts.MaxAttempts {
		return time.Time{}
	}
	return now().Add(s.backoff(attempts))
}

// isParked reports whether a change waits for earlier ones.
func (s *session) isParked(c *storage.Change) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.holder(c) != nil
}

// learn notes the redacted ids of the parked resources in these scopes that were erased.
// It is called before the changes of a page with redacted ones are delivered, so that all
// changes of a key wait, whichever of its names they have.
func (s *session) learn(erased map[storage.Scope]bool, until int64) error {
	if len(erased) == 0 {
		return nil
	}
	s.mu.Lock()
	all := slices.Clone(s.state.Parked)
	s.mu.Unlock()
	for _, p := range all {
		if erased[p.scope()] {
			if _, err := s.nameOf(p, until); err != nil {
				return err
			}
		}
	}
	return nil
}

// park parks the resource of a change that has failed.
func (s *session) park(c *storage.Change, after storage.Cursor, failed error) error {
	isFull := false
	err := s.mustSave(func(st *state) {
		key := hashOf(s.salt, c.Key)
		if c.Redacted {
			key = c.ID[:]
		}
		if isFull = false; st.find(key) != nil { // by a save whose answer was lost
			return
		}
		if isFull = len(st.Parked) >= s.opts.MaxParked; isFull {
			return
		}
		st.Parked = append(st.Parked, parked{
			Platform: c.Key.Tenant.Platform, Business: c.Key.Tenant.Business, Schema: c.Key.Schema, ID: c.ID,
			Key: key, After: after, Since: now(), Attempts: 1, Next: s.next(1), Error: textOf(failed),
		})
	})
	if err == nil && isFull {
		err = fmt.Errorf("changes: %w: %w", ErrParked, failed)
	}
	return err
}

// due returns when the next parked resource is due, zero if none will be.
func (s *session) due() (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.state.Parked {
		if !p.Next.IsZero() && (at.IsZero() || p.Next.Before(at)) {
			at = p.Next
		}
	}
	return at
}

// retryDue tries parked resources again: as many as there are lanes, so that others get a
// turn.
func (s *session) retryDue() error {
	s.mu.Lock()
	due := slices.DeleteFunc(slices.Clone(s.state.Parked), func(p parked) bool {
		return p.Next.IsZero() || p.Next.After(time.Now())
	})
	s.mu.Unlock()
	slices.SortStableFunc(due, func(a, b parked) int { return a.Next.Compare(b.Next) })
	return s.each(min(len(due), s.opts.Concurrency), func(i int) error { return s.retry(due[i]) })
}

// retryPage is how many changes of a parked resource are tried before that is stored.
const retryPage = 100

// retry delivers the changes of a parked resource up to the position.
func (s *session) retry(p parked) error {
	rows, all, err := s.waiting(p)
	if err != nil {
		return err
	}
	next := p.ID
	if !all && len(rows) > 0 { // the last one stays, so that the ID of the first that waits is known
		next, rows = rows[len(rows)-1].ID, rows[:len(rows)-1]
	}
	after, attempt := p.After, p.Attempts+1
	for i := range rows {
		c := &rows[i]
		failed, err := s.try(c, attempt)
		if err != nil {
			if i > 0 { // after a clean end none comes twice
				_ = s.update(p, func(p *parked) { p.ID, p.After, p.Attempts, p.Next = c.ID, after, 0, now() })
			}
			return err
		}
		if failed != nil {
			return s.update(p, func(stored *parked) {
				stored.ID, stored.After, stored.Error = c.ID, after, textOf(failed)
				if stored.Attempts == p.Attempts && stored.Next.Equal(p.Next) { // not released meanwhile
					stored.Attempts, stored.Next = attempt, s.next(attempt)
				}
			})
		}
		after, attempt = c.Cursor, 1
	}
	if all {
		return s.mustSave(func(st *state) {
			st.Parked = slices.DeleteFunc(st.Parked, func(other parked) bool { return bytes.Equal(other.Key, p.Key) })
		})
	}
	return s.update(p, func(p *parked) {
		p.ID, p.After, p.Attempts, p.Next = next, after, 0, now()
		if len(rows) == 0 { // the store does not show them yet
			p.Next = p.Next.Add(s.opts.MinBackoff)
		}
	})
}

// update changes a parked resource in the store.
func (s *session) update(p parked, change func(*parked)) error {
	return s.mustSave(func(st *state) {
		if p := st.find(p.Key); p != nil {
			change(p)
		}
	})
}

// waiting returns the first changes of a parked resource that wait, and whether there are
// no others up to the position.
func (s *session) waiting(p parked) (rows []storage.Change, all bool, err error) {
	until := s.position.Position
	name, err := s.nameOf(p, until)
	if err == nil {
		rows, all, err = s.read(p, name, retryPage+1, until)
	}
	if err == nil && name != "" {
		var first []storage.Change
		if first, _, err = s.read(p, name, 1, until); err == nil && len(first) == 0 { // erased meanwhile
			return s.waiting(p)
		}
	}
	return rows, all, err
}

// nameOf returns the external id of all changes of a parked resource, "" if it was erased.
// The redacted id is stored then, and the changes may have both. The first change that
// waits tells: an erasure redacts all that there are of a key.
func (s *session) nameOf(p parked, until int64) (string, error) {
	if p.Redacted != "" || bytes.Equal(p.Key, p.ID[:]) {
		return "", nil
	}
	rows, _, err := s.read(p, "", 1, until)
	switch {
	case err != nil || len(rows) == 0:
		return "", err
	case rows[0].Redacted:
		return "", s.update(p, func(p *parked) { p.Redacted = rows[0].Key.ExternalID })
	case !bytes.Equal(hashOf(s.salt, rows[0].Key), p.Key): // of the same ID
		return "", nil
	}
	return rows[0].Key.ExternalID, nil
}

// read returns the first changes that wait with a parked resource, and whether there are
// no others up to a position. With a name it reads those of this external id alone.
// Without, the first one may be far from the place: until it is found, pages are large and
// without documents.
func (s *session) read(p parked, name string, limit int, until int64) (rows []storage.Change, all bool, err error) {
	noData := limit == 1 || !s.opts.Documents && !s.opts.Patches
	q := storage.ChangeQuery{Scope: p.scope(), ExternalID: name, After: p.After, Limit: limit, NoData: noData}
	isScan := name == ""
	if isScan {
		q.Limit, q.NoData = storage.MaxPage, true
	}
	for {
		page, err := s.query(q)
		if errors.Is(err, storage.ErrExpired) && q.After != (storage.Cursor{}) {
			s.report(fmt.Errorf("changes: the log does not have all changes of parked resource %v: %w", p.ID, err))
			q.After, rows = storage.Cursor{}, nil
			continue
		}
		if err != nil {
			return nil, false, err
		}
		isAgain := false
		for i := range page.Changes {
			c := &page.Changes[i]
			if c.Cursor.Position > until {
				return rows, true, nil
			}
			if s.waitsWith(c, p) {
				if isAgain = isScan && limit > 1; isAgain {
					isScan, q.Limit, q.NoData = false, limit, noData
					break
				}
				if rows = append(rows, *c); len(rows) == limit {
					return rows, false, nil
				}
			}
			q.After = c.Cursor
		}
		switch {
		case isAgain: // with documents
		case page.Next.Position >= until:
			return rows, true, nil
		case !page.More: // the store does not show all up to the position now
			return rows, false, nil
		default:
			q.After = page.Next
		}
	}
}

// waitsWith reports whether a change waits with a parked resource.
func (s *session) waitsWith(c *storage.Change, p parked) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	holder := s.state.holder(c)
	return holder != nil && bytes.Equal(holder.Key, p.Key)
}
