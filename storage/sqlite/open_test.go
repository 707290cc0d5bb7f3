package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
)

var scope = storage.Scope{
	Tenant: storage.TenantOf("acme", "main"),
	Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
}

func key(id string) storage.Key {
	return storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: id}
}

func record(id, data string) storage.Record {
	return storage.Record{Key: key(id), Data: []byte(data)}
}

func open(t testing.TB, path string, opts *sqlite.Options) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(context.Background(), path, opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// uri is the path for database/sql, to which a ? in a plain path begins parameters.
func uri(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }

// execute runs SQL on a file as another program would.
func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", uri(path))
	require.NoError(t, err)
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		path string // in a directory of its own, unless it has another form
		file func(t *testing.T, path string)
		want string
	}{
		{"nothing", "", nil, "path is empty"},
		{"memory", ":memory:", nil, "in memory"},
		{"memory with parameters", ":memory:?cache=shared", nil, "in memory"},
		{"memory as a URI", "file::memory:?cache=shared", nil, "not a URI"},
		{"a URI", "file:/tmp/records.db", nil, "not a URI"},
		{"NUL", "a\x00b", nil, "NUL"},
		{"directory is missing", "missing/records.db", func(*testing.T, string) {}, "directory of the path does not exist"},
		{"directory is a file", "file/records.db", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(filepath.Dir(path), []byte("x"), 0o600))
		}, "directory of the path"},
		{"path is a directory", "records.db", func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path, 0o700))
		}, "not a regular file"},
		{"text", "records.db", func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("alice@example.com\n"), 100), 0o600))
		}, "another program"},
		{"tables of another program", "records.db", func(t *testing.T, path string) {
			execute(t, path, "CREATE TABLE records (x)")
		}, "another program"},
		{"application id of another program", "records.db", func(t *testing.T, path string) {
			execute(t, path, "PRAGMA application_id = 17", "PRAGMA user_version = 1")
		}, "another program"},
		{"version of another program", "records.db", func(t *testing.T, path string) {
			execute(t, path, "PRAGMA user_version = 1")
		}, "another program"},
		{"newer version", "records.db", func(t *testing.T, path string) {
			store, err := sqlite.Open(context.Background(), path, nil)
			require.NoError(t, err)
			require.NoError(t, store.Close())
			execute(t, path, "PRAGMA user_version = 7")
		}, "version 7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := tt.path
			if tt.file != nil {
				path = filepath.Join(t.TempDir(), path)
				tt.file(t, path)
			}
			before, _ := os.ReadFile(path)
			store, err := sqlite.Open(context.Background(), path, nil)
			require.ErrorIs(t, err, storage.ErrInvalid)
			require.ErrorContains(t, err, "storage: open: ")
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "alice")
			require.Nil(t, store)
			after, _ := os.ReadFile(path)
			require.True(t, bytes.Equal(before, after), "the file was changed")
		})
	}
	for _, opts := range []sqlite.Options{{Readers: -1}, {BusyTimeout: -1}} {
		_, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "x"), &opts)
		require.ErrorIs(t, err, storage.ErrInvalid)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := sqlite.Open(cancelled, filepath.Join(t.TempDir(), "x"), nil)
	require.ErrorIs(t, err, context.Canceled)
}

// TestOpenWaitsForALock that another program has while the file is made.
func TestOpenWaitsForALock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	execute(t, path, "PRAGMA journal_mode = WAL")
	release := block(t, path)
	_, err := sqlite.Open(context.Background(), path, &sqlite.Options{BusyTimeout: 50 * time.Millisecond})
	require.ErrorIs(t, err, storage.ErrUnavailable)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = sqlite.Open(ctx, path, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	time.AfterFunc(50*time.Millisecond, release)
	open(t, path, nil)
}

// TestPaths: a path may have characters with a meaning in URIs, SQL and shells, in the name
// of the folder and in that of the file.
func TestPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"a b", " ", "a+b", "a?b", "a#b", "a%b", "%41", "a%3fb?mode=memory&cache=shared#x", "a&b=c;d", "é😀", "'\"`", "a'b", "a:b", "-x",
		"\xff", "a\nb", `a\b`, "[a]*", "$HOME", "records.db?_pragma=query_only(1)",
	} {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			ctx, dir := context.Background(), filepath.Join(t.TempDir(), name)
			require.NoError(t, os.Mkdir(dir, 0o700))
			path, backup, link := filepath.Join(dir, name), filepath.Join(dir, "copy of "+name), filepath.Join(dir, "link to "+name)
			store := open(t, path, nil)
			rev, err := storage.Put(ctx, store, record("k", "x"), 0)
			require.NoError(t, err)
			require.NoError(t, store.Backup(ctx, backup))
			require.NoError(t, store.Close())
			require.NoError(t, os.Symlink(name, link))
			for _, path := range []string{path, backup, link} {
				store := open(t, path, nil)
				rec, err := store.Get(ctx, key("k"))
				require.NoError(t, err)
				require.Equal(t, rev, rec.Revision)
				require.NoError(t, store.Close())
			}
			require.ElementsMatch(t, []string{name, filepath.Base(backup), filepath.Base(link)}, names(t, dir))
		})
	}
}

