package resource_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// keeping returns a collection that keeps documents in the log of a memory store.
func keeping(t testing.TB, s *schema.Schema) (*resource.Collection, storage.Store) {
	store := memory.New()
	return open(t, s, store, &resource.Options{Log: true, History: true}), store
}

// allChanges returns the changes of all pages from the cursor in opts on.
func allChanges(t testing.TB, c *resource.Collection, opts resource.ChangeOptions) (all []resource.Change) {
	t.Helper()
	for more := true; more; {
		page, err := c.Changes(ctx, tenant, &opts)
		require.NoError(t, err)
		all = append(all, page.Changes...)
		opts.Cursor, more = page.Next, page.More
	}
	return all
}

// allHistory is allChanges for a history.
func allHistory(t testing.TB, c *resource.Collection, id string, opts resource.ChangeOptions) (all []resource.Change) {
	t.Helper()
	for {
		page, err := c.History(ctx, tenant, id, &opts)
		require.NoError(t, err)
		all = append(all, page.Changes...)
		assert.Equal(t, page.More, page.Next != "")
		if opts.Cursor = page.Next; !page.More {
			return all
		}
	}
}

// told says what changes are, in short.
func told(changes []resource.Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, fmt.Sprintf("%s %s", c.Outcome, c.Key.ExternalID))
	}
	return strings.Join(all, ", ")
}

func TestHistoryNeedsLog(t *testing.T) {
	_, err := resource.NewCollection(schema.Customers(), memory.New(), &resource.Options{History: true})
	assert.ErrorIs(t, err, storage.ErrInvalid)
	c, _ := customers(t)
	_, err = c.Changes(ctx, tenant, nil)
	assert.ErrorIs(t, err, storage.ErrUnsupported)
	assert.Equal(t, resource.Class("unsupported"), resource.ErrorClass(err))
	_, err = c.History(ctx, tenant, "c-1", nil)
	assert.ErrorIs(t, err, storage.ErrUnsupported)
	assert.Nil(t, c.Log())
}

