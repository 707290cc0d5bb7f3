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

// mute is a store whose conflicts do not carry the stored record.
type mute struct{ storage.Store }

func (m mute) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	errs, err := m.Store.Write(ctx, writes)
	for i, err := range errs {
		if errors.Is(err, storage.ErrConflict) {
			errs[i] = storage.ErrConflict
		}
	}
	return errs, err
}

func TestStore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		below func() storage.Store
		bytes int
	}{
		{"all is remembered", func() storage.Store { return memory.New() }, 1 << 30},
		{"conflicts without the record", func() storage.Store { return mute{memory.New()} }, 1 << 30},
		{"room for three records", func() storage.Store { return memory.New() }, 3 * 610},
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

func (c *counted) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if writes[0].Delete {
		c.calls = append(c.calls, "delete")
	} else {
		c.calls = append(c.calls, "put")
		if err := c.err; err != nil {
			c.err = nil
			return nil, err
		}
	}
	if c.tells {
		return c.Store.Write(ctx, writes)
	}
	return mute{c.Store}.Write(ctx, writes)
}

// next returns the next write of a record.
func next(rec storage.Record) storage.Write {
	w := storage.Write{Record: rec, Expect: rec.Revision}
	w.Record.Revision = storage.NextRevision(w.Expect)
	return w
}

func appendX(old storage.Record) (storage.Record, error) {
	old.Data = []byte(string(old.Data) + "x")
	return old, nil
}

// TestUpdate: which calls an update takes, after what.
func TestUpdate(t *testing.T) {
	mine := errors.New("mine")
	type step func(t *testing.T, store storage.Store, below *counted)
	nothing := func(*testing.T, storage.Store, *counted) {}
	get := func(t *testing.T, store storage.Store, _ *counted) {
		_, err := store.Get(ctx, key("k"))
		require.NoError(t, err)
	}
	update := func(t *testing.T, store storage.Store, _ *counted) {
		_, err := storage.Update(ctx, store, key("k"), appendX)
		require.NoError(t, err)
	}
	remove := func(t *testing.T, store storage.Store, _ *counted) {
		_, err := storage.Update(ctx, store, key("k"), func(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete })
		require.NoError(t, err)
	}
	elsewhere := func(do step) step { // as another process would: past the store
		return func(t *testing.T, store storage.Store, below *counted) {
			get(t, store, below)
			do(t, below, below)
		}
	}
	telling := func(before step) step {
		return func(t *testing.T, store storage.Store, below *counted) {
			before(t, store, below)
			below.tells = true
		}
	}
	failing := func(err error) func(storage.Record) (storage.Record, error) {
		return func(old storage.Record) (storage.Record, error) { return old, err }
	}
	for _, tt := range []struct {
		name   string
		before step // the record is there, with the data "old"
		fn     func(storage.Record) (storage.Record, error)
		err    error // of the first put
		want   error
		calls  string
		data   string // in the end
	}{
		{"nothing", nothing, appendX, nil, nil, "get put", "oldx"},
		{"a get", get, appendX, nil, nil, "put", "oldx"},
		{"a get of many", func(t *testing.T, store storage.Store, _ *counted) {
			_, err := store.GetMany(ctx, []storage.Key{key("a"), key("k")})
			require.NoError(t, err)
		}, appendX, nil, nil, "put", "oldx"},
		{"a list", func(t *testing.T, store storage.Store, _ *counted) {
			_, err := store.List(ctx, key("k").Scope(), storage.Range{Limit: 10})
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
		{"unknown outcome", get, appendX, storage.ErrUnknownOutcome, storage.ErrUnknownOutcome, "put get", "old"},
		{"unknown outcome that may be too large", get, appendX, errors.Join(storage.ErrUnknownOutcome, storage.ErrTooLarge), storage.ErrUnknownOutcome, "put get", "old"},
		{"unknown outcome that has ended", get, appendX, errors.Join(storage.ErrUnknownOutcome, storage.ErrEnded), storage.ErrUnavailable, "put get", "old"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below := &counted{Store: memory.New()}
			created := storage.Record{Key: key("k"), ID: uuid.Max, CreatedAt: time.Unix(1e9, 0), Data: []byte("old")}
			_, err := storage.Put(ctx, below, created, 0)
			require.NoError(t, err)
			store := recent.New(below, 1<<20)
			tt.before(t, store, below)
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
			// An error is not remembered: the next update works.
			_, err = storage.Update(ctx, store, key("k"), appendX)
			require.NoError(t, err)
		})
	}
}

// TestUpdateDone: a context that is done has no effect, remembered or not.
func TestUpdateDone(t *testing.T) {
	below := &counted{Store: memory.New()}
	store := recent.New(below, 1<<20)
	_, err := storage.Put(ctx, store, storage.Record{Key: key("k"), Data: []byte("old")}, 0)
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
	below := memory.New()
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
	_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 4711)
	require.ErrorIs(t, err, storage.ErrConflict)
	assert.EqualValues(t, 2, store.Stats().Outdated, "nothing was remembered")
}

