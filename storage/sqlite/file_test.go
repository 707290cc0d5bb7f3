package sqlite_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
)

// moved demands that an operation is refused because the files are not those that were
// opened.
func moved(t *testing.T, err error, reason string) {
	t.Helper()
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NotErrorIs(t, err, storage.ErrUnknownOutcome)
	require.ErrorContains(t, err, reason)
	require.NotContains(t, err.Error(), "records.db")
}

// TestMovedFiles: a write that the next Open would not find is refused, and writes that
// were acknowledged before are in the file that they were written to.
func TestMovedFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		move   func(path string) error
		reason string
		reads  bool   // can go on
		at     string // where the records are after a restart
	}{
		{"removed", os.Remove, "the file was removed or renamed", false, ""},
		{"renamed", func(path string) error { return os.Rename(path, path+".old") }, "the file was removed or renamed", false, ".old"},
		{"directory renamed", func(path string) error {
			return os.Rename(filepath.Dir(path), filepath.Dir(path)+" 2")
		}, "the file was removed or renamed", false, "/../../d 2/records.db"},
		{"another in its place", func(path string) error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, nil, 0o600))
		}, "another file has taken the place", false, ".old"},
		{"a link in its place", func(path string) error {
			other := path + ".other"
			return errors.Join(os.WriteFile(other, nil, 0o600), os.Rename(path, path+".old"), os.Symlink(other, path))
		}, "another file has taken the place", false, ".old"},
		{"-wal removed", func(path string) error { return os.Remove(path + "-wal") }, "the -wal file was removed or renamed", true, "/../records.db"},
		{"-wal replaced", func(path string) error {
			return errors.Join(os.Remove(path+"-wal"), os.WriteFile(path+"-wal", nil, 0o600))
		}, "another -wal file has taken the place", true, "/../records.db"},
		{"-shm removed", func(path string) error { return os.Remove(path + "-shm") }, "the -shm file was removed or renamed", true, "/../records.db"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, path := context.Background(), filepath.Join(t.TempDir(), "d", "records.db")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			store := open(t, path, nil)
			fill(t, store, 500, make([]byte, 400))
			want := all(t, store)
			require.NoError(t, tt.move(path))
			for range 2 {
				_, err := storage.Put(ctx, store, record("lost", "x"), 0)
				moved(t, err, tt.reason)
				err = storage.Delete(ctx, store, key("fill-000000"), want["fill-000000"].Revision)
				moved(t, err, tt.reason)
			}
			if tt.reads {
				_, err := store.Get(ctx, key("fill-000000"))
				require.NoError(t, err)
			} else {
				var err error
				require.Eventually(t, func() bool {
					_, err = store.Get(ctx, key("fill-000000"))
					return err != nil
				}, 10*time.Second, time.Millisecond)
				moved(t, err, tt.reason)
				moved(t, store.Backup(ctx, filepath.Join(t.TempDir(), "backup.db")), tt.reason)
			}
			require.NoError(t, store.Close())
			if tt.at != "" {
				require.Equal(t, want, all(t, open(t, filepath.Clean(path+tt.at), nil)))
			}
		})
	}
}

// TestFileReturns: a file that is at its path again is the open one.
func TestFileReturns(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "records.db")
	store := open(t, path, nil)
	fill(t, store, 10, nil)
	require.NoError(t, os.Rename(path, path+".old"))
	_, err := storage.Put(ctx, store, record("k", "x"), 0)
	moved(t, err, "removed or renamed")
	require.NoError(t, os.Rename(path+".old", path))
	_, err = storage.Put(ctx, store, record("k", "x"), 0)
	require.NoError(t, err)
	require.Len(t, all(t, store), 11)
}

// TestBackupOverTheFile: a backup that is put over the open file is what the next
// Open finds, without the log of the file that was there before, whether the
// process was stopped or killed.
func TestBackupOverTheFile(t *testing.T) {
	const isChild = "SQLITE_TEST_BACKUP_OVER"
	if path := os.Getenv(isChild); path != "" {
		ctx := context.Background()
		store := open(t, path, nil)
		fill(t, store, 500, make([]byte, 400))
		require.NoError(t, store.Backup(ctx, path+".backup"))
		for i := range 50 { // changes of what the backup has, and more
			fillFrom(t, store, 500+100*i, 100, make([]byte, 400))
		}
		require.NoError(t, os.Rename(path+".backup", path))
		if os.Getenv(isChild+"_WRITES") != "" {
			_, err := storage.Put(ctx, store, record("lost", "x"), 0)
			moved(t, err, "another file has taken the place")
		}
		if os.Getenv(isChild+"_KILLED") != "" {
			self, err := os.FindProcess(os.Getpid())
			require.NoError(t, err)
			require.NoError(t, self.Kill())
			select {}
		}
		require.NoError(t, store.Close())
		return
	}
	for _, tt := range []struct {
		name string
		env  []string
	}{
		{"closed", nil},
		{"written and closed", []string{isChild + "_WRITES=1"}},
		{"written and killed", []string{isChild + "_WRITES=1", isChild + "_KILLED=1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "records.db")
			child := exec.Command(os.Args[0], "-test.run", "^TestBackupOverTheFile$")
			child.Env = append(append(os.Environ(), isChild+"="+path), tt.env...)
			out, err := child.CombinedOutput()
			if len(tt.env) < 2 {
				require.NoError(t, err, string(out))
			} else {
				require.Error(t, err)
				require.NotContains(t, string(out), "FAIL")
			}
			require.Len(t, all(t, open(t, path, nil)), 500)
			execute(t, path, "SELECT CASE (SELECT group_concat(integrity_check) FROM pragma_integrity_check) WHEN 'ok' THEN 1 ELSE json('damaged') END")
		})
	}
}

// TestHardLink: SQLite keeps a log for each name of a file, and so would two
// processes that know it by different ones.
func TestHardLink(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	path, link := filepath.Join(dir, "records.db"), filepath.Join(dir, "link.db")
	store := open(t, path, nil)
	require.NoError(t, os.Link(path, link))
	_, err := storage.Put(ctx, store, record("k", "x"), 0)
	require.NoError(t, err, "the link alone does no harm")
	for _, name := range []string{path, link} {
		_, err = sqlite.Open(ctx, name, nil)
		require.ErrorIs(t, err, storage.ErrInvalid)
		require.ErrorContains(t, err, "hard link")
	}
	require.NoError(t, os.Remove(link))
	require.Len(t, all(t, open(t, path, nil)), 1)
}
