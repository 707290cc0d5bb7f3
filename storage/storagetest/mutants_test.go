package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// mutant is a right store with hooks that replace its methods. It has one mistake.
type mutant struct {
	storage.Store
	get     func(ctx context.Context, key storage.Key) (storage.Record, error) // of GetMany too, unless that has its own
	getMany func(ctx context.Context, keys []storage.Key) ([]storage.Record, error)
	swap    func(ctx context.Context, w storage.Write) error // of each write, unless write is set
	write   func(ctx context.Context, writes []storage.Write) ([]error, error)
	list    func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error)
	set     func(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error
	limits  func() storage.Limits
	close   func() error
}

func (m *mutant) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if m.get != nil {
		return m.get(ctx, key)
	}
	return m.Store.Get(ctx, key)
}

func (m *mutant) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	switch {
	case m.getMany != nil:
		return m.getMany(ctx, keys)
	case m.get == nil:
		return m.Store.GetMany(ctx, keys)
	}
	records := make([]storage.Record, len(keys))
	for i, key := range keys {
		rec, err := m.get(ctx, key)
		if errors.Is(err, storage.ErrNotFound) {
			rec, err = storage.Record{Key: key}, nil
		}
		if err != nil {
			return nil, err
		}
		records[i] = rec
	}
	return records, nil
}

func (m *mutant) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	switch {
	case m.write != nil:
		return m.write(ctx, writes)
	case m.swap != nil:
		return eachWrite(writes, func(w storage.Write) error { return m.swap(ctx, w) })
	}
	return m.Store.Write(ctx, writes)
}

// eachWrite makes the writes one after the other.
func eachWrite(writes []storage.Write, swap func(w storage.Write) error) ([]error, error) {
	errs := make([]error, len(writes))
	for i, w := range writes {
		errs[i] = swap(w)
	}
	if errors.Join(errs...) == nil {
		return nil, nil
	}
	return errs, nil
}

func (m *mutant) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	if m.list != nil {
		return m.list(ctx, scope, r)
	}
	return m.Store.List(ctx, scope, r)
}

func (m *mutant) SetEntries(ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry) error {
	if m.set != nil {
		return m.set(ctx, key, expect, entries)
	}
	return m.Store.SetEntries(ctx, key, expect, entries)
}

func (m *mutant) Limits() storage.Limits {
	if m.limits != nil {
		return m.limits()
	}
	return m.Store.Limits()
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Store.Close()
}

// conflicting returns the record of a conflict, or nil if err is not a conflict or the
// key is absent.
func (m *mutant) conflicting(ctx context.Context, key storage.Key, err error) *storage.Record {
	if !errors.Is(err, storage.ErrConflict) {
		return nil
	}
	rec, err := m.Store.Get(ctx, key)
	if err != nil {
		return nil
	}
	return &rec
}

// overwrite makes a write whatever is there. The record may get another revision.
func (m *mutant) overwrite(ctx context.Context, w storage.Write) error {
	for {
		err := write(ctx, m.Store, w)
		current := m.conflicting(ctx, w.Record.Key, err)
		switch {
		case current != nil:
			w.Expect = current.Revision
		case errors.Is(err, storage.ErrConflict) && !w.Delete:
			w.Expect = 0
		default:
			return err
		}
		if w.Record.Revision <= w.Expect {
			w.Record.Revision = w.Expect + 1
		}
	}
}

