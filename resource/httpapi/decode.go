package httpapi

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/tidwall/gjson"
)

// DefaultMaxBody is how many bytes a request body may have unless [Options] say
// otherwise: 1 MiB.
const DefaultMaxBody = 1 << 20

// maxPageBytes is how many bytes the documents of a page have together, but for the
// last one: 1 MiB.
const maxPageBytes = 1 << 20

// The parameters that the routes know.
const (
	onConflict          = "onconflict"
	ignoreUnknownFields = "ignoreUnknownFields"
	cursor              = "cursor"
	limit               = "limit"
	filter              = "filter" // stands for every filter[NAME]
)

// ParseCreateOptions returns the policies that the request's query asks for:
//
//   - onconflict is upsert, as when it is absent, or reject;
//   - ignoreUnknownFields is true or false; absent, empty and null are false.
//
// The error is a [*Problem] with status 400 for any other value, for one of the two
// given twice, and for a parameter whose name is nearly one of theirs: another case
// or at most two letters wrong, as in onConflict. Other parameters are ignored, as
// the contract demands.
func ParseCreateOptions(r *http.Request) (resource.CreateOptions, error) {
	q, err := parseQuery(r)
	if err != nil {
		return resource.CreateOptions{}, err
	}
	q.nearMisses(onConflict, ignoreUnknownFields)
	var opts resource.CreateOptions
	switch value, given := q.one(onConflict); {
	case !given || value == "upsert":
	case value == "reject":
		opts.OnConflict = resource.Reject
	default:
		q.note(`onconflict: expected "upsert" or "reject", in lower case`)
	}
	opts.UnknownFields = q.unknownFields()
	if err := q.err(); err != nil {
		return resource.CreateOptions{}, err
	}
	return opts, nil
}

// ParsePatchOptions returns the policy that the query of a PATCH asks for:
// ignoreUnknownFields, as for [ParseCreateOptions]. also names parameters that the
// handler itself reads; any other is a [*Problem] with status 400, but for the one
// of [ExternalID].
func ParsePatchOptions(r *http.Request, also ...string) (resource.PatchOptions, error) {
	q, err := parseQuery(r)
	if err != nil {
		return resource.PatchOptions{}, err
	}
	q.known(slices.Concat([]string{ignoreUnknownFields}, idParameter(r), also))
	opts := resource.PatchOptions{UnknownFields: q.unknownFields()}
	if err := q.err(); err != nil {
		return resource.PatchOptions{}, err
	}
	return opts, nil
}

// ParseListOptions returns which resources the request's query asks for:
//
//   - cursor is the cursor of the page before; absent or empty begins the list;
//   - limit is the number of resources in a page, 1 to 1000;
//   - filter[NAME] is what the field NAME must have, where NAME is the name of a
//     field of the schema or a JSON Pointer. The value is the text of a string as
//     it is, true or false, or the text of a number, as the field is declared.
//     Given twice it is two conditions, and all must hold.
//
// also names parameters that the handler itself reads. The error is a [*Problem]
// with status 400 for any other parameter: a mistyped filter must not select
// everything. So it is for any other limit, a cursor or limit given twice, a filter
// without a name, more than 100 filters, and a value that is wrong only because +
// stands for a blank in a URL. [resource.Collection.List] judges the cursor and the
// conditions, which are in the order of their names.
//
// A page ends after 1 MiB of documents. Values in a URL end up in the logs of
// servers and proxies: a service that must not have personal data there does not
// let its clients filter by such fields.
func ParseListOptions(r *http.Request, s *schema.Schema, also ...string) (resource.ListOptions, error) {
	q, err := parseQuery(r)
	if err != nil {
		return resource.ListOptions{}, err
	}
	opts := resource.ListOptions{MaxBytes: maxPageBytes}
	opts.Cursor, _ = q.one(cursor)
	if text, given := q.one(limit); given {
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text || n < 1 || n > storage.MaxPage {
			q.note("limit: expected an integer from 1 to " + strconv.Itoa(storage.MaxPage))
		}
		opts.Limit = n
	}
	for _, parameter := range q.names {
		rest, ok := strings.CutPrefix(parameter, filter)
		if !ok || rest != "" && rest[0] != '[' {
			continue
		}
		if len(rest) < 3 || rest[len(rest)-1] != ']' {
			q.note("filter: expected filter[NAME]=VALUE, where NAME is a field or a JSON Pointer")
			break
		}
		name, values := rest[1:len(rest)-1], q.values[parameter]
		if len(opts.Filter)+len(values) > maxFilters {
			q.note("filter: expected at most " + strconv.Itoa(maxFilters) + " conditions")
			break
		}
		for _, text := range values {
			if lostPlus(s, name, text) {
				q.about(parameter, "a + in a URL stands for a blank; write it as %2B")
			}
			opts.Filter = append(opts.Filter, s.EqualsText(name, text))
		}
	}
	q.filterable = func(name string) bool {
		_, err := s.Filter([]schema.Equals{{Field: name}})
		return err == nil
	}
	q.known(append([]string{cursor, limit, filter}, also...))
	if err := q.err(); err != nil {
		return resource.ListOptions{}, err
	}
	return opts, nil
}

