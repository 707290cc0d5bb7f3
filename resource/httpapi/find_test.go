package httpapi_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/storage"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// someone stores a customer of acme. Its email, if any, is at example.com.
func (s *service) someone(t testing.TB, id, email, createdAt string) {
	t.Helper()
	more := ""
	if email != "" {
		more = `,"email":"` + email + `@example.com"`
	}
	s.put(t, acme, `{"customerId":"`+id+`","firstName":"Ada","lastName":"`+marker+`","createdAt":"`+createdAt+`"`+more+`}`)
}

// TestFindRefusals: the words of each list that is refused.
func TestFindRefusals(t *testing.T) {
	s := newService(t, nil)
	s.someone(t, "c-1", "ada", "2024-01-02T03:04:05Z")
	const (
		noFilter = "the filter is not valid"
		noOrder  = "the order is not valid"
		indexed  = "expected a field with an index: createdAt, customerDetailUrl, email, resource.createdAt"
		op       = "unknown condition, expected from, to or prefix"
	)
	for _, tc := range []struct{ query, message, line string }{
		{"filter[firstName]=Ada", noFilter, "/firstName: " + indexed},
		{"filter[firstName][prefix]=A", noFilter, "/firstName: " + indexed},
		{"filter[customerId]=c-1", noFilter, "/customerId: " + indexed},
		{"filter[emailOptOut]=true&filter[firstName]=Ada", noFilter, "/emailOptOut: " + indexed},
		{"filter[resource.updatedAt][from]=2024-01-02T03:04:05Z", noFilter, "/resource.updatedAt: " + indexed},
		{"sort=firstName", noOrder, "/firstName: " + indexed},
		{"sort=-customerId", noOrder, "/customerId: " + indexed},
		{"sort=resource.updatedAt", noOrder, "/resource.updatedAt: " + indexed},
		{"sort=emial", noOrder, `/emial: unknown field, did you mean "email"?`},
		{"sort=resource.created_at", noOrder, `/resource.created_at: unknown field, did you mean "resource.createdAt"?`},
		{"sort=%2Bemail", noOrder, `/+email: unknown field, did you mean "email"?`},
		{"sort=--email", noOrder, `/-email: unknown field, did you mean "email"?`},
		{"sort=email,-createdAt", noOrder, "/email,-createdAt: unknown field"},
		{"sort=email&filter[createdAt][from]=2024-01-02T03:04:05Z", noFilter, "filter: expected a condition on email, by which the list is sorted, or no order"},

		{"filter[email][form]=a", noFilter, "/email: " + op},
		{"filter[email][From]=a", noFilter, "/email: " + op},
		{"filter[email][gte]=a", noFilter, "/email: " + op},
		{"filter[email][eq]=a", noFilter, "/email: " + op},
		{"filter[resource.createdAt][form]=a", noFilter, "/resource.createdAt: " + op},
		{"filter[emial][from]=a", noFilter, `/emial: unknown field, did you mean "email"?`},
		{"filter[email][]=a", noFilter, "/email][: unknown field"},
		{"filter[email][from][to]=a", noFilter, "/email][from: unknown field"},
		{"filter[resource.createdAtt]=a", noFilter, `/resource.createdAtt: unknown field, did you mean "resource.createdAt"?`},
		{"filter[createdAt][prefix]=2024", noFilter, "/createdAt: expected no prefix on a date-time"},
		{"filter[resource.createdAt][prefix]=2024", noFilter, "/resource.createdAt: expected no prefix on a date-time"},
		{"filter[emailOptOut][from]=false", noFilter, "/emailOptOut: expected no from on type boolean"},
		{"filter[createdAt][from]=2024", noFilter, "/createdAt: expected a date-time"},
		{"filter[resource.createdAt][to]=yesterday", noFilter, "/resource.createdAt: expected a date-time"},
		{"filter[createdAt][from]=2024-01-02T03:04:05+01:00", "the query is not valid", "filter[createdAt][from]: a + in a URL stands for a blank; write it as %2B"},
	} {
		a := s.direct(t, list("?"+tc.query))
		assert.Equal(t, 400, a.status, tc.query)
		assert.Contains(t, a.body, `"message":"`+tc.message+`"`, tc.query)
		assert.Contains(t, a.body, `"`+strings.ReplaceAll(tc.line, `"`, `\"`), tc.query)
	}
}

