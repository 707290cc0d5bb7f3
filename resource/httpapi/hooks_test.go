package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

var errSecret = errors.New("connect to " + marker)

// collection is one over an empty store.
func collection(t testing.TB) *resource.Collection {
	t.Helper()
	c, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	require.NoError(t, err)
	return c
}

// answerOf serves one request with these hooks.
func answerOf(t *testing.T, hooks httpapi.Hooks, m message) answer {
	t.Helper()
	handler, err := httpapi.NewAPI(hooks, nil, collection(t))
	require.NoError(t, err)
	return (&service{handler: handler}).direct(t, m)
}

// always returns hooks that say the same whatever they are asked.
func always(p httpapi.Principal, authErr error, tenant storage.Tenant, resolveErr error) httpapi.Hooks {
	return httpapi.Hooks{
		Authenticate:  func(*http.Request) (httpapi.Principal, error) { return p, authErr },
		ResolveTenant: func(context.Context, httpapi.Principal, string) (storage.Tenant, error) { return tenant, resolveErr },
	}
}

func TestAuthenticateErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		status int
	}{
		{"plain", errSecret, 401},
		{"unauthenticated", httpapi.ErrUnauthenticated, 401},
		{"unauthenticated, wrapped", fmt.Errorf("%w: %w", httpapi.ErrUnauthenticated, errSecret), 401},
		{"unavailable", storage.ErrUnavailable, 503},
		{"unavailable, wrapped", fmt.Errorf("tokens: %w: %w", storage.ErrUnavailable, errSecret), 503},
		{"deadline", fmt.Errorf("tokens: %w", context.DeadlineExceeded), 503},
		{"cancelled", fmt.Errorf("tokens: %w", context.Canceled), 503},

		// "Its error becomes a 401, whatever it is."
		{"of a store of tokens", fmt.Errorf("token: %w", storage.ErrNotFound), 401},
		{"unknown tenant", httpapi.ErrUnknownTenant, 401},
		{"closed", fmt.Errorf("token: %w", storage.ErrClosed), 401},
		{"unknown outcome", fmt.Errorf("token: %w", storage.ErrUnknownOutcome), 401},
		{"body too large", &http.MaxBytesError{Limit: 7}, 401},
		{"claims are not JSON", fmt.Errorf("claims: %w", &schema.SyntaxError{Offset: 7, Reason: marker}), 401},
		{"claims are not valid", &schema.ValidationError{Violations: []schema.Violation{{Pointer: "/sub", Message: marker}}}, 401},
		{"exists", &resource.OpError{Err: fmt.Errorf("%s: %w", marker, resource.ErrExists)}, 401},
		{"a problem of the service's own", fmt.Errorf("scopes: %w", &httpapi.Problem{Status: 400, Message: "which key?"}), 400},
		{"a problem that is no authentication", errors.Join(httpapi.ErrUnauthenticated, &httpapi.Problem{Status: 403, Message: marker}), 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, m := range []message{get("c-1"), post("", customer("c-1", ""))} {
				a := answerOf(t, always(httpapi.Principal{Unconfined: true}, tc.err, acme, nil), m)
				assert.Equal(t, tc.status, a.status, a.body)
				assert.NotContains(t, a.body, marker)
				if tc.status == 401 {
					assert.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))
					assert.JSONEq(t, `{"success":false,"message":"authentication failed"}`, a.body)
				}
			}
		})
	}
}

func TestResolveTenantErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		tenant storage.Tenant
		err    error
		status int
		body   string
	}{
		{"unknown", acme, httpapi.ErrUnknownTenant, 404, "tenant not found"},
		{"unknown, wrapped", acme, fmt.Errorf("%w: %w", httpapi.ErrUnknownTenant, errSecret), 404, "tenant not found"},
		{"plain", acme, errSecret, 500, "internal error"},
		{"unavailable", acme, fmt.Errorf("%w: %w", storage.ErrUnavailable, errSecret), 503, "temporarily unavailable"},
		{"deadline", acme, context.DeadlineExceeded, 503, "not finished in time"},
		{"unauthenticated", acme, httpapi.ErrUnauthenticated, 401, "authentication failed"},
		{"a problem of the service's own", acme, &httpapi.Problem{Status: 400, Message: "which business?"}, 400, "which business?"},
		{"zero tenant", storage.Tenant{}, nil, 404, "tenant not found"},
		{"no business", storage.Tenant{Platform: acme.Platform}, nil, 404, "tenant not found"},
		{"no platform", storage.Tenant{Business: acme.Business}, nil, 404, "tenant not found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, m := range []message{get("c-1"), post("", customer("c-1", ""))} {
				a := answerOf(t, always(httpapi.Principal{Unconfined: true}, nil, tc.tenant, tc.err), m)
				assert.Equal(t, tc.status, a.status, a.body)
				assert.Contains(t, a.body, tc.body)
				assert.NotContains(t, a.body, marker)
			}
		})
	}
}