// held is a store whose reads and puts wait, once they are done, until they may return. A
// delete of the key "unknown" loses its answer.
type held struct {
	storage.Store
	done, goOn chan struct{}
}

func hold(below storage.Store) held { return held{below, make(chan struct{}), make(chan struct{})} }

func (h held) wait() {
	h.done <- struct{}{}
	<-h.goOn
}

func (h held) Get(ctx context.Context, k storage.Key) (storage.Record, error) {
	defer h.wait()
	return h.Store.Get(ctx, k)
}

func (h held) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	defer h.wait()
	return h.Store.GetMany(ctx, keys)
}

func (h held) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if !writes[0].Delete {
		defer h.wait()
	}
	errs, err := h.Store.Write(ctx, writes)
	if writes[0].Delete && writes[0].Record.Key == key("unknown") {
		return nil, storage.ErrUnknownOutcome
	}
	return errs, err
}

// TestForgets: a call that was under way does not bring back a record that was deleted or
// redacted, or that was there before Close.
func TestForgets(t *testing.T) {
	first := func(id string) storage.Write { return storage.Write{Record: storage.Record{Key: key(id), Revision: 1}} }
	last := func(id string) storage.Write {
		return storage.Write{Record: storage.Record{Key: key(id), Revision: 2}, Expect: 1, Delete: true}
	}
	write := func(writes ...storage.Write) func(*recent.Store) error {
		return func(s *recent.Store) error {
			errs, err := s.Write(ctx, writes)
			return errors.Join(append(errs, err)...)
		}
	}
	get := func(s *recent.Store) error { _, err := s.Get(ctx, key("k")); return err }
	redact := func(s *recent.Store) error { _, err := s.Redact(ctx, key("k"), storage.Note{}); return err }
	many := func(s *recent.Store) error { _, err := s.GetMany(ctx, []storage.Key{key("k")}); return err }
	for _, tt := range []struct {
		name      string
		call, end func(*recent.Store) error
		err       error // of end
	}{
		{"get and delete", get, write(last("k")), nil},
		{"get of many and delete", many, write(last("k")), nil},
		{"get and delete of many", get, write(last("k"), last("other")), storage.ErrConflict},
		{"create and delete", write(first("new")), write(last("new")), nil},
		{"create and a delete without an answer", write(first("unknown")), write(last("unknown")), storage.ErrUnknownOutcome},
		{"get and redact", get, redact, nil},
		{"get and close", get, (*recent.Store).Close, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			below := hold(memory.New())
			require.NoError(t, write(first("k"))(recent.New(below.Store, 0)))
			store := recent.New(below, 1<<20)
			done := make(chan error)
			go func() { done <- tt.call(store) }()
			<-below.done
			require.ErrorIs(t, tt.end(store), tt.err)
			below.goOn <- struct{}{}
			require.NoError(t, <-done)
			assert.Zero(t, store.Stats().Records)
		})
	}
}

// TestForgetsRedacted: a record whose changes are redacted is not kept in memory.
func TestForgetsRedacted(t *testing.T) {
	store := recent.New(memory.New(), 1<<20)
	_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	require.Equal(t, 1, store.Stats().Records)
	_, err = store.Redact(ctx, key("k"), storage.Note{})
	require.NoError(t, err)
	assert.Zero(t, store.Stats().Records)
}

