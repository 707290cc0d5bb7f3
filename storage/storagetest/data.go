package storagetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

var dataCases = []testCase{
	{"data/verbatim", "Data comes back byte for byte.", caseVerbatim},
	{"data/metadata", "ID and CreatedAt come back as the create wrote them, UpdatedAt as the last write did; times to the millisecond and in UTC.", caseMetadata},
	{"data/aliasing", "No byte slice ever changes: neither one that was written nor one that was returned.", caseAliasing},
}

// verbatimData are bytes that code which understands JSON, text or numbers would change.
func verbatimData() map[string][]byte {
	return map[string][]byte{
		"number with a fraction of zero": []byte(`{"n":1.0}`),
		"number out of range":            []byte(`{"n":1e400,"m":-0,"k":1E+2}`),
		"30 digits":                      []byte(`{"n":123456789012345678901234567890.000}`),
		"short text of a long number":    []byte(`{"n":1e131071}`),
		"duplicate keys":                 []byte(`{"a":1,"b":2,"a":3}`),
		"key order":                      []byte(`{"z":1,"aa":2,"a":3,"B":4}`),
		"escaped NUL":                    []byte(`{"s":"\u0000"}`),
		"lone surrogate escape":          []byte(`{"s":"\ud800"}`),
		"needless escapes":               []byte(`{"s":"\u00e9\/\u003c"}`),
		"blanks":                         []byte(" \r\n\t{ \"a\" : 1 }\n "),
		"nulls":                          []byte(`{"a":null,"b":[null]}`),
		"empty object":                   []byte(`{}`),
		"empty":                          {},
		"nil":                            nil,
		"one NUL":                        {0},
		"text with NUL":                  []byte("a\x00b"),
		"invalid UTF-8":                  {0xff, 0xfe, 'a', 0x80},
		"byte order mark":                []byte("\xef\xbb\xbf{}"),
		"all bytes":                      allBytes(),
		"not JSON":                       []byte("' OR 1=1; -- \\x41 $1 ?"),
		"1 MiB":                          []byte(`{"s":"` + strings.Repeat("0123456789abcdef", 1<<16-1) + `"}    ` + "    "),
	}
}

func allBytes() []byte {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return all
}

func caseVerbatim(e *env) {
	store := e.open()
	for name, data := range verbatimData() {
		key := testKey(name)
		for _, before := range []string{"absent", "present"} {
			current := storage.Record{}
			if before == "present" {
				current = e.mustPut(store, record(testKey(name+", present"), "x"), 0)
				key = current.Key
			}
			rec := record(key, "")
			rec.Data = bytes.Clone(data)
			rec = e.mustPut(store, rec, current.Revision)
			got, err := store.Get(context.Background(), key)
			require.NoError(e, err, name)
			require.True(e, bytes.Equal(data, got.Data), "%s: got %.100q", name, got.Data)
			require.True(e, bytes.Equal(data, rec.Data), "%s: the write changed its argument", name)
		}
	}
	for _, rec := range e.walk(store, testScope, storage.Range{Limit: 3}) {
		data := verbatimData()[strings.TrimSuffix(rec.Key.ExternalID, ", present")]
		require.True(e, bytes.Equal(data, rec.Data), "%s, listed: got %.100q", rec.Key.ExternalID, rec.Data)
	}
}

func caseMetadata(e *env) {
	store := e.open()
	zone := time.FixedZone("east", 5*3600+1800)
	for i, tt := range []struct {
		name             string
		id               uuid.UUID
		created, updated time.Time
	}{
		{"usual", uuid.MustParse("0195513f-2c3e-7a80-8000-0123456789ab"), testTime, testTime.Add(time.Second)},
		{"zero", uuid.Nil, time.Time{}, time.Time{}},
		{"ends of the range", uuid.Max, time.Date(1, 1, 1, 0, 0, 0, 1_000_000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)},
		{"around the epoch", uuid.Max, time.Unix(0, 0), time.Unix(-1, 999_000_000)},
		{"finer than a millisecond", uuid.Max, testTime.Add(999_999), time.Unix(-1, 1_999_999)},
		{"another zone", uuid.Max, testTime.In(zone), testTime.In(zone).Add(1)},
		{"updated before created", uuid.Max, testTime, testTime.Add(-time.Hour)},
		{"with a monotonic reading", uuid.Max, time.Now(), time.Now()},
	} {
		rec := storage.Record{Key: testKey(fmt.Sprint(i)), ID: tt.id, CreatedAt: tt.created, UpdatedAt: tt.updated, Data: []byte(tt.name)}
		rec = e.mustPut(store, rec, 0)
		e.holds(store, rec)

		// An update leaves ID and CreatedAt alone, by itself and in a batch.
		rec.UpdatedAt = tt.created
		other := rec
		other.ID, other.CreatedAt = uuid.New(), tt.updated.Add(time.Hour)
		rec.Revision = e.mustPut(store, other, rec.Revision).Revision
		e.holds(store, rec)
		again := putOf(other, rec.Revision)
		e.mustWrite(store, putOf(record(testKey(fmt.Sprint("beside ", i)), "x"), 0), again)
		rec.Revision = again.Record.Revision
		e.holds(store, rec)
	}
}

