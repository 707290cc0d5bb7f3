package recent_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"
	"example.com/resourcekit/storage/storagetest"
)

var ctx = context.Background()

func key(id string) storage.Key {
	return storage.Key{
		Tenant:     storage.TenantOf("acme", "main"),
		Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		ExternalID: id,
	}
}

// batching is memory with batches, whose conflicts do not carry the stored record.
func batching() storage.Store {
	return storagetest.Faulty(memory.New(), func(storagetest.Op) storagetest.Fault { return storagetest.Fault{} })
}

func TestStore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		below func() storage.Store
		bytes int
	}{
		{"all is remembered", func() storage.Store { return memory.New() }, 1 << 30},
		{"over a store with batches", batching, 1 << 30},
		{"room for three records", batching, 3 * 610},
	} {
		t.Run(tt.name, func(t *testing.T) {
			storagetest.Run(t, func(*testing.T) storage.Store { return recent.New(tt.below(), tt.bytes) })
		})
	}
}

// counted is a store below that counts calls.
type counted struct {
	storage.Store
	calls []string
	err   error // of the next put
	tells bool  // a conflict carries the stored record
}

func (c *counted) Get(ctx context.Context, k storage.Key) (storage.Record, error) {
	c.calls = append(c.calls, "get")
	return c.Store.Get(ctx, k)
}

func (c *counted) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	c.calls = append(c.calls, "put")
	if err := c.err; err != nil {
		c.err = nil
		return 0, err
	}
	rev, err := c.Store.Put(ctx, rec, expect)
	return rev, c.conflict(err)
}

func (c *counted) Delete(ctx context.Context, k storage.Key, expect storage.Revision) error {
	c.calls = append(c.calls, "delete")
	return c.conflict(c.Store.Delete(ctx, k, expect))
}

func (c *counted) conflict(err error) error {
	if errors.Is(err, storage.ErrConflict) && !c.tells {
		return storage.ErrConflict
	}
	return err
}

func appendX(old storage.Record) (storage.Record, error) {
	old.Data = []byte(string(old.Data) + "x")
	return old, nil
}

