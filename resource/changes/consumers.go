package changes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// Consumer is what the store has of a consumer, for operators and metrics. As JSON it has
// the names below; times that are zero are left out.
type Consumer struct {
	Name string `json:"name"`

	// Owner is the process that has the lease: host name, process id and a random part.
	// It is "" after a clean end.
	Owner   string    `json:"owner"`
	Fence   uint64    `json:"fence"`            // the number of the latest lease
	Renewed time.Time `json:"renewed,omitzero"` // when the owner wrote last, by its clock

	// Lag is the age of the first change that the consumer has not taken, 0 if there is
	// none. Parked resources are not in it, and what was taken in the last second may be.
	Lag time.Duration `json:"lagNanoseconds"`
	// Held is how long the store has been holding changes back: see storage.ChangePage.
	Held time.Duration `json:"heldNanoseconds"`
	// Expired reports that the log no longer has the place of the consumer.
	Expired bool `json:"expired"`

	Delivered uint64   `json:"delivered"` // calls of the handler that returned nil
	Failed    uint64   `json:"failed"`    // calls of the handler that returned an error
	Parked    []Parked `json:"parked"`    // not nil
}

// Parked is a resource whose events wait.
type Parked struct {
	Tenant   storage.Tenant `json:"tenant"`
	Schema   uuid.UUID      `json:"schemaDefinitionId"`
	ID       uuid.UUID      `json:"id"` // of the resource; its external id is in the log alone
	Since    time.Time      `json:"since,omitzero"`
	Attempts int            `json:"attempts"`      // calls with its first event that failed, since the last Release
	Next     time.Time      `json:"next,omitzero"` // of the next attempt; zero if it waits for Release
	Error    string         `json:"error"`         // at most 200 bytes of the latest one
}

// Consumers returns the consumers that a store has, in the order of their names. Any process
// may call it. It makes one query for the list, and one for each consumer. Errors are those
// of the store.
func Consumers(ctx context.Context, store storage.Store) ([]Consumer, error) {
	names, states, err := list(ctx, store)
	if err != nil {
		return nil, err
	}
	all := make([]Consumer, len(names))
	for i, st := range states {
		c := Consumer{
			Name: names[i], Owner: st.Owner, Fence: st.Fence, Renewed: st.Renewed,
			Delivered: st.Delivered, Failed: st.Failed, Parked: make([]Parked, 0, len(st.Parked)),
		}
		for _, p := range st.Parked {
			c.Parked = append(c.Parked, Parked{
				Tenant: storage.Tenant{Platform: p.Platform, Business: p.Business}, Schema: p.Schema, ID: p.ID,
				Since: p.Since, Attempts: p.Attempts, Next: p.Next, Error: p.Error,
			})
		}
		page, err := first(ctx, store, st.Position)
		switch {
		case errors.Is(err, storage.ErrExpired):
			c.Expired = true
		case err != nil:
			return nil, err
		case len(page.Changes) > 0:
			c.Lag = max(0, time.Since(page.Changes[0].Note.Time))
		}
		c.Held = page.Held
		all[i] = c
	}
	return all, nil
}

// first returns the page of the first change after a cursor.
func first(ctx context.Context, store storage.Store, after storage.Cursor) (storage.ChangePage, error) {
	return store.Changes(ctx, storage.ChangeQuery{After: after, Limit: 1, NoData: true})
}

// list returns the names of all consumers in order, and their states.
func list(ctx context.Context, store storage.Store) (names []string, states []state, err error) {
	r := storage.Range{After: storage.Position{ExternalID: prefix}, Limit: storage.MaxPage}
	for {
		page, err := store.List(ctx, system.Scope, r)
		if err != nil {
			return nil, nil, err
		}
		for _, rec := range page.Records {
			name, ok := strings.CutPrefix(rec.Key.ExternalID, prefix)
			if !ok { // records of other kinds follow
				return names, states, nil
			}
			st, err := parse(rec)
			if err != nil {
				return nil, nil, err
			}
			names, states = append(names, name), append(states, st)
		}
		if r.After = page.Next; r.After.IsZero() {
			return names, states, nil
		}
	}
}

// Release lets the events of parked resources come again at once, with all their attempts.
// It releases the resources with these IDs, or all of them if there are no ids. IDs that are
// not parked are ignored. The owner of the consumer notices within a third of its lease.
//
// Errors are storage.ErrInvalid for a name that is not valid, storage.ErrNotFound if there
// is no such consumer, and those of the store.
func Release(ctx context.Context, store storage.Store, name string, ids ...uuid.UUID) error {
	key, err := keyOf(name)
	if err != nil {
		return err
	}
	_, err = storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
		if old.Revision == 0 {
			return old, errAbsent
		}
		st, err := parse(old)
		if err != nil {
			return old, err
		}
		released := false
		for i := range st.Parked {
			if p := &st.Parked[i]; len(ids) == 0 || slices.Contains(ids, p.ID) {
				p.Attempts, p.Next = 0, now()
				released = true
			}
		}
		if !released {
			return old, storage.ErrNoChange
		}
		return st.record()
	})
	return err
}

var errAbsent = fmt.Errorf("changes: there is no such consumer: %w", storage.ErrNotFound)

// Remove removes a consumer with its position, so that [Trim] need not wait for it. End
// its processes before: a Consume of this name that still runs returns
// storage.ErrNotFound when it notices. Removing a consumer that is absent is no error.
// Errors are storage.ErrInvalid for a name that is not valid, and those of the store.
func Remove(ctx context.Context, store storage.Store, name string) error {
	key, err := keyOf(name)
	if err == nil {
		_, err = storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete })
	}
	return err
}

// Trim removes the changes that were made before a time from the log of a store, except
// those that a consumer or a parked resource still needs. It returns the names of the
// consumers that kept changes back. [Remove] those that will not run again. To trim
// whatever consumers need, call the Trim of the store: their OnExpired is called then.
//
// Trim knows a consumer from the first [Consume] of its name that has got the lease. It
// keeps nothing for one that has never run. Such a consumer begins with what is left, and
// its OnExpired is not called: let it run, until [Consumers] has it, before the first Trim.
//
// Errors are those of the store.
func Trim(ctx context.Context, store storage.Store, before time.Time) ([]string, error) {
	names, states, err := list(ctx, store)
	if err != nil {
		return nil, err
	}
	var (
		kept     []string
		end      storage.Cursor // the lowest place that is needed
		isNeeded bool
	)
	for i, st := range states {
		for _, at := range st.needs() {
			page, err := first(ctx, store, at)
			if errors.Is(err, storage.ErrExpired) { // gone already, but what is parked may not be
				continue
			}
			if err != nil {
				return nil, err
			}
			if len(page.Changes) > 0 && page.Changes[0].Note.Time.Before(before) {
				kept = append(kept, names[i])
			}
			if !isNeeded || at.Position < end.Position {
				isNeeded, end = true, at
			}
			break // its others are after this one
		}
	}
	if isNeeded && end == (storage.Cursor{}) { // the start of the log is needed; for the store it would be no end
		return kept, nil
	}
	err = store.Trim(ctx, before, end)
	if isNeeded && errors.Is(err, storage.ErrExpired) { // another Trim was there first, when consumers had come further
		err = nil
	}
	return kept, err
}
