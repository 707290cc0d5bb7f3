package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A kind is a JSON type of the published contract, with its format.
type kind string

const (
	text     kind = "string"
	anUUID   kind = "string, uuid"
	dateTime kind = "string, date-time"
	boolean  kind = "boolean"
	isTrue   kind = "boolean, true"
	isFalse  kind = "boolean, false"
	texts    kind = "array of strings"
	none     kind = "empty array"
	number   kind = "number"

	// Where the published text is silent.
	resources    kind = "array of resources"
	document     kind = "object with the fields of a default schema"
	numberOrNull kind = "number or null"
	textOrNull   kind = "string or null"
	changeKind   kind = "array of changes"
	anyObject    kind = "object"
)

// A member is a row of a response schema. Of is set for objects, and kind for
// everything else.
type member struct {
	name     string
	kind     kind
	required bool
	of       []member
}

// The response schemas of the published contract. The wire says more than the
// published text in that success and message are in every answer, and that no
// members are there that it does not name.
var (
	customerShape = []member{
		{"customerId", text, true, nil},
		{"email", text, false, nil},
		{"phone", text, false, nil},
		{"firstName", text, true, nil},
		{"lastName", text, true, nil},
		{"emailOptOut", boolean, true, nil}, // required by its default
		{"smsOptOut", boolean, true, nil},
		{"customerDetailUrl", text, false, nil},
		{"createdAt", dateTime, true, nil},
	}
	locationShape = []member{
		{"locationId", text, true, nil},
		{"name", text, true, nil},
		{"address", text, true, nil},
		{"city", text, true, nil},
		{"state", text, true, nil},
		{"zipCode", text, true, nil},
		{"address2", text, false, nil},
		{"address3", text, false, nil},
	}
	transactionShape = []member{
		{"transactionId", text, true, nil},
		{"customerId", text, false, nil},
		{"locationId", text, false, nil},
		{"transactionDate", dateTime, true, nil},
		{"transactionTotal", number, true, nil},
		{"transactionDetailUrl", text, false, nil},
	}
	resourceShape = []member{
		{"id", anUUID, true, nil},
		{"schemaDefinitionId", anUUID, true, nil},
		{"schema_definition_id", anUUID, true, nil},
		{"platformId", anUUID, true, nil},
		{"platform_id", anUUID, true, nil},
		{"businessId", anUUID, true, nil},
		{"business_id", anUUID, true, nil},
		{"resourceExternalId", text, true, nil},
		{"resource_external_id", text, true, nil},
		{"createdAt", dateTime, true, nil},
		{"created_at", dateTime, true, nil},
		{"updatedAt", dateTime, true, nil},
		{"updated_at", dateTime, true, nil},
		{"data", document, true, nil},
	}
	postShape = []member{
		{"success", isTrue, true, nil},
		{"message", text, true, nil},
		{"data", "", true, resourceShape},
	}
	getShape = []member{
		{"success", isTrue, true, nil},
		{"message", text, true, nil},
		{"data", "", true, []member{
			{"result", "", true, resourceShape},
			{"included", none, true, nil},
		}},
	}
	listShape = []member{
		{"success", isTrue, true, nil},
		{"message", text, true, nil},
		{"data", "", true, []member{
			{"results", resources, true, nil},
			{"included", none, true, nil},
			{"pagination", "", true, []member{
				{"hasNextPage", boolean, true, nil},
				{"total", numberOrNull, true, nil},
				{"cursor", textOrNull, true, nil},
			}},
		}},
	}
	// Changes are not in the published contract, and have no deprecated names.
	changesShape = []member{
		{"success", isTrue, true, nil},
		{"message", text, true, nil},
		{"data", "", true, []member{
			{"results", changeKind, true, nil},
			{"pagination", "", true, []member{
				{"hasNextPage", boolean, true, nil},
				{"cursor", textOrNull, true, nil},
			}},
		}},
	}
	changeShape = []member{
		{"id", anUUID, true, nil},
		{"outcome", text, true, nil},
		{"schema", text, true, nil},
		{"schemaDefinitionId", anUUID, true, nil},
		{"platformId", anUUID, true, nil},
		{"businessId", anUUID, true, nil},
		{"resourceExternalId", text, true, nil},
		{"previousRevision", text, false, nil},
		{"revision", text, true, nil},
		{"time", dateTime, true, nil},
		{"actor", text, false, nil},
		{"reason", text, false, nil},
		{"document", anyObject, false, nil},
		{"patch", anyObject, false, nil},
	}
	notFoundShape = []member{
		{"success", isFalse, true, nil},
		{"message", text, true, nil},
		{"data", "", true, []member{{"error", text, true, nil}}},
	}
	errorShape = []member{
		{"success", isFalse, true, nil},
		{"message", text, true, nil},
		{"errors", texts, false, nil},
	}
)

