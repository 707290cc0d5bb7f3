// Package httpapi speaks the HTTP contract of resources: it turns requests into
// calls of a [resource.Collection] and their outcomes into answers. It is the
// only package of this module that knows net/http.
//
// # The ready handler
//
// [NewHandler] serves the collection of a schema named customers at
//
//	POST /api/resources/customers                 create or merge
//	GET  /api/resources/customers/{externalId}    read one
//
// It asks two [Hooks] of the service: who is calling, and which tenant is meant.
//
// POST takes {"data": {...}} and the query parameters onconflict (upsert or
// reject) and ignoreUnknownFields (true or false), and answers
// {"success":true,"message":...,"data":RESOURCE} with status 200, whether the
// resource was created, updated or left as it was. GET answers
// {"success":true,"message":...,"data":{"result":RESOURCE,"included":[]}}.
// RESOURCE is what [resource.Resource.AppendJSON] makes. The contract has no
// member for what a write did; the message says whether the resource was created,
// updated or unchanged, and a handler of one's own has all of
// [resource.Result], dropped fields included.
//
// # External ids in paths
//
// An external id is one path segment, percent-encoded: "a/b" is
// /api/resources/customers/a%2Fb. The ids "." and ".." have to be sent in
// another way, because clients and proxies take such segments for steps in the
// path even when they are encoded: the segment "-" with the query parameter
// externalId names the id in the parameter, whatever it is:
//
//	GET /api/resources/customers/-?externalId=..
//
// Without the parameter, "-" is an id like any other. The handler matches the
// path as it was sent and redirects nothing; a ServeMux in front of it may.
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
//	413  the body is too large
//	415  the body is not declared as JSON in UTF-8
//	500  anything unexpected, without detail; or the outcome of a write is unknown
//	503  the store is unavailable or too busy; see Retry-After
//
// A tenant that does not exist and one that the caller may not act for answer
// alike. No answer to a wrong request holds a value of it, and none is longer
// than 64 KiB.
//
// # The kit
//
// The handler is a thin use of functions that a service can call in handlers of
// its own, with an envelope of its own: [Hooks.Tenant], [ParseCreateOptions],
// [ReadData], [ExternalID], [WriteResult], [WriteResource] and [WriteError].
package httpapi