// TestOthersAreNoReason: a delete of another key makes a call forget nothing. A record that
// it did not remember for that reason is remembered the next time.
func TestOthersAreNoReason(t *testing.T) {
	below := hold(memory.New())
	_, err := storage.Put(ctx, below.Store, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	store := recent.New(below, 1<<20)
	for _, remembered := range []bool{false, true, true} {
		get := func(during func()) {
			done := make(chan error)
			go func() {
				_, err := store.Get(ctx, key("k"))
				done <- err
			}()
			<-below.done
			during()
			below.goOn <- struct{}{}
			require.NoError(t, <-done)
		}
		get(func() {
			rev, err := storage.Put(ctx, below.Store, storage.Record{Key: key("other")}, 0)
			require.NoError(t, err)
			require.NoError(t, storage.Delete(ctx, store, key("other"), rev))
		})
		_, ok := store.Recall(key("k"))
		assert.Equal(t, remembered, ok)
		get(func() {})
		_, ok = store.Recall(key("k"))
		assert.True(t, ok)
	}
}

// TestSlowRead: a read that began before a write of this process does not replace the
// written record.
func TestSlowRead(t *testing.T) {
	for name, read := range map[string]func(*recent.Store) error{
		"get":      func(s *recent.Store) error { _, err := s.Get(ctx, key("k")); return err },
		"get many": func(s *recent.Store) error { _, err := s.GetMany(ctx, []storage.Key{key("k")}); return err },
		"conflict": func(s *recent.Store) error {
			if _, err := storage.Put(ctx, s, storage.Record{Key: key("k")}, 0); !errors.Is(err, storage.ErrConflict) {
				return errors.New("no conflict")
			}
			return nil
		},
	} {
		below := memory.New()
		slow := hold(below)
		way := &either{storage.Store(below)}
		store := recent.New(way, 1<<20)
		rev, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
		require.NoError(t, err, name)
		way.Store = slow
		done := make(chan error)
		go func() { done <- read(store) }()
		<-slow.done
		way.Store = below
		rev, err = storage.Put(ctx, store, storage.Record{Key: key("k")}, rev)
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
	slow := hold(below)
	way := &either{slow}
	store := recent.New(way, 1<<20)
	done := make(chan error)
	go func() {
		_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
		done <- err
	}()
	<-slow.done
	way.Store = below
	rec, err := storage.Update(ctx, store, key("k"), appendX)
	require.NoError(t, err)
	slow.goOn <- struct{}{}
	require.NoError(t, <-done)
	got, ok := store.Recall(key("k"))
	assert.True(t, ok)
	assert.Equal(t, rec, got)
}

// either is a store that can be replaced.
type either struct{ storage.Store }

// TestKeeps: a write that fails for a reason of its own says nothing about the remembered
// record.
func TestKeeps(t *testing.T) {
	below := &counted{Store: memory.New()}
	store := recent.New(below, 1<<20)
	rev, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
	require.NoError(t, err)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	failing := func(err error) func() error {
		return func() error {
			below.err = err
			_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, rev)
			return err
		}
	}
	for name, write := range map[string]func() error{
		"put in another revision": func() error { _, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, rev+1); return err },
		"create":                  func() error { _, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0); return err },
		"delete in another one":   func() error { return storage.Delete(ctx, store, key("k"), rev+1) },
		"delete in none":          func() error { return storage.Delete(ctx, store, key("k"), 0) },
		"canceled":                func() error { _, err := storage.Put(canceled, store, storage.Record{Key: key("k")}, rev); return err },
		"too large":               failing(storage.ErrTooLarge),
		"not unique":              failing(&storage.NotUniqueError{Index: 1}),
		"unavailable":             failing(storage.ErrUnavailable),
	} {
		require.Error(t, write(), name)
		rec, ok := store.Recall(key("k"))
		assert.True(t, ok, name)
		assert.Equal(t, rev, rec.Revision, name)
	}
	assert.Zero(t, store.Stats().Outdated)
	below.err = errors.Join(storage.ErrUnknownOutcome, storage.ErrConflict)
	_, err = storage.Put(ctx, store, storage.Record{Key: key("k")}, rev)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	_, ok := store.Recall(key("k"))
	assert.False(t, ok, "it may be either")
	assert.Zero(t, store.Stats().Outdated)

	// A delete that finds no record says something.
	rec, err := store.Get(ctx, key("k"))
	require.NoError(t, err)
	require.NoError(t, storage.Delete(ctx, below, key("k"), rec.Revision))
	require.ErrorIs(t, storage.Delete(ctx, store, key("k"), rec.Revision), storage.ErrConflict)
	_, ok = store.Recall(key("k"))
	assert.False(t, ok)
	assert.EqualValues(t, 1, store.Stats().Outdated)
}

