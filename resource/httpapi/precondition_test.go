package httpapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tagFor is the tag of a customer's revision, made here again from what its doc
// says.
func tagFor(tenant storage.Tenant, revision uint64) string {
	id := schema.Customers().ID()
	sum := sha256.Sum256(append(append(append([]byte{}, tenant.Platform[:]...), tenant.Business[:]...), id[:]...))
	return fmt.Sprintf(`"%s-%x"`, strconv.FormatUint(revision, 36), sum[:8])
}

// TestETag: the tag depends on the revision, the tenant and the schema, and not
// on the content.
func TestETag(t *testing.T) {
	store := &numbered{Store: memory.New(), keys: map[storage.Key][]storage.Revision{}}
	customers, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	ctx, data := context.Background(), []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	var tags []string
	for _, tenant := range []storage.Tenant{acme, globex, stranger} {
		for range 3 {
			result, err := customers.Create(ctx, tenant, data, nil)
			require.NoError(t, err)
			require.Equal(t, resource.Created, result.Outcome)
			tags = append(tags, httpapi.ETag(&result.Resource))
			res, err := customers.Get(ctx, tenant, "c-1")
			require.NoError(t, err)
			assert.Equal(t, httpapi.ETag(&result.Resource), httpapi.ETag(res))
			_, err = customers.Delete(ctx, tenant, "c-1", nil)
			require.NoError(t, err)
		}
	}
	assert.Equal(t, tagFor(acme, 1), tags[0])
	assert.Equal(t, tagFor(stranger, 3), tags[8])
	seen := map[string]bool{}
	for _, tag := range tags {
		assert.False(t, seen[tag], "the same content, and revisions of the same number, but another tag: %s", tag)
		seen[tag] = true
	}
	dry, err := customers.Create(ctx, acme, data, &resource.CreateOptions{DryRun: true})
	require.NoError(t, err)
	assert.Empty(t, httpapi.ETag(&dry.Resource))
	w := httptest.NewRecorder()
	httpapi.WriteResult(w, dry, nil)
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
	require.Equal(t, tagFor(globex, 1), theirs, "the same number")
	require.Equal(t, tagFor(acme, 1), s.direct(t, get("c-1").by("platform", "acme")).header.Get("ETag"))
	assert.Equal(t, 304, s.direct(t, get("c-1", "If-None-Match: "+theirs).by("platform", "globex")).status)
	assert.Equal(t, 200, s.direct(t, get("c-1", "If-None-Match: "+theirs).by("platform", "acme")).status)
	before := s.records(t)
	assert.Equal(t, 412, s.direct(t, get("c-1", "If-Match: "+theirs).as("PATCH", `{"data":{"phone":"1"}}`).by("platform", "acme")).status)
	assert.Equal(t, 412, s.direct(t, get("c-1", "If-Match: "+theirs).as("DELETE", "").by("platform", "acme")).status)
	assert.Equal(t, 412, s.direct(t, post("", customer("c-1", `,"phone":"1"`), "If-Match: "+theirs).by("platform", "acme")).status)
	assert.Equal(t, before, s.records(t))
}

