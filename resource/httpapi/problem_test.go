package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	outcomeUnknown = "the outcome of the write is unknown: it may have been stored; read the resource before trying again"
	tooMany        = "too many concurrent changes to this resource"
	demanded       = "precondition failed: the resource is not in the state that the request demands"
)

// existing returns the error of a create that is to reject what exists.
func existing() error {
	data := []byte(`{"customerId":"` + marker + `","firstName":"A","lastName":"B","createdAt":"2024-05-01T10:00:00Z"}`)
	c, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
	for err == nil {
		_, err = c.Create(context.Background(), storage.TenantOf("a", "b"), data, &resource.WriteOptions{RejectExisting: true})
	}
	return err
}

func TestProblemOf(t *testing.T) {
	violation := func(pointer string) schema.Violation {
		return schema.Violation{Pointer: schema.Pointer(pointer), Code: "type", Message: "expected string, found number"}
	}
	for _, tc := range []struct {
		name string
		err  error
		want httpapi.Problem
	}{
		{"problem", &httpapi.Problem{Status: 418, Message: "m", Errors: []string{"e"}, RetryAfter: 7, Header: http.Header{"Allow": {"GET"}}}, httpapi.Problem{Status: 418, Message: "m", Errors: []string{"e"}, RetryAfter: 7, Header: http.Header{"Allow": {"GET"}}}},
		{
			"violations", &schema.ValidationError{Violations: []schema.Violation{violation("/a"), violation("")}},
			httpapi.Problem{Status: 400, Message: "the data is not valid", Errors: []string{"/a: expected string, found number", "data: expected string, found number"}},
		},
		{
			"more violations", &schema.ValidationError{Violations: []schema.Violation{violation("/a")}, More: 12},
			httpapi.Problem{Status: 400, Message: "the data is not valid", Errors: []string{"/a: expected string, found number", "and 12 more"}},
		},
		{
			"filter", &schema.ValidationError{Of: "filter", Violations: []schema.Violation{violation("/a"), violation("")}},
			httpapi.Problem{Status: 400, Message: "the filter is not valid", Errors: []string{"/a: expected string, found number", "filter: expected string, found number"}},
		},
		{"precondition", &resource.OpError{Key: storage.Key{ExternalID: marker}, Current: 7, Err: resource.ErrPrecondition}, httpapi.Problem{Status: 412, Message: demanded}},
		{"precondition, absent", &resource.OpError{Key: storage.Key{ExternalID: marker}, Err: resource.ErrPrecondition}, httpapi.Problem{Status: 412, Message: demanded}},
		{"cursor", resource.ErrCursor, httpapi.Problem{Status: 400, Message: "the cursor is not valid: begin the list again"}},
		{"batch size", fmt.Errorf("%w: found 1001", resource.ErrBatchSize), httpapi.Problem{Status: 413, Message: "the batch has too many items"}},
		{"syntax", &schema.SyntaxError{Offset: 7, Reason: "duplicate member name"}, httpapi.Problem{Status: 400, Message: "the request is not strict JSON: duplicate member name at byte 7"}},
		{"exists", resource.ErrExists, httpapi.Problem{Status: 400, Message: "the resource exists already"}},
		{"exists, with the field", existing(), httpapi.Problem{Status: 400, Message: "a resource with this customerId exists already"}},
		{"body too large", &http.MaxBytesError{Limit: 7}, httpapi.Problem{Status: 413, Message: "the request body is larger than 7 bytes"}},
		{"unauthenticated", httpapi.ErrUnauthenticated, httpapi.Problem{Status: 401, Message: "authentication failed"}},
		{"unknown tenant", httpapi.ErrUnknownTenant, httpapi.Problem{Status: 404, Message: "tenant not found"}},
		{"not found", resource.ErrNotFound, httpapi.Problem{Status: 404, Message: "resource not found"}},
		{"too large", storage.ErrTooLarge, httpapi.Problem{Status: 413, Message: "the resource would be too large to store"}},
		{"unknown outcome", storage.ErrUnknownOutcome, httpapi.Problem{Status: 500, Message: outcomeUnknown}},
		{"order without its index", &resource.OpError{Op: "list", Err: resource.ErrNotIndexed}, httpapi.Problem{Status: 503, Message: "the index of this order is being built; try again later, or list without an order", RetryAfter: 1}},
		{"unavailable", storage.ErrUnavailable, httpapi.Problem{Status: 503, Message: "temporarily unavailable", RetryAfter: 1}},
		{"closed", storage.ErrClosed, httpapi.Problem{Status: 503, Message: "temporarily unavailable", RetryAfter: 1}},
		{"conflict", storage.ErrConflict, httpapi.Problem{Status: 503, Message: tooMany, RetryAfter: 1}},
		{"conflict with a record", &storage.ConflictError{Current: &storage.Record{Data: []byte(marker)}}, httpapi.Problem{Status: 503, Message: tooMany, RetryAfter: 1}},
		{"deadline", context.DeadlineExceeded, httpapi.Problem{Status: 503, Message: "not finished in time; nothing was changed", RetryAfter: 1}},
		{"cancelled", context.Canceled, httpapi.Problem{Status: 503, Message: "cancelled; nothing was changed", RetryAfter: 1}},

		{"attempts and conflict", fmt.Errorf("%w: %w", storage.ErrAttempts, storage.ErrConflict), httpapi.Problem{Status: 503, Message: tooMany, RetryAfter: 1}},
		{"unknown outcome and deadline", errors.Join(context.DeadlineExceeded, storage.ErrUnknownOutcome), httpapi.Problem{Status: 500, Message: outcomeUnknown}},
		{"unknown outcome and cancelled", fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, context.Canceled), httpapi.Problem{Status: 500, Message: outcomeUnknown}},
		{"unknown outcome and unavailable", errors.Join(storage.ErrUnavailable, storage.ErrUnknownOutcome), httpapi.Problem{Status: 500, Message: outcomeUnknown}},
		{"unknown outcome and conflict", errors.Join(storage.ErrConflict, storage.ErrUnknownOutcome), httpapi.Problem{Status: 500, Message: outcomeUnknown}},
		{"unauthenticated and not found", errors.Join(resource.ErrNotFound, httpapi.ErrUnauthenticated), httpapi.Problem{Status: 401, Message: "authentication failed"}},

		{"corrupt", &schema.CorruptError{Err: errors.New(marker)}, httpapi.Problem{Status: 500, Message: "internal error"}},
		{"invalid argument", storage.ErrInvalid, httpapi.Problem{Status: 500, Message: "internal error"}},
		{"end of file", io.ErrUnexpectedEOF, httpapi.Problem{Status: 500, Message: "internal error"}},
		{"unheard of", errors.New(marker), httpapi.Problem{Status: 500, Message: "internal error"}},
		{"none", nil, httpapi.Problem{Status: 500, Message: "internal error"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			assert.Equal(t, &tc.want, httpapi.ProblemOf(tc.err))
			if tc.err == nil {
				return
			}
			for name, wrapped := range map[string]error{
				"fmt":     fmt.Errorf("%s: %w", marker, tc.err),
				"joined":  errors.Join(errors.New(marker), tc.err),
				"OpError": &storage.OpError{Op: "put", Key: storage.Key{ExternalID: marker}, Err: tc.err},
			} {
				assert.Equal(t, &tc.want, httpapi.ProblemOf(wrapped), name)
			}
			if tc.want.Status == 418 {
				return
			}
			w := httptest.NewRecorder()
			httpapi.WriteError(w, fmt.Errorf("%s: %w", marker, tc.err))
			a := answer{method: "GET", status: w.Code, header: w.Header(), body: w.Body.String()}
			checkAnswer(t, a)
			assert.Equal(t, tc.want.Status, a.status)
			assert.NotContains(t, a.body, marker)
		})
	}
}

