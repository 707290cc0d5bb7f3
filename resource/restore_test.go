package resource_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A logged store calls onChanges, if it is set, before each read of the log, and onRedact
// before each Redact.
type logged struct {
	storage.Store
	onChanges, onRedact func() error
}

func (s *logged) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	if s.onChanges != nil {
		if err := s.onChanges(); err != nil {
			return storage.ChangePage{}, err
		}
	}
	return s.Store.Changes(ctx, q)
}

func (s *logged) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	if s.onRedact != nil {
		if err := s.onRedact(); err != nil {
			return 0, err
		}
	}
	return s.Store.Redact(ctx, key, note)
}

// upsert stores data and returns the revision.
func upsert(t testing.TB, c *resource.Collection, data string) storage.Revision {
	t.Helper()
	return create(t, c, data).Revision()
}

func TestRestore(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	first := create(t, c, cust(`,"email":"a"`))
	upsert(t, c, cust(`,"phone":"1","smsOptOut":false`))
	_, err := c.Patch(ctx, tenant, "c-1", []byte(`{"email":null}`), nil)
	require.NoError(t, err)
	want := string(first.Data())

	dry, err := c.Restore(ctx, tenant, "c-1", first.Revision(), &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	assert.NotEqual(t, want, string(stored(t, store, customerKey("c-1")).Data))
	res, err := c.Restore(ctx, tenant, "c-1", first.Revision(), &resource.WriteOptions{Actor: "eve", Reason: "a mistake"})
	require.NoError(t, err)
	assert.Equal(t, resource.Updated, res.Outcome)
	assert.Equal(t, dry.Data(), res.Data())
	assert.JSONEq(t, want, string(res.Data()))
	assert.Equal(t, first.ID(), res.ID())
	assert.Equal(t, []string{"/smsOptOut", "/email"}, res.Changed())
	assert.Equal(t, []string{"/phone"}, res.Removed())
	newest := allHistory(t, c, "c-1", resource.ChangeOptions{})[0]
	assert.Equal(t, "updated eve a mistake", fmt.Sprint(string(newest.Outcome), " ", newest.Actor, " ", newest.Reason))

	again, err := c.Restore(ctx, tenant, "c-1", first.Revision(), nil)
	require.NoError(t, err)
	assert.Equal(t, resource.Unchanged, again.Outcome)

	_, err = c.Delete(ctx, tenant, "c-1", nil)
	require.NoError(t, err)
	res, err = c.Restore(ctx, tenant, "c-1", res.Revision(), &resource.WriteOptions{If: resource.Absent()})
	require.NoError(t, err)
	assert.Equal(t, resource.Created, res.Outcome)
	assert.JSONEq(t, want, string(res.Data()))
	assert.NotEqual(t, first.ID(), res.ID())
	assert.Equal(t, "created, deleted, updated, updated, updated, created", strings.ReplaceAll(told(allHistory(t, c, "c-1", resource.ChangeOptions{Limit: 1})), " c-1", ""))
}

// TestRestoreOfOnlyTheStateBefore: the state before the first change that has documents
// is in the log as well.
func TestRestoreOfOnlyTheStateBefore(t *testing.T) {
	store := memory.New()
	rev := upsert(t, open(t, schema.Customers(), store, &resource.Options{Log: true}), cust(`,"email":"a"`))
	c := open(t, schema.Customers(), store, &resource.Options{Log: true, History: true})
	_, err := c.Restore(ctx, tenant, "c-1", rev, nil)
	assert.ErrorIs(t, err, resource.ErrNoRevision, "the log has no document yet")
	upsert(t, c, cust(`,"email":"b"`))
	res, err := c.Restore(ctx, tenant, "c-1", rev, nil)
	require.NoError(t, err)
	assert.Equal(t, cust(`,"email":"a"`+outs), string(res.Data()))
}

func TestRestoreErrors(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	first := upsert(t, c, cust(`,"email":"a"`))
	second := upsert(t, c, cust(`,"email":"b"`))
	create(t, c, strings.Replace(cust(``), "c-1", "c-2", 1))
	_, err := c.Delete(ctx, tenant, "c-2", nil)
	require.NoError(t, err)
	gone := allHistory(t, c, "c-2", resource.ChangeOptions{Limit: 1})[0].Revision
	before := stored(t, store, customerKey("c-1"))
	for _, tt := range []struct {
		name   string
		tenant storage.Tenant
		id     string
		at     storage.Revision
		opts   resource.WriteOptions
		want   error
	}{
		{"tenant", storage.Tenant{}, "c-1", first, resource.WriteOptions{}, storage.ErrInvalid},
		{"another tenant", storage.TenantOf("platform", "other"), "c-1", first, resource.WriteOptions{}, resource.ErrNoRevision},
		{"no such resource", tenant, "c-3", first, resource.WriteOptions{}, resource.ErrNoRevision},
		{"not an id", tenant, "", first, resource.WriteOptions{}, resource.ErrNoRevision},
		{"no such revision", tenant, "c-1", first + 1, resource.WriteOptions{}, resource.ErrNoRevision},
		{"the revision of another", tenant, "c-2", first, resource.WriteOptions{}, resource.ErrNoRevision},
		{"absent", tenant, "c-1", 0, resource.WriteOptions{}, resource.ErrNoRevision},
		{"a delete", tenant, "c-2", gone, resource.WriteOptions{}, resource.ErrNoRevision},
		{"condition", tenant, "c-1", first, resource.WriteOptions{If: resource.AtRevision(first)}, resource.ErrPrecondition},
		{"condition, absent", tenant, "c-1", first, resource.WriteOptions{If: resource.Absent()}, resource.ErrPrecondition},
		{"nulls", tenant, "c-1", first, resource.WriteOptions{Nulls: schema.RejectNulls}, storage.ErrInvalid},
		{"unknown fields", tenant, "c-1", first, resource.WriteOptions{UnknownFields: schema.IgnoreUnknown}, storage.ErrInvalid},
		{"complete", tenant, "c-1", first, resource.WriteOptions{RequireComplete: true}, storage.ErrInvalid},
		{"reject", tenant, "c-1", first, reject, storage.ErrInvalid},
	} {
		res, err := c.Restore(ctx, tt.tenant, tt.id, tt.at, &tt.opts)
		assert.ErrorIs(t, err, tt.want, tt.name)
		assert.ErrorContains(t, err, "resource: restore: ", tt.name)
		assert.Nil(t, res, tt.name)
	}
	assert.Equal(t, before, stored(t, store, customerKey("c-1")))
	_, err = c.Restore(ctx, tenant, "c-1", first, &resource.WriteOptions{If: resource.AtRevision(second)})
	assert.NoError(t, err)
	without, _ := customers(t)
	_, err = without.Restore(ctx, tenant, "c-1", first, nil)
	assert.ErrorIs(t, err, storage.ErrUnsupported)
}

// TestRestoreUnderAnotherSchema: the schema of today judges what a restore changes.
func TestRestoreUnderAnotherSchema(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	store := memory.New()
	old := open(t, things(str("a"), str("b"), str("c")), store, opts)
	rev := upsert(t, old, `{"id":"1","a":"1","b":"2","c":"3"}`)
	_, err := old.Patch(ctx, tenant, "1", []byte(`{"a":"4","b":null,"c":"5"}`), nil)
	require.NoError(t, err)
	c := open(t, things(str("a"), enum(str("c"), "5")), store, opts)
	_, err = c.Restore(ctx, tenant, "1", rev, nil)
	assert.Equal(t, []string{"/c enum"}, violations(err))

	c = open(t, things(str("a"), str("c")), store, opts)
	res, err := c.Restore(ctx, tenant, "1", rev, nil)
	require.NoError(t, err)
	assert.Equal(t, `{"id":"1","a":"1","c":"3"}`, string(res.Data()))
	assert.Equal(t, []string{"/b"}, res.Dropped)
	_, err = c.Delete(ctx, tenant, "1", nil)
	require.NoError(t, err)
	c = open(t, things(str("a"), str("c"), required(str("d"))), store, opts)
	_, err = c.Restore(ctx, tenant, "1", rev, nil)
	assert.Equal(t, []string{"/d required"}, violations(err))
	synctest.Test(t, func(t *testing.T) { // Reindex waits
		unique := open(t, things(str("a"), schema.Field{Name: "c", Type: schema.String, Index: 1, Unique: true}), store, opts)
		_, err = unique.Reindex(ctx, tenant, nil)
		require.NoError(t, err)
		create(t, unique, `{"id":"2","c":"3"}`)
		_, err = unique.Restore(ctx, tenant, "1", rev, nil)
		assertTaken(t, err)
	})
}

// TestRestoreDamaged: neither a damaged document of the log nor one of the store is taken
// for the client's mistake.
func TestRestoreDamaged(t *testing.T) {
	for _, data := range damages {
		if data == "" || data == cust("")[:40] {
			continue
		}
		c, store := keeping(t, schema.Customers())
		put(t, store, customerKey("c-1"), data)
		gone, err := c.Delete(ctx, tenant, "c-1", nil)
		require.NoError(t, err)
		_, err = c.Restore(ctx, tenant, "c-1", gone.Revision(), nil)
		var corrupt *schema.CorruptError
		assert.ErrorAs(t, err, &corrupt, "%q, deleted", data)
		rev := upsert(t, c, cust(``))
		_, err = c.Restore(ctx, tenant, "c-1", gone.Revision(), nil)
		assert.ErrorAs(t, err, &corrupt, "%q, of the log", data)

		_, err = c.Delete(ctx, tenant, "c-1", nil)
		require.NoError(t, err)
		put(t, store, customerKey("c-1"), data)
		_, err = c.Restore(ctx, tenant, "c-1", rev, nil)
		assert.ErrorAs(t, err, &corrupt, "%q, of the store", data)
		var syntax *schema.SyntaxError
		assert.NotErrorAs(t, err, &syntax)
	}
	c, store := keeping(t, schema.Customers())
	put(t, store, customerKey("c-1"), cust(`,"email":null`))
	rev := stored(t, store, customerKey("c-1")).Revision
	upsert(t, c, cust(`,"email":"a"`))
	_, err := c.Restore(ctx, tenant, "c-1", rev, nil)
	var corrupt *schema.CorruptError
	assert.ErrorAs(t, err, &corrupt, "a null that no patch can set")
}

// TestRestoreBesideWriters: each restore is one change, which gives the whole document of
// then: a write of another process never mixes with it.
func TestRestoreBesideWriters(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	store := yielding()
	a, b := open(t, schema.Customers(), store, opts), open(t, schema.Customers(), store, opts)
	first := create(t, a, cust(`,"email":"a","phone":"a"`))
	atOnce(8, func(i int) {
		for n := range 20 {
			switch value := fmt.Sprintf("%d-%d", i, n); i % 4 {
			case 0:
				res, err := a.Restore(ctx, tenant, "c-1", first.Revision(), nil)
				if assert.NoError(t, err) {
					assert.JSONEq(t, string(first.Data()), string(res.Data()))
				}
			case 1:
				_, err := b.Create(ctx, tenant, []byte(cust(`,"email":"`+value+`","phone":"`+value+`"`)), nil)
				assert.NoError(t, err)
			case 2:
				_, err := b.CreateBatch(ctx, tenant, [][]byte{[]byte(cust(`,"email":"` + value + `"`)), []byte(cust(`,"phone":"` + value + `"`))}, nil)
				assert.NoError(t, err)
			default:
				_, err := b.Delete(ctx, tenant, "c-1", nil)
				if err != nil {
					assert.ErrorIs(t, err, resource.ErrNoRevision)
				}
			}
		}
	})
	var document string // before each change
	for _, change := range allChanges(t, a, resource.ChangeOptions{Documents: true, Unredacted: true}) {
		if change.Outcome == resource.Deleted {
			assert.Equal(t, document, string(change.Document))
			continue
		}
		document = string(change.Document)
		email, _, _ := strings.Cut(document[strings.Index(document, `"email":`)+9:], `"`)
		assert.Contains(t, document, `"phone":"`+email+`"`, "half of a state")
	}
}

// TestRestoreBesideErase: a restore never brings back what another process erases while
// the restore runs, wherever that comes.
func TestRestoreBesideErase(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	for _, deleted := range []bool{true, false} {
		for at := range 12 { // the call of the store before which it comes
			mem := memory.New()
			other := open(t, schema.Customers(), mem, opts)
			rev := upsert(t, other, cust(`,"email":"`+marker+`"`))
			upsert(t, other, cust(`,"email":"b"`))
			if deleted {
				_, err := other.Delete(ctx, tenant, "c-1", nil)
				require.NoError(t, err)
			}
			calls := 0
			erase := func() error {
				if calls++; calls == at+1 {
					_, err := other.Erase(ctx, tenant, "c-1", nil)
					require.NoError(t, err)
				}
				return nil
			}
			store := &logged{onChanges: erase, Store: &hooked{
				Store: mem, onGet: func(storage.Key) error { return erase() }, onPut: func(storage.Record) error { return erase() },
			}}
			res, err := open(t, schema.Customers(), store, opts).Restore(ctx, tenant, "c-1", rev, nil)
			if calls <= at { // the restore came first
				require.NoError(t, err)
				assert.NotNil(t, res)
				break
			}
			if err != nil {
				assert.ErrorIs(t, err, resource.ErrNoRevision, "before call %d", at)
				assert.Nil(t, res)
			}
			assert.Zero(t, stored(t, mem, customerKey("c-1")).Revision, "before call %d", at)
			page, err := mem.Changes(ctx, storage.ChangeQuery{Limit: 100})
			require.NoError(t, err)
			for _, change := range page.Changes {
				assert.Empty(t, string(change.Note.Before)+string(change.Note.After), "before call %d", at)
				assert.True(t, change.Redacted, "before call %d", at)
			}
		}
	}
}

// TestRestoreBesideTrim: a restore whose state is trimmed afterwards is not undone, wherever
// the log begins then.
func TestRestoreBesideTrim(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	for _, all := range []bool{true, false} { // false: up to the delete, which had the document
		store := &logged{Store: memory.New()}
		c := open(t, schema.Customers(), store, opts)
		upsert(t, c, cust(`,"email":"a"`))
		rev := upsert(t, c, cust(`,"email":"b"`))
		_, err := c.Delete(ctx, tenant, "c-1", nil)
		require.NoError(t, err)
		page, err := store.Store.Changes(ctx, storage.ChangeQuery{End: true})
		require.NoError(t, err)
		if all {
			page.Next = storage.Cursor{}
		}
		calls := 0
		store.onChanges = func() error {
			if calls++; calls == 2 {
				return store.Trim(ctx, time.Now().Add(time.Hour), page.Next)
			}
			return nil
		}
		res, err := c.Restore(ctx, tenant, "c-1", rev, nil)
		require.NoError(t, err, "all: %t", all)
		assert.Equal(t, resource.Created, res.Outcome)
		assert.Equal(t, res.Revision(), stored(t, store, customerKey("c-1")).Revision)
	}
}