// mutants are stores with one mistake each, and the cases that must catch it.
var mutants = []struct {
	name   string
	caught []string
	make   func(*mutant)
}{
	{"checks the revision and then stores, not in one step",
		[]string{"race/lost-update", "race/hammer", "race/linearizable"}, lostUpdate},
	{"makes the revisions itself",
		[]string{"swap/put", "swap/revision", "model/random", "race/linearizable"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				if w.Record.Revision > w.Expect && w.Record.Revision < math.MaxInt64 {
					w.Record.Revision++
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"revisions as floating-point numbers",
		[]string{"swap/revision"}, func(m *mutant) {
			round := func(rev storage.Revision) storage.Revision { return storage.Revision(float64(rev)) }
			m.swap = func(ctx context.Context, w storage.Write) error {
				if rounded := round(w.Record.Revision); rounded > w.Expect && rounded <= math.MaxInt64 {
					w.Record.Revision = rounded
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"takes any revision",
		[]string{"swap/revision-invalid"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				if w.Record.Revision <= w.Expect || w.Record.Revision > math.MaxInt64 {
					w.Record.Revision = storage.NextRevision(w.Expect)
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"makes the writes before one whose revision is not valid",
		[]string{"swap/revision-invalid"}, func(m *mutant) {
			m.write = func(ctx context.Context, writes []storage.Write) ([]error, error) {
				for i, w := range writes {
					if w.Record.Revision <= w.Expect {
						_, _ = m.Store.Write(ctx, writes[:i])
					}
				}
				return m.Store.Write(ctx, writes)
			}
		}},
	{"returns a buffer that the next read overwrites",
		[]string{"data/aliasing"}, sharedSlice},
	{"keeps a buffer of its own and writes to the caller's",
		[]string{"data/aliasing"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				data := w.Record.Data
				w.Record.Data = bytes.Clone(data)
				clear(data)
				return write(ctx, m.Store, w)
			}
		}},
	{"key without the platform",
		[]string{"tenant/get", "tenant/list", "tenant/write"}, keyWithout(func(k *storage.Key) { k.Tenant.Platform = uuid.Max })},
	{"key without the business",
		[]string{"tenant/get", "tenant/list", "tenant/write"}, keyWithout(func(k *storage.Key) { k.Tenant.Business = uuid.Max })},
	{"key without the schema",
		[]string{"tenant/get", "tenant/list", "tenant/write"}, keyWithout(func(k *storage.Key) { k.Schema = uuid.Max })},
	{"key as a sum of its UUIDs",
		[]string{"tenant/get"}, keyWithout(func(k *storage.Key) {
			for i := range k.Schema {
				k.Schema[i] ^= k.Tenant.Platform[i] ^ k.Tenant.Business[i]
			}
			k.Tenant = storage.Tenant{Platform: uuid.Max, Business: uuid.Max}
		})},
	{"ids without regard to case",
		[]string{"list/byte-order", "tenant/get"}, keyWithout(func(k *storage.Key) { k.ExternalID = strings.ToLower(k.ExternalID) })},
	{"ids without trailing blanks",
		[]string{"list/byte-order", "tenant/get"}, keyWithout(func(k *storage.Key) { k.ExternalID = strings.TrimRight(k.ExternalID, " ") })},
	{"list ignores the business",
		[]string{"tenant/list"}, listAll(func(a, b storage.Scope) bool {
			return a.Tenant.Platform == b.Tenant.Platform && a.Schema == b.Schema
		}, strings.Compare)},
	{"list in an order without regard to case",
		[]string{"list/byte-order", "list/backwards"}, listAll(sameScope, func(a, b string) int {
			return strings.Compare(strings.ToLower(a)+a, strings.ToLower(b)+b)
		})},
	{"list in the order of lengths",
		[]string{"list/byte-order"}, listAll(sameScope, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return strings.Compare(a, b)
		})},
	{"inclusive cursor",
		[]string{"list/exclusive-cursor"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, r)
				if rec, getErr := m.Store.Get(ctx, keyIn(scope, r.After.ExternalID)); getErr == nil {
					page.Records = slices.Insert(page.Records, 0, rec)
				}
				return page, err
			}
		}},
	{"cursor by position, which deletes move",
		[]string{"list/deleted-cursor"}, offsetCursor},
	{"does not know backwards",
		[]string{"list/backwards", "list/deleted-cursor", "list/while-writing", "model/random"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				r.Backwards = false
				return m.Store.List(ctx, scope, r)
			}
		}},
	{"turns the pages round, and not their order",
		[]string{"list/backwards"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				backwards := r.Backwards
				r.Backwards = false
				page, err := m.Store.List(ctx, scope, r)
				if backwards {
					slices.Reverse(page.Records)
				}
				return page, err
			}
		}},
	{"begins backwards with the end of a neighbour",
		[]string{"list/backwards"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				if r.Backwards && r.After.IsZero() {
					for _, other := range confusableScopes() {
						if page, err := m.Store.List(ctx, other, r); len(page.Records) > 0 && other != scope {
							return page, err
						}
					}
				}
				return m.Store.List(ctx, scope, r)
			}
		}},
	{"an inclusive cursor backwards",
		[]string{"list/backwards"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				if r.Backwards && !r.After.IsZero() && len(r.After.ExternalID) < storage.MaxExternalID {
					r.After.ExternalID += "\x01" // the next id
				}
				return m.Store.List(ctx, scope, r)
			}
		}},
	{"takes bounds of values for a list",
		[]string{"limit/range"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				r.From, r.To, r.After.Value = nil, nil, nil
				return m.Store.List(ctx, scope, r)
			}
		}},
	{"lists data of another revision while it is written",
		[]string{"list/while-writing"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, r)
				runtime.Gosched()
				for i, rec := range page.Records {
					if now, err := m.Store.Get(ctx, rec.Key); err == nil {
						page.Records[i].Data = now.Data
					}
				}
				return page, err
			}
		}},
	{"keeps the slice of a page for the next call",
		[]string{"data/aliasing"}, func(m *mutant) {
			var mu sync.Mutex
			pages := make(map[string]storage.Page) // until the next write
			m.swap = func(ctx context.Context, w storage.Write) error {
				mu.Lock()
				defer mu.Unlock()
				clear(pages)
				return write(ctx, m.Store, w)
			}
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				mu.Lock()
				defer mu.Unlock()
				key := fmt.Sprint(scope, r.After.ExternalID, r.Limit)
				page, ok := pages[key]
				if !ok {
					var err error
					if page, err = m.Store.List(ctx, scope, r); err != nil {
						return page, err
					}
					pages[key] = page
				}
				return page, nil
			}
		}},
	{"ends the list with a short page",
		[]string{"list/limit"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, r)
				page.Next = storage.Position{}
				return page, err
			}
		}},
	{"no maximum of a page",
		[]string{"list/limit"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, r)
				for err == nil && !page.Next.IsZero() && len(page.Records) < r.Limit {
					var more storage.Page
					rest := r
					rest.After, rest.Limit = page.Next, r.Limit-len(page.Records)
					more, err = m.Store.List(ctx, scope, rest)
					page = storage.Page{Records: append(page.Records, more.Records...), Next: more.Next}
				}
				return page, err
			}
		}},
	{"ignores a cancelled context",
		[]string{"context/cancelled"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				return write(context.WithoutCancel(ctx), m.Store, w)
			}
		}},
	{"reports the cancelled context after the delete",
		[]string{"context/cancelled"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				if !w.Delete {
					return write(ctx, m.Store, w)
				}
				_ = write(context.WithoutCancel(ctx), m.Store, w)
				return ctx.Err()
			}
		}},
	{"tidies JSON up",
		[]string{"data/verbatim"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				var value any
				if json.Unmarshal(w.Record.Data, &value) == nil {
					w.Record.Data, _ = json.Marshal(value)
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"data as text",
		[]string{"data/verbatim"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				w.Record.Data = bytes.ToValidUTF8(w.Record.Data, []byte("\ufffd"))
				return write(ctx, m.Store, w)
			}
		}},
	{"times to the second",
		[]string{"data/metadata"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				w.Record.UpdatedAt = w.Record.UpdatedAt.Truncate(time.Second)
				return write(ctx, m.Store, w)
			}
		}},
	{"an update makes another identity",
		[]string{"data/metadata"}, func(m *mutant) {
			var mu sync.Mutex
			last := make(map[storage.Key]storage.Record) // as written
			m.swap = func(ctx context.Context, w storage.Write) error {
				mu.Lock()
				defer mu.Unlock()
				err := write(ctx, m.Store, w)
				if err == nil {
					last[w.Record.Key] = w.Record
				}
				return err
			}
			m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
				mu.Lock()
				defer mu.Unlock()
				rec, err := m.Store.Get(ctx, key)
				rec.ID = last[key].ID
				return rec, err
			}
		}},
	{"conflict reported as success",
		[]string{"swap/put", "swap/delete", "race/lost-update", "race/linearizable"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if errors.Is(err, storage.ErrConflict) {
					return nil
				}
				return err
			}
		}},
	{"create replaces",
		[]string{"swap/put", "race/first-writer"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if m.conflicting(ctx, w.Record.Key, err) != nil && w.Expect == 0 {
					return m.overwrite(ctx, w)
				}
				return err
			}
		}},
	{"update creates",
		[]string{"swap/put", "race/create-delete"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if errors.Is(err, storage.ErrConflict) && !w.Delete && m.conflicting(ctx, w.Record.Key, err) == nil {
					w.Expect = 0
					return write(ctx, m.Store, w)
				}
				return err
			}
		}},
	{"delete of any revision",
		[]string{"swap/delete", "race/create-delete"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				if w.Delete && w.Expect != 0 {
					return m.overwrite(ctx, w)
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"takes a delete with data for a write",
		[]string{"swap/delete"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				w.Delete = w.Delete && len(w.Record.Data) == 0
				return write(ctx, m.Store, w)
			}
		}},
	{"tells a delete of an absent record as not found",
		[]string{"swap/delete", "batch/write"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if w.Delete && errors.Is(err, storage.ErrConflict) && m.conflicting(ctx, w.Record.Key, err) == nil {
					return storage.ErrNotFound
				}
				return err
			}
		}},
	{"a delete of an absent record succeeds",
		[]string{"swap/delete", "batch/write", "model/random"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				err := write(ctx, m.Store, w)
				if w.Delete && errors.Is(err, storage.ErrConflict) && m.conflicting(ctx, w.Record.Key, err) == nil {
					return nil
				}
				return err
			}
		}},
	{"takes a delete that expects 0 for one of any revision",
		[]string{"swap/delete", "batch/refused"}, func(m *mutant) {
			m.swap = func(ctx context.Context, w storage.Write) error {
				if w.Delete && w.Expect == 0 {
					w.Expect = 1
					w.Record.Revision = 2
					return m.overwrite(ctx, w)
				}
				return write(ctx, m.Store, w)
			}
		}},
	{"reads older than the last write",
		[]string{"race/linearizable", "model/random"}, staleReads},
	{"errors that tell the external id",
		[]string{"tenant/errors"}, func(m *mutant) {
			m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
				rec, err := m.Store.Get(ctx, key)
				if err != nil {
					err = errors.Join(err, errors.New("key "+key.ExternalID))
				}
				return rec, err
			}
		}},
	{"takes any key",
		[]string{"limit/keys"}, keyWithout(func(k *storage.Key) {
			k.ExternalID = "id " + strings.ToValidUTF8(strings.ReplaceAll(k.ExternalID, "\x00", ""), "")
		})},
	{"forgets the end of long ids",
		[]string{"limit/longest-id"}, keyWithout(func(k *storage.Key) {
			if k.Validate() == nil && len(k.ExternalID) > 508 {
				k.ExternalID = k.ExternalID[:508]
			}
		})},
	{"conflicts for ever",
		[]string{"swap/put"}, func(m *mutant) {
			m.swap = func(context.Context, storage.Write) error { return storage.ErrConflict }
		}},
	{"applied, and reported as a conflict",
		[]string{"swap/put", "race/lost-update", "race/linearizable"}, func(m *mutant) {
			plan := RandomPlan(7, Rates{Conflict: 0.2})
			m.write = Faulty(m.Store, func(op Op) Fault {
				f := plan(op)
				f.Applied = true
				return f
			}).Write
		}},
	{"goes on after Close",
		[]string{"close/closed"}, func(m *mutant) {
			m.close = func() error { return nil }
		}},
	{"has other limits after Close",
		[]string{"close/closed"}, func(m *mutant) {
			closed := false
			m.close = func() error {
				closed = true
				return m.Store.Close()
			}
			m.limits = func() storage.Limits {
				if closed {
					return storage.Limits{NoEntries: true, NoLog: true}
				}
				return storage.Limits{MaxData: 1 << 20, NoEntries: true, NoLog: true}
			}
		}},
	{"refuses a second Close",
		[]string{"close/closed", "close/concurrent"}, func(m *mutant) {
			var once sync.Once
			m.close = func() error {
				err := storage.ErrClosed
				once.Do(func() { err = m.Store.Close() })
				return err
			}
		}},
	{"drops the entries that it does not know",
		[]string{"limit/unsupported"}, func(m *mutant) {
			m.limits = lacksAll
			m.swap = func(ctx context.Context, w storage.Write) error {
				w.Entries = nil
				return withoutLog(ctx, m.Store, w)
			}
		}},
	{"drops the note that it does not know",
		[]string{"limit/unsupported"}, func(m *mutant) {
			m.limits = lacksAll
			m.swap = func(ctx context.Context, w storage.Write) error {
				if len(w.Entries) > 0 {
					return storage.ErrUnsupported
				}
				w.Note = nil
				return write(ctx, m.Store, w)
			}
		}},
}