// TestConfinement: whatever ResolveTenant says, a caller stays in its business
// or platform, and cannot tell a foreign tenant from none.
func TestConfinement(t *testing.T) {
	business := httpapi.Principal{Tenant: acme}
	platform := httpapi.Principal{Tenant: storage.Tenant{Platform: acme.Platform}}
	halved := httpapi.Principal{Tenant: storage.Tenant{Business: acme.Business}}
	mixed := storage.Tenant{Platform: stranger.Platform, Business: acme.Business}
	for _, tc := range []struct {
		name    string
		caller  httpapi.Principal
		tenant  storage.Tenant
		allowed bool
	}{
		{"unconfined/any", httpapi.Principal{Unconfined: true}, stranger, true},
		{"unconfined/zero", httpapi.Principal{Unconfined: true}, storage.Tenant{}, false},
		{"nobody/any", httpapi.Principal{Subject: "forgotten"}, stranger, false},
		{"nobody/zero", httpapi.Principal{}, storage.Tenant{}, false},
		{"unconfined but for a business/its own", httpapi.Principal{Unconfined: true, Tenant: acme}, acme, true},
		{"unconfined but for a business/another", httpapi.Principal{Unconfined: true, Tenant: acme}, globex, false},
		{"business/its own", business, acme, true},
		{"business/another of the platform", business, globex, false},
		{"business/of another platform", business, stranger, false},
		{"business/the same id on another platform", business, mixed, false},
		{"business/zero", business, storage.Tenant{}, false},
		{"platform/a business", platform, acme, true},
		{"platform/another business", platform, globex, true},
		{"platform/of another platform", platform, stranger, false},
		{"platform/the same id on another platform", platform, mixed, false},
		{"platform/zero", platform, storage.Tenant{}, false},
		{"business without platform/its own", halved, acme, false},
		{"business without platform/another", halved, globex, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, m := range []message{get("c-1"), get("-?externalId=.."), post("", customer("c-1", "")), post("?onconflict=x", "{")} {
				unknown := answerOf(t, always(tc.caller, nil, storage.Tenant{}, httpapi.ErrUnknownTenant), m)
				require.Equal(t, 404, unknown.status)
				a := answerOf(t, always(tc.caller, nil, tc.tenant, nil), m)
				if tc.allowed {
					assert.NotEqual(t, unknown, a)
				} else {
					assert.Equal(t, unknown, a)
				}
			}
		})
	}
}

