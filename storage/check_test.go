package storage_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// done returns a context that is done.
func done(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func keys(ids ...string) []storage.Key {
	all := make([]storage.Key, len(ids))
	for i, id := range ids {
		all[i] = key(id)
	}
	return all
}

// numbered returns n keys that ascend.
func numbered(n int) []storage.Key {
	all := make([]storage.Key, n)
	for i := range all {
		all[i] = key(fmt.Sprintf("k%05d", i))
	}
	return all
}

func TestCheckKeys(t *testing.T) {
	for _, tt := range []struct {
		name string
		keys []storage.Key
		want error
	}{
		{"none", nil, nil},
		{"one", keys("a"), nil},
		{"in no order", keys("b", "a", "c"), nil},
		{"MaxBatch", numbered(storage.MaxBatch), nil},
		{"more", numbered(storage.MaxBatch + 1), storage.ErrInvalid},
		{"twice", keys("a", "a"), storage.ErrDuplicateKey},
		{"twice, far apart", keys("b", "a", "b"), storage.ErrDuplicateKey},
		{"same id in two scopes", []storage.Key{key("a"), {Tenant: storage.TenantOf("acme", "other"), Schema: scope.Schema, ExternalID: "a"}}, nil},
		{"empty id", keys("a", ""), storage.ErrInvalid},
		{"zero key", []storage.Key{{}}, storage.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorIs(t, storage.CheckKeys(t.Context(), tt.keys), tt.want)
			writes := make([]storage.Write, len(tt.keys))
			for i, k := range tt.keys {
				writes[i].Record = storage.Record{Key: k, Revision: 1}
			}
			require.ErrorIs(t, storage.CheckWrites(t.Context(), writes), tt.want, "as writes")
		})
	}
	require.ErrorIs(t, storage.CheckKeys(done(t), keys("a")), context.Canceled)
	require.ErrorIs(t, storage.CheckKeys(done(t), nil), context.Canceled)
	require.ErrorIs(t, storage.CheckKey(done(t), key("a")), context.Canceled)
	require.ErrorIs(t, storage.CheckKey(t.Context(), key("")), storage.ErrInvalid)
	require.NoError(t, storage.CheckKey(t.Context(), key("a")))
}

