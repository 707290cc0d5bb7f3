package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// mutant is a right store whose methods can be replaced, one wrong one each.
type mutant struct {
	storage.Store
	get    func(ctx context.Context, key storage.Key) (storage.Record, error)
	put    func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error)
	delete func(ctx context.Context, key storage.Key, expect storage.Revision) error
	list   func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error)
	close  func() error
}

func (m *mutant) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if m.get != nil {
		return m.get(ctx, key)
	}
	return m.Store.Get(ctx, key)
}

func (m *mutant) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if m.put != nil {
		return m.put(ctx, rec, expect)
	}
	return m.Store.Put(ctx, rec, expect)
}

func (m *mutant) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if m.delete != nil {
		return m.delete(ctx, key, expect)
	}
	return m.Store.Delete(ctx, key, expect)
}

func (m *mutant) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	if m.list != nil {
		return m.list(ctx, scope, after, limit)
	}
	return m.Store.List(ctx, scope, after, limit)
}

// inTheWay returns the record that err is a conflict with, nil if it is none or
// the key is absent.
func (m *mutant) inTheWay(ctx context.Context, key storage.Key, err error) *storage.Record {
	if !errors.Is(err, storage.ErrConflict) {
		return nil
	}
	rec, err := m.Store.Get(ctx, key)
	if err != nil {
		return nil
	}
	return &rec
}

func (m *mutant) Close() error {
	if m.close != nil {
		return m.close()
	}
	return m.Store.Close()
}

