package changes

import (
	"testing"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
)

// TestWakesOneScope: a change wakes the readers of its scope and those of all, and no
// others.
func TestWakesOneScope(t *testing.T) {
	tail := NewTail(nil, nil)
	g := &ring{scopes: map[storage.Scope]*scopeReaders{{}: {readers: 1}}}
	scopes := make([]storage.Scope, 1000)
	for i := range scopes {
		scopes[i] = storage.Scope{Tenant: storage.Tenant{Platform: uuid.New(), Business: uuid.New()}, Schema: uuid.New()}
		g.scopes[scopes[i]] = &scopeReaders{readers: 1}
	}
	for _, s := range g.scopes {
		s.signal = make(chan struct{})
	}
	key := storage.Key{Tenant: scopes[7].Tenant, Schema: scopes[7].Schema, ExternalID: "a"}
	at := storage.Cursor{Position: 1, Revision: 1}
	tail.add(g, storage.ChangePage{Changes: []storage.Change{{Key: key, Cursor: at}}, Next: at})
	var woken []storage.Scope
	for scope, s := range g.scopes {
		if s.signal == nil {
			woken = append(woken, scope)
		}
	}
	assert.ElementsMatch(t, []storage.Scope{{}, scopes[7]}, woken)
	assert.Len(t, g.changes, 1)
}