// camelCase leaves the deprecated spellings out of a shape.
func camelCase(shape []member) []member {
	var out []member
	for _, m := range shape {
		if !strings.Contains(m.name, "_") {
			m.of = camelCase(m.of)
			out = append(out, m)
		}
	}
	return out
}

// documented are the statuses of the package doc.
var documented = []int{200, 204, 304, 400, 401, 404, 405, 408, 410, 412, 413, 415, 428, 500, 501, 503}

// checkAnswer holds an answer against the contract: a documented status and its
// headers, strict and compact JSON of the right length, and the schema of the
// status.
func checkAnswer(t testing.TB, a answer) {
	t.Helper()
	if problems := contractProblems(a); len(problems) > 0 {
		assert.Fail(t, "against the contract: "+strings.Join(problems, "; "), "%d %v\n%.2000s", a.status, a.header, a.body)
	}
}

func contractProblems(a answer) []string {
	var wrong []string
	note := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	note(slices.Contains(documented, a.status), "status %d is not documented", a.status)
	if a.status == 200 && a.header.Get("Content-Type") == "text/event-stream" {
		note(a.header.Get("Cache-Control") == "no-store, no-transform", "Cache-Control %q", a.header.Get("Cache-Control"))
		note(a.header.Get("X-Accel-Buffering") == "no" && a.header.Get("Content-Length") == "", "the headers of a stream")
		return wrong
	}
	// One resource has a tag of its state; a list, an error and what is deleted
	// have none.
	tag := a.header.Get("ETag")
	tagged := a.status == 304 || a.status == 200 && a.method != http.MethodDelete && !strings.Contains(a.body, `"results":[`) && !a.headOfList()
	note(tag == "" || strongTag.MatchString(tag), "ETag %q", tag)
	note((tag != "") == tagged, "ETag %q", tag)
	if a.status == 204 || a.status == 304 {
		note(a.body == "", "a body")
		note(a.header.Get("Content-Type") == "" && a.header.Get("Content-Length") == "", "headers of a body")
		note((a.header.Get("Allow") != "") == (a.status == 204), "Allow %q", a.header.Get("Allow"))
		note((a.status == 204) == (a.method == http.MethodOptions), "status %d of a %s", a.status, a.method)
		note(a.status == 204 || a.method == http.MethodGet || a.method == http.MethodHead, "status 304 of a %s", a.method)
		return wrong
	}
	note(a.header.Get("Cache-Control") == "" && a.header.Get("X-Accel-Buffering") == "", "the headers of a stream")
	note(a.header.Get("Content-Type") == "application/json", "Content-Type %q", a.header.Get("Content-Type"))
	note(a.header.Get("X-Content-Type-Options") == "nosniff", "no X-Content-Type-Options")
	note((a.header.Get("Allow") != "") == (a.status == 405), "Allow %q", a.header.Get("Allow"))
	note((a.header.Get("WWW-Authenticate") != "") == (a.status == 401), "WWW-Authenticate %q", a.header.Get("WWW-Authenticate"))
	note((a.header.Get("Retry-After") != "") == (a.status == 503), "Retry-After %q", a.header.Get("Retry-After"))
	note(a.status == 200 || len(a.body) < 64<<10, "an error of %d bytes", len(a.body))
	length, err := strconv.Atoi(a.header.Get("Content-Length"))
	if len(a.body) > 256<<10 && a.header.Get("Content-Length") == "" { // a page in pieces
		length, err = len(a.body), nil
	}
	note(err == nil, "Content-Length %q", a.header.Get("Content-Length"))
	if a.method == http.MethodHead && a.body == "" {
		note(length > 0, "Content-Length of a HEAD is %d", length)
		return wrong
	}
	note(length == len(a.body), "Content-Length %d of a body of %d bytes", length, len(a.body))
	value, err := strictJSON([]byte(a.body))
	if err != nil {
		return append(wrong, "not strict JSON: "+err.Error())
	}
	var compact bytes.Buffer
	note(json.Compact(&compact, []byte(a.body)) == nil && compact.String() == a.body, "the body is not compact")
	var shapes [][]member
	switch {
	case a.status == 200 && a.method == http.MethodPost:
		shapes = [][]member{postShape, camelCase(postShape)}
	case a.status == 200 && strings.Contains(a.body, `"message":"changes listed"`):
		shapes = [][]member{changesShape}
	case a.status == 200 && a.method == http.MethodGet && strings.Contains(a.body, `"results":[`):
		shapes = [][]member{listShape, listShape}
		wrong = append(wrong, pagination(value)...)
	case a.status == 200:
		shapes = [][]member{getShape, camelCase(getShape)}
	case a.status == 404:
		shapes = [][]member{notFoundShape}
	default:
		shapes = [][]member{errorShape}
	}
	mismatch := conform("", value, shapes[0])
	if len(mismatch) > 0 && len(shapes) > 1 && !strings.Contains(a.body, `"platform_id":`) {
		mismatch = conform("", value, shapes[1])
	}
	return append(wrong, mismatch...)
}