// TestChanges: changes and no others, in their order, whatever the size of a page.
func TestChanges(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	assert.Equal(t, store, c.Log())
	begin, err := c.Changes(ctx, tenant, &resource.ChangeOptions{FromEnd: true})
	require.NoError(t, err)
	assert.NotEmpty(t, begin.Next)
	as := &resource.WriteOptions{Actor: "eve", Reason: "asked"}
	_, err = c.Create(ctx, tenant, []byte(cust(``)), as)
	require.NoError(t, err)
	create(t, c, cust(``)) // changes nothing
	_, err = c.Create(ctx, tenant, []byte(cust(`,"email":"x"`)), &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	_, err = c.Create(ctx, tenant, []byte(cust(`,"email":1`)), nil)
	require.Error(t, err)
	patched, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":"x"}`), nil)
	require.NoError(t, err)
	create(t, c, strings.Replace(cust(``), "c-1", "c-2", 1))
	_, err = c.Delete(ctx, tenant, "c-1", nil)
	require.NoError(t, err)
	_, err = c.Delete(ctx, tenant, "c-1", nil)
	require.Error(t, err)

	const want = "created c-1, updated c-1, created c-2, deleted c-1"
	for limit := range 6 {
		all := allChanges(t, c, resource.ChangeOptions{Limit: limit})
		assert.Equal(t, want, told(all), "pages of %d", limit)
		assert.Equal(t, "eve asked", all[0].Actor+" "+all[0].Reason)
		assert.Equal(t, patched.Revision(), all[1].Revision)
		assert.Equal(t, all[0].Revision, all[1].Before)
		assert.Equal(t, "customers", all[3].Schema)
		for i, change := range all {
			assert.Nil(t, change.Document)
			assert.Nil(t, change.Patch)
			rest := allChanges(t, c, resource.ChangeOptions{Cursor: change.Cursor, Limit: limit})
			assert.Equal(t, told(all[i+1:]), told(rest), "from the cursor of a change on")
		}
		assert.Equal(t, want, told(allChanges(t, c, resource.ChangeOptions{Cursor: begin.Next, Limit: limit})))
		assert.Equal(t, "deleted c-1, updated c-1, created c-1", told(allHistory(t, c, "c-1", resource.ChangeOptions{Limit: limit})))
		assert.Equal(t, "created c-1", told(allHistory(t, c, "c-1", resource.ChangeOptions{Limit: limit, Cursor: all[1].Cursor})))
	}
	end, err := c.Changes(ctx, tenant, &resource.ChangeOptions{FromEnd: true})
	require.NoError(t, err)
	assert.Empty(t, end.Changes)
	create(t, c, cust(``))
	assert.Equal(t, "created c-1", told(allChanges(t, c, resource.ChangeOptions{Cursor: end.Next})))
	assert.Equal(t, "created c-1, deleted c-1, updated c-1, created c-1", told(allHistory(t, c, "c-1", resource.ChangeOptions{})))
	for _, id := range []string{"c-3", "", "nul\x00", string(make([]byte, 513))} {
		page, err := c.History(ctx, tenant, id, nil)
		require.NoError(t, err, "%q", id)
		assert.Equal(t, &resource.ChangePage{}, page, "%q", id)
	}
}

func TestChangesErrors(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	create(t, c, cust(``))
	page, err := c.Changes(ctx, tenant, nil)
	require.NoError(t, err)
	none := storage.Tenant{}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		tenant storage.Tenant
		opts   resource.ChangeOptions
		want   error
	}{
		{"tenant", ctx, none, resource.ChangeOptions{}, storage.ErrInvalid},
		{"limit", ctx, tenant, resource.ChangeOptions{Limit: -1}, storage.ErrInvalid},
		{"end and cursor", ctx, tenant, resource.ChangeOptions{FromEnd: true, Cursor: page.Next}, storage.ErrInvalid},
		{"cursor", ctx, tenant, resource.ChangeOptions{Cursor: "x"}, resource.ErrCursor},
		{"context", cancelled, tenant, resource.ChangeOptions{}, context.Canceled},
	} {
		_, err := c.Changes(tt.ctx, tt.tenant, &tt.opts)
		assert.ErrorIs(t, err, tt.want, tt.name)
		assert.ErrorContains(t, err, "resource: changes: ", tt.name)
		_, err = c.History(tt.ctx, tt.tenant, "c-1", &tt.opts)
		assert.ErrorIs(t, err, tt.want, tt.name)
		assert.ErrorContains(t, err, "resource: history: ", tt.name)
	}
	_, err = c.History(ctx, tenant, "c-1", &resource.ChangeOptions{FromEnd: true})
	assert.ErrorIs(t, err, storage.ErrInvalid)
	bare := open(t, schema.Customers(), store, &resource.Options{Log: true})
	for _, opts := range []resource.ChangeOptions{{Documents: true}, {Patches: true}} { // which are not kept
		_, err = bare.Changes(ctx, tenant, &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid)
		_, err = bare.History(ctx, tenant, "c-1", &opts)
		assert.ErrorIs(t, err, storage.ErrInvalid)
	}

	create(t, c, cust(`,"email":"x"`))
	require.NoError(t, store.Trim(ctx, now.AddDate(10, 0, 0), storage.Cursor{}))
	_, err = c.Changes(ctx, tenant, &resource.ChangeOptions{Cursor: page.Next})
	assert.ErrorIs(t, err, storage.ErrExpired)
	assert.Equal(t, resource.Class("expired"), resource.ErrorClass(err))
}

// TestCallsOfChanges: OnCall is told of each page.
func TestCallsOfChanges(t *testing.T) {
	var calls []resource.Call
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Log: true, OnCall: func(_ context.Context, call resource.Call) {
		call.Duration = 0
		calls = append(calls, call)
	}})
	_, err := c.CreateBatch(ctx, tenant, numberedDocs(2, ""), nil)
	require.NoError(t, err)
	calls = nil
	_, err = c.Changes(ctx, tenant, nil)
	require.NoError(t, err)
	_, err = c.History(ctx, tenant, "c-000000", nil)
	require.NoError(t, err)
	_, failed := c.History(ctx, tenant, "c-1", &resource.ChangeOptions{Limit: -1})
	assert.Equal(t, []resource.Call{
		{Op: "changes", Tenant: tenant, Schema: "customers", Results: map[string]int{"found": 2}},
		{Op: "history", Tenant: tenant, Schema: "customers", Results: map[string]int{"found": 1}},
		{Op: "history", Tenant: tenant, Schema: "customers", Err: failed},
	}, calls)
}

