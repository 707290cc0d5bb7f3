package httpapi

import (
	"net/http"
	"strconv"

	"example.com/resourcekit/resource"
)

// WriteResult answers a POST: status 200 with the resource in data, for every
// outcome. opts may be nil.
func WriteResult(w http.ResponseWriter, result *resource.Result, opts *resource.ShapeOptions) {
	body := append(newBody(), `{"success":true,"message":"resource `...)
	body = append(body, result.Outcome.String()...)
	body = append(body, `","data":`...)
	write(w, http.StatusOK, append(result.AppendJSON(body, opts), '}'))
}

// WriteResource answers a GET: status 200 with the resource in data.result, and
// an empty data.included. opts may be nil.
func WriteResource(w http.ResponseWriter, res *resource.Resource, opts *resource.ShapeOptions) {
	body := append(newBody(), `{"success":true,"message":"resource found","data":{"result":`...)
	write(w, http.StatusOK, append(res.AppendJSON(body, opts), `,"included":[]}}`...))
}

// newBody returns an empty slice with room for an answer of the usual size.
func newBody() []byte { return make([]byte, 0, 2048) }

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// An error here means that the client is gone; there is nobody to tell.
	_, _ = w.Write(body)
}