// maxFilters is how many conditions a list may have: as many as a schema.Filter.
const maxFilters = 100

// lostPlus reports whether the field cannot have the value, and could have it with +
// in the place of blanks.
func lostPlus(s *schema.Schema, field, text string) bool {
	if !strings.Contains(text, " ") {
		return false
	}
	allowed := func(text string) bool {
		_, err := s.Filter([]schema.Equals{s.EqualsText(field, text)})
		return err == nil
	}
	return !allowed(text) && allowed(strings.ReplaceAll(text, " ", "+"))
}

// CheckQuery returns a [*Problem] with status 400 that tells of the parameters of
// the request's query which are none of the known ones; filter stands for every
// filter[NAME].
func CheckQuery(r *http.Request, known ...string) error {
	q, err := parseQuery(r)
	if err != nil {
		return err
	}
	q.known(known)
	return q.err()
}

// maxUnknown bounds how many unknown parameters are told of, and maxNearMiss how
// many letters of a near miss are wrong.
const (
	maxUnknown  = 20
	maxNearMiss = 2
)

// known notes the parameters that are none of those.
func (q *query) known(known []string) { q.unknown(known, true) }

// nearMisses notes the parameters that are nearly one of those.
func (q *query) nearMisses(known ...string) { q.unknown(known, false) }

func (q *query) unknown(known []string, all bool) {
	noted := 0
	for _, name := range q.names {
		bare, rest := name, ""
		if i := strings.IndexByte(name, '['); i > 0 && slices.Contains(known, filter) {
			bare, rest = name[:i], name[i:]
		}
		if slices.Contains(known, bare) && (rest == "" || bare == filter) {
			continue
		}
		wrong := "unknown parameter"
		near := nearest(bare, known)
		switch {
		case q.filterable != nil && q.filterable(name):
			wrong += ", did you mean filter[" + name + "]?"
		case near == filter && isPlain(rest):
			wrong += ", did you mean filter" + rest + "?"
		case near == filter:
			wrong += ", did you mean filter[NAME]?"
		case near != "":
			wrong += ", did you mean " + near + "?"
		case !all:
			continue
		case len(known) > 0:
			wrong += ", expected one of: " + strings.Join(known, ", ")
		}
		q.about(name, wrong)
		if noted++; noted == maxUnknown {
			return
		}
	}
}

