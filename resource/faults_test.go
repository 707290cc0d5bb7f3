package resource_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hooked is a store that counts, and that asks before it gets or puts.
type hooked struct {
	storage.Store
	gets, puts atomic.Int64
	onGet      func(storage.Key) error
	onPut      func(storage.Record) error
}

func (h *hooked) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	h.gets.Add(1)
	if h.onGet != nil {
		if err := h.onGet(key); err != nil {
			return storage.Record{}, err
		}
	}
	return h.Store.Get(ctx, key)
}

func (h *hooked) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	for _, w := range writes {
		if w.Delete {
			continue
		}
		h.puts.Add(1)
		if h.onPut != nil {
			if err := h.onPut(w.Record); err != nil {
				return nil, err
			}
		}
	}
	return h.Store.Write(ctx, writes)
}

// faults makes each put fail with the next fault of the list, and then none.
func faults(list ...storagetest.Fault) storagetest.Plan {
	var n atomic.Int64
	return func(op storagetest.Op) storagetest.Fault {
		if op.Name != "put" {
			return storagetest.Fault{}
		}
		if i := int(n.Add(1)) - 1; i < len(list) {
			return list[i]
		}
		return storagetest.Fault{}
	}
}

var (
	conflict       = storagetest.Fault{Err: storage.ErrConflict}
	unavailable    = storagetest.Fault{Err: storage.ErrUnavailable}
	unknownApplied = storagetest.Fault{Err: storage.ErrUnknownOutcome, Applied: true}
	unknownLost    = storagetest.Fault{Err: storage.ErrUnknownOutcome}
)

// TestFaults: conflicts are tried again, and nothing else is.
func TestFaults(t *testing.T) {
	for _, tt := range []struct {
		name    string
		faults  []storagetest.Fault
		want    error
		puts    int64
		applied bool
	}{
		{"none", nil, nil, 1, true},
		{"a conflict", []storagetest.Fault{conflict}, nil, 2, true},
		{"five conflicts", []storagetest.Fault{conflict, conflict, conflict, conflict, conflict}, nil, 6, true},
		{"unavailable", []storagetest.Fault{unavailable}, storage.ErrUnavailable, 1, false},
		{"unavailable after a conflict", []storagetest.Fault{conflict, unavailable}, storage.ErrUnavailable, 2, false},
		{"unknown, applied", []storagetest.Fault{unknownApplied}, nil, 1, true},
		{"unknown, not applied", []storagetest.Fault{unknownLost}, storage.ErrUnknownOutcome, 1, false},
		{"unknown after a conflict", []storagetest.Fault{conflict, unknownLost}, storage.ErrUnknownOutcome, 2, false},
		{"unknown and conflict in one", []storagetest.Fault{{Err: errors.Join(storage.ErrConflict, storage.ErrUnknownOutcome)}}, storage.ErrUnknownOutcome, 1, false},
		{"too large", []storagetest.Fault{{Err: storage.ErrTooLarge}}, storage.ErrTooLarge, 1, false},
		{"closed", []storagetest.Fault{{Err: storage.ErrClosed}}, storage.ErrClosed, 1, false},
		{"unheard of", []storagetest.Fault{{Err: errUnheardOf}}, errUnheardOf, 1, false},
	} {
		for _, insert := range []bool{true, false} {
			name := tt.name + ", update"
			if insert {
				name = tt.name + ", insert"
			}
			t.Run(name, func(t *testing.T) {
				mem := memory.New()
				want := ""
				if !insert {
					want = string(put(t, mem, customerKey("c-1"), cust(outs)).Data)
				}
				asked := 0
				store := &hooked{Store: storagetest.Faulty(mem, faults(tt.faults...))}
				c := open(t, schema.Customers(), store, &resource.Options{NewID: func() (uuid.UUID, error) {
					asked++
					return secondID, nil
				}})
				res, err := c.Create(ctx, tenant, []byte(cust(`,"email":"e"`)), nil)
				assert.Equal(t, tt.puts, store.puts.Load(), "puts")
				switch {
				case tt.applied && insert:
					want = cust(`,"email":"e"` + outs)
				case tt.applied:
					want = cust(outs + `,"email":"e"`)
				}
				assert.Equal(t, want, string(stored(t, mem, customerKey("c-1")).Data))
				if insert {
					assert.Equal(t, 1, asked, "calls of NewID")
				} else {
					assert.Zero(t, asked, "calls of NewID")
				}
				if tt.want == nil {
					require.NoError(t, err)
					assert.Equal(t, insert, res.Outcome == resource.Created)
					assert.Equal(t, stored(t, mem, customerKey("c-1")).Revision, res.Revision())
					return
				}
				assert.ErrorIs(t, err, tt.want)
				assert.NotErrorIs(t, err, storage.ErrAttempts)
				assert.Nil(t, res)
				assert.NotContains(t, err.Error(), "c-1")

				// The lock is free again, and a fresh call finds out what holds.
				res, err = c.Create(ctx, tenant, []byte(cust(`,"email":"e"`)), nil)
				require.NoError(t, err)
				assert.Equal(t, tt.applied, res.Outcome == resource.Unchanged)
			})
		}
	}
}

