package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
)

// WriteCreate answers a POST: status 200 for every outcome, the resource in data, its
// ETag, and Dropped-Fields. It is not for a dry run, see [ETag]. opts may be nil.
func WriteCreate(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	b := newBody(`{"success":true,"message":"resource `, string(result.Outcome), `","data":`)
	b.text = append(result.AppendJSON(b.text, opts), '}')
	setDropped(w, result.Dropped)
	b.write(w, http.StatusOK, ETag(&result.Resource))
}

// WritePatch answers a PATCH: status 200, the resource in data.result, an empty
// data.included, its ETag, and Dropped-Fields. It is not for a dry run, see [ETag]. opts
// may be nil.
func WritePatch(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	setDropped(w, result.Dropped)
	writeWrapped(w, string(result.Outcome), &result.Resource, ETag(&result.Resource), opts)
}

// WriteDelete answers a DELETE: status 200, the resource as it was in data.result, and an
// empty data.included. opts may be nil.
func WriteDelete(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	writeWrapped(w, string(result.Outcome), &result.Resource, "", opts)
}

// WriteGet answers a GET: status 200, the resource in data.result, an empty
// data.included, and its ETag; or as [WriteNotModified] does, if the client has this
// revision already. The error is that of [Modified]; nothing has been written then. opts
// may be nil.
func WriteGet(w http.ResponseWriter, r *http.Request, res *resource.Resource, opts *resource.ShapeOptions) error {
	modified, err := Modified(r, res)
	switch {
	case err != nil:
		return err
	case !modified:
		WriteNotModified(w, res)
	default:
		writeWrapped(w, "found", res, ETag(res), opts)
	}
	return nil
}

func writeWrapped(w http.ResponseWriter, what string, res *resource.Resource, tag string, opts *resource.ShapeOptions) {
	b := newBody(`{"success":true,"message":"resource `, what, `","data":{"result":`)
	b.text = append(res.AppendJSON(b.text, opts), `,"included":[]}}`...)
	b.write(w, http.StatusOK, tag)
}

// WriteNotModified answers a GET of a resource that the client has already: status 304,
// its ETag, and no body (RFC 9110, section 15.4.5).
func WriteNotModified(w http.ResponseWriter, res *resource.Resource) {
	if tag := ETag(res); tag != "" {
		w.Header().Set("ETag", tag)
	}
	w.WriteHeader(http.StatusNotModified)
}

// maxDropped bounds the header Dropped-Fields in bytes.
const maxDropped = 1 << 10

// setDropped sets the header Dropped-Fields: the JSON Pointers of the unknown fields
// that were left out, percent-encoded except slashes and separated by commas, at
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

// WriteList answers a GET of a collection: status 200, the resources in data.results, an
// empty data.included, and data.pagination. The cursor of the next page is null on the
// last one. The total is a number only if this page is the whole list, without damaged
// records, and otherwise null. asked are the options of the list, nil for none; opts may
// be nil.
func WriteList(w http.ResponseWriter, page *resource.Page, asked *resource.ListOptions, opts *resource.ShapeOptions) {
	b := newBody(`{"success":true,"message":"resources listed","data":{"results":[`)
	for i, res := range page.Resources {
		if i > 0 {
			b.text = append(b.text, ',')
		}
		b.text = res.AppendJSON(b.text, opts)
		if i == 0 { // the others are most likely as long
			b.text = slices.Grow(b.text, min((len(page.Resources)-1)*len(b.text), maxPageBytes))
		}
	}
	b.text = append(b.text, `],"included":[],"pagination":{"hasNextPage":`...)
	b.text = strconv.AppendBool(b.text, page.Next != "")
	b.text = append(b.text, `,"total":`...)
	if first := asked == nil || asked.Cursor == ""; first && page.Next == "" && page.Damaged == nil {
		b.text = strconv.AppendInt(b.text, int64(len(page.Resources)), 10)
	} else {
		b.text = append(b.text, "null"...)
	}
	b.text = append(b.text, `,"cursor":`...)
	if page.Next != "" {
		b.text = strictjson.AppendQuoted(b.text, page.Next)
	} else {
		b.text = append(b.text, "null"...)
	}
	b.text = append(b.text, "}}}"...)
	b.write(w, http.StatusOK, "")
}

// A body is the text of an answer, in memory that is used again.
type body struct{ text []byte }

var bodies = sync.Pool{New: func() any { return &body{make([]byte, 0, 2048)} }}

// newBody returns a body that begins with these texts, to be written by write.
func newBody(texts ...string) *body {
	b := bodies.Get().(*body)
	b.text = b.text[:0]
	for _, text := range texts {
		b.text = append(b.text, text...)
	}
	return b
}

// write answers with the body, and with an ETag unless tag is "".
func (b *body) write(w http.ResponseWriter, status int, tag string) {
	if x, ok := w.(*exchange); ok && !x.admit(len(b.text)) {
		return // x.answer makes it again
	}
	// One array for the values, under names in their canonical form.
	h, values := w.Header(), &[4]string{"application/json", "nosniff", strconv.Itoa(len(b.text)), tag}
	h["Content-Type"], h["X-Content-Type-Options"], h["Content-Length"] = values[:1:1], values[1:2:2], values[2:3:3]
	if tag != "" {
		h["Etag"] = values[3:]
	}
	w.WriteHeader(status)
	// An error means that the client is gone, and no answer can reach it. The writer of
	// an HTTP/2 stream that was reset may even be reading the text still.
	if _, err := w.Write(b.text); err == nil && cap(b.text) <= maxPooled {
		bodies.Put(b)
	}
}

// maxPooled bounds the memory that is used again, in bytes.
const maxPooled = 64 << 10
