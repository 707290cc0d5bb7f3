package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

var scope = storage.Scope{
	Tenant: storage.TenantOf("acme", "main"),
	Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
}

func key(id string) storage.Key {
	return storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: id}
}

// answer is what a scripted store says of a write.
type answer struct {
	err     error
	applied bool
	whole   bool // err is returned in place of the errors
}

// scripted is a memory store. Its calls of Write have the answers in turn; the later ones
// go through.
type scripted struct {
	storage.Store
	answers      []answer
	meanwhile    func() // another writer, after each of these writes
	failing      error  // of reads after the first write
	gets, writes int
	sizes        []int // keys of each call of GetMany and Write
}

func newScripted(answers ...answer) *scripted {
	return &scripted{Store: memory.New(), answers: answers, meanwhile: func() {}}
}

// refusing is newScripted for errors of writes that are not applied.
func refusing(errs ...error) *scripted {
	s := newScripted()
	for _, err := range errs {
		s.answers = append(s.answers, answer{err: err})
	}
	return s
}

func (s *scripted) Get(ctx context.Context, k storage.Key) (storage.Record, error) {
	if s.gets++; s.failing != nil && s.writes > 0 {
		return storage.Record{}, s.failing
	}
	return s.Store.Get(ctx, k)
}

func (s *scripted) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	s.gets++
	s.sizes = append(s.sizes, len(keys))
	if s.failing != nil && s.writes > 0 {
		return nil, s.failing
	}
	return s.Store.GetMany(ctx, keys)
}

func (s *scripted) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	s.writes++
	s.sizes = append(s.sizes, len(writes))
	if len(s.answers) == 0 {
		return s.Store.Write(ctx, writes)
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	if a.applied {
		if errs, err := s.Store.Write(ctx, writes); errs != nil || err != nil {
			panic("a write of the script conflicts")
		}
	}
	s.meanwhile()
	if a.whole {
		return nil, a.err
	}
	return slices.Repeat([]error{a.err}, len(writes)), nil
}

func deleteIt(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete }

func repeat(err error, n int) []error { return slices.Repeat([]error{err}, n) }

func appendX(old storage.Record) (storage.Record, error) {
	old.Data = []byte(string(old.Data) + "x")
	return old, nil
}

