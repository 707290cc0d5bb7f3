package memory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/btree"

	"example.com/resourcekit/storage"
)

// entry is the place of one record. A nil record means deleted, and is final:
// the entry is then unlinked and the key gets a new one when it is created
// again. So an entry with a record is always linked, and a swap that succeeds
// is always seen.
type entry struct {
	rec atomic.Pointer[record]
	id  string // the external id
}

// A record is what an entry has beside its key: less than half of a storage.Record,
// and one pointer instead of four.
type record struct {
	data             []byte
	rev              storage.Revision
	created, updated int64 // milliseconds since 1970
	uuid             uuid.UUID
}

func newRecord(rec *storage.Record, rev storage.Revision) *record {
	return &record{rec.Data, rev, rec.CreatedAt.UnixMilli(), rec.UpdatedAt.UnixMilli(), rec.ID}
}

// public returns the record of this key.
func (r *record) public(key storage.Key) storage.Record {
	return storage.Record{
		Key: key, Revision: r.rev, ID: r.uuid, Data: r.data,
		CreatedAt: time.UnixMilli(r.created).UTC(), UpdatedAt: time.UnixMilli(r.updated).UTC(),
	}
}

// load returns the record. It is nil for a nil entry.
func (e *entry) load() *record {
	if e == nil {
		return nil
	}
	return e.rec.Load()
}

// index has the entries of one scope twice: in a tree in the byte order of their external
// ids, for pages, and in a map by id, for all other calls. The tree alone would do, but
// has a cache miss for every comparison: with a million records the map makes a get 2.5
// times and an upsert 1.9 times as fast (0.73 us against 1.8, 1.3 against 2.5; with a
// thousand 68 ns against 146, 240 against 360), for some 40 bytes per record.
type index struct {
	mu   sync.RWMutex // for the tree and the map; records need no lock
	byID map[string]*entry
	tree btree.Map[string, *entry]

	scope storage.Scope
}

func newIndex(scope storage.Scope) *index { return &index{byID: make(map[string]*entry), scope: scope} }

func (ix *index) key(id string) storage.Key {
	return storage.Key{Tenant: ix.scope.Tenant, Schema: ix.scope.Schema, ExternalID: id}
}

func (ix *index) lookup(id string) *entry {
	if ix == nil {
		return nil
	}
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.byID[id]
}

// add links the record and returns nil, or returns the record under its id.
func (ix *index) add(id string, rec *record) (current *record) {
	e := &entry{id: id}
	e.rec.Store(rec)

	ix.mu.Lock()
	defer ix.mu.Unlock()
	if old, ok := ix.byID[id]; ok {
		if current := old.rec.Load(); current != nil {
			return current
		}
		// Deleted and not yet unlinked: the new entry takes its place, and
		// unlink will see that.
	}
	ix.byID[id] = e
	ix.tree.Set(id, e)
	return nil
}

// unlink removes a deleted entry, unless another has taken its place.
func (ix *index) unlink(e *entry, id string) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if ix.byID[id] == e {
		delete(ix.byID, id)
		ix.tree.Delete(id)
		if len(ix.byID) == 0 {
			ix.byID = make(map[string]*entry) // a map never shrinks
		}
	}
}

// page returns at most limit records with ids above after.
//
// It works in passes, since at a million records nearly every entry and every
// record is a cache miss: in small loops of independent loads the processor
// waits for many of them at once (13 us for 100 of a million records, against
// 21 us in one loop). Only the first pass needs the lock.
func (ix *index) page(after string, limit int) storage.Page {
	var buf [128]*entry // no allocation for usual limits
	entries, next := ix.entries(buf[:0], after, limit)

	var recBuf [len(buf)]*record
	records := recBuf[:0]
	for i, e := range entries {
		if rec := e.rec.Load(); rec != nil { // else deleted a moment ago
			entries[len(records)] = entries[i]
			records = append(records, rec)
		}
	}
	page := storage.Page{Next: next}
	if len(records) > 0 {
		page.Records = make([]storage.Record, len(records))
		for i, rec := range records {
			page.Records[i] = rec.public(ix.key(entries[i].id))
		}
	}
	return page
}

// entries appends at most limit entries with ids above after. If there are
// more, next is the id of the last one.
func (ix *index) entries(dst []*entry, after string, limit int) (_ []*entry, next string) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	first, last := true, ""
	ix.tree.Ascend(after, func(id string, e *entry) bool {
		if first {
			first = false
			if id == after {
				return true
			}
		}
		if len(dst) == limit {
			next = last
			return false
		}
		dst = append(dst, e)
		last = id
		return true
	})
	return dst, next
}