// TestHistoryOfEveryVerb: each write logs the documents that were stored before and after
// it. Those of several items that change one resource are one change.
func TestHistoryOfEveryVerb(t *testing.T) {
	const plain, mail = outs, `,"email":"x"` + outs
	doc := func(more string) string { return string(numberedDocs(1, more)[0]) }
	two := func(a, b string) [][]byte { return [][]byte{[]byte(doc(a)), []byte(doc(b))} }
	id := resource.Item{ExternalID: "c-000000"}
	patch := func(data string) resource.Item { return resource.Item{ExternalID: id.ExternalID, Data: []byte(data)} }
	verbs := []struct {
		name          string
		do            func(c *resource.Collection) error
		before, after string // "" is absent
	}{
		{"create", func(c *resource.Collection) error { _, err := c.Create(ctx, tenant, []byte(doc("")), nil); return err }, "", doc(plain)},
		{"upsert", func(c *resource.Collection) error {
			_, err := c.Create(ctx, tenant, []byte(doc(`,"email":"x"`)), nil)
			return err
		}, doc(plain), doc(plain + `,"email":"x"`)},
		{"delete", func(c *resource.Collection) error { _, err := c.Delete(ctx, tenant, id.ExternalID, nil); return err }, doc(plain + `,"email":"x"`), ""},
		{"batch of creates", func(c *resource.Collection) error {
			return firstError(c.CreateBatch(ctx, tenant, two("", `,"phone":"1"`), nil))
		}, "", doc(plain + `,"phone":"1"`)},
		{"batch of patches", func(c *resource.Collection) error {
			return firstError(c.PatchBatch(ctx, tenant, []resource.Item{patch(`{"phone":null}`), patch(`{"email":"x"}`), patch(`{}`)}, nil))
		}, doc(plain + `,"phone":"1"`), doc(plain + `,"email":"x"`)},
		{"import", func(c *resource.Collection) error {
			_, err := ingest.Import(ctx, c, tenant, sequence(two(`,"email":"y"`, `,"email":"z"`)), nil)
			return err
		}, doc(plain + `,"email":"x"`), doc(plain + `,"email":"z"`)},
		{"batch of deletes", func(c *resource.Collection) error {
			_, err := c.DeleteBatch(ctx, tenant, []resource.Item{id, id}, nil)
			return err
		}, doc(plain + `,"email":"z"`), ""},
	}
	for _, history := range []bool{true, false} {
		store := memory.New()
		c := open(t, schema.Customers(), store, &resource.Options{Log: true, History: history})
		for _, verb := range verbs {
			require.NoError(t, verb.do(c), verb.name)
		}
		page, err := store.Changes(ctx, storage.ChangeQuery{Limit: 100})
		require.NoError(t, err)
		require.Len(t, page.Changes, len(verbs))
		for i, verb := range verbs {
			note := page.Changes[i].Note
			if history {
				assert.Equal(t, verb.before, string(note.Before), "before %s", verb.name)
				assert.Equal(t, verb.after, string(note.After), "after %s", verb.name)
			} else {
				assert.Nil(t, note.Before, verb.name)
				assert.Nil(t, note.After, verb.name)
			}
		}
	}
}

func firstError(items []resource.ItemResult, err error) error {
	for _, item := range items {
		if err == nil {
			err = item.Err
		}
	}
	return err
}

func sequence(documents [][]byte) iter.Seq2[ingest.Document, error] {
	return func(yield func(ingest.Document, error) bool) {
		for _, d := range documents {
			if !yield(ingest.Document{Data: d}, nil) {
				return
			}
		}
	}
}

