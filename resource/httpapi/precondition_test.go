package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tagFor is the tag of a revision, made here again from what its doc says.
func tagFor(revision storage.Revision) string {
	return `"` + strconv.FormatUint(uint64(revision), 36) + `"`
}

// TestETag: the tag is the revision, and nothing of the content.
// customerAt returns a collection with the customer c-1 in this revision.
func customerAt(t testing.TB, revision storage.Revision) *resource.Collection {
	t.Helper()
	store := memory.New()
	key := storage.Key{Tenant: acme, Schema: schema.Customers().ID(), ExternalID: "c-1"}
	errs, err := store.Write(context.Background(), []storage.Write{{Record: storage.Record{
		Key: key, Revision: revision, ID: uuid.Max, Data: []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`),
	}}})
	require.NoError(t, errors.Join(append(errs, err)...))
	c, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	return c
}

func TestETag(t *testing.T) {
	customers := collection(t)
	ctx, data := context.Background(), []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	seen := map[string]bool{}
	for _, tenant := range []storage.Tenant{acme, globex, stranger} {
		for range 3 {
			result, err := customers.Create(ctx, tenant, data, nil)
			require.NoError(t, err)
			require.Equal(t, resource.Created, result.Outcome)
			tag := httpapi.ETag(&result.Resource)
			assert.Equal(t, tagFor(result.Revision()), tag)
			assert.False(t, seen[tag], "the same content, but another tag: %s", tag)
			seen[tag] = true
			res, err := customers.Get(ctx, tenant, "c-1")
			require.NoError(t, err)
			assert.Equal(t, tag, httpapi.ETag(res))
			_, err = customers.Delete(ctx, tenant, "c-1", nil)
			require.NoError(t, err)
		}
	}
	dry, err := customers.Create(ctx, acme, data, &resource.WriteOptions{DryRun: true})
	require.NoError(t, err)
	assert.Empty(t, httpapi.ETag(&dry.Resource))
	w := httptest.NewRecorder()
	httpapi.WriteCreate(w, dry, nil)
	assert.NotContains(t, w.Header(), "Etag")
	assert.Empty(t, httpapi.ETag(&resource.Resource{}))
}

// TestTagOfAnotherTenant: a client that acts for two tenants and mixes up what
// it knows of them neither overwrites nor keeps the wrong customer.
func TestTagOfAnotherTenant(t *testing.T) {
	s := newService(t, nil)
	for _, tenant := range []string{"acme", "globex"} {
		require.Equal(t, 200, s.direct(t, post("", customer("c-1", "")).by("platform", tenant)).status)
	}
	theirs := s.direct(t, get("c-1").by("platform", "globex")).header.Get("ETag")
	require.NotEqual(t, theirs, s.direct(t, get("c-1").by("platform", "acme")).header.Get("ETag"))
	assert.Equal(t, 304, s.direct(t, get("c-1", "If-None-Match: "+theirs).by("platform", "globex")).status)
	assert.Equal(t, 200, s.direct(t, get("c-1", "If-None-Match: "+theirs).by("platform", "acme")).status)
	before := s.records(t)
	assert.Equal(t, 412, s.direct(t, get("c-1", "If-Match: "+theirs).by("platform", "acme")).status)
	assert.Equal(t, 412, s.direct(t, get("c-1", "If-Match: "+theirs).as("PATCH", `{"data":{"phone":"1"}}`).by("platform", "acme")).status)
	assert.Equal(t, 412, s.direct(t, get("c-1", "If-Match: "+theirs).as("DELETE", "").by("platform", "acme")).status)
	assert.Equal(t, 412, s.direct(t, post("", customer("c-1", `,"phone":"1"`), "If-Match: "+theirs).by("platform", "acme")).status)
	assert.Equal(t, before, s.records(t))
}

func TestParsePreconditions(t *testing.T) {
	const before = 36*36*36 - 2 // so that the tags are of digits and letters
	one, two := tagFor(before+1), tagFor(before+2)
	const (
		bad   = "400"
		never = "412: no tag can ever match"
	)
	require.Equal(t, [2]string{`"zzz"`, `"1000"`}, [2]string{one, two})
	for _, tc := range []struct {
		name  string
		lines []string
		// Whether the field's list has the first tag, by strong and by weak
		// comparison; or bad, or never.
		strong, weak string
	}{
		{"the tag", []string{one}, "yes", "yes"},
		{"weak", []string{"W/" + one}, never, "yes"},
		{"another", []string{two}, "no", "no"},
		{"any", []string{"*"}, "yes", "yes"},
		{"any with blanks", []string{" \t* "}, "yes", "yes"},
		{"list", []string{`"a", ` + one + `,"b"`}, "yes", "yes"},
		{"list without the tag", []string{`"a", W/"b",` + two}, "no", "no"},
		{"list of no tags of ours", []string{`"A", W/` + two}, never, "no"},
		{"weak and strong", []string{"W/" + one + "," + one}, "yes", "yes"},
		{"blanks and empty elements", []string{" ,, \t" + one + "\t ,, "}, "yes", "yes"},
		{"lines", []string{`"a"`, one}, "yes", "yes"},
		{"lines, one empty", []string{"", one}, "yes", "yes"},
		{"empty", []string{""}, never, "no"},
		{"commas", []string{",,,"}, never, "no"},
		{"commas inside", []string{`"a,b",` + one}, "yes", "yes"},
		{"obs-text", []string{"\"\x80\xff\"," + one}, "yes", "yes"},
		{"backslash is no escape", []string{`"a\",` + one}, "yes", "yes"},
		{"empty tag", []string{`""`}, never, "no"},

		// Not ours, however near.
		{"with a hash", []string{strings.TrimSuffix(one, `"`) + `-0123456789abcdef"`}, never, "no"},
		{"without the quotes inside", []string{`"` + strings.Trim(one, `"`) + ` "`}, bad, bad},
		{"leading zero", []string{strings.Replace(one, `"z`, `"0z`, 1)}, never, "no"},
		{"sign", []string{strings.Replace(one, `"z`, `"+z`, 1)}, never, "no"},
		{"minus", []string{strings.Replace(one, `"z`, `"-z`, 1)}, never, "no"},
		{"underscore", []string{strings.Replace(one, `"z`, `"z_`, 1)}, never, "no"},
		{"upper case", []string{strings.ToUpper(one)}, never, "no"},
		{"longer", []string{one[:len(one)-1] + `0"`}, "no", "no"},
		{"shorter", []string{one[:len(one)-2] + `"`}, "no", "no"},
		{"revision 0", []string{`"0"`}, never, "no"},
		{"the largest revision", []string{tagFor(math.MaxUint64)}, "no", "no"},
		{"revision over the limit", []string{`"3w5e11264sgsg"`}, never, "no"},
		{"number that is too large", []string{strings.Replace(one, `"z`, `"zzzzzzzzzzzzzzzz`, 1)}, never, "no"},

		{"no quotes", []string{strings.Trim(one, `"`)}, bad, bad},
		{"one quote", []string{`"`}, bad, bad},
		{"no end", []string{one[:len(one)-1]}, bad, bad},
		{"no comma", []string{one + one}, bad, bad},
		{"semicolon", []string{one + ";" + two}, bad, bad},
		{"blank inside", []string{`"a b"`}, bad, bad},
		{"delete character inside", []string{"\"a\x7f\""}, bad, bad},
		{"lower case w", []string{"w/" + one}, bad, bad},
		{"blank behind W/", []string{"W/ " + one}, bad, bad},
		{"W/ alone", []string{"W/"}, bad, bad},
		{"any and a tag", []string{"*, " + one}, bad, bad},
		{"a tag and any", []string{one + ", *"}, bad, bad},
		{"any twice", []string{"*", "*"}, bad, bad},
		{"any and an empty line", []string{"*", ""}, bad, bad},
		{"weak any", []string{"W/*"}, bad, bad},
		{"single quotes", []string{`'a'`}, bad, bad},
		{"word", []string{"null"}, bad, bad},
		{"100", []string{strings.Repeat(`"",`, 99) + one}, "yes", "yes"},
		{"101", []string{strings.Repeat(`"",`, 100) + one}, bad, bad},
		{"101 in lines", []string{strings.Repeat(`"",`, 100), one}, bad, bad},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, ctx := customerAt(t, before+1), context.Background()
			for name, want := range map[string]string{"If-Match": tc.strong, "If-None-Match": tc.weak} {
				r := httptest.NewRequest("GET", "/anything", nil)
				r.Header[name] = tc.lines
				condition, err := httpapi.ParsePreconditions(r)
				res, getErr := c.Get(ctx, acme, "c-1")
				require.NoError(t, getErr)
				modified, modifiedErr := httpapi.Modified(r, res)
				if want == bad || want == never {
					require.Error(t, err)
					assert.Equal(t, err, modifiedErr)
					assert.False(t, modified)
					assert.Equal(t, resource.Condition{}, condition)
					p := httpapi.ProblemOf(err)
					if want == bad {
						assert.Equal(t, 400, p.Status)
						assert.Contains(t, p.Message, "the header "+name+" is not valid")
					} else {
						assert.Equal(t, 412, p.Status)
						assert.Contains(t, p.Message, "no entity tag in If-Match can ever match")
					}
					continue
				}
				require.NoError(t, err)
				_, patchErr := c.Patch(ctx, acme, "c-1", []byte(`{}`), &resource.WriteOptions{If: condition})
				_, createErr := c.Create(ctx, acme, []byte(`{"customerId":"c-1"}`), &resource.WriteOptions{If: condition})
				_, deleteErr := c.Delete(ctx, acme, "c-1", &resource.WriteOptions{If: condition, DryRun: true})
				err = modifiedErr
				holds := (want == "yes") == (name == "If-Match")
				assert.Equal(t, holds, condition.Holds(res.Revision()))
				for what, err := range map[string]error{"patch": patchErr, "create": createErr, "delete": deleteErr} {
					if holds {
						require.NoError(t, err, what)
					} else {
						require.ErrorIs(t, err, resource.ErrPrecondition, what)
					}
				}
				if name == "If-Match" {
					assert.Equal(t, holds, err == nil)
					assert.Equal(t, holds, modified)
				} else {
					require.NoError(t, err)
					assert.Equal(t, holds, modified)
				}
			}
		})
	}
}

// TestPreconditionsAndOptions: what the request demands can be demanded together
// with more.
func TestPreconditionsAndOptions(t *testing.T) {
	customers := collection(t)
	ctx, full := context.Background(), []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	first, err := customers.Create(ctx, acme, full, nil)
	require.NoError(t, err)
	with := func(name, value string) resource.Condition {
		r := httptest.NewRequest("GET", "/", nil)
		if name != "" {
			r.Header.Set(name, value)
		}
		condition, err := httpapi.ParsePreconditions(r)
		require.NoError(t, err)
		return condition
	}
	tag := httpapi.ETag(&first.Resource)
	good, bad := with("If-Match", tag+`,"x"`), with("If-Match", `"x"`)
	for _, tc := range []struct {
		name    string
		request resource.Condition
		more    resource.Condition
		ok      bool
	}{
		{"nothing", with("", ""), resource.Condition{}, true},
		{"request", good, resource.Condition{}, true},
		{"request fails", bad, resource.Condition{}, false},
		{"both", good, resource.AtRevision(first.Revision()), true},
		{"both, another condition", good, resource.NotAtRevision(77).And(resource.NotAtRevision(0)), true},
		{"request fails, the other holds", bad, resource.AtRevision(first.Revision()), false},
		{"request fails, the other holds too much", bad, resource.NotAtRevision(0), false},
		{"the other fails", good, resource.AtRevision(77), false},
		{"the other fails always", good, resource.AtRevision(), false},
		{"the other fails, no request", with("", ""), resource.AtRevision(77), false},
		{"the other fails always, no request", with("", ""), resource.AtRevision(), false},
		{"both fields", good.And(with("If-None-Match", tag)), resource.Condition{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, both := range []resource.Condition{tc.request.And(tc.more), tc.more.And(tc.request)} {
				_, createErr := customers.Create(ctx, acme, full, &resource.WriteOptions{If: both})
				_, patchErr := customers.Patch(ctx, acme, "c-1", []byte(`{"phone":"1"}`), &resource.WriteOptions{If: both, DryRun: true})
				_, deleteErr := customers.Delete(ctx, acme, "c-1", &resource.WriteOptions{If: both, DryRun: true})
				for _, err := range []error{createErr, patchErr, deleteErr} {
					if tc.ok {
						require.NoError(t, err)
					} else {
						require.ErrorIs(t, err, resource.ErrPrecondition)
					}
				}
			}
		})
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("If-Match", tag)
	r.Header.Set("If-None-Match", tag)
	condition, err := httpapi.ParsePreconditions(r)
	require.NoError(t, err)
	assert.Equal(t, resource.AtRevision(first.Revision()).And(resource.NotAtRevision(first.Revision())), condition)
	for _, condition := range []resource.Condition{good, bad, with("If-None-Match", "*")} {
		_, err = customers.Create(ctx, storage.Tenant{}, full, &resource.WriteOptions{If: condition})
		require.ErrorIs(t, err, storage.ErrInvalid)
		_, err = customers.Patch(ctx, storage.Tenant{}, "c-1", []byte(`{}`), &resource.WriteOptions{If: condition})
		require.ErrorIs(t, err, storage.ErrInvalid)
		_, err = customers.Delete(ctx, storage.Tenant{}, "c-1", &resource.WriteOptions{If: condition})
		require.ErrorIs(t, err, storage.ErrInvalid)
	}
}

func TestParseETag(t *testing.T) {
	for _, want := range []storage.Revision{1, 35, 36, storage.NextRevision(0), math.MaxInt64, math.MaxUint64} {
		revision, ok := httpapi.ParseETag(tagFor(want))
		assert.True(t, ok)
		assert.Equal(t, want, revision)
	}
	const tag = `"1z"`
	for _, other := range []string{
		"", "x", `"x`, `x"`, `""`, `"`, `"0"`, `"0-"`, `"01z"`, "W/" + tag, strings.Trim(tag, `"`), tag + tag, `"` + tag + `"`, strings.ToUpper(tag), `"1z-gzip"`,
		`"1z;gzip"`, `"+1z"`, `"-1z"`, `"1_z"`, `" 1z"`, `"1z "`, `"3w5e11264sgsg"`, `"zzzzzzzzzzzzzzzz"`,
	} {
		revision, ok := httpapi.ParseETag(other)
		assert.False(t, ok, other)
		assert.Zero(t, revision, other)
	}
}

// interfering is a store in which another writer changes the record between a read and a
// write, as often as it is told.
type interfering struct {
	storage.Store
	left   atomic.Int64
	change func()
}

func (i *interfering) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	i.interfere()
	return i.Store.Write(ctx, writes)
}

func (i *interfering) interfere() {
	if i.left.Add(-1) >= 0 {
		i.change()
	}
}

// TestPreconditionsAreHeldAgain: when somebody else was faster between the look
// and the write, the preconditions are compared with the stored record.
func TestPreconditionsAreHeldAgain(t *testing.T) {
	ctx := context.Background()
	full := func(phone string) []byte {
		return fmt.Appendf(nil, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z","phone":%q}`, phone)
	}
	for _, tc := range []struct {
		name, header, value string
		times               int64 // that somebody interferes
		write               func(resource.Condition, *resource.Collection) error
		want                error
	}{
		{"still not the tag", "If-None-Match", `"x"`, 5, patchPhone, nil},
		{"the tag no more", "If-Match", `TAG, "x"`, 1, patchPhone, resource.ErrPrecondition},
		{"the tag", "If-Match", `TAG, "x"`, 0, patchPhone, nil},
		{"delete/still not the tag", "If-None-Match", `"x"`, 5, deleteIt, nil},
		{"delete/the tag no more", "If-Match", `TAG, "x"`, 1, deleteIt, resource.ErrPrecondition},
		{"create/any", "If-Match", "*", 5, createPhone, nil},
		{"create/still not the tag", "If-None-Match", `"x", "y"`, 5, createPhone, nil},
		{"create/the tag no more", "If-Match", `TAG, "x"`, 1, createPhone, resource.ErrPrecondition},
		{"always", "If-None-Match", `"x"`, 1 << 40, patchPhone, storage.ErrAttempts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store := &interfering{Store: memory.New()}
			others, err := resource.NewCollection(schema.Customers(), store.Store, nil)
			require.NoError(t, err)
			first, err := others.Create(ctx, acme, full("0"), nil)
			require.NoError(t, err)
			phone := 0
			store.change = func() {
				phone++
				_, err := others.Create(ctx, acme, full(fmt.Sprint(phone)), nil)
				require.NoError(t, err)
			}
			c, err := resource.NewCollection(schema.Customers(), store, nil)
			require.NoError(t, err)
			r := httptest.NewRequest("PATCH", "/", nil)
			r.Header.Set(tc.header, strings.ReplaceAll(tc.value, "TAG", httpapi.ETag(&first.Resource)))
			condition, err := httpapi.ParsePreconditions(r)
			require.NoError(t, err)
			store.left.Store(tc.times)
			err = tc.write(condition, c)
			assert.Equal(t, tc.times > 0, phone > 0)
			if tc.want == nil {
				require.NoError(t, err)
				assert.EqualValues(t, tc.times, phone)
				return
			}
			require.ErrorIs(t, err, tc.want)
		})
	}
}

func patchPhone(condition resource.Condition, c *resource.Collection) error {
	_, err := c.Patch(context.Background(), acme, "c-1", []byte(`{"phone":"mine"}`), &resource.WriteOptions{If: condition})
	return err
}

func createPhone(condition resource.Condition, c *resource.Collection) error {
	_, err := c.Create(context.Background(), acme, []byte(`{"customerId":"c-1","phone":"mine"}`), &resource.WriteOptions{If: condition})
	return err
}

func deleteIt(condition resource.Condition, c *resource.Collection) error {
	_, err := c.Delete(context.Background(), acme, "c-1", &resource.WriteOptions{If: condition})
	return err
}

// TestOneOfManyGetsThrough: of many writes that demand the same state exactly one
// is made, whatever the verb and however it is demanded.
func TestOneOfManyGetsThrough(t *testing.T) {
	const clients = 32
	var one string // the tag that c-1 has
	for _, tc := range []struct {
		name  string
		fresh bool // there is no c-1 before
		send  func(client int) message
	}{
		{"patch", false, func(i int) message {
			return get("c-1", "If-Match: "+one).as("PATCH", fmt.Sprintf(`{"data":{"phone":"%d"}}`, i))
		}},
		{"patch, a list", false, func(i int) message {
			return get("c-1", `If-Match: "x", `+one).as("PATCH", fmt.Sprintf(`{"data":{"phone":"%d"}}`, i))
		}},
		{"post", false, func(i int) message {
			return post("", customer("c-1", fmt.Sprintf(`,"phone":"%d"`, i)), "If-Match: "+one)
		}},
		{"post, a list", false, func(i int) message {
			return post("", customer("c-1", fmt.Sprintf(`,"phone":"%d"`, i)), `If-Match: "x", `+one)
		}},
		{"post, none", true, func(i int) message {
			return post("", customer("c-1", fmt.Sprintf(`,"phone":"%d"`, i)), "If-None-Match: *")
		}},
		{"all verbs", false, func(i int) message {
			switch i % 3 {
			case 0:
				return get("c-1", "If-Match: "+one).as("DELETE", "")
			case 1:
				return get("c-1", "If-Match: "+one).as("PATCH", fmt.Sprintf(`{"data":{"phone":"%d"}}`, i))
			}
			return post("", customer("c-1", fmt.Sprintf(`,"phone":"%d"`, i)), "If-Match: "+one)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newService(t, nil)
			if !tc.fresh {
				one = s.direct(t, post("", customer("c-1", ""))).header.Get("ETag")
			}
			var mu sync.Mutex
			statuses := map[int]int{}
			var wg sync.WaitGroup
			for client := range clients {
				wg.Go(func() {
					a := s.direct(t, tc.send(client))
					mu.Lock()
					defer mu.Unlock()
					statuses[a.status]++
				})
			}
			wg.Wait()
			assert.Equal(t, 1, statuses[200], "%v", statuses)
			assert.Equal(t, clients-1, statuses[412]+statuses[404], "%v", statuses)
			if tc.name != "all verbs" {
				assert.Zero(t, statuses[404])
			}
		})
	}
}

// TestCountingWithIfMatch: clients that read, add one and write with If-Match,
// again when it is a 412, count to the sum of what they did.
func TestCountingWithIfMatch(t *testing.T) {
	const clients, rounds = 8, 10
	s := newService(t, nil)
	require.Equal(t, 200, s.direct(t, post("", customer("c-1", `,"phone":"0"`))).status)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for done := 0; done < rounds; {
				a := s.direct(t, get("c-1"))
				var found struct {
					Data struct {
						Result struct{ Data struct{ Phone string } }
					}
				}
				if !assert.NoError(t, json.Unmarshal([]byte(a.body), &found)) {
					return
				}
				n, err := strconv.Atoi(found.Data.Result.Data.Phone)
				if !assert.NoError(t, err) {
					return
				}
				switch s.direct(t, get("c-1", "If-Match: "+a.header.Get("ETag")).as("PATCH", fmt.Sprintf(`{"data":{"phone":"%d"}}`, n+1))).status {
				case http.StatusOK:
					done++
				case http.StatusPreconditionFailed:
				default:
					assert.Fail(t, "neither 200 nor 412")
					return
				}
			}
		})
	}
	wg.Wait()
	assert.Contains(t, s.direct(t, get("c-1")).body, fmt.Sprintf(`"phone":"%d"`, clients*rounds))
}

