package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
)

func all(t *testing.T, store storage.Store) map[string]storage.Record {
	t.Helper()
	records := make(map[string]storage.Record)
	for r := (storage.Range{Limit: storage.MaxPage}); ; {
		page, err := store.List(context.Background(), scope, r)
		require.NoError(t, err)
		for _, rec := range page.Records {
			records[rec.Key.ExternalID] = rec
		}
		if r.After = page.Next; r.After.IsZero() {
			return records
		}
	}
}

func fill(t *testing.T, store storage.Store, n int, data []byte) { fillFrom(t, store, 0, n, data) }

func fillFrom(t *testing.T, store storage.Store, from, n int, data []byte) {
	t.Helper()
	for i := from; i < from+n; i += 500 {
		var writes []storage.Write
		for j := i; j < min(from+n, i+500); j++ {
			rec := storage.Record{Key: key(fmt.Sprintf("fill-%06d", j)), Revision: storage.NextRevision(0), Data: data}
			writes = append(writes, storage.Write{Record: rec})
		}
		errs, err := store.Write(context.Background(), writes)
		require.NoError(t, err)
		require.Nil(t, errs)
	}
}

func TestBackup(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	store := open(t, filepath.Join(dir, "records.db"), nil)
	fill(t, store, 2000, make([]byte, 400))
	path := filepath.Join(dir, "backup.db")
	require.NoError(t, store.Backup(ctx, path))
	want := all(t, store)
	_, err := storage.Put(ctx, store, record("later", "x"), 0)
	require.NoError(t, err)

	copied := open(t, path, nil)
	require.Equal(t, want, all(t, copied), "the same records and revisions")
	rec := want["fill-000007"]
	rev, err := storage.Put(ctx, copied, rec, rec.Revision)
	require.NoError(t, err)
	require.NotEqual(t, rec.Revision, rev)

	err = store.Backup(ctx, path)
	require.ErrorIs(t, err, storage.ErrInvalid, "it is there already")
	require.ErrorIs(t, store.Backup(ctx, filepath.Join(dir, "records.db")), storage.ErrInvalid, "onto itself")
	require.ErrorIs(t, store.Backup(ctx, filepath.Join(dir, "missing", "x")), storage.ErrInvalid)
	require.ErrorIs(t, store.Backup(ctx, ":memory:"), storage.ErrInvalid)
	require.NoError(t, store.Close())
	require.ErrorIs(t, store.Backup(ctx, filepath.Join(dir, "new.db")), storage.ErrClosed)
}

// TestStaleSideFiles: the -wal file of another file must neither get into a backup nor be
// deleted silently.
func TestStaleSideFiles(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	store := open(t, filepath.Join(dir, "records.db"), nil)
	_, err := storage.Put(ctx, store, record("k", "x"), 0)
	require.NoError(t, err)
	log, err := os.ReadFile(filepath.Join(dir, "records.db-wal"))
	require.NoError(t, err)
	require.NotEmpty(t, log)
	path := filepath.Join(dir, "other.db")
	for _, end := range []string{"-wal", "-shm", "-journal"} {
		require.NoError(t, os.WriteFile(path+end, log, 0o600))
		err := store.Backup(ctx, path)
		require.ErrorIs(t, err, storage.ErrInvalid)
		require.ErrorContains(t, err, end)
		require.NoFileExists(t, path)
		require.NoError(t, os.Remove(path+end))
	}
	require.NoError(t, os.WriteFile(path+"-wal", log, 0o600))
	for _, empty := range []bool{false, true} {
		if empty {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}
		_, err = sqlite.Open(ctx, path, nil)
		require.ErrorIs(t, err, storage.ErrInvalid)
		require.ErrorContains(t, err, "-wal")
		left, err := os.ReadFile(path + "-wal")
		require.NoError(t, err)
		require.Equal(t, log, left)
	}
}

// TestRevisionsAfterARestore: a client that saw a write which a backup does not have must
// not overwrite a later write.
func TestRevisionsAfterARestore(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	store := open(t, filepath.Join(dir, "records.db"), nil)
	rec := record("k", "first")
	first, err := storage.Put(ctx, store, rec, 0)
	require.NoError(t, err)
	require.NoError(t, store.Backup(ctx, filepath.Join(dir, "backup.db")))
	lost, err := storage.Put(ctx, store, rec, first)
	require.NoError(t, err)

	restored := open(t, filepath.Join(dir, "backup.db"), nil)
	rec.Data = []byte("instead")
	instead, err := storage.Put(ctx, restored, rec, first)
	require.NoError(t, err)
	require.NotEqual(t, lost, instead)
	_, err = storage.Put(ctx, restored, record("k", "of who saw the lost one"), lost)
	require.ErrorIs(t, err, storage.ErrConflict)
	require.Equal(t, "instead", string(all(t, restored)["k"].Data))
}

// TestBackupDuringWrites counts in two records, one after the other: a copy is of one
// instant if the record that is written second never shows more than the first.
func TestBackupDuringWrites(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	store := open(t, filepath.Join(dir, "records.db"), nil)
	fill(t, store, 2000, make([]byte, 400))
	var stop atomic.Bool
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		revs := [2]storage.Revision{}
		for n := int64(1); !stop.Load(); n++ {
			for i, id := range []string{"first", "second"} {
				rev, err := storage.Put(ctx, store, record(id, fmt.Sprintf("%09d", n)), revs[i])
				if err != nil {
					t.Error(err)
					return
				}
				revs[i] = rev
			}
			acknowledged.Store(n)
		}
	})
	for i := range 5 {
		before := fmt.Sprintf("%09d", acknowledged.Load())
		path := filepath.Join(dir, fmt.Sprint("backup-", i, ".db"))
		require.NoError(t, store.Backup(ctx, path))
		copied := all(t, open(t, path, nil))
		first, second := string(copied["first"].Data), string(copied["second"].Data)
		require.GreaterOrEqual(t, first, second)
		if before != "000000000" {
			require.GreaterOrEqual(t, second, before, "acknowledged before the backup")
		}
		require.GreaterOrEqual(t, len(copied), 2000)
	}
	stop.Store(true)
	wg.Wait()
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

// TestBackupStopped by its context and by Close leaves no file.
func TestBackupStopped(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		stop func(cancel context.CancelFunc, store *sqlite.Store)
		want error
	}{
		{"context", func(cancel context.CancelFunc, _ *sqlite.Store) { cancel() }, context.Canceled},
		{"close", func(_ context.CancelFunc, store *sqlite.Store) { _ = store.Close() }, storage.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, target := t.TempDir(), t.TempDir()
			store := open(t, filepath.Join(dir, "records.db"), nil)
			fill(t, store, 1000, make([]byte, 40_000))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- store.Backup(ctx, filepath.Join(target, "backup.db")) }()
			// Stop it when it has begun to write.
			require.Eventually(t, func() bool {
				entries, _ := os.ReadDir(target)
				if len(entries) == 0 {
					return false
				}
				info, err := entries[0].Info()
				return err == nil && info.Size() > 0
			}, 5*time.Second, 100*time.Microsecond)
			tt.stop(cancel, store)
			if tt.want == context.Canceled {
				defer func() {
					require.NoError(t, store.Backup(context.Background(), filepath.Join(target, "backup.db")))
				}()
			} else {
				empty(t, target) // Close has waited for the end
			}
			err := <-done
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, "backup")
			empty(t, target)
		})
	}
}