// lacksAll are the limits of a store without entries and log.
func lacksAll() storage.Limits { return storage.Limits{NoEntries: true, NoLog: true} }

func withoutLog(ctx context.Context, store storage.Store, w storage.Write) error {
	if w.Note != nil {
		return storage.ErrUnsupported
	}
	return write(ctx, store, w)
}

// runMutants checks the suite: it puts one mistake into each of the right stores that
// newStore makes, and fails unless the cases that are named for it fail.
func runMutants(t *testing.T, newStore func(t *testing.T) storage.Store) {
	t.Helper()
	run := func(name string, caught []string, wrong func(right storage.Store) storage.Store) {
		t.Run(name, func(t *testing.T) {
			runMutant(t, cases(), caught, func(e *env) {
				e.open = func() storage.Store {
					right := newStore(t)
					e.closeLater(right)
					return wrong(right)
				}
			})
		})
	}
	for _, m := range slices.Concat(mutants, batchMutants) {
		run(m.name, m.caught, func(right storage.Store) storage.Store {
			wrong := &mutant{Store: right}
			m.make(wrong)
			return wrong
		})
	}
	for _, m := range recallMutants {
		run(m.name, m.caught, func(right storage.Store) storage.Store {
			return &recallMutant{
				mutant: mutant{Store: right}, note: m.note,
				last: make(map[storage.Key]storage.Record), noted: make(map[storage.Key]storage.Record),
			}
		})
	}
}