// TestProblemOfIsACopy: "The result is the caller's to change."
func TestProblemOfIsACopy(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
	}{
		{"table", storage.ErrUnavailable},
		{"unheard of", errors.New("x")},
		{"problem", &httpapi.Problem{Status: 400, Message: "m"}},
		{"problem with errors", &httpapi.Problem{Status: 400, Message: "m", Errors: []string{"a", "b"}, Header: http.Header{"Allow": {"GET"}}}},
		{"violations", &schema.ValidationError{Violations: []schema.Violation{{Pointer: "/a", Message: "m"}}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := fmt.Sprintf("%+v", *httpapi.ProblemOf(tc.err))
			p := httpapi.ProblemOf(tc.err)
			for i := range p.Errors {
				p.Errors[i] = "changed"
			}
			_ = append(p.Errors[:0], "appended")
			delete(p.Header, "Allow")
			p.Status, p.Message, p.RetryAfter = 1, "changed", 2
			assert.Equal(t, want, fmt.Sprintf("%+v", *httpapi.ProblemOf(tc.err)))
		})
	}
}

// TestProblemIsAnError: its text is for logs.
func TestProblemIsAnError(t *testing.T) {
	var err error = &httpapi.Problem{Status: 400, Message: "the query is not valid"}
	assert.EqualError(t, err, "httpapi: the query is not valid")
}