func TestUpdate(t *testing.T) {
	mine := errors.New("mine")
	other := storage.Record{Key: key("other"), Revision: 7, Data: []byte("stranger")}
	for _, tt := range []struct {
		name         string
		errs         []error // of the store's writes
		fn           func(storage.Record) (storage.Record, error)
		want         error
		data         string // stored in the end; "old" was there before
		gets, writes int
	}{
		{"changes", nil, appendX, nil, "oldx", 1, 1},
		{"no change", nil, func(storage.Record) (storage.Record, error) { return storage.Record{}, storage.ErrNoChange }, nil, "old", 1, 0},
		{"no change, wrapped, is an error", nil, func(storage.Record) (storage.Record, error) {
			return storage.Record{}, fmt.Errorf("same: %w", storage.ErrNoChange)
		}, storage.ErrNoChange, "old", 1, 0},
		{"error of fn", nil, func(storage.Record) (storage.Record, error) { return storage.Record{}, mine }, mine, "old", 1, 0},
		{"fills the key in", nil, func(storage.Record) (storage.Record, error) { return storage.Record{Data: []byte("new")}, nil }, nil, "new", 1, 1},
		{"delete", nil, deleteIt, nil, "", 1, 1},
		{"delete, with what else is returned ignored", nil, func(old storage.Record) (storage.Record, error) {
			return storage.Record{Key: key("other")}, storage.ErrDelete
		}, nil, "", 1, 1},
		{"delete, wrapped, is an error", nil, func(old storage.Record) (storage.Record, error) {
			return old, fmt.Errorf("gone: %w", storage.ErrDelete)
		}, storage.ErrDelete, "old", 1, 0},
		{"delete after conflicts", repeat(storage.ErrConflict, 6), deleteIt, nil, "", 7, 7},
		{"delete, unavailable", []error{storage.ErrUnavailable}, deleteIt, storage.ErrUnavailable, "old", 1, 1},
		{"another key", nil, func(old storage.Record) (storage.Record, error) {
			old.Key = key("other")
			return old, nil
		}, storage.ErrInvalid, "old", 1, 0},
		{"another identity", nil, func(old storage.Record) (storage.Record, error) {
			return storage.Record{ID: uuid.Max, CreatedAt: time.Now(), Data: []byte("new")}, nil
		}, nil, "new", 1, 1},
		{"conflict", []error{storage.ErrConflict}, appendX, nil, "oldx", 2, 2},
		{"conflicts", repeat(storage.ErrConflict, 6), appendX, nil, "oldx", 7, 7},
		{"conflict of another key's record", []error{&storage.ConflictError{Current: &other}}, appendX, nil, "oldx", 2, 2},
		{"unavailable", []error{storage.ErrUnavailable}, appendX, storage.ErrUnavailable, "old", 1, 1},
		{"unknown outcome that is a conflict too", []error{errors.Join(storage.ErrConflict, storage.ErrUnknownOutcome)}, appendX, storage.ErrUnknownOutcome, "old", 2, 1},
		{"not unique", []error{&storage.NotUniqueError{Index: 7}}, appendX, storage.ErrNotUnique, "old", 1, 1},
		{"unsupported", []error{storage.ErrUnsupported}, appendX, storage.ErrUnsupported, "old", 1, 1},
		{"too large", []error{storage.ErrTooLarge}, appendX, storage.ErrTooLarge, "old", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, store := context.Background(), refusing(tt.errs...)
			rev, err := storage.Put(ctx, store.Store, storage.Record{Key: key("k"), Data: []byte("old")}, 0)
			require.NoError(t, err)

			got, err := storage.Update(ctx, store, key("k"), tt.fn)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, tt.gets, store.gets, "gets")
			require.Equal(t, tt.writes, store.writes, "writes")
			rec, getErr := store.Store.Get(ctx, key("k"))
			if tt.want == nil && tt.data == "" {
				require.ErrorIs(t, getErr, storage.ErrNotFound)
				require.Equal(t, "old", string(got.Data), "the record as it was")
				require.Equal(t, rev, got.Revision)
				return
			}
			require.NoError(t, getErr)
			require.Equal(t, tt.data, string(rec.Data))
			if tt.data == "old" {
				require.Equal(t, rev, rec.Revision)
			}
			var op *storage.OpError
			switch {
			case tt.want == nil:
				require.Equal(t, rec, got)
			case tt.want == mine, tt.want == storage.ErrNoChange, tt.want == storage.ErrDelete:
				require.ErrorIs(t, err, tt.want)
				require.False(t, errors.As(err, &op), "fn's error comes back as it is")
			default:
				require.ErrorAs(t, err, &op)
				require.Equal(t, "update", op.Op)
				require.Equal(t, key("k"), op.Key)
				require.Zero(t, got)
			}
		})
	}
}

func TestUpdateAbsent(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	got, err := storage.Update(ctx, store, key("k"), func(old storage.Record) (storage.Record, error) {
		require.Equal(t, storage.Record{Key: key("k")}, old)
		return old, storage.ErrNoChange
	})
	require.NoError(t, err)
	require.Equal(t, storage.Record{Key: key("k")}, got)

	got, err = storage.Update(ctx, store, key("k"), appendX)
	require.NoError(t, err)
	rec, err := store.Get(ctx, key("k"))
	require.NoError(t, err)
	require.Equal(t, rec, got)
}

func TestUpdateDeletesAnAbsentRecord(t *testing.T) {
	store := refusing(errors.New("the store was asked to"))
	got, err := storage.Update(context.Background(), store, key("k"), deleteIt)
	require.NoError(t, err)
	require.Equal(t, storage.Record{Key: key("k")}, got)
}

func TestUpdateUsesTheRecordOfTheConflict(t *testing.T) {
	ctx := context.Background()
	store := newScripted()
	got, err := storage.Update(ctx, store, key("k"), func(old storage.Record) (storage.Record, error) {
		if old.Revision == 0 {
			_, err := storage.Put(ctx, store.Store, storage.Record{Key: key("k"), Data: []byte("faster")}, 0)
			require.NoError(t, err)
		}
		return appendX(old)
	})
	require.NoError(t, err)
	require.Equal(t, "fasterx", string(got.Data))
	require.Equal(t, 1, store.gets, "the conflict carries the record: no second read")
}