var strongTag = regexp.MustCompile(`^"[1-9a-z][0-9a-z]*"$`)

// headOfList reports whether this is the answer to a HEAD of a collection, which
// only its lack of a tag tells.
func (a answer) headOfList() bool {
	return a.method == http.MethodHead && a.body == "" && a.header.Get("ETag") == ""
}

// pagination holds the members of data.pagination against each other.
func pagination(value any) []string {
	object, _ := value.(map[string]any)
	data, _ := object["data"].(map[string]any)
	p, _ := data["pagination"].(map[string]any)
	results, _ := data["results"].([]any)
	var wrong []string
	if (p["cursor"] != nil) != (p["hasNextPage"] == true) {
		wrong = append(wrong, fmt.Sprintf("cursor %v and hasNextPage %v", p["cursor"], p["hasNextPage"]))
	}
	if total := p["total"]; total != nil && (fmt.Sprint(total) != strconv.Itoa(len(results)) || p["hasNextPage"] == true) {
		wrong = append(wrong, fmt.Sprintf("total %v of a page of %d", total, len(results)))
	}
	return wrong
}

// conform returns what is wrong with a value that should be an object with the
// members of the shape and no others.
func conform(path string, value any, shape []member) []string {
	object, ok := value.(map[string]any)
	if !ok {
		return []string{path + ": not an object"}
	}
	var wrong []string
	known := map[string]bool{}
	for _, m := range shape {
		known[m.name] = true
		v, ok := object[m.name]
		switch at := path + "/" + m.name; {
		case !ok && m.required:
			wrong = append(wrong, at+": missing")
		case !ok:
		case m.of != nil:
			wrong = append(wrong, conform(at, v, m.of)...)
		case m.kind == document:
			wrong = append(wrong, conformDocument(at, v)...)
		case m.kind == changeKind:
			for i, v := range v.([]any) {
				wrong = append(wrong, conform(fmt.Sprint(at, "/", i), v, changeShape)...)
			}
		case m.kind == resources:
			list, ok := v.([]any)
			if !ok {
				wrong = append(wrong, at+": not an array")
			}
			for i, v := range list {
				shape := resourceShape
				if object, _ := v.(map[string]any); object["platform_id"] == nil {
					shape = camelCase(resourceShape)
				}
				wrong = append(wrong, conform(fmt.Sprint(at, "/", i), v, shape)...)
			}
		case !m.kind.has(v):
			wrong = append(wrong, fmt.Sprintf("%s: want %s, found %v", at, m.kind, v))
		}
	}
	for name := range object {
		if !known[name] {
			wrong = append(wrong, path+"/"+name+": no such member in the contract")
		}
	}
	return wrong
}

// conformDocument holds a document against the default schema whose external id
// it has.
func conformDocument(path string, v any) []string {
	object, _ := v.(map[string]any)
	shape := customerShape
	switch {
	case object["transactionId"] != nil:
		shape = transactionShape
	case object["locationId"] != nil:
		shape = locationShape
	}
	return conform(path, v, shape)
}