// TestEndedWrite: of a write that has ended, a read tells that it was not applied; but not
// by an absent key, which may have been created and deleted.
func TestEndedWrite(t *testing.T) {
	for _, insert := range []bool{true, false} {
		mem := memory.New()
		if !insert {
			put(t, mem, customerKey("c-1"), cust(outs))
		}
		before := stored(t, mem, customerKey("c-1"))
		lost := storagetest.Fault{Err: errors.Join(storage.ErrUnknownOutcome, storage.ErrEnded)}
		c := open(t, schema.Customers(), storagetest.Faulty(mem, faults(lost, lost)), nil)
		_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"e"`)), nil)
		batch, batchErr := c.CreateBatch(ctx, tenant, [][]byte{[]byte(cust(`,"email":"e"`))}, nil)
		require.NoError(t, batchErr)
		for _, err := range []error{err, batch[0].Err} {
			assert.Equal(t, insert, errors.Is(err, storage.ErrUnknownOutcome))
			assert.Equal(t, !insert, errors.Is(err, storage.ErrUnavailable))
		}
		assert.Equal(t, before, stored(t, mem, customerKey("c-1")))
	}
}

var errUnheardOf = errors.New("unheard of")

// TestFaultyReads: a read that fails ends the call, with nothing written.
func TestFaultyReads(t *testing.T) {
	for _, request := range []string{cust(``), `{"customerId":"c-1","email":1}`} {
		mem := memory.New()
		store := &hooked{Store: mem, onGet: func(storage.Key) error { return storage.ErrUnavailable }}
		c := open(t, schema.Customers(), store, fixed)
		_, err := c.Create(ctx, tenant, []byte(request), nil)
		assert.ErrorIs(t, err, storage.ErrUnavailable)
		assert.Zero(t, store.puts.Load())
		_, err = c.Get(ctx, tenant, "c-1")
		assert.ErrorIs(t, err, storage.ErrUnavailable)
		assert.NotErrorIs(t, err, resource.ErrNotFound)
	}
}

// TestConflictsWithoutEnd runs on a synthetic clock: the pauses take no time.
func TestConflictsWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memory.New()
		old := put(t, mem, customerKey("c-1"), cust(outs))
		store := &hooked{Store: mem, onPut: func(storage.Record) error { return storage.ErrConflict }}
		c := open(t, schema.Customers(), store, nil)
		_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"e"`)), nil)
		assert.ErrorIs(t, err, storage.ErrAttempts)
		assert.Greater(t, store.puts.Load(), int64(10))
		assert.Equal(t, old, stored(t, mem, customerKey("c-1")))

		limited, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, err = c.Create(limited, tenant, []byte(cust(`,"email":"e"`)), nil)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.NotErrorIs(t, err, storage.ErrAttempts)
		assert.Equal(t, old, stored(t, mem, customerKey("c-1")))
	})
}

// TestRacesLostInBetween changes the record between read and write in the ways
// that another process could.
func TestRacesLostInBetween(t *testing.T) {
	for _, tt := range []struct {
		name, stored, other, request string // other "" deletes
		opts                         *resource.WriteOptions
		outcome                      resource.Outcome // "": exists
		want                         string
	}{
		{"insert, other inserts", ``, cust(`,"phone":"1"` + outs), cust(`,"email":"e"`), nil, resource.Updated, cust(`,"phone":"1"` + outs + `,"email":"e"`)},
		{"insert, other inserts the same", ``, cust(outs), cust(``), nil, resource.Unchanged, cust(outs)},
		{"reject, other inserts", ``, cust(outs), cust(``), &reject, "", cust(outs)},
		{"update, other updates", cust(outs), cust(`,"phone":"1"` + outs), cust(`,"email":"e"`), nil, resource.Updated, cust(`,"phone":"1"` + outs + `,"email":"e"`)},
		{"update, other updates to the same", cust(outs), cust(`,"email":"e"` + outs), cust(`,"email":"e"`), nil, resource.Unchanged, cust(`,"email":"e"` + outs)},
		{"update, other deletes", cust(outs), ``, cust(`,"email":"e"`), nil, resource.Created, cust(`,"email":"e"` + outs)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mem := memory.New()
			if tt.stored != "" {
				put(t, mem, customerKey("c-1"), tt.stored)
			}
			done := false
			store := &hooked{Store: mem}
			store.onPut = func(storage.Record) error {
				if done {
					return nil
				}
				done = true
				old := stored(t, mem, customerKey("c-1"))
				if old.Revision != 0 {
					require.NoError(t, storage.Delete(ctx, mem, customerKey("c-1"), old.Revision))
				}
				if tt.other != "" {
					put(t, mem, customerKey("c-1"), tt.other)
				}
				return nil
			}
			asked := 0
			c := open(t, schema.Customers(), store, &resource.Options{NewID: func() (uuid.UUID, error) { asked++; return secondID, nil }})
			res, err := c.Create(ctx, tenant, []byte(tt.request), tt.opts)
			assert.Equal(t, tt.want, string(stored(t, mem, customerKey("c-1")).Data))
			assert.LessOrEqual(t, asked, 1)
			if tt.outcome == "" {
				assert.ErrorIs(t, err, resource.ErrExists)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.outcome, res.Outcome)
			assert.Equal(t, tt.outcome == resource.Created, res.ID() == secondID)
			assert.Equal(t, tt.outcome == resource.Unchanged, len(res.Changed())+len(res.Removed()) == 0)
			if tt.outcome == resource.Created {
				assert.Equal(t, members(t, tt.want), res.Changed())
			}
		})
	}
}