// TestUpdate: which calls an update takes, after what.
func TestUpdate(t *testing.T) {
	mine := errors.New("mine")
	get := func(t *testing.T, s storage.Store) {
		_, err := s.Get(ctx, key("k"))
		require.NoError(t, err)
	}
	update := func(t *testing.T, s storage.Store) {
		_, err := storage.Update(ctx, s, key("k"), appendX)
		require.NoError(t, err)
	}
	remove := func(t *testing.T, s storage.Store) {
		_, err := storage.Update(ctx, s, key("k"), func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete })
		require.NoError(t, err)
	}
	// As another process would: past the store.
	elsewhere := func(do func(*testing.T, storage.Store)) func(*testing.T, storage.Store) {
		return func(t *testing.T, s storage.Store) {
			get(t, s)
			do(t, s.(struct {
				*recent.Store
				below storage.Store
			}).below)
		}
	}
	telling := func(before func(*testing.T, storage.Store)) func(*testing.T, storage.Store) {
		return func(t *testing.T, s storage.Store) {
			before(t, s)
			s.(struct {
				*recent.Store
				below storage.Store
			}).below.(*counted).tells = true
		}
	}
	failing := func(err error) func(storage.Record) (storage.Record, error) {
		return func(old storage.Record) (storage.Record, error) { return old, err }
	}
	for _, tt := range []struct {
		name   string
		before func(*testing.T, storage.Store) // the record is there, with the data "old"
		fn     func(storage.Record) (storage.Record, error)
		err    error // of the first put
		want   error
		calls  string
		data   string // in the end
	}{
		{"nothing", func(*testing.T, storage.Store) {}, appendX, nil, nil, "get put", "oldx"},
		{"a get", get, appendX, nil, nil, "put", "oldx"},
		{"a get of many", func(t *testing.T, s storage.Store) {
			_, err := storage.GetMany(ctx, s, []storage.Key{key("a"), key("k")})
			require.NoError(t, err)
		}, appendX, nil, nil, "put", "oldx"},
		{"a list", func(t *testing.T, s storage.Store) {
			_, err := s.List(ctx, key("k").Scope(), "", 10)
			require.NoError(t, err)
		}, appendX, nil, nil, "get put", "oldx"},
		{"an update", update, appendX, nil, nil, "put", "oldxx"},
		{"an update without a change", get, failing(storage.ErrNoChange), nil, nil, "get", "old"},
		{"an error of fn", get, failing(mine), nil, mine, "get", "old"},
		{"a delete", get, failing(storage.ErrDelete), nil, nil, "delete", ""},
		{"after a delete", remove, appendX, nil, nil, "get put", "x"},
		{"changed elsewhere", elsewhere(update), appendX, nil, nil, "put get put", "oldxx"},
		{"deleted elsewhere", elsewhere(remove), appendX, nil, nil, "put get put", "x"},
		{"changed elsewhere, which the store tells", telling(elsewhere(update)), appendX, nil, nil, "put put", "oldxx"},
		{"deleted elsewhere, of which the store tells nothing", telling(elsewhere(remove)), appendX, nil, nil, "put get put", "x"},
		{"a delete of what was changed elsewhere, which the store tells", telling(elsewhere(update)), failing(storage.ErrDelete), nil, nil, "delete delete", ""},
		{"a delete of what was changed elsewhere", elsewhere(update), failing(storage.ErrDelete), nil, nil, "delete get delete", ""},
		{"a delete of what was deleted elsewhere", elsewhere(remove), failing(storage.ErrDelete), nil, nil, "delete get", ""},
		{"no change of what was changed elsewhere", elsewhere(update), failing(storage.ErrNoChange), nil, nil, "get", "oldx"},
		{"too large, as it was", get, appendX, storage.ErrTooLarge, nil, "put get put", "oldx"},
		{"refused, as it was", get, appendX, mine, nil, "put get put", "oldx"},
		{"another key", get, func(old storage.Record) (storage.Record, error) {
			old.Key = key("other")
			return old, nil
		}, nil, storage.ErrInvalid, "get", "old"},
		{"unavailable", get, appendX, storage.ErrUnavailable, storage.ErrUnavailable, "put", "old"},
		{"unknown outcome", get, appendX, storage.ErrUnknownOutcome, storage.ErrUnknownOutcome, "put", "old"},
		{"unknown outcome that may be too large", get, appendX, errors.Join(storage.ErrUnknownOutcome, storage.ErrTooLarge), storage.ErrUnknownOutcome, "put", "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below := &counted{Store: memory.New()}
			created := storage.Record{Key: key("k"), ID: uuid.Max, CreatedAt: time.Unix(1e9, 0), Data: []byte("old")}
			_, err := below.Put(ctx, created, 0)
			require.NoError(t, err)
			store := struct {
				*recent.Store
				below storage.Store
			}{recent.New(below, 1<<20), below}
			tt.before(t, store)
			below.calls, below.err = nil, tt.err

			got, err := storage.Update(ctx, store, key("k"), tt.fn)
			require.ErrorIs(t, err, tt.want)
			assert.Equal(t, tt.calls, strings.Join(below.calls, " "))
			rec, getErr := below.Get(ctx, key("k"))
			if tt.data == "" {
				require.ErrorIs(t, getErr, storage.ErrNotFound)
				return
			}
			require.NoError(t, getErr)
			assert.Equal(t, tt.data, string(rec.Data))
			if tt.want == nil {
				assert.Equal(t, rec, got)
			}
			// What went wrong is not remembered: the next one works.
			_, err = storage.Update(ctx, store, key("k"), appendX)
			require.NoError(t, err)
		})
	}
}