func (k kind) has(v any) bool {
	switch k {
	case number:
		_, ok := v.(json.Number)
		return ok
	case numberOrNull:
		return v == nil || number.has(v)
	case textOrNull:
		return v == nil || text.has(v)
	case boolean:
		_, ok := v.(bool)
		return ok
	case anyObject:
		_, ok := v.(map[string]any)
		return ok
	case isTrue, isFalse:
		return v == (k == isTrue)
	case none, texts:
		list, ok := v.([]any)
		if !ok || k == none {
			return ok && len(list) == 0
		}
		for _, e := range list {
			if !text.has(e) {
				return false
			}
		}
		return len(list) > 0
	}
	s, ok := v.(string)
	switch k {
	case anUUID:
		id, err := uuid.Parse(s)
		return ok && err == nil && id != uuid.Nil && id.String() == s
	case dateTime:
		_, err := time.Parse(time.RFC3339, strings.ToUpper(s))
		return ok && err == nil
	}
	return ok
}

// strictJSON decodes one JSON text: valid UTF-8, no duplicate names, nothing
// after it. It is written with encoding/json alone, so as not to share a mistake
// with the code under test.
func strictJSON(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("invalid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := strictValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("trailing data")
	}
	return v, nil
}

func strictValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		object := map[string]any{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			if _, dup := object[name.(string)]; dup {
				return nil, fmt.Errorf("duplicate name %q", name)
			}
			if object[name.(string)], err = strictValue(dec); err != nil {
				return nil, err
			}
		}
		_, err := dec.Token()
		return object, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := strictValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return token, nil
}

// TestContract holds the answers of a full and of an empty customer against each
// other and against the order of the published members. That each answer has
// them is checked with every exchange of every test.
func TestContract(t *testing.T) {
	s := newService(t, nil).serve(t)
	full := s.exchange(t, post("", customer("full", `,"email":"a@example.com","phone":"1","emailOptOut":true,"smsOptOut":false,"customerDetailUrl":"https://example.com/"`)))
	require.Equal(t, 200, full.status, full.body)
	least := s.exchange(t, post("", `{"data":{"customerId":"least","firstName":"","lastName":"","createdAt":"2024-01-02T03:04:05Z"}}`))
	require.Equal(t, 200, least.status, least.body)

	for name, a := range map[string]answer{"full": full, "least": least} {
		var body struct {
			Data map[string]json.RawMessage `json:"data"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &body))
		assert.Len(t, body.Data, 14, name)
		for camel, snake := range map[string]string{
			"schemaDefinitionId": "schema_definition_id", "platformId": "platform_id", "businessId": "business_id",
			"resourceExternalId": "resource_external_id", "createdAt": "created_at", "updatedAt": "updated_at",
		} {
			assert.Equal(t, string(body.Data[camel]), string(body.Data[snake]), name+": "+camel)
		}
		at := -1
		for _, m := range resourceShape {
			next := strings.Index(a.body, `"`+m.name+`":`)
			if m.name == "data" {
				next = strings.LastIndex(a.body, `"data":`)
			}
			assert.Greater(t, next, at, "%s: %s is in another place", name, m.name)
			at = next
		}
		assert.Equal(t, `"`+acme.Platform.String()+`"`, string(body.Data["platformId"]))
		assert.Equal(t, `"`+acme.Business.String()+`"`, string(body.Data["businessId"]))
		assert.Equal(t, `"2025-06-07T08:09:`, string(body.Data["createdAt"][:18]))
		assert.Equal(t, `.123Z"`, string(body.Data["createdAt"][20:]), "milliseconds, truncated")
	}
}

// TestContractCheck shows that the check above finds what it should find.
func TestContractCheck(t *testing.T) {
	good := newService(t, nil).direct(t, post("", customer("c-1", "")))
	require.Equal(t, 200, good.status)
	cases := []struct {
		name   string
		change func(*answer)
	}{
		{"status", func(a *answer) { a.status = 201 }},
		{"content type", func(a *answer) { a.header.Set("Content-Type", "application/json; charset=utf-8") }},
		{"length", func(a *answer) { a.header.Set("Content-Length", "1") }},
		{"member missing", func(a *answer) { a.edit(`"platform_id"`, `"platformID"`) }},
		{"member added", func(a *answer) { a.edit(`{"id"`, `{"tenant":"x","id"`) }},
		{"duplicate member", func(a *answer) { a.edit(`{"id"`, `{"success":true,"success":true,"id"`) }},
		{"another type", func(a *answer) { a.edit(`"smsOptOut":true`, `"smsOptOut":"true"`) }},
		{"no uuid", func(a *answer) { a.edit(`"id":"0`, `"id":"x`) }},
		{"no date-time", func(a *answer) { a.edit(`"createdAt":"2025-06-07T`, `"createdAt":"2025-06-07 `) }},
		{"success is false", func(a *answer) { a.edit(`"success":true`, `"success":false`) }},
		{"blanks", func(a *answer) { a.edit(`{"success"`, `{ "success"`) }},
		{"trailing data", func(a *answer) { a.edit(`"smsOptOut":true}}}`, `"smsOptOut":true}}}x`) }},
		{"shape of a 404", func(a *answer) { a.status = 404 }},
		{"shape of a 400", func(a *answer) { a.status = 400 }},
		{"405 without Allow", func(a *answer) { a.status = 405 }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a := answer{method: good.method, status: good.status, header: good.header.Clone(), body: good.body}
			require.Empty(t, contractProblems(a))
			tc.change(&a)
			assert.NotEmpty(t, contractProblems(a))
		})
	}
}