// TestUpdateTakesItsOwnConflict: a store that tried a write twice may report a conflict
// with the record that it wrote itself.
func TestUpdateTakesItsOwnConflict(t *testing.T) {
	ctx := context.Background()
	store := &ownConflict{newScripted()}
	got, err := storage.Update(ctx, store, key("k"), appendX)
	require.NoError(t, err)
	require.Equal(t, "x", string(got.Data))
	results, err := storage.UpdateMany(ctx, store, keys("k", "l"), func(_ int, old storage.Record) (storage.Write, error) {
		old.Data = []byte(string(old.Data) + "x")
		return storage.Write{Record: old}, nil
	})
	require.NoError(t, err)
	for i, want := range []string{"xx", "x"} {
		require.NoError(t, results[i].Err)
		require.Equal(t, want, string(results[i].Record.Data))
		rec, err := store.Get(ctx, results[i].Record.Key)
		require.NoError(t, err)
		require.Equal(t, rec, results[i].Record)
	}
}

// ownConflict applies writes and reports conflicts with them.
type ownConflict struct{ *scripted }

func (s *ownConflict) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	errs := make([]error, len(writes))
	for i, w := range writes {
		if _, err := s.scripted.Write(ctx, writes[i:i+1]); err != nil {
			return nil, err
		}
		errs[i] = &storage.ConflictError{Current: &w.Record}
	}
	return errs, nil
}