// TestWriteErrorEscapes: whatever a service puts into a problem of its own, the
// answer is JSON.
func TestWriteErrorEscapes(t *testing.T) {
	hostile := "\"\\\x00\n\xff</script>\u2028é"
	for _, p := range []*httpapi.Problem{
		{Status: 400, Message: hostile, Errors: []string{hostile, "", hostile}},
		{Status: 404, Message: hostile},
		{Status: 503, Message: hostile, RetryAfter: 120},
		{Status: 405, Message: hostile, Header: http.Header{"Allow": {"GET"}}},
		{Status: 401, Message: hostile},
	} {
		w := httptest.NewRecorder()
		httpapi.WriteError(w, p)
		checkAnswer(t, answer{method: "POST", status: w.Code, header: w.Header(), body: w.Body.String()})
		assert.Equal(t, p.Status, w.Code)
		if p.RetryAfter > 0 {
			assert.Equal(t, "120", w.Header().Get("Retry-After"))
		}
	}
}

// TestWriteErrorOfAProblemOfTheServicesOwn: any status, in the shape of the 400.
func TestWriteErrorOfAProblemOfTheServicesOwn(t *testing.T) {
	w := httptest.NewRecorder()
	httpapi.WriteError(w, &httpapi.Problem{Status: 429, Message: "slow down", RetryAfter: 30, Errors: []string{"100 a minute"}})
	assert.Equal(t, 429, w.Code)
	assert.Equal(t, "30", w.Header().Get("Retry-After"))
	assert.JSONEq(t, `{"success":false,"message":"slow down","errors":["100 a minute"]}`, w.Body.String())
}

// The kit on its own, in handlers that are not the ready one.

