package changes_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/require"
)

// TestExpiredOfAnother: an owner was stopped. Another one took over, and the log was
// trimmed up to its position. The first one reads that its place has expired, before it
// notices that it is not the owner: it waits for the lease, and does not end.
func TestExpiredOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := memory.New(), &sink{}
		put(t, store, "a")
		c := run(store, "c", s.handle, nil)
		pass(5100 * time.Millisecond) // it has renewed its lease just now
		_, err := storage.Update(ctx, store, system.StoreKey("consumer/c"), func(old storage.Record) (storage.Record, error) {
			old.Data = bytes.Replace(old.Data, []byte(`"owner":"`), []byte(`"owner":"another/`), 1)
			return old, nil
		})
		require.NoError(t, err)
		put(t, store, "b")
		require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), storage.Cursor{}))
		pass(time.Minute / 10)
		select {
		case <-c.done:
			require.NoError(t, c.err)
		default:
		}
		c.cancel()
		<-c.done
	})
}

// TestErasedIsNotKept: a tail that has a resource in memory forgets it when it is erased,
// so that a reader who comes later to an older place does not get it.
func TestErasedIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		tail := changes.NewTail(store, nil)
		start := end(t, store)
		reading, stop := context.WithCancel(ctx)
		go func() {
			for range tail.Follow(reading, storage.Scope{}, start) { // keeps the tail at work
			}
		}()
		pass(time.Second)
		put(t, store, "a", "b", "a")
		pass(5 * time.Second)
		want := logged(t, store)
		require.Equal(t, want, follow(t, tail, storage.Scope{}, start).Changes, "from memory")
		_, err := store.Redact(ctx, keyOf("a"), storage.Note{Time: time.Now(), Actor: "officer"})
		require.NoError(t, err)
		pass(5 * time.Second)
		want = logged(t, store)
		require.Len(t, want, 4)
		require.True(t, want[0].Redacted)
		require.Equal(t, want, follow(t, tail, storage.Scope{}, start).Changes)
		stop()
	})
}

func logged(t *testing.T, store storage.Store) []storage.Change {
	page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 1000})
	require.NoError(t, err)
	return page.Changes
}