// TestHistoryBesideChanges: a walk through a history is not disturbed by newer changes,
// and finds nothing more once the resource is erased.
func TestHistoryBesideChanges(t *testing.T) {
	c, _ := keeping(t, schema.Customers())
	for i := range 4 {
		create(t, c, cust(fmt.Sprintf(`,"email":"%d"`, i)))
	}
	opts := &resource.ChangeOptions{Limit: 1, Documents: true, Unredacted: true}
	for i := 3; i > 1; i-- {
		page, err := c.History(ctx, tenant, "c-1", opts)
		require.NoError(t, err)
		require.Len(t, page.Changes, 1)
		assert.Contains(t, string(page.Changes[0].Document), fmt.Sprintf(`"email":"%d"`, i))
		opts.Cursor = page.Next
		create(t, c, cust(fmt.Sprintf(`,"email":"newer than %d"`, i)))
	}
	_, err := c.Erase(ctx, tenant, "c-1", nil)
	require.NoError(t, err)
	page, err := c.History(ctx, tenant, "c-1", opts)
	require.NoError(t, err)
	assert.Equal(t, &resource.ChangePage{}, page)
}

// TestChangesInOrder: the changes of each key are a chain of revisions and of documents
// from absence to the record, with single writes, batches, restores and deletes at the same
// time, conflicts, and answers that are lost. Every acknowledged change is in it.
func TestChangesInOrder(t *testing.T) {
	const keys, rounds = 5, 30
	store := storagetest.Faulty(yielding(), storagetest.RandomPlan(3, storagetest.Rates{Conflict: 0.05, Unknown: 0.04, ShortPage: 0.2}))
	c := open(t, schema.Customers(), store, &resource.Options{Log: true, History: true})
	made := make([]int, 16)
	lost := make([]int, 16)
	count := func(w int, outcome resource.Outcome, err error) {
		switch {
		case errors.Is(err, storage.ErrUnknownOutcome):
			lost[w]++
		case err != nil:
			assert.True(t, errors.Is(err, resource.ErrNotFound) || errors.Is(err, resource.ErrNoRevision) || errors.Is(err, storage.ErrUnavailable), "%v", err)
		case outcome != resource.Unchanged:
			made[w]++
		}
	}
	all := func(w int, items []resource.ItemResult, err error) {
		require.NoError(t, err)
		for _, item := range items {
			if item.Err != nil {
				count(w, "", item.Err)
			} else {
				count(w, item.Result.Outcome, nil)
			}
		}
	}
	one := func(w int, res *resource.Result, err error) {
		if res == nil {
			res = &resource.Result{}
		}
		count(w, res.Outcome, err)
	}
	atOnce(len(made), func(w int) {
		for round := range rounds {
			more := fmt.Sprintf(`,"email":"%d-%d"`, w, round)
			id := fmt.Sprintf("c-%06d", round%keys)
			switch w % 5 {
			case 0:
				items, err := c.CreateBatch(ctx, tenant, numberedDocs(keys, more), nil)
				all(w, items, err)
			case 1:
				res, err := c.Delete(ctx, tenant, id, nil)
				one(w, res, err)
			case 2:
				items, err := c.DeleteBatch(ctx, tenant, deletions(keys)[round%keys:], nil)
				all(w, items, err)
			case 3:
				page, err := c.History(ctx, tenant, id, &resource.ChangeOptions{Limit: 2})
				require.NoError(t, err)
				if len(page.Changes) > 0 {
					res, err := c.Restore(ctx, tenant, id, page.Changes[len(page.Changes)-1].Revision, nil)
					one(w, res, err)
				}
			default:
				res, err := c.Create(ctx, tenant, numberedDocs(keys, more)[round%keys], nil)
				one(w, res, err)
			}
		}
	})
	sum := func(list []int) (n int) {
		for _, i := range list {
			n += i
		}
		return n
	}
	type state struct {
		revision storage.Revision
		document string
	}
	last := map[storage.Key]state{}
	n := 0
	q := storage.ChangeQuery{Limit: storage.MaxPage}
	for {
		page, err := store.Changes(ctx, q)
		require.NoError(t, err)
		for _, change := range page.Changes {
			n++
			require.Equal(t, last[change.Key], state{change.Before, string(change.Note.Before)}, "change %d", n)
			last[change.Key] = state{change.Cursor.Revision, string(change.Note.After)}
			if change.Deleted {
				last[change.Key] = state{}
			}
		}
		if q.After = page.Next; !page.More {
			break
		}
	}
	assert.GreaterOrEqual(t, n, sum(made))
	assert.LessOrEqual(t, n, sum(made)+sum(lost))
	for key, want := range last {
		rec := stored(t, store, key)
		assert.Equal(t, want, state{rec.Revision, string(rec.Data)})
	}
}

