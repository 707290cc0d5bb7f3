package changes_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

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
