package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strconv"
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
)

// cursorOf is a cursor of a list of the tenant's customers.
func cursorOf(t testing.TB, tenant storage.Tenant) string {
	t.Helper()
	c := collection(t)
	for _, id := range []string{"a", "b"} {
		_, err := c.Create(context.Background(), tenant, []byte(`{"customerId":"`+id+`","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`), nil)
		require.NoError(t, err)
	}
	page, err := c.List(context.Background(), tenant, &resource.ListOptions{Limit: 1})
	require.NoError(t, err)
	return page.Next
}

var things = schema.MustCompile(schema.Definition{
	ID: uuid.MustParse("7b000000-0000-4000-8000-00000000000f"), Name: "things", ExternalID: "id",
	Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true},
		{Name: "vip", Type: schema.Boolean},
		{Name: "at", Type: schema.String, Format: "date-time"},
		{Name: "score", Type: schema.Number},
		{Name: "age", Type: schema.Integer},
		{Name: "shipTo", Type: schema.Object, Fields: []schema.Field{
			{Name: "city", Type: schema.String}, {Name: "lat", Type: schema.Number},
		}},
		{Name: "tags", Type: schema.Array, Items: &schema.Field{Type: schema.String}},
		{Name: "a/b", Type: schema.Number}, {Name: "a~b", Type: schema.Boolean}, {Name: "a]", Type: schema.Number},
	},
})

