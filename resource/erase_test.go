package resource_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/internal/system"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/recent"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertForgotten asserts that a text is nowhere in a store: not in the log, not in the
// records, and not in those of the library.
func assertForgotten(t testing.TB, store storage.Store, text string) {
	t.Helper()
	q := storage.ChangeQuery{Limit: storage.MaxPage}
	for {
		page, err := store.Changes(ctx, q)
		require.NoError(t, err)
		for _, c := range page.Changes {
			assert.NotContains(t, fmt.Sprint(c.Key.ExternalID, c.Note.Actor, c.Note.Reason, string(c.Note.Before), string(c.Note.After)), text)
		}
		if q.After = page.Next; !page.More {
			break
		}
	}
	scope := storage.Scope{Tenant: tenant, Schema: schema.Customers().ID()}
	for _, scope := range []storage.Scope{scope, system.Key(scope, "").Scope(), system.Scope} {
		page, err := store.List(ctx, scope, storage.Range{Limit: storage.MaxPage})
		require.NoError(t, err)
		for _, rec := range page.Records {
			assert.NotContains(t, rec.Key.ExternalID+string(rec.Data), text)
		}
	}
}

func erase(t testing.TB, c *resource.Collection, id string) resource.Erasure {
	t.Helper()
	report, err := c.Erase(ctx, tenant, id, nil)
	require.NoError(t, err)
	return *report
}