// TestUpdateDone: a context that is done has no effect, remembered or not.
func TestUpdateDone(t *testing.T) {
	below := &counted{Store: memory.New()}
	store := recent.New(below, 1<<20)
	_, err := store.Put(ctx, storage.Record{Key: key("k"), Data: []byte("old")}, 0)
	require.NoError(t, err)
	below.calls = nil
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err = storage.Update(done, store, key("k"), func(storage.Record) (storage.Record, error) {
		t.Error("fn was called")
		return storage.Record{}, nil
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, below.calls)
}

// TestStats counts updates of a record that is remembered, of one that was changed
// elsewhere and of one that is not there.
func TestStats(t *testing.T) {
	below := batching()
	store := recent.New(below, 1<<20)
	remove := func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete }
	for _, step := range []struct {
		name  string
		store storage.Store
		fn    func(storage.Record) (storage.Record, error)
		want  recent.Stats
	}{
		{"create", store, appendX, recent.Stats{Misses: 1, Records: 1, Bytes: 562}},
		{"update", store, appendX, recent.Stats{Misses: 1, Hits: 1, Records: 1, Bytes: 563}},
		{"update elsewhere", below, appendX, recent.Stats{Misses: 1, Hits: 1, Records: 1, Bytes: 563}},
		{"update of what was changed", store, appendX, recent.Stats{Misses: 1, Hits: 2, Outdated: 1, Records: 1, Bytes: 565}},
		{"update, as it may be changed again", store, appendX, recent.Stats{Misses: 2, Hits: 2, Outdated: 1, Records: 1, Bytes: 566}},
		{"update, as it was not", store, appendX, recent.Stats{Misses: 2, Hits: 3, Outdated: 1, Records: 1, Bytes: 567}},
		{"delete elsewhere", below, remove, recent.Stats{Misses: 2, Hits: 3, Outdated: 1, Records: 1, Bytes: 567}},
		{"delete of what was deleted", store, remove, recent.Stats{Misses: 2, Hits: 4, Outdated: 2}},
		{"delete of nothing", store, remove, recent.Stats{Misses: 3, Hits: 4, Outdated: 2}},
	} {
		_, err := storage.Update(ctx, step.store, key("k"), step.fn)
		require.NoError(t, err, step.name)
		assert.Equal(t, step.want, store.Stats(), step.name)
	}
	_, err := store.Put(ctx, storage.Record{Key: key("k")}, 4711)
	require.ErrorIs(t, err, storage.ErrConflict)
	assert.EqualValues(t, 2, store.Stats().Outdated, "nothing was remembered")
}

// held is a store whose reads wait, once they have read, until they may return.
type held struct {
	storage.Store
	read, goOn chan struct{}
}

// Delete loses the answer for the key "unknown".
func (h held) Delete(ctx context.Context, k storage.Key, expect storage.Revision) error {
	err := h.Store.Delete(ctx, k, expect)
	if k == key("unknown") {
		return storage.ErrUnknownOutcome
	}
	return err
}

func (h held) wait() {
	h.read <- struct{}{}
	<-h.goOn
}

func (h held) Get(ctx context.Context, k storage.Key) (storage.Record, error) {
	defer h.wait()
	return h.Store.Get(ctx, k)
}

func (h held) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	defer h.wait()
	return h.Store.Put(ctx, rec, expect)
}