// mutants are stores with one mistake each, and the cases that must catch it.
var mutants = []struct {
	name   string
	caught []string
	make   func(*mutant)
}{
	{"checks the revision and then stores, not in one step",
		[]string{"race/lost-update", "race/hammer", "race/linearizable"}, lostUpdate},
	{"a counter per record, which starts again",
		[]string{"swap/revision-unique", "swap/stale-after-recreate", "model/random"}, reusedRevision},
	{"returns a buffer that the next read overwrites",
		[]string{"data/aliasing"}, sharedSlice},
	{"keeps a buffer of its own and writes to the caller's",
		[]string{"data/aliasing"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				kept := rec
				kept.Data = bytes.Clone(rec.Data)
				clear(rec.Data)
				return m.Store.Put(ctx, kept, expect)
			}
		}},
	{"key without the platform",
		[]string{"tenant/get", "tenant/list", "tenant/put-delete"}, keyWithout(func(k *storage.Key) { k.Tenant.Platform = uuid.Max })},
	{"key without the business",
		[]string{"tenant/get", "tenant/list", "tenant/put-delete"}, keyWithout(func(k *storage.Key) { k.Tenant.Business = uuid.Max })},
	{"key without the schema",
		[]string{"tenant/get", "tenant/list", "tenant/put-delete"}, keyWithout(func(k *storage.Key) { k.Schema = uuid.Max })},
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
		[]string{"list/byte-order"}, listAll(sameScope, func(a, b string) int {
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
			m.list = func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, after, limit)
				if rec, getErr := m.Store.Get(ctx, keyIn(scope, after)); getErr == nil {
					page.Records = slices.Insert(page.Records, 0, rec)
				}
				return page, err
			}
		}},
	{"cursor by position, which deletes move",
		[]string{"list/deleted-cursor"}, offsetCursor},
	{"ends the list with a short page",
		[]string{"list/limit"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, after, limit)
				page.Next = ""
				return page, err
			}
		}},
	{"no maximum of a page",
		[]string{"list/limit"}, func(m *mutant) {
			m.list = func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
				page, err := m.Store.List(ctx, scope, after, limit)
				for err == nil && page.Next != "" && len(page.Records) < limit {
					var more storage.Page
					more, err = m.Store.List(ctx, scope, page.Next, limit-len(page.Records))
					page = storage.Page{Records: append(page.Records, more.Records...), Next: more.Next}
				}
				return page, err
			}
		}},
	{"ignores a cancelled context",
		[]string{"context/cancelled"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				return m.Store.Put(context.WithoutCancel(ctx), rec, expect)
			}
		}},
	{"reports the cancelled context after the write",
		[]string{"context/cancelled"}, func(m *mutant) {
			m.delete = func(ctx context.Context, key storage.Key, expect storage.Revision) error {
				_ = m.Store.Delete(context.WithoutCancel(ctx), key, expect)
				return ctx.Err()
			}
		}},
	{"tidies JSON up",
		[]string{"data/verbatim"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				var value any
				if json.Unmarshal(rec.Data, &value) == nil {
					rec.Data, _ = json.Marshal(value)
				}
				return m.Store.Put(ctx, rec, expect)
			}
		}},
	{"data as text",
		[]string{"data/verbatim"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				rec.Data = bytes.ToValidUTF8(rec.Data, []byte("\ufffd"))
				return m.Store.Put(ctx, rec, expect)
			}
		}},
	{"times to the second",
		[]string{"data/metadata"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				rec.UpdatedAt = rec.UpdatedAt.Truncate(time.Second)
				return m.Store.Put(ctx, rec, expect)
			}
		}},
	{"an update makes another identity",
		[]string{"data/metadata"}, func(m *mutant) {
			var mu sync.Mutex
			last := make(map[storage.Key]storage.Record) // as put
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				mu.Lock()
				defer mu.Unlock()
				rev, err := m.Store.Put(ctx, rec, expect)
				if err == nil {
					last[rec.Key] = rec
				}
				return rev, err
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
		[]string{"swap/put", "race/lost-update", "race/linearizable"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				rev, err := m.Store.Put(ctx, rec, expect)
				if errors.Is(err, storage.ErrConflict) {
					return 1 << 60, nil
				}
				return rev, err
			}
		}},
	{"create replaces",
		[]string{"swap/put", "race/first-writer"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				rev, err := m.Store.Put(ctx, rec, expect)
				if current := m.inTheWay(ctx, rec.Key, err); current != nil && expect == 0 {
					return m.Store.Put(ctx, rec, current.Revision)
				}
				return rev, err
			}
		}},
	{"update creates",
		[]string{"swap/put", "race/create-delete"}, func(m *mutant) {
			m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
				rev, err := m.Store.Put(ctx, rec, expect)
				if errors.Is(err, storage.ErrConflict) && m.inTheWay(ctx, rec.Key, err) == nil {
					return m.Store.Put(ctx, rec, 0)
				}
				return rev, err
			}
		}},
	{"delete of any revision",
		[]string{"swap/delete", "race/create-delete"}, func(m *mutant) {
			m.delete = func(ctx context.Context, key storage.Key, expect storage.Revision) error {
				err := m.Store.Delete(ctx, key, expect)
				if current := m.inTheWay(ctx, key, err); current != nil {
					return m.Store.Delete(ctx, key, current.Revision)
				}
				return err
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
			m.put = func(context.Context, storage.Record, storage.Revision) (storage.Revision, error) {
				return 0, storage.ErrConflict
			}
		}},
	{"applied, and reported as a conflict",
		[]string{"swap/put", "race/lost-update", "race/linearizable"}, func(m *mutant) {
			plan := RandomPlan(7, Rates{Conflict: 0.2})
			m.put = Faulty(m.Store, func(op Op) Fault {
				f := plan(op)
				f.Applied = true
				return f
			}).Put
		}},
	{"goes on after Close",
		[]string{"close/closed"}, func(m *mutant) {
			m.close = func() error { return nil }
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
}

// runMutants checks the check: it puts one mistake into each of the right stores
// that newStore makes, and fails unless the cases that are there to catch it do.
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
	for _, m := range mutants {
		run(m.name, m.caught, func(right storage.Store) storage.Store {
			wrong := &mutant{Store: right}
			m.make(wrong)
			return wrong
		})
	}
	for _, m := range batchMutants {
		run(m.name, m.caught, func(right storage.Store) storage.Store {
			wrong := &batchMutant{Store: right}
			m.make(wrong)
			return wrong
		})
	}
	for _, m := range recallMutants {
		run(m.name, m.caught, func(right storage.Store) storage.Store {
			return &recallMutant{
				Store: right, note: m.note,
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
	m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
		current, err := m.Store.Get(ctx, rec.Key)
		if err != nil || current.Revision != expect {
			return m.Store.Put(ctx, rec, expect)
		}
		runtime.Gosched()
		for {
			rev, err := m.Store.Put(ctx, rec, current.Revision)
			if now := m.inTheWay(ctx, rec.Key, err); now != nil {
				current = *now
				continue
			}
			return rev, err
		}
	}
}

// reusedRevision counts the writes of each record by itself.
func reusedRevision(m *mutant) {
	var mu sync.Mutex
	type pair struct{ inner, outer storage.Revision }
	revisions := make(map[storage.Key]pair)
	translate := func(key storage.Key, expect storage.Revision) storage.Revision {
		if p := revisions[key]; p.outer == expect {
			return p.inner
		}
		return 1 << 60
	}
	m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
		mu.Lock()
		defer mu.Unlock()
		rec, err := m.Store.Get(ctx, key)
		rec.Revision = revisions[key].outer
		return rec, err
	}
	m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
		mu.Lock()
		defer mu.Unlock()
		inner, err := m.Store.Put(ctx, rec, translate(rec.Key, expect))
		if err != nil {
			return 0, storage.ErrConflict
		}
		revisions[rec.Key] = pair{inner, expect + 1}
		return expect + 1, nil
	}
	m.delete = func(ctx context.Context, key storage.Key, expect storage.Revision) error {
		mu.Lock()
		defer mu.Unlock()
		err := m.Store.Delete(ctx, key, translate(key, expect))
		if err == nil {
			delete(revisions, key)
		} else if !errors.Is(err, storage.ErrNotFound) {
			err = storage.ErrConflict
		}
		return err
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
		m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
			rec.Key = changed(rec.Key)
			return m.Store.Put(ctx, rec, expect)
		}
		m.delete = func(ctx context.Context, key storage.Key, expect storage.Revision) error {
			return m.Store.Delete(ctx, changed(key), expect)
		}
		m.list = func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
			page, err := m.Store.List(ctx, changed(keyIn(scope, "x")).Scope(), after, limit)
			for i := range page.Records {
				page.Records[i].Key = keyIn(scope, page.Records[i].Key.ExternalID)
			}
			return page, err
		}
	}
}