func TestCheckWrites(t *testing.T) {
	entry := func(index uint32, value string) storage.Entry {
		return storage.Entry{Index: index, Value: []byte(value)}
	}
	write := func(rev, expect storage.Revision, entries ...storage.Entry) storage.Write {
		return storage.Write{Record: storage.Record{Key: key("secret"), Revision: rev}, Expect: expect, Entries: entries}
	}
	deletes := func(rev, expect storage.Revision, entries ...storage.Entry) storage.Write {
		w := write(rev, expect, entries...)
		w.Delete = true
		return w
	}
	var most []storage.Entry
	for i := range storage.MaxEntries {
		most = append(most, entry(uint32(i+1), "secret"))
	}
	noted := func(actor, reason string) storage.Write {
		w := write(1, 0)
		w.Note = &storage.Note{Actor: actor, Reason: reason}
		return w
	}
	longest := strings.Repeat("x", storage.MaxValue)
	for _, tt := range []struct {
		name  string
		write storage.Write
		want  string // "" = valid
	}{
		{"create", write(1, 0), ""},
		{"update", write(9, 8), ""},
		{"greatest revision", write(math.MaxInt64, math.MaxInt64-1), ""},
		{"delete", deletes(9, 8), ""},
		{"entries", write(1, 0, entry(1, "a"), entry(1, "b"), entry(2, "a"), entry(math.MaxUint32, "\x00")), ""},
		{"most entries", write(1, 0, most...), ""},
		{"longest value", write(1, 0, entry(1, longest)), ""},
		{"revision 0", write(0, 0), "the revision of a write is not above the expected one"},
		{"same revision", write(8, 8), "the revision of a write is not above the expected one"},
		{"lower revision", write(7, 8), "the revision of a write is not above the expected one"},
		{"revision too large", write(math.MaxInt64+1, 8), "the revision of a write is above the largest int64"},
		{"expect too large", write(math.MaxInt64+2, math.MaxInt64+1), "the revision of a write is above the largest int64"},
		{"delete without a revision", deletes(0, 8), "the revision of a write is not above the expected one"},
		{"delete expects 0", deletes(1, 0), "a delete expects revision 0, which means absent"},
		{"delete with entries", deletes(9, 8, entry(1, "a")), "a delete has entries"},
		{"too many entries", write(1, 0, append(most, entry(99, "a"))...), "a record has more than 16 entries"},
		{"index 0", write(1, 0, entry(0, "a")), "an entry has index 0"},
		{"empty value", write(1, 0, entry(1, "")), "the value of an entry is not 1 to 256 bytes"},
		{"value too long", write(1, 0, entry(1, longest+"x")), "the value of an entry is not 1 to 256 bytes"},
		{"entries not sorted by value", write(1, 0, entry(1, "b"), entry(1, "a")), "entries are not sorted, or one comes twice"},
		{"entries not sorted by index", write(1, 0, entry(2, "a"), entry(1, "b")), "entries are not sorted, or one comes twice"},
		{"entry twice", write(1, 0, entry(1, "a"), entry(1, "a")), "entries are not sorted, or one comes twice"},
		{"entry twice, once unique", write(1, 0, entry(1, "a"), storage.Entry{Index: 1, Value: []byte("a"), Unique: true}), "entries are not sorted, or one comes twice"},
		{"note", noted("Zoë \u200b", strings.Repeat("why ", 1000)), ""},
		{"actor with a NUL", noted("a\x00", ""), "the actor or the reason of a note is not valid UTF-8, or holds a NUL"},
		{"reason that is not UTF-8", noted("", "a\xff"), "the actor or the reason of a note is not valid UTF-8, or holds a NUL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			good := storage.Write{Record: storage.Record{Key: key("other"), Revision: 1}}
			for _, writes := range [][]storage.Write{{tt.write}, {good, tt.write}} {
				err := storage.CheckWrites(t.Context(), writes)
				if tt.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, storage.ErrInvalid)
				require.EqualError(t, err, "invalid argument: "+tt.want)
			}
			require.ErrorIs(t, storage.CheckWrites(done(t), []storage.Write{tt.write}), context.Canceled)
		})
	}
}

