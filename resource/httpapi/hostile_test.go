package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/resourcekit/resource/httpapi"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// marker stands for personal data in requests: no error may repeat it.
const marker = "Zq9-PersonalData-Zq9"

// A hostile request is refused, and nothing else happens.
type hostile struct {
	name    string
	request message
	status  int
	message string // a part of the answer
}

// hostileBodies are what should never be stored.
func hostileBodies() []hostile {
	body := func(name, body string, status int, message string) hostile {
		return hostile{name, post("", body), status, message}
	}
	// data is a request whose data has the marker in a valid place, and more.
	data := func(more string) string { return customer("h-1", `,"email":"`+marker+`"`+more) }
	filler := strings.Repeat("x", httpapi.DefaultMaxBody)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write([]byte(data("")))
	_ = zip.Close()
	return []hostile{
		body("1 MiB of opening brackets", strings.Repeat("[", httpapi.DefaultMaxBody), 400, "deep"),
		body("1 MiB of opening braces", strings.Repeat(`{"a":`, httpapi.DefaultMaxBody/5), 400, "deep"),
		body("1 MiB of brackets in data", `{"data":`+strings.Repeat("[", httpapi.DefaultMaxBody-8), 400, "deep"),
		body("1 MiB of quotes", strings.Repeat(`"`, httpapi.DefaultMaxBody), 400, "not strict JSON"),
		body("1 MiB of backslashes", `{"data":"`+strings.Repeat(`\`, httpapi.DefaultMaxBody-9), 400, "not strict JSON"),
		body("1 MiB of blanks", strings.Repeat(" ", httpapi.DefaultMaxBody), 400, "not strict JSON"),
		body("1 MiB of NUL", strings.Repeat("\x00", httpapi.DefaultMaxBody), 400, "not strict JSON"),
		body("1 MiB of one string", `"`+filler[:httpapi.DefaultMaxBody-2]+`"`, 400, "found string"),
		body("100,000 unknown members", data(members(100_000, func(i int) string { return strconv.FormatInt(int64(i), 36) })), 400, "and 99900 more"),
		body("unknown names with control characters", data(members(200, func(i int) string { return fmt.Sprintf(`\u00%02x\n\"\\%d`, i%32, i) })), 400, `\\u000a\\u0022`),
		body("unknown names with raw quotes for HTML", data(members(200, func(i int) string { return fmt.Sprintf("<script>'&%d", i) })), 400, `\\u003cscript\\u003e`),
		body("unknown names of 4 KiB", data(members(200, func(i int) string { return fmt.Sprint(i) + strings.Repeat("é", 2048) })), 400, "…: unknown field"),
		body("one unknown name of 1 MB", data(`,"`+filler[:1_000_000]+`":1`), 400, "…: unknown field"),
		body("escaped names beside data", `{"data":{"customerId":"h-1","email":7}`+members(60_000, func(i int) string { return `\u0061` + strconv.Itoa(i) })+"}", 400, "/email: expected string"),
		body("name with a raw control character", data(",\"a\nb\":1"), 400, "not strict JSON"),
		body("name that is not UTF-8", data(",\"a\xff\":1"), 400, "not strict JSON"),
		body("value that is not UTF-8", data(",\"phone\":\"\xc3\x28\""), 400, "not strict JSON"),
		body("overlong UTF-8", data(",\"phone\":\"\xc0\xaf\""), 400, "not strict JSON"),
		body("surrogate in UTF-8", data(",\"phone\":\"\xed\xa0\x80\""), 400, "not strict JSON"),
		body("lone high surrogate", data(`,"phone":"\ud83d"`), 400, "surrogate"),
		body("lone low surrogate", data(`,"phone":"\ude00x"`), 400, "surrogate"),
		body("surrogates the wrong way round", data(`,"phone":"\ude00\ud83d"`), 400, "surrogate"),
		body("lone surrogate in a name", data(`,"\ud83d":1`), 400, "surrogate"),
		body("duplicate field", data(`,"email":"x"`), 400, "duplicate"),
		body("duplicate field, escaped", data(`,"\u0065mail":"x"`), 400, "duplicate"),
		body("duplicate inside an unknown field", data(`,"x":{"a":1,"a":"`+marker+`"}`), 400, "duplicate"),
		body("duplicate data", `{"data":{"customerId":"`+marker+`"},"data":{}}`, 400, "duplicate"),
		body("duplicate beside data", `{"x":1,"x":"`+marker+`",`+data("")[1:], 400, "duplicate"),
		body("byte order mark", "\xef\xbb\xbf"+data(""), 400, "not strict JSON"),
		body("UTF-16", "\xff\xfe{\x00}\x00", 400, "not strict JSON"),
		body("trailing bytes", data("")+"x", 400, "not strict JSON"),
		body("trailing NUL", data("")+"\x00", 400, "not strict JSON"),
		body("two texts", data("")+data(""), 400, "not strict JSON"),
		body("number of a million digits", data(`,"phone":`+strings.Repeat("7", 1_000_000)), 400, "/phone: expected string, found number"),
		body("exponent of a million digits", data(`,"phone":1e`+strings.Repeat("9", 1_000_000)), 400, "/phone: expected string, found number"),
		body("number beside data of a million digits, cut", `{"x":1.`+strings.Repeat("0", 1_000_000), 400, "not strict JSON"),
		body("NaN", data(`,"phone":NaN`), 400, "not strict JSON"),
		body("leading zero", data(`,"phone":007`), 400, "not strict JSON"),
		body("array", `["`+marker+`"]`, 400, "found array"),
		body("string", `"`+marker+`"`, 400, "found string"),
		body("empty", "", 400, "not strict JSON"),
		body("data in an array", `{"data":["`+marker+`"]}`, 400, "data: expected object, found array"),
		body("data as a string of JSON", `{"data":"{\"customerId\":\"`+marker+`\"}"}`, 400, "data: expected object, found string"),
		body("external id of 513 bytes", customer(strings.Repeat("i", 513), ""), 400, "/customerId: expected at most 512 bytes"),
		body("external id of blanks", customer(` \u00a0\u200b`, ""), 400, "/customerId: expected at least one visible character"),
		body("external id with NUL", customer(marker+`\u0000`, ""), 400, "/customerId: expected a string without NUL"),
		body("external id is null", `{"data":{"customerId":null,"email":"`+marker+`"}}`, 400, "/customerId: required, cannot be null"),
		body("external id is the marker, and more is wrong", customer(marker, `,"phone":7`), 400, "/phone: expected string, found number"),
		body("date with the marker", `{"data":{"customerId":"h-1","createdAt":"`+marker+`"}}`, 400, "/createdAt: expected a date-time"),
		body("prototype names", data(`,"__proto__":{"x":1},"constructor":1`), 400, "/__proto__: unknown field"),
		body("form", "data=%7B%7D&customerId="+marker, 400, "not strict JSON"),
		body("multipart", "--x\r\nContent-Disposition: form-data; name=data\r\n\r\n"+marker, 400, "not strict JSON"),

		body("one byte over the limit", customer("h-1", `,"email":"`+marker+`","phone":"`+filler[:httpapi.DefaultMaxBody]+`"`)[:httpapi.DefaultMaxBody+1], 413, "larger than 1048576 bytes"),
		{"declared length over the limit", message{
			method: "POST", target: route, body: data(""), header: []string{"Authorization: Bearer acme", "Content-Length: 1048577"},
		}, 413, "larger than 1048576 bytes"},
		{"a compressed bomb", post("", "\x1f\x8b"+strings.Repeat("\x00", 1000), "Content-Type: application/json", "Content-Encoding: x-gzip"), 415, "without Content-Encoding"},
		{"declared length far over the limit", message{
			method: "POST", target: route, body: data(""), header: []string{"Authorization: Bearer acme", "Content-Length: 9223372036854775807"},
		}, 413, "larger than 1048576 bytes"},
		{"chunks over the limit", message{
			method: "POST", target: route, body: data(strings.Repeat(" ", httpapi.DefaultMaxBody)), chunked: true,
			header: []string{"Authorization: Bearer acme", "Content-Type: application/json"},
		}, 413, "larger than 1048576 bytes"},
		{"form content type", post("", data(""), "Content-Type: application/x-www-form-urlencoded"), 415, "Content-Type: application/json"},
		{"content type with the marker", post("", data(""), "Content-Type: text/"+marker), 415, "Content-Type: application/json"},
		{"content type that is none", post("", data(""), "Content-Type: ;;;="), 415, "Content-Type: application/json"},
		{"charset with the marker", post("", data(""), "Content-Type: application/json; charset="+marker), 415, "UTF-8"},
		{"compressed", post("", zipped.String(), "Content-Type: application/json", "Content-Encoding: gzip"), 415, "without Content-Encoding"},
		{"compressed in secret", post("", zipped.String()), 400, "not strict JSON"},
		{"compressed twice", post("", data(""), "Content-Encoding: gzip, br"), 415, "without Content-Encoding"},
		{"deflate", post("", data(""), "Content-Encoding: DEFLATE"), 415, "without Content-Encoding"},
		{"onconflict with the marker", post("?onconflict="+marker, data("")), 400, "onconflict: expected"},
		{"ignoreUnknownFields with the marker", post("?ignoreUnknownFields="+marker, data("")), 400, "ignoreUnknownFields: expected"},
		{"query that is none, with the marker", post("?"+marker+";%", data("")), 400, "the query is not valid"},
		{"query of 100,000 bytes", post("?onconflict="+strings.Repeat("u", 100_000), data("")), 400, "onconflict: expected"},
		{"tenant with the marker", post("", data(""), "reach-tenant-id: "+marker), 404, "tenant not found"},
		{"token with the marker", post("", data("")).by(marker), 401, "authentication failed"},
		{"method with the marker", message{method: strings.ToUpper(strings.ReplaceAll(marker, "-", "")), target: route}, 405, "method not allowed"},
	}
}

// members returns n more members with the names that name gives.
func members(n int, name func(i int) string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%s":1`, name(i))
	}
	return b.String()
}

func TestHostileBodies(t *testing.T) {
	s := newService(t, nil).serve(t)
	s.put(t, acme, `{"customerId":"h-1","firstName":"was","lastName":"here","createdAt":"2024-01-02T03:04:05Z"}`)
	before := s.records(t)
	for _, tc := range hostileBodies() {
		t.Run(tc.name, func(t *testing.T) {
			a := s.exchange(t, tc.request)
			assert.Equal(t, tc.status, a.status)
			assert.Contains(t, a.body, tc.message)
			assert.NotContains(t, strings.ToLower(a.body), strings.ToLower(marker))
			assert.NotContains(t, a.body, "h-1")
			assert.NotContains(t, a.body, "7777")
			assert.Equal(t, before, s.records(t), "stored")
		})
	}
}

// TestUnknownNamesAreCut: 4 KiB names are shown as 64 bytes, and a suggestion
// does not make the answer any longer than its bound.
func TestUnknownNamesAreCut(t *testing.T) {
	s := newService(t, nil)
	a := s.direct(t, post("", customer("h-1", members(200, func(i int) string { return fmt.Sprint(i) + strings.Repeat(`\u0001`, 4096/6) }))))
	require.Equal(t, 400, a.status)
	assert.Less(t, len(a.body), 32<<10)
	assert.NotContains(t, a.body, strings.Repeat(`\\u0001`, 11))
}

// TestCutBodies cuts a request at every byte: no part of it is accepted.
func TestCutBodies(t *testing.T) {
	s := newService(t, nil)
	body := customer("cut", `,"email":"`+marker+`\u00e9\ud83d\ude00","phone":null`)
	for cut := range len(body) {
		a := s.direct(t, post("", body[:cut]))
		require.Equal(t, 400, a.status, "cut at %d", cut)
		require.Contains(t, a.body, "the request is not strict JSON: ", "cut at %d", cut)
		require.NotContains(t, a.body, marker)
	}
	assert.Empty(t, s.records(t))
	assert.Equal(t, 200, s.direct(t, post("", body)).status)
}

// TestAbortedBodies: the client goes away, or says that it has sent everything
// when it has not, at many places of the body.
func TestAbortedBodies(t *testing.T) {
	service := newService(t, nil)
	handled := make(chan struct{}, 1)
	inner := service.handler
	service.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { handled <- struct{}{} }()
		inner.ServeHTTP(w, r)
	})
	s := service.serve(t)
	body := customer("aborted", `,"email":"`+marker+`"`)
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer acme\r\n", route)
	length := fmt.Sprintf("%sContent-Length: %d\r\n\r\n", head, len(body))
	chunk := fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n", head, len(body))

	for _, tc := range []struct{ name, head string }{{"length", length}, {"chunks", chunk}} {
		for cut := 0; cut <= len(body); cut += 13 {
			if cut == len(body) && tc.name == "length" {
				continue // nothing is missing
			}
			conn, err := net.Dial("tcp", s.addr)
			require.NoError(t, err)
			_, err = conn.Write([]byte(tc.head + body[:cut]))
			require.NoError(t, err)
			if cut%2 == 0 {
				require.NoError(t, conn.Close())
				<-handled
				continue
			}
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			a := readAnswer(t, conn, "POST")
			checkAnswer(t, a)
			assert.Equal(t, 400, a.status, "%s cut at %d", tc.name, cut)
			assert.Contains(t, a.body, "the request body did not arrive whole")
			assert.NotContains(t, a.body, marker)
			<-handled
			conn.Close()
		}
	}
	assert.Empty(t, s.records(t))
	for _, err := range s.errors() {
		assert.NotEqual(t, 500, httpapi.ProblemOf(err).Status, "%v", err)
	}
	conn, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte(length))
	require.NoError(t, err)
	for _, b := range []byte(body) { // slowly
		_, err = conn.Write([]byte{b})
		require.NoError(t, err)
	}
	a := readAnswer(t, conn, "POST")
	checkAnswer(t, a)
	assert.Equal(t, 200, a.status)
}

