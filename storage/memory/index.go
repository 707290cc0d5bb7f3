package memory

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/tidwall/btree"

	"example.com/resourcekit/storage"
)

// entry is the place of one record. A nil record means deleted, and is final:
// the entry is then unlinked and the key gets a new one when it is created
// again. So a swap in an entry that succeeds is always seen.
type entry struct {
	rec atomic.Pointer[record]
	id  string // the external id
}

// A record is what an entry has beside its key: less than half of a storage.Record,
// and two pointers instead of four.
type record struct {
	data             []byte
	places           *places // what it is found by; nil for nothing
	rev              storage.Revision
	created, updated int64 // milliseconds since 1970
	uuid             uuid.UUID
}

func newRecord(rec *storage.Record) *record {
	return &record{
		data: rec.Data, rev: rec.Revision, uuid: rec.ID,
		created: rec.CreatedAt.UnixMilli(), updated: rec.UpdatedAt.UnixMilli(),
	}
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
	mu   sync.RWMutex // for everything below; a record whose places stay is swapped without it
	byID map[string]*entry
	tree btree.Map[string, *entry]
	byValue

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

// create links a new entry with the record of the write.
func (ix *index) create(w *storage.Write, log *changeLog) error {
	// The id may be a piece of a request's body, which the index would keep alive for
	// as long as the record lives.
	e := &entry{id: strings.Clone(w.Record.Key.ExternalID)}
	next := newRecord(&w.Record)
	next.places = newPlaces(w.Entries)
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if old := ix.byID[e.id]; old != nil {
		return conflict(w.Record.Key, old.rec.Load())
	}
	if err := ix.free(e, next.places); err != nil {
		return err
	}
	log.swap(e, nil, next, w)
	ix.move(e, nil, next.places)
	ix.byID[e.id] = e
	ix.tree.Set(e.id, e)
	return nil
}

// replace swaps a record whose places change, or deletes it.
func (ix *index) replace(e *entry, old, next *record, w *storage.Write, log *changeLog) error {
	var to *places
	if next != nil {
		to = next.places
	}
	ix.mu.Lock()
	defer ix.mu.Unlock()
	if err := ix.free(e, to); err != nil {
		return err
	}
	if !log.swap(e, old, next, w) {
		return conflict(w.Record.Key, e.load())
	}
	ix.move(e, old.places, to)
	if next == nil {
		delete(ix.byID, e.id)
		ix.tree.Delete(e.id)
		if len(ix.byID) == 0 {
			ix.byID = make(map[string]*entry) // a map never shrinks
		}
	}
	return nil
}

// list returns a page in the order of external ids.
//
// It works in passes, since at a million records nearly every entry and every
// record is a cache miss: in small loops of independent loads the processor
// waits for many of them at once (13 us for 100 of a million records, against
// 21 us in one loop). Only the first pass needs the lock.
func (ix *index) list(r storage.Range) storage.Page {
	var buf [128]*entry // no allocation for usual limits
	entries, next := ix.entries(buf[:0], r)
	var recBuf [len(buf)]*record
	records := recBuf[:0]
	for i, e := range entries {
		if rec := e.rec.Load(); rec != nil { // else deleted a moment ago
			entries[len(records)] = entries[i]
			records = append(records, rec)
		}
	}
	fetch(records)
	page := storage.Page{Next: storage.Position{ExternalID: next}}
	if len(records) > 0 {
		page.Records = make([]storage.Record, len(records))
		for i, rec := range records {
			page.Records[i] = rec.public(ix.key(entries[i].id))
		}
	}
	return page
}

// fetch reads a byte of each document, all at once: whoever reads the documents next comes
// to them one by one, and in the order of an index each is somewhere else in memory.
func fetch(records []*record) {
	var some byte
	for _, r := range records {
		if len(r.data) > 0 {
			some ^= r.data[0]
		}
	}
	runtime.KeepAlive(some) // or the compiler would leave the reads out
}

// entries appends the entries of a page. If there are more, next is the id of the last
// one.
func (ix *index) entries(dst []*entry, r storage.Range) (_ []*entry, next string) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	after, last := r.After.ExternalID, ""
	add := func(id string, e *entry) bool {
		switch {
		case id == after:
			return true
		case len(dst) == r.Limit:
			next = last
			return false
		}
		dst = append(dst, e)
		last = id
		return true
	}
	switch {
	case !r.Backwards:
		ix.tree.Ascend(after, add)
	case after == "":
		ix.tree.Reverse(add)
	default:
		ix.tree.Descend(after, add)
	}
	return dst, next
}