// TestForgets: what was deleted, or was there before Close, does not come back by
// a call that was under way.
func TestForgets(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(*recent.Store) error
		end  func(*recent.Store, storage.Revision) error
	}{
		{"get and delete",
			func(s *recent.Store) error { _, err := s.Get(ctx, key("k")); return err },
			func(s *recent.Store, rev storage.Revision) error { return s.Delete(ctx, key("k"), rev) }},
		{"get of many and delete",
			func(s *recent.Store) error { _, err := s.GetMany(ctx, []storage.Key{key("k")}); return err },
			func(s *recent.Store, rev storage.Revision) error { return s.Delete(ctx, key("k"), rev) }},
		{"get and delete of many",
			func(s *recent.Store) error { _, err := s.Get(ctx, key("k")); return err },
			func(s *recent.Store, rev storage.Revision) error {
				errs, err := s.DeleteMany(ctx, []storage.DeleteOp{{Key: key("k"), Expect: rev}})
				return errors.Join(append(errs, err)...)
			}},
		{"create and a delete without an answer",
			func(s *recent.Store) error { _, err := s.Put(ctx, storage.Record{Key: key("unknown")}, 0); return err },
			func(s *recent.Store, _ storage.Revision) error {
				page, err := s.List(ctx, key("k").Scope(), "k", 1)
				if e := s.Delete(ctx, key("unknown"), page.Records[0].Revision); !errors.Is(e, storage.ErrUnknownOutcome) {
					return errors.New("there was an answer")
				}
				return err
			}},
		{"create and delete",
			func(s *recent.Store) error { _, err := s.Put(ctx, storage.Record{Key: key("new")}, 0); return err },
			func(s *recent.Store, _ storage.Revision) error {
				page, err := s.List(ctx, key("new").Scope(), "k", 1)
				return errors.Join(err, s.Delete(ctx, key("new"), page.Records[0].Revision))
			}},
		{"create many and delete",
			func(s *recent.Store) error {
				_, err := s.PutMany(ctx, []storage.PutOp{{Record: storage.Record{Key: key("new")}}})
				return err
			},
			func(s *recent.Store, _ storage.Revision) error {
				page, err := s.List(ctx, key("new").Scope(), "k", 1)
				return errors.Join(err, s.Delete(ctx, key("new"), page.Records[0].Revision))
			}},
		{"get and close",
			func(s *recent.Store) error { _, err := s.Get(ctx, key("k")); return err },
			func(s *recent.Store, _ storage.Revision) error { return s.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below := held{memory.New(), make(chan struct{}), make(chan struct{})}
			rev, err := below.Store.Put(ctx, storage.Record{Key: key("k")}, 0)
			require.NoError(t, err)
			store := recent.New(below, 1<<20)
			done := make(chan error)
			go func() { done <- tt.call(store) }()
			<-below.read
			require.NoError(t, tt.end(store, rev))
			below.goOn <- struct{}{}
			require.NoError(t, <-done)
			assert.Zero(t, store.Stats().Records)
		})
	}
}

