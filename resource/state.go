package resource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// The library's own records are in system scopes: one beside each scope of resources, and
// one for the whole store. Their changes are never logged.
var systemNamespace = uuid.MustParse("1da46945-9329-437c-b2d7-3d3bb42a1e96")

func systemKey(scope storage.Scope, name string) storage.Key {
	return storage.Key{Tenant: scope.Tenant, Schema: uuid.NewSHA1(systemNamespace, scope.Schema[:]), ExternalID: name}
}

func storeKey(name string) storage.Key {
	return storage.Key{Tenant: storage.Tenant{Platform: systemNamespace, Business: systemNamespace}, Schema: systemNamespace, ExternalID: name}
}

// ErrLogged is returned for a write to a scope whose changes are logged, by a collection
// without Options.Log. Such a write would be missing in the log.
var ErrLogged = errors.New("the changes of this schema and tenant are logged, and the collection does not log them")

// A phase is how far an index of a tenant has been built.
type phase string

const (
	building  phase = ""          // records of before may have no entries
	enforcing phase = "enforcing" // all records have entries, and writers make them unique
	ready     phase = "ready"     // lists use it
)

// scopeState is what all collections of a tenant and schema must know. It is a record of
// the system scope.
type scopeState struct {
	Log     bool             `json:"log,omitempty"`
	Indexes map[uint32]phase `json:"indexes,omitempty"`

	// After is the external id that a Reindex has come to, Unique that it has met unique
	// values, and Second that it is in its second pass.
	After  string `json:"after,omitempty"`
	Unique bool   `json:"unique,omitempty"`
	Second bool   `json:"second,omitempty"`
}

// all reports whether all of the indexes are in this phase, or beyond it.
func (s *scopeState) all(indexes []uint32, p phase) bool {
	for _, n := range indexes {
		if got := s.Indexes[n]; got != ready && got != p {
			return false
		}
	}
	return true
}

func (s *scopeState) any(of func(uint32, phase) bool) bool {
	for n, p := range s.Indexes {
		if of(n, p) {
			return true
		}
	}
	return false
}

func (s *scopeState) set(indexes []uint32, p phase) {
	if s.Indexes == nil {
		s.Indexes = make(map[uint32]phase, len(indexes))
	}
	for _, n := range indexes {
		if s.Indexes[n] != ready {
			s.Indexes[n] = p
		}
	}
}

// How long a collection works with a state that it has read. It is short while an index
// is being built, so that Reindex need not wait for long.
const (
	stateAge    = time.Minute
	buildingAge = time.Second
)

// states remembers the states of tenants.
type states struct {
	mu    sync.RWMutex
	byKey map[storage.Tenant]*knownState
}

type knownState struct {
	scopeState
	write bool // made for writes
	until time.Time
}

// maxStates bounds the tenants whose states are remembered.
const maxStates = 10_000

func (s *states) get(tenant storage.Tenant) *knownState {
	s.mu.RLock()
	known := s.byKey[tenant]
	s.mu.RUnlock()
	if known != nil && time.Now().After(known.until) {
		return nil
	}
	return known
}

func (s *states) put(tenant storage.Tenant, known *knownState, age time.Duration) {
	known.until = time.Now().Add(age)
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

// writeState returns the state of a tenant for a write, from memory or from the store.
// For a tenant without resources it makes one in which all indexes are ready. Indexes that
// the collection does not have are no longer ready for the others. The error is ErrLogged
// for a collection that must not write here.
func (c *Collection) writeState(ctx context.Context, tenant storage.Tenant) (*scopeState, error) {
	if known := c.states.get(tenant); known != nil && known.write {
		return &known.scopeState, nil
	}
	scope := c.key(tenant, "").Scope()
	state, err := c.readState(ctx, scope)
	if err == nil && !state.all(c.index, enforcing) {
		var any storage.Page
		any, err = c.store.List(ctx, scope, storage.Range{Limit: 1})
		switch {
		case err != nil:
		case len(any.Records) == 0 && any.Next.IsZero():
			state, err = c.changeState(ctx, scope, func(s *scopeState) { s.set(c.index, ready) })
		default: // by another process, perhaps, which made the state before the record
			state, err = c.readState(ctx, scope)
		}
	}
	refused := func() bool { return state.Log && !c.opts.Log }
	unknown := func(n uint32, _ phase) bool { return !slices.Contains(c.index, n) }
	if err == nil && !refused() && (c.opts.Log && !state.Log || state.any(unknown)) {
		state, err = c.changeState(ctx, scope, func(s *scopeState) {
			s.Log = s.Log || c.opts.Log
			maps.DeleteFunc(s.Indexes, unknown) // what is written here will have no entries in them
		})
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of the indexes: %w", err)
	}
	if refused() {
		return nil, ErrLogged
	}
	age := stateAge
	if !state.all(c.index, ready) {
		age = buildingAge
	}
	known := &knownState{scopeState: state, write: true}
	c.states.put(tenant, known, age)
	return &known.scopeState, nil
}

// isReady reports whether an index has an entry of every resource of a tenant.
func (c *Collection) isReady(ctx context.Context, scope storage.Scope, index uint32) (bool, error) {
	if known := c.states.get(scope.Tenant); known != nil && known.Indexes[index] == ready {
		return true, nil
	}
	state, err := c.readState(ctx, scope)
	if err == nil && state.Indexes[index] == ready {
		c.states.put(scope.Tenant, &knownState{scopeState: state}, stateAge)
		return true, nil
	}
	return false, err
}

func (c *Collection) readState(ctx context.Context, scope storage.Scope) (scopeState, error) {
	rec, err := c.store.Get(ctx, systemKey(scope, "state"))
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
func (c *Collection) changeState(ctx context.Context, scope storage.Scope, change func(*scopeState)) (state scopeState, err error) {
	_, err = storage.Update(ctx, c.store, systemKey(scope, "state"), func(old storage.Record) (storage.Record, error) {
		state = scopeState{}
		if old.Revision != 0 {
			if state, err = parseState(old.Data); err != nil {
				return old, err
			}
		}
		change(&state)
		data, err := json.Marshal(state)
		if err != nil {
			return old, err
		}
		now := time.Now() // the clock of the options is for resources
		return storage.Record{ID: systemNamespace, CreatedAt: now, UpdatedAt: now, Data: data}, nil
	})
	return state, err
}