func TestErase(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	as := resource.WriteOptions{Actor: marker, Reason: marker}
	mine := strings.ReplaceAll(cust(`,"email":"c-1"`), "c-1", marker)
	first, err := c.Create(ctx, tenant, []byte(mine), &as)
	require.NoError(t, err)
	_, err = c.Delete(ctx, tenant, marker, &as)
	require.NoError(t, err)
	second := create(t, c, mine)
	_, err = c.PatchBatch(ctx, tenant, []resource.Item{{ExternalID: marker, Data: []byte(`{"phone":"` + marker + `"}`)}}, &as)
	require.NoError(t, err)
	create(t, c, cust(``))
	begin, err := c.Changes(ctx, tenant, &resource.ChangeOptions{FromEnd: true})
	require.NoError(t, err)

	dry, err := c.Erase(ctx, tenant, marker, &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	assert.Len(t, allHistory(t, c, marker, resource.ChangeOptions{}), 4, "a dry run changes nothing")
	report, err := c.Erase(ctx, tenant, marker, &resource.WriteOptions{Actor: "eve", Reason: "asked to"})
	require.NoError(t, err)
	assert.Equal(t, &resource.Erasure{Deleted: true, Changes: 5}, report)
	assert.Equal(t, report, dry)
	assertForgotten(t, store, marker)
	assert.Empty(t, allHistory(t, c, marker, resource.ChangeOptions{}))
	_, err = c.Get(ctx, tenant, marker)
	assert.ErrorIs(t, err, resource.ErrNotFound)
	_, err = c.Restore(ctx, tenant, marker, second.Revision(), nil)
	assert.ErrorIs(t, err, resource.ErrNoRevision)

	all := allChanges(t, c, resource.ChangeOptions{Documents: true, Patches: true, Unredacted: true})
	require.Len(t, all, 8)
	hash := all[0].Key.ExternalID
	for i, change := range all {
		if i == 4 {
			assert.Equal(t, "created c-1", told(all[i:i+1]), "another resource's change stays")
			continue
		}
		assert.Equal(t, resource.Erased, change.Outcome)
		assert.Equal(t, hash, change.Key.ExternalID)
		assert.False(t, change.Time.IsZero())
		assert.Nil(t, change.Document)
	}
	assert.Equal(t, first.Revision(), all[0].Revision, "revisions stay")
	news := allChanges(t, c, resource.ChangeOptions{Cursor: begin.Next})
	require.Len(t, news, 3, "the delete, and one for each ID")
	assert.ElementsMatch(t, []any{first.ID(), second.ID()}, []any{news[1].ID, news[2].ID})
	assert.Equal(t, "eve asked to", news[1].Actor+" "+news[1].Reason)
	assert.Zero(t, news[1].Before)

	assert.Equal(t, resource.Erasure{}, erase(t, c, marker), "once more")
	assert.Len(t, allChanges(t, c, resource.ChangeOptions{}), 8)
	for _, id := range []string{"nobody", "", "nul\x00", hash} {
		assert.Equal(t, resource.Erasure{}, erase(t, c, id), "%q", id)
	}
	assert.Equal(t, resource.Created, create(t, c, mine).Outcome, "it can be created again")
	assert.Equal(t, resource.Erasure{Deleted: true, Changes: 2}, erase(t, c, marker))
	assertForgotten(t, store, marker)
	assert.Equal(t, "created c-1", told(allHistory(t, c, "c-1", resource.ChangeOptions{})))
}

// TestEraseOfWhatIsGone: the log of a resource that was deleted, in every way.
func TestEraseOfWhatIsGone(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	create(t, c, strings.ReplaceAll(cust(``), "c-1", marker))
	_, err := c.Delete(ctx, tenant, marker, nil)
	require.NoError(t, err)
	dry, err := c.Erase(ctx, tenant, marker, &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, resource.Erasure{Changes: 2}, *dry)
	// A collection that does not log may not write here, but it can erase.
	assert.Equal(t, resource.Erasure{Changes: 2}, erase(t, open(t, schema.Customers(), store, nil), marker))
	assertForgotten(t, store, marker)
}

func TestEraseErrors(t *testing.T) {
	c, store := keeping(t, schema.Customers())
	res := create(t, c, cust(``))
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		tenant storage.Tenant
		id     string
		opts   resource.WriteOptions
		want   error
	}{
		{"tenant", ctx, storage.Tenant{}, "c-1", resource.WriteOptions{}, storage.ErrInvalid},
		{"unknown fields", ctx, tenant, "c-1", resource.WriteOptions{UnknownFields: schema.IgnoreUnknown}, storage.ErrInvalid},
		{"nulls", ctx, tenant, "c-1", resource.WriteOptions{Nulls: schema.RejectNulls}, storage.ErrInvalid},
		{"reject", ctx, tenant, "c-1", reject, storage.ErrInvalid},
		{"condition", ctx, tenant, "c-1", resource.WriteOptions{If: resource.AtRevision(res.Revision() + 1)}, resource.ErrPrecondition},
		{"condition, dry", ctx, tenant, "c-1", resource.WriteOptions{If: resource.Absent(), DryRun: true}, resource.ErrPrecondition},
		{"condition of nobody", ctx, tenant, "c-2", resource.WriteOptions{If: resource.NotAtRevision(0)}, resource.ErrPrecondition},
		{"condition, no id", ctx, tenant, "", resource.WriteOptions{If: resource.AtRevision(1)}, resource.ErrPrecondition},
		{"actor", ctx, tenant, "c-1", resource.WriteOptions{Actor: "\xff"}, storage.ErrInvalid},
		{"context", cancelled, tenant, "c-1", resource.WriteOptions{}, context.Canceled},
	} {
		for _, dry := range []bool{false, true} {
			if tt.opts.DryRun = dry || tt.opts.DryRun; dry && tt.name == "actor" {
				continue
			}
			report, err := c.Erase(tt.ctx, tt.tenant, tt.id, &tt.opts)
			assert.ErrorIs(t, err, tt.want, tt.name)
			assert.ErrorContains(t, err, "resource: erase: ", tt.name)
			assert.Nil(t, report, tt.name)
		}
	}
	assert.Equal(t, "created c-1", told(allHistory(t, c, "c-1", resource.ChangeOptions{})))
	report, err := c.Erase(ctx, tenant, "c-1", &resource.WriteOptions{If: resource.AtRevision(res.Revision())})
	require.NoError(t, err)
	assert.True(t, report.Deleted)
	create(t, c, cust(``))
	_, err = open(t, schema.Customers(), store, nil).Erase(ctx, tenant, "c-1", nil)
	assert.ErrorIs(t, err, resource.ErrLogged)
}

// TestCallsOfErase: OnCall is told what came of it.
func TestCallsOfErase(t *testing.T) {
	var calls []resource.Call
	c := open(t, schema.Customers(), memory.New(), &resource.Options{Log: true, OnCall: func(_ context.Context, call resource.Call) {
		call.Duration = 0
		calls = append(calls, call)
	}})
	create(t, c, cust(``))
	calls = nil
	erase(t, c, "c-1")
	erase(t, c, "c-1")
	_, failed := c.Erase(ctx, tenant, "c-1", &resource.WriteOptions{RejectExisting: true, DryRun: true})
	require.Len(t, calls, 3)
	calls[0].Attempts, calls[1].Attempts = 0, 0
	assert.Equal(t, []resource.Call{
		{Op: "erase", Tenant: tenant, Schema: "customers", Results: map[string]int{"erased": 1}},
		{Op: "erase", Tenant: tenant, Schema: "customers", Results: map[string]int{"unchanged": 1}},
		{Op: "erase", Tenant: tenant, Schema: "customers", Results: map[string]int{"internal": 1}, DryRun: true, Err: failed},
	}, calls)
}