// TestChangesTellNothingOfOthers: the pages of a tenant are the same, cursors aside,
// whatever others have written between its changes and after them.
func TestChangesTellNothingOfOthers(t *testing.T) {
	other := storage.TenantOf("platform", "other")
	walk := func(others int) (pages []string) {
		c, store := keeping(t, schema.Customers())
		noise := func() {
			for done := 0; done < others; done += 1000 {
				for i := range storage.MaxBatch {
					rec := storage.Record{Key: storage.Key{Tenant: other, Schema: c.Schema().ID(), ExternalID: fmt.Sprint(i)}, ID: firstID, Revision: storage.NextRevision(0)}
					old, _ := store.Get(ctx, rec.Key)
					rec.Revision = storage.NextRevision(old.Revision)
					errs, err := store.Write(ctx, []storage.Write{{Record: rec, Expect: old.Revision, Note: &storage.Note{}}})
					require.NoError(t, err)
					require.Nil(t, errs)
				}
			}
		}
		for i := range 4 {
			noise()
			create(t, c, cust(fmt.Sprintf(`,"email":"%d"`, i)))
		}
		noise()
		for _, history := range []bool{false, true} {
			for limit := 1; limit <= 5; limit++ {
				opts := &resource.ChangeOptions{Limit: limit}
				for range 6 {
					page, err := c.Changes(ctx, tenant, opts)
					if history {
						page, err = c.History(ctx, tenant, "c-1", opts)
					}
					require.NoError(t, err)
					pages = append(pages, fmt.Sprint(history, limit, told(page.Changes), page.More, len(page.Next)))
					if opts.Cursor = page.Next; page.Next == "" {
						break
					}
				}
			}
		}
		return pages
	}
	assert.Equal(t, walk(0), walk(12_000))
}

