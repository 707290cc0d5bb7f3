package sqlite

import (
	"database/sql/driver"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

func entry(index uint32, value string) storage.Entry {
	return storage.Entry{Index: index, Value: []byte(value)}
}

func uniqueEntry(index uint32, value string) storage.Entry {
	return storage.Entry{Index: index, Value: []byte(value), Unique: true}
}

// TestPack: random entries come out as they went in, and the difference of two sets leads
// from one to the other.
func TestPack(t *testing.T) {
	var sets [][]storage.Entry
	for range 200 {
		var entries []storage.Entry
		for range rand.IntN(storage.MaxEntries + 1) {
			value := make([]byte, 1+rand.IntN(storage.MaxValue))
			for i := range value {
				value[i] = []byte{0, '0', '1', 0xff}[rand.IntN(4)]
			}
			if rand.IntN(2) == 0 {
				value = value[:1] // some are in several sets
			}
			entries = append(entries, storage.Entry{Index: 1 + rand.Uint32()>>(rand.IntN(2)*30), Value: value, Unique: rand.IntN(2) == 0})
		}
		sets = append(sets, storage.SortEntries(entries))
	}
	cells := func(entries []storage.Entry) (cells []string) {
		for c, rest := next(pack(entries)); c != nil; c, rest = next(rest) {
			cells = append(cells, string(c))
		}
		return cells
	}
	for i, to := range sets {
		packed := pack(to)
		for _, e := range to {
			var c cell
			c, packed = next(packed)
			require.Equal(t, e, storage.Entry{Index: c.index(), Value: c.place()[4:], Unique: c.unique()})
		}
		require.Empty(t, packed)
		from := sets[(i+1)%len(sets)]
		lost, gained := difference(pack(from), pack(to))
		got := cells(from)
		for _, c := range lost {
			require.Contains(t, got, string(c))
			got = slices.DeleteFunc(got, func(other string) bool { return other == string(c) })
		}
		for _, c := range gained {
			require.NotContains(t, got, string(c))
			got = append(got, string(c))
		}
		require.ElementsMatch(t, cells(to), got)
		lost, gained = difference(pack(to), pack(to))
		require.Empty(t, lost)
		require.Empty(t, gained)
	}
}

// found returns the entries by which look-ups find records. It demands that they are
// those that the records have.
func found(t *testing.T, s *Store) (found []string) {
	t.Helper()
	var want []string
	indexes := make(map[uint32]bool)
	require.NoError(t, s.read(bg, func(c *conn) error {
		return c.query("SELECT external_id, entries FROM records WHERE entries IS NOT NULL", 2, func(row []driver.Value) bool {
			for c, rest := next(row[1].([]byte)); c != nil; c, rest = next(rest) {
				want = append(want, fmt.Sprintf("%s %d %q", row[0], c.index(), c.place()[4:]))
				indexes[c.index()] = true
			}
			return true
		})
	}))
	for index := range indexes {
		page, err := s.Lookup(bg, testKey("").Scope(), index, storage.Range{Limit: storage.MaxPage})
		require.NoError(t, err)
		require.Len(t, page.Values, len(page.Records))
		for i, rec := range page.Records {
			found = append(found, fmt.Sprintf("%s %d %q", rec.Key.ExternalID, index, page.Values[i]))
		}
	}
	require.ElementsMatch(t, want, found)
	return found
}

// TestSQLThatChangesRecords, of other programs: the record gets a new revision and loses
// its entries, its unique values are free, and SetEntries restores them.
func TestSQLThatChangesRecords(t *testing.T) {
	t.Parallel()
	const (
		columns = "platform, business, schema, external_id, revision, id, created_at, updated_at, data"
		row     = "SELECT platform, business, schema, 'k', 77, id, 0, 0, x'6e6577' FROM records WHERE external_id = 'k'"
	)
	for _, tt := range []struct {
		name, sql string
		revision  storage.Revision // 0: a new one that the trigger makes
		kept      bool             // nothing has changed
		deleted   bool
	}{
		{name: "update", sql: "UPDATE records SET data = x'6e6577' WHERE external_id = 'k'"},
		{name: "update of all", sql: "UPDATE records SET updated_at = 0"},
		{name: "update with a revision", sql: "UPDATE records SET data = x'6e6577', revision = 77 WHERE external_id = 'k'", revision: 77},
		{name: "update of the key", sql: "UPDATE records SET external_id = 'l' WHERE external_id = 'k'", deleted: true},
		{name: "delete", sql: "DELETE FROM records WHERE external_id = 'k'", deleted: true},
		{name: "delete of all", sql: "DELETE FROM records", deleted: true},
		{name: "replace", sql: "INSERT OR REPLACE INTO records (" + columns + ") " + row, revision: 77},
		{name: "ignore", sql: "INSERT OR IGNORE INTO records (" + columns + ") " + row, kept: true},
		{name: "upsert", sql: "INSERT INTO records (" + columns + ") " + row + " ON CONFLICT DO UPDATE SET data = x'6e6577'"},
		{name: "nothing", sql: "INSERT INTO records (" + columns + ") " + row + " ON CONFLICT DO NOTHING", kept: true},
	} {
		for _, recursive := range []string{"OFF", "ON"} {
			t.Run(tt.name+" "+recursive, func(t *testing.T) {
				s := testStore(t, nil)
				entries := []storage.Entry{entry(1, "a"), uniqueEntry(1, "b"), entry(1<<31, strings.Repeat("\xff", storage.MaxValue))}
				writes := creates(testRecord("k"), testRecord("other"))
				writes[0].Entries = entries
				writes[1].Entries = []storage.Entry{entry(1, "a")}
				require.NoError(t, errOf(s.Write(bg, writes)))
				before := found(t, s)
				require.Len(t, before, 4)

				foreign, err := s.connect()
				require.NoError(t, err)
				defer foreign.close()
				_, err = foreign.exec("PRAGMA recursive_triggers = " + recursive)
				require.NoError(t, err)
				_, err = foreign.exec(tt.sql)
				require.NoError(t, err)

				after := found(t, s)
				rec, err := s.Get(bg, testKey("k"))
				if tt.kept {
					require.NoError(t, err)
					require.ElementsMatch(t, before, after)
					require.Equal(t, writes[0].Record.Revision, rec.Revision)
					return
				}
				for _, e := range after {
					require.NotContains(t, e, "k ")
				}
				taker := creates(testRecord("taker"))
				taker[0].Entries = entries[1:2]
				require.NoError(t, errOf(s.Write(bg, taker)), "the value is free")
				if tt.deleted {
					require.ErrorIs(t, err, storage.ErrNotFound)
					return
				}
				require.NoError(t, err)
				if tt.revision != 0 {
					require.Equal(t, tt.revision, rec.Revision)
				} else {
					require.Greater(t, rec.Revision, writes[0].Record.Revision)
					require.LessOrEqual(t, rec.Revision, writes[0].Record.Revision+1<<30)
				}
				require.NoError(t, storage.Delete(bg, s, taker[0].Record.Key, taker[0].Record.Revision))
				require.NoError(t, s.SetEntries(bg, rec.Key, rec.Revision, entries))
				require.Subset(t, found(t, s), []string{`k 1 "a"`, `k 1 "b"`})
			})
		}
	}
}

// errOf returns the first error of a Write.
func errOf(errs []error, err error) error {
	for _, e := range append(errs, err) {
		if e != nil {
			return e
		}
	}
	return nil
}

// TestSetEntriesRestores entries that are missing although the record says that it has
// them: SQL that copies whole rows does that.
func TestSetEntriesRestores(t *testing.T) {
	s := testStore(t, nil)
	writes := creates(testRecord("k"))
	writes[0].Entries = []storage.Entry{entry(1, "a"), uniqueEntry(2, "b")}
	require.NoError(t, errOf(s.Write(bg, writes)))
	_, err := s.writer.conn.exec("DELETE FROM entries")
	require.NoError(t, err)
	require.NoError(t, s.SetEntries(bg, testKey("k"), writes[0].Record.Revision, writes[0].Entries))
	require.Len(t, found(t, s), 2)

	// With nothing to restore nothing is written.
	before := s.writer.walSize()
	require.NoError(t, s.SetEntries(bg, testKey("k"), writes[0].Record.Revision, writes[0].Entries))
	require.Equal(t, before, s.writer.walSize())
}

// TestSetEntriesOfNothing leaves nothing: there is no record.
func TestSetEntriesOfNothing(t *testing.T) {
	s := testStore(t, nil)
	for _, entries := range [][]storage.Entry{nil, {uniqueEntry(1, "a")}} {
		for expect := range storage.Revision(2) {
			err := s.SetEntries(bg, testKey("alice"), expect, entries)
			silent(t, err)
			require.ErrorIs(t, err, storage.ErrConflict)
		}
	}
	count, err := s.writer.conn.value("SELECT count(*) FROM entries")
	require.NoError(t, err)
	require.Equal(t, int64(0), count)
}

// TestRandomWrites of few keys with few values, single and in batches, compared with a
// model that decides one write after the other.
func TestRandomWrites(t *testing.T) {
	t.Parallel()
	s := testStore(t, &Options{SyncNormal: true})
	type state struct {
		revision storage.Revision
		entries  []storage.Entry
	}
	model := make(map[string]state)
	taken := func(id string, e storage.Entry) bool {
		for other, st := range model {
			if other != id && slices.ContainsFunc(st.entries, func(o storage.Entry) bool { return o.Unique && o.Compare(e) == 0 }) {
				return true
			}
		}
		return false
	}
	for range 1500 {
		var writes []storage.Write
		for _, i := range rand.Perm(6)[:1+rand.IntN(5)] {
			id := fmt.Sprint(i)
			w := storage.Write{Record: testRecord(id), Expect: model[id].revision}
			if rand.IntN(10) == 0 {
				w.Expect = storage.Revision(rand.IntN(3))
			}
			w.Record.Revision = storage.NextRevision(w.Expect)
			if w.Expect != 0 && rand.IntN(4) == 0 {
				w.Delete = true
			} else {
				for range rand.IntN(4) {
					e := entry(1+rand.Uint32N(2), string('a'+rune(rand.IntN(4))))
					e.Unique = rand.IntN(3) == 0
					w.Entries = append(w.Entries, e)
				}
				w.Entries = storage.SortEntries(w.Entries)
			}
			writes = append(writes, w)
		}
		errs, err := s.Write(bg, writes)
		require.NoError(t, err)
		for i, w := range writes {
			id := w.Record.Key.ExternalID
			var want, got error
			if errs != nil {
				got = errs[i]
			}
			if w.Expect != model[id].revision {
				want = storage.ErrConflict
			} else if slices.ContainsFunc(w.Entries, func(e storage.Entry) bool { return e.Unique && taken(id, e) }) {
				want = storage.ErrNotUnique
			}
			if want != nil {
				require.ErrorIs(t, got, want)
				silent(t, got)
				continue
			}
			require.NoError(t, got)
			if delete(model, id); !w.Delete {
				model[id] = state{w.Record.Revision, w.Entries}
			}
		}
	}
	var want []string
	for id, st := range model {
		for _, e := range st.entries {
			want = append(want, fmt.Sprintf("%s %d %q", id, e.Index, e.Value))
		}
	}
	require.ElementsMatch(t, want, found(t, s))
}
