package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"

	"github.com/tidwall/gjson"
)

// DefaultMaxBody is how many bytes a request body may have unless [Options] say
// otherwise: 1 MiB.
const DefaultMaxBody = 1 << 20

// ParseCreateOptions returns the policies that the request's query asks for:
//
//   - onconflict is upsert, as when it is absent, or reject;
//   - ignoreUnknownFields is true or false; absent, empty and null are false.
//
// Any other value, or one of the two given twice, is a [*Problem] with status
// 400. Other parameters are ignored, and names count to the letter: onConflict is
// another parameter.
func ParseCreateOptions(r *http.Request) (resource.CreateOptions, error) {
	var opts resource.CreateOptions
	query, err := parseQuery(r)
	if err != nil {
		return opts, err
	}
	var wrong []string
	switch values := query["onconflict"]; {
	case len(values) > 1:
		wrong = append(wrong, "onconflict: given more than once")
	case len(values) == 0 || values[0] == "upsert":
	case values[0] == "reject":
		opts.OnConflict = resource.Reject
	default:
		wrong = append(wrong, `onconflict: want "upsert" or "reject", in lower case`)
	}
	switch values := query["ignoreUnknownFields"]; {
	case len(values) > 1:
		wrong = append(wrong, "ignoreUnknownFields: given more than once")
	case len(values) == 0 || values[0] == "false" || values[0] == "" || values[0] == "null":
	case values[0] == "true":
		opts.UnknownFields = schema.IgnoreUnknown
	default:
		wrong = append(wrong, `ignoreUnknownFields: want "true" or "false", in lower case`)
	}
	if len(wrong) > 0 {
		return resource.CreateOptions{}, badRequest("the query is not valid", wrong...)
	}
	return opts, nil
}

func parseQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query is not valid: want parameters as name=value, percent-encoded and separated by &")
	}
	return query, nil
}

// ReadData reads the request's body, at most limit bytes (0: [DefaultMaxBody]), and
// returns the member data of the JSON object that it must hold. Other members
// are ignored. What data holds is judged by whom it is given to.
//
// The error is a [*Problem] when the body is not declared as JSON in UTF-8
// (status 415; no Content-Type at all counts as JSON), is no object or has no
// data (400); a [*schema.SyntaxError] with an offset in the body when it is not
// strict JSON; an [*http.MaxBytesError] when it is too large. w may be nil; it is
// there to close the connection behind a body that turns out too large.
func ReadData(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if err := checkContentType(r.Header); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = DefaultMaxBody
	}
	if r.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if r.Body == nil { // only in a request that no server made
		r.Body = http.NoBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return nil, err
		}
		// The client broke off, or was slower than the server waits.
		return nil, badRequest("the request body did not arrive whole")
	}
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

// parseBody checks that the body is strict JSON and returns the kind of its
// value. The data in it may be as deep as data may be.
func parseBody(body []byte) (strictjson.Kind, error) {
	d := strictjson.Get()
	defer strictjson.Put(d)
	if err := d.Parse(body, strictjson.MaxDepth+1); err != nil {
		var syntax *strictjson.SyntaxError
		if errors.As(err, &syntax) {
			return 0, &schema.SyntaxError{Offset: syntax.Offset, Reason: syntax.Reason}
		}
		return 0, err
	}
	return d.Nodes[0].Kind, nil
}

// checkContentType returns a problem unless the body is declared as plain JSON
// in UTF-8, or not declared at all.
func checkContentType(h http.Header) error {
	refuse := func(what string) error {
		return &Problem{
			Status:  http.StatusUnsupportedMediaType,
			Message: what + "; send the header Content-Type: application/json",
		}
	}
	for _, encoding := range h.Values("Content-Encoding") {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return &Problem{
				Status:  http.StatusUnsupportedMediaType,
				Message: "the request body is compressed; send it without Content-Encoding",
			}
		}
	}
	values := h.Values("Content-Type")
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 {
		return refuse("more than one Content-Type")
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil || mediaType != "application/json" {
		return refuse("the request body is not declared as JSON")
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return refuse("the request body is not declared as UTF-8")
	}
	return nil
}

// ExternalID returns the external id that the request's path names: the path
// value externalId or, when that is "-", the query parameter externalId, if
// there is one. A query that is not valid, or with two such parameters, is a
// [*Problem] with status 400. A route without the wildcard {externalId} is an
// error of the program.
func ExternalID(r *http.Request) (string, error) {
	id := r.PathValue(pathValue)
	if id == "" {
		return "", errors.New("httpapi: the route has no wildcard {" + pathValue + "}")
	}
	if id != "-" {
		return id, nil
	}
	query, err := parseQuery(r)
	if err != nil {
		return "", err
	}
	switch values := query[pathValue]; {
	case len(values) > 1:
		return "", badRequest(fmt.Sprintf("the query is not valid: %s given more than once", pathValue))
	case len(values) == 1 && values[0] != "":
		id = values[0]
	}
	return id, nil
}

// pathValue is the name of the wildcard for external ids in paths, and of the
// query parameter that can take its place.
const pathValue = "externalId"
