package scenarios_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// Our values and theirs begin with these, so that they are found where they do not belong.
const (
	ourMark   = "our-secret"
	theirMark = "their-secret"
)

// TestTenants makes each call in two worlds. In one of them other tenants, with much in
// common with ours, have resources of the same external ids; in the other there are none.
// The answers are the same, byte for byte. The records of the others stay as they are, no
// change of ours has a value of theirs, and no change of theirs has one of ours.
func TestTenants(t *testing.T) {
	for _, store := range slices.Concat(stores, recalling) {
		t.Run(store.name, func(t *testing.T) {
			t.Parallel()
			alone, shared := store.open(t), store.open(t)
			for _, row := range slices.Concat(libraryRows, httpRows) {
				t.Run(row.name, func(t *testing.T) {
					with := newSide(t, row.name, shared, true)
					loot := with.settle()
					row.do(with, loot)
					with.unharmed()

					without := newSide(t, row.name, alone, false)
					row.do(without, loot)

					told := with.end()
					assert.Equal(t, without.end(), told, "we are told something else when others have the resource")
					assert.NotContains(t, told, theirMark, "we are told what they have")
					assert.NotEmpty(t, told)
				})
			}
		})
	}
}

// findable are customers that are found by email, in whatever case, and by createdAt, and
// of which no two of a tenant have the same URL.
var findable = func() *schema.Schema {
	def := schema.Customers().Definition()
	for i := range def.Fields {
		switch f := &def.Fields[i]; f.Name {
		case "email":
			f.Index, f.Fold = 1, "lower"
		case "createdAt":
			f.Index = 2
		case "customerDetailUrl":
			f.Index, f.Unique = 3, true
		}
	}
	return schema.MustCompile(def)
}()

// side is one of the two worlds, as a service on a store sees it.
type side struct {
	t      *testing.T
	store  *witness
	ours   storage.Tenant
	theirs []storage.Tenant // nobody in the lonely world
	acting storage.Tenant
	made   map[storage.Tenant]int // ids
	news   int                    // of the others
	c      *resource.Collection
	server *httptest.Server
	told   []string

	records []storage.Record // of the others, after their last change
	changes []storage.Change
}

// loot is what we have of theirs: revision, tag and cursors are no secrets.
type loot struct {
	revision storage.Revision
	etag     string
	cursor   string
	sorted   string // the cursor of a list by email
	change   string // a cursor of their changes
	history  string // a cursor of the history of their c-1
}

func newSide(t *testing.T, name string, store storage.Store, shared bool) *side {
	t.Helper()
	a, b := uuid.NewSHA1(uuid.NameSpaceURL, []byte("a"+name)), uuid.NewSHA1(uuid.NameSpaceURL, []byte("b"+name))
	almost := b
	almost[15] ^= 1
	s := &side{t: t, ours: storage.Tenant{Platform: a, Business: b}, made: make(map[storage.Tenant]int)}
	s.acting, s.store = s.ours, newWitness(store, s.ours)
	neighbours := []storage.Tenant{
		{Platform: a, Business: a}, {Platform: b, Business: b}, {Platform: b, Business: a}, {Platform: a, Business: almost},
	}
	if shared {
		s.theirs = neighbours
	}
	s.c = newCollection(t, findable, s.store, &resource.Options{
		Now:            func() time.Time { return start },
		IndexCreatedAt: true,
		Log:            true,
		History:        true,
		NewID: func() (uuid.UUID, error) {
			s.made[s.acting]++
			return uuid.NewSHA1(s.acting.Business, fmt.Append(nil, s.acting.Platform, s.made[s.acting])), nil
		},
		OnCall: func(_ context.Context, call resource.Call) {
			if call.Tenant == s.ours {
				call.Duration, call.Err = 0, nil
				s.tell("call %+v", call)
			}
		},
	})
	api, err := httpapi.NewAPI(httpapi.Hooks{
		Authenticate: func(*http.Request) (httpapi.Principal, error) { return httpapi.Principal{Tenant: s.ours}, nil },
		ResolveTenant: func(_ context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
			switch i := strings.Index("0123", name); {
			case name == "":
				return p.Tenant, nil
			case i >= 0 && i < len(s.theirs):
				return s.theirs[i], nil
			}
			return storage.Tenant{}, httpapi.ErrUnknownTenant
		},
	}, &httpapi.Options{AllowScans: true}, s.c)
	require.NoError(t, err)
	s.server = httptest.NewServer(api)
	t.Cleanup(s.server.Close)
	return s
}

// settle gives everybody else resources, and returns what we have got of them.
func (s *side) settle() loot {
	var got loot
	for _, they := range s.theirs {
		s.acting = they
		batch, err := s.c.CreateBatch(ctx, they, [][]byte{theirCust("c-1"), theirCust("c-2"), theirCust("c-5")}, nil)
		require.NoError(s.t, err)
		require.Equal(s.t, 3, countOf(batch, resource.Created))
		r, err := s.c.Patch(ctx, they, "c-1", []byte(`{"phone":"`+theirMark+`"}`), nil)
		require.NoError(s.t, err)
		page, err := s.c.List(ctx, they, &resource.ListOptions{Limit: 1})
		require.NoError(s.t, err)
		sorted, err := s.c.List(ctx, they, &resource.ListOptions{Limit: 1, Order: "email"})
		require.NoError(s.t, err)
		changes, err := s.c.Changes(ctx, they, &resource.ChangeOptions{Limit: 1})
		require.NoError(s.t, err)
		history, err := s.c.History(ctx, they, "c-1", &resource.ChangeOptions{Limit: 1})
		require.NoError(s.t, err)
		require.NotEmpty(s.t, history.Next)
		got = loot{r.Revision(), httpapi.ETag(&r.Resource), page.Next, sorted.Next, changes.Next, history.Next}
	}
	s.acting = s.ours
	s.records, s.changes = s.theirRecords(), s.theirChanges()
	return got
}