// TestOthersAreNoReason: a delete of another key makes a call forget nothing. What it
// would have remembered again is remembered the next time.
func TestOthersAreNoReason(t *testing.T) {
	below := held{memory.New(), make(chan struct{}), make(chan struct{})}
	_, err := below.Store.Put(ctx, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	store := recent.New(below, 1<<20)
	for _, remembered := range []bool{false, true, true} {
		get := func(during func()) {
			done := make(chan error)
			go func() {
				_, err := store.Get(ctx, key("k"))
				done <- err
			}()
			<-below.read
			during()
			below.goOn <- struct{}{}
			require.NoError(t, <-done)
		}
		get(func() { require.ErrorIs(t, store.Delete(ctx, key("other"), 1), storage.ErrNotFound) })
		_, ok := store.Recall(key("k"))
		assert.Equal(t, remembered, ok)
		get(func() {})
		_, ok = store.Recall(key("k"))
		assert.True(t, ok)
	}
}

// TestSlowRead: a read that began before a write of this process does not take the
// place of what was written.
func TestSlowRead(t *testing.T) {
	for name, read := range map[string]func(*recent.Store) error{
		"get":      func(s *recent.Store) error { _, err := s.Get(ctx, key("k")); return err },
		"get many": func(s *recent.Store) error { _, err := s.GetMany(ctx, []storage.Key{key("k")}); return err },
		"conflict": func(s *recent.Store) error {
			if _, err := s.Put(ctx, storage.Record{Key: key("k")}, 0); !errors.Is(err, storage.ErrConflict) {
				return errors.New("no conflict")
			}
			return nil
		},
	} {
		below := memory.New()
		slow := held{below, make(chan struct{}), make(chan struct{})}
		way := &either{storage.Store(below)}
		store := recent.New(way, 1<<20)
		rev, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
		require.NoError(t, err, name)
		way.Store = slow
		done := make(chan error)
		go func() { done <- read(store) }()
		<-slow.read
		way.Store = below
		rev, err = store.Put(ctx, storage.Record{Key: key("k")}, rev)
		require.NoError(t, err, name)
		slow.goOn <- struct{}{}
		require.NoError(t, <-done, name)
		rec, ok := store.Recall(key("k"))
		assert.True(t, ok, name)
		assert.Equal(t, rev, rec.Revision, name)
	}
}

// TestSlowCreate: the same for a create, whose record was changed before its answer
// came.
func TestSlowCreate(t *testing.T) {
	below := memory.New()
	slow := held{below, make(chan struct{}), make(chan struct{})}
	way := &either{slow}
	store := recent.New(way, 1<<20)
	done := make(chan error)
	go func() {
		_, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
		done <- err
	}()
	<-slow.read
	way.Store = below
	rec, err := storage.Update(ctx, store, key("k"), appendX)
	require.NoError(t, err)
	slow.goOn <- struct{}{}
	require.NoError(t, <-done)
	got, ok := store.Recall(key("k"))
	assert.True(t, ok)
	assert.Equal(t, rec, got)
}

// either is now this store and now that one.
type either struct{ storage.Store }

// TestKeeps: a write that fails for a reason of its own says nothing of the record
// that is remembered.
func TestKeeps(t *testing.T) {
	below := &counted{Store: memory.New()}
	store := recent.New(below, 1<<20)
	rev, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	for name, write := range map[string]func() error{
		"put in another revision": func() error { _, err := store.Put(ctx, storage.Record{Key: key("k")}, rev+1); return err },
		"create":                  func() error { _, err := store.Put(ctx, storage.Record{Key: key("k")}, 0); return err },
		"delete in another one":   func() error { return store.Delete(ctx, key("k"), rev+1) },
		"delete in none":          func() error { return store.Delete(ctx, key("k"), 0) },
		"canceled":                func() error { _, err := store.Put(canceled, storage.Record{Key: key("k")}, rev); return err },
		"too large": func() error {
			below.err = storage.ErrTooLarge
			_, err := store.Put(ctx, storage.Record{Key: key("k")}, rev)
			return err
		},
		"unavailable": func() error {
			below.err = storage.ErrUnavailable
			_, err := store.Put(ctx, storage.Record{Key: key("k")}, rev)
			return err
		},
	} {
		require.Error(t, write(), name)
		rec, ok := store.Recall(key("k"))
		assert.True(t, ok, name)
		assert.Equal(t, rev, rec.Revision, name)
	}
	assert.Zero(t, store.Stats().Outdated)
	below.err = errors.Join(storage.ErrUnknownOutcome, storage.ErrConflict)
	_, err = store.Put(ctx, storage.Record{Key: key("k")}, rev)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	_, ok := store.Recall(key("k"))
	assert.False(t, ok, "nobody knows what it is")
	assert.Zero(t, store.Stats().Outdated)

	// And a delete that finds nothing leaves nothing.
	rec, err := store.Get(ctx, key("k"))
	require.NoError(t, err)
	require.Equal(t, 1, store.Stats().Records)
	require.NoError(t, below.Delete(ctx, key("k"), rec.Revision))
	require.ErrorIs(t, store.Delete(ctx, key("k"), rec.Revision+1), storage.ErrNotFound)
	require.Zero(t, store.Stats().Records)
}

// TestPrint: what is remembered ends up in no log.
func TestPrint(t *testing.T) {
	store := recent.New(memory.New(), 1<<20)
	_, err := store.Put(ctx, storage.Record{Key: key("somebody"), Data: []byte("something")}, 0)
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "recent.Store", fmt.Sprintf(format, store), format)
	}
}