// mutantTries is how often a case may try to catch a mutant: some depend on a
// race.
const mutantTries = 20

// runMutant fails unless each case named fails for what prepare makes.
func runMutant(t *testing.T, all []testCase, caught []string, prepare func(*env)) {
	t.Helper()
	for _, name := range caught {
		c := findCase(t, all, name)
		var r *recorder
		for range mutantTries {
			if r = watch(c, prepare); r.failed() {
				break
			}
		}
		switch {
		case !r.failed():
			t.Errorf("not caught by %s", name)
		case strings.Contains(r.text(), "panic"):
			t.Errorf("%s: %s", name, r.text())
		case !strings.Contains(r.text(), c.contract):
			t.Errorf("%s: the failure does not name the contract:\n%s", name, r.text())
		}
	}
}

// lostUpdate has no data race, so that -race alone would not notice.
func lostUpdate(m *mutant) {
	m.swap = func(ctx context.Context, w storage.Write) error {
		current, err := m.Store.Get(ctx, w.Record.Key)
		if err != nil || current.Revision != w.Expect || w.Delete {
			return write(ctx, m.Store, w)
		}
		runtime.Gosched()
		return m.overwrite(ctx, w)
	}
}

func sharedSlice(m *mutant) {
	var buf []byte
	m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
		rec, err := m.Store.Get(ctx, key)
		buf = append(buf[:0], rec.Data...)
		rec.Data = buf
		return rec, err
	}
}