// unharmed expects that only they have changed what is theirs.
func (s *side) unharmed() {
	s.t.Helper()
	assert.Equal(s.t, s.records, s.theirRecords(), "their records have changed")
	assert.Equal(s.t, s.changes, s.theirChanges(), "what the log has of them has changed")
}

func theirCust(id string) []byte {
	return []byte(cust(id, `,"email":"`+theirMark+`","customerDetailUrl":"`+sharedURL+id+`"`))
}

// theirURL is the unique value of their c-1. It is no secret: we send it, too.
const (
	sharedURL = "https://example.com/"
	theirURL  = sharedURL + "c-1"
)

func ourCust(id string) []byte { return []byte(cust(id, `,"email":"`+ourMark+`"`)) }

func (s *side) theirRecords() (all []storage.Record) {
	for _, they := range s.theirs {
		for _, rec := range records(s.t, s.store, they, schema.Customers()) {
			rec.Data = bytes.Clone(rec.Data)
			all = append(all, rec)
		}
	}
	return all
}

// theirChanges returns what the log has of the others.
func (s *side) theirChanges() (all []storage.Change) {
	for _, they := range s.theirs {
		all = append(all, s.logged(they)...)
	}
	return all
}

// logged returns what the log has of a tenant's customers, without the cursors: their
// positions tell how much is written by everybody, so a service keeps them to itself.
func (s *side) logged(tenant storage.Tenant) (all []storage.Change) {
	q := storage.ChangeQuery{Scope: storage.Scope{Tenant: tenant, Schema: findable.ID()}, Limit: storage.MaxPage}
	for {
		page, err := s.store.Changes(ctx, q)
		require.NoError(s.t, err)
		for _, c := range page.Changes {
			c.Cursor = storage.Cursor{Revision: c.Cursor.Revision}
			all = append(all, c)
		}
		if q.After = page.Next; !page.More && page.Held == 0 {
			return all
		}
	}
}

// tellChanges tells all changes of a tenant that are ours, in pages of two.
func (s *side) tellChanges() {
	for o := (resource.ChangeOptions{Limit: 2, Documents: true, Patches: true, Unredacted: true}); ; {
		page, err := s.c.Changes(ctx, s.ours, &o)
		if s.changePage(page, err); err != nil || !page.More {
			return
		}
		o.Cursor = page.Next
	}
}

func (s *side) changePage(p *resource.ChangePage, err error) {
	if err != nil {
		s.tellError(err)
		return
	}
	for _, c := range p.Changes {
		s.tell("change %s %s", c.AppendJSON(nil), c.Cursor)
	}
	s.tell("next %q more %t", p.Next, p.More)
}

// act lets the others do something.
func (s *side) act() {
	s.t.Helper()
	s.unharmed()
	for _, they := range s.theirs {
		s.acting = they
		s.news++
		_, err := s.c.Patch(ctx, they, "c-1", fmt.Appendf(nil, `{"phone":"%s news %d"}`, theirMark, s.news), nil)
		require.NoError(s.t, err)
	}
	s.acting = s.ours
	s.records, s.changes = s.theirRecords(), s.theirChanges()
}

// end lets the others do something, too, and returns all that we were told, our
// changes included.
func (s *side) end() string {
	s.t.Helper()
	s.act()
	s.tellChanges()
	for _, they := range s.theirs {
		page, err := s.c.Changes(ctx, they, &resource.ChangeOptions{Documents: true, Patches: true, Unredacted: true})
		require.NoError(s.t, err)
		require.Len(s.t, page.Changes, 4+s.news/len(s.theirs), "changes of the others")
		for _, c := range page.Changes {
			require.Equal(s.t, they, c.Key.Tenant)
			assert.NotContains(s.t, string(c.AppendJSON(nil)), ourMark, "a change of theirs holds what is ours")
		}
	}
	for _, rec := range records(s.t, s.store, s.ours, schema.Customers()) {
		s.tell("stored %s %d %s %s %s %s", rec.Key.ExternalID, rec.Revision, rec.ID, rec.CreatedAt, rec.UpdatedAt, rec.Data)
	}
	told := sealed.ReplaceAllStringFunc(s.store.rename(strings.Join(s.told, "\n")), func(cursor string) string {
		return fmt.Sprintf("sealed cursor of %d bytes", len(cursor))
	})
	return erasures.ReplaceAllString(redacted.ReplaceAllString(told, "redacted"), `$1"random"`)
}

var (
	// Cursors of sorted lists and of changes are never the same twice.
	sealed = regexp.MustCompile(`\bA[g-z0-9_-][\w-]{50,}`)
	// Each store has its own key for the ids of those that were erased.
	redacted = regexp.MustCompile(`redacted-[0-9a-f]{32}`)
	// The revision of an erasure is a random number, which the store makes.
	erasures = regexp.MustCompile(`("outcome":"erased"[^{}]*"revision":)"\d+"`)
)

func (s *side) tell(format string, args ...any) {
	s.told = append(s.told, fmt.Sprintf(format, args...))
}

// tellError tells an error with all that can be got out of it.
func (s *side) tellError(err error) {
	s.tell("error %s %s", resource.ErrorClass(err), err)
	var (
		stored *storage.OpError
		failed *resource.OpError
	)
	if errors.As(err, &stored) {
		s.tell("op %+v %T", stored.Key, stored.Err)
	}
	if errors.As(err, &failed) {
		s.tell("op %s %+v %d", failed.Op, failed.Key, failed.Current)
	}
	s.tell("problem %+v", *httpapi.ProblemOf(err))
}

