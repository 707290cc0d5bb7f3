package sqlite

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	codes "modernc.org/sqlite/lib"

	"example.com/resourcekit/storage"
)

// logged makes n logged writes of the key, at the times 1, 2, ... milliseconds.
func logged(t *testing.T, s *Store, id string, n int) {
	t.Helper()
	rec, err := s.Get(bg, testKey(id))
	if err != nil {
		require.ErrorIs(t, err, storage.ErrNotFound)
		rec = testRecord(id)
	}
	for i := range n {
		w := storage.Write{Record: rec, Expect: rec.Revision, Note: &storage.Note{Time: time.UnixMilli(int64(i + 1)), Actor: "alice"}}
		w.Record.Revision = storage.NextRevision(w.Expect)
		require.NoError(t, errOf(s.Write(bg, []storage.Write{w})))
		rec = w.Record
	}
}

// history returns all changes.
func history(t *testing.T, s *Store) (changes []storage.Change) {
	t.Helper()
	for q := (storage.ChangeQuery{Limit: storage.MaxPage}); ; {
		page, err := s.Changes(bg, q)
		require.NoError(t, err)
		changes = append(changes, page.Changes...)
		if q.After = page.Next; !page.More {
			return changes
		}
	}
}

// redacted redacts the changes of a key, and returns how many.
func redacted(t *testing.T, s *Store, id string) int {
	t.Helper()
	n, err := s.Redact(bg, testKey(id), storage.Note{Time: time.UnixMilli(1), Actor: "eve"})
	require.NoError(t, err)
	return n
}

// TestSteps: a long Trim and Redact are several transactions, so that other writes get
// in between.
func TestSteps(t *testing.T) {
	t.Parallel()
	const n = 3*maxStep + 10
	s := testStore(t, &Options{SyncNormal: true})
	logged(t, s, "k", n)
	logged(t, s, "other", 1)

	s.writer.transactions = 0
	require.Equal(t, n, redacted(t, s, "k"))
	require.Equal(t, 4, s.writer.transactions)
	changes := history(t, s)
	require.Len(t, changes, n+2)
	require.True(t, changes[n+1].Redacted, "the change that Redact has added")
	for _, c := range changes[:n] {
		require.True(t, c.Redacted)
		require.Equal(t, storage.Note{Time: c.Note.Time}, c.Note)
	}
	require.False(t, changes[n].Redacted)

	s.writer.transactions = 0
	require.NoError(t, s.Trim(bg, time.UnixMilli(2), storage.Cursor{}))
	require.Len(t, history(t, s), n+1, "up to the first one that is not older")
	require.NoError(t, s.Trim(bg, time.UnixMilli(n+1), storage.Cursor{}))
	require.Equal(t, 1+4, s.writer.transactions)
	require.Empty(t, history(t, s))
	count, err := s.writer.conn.value("SELECT count(*) FROM changes")
	require.NoError(t, err)
	require.Equal(t, int64(1), count, "the floor")

	page, err := s.Changes(bg, storage.ChangeQuery{After: changes[n+1].Cursor, Limit: 10})
	require.NoError(t, err, "a reader that had read all")
	require.Equal(t, changes[n+1].Cursor, page.Next)
	_, err = s.Changes(bg, storage.ChangeQuery{After: changes[n].Cursor, Limit: 10})
	require.ErrorIs(t, err, storage.ErrExpired)
	logged(t, s, "k", 1)
	require.Greater(t, history(t, s)[0].Cursor.Position, changes[n+1].Cursor.Position)
}

