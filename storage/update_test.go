package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// scripted is a store whose puts and deletes give the errors in turn and then go through.
type scripted struct {
	storage.Store
	errs       []error
	gets, puts int
}

func (s *scripted) Get(ctx context.Context, k storage.Key) (storage.Record, error) {
	s.gets++
	return s.Store.Get(ctx, k)
}

func (s *scripted) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	s.puts++
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return 0, err
	}
	return s.Store.Put(ctx, rec, expect)
}

func (s *scripted) Delete(ctx context.Context, k storage.Key, expect storage.Revision) error {
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return err
	}
	return s.Store.Delete(ctx, k, expect)
}

func deleteIt(old storage.Record) (storage.Record, error) { return old, storage.ErrDelete }

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

func appendX(old storage.Record) (storage.Record, error) {
	old.Data = []byte(string(old.Data) + "x")
	return old, nil
}

func TestUpdate(t *testing.T) {
	mine := errors.New("mine")
	other := storage.Record{Key: key("other"), Revision: 7, Data: []byte("stranger")}
	for _, tt := range []struct {
		name       string
		errs       []error // of the store's puts
		fn         func(storage.Record) (storage.Record, error)
		want       error
		data       string // stored in the end; "old" was there before
		gets, puts int
	}{
		{"changes", nil, appendX, nil, "oldx", 1, 1},
		{"no change", nil, func(storage.Record) (storage.Record, error) { return storage.Record{}, storage.ErrNoChange }, nil, "old", 1, 0},
		{"no change, wrapped, is an error", nil, func(storage.Record) (storage.Record, error) {
			return storage.Record{}, fmt.Errorf("same: %w", storage.ErrNoChange)
		}, storage.ErrNoChange, "old", 1, 0},
		{"error of fn", nil, func(storage.Record) (storage.Record, error) { return storage.Record{}, mine }, mine, "old", 1, 0},
		{"fills the key in", nil, func(storage.Record) (storage.Record, error) { return storage.Record{Data: []byte("new")}, nil }, nil, "new", 1, 1},
		{"delete", nil, deleteIt, nil, "", 1, 0},
		{"delete, with what else is returned ignored", nil, func(old storage.Record) (storage.Record, error) {
			return storage.Record{Key: key("other")}, storage.ErrDelete
		}, nil, "", 1, 0},
		{"delete, wrapped, is an error", nil, func(old storage.Record) (storage.Record, error) {
			return old, fmt.Errorf("gone: %w", storage.ErrDelete)
		}, storage.ErrDelete, "old", 1, 0},
		{"delete after conflicts", repeat(storage.ErrConflict, 6), deleteIt, nil, "", 7, 0},
		{"delete, deleted already", []error{storage.ErrNotFound}, deleteIt, nil, "", 2, 0},
		{"delete, unavailable", []error{storage.ErrUnavailable}, deleteIt, storage.ErrUnavailable, "old", 1, 0},
		{"delete, unknown outcome", []error{storage.ErrUnknownOutcome}, deleteIt, storage.ErrUnknownOutcome, "old", 1, 0},
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
		{"unknown outcome", []error{storage.ErrUnknownOutcome}, appendX, storage.ErrUnknownOutcome, "old", 1, 1},
		{"unknown outcome that is a conflict too", []error{errors.Join(storage.ErrConflict, storage.ErrUnknownOutcome)}, appendX, storage.ErrUnknownOutcome, "old", 1, 1},
		{"too large", []error{storage.ErrTooLarge}, appendX, storage.ErrTooLarge, "old", 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, store := context.Background(), &scripted{Store: memory.New(), errs: tt.errs}
			rev, err := store.Store.Put(ctx, storage.Record{Key: key("k"), Data: []byte("old")}, 0)
			require.NoError(t, err)

			got, err := storage.Update(ctx, store, key("k"), tt.fn)
			require.ErrorIs(t, err, tt.want)
			require.Equal(t, tt.gets, store.gets, "gets")
			require.Equal(t, tt.puts, store.puts, "puts")
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

func TestUpdateDeletesWhatIsAbsent(t *testing.T) {
	store := &scripted{Store: memory.New(), errs: []error{errors.New("the store was asked to")}}
	got, err := storage.Update(context.Background(), store, key("k"), deleteIt)
	require.NoError(t, err)
	require.Equal(t, storage.Record{Key: key("k")}, got)
}

func TestUpdateUsesTheRecordOfTheConflict(t *testing.T) {
	ctx := context.Background()
	store := &scripted{Store: memory.New()}
	got, err := storage.Update(ctx, store, key("k"), func(old storage.Record) (storage.Record, error) {
		if old.Revision == 0 {
			_, err := store.Store.Put(ctx, storage.Record{Key: key("k"), Data: []byte("faster")}, 0)
			require.NoError(t, err)
		}
		return appendX(old)
	})
	require.NoError(t, err)
	require.Equal(t, "fasterx", string(got.Data))
	require.Equal(t, 1, store.gets, "the conflict carries the record: no second read")
}

// TestUpdateGivesUp runs with a fake clock: the pauses are part of the promise.
func TestUpdateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &scripted{Store: memory.New(), errs: repeat(storage.ErrConflict, 10_000)}
		start := time.Now()
		_, err := storage.Update(context.Background(), store, key("secret"), appendX)
		require.ErrorIs(t, err, storage.ErrAttempts)
		require.ErrorIs(t, err, storage.ErrConflict)
		require.Equal(t, 256, store.puts)
		require.Greater(t, time.Since(start), time.Second)
		require.Less(t, time.Since(start), 256*20*time.Millisecond)
		require.NotContains(t, err.Error(), "secret")
	})
}

func TestUpdateStopsWithItsContext(t *testing.T) {
	store := &scripted{Store: memory.New(), errs: repeat(storage.ErrConflict, 10_000)}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	_, err := storage.Update(ctx, store, key("k"), appendX)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
	require.Less(t, store.puts, 256)

	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = storage.Update(cancelled, store, key("k"), appendX)
	require.ErrorIs(t, err, context.Canceled)
}

func TestUpdateChecksTheKeyFirst(t *testing.T) {
	store := &scripted{Store: memory.New()}
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