// TestPrint: remembered records do not end up in logs.
func TestPrint(t *testing.T) {
	store := recent.New(memory.New(), 1<<20)
	_, err := storage.Put(ctx, store, storage.Record{Key: key("somebody"), Data: []byte("something")}, 0)
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.Equal(t, "recent.Store", fmt.Sprintf(format, store), format)
	}
}

// TestElsewhere: a record that another process made under the same key is not taken for
// the one that is remembered.
func TestElsewhere(t *testing.T) {
	below := memory.New()
	store := recent.New(below, 1<<20)
	first := storage.Record{Key: key("k"), ID: uuid.UUID{1}}
	rev, err := storage.Put(ctx, store, first, 0)
	require.NoError(t, err)
	require.NoError(t, storage.Delete(ctx, below, key("k"), rev))
	second := storage.Record{Key: key("k"), ID: uuid.UUID{2}}
	rev, err = storage.Put(ctx, below, second, 0)
	require.NoError(t, err)
	_, err = storage.Put(ctx, store, storage.Record{Key: key("k"), Data: []byte("x")}, rev)
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
		"put":      func() error { _, err := storage.Put(ctx, store, got, got.Revision); return err },
		"put many": func() error {
			_, err := store.Write(ctx, []storage.Write{next(got)})
			return err
		},
	} {
		got, err = storage.Update(ctx, store, key("k"), appendX)
		require.NoError(t, err)
		got, err = storage.Update(ctx, store, key("k"), appendX) // once more, as the last one may have been careful
		require.NoError(t, err)
		_, ok = store.Recall(key("k"))
		require.True(t, ok, name)
		require.NoError(t, storage.Delete(ctx, below, key("k"), got.Revision))
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
	for range 2 { // it finds it twice, but not as it left it
		_, err := there.Get(ctx, key("k"))
		require.NoError(t, err)
	}
	assert.Equal(t, "get put", update(there), "in turns")
	for range 2 { // it finds it as it left it
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
		errs, err := store.Write(ctx, []storage.Write{next(rec)})
		require.NoError(t, err)
		return recalled && errs != nil
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
	_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
	require.ErrorIs(t, err, storage.ErrConflict)
	assert.Zero(t, store.Stats().Records)
}

// TestWrongCount: a store that returns too few errors leaves the outcomes unknown.
func TestWrongCount(t *testing.T) {
	store := recent.New(short{memory.New()}, 1<<20)
	_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	assert.Zero(t, store.Stats().Records)
}

type short struct{ storage.Store }

func (short) Write(context.Context, []storage.Write) ([]error, error) { return []error{}, nil }

// TestBound: remembered records of any size take no more memory than they may, and those
// that were used lately stay longest.
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
				_, err := storage.Put(ctx, store, storage.Record{Key: key(fmt.Sprint(i)), Data: make([]byte, size)}, 0)
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
		rec.Revision, err = storage.Put(ctx, store, rec, 0)
		require.NoError(t, err)
		rec.Data = make([]byte, 10_000)
		_, err = storage.Put(ctx, store, rec, rec.Revision)
		require.NoError(t, err)
		_, ok := store.Recall(rec.Key)
		assert.False(t, ok)
	})
	t.Run("none", func(t *testing.T) {
		store := recent.New(memory.New(), -1)
		_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
		require.NoError(t, err)
		_, ok := store.Recall(key("k"))
		assert.False(t, ok)
	})
}

// nowhere takes every write.
type nowhere struct{ storage.Store }

func (nowhere) Write(context.Context, []storage.Write) ([]error, error) { return nil, nil }

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestClose: nothing is recalled of a store that is closed.
func TestClose(t *testing.T) {
	store := recent.New(memory.New(), 1<<20)
	_, err := storage.Put(ctx, store, storage.Record{Key: key("k")}, 0)
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
		var rev storage.Revision
		for range 2 { // created, and updated
			var err error
			rev, err = storage.Put(ctx, store, storage.Record{Key: key(request[1<<20:])}, rev)
			require.NoError(t, err)
		}
	}
	assert.Less(t, heap()-before, 1<<20)
	runtime.KeepAlive(store)
}