func (s *side) result(r *resource.Result, err error) {
	if err != nil {
		s.tellError(err)
		return
	}
	s.tell("%s %d %s changed %q removed %q dropped %q", r.Outcome, r.Revision(), r.AppendJSON(nil, nil), r.Changed(), r.Removed(), r.Dropped)
}

func (s *side) batch(b []resource.ItemResult, err error) {
	if err != nil {
		s.tellError(err)
		return
	}
	for _, i := range b {
		s.result(i.Result, i.Err)
	}
}

func (s *side) page(p *resource.Page, err error) {
	if err != nil {
		s.tellError(err)
		return
	}
	for _, r := range p.Resources {
		s.tell("listed %d %s", r.Revision(), r.AppendJSON(nil, nil))
	}
	s.tell("next %q", p.Next)
}

// The calls of the library, told.

func (s *side) create(data []byte, o resource.WriteOptions) {
	s.result(s.c.Create(ctx, s.ours, data, &o))
}

func (s *side) patch(id, patch string, o resource.WriteOptions) {
	s.result(s.c.Patch(ctx, s.ours, id, []byte(patch), &o))
}

func (s *side) remove(id string, o resource.WriteOptions) {
	s.result(s.c.Delete(ctx, s.ours, id, &o))
}

func (s *side) get(id string) {
	r, err := s.c.Get(ctx, s.ours, id)
	if err != nil {
		s.tellError(err)
		return
	}
	s.tell("found %d %s", r.Revision(), r.AppendJSON(nil, nil))
}

func (s *side) list(o resource.ListOptions) { s.page(s.c.List(ctx, s.ours, &o)) }

// have gives us a resource of our own.
func (s *side) have(ids ...string) {
	for _, id := range ids {
		s.create(ourCust(id), resource.WriteOptions{})
	}
}

func (s *side) importAll(o ingest.Options) {
	documents := func(yield func(ingest.Document, error) bool) {
		for _, d := range [][]byte{ourCust("c-1"), ourCust("c-3"), []byte(`{"customerId":"c-2"}`), ourCust("c-1"), ourCust("c-5")} {
			if !yield(ingest.Document{Data: d}, nil) {
				return
			}
		}
	}
	o.BatchSize = 2
	o.Progress = func(r ingest.Result) error {
		s.tell("progress %v", r.Position)
		return nil
	}
	r, err := ingest.Import(ctx, s.c, s.ours, documents, &o)
	s.tell("imported %+v", *r)
	if err != nil {
		s.tellError(err)
	}
}

const (
	ourPhone  = `{"phone":"` + ourMark + `"}`
	wrongData = `{"customerId":"c-1","phone":1,"x":null}`
)

type (
	createOptions = resource.WriteOptions
	patchOptions  = resource.WriteOptions
	deleteOptions = resource.WriteOptions
)

// A row is one thing that we do, with what we have got of theirs.
type row struct {
	name string
	do   func(s *side, got loot)
}

