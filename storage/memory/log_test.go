package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var scope = storage.Scope{Tenant: storage.TenantOf("acme", "main"), Schema: uuid.Max}

func keyOf(id string) storage.Key {
	return storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: id}
}

// logged logs a write of the key, made at this time in seconds.
func logged(t *testing.T, s *Store, id string, at int) {
	t.Helper()
	old, _ := s.Get(context.Background(), keyOf(id))
	w := storage.Write{Record: old, Expect: old.Revision, Note: &storage.Note{Time: time.Unix(int64(at), 0)}}
	w.Record.Key, w.Record.Revision = keyOf(id), storage.NextRevision(old.Revision)
	errs, err := s.Write(context.Background(), []storage.Write{w})
	require.NoError(t, err)
	require.Nil(t, errs)
}

// TestLog compares the log with a slice, while changes come, go and are redacted, in a log
// of several blocks.
func TestLog(t *testing.T) {
	ctx, s := context.Background(), New()
	var want []storage.Change // without the notes
	random := rand.New(rand.NewPCG(1, 2))
	floor := s.log.floor
	for at := range 3000 {
		id := fmt.Sprint(random.IntN(5))
		logged(t, s, id, at)
		want = append(want, storage.Change{Key: keyOf(id)})
		switch random.IntN(100) {
		case 0: // trim a part
			n := random.IntN(len(want) + 1)
			end := floor
			if n > 0 {
				end = s.log.at(n - 1).Cursor
			}
			require.NoError(t, s.Trim(ctx, time.Now(), end))
			want, floor = want[n:], end
		case 1:
			n, err := s.Redact(ctx, keyOf(id), storage.Note{Time: time.Unix(int64(at), 0)})
			require.NoError(t, err)
			for i := range want {
				if want[i].Key == keyOf(id) {
					want[i].Key.ExternalID = storage.RedactedID(s.secret[:], keyOf(id))
					n--
				}
			}
			require.Zero(t, n)
			want = append(want, storage.Change{Key: keyOf(storage.RedactedID(s.secret[:], keyOf(id)))})
		}
		if at%50 != 0 {
			continue
		}
		got := pages(t, s, storage.ChangeQuery{Limit: 1000})
		require.Len(t, got, len(want))
		for i := range got {
			require.Equal(t, want[i].Key, got[i].Key)
			require.Equal(t, floor.Position+1+int64(i), got[i].Cursor.Position)
		}
		for _, id := range []string{"0", "1", storage.RedactedID(s.secret[:], keyOf("2"))} {
			of := slices.DeleteFunc(slices.Clone(got), func(c storage.Change) bool { return c.Key != keyOf(id) })
			q := storage.ChangeQuery{Scope: scope, ExternalID: id, Limit: 1 + random.IntN(100)}
			require.Equal(t, of, append([]storage.Change{}, pages(t, s, q)...))
			slices.Reverse(of)
			q.Backwards = true
			require.Equal(t, of, append([]storage.Change{}, pages(t, s, q)...))
		}
	}
	require.NoError(t, s.Trim(ctx, time.Now(), storage.Cursor{}))
	require.Empty(t, s.log.byKey)
	require.LessOrEqual(t, len(s.log.blocks), 1)
}

func pages(t *testing.T, s *Store, q storage.ChangeQuery) (changes []storage.Change) {
	t.Helper()
	for {
		page, err := s.Changes(context.Background(), q)
		require.NoError(t, err)
		changes = append(changes, page.Changes...)
		if q.After = page.Next; !page.More {
			return changes
		}
	}
}

// TestChangesOfAKeyAmongOthers: a page of one key looks at no other changes.
func TestChangesOfAKeyAmongOthers(t *testing.T) {
	s := New()
	logged(t, s, "a", 0)
	for i := range 3 * maxScan {
		logged(t, s, "b", i)
	}
	logged(t, s, "a", 0)
	for _, backwards := range []bool{false, true} {
		page, err := s.Changes(context.Background(), storage.ChangeQuery{Scope: scope, ExternalID: "a", Backwards: backwards, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Changes, 2)
		require.False(t, page.More)
	}
}