func TestParsePreconditions(t *testing.T) {
	one, two := tagFor(acme, 1), tagFor(acme, 2)
	const bad = "400"
	for _, tc := range []struct {
		name  string
		lines []string
		// Whether the field's list has revision 1, by strong and by weak
		// comparison; or bad.
		strong, weak string
	}{
		{"the tag", []string{one}, "yes", "yes"},
		{"weak", []string{"W/" + one}, "no", "yes"},
		{"another", []string{two}, "no", "no"},
		{"any", []string{"*"}, "yes", "yes"},
		{"any with blanks", []string{" \t* "}, "yes", "yes"},
		{"list", []string{`"a", ` + one + `,"b"`}, "yes", "yes"},
		{"list without the tag", []string{`"a", W/"b",` + two}, "no", "no"},
		{"weak and strong", []string{"W/" + one + "," + one}, "yes", "yes"},
		{"blanks and empty elements", []string{" ,, \t" + one + "\t ,, "}, "yes", "yes"},
		{"lines", []string{`"a"`, one}, "yes", "yes"},
		{"lines, one empty", []string{"", one}, "yes", "yes"},
		{"empty", []string{""}, "no", "no"},
		{"commas", []string{",,,"}, "no", "no"},
		{"commas inside", []string{`"a,b",` + one}, "yes", "yes"},
		{"obs-text", []string{"\"\x80\xff\"," + one}, "yes", "yes"},
		{"backslash is no escape", []string{`"a\",` + one}, "yes", "yes"},
		{"empty tag", []string{`""`}, "no", "no"},

		// Not ours, however near.
		{"without the hash", []string{`"1"`}, "no", "no"},
		{"without the quotes inside", []string{`"` + strings.Trim(one, `"`) + ` "`}, bad, bad},
		{"leading zero", []string{strings.Replace(one, `"1`, `"01`, 1)}, "no", "no"},
		{"sign", []string{strings.Replace(one, `"1`, `"+1`, 1)}, "no", "no"},
		{"upper case", []string{strings.ToUpper(one)}, "no", "no"},
		{"longer", []string{one[:len(one)-1] + `0"`}, "no", "no"},
		{"shorter", []string{one[:len(one)-2] + `"`}, "no", "no"},
		{"revision 0", []string{strings.Replace(one, `"1`, `"0`, 1)}, "no", "no"},
		{"revision over the limit", []string{strings.Replace(one, `"1`, `"zzzzzzzzzzzzzzzz`, 1)}, "no", "no"},
		{"of another tenant", []string{tagFor(globex, 1)}, "no", "no"},

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
			store := &numbered{Store: memory.New(), keys: map[storage.Key][]storage.Revision{}}
			c, err := resource.NewCollection(schema.Customers(), store, nil)
			require.NoError(t, err)
			ctx := context.Background()
			_, err = c.Create(ctx, acme, []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`), nil)
			require.NoError(t, err)
			for name, want := range map[string]string{"If-Match": tc.strong, "If-None-Match": tc.weak} {
				r := httptest.NewRequest("GET", "/anything", nil)
				r.Header[name] = tc.lines
				pre, err := httpapi.ParsePreconditions(r)
				if want == bad {
					require.Error(t, err)
					assert.Equal(t, httpapi.Preconditions{}, pre)
					p := httpapi.ProblemOf(err)
					assert.Equal(t, 400, p.Status)
					assert.Contains(t, p.Message, "the header "+name+" is not valid")
					continue
				}
				require.NoError(t, err)
				_, modified, err := pre.Get(ctx, c, acme, "c-1")
				_, patchErr := pre.Patch(ctx, c, acme, "c-1", []byte(`{}`), nil)
				_, createErr := pre.Create(ctx, c, acme, []byte(`{"customerId":"c-1"}`), nil)
				_, deleteErr := pre.Delete(ctx, c, acme, "c-1", &resource.DeleteOptions{DryRun: true})
				holds := (want == "yes") == (name == "If-Match")
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

// TestPreconditionsAndOptions: what the request demands must hold, and what the
// options do, too; the options stay as they are.
func TestPreconditionsAndOptions(t *testing.T) {
	s := newService(t, nil)
	customers, err := resource.NewCollection(schema.Customers(), s.store, nil)
	require.NoError(t, err)
	ctx, full := context.Background(), []byte(`{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	first, err := customers.Create(ctx, acme, full, nil)
	require.NoError(t, err)
	with := func(name, value string) httpapi.Preconditions {
		r := httptest.NewRequest("GET", "/", nil)
		if name != "" {
			r.Header.Set(name, value)
		}
		pre, err := httpapi.ParsePreconditions(r)
		require.NoError(t, err)
		return pre
	}
	tag := httpapi.ETag(&first.Resource)
	good, bad := with("If-Match", tag+`,"x"`), with("If-Match", `"x"`)
	no := func(storage.Revision) bool { return false }
	for _, tc := range []struct {
		name string
		pre  httpapi.Preconditions
		rev  storage.Revision
		cond func(storage.Revision) bool
		ok   bool
	}{
		{"nothing", with("", ""), 0, nil, true},
		{"request", good, 0, nil, true},
		{"request fails", bad, 0, nil, false},
		{"both", good, first.Revision(), func(rev storage.Revision) bool { return rev == first.Revision() }, true},
		{"request fails, options hold", bad, first.Revision(), nil, false},
		{"IfRevision fails", good, 77, nil, false},
		{"If fails", good, 0, no, false},
		{"IfRevision fails, no request", with("", ""), 77, nil, false},
		{"If fails, no request", with("", ""), 0, no, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, createErr := tc.pre.Create(ctx, customers, acme, full, &resource.CreateOptions{IfRevision: tc.rev, If: tc.cond})
			_, patchErr := tc.pre.Patch(ctx, customers, acme, "c-1", []byte(`{"phone":"1"}`), &resource.PatchOptions{IfRevision: tc.rev, If: tc.cond, DryRun: true})
			_, deleteErr := tc.pre.Delete(ctx, customers, acme, "c-1", &resource.DeleteOptions{IfRevision: tc.rev, If: tc.cond, DryRun: true})
			for _, err := range []error{createErr, patchErr, deleteErr} {
				if tc.ok {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, resource.ErrPrecondition)
				}
			}
		})
	}
	for _, pre := range []httpapi.Preconditions{good, bad, with("If-None-Match", "*")} {
		_, err = pre.Create(ctx, customers, storage.Tenant{}, full, nil)
		require.ErrorIs(t, err, storage.ErrInvalid)
		_, err = pre.Patch(ctx, customers, storage.Tenant{}, "c-1", []byte(`{}`), nil)
		require.ErrorIs(t, err, storage.ErrInvalid)
		_, err = pre.Delete(ctx, customers, storage.Tenant{}, "c-1", nil)
		require.ErrorIs(t, err, storage.ErrInvalid)
	}
	create := resource.CreateOptions{DryRun: true}
	_, err = good.Create(ctx, customers, acme, full, &create)
	require.NoError(t, err)
	assert.Equal(t, resource.CreateOptions{DryRun: true}, create)

	scope := storage.Scope{Tenant: acme, Schema: customers.Schema().ID()}
	revision, ok := httpapi.ParseETag(scope, tag)
	assert.True(t, ok)
	assert.Equal(t, first.Revision(), revision)
	for _, other := range []string{"", "x", `"x"`, `"0-"`, "W/" + tag, strings.Trim(tag, `"`), tag + tag, strings.ToUpper(tag), tagFor(globex, uint64(revision))} {
		revision, ok := httpapi.ParseETag(scope, other)
		assert.False(t, ok, other)
		assert.Zero(t, revision, other)
	}
}

// interfering is a store in which somebody else changes the record between a
// read and a write, as often as it is told.
type interfering struct {
	storage.Store
	left   atomic.Int64
	change func()
}

func (i *interfering) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	i.interfere()
	return i.Store.Put(ctx, rec, expect)
}