func caseAliasing(e *env) {
	ctx, store := context.Background(), e.open()
	const ids = 12
	type kept struct {
		slice []byte
		want  string
		from  string
	}
	var all []kept
	keep := func(from string, slice []byte) {
		all = append(all, kept{slice: slice, want: string(slice), from: from})
	}
	check := func(after string) {
		for _, k := range all {
			require.Equal(e, k.want, string(k.slice), "slice of %s, after %s", k.from, after)
		}
	}
	// change writes a record with everything that the store takes.
	change := func(from string, rec storage.Record, expect storage.Revision) storage.Record {
		w := putOf(rec, expect)
		keep(from, w.Record.Data)
		if !store.Limits().NoEntries {
			w.Entries = []storage.Entry{{Index: 1, Value: []byte("value of " + string(rec.Data))}}
			keep("entry of "+from, w.Entries[0].Value)
		}
		if !store.Limits().NoLog {
			w.Note = &storage.Note{Before: []byte("before " + string(rec.Data)), After: []byte("after " + string(rec.Data))}
			keep("document of "+from, w.Note.Before)
			keep("document of "+from, w.Note.After)
		}
		e.mustWrite(store, w)
		return w.Record
	}
	var records []storage.Record
	read := func(from string) {
		for _, rec := range records {
			if got, err := store.Get(ctx, rec.Key); err == nil {
				keep("get "+from, got.Data)
			}
		}
		for _, limit := range []int{3, 100} {
			for _, rec := range e.walk(store, testScope, storage.Range{Limit: limit}) {
				keep("list "+from, rec.Data)
			}
		}
		many, err := store.GetMany(ctx, []storage.Key{records[0].Key, records[1].Key})
		require.NoError(e, err)
		for _, rec := range many {
			keep("get many "+from, rec.Data)
		}
		if !store.Limits().NoEntries {
			page, err := store.Lookup(ctx, testScope, 1, storage.Range{Limit: 100})
			require.NoError(e, err)
			for i, rec := range page.Records {
				keep("lookup "+from, rec.Data)
				keep("value of a lookup "+from, page.Values[i])
			}
		}
		if !store.Limits().NoLog {
			page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 100})
			require.NoError(e, err)
			for _, c := range page.Changes {
				keep("changes "+from, c.Note.Before)
				keep("changes "+from, c.Note.After)
			}
		}
	}
	for i := range ids {
		rec := record(testKey(fmt.Sprint("id-", i)), fmt.Sprintf("first data of %d", i))
		records = append(records, change("a create", rec, 0))
	}
	read("before")
	check("reading")
	for i, rec := range records {
		rec.Data = fmt.Appendf(nil, "OTHER DATA OF %d", i)
		records[i] = change("an update", rec, rec.Revision)
	}
	check("overwriting")
	read("between")
	check("reading again")
	for _, rec := range records {
		e.mustDelete(store, rec)
	}
	check("deleting")
	for i, rec := range records {
		change("a second create", record(rec.Key, fmt.Sprintf("third data of %d", i)), 0)
	}
	read("after")
	check("creating again")
	if !store.Limits().NoLog {
		for _, rec := range records {
			require.NoError(e, redact(ctx, store, rec.Key))
		}
		check("redacting")
	}
	require.NoError(e, store.Close())
	check("closing")

	// The slices of a page are the caller's own.
	store = e.open()
	rec := change("a page", record(testKey("page"), "x"), 0)
	for range 2 {
		page, err := store.List(ctx, testScope, storage.Range{Limit: 10}) // as holds does
		require.NoError(e, err)
		clear(page.Records)
		if !store.Limits().NoEntries {
			page, err := store.Lookup(ctx, testScope, 1, storage.Range{Limit: 10})
			require.NoError(e, err)
			for i, found := range page.Records {
				e.same(rec, found)
				require.Equal(e, "value of x", string(page.Values[i]))
			}
			clear(page.Records)
			clear(page.Values)
		}
	}
	e.holds(store, rec)
	// And so is the record of a conflict.
	if c := currentOf(write(ctx, store, putOf(record(rec.Key, "y"), 0))); c != nil {
		*c = storage.Record{}
	}
	e.holds(store, rec)
}