func TestReadCreateQuery(t *testing.T) {
	reject := resource.WriteOptions{RejectExisting: true}
	ignore := resource.WriteOptions{UnknownFields: schema.IgnoreUnknown}
	both := resource.WriteOptions{RejectExisting: true, UnknownFields: schema.IgnoreUnknown}
	bad := func(errs ...string) []string { return errs }
	const (
		conflict = `onconflict: expected "upsert" or "reject", in lower case`
		unknown  = `ignoreUnknownFields: expected "true" or "false", in lower case`
		noQuery  = "no query"
	)
	for _, tc := range []struct {
		query string
		want  resource.WriteOptions
		errs  []string
	}{
		{"", resource.WriteOptions{}, nil},
		{"onconflict=upsert", resource.WriteOptions{}, nil},
		{"onconflict=reject", reject, nil},
		{"onconflict=%72eject", reject, nil},
		{"ignoreUnknownFields=true", ignore, nil},
		{"ignoreUnknownFields=true&onconflict=reject", both, nil},
		{"ignoreUnknownFields=false", resource.WriteOptions{}, nil},
		{"ignoreUnknownFields=", resource.WriteOptions{}, nil},
		{"ignoreUnknownFields", resource.WriteOptions{}, nil},
		{"ignoreUnknownFields=null", resource.WriteOptions{}, nil},
		{"x=y&x=z", resource.WriteOptions{}, nil},
		{"OnConflict=reject&ignoreunknownfields=true&x=y&x=z", resource.WriteOptions{}, bad("OnConflict: unknown parameter, did you mean onconflict?", "ignoreunknownfields: unknown parameter, did you mean ignoreUnknownFields?")},
		{"onconflict", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=null", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=REJECT", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=Reject", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=reject+", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=reject,upsert", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=merge&ignoreUnknownFields=true", resource.WriteOptions{}, bad(conflict)},
		{"onconflict=upsert&onconflict=upsert", resource.WriteOptions{}, bad("onconflict: given more than once")},
		{"onconflict=reject&onconflict=upsert", resource.WriteOptions{}, bad("onconflict: given more than once")},
		{"ignoreUnknownFields=True", resource.WriteOptions{}, bad(unknown)},
		{"ignoreUnknownFields=0", resource.WriteOptions{}, bad(unknown)},
		{"ignoreUnknownFields=yes&onconflict=reject", resource.WriteOptions{}, bad(unknown)},
		{"ignoreUnknownFields=&ignoreUnknownFields=", resource.WriteOptions{}, bad("ignoreUnknownFields: given more than once")},
		{"ignoreUnknownFields=x&onconflict=y", resource.WriteOptions{}, bad(conflict, unknown)},
		{"onconflict=reject;ignoreUnknownFields=true", resource.WriteOptions{}, bad(noQuery)},
		{"onconflict=%", resource.WriteOptions{}, bad(noQuery)},
	} {
		t.Run(tc.query, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/anything", strings.NewReader(`{"data":{}}`))
			r.URL.RawQuery = tc.query
			_, got, err := httpapi.ReadCreate(nil, r, 0)
			assert.Equal(t, tc.want, got)
			if tc.errs == nil {
				require.NoError(t, err)
				return
			}
			var p *httpapi.Problem
			require.ErrorAs(t, err, &p)
			assert.Equal(t, 400, p.Status)
			if tc.errs[0] == noQuery {
				assert.Contains(t, p.Message, "name=value")
			} else {
				assert.Equal(t, tc.errs, p.Errors)
			}
		})
	}
}

func TestReadCreateBody(t *testing.T) {
	deep := func(n int) string { return `{"data":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	for _, tc := range []struct {
		name, body string
		limit      int64
		want       string // data, or
		status     int    // of the error
	}{
		{"data", `{"data":{"a":1}}`, 0, `{"a":1}`, 0},
		{"blanks stay inside", ` { "data" : { "a" : 1 } } `, 0, `{ "a" : 1 }`, 0},
		{"escaped name", `{"\u0064\u0061ta":{"a":1}}`, 0, `{"a":1}`, 0},
		{"not the data inside", `{"x":{"data":1},"y":[{"data":2}],"data":3}`, 0, `3`, 0},
		{"not a path of gjson", `{"data.a":1,"d*":2,"da?a":3,"data|x":4,"data":5,"@this":6}`, 0, `5`, 0},
		{"any kind", `{"data":null}`, 0, `null`, 0},
		{"string with braces", `{"x":"}\"{","data":"\"}"}`, 0, `"\"}"`, 0},
		{"last of many", "{" + strings.TrimPrefix(members(500, func(i int) string { return fmt.Sprint(i) }), ",") + `,"data":[1e400]}`, 0, `[1e400]`, 0},
		{"as deep as data may be", deep(64), 0, strings.Repeat("[", 64) + strings.Repeat("]", 64), 0},
		{"deeper, for the collection to refuse", `{"data":{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}}`, 0, `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, 0},
		{"deeper, and no object", deep(65), 0, "", 400},
		{"other case", `{"Data":1}`, 0, "", 400},
		{"name with a blank", `{"data ":1}`, 0, "", 400},
		{"no object", `[]`, 0, "", 400},
		{"empty", ``, 0, "", 400},
		{"limit", `{"data":12}`, 11, `12`, 0},
		{"limit-1", `{"data":1}`, 11, `1`, 0},
		{"limit+1", `{"data":123}`, 11, "", 413},
		{"limit+1 blank", `{"data":12} `, 11, "", 413},
		{"limit 0 is 1 MiB", `{"data":12}` + strings.Repeat(" ", httpapi.DefaultMaxBody-11), 0, "12", 0},
		{"limit 0 is 1 MiB and no more", `{"data":12}` + strings.Repeat(" ", httpapi.DefaultMaxBody-10), 0, "", 413},
		{"negative limit", `{"data":12}`, -1, "12", 0},
	} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/length known %v", tc.name, known), func(t *testing.T) {
				r := httptest.NewRequest("POST", "/anything", strings.NewReader(tc.body))
				if !known {
					r.ContentLength = -1
				}
				got, _, err := httpapi.ReadCreate(nil, r, tc.limit) // w may be nil
				if tc.status == 0 {
					require.NoError(t, err)
					assert.Equal(t, tc.want, string(got))
					return
				}
				require.Error(t, err)
				assert.Equal(t, tc.status, httpapi.ProblemOf(err).Status, err)
			})
		}
	}
}