func (i *interfering) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	i.interfere()
	return i.Store.Delete(ctx, key, expect)
}

func (i *interfering) interfere() {
	if i.left.Add(-1) >= 0 {
		i.change()
	}
}

// TestPreconditionsAreHeldAgain: when somebody else was faster between the look
// and the write, the preconditions are held against what is there now.
func TestPreconditionsAreHeldAgain(t *testing.T) {
	ctx := context.Background()
	full := func(phone string) []byte {
		return fmt.Appendf(nil, `{"customerId":"c-1","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z","phone":%q}`, phone)
	}
	for _, tc := range []struct {
		name, header, value string
		times               int64 // that somebody interferes
		write               func(httpapi.Preconditions, *resource.Collection) error
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
			pre, err := httpapi.ParsePreconditions(r)
			require.NoError(t, err)
			store.left.Store(tc.times)
			err = tc.write(pre, c)
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

func patchPhone(pre httpapi.Preconditions, c *resource.Collection) error {
	_, err := pre.Patch(context.Background(), c, acme, "c-1", []byte(`{"phone":"mine"}`), nil)
	return err
}

func createPhone(pre httpapi.Preconditions, c *resource.Collection) error {
	_, err := pre.Create(context.Background(), c, acme, []byte(`{"customerId":"c-1","phone":"mine"}`), nil)
	return err
}

func deleteIt(pre httpapi.Preconditions, c *resource.Collection) error {
	_, err := pre.Delete(context.Background(), c, acme, "c-1", nil)
	return err
}

// TestOneOfManyGetsThrough: of many writes that demand the same state exactly one
// is made, whatever the verb and however it is demanded.
func TestOneOfManyGetsThrough(t *testing.T) {
	const clients = 32
	one := tagFor(acme, 1)
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
				require.Equal(t, one, s.direct(t, post("", customer("c-1", ""))).header.Get("ETag"))
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
		for name, write := range map[string]func(httpapi.Preconditions, *resource.Collection) error{"If-Match *": createPhone, `If-None-Match "x"`: patchPhone} {
			r := httptest.NewRequest("POST", "/", nil)
			header, value, _ := strings.Cut(name, " ")
			r.Header.Set(header, value)
			pre, err := httpapi.ParsePreconditions(r)
			require.NoError(t, err)
			require.NoError(t, write(pre, c), name)
		}
	}
}

// TestRequirePrecondition: a write that says nothing of what it is over is refused,
// and a read is not.
func TestRequirePrecondition(t *testing.T) {
	handler, err := httpapi.NewHandler(collection(t), hooks, &httpapi.Options{RequirePrecondition: true})
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
	assert.Contains(t, w.Body.String(), `"success":false,"message":"the request must say over what it may write`)
	assert.Equal(t, 200, send("DELETE", "/c-1", "", "If-Match", "*").Code)
}
