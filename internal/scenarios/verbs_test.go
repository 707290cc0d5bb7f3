package scenarios_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/httpapi"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// verbs are what a caller can do. There are two implementations: the library and
// HTTP. A scenario cannot tell them apart.
type verbs interface {
	create(data string, o options) answer
	patch(id, data string, o options) answer
	delete(id string, o options) answer
	get(id string) answer
	list(l listing) answer

	createBatch(documents []string, o options) answer
	patchBatch(items []item, o options) answer
	deleteBatch(items []item, o options) answer
	importAll(documents []string, o options) answer
}

// options are the policies of a write. The zero value is the default of all.
type options struct {
	reject   bool
	unknown  schema.UnknownFields
	nulls    schema.Nulls
	complete bool
	ifTag    *tag // the revision that it must have
	ifAbsent bool
	dryRun   bool
}

// A tag is a revision that a scenario has seen, in both spellings.
type tag struct {
	revision storage.Revision
	etag     string
}

func (o options) condition() (c resource.Condition) {
	if o.ifTag != nil {
		c = resource.AtRevision(o.ifTag.revision)
	}
	if o.ifAbsent {
		c = c.And(resource.Absent())
	}
	return c
}

// item is one of a batch of patches or deletes.
type item struct {
	id, data string
	ifTag    *tag
}

// listing is what a list is asked for.
type listing struct {
	cursor string
	limit  int
	filter []schema.Condition
}

// An answer is what the caller is told.
type answer struct {
	what      string   // the outcome, or the class of the error as resource.ErrorClass has it
	lines     []string // more words
	resources []string // whole, in the shape of the wire contract
	etag      string   // of the resource, unless it is deleted or not stored
	next      string   // of a list
}

// text is the part of an answer that stands in the table: of a resource its
// data, of a list the external ids.
func (a answer) text() string {
	s := a.what
	switch {
	case a.what == "listed":
		for _, r := range a.resources {
			s += " " + envelopeOf(r).ExternalID
		}
		if a.next != "" {
			s += " more"
		}
	case len(a.lines) > 0:
		s += ": " + strings.Join(a.lines, "; ")
	case len(a.resources) > 0:
		s += " " + string(envelopeOf(a.resources[0]).Data)
	}
	return s
}

// whole is everything that must be the same on every store and by every way.
func (a answer) whole() string {
	return strings.Join([]string{a.what, strings.Join(a.lines, "; "), strings.Join(a.resources, "\n"), a.next}, "\n")
}

// envelope is what these tests read of a resource.
type envelope struct {
	SchemaID   uuid.UUID       `json:"schemaDefinitionId"`
	PlatformID uuid.UUID       `json:"platformId"`
	BusinessID uuid.UUID       `json:"businessId"`
	ExternalID string          `json:"resourceExternalId"`
	CreatedAt  string          `json:"createdAt"`
	UpdatedAt  string          `json:"updatedAt"`
	Data       json.RawMessage `json:"data"`
}

func envelopeOf(resource string) envelope {
	var e envelope
	if err := json.Unmarshal([]byte(resource), &e); err != nil {
		panic(err)
	}
	return e
}

// unusable stands for a document of an import that its source cannot make.
const unusable = "unusable"

var errUnusable = errors.New(unusable)

// library calls the collection.
type library struct {
	c      *resource.Collection
	tenant storage.Tenant
}

func (l library) create(data string, o options) answer {
	return l.written(l.c.Create(ctx, l.tenant, []byte(data), o.create()))
}

func (o options) create() *resource.WriteOptions {
	return &resource.WriteOptions{
		RejectExisting: o.reject, UnknownFields: o.unknown, Nulls: o.nulls, RequireComplete: o.complete,
		If: o.condition(), DryRun: o.dryRun,
	}
}

func (o options) patch() *resource.WriteOptions {
	return &resource.WriteOptions{UnknownFields: o.unknown, Nulls: o.nulls, If: o.condition(), DryRun: o.dryRun}
}

func (o options) delete() *resource.WriteOptions {
	return &resource.WriteOptions{If: o.condition(), DryRun: o.dryRun}
}

func (l library) patch(id, data string, o options) answer {
	return l.written(l.c.Patch(ctx, l.tenant, id, []byte(data), o.patch()))
}

func (l library) delete(id string, o options) answer {
	return l.written(l.c.Delete(ctx, l.tenant, id, o.delete()))
}

func (l library) get(id string) answer {
	r, err := l.c.Get(ctx, l.tenant, id)
	if err != nil {
		return failed(err)
	}
	return answer{what: "found", resources: []string{string(r.AppendJSON(nil, nil))}, etag: httpapi.ETag(r)}
}

func (l library) list(o listing) answer {
	page, err := l.c.List(ctx, l.tenant, &resource.ListOptions{Cursor: o.cursor, Limit: o.limit, Filter: o.filter, AllowScan: true})
	if err != nil {
		return failed(err)
	}
	a := answer{what: "listed", next: page.Next}
	for _, r := range page.Resources {
		a.resources = append(a.resources, string(r.AppendJSON(nil, nil)))
	}
	return a
}

