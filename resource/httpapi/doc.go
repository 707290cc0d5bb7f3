// Package httpapi speaks the HTTP contract of resources: it turns requests into
// calls of a [resource.Collection] and their outcomes into answers. It is the
// only package of this module that knows net/http.
//
// # The ready handler
//
// [NewAPI] serves collections, each under the name of its schema. For one that is
// named customers:
//
//	POST   /api/resources/customers                 create or merge
//	GET    /api/resources/customers                 list
//	GET    /api/resources/customers/{externalId}    read one
//	PATCH  /api/resources/customers/{externalId}    merge, and never create
//	DELETE /api/resources/customers/{externalId}    delete one
//
// HEAD is GET without the body. OPTIONS is a 204 with the methods of the path in
// Allow. An API asks two [Hooks] of the service: who is calling, and which tenant
// is meant.
//
//	api, err := httpapi.NewAPI(hooks, nil, customers, locations, transactions)
//	...
//	http.ListenAndServe(addr, api)
//
// POST takes {"data": {...}} and the query parameters onconflict (upsert or
// reject) and ignoreUnknownFields (true or false), and answers
// {"success":true,"message":...,"data":RESOURCE} with status 200, whether the
// resource was created, updated or left as it was. GET of one resource answers
// {"success":true,"message":...,"data":{"result":RESOURCE,"included":[]}}. PATCH
// takes {"data": {...}}, or the patch itself as application/merge-patch+json (RFC
// 7396), and ignoreUnknownFields, and answers as GET does with the
// resource as it is then, DELETE with the resource as it was.
// RESOURCE is what [resource.Resource.AppendJSON] makes. The contract has no
// member for what a write did; the message says whether the resource was created,
// updated, unchanged or deleted, and a handler of one's own has all of
// [resource.Result]. Unknown fields that were left out are told in the header
// Dropped-Fields: JSON Pointers, percent-encoded, separated by commas, at most 1 KiB
// and then "...".
//
// A null deletes the field, and so brings the default of emailOptOut back, which is
// false. [Options].Nulls is for services whose clients send null for "not set".
//
// A parameter that a route does not know is a 400, so that a mistyped filter does
// not select everything. POST alone ignores them, as the contract has it, but for
// those that nearly have the name of one of its own, such as onConflict.
//
// # Lists
//
// A list is in the byte order of the external ids. Its parameters, and its
// filters by equality (filter[email]=ada@example.com), are those of
// [ReadList]. It answers
//
//	{"success":true,"message":...,"data":{"results":[RESOURCE,...],"included":[],
//	 "pagination":{"hasNextPage":true,"total":null,"cursor":"..."}}}
//
// The cursor is null at the end, and goes into the parameter cursor until then,
// with the same filter. A page can have fewer resources than the limit, even
// none, and still not be the last. The total is a number only when the whole
// list is in this one page; nobody counts it for a page.
//
// A page ends with the document that makes it larger than 1 MiB, whatever the limit.
//
// A record whose stored document is damaged, by hand or by a disk, is left out of lists
// and told to [Options].OnError with its ID. Its GET, PATCH and POST are a 500, and its
// DELETE works.
//
// The values of a filter stand in the URL, and so end up in the logs of servers
// and proxies. Let clients filter by personal data only where that may be.
//
// # Preconditions
//
// Every answer with one resource has an ETag, except that to DELETE: a strong one,
// made of the revision ([ETag]). If-Match and If-None-Match are compared with it (RFC
// 9110); the comparison and the write are one atomic step:
//
//	If-Match: "..."       PATCH, DELETE, POST: only if nobody was faster, else 412
//	If-None-Match: *      POST: only if there is none yet, else 412
//	If-None-Match: "..."  GET: 304 if the client has this one
//
// A tag that the service has not made matches nothing, and neither does a weak one in
// If-Match: a proxy that compresses answers and changes their tags makes every
// If-Match fail, and the 412 says so. [Options].RequirePrecondition refuses writes with
// neither field. Content that was changed and changed back has another tag. A resource
// that does not exist is a 404, unless If-Match can never match; a POST, which would
// create it, is a 412 then. A list has no tag, and ignores both fields.
//
// The tag is of the revision alone. What a reader is shown of one revision can
// change when the service gets another edition of the schema or another
// [Options].Shape: clients that must see that do without If-None-Match.
//
// Answers have neither Cache-Control nor Vary. A service that lets caches keep
// them says in Vary what its hooks look at, at least reach-tenant-id.
//
// # External ids in paths
//
// An external id is one path segment, percent-encoded: "a/b" is
// /api/resources/customers/a%2Fb. The ids "." and ".." have to be sent in
// another way, because clients and proxies take such segments for steps in the
// path even when they are encoded; so does the id "batch", whose segment is kept
// free for batches and is no route in any spelling. The segment "-" with the
// query parameter externalId names the id in the parameter, whatever it is, for
// GET, PATCH and DELETE alike:
//
//	GET /api/resources/customers/-?externalId=batch
//
// Without the parameter, "-" is an id like any other. An empty parameter is a 400:
// it is most likely a variable that a client has not set.
//
// # Mounting
//
// An [API] is a handler for a whole server or for a subtree of one. It matches
// the path as it was sent, in which a percent-encoded letter is the letter, and
// redirects nothing. It wants the whole path: mount it without [http.StripPrefix],
// and say with Options.Prefix where it is. [API.Routes] is the same as a table, for
// a service that mounts all or some of the routes on a router of its own:
//
//	for _, r := range api.Routes() {
//		mux.Handle(r.String(), r.Handler)
//	}
//
// A [http.ServeMux] is not as patient with paths. In front of the API, whole or in
// parts, it redirects a path with empty segments or with "." and ".." as they
// are, and mounted in parts it does not find the id "/" (%2F alone). All of these
// are reached by the parameter. Every other id, with encoded slashes or dots in
// it or not, is answered alike.
//
// # Clients that stall
//
// A GET of 61 bytes can ask for an answer of a megabyte, and its client need not
// read it. An API bounds the bytes that large bodies and answers hold
// ([Options].MaxInFlight) and cuts clients that take or send nothing
// ([Options].StallTimeout, sooner while others wait for room). Bodies and answers of
// up to 16 KiB are not counted and never wait. The rest is the server's: set
// ReadHeaderTimeout, ReadTimeout, WriteTimeout and IdleTimeout of [http.Server],
// and bound the number of connections.
//
// # Errors
//
// Every error is a [Problem], and [ProblemOf] is the one table from errors to
// problems. A 400 is {"success":false,"message":...,"errors":[...]}, a 404 is
// {"success":false,"message":...,"data":{"error":...}}, everything else has the
// shape of the 400:
//
//	400  the request is wrong, and errors has all its violations; or the
//	     resource exists and onconflict is reject
//	401  Authenticate failed
//	404  no such resource, tenant or route
//	405  the route has no such method; see Allow
//	408  the body did not arrive in time, see Options.StallTimeout
//	412  a precondition does not hold
//	413  the body is too large
//	415  the body is not declared as JSON in UTF-8, or is compressed
//	500  anything unexpected, without detail; or the outcome of a write is unknown
//	503  the store is unavailable or too busy, or there was no room for a large
//	     request, see Options.MaxInFlight; see Retry-After
//
// A tenant that does not exist and one that the caller may not act for answer
// alike, and so do a resource that does not exist and one of another tenant,
// preconditions included. No answer to a wrong request holds a value of it, and
// none is longer than 64 KiB.
//
// # The kit
//
// The handler is a thin use of functions that a service can call in handlers of its
// own, see [HandlerFunc]. They find the tenant ([Hooks.Tenant]), read a request
// ([ReadCreate], [ReadPatch], [ReadDelete], [ReadGet], [ReadList]), and answer it
// ([WriteCreate], [WritePatch], [WriteDelete], [WriteGet], [WriteList],
// [WriteError]). A handler with an envelope of its own uses [ProblemOf], [ETag] and
// [Modified].
package httpapi