func TestReadList(t *testing.T) {
	const (
		limit  = "limit: expected an integer from 1 to 1000"
		filter = "filter: expected filter[NAME]=VALUE or filter[NAME][OP]=VALUE, where NAME is a field or a JSON Pointer, and OP is from, to or prefix"
		sort   = "sort: expected the name of a field, or - and the name for descending order"
		plus   = ": a + in a URL stands for a blank; write it as %2B"
	)
	equals := func(pairs ...any) resource.ListOptions {
		var opts resource.ListOptions
		for i := 0; i < len(pairs); i += 2 {
			opts.Filter = append(opts.Filter, schema.Condition{Field: pairs[i].(string), Value: pairs[i+1]})
		}
		return opts
	}
	is := func(field, op, value string) schema.Condition {
		return schema.Condition{Field: field, Op: op, Value: value}
	}
	list := func(filter ...schema.Condition) resource.ListOptions { return resource.ListOptions{Filter: filter} }
	for _, tc := range []struct {
		query string
		want  resource.ListOptions
		errs  []string
	}{
		{"", resource.ListOptions{}, nil},
		{"limit=1", resource.ListOptions{Limit: 1}, nil},
		{"limit=1000&cursor=abc", resource.ListOptions{Limit: 1000, Cursor: "abc"}, nil},
		{"cursor=", resource.ListOptions{}, nil},
		{"Limit=x&CURSOR=y&filters=z&filterx&filter.id=1&x=y", resource.ListOptions{}, []string{
			"CURSOR: unknown parameter, did you mean cursor?", "Limit: unknown parameter, did you mean limit?",
			"filter.id: unknown parameter, expected one of: cursor, limit, filter, sort, mine", "filters: unknown parameter, did you mean filter[NAME]?",
			"filterx: unknown parameter, did you mean filter[NAME]?", "x: unknown parameter, expected one of: cursor, limit, filter, sort, mine",
		}},
		{"vip=true", resource.ListOptions{}, []string{"vip: unknown parameter, did you mean filter[vip]?"}},
		{"/shipTo/city=x", resource.ListOptions{}, []string{"/shipTo/city: unknown parameter, did you mean filter[/shipTo/city]?"}},
		{"filters[vip]=true", resource.ListOptions{}, []string{"filters[vip]: unknown parameter, did you mean filter[vip]?"}},
		{"Filter[vip]=true", resource.ListOptions{}, []string{"Filter[vip]: unknown parameter, did you mean filter[vip]?"}},
		{"fitler[%3Cscript%3E]=true", resource.ListOptions{}, []string{"unknown parameter, did you mean filter[NAME]?"}},
		{"sort=id", resource.ListOptions{Order: "id"}, nil},
		{"sort=-at&limit=7", resource.ListOptions{Order: "at", Descending: true, Limit: 7}, nil},
		{"sort=/shipTo/city", resource.ListOptions{Order: "/shipTo/city"}, nil},
		{"sort=-resource.createdAt", resource.ListOptions{Order: "resource.createdAt", Descending: true}, nil},
		{"sort=--at", resource.ListOptions{Order: "-at", Descending: true}, nil}, // for List to tell, like any other name
		{"sort=at,id", resource.ListOptions{Order: "at,id"}, nil},
		{"sort=", resource.ListOptions{}, []string{sort}},
		{"sort", resource.ListOptions{}, []string{sort}},
		{"sort=-", resource.ListOptions{}, []string{sort}},
		{"sort=at&sort=-at", resource.ListOptions{}, []string{"sort: given more than once"}},
		{"sort=at&sort=at", resource.ListOptions{}, []string{"sort: given more than once"}},
		{"sort[]=at", resource.ListOptions{}, []string{"sort[]: unknown parameter, did you mean sort?"}},
		{"sort[at]=desc", resource.ListOptions{}, []string{"sort[at]: unknown parameter, did you mean sort?"}},
		{"Sort=at&sorts=at", resource.ListOptions{}, []string{"Sort: unknown parameter, did you mean sort?", "sorts: unknown parameter, did you mean sort?"}},
		{"order=at", resource.ListOptions{}, []string{"order: unknown parameter, expected one of: cursor, limit, filter, sort, mine"}},
		{"limit[]=1", resource.ListOptions{}, []string{"limit[]: unknown parameter, did you mean limit?"}},
		{"mine=1", resource.ListOptions{}, nil}, // the handler's own
		{"filter[at]=2024-01-02T03:04:05%2B02:00", equals("at", "2024-01-02T03:04:05+02:00"), nil},
		{"filter[at]=2024-01-02T03:04:05+02:00", resource.ListOptions{}, []string{"filter[at]: a + in a URL stands for a blank; write it as %2B"}},
		{"filter[score]=1e+5", resource.ListOptions{}, []string{"filter[score]: a + in a URL stands for a blank; write it as %2B"}},
		{"filter[at]=2024-01-02+03:04:05Z", equals("at", "2024-01-02 03:04:05Z"), nil}, // wrong in any case: for List to tell
		{"filter[id]=1", equals("id", "1"), nil},

		{"filter[at][from]=2024-01-02T03:04:05Z&filter[at][to]=2025-01-02T03:04:05Z", list(is("at", "from", "2024-01-02T03:04:05Z"), is("at", "to", "2025-01-02T03:04:05Z")), nil},
		{"filter%5Bid%5D%5Bprefix%5D=a", list(is("id", "prefix", "a")), nil},
		{"filter[id][prefix]=", list(is("id", "prefix", "")), nil},
		{"filter[/shipTo/lat][from]=1e2", list(is("/shipTo/lat", "from", "1e2")), nil},
		{"filter[resource.updatedAt][to]=2024-01-02T03:04:05Z", list(is("resource.updatedAt", "to", "2024-01-02T03:04:05Z")), nil},
		{"filter[age][from]=1&filter[age][from]=2", list(is("age", "from", "1"), is("age", "from", "2")), nil},
		{"filter[nope][from]=1", list(is("nope", "from", "1")), nil},
		{"filter[at][form]=x", list(is("at", "form", "x")), nil}, // List refuses these by name
		{"filter[at][From]=x", list(is("at", "From", "x")), nil},
		{"filter[at][gte]=x", list(is("at", "gte", "x")), nil},
		{"filter[resource.createdAt][form]=x", list(is("resource.createdAt", "form", "x")), nil},
		{"filter[at][]=x", list(is("at][", "", "x")), nil},
		{"filter[at][from][to]=x", list(is("at][from", "to", "x")), nil},
		{"filter[at][from=x", resource.ListOptions{}, []string{filter}},
		{"filter[at][from]=2024-01-02T03:04:05+02:00", resource.ListOptions{}, []string{"filter[at][from]" + plus}},
		{"filter[score][to]=1e+5", resource.ListOptions{}, []string{"filter[score][to]" + plus}},
		{"filter[resource.createdAt][from]=2024-01-02T03:04:05+02:00", resource.ListOptions{}, []string{"filter[resource.createdAt][from]" + plus}},
		{"filter[resource.updatedAt]=2024-01-02T03:04:05+02:00", resource.ListOptions{}, []string{"filter[resource.updatedAt]" + plus}},
		{"filter[id][prefix]=a+b", list(is("id", "prefix", "a b")), nil},
		{"filters[at][from]=x", resource.ListOptions{}, []string{"filters[at][from]: unknown parameter, did you mean filter[at][from]?"}},
		{"resource.createdAt=x", resource.ListOptions{}, []string{"resource.createdAt: unknown parameter, did you mean filter[resource.createdAt]?"}},
		{"filter%5Bid%5D=a+b%2Bc", equals("id", "a b+c"), nil},
		{"filter[id]=", equals("id", ""), nil},
		{"filter[id]", equals("id", ""), nil},
		{"filter[id]=null", equals("id", "null"), nil},
		{"filter[id]=b&filter[id]=a", equals("id", "b", "id", "a"), nil},
		{"filter[vip]=true&filter[id]=x", equals("id", "x", "vip", "true"), nil},
		{"filter[vip]=false", equals("vip", "false"), nil},
		{"filter[vip]=TRUE", equals("vip", "TRUE"), nil},
		{"filter[vip]=1", equals("vip", "1"), nil},
		{"filter[score]=1.50", equals("score", "1.50"), nil},
		{"filter[score]=-1e400", equals("score", "-1e400"), nil},
		{"filter[age]=7", equals("age", "7"), nil},
		{"filter[score]=1+", equals("score", "1 "), nil},
		{"filter[score]=+1", equals("score", " 1"), nil},
		{"filter[score]=%2B1", equals("score", "+1"), nil},
		{"filter[score]=01", equals("score", "01"), nil},
		{"filter[score]=NaN", equals("score", "NaN"), nil},
		{"filter[score]=-", equals("score", "-"), nil},
		{"filter[score]=1,2", equals("score", "1,2"), nil},
		{"filter[score]={}", equals("score", "{}"), nil},
		{"filter[score]=true", equals("score", "true"), nil},
		{"filter[score]=", equals("score", ""), nil},
		{"filter[/shipTo/city]=1", equals("/shipTo/city", "1"), nil},
		{"filter[/shipTo/lat]=1", equals("/shipTo/lat", "1"), nil},
		{"filter[/a~1b]=1", equals("/a~1b", "1"), nil},
		{"filter[a/b]=1", equals("a/b", "1"), nil},
		{"filter[/a~0b]=true", equals("/a~0b", "true"), nil},
		{"filter[a]]=1", equals("a]", "1"), nil},
		{"filter[nope]=1", equals("nope", "1"), nil},
		{"filter[/shipTo/nope/x]=1", equals("/shipTo/nope/x", "1"), nil},
		{"filter[shipTo]=1", equals("shipTo", "1"), nil},
		{"filter[tags]=1", equals("tags", "1"), nil},
		{"filter[shipTo][city]=1", equals("shipTo][city", "1"), nil},

		{"limit=0", resource.ListOptions{}, []string{limit}},
		{"limit=1001", resource.ListOptions{}, []string{limit}},
		{"limit=", resource.ListOptions{}, []string{limit}},
		{"limit=-1", resource.ListOptions{}, []string{limit}},
		{"limit=%2B1", resource.ListOptions{}, []string{limit}},
		{"limit=01", resource.ListOptions{}, []string{limit}},
		{"limit=1e1", resource.ListOptions{}, []string{limit}},
		{"limit=%D9%A1", resource.ListOptions{}, []string{limit}}, // an Arabic one
		{"limit=18446744073709551617", resource.ListOptions{}, []string{limit}},
		{"limit=1&limit=1", resource.ListOptions{}, []string{"limit: given more than once"}},
		{"cursor=&cursor=", resource.ListOptions{}, []string{"cursor: given more than once"}},
		{"filter=1", resource.ListOptions{}, []string{filter}},
		{"filter", resource.ListOptions{}, []string{filter}},
		{"filter[]=1", resource.ListOptions{}, []string{filter}},
		{"filter[id=1", resource.ListOptions{}, []string{filter}},
		{"filter[=1&filter[=2&filter=3&limit=x", resource.ListOptions{}, []string{limit, filter}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/anything", nil)
			r.URL.RawQuery = tc.query
			got, err := httpapi.ReadList(r, things, "mine")
			if tc.errs == nil {
				tc.want.MaxBytes = 1 << 20
			}
			assert.Equal(t, tc.want, got)
			if tc.errs == nil {
				require.NoError(t, err)
				return
			}
			var p *httpapi.Problem
			require.ErrorAs(t, err, &p)
			assert.Equal(t, 400, p.Status)
			assert.Equal(t, tc.errs, p.Errors)
		})
	}
	r := httptest.NewRequest("GET", "/anything?limit=%zz", nil)
	_, err := httpapi.ReadList(r, things)
	assert.Equal(t, 400, httpapi.ProblemOf(err).Status)
}

