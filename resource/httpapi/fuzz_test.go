package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzHandler sends anything as a body, a query, an external id and headers.
// Whatever it is:
//
//   - the answer is one that the contract has, and no 5xx;
//   - an error changes nothing in the store;
//   - a success is read back by GET as it was answered, and the same request
//     again changes nothing, or is the conflict that it asked for;
//   - the same data as a PATCH changes nothing, or is refused like a GET, and a
//     DELETE takes away this one resource.
func FuzzHandler(f *testing.F) {
	f.Add([]byte(customer("c-1", "")), "", "c-1", "application/json", "", "Bearer acme")
	f.Add([]byte(customer("c-2", `,"emial":1`)), "ignoreUnknownFields=true", "c-2", "", "acme", "Bearer platform")
	f.Add([]byte(customer("was-here", `,"phone":null,"smsOptOut":null`)), "onconflict=upsert", "was-here", "application/json; charset=utf-8", "", "Bearer acme")
	f.Add([]byte(customer("was-here", "")), "onconflict=reject", "..", "application/json", "globex", "Bearer operator")
	f.Add([]byte(`{"data":{"customerId":"was-here","email":null}}`), "externalId=was-here", "-", "text/plain", "", "Bearer acme")
	f.Add([]byte("\xef\xbb\xbf{}"), "onconflict=%zz;", "\x00\xff/", "application/json", "stranger", "Bearer acme")
	for _, tc := range hostileBodies() {
		if len(tc.request.body) < 4096 {
			_, query, _ := strings.Cut(tc.request.target, "?")
			f.Add([]byte(tc.request.body), query, "c-1", "application/json", "", "Bearer acme")
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, query, id, contentType, tenant, authorization string) {
		s := newService(t, nil)
		s.put(t, acme, `{"customerId":"was-here","firstName":"a","lastName":"b","email":"c","phone":"d","createdAt":"2024-01-02T03:04:05Z"}`)
		send := func(method, path string) answer {
			u := &url.URL{Path: path, RawPath: "", RawQuery: query}
			if strings.HasPrefix(path, route+"/") {
				u.RawPath = route + "/" + everyByte(path[len(route)+1:])
			}
			r := &http.Request{
				Method: method, URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "example.com", RequestURI: u.RequestURI(),
				Header: http.Header{"Authorization": {authorization}}, ContentLength: int64(len(body)),
				Body: http.NoBody,
			}
			if method == http.MethodPost || method == http.MethodPatch {
				r.Body = readCloser(body)
			}
			if contentType != "" {
				r.Header.Set("Content-Type", contentType)
			}
			if tenant != "" {
				r.Header.Set("reach-tenant-id", tenant)
			}
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			a := answer{method: method, status: w.Code, header: w.Header(), body: w.Body.String()}
			checkAnswer(t, a)
			assert.Less(t, a.status, 500, a.body)
			return a
		}
		before := s.records(t)
		found := send(http.MethodGet, route+"/"+id)
		require.Contains(t, []int{200, 400, 401, 404}, found.status)
		require.Equal(t, before, s.records(t), "a GET changes nothing")

		posted := send(http.MethodPost, route)
		require.Contains(t, []int{200, 400, 401, 404, 413, 415}, posted.status)
		after := s.records(t)
		if posted.status != 200 {
			require.Equal(t, before, after, "an error changes nothing")
			return
		}
		again := send(http.MethodPost, route)
		require.Equal(t, after, s.records(t), "twice is once")
		if again.status != 200 {
			require.Equal(t, 400, again.status)
			require.Contains(t, again.body, "a resource with this customerId exists already")
		} else {
			require.Contains(t, again.body, `"resource unchanged"`)
		}
		var answered struct {
			Data struct {
				ResourceExternalID string `json:"resourceExternalId"`
			} `json:"data"`
		}
		require.NoError(t, json.Unmarshal([]byte(posted.body), &answered))
		query = ""
		path := route + "/" + answered.Data.ResourceExternalID
		if answered.Data.ResourceExternalID == "-" || answered.Data.ResourceExternalID == "batch" {
			query, path = "externalId="+answered.Data.ResourceExternalID, route+"/-"
		}
		stored := send(http.MethodGet, path)
		require.Equal(t, 200, stored.status)
		_, want, _ := strings.Cut(posted.body, `"data":`)
		require.Contains(t, stored.body, `"result":`+strings.TrimSuffix(want, "}")+`,"included":[]`)
		require.Equal(t, posted.header.Get("ETag"), stored.header.Get("ETag"))

		patched := send(http.MethodPatch, path)
		require.Contains(t, []int{200, 400}, patched.status) // 400: unknown fields are not ignored here
		if patched.status == 200 {
			require.Contains(t, patched.body, `"resource unchanged"`)
		}
		require.Equal(t, after, s.records(t))
		require.Equal(t, 200, send(http.MethodDelete, path).status)
		require.Equal(t, 404, send(http.MethodGet, path).status)
		require.Len(t, s.records(t), len(after)-1)
	})
}

