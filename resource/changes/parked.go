package changes

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/resourcekit/storage"
)

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