// TestReadPatchQuery: ignoreUnknownFields as for a POST, and nothing else.
func TestReadPatchQuery(t *testing.T) {
	for query, want := range map[string]string{
		"": "", "ignoreUnknownFields=false": "", "ignoreUnknownFields=null": "", "mine=1": "",
		"onconflict=x":                                       "onconflict: unknown parameter, expected one of: ignoreUnknownFields, mine",
		"IgnoreUnknownFields=true":                           "IgnoreUnknownFields: unknown parameter, did you mean ignoreUnknownFields?",
		"ignoreUnknownFields=true":                           "ignore",
		"ignoreUnknownFields=1":                              `ignoreUnknownFields: expected "true" or "false", in lower case`,
		"ignoreUnknownFields=true&ignoreUnknownFields=false": "ignoreUnknownFields: given more than once",
	} {
		r := httptest.NewRequest("PATCH", "/anything", strings.NewReader(`{"data":{}}`))
		r.URL.RawQuery = query
		r.SetPathValue("externalId", "c-1")
		_, _, got, err := httpapi.ReadPatch(nil, r, 0, "mine")
		switch want {
		case "":
			require.NoError(t, err, query)
			assert.Equal(t, resource.WriteOptions{}, got, query)
		case "ignore":
			require.NoError(t, err, query)
			assert.Equal(t, resource.WriteOptions{UnknownFields: schema.IgnoreUnknown}, got, query)
		default:
			require.Error(t, err, query)
			assert.Equal(t, []string{want}, httpapi.ProblemOf(err).Errors, query)
			assert.Equal(t, resource.WriteOptions{}, got, query)
		}
	}
	r := httptest.NewRequest("PATCH", "/anything", nil)
	r.URL.RawQuery = "a;b"
	r.SetPathValue("externalId", "c-1")
	_, _, _, err := httpapi.ReadPatch(nil, r, 0)
	assert.Equal(t, 400, httpapi.ProblemOf(err).Status)
}

