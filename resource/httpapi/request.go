package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

// ReadCreate reads a POST of a collection, for [resource.Collection.Create]. data is the
// member data of the JSON object in the body, which may have maxBody bytes (1 MiB when 0
// or less); other members are ignored. opts has the policies of the query and the
// preconditions of the header:
//
//   - onconflict is upsert, the default, or reject;
//   - ignoreUnknownFields is true or false; absent, empty and null are false;
//   - If-Match and If-None-Match, see [ParsePreconditions].
//
// Other parameters are ignored, as the contract demands, unless their name is nearly one
// of these: another case, or at most two letters wrong.
//
// The error is a [*Problem]: 400 for a query, a header or a body that is not valid, 412
// as of ParsePreconditions, 415 for a body that is not declared as JSON in UTF-8 (without
// a Content-Type it is). It is a [*schema.SyntaxError], with an offset in the body, if
// the body around data is not strict JSON, and an [*http.MaxBytesError] if the body is
// too large. Create judges data itself, and counts offsets from its first byte.
//
// w may be nil. It is used to close the connection after a body that is too large.
func ReadCreate(
	w http.ResponseWriter, r *http.Request, maxBody int64,
) (data []byte, opts resource.WriteOptions, err error) {
	data, _, opts, err = readCreate(w, r, maxBody, false)
	return data, opts, err
}

// readCreate also returns where data begins in the body. required refuses a request
// without preconditions.
func readCreate(
	w http.ResponseWriter, r *http.Request, maxBody int64, required bool,
) (data []byte, at int, opts resource.WriteOptions, err error) {
	if opts, err = createQuery(r); err != nil {
		return nil, 0, opts, err
	}
	if opts.If, err = preconditions(r, required); err != nil {
		return nil, 0, opts, err
	}
	data, at, err = readData(w, r, maxBody)
	return data, at, opts, err
}

// ReadPatch reads a PATCH of a resource, for [resource.Collection.Patch]. id is its
// external id: the path value externalId or, if that is "-", the query parameter
// externalId, if there is one. patch is the merge patch (RFC 7396): the body itself if it
// is declared as application/merge-patch+json, otherwise its member data. opts has the
// preconditions, and ignoreUnknownFields as for [ReadCreate].
//
// The path value must be unescaped, as a [http.ServeMux] does it. With a router that
// keeps escapes, unescape the segment and set it with r.SetPathValue.
//
// also names the parameters that the handler itself reads. Any other parameter is a
// [*Problem] with status 400, and so is an externalId in the query that is empty or given
// twice. Other errors, w and maxBody are as for ReadCreate.
func ReadPatch(
	w http.ResponseWriter, r *http.Request, maxBody int64, also ...string,
) (id string, patch []byte, opts resource.WriteOptions, err error) {
	id, patch, _, opts, err = readPatchOf(w, r, maxBody, false, also)
	return id, patch, opts, err
}

func readPatchOf(
	w http.ResponseWriter, r *http.Request, maxBody int64, required bool, also []string,
) (id string, patch []byte, at int, opts resource.WriteOptions, err error) {
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

// ReadDelete reads a DELETE of a resource, for [resource.Collection.Delete]: its external
// id and the preconditions. id, also and the errors are as for [ReadPatch].
func ReadDelete(r *http.Request, also ...string) (id string, opts resource.WriteOptions, err error) {
	return readDelete(r, false, also)
}

func readDelete(r *http.Request, required bool, also []string) (id string, opts resource.WriteOptions, err error) {
	if id, err = ReadGet(r, also...); err != nil {
		return "", opts, err
	}
	opts.Actor = actor(r)
	opts.If, err = preconditions(r, required)
	return id, opts, err
}

// ReadGet reads a GET of a resource, for [resource.Collection.Get]: its external id. id,
// also and the errors are as for [ReadPatch]. [WriteGet] judges the preconditions.
func ReadGet(r *http.Request, also ...string) (id string, err error) {
	if err := checkQuery(r, append(idParameter(r), also...)...); err != nil {
		return "", err
	}
	return externalID(r)
}

// ReadList reads a GET of a collection, for [resource.Collection.List]. A page ends after
// 1 MiB of documents. The parameters are
//
//   - cursor, that of the page before; absent or empty begins the list;
//   - limit, the number of resources in a page, 1 to 1000;
//   - filter[NAME], the value that a field must have. NAME is the name of a field of s, a
//     JSON Pointer, resource.createdAt or resource.updatedAt. The value is the text of a
//     string, true or false, or the text of a number, as the field is declared. Several
//     filters must all hold, also two of one field.
//   - filter[NAME][from], the least value that the field may have; filter[NAME][to], a
//     value that it must be below; filter[NAME][prefix], the beginning of a string.
//   - sort, the name of a field as in a filter, or - and the name for descending order.
//
// also names the parameters that the handler itself reads. The error is a [*Problem]
// with status 400 for any other parameter, since a mistyped filter must not select
// everything; for another limit; for a cursor or limit given twice; for a filter without
// a name and for more than 100 filters; and for a value that is wrong only because a +
// in a URL stands for a blank. List judges the cursor and the filters.
//
// The values are part of the URL, which servers and proxies log: a service that must not
// log personal data does not let clients filter by such fields.
func ReadList(r *http.Request, s *schema.Schema, also ...string) (resource.ListOptions, error) {
	return listQuery(r, s, also)
}

// preconditions returns those of a write.
func preconditions(r *http.Request, required bool) (resource.Condition, error) {
	condition, err := ParsePreconditions(r)
	if err == nil && required && len(r.Header["If-Match"]) == 0 && len(r.Header["If-None-Match"]) == 0 {
		err = &Problem{
			Status:  http.StatusPreconditionRequired,
			Message: "this write needs a precondition: send the header If-Match with the ETag of the resource, or If-None-Match: * to create one",
		}
	}
	return condition, err
}

// externalID returns the external id that the request names, see [ReadPatch]. A route
// without the wildcard {externalId} is a mistake of the program.
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
	case len(values) == 1 && values[0] == "": // most likely a variable that is not set, and not the id "-"
		return "", badRequest("the query is not valid: " + pathValue + " is empty")
	case len(values) == 1:
		id = values[0]
	}
	return id, nil
}

// idParameter returns the query parameters that name the resource.
func idParameter(r *http.Request) []string {
	if r.PathValue(pathValue) == "-" { // otherwise there would be two ids
		return []string{pathValue}
	}
	return nil
}

// pathValue is the name of the wildcard for external ids in paths, and of the
// query parameter that can take its place.
const pathValue = "externalId"