// TestElsewhere: what another process did to a record, with the same key, is not
// taken for the record that is remembered.
func TestElsewhere(t *testing.T) {
	below := batching()
	store := recent.New(below, 1<<20)
	first := storage.Record{Key: key("k"), ID: uuid.UUID{1}}
	rev, err := store.Put(ctx, first, 0)
	require.NoError(t, err)
	require.NoError(t, below.Delete(ctx, key("k"), rev))
	second := storage.Record{Key: key("k"), ID: uuid.UUID{2}}
	rev, err = below.Put(ctx, second, 0)
	require.NoError(t, err)
	_, err = store.Put(ctx, storage.Record{Key: key("k"), Data: []byte("x")}, rev)
	require.NoError(t, err)
	_, ok := store.Recall(key("k"))
	require.False(t, ok)
	got, err := storage.Update(ctx, store, key("k"), appendX)
	require.NoError(t, err)
	assert.Equal(t, second.ID, got.ID)

	// One that is read and is not there is not recalled, and neither is one whose write failed.
	for name, forget := range map[string]func() error{
		"get":      func() error { _, err := store.Get(ctx, key("k")); return err },
		"get many": func() error { _, err := store.GetMany(ctx, []storage.Key{key("k")}); return err },
		"put":      func() error { _, err := store.Put(ctx, got, got.Revision); return err },
		"put many": func() error {
			_, err := store.PutMany(ctx, []storage.PutOp{{Record: got, Expect: got.Revision}})
			return err
		},
	} {
		got, err = storage.Update(ctx, store, key("k"), appendX)
		require.NoError(t, err)
		got, err = storage.Update(ctx, store, key("k"), appendX) // once more, as the last one may have been careful
		require.NoError(t, err)
		_, ok = store.Recall(key("k"))
		require.True(t, ok, name)
		require.NoError(t, below.Delete(ctx, key("k"), got.Revision))
		_ = forget()
		_, ok = store.Recall(key("k"))
		assert.False(t, ok, name)
	}
}

// TestInTurns: once a record was found changed, its writes read it first, until it was
// not changed again.
func TestInTurns(t *testing.T) {
	below := &counted{Store: memory.New()}
	here, there := recent.New(below, 1<<20), recent.New(below, 1<<20)
	update := func(store storage.Store) string {
		below.calls = nil
		_, err := storage.Update(ctx, store, key("k"), appendX)
		require.NoError(t, err)
		return strings.Join(below.calls, " ")
	}
	assert.Equal(t, "get put", update(here), "it is new")
	assert.Equal(t, "put", update(here))
	assert.Equal(t, "get put", update(there), "not read yet")
	assert.Equal(t, "put get put", update(here), "changed there")
	assert.Equal(t, "put get put", update(there), "changed here")
	for range 3 {
		assert.Equal(t, "get put", update(here), "in turns")
		assert.Equal(t, "get put", update(there), "in turns")
	}
	update(here)
	for range 2 { // what it finds twice is still not what it left
		_, err := there.Get(ctx, key("k"))
		require.NoError(t, err)
	}
	assert.Equal(t, "get put", update(there), "in turns")
	for range 2 { // to look at what it left is no harm
		_, err := there.Get(ctx, key("k"))
		require.NoError(t, err)
	}
	update(here)
	assert.Equal(t, "put get put", update(there), "changed again")
	assert.Equal(t, "get put", update(there), "it may have been changed again")
	assert.Equal(t, "put", update(there), "but was not")
	assert.EqualValues(t, 1, here.Stats().Outdated)
	assert.EqualValues(t, 2, there.Stats().Outdated)

	// The same in a batch.
	many := func(store storage.Store) bool {
		rec, recalled := store.(storage.Recaller).Recall(key("k"))
		if !recalled {
			var err error
			rec, err = store.Get(ctx, key("k"))
			require.NoError(t, err)
		}
		results, err := storage.PutMany(ctx, store, []storage.PutOp{{Record: rec, Expect: rec.Revision}})
		require.NoError(t, err)
		return recalled && results[0].Err != nil
	}
	assert.False(t, many(here), "still in turns")
	assert.True(t, many(there), "changed here")
	assert.False(t, many(there), "in turns")
	assert.False(t, many(there), "not changed")
	_, ok := there.Recall(key("k"))
	assert.True(t, ok)
}