// TestReadCreateErrors: which error it is, for services that want to tell.
func TestReadCreateErrors(t *testing.T) {
	read := func(body io.Reader, contentType string) error {
		r := httptest.NewRequest("POST", "/anything", body)
		r.Header.Set("Content-Type", contentType)
		_, _, err := httpapi.ReadCreate(httptest.NewRecorder(), r, 16)
		return err
	}
	var syntax *schema.SyntaxError
	require.ErrorAs(t, read(strings.NewReader(`{"data":1,}`), "application/json"), &syntax)
	assert.Equal(t, 10, syntax.Offset)
	var tooLong *http.MaxBytesError
	require.ErrorAs(t, read(strings.NewReader(`{"data":1         }`), "application/json"), &tooLong)
	assert.Equal(t, int64(16), tooLong.Limit)
	var p *httpapi.Problem
	require.ErrorAs(t, read(strings.NewReader(`{"data":1}`), "text/plain"), &p)
	assert.Equal(t, 415, p.Status)
}

// TestReadCreateWithoutABody: as a handler of its own may get a request, and as a
// server's never does.
func TestReadCreateWithoutABody(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		r := httptest.NewRequest("POST", "/anything", nil)
		r.Body = body
		_, _, err := httpapi.ReadCreate(nil, r, 0)
		var syntax *schema.SyntaxError
		require.ErrorAs(t, err, &syntax)
		assert.Zero(t, syntax.Offset)
	}
}

// TestBodyOfAnotherLength: a middleware that unpacks bodies may leave the length that
// was declared.
func TestBodyOfAnotherLength(t *testing.T) {
	for _, declared := range []int64{0, 1, 10, 11, 12, 1000} {
		for _, tc := range []struct {
			limit  int64
			status int // 0 for none
		}{{11, 0}, {1000, 0}, {10, 413}} {
			r := httptest.NewRequest("POST", "/anything", strings.NewReader(`{"data":12}`))
			r.ContentLength = declared
			data, _, err := httpapi.ReadCreate(nil, r, tc.limit)
			if tc.status == 0 && declared <= tc.limit {
				require.NoError(t, err)
				assert.Equal(t, "12", string(data))
				continue
			}
			require.Error(t, err)
			assert.Equal(t, 413, httpapi.ProblemOf(err).Status)
		}
	}
}

// broken is a body that fails after its text.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}