// TestTenantLeak sends every kind of request for a customer that only the other
// tenant has, and for one that nobody has: the answers are the same bytes, before
// and after the other tenant has it.
func TestTenantLeak(t *testing.T) {
	incomplete := `{"data":{"customerId":"c-1","firstName":"mine"}}`
	// The tag that the other tenant has for its customer, and one that acme could
	// have if it had that customer.
	const theirs = `"THEIRS"`
	// The cursor of a list by email of the other tenant.
	const theirCursor = "CURSOR"
	mine := tagFor(storage.NextRevision(0))
	cursor := cursorOf(t, globex)
	requests := map[string]message{
		"get":                         get("c-1"),
		"get, encoded":                get("%63%2D1"),
		"get, parameter":              get("-?externalId=c-1"),
		"get, other name":             get("c-1").by("acme", "globex"),
		"get, platform":               get("c-1").by("platform", "acme"),
		"get, platform, none":         get("c-1").by("platform"),
		"get, foreign platform":       get("c-1").by("platform", "stranger"),
		"head":                        {method: "HEAD", target: route + "/c-1", header: []string{"Authorization: Bearer acme"}},
		"get, if-none-match any":      get("c-1", "If-None-Match: *"),
		"get, if-none-match":          get("c-1", "If-None-Match: "+theirs+", "+mine),
		"get, if-match any":           get("c-1", "If-Match: *"),
		"get, if-match":               get("c-1", "If-Match: "+theirs+", "+mine),
		"get, malformed tag":          get("c-1", "If-Match: x"),
		"delete":                      get("c-1").as("DELETE", ""),
		"delete, parameter":           get("-?externalId=c-1").as("DELETE", ""),
		"delete, other name":          get("c-1").as("DELETE", "").by("acme", "globex"),
		"delete, if-match any":        get("c-1", "If-Match: *").as("DELETE", ""),
		"delete, if-match":            get("c-1", "If-Match: "+mine).as("DELETE", ""),
		"delete, if-match theirs":     get("c-1", "If-Match: "+theirs).as("DELETE", ""),
		"delete, if-none-match":       get("c-1", "If-None-Match: *").as("DELETE", ""),
		"patch":                       get("c-1").as("PATCH", `{"data":{"email":"x"}}`),
		"patch, nothing":              get("c-1").as("PATCH", `{"data":{}}`),
		"patch, other name":           get("c-1").as("PATCH", `{"data":{"email":"x"}}`).by("acme", "globex"),
		"patch, platform":             get("c-1").as("PATCH", `{"data":{"email":"x"}}`).by("platform", "acme"),
		"patch, violations":           get("c-1").as("PATCH", `{"data":{"email":7,"firstName":null,"nickname":null}}`),
		"patch, another id":           get("c-1").as("PATCH", `{"data":{"customerId":"c-2"}}`),
		"patch, not an object":        get("c-1").as("PATCH", `{"data":7}`),
		"patch, if-match any":         get("c-1", "If-Match: *").as("PATCH", `{"data":{"email":"x"}}`),
		"patch, if-match":             get("c-1", "If-Match: "+mine).as("PATCH", `{"data":{"email":"x"}}`),
		"patch, if-match theirs":      get("c-1", "If-Match: "+theirs+", "+mine).as("PATCH", `{"data":{"email":"x"}}`),
		"patch, if-none-match":        get("c-1", "If-None-Match: *").as("PATCH", `{"data":{"email":"x"}}`),
		"patch, if-none-match theirs": get("c-1", "If-None-Match: "+theirs).as("PATCH", `{"data":{"email":"x"}}`),
		"create, if-none-match any":   post("", customer("c-1", ""), "If-None-Match: *"),
		"create, if-none-match":       post("", customer("c-1", ""), "If-None-Match: "+theirs+", "+mine),
		"create, if-match any":        post("", customer("c-1", ""), "If-Match: *"),
		"create, if-match":            post("", customer("c-1", ""), "If-Match: "+mine),
		"create, if-match theirs":     post("", customer("c-1", ""), "If-Match: "+theirs+", "+mine),
		"partial, if-match any":       post("", incomplete, "If-Match: *"),
		"partial, if-none-match any":  post("", incomplete, "If-None-Match: *"),
		"list":                        list(""),
		"list, head":                  list("").as("HEAD", ""),
		"list, filter":                list("?filter[firstName]=" + marker),
		"list, filter by id":          list("?filter[customerId]=c-1"),
		"list, their email":           list("?filter[email]=e"),
		"list, their email, folded":   list("?filter[email]=E&sort=email"),
		"list, their email, begins":   list("?filter[email][prefix]=e"),
		"list, their email, from":     list("?filter[email][from]=d&filter[email][to]=f&limit=1"),
		"list, their URL":             list("?filter[customerDetailUrl]=u"),
		"list, their createdAt":       list("?filter[createdAt]=2024-01-02T03:04:05Z"),
		"list, sorted":                list("?sort=email&limit=1"),
		"list, sorted downwards":      list("?sort=-resource.createdAt&limit=1"),
		"list, no index":              list("?sort=firstName"),
		"list, their sorted cursor":   list("?sort=email&limit=1&cursor=" + theirCursor),
		"list, sorted, other name":    list("?sort=email&limit=1&cursor="+theirCursor).by("acme", "globex"),
		"list, limit":                 list("?limit=1"),
		"list, their cursor":          list("?cursor=" + cursor),
		"list, other name":            list("").by("acme", "globex"),
		"list, platform":              list("").by("platform", "acme"),
		"list, platform, none":        list("").by("platform"),
		"options":                     get("c-1").as("OPTIONS", ""),
		"partial":                     post("", incomplete),
		"partial, reject":             post("?onconflict=reject", incomplete),
		"partial, ignoring":           post("?ignoreUnknownFields=true", incomplete),
		"partial, other name":         post("", incomplete).by("acme", "globex"),
		"null on a required field":    post("", `{"data":{"customerId":"c-1","firstName":null}}`),
		"null on a field of theirs":   post("", `{"data":{"customerId":"c-1","email":null,"nickname":null}}`),
		"violations":                  post("", `{"data":{"customerId":"c-1","phone":7,"emial":1}}`),
		"violations, reject":          post("?onconflict=reject", `{"data":{"customerId":"c-1","phone":7}}`),
		"not JSON":                    post("", `{"data":{"customerId":"c-1"`),
		"wrong type":                  post("", "x=y", "Content-Type: text/plain"),
		"wrong query":                 post("?onconflict=x", incomplete),
		"no such tenant":              get("c-1").by("acme", "nobody"),
		"no such tenant, platform":    get("c-1").by("platform", "nobody"),
		"unauthenticated":             get("c-1").by("nobody"),
		"create, reject, then theirs": post("?onconflict=reject", customer("c-1", "")),
		"create, their unique value":  post("", customer("c-2", `,"customerDetailUrl":"u"`)),
	}
	for name, m := range requests {
		t.Run(name, func(t *testing.T) {
			missing := newService(t, nil)
			foreign := newService(t, nil)
			full := `{"customerId":"c-1","firstName":"` + marker + `","lastName":"x","createdAt":"2024-01-02T03:04:05Z","email":"e","customerDetailUrl":"u"}`
			foreign.put(t, globex, full)
			foreign.put(t, globex, `{"customerId":"c-0","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
			foreign.put(t, stranger, full)
			before := foreign.records(t)
			for _, s := range []*service{missing, foreign} {
				s.faults.Store = s.store // with revisions as real stores make them
			}
			tag := foreign.direct(t, get("c-1").by("globex")).header.Get("ETag")
			require.NotEmpty(t, tag)
			for i := range m.header {
				m.header[i] = strings.ReplaceAll(m.header[i], theirs, tag)
			}
			sorted := parseList(t, foreign.direct(t, list("?sort=email&limit=1").by("globex")))
			m.target = strings.ReplaceAll(m.target, theirCursor, *sorted.Data.Pagination.Cursor)

			want, got := missing.serve(t).exchange(t, m), foreign.serve(t).exchange(t, m)
			want.header.Del("Date")
			got.header.Del("Date")
			if want.status == 200 && m.method == "POST" { // what acme created itself has a random tag
				assert.NotEqual(t, want.header.Get("ETag"), got.header.Get("ETag"))
				want.header.Del("ETag")
				got.header.Del("ETag")
			}
			assert.Equal(t, want, got)
			assert.NotContains(t, got.body, marker)
			var after []storage.Record
			for _, rec := range foreign.records(t) {
				if rec.Key.Tenant != acme {
					after = append(after, rec)
				}
			}
			assert.Equal(t, before, after)
		})
	}
}

// TestHooksSeeTheRequest: the hooks get the request, its context, and the header.
func TestHooksSeeTheRequest(t *testing.T) {
	type key struct{}
	var names []string
	hooks := httpapi.Hooks{
		Authenticate: func(r *http.Request) (httpapi.Principal, error) {
			return httpapi.Principal{Subject: r.Header.Get("Authorization"), Tenant: acme}, nil
		},
		ResolveTenant: func(ctx context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
			names = append(names, fmt.Sprint(ctx.Value(key{}), " ", p.Subject, " ", name))
			return acme, nil
		},
	}
	r := httptest.NewRequest("GET", route+"/c-1", nil)
	r = r.WithContext(context.WithValue(r.Context(), key{}, "ctx"))
	r.Header.Set("Authorization", "ada")
	_, err := hooks.Tenant(r)
	require.NoError(t, err)
	r.Header.Set("Reach-Tenant-ID", "acme")
	tenant, err := hooks.Tenant(r)
	require.NoError(t, err)
	assert.Equal(t, acme, tenant)
	r.Header.Add(httpapi.TenantHeader, "acme")
	_, err = hooks.Tenant(r)
	assert.Equal(t, 400, httpapi.ProblemOf(err).Status)
	assert.Equal(t, []string{"ctx ada ", "ctx ada acme"}, names)
}

func TestHooksAndPrefixErrors(t *testing.T) {
	good := hooks
	for _, tc := range []struct {
		name       string
		collection *resource.Collection
		hooks      httpapi.Hooks
		opts       *httpapi.Options
		want       string
	}{
		{"no collection", nil, good, nil, "without a collection"},
		{"no hooks", collection(t), httpapi.Hooks{}, nil, "need both"},
		{"no Authenticate", collection(t), httpapi.Hooks{ResolveTenant: resolveTenant}, nil, "need both"},
		{"no ResolveTenant", collection(t), httpapi.Hooks{Authenticate: authenticate}, nil, "need both"},
		{"prefix without a slash in front", collection(t), good, &httpapi.Options{Prefix: "api/"}, "Prefix"},
		{"prefix without a slash behind", collection(t), good, &httpapi.Options{Prefix: "/api"}, "Prefix"},
		{"prefix with braces", collection(t), good, &httpapi.Options{Prefix: "/{x}/"}, "Prefix"},
		{"prefix with a blank", collection(t), good, &httpapi.Options{Prefix: "/a b/"}, "Prefix"},
		{"prefix with a tab", collection(t), good, &httpapi.Options{Prefix: "/a\tb/"}, "Prefix"},
		{"prefix with an empty segment", collection(t), good, &httpapi.Options{Prefix: "//"}, "Prefix"},
		{"prefix with a step", collection(t), good, &httpapi.Options{Prefix: "/api/../"}, "Prefix"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.NotPanics(t, func() {
				handler, err := httpapi.NewAPI(tc.hooks, tc.opts, tc.collection)
				assert.ErrorContains(t, err, tc.want)
				assert.Nil(t, handler)
			})
		})
	}
	_, err := httpapi.Hooks{}.Tenant(httptest.NewRequest("GET", "/", nil))
	assert.ErrorContains(t, err, "need both")
	assert.Equal(t, 500, httpapi.ProblemOf(err).Status)
}

// TestPrefix: the routes begin at Options.Prefix and nowhere else.
func TestPrefix(t *testing.T) {
	s := newService(t, &httpapi.Options{Prefix: "/v2/"})
	assert.Equal(t, 404, s.direct(t, post("", customer("c-1", ""))).status)
	m := post("", customer("c-1", ""))
	m.target = "/v2/customers"
	assert.Equal(t, 200, s.direct(t, m).status)
	m = get("")
	m.target = "/v2/customers/c-1"
	assert.Equal(t, 200, s.direct(t, m).status)
	root, err := httpapi.NewAPI(hooks, &httpapi.Options{Prefix: "/"}, collection(t))
	require.NoError(t, err)
	m.target = "/customers/c-1"
	assert.Contains(t, (&service{handler: root}).direct(t, m).body, "resource not found")
}

// TestOnError: it sees each error with the status that is answered, and the
// cause of a 500 that the answer does not tell.
func TestOnError(t *testing.T) {
	type seen struct {
		path   string
		status int
	}
	var all []seen
	var last error
	handler, err := httpapi.NewAPI(always(httpapi.Principal{Unconfined: true}, nil, acme, nil), &httpapi.Options{
		OnError: func(r *http.Request, status int, err error) {
			all, last = append(all, seen{r.URL.Path, status}), err
		},
	}, collection(t))
	require.NoError(t, err)
	s := &service{handler: handler}
	s.direct(t, post("", customer("c-1", "")))
	s.direct(t, get("c-1"))
	assert.Empty(t, all, "no error")
	s.direct(t, get("c-2"))
	require.ErrorIs(t, last, resource.ErrNotFound)
	s.direct(t, message{method: "GET", target: "/x"})
	s.direct(t, message{method: "PUT", target: route})
	assert.Equal(t, []seen{{route + "/c-2", 404}, {"/x", 404}, {route, 405}}, all)

	broken, err := httpapi.NewAPI(always(httpapi.Principal{Unconfined: true}, nil, storage.Tenant{Platform: uuid.New()}, nil), &httpapi.Options{
		OnError: func(_ *http.Request, _ int, err error) { last = err },
	}, collection(t))
	require.NoError(t, err)
	(&service{handler: broken}).direct(t, get("c-1"))
	assert.ErrorIs(t, last, storage.ErrInvalid)
}

// TestUnknownParameters: a mistyped parameter is refused, and does nothing. A POST
// ignores those that resemble none of its own, as the contract has it.
func TestUnknownParameters(t *testing.T) {
	customers, err := resource.NewCollection(findable, memory.New(), nil)
	require.NoError(t, err)
	handler, err := httpapi.NewAPI(hooks, nil, customers)
	require.NoError(t, err)
	s := &service{handler: handler}
	bearer := func(m message) message {
		m.header = []string{"Authorization: Bearer acme", "Content-Type: application/json"}
		return m
	}
	require.Equal(t, 200, s.direct(t, bearer(post("", customer("c-1", "")))).status)
	for _, tc := range []struct {
		name   string
		m      message
		status int
		line   string
	}{
		{"create, known", post("?onconflict=upsert&ignoreUnknownFields=false", customer("c-1", "")), 200, ""},
		{"create, other case", post("?onConflict=reject", customer("c-1", "")), 400, "onConflict: unknown parameter, did you mean onconflict?"},
		{"create, swapped letters", post("?onconfilct=reject", customer("c-1", "")), 400, "onconfilct: unknown parameter, did you mean onconflict?"},
		{"create, letters swapped twice", post("?nocnoflict=reject", customer("c-1", "")), 400, "nocnoflict: unknown parameter, did you mean onconflict?"},
		{"create, other case and two letters", post("?ON_Conflicts=reject", customer("c-1", "")), 400, "ON_Conflicts: unknown parameter, did you mean onconflict?"},
		{"create, snake case", post("?ignore_unknown_fields=true", customer("c-1", "")), 400, "did you mean ignoreUnknownFields?"},
		{"create, one letter short", post("?ignoreUnknownField=true", customer("c-1", "")), 400, "did you mean ignoreUnknownFields?"},
		{"create, brackets", post("?onconflict[]=reject", customer("c-1", "")), 400, "onconflict[]: unknown parameter, did you mean onconflict?"},
		{"create, a blank", post("?onconflict%20=reject", customer("c-1", "")), 400, "unknown parameter, did you mean onconflict?"},
		{"create, near beside known", post("?onconflict=upsert&onConflict=reject", customer("c-1", "")), 400, "onConflict: unknown parameter"},
		{"create, repeated", post("?onconflict=upsert&onconflict=reject", customer("c-1", "")), 400, "onconflict: given more than once"},
		{"create, upper-case value", post("?onconflict=REJECT", customer("c-1", "")), 400, "onconflict: expected"},
		{"create, empty value", post("?onconflict=", customer("c-1", "")), 400, "onconflict: expected"},
		{"create, three letters", post("?onconflicting=reject", customer("c-1", "")), 200, ""},
		{"create, unknown", post("?dryRun=true&filter[email]=x&%3Cscript%3E&=1&limit=x", customer("c-1", "")), 200, ""},
		{"list, limit with brackets", message{method: "GET", target: route + "?limit[]=1"}, 400, "limit[]: unknown parameter, did you mean limit?"},
		{"list, known", message{method: "GET", target: route + "?limit=1&cursor=&filter[firstName]=Ada&filter%5Bemail%5D=x&sort=email"}, 200, ""},
		{"list, unknown", message{method: "GET", target: route + "?state=active"}, 400, "state: unknown parameter, expected one of: cursor, limit, filter, sort"},
		{"list, a field", message{method: "GET", target: route + "?email=x"}, 400, "email: unknown parameter, did you mean filter[email]?"},
		{"list, plural", message{method: "GET", target: route + "?filters[email]=x"}, 400, "filters[email]: unknown parameter, did you mean filter[email]?"},
		{"list, other case", message{method: "GET", target: route + "?Filter[email]=x"}, 400, "Filter[email]: unknown parameter, did you mean filter[email]?"},
		{"list, order", message{method: "GET", target: route + "?order=createdAt"}, 400, "order: unknown parameter, expected one of"},
		{"list, other case of sort", message{method: "GET", target: route + "?Sort=createdAt"}, 400, "Sort: unknown parameter, did you mean sort?"},
		{"head of a list", message{method: "HEAD", target: route + "?order=createdAt"}, 400, ""},
		{"list, lost plus", message{method: "GET", target: route + "?filter[createdAt]=2024-01-02T03:04:05+02:00"}, 400, "filter[createdAt]: a + in a URL stands for a blank; write it as %2B"},
		{"patch, other case", message{method: "PATCH", target: route + "/c-1?IgnoreUnknownFields=true", body: `{"data":{}}`}, 400, "did you mean ignoreUnknownFields?"},
		{"patch by parameter", message{method: "PATCH", target: route + "/-?externalId=c-1&ignoreUnknownFields=true", body: `{"data":{}}`}, 200, ""},
		{"get, known", get("-?externalId=c-1"), 200, ""},
		{"get, unknown", get("c-1?fields=email"), 400, "fields: unknown parameter"},
		{"get by parameter, unknown", get("-?externalId=c-1&fields=email"), 400, "fields: unknown parameter, expected one of: externalId"},
		{"two ids", message{method: "DELETE", target: route + "/c-1?externalId=c-2"}, 400, "externalId: unknown parameter"},
		{"the same id twice", get("c-1?externalId=c-1"), 400, "externalId: unknown parameter"},
		{"patch, known", message{method: "PATCH", target: route + "/c-1?ignoreUnknownFields=true", body: `{"data":{}}`}, 200, ""},
		{"patch, unknown", message{method: "PATCH", target: route + "/c-1?onconflict=reject", body: `{"data":{}}`}, 400, "onconflict: unknown parameter, expected one of: ignoreUnknownFields"},
		{"delete, unknown", message{method: "DELETE", target: route + "/c-1?dryRun=true"}, 400, "dryRun: unknown parameter"},
		{"delete, known", message{method: "DELETE", target: route + "/-?externalId=c-1"}, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.direct(t, bearer(tc.m))
			assert.Equal(t, tc.status, a.status, a.body)
			assert.Contains(t, a.body, tc.line)
		})
	}
	assert.Equal(t, 401, s.direct(t, message{method: "GET", target: route + "/c-1?x=1"}).status, "first things first")
	r := httptest.NewRequest("GET", "/?x=1", nil)
	r.SetPathValue("externalId", "c-1")
	_, err = httpapi.ReadGet(r)
	assert.Equal(t, []string{"x: unknown parameter"}, httpapi.ProblemOf(err).Errors)
	id, err := httpapi.ReadGet(r, "x")
	require.NoError(t, err)
	assert.Equal(t, "c-1", id)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf("p%d=1", i)
	}
	a := s.direct(t, bearer(get("c-1?"+strings.Join(many, "&"))))
	assert.Equal(t, 400, a.status)
	assert.Less(t, len(a.body), 2000)
}

// TestClasses: what Collection metrics call the client's mistake is a 4xx.
func TestClasses(t *testing.T) {
	for _, err := range []error{
		&schema.SyntaxError{}, &schema.ValidationError{}, resource.ErrCursor, resource.ErrBatchSize,
		storage.ErrTooLarge, resource.ErrNotFound, resource.ErrExists, resource.ErrPrecondition,
	} {
		status := httpapi.ProblemOf(err).Status
		assert.True(t, status >= 400 && status < 500, "%v: %d", err, status)
		assert.NotEqual(t, resource.Class("internal"), resource.ErrorClass(err), err)
	}
	for _, err := range []error{storage.ErrInvalid, &schema.CorruptError{}, errSecret} {
		assert.Equal(t, 500, httpapi.ProblemOf(err).Status)
		assert.Equal(t, resource.Class("internal"), resource.ErrorClass(err))
	}
}

// TestChallenge: a service with another scheme than Bearer names its own.
func TestChallenge(t *testing.T) {
	for want, set := range map[string]string{"Bearer": "", `Basic realm="x"`: `Basic realm="x"`} {
		w := httptest.NewRecorder()
		if set != "" {
			w.Header().Set("WWW-Authenticate", set)
		}
		httpapi.WriteError(w, httpapi.ErrUnauthenticated)
		assert.Equal(t, []string{want}, w.Header().Values("WWW-Authenticate"))
	}
}

// TestPrincipalFrom: stores, OnError and what is around the API can say who.
func TestPrincipalFrom(t *testing.T) {
	var seen []string
	subject := func(where string, ctx context.Context) {
		p, ok := httpapi.PrincipalFrom(ctx)
		seen = append(seen, fmt.Sprintf("%s %s %t", where, p.Subject, ok))
	}
	customers, err := resource.NewCollection(schema.Customers(), memory.New(), &resource.Options{
		OnCall: func(ctx context.Context, _ resource.Call) { subject("call", ctx) },
	})
	require.NoError(t, err)
	asked := hooks
	asked.ResolveTenant = func(ctx context.Context, p httpapi.Principal, name string) (storage.Tenant, error) {
		subject("tenant", ctx)
		return resolveTenant(ctx, p, name)
	}
	api, err := httpapi.NewAPI(asked, &httpapi.Options{OnError: func(r *http.Request, _ int, _ error) { subject("error", r.Context()) }}, customers)
	require.NoError(t, err)
	around := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r)
		subject("around", r.Context())
	})
	s := &service{handler: around}
	s.direct(t, get("c-1"))
	assert.Equal(t, []string{"tenant acme true", "call acme true", "error acme true", "around acme true"}, seen)
	seen = nil
	s.direct(t, get("c-1").by("acme", "nobody"))
	assert.Equal(t, []string{"tenant acme true", "error acme true", "around acme true"}, seen, "who asked for a tenant that there is not")
	seen = nil
	s.direct(t, get("c-1").by("nobody"))
	assert.Equal(t, []string{"error  false", "around  false"}, seen)
}

// TestNulls: Options.Nulls is for POST and PATCH alike, whatever the media type. A
// null for "not set" does not subscribe anybody again.
func TestNulls(t *testing.T) {
	const first = `,"emailOptOut":true,"phone":"1"`
	for nulls, want := range map[schema.Nulls]string{
		schema.DeleteNulls: "200 false", schema.IgnoreNulls: "200 true", schema.RejectNulls: "400 true",
	} {
		for _, m := range []message{
			post("", customer("c-1", `,"emailOptOut":null`)),
			get("c-1").as("PATCH", `{"data":{"emailOptOut":null}}`),
			get("c-1", "Content-Type: application/merge-patch+json").as("PATCH", `{"emailOptOut":null}`),
		} {
			s := newService(t, &httpapi.Options{Nulls: nulls})
			require.Equal(t, 200, s.direct(t, post("", customer("c-1", first))).status)
			status := s.direct(t, m).status
			optOut := gjson.Get(s.direct(t, get("c-1")).body, "data.result.data.emailOptOut").String()
			assert.Equal(t, want, fmt.Sprint(status, " ", optOut), "%v %s", nulls, m.body)
		}
	}
	_, err := httpapi.NewAPI(hooks, &httpapi.Options{Nulls: 3}, collection(t))
	assert.ErrorContains(t, err, "Options.Nulls")
}

// TestDroppedFields: the header tells what was left out, and is bounded.
func TestDroppedFields(t *testing.T) {
	s := newService(t, nil)
	dropped := func(m message) []string {
		a := s.direct(t, m)
		require.Equal(t, 200, a.status, a.body)
		return a.header.Values("Dropped-Fields")
	}
	const ignore = "?ignoreUnknownFields=true"
	assert.Empty(t, dropped(post(ignore, customer("c-1", ""))))
	assert.Equal(t, []string{"/nick,/a~1b,/%C3%A9%2C%20%0D%0A%25"}, dropped(post(ignore, customer("c-1", `,"nick":1,"a/b":2,"é, \r\n%":3`))))
	assert.Equal(t, []string{"/nick"}, dropped(get("c-1"+ignore).as("PATCH", `{"data":{"nick":1}}`)))
	var many strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, `,"unknown%d":1`, i)
	}
	header := dropped(post(ignore, customer("c-1", many.String())))[0]
	assert.Regexp(t, `^/unknown0,/unknown1,.*/unknown\d+,\.\.\.$`, header)
	assert.LessOrEqual(t, len(header), 1<<10+len(",..."))
	assert.Equal(t, []string{"..."}, dropped(post(ignore, customer("c-1", `,"`+strings.Repeat("x", 2000)+`":1`))))
}