// TestRedactGoesOn: a Redact that ends between two steps, or whose log is trimmed then, leaves
// no change redacted without one after it that says so. The same call again does the rest,
// and adds none for an ID that has one.
func TestRedactGoesOn(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(t *testing.T, s *Store){
		"again": func(*testing.T, *Store) {},
		"trimmed": func(t *testing.T, s *Store) {
			changes := history(t, s)
			require.NoError(t, s.Trim(bg, time.Now(), changes[len(changes)-3].Cursor)) // two were added
		},
		"written": func(t *testing.T, s *Store) { logged(t, s, "k", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := testStore(t, &Options{SyncNormal: true})
			lives := []int{10, 2 * maxStep, 10} // changes of one ID: in the first step, in three, and in the last
			for i, n := range lives {
				rec := testRecord("k")
				rec.ID[0] = byte(i + 1)
				_, err := storage.Put(bg, s, rec, 0)
				require.NoError(t, err)
				logged(t, s, "k", n)
				if rec, err = s.Get(bg, rec.Key); i < len(lives)-1 {
					require.NoError(t, storage.Delete(bg, s, rec.Key, rec.Revision))
				}
				require.NoError(t, err)
			}
			steps := 0
			before(t, s, sqlRedact, func() error {
				if steps++; steps == 2 {
					return coded(codes.SQLITE_IOERR)
				}
				return nil
			})
			_, err := s.Redact(bg, testKey("k"), storage.Note{})
			require.ErrorIs(t, err, storage.ErrUnavailable)
			told := func() (ids []byte) {
				open := make(map[uuid.UUID]bool) // redacted, and nothing after it says so
				for _, c := range history(t, s) {
					switch {
					case c.Deleted && c.Before == 0:
						ids, open[c.ID] = append(ids, c.ID[0]), false
					case c.Redacted:
						open[c.ID] = true
					}
				}
				require.NotContains(t, slices.Collect(maps.Values(open)), true)
				return ids
			}
			require.Equal(t, []byte{1, 2}, told())
			between(t, s)
			left := 0
			for _, c := range history(t, s) {
				if !c.Redacted {
					left++
				}
			}
			require.Equal(t, left, redacted(t, s, "k"))
			want := []byte{1, 2, 3}
			if name == "trimmed" && left == 0 {
				want = []byte{1, 2}
			}
			require.Equal(t, want, told())
			require.Zero(t, redacted(t, s, "k"))
			require.Equal(t, want, told())
		})
	}
}

// TestSecureDelete: with it the closed file has nothing of a record that was deleted and
// redacted; without it some is left, until the file is copied.
func TestSecureDelete(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "records.db")
		s, err := Open(bg, path, &Options{SyncNormal: true, SecureDelete: secure})
		require.NoError(t, err)
		document := []byte(strings.Repeat("alice's document ", 5000))
		for i := range 200 { // so that pages split and merge
			rec := testRecord(fmt.Sprintf("alice-%d", i))
			if i%2 == 1 {
				rec = testRecord(fmt.Sprintf("bob-%d", i))
			}
			rec.Data = document[:17*(1+i%50)]
			w := creates(rec)[0]
			w.Note = &storage.Note{Actor: "alice's actor", After: document[:17*(1+i*25)]}
			require.NoError(t, errOf(s.Write(bg, []storage.Write{w})))
		}
		for i := range 200 {
			id := fmt.Sprintf("alice-%d", i)
			rec, err := s.Get(bg, testKey(id))
			if err == nil {
				require.NoError(t, storage.Delete(bg, s, rec.Key, rec.Revision))
				require.Equal(t, 1, redacted(t, s, id))
			}
		}
		for _, c := range history(t, s) {
			if !c.Redacted {
				rec, err := s.Get(bg, c.Key)
				require.NoError(t, err)
				require.NoError(t, storage.Delete(bg, s, rec.Key, rec.Revision))
			}
		}
		require.NoError(t, s.Trim(bg, time.Now(), storage.Cursor{}))
		copied := filepath.Join(t.TempDir(), "copy.db")
		require.NoError(t, s.Backup(bg, copied))
		require.NoError(t, s.Close())
		for _, file := range []string{path, copied} {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			left := bytes.Contains(data, []byte("alice"))
			require.Equal(t, !secure && file == path, left, "secure %v, %s", secure, filepath.Base(file))
			require.NoFileExists(t, file+"-wal")
		}
	}
}

// TestLargeSteps end by bytes, and so does a page of changes.
func TestLargeSteps(t *testing.T) {
	t.Parallel()
	const n = 5
	s := testStore(t, nil)
	for i := range n {
		w := creates(testRecord(fmt.Sprint(i)))
		w[0].Note = &storage.Note{Before: make([]byte, maxStepBytes/4), After: make([]byte, maxStepBytes/4)}
		require.NoError(t, errOf(s.Write(bg, w)))
	}
	page, err := s.Changes(bg, storage.ChangeQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Changes, 2)
	require.True(t, page.More)
	require.Equal(t, page.Changes[1].Cursor, page.Next)
	require.Len(t, history(t, s), n)
	s.writer.transactions = 0
	require.NoError(t, s.Trim(bg, time.Now(), storage.Cursor{}))
	require.Equal(t, 3, s.writer.transactions)
}

