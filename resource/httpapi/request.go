package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

// ReadCreate reads a POST of a collection: data is the member data of the JSON object
// in the body, of at most maxBody bytes (1 MiB when 0 or less), and opts are the
// policies in the query and the preconditions in the header:
//
//   - onconflict is upsert, as when it is absent, or reject;
//   - ignoreUnknownFields is true or false; absent, empty and null are false;
//   - If-Match and If-None-Match, see [ParsePreconditions].
//
// Other parameters are ignored, as the contract demands, unless their name is nearly
// one of these: another case, or at most two letters wrong. So are other members of
// the body.
//
// The error is a [*Problem]: 400 for a query, a header or a body that is not valid,
// 412 by ParsePreconditions, 415 when the body is not declared as JSON in UTF-8 (no
// Content-Type at all counts as JSON); a [*schema.SyntaxError] with an offset in the
// body when it is not strict JSON around data; an [*http.MaxBytesError] when it is too
// large. What data holds is judged by [resource.Collection.Create], which counts the
// offset of a SyntaxError from the first byte of data. w may be nil; it is there to
// close the connection after a body that turns out too large.
func ReadCreate(w http.ResponseWriter, r *http.Request, maxBody int64) (data []byte, opts resource.CreateOptions, err error) {
	data, _, opts, err = readCreate(w, r, maxBody, false)
	return data, opts, err
}

// readCreate also returns where data begins in the body. If required is true, a
// request without preconditions is refused.
func readCreate(w http.ResponseWriter, r *http.Request, maxBody int64, required bool) (data []byte, at int, opts resource.CreateOptions, err error) {
	if opts, err = createQuery(r); err != nil {
		return nil, 0, opts, err
	}
	if opts.If, err = preconditions(r, required); err != nil {
		return nil, 0, opts, err
	}
	data, at, err = readData(w, r, maxBody)
	return data, at, opts, err
}

// ReadPatch reads a PATCH of a resource. id is its external id: the path value
// externalId or, when that is "-", the query parameter externalId, if there is one.
// The path value must be the id itself, as a [http.ServeMux] has it: some routers hand
// a segment on as it was sent, so take its escapes away first, and put it there with
// r.SetPathValue. patch is the merge patch (RFC 7396): the body if it is declared as
// application/merge-patch+json, otherwise the member data of it. opts are the
// preconditions, and ignoreUnknownFields as for [ReadCreate].
//
// also names parameters that the handler itself reads. Any other is a [*Problem] with
// status 400, and so is an externalId in the query that is empty or given twice. Other
// errors, w and maxBody are those of ReadCreate.
func ReadPatch(w http.ResponseWriter, r *http.Request, maxBody int64, also ...string) (id string, patch []byte, opts resource.PatchOptions, err error) {
	id, patch, _, opts, err = readPatchOf(w, r, maxBody, false, also)
	return id, patch, opts, err
}

func readPatchOf(w http.ResponseWriter, r *http.Request, maxBody int64, required bool, also []string) (id string, patch []byte, at int, opts resource.PatchOptions, err error) {
	if id, err = externalID(r); err != nil {
		return "", nil, 0, opts, err
	}
	if opts, err = patchQuery(r, also); err != nil {
		return "", nil, 0, opts, err
	}
	if opts.If, err = preconditions(r, required); err != nil {
		return "", nil, 0, opts, err
	}
	patch, at, err = readPatch(w, r, maxBody)
	return id, patch, at, opts, err
}

// ReadDelete reads a DELETE of a resource: its external id and the preconditions. id,
// also and the errors are those of [ReadPatch].
func ReadDelete(r *http.Request, also ...string) (id string, opts resource.DeleteOptions, err error) {
	return readDelete(r, false, also)
}

func readDelete(r *http.Request, required bool, also []string) (id string, opts resource.DeleteOptions, err error) {
	if id, err = ReadGet(r, also...); err != nil {
		return "", opts, err
	}
	opts.If, err = preconditions(r, required)
	return id, opts, err
}

// ReadGet reads a GET of a resource: its external id. id, also and the errors are those
// of [ReadPatch]. The preconditions are judged by [WriteGet], or by [Modified].
func ReadGet(r *http.Request, also ...string) (id string, err error) {
	if err := checkQuery(r, append(idParameter(r), also...)...); err != nil {
		return "", err
	}
	return externalID(r)
}

// ReadList reads a GET of a collection:
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
func ReadList(r *http.Request, s *schema.Schema, also ...string) (resource.ListOptions, error) {
	return listQuery(r, s, also)
}

// preconditions returns those of a write.
func preconditions(r *http.Request, required bool) (resource.Condition, error) {
	condition, err := ParsePreconditions(r)
	if err == nil && required && len(r.Header.Values("If-Match")) == 0 && len(r.Header.Values("If-None-Match")) == 0 {
		err = &Problem{
			Status:  http.StatusPreconditionRequired,
			Message: "the request must say over what it may write: send the header If-Match with the ETag of the resource, or If-None-Match: * to create one",
		}
	}
	return condition, err
}

// externalID returns the external id that the request's path names: the path
// value externalId or, when that is "-", the query parameter externalId, if
// there is one. A query that is not valid, or with two such parameters or an empty
// one, is a [*Problem] with status 400. A route without the wildcard {externalId}
// is an error of the program.
func externalID(r *http.Request) (string, error) {
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