// libraryRows are all verbs with all that can be asked of them.
var libraryRows = []row{
	{"get", func(s *side, _ loot) { s.get("c-1") }},
	{"batch of gets", func(s *side, _ loot) {
		s.have("c-3")
		got, err := s.c.GetBatch(ctx, s.ours, []string{"c-1", "c-3", "c-2", "c-1"})
		require.NoError(s.t, err)
		for _, r := range got {
			if r == nil {
				s.tell("none")
			} else {
				s.tell("found %d %s", r.Revision(), r.AppendJSON(nil, nil))
			}
		}
	}},
	{"get, ours is another", func(s *side, _ loot) { s.have("c-3"); s.get("c-1"); s.get("c-3") }},
	{"create", func(s *side, _ loot) { s.create(ourCust("c-1"), createOptions{}); s.get("c-1") }},
	{"create a part", func(s *side, _ loot) { s.create([]byte(`{"customerId":"c-1","phone":"1"}`), createOptions{}) }},
	{"create with mistakes", func(s *side, _ loot) { s.create([]byte(wrongData), createOptions{}) }},
	{"create with unknown fields", func(s *side, _ loot) {
		s.create([]byte(cust("c-1", `,"vip":true`)), createOptions{UnknownFields: schema.IgnoreUnknown})
	}},
	{"create or reject", func(s *side, _ loot) {
		s.create(ourCust("c-1"), createOptions{RejectExisting: true})
		s.create(ourCust("c-1"), createOptions{RejectExisting: true})
	}},
	{"create if there is none", func(s *side, _ loot) {
		s.create(ourCust("c-1"), createOptions{If: resource.Absent()})
		s.create(ourCust("c-1"), createOptions{If: resource.Absent()})
	}},
	{"create with their revision", func(s *side, got loot) {
		s.create(ourCust("c-1"), createOptions{If: resource.AtRevision(got.revision)})
		s.have("c-1")
		s.create([]byte(cust("c-1", `,"phone":"1"`)), createOptions{If: resource.AtRevision(got.revision)})
	}},
	{"upsert of ours", func(s *side, _ loot) {
		s.have("c-1")
		s.create([]byte(`{"customerId":"c-1","phone":"`+ourMark+`"}`), createOptions{})
		s.create([]byte(`{"customerId":"c-1","email":null}`), createOptions{})
		s.create([]byte(`{"customerId":"c-1"}`), createOptions{})
	}},
	{"complete", func(s *side, _ loot) {
		s.create([]byte(`{"customerId":"c-1"}`), createOptions{RequireComplete: true})
	}},
	{"dry create", func(s *side, _ loot) {
		s.create(ourCust("c-1"), createOptions{DryRun: true})
		s.create(ourCust("c-1"), createOptions{DryRun: true, RejectExisting: true})
		s.create(ourCust("c-1"), createOptions{DryRun: true, If: resource.Absent()})
		s.create([]byte(`{"customerId":"c-1"}`), createOptions{DryRun: true})
	}},
	{"dry create with their revision", func(s *side, got loot) {
		s.create(ourCust("c-1"), createOptions{DryRun: true, If: resource.AtRevision(got.revision)})
	}},
	{"patch", func(s *side, _ loot) { s.patch("c-1", ourPhone, patchOptions{}) }},
	{"patch with mistakes", func(s *side, _ loot) {
		s.patch("c-1", `{"phone":1}`, patchOptions{})
		s.patch("c-1", `{`, patchOptions{})
	}},
	{"patch with nulls", func(s *side, _ loot) {
		s.patch("c-1", `{"email":null}`, patchOptions{Nulls: schema.RejectNulls})
		s.patch("c-1", `{"customerDetailUrl":null}`, patchOptions{})
	}},
	{"patch with their revision", func(s *side, got loot) {
		s.patch("c-1", ourPhone, patchOptions{If: resource.AtRevision(got.revision)})
		s.have("c-1")
		s.patch("c-1", ourPhone, patchOptions{If: resource.AtRevision(got.revision)})
	}},
	{"patch of ours", func(s *side, _ loot) { s.have("c-1"); s.patch("c-1", ourPhone, patchOptions{}); s.get("c-1") }},
	{"dry patch", func(s *side, got loot) {
		s.patch("c-1", ourPhone, patchOptions{DryRun: true})
		s.patch("c-1", ourPhone, patchOptions{DryRun: true, If: resource.AtRevision(got.revision)})
		s.have("c-1")
		s.patch("c-1", ourPhone, patchOptions{DryRun: true})
	}},
	{"delete", func(s *side, _ loot) { s.remove("c-1", deleteOptions{}) }},
	{"delete with their revision", func(s *side, got loot) {
		s.remove("c-1", deleteOptions{If: resource.AtRevision(got.revision)})
		s.have("c-1")
		s.remove("c-1", deleteOptions{If: resource.AtRevision(got.revision)})
	}},
	{"delete of ours", func(s *side, _ loot) {
		s.have("c-1")
		s.remove("c-1", deleteOptions{})
		s.get("c-1")
		s.have("c-1")
	}},
	{"dry delete", func(s *side, got loot) {
		s.remove("c-1", deleteOptions{DryRun: true})
		s.remove("c-1", deleteOptions{DryRun: true, If: resource.AtRevision(got.revision)})
	}},
	{"list nothing", func(s *side, _ loot) { s.list(resource.ListOptions{}); s.list(resource.ListOptions{Limit: 1}) }},
	{"list ours", func(s *side, _ loot) { s.have("c-3", "c-0"); s.list(resource.ListOptions{}) }},
	{"list by their email", func(s *side, _ loot) {
		s.have("c-3")
		s.list(resource.ListOptions{Filter: []schema.Condition{{Field: "email", Value: theirMark}}, AllowScan: true})
	}},
	{"find theirs", func(s *side, _ loot) {
		for range 2 {
			for _, o := range []resource.ListOptions{
				{Filter: []schema.Condition{{Field: "email", Value: theirMark}}},
				{Filter: []schema.Condition{{Field: "email", Value: strings.ToUpper(theirMark)}}, Descending: true},
				{Filter: []schema.Condition{{Field: "email", Op: "prefix", Value: "their"}}, Order: "email"},
				{Filter: []schema.Condition{{Field: "email", Op: "from", Value: "s"}, {Field: "email", Op: "to", Value: "z"}}, Limit: 1},
				{Filter: []schema.Condition{{Field: "customerDetailUrl", Value: theirURL}}},
				{Filter: []schema.Condition{{Field: "phone", Value: theirMark}}},
				{Filter: []schema.Condition{{Field: "phone", Value: theirMark}}, AllowScan: true},
				{Filter: []schema.Condition{{Field: "resource.createdAt", Op: "from", Value: start}}, Limit: 1},
			} {
				s.list(o)
			}
			s.have("c-3", "c-0")
		}
	}},
	{"sorted pages of ours between theirs", func(s *side, _ loot) {
		s.list(resource.ListOptions{Order: "email", Limit: 1})
		s.have("c-0", "c-1", "c-3")
		s.create([]byte(cust("c-2", `,"email":"zz","customerDetailUrl":"zz"`)), createOptions{})
		for _, order := range []string{"email", "createdAt", "customerDetailUrl", "resource.createdAt", "phone"} {
			for _, descending := range []bool{false, true} {
				o := resource.ListOptions{Order: order, Descending: descending, Limit: 1}
				for {
					page, err := s.c.List(ctx, s.ours, &o)
					s.page(page, err)
					if err != nil || page.Next == "" {
						break
					}
					o.Cursor = page.Next
				}
			}
		}
	}},
	{"sorted list with their cursor", func(s *side, got loot) {
		s.have("c-1", "c-3")
		mine, err := s.c.List(ctx, s.ours, &resource.ListOptions{Order: "email", Limit: 1})
		require.NoError(s.t, err)
		own, err := base64.RawURLEncoding.DecodeString(mine.Next)
		require.NoError(s.t, err)
		foreign, err := base64.RawURLEncoding.DecodeString(got.sorted)
		require.NoError(s.t, err)
		const head = 13 // bytes that name the list; the rest is the place
		forged := base64.RawURLEncoding.EncodeToString(append(own[:head], foreign[head:]...))
		for _, cursor := range []string{got.sorted, got.cursor, forged} {
			_, err := s.c.List(ctx, s.ours, &resource.ListOptions{Order: "email", Limit: 1, Cursor: cursor})
			require.ErrorIs(s.t, err, resource.ErrCursor)
			s.tellError(err)
		}
	}},
	{"their unique value", func(s *side, _ loot) {
		with := func(id string) []byte { return []byte(cust(id, `,"customerDetailUrl":"`+theirURL+`"`)) }
		s.create(with("c-1"), createOptions{DryRun: true})
		s.create(with("c-1"), createOptions{})
		s.create(with("c-3"), createOptions{DryRun: true})
		s.create(with("c-3"), createOptions{})
		s.batch(s.c.CreateBatch(ctx, s.ours, [][]byte{with("c-1"), with("c-4"), ourCust("c-5")}, nil))
		s.patch("c-5", `{"customerDetailUrl":"`+theirURL+`"}`, patchOptions{})
		s.remove("c-1", deleteOptions{})
		s.patch("c-5", `{"customerDetailUrl":"`+theirURL+`"}`, patchOptions{})
		s.patch("c-5", `{"customerDetailUrl":null}`, patchOptions{})
	}},
	{"reindex", func(s *side, _ loot) {
		s.have("c-1", "c-3")
		done, err := s.c.Reindex(ctx, s.ours, nil)
		require.NoError(s.t, err)
		s.tell("reindexed %+v", done)
	}},
	{"changes", func(s *side, _ loot) {
		s.tellChanges()
		s.create(ourCust("c-1"), createOptions{Actor: "me", Reason: "so"})
		s.act()
		s.patch("c-1", ourPhone, patchOptions{Actor: "me"})
		s.tellChanges()
		s.remove("c-1", deleteOptions{Actor: "me"})
		s.act()
		s.tellChanges()
	}},
	{"changes from the end", func(s *side, _ loot) {
		s.have("c-1")
		end, err := s.c.Changes(ctx, s.ours, &resource.ChangeOptions{FromEnd: true})
		s.changePage(end, err)
		for next := end.Next; len(s.told) < 1000; {
			s.act()
			page, err := s.c.Changes(ctx, s.ours, &resource.ChangeOptions{Cursor: next, Limit: 1})
			s.changePage(page, err)
			if next = page.Next; len(page.Changes) > 0 {
				break
			}
			s.patch("c-1", ourPhone, patchOptions{})
		}
	}},
	{"changes with their cursor", func(s *side, got loot) {
		s.have("c-1", "c-3")
		own, err := s.c.Changes(ctx, s.ours, &resource.ChangeOptions{Limit: 1})
		require.NoError(s.t, err)
		for _, cursor := range hostileCursors(own.Next, got.change, got.history, got.cursor, got.sorted) {
			_, err := s.c.Changes(ctx, s.ours, &resource.ChangeOptions{Cursor: cursor})
			require.ErrorIs(s.t, err, resource.ErrCursor, "%q", cursor)
			s.tellError(err)
			_, err = s.c.History(ctx, s.ours, "c-1", &resource.ChangeOptions{Cursor: cursor})
			require.ErrorIs(s.t, err, resource.ErrCursor, "%q", cursor)
			s.tellError(err)
			_, err = s.c.OpenCursor(ctx, s.ours, cursor)
			require.ErrorIs(s.t, err, resource.ErrCursor, "%q", cursor)
			s.tellError(err)
			_, err = s.c.List(ctx, s.ours, &resource.ListOptions{Cursor: own.Next})
			require.ErrorIs(s.t, err, resource.ErrCursor)
			s.tellError(err)
		}
	}},
	{"history", func(s *side, _ loot) {
		s.tellHistory("c-1")
		s.have("c-1")
		s.patch("c-1", ourPhone, patchOptions{Actor: "me", Reason: "so"})
		s.act()
		s.tellHistory("c-1")
		s.tellHistory("c-2")
		s.remove("c-1", deleteOptions{})
		s.have("c-1")
		s.act()
		s.tellHistory("c-1")
	}},
	{"restore", func(s *side, got loot) {
		s.result(s.c.Restore(ctx, s.ours, "c-1", got.revision, nil))
		s.have("c-1")
		s.result(s.c.Restore(ctx, s.ours, "c-1", got.revision, nil))
		first, err := s.c.Get(ctx, s.ours, "c-1")
		require.NoError(s.t, err)
		s.patch("c-1", ourPhone, patchOptions{})
		s.act()
		s.result(s.c.Restore(ctx, s.ours, "c-1", first.Revision(), nil))
		s.remove("c-1", deleteOptions{})
		s.result(s.c.Restore(ctx, s.ours, "c-1", first.Revision(), &patchOptions{If: resource.AtRevision(got.revision)}))
		s.result(s.c.Restore(ctx, s.ours, "c-1", first.Revision(), nil))
	}},
	{"erase", func(s *side, got loot) {
		erase := func(o resource.WriteOptions) {
			report, err := s.c.Erase(ctx, s.ours, "c-1", &o)
			if err != nil {
				s.tellError(err)
				return
			}
			s.tell("erased %+v", *report)
		}
		erase(resource.WriteOptions{DryRun: true})
		erase(resource.WriteOptions{If: resource.AtRevision(got.revision)})
		erase(resource.WriteOptions{})
		s.have("c-1", "c-3")
		first, err := s.c.Get(ctx, s.ours, "c-1")
		require.NoError(s.t, err)
		restore := func() {
			_, err := s.c.Restore(ctx, s.ours, "c-1", first.Revision(), nil)
			require.ErrorIs(s.t, err, resource.ErrNoRevision, "what was erased comes back")
			s.tellError(err)
		}
		s.patch("c-1", ourPhone, patchOptions{Actor: "me"})
		s.act()
		erase(resource.WriteOptions{DryRun: true})
		erase(resource.WriteOptions{If: resource.AtRevision(got.revision)})
		erase(resource.WriteOptions{Actor: "me", Reason: "so"})
		s.tellHistory("c-1")
		s.tellChanges()
		erase(resource.WriteOptions{})
		restore()
		s.get("c-1")
		s.have("c-1")
		restore()
		s.tellHistory("c-1")
	}},
	{"list by absence", func(s *side, _ loot) {
		s.have("c-3")
		s.list(resource.ListOptions{Filter: []schema.Condition{{Field: "phone"}}, AllowScan: true})
	}},
	{"list with their cursor", func(s *side, got loot) {
		s.list(resource.ListOptions{Cursor: got.cursor})
		s.have("c-1", "c-3")
		_, err := s.c.List(ctx, s.ours, &resource.ListOptions{Cursor: got.cursor})
		require.ErrorIs(s.t, err, resource.ErrCursor)
		s.tellError(err)
	}},
	{"pages of ours between theirs", func(s *side, _ loot) {
		s.have("c-0", "c-1", "c-3", "c-4", "c-6")
		for next := ""; ; {
			page, err := s.c.List(ctx, s.ours, &resource.ListOptions{Cursor: next, Limit: 1})
			s.page(page, err)
			if next = page.Next; next == "" {
				break
			}
		}
	}},
	{"all", func(s *side, got loot) {
		s.have("c-1", "c-3")
		for _, cursor := range []string{"", got.cursor} {
			for r, err := range s.c.All(ctx, s.ours, &resource.ListOptions{Limit: 1, Cursor: cursor}) {
				if err != nil {
					s.tellError(err)
					continue
				}
				s.tell("all %s", r.AppendJSON(nil, nil))
			}
		}
	}},
	{"batch of creates", func(s *side, _ loot) {
		documents := [][]byte{ourCust("c-1"), ourCust("c-3"), []byte(`{"customerId":"c-2"}`), ourCust("c-1"), []byte(cust("c-1", `,"phone":"1"`))}
		for _, o := range []createOptions{{DryRun: true}, {}, {RejectExisting: true}, {If: resource.Absent()}, {DryRun: true}} {
			s.batch(s.c.CreateBatch(ctx, s.ours, documents, &o))
		}
	}},
	{"batch of patches", func(s *side, got loot) {
		items := []resource.Item{
			{ExternalID: "c-1", Data: []byte(ourPhone)}, {ExternalID: "c-2", Data: []byte(ourPhone), If: resource.AtRevision(1)},
			{ExternalID: "c-1", Data: []byte(ourPhone), If: resource.AtRevision(got.revision)}, {ExternalID: "c-3", Data: []byte(ourPhone)},
		}
		s.batch(s.c.PatchBatch(ctx, s.ours, items, nil))
		s.have("c-1")
		s.batch(s.c.PatchBatch(ctx, s.ours, items, &patchOptions{DryRun: true}))
		s.batch(s.c.PatchBatch(ctx, s.ours, items, nil))
	}},
	{"batch of deletes", func(s *side, got loot) {
		items := []resource.Item{{ExternalID: "c-1", If: resource.AtRevision(got.revision)}, {ExternalID: "c-1"}, {ExternalID: "c-2"}, {ExternalID: "c-3"}}
		s.batch(s.c.DeleteBatch(ctx, s.ours, items, nil))
		s.have("c-2", "c-3")
		s.batch(s.c.DeleteBatch(ctx, s.ours, items, &deleteOptions{DryRun: true}))
		s.batch(s.c.DeleteBatch(ctx, s.ours, items, nil))
	}},
	{"import", func(s *side, _ loot) { s.importAll(ingest.Options{}) }},
	{"import or reject", func(s *side, _ loot) {
		s.importAll(ingest.Options{Create: createOptions{RejectExisting: true}})
	}},
	{"dry import", func(s *side, _ loot) { s.importAll(ingest.Options{Create: createOptions{DryRun: true}}) }},
	{"import from a position", func(s *side, _ loot) { s.importAll(ingest.Options{From: ingest.Position{Documents: 3}}) }},
}

