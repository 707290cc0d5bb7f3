package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
)

// WriteCreate answers a POST: status 200 with the resource in data and its ETag, for
// every outcome, and with Dropped-Fields. It is not for a dry run, see [ETag]. opts may
// be nil.
func WriteCreate(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	body := append(newBody(), `{"success":true,"message":"resource `...)
	body = append(body, result.Outcome.String()...)
	body = append(body, `","data":`...)
	setETag(w, &result.Resource)
	setDropped(w, result.Dropped)
	write(w, http.StatusOK, append(result.AppendJSON(body, opts), '}'))
}

// WritePatch answers a PATCH: status 200 with the resource in data.result, its ETag,
// an empty data.included, and with Dropped-Fields. It is not for a dry run, see
// [ETag]. opts may be nil.
func WritePatch(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	setETag(w, &result.Resource)
	setDropped(w, result.Dropped)
	writeWrapped(w, result.Outcome.String(), &result.Resource, opts)
}

// WriteDelete answers a DELETE: status 200 with the resource as it was in data.result
// and an empty data.included. opts may be nil.
func WriteDelete(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	writeWrapped(w, result.Outcome.String(), &result.Resource, opts)
}

// WriteGet answers a GET: status 200 with the resource in data.result, its ETag, and
// an empty data.included; or as [WriteNotModified], when the client has the resource
// already. The error is that of [Modified], and nothing has been written then. opts may
// be nil.
func WriteGet(w http.ResponseWriter, r *http.Request, res *resource.Resource, opts *resource.ShapeOptions) error {
	modified, err := Modified(r, res)
	switch {
	case err != nil:
		return err
	case !modified:
		WriteNotModified(w, res)
	default:
		setETag(w, res)
		writeWrapped(w, "found", res, opts)
	}
	return nil
}

func writeWrapped(w http.ResponseWriter, what string, res *resource.Resource, opts *resource.ShapeOptions) {
	body := append(newBody(), `{"success":true,"message":"resource `...)
	body = append(body, what...)
	body = append(body, `","data":{"result":`...)
	write(w, http.StatusOK, append(res.AppendJSON(body, opts), `,"included":[]}}`...))
}

// WriteNotModified answers a GET of a resource that the client has already:
// status 304 with its ETag, and no body (RFC 9110, section 15.4.5).
func WriteNotModified(w http.ResponseWriter, res *resource.Resource) {
	setETag(w, res)
	w.WriteHeader(http.StatusNotModified)
}

// maxDropped bounds the header Dropped-Fields in bytes.
const maxDropped = 1 << 10

// setDropped sets the header Dropped-Fields: the JSON Pointers of the unknown fields
// that were left out, percent-encoded but for slashes and separated by commas, at
// most 1 KiB of them and then "...".
func setDropped(w http.ResponseWriter, pointers []string) {
	var list []byte
	for i, pointer := range pointers {
		before := len(list)
		if i > 0 {
			list = append(list, ',')
		}
		for _, c := range []byte(pointer) {
			if c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || c-'0' <= 9 || c|0x20-'a' < 26 {
				list = append(list, c)
			} else {
				list = fmt.Appendf(list, "%%%02X", c)
			}
			if len(list) > maxDropped {
				break
			}
		}
		if len(list) > maxDropped {
			if list = list[:before]; i > 0 {
				list = append(list, ',')
			}
			list = append(list, "..."...)
			break
		}
	}
	if len(list) > 0 {
		w.Header().Set("Dropped-Fields", string(list))
	}
}

func setETag(w http.ResponseWriter, res *resource.Resource) {
	if tag := ETag(res); tag != "" {
		w.Header().Set("ETag", tag)
	}
}

// WriteList answers a GET of a collection: status 200 with the resources in data.results, an
// empty data.included, and data.pagination. The cursor of the next page is null
// at the end. The total is a number only when this page is the whole list, with no
// damaged record left out, and otherwise null: it is not counted. asked are the options of
// the list, nil for none; opts may be nil.
func WriteList(w http.ResponseWriter, page *resource.Page, asked *resource.ListOptions, opts *resource.ShapeOptions) {
	body := append(newBody(), `{"success":true,"message":"resources listed","data":{"results":[`...)
	for i, res := range page.Resources {
		if i > 0 {
			body = append(body, ',')
		}
		body = res.AppendJSON(body, opts)
		if i == 0 { // the others are most likely as long
			body = slices.Grow(body, min((len(page.Resources)-1)*len(body), maxPageBytes))
		}
	}
	body = append(body, `],"included":[],"pagination":{"hasNextPage":`...)
	body = strconv.AppendBool(body, page.Next != "")
	body = append(body, `,"total":`...)
	if first := asked == nil || asked.Cursor == ""; first && page.Next == "" && page.Damaged == nil {
		body = strconv.AppendInt(body, int64(len(page.Resources)), 10)
	} else {
		body = append(body, "null"...)
	}
	body = append(body, `,"cursor":`...)
	if page.Next != "" {
		body = strictjson.AppendQuoted(body, page.Next)
	} else {
		body = append(body, "null"...)
	}
	write(w, http.StatusOK, append(body, "}}}"...))
}

// newBody returns an empty slice with room for an answer of the usual size.
func newBody() []byte { return make([]byte, 0, 2048) }

func write(w http.ResponseWriter, status int, body []byte) {
	if x, ok := w.(*exchange); ok && !x.admit(len(body)) {
		return // x.answer makes it again
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// An error here means that the client is gone; there is nobody to tell.
	_, _ = w.Write(body)
}