// FuzzPreconditions gives anything to the parser of entity tags and holds what it
// understands against a transcription of the grammar.
func FuzzPreconditions(f *testing.F) {
	const before = 36*36*36 - 2
	one, largest := tagFor(before+1), tagFor(math.MaxUint64)
	for _, seed := range [][2]string{
		{"*", ""}, {one, ""}, {"W/" + one, ""}, {`"a", ` + one, `W/"b"`}, {"", ""}, {",,", "*"}, {`"a`, `b"`}, {one + one, ""}, {"*", "*"},
		{"\"\\\",\t" + one, ""}, {"\"\x80\"", "w/"}, {strings.Repeat(`"",`, 101), ""},
	} {
		f.Add(seed[0], seed[1], true)
		f.Add(seed[0], seed[1], false)
	}
	tag, ours := regexp.MustCompile(`^(W/)?"[!#-~\x80-\xff]*"$`), regexp.MustCompile(`^"[1-9a-z][0-9a-z]{0,12}"$`)
	c := customerAt(f, before+1)
	f.Fuzz(func(t *testing.T, line1, line2 string, match bool) {
		// The elements of the list: a comma inside a tag is a part of it.
		latin := func(s string) string { // a byte each, for the regular expression
			var b strings.Builder
			for i := range len(s) {
				b.WriteRune(rune(s[i]))
			}
			return b.String()
		}
		valid, strong, weak, possible, n := true, false, false, false, 0
		var elements []string
		for _, line := range []string{line1, line2} {
			inside, element := false, ""
			for i := range len(line) {
				if line[i] == '"' {
					inside = !inside
				}
				if line[i] == ',' && !inside {
					elements, element = append(elements, element), ""
				} else {
					element += line[i : i+1]
				}
			}
			elements = append(elements, element)
		}
		for _, e := range elements {
			if e = strings.Trim(e, " \t"); e == "" {
				continue
			}
			n++
			valid = valid && tag.MatchString(latin(e))
			strong = strong || e == one
			weak = weak || strings.TrimPrefix(e, "W/") == one
			possible = possible || ours.MatchString(e) && (len(e) < len(largest) || e <= largest)
		}
		valid = valid && n <= 100

		name := "If-None-Match"
		if match {
			name = "If-Match"
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header[name] = []string{line1, line2}
		condition, err := httpapi.ParsePreconditions(r)
		if valid && match && !possible {
			require.Error(t, err)
			require.Equal(t, 412, httpapi.ProblemOf(err).Status)
			return
		}
		require.Equal(t, valid, err == nil, "%q %q: %v", line1, line2, err)
		if err != nil {
			require.Equal(t, 400, httpapi.ProblemOf(err).Status)
			return
		}
		res, err := c.Get(context.Background(), acme, "c-1")
		require.NoError(t, err)
		modified, err := httpapi.Modified(r, res)
		_, patchErr := c.Patch(context.Background(), acme, "c-1", []byte("{}"), &resource.WriteOptions{If: condition})
		if match {
			require.Equal(t, strong, err == nil)
			require.Equal(t, strong, patchErr == nil)
			require.Equal(t, strong, modified)
		} else {
			require.NoError(t, err)
			require.Equal(t, !weak, modified)
			require.Equal(t, !weak, patchErr == nil)
		}
	})
}

// FuzzList sends anything as the query of a list: the answer is a page or a 400,
// and what is on a page is the tenant's own, once, has what each filter demands, and is in
// order.
func FuzzList(f *testing.F) {
	s := newService(f, &httpapi.Options{AllowScans: true})
	for i, more := range []string{"", `,"email":"a b"`, `,"email":"1","emailOptOut":true`, `,"phone":"true"`, `,"email":"A B c"`} {
		at := fmt.Sprintf("2024-01-02T03:04:0%dZ", 9-i)
		s.put(f, acme, fmt.Sprintf(`{"customerId":"c-%d","firstName":"","lastName":"x","createdAt":"%s"%s}`, i, at, more))
		s.put(f, globex, fmt.Sprintf(`{"customerId":"c-%d","firstName":"theirs","lastName":"x","createdAt":"%s"%s}`, i, at, more))
	}
	sorted := parseList(f, s.direct(f, list("?sort=email&limit=2")))
	for _, seed := range []string{
		"", "limit=1", "limit=2&cursor=" + cursorOf(f, acme), "cursor=" + cursorOf(f, globex), "filter[email]=a+b", "filter%5BemailOptOut%5D=true",
		"filter[/email]=1&filter[lastName]=x", "filter[emailOptOut]=1", "filter[]=", "filter", "limit=0", "a;b", "%", "filter[lastName]=x&limit=1&cursor=%00",
		"filter[firstName]=theirs", "filter[email]=&filter[email]=1", "filter[email][prefix]=A&sort=-email", "sort=email&limit=2&cursor=" + *sorted.Data.Pagination.Cursor,
		"filter[createdAt][from]=2024-01-02T03:04:06Z&filter[createdAt][to]=2024-01-02T04:04:08%2B01:00", "sort=-createdAt", "sort=resource.createdAt&limit=3",
		"filter[resource.createdAt][from]=2024-01-01T00:00:00Z", "filter[email][form]=a", "sort=email&sort=-email", "filter[phone][from]=a&filter[customerId][prefix]=c",
	} {
		f.Add(seed)
	}
	before := s.records(f)
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", route, nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", "Bearer acme")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		a := answer{method: "GET", status: w.Code, header: w.Header(), body: w.Body.String()}
		checkAnswer(t, a)
		require.Contains(t, []int{200, 400}, a.status)
		require.Equal(t, before, s.records(t))
		if a.status == 400 {
			return
		}
		require.NotContains(t, a.body, "theirs")
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		order, descending := strings.CutPrefix(values.Get("sort"), "-")
		filtered := false
		var last []string // the value and the id before
		for _, res := range parseList(t, a).Data.Results {
			doc := map[string]any{"resource.createdAt": res.CreatedAt, "resource.updatedAt": res.CreatedAt}
			require.NoError(t, json.Unmarshal(res.Data, &doc))
			for name, wants := range values {
				name, ok := strings.CutPrefix(name, "filter[")
				if !ok {
					continue
				}
				filtered = true
				name, op, _ := strings.Cut(strings.TrimSuffix(name, "]"), "][")
				got, ok := valueOf(doc, name, nil)
				require.True(t, ok, name)
				for _, want := range wants {
					want, _ := valueOf(doc, name, want)
					switch op {
					case "prefix":
						require.True(t, strings.HasPrefix(got, want))
					case "from":
						require.GreaterOrEqual(t, got, want)
					case "to":
						require.Less(t, got, want)
					default:
						require.Equal(t, want, got)
					}
				}
			}
			if order == "" && filtered {
				continue // in the order of the index that served the filter
			}
			value, _ := valueOf(doc, order, nil)
			place := []string{value, res.ResourceExternalID}
			if last != nil {
				require.Equal(t, map[bool]int{false: 1, true: -1}[descending], slices.Compare(place, last))
			}
			last = place
		}
	})
}

// valueOf returns a value of a field as a text that can be compared: that of the
// document, which may be absent, or the given one.
func valueOf(doc map[string]any, name string, value any) (text string, ok bool) {
	name = strings.TrimPrefix(name, "/")
	if ok = value != nil; !ok {
		if value, ok = doc[name]; !ok {
			return "", false
		}
	}
	text = fmt.Sprint(value)
	switch name {
	case "email":
		text = strings.ToLower(text)
	case "createdAt", "resource.createdAt", "resource.updatedAt":
		if at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text)); err == nil {
			text = at.UTC().Format("2006-01-02T15:04:05.000000000")
		}
	}
	return text, ok
}

func readCloser(body []byte) *closer { return &closer{Reader: strings.NewReader(string(body))} }

type closer struct{ *strings.Reader }

func (*closer) Close() error { return nil }