// tellHistory tells the history of one of ours, in pages of one.
func (s *side) tellHistory(id string) {
	for o := (resource.ChangeOptions{Limit: 1, Documents: true, Patches: true, Unredacted: true}); ; {
		page, err := s.c.History(ctx, s.ours, id, &o)
		if s.changePage(page, err); err != nil || page.Next == "" {
			return
		}
		o.Cursor = page.Next
	}
}

// hostileCursors returns cursors that are none of ours, some made of one that is.
func hostileCursors(own string, foreign ...string) []string {
	sealed, err := base64.RawURLEncoding.DecodeString(own)
	if err != nil {
		panic(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	cursors := append(foreign, "!", "A", "AA", "end", own+"A", own[1:], own[:len(own)-1], own+"=", own[:8]+"\n"+own[8:], strings.Repeat("A", len(own)), strings.Repeat("A", 1<<16))
	for i := range sealed {
		flipped := slices.Clone(sealed)
		flipped[i] ^= 1
		cursors = append(cursors, text(flipped))
	}
	for _, other := range foreign {
		theirs, err := base64.RawURLEncoding.DecodeString(other)
		for _, cut := range []int{1, 13, 29} { // the format; a nonce; and a place
			if err == nil && len(theirs) == len(sealed) {
				cursors = append(cursors, text(slices.Concat(sealed[:cut], theirs[cut:])), text(slices.Concat(theirs[:cut], sealed[cut:])))
			}
		}
	}
	return slices.DeleteFunc(cursors, func(cursor string) bool { return cursor == own })
}

// request sends a request and tells the whole answer but its date. headers are
// names and values in turn.
func (s *side) request(method, rest, data string, headers ...string) (status int) {
	s.t.Helper()
	var body io.Reader
	if data != "" {
		body = strings.NewReader(`{"data":` + data + `}`)
	}
	if !strings.HasPrefix(rest, "/api/") {
		rest = "/api/resources/customers" + rest
	}
	req, err := http.NewRequest(method, s.server.URL+rest, body)
	require.NoError(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	res, err := s.server.Client().Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(s.t, err)
	res.Header.Del("Date")
	if length := res.Header.Get("Content-Length"); length == strconv.Itoa(len(text)) || method == "HEAD" && strings.HasPrefix(rest, "/api/changes") {
		res.Header.Set("Content-Length", "right") // revisions are not all of one length
	}
	var header strings.Builder
	require.NoError(s.t, res.Header.Write(&header)) // sorted
	s.tell("%s\n%s %d\n%s\n%s", method, res.Proto, res.StatusCode, header.String(), text)
	return res.StatusCode
}

// stream reads a stream while something is done, up to the given number of events, and
// tells its lines.
func (s *side) stream(query string, do func(), events int) {
	s.t.Helper()
	reading, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	req, err := http.NewRequestWithContext(reading, "GET", s.server.URL+"/api/changes?schema=customers"+query, nil)
	require.NoError(s.t, err)
	req.Header.Set("Accept", "text/event-stream")
	res, err := s.server.Client().Do(req)
	require.NoError(s.t, err)
	defer res.Body.Close()
	require.Equal(s.t, http.StatusOK, res.StatusCode)
	do()
	var told []string
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "retry: ") {
			line = "retry: random"
		}
		told = append(told, line)
		if line == "" && strings.Count(strings.Join(told, "\n"), "\ndata:") == events {
			break
		}
	}
	s.tell("%s", strings.Join(told, "\n"))
}

func (s *side) post(query string, data []byte, headers ...string) (status int) {
	return s.request("POST", query, string(data), headers...)
}

// haveWritten gives us c-1 in its second revision, as their c-1 is, with another tag.
func (s *side) haveWritten(got loot) {
	s.have("c-1")
	r, err := s.c.Patch(ctx, s.ours, "c-1", []byte(`{"phone":"0"}`), nil)
	require.NoError(s.t, err)
	require.NotEqual(s.t, got.etag, httpapi.ETag(&r.Resource))
}

// httpRows are all methods with all headers that they look at.
var httpRows = []row{
	{"GET", func(s *side, _ loot) {
		s.request("GET", "/c-1", "")
		s.request("GET", "/-?externalId=c-1", "")
		s.request("HEAD", "/c-1", "")
	}},
	{"GET with their tag", func(s *side, got loot) {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			for _, tags := range []string{got.etag, "W/" + got.etag, "*", `"x", ` + got.etag} {
				s.request("GET", "/c-1", "", name, tags)
			}
		}
		s.haveWritten(got)
		require.Equal(s.t, http.StatusOK, s.request("GET", "/c-1", "", "If-None-Match", got.etag))
		require.Equal(s.t, http.StatusPreconditionFailed, s.request("GET", "/c-1", "", "If-Match", got.etag))
	}},
	{"OPTIONS, and a method that there is not", func(s *side, _ loot) { s.request("OPTIONS", "/c-1", ""); s.request("PUT", "/c-1", "{}") }},
	{"POST", func(s *side, _ loot) {
		s.post("", ourCust("c-1"))
		s.post("", ourCust("c-1"))
		s.request("GET", "/c-1", "")
	}},
	{"POST a part", func(s *side, _ loot) { s.post("", []byte(`{"customerId":"c-1","phone":"1"}`)) }},
	{"POST with mistakes", func(s *side, _ loot) {
		s.post("", []byte(wrongData))
		s.post("?onconflict=reject", []byte(wrongData))
		s.post("?onconflict=maybe", ourCust("c-1"))
	}},
	{"POST or reject", func(s *side, _ loot) {
		s.post("?onconflict=reject", ourCust("c-1"))
		s.post("?onconflict=reject", ourCust("c-1"))
	}},
	{"POST if there is none", func(s *side, _ loot) {
		s.post("", ourCust("c-1"), "If-None-Match", "*")
		s.post("", ourCust("c-1"), "If-None-Match", "*")
	}},
	{"POST with their tag", func(s *side, got loot) {
		for _, tags := range []string{got.etag, "W/" + got.etag, "*", `"x", ` + got.etag} {
			s.post("", ourCust("c-1"), "If-Match", tags)
			s.post("", []byte(`{"customerId":"c-1"}`), "If-Match", tags)
		}
		s.post("", ourCust("c-1"), "If-None-Match", got.etag)
		s.haveWritten(got)
		require.Equal(s.t, http.StatusPreconditionFailed, s.post("", []byte(cust("c-1", `,"phone":"1"`)), "If-Match", got.etag))
	}},
	{"PATCH", func(s *side, _ loot) {
		s.request("PATCH", "/c-1", ourPhone)
		s.request("PATCH", "/c-1", `{"phone":1}`)
		s.request("PATCH", "/c-1?ignoreUnknownFields=true", `{"vip":1}`)
		s.request("PATCH", "/-?externalId=c-1", ourPhone)
	}},
	{"PATCH with their tag", func(s *side, got loot) {
		for _, name := range []string{"If-Match", "If-None-Match"} {
			for _, tags := range []string{got.etag, "W/" + got.etag, "*", `"x", ` + got.etag} {
				s.request("PATCH", "/c-1", ourPhone, name, tags)
			}
		}
		s.haveWritten(got)
		require.Equal(s.t, http.StatusPreconditionFailed, s.request("PATCH", "/c-1", ourPhone, "If-Match", got.etag))
	}},
	{"PATCH of ours", func(s *side, _ loot) { s.have("c-1"); s.request("PATCH", "/c-1", ourPhone) }},
	{"DELETE", func(s *side, _ loot) { s.request("DELETE", "/c-1", ""); s.request("DELETE", "/-?externalId=c-1", "") }},
	{"DELETE with their tag", func(s *side, got loot) {
		for _, tags := range []string{got.etag, "W/" + got.etag, "*", `"x", ` + got.etag} {
			s.request("DELETE", "/c-1", "", "If-Match", tags)
		}
		s.haveWritten(got)
		require.Equal(s.t, http.StatusPreconditionFailed, s.request("DELETE", "/c-1", "", "If-Match", got.etag))
	}},
	{"DELETE of ours", func(s *side, _ loot) { s.have("c-1"); s.request("DELETE", "/c-1", ""); s.request("GET", "/c-1", "") }},
	{"GET a list", func(s *side, _ loot) {
		s.request("GET", "", "")
		s.have("c-3", "c-4")
		s.request("GET", "", "")
		s.request("GET", "?limit=1", "")
		s.request("HEAD", "?limit=1", "")
	}},
	{"GET a list by their URL", func(s *side, _ loot) {
		s.have("c-3")
		s.request("GET", "?filter[customerDetailUrl]="+theirMark, "")
		s.request("GET", "?filter[phonee]=1", "")
	}},
	{"GET a list by their email", func(s *side, got loot) {
		for _, query := range []string{
			"filter[email]=" + theirMark, "filter[email]=THEIR-SECRET&sort=-email", "filter[email][prefix]=their", "filter[email][from]=a&limit=1",
			"filter[customerDetailUrl]=" + theirURL, "sort=email&limit=1", "sort=-resource.createdAt&limit=1", "sort=phone",
			"sort=email&limit=1&cursor=" + got.sorted, "sort=-email&cursor=" + got.sorted,
		} {
			s.request("GET", "?"+query, "")
		}
		s.have("c-3", "c-4")
		for _, query := range []string{"filter[email][from]=a&limit=1", "sort=-email&limit=1", "sort=email&limit=1&cursor=" + got.sorted} {
			s.request("GET", "?"+query, "")
		}
	}},
	{"GET a list with their cursor", func(s *side, got loot) {
		s.request("GET", "?cursor="+got.cursor, "")
		s.have("c-1", "c-3")
		s.request("GET", "?cursor="+got.cursor, "")
	}},
	{"GET changes", func(s *side, got loot) {
		const path = "/api/changes?schema=customers"
		s.request("GET", path, "")
		s.post("", ourCust("c-1"))
		s.request("PATCH", "/c-1", ourPhone)
		s.act()
		for _, query := range []string{
			"", "&limit=1", "&include=document,patch", "&after=end", "&limit=0", "&include=all", "&x=1",
			"&after=" + got.change, "&after=" + got.history, "&after=" + got.cursor, "&after=x",
		} {
			s.request("GET", path+query, "")
		}
		s.request("GET", "/api/changes", "")
		s.request("GET", "/api/changes?schema=nothing", "")
		s.request("HEAD", path, "")
		s.request("DELETE", path, "")
		s.request("OPTIONS", path, "")
	}},
	{"GET a history", func(s *side, got loot) {
		s.request("GET", "/c-1/history", "")
		s.post("", ourCust("c-1"))
		s.request("PATCH", "/c-1", ourPhone)
		s.act()
		for _, query := range []string{"", "?limit=1", "?include=document,patch", "?cursor=" + got.history, "?cursor=" + got.change, "?cursor=x"} {
			s.request("GET", "/c-1/history"+query, "")
		}
		s.request("DELETE", "/c-1", "")
		s.request("GET", "/c-1/history", "")
		s.request("GET", "/-/history?externalId=c-1", "")
	}},
	{"a stream", func(s *side, got loot) {
		s.have("c-1")
		first, err := s.c.Changes(ctx, s.ours, nil)
		require.NoError(s.t, err)
		s.act()
		s.stream("&include=document,patch&after="+first.Next, func() {
			for range 3 {
				s.act()
				s.patch("c-1", ourPhone, patchOptions{})
				s.remove("c-1", deleteOptions{})
				s.have("c-1")
			}
		}, 7)
		for _, name := range []string{"Last-Event-ID", "last-event-id"} {
			for _, cursor := range []string{got.change, got.history, "x"} {
				s.request("GET", "/api/changes?schema=customers", "", "Accept", "text/event-stream", name, cursor)
			}
		}
	}},
	{"as one of them", func(s *side, got loot) {
		for _, name := range []string{"0", "1", "2", "3", "nobody"} {
			as := []string{httpapi.TenantHeader, name}
			s.request("GET", "/c-1", "", as...)
			s.request("HEAD", "/c-1", "", as...)
			s.request("GET", "", "", as...)
			s.request("GET", "?cursor="+got.cursor, "", as...)
			s.request("GET", "?sort=email&limit=1&cursor="+got.sorted, "", as...)
			s.request("GET", "?filter[email]="+theirMark, "", as...)
			s.post("", ourCust("c-1"), as...)
			s.post("", []byte(wrongData), as...)
			s.request("PATCH", "/c-1", ourPhone, as...)
			s.request("PATCH", "/c-1", ourPhone, append(as, "If-Match", got.etag)...)
			s.request("DELETE", "/c-1", "", as...)
			s.request("GET", "/c-1/history", "", as...)
			s.request("GET", "/api/changes?schema=customers", "", as...)
			s.request("GET", "/api/changes?schema=customers&after="+got.change, "", as...)
			s.request("GET", "/api/changes?schema=customers", "", append(as, "Accept", "text/event-stream")...)
		}
	}},
}
