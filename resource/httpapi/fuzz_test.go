package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// FuzzHandler sends anything as a body, a query, an external id and headers.
// Whatever it is:
//
//   - the answer is one that the contract has, and no 5xx;
//   - an error changes nothing in the store;
//   - a success is read back by GET as it was answered, and the same request
//     again changes nothing, or is the conflict that it asked for.
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
			if method == http.MethodPost {
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
		if answered.Data.ResourceExternalID == "-" {
			query = "externalId=-"
		}
		stored := send(http.MethodGet, route+"/"+answered.Data.ResourceExternalID)
		if answered.Data.ResourceExternalID == "/" {
			query = "externalId=%2F" // ServeMux takes an encoded slash alone for the end of the path
			stored = send(http.MethodGet, route+"/-")
		}
		require.Equal(t, 200, stored.status)
		_, want, _ := strings.Cut(posted.body, `"data":`)
		require.Contains(t, stored.body, `"result":`+strings.TrimSuffix(want, "}")+`,"included":[]`)
	})
}

func readCloser(body []byte) *closer { return &closer{Reader: strings.NewReader(string(body))} }

type closer struct{ *strings.Reader }

func (*closer) Close() error { return nil }