// listed is what a list answers.
type listed struct {
	Data struct {
		Results []struct {
			ResourceExternalID string
			CreatedAt          string
			Data               json.RawMessage
		}
		Pagination struct {
			HasNextPage bool
			Total       *int
			Cursor      *string
		}
	}
}

func parseList(t testing.TB, a answer) listed {
	t.Helper()
	require.Equal(t, 200, a.status, a.body)
	var l listed
	require.NoError(t, json.Unmarshal([]byte(a.body), &l))
	return l
}

// TestListPages: from page to page every customer once, in order, for each limit;
// and the total only when one page is all.
func TestListPages(t *testing.T) {
	s := newService(t, nil)
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("c/%02d?&=", i)
		s.put(t, acme, `{"customerId":"`+id+`","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
		want = append(want, id)
	}
	s.put(t, globex, `{"customerId":"theirs","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	for _, limit := range []int{1, 2, 7, 24, 25, 26, 1000} {
		var got []string
		pages := 0
		for cursor := ""; ; pages++ {
			query := "?limit=" + strconv.Itoa(limit)
			if cursor != "" {
				query += "&cursor=" + url.QueryEscape(cursor)
			}
			l := parseList(t, s.direct(t, list(query)))
			for _, r := range l.Data.Results {
				got = append(got, r.ResourceExternalID)
			}
			require.LessOrEqual(t, len(l.Data.Results), limit)
			if whole := pages == 0 && !l.Data.Pagination.HasNextPage; whole {
				require.NotNil(t, l.Data.Pagination.Total)
				assert.Equal(t, 25, *l.Data.Pagination.Total)
			} else {
				assert.Nil(t, l.Data.Pagination.Total)
			}
			if l.Data.Pagination.Cursor == nil {
				break
			}
			cursor = *l.Data.Pagination.Cursor
		}
		assert.Equal(t, want, got, "limit %d", limit)
	}
}

// TestListDefaultLimit: 100 resources, unless it is said.
func TestListDefaultLimit(t *testing.T) {
	s := newService(t, nil)
	for i := range 101 {
		s.put(t, acme, fmt.Sprintf(`{"customerId":"%03d","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`, i))
	}
	assert.Len(t, parseList(t, s.direct(t, list(""))).Data.Results, 100)
	assert.Len(t, parseList(t, s.direct(t, list("?limit=101"))).Data.Results, 101)
}

// TestBigPage: a page ends after 1 MiB of documents, and tells that more is to come;
// from page to page nothing is missing.
func TestBigPage(t *testing.T) {
	s := newService(t, nil).serve(t)
	const n = 160
	for i := range n {
		s.put(t, acme, fmt.Sprintf(`{"customerId":"%03d","firstName":"%s","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`, i, strings.Repeat("x", 16<<10)))
	}
	total, pages := 0, 0
	for query := "?limit=1000"; ; pages++ {
		a := s.exchange(t, list(query))
		assert.Less(t, len(a.body), 1<<20+100_000)
		assert.NotEmpty(t, a.header.Get("Content-Length"))
		l := parseList(t, a)
		total += len(l.Data.Results)
		assert.Equal(t, l.Data.Pagination.HasNextPage, total < n)
		if !l.Data.Pagination.HasNextPage {
			break
		}
		query = "?limit=1000&cursor=" + *l.Data.Pagination.Cursor
	}
	assert.Equal(t, n, total)
	assert.Equal(t, 2, pages)
}

// TestWritePage: the kit on its own.
func TestWriteList(t *testing.T) {
	for _, tc := range []struct {
		page  resource.Page
		asked *resource.ListOptions
		want  string
	}{
		{resource.Page{}, nil, `{"hasNextPage":false,"total":0,"cursor":null}`},
		{resource.Page{}, &resource.ListOptions{Cursor: "x"}, `{"hasNextPage":false,"total":null,"cursor":null}`},
		{resource.Page{Next: `a"b`}, &resource.ListOptions{}, `{"hasNextPage":true,"total":null,"cursor":"a\"b"}`},
		{resource.Page{Next: "x"}, &resource.ListOptions{Cursor: "x"}, `{"hasNextPage":true,"total":null,"cursor":"x"}`},
	} {
		w := httptest.NewRecorder()
		httpapi.WriteList(w, &tc.page, tc.asked, nil)
		checkAnswer(t, answer{method: "GET", status: w.Code, header: w.Header(), body: w.Body.String()})
		assert.Equal(t, `{"success":true,"message":"resources listed","data":{"results":[],"included":[],"pagination":`+tc.want+`}}`, w.Body.String())
	}
}

// TestHostileLists: queries and headers that should find nothing out and cost
// little, with the marker for personal data.
func TestHostileLists(t *testing.T) {
	s := newService(t, &httpapi.Options{AllowScans: true})
	s.put(t, acme, `{"customerId":"h-1","firstName":"`+marker+`","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	before := s.records(t)
	m := url.QueryEscape(marker)
	filters := func(n int) string {
		return "?" + strings.TrimPrefix(strings.Repeat("&filter[firstName]="+m, n), "&")
	}
	for _, tc := range []struct {
		name    string
		request message
		status  int
		message string
	}{
		{"100 filters", list(filters(100)), 200, "resources listed"},
		{"101 filters", list(filters(101)), 400, "expected at most 100 conditions"},
		{"1,000 filters", list(filters(1000)), 400, "expected at most 100 conditions"},
		{"20,000 filters", list(filters(20_000)), 400, "the query is not valid"}, // net/url has a limit of its own
		{"100 wrong filters", list("?" + strings.TrimPrefix(strings.Repeat("&filter["+m+"]=x", 100), "&")), 400, "unknown field"},
		{"long name", list("?filter[" + strings.Repeat("n", 100_000) + "]=x"), 400, "…: unknown field"},
		{"deep pointer", list("?filter[" + strings.Repeat("/a", 50_000) + "]=x"), 400, "unknown field"},
		{"long value", list("?filter[email]=" + strings.Repeat("v", 100_000)), 200, `"results":[]`},
		{"long number", list("?filter[emailOptOut]=" + strings.Repeat("7", 100_000)), 400, "/emailOptOut"},
		{"value for a boolean", list("?filter[emailOptOut]=" + m), 400, "expected boolean, found string"},
		{"value that is not UTF-8", list("?filter[email]=%FF" + m), 400, "expected valid UTF-8"},
		{"name that is not UTF-8", list("?filter[%FF]=" + m), 400, "unknown field"},
		{"NUL", list("?filter[email]=%00"), 200, `"results":[]`},
		{"markup in a name", list("?filter[<script>]=x"), 400, `\\u003cscript\\u003e`},
		{"date", list("?filter[createdAt]=" + m), 400, "expected a date-time"},
		{"limit", list("?limit=" + m), 400, "limit: expected"},
		{"long limit", list("?limit=" + strings.Repeat("9", 100_000)), 400, "limit: expected"},
		{"cursor", list("?cursor=" + m), 400, "the cursor is not valid"},
		{"long cursor", list("?cursor=" + strings.Repeat("A", 100_000)), 400, "the cursor is not valid"},
		{"cursor that is none", list("?cursor=%00%FF=="), 400, "the cursor is not valid"},
		{"cursor of zeros", list("?cursor=" + strings.Repeat("A", 40)), 400, "the cursor is not valid"},
		{"both wrong", list("?limit=x&limit=y&cursor=" + m + "&cursor=" + m + "&filter=" + m), 400, "given more than once"},

		{"many tags", get("h-1", "If-Match: "+strings.Repeat(`"`+marker+`",`, 10_000)), 400, "expected at most 100 entity tags"},
		{"many lines", get("h-1", strings.Repeat("If-None-Match: \""+marker+"\"\r\n", 1_000)+"X: y"), 400, "expected at most 100 entity tags"},
		{"many commas", get("h-1", "If-Match: "+strings.Repeat(",", 100_000)), 412, "precondition failed"},
		{"many commas, none", get("h-1", "If-None-Match: "+strings.Repeat(" ,", 50_000)), 200, "resource found"},
		{"one long tag", get("h-1", `If-Match: "`+strings.Repeat("x", 100_000)+`"`), 412, "precondition failed"},
		{"one long number", get("h-1", `If-Match: "`+strings.Repeat("z", 100_000)+`-0123456789abcdef"`), 412, "precondition failed"},
		{"a tag without an end", get("h-1", `If-Match: "`+marker), 400, "not valid"},
		{"weak without end", get("h-1", "If-Match: "+strings.Repeat("W/", 50_000)), 400, "not valid"},
		{"many weak tags", get("h-1", "If-Match: "+strings.Repeat(`W/"x",`, 100)), 412, "precondition failed"},
		{"patch, many tags", get("h-1", "If-Match: "+strings.Repeat(`"x",`, 10_000)).as("PATCH", `{"data":{"firstName":"x"}}`), 400, "expected at most"},
		{"delete, many tags", get("h-1", "If-Match: "+strings.Repeat(`"x",`, 10_000)).as("DELETE", ""), 400, "expected at most"},
		{"post, many tags", post("", customer("h-2", ""), "If-None-Match: "+strings.Repeat(`"x",`, 10_000)), 400, "expected at most"},
		{"delete, tag with the marker", get("h-1", `If-Match: "`+marker+`"`).as("DELETE", ""), 412, "precondition failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.direct(t, tc.request)
			assert.Equal(t, tc.status, a.status, "%.300s", a.body)
			assert.Contains(t, a.body, tc.message)
			if tc.status != 200 {
				assert.NotContains(t, strings.ToLower(strings.ReplaceAll(a.body, "/"+marker, "")), strings.ToLower(marker))
			}
			assert.Equal(t, before, s.records(t))
		})
	}
	for _, err := range s.errors() {
		assert.NotContains(t, strings.ReplaceAll(err.Error(), "/"+marker, ""), marker, "only a name that the client made up may be shown")
	}
}

// TestListOfManyForeigners: a list reads its own tenant's scope, whatever is
// around it.
func TestListOfManyForeigners(t *testing.T) {
	store := memory.New()
	for _, kind := range []*schema.Schema{schema.Customers(), schema.Locations()} {
		for _, tenant := range []storage.Tenant{acme, globex, stranger} {
			_, err := storage.Put(context.Background(), store, storage.Record{
				Key:  storage.Key{Tenant: tenant, Schema: kind.ID(), ExternalID: "same"},
				ID:   uuid.New(),
				Data: []byte(`{"customerId":"same","locationId":"same"}`),
			}, 0)
			require.NoError(t, err)
		}
	}
	customers, err := resource.NewCollection(schema.Customers(), store, nil)
	require.NoError(t, err)
	api, err := httpapi.NewAPI(hooks, nil, customers)
	require.NoError(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", route, nil)
	r.Header.Set("Authorization", "Bearer acme")
	api.ServeHTTP(w, r)
	var l listed
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l))
	assert.Len(t, l.Data.Results, 1)
	assert.Contains(t, w.Body.String(), acme.Business.String())
}