// TestEraseDamaged: a damaged record is erased as others are.
func TestEraseDamaged(t *testing.T) {
	for _, data := range damages {
		c, store := keeping(t, schema.Customers())
		put(t, store, customerKey(marker), data)
		assert.Equal(t, resource.Erasure{Deleted: true, Changes: 1}, erase(t, c, marker), "%q", data)
		assertForgotten(t, store, marker)
	}
}

// A logless store has records alone.
type logless struct{ storage.Store }

func (s logless) Limits() storage.Limits { return storage.Limits{NoLog: true} }

// TestEraseWithoutLog: on a store without a log the delete is all.
func TestEraseWithoutLog(t *testing.T) {
	c := open(t, schema.Customers(), &logged{Store: logless{memory.New()}, onRedact: func() error { return storage.ErrUnsupported }}, nil)
	create(t, c, cust(``))
	dry, err := c.Erase(ctx, tenant, "c-1", &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	assert.Equal(t, resource.Erasure{Deleted: true}, *dry)
	assert.Equal(t, resource.Erasure{Deleted: true}, erase(t, c, "c-1"))
	assert.Equal(t, resource.Erasure{}, erase(t, c, "c-1"))
}

// TestEraseInTwoSteps: after a call that ended between its steps, the next one does the
// rest.
func TestEraseInTwoSteps(t *testing.T) {
	down := true
	store := &logged{Store: memory.New(), onRedact: func() error {
		if down {
			return storage.ErrUnknownOutcome
		}
		return nil
	}}
	c := open(t, schema.Customers(), store, &resource.Options{Log: true, History: true})
	create(t, c, strings.ReplaceAll(cust(`,"email":"c-1"`), "c-1", marker))
	_, err := c.Erase(ctx, tenant, marker, nil)
	assert.ErrorIs(t, err, storage.ErrUnknownOutcome)
	_, err = c.Get(ctx, tenant, marker)
	assert.ErrorIs(t, err, resource.ErrNotFound, "it is deleted")
	for _, change := range allHistory(t, c, marker, resource.ChangeOptions{Documents: true, Unredacted: true}) {
		if change.Outcome == resource.Deleted {
			assert.Nil(t, change.Document, "the delete was logged with a document")
		}
	}
	down = false
	assert.Equal(t, resource.Erasure{Changes: 2}, erase(t, c, marker))
	assertForgotten(t, store, marker)
}

// TestEraseBesideWriters: Erase beside writers of every verb, in its own collection and in
// others, ends at an instant at which nothing of the resource is left: what is there
// afterwards was written afterwards.
func TestEraseBesideWriters(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	for round := range 30 {
		mem := memory.New()
		store := &logged{
			Store: &hooked{
				Store: mem,
				onGet: func(storage.Key) error { runtime.Gosched(); return nil },
				onPut: func(storage.Record) error { runtime.Gosched(); return nil },
			},
			onRedact: func() error { runtime.Gosched(); return nil },
		}
		a, b := open(t, schema.Customers(), store, opts), open(t, schema.Customers(), store, opts)
		upsert(t, a, cust(`,"email":"first"`))
		var report *resource.Erasure
		atOnce(8, func(i int) {
			c, data := a, []byte(cust(fmt.Sprintf(`,"email":"%d"`, i)))
			if i%2 == 0 {
				c = b
			}
			var err error
			switch i {
			case 0:
				for range round % 10 {
					runtime.Gosched()
				}
				report, err = a.Erase(ctx, tenant, "c-1", nil)
			case 1, 2:
				_, err = c.Create(ctx, tenant, data, nil)
			case 3:
				_, err = c.Patch(ctx, tenant, "c-1", []byte(`{"email":"patched"}`), nil)
			case 4:
				_, err = c.Delete(ctx, tenant, "c-1", nil)
			case 5, 6:
				err = firstError(c.CreateBatch(ctx, tenant, [][]byte{data, data}, nil))
			case 7:
				err = firstError(c.DeleteBatch(ctx, tenant, []resource.Item{{ExternalID: "c-1"}}, nil))
			}
			if !errors.Is(err, resource.ErrNotFound) {
				assert.NoError(t, err)
			}
		})
		require.NotNil(t, report)
		// What is left under the id is a history from absence on, and leads to the record.
		left := allHistory(t, a, "c-1", resource.ChangeOptions{})
		last := storage.Revision(0)
		for i := len(left) - 1; i >= 0; i-- {
			require.Equal(t, last, left[i].Before, "%s", told(left))
			if last = left[i].Revision; left[i].Outcome == resource.Deleted {
				last = 0
			}
		}
		rec := stored(t, mem, customerKey("c-1"))
		require.Equal(t, last, rec.Revision, "%s", told(left))
		for _, change := range allChanges(t, a, resource.ChangeOptions{}) {
			if change.Outcome == resource.Erased {
				require.NotEqual(t, rec.ID, change.ID, "a resource that is there was erased in part")
				for _, other := range left {
					require.NotEqual(t, other.ID, change.ID, "a resource was erased in part")
				}
			}
		}
		erase(t, a, "c-1")
		assertForgotten(t, mem, "first")
	}
}

// TestEraseAttempts: a resource that is created again each time.
func TestEraseAttempts(t *testing.T) {
	mem := memory.New()
	other := open(t, schema.Customers(), mem, &resource.Options{Log: true})
	store := &logged{Store: mem, onRedact: func() error {
		_, err := other.Create(ctx, tenant, []byte(cust(``)), nil)
		return err
	}}
	c := open(t, schema.Customers(), store, &resource.Options{Log: true})
	_, err := c.Erase(ctx, tenant, "c-1", nil)
	assert.ErrorIs(t, err, storage.ErrAttempts)
	assert.Equal(t, resource.Class("conflict"), resource.ErrorClass(err))
}

// TestEraseBesideReindex: the place of a Reindex, which is the id of a resource, is not
// left behind, wherever the Erase comes and if the Reindex ends early.
func TestEraseBesideReindex(t *testing.T) {
	s := schema.Customers()
	opts := &resource.Options{Log: true, IndexCreatedAt: true}
	last := fmt.Sprintf("c-%06d", storage.MaxPage-1) // of the first page
	killed := errors.New("killed")
	for at, name := range map[int]string{1: "before its place is stored", 2: "after that"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := memory.New()
				fillUp(t, open(t, s, mem, &resource.Options{Log: true}), tenant, 2*storage.MaxPage+10)
				state := func() string {
					return string(stored(t, mem, system.Key(storage.Scope{Tenant: tenant, Schema: s.ID()}, "state")).Data)
				}
				pages := 0
				c := open(t, s, mem, opts)
				_, err := c.Reindex(ctx, tenant, func(r resource.Reindexed) error {
					if pages++; pages == at {
						assert.Equal(t, at == 2, strings.Contains(state(), last))
						erase(t, c, last)
					}
					if pages == 2 {
						return killed
					}
					return nil
				})
				require.ErrorIs(t, err, killed)
				assert.NotContains(t, state(), last)
				_, err = c.Reindex(ctx, tenant, nil)
				require.NoError(t, err)
				assert.True(t, isIndexed(t, c))
				assert.NotContains(t, state(), `"run"`)
				assert.NotContains(t, state(), `"erased"`)
			})
		})
	}
}

// TestEraseThroughWrappers: what stands before a store has nothing of the resource
// afterwards, also if another process has deleted it.
func TestEraseThroughWrappers(t *testing.T) {
	opts := &resource.Options{Log: true, History: true}
	for _, elsewhere := range []bool{false, true} {
		mem := memory.New()
		remembering := recent.New(coalesce.New(mem), 1<<20)
		c := open(t, schema.Customers(), remembering, opts)
		upsert(t, c, cust(``))
		_, err := c.Get(ctx, tenant, "c-1")
		require.NoError(t, err)
		_, ok := remembering.Recall(customerKey("c-1"))
		require.True(t, ok)
		if elsewhere {
			_, err := open(t, schema.Customers(), mem, opts).Delete(ctx, tenant, "c-1", nil)
			require.NoError(t, err)
		}
		erase(t, c, "c-1")
		_, ok = remembering.Recall(customerKey("c-1"))
		assert.False(t, ok, "it is remembered")
	}
}