// nearest returns the known name that differs from name only in case and in at most
// maxNearMiss letters, "" if there is none.
func nearest(name string, known []string) string {
	best, least := "", maxNearMiss+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance returns how many bytes must be inserted, removed or replaced to make b of
// a, or any larger number than maxNearMiss when that is more.
func distance(a, b string) int {
	if max(len(a)-len(b), len(b)-len(a)) > maxNearMiss {
		return maxNearMiss + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// isPlain reports whether the name of a parameter can be shown as it is.
func isPlain(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.[]/~") == ""
}

// A query is the parameters of a request, and what is wrong with them.
type query struct {
	values     url.Values
	names      []string // of values, in order
	wrong      []string
	filterable func(name string) bool // whether a field of this name can be filtered by; may be nil
}

func parseQuery(r *http.Request) (*query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query is not valid: expected parameters as name=value, percent-encoded and separated by &")
	}
	return &query{values: values, names: slices.Sorted(maps.Keys(values))}, nil
}

func (q *query) note(wrong string) { q.wrong = append(q.wrong, wrong) }

// about notes what is wrong with a parameter.
func (q *query) about(name, wrong string) {
	if isPlain(name) {
		wrong = name + ": " + wrong
	}
	q.note(wrong)
}

// err returns the problem that was noted, if any.
func (q *query) err() error {
	if len(q.wrong) == 0 {
		return nil
	}
	return badRequest("the query is not valid", q.wrong...)
}

// one returns the value of a parameter that may be given once, and whether it is
// given as it should be.
func (q *query) one(name string) (value string, given bool) {
	switch values := q.values[name]; len(values) {
	case 0:
		return "", false
	case 1:
		return values[0], true
	}
	q.note(name + ": given more than once")
	return "", false
}

func (q *query) unknownFields() schema.UnknownFields {
	switch value, given := q.one(ignoreUnknownFields); {
	case !given || value == "false" || value == "" || value == "null":
	case value == "true":
		return schema.IgnoreUnknown
	default:
		q.note(`ignoreUnknownFields: expected "true" or "false", in lower case`)
	}
	return schema.RejectUnknown
}

// ReadData reads the request's body, at most limit bytes ([DefaultMaxBody] when 0
// or less), and returns the member data of the JSON object that it must hold.
// Other members are ignored. What data holds is judged by whom it is given to.
//
// The error is a [*Problem] when the body is not declared as JSON in UTF-8
// (status 415; no Content-Type at all counts as JSON), is no object or has no
// data (400); a [*schema.SyntaxError] with an offset in the body when it is not
// strict JSON; an [*http.MaxBytesError] when it is too large. w may be nil; it is
// there to close the connection behind a body that turns out too large.
func ReadData(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if _, err := contentType(r.Header, typeJSON); err != nil {
		return nil, err
	}
	body, err := readBody(w, r, limit)
	if err != nil {
		return nil, err
	}
	return dataOf(body)
}

// ReadPatch returns the merge patch in the body of a PATCH. A body that is declared
// as application/merge-patch+json is the patch itself (RFC 7396, section 4);
// otherwise it is that of [ReadData], as are limit, w and the errors.
func ReadPatch(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	mediaType, err := contentType(r.Header, typeJSON, typeMergePatch)
	if err != nil {
		return nil, err
	}
	body, err := readBody(w, r, limit)
	if err != nil || mediaType == typeMergePatch {
		return body, err
	}
	return dataOf(body)
}

// dataOf returns the member data of a body.
func dataOf(body []byte) ([]byte, error) {
	kind, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	const want = `want a JSON object with the member "data"`
	if kind != strictjson.Object {
		return nil, badRequest("the request body is not valid: found " + kind.String() + ", " + want)
	}
	// The body is strict JSON, so gjson and any other reader find the same.
	data := gjson.GetBytes(body, "data")
	if !data.Exists() {
		return nil, badRequest(`the request body is not valid: found no member "data", ` + want)
	}
	return body[data.Index : data.Index+len(data.Raw)], nil
}

// readBody returns the request's body, at most limit bytes or DefaultMaxBody.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = DefaultMaxBody
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if r.Body == nil { // only in a request that no server made
		r.Body = http.NoBody
	}
	size := limit
	if r.ContentLength >= 0 {
		size = r.ContentLength
	}
	from, to := io.Reader(r.Body), w
	x, _ := w.(*exchange)
	if x != nil {
		x.size = size
		from, to = x, x.ResponseWriter
	}
	from = http.MaxBytesReader(to, io.NopCloser(from), limit)
	// One byte more than expected, to see the end. What a client only promises to
	// send takes no memory.
	body := make([]byte, 0, min(size, smallBytes)+1)
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var tooLong *http.MaxBytesError
		var problem *Problem
		switch {
		case err == io.EOF:
			if x != nil {
				return body, x.begin(r.Context(), body)
			}
			return body, nil
		case errors.As(err, &tooLong), errors.As(err, &problem):
			return nil, err
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, &Problem{
				Status:  http.StatusRequestTimeout,
				Message: "the request body did not arrive in time",
				Header:  http.Header{"Connection": {"close"}},
			}
		case err != nil: // the client broke off
			return nil, badRequest("the request body did not arrive whole")
		case len(body) < cap(body):
		case r.ContentLength >= 0:
			body = slices.Grow(body, int(r.ContentLength)+1-len(body))
		default:
			body = slices.Grow(body, len(body))
		}
	}
}