// TestBodyOfTheLimit: exactly 1 MiB is not too large, with and without a length
// that is known before.
func TestBodyOfTheLimit(t *testing.T) {
	s := newService(t, nil).serve(t)
	for _, tc := range []struct {
		name    string
		size    int
		chunked bool
		status  int
	}{
		{"length/limit", httpapi.DefaultMaxBody, false, 200},
		{"length/limit+1", httpapi.DefaultMaxBody + 1, false, 413},
		{"chunks/limit", httpapi.DefaultMaxBody, true, 200},
		{"chunks/limit+1", httpapi.DefaultMaxBody + 1, true, 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := post("", "")
			m.body, m.chunked = customer("limit", ""), tc.chunked
			m.body += strings.Repeat(" ", tc.size-len(m.body))
			a := s.exchange(t, m)
			assert.Equal(t, tc.status, a.status, a.body)
		})
	}
	assert.Len(t, s.records(t), 1)
}

// TestConnectionAfterErrors: an error leaves the connection in order. What comes
// next on it is answered, or it is closed; no byte of a body is taken for a
// request.
func TestConnectionAfterErrors(t *testing.T) {
	s := newService(t, nil).serve(t)
	smuggled := "GET " + route + "/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tc := range []struct{ name, head, body string }{
		{"unauthenticated", "POST " + route, smuggled},
		{"unknown tenant", "POST " + route + " HTTP/1.1\r\nAuthorization: Bearer acme\r\nreach-tenant-id: x", smuggled},
		{"method", "PUT " + route, smuggled},
		{"wrong type", "POST " + route + " HTTP/1.1\r\nAuthorization: Bearer acme\r\nContent-Type: text/plain", smuggled},
		{"body of a GET", "GET " + route + "/x HTTP/1.1\r\nAuthorization: Bearer acme", smuggled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			head := tc.head
			if !strings.Contains(head, "HTTP/1.1") {
				head += " HTTP/1.1"
			}
			conn, err := net.Dial("tcp", s.addr)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
			fmt.Fprintf(conn, "%s\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", head, len(tc.body), tc.body)
			method, _, _ := strings.Cut(head, " ")
			first := readAnswer(t, conn, method)
			checkAnswer(t, first)
			assert.GreaterOrEqual(t, first.status, 400)
			fmt.Fprintf(conn, "GET %s/none HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer acme\r\nConnection: close\r\n\r\n", route)
			second := readAnswer(t, conn, "GET")
			assert.Contains(t, second.body, "resource not found")
		})
	}
}