func sameScope(a, b storage.Scope) bool { return a == b }

// listAll is a list over all keys that were put, filtered and sorted as said.
func listAll(in func(a, b storage.Scope) bool, compare func(a, b string) int) func(*mutant) {
	return func(m *mutant) {
		var mu sync.Mutex
		var keys []storage.Key
		m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
			rev, err := m.Store.Put(ctx, rec, expect)
			if err == nil && expect == 0 {
				mu.Lock()
				keys = append(keys, rec.Key)
				mu.Unlock()
			}
			return rev, err
		}
		m.list = func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
			mu.Lock()
			defer mu.Unlock()
			slices.SortFunc(keys, func(a, b storage.Key) int { return compare(a.ExternalID, b.ExternalID) })
			var page storage.Page
			for _, key := range keys {
				if after != "" && compare(key.ExternalID, after) <= 0 || !in(key.Scope(), scope) {
					continue
				}
				if len(page.Records) == limit {
					page.Next = page.Records[limit-1].Key.ExternalID
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
	m.list = func(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
		page, err := m.Store.List(ctx, scope, "", storage.MaxPage)
		offset := min(offsets[after], len(page.Records))
		end := min(offset+limit, len(page.Records))
		more := end < len(page.Records)
		page.Records = page.Records[offset:end]
		if more {
			page.Next = page.Records[len(page.Records)-1].Key.ExternalID
			offsets[page.Next] = end
		}
		return page, err
	}
}

// staleReads answers a get with the record before the last write, now and then.
func staleReads(m *mutant) {
	var mu sync.Mutex
	before := make(map[storage.Key]storage.Record)
	n := 0
	m.put = func(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
		mu.Lock()
		defer mu.Unlock()
		old, getErr := m.Store.Get(ctx, rec.Key)
		rev, err := m.Store.Put(ctx, rec, expect)
		if err == nil && getErr == nil {
			before[rec.Key] = old
		}
		return rev, err
	}
	m.get = func(ctx context.Context, key storage.Key) (storage.Record, error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		if old, ok := before[key]; ok && n%5 == 0 {
			return old, nil
		}
		return m.Store.Get(ctx, key)
	}
}
