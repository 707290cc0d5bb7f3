package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/storage"
)

// ErrLogged is returned for a write to a scope whose changes are logged, by a collection
// without Options.Log. Such a write would be missing in the log.
var ErrLogged = errors.New("the changes of this schema and tenant are logged, and the collection does not log them")

// A phase is how far an index of a tenant has been built.
type phase string

const (
	building  phase = ""          // records of before may have no entries
	enforcing phase = "enforcing" // a Reindex is under way, or has met duplicates; writers make values unique
	ready     phase = "ready"     // all records have entries, and lists use them
)

// scopeState is what all collections of a tenant and schema must know. It is a record of
// the system scope.
type scopeState struct {
	Log     bool             `json:"log,omitempty"`
	Indexes map[string]phase `json:"indexes,omitempty"` // by index.name

	// Run is the Reindex under way, which several processes may share, and After the
	// external id that it has come to.
	Run   uint64 `json:"run,omitempty"`
	After string `json:"after,omitempty"`

	// Erased counts the calls of Erase during the run. A place that was read before such a
	// call may be the id of the resource that it has erased.
	Erased uint64 `json:"erased,omitempty"`
}

// all reports whether all of the indexes are in this phase, or beyond it.
func (s *scopeState) all(indexes []index, p phase) bool {
	for i := range indexes {
		if got := s.Indexes[indexes[i].name]; got != ready && got != p {
			return false
		}
	}
	return true
}

func (s *scopeState) set(index index, p phase) {
	if s.Indexes == nil {
		s.Indexes = make(map[string]phase)
	}
	s.Indexes[index.name] = p
}

// only removes all other indexes, and reports whether there were any. The records that
// the collection writes lack their entries, so they need to be built again.
func (s *scopeState) only(indexes []index) (changed bool) {
	for name := range s.Indexes {
		if !slices.ContainsFunc(indexes, func(x index) bool { return x.name == name }) {
			delete(s.Indexes, name)
			changed = true
		}
	}
	return changed
}

// How long a collection works with a state that it has read. It is short while an index
// is being built, so that Reindex need not wait for long.
const (
	stateAge    = time.Minute
	buildingAge = time.Second
	settleAge   = 2 * buildingAge // that Reindex waits, so that a write has a second
)

// states remembers the states of tenants.
type states struct {
	mu    sync.RWMutex
	byKey map[storage.Tenant]*knownState
}

type knownState struct {
	scopeState
	write bool      // made for writes
	read  time.Time // just before it was read
	until time.Time
}

// maxStates bounds the tenants whose states are remembered.
const maxStates = 10_000

func (s *states) get(tenant storage.Tenant, now time.Time) *knownState {
	s.mu.RLock()
	known := s.byKey[tenant]
	s.mu.RUnlock()
	if known != nil && now.After(known.until) {
		return nil
	}
	return known
}

func (s *states) put(tenant storage.Tenant, known *knownState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey == nil || len(s.byKey) >= maxStates {
		s.byKey = make(map[storage.Tenant]*knownState)
	}
	s.byKey[tenant] = known
}

func (s *states) forget(tenant storage.Tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byKey, tenant)
}