// TestAllowScans: filters that no index serves, where the service allows them. An order
// still needs an index.
func TestAllowScans(t *testing.T) {
	s := newService(t, &httpapi.Options{AllowScans: true})
	s.someone(t, "c-1", "ada", "2024-01-02T03:04:05Z")
	s.someone(t, "c-2", "bob", "2024-01-02T03:04:05Z")
	for query, want := range map[string]string{
		"filter[firstName]=Ada":                                        "c-1 c-2",
		"filter[customerId]=c-2":                                       "c-2",
		"filter[lastName][prefix]=Z":                                   "c-1 c-2",
		"filter[firstName]=Ada&sort=-email":                            "c-2 c-1",
		"filter[resource.updatedAt][from]=2024-01-02T03:04:05%2B01:00": "c-1 c-2",
		"filter[email]=BOB@example.com&filter[firstName]=Ada":          "c-2",
	} {
		assert.Equal(t, want, strings.Join(s.walk(t, query, 1), " "), query)
	}
	assert.Equal(t, 400, s.direct(t, list("?sort=firstName")).status)
}

// walk returns the external ids of a list, from page to page, and checks what its cursors
// show.
func (s *service) walk(t testing.TB, query string, limit int) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		next := fmt.Sprintf("?%s&limit=%d", query, limit)
		if cursor != "" {
			next += "&cursor=" + url.QueryEscape(cursor)
		}
		l := parseList(t, s.direct(t, list(next)))
		for _, r := range l.Data.Results {
			ids = append(ids, r.ResourceExternalID)
		}
		if !l.Data.Pagination.HasNextPage {
			require.Nil(t, l.Data.Pagination.Cursor)
			return ids
		}
		require.Less(t, len(ids), 1000, "a walk without an end")
		cursor = *l.Data.Pagination.Cursor
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		require.NoError(t, err)
		for _, secret := range []string{"example.com", "EXAMPLE.COM", "2024", marker} {
			require.NotContains(t, string(raw), secret)
		}
	}
}

// TestFindPages: what filters and sort find, from page to page each customer once and in
// order, with cursors that show no value.
func TestFindPages(t *testing.T) {
	s := newService(t, nil)
	for i := range 12 {
		email := fmt.Sprintf("%c%d", "bcadef"[i%6], i)
		if i == 4 || i == 9 {
			email = ""
		}
		s.someone(t, fmt.Sprintf("c-%02d", i), strings.ToUpper(email), fmt.Sprintf("2024-%02d-02T03:04:05Z", 12-i))
	}
	s.put(t, globex, `{"customerId":"theirs","firstName":"","lastName":"","email":"a2@example.com","createdAt":"2024-06-01T00:00:00Z"}`)
	ids := func(numbers ...int) (all []string) {
		for _, n := range numbers {
			all = append(all, fmt.Sprintf("c-%02d", n))
		}
		return all
	}
	for _, tc := range []struct {
		query string
		sort  string
		want  []string
	}{
		{"", "createdAt", ids(11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)},
		{"", "resource.createdAt", ids(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)},
		{"", "email", ids(4, 9, 2, 8, 0, 6, 1, 7, 3, 10, 11, 5)}, // those without an email come first
		{"filter[email]=A2@Example.com", "", ids(2)},
		{"filter[email]=nobody@example.com", "", nil},
		{"filter[email][prefix]=c", "", ids(1, 7)},
		{"filter[email][prefix]=c", "email", ids(1, 7)},
		{"filter[email][from]=d&filter[email][to]=f5", "", ids(3, 10, 11)},
		{"filter[createdAt][from]=2024-03-02T03:04:05Z&filter[createdAt][to]=2024-06-02T03:04:05Z", "createdAt", ids(9, 8, 7)},
		{"filter[createdAt][from]=2024-03-02T04:04:05%2B01:00&filter[createdAt][to]=2024-06-02T03:04:05Z", "", ids(9, 8, 7)},
		{"filter[createdAt][from]=2025-03-02T03:04:05Z", "createdAt", nil},
		{"filter[createdAt][from]=2024-06-02T03:04:05Z&filter[createdAt][to]=2024-03-02T03:04:05Z", "", nil},
		{"filter[resource.createdAt][from]=2000-01-01T00:00:00Z&filter[resource.createdAt][to]=2001-01-01T00:00:00Z", "", nil},
		{"filter[email][prefix]=c&filter[lastName]=nobody", "", nil},
		{"filter[email][prefix]=c&filter[firstName]=Ada", "", ids(1, 7)},
	} {
		for _, limit := range []int{1, 5, 1000} {
			query := tc.query
			if tc.sort != "" {
				query += "&sort=" + tc.sort
			}
			assert.Equal(t, tc.want, s.walk(t, query, limit), "%s, %d a page", query, limit)
			if tc.sort == "" {
				continue
			}
			down := slices.Clone(tc.want)
			slices.Reverse(down)
			query = tc.query + "&sort=-" + tc.sort
			assert.Equal(t, down, s.walk(t, query, limit), "%s, %d a page", query, limit)
		}
	}
}