// TestUpdateWith: fn's write goes to the store with its entries and its note, and what it
// says of Expect and Revision does not count.
func TestUpdateWith(t *testing.T) {
	ctx, store := context.Background(), memory.New()
	write := func(old storage.Record) (storage.Write, error) {
		old.Data, old.Revision = []byte("new"), 4711
		return storage.Write{
			Record: old, Expect: 4711,
			Entries: []storage.Entry{{Index: 1, Value: []byte("v")}},
			Note:    &storage.Note{Actor: "me"},
		}, nil
	}
	for range 2 {
		got, err := storage.UpdateWith(ctx, store, key("k"), write)
		require.NoError(t, err)
		page, err := store.Lookup(ctx, scope, 1, storage.Range{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []storage.Record{got}, page.Records)
	}
	got, err := storage.UpdateWith(ctx, store, key("k"), func(old storage.Record) (storage.Write, error) {
		return storage.Write{Delete: true, Note: &storage.Note{Actor: "you"}}, nil
	})
	require.NoError(t, err)
	require.Equal(t, "new", string(got.Data), "a deleted record as it was")
	got, err = storage.UpdateWith(ctx, store, key("k"), func(old storage.Record) (storage.Write, error) {
		return storage.Write{Delete: true, Note: &storage.Note{Actor: "nobody"}}, nil
	})
	require.NoError(t, err)
	require.Equal(t, storage.Record{Key: key("k")}, got, "the key was absent: nothing is written")

	changes, err := store.Changes(ctx, storage.ChangeQuery{Limit: 10})
	require.NoError(t, err)
	var actors []string
	for _, c := range changes.Changes {
		actors = append(actors, c.Note.Actor)
	}
	require.Equal(t, []string{"me", "me", "you"}, actors)

	_, err = storage.UpdateWith(ctx, store, key("k"), func(old storage.Record) (storage.Write, error) {
		return storage.Write{Record: old, Entries: []storage.Entry{{}}}, nil
	})
	require.ErrorIs(t, err, storage.ErrInvalid)
	_, err = storage.UpdateWith(ctx, store, key("k"), func(old storage.Record) (storage.Write, error) {
		return storage.Write{}, storage.ErrDelete
	})
	require.Equal(t, storage.ErrDelete, err, "only Update knows ErrDelete")
}

// TestLostAnswers: one row is a write whose answer is lost. Whatever the outcome, Update
// makes no second write.
func TestLostAnswers(t *testing.T) {
	ended := fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, storage.ErrEnded)
	unknown := storage.ErrUnknownOutcome
	for _, tt := range []struct {
		name      string
		op        string // create, update or delete
		err       error
		applied   bool
		meanwhile string // done by another writer before the read: "", update, delete
		want      error
	}{
		{"applied", "update", unknown, true, "", nil},
		{"applied and ended", "update", ended, true, "", nil},
		{"applied, then overwritten", "update", ended, true, "update", unknown},
		{"applied, then deleted", "update", ended, true, "delete", unknown},
		{"not applied, perhaps running", "update", unknown, false, "", unknown},
		{"not applied and ended", "update", ended, false, "", storage.ErrUnavailable},
		{"not applied, another wrote", "update", ended, false, "update", unknown},
		{"not applied, another deleted", "update", ended, false, "delete", unknown},
		{"applied", "create", unknown, true, "", nil},
		{"applied, then overwritten", "create", ended, true, "update", unknown},
		{"applied, then deleted", "create", ended, true, "delete", unknown},
		{"not applied, perhaps running", "create", unknown, false, "", unknown},
		{"not applied and ended: absent as after a delete", "create", ended, false, "", unknown},
		{"applied", "delete", ended, true, "", unknown},
		{"applied, then created", "delete", ended, true, "update", unknown},
		{"not applied, perhaps running", "delete", unknown, false, "", unknown},
		{"not applied and ended", "delete", ended, false, "", storage.ErrUnavailable},
		{"not applied, another wrote", "delete", ended, false, "update", unknown},
	} {
		for _, way := range []string{"Update", "UpdateWith", "UpdateMany", "UpdateMany, one error for all"} {
			t.Run(tt.op+" "+tt.name+", "+way, func(t *testing.T) {
				ctx := t.Context()
				store := newScripted(answer{tt.err, tt.applied, way == "UpdateMany, one error for all"})
				if tt.op != "create" {
					_, err := storage.Put(ctx, store.Store, storage.Record{Key: key("k"), Data: []byte("old")}, 0)
					require.NoError(t, err)
				}
				store.meanwhile = func() {
					another := appendX
					switch tt.meanwhile {
					case "":
						return
					case "delete":
						another = deleteIt
					}
					_, err := storage.Update(ctx, store.Store, key("k"), another)
					require.NoError(t, err)
				}
				calls := 0
				fn := func(old storage.Record) (storage.Write, error) {
					calls++
					return storage.Write{Record: storage.Record{Data: []byte("new")}, Delete: tt.op == "delete"}, nil
				}
				var got storage.Record
				var err error
				switch way {
				case "Update":
					got, err = storage.Update(ctx, store, key("k"), func(old storage.Record) (storage.Record, error) {
						w, _ := fn(old)
						if w.Delete {
							return old, storage.ErrDelete
						}
						return w.Record, nil
					})
				case "UpdateWith":
					got, err = storage.UpdateWith(ctx, store, key("k"), fn)
				default:
					var results []storage.UpdateResult
					results, err = storage.UpdateMany(ctx, store, keys("k"), func(_ int, old storage.Record) (storage.Write, error) { return fn(old) })
					require.NoError(t, err)
					got, err = results[0].Record, results[0].Err
				}
				require.Equal(t, 1, calls, "calls of fn")
				require.Equal(t, 1, store.writes, "writes")
				require.Equal(t, 2, store.gets, "reads")
				if tt.want == nil {
					require.NoError(t, err)
					rec, err := store.Get(ctx, key("k"))
					require.NoError(t, err)
					require.Equal(t, rec, got)
					require.Equal(t, "new", string(got.Data))
					return
				}
				require.ErrorIs(t, err, tt.want)
				if tt.want == storage.ErrUnavailable {
					require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
				} else {
					require.NotErrorIs(t, err, storage.ErrUnavailable)
				}
				var op *storage.OpError
				require.ErrorAs(t, err, &op)
				require.Equal(t, "update", op.Op)
			})
		}
	}
}

