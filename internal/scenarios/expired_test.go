package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/changes"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
)

// TestExpiredReadsAnew: a consumer that is too slow for a log which is trimmed whatever
// consumers need is told so, reads all resources anew beside writers, and goes on. In the
// end it has what the store has.
func TestExpiredReadsAnew(t *testing.T) {
	for _, store := range stores {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			readAnew(t, store.open(t))
		})
	}
}

func readAnew(t *testing.T, store storage.Store) {
	const lasts = 1500 * time.Millisecond
	c := newCollection(t, people, store, &resource.Options{Log: true, History: true})
	copies := make(map[uuid.UUID]string)
	expired, events := 0, 0
	consuming, end := context.WithCancel(ctx)
	defer end()
	consumed := make(chan error, 1)
	go func() {
		consumed <- changes.Consume(consuming, store, "late", func(_ context.Context, e changes.Event) error {
			time.Sleep(time.Millisecond)
			if events++; rand.IntN(200) == 0 {
				return errors.New("a fault") // it is parked
			}
			if copies[e.ID] = string(e.Document); e.Outcome == resource.Deleted || e.Outcome == resource.Erased {
				delete(copies, e.ID)
			}
			return nil
		}, &changes.Options{
			Collections: []*resource.Collection{c}, Documents: true, Unredacted: true, MinBackoff: 10 * time.Millisecond,
			OnExpired: func(context.Context) error {
				expired++
				clear(copies)
				for r, err := range c.All(ctx, everybody, &resource.ListOptions{Limit: 5}) {
					if err != nil {
						return err
					}
					copies[r.ID()] = string(r.Data())
				}
				if rand.IntN(3) == 0 {
					return errors.New("it must be called again")
				}
				return nil
			},
		})
	}()
	var stop atomic.Bool
	var writing sync.WaitGroup
	for w := range 3 {
		writing.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("p%d", rand.IntN(50))
				var err error
				switch n % 10 {
				case 0:
					_, err = c.Delete(ctx, everybody, id, nil)
				case 1:
					_, err = c.Erase(ctx, everybody, id, nil)
				default:
					_, err = c.Create(ctx, everybody, fmt.Appendf(nil, `{"id":"%s","note":"%d-%d"}`, id, w, n), nil)
				}
				if err != nil && !errors.Is(err, resource.ErrNotFound) && !errors.Is(err, storage.ErrConflict) {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for begin := time.Now(); time.Since(begin) < lasts; time.Sleep(lasts / 8) {
		require.NoError(t, store.Trim(ctx, time.Now().Add(time.Hour), storage.Cursor{}))
	}
	stop.Store(true)
	writing.Wait()
	waitForConsumers(t, store, 1)
	end()
	require.ErrorIs(t, <-consumed, context.Canceled)
	assert.Positive(t, expired)
	want := make(map[uuid.UUID]string)
	for _, rec := range records(t, store, everybody, people) {
		want[rec.ID] = string(rec.Data)
	}
	assert.Equal(t, want, copies)
	t.Logf("%d events, read anew %d times", events, expired)
}

// TestRestoredBackup: the store is restored from a backup, and a receiver has seen more
// than it has. The consumer is removed and all is read anew, as docs/changes.md says: in
// the end the receiver has what the store has, although it refuses old fences.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "records.db"), filepath.Join(dir, "backup.db")
	copies, greatest := make(map[uuid.UUID]string), uint64(0)
	// serve opens the store, lets write write, and consumes all of it.
	serve := func(write func(store *sqlite.Store, c *resource.Collection)) {
		store, err := sqlite.Open(ctx, file, nil)
		require.NoError(t, err)
		c := newCollection(t, people, store, &resource.Options{Log: true, History: true})
		write(store, c)
		consuming, end := context.WithCancel(ctx)
		consumed := make(chan error, 1)
		go func() {
			consumed <- changes.Consume(consuming, store, "copy", func(_ context.Context, e changes.Event) error {
				if e.Fence < greatest {
					return errors.New("an old fence")
				}
				greatest = e.Fence
				if copies[e.ID] = string(e.Document); e.Outcome == resource.Deleted {
					delete(copies, e.ID)
				}
				return nil
			}, &changes.Options{Collections: []*resource.Collection{c}, Documents: true, Unredacted: true})
		}()
		waitForConsumers(t, store, 1)
		end()
		require.ErrorIs(t, <-consumed, context.Canceled)
		want := make(map[uuid.UUID]string)
		for _, rec := range records(t, store, everybody, people) {
			want[rec.ID] = string(rec.Data)
		}
		require.Equal(t, want, copies)
		require.NoError(t, store.Close())
	}
	create := func(c *resource.Collection, ids ...string) {
		for _, id := range ids {
			_, err := c.Create(ctx, everybody, []byte(`{"id":"`+id+`"}`), nil)
			require.NoError(t, err)
		}
	}
	serve(func(_ *sqlite.Store, c *resource.Collection) { create(c, "a", "b") })
	serve(func(store *sqlite.Store, c *resource.Collection) {
		require.NoError(t, store.Backup(ctx, backup))
		create(c, "lost")
		_, err := c.Delete(ctx, everybody, "a", nil)
		require.NoError(t, err)
	})
	serve(func(*sqlite.Store, *resource.Collection) {})
	require.NoError(t, os.Rename(backup, file))
	serve(func(store *sqlite.Store, c *resource.Collection) {
		require.NoError(t, changes.Remove(ctx, store, "copy"))
		clear(copies)
		for r, err := range c.All(ctx, everybody, nil) {
			require.NoError(t, err)
			copies[r.ID()] = string(r.Data())
		}
		create(c, "c")
	})
}