func (l library) createBatch(documents []string, o options) answer {
	var all [][]byte
	for _, d := range documents {
		all = append(all, []byte(d))
	}
	b, err := l.c.CreateBatch(ctx, l.tenant, all, o.create())
	return l.batch(b, err, o.dryRun)
}

func (l library) patchBatch(items []item, o options) answer {
	var all []resource.Item
	for _, i := range items {
		all = append(all, resource.Item{ExternalID: i.id, Data: []byte(i.data), If: options{ifTag: i.ifTag}.condition()})
	}
	b, err := l.c.PatchBatch(ctx, l.tenant, all, o.patch())
	return l.batch(b, err, o.dryRun)
}

func (l library) deleteBatch(items []item, o options) answer {
	var all []resource.Item
	for _, i := range items {
		all = append(all, resource.Item{ExternalID: i.id, If: options{ifTag: i.ifTag}.condition()})
	}
	b, err := l.c.DeleteBatch(ctx, l.tenant, all, o.delete())
	return l.batch(b, err, o.dryRun)
}

func (l library) importAll(documents []string, o options) answer {
	sequence := func(yield func(ingest.Document, error) bool) {
		for _, d := range documents {
			document := ingest.Document{Data: []byte(d)}
			if d == unusable {
				document.Err = errUnusable
			}
			if !yield(document, nil) {
				return
			}
		}
	}
	r, err := ingest.Import(ctx, l.c, l.tenant, sequence, &ingest.Options{Create: *o.create(), BatchSize: 3})
	if err != nil {
		return failed(err)
	}
	a := answer{what: "imported"}
	a.lines = append(a.lines, fmt.Sprintf("position %d, %d created, %d updated, %d unchanged, %d failed", r.Position.Documents, r.Created, r.Updated, r.Unchanged, r.Failed))
	for _, e := range r.Errors {
		why := failed(e.Err).text()
		if errors.Is(e, errUnusable) {
			why = unusable
		}
		a.lines = append(a.lines, fmt.Sprintf("%d %s", e.Position, why))
	}
	return a
}

// written is what a write answers.
func (l library) written(r *resource.Result, err error) answer {
	if err != nil {
		return failed(err)
	}
	a := answer{what: string(r.Outcome), resources: []string{string(r.AppendJSON(nil, nil))}}
	if r.Outcome != resource.Deleted {
		a.etag = httpapi.ETag(&r.Resource)
	}
	return a
}

// batch is what a batch answers: the outcomes in one row, and what its promises do
// not allow.
func (l library) batch(r []resource.ItemResult, err error, dryRun bool) answer {
	if err != nil {
		return failed(err)
	}
	a := answer{what: "batch"}
	last := make(map[string]*resource.Result)
	for _, i := range r {
		one := l.written(i.Result, i.Err)
		a.resources = append(a.resources, one.resources...)
		if i.Err != nil {
			a.lines = append(a.lines, one.text())
			continue
		}
		a.lines = append(a.lines, one.what)
		last[i.Result.Key().ExternalID] = i.Result
	}
	for id, r := range last {
		stored, err := l.c.Get(ctx, l.tenant, id)
		if gone := r.Outcome == resource.Deleted; !dryRun && (gone != (err != nil) || !gone && stored.Revision() != r.Revision()) {
			a.lines = append(a.lines, "the last result of an item is not what is stored: "+id)
		}
	}
	return a
}

// failed is what an error answers.
func failed(err error) answer {
	a := answer{what: string(resource.ErrorClass(err))}
	var (
		invalid *schema.ValidationError
		syntax  *schema.SyntaxError
	)
	switch {
	case errors.As(err, &invalid):
		a.lines = violations(cmp.Or(invalid.Of, "data"), invalid.Violations)
	case errors.As(err, &syntax):
		a.lines = []string{fmt.Sprintf("%s at byte %d", syntax.Reason, syntax.Offset)}
	case errors.Is(err, resource.ErrCursor):
		a.lines = []string{"cursor"}
	}
	return a
}

func violations(whole string, list []schema.Violation) (lines []string) {
	for _, v := range list {
		line := v.String()
		if v.Pointer == "" {
			line = whole + ": " + line
		}
		lines = append(lines, line)
	}
	return lines
}

// overHTTP sends requests to a server. What HTTP has no word for goes to the
// collection under it: batches, imports, dry runs, and some policies.
type overHTTP struct {
	library
	t      testing.TB
	client *http.Client
	url    string // of the collection
}

// newOverHTTP starts a server for a collection.
func newOverHTTP(t testing.TB, l library) verbs {
	api, err := httpapi.NewAPI(hooksOf(l.tenant), &httpapi.Options{AllowScans: true}, l.c)
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return overHTTP{l, t, server.Client(), server.URL + httpapi.DefaultPrefix + l.c.Schema().Name()}
}