// TestContractCheckOfTheOtherShapes shows the same for those of PATCH, DELETE,
// lists, 204 and 304.
func TestContractCheckOfTheOtherShapes(t *testing.T) {
	s := newService(t, nil)
	require.Equal(t, 200, s.direct(t, post("", customer("c-1", ""))).status)
	require.Equal(t, 200, s.direct(t, post("", customer("c-2", ""))).status)
	page := s.direct(t, list("?limit=1"))
	whole := s.direct(t, list(""))
	patched := s.direct(t, get("c-1").as("PATCH", `{"data":{"phone":"1"}}`))
	options := s.direct(t, get("c-1").as("OPTIONS", ""))
	same := s.direct(t, get("c-1", "If-None-Match: *"))
	deleted := s.direct(t, get("c-1").as("DELETE", ""))
	for _, tc := range []struct {
		name   string
		good   answer
		change func(*answer)
	}{
		{"list/no total", page, func(a *answer) { a.edit(`"total":null,`, "") }},
		{"list/cursor at the end", whole, func(a *answer) { a.edit(`"cursor":null`, `"cursor":"x"`) }},
		{"list/no cursor before the end", page, func(a *answer) { a.edit(`"hasNextPage":true`, `"hasNextPage":false`) }},
		{"list/total of a part", page, func(a *answer) { a.edit(`"total":null`, `"total":1`) }},
		{"list/wrong total", whole, func(a *answer) { a.edit(`"total":2`, `"total":3`) }},
		{"list/total as text", whole, func(a *answer) { a.edit(`"total":2`, `"total":"2"`) }},
		{"list/member of a resource missing", whole, func(a *answer) { a.edit(`"platform_id"`, `"platformID"`) }},
		{"list/no resource", whole, func(a *answer) { a.edit(`"results":[`, `"results":[null,`) }},
		{"list/something included", whole, func(a *answer) { a.edit(`"included":[]`, `"included":[1]`) }},
		{"list/tag", whole, func(a *answer) { a.header.Set("ETag", `"1-0123456789abcdef"`) }},
		{"patch/no tag", patched, func(a *answer) { a.header.Del("ETag") }},
		{"patch/weak tag", patched, func(a *answer) { a.header.Set("ETag", `W/"1-0123456789abcdef"`) }},
		{"patch/tag without quotes", patched, func(a *answer) { a.header.Set("ETag", `1-0123456789abcdef`) }},
		{"patch/no included", patched, func(a *answer) { a.edit(`,"included":[]`, "") }},
		{"patch/unknown field", patched, func(a *answer) { a.edit(`"phone":`, `"phon":`) }},
		{"patch/412 with a tag", patched, func(a *answer) { a.status = 412 }},
		{"delete/tag", deleted, func(a *answer) { a.header.Set("ETag", `"1-0123456789abcdef"`) }},
		{"delete/shape of a POST", deleted, func(a *answer) { a.method = "POST" }},
		{"options/no Allow", options, func(a *answer) { a.header.Del("Allow") }},
		{"options/body", options, func(a *answer) { a.body = "{}" }},
		{"304/no tag", same, func(a *answer) { a.header.Del("ETag") }},
		{"304/body", same, func(a *answer) { a.body = "{}" }},
		{"304/of a PATCH", same, func(a *answer) { a.method = "PATCH" }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := answer{method: tc.good.method, status: tc.good.status, header: tc.good.header.Clone(), body: tc.good.body}
			require.Empty(t, contractProblems(a))
			tc.change(&a)
			assert.NotEmpty(t, contractProblems(a))
		})
	}
}

// edit changes the body and keeps the Content-Length right.
func (a *answer) edit(from, to string) {
	a.body = strings.Replace(a.body, from, to, 1)
	a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
}
