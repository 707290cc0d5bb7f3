package httpapi

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"example.com/resourcekit/internal/strictjson"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// The errors that hooks return, wrapped or not.
var (
	// ErrUnauthenticated: the request does not say who is calling, or not in
	// a way that can be believed. It is answered with 401.
	ErrUnauthenticated = errors.New("authentication failed")
	// ErrUnknownTenant: there is no such tenant, or the caller may not act
	// for it. It is answered with 404.
	ErrUnknownTenant = errors.New("unknown tenant")
)

// A Problem is what a client is told about an error. It is itself an error: the
// functions of this package return one when the request is at fault.
type Problem struct {
	Status  int      // the HTTP status code; 0 counts as 500
	Message string   // what went wrong, for people
	Errors  []string // every violation, when there are several things to say
	// RetryAfter is the number of seconds after which to try again, 0 for no
	// such advice.
	RetryAfter int
	// Header has further fields of the answer, such as Allow of a 405.
	Header http.Header
}

// Error returns the message.
func (p *Problem) Error() string { return "httpapi: " + p.Message }

func badRequest(message string, errs ...string) *Problem {
	return &Problem{Status: http.StatusBadRequest, Message: message, Errors: errs}
}

// retryAfter is the advice that goes with 503, in seconds.
const retryAfter = 1

// table is the one table from errors to problems; the first row that matches counts.
// ProblemOf looks at it last: after ErrUnauthenticated, whose cause may be any error, and
// after the errors that bring a text of their own. A 503 has the advice retryAfter.
var table = []struct {
	err     error
	status  int
	message string
}{
	{ErrUnknownTenant, http.StatusNotFound, "tenant not found"},
	{resource.ErrNotFound, http.StatusNotFound, "resource not found"},
	{resource.ErrNoRevision, http.StatusNotFound, "the history of the resource has no document of this revision"},
	{resource.ErrExists, http.StatusBadRequest, "the resource exists already"},
	{resource.ErrPrecondition, http.StatusPreconditionFailed, "precondition failed: the resource is not in the state that the request demands"},
	{resource.ErrBatchSize, http.StatusRequestEntityTooLarge, "the batch has too many items"},
	{resource.ErrCursor, http.StatusBadRequest, "the cursor is not valid: begin the list again"},
	{storage.ErrExpired, http.StatusGone, "the changes after this cursor are not kept any more: take a cursor with after=end, read all resources, and go on from the cursor"},
	{storage.ErrUnsupported, http.StatusNotImplemented, "the store of this service cannot do that"},
	{storage.ErrTooLarge, http.StatusRequestEntityTooLarge, "the resource would be too large to store"},
	// Before the contexts' errors, which may come together with it.
	{storage.ErrUnknownOutcome, http.StatusInternalServerError, "the outcome of the write is unknown: it may have been stored; read the resource before trying again"},
	{resource.ErrNotIndexed, http.StatusServiceUnavailable, "the index of this order is being built; try again later, or list without an order"},
	{storage.ErrUnavailable, http.StatusServiceUnavailable, "temporarily unavailable"},
	{storage.ErrClosed, http.StatusServiceUnavailable, "temporarily unavailable"},
	{storage.ErrConflict, http.StatusServiceUnavailable, "too many concurrent changes to this resource"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "not finished in time; nothing was changed"},
	{context.Canceled, http.StatusServiceUnavailable, "cancelled; nothing was changed"},
}

// ProblemOf returns what to tell a client about err: err itself when it is a
// [*Problem], and for an error it does not know a 500 without detail. The
// result is the caller's to change. err must not be nil.
func ProblemOf(err error) *Problem {
	var (
		problem *Problem
		invalid *schema.ValidationError
		syntax  *schema.SyntaxError
		failed  *resource.OpError
		tooLong *http.MaxBytesError
	)
	switch {
	case errors.Is(err, ErrUnauthenticated): // before any text that the hook may have got
		return &Problem{Status: http.StatusUnauthorized, Message: "authentication failed"}
	case errors.As(err, &problem) && problem != nil:
		p := *problem
		p.Errors, p.Header = slices.Clone(p.Errors), p.Header.Clone()
		if p.Status == 0 {
			p.Status = http.StatusInternalServerError
		}
		return &p
	case errors.As(err, &invalid):
		what := cmp.Or(invalid.Of, "data")
		return badRequest("the "+what+" is not valid", lines(what, invalid.Violations, invalid.More)...)
	case errors.As(err, &syntax):
		return badRequest("the request is not strict JSON: " + syntax.Reason + " at byte " + strconv.Itoa(syntax.Offset))
	case errors.Is(err, resource.ErrExists) && errors.As(err, &failed):
		return badRequest(failed.Err.Error())
	case errors.As(err, &tooLong):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Message: "the request body is larger than " + strconv.FormatInt(tooLong.Limit, 10) + " bytes"}
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			p := &Problem{Status: row.status, Message: row.message}
			if p.Status == http.StatusServiceUnavailable {
				p.RetryAfter = retryAfter
			}
			return p
		}
	}
	return &Problem{Status: http.StatusInternalServerError, Message: "internal error"}
}

// maxLines bounds the lines of a 400 in bytes. With a schema of short names, 100
// violations stay far below it.
const maxLines = 30 << 10

// lines returns the lines of a 400; whole is the place "" in words.
func lines(whole string, violations []schema.Violation, more int) []string {
	list := make([]string, 0, len(violations)+1)
	size := 0
	for i, v := range violations {
		line := v.String()
		if v.Pointer == "" {
			line = whole + ": " + line
		}
		if size += len(line); i > 0 && size > maxLines {
			more += len(violations) - i
			break
		}
		list = append(list, line)
	}
	if more > 0 {
		list = append(list, "and "+strconv.Itoa(more)+" more")
	}
	return list
}

// WriteError answers the request with the problem that err is, in the shape of
// the contract; see [ProblemOf]. A 401 has the header field WWW-Authenticate
// (RFC 9110, section 11.6.1): what w has already, or else Bearer.
func WriteError(w http.ResponseWriter, err error) {
	p := ProblemOf(err)
	h := w.Header()
	maps.Copy(h, p.Header)
	if p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", "Bearer")
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	b := newBody(`{"success":false,"message":`)
	b.text = strictjson.AppendQuoted(b.text, p.Message)
	switch {
	case p.Status == http.StatusNotFound:
		b.text = append(b.text, `,"data":{"error":`...)
		b.text = append(strictjson.AppendQuoted(b.text, p.Message), '}')
	case len(p.Errors) > 0:
		b.text = append(b.text, `,"errors":[`...)
		for i, line := range p.Errors {
			if i > 0 {
				b.text = append(b.text, ',')
			}
			b.text = strictjson.AppendQuoted(b.text, line)
		}
		b.text = append(b.text, ']')
	}
	b.text = append(b.text, '}')
	b.write(w, p.Status, "")
}
