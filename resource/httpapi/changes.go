package httpapi

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
)

// ReadChanges reads a GET of the changes of a collection, for
// [resource.Collection.Changes], or for [StreamChanges] if stream is true: the header
// Accept names text/event-stream, and does not prefer application/json. The parameters
// are
//
//   - after, the cursor after which the changes begin: that of a page, or the id of an
//     event; or start, the first change that is kept; or end, the changes from now on.
//     If it is absent or empty, a page begins at the start, and a stream at the end.
//   - limit, the number of changes in a page, 1 to 1000; a stream has none;
//   - include, document, patch or both with a comma between them: see
//     [resource.Change].
//
// The header Last-Event-ID of a stream counts as after, and wins if both are given:
// clients send it when they connect again.
//
// also names the parameters that the handler itself reads. The error is a [*Problem]
// with status 400 for any other parameter, for another limit or include, and for what is
// given twice. Changes and StreamChanges judge the cursor.
func ReadChanges(r *http.Request, also ...string) (opts resource.ChangeOptions, stream bool, err error) {
	q, err := parseQuery(r)
	if err != nil {
		return opts, false, err
	}
	stream = acceptsStream(r)
	known := append([]string{after, limit, include}, also...)
	opts.Cursor, _ = q.one(after)
	if stream {
		known = append(known[:1:1], known[2:]...)
		if opts.Cursor == "" {
			opts.Cursor = "end"
		}
	} else {
		opts.Limit = q.limit()
	}
	switch opts.Cursor {
	case "start":
		opts.Cursor = ""
	case "end":
		opts.Cursor, opts.FromEnd = "", true
	}
	switch ids := r.Header[lastEventID]; {
	case !stream || len(ids) == 0:
	case len(ids) > 1:
		return opts, false, badRequest("the header Last-Event-ID is given more than once")
	case ids[0] != "":
		opts.Cursor, opts.FromEnd = ids[0], false
	}
	q.included(&opts)
	q.known(known)
	return opts, stream, q.err()
}

var lastEventID = http.CanonicalHeaderKey("Last-Event-ID")

// acceptsStream reports whether the client asks for server-sent events rather than JSON.
func acceptsStream(r *http.Request) bool {
	accept := strings.ToLower(strings.Join(r.Header["Accept"], ","))
	if !strings.Contains(accept, eventStream) { // the usual case
		return false
	}
	quality := map[string]float64{}
	for item := range strings.SplitSeq(accept, ",") {
		kind, parameters, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := parameters["q"]; ok {
			q, _ = strconv.ParseFloat(text, 64)
		}
		quality[kind] = max(q, quality[kind])
	}
	return quality[eventStream] > 0 && quality[eventStream] >= quality["application/json"]
}

// ReadHistory reads a GET of the history of a resource, for
// [resource.Collection.History]: its external id, and the parameters cursor, that of the
// page before, limit and include, as for [ReadChanges]. id, also and the errors are as
// for [ReadPatch] and ReadChanges. History judges the cursor.
func ReadHistory(r *http.Request, also ...string) (id string, opts resource.ChangeOptions, err error) {
	if id, err = externalID(r); err != nil {
		return "", opts, err
	}
	q, err := parseQuery(r)
	if err != nil {
		return "", opts, err
	}
	opts.Cursor, _ = q.one(cursor)
	opts.Limit = q.limit()
	q.included(&opts)
	q.known(append(append([]string{cursor, limit, include}, idParameter(r)...), also...))
	return id, opts, q.err()
}

// WriteChanges answers a GET of changes or of a history: status 200, the changes in
// data.results as [resource.Change.AppendJSON] makes them, and data.pagination with
// hasNextPage and cursor. After 1 MiB the answer ends, and the others are on the next
// page. The cursor is null after the oldest change of a history, and a text otherwise.
func WriteChanges(w http.ResponseWriter, page *resource.ChangePage) {
	more, next := page.More, page.Next
	b := newBody(`{"success":true,"message":"changes listed","data":{"results":[`)
	for i := range page.Changes {
		if i > 0 {
			b.text = append(b.text, ',')
		}
		b.text = page.Changes[i].AppendJSON(b.text)
		if len(b.text) > maxPageBytes && i+1 < len(page.Changes) {
			more, next = true, page.Changes[i].Cursor
			break
		}
	}
	b.text = append(b.text, `],"pagination":{"hasNextPage":`...)
	b.text = strconv.AppendBool(b.text, more)
	b.text = append(b.text, `,"cursor":`...)
	if next != "" {
		b.text = strictjson.AppendQuoted(b.text, next)
	} else {
		b.text = append(b.text, "null"...)
	}
	b.text = append(b.text, "}}}"...)
	b.write(w, http.StatusOK, "")
}