// TestCursorsOfChanges: a sealed cursor has one length and never the same text twice, and
// is good for its tenant and schema alone, in each collection of the store.
func TestCursorsOfChanges(t *testing.T) {
	store := memory.New()
	opts := &resource.Options{Log: true, IndexCreatedAt: true}
	c := open(t, schema.Customers(), store, opts)
	seal := func(at storage.Cursor) string {
		cursor, err := c.SealCursor(ctx, tenant, at)
		require.NoError(t, err)
		return cursor
	}
	seen := map[string]bool{}
	for _, at := range []storage.Cursor{{}, {Position: 1, Revision: 1}, {Position: 1, Revision: 1}, {Position: 1<<63 - 1, Revision: 1<<63 - 1}} {
		cursor := seal(at)
		assert.Len(t, cursor, 76)
		assert.False(t, seen[cursor])
		seen[cursor] = true
		got, err := open(t, schema.Customers(), store, nil).OpenCursor(ctx, tenant, cursor)
		require.NoError(t, err)
		assert.Equal(t, at, got)
	}
	cursor := seal(storage.Cursor{Position: 7, Revision: 8})
	for name, other := range map[string]*resource.Collection{
		"another schema": open(t, schema.Locations(), store, opts),
		"another store":  open(t, schema.Customers(), memory.New(), opts),
		"another key":    open(t, schema.Customers(), store, &resource.Options{Log: true, CursorKey: make([]byte, 32)}),
	} {
		_, err := other.OpenCursor(ctx, tenant, cursor)
		assert.ErrorIs(t, err, resource.ErrCursor, name)
		_, err = other.Changes(ctx, tenant, &resource.ChangeOptions{Cursor: cursor})
		assert.ErrorIs(t, err, resource.ErrCursor, name)
	}
	for name, theirs := range map[string]storage.Tenant{
		"another platform": {Platform: firstID, Business: tenant.Business},
		"another business": {Platform: tenant.Platform, Business: firstID},
		"swapped":          {Platform: tenant.Business, Business: tenant.Platform},
	} {
		_, err := c.OpenCursor(ctx, theirs, cursor)
		assert.ErrorIs(t, err, resource.ErrCursor, name)
		for _, history := range []bool{true, false} {
			opts := &resource.ChangeOptions{Cursor: cursor}
			_, err := c.Changes(ctx, theirs, opts)
			if history {
				_, err = c.History(ctx, theirs, "c-1", opts)
			}
			assert.ErrorIs(t, err, resource.ErrCursor, name)
			assert.Equal(t, resource.Class("invalid"), resource.ErrorClass(err))
		}
	}
	for i := range 2 {
		create(t, c, strings.Replace(cust(``), "c-1", fmt.Sprint(i), 1))
	}
	for _, order := range []string{"", "resource.createdAt"} {
		page, err := c.List(ctx, tenant, &resource.ListOptions{Limit: 1, Order: order})
		require.NoError(t, err)
		_, err = c.OpenCursor(ctx, tenant, page.Next)
		assert.ErrorIs(t, err, resource.ErrCursor, "of a list by %q", order)
		_, err = c.List(ctx, tenant, &resource.ListOptions{Limit: 1, Order: order, Cursor: cursor})
		assert.ErrorIs(t, err, resource.ErrCursor, "of changes, for a list by %q", order)
	}
	for _, bad := range []string{"", "A", cursor[:59], cursor + "A", cursor + "\n", cursor[:30] + "\n" + cursor[31:], cursor[:59] + "=", strings.ToUpper(cursor)} {
		_, err := c.OpenCursor(ctx, tenant, bad)
		assert.ErrorIs(t, err, resource.ErrCursor, "%q", bad)
	}
	_, err := c.SealCursor(ctx, storage.Tenant{}, storage.Cursor{})
	assert.ErrorIs(t, err, storage.ErrInvalid)
	_, err = c.OpenCursor(ctx, storage.Tenant{}, cursor)
	assert.ErrorIs(t, err, storage.ErrInvalid)
	broken := open(t, schema.Customers(), storagetest.Faulty(memory.New(), func(storagetest.Op) storagetest.Fault { return unavailable }), opts)
	_, err = broken.SealCursor(ctx, tenant, storage.Cursor{})
	assert.ErrorIs(t, err, storage.ErrUnavailable)
}

// FuzzOpenCursor: a text that was not sealed is ErrCursor. Each bit of one that was
// sealed counts.
func FuzzOpenCursor(f *testing.F) {
	c := open(f, schema.Customers(), memory.New(), &resource.Options{Log: true}) // with a random key
	at := storage.Cursor{Position: 7, Revision: 8}
	cursor, err := c.SealCursor(ctx, tenant, at)
	require.NoError(f, err)
	sealed, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(f, err)
	f.Add([]byte{}, uint16(0), true)
	f.Add([]byte(cursor), uint16(0), false)
	for bit := range uint16(len(sealed) * 8) {
		f.Add(sealed, bit, true)
	}
	f.Fuzz(func(t *testing.T, text []byte, bit uint16, binary bool) {
		if binary {
			text = slices.Clone(text)
			if i := int(bit / 8); i < len(text) {
				text[i] ^= 1 << (bit % 8)
			}
			text = []byte(base64.RawURLEncoding.EncodeToString(text))
		}
		got, err := c.OpenCursor(ctx, tenant, string(text))
		if string(text) == cursor {
			require.NoError(t, err)
			assert.Equal(t, at, got)
			return
		}
		assert.ErrorIs(t, err, resource.ErrCursor)
		assert.Zero(t, got)
	})
}