func TestCheckListAndLookup(t *testing.T) {
	at := func(value, id string) storage.Position {
		p := storage.Position{ExternalID: id}
		if value != "" {
			p.Value = []byte(value)
		}
		return p
	}
	longest := strings.Repeat("x", storage.MaxValue)
	for _, tt := range []struct {
		name  string
		scope storage.Scope
		index uint32
		r     storage.Range
		limit int    // of the result
		want  string // "" = valid
	}{
		{"list", scope, 0, storage.Range{Limit: 10}, 10, ""},
		{"list after an id", scope, 0, storage.Range{After: at("", "x"), Limit: 1, Backwards: true}, 1, ""},
		{"largest page", scope, 0, storage.Range{Limit: storage.MaxPage}, storage.MaxPage, ""},
		{"larger page", scope, 0, storage.Range{Limit: math.MaxInt}, storage.MaxPage, ""},
		{"lookup", scope, 1, storage.Range{Limit: 10}, 10, ""},
		{"lookup between bounds", scope, 1, storage.Range{From: []byte("a"), To: []byte("b"), After: at("a", "x"), Limit: 10}, 10, ""},
		{"bound after the longest value", scope, 1, storage.Range{From: []byte(longest + "x"), To: []byte(longest + "y"), Limit: 10}, 10, ""},
		{"limit 0", scope, 0, storage.Range{}, 0, "the limit of a list is below 1"},
		{"negative limit", scope, 1, storage.Range{Limit: -1}, 0, "the limit of a list is below 1"},
		{"zero scope", storage.Scope{}, 0, storage.Range{Limit: 10}, 0, "the tenant has no platform id"},
		{"list with from", scope, 0, storage.Range{From: []byte("a"), Limit: 10}, 0, "a list by external id has bounds of values"},
		{"list with an empty to", scope, 0, storage.Range{To: []byte{}, Limit: 10}, 0, "a list by external id has bounds of values"},
		{"list after a value", scope, 0, storage.Range{After: at("a", "x"), Limit: 10}, 0, "a list by external id has bounds of values"},
		{"lookup of index 0", scope, 0, storage.Range{Limit: 10}, 0, "a lookup of index 0"},
		{"lookup after an id alone", scope, 1, storage.Range{After: at("", "x"), Limit: 10}, 0, "a position has only one of value and external id"},
		{"lookup after a value alone", scope, 1, storage.Range{After: at("a", ""), Limit: 10}, 0, "a position has only one of value and external id"},
		{"from too long", scope, 1, storage.Range{From: []byte(longest + "xx"), Limit: 10}, 0, "a bound is longer than a value"},
		{"to too long", scope, 1, storage.Range{To: []byte(longest + "xx"), Limit: 10}, 0, "a bound is longer than a value"},
		{"position too long", scope, 1, storage.Range{After: at(longest+"x", "x"), Limit: 10}, 0, "a bound is longer than a value"},
		{"id with NUL", scope, 0, storage.Range{After: at("", "\x00"), Limit: 10}, 0, "the external id holds a NUL"},
		{"id too long", scope, 1, storage.Range{After: at("a", strings.Repeat("x", 513)), Limit: 10}, 0, "the external id is longer than 512 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check := func(ctx context.Context) (storage.Range, error) {
				if strings.HasPrefix(tt.name, "lookup") || tt.index != 0 {
					return storage.CheckLookup(ctx, tt.scope, tt.index, tt.r)
				}
				return storage.CheckList(ctx, tt.scope, tt.r)
			}
			got, err := check(t.Context())
			if tt.want == "" {
				require.NoError(t, err)
				want := tt.r
				want.Limit = tt.limit
				require.Equal(t, want, got)
			} else {
				require.ErrorIs(t, err, storage.ErrInvalid)
				require.EqualError(t, err, "invalid argument: "+tt.want)
			}
			_, err = check(done(t))
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

func TestCheckChanges(t *testing.T) {
	for _, tt := range []struct {
		name  string
		query storage.ChangeQuery
		limit int
		want  string // "" = valid
	}{
		{"all", storage.ChangeQuery{Limit: 10}, 10, ""},
		{"of a scope", storage.ChangeQuery{Scope: scope, Limit: 1}, 1, ""},
		{"of a key", storage.ChangeQuery{Scope: scope, ExternalID: "a", Limit: 1}, 1, ""},
		{"after a cursor", storage.ChangeQuery{After: storage.Cursor{Position: 1, Revision: 1}, Limit: math.MaxInt}, storage.MaxPage, ""},
		{"end", storage.ChangeQuery{End: true}, 0, ""},
		{"of a key, backwards", storage.ChangeQuery{Scope: scope, ExternalID: "a", Backwards: true, NoData: true, Limit: 10}, 10, ""},
		{"of a scope, backwards", storage.ChangeQuery{Scope: scope, Backwards: true, Limit: 10}, 0, "a query that goes backwards is not of one key, or asks for the end"},
		{"end, backwards", storage.ChangeQuery{Scope: scope, ExternalID: "a", Backwards: true, End: true}, 0, "a query that goes backwards is not of one key, or asks for the end"},
		{"limit 0", storage.ChangeQuery{}, 0, "the limit of a query is below 1"},
		{"negative limit", storage.ChangeQuery{Limit: -1}, 0, "the limit of a query is below 1"},
		{"id without a scope", storage.ChangeQuery{ExternalID: "a", Limit: 10}, 0, "the tenant has no platform id"},
		{"scope without a schema", storage.ChangeQuery{Scope: storage.Scope{Tenant: scope.Tenant}, Limit: 10}, 0, "the schema id is zero"},
		{"id with NUL", storage.ChangeQuery{Scope: scope, ExternalID: "\x00", Limit: 10}, 0, "the external id holds a NUL"},
		{"cursor without a revision", storage.ChangeQuery{After: storage.Cursor{Position: 1}, Limit: 10}, 0, "the cursor is not one of a log"},
		{"cursor without a position", storage.ChangeQuery{After: storage.Cursor{Revision: 1}, Limit: 10}, 0, "the cursor is not one of a log"},
		{"negative position", storage.ChangeQuery{After: storage.Cursor{Position: -1, Revision: 1}, Limit: 10}, 0, "the cursor is not one of a log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := storage.CheckChanges(t.Context(), tt.query)
			if tt.want == "" {
				require.NoError(t, err)
				want := tt.query
				want.Limit = tt.limit
				require.Equal(t, want, got)
			} else {
				require.ErrorIs(t, err, storage.ErrInvalid)
				require.EqualError(t, err, "invalid argument: "+tt.want)
			}
			_, err = storage.CheckChanges(done(t), tt.query)
			require.ErrorIs(t, err, context.Canceled)
		})
	}
}

func TestCheckRedactAndTrim(t *testing.T) {
	redact := func(key storage.Key, note storage.Note) func(context.Context) error {
		return func(ctx context.Context) error { return storage.CheckRedact(ctx, key, note) }
	}
	trim := func(end storage.Cursor) func(context.Context) error {
		return func(ctx context.Context) error { return storage.CheckTrim(ctx, end) }
	}
	for _, tt := range []struct {
		name  string
		check func(context.Context) error
		want  string // "" = valid
	}{
		{"redact", redact(key("a"), storage.Note{}), ""},
		{"redact with a note", redact(key("a"), storage.Note{Actor: "é", Reason: "x", Before: []byte{}}), ""},
		{"redact no key", redact(key(""), storage.Note{}), "the external id is empty"},
		{"redact with a document before", redact(key("a"), storage.Note{Before: []byte("x")}), "the note of a redaction has documents"},
		{"redact with a document after", redact(key("a"), storage.Note{After: []byte("x")}), "the note of a redaction has documents"},
		{"redact with NUL", redact(key("a"), storage.Note{Reason: "\x00"}), "the actor or the reason of a note is not valid UTF-8, or holds a NUL"},
		{"trim", trim(storage.Cursor{}), ""},
		{"trim to an end", trim(storage.Cursor{Position: 1, Revision: 1}), ""},
		{"trim without a revision", trim(storage.Cursor{Position: 1}), "the cursor is not one of a log"},
		{"trim without a position", trim(storage.Cursor{Revision: 1}), "the cursor is not one of a log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.check(t.Context()); tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, storage.ErrInvalid)
				require.EqualError(t, err, "invalid argument: "+tt.want)
			}
			require.ErrorIs(t, tt.check(done(t)), context.Canceled)
		})
	}
}

