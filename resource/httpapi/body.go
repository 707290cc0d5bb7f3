package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"example.com/resourcekit/internal/strictjson"
)

// DefaultMaxBody is how many bytes a request body may have unless [Options] say
// otherwise: 1 MiB.
const DefaultMaxBody = 1 << 20

// maxPageBytes is how many bytes the documents of a page have together, without the last
// one: 1 MiB.
const maxPageBytes = 1 << 20

// readData returns the member data of the request's body, and where it begins in it.
// Other members are ignored.
func readData(w http.ResponseWriter, r *http.Request, limit int64) (data []byte, at int, err error) {
	if _, err := contentType(r.Header, typeJSON); err != nil {
		return nil, 0, err
	}
	body, err := readBody(w, r, limit)
	if err != nil {
		return nil, 0, err
	}
	return dataOf(body)
}

// readPatch returns the merge patch in the body of a PATCH, and where it begins. A
// body that is declared as application/merge-patch+json is the patch itself.
func readPatch(w http.ResponseWriter, r *http.Request, limit int64) (patch []byte, at int, err error) {
	mediaType, err := contentType(r.Header, typeJSON, typeMergePatch)
	if err != nil {
		return nil, 0, err
	}
	body, err := readBody(w, r, limit)
	if err != nil || mediaType == typeMergePatch {
		return body, 0, err
	}
	return dataOf(body)
}

// dataOf returns the member data of a body, and where it begins in it. The body must be
// an object in strict JSON around data. Whether data is strict JSON itself is left to
// the collection, so that it is read once, if it is an object: nothing else is of use.
//
// Find says where data is. The body is strict JSON around it exactly if it is with 0 in
// the place of data.
func dataOf(body []byte) (data []byte, at int, err error) {
	const want = `expected a JSON object with the member "data"`
	start, end, alone := strictjson.Find(body, "data")
	object := start < end && body[start] == '{'
	if object && alone {
		return body[start:end:end], start, nil
	}
	d := strictjson.Get()
	defer strictjson.Put(d)
	if object && d.Parse(slices.Concat(body[:start], []byte{'0'}, body[end:]), maxBodyDepth) == nil {
		return body[start:end:end], start, nil
	}
	if err := d.Parse(body, maxBodyDepth); err != nil {
		return nil, 0, err
	}
	if kind := d.Nodes[0].Kind; kind != strictjson.Object {
		return nil, 0, badRequest("the request body is not valid: found " + kind.String() + ", " + want)
	}
	c, ok := d.Find(0, strictjson.HashName("data"), "data")
	if !ok {
		return nil, 0, badRequest(`the request body is not valid: found no member "data", ` + want)
	}
	return d.Text(c), int(d.Nodes[c].Start), nil
}

// maxBodyDepth is what data may have and one level around it.
const maxBodyDepth = strictjson.MaxDepth + 1

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
	if r.ContentLength < 0 { // otherwise the server gives no more
		from = http.MaxBytesReader(to, io.NopCloser(from), limit)
	}
	// One byte more than expected, to see the end. What a client only promises to
	// send takes no memory.
	body := make([]byte, 0, min(size, smallBytes)+1)
	for {
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit: // a middleware made it longer than it was declared
			return nil, &http.MaxBytesError{Limit: limit}
		case err == io.EOF && x != nil:
			return body, x.begin(r.Context(), body)
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, bodyError(err)
		case len(body) < cap(body):
		case int64(len(body)) <= r.ContentLength:
			body = slices.Grow(body, int(r.ContentLength)+1-len(body))
		default:
			body = slices.Grow(body, len(body))
		}
	}
}

// bodyError returns what a client is told about an error of reading its body.
func bodyError(err error) error {
	var tooLong *http.MaxBytesError
	var problem *Problem
	switch {
	case errors.As(err, &tooLong), errors.As(err, &problem):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Problem{
			Status:  http.StatusRequestTimeout,
			Message: "the request body did not arrive in time",
			Header:  http.Header{"Connection": {"close"}},
		}
	}
	return badRequest("the request body did not arrive whole") // the client broke off
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
	for _, encoding := range h["Content-Encoding"] {
		if encoding != "" && !strings.EqualFold(encoding, "identity") {
			return "", &Problem{
				Status:  http.StatusUnsupportedMediaType,
				Message: "the request body is compressed; send it without Content-Encoding",
				Header:  http.Header{"Accept-Encoding": {"identity"}}, // RFC 9110, section 15.5.16
			}
		}
	}
	values := h["Content-Type"]
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == typeJSON: // the usual case
		return typeJSON, nil
	case len(values) > 1:
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