// TestLostAnswersStayUnknown where the record cannot be read.
func TestLostAnswersStayUnknown(t *testing.T) {
	for _, many := range []bool{false, true} {
		update := func(ctx context.Context, store storage.Store) error {
			if !many {
				_, err := storage.Update(ctx, store, key("k"), appendX)
				return err
			}
			results, err := storage.UpdateMany(ctx, store, keys("k"), func(_ int, old storage.Record) (storage.Write, error) {
				return storage.Write{Record: storage.Record{Data: []byte("x")}}, nil
			})
			require.NoError(t, err)
			return results[0].Err
		}
		lost := answer{err: fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, storage.ErrEnded), applied: true}

		store := newScripted(lost)
		store.failing = storage.ErrUnavailable
		err := update(t.Context(), store)
		require.ErrorIs(t, err, storage.ErrUnknownOutcome)
		require.NotErrorIs(t, err, storage.ErrUnavailable, "the read is not the write")
		require.Equal(t, 2, store.gets)

		ctx, cancel := context.WithCancel(t.Context())
		lost.err = errors.Join(lost.err, context.Canceled)
		store = newScripted(lost)
		store.meanwhile = cancel
		err = update(ctx, store)
		require.ErrorIs(t, err, storage.ErrUnknownOutcome)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, 1, store.gets, "no read after the end of the context")
	}
}

// TestWrongNumberOfResults: the outcome is unknown.
func TestWrongNumberOfResults(t *testing.T) {
	store := &losing{newScripted()}
	_, err := storage.Put(t.Context(), store, storage.Record{Key: key("k")}, 0)
	require.ErrorIs(t, err, storage.ErrUnknownOutcome)
	_, err = storage.Update(t.Context(), store, key("k"), appendX)
	require.NoError(t, err, "a read tells that it was applied")
	results, err := storage.UpdateMany(t.Context(), store, keys("k", "l"), func(_ int, old storage.Record) (storage.Write, error) {
		return storage.Write{Record: storage.Record{Data: []byte("y")}}, nil
	})
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.Err)
		require.Equal(t, "y", string(r.Record.Data))
	}
	require.NoError(t, storage.Delete(t.Context(), store.Store, key("l"), results[1].Record.Revision))
}

// losing returns an error too many for the writes, which it makes.
type losing struct{ *scripted }

func (s *losing) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	_, err := s.scripted.Write(ctx, writes)
	return make([]error, len(writes)+1), err
}

// TestUpdateGivesUp runs with a fake clock: the pauses are part of the promise.
func TestUpdateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := refusing(repeat(storage.ErrConflict, 10_000)...)
		start := time.Now()
		_, err := storage.Update(context.Background(), store, key("secret"), appendX)
		require.ErrorIs(t, err, storage.ErrAttempts)
		require.ErrorIs(t, err, storage.ErrConflict)
		require.Equal(t, 256, store.writes)
		require.Greater(t, time.Since(start), time.Second)
		require.Less(t, time.Since(start), 256*20*time.Millisecond)
		require.NotContains(t, err.Error(), "secret")
	})
}

func TestUpdateStopsWithItsContext(t *testing.T) {
	store := refusing(repeat(storage.ErrConflict, 10_000)...)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := storage.Update(ctx, store, key("k"), appendX)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
	require.Less(t, store.writes, 256)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = storage.Update(cancelled, store, key("k"), appendX)
	require.ErrorIs(t, err, context.Canceled)
}

func TestUpdateChecksTheKeyFirst(t *testing.T) {
	store := newScripted()
	_, err := storage.Update(context.Background(), store, key(""), appendX)
	require.ErrorIs(t, err, storage.ErrInvalid)
	require.Zero(t, store.gets)
	require.False(t, strings.Contains(err.Error(), "acme"))
}

// TestOpErrorText: an operation that is a part of another says so once.
func TestOpErrorText(t *testing.T) {
	inner := &storage.OpError{Op: "get", Key: key("secret"), Err: storage.ErrClosed}
	require.EqualError(t, &storage.OpError{Op: "update", Key: key("secret"), Err: inner}, "storage: update: get: store is closed")
	text, err := json.Marshal([]any{inner, &storage.ConflictError{Current: &storage.Record{Key: key("secret")}}})
	require.NoError(t, err)
	require.Equal(t, `["storage: get: store is closed","revision conflict"]`, string(text))
}