// parseBody checks that the body is strict JSON and returns the kind of its
// value. The data in it may be as deep as data may be.
func parseBody(body []byte) (strictjson.Kind, error) {
	d := strictjson.Get()
	defer strictjson.Put(d)
	if err := d.Parse(body, strictjson.MaxDepth+1); err != nil {
		var syntax *strictjson.SyntaxError
		if errors.As(err, &syntax) {
			reason := syntax.Reason
			if strings.Contains(reason, "deeper than "+strconv.Itoa(strictjson.MaxDepth+1)) {
				reason += " (" + strconv.Itoa(strictjson.MaxDepth) + " within data)"
			}
			return 0, &schema.SyntaxError{Offset: syntax.Offset, Reason: reason}
		}
		return 0, err
	}
	return d.Nodes[0].Kind, nil
}

// The media types of bodies. acceptPatch is what a PATCH takes (RFC 5789, section
// 3.1).
const (
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json" // RFC 7396, section 4
	typeJSONPatch  = "application/json-patch+json"  // RFC 6902, section 6
	acceptPatch    = typeMergePatch + ", " + typeJSON
)

// contentType returns which of the media types, typeJSON first, the body is declared
// as; none at all counts as JSON. The error is a problem for another type or
// charset, and for a compressed body.
func contentType(h http.Header, types ...string) (string, error) {
	refuse := func(what string) (string, error) {
		p := &Problem{
			Status:  http.StatusUnsupportedMediaType,
			Message: what + "; send the header Content-Type: " + strings.Join(types, " or "),
		}
		if slices.Contains(types, typeMergePatch) {
			p.Header = http.Header{"Accept-Patch": {acceptPatch}}
		}
		return "", p
	}
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return "", &Problem{
				Status:  http.StatusUnsupportedMediaType,
				Message: "the request body is compressed; send it without Content-Encoding",
				Header:  http.Header{"Accept-Encoding": {"identity"}}, // RFC 9110, section 15.5.16
			}
		}
	}
	values := h.Values("Content-Type")
	if len(values) == 0 {
		return typeJSON, nil
	}
	if len(values) > 1 {
		return refuse("more than one Content-Type")
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	switch {
	case err == nil && mediaType == typeJSONPatch:
		return refuse("JSON Patch (RFC 6902) is not supported")
	case err != nil || !slices.Contains(types, mediaType):
		return refuse("the request body is not declared as JSON")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return refuse("the request body is not declared as UTF-8")
	}
	return mediaType, nil
}

// ExternalID returns the external id that the request's path names: the path
// value externalId or, when that is "-", the query parameter externalId, if
// there is one. A query that is not valid, or with two such parameters or an empty
// one, is a [*Problem] with status 400. A route without the wildcard {externalId}
// is an error of the program.
//
// The path value must be the id itself, as a [http.ServeMux] has it. Some routers
// hand a segment on as it was sent: take its escapes away first, and put it there
// with r.SetPathValue.
func ExternalID(r *http.Request) (string, error) {
	id := r.PathValue(pathValue)
	if id == "" {
		return "", errors.New("httpapi: the route has no wildcard {" + pathValue + "}")
	}
	if id != "-" {
		return id, nil
	}
	q, err := parseQuery(r)
	if err != nil {
		return "", err
	}
	switch values := q.values[pathValue]; {
	case len(values) > 1:
		return "", badRequest(fmt.Sprintf("the query is not valid: %s given more than once", pathValue))
	case len(values) == 1 && values[0] == "": // a client whose variable is not set does not mean the id "-"
		return "", badRequest("the query is not valid: " + pathValue + " is empty")
	case len(values) == 1:
		id = values[0]
	}
	return id, nil
}

// idParameter returns the query parameters that name the resource.
func idParameter(r *http.Request) []string {
	if r.PathValue(pathValue) == "-" { // otherwise the path has the id, and the parameter might be another one
		return []string{pathValue}
	}
	return nil
}

// pathValue is the name of the wildcard for external ids in paths, and of the
// query parameter that can take its place.
const pathValue = "externalId"