// TestManyWithoutATag: any number of writers who demand only that there is
// something, or not a certain state, all get through.
func TestManyWithoutATag(t *testing.T) {
	const clients = 24
	for _, header := range []string{"If-Match: *", `If-None-Match: "x"`} {
		s := newService(t, nil)
		require.Equal(t, 200, s.direct(t, post("", customer("c-1", ""))).status)
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				m := get("c-1", header).as("PATCH", fmt.Sprintf(`{"data":{"phone":"%d"}}`, client))
				if client%2 == 0 {
					m = post("", fmt.Sprintf(`{"data":{"customerId":"c-1","email":"%d"}}`, client), header)
				}
				assert.Equal(t, 200, s.direct(t, m).status)
			})
		}
		wg.Wait()
	}
}

// TestPreconditionsDoNotStarve: a request whose preconditions hold all the time
// waits for its turn at the resource once, however many others write to it.
func TestPreconditionsDoNotStarve(t *testing.T) {
	ctx := context.Background()
	c, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	_, err = c.Create(ctx, acme, []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`), nil)
	require.NoError(t, err)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.Patch(ctx, acme, "c-1", fmt.Appendf(nil, `{"email":"%d-%d"}`, w, n), nil); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	defer writers.Wait()
	defer close(stop)
	for range 50 {
		for name, write := range map[string]func(resource.Condition, *resource.Collection) error{"If-Match *": createPhone, `If-None-Match "x"`: patchPhone} {
			r := httptest.NewRequest("POST", "/", nil)
			header, value, _ := strings.Cut(name, " ")
			r.Header.Set(header, value)
			condition, err := httpapi.ParsePreconditions(r)
			require.NoError(t, err)
			require.NoError(t, write(condition, c), name)
		}
	}
}

// TestRequirePrecondition: a write that says nothing of what it is over is refused,
// and a read is not.
func TestRequirePrecondition(t *testing.T) {
	handler, err := httpapi.NewAPI(hooks, &httpapi.Options{RequirePrecondition: true}, collection(t))
	require.NoError(t, err)
	send := func(method, rest, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, route+rest, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer acme")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	patch := `{"data":{"phone":"1"}}`
	assert.Equal(t, 428, send("POST", "", customer("c-1", "")).Code)
	assert.Equal(t, 404, send("GET", "/c-1", "").Code, "nothing was stored")
	assert.Equal(t, 200, send("POST", "", customer("c-1", ""), "If-None-Match", "*").Code)
	assert.Equal(t, 412, send("POST", "", customer("c-1", ""), "If-None-Match", "*").Code)
	assert.Equal(t, 200, send("POST", "", customer("c-1", ""), "If-None-Match", `""`).Code)
	tag := send("GET", "/c-1", "").Header().Get("ETag")
	assert.Equal(t, 428, send("PATCH", "/c-1", patch).Code)
	assert.Equal(t, tag, send("GET", "/c-1", "").Header().Get("ETag"))
	assert.Equal(t, 200, send("PATCH", "/c-1", patch, "If-Match", tag).Code)
	assert.Equal(t, 412, send("PATCH", "/c-1", `{"data":{"phone":"2"}}`, "If-Match", tag).Code)
	assert.Equal(t, 200, send("GET", "", "").Code)
	w := send("DELETE", "/c-1", "")
	assert.Equal(t, 428, w.Code)
	assert.Contains(t, w.Body.String(), `"success":false,"message":"this write needs a precondition`)
	assert.Equal(t, 200, send("DELETE", "/c-1", "", "If-Match", "*").Code)
}