// writeState returns the state of a tenant for a write: known, unless it is nil or too
// old, or one from memory or from the store. For a tenant without resources all indexes
// are ready. A dry run changes nothing in the store. The error is ErrLogged for a
// collection that must not write here.
func (c *Collection) writeState(
	ctx context.Context, tenant storage.Tenant, known *knownState, dryRun bool,
) (*knownState, error) {
	if known != nil && len(c.index) == 0 {
		return known, nil // nothing in it can change for this write
	}
	now := time.Now()
	if known != nil && now.Before(known.until) {
		return known, nil
	}
	if known = c.states.get(tenant, now); known != nil && known.write {
		return known, nil
	}
	scope := c.key(tenant, "").Scope()
	isEmpty := false
	state, err := c.readState(ctx, scope)
	if err == nil && !state.all(c.index, enforcing) {
		if isEmpty, err = c.isEmpty(ctx, scope); err == nil && !isEmpty {
			// Another process, perhaps, has made the state, and then a record.
			state, err = c.readState(ctx, scope)
		}
	}
	claim := func(s *scopeState) (changed bool) {
		changed = s.only(c.index) || c.opts.Log && !s.Log
		s.Log = s.Log || c.opts.Log
		for i := range c.index {
			if isEmpty && s.Indexes[c.index[i].name] != ready {
				s.set(c.index[i], ready)
				changed = true
			}
		}
		return changed
	}
	isLogged := func() bool { return state.Log && !c.opts.Log }
	if err == nil && !isLogged() && claim(&state) && !dryRun {
		state, err = c.changeState(ctx, scope, func(s *scopeState) error { claim(s); return nil })
	}
	if err != nil {
		return nil, elsewhere("cannot read the state of the indexes", err)
	}
	if isLogged() {
		return nil, ErrLogged
	}
	age := stateAge
	if !state.all(c.index, ready) {
		age = buildingAge
	}
	known = &knownState{scopeState: state, write: true, read: now, until: now.Add(age)}
	if !dryRun {
		c.states.put(tenant, known)
	}
	return known, nil
}

// isEmpty reports whether a scope has no records.
func (c *Collection) isEmpty(ctx context.Context, scope storage.Scope) (bool, error) {
	page, err := c.store.List(ctx, scope, storage.Range{Limit: 1})
	return len(page.Records) == 0 && page.Next.IsZero(), err
}

// elsewhere returns an error of a record of the library's own, which a write or a list
// needs first. It must not be taken for the outcome of that write, which has not begun: of
// the store's errors only ErrUnavailable is kept, and those of the context.
func elsewhere(what string, err error) error {
	switch ErrorClass(err) {
	case unavailable, "deadline", "canceled":
		return fmt.Errorf("%s: %w", what, err)
	case "unknown", "conflict":
		return fmt.Errorf("%s: %w: %s", what, storage.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %s", what, err)
}

// isReady reports whether an index has an entry of every resource of a tenant.
func (c *Collection) isReady(ctx context.Context, scope storage.Scope, number uint32) (bool, error) {
	name := c.index[slices.IndexFunc(c.index, func(x index) bool { return x.number == number })].name
	if known := c.states.get(scope.Tenant, time.Now()); known != nil && known.Indexes[name] == ready {
		return true, nil
	}
	now := time.Now()
	state, err := c.readState(ctx, scope)
	if err == nil && state.Indexes[name] == ready {
		c.states.put(scope.Tenant, &knownState{scopeState: state, read: now, until: now.Add(stateAge)})
		return true, nil
	}
	return false, err
}

func (c *Collection) readState(ctx context.Context, scope storage.Scope) (scopeState, error) {
	rec, err := c.store.Get(ctx, system.Key(scope, "state"))
	if errors.Is(err, storage.ErrNotFound) {
		return scopeState{}, nil
	}
	if err != nil {
		return scopeState{}, err
	}
	return parseState(rec.Data)
}

func parseState(data []byte) (s scopeState, err error) {
	if err = json.Unmarshal(data, &s); err != nil {
		err = fmt.Errorf("the record is damaged: %w", err)
	}
	return s, err
}

// changeState changes the state of a scope in the store.
func (c *Collection) changeState(
	ctx context.Context, scope storage.Scope, change func(*scopeState) error,
) (state scopeState, err error) {
	_, err = storage.Update(ctx, c.store, system.Key(scope, "state"), func(old storage.Record) (storage.Record, error) {
		state = scopeState{}
		if old.Revision != 0 {
			if state, err = parseState(old.Data); err != nil {
				return old, err
			}
		}
		if err := change(&state); err != nil {
			return old, err
		}
		data, err := json.Marshal(state)
		if err != nil {
			return old, err
		}
		now := time.Now() // the clock of the options is for resources
		return storage.Record{ID: system.ID, CreatedAt: now, UpdatedAt: now, Data: data}, nil
	})
	return state, err
}