// TestReadCreateOfABrokenBody: a body that does not arrive is the client's mistake
// or a matter of time, and never an internal error.
func TestReadCreateOfABrokenBody(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	for _, tc := range []struct {
		name string
		ctx  context.Context
		err  error
		want []int
	}{
		{"cut", context.Background(), io.ErrUnexpectedEOF, []int{400}},
		{"reset", context.Background(), errors.New("read tcp: connection reset by peer"), []int{400}},
		{"cut, client gone", cancelled, io.ErrUnexpectedEOF, []int{400, 503}},
		{"reset, client gone", cancelled, errors.New("read tcp: connection reset by peer"), []int{400, 503}},
		{"out of time", expired, errors.New("read tcp: i/o timeout"), []int{400, 503}},
		{"the context's own error", expired, context.DeadlineExceeded, []int{400}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/anything", broken{strings.NewReader(`{"data":{"customerId":"` + marker), tc.err})
			data, _, err := httpapi.ReadCreate(nil, r.WithContext(tc.ctx), 0)
			require.Error(t, err)
			assert.Nil(t, data)
			p := httpapi.ProblemOf(err)
			assert.Contains(t, tc.want, p.Status, p.Message)
			assert.NotContains(t, p.Message, marker)
		})
	}
}

// TestWrite: results and resources with nil options, and what each outcome says.
func TestWrite(t *testing.T) {
	c := collection(t)
	data := `{"customerId":"c-1","firstName":"Ada","lastName":"Lovelace","createdAt":"2024-01-02T03:04:05Z"}`
	for _, step := range []struct{ data, message string }{
		{data, "resource created"}, {data, "resource unchanged"}, {`{"customerId":"c-1","phone":"1"}`, "resource updated"},
	} {
		result, err := c.Create(context.Background(), acme, []byte(step.data), nil)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		httpapi.WriteCreate(w, result, nil)
		checkAnswer(t, answer{method: "POST", status: w.Code, header: w.Header(), body: w.Body.String()})
		assert.Contains(t, w.Body.String(), `"message":"`+step.message+`"`)
	}
	res, err := c.Get(context.Background(), acme, "c-1")
	require.NoError(t, err)
	for _, opts := range []*resource.ShapeOptions{nil, {}, {OmitDeprecated: true}} {
		w := httptest.NewRecorder()
		require.NoError(t, httpapi.WriteGet(w, httptest.NewRequest("GET", "/", nil), res, opts))
		checkAnswer(t, answer{method: "GET", status: w.Code, header: w.Header(), body: w.Body.String()})
		assert.Equal(t, opts == nil || !opts.OmitDeprecated, strings.Contains(w.Body.String(), "platform_id"))
	}
	w := httptest.NewRecorder()
	httpapi.WriteNotModified(w, res)
	checkAnswer(t, answer{method: "GET", status: w.Code, header: w.Header(), body: w.Body.String()})
	assert.Equal(t, httpapi.ETag(res), w.Header().Get("ETag"))

	for _, step := range []struct{ patch, message string }{
		{`{"phone":"2"}`, "resource updated"}, {`{"phone":"2"}`, "resource unchanged"},
	} {
		result, err := c.Patch(context.Background(), acme, "c-1", []byte(step.patch), nil)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		httpapi.WritePatch(w, result, nil)
		checkAnswer(t, answer{method: "PATCH", status: w.Code, header: w.Header(), body: w.Body.String()})
		assert.Contains(t, w.Body.String(), `"message":"`+step.message+`"`)
	}
	result, err := c.Delete(context.Background(), acme, "c-1", nil)
	require.NoError(t, err)
	w = httptest.NewRecorder()
	httpapi.WriteDelete(w, result, nil)
	checkAnswer(t, answer{method: "DELETE", status: w.Code, header: w.Header(), body: w.Body.String()})
	assert.Contains(t, w.Body.String(), `"message":"resource deleted"`)
}

// TestFailedWritesKeepTheirText: the writer of an HTTP/2 stream that is reset may read
// what it was given a moment longer; no other answer, of another tenant perhaps, is
// made in that memory.
func TestFailedWritesKeepTheirText(t *testing.T) {
	for range 100 {
		w := &keeping{ResponseRecorder: httptest.NewRecorder()}
		httpapi.WriteError(w, &httpapi.Problem{Status: 400, Message: "one"})
		httpapi.WriteError(httptest.NewRecorder(), &httpapi.Problem{Status: 400, Message: "two"})
		require.JSONEq(t, `{"success":false,"message":"one"}`, string(w.kept))
	}
}

// keeping is a writer that fails, and still has the text.
type keeping struct {
	*httptest.ResponseRecorder
	kept []byte
}

func (k *keeping) Write(b []byte) (int, error) {
	k.kept = b
	return 0, errors.New("stream closed")
}