// TestChangesOfOneScopeAmongOthers: a page looks at so many changes, and goes on after them.
func TestChangesOfOneScopeAmongOthers(t *testing.T) {
	t.Parallel()
	s := testStore(t, &Options{SyncNormal: true})
	elsewhere := func(n int) {
		for i := range n {
			var writes []storage.Write
			for j := range storage.MaxBatch {
				w := creates(storage.Record{Key: testKey(fmt.Sprintf("%d %d %d", n, i, j))})[0]
				w.Record.Key.Tenant = storage.TenantOf("acme", "another")
				w.Note = &storage.Note{}
				writes = append(writes, w)
			}
			require.NoError(t, errOf(s.Write(bg, writes)))
		}
	}
	logged(t, s, "a", 1)
	elsewhere(1)
	require.NoError(t, s.Trim(bg, time.UnixMilli(2), storage.Cursor{})) // positions do not begin with 1
	logged(t, s, "b", 1)
	elsewhere(2*maxScan/storage.MaxBatch + 1)
	logged(t, s, "c", 1)
	var found []string
	pages := 0
	for q := (storage.ChangeQuery{Scope: testKey("").Scope(), Limit: 10}); ; pages++ {
		page, err := s.Changes(bg, q)
		require.NoError(t, err)
		require.Greater(t, page.Next.Position, q.After.Position)
		for _, c := range page.Changes {
			found = append(found, c.Key.ExternalID)
		}
		if q.After = page.Next; !page.More {
			break
		}
	}
	require.Equal(t, []string{"b", "c"}, found)
	require.Equal(t, 2, pages)
	page, err := s.Changes(bg, storage.ChangeQuery{Scope: testKey("").Scope(), ExternalID: "c", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Changes, 1)
	require.False(t, page.More)
}

// TestRestoredLog: a cursor of changes that a backup does not have is not one of the log
// that goes on from the backup, not even when that has reached its position.
func TestRestoredLog(t *testing.T) {
	t.Parallel()
	s := testStore(t, nil)
	logged(t, s, "k", 3)
	redacted(t, s, "k")
	kept := history(t, s)
	path := filepath.Join(t.TempDir(), "backup.db")
	require.NoError(t, s.Backup(bg, path))
	logged(t, s, "k", 3)
	lost := history(t, s)[6].Cursor

	restored, err := Open(bg, path, nil)
	require.NoError(t, err)
	defer restored.Close()
	require.Equal(t, kept, history(t, restored))
	for range 5 {
		_, err = restored.Changes(bg, storage.ChangeQuery{After: lost, Limit: 10})
		require.ErrorIs(t, err, storage.ErrExpired)
		logged(t, restored, "k", 1)
	}
	require.Greater(t, history(t, restored)[8].Cursor.Position, lost.Position)
	page, err := restored.Changes(bg, storage.ChangeQuery{After: kept[2].Cursor, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Changes, 1+5)
	redacted(t, restored, "k")
	require.Equal(t, kept[0].Key, history(t, restored)[8].Key, "the same secret")
}

// TestEnded: a commit that failed on the disk is over once the log is empty, from which a
// crash could bring it back.
func TestEnded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		check func() error // of the checkpoint
		ended bool
	}{
		{"emptied", func() error { return nil }, true},
		{"not emptied", func() error { return coded(codes.SQLITE_IOERR) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t, nil)
			_, err := storage.Put(bg, s, testRecord("first"), 0)
			require.NoError(t, err)
			before(t, s, sqlCommit, func() error { return coded(codes.SQLITE_IOERR) })
			before(t, s, sqlCheckpoint, tt.check)
			_, err = storage.Put(bg, s, testRecord("alice"), 0)
			silent(t, err)
			require.ErrorIs(t, err, storage.ErrUnknownOutcome)
			if tt.ended {
				require.ErrorIs(t, err, storage.ErrEnded)
			} else {
				require.NotErrorIs(t, err, storage.ErrEnded)
			}
		})
	}
}