// keyWithout stores under a changed key, and answers with the one asked for.
func keyWithout(change func(*storage.Key)) func(*mutant) {
	return func(m *mutant) {
		changed := func(key storage.Key) storage.Key {
			change(&key)
			return key
		}
		m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
			rec, err := m.Store.Get(ctx, changed(key))
			rec.Key = key
			return rec, err
		}
		m.swap = func(ctx context.Context, w storage.Write) error {
			w.Record.Key = changed(w.Record.Key)
			return write(ctx, m.Store, w)
		}
		m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
			page, err := m.Store.List(ctx, changed(keyIn(scope, "x")).Scope(), r)
			for i := range page.Records {
				page.Records[i].Key = keyIn(scope, page.Records[i].Key.ExternalID)
			}
			return page, err
		}
	}
}

func sameScope(a, b storage.Scope) bool { return a == b }

// listAll is a list over all keys that were written, filtered and sorted as given.
func listAll(in func(a, b storage.Scope) bool, compare func(a, b string) int) func(*mutant) {
	return func(m *mutant) {
		var mu sync.Mutex
		var keys []storage.Key
		m.swap = func(ctx context.Context, w storage.Write) error {
			err := write(ctx, m.Store, w)
			if err == nil && w.Expect == 0 {
				mu.Lock()
				keys = append(keys, w.Record.Key)
				mu.Unlock()
			}
			return err
		}
		m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
			mu.Lock()
			defer mu.Unlock()
			compare := compare
			if r.Backwards {
				forwards := compare
				compare = func(a, b string) int { return forwards(b, a) }
			}
			slices.SortFunc(keys, func(a, b storage.Key) int { return compare(a.ExternalID, b.ExternalID) })
			var page storage.Page
			for _, key := range keys {
				if !r.After.IsZero() && compare(key.ExternalID, r.After.ExternalID) <= 0 || !in(key.Scope(), scope) {
					continue
				}
				if len(page.Records) == r.Limit {
					page.Next.ExternalID = page.Records[r.Limit-1].Key.ExternalID
					break
				}
				if rec, err := m.Store.Get(ctx, key); err == nil {
					page.Records = append(page.Records, rec)
				}
			}
			return page, nil
		}
	}
}