func TestChangeQueryMatch(t *testing.T) {
	other := scope
	other.Tenant = storage.TenantOf("acme", "other")
	for _, tt := range []struct {
		query storage.ChangeQuery
		want  bool // of the key "a" in scope
	}{
		{storage.ChangeQuery{}, true},
		{storage.ChangeQuery{Scope: scope}, true},
		{storage.ChangeQuery{Scope: scope, ExternalID: "a"}, true},
		{storage.ChangeQuery{Scope: scope, ExternalID: "A"}, false},
		{storage.ChangeQuery{Scope: other}, false},
		{storage.ChangeQuery{Scope: other, ExternalID: "a"}, false},
	} {
		require.Equal(t, tt.want, tt.query.Match(key("a")), "%+v", tt.query)
	}
}

func TestSortEntries(t *testing.T) {
	entry := func(index uint32, value string, unique bool) storage.Entry {
		return storage.Entry{Index: index, Value: []byte(value), Unique: unique}
	}
	want := []storage.Entry{
		entry(1, "\x00", false), entry(1, "a", true), entry(1, "a\x00", false), entry(1, "b", false), entry(2, "\xff", true), entry(300, "a", false),
	}
	// One that comes twice is unique if it is unique once, whatever the order.
	twice := append(slices.Clone(want), entry(1, "a", false), entry(1, "a", false), entry(2, "\xff", false), entry(1, "b", false))
	for range 100 {
		rand.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		got := storage.SortEntries(slices.Clone(twice))
		require.Equal(t, want, got)
		require.NoError(t, storage.CheckWrites(t.Context(), []storage.Write{{Record: storage.Record{Key: key("a"), Revision: 1}, Entries: got}}))
	}
	require.Empty(t, storage.SortEntries(nil))
}
