//go:build unix

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// leftovers returns the copies in the folder that are not complete.
func leftovers(t testing.TB, folder string) (copies []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			copies = append(copies, filepath.Join(folder, e.Name()))
		}
	}
	return copies
}

// TestKilledBackups: a Backup removes the copies of killed ones in its folder, and never
// that of a running one.
func TestKilledBackups(t *testing.T) {
	t.Parallel()
	const isChild = "SQLITE_TEST_BACKUP"
	if path := os.Getenv(isChild); path != "" {
		s, err := Open(bg, path, nil)
		require.NoError(t, err)
		for i := 0; ; i++ {
			backup := filepath.Join(filepath.Dir(path), "to", fmt.Sprint("child ", i))
			require.NoError(t, s.Backup(bg, backup))
			require.NoError(t, os.Remove(backup))
		}
	}
	path := filepath.Join(t.TempDir(), "records.db")
	folder := filepath.Join(filepath.Dir(path), "to")
	require.NoError(t, os.Mkdir(folder, 0o700))
	s, err := Open(bg, path, nil)
	require.NoError(t, err)
	defer s.Close()
	for i := range 20 {
		rec := testRecord(fmt.Sprint(i))
		rec.Data = make([]byte, 1<<20)
		_, err := storage.Put(bg, s, rec, 0)
		require.NoError(t, err)
	}
	// Files of other programs stay, even one with such a name.
	for _, name := range []string{workPrefix + "notes", "notes"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), nil, 0o600))
	}
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run", "^TestKilledBackups$")
		child.Env = append(os.Environ(), isChild+"="+path)
		require.NoError(t, child.Start())
		// Stop it in the middle of a copy.
		var unfinished string
		require.Eventually(t, func() bool {
			for _, dir := range leftovers(t, folder) {
				unfinished = filepath.Join(dir, "copy")
				if info, err := os.Stat(unfinished); err != nil || info.Size() == 0 {
					continue
				}
				require.NoError(t, child.Process.Signal(syscall.SIGSTOP))
				var status syscall.WaitStatus
				_, err := syscall.Wait4(child.Process.Pid, &status, syscall.WUNTRACED, nil)
				require.NoError(t, err)
				require.True(t, status.Stopped())
				if _, err := os.Stat(unfinished); err == nil {
					return true
				}
				require.NoError(t, child.Process.Signal(syscall.SIGCONT))
			}
			return false
		}, time.Minute, time.Millisecond)

		require.NoError(t, s.Backup(bg, filepath.Join(folder, fmt.Sprint("while one runs ", round))))
		require.FileExists(t, unfinished, "of a Backup that is still running")
		require.NoError(t, child.Process.Kill())
		_ = child.Wait()
		require.FileExists(t, unfinished)
		require.NoError(t, s.Backup(bg, filepath.Join(folder, fmt.Sprint("after a kill ", round))))
		require.NoFileExists(t, filepath.Dir(unfinished))
	}
	require.Equal(t, []string{filepath.Join(folder, workPrefix+"notes")}, leftovers(t, folder))
}

// TestBackupKilledAtItsEnd, when the copy has its name and still the temporary one, is a
// backup like others.
func TestBackupKilledAtItsEnd(t *testing.T) {
	s := testStore(t, nil)
	_, err := storage.Put(bg, s, testRecord("k"), 0)
	require.NoError(t, err)
	folder := t.TempDir()
	path := filepath.Join(folder, "backup.db")
	require.NoError(t, s.Backup(bg, path))
	work, temp, err := newWorkplace(folder)
	require.NoError(t, err)
	require.NoError(t, errors.Join(temp.Close(), os.Remove(work.copy), os.Link(path, work.copy)))
	_, err = Open(bg, path, nil)
	require.ErrorIs(t, err, storage.ErrInvalid, "the Backup is still running")
	require.NoError(t, work.lock.close())

	backup, err := Open(bg, path, nil)
	require.NoError(t, err)
	_, err = backup.Get(bg, testKey("k"))
	require.NoError(t, err)
	require.NoError(t, backup.Close())
	require.Empty(t, leftovers(t, folder))
}

// TestBackupsIntoOneFolder at the same time do not take each other's copies for
// leftovers.
func TestBackupsIntoOneFolder(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, err := range start(8, func(i int) error {
		s, err := Open(bg, filepath.Join(t.TempDir(), "records.db"), nil)
		if err != nil {
			return err
		}
		defer s.Close()
		for j := range 10 {
			if err := s.Backup(bg, filepath.Join(folder, fmt.Sprint(i, "-", j))); err != nil {
				return err
			}
		}
		return nil
	})() {
		require.NoError(t, err)
	}
	require.Empty(t, leftovers(t, folder))
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 80)
}

// TestFileSizeLimit: when a limit or a quota ends the -wal file, emptying it helps.
func TestFileSizeLimit(t *testing.T) {
	const isChild, limit = "SQLITE_TEST_LIMIT", 1 << 20
	if os.Getenv(isChild) == "" {
		child := exec.Command(os.Args[0], "-test.run", "^TestFileSizeLimit$", "-test.v")
		child.Env = append(os.Environ(), isChild+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	s := testStore(t, nil)
	_, err := s.Get(bg, testKey("k")) // a reader is connected
	require.ErrorIs(t, err, storage.ErrNotFound)
	signal.Ignore(syscall.SIGXFSZ)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}))
	failed := 0
	for i := range 2 * limit / 8192 {
		switch _, err := storage.Put(bg, s, testRecord(fmt.Sprint(i)), 0); {
		case err == nil:
		default:
			failed++
			silent(t, err)
			require.ErrorIs(t, err, storage.ErrUnknownOutcome)
			require.ErrorIs(t, err, storage.ErrEnded)
			require.ErrorContains(t, err, "SQLITE_IOERR")
		}
	}
	require.NotZero(t, failed)
	require.Less(t, failed, 5, "once for each time that the -wal file is full")
}