// TestNewID: asked at most once, only for an insert, and its error ends the call.
func TestNewID(t *testing.T) {
	asked := 0
	var fail error
	store := &hooked{Store: memory.New()}
	c := open(t, schema.Customers(), store, &resource.Options{NewID: func() (uuid.UUID, error) { asked++; return secondID, fail }})

	fail = errUnheardOf
	_, err := c.Create(ctx, tenant, []byte(cust(``)), nil)
	assert.ErrorIs(t, err, errUnheardOf)
	assert.Zero(t, store.puts.Load())
	assert.Equal(t, 1, asked)
	for _, fail = range []error{
		storage.ErrNoChange, storage.ErrDelete, fmt.Errorf("id service: %w", storage.ErrNotFound), storage.ErrUnknownOutcome, storage.ErrConflict,
		storage.ErrTooLarge, storage.ErrInvalid, resource.ErrPrecondition, resource.ErrExists, &schema.ValidationError{},
	} {
		res, err := c.Create(ctx, tenant, []byte(cust(``)), nil)
		assert.Nil(t, res)
		assert.ErrorContains(t, err, "cannot make an id")
		assert.Equal(t, resource.Class("internal"), resource.ErrorClass(err))
	}
	assert.Zero(t, store.puts.Load())

	fail, asked = nil, 1
	_, err = c.Create(ctx, tenant, []byte(`{"customerId":"c-1"}`), nil)
	assert.Error(t, err)
	assert.Equal(t, 1, asked, "invalid")
	create(t, c, cust(``))
	assert.Equal(t, 2, asked, "insert")
	create(t, c, cust(`,"email":"e"`))
	create(t, c, cust(``))
	_, err = c.Create(ctx, tenant, []byte(cust(``)), &reject)
	assert.ErrorIs(t, err, resource.ErrExists)
	assert.Equal(t, 2, asked, "update, no change, reject")
}

// TestNewIDZero: a source that gives the zero UUID is not asked again either.
func TestNewIDZero(t *testing.T) {
	asked := 0
	store := storagetest.Faulty(memory.New(), faults(conflict, conflict, conflict))
	c := open(t, schema.Customers(), store, &resource.Options{NewID: func() (uuid.UUID, error) { asked++; return uuid.Nil, nil }})
	_, _ = c.Create(ctx, tenant, []byte(cust(``)), nil)
	assert.Equal(t, 1, asked)
}

// TestEndedContext: a context that is done has no effect, whatever the request.
func TestEndedContext(t *testing.T) {
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, data := range []string{``, cust(outs)} {
		mem := memory.New()
		var old storage.Record
		if data != "" {
			old = put(t, mem, customerKey("c-1"), data)
		}
		store := &hooked{Store: mem}
		asked := 0
		c := open(t, schema.Customers(), store, &resource.Options{NewID: func() (uuid.UUID, error) { asked++; return secondID, nil }})
		for _, opts := range []*resource.WriteOptions{nil, &reject} {
			_, err := c.Create(cancelled, tenant, []byte(cust(`,"email":"e"`)), opts)
			assert.ErrorIs(t, err, context.Canceled)
			assert.NotErrorIs(t, err, storage.ErrUnknownOutcome)
		}
		assert.Zero(t, store.puts.Load())
		assert.Zero(t, asked)
		assert.Equal(t, old, stored(t, mem, customerKey("c-1")))
		_, err := c.Create(ctx, tenant, []byte(cust(`,"email":"e"`)), nil)
		assert.NoError(t, err, "the lock is free")
	}
}