func names(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestLink: SQLite and Open look for the other files beside the target of a link.
func TestLink(t *testing.T) {
	t.Parallel()
	ctx, dir := context.Background(), t.TempDir()
	path, link := filepath.Join(dir, "records.db"), filepath.Join(t.TempDir(), "link.db")
	require.NoError(t, os.Symlink(path, link))
	_, err := sqlite.Open(ctx, link, nil)
	require.ErrorIs(t, err, storage.ErrInvalid)
	require.ErrorContains(t, err, "link")
	require.NoFileExists(t, path)

	store := open(t, path, nil)
	rev, err := storage.Put(ctx, store, record("k", "x"), 0)
	require.NoError(t, err)
	rec, err := open(t, link, nil).Get(ctx, key("k"))
	require.NoError(t, err)
	require.Equal(t, rev, rec.Revision)
	require.ErrorIs(t, store.Backup(ctx, link), storage.ErrInvalid)

	// A directory may be a link, too, and lead elsewhere later.
	one, two, current := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "current")
	for _, d := range []string{one, two} {
		require.NoError(t, os.Mkdir(d, 0o700))
		other := open(t, filepath.Join(d, "x.db"), nil)
		_, err = storage.Put(ctx, other, record("k", d), 0)
		require.NoError(t, err)
		require.NoError(t, other.Close())
	}
	for _, name := range []string{"x.db", "new.db"} {
		require.NoError(t, os.Symlink(one, current))
		moved := open(t, filepath.Join(current, name), nil)
		_, err = storage.Put(ctx, moved, record("in one", "x"), 0)
		require.NoError(t, err)
		require.NoError(t, os.Remove(current))
		require.NoError(t, os.Symlink(two, current))
		_, err = moved.Get(ctx, key("in one"))
		require.NoError(t, err, name)
		require.NoError(t, os.Remove(current))
	}

	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	lost, link := filepath.Join(dir, "lost.db"), filepath.Join(dir, "link to lost.db")
	require.NoError(t, os.WriteFile(lost, nil, 0o600))
	require.NoError(t, os.WriteFile(lost+"-wal", log, 0o600))
	require.NoError(t, os.Symlink(lost, link))
	_, err = sqlite.Open(ctx, link, nil)
	require.ErrorIs(t, err, storage.ErrInvalid)
	require.ErrorContains(t, err, "-wal")
	left, err := os.ReadFile(lost + "-wal")
	require.NoError(t, err)
	require.Equal(t, log, left)
}

// TestFileErrors: the reason that the system gave is there, the path is not.
func TestFileErrors(t *testing.T) {
	loop := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.Symlink(loop, loop))
	_, err := sqlite.Open(context.Background(), loop, nil)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.NotContains(t, err.Error(), "secret")

	long := filepath.Join(t.TempDir(), strings.Repeat("x", 300))
	_, err = sqlite.Open(context.Background(), long, nil)
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorIs(t, err, syscall.ENAMETOOLONG)
	require.ErrorContains(t, err, "storage: open: ")
	require.ErrorContains(t, err, syscall.ENAMETOOLONG.Error())
	require.NotContains(t, err.Error(), "xxx")
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"records.db", "./file:x", "./:memory:"} {
		store := open(t, path, nil)
		t.Chdir(t.TempDir()) // an open store does not depend on it
		_, err := storage.Put(context.Background(), store, record("k", "x"), 0)
		require.NoError(t, err)
		_, err = store.Get(context.Background(), key("k"))
		require.NoError(t, err)
	}
}

func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	store := open(t, filepath.Join(dir, "records.db"), nil)
	_, err := storage.Put(context.Background(), store, record("k", "x"), 0)
	require.NoError(t, err)
	require.NoError(t, store.Backup(context.Background(), filepath.Join(dir, "backup.db")))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 4, "the file, -wal, -shm and the backup")
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), e.Name())
	}

	// An empty file with permissions of its own keeps them.
	path := filepath.Join(dir, "shared.db")
	require.NoError(t, os.WriteFile(path, nil, 0o640))
	require.NoError(t, os.Chmod(path, 0o640))
	open(t, path, nil)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode())
}

// TestOpenAtOnce opens one new file many times at the same time, in this process
// and in others.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	const inProcess, processes = 8, 3
	patient := sqlite.Options{BusyTimeout: time.Minute} // of a slow machine
	path := os.Getenv("SQLITE_TEST_OPEN")
	if path == "" {
		path = filepath.Join(t.TempDir(), "records.db")
		for range processes {
			child := exec.Command(os.Args[0], "-test.run", "^TestOpenAtOnce$")
			child.Env = append(os.Environ(), "SQLITE_TEST_OPEN="+path)
			var out strings.Builder
			child.Stdout, child.Stderr = &out, &out
			require.NoError(t, child.Start())
			defer func() { require.NoError(t, child.Wait(), out.String()) }()
		}
	}
	var wg sync.WaitGroup
	for i := range inProcess {
		wg.Go(func() {
			store, err := sqlite.Open(context.Background(), path, &patient)
			if err != nil {
				t.Error(err)
				return
			}
			id := fmt.Sprint(os.Getpid(), "-", i)
			if _, err := storage.Put(context.Background(), store, record(id, "x"), 0); err != nil {
				t.Error(err)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			store, err = sqlite.Open(context.Background(), path, &patient)
			if err != nil {
				t.Error(err)
				return
			}
			defer store.Close()
			if _, err := store.Get(context.Background(), key(id)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