// TestIDs: every id that can be stored is found by its percent-encoded path and
// by the parameter, and no other is.
func TestIDs(t *testing.T) {
	s := newService(t, nil).serve(t)
	ids := []string{
		".", "..", "...", "-", "--", "..;", ";", "a/b", "/", "//", "a//b", "../..", "/etc/passwd", `\`, "%", "%2F", "%25", "+", "a b", " ",
		"a+b", "a&b=c", "?", "#", "é", "e\u0301", "日本", "😀", "\u202e", "\u0001", "\x7f", "\n", "\r\nX: y", "'", `"`, "<script>", "{externalId}",
		"batch", "null", "~", "*", ":", "@", "a.b", ".a", "a.", strings.Repeat("i", 512), strings.Repeat("é", 256),
	}
	named := len(ids)
	for b := byte(1); b < 0x80; b++ {
		ids = append(ids, "b"+string(rune(b)))
	}
	for _, id := range ids {
		s.keep(t, acme, id, string(mustJSON(t, map[string]string{
			"customerId": id, "firstName": "", "lastName": "", "createdAt": "2024-01-02T03:04:05Z",
		})))
	}
	for i, id := range ids {
		ways := []message{get(everyByte(id)), get("-?externalId=" + url.QueryEscape(id)), get("%2D?externalId=" + everyByte(id))}
		if id == "batch" {
			ways = ways[1:] // its segment is kept free
		}
		if id != "." && id != ".." && id != "batch" {
			ways = append(ways, get(url.PathEscape(id)))
		}
		for _, m := range ways {
			send := s.exchange
			if i >= named {
				send = s.direct // as http.ReadRequest takes it, without 500 connections
			}
			a := send(t, m)
			if assert.Equal(t, 200, a.status, "%q by %s", id, m.target) {
				var found struct {
					Data struct {
						Result struct{ ResourceExternalID string }
					}
				}
				require.NoError(t, json.Unmarshal([]byte(a.body), &found))
				assert.Equal(t, id, found.Data.Result.ResourceExternalID, "by %s", m.target)
			}
		}
	}
}