// TestForeignRecord: a record that a conflict carries is not remembered under
// another key.
func TestForeignRecord(t *testing.T) {
	foreign := storage.Record{Key: key("other"), Revision: 1}
	store := recent.New(&counted{Store: memory.New(), err: &storage.ConflictError{Current: &foreign}}, 1<<20)
	_, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
	require.ErrorIs(t, err, storage.ErrConflict)
	assert.Zero(t, store.Stats().Records)
}

// TestBound: what is remembered takes no more memory than it may, whatever its
// size, and what was of use lately stays longest.
func TestBound(t *testing.T) {
	for _, size := range []int{0, 100, 1000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			const bound = 8 << 20
			store := recent.New(nowhere{}, bound)
			before := heap()
			n := 2 * bound / (size + 100)
			held := func() (held int) {
				for i := range n {
					if _, ok := store.Recall(key(fmt.Sprint(i))); ok {
						held++
					}
				}
				return held
			}
			for i := range n {
				_, err := store.Put(ctx, storage.Record{Key: key(fmt.Sprint(i)), Data: make([]byte, size)}, 0)
				require.NoError(t, err)
				if i%20 == 0 {
					_, ok := store.Recall(key("0"))
					require.True(t, ok, "in use all the time")
				}
			}
			took := heap() - before
			t.Logf("%d of %d records, %d KiB, counted as %d", held(), n, took>>10, store.Stats().Bytes>>10)
			assert.Equal(t, held(), store.Stats().Records)
			assert.LessOrEqual(t, store.Stats().Bytes, bound)
			assert.Less(t, took, bound+bound/8)
			assert.Greater(t, store.Stats().Bytes, bound-size-700, "there is room for more")
			runtime.KeepAlive(store)
		})
	}
	t.Run("larger than the bound", func(t *testing.T) {
		store := recent.New(memory.New(), 10_000)
		rec := storage.Record{Key: key("k"), Data: []byte("small")}
		var err error
		rec.Revision, err = store.Put(ctx, rec, 0)
		require.NoError(t, err)
		rec.Data = make([]byte, 10_000)
		_, err = store.Put(ctx, rec, rec.Revision)
		require.NoError(t, err)
		_, ok := store.Recall(rec.Key)
		assert.False(t, ok)
	})
	t.Run("none", func(t *testing.T) {
		store := recent.New(memory.New(), -1)
		_, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
		require.NoError(t, err)
		_, ok := store.Recall(key("k"))
		assert.False(t, ok)
	})
}

// nowhere takes every put.
type nowhere struct{ storage.Store }

func (nowhere) Put(context.Context, storage.Record, storage.Revision) (storage.Revision, error) {
	return 1, nil
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestClose: nothing is recalled of a store that is closed.
func TestClose(t *testing.T) {
	store := recent.New(memory.New(), 1<<20)
	_, err := store.Put(ctx, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	_, ok := store.Recall(key("k"))
	require.True(t, ok)
	require.NoError(t, store.Close())
	_, ok = store.Recall(key("k"))
	assert.False(t, ok)
}

// TestKeepsNoRequest: of an external id that is a piece of a request, only the
// id is kept.
func TestKeepsNoRequest(t *testing.T) {
	store := recent.New(nowhere{}, 1<<20)
	before := heap()
	for i := range 16 {
		request := strings.Repeat("x", 1<<20) + fmt.Sprint("id-", i)
		for expect := range storage.Revision(2) { // created, and updated
			_, err := store.Put(ctx, storage.Record{Key: key(request[1<<20:])}, expect)
			require.NoError(t, err)
		}
	}
	assert.Less(t, heap()-before, 1<<20)
	runtime.KeepAlive(store)
}