// TestCursorOfAnotherOrder: a cursor is for one filter, order and direction, and for the
// tenant and the store that it came from.
func TestCursorOfAnotherOrder(t *testing.T) {
	s, other := newService(t, nil), newService(t, nil)
	for _, s := range []*service{s, other} {
		for i := range 3 {
			s.someone(t, fmt.Sprint(i), fmt.Sprint("x", i), "2024-01-02T03:04:05Z")
		}
	}
	sorted := "?limit=1&sort=email"
	cursor := *parseList(t, s.direct(t, list(sorted))).Data.Pagination.Cursor
	plain := *parseList(t, s.direct(t, list("?limit=1"))).Data.Pagination.Cursor
	changed := []byte(cursor)
	changed[len(changed)/2] ^= 1
	require.Equal(t, 200, s.direct(t, list(sorted+"&cursor="+cursor)).status)
	for name, a := range map[string]answer{
		"no order":         s.direct(t, list("?limit=1&cursor="+cursor)),
		"descending":       s.direct(t, list("?limit=1&sort=-email&cursor="+cursor)),
		"another field":    s.direct(t, list("?limit=1&sort=createdAt&cursor="+cursor)),
		"a filter":         s.direct(t, list(sorted+"&filter[email][from]=a&cursor="+cursor)),
		"changed":          s.direct(t, list(sorted+"&cursor="+string(changed))),
		"cut":              s.direct(t, list(sorted+"&cursor="+cursor[:len(cursor)-4])),
		"without an order": s.direct(t, list(sorted+"&cursor="+plain)),
		"another tenant":   s.direct(t, list(sorted+"&cursor="+cursor).by("globex")),
		"another store":    other.direct(t, list(sorted+"&cursor="+cursor)),
	} {
		assert.Equal(t, 400, a.status, name)
		assert.Contains(t, a.body, "the cursor is not valid: begin the list again", name)
	}
}

// TestTaken: a unique value of another customer is a 400 for its field, and changes
// nothing.
func TestTaken(t *testing.T) {
	s := newService(t, nil)
	const theURL = `"customerDetailUrl":"https://example.com/` + marker + `"`
	require.Equal(t, 200, s.direct(t, post("", customer("c-1", ","+theURL))).status)
	require.Equal(t, 200, s.direct(t, post("", customer("c-2", ""))).status)
	before := s.records(t)
	for name, m := range map[string]message{
		"create":            post("", customer("c-3", ","+theURL)),
		"create, reject":    post("?onconflict=reject", customer("c-3", ","+theURL)),
		"create, if absent": post("", customer("c-3", ","+theURL), "If-None-Match: *"),
		"upsert":            post("", customer("c-2", ","+theURL)),
		"patch":             get("c-2").as("PATCH", `{"data":{`+theURL+`}}`),
	} {
		a := s.direct(t, m)
		assert.Equal(t, 400, a.status, name)
		assert.Equal(t, `{"success":false,"message":"the data is not valid","errors":["/customerDetailUrl: expected a value that no other resource has"]}`, a.body, name)
		assert.Equal(t, before, s.records(t), name)
	}
	assert.Equal(t, 200, s.direct(t, post("", customer("c-1", ","+theURL+`,"phone":"1"`))).status, "its own value")
	assert.Equal(t, 200, s.direct(t, post("", customer("c-9", ","+theURL)).by("globex")).status, "of another tenant")
	require.Equal(t, 200, s.direct(t, get("c-1").as("DELETE", "")).status)
	assert.Equal(t, 200, s.direct(t, get("c-2").as("PATCH", `{"data":{`+theURL+`}}`)).status, "free again")
}

// TestActor: the log of changes says by whom each was made, with the time that the
// resource shows.
func TestActor(t *testing.T) {
	s := newService(t, nil)
	for _, m := range []message{
		post("", customer("c-1", "")),
		post("", customer("c-1", "")), // changes nothing
		post("", customer("c-1", `,"phone":"1"`)).by("operator", "acme"),
		get("c-1").as("PATCH", `{"data":{"phone":"2"}}`).by("platform", "acme"),
		get("c-1").as("DELETE", "").by("operator", "acme"),
		post("", customer("c-1", "")).by("globex"),
	} {
		require.Equal(t, 200, s.direct(t, m).status, m.method)
	}
	page, err := s.store.Changes(context.Background(), storage.ChangeQuery{Limit: 100})
	require.NoError(t, err)
	var got []string
	for _, c := range page.Changes {
		got = append(got, fmt.Sprintf("%s %t by %s", c.Key.ExternalID, c.Deleted, c.Note.Actor))
	}
	assert.Equal(t, []string{"c-1 false by acme", "c-1 false by operator", "c-1 false by platform", "c-1 true by operator", "c-1 false by globex"}, got)
	c, err := resource.NewCollection(findable, s.store, nil)
	require.NoError(t, err)
	theirs, err := c.Get(context.Background(), globex, "c-1")
	require.NoError(t, err)
	assert.Equal(t, theirs.UpdatedAt(), page.Changes[4].Note.Time)
}
