package sqlite

import (
	"database/sql/driver"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// TestVersion1: a file that version 1 of this package made, with 20 records of which
// every other was updated once, keeps them, and can do what the newest version can.
func TestVersion1(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/version1.sqlite")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "records.db")
	require.NoError(t, os.WriteFile(path, file, 0o600))
	revisions := make(map[string]storage.Revision)
	c, err := dial(dsnOf(path, "rw"))
	require.NoError(t, err)
	require.NoError(t, c.query("SELECT external_id, revision FROM records", 2, func(row []driver.Value) bool {
		revisions[row[0].(string)] = storage.Revision(row[1].(int64))
		return true
	}))
	require.NoError(t, c.close())

	for range 2 { // once as a file of version 1, and once as what became of it
		s, err := Open(bg, path, nil)
		require.NoError(t, err)
		for i := range 20 {
			id := fmt.Sprintf("customer-%02d", i)
			want := storage.Record{
				Key: storage.Key{
					Tenant:     storage.TenantOf("acme", fmt.Sprint("business-", i%2)),
					Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
					ExternalID: id,
				},
				Revision:  revisions[id],
				ID:        uuid.NewSHA1(uuid.NameSpaceOID, []byte(fmt.Sprint(i))),
				CreatedAt: time.Date(2025, 3, 1, 12, 0, i, 0, time.UTC),
				UpdatedAt: time.Date(2025, 4, 1, 12, 0, i, 5e6, time.UTC),
				Data:      fmt.Appendf(nil, `{"customerId":%q}`, id),
			}
			got, err := s.Get(bg, want.Key)
			require.NoError(t, err)
			require.Equal(t, want, got)
			if i%2 == 0 {
				entries := []storage.Entry{uniqueEntry(1, id)}
				require.NoError(t, s.SetEntries(bg, want.Key, want.Revision, entries))
				page, err := s.Lookup(bg, want.Key.Scope(), 1, storage.Range{From: entries[0].Value, Limit: 10})
				require.NoError(t, err)
				require.Equal(t, []storage.Record{want}, page.Records)
			}
			w := storage.Write{Record: want, Expect: want.Revision, Entries: []storage.Entry{entry(2, "x")}, Note: &storage.Note{Time: time.Now()}}
			w.Record.Revision = storage.NextRevision(w.Expect)
			require.NoError(t, errOf(s.Write(bg, []storage.Write{w})))
			revisions[id] = w.Record.Revision
			changes := history(t, s)
			require.Equal(t, want.ID, changes[len(changes)-1].ID)
		}
		require.NoError(t, s.Close())
	}
}

// TestMigrationOfALargeFile changes no row, and a program of version 1 that has the file
// open goes on.
func TestMigrationOfALargeFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "records.db")
	old, err := dial(dsnOf(path, "rwc"))
	require.NoError(t, err)
	defer old.close()
	k := testKey("k")
	const insert = "INSERT INTO records (platform, business, schema, external_id, revision, id, created_at, updated_at, data)" +
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"
	const update = "UPDATE records SET revision = ?6, updated_at = ?7, data = ?8 WHERE " + ofKey + " AND revision = ?5"
	const remove = "DELETE FROM records WHERE " + ofKey + " AND revision = ?5"
	write := func(query, id string, args ...driver.Value) (changed int64) {
		k.ExternalID = id
		changed, err := old.exec(query, keyArgs(&k, args...)...)
		require.NoError(t, err)
		return changed
	}
	create := func(id string) int64 {
		return write(insert, id, int64(1), k.Schema[:], int64(0), int64(0), make([]byte, 2000))
	}
	for _, setUp := range []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF", sqlRecords,
		fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 1", "BEGIN"} {
		_, err := old.value(setUp)
		require.NoError(t, err)
	}
	for i := range 2000 {
		require.Equal(t, int64(1), create(fmt.Sprint(i)))
	}
	for _, end := range []string{"COMMIT", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		_, err = old.exec(end)
		require.NoError(t, err)
	}

	s, err := Open(bg, path, nil)
	require.NoError(t, err)
	defer s.Close()
	require.Less(t, s.writer.walSize(), int64(256<<10), "of 4 MB")

	require.NoError(t, s.SetEntries(bg, testKey("7"), 1, []storage.Entry{uniqueEntry(1, "7")}))
	require.NoError(t, s.SetEntries(bg, testKey("8"), 1, []storage.Entry{uniqueEntry(1, "8")}))
	require.Equal(t, int64(0), create("7"))
	require.Len(t, found(t, s), 2)
	require.Equal(t, int64(1), write(update, "7", int64(1), int64(5), int64(0), []byte("new")))
	require.Len(t, found(t, s), 1)
	rec, err := s.Get(bg, testKey("7"))
	require.NoError(t, err)
	require.Equal(t, storage.Revision(5), rec.Revision)
	require.Equal(t, int64(1), write(remove, "8", int64(1)))
	require.Empty(t, found(t, s))
	require.Equal(t, int64(1), create("new"))
	require.NoError(t, storage.Delete(bg, s, testKey("new"), 1))
}