// everyByte returns s with every byte percent-encoded.
func everyByte(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// TestHostilePaths: paths that name no resource are a 404 in the shape of the
// contract, whoever takes them apart, and do not repeat what was asked.
func TestHostilePaths(t *testing.T) {
	s := newService(t, nil).serve(t)
	for _, id := range []string{"c-1", "customers", "-"} {
		s.put(t, acme, `{"customerId":"`+id+`","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	}
	before := s.records(t)
	for _, tc := range []struct{ name, rest string }{
		{"600 bytes", strings.Repeat("i", 600)},
		{"60,000 bytes", strings.Repeat("i", 60_000)},
		{"600 bytes, encoded", strings.Repeat("%69", 600)},
		{"NUL", "%00"},
		{"NUL inside", "c-1%00"},
		{"NUL in front", "%00c-1"},
		{"not UTF-8", "%FF"},
		{"cut UTF-8", "%E6%97"},
		{"overlong slash", "%C0%AF"},
		{"surrogate", "%ED%A0%80"},
		{"raw bytes", "\xff\xfe"},
		{"encoded slash", "%2F"},
		{"encoded slashes", "%2F%2F..%2Fc-1"},
		{"encoded dots", "%2E%2E"},
		{"encoded dot", "%2e"},
		{"dots and a parameter", "..;"},
		{"dots and a parameter, deeper", "..;/c-1"},
		{"encoded dots with steps", "%2E%2E%2Fcustomers%2Fc-1"},
		{"encoded dots as a step", "%2E%2E/customers/c-1"},
		{"backslashes", `..\c-1`},
		{"double encoding", "%2563-1"},
		{"percent", "%25"},
		{"plus for a blank", "c+1"},
		{"blank behind", "c-1%20"},
		{"semicolon", "c-1;v=1"},
		{"other case", "C-1"},
		{"full width", "%EF%BD%83-1"},
		{"slash behind", "c-1/"},
		{"deeper", "c-1/c-1"},
		{"with the marker", marker},
		{"parameter with the marker", "-?externalId=" + marker},
		{"parameter that is not UTF-8", "-?externalId=%FF"},
		{"parameter with NUL", "-?externalId=c-1%00"},
		{"parameter of 600 bytes", "-?externalId=" + strings.Repeat("i", 600)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.exchange(t, get(tc.rest))
			assert.Equal(t, 404, a.status)
			assert.Contains(t, []string{
				`{"success":false,"message":"resource not found","data":{"error":"resource not found"}}`,
				`{"success":false,"message":"no such route","data":{"error":"no such route"}}`,
			}, a.body)
		})
	}
	assert.Equal(t, before, s.records(t))
}

// TestUncleanPaths: a path with empty segments or with steps is a 404 in the
// shape of the contract as every path that is no route, and not a redirect. To
// follow one would ask for another id than was meant: net/http's ServeMux
// escapes the path twice, and //a%2Fb would become a%252Fb.
func TestUncleanPaths(t *testing.T) {
	s := newService(t, nil).serve(t)
	s.put(t, acme, `{"customerId":"a/b","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}`)
	before := s.records(t)
	for _, tc := range []struct{ name, method, target string }{
		{"empty segment", "GET", route + "//a%2Fb"},
		{"empty segment in front", "GET", "//api/resources/customers/a%2Fb"},
		{"empty segment, POST", "POST", "//api/resources/customers"},
		{"step", "GET", route + "/."},
		{"step back", "GET", route + "/.."},
		{"step back and on", "GET", route + "/../customers/a%2Fb"},
		{"step inside", "POST", "/api/./resources/customers"},
		{"elsewhere", "GET", "/x/../" + marker},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := message{method: tc.method, target: tc.target, header: []string{"Authorization: Bearer acme"}}
			if tc.method == "POST" {
				m.body = customer("c-2", "")
			}
			a := s.exchange(t, m)
			assert.Equal(t, 404, a.status)
			assert.Empty(t, a.header.Get("Location"))
			assert.NotContains(t, a.body, marker)
		})
	}
	assert.Equal(t, before, s.records(t))
}

// TestAsterisk: * is a target that HTTP has for OPTIONS alone.
func TestAsterisk(t *testing.T) {
	s := newService(t, nil).serve(t)
	a := s.exchange(t, message{method: "GET", target: "*"})
	assert.Contains(t, []int{400, 404}, a.status)
}

// TestHostileMemory: the bytes that a refused request of 1 MiB costs are bounded
// by a small multiple of it.
func TestHostileMemory(t *testing.T) {
	for _, tc := range hostileBodies() {
		if len(tc.request.body) < 500_000 {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			s := newService(t, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a := s.direct(t, tc.request)
			runtime.ReadMemStats(&after)
			assert.Equal(t, tc.status, a.status)
			t.Logf("%d KiB, %d allocations", (after.TotalAlloc-before.TotalAlloc)>>10, after.Mallocs-before.Mallocs)
			// The race detector empties pools, so this bounds the first request
			// of its kind as well.
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(96<<20), "bytes")
			assert.Less(t, after.Mallocs-before.Mallocs, uint64(5_000), "allocations: not one for each member")
		})
	}
}
