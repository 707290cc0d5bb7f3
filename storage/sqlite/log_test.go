package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

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
	redacted(t, s, "k")
	require.Equal(t, 4, s.writer.transactions)
	changes := history(t, s)
	require.Len(t, changes, n+1)
	for _, c := range changes[:n] {
		require.True(t, c.Redacted)
		require.Equal(t, storage.Note{Time: c.Note.Time}, c.Note)
	}
	require.False(t, changes[n].Redacted)

	s.writer.transactions = 0
	require.NoError(t, s.Trim(bg, time.UnixMilli(2), storage.Cursor{}))
	require.Len(t, history(t, s), n, "up to the first one that is not older")
	require.NoError(t, s.Trim(bg, time.UnixMilli(n+1), storage.Cursor{}))
	require.Equal(t, 1+4, s.writer.transactions)
	require.Empty(t, history(t, s))
	count, err := s.writer.conn.value("SELECT count(*) FROM changes")
	require.NoError(t, err)
	require.Equal(t, int64(1), count, "the floor")

	page, err := s.Changes(bg, storage.ChangeQuery{After: changes[n].Cursor, Limit: 10})
	require.NoError(t, err, "a reader that had read all")
	require.Equal(t, changes[n].Cursor, page.Next)
	_, err = s.Changes(bg, storage.ChangeQuery{After: changes[n-1].Cursor, Limit: 10})
	require.ErrorIs(t, err, storage.ErrExpired)
	logged(t, s, "k", 1)
	require.Greater(t, history(t, s)[0].Cursor.Position, changes[n].Cursor.Position)
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
	lost := history(t, s)[5].Cursor

	restored, err := Open(bg, path, nil)
	require.NoError(t, err)
	defer restored.Close()
	require.Equal(t, kept, history(t, restored))
	for range 5 {
		_, err = restored.Changes(bg, storage.ChangeQuery{After: lost, Limit: 10})
		require.ErrorIs(t, err, storage.ErrExpired)
		logged(t, restored, "k", 1)
	}
	require.Greater(t, history(t, restored)[7].Cursor.Position, lost.Position)
	page, err := restored.Changes(bg, storage.ChangeQuery{After: kept[2].Cursor, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Changes, 5)
	redacted(t, restored, "k")
	require.Equal(t, kept[0].Key, history(t, restored)[7].Key, "the same secret")
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