// hasWord reports whether HTTP can say these options.
func (o options) hasWord() bool { return !o.dryRun && o.nulls == schema.DeleteNulls && !o.complete }

func (h overHTTP) create(data string, o options) answer {
	if !o.hasWord() {
		return h.library.create(data, o)
	}
	return h.do("POST", h.url, data, o)
}

func (h overHTTP) patch(id, data string, o options) answer {
	if !o.hasWord() {
		return h.library.patch(id, data, o)
	}
	return h.do("PATCH", h.one(id), data, o)
}

func (h overHTTP) delete(id string, o options) answer {
	if !o.hasWord() {
		return h.library.delete(id, o)
	}
	return h.do("DELETE", h.one(id), "", o)
}

func (h overHTTP) get(id string) answer { return h.do("GET", h.one(id), "", options{}) }

func (h overHTTP) list(l listing) answer {
	q := url.Values{}
	if l.cursor != "" {
		q.Set("cursor", l.cursor)
	}
	if l.limit != 0 {
		q.Set("limit", strconv.Itoa(l.limit))
	}
	for _, e := range l.filter {
		if e.Value == nil {
			return h.library.list(l) // absent cannot be said in a query
		}
		q.Add("filter["+e.Field+"]", fmt.Sprint(e.Value))
	}
	return h.do("GET", h.url+"?"+q.Encode(), "", options{})
}

// one is the address of a resource.
func (h overHTTP) one(id string) string {
	switch id {
	case ".", "..", "batch", "-":
		return h.url + "/-?externalId=" + id
	}
	return h.url + "/" + url.PathEscape(id)
}

func (h overHTTP) do(method, target, data string, o options) answer {
	var body io.Reader
	if data != "" {
		body = strings.NewReader(`{"data":` + data + `}`)
	}
	req, err := http.NewRequest(method, target, body)
	require.NoError(h.t, err)
	q := req.URL.Query()
	if o.reject {
		q.Set("onconflict", "reject")
	}
	if o.unknown == schema.IgnoreUnknown {
		q.Set("ignoreUnknownFields", "true")
	}
	req.URL.RawQuery = q.Encode()
	if o.ifTag != nil {
		req.Header.Set("If-Match", o.ifTag.etag)
	}
	if o.ifAbsent {
		req.Header.Set("If-None-Match", "*")
	}
	res, err := h.client.Do(req)
	require.NoError(h.t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(h.t, err)
	var m struct {
		Success bool
		Message string
		Errors  []string
		Data    json.RawMessage
	}
	require.NoError(h.t, json.Unmarshal(text, &m), "%s", text)
	require.Equal(h.t, res.StatusCode == http.StatusOK, m.Success, "%s", text)
	if !m.Success {
		return refused(res.StatusCode, m.Message, m.Errors)
	}
	if m.Message == "resources listed" {
		var page struct {
			Results    []json.RawMessage
			Pagination struct{ Cursor string }
		}
		require.NoError(h.t, json.Unmarshal(m.Data, &page))
		a := answer{what: "listed", next: page.Pagination.Cursor}
		for _, r := range page.Results {
			a.resources = append(a.resources, string(r))
		}
		return a
	}
	if method != "POST" {
		var wrapped struct{ Result json.RawMessage }
		require.NoError(h.t, json.Unmarshal(m.Data, &wrapped))
		m.Data = wrapped.Result
	}
	return answer{what: strings.TrimPrefix(m.Message, "resource "), resources: []string{string(m.Data)}, etag: res.Header.Get("ETag")}
}

// refused is what an answer of HTTP that is no success says, in the words of the
// library.
func refused(status int, message string, lines []string) answer {
	switch {
	case status == http.StatusNotFound:
		return answer{what: "not_found"}
	case status == http.StatusPreconditionFailed:
		return answer{what: "precondition"}
	case status == http.StatusBadRequest && strings.HasSuffix(message, "exists already"):
		return answer{what: "exists"}
	case status == http.StatusBadRequest && strings.HasPrefix(message, "the cursor is not valid"):
		return answer{what: "invalid", lines: []string{"cursor"}}
	case status == http.StatusBadRequest && len(lines) > 0:
		return answer{what: "invalid", lines: lines}
	case status == http.StatusInternalServerError && message == "internal error":
		return answer{what: "internal"}
	}
	if reason, ok := strings.CutPrefix(message, "the request is not strict JSON: "); ok && status == http.StatusBadRequest {
		// The offset is that in the body.
		i := strings.LastIndexByte(reason, ' ') + 1
		offset, err := strconv.Atoi(reason[i:])
		if err == nil {
			return answer{what: "invalid", lines: []string{reason[:i] + strconv.Itoa(offset-len(`{"data":`))}}
		}
	}
	return answer{what: fmt.Sprintf("status %d: %s", status, message), lines: lines}
}