// offsetCursor finds the cursor again by the number of records before it.
func offsetCursor(m *mutant) {
	offsets := map[string]int{"": 0}
	m.list = func(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
		page, err := m.Store.List(ctx, scope, storage.Range{Limit: storage.MaxPage, Backwards: r.Backwards})
		offset := min(offsets[r.After.ExternalID], len(page.Records))
		end := min(offset+r.Limit, len(page.Records))
		more := end < len(page.Records)
		page.Records = page.Records[offset:end]
		if more {
			page.Next.ExternalID = page.Records[len(page.Records)-1].Key.ExternalID
			offsets[page.Next.ExternalID] = end
		}
		return page, err
	}
}

// staleReads answers every fifth get with the record from before the last write.
func staleReads(m *mutant) {
	n := 0
	m.get = m.before(func() bool { n++; return n%5 == 0 })
}

// before returns a get that answers with the record from before the last write when the
// function says so, which is called under a lock.
func (m *mutant) before(stale func() bool) func(context.Context, storage.Key) (storage.Record, error) {
	var mu sync.Mutex
	before := make(map[storage.Key]storage.Record)
	m.swap = func(ctx context.Context, w storage.Write) error {
		mu.Lock()
		defer mu.Unlock()
		old, getErr := m.Store.Get(ctx, w.Record.Key)
		err := write(ctx, m.Store, w)
		if err == nil && getErr == nil && !w.Delete {
			before[w.Record.Key] = old
		}
		return err
	}
	return func(ctx context.Context, key storage.Key) (storage.Record, error) {
		mu.Lock()
		defer mu.Unlock()
		if old, ok := before[key]; ok && stale() {
			return old, nil
		}
		return m.Store.Get(ctx, key)
	}
}
