// Package httpapi serves resources over HTTP: a ready handler for the whole contract,
// and the functions it is made of, for handlers of a service's own. It is the only
// package of this module that uses net/http.
//
//	api, err := httpapi.NewAPI(hooks, nil, customers, locations, transactions)
//	...
//	http.ListenAndServe(addr, api)
//
// # The ready handler
//
// [NewAPI] serves collections, each under the name of its schema. For customers:
//
//	POST   /api/resources/customers                 create or merge
//	GET    /api/resources/customers                 list
//	GET    /api/resources/customers/{externalId}    read one
//	PATCH  /api/resources/customers/{externalId}    merge, and never create
//	DELETE /api/resources/customers/{externalId}    delete one
//
// and, of collections that log changes (resource.Options.Log):
//
//	GET    /api/resources/customers/{externalId}/history   changes of one
//	GET    /api/changes?schema=customers                   changes of all, or a stream
//
// HEAD is GET without the body. OPTIONS is a 204 with the methods of the path in Allow.
// The service answers two questions by its [Hooks]: who is calling, and which tenant is
// meant.
//
// POST takes {"data": {...}} and the query parameters of [ReadCreate]. Its answer has
// status 200, whether the resource was created, updated or left unchanged:
//
//	{"success":true,"message":...,"data":RESOURCE}
//
// GET, PATCH and DELETE of one resource answer
//
//	{"success":true,"message":...,"data":{"result":RESOURCE,"included":[]}}
//
// PATCH takes {"data": {...}}, or the patch itself as application/merge-patch+json (RFC
// 7396), and answers with the resource after the change. DELETE answers with the
// resource as it was. RESOURCE is what [resource.Resource.AppendJSON] makes.
//
// The message says what was done: created, updated, unchanged, deleted. The header
// Dropped-Fields names the unknown fields that were left out: JSON Pointers,
// percent-encoded, separated by commas, at most 1 KiB and then "...".
//
// A null deletes a field, which brings back its default: false for emailOptOut. If your
// clients send null for "not set", set [Options].Nulls.
//
// A parameter that the route does not know is a 400: a mistyped filter must not select
// everything. POST ignores unknown parameters, as the contract demands, unless their
// name is nearly that of a known one, such as onConflict.
//
// # Lists
//
// [ReadList] has the parameters of a list, such as filter[email]=ada@example.com and
// sort=-createdAt. Without them, a list is in the byte order of the external ids. A field
// needs an index to sort by; so does one field of a filter, unless [Options].AllowScans.
// Otherwise the list is a 400 that names the fields with an index. The answer is
//
//	{"success":true,"message":...,"data":{"results":[RESOURCE,...],"included":[],
//	 "pagination":{"hasNextPage":true,"total":null,"cursor":"..."}}}
//
// To get the next page, send the cursor in the parameter cursor, with the same filter and
// order. It is null on the last page, and shows no value of a field. A page may have fewer
// resources than the limit, even none, and not be the last: it ends after 1 MiB of
// documents, and a filter looks at a bounded number of resources. The total is a number
// only when the whole list is on this page.
//
// A record whose stored document is damaged is left out of lists, and [Options].OnError
// is told its ID. GET, PATCH and POST of it are a 500. DELETE works.
//
// Filter values are part of the URL, which servers and proxies log. Let clients filter
// by personal data only where that is acceptable.
//
// # Changes
//
// [ReadChanges] has the parameters of a list of changes, oldest first, and [ReadHistory]
// those of a history, newest first. The answer of both is
//
//	{"success":true,"message":...,"data":{"results":[CHANGE,...],
//	 "pagination":{"hasNextPage":true,"cursor":"..."}}}
//
// CHANGE is what [resource.Change.AppendJSON] makes. With include=document,patch it has the
// document and the merge patch, if the collection keeps them (resource.Options.History);
// personal data in them is redacted, unless [Options].Unredacted. In a list the cursor is
// always a text: send it in the parameter after, now or later, and no change is missed. In
// a history it is null at the end, and goes into the parameter cursor. The history of an
// id that never was one, or was erased, is empty and a 200.
//
// The parameter schema names the collection. It may be absent if only one logs changes; a
// collection that does not is a 400. Its resources have no history: that is a 404.
//
// Cursors are encrypted. They tell nothing of how much other tenants write.
//
// # Streams
//
// With Accept: text/event-stream the changes come as server-sent events:
//
//	event: updated
//	data: CHANGE
//	id: CURSOR
//
// A stream begins at the end of the log, unless after says otherwise. Clients that connect
// again send the id of the last event as Last-Event-ID, which wins over after, and miss
// nothing; they may get an event again that was sent as the connection broke. Browsers and
// client libraries do so by themselves, a random time of 1 to 5 seconds later (the field
// retry).
//
//   - An id without data comes at the beginning and every 15 seconds. It moves the place of
//     a client that gets no events.
//   - An event of the type reset says that changes after the client's cursor are not kept
//     any more: read all resources. The stream goes on at the end of the log.
//   - After [Options].StreamTime a stream ends, and the hooks are asked again.
//   - A client that takes nothing for [Options].StallTimeout is cut. Nothing is kept for it:
//     the changes are in the log.
//   - At most [Options].MaxStreams are open. One more is a 503.
//   - Errors are problems with a status. Once the stream has begun, they end it.
//   - HEAD answers as GET would begin.
//
// One poller reads the log of a store for all streams of a process. It looks at once after
// a write of the same API, and every 2 seconds for those of other processes, more often
// while there are some. The timeouts of the server do not end a stream. Its Shutdown would
// wait for it, so register EndStreams:
//
//	server.RegisterOnShutdown(api.EndStreams)
//
// Middleware must let the API flush and set deadlines, by an Unwrap method: see
// [http.ResponseController]. If it keeps answers back, a stream is a 501.
//
// # Preconditions
//
// Every answer with one resource has a strong ETag, made of the revision ([ETag]); the
// answer to DELETE has none. If-Match and If-None-Match are compared with it (RFC 9110).
// Comparison and write are one atomic step:
//
//	If-Match: "..."       PATCH, DELETE, POST: only if nothing has changed, else 412
//	If-None-Match: *      POST: only if the resource does not exist, else 412
//	If-None-Match: "..."  GET: 304 if the client has this revision
//
// Content that was changed and changed back has another tag. A tag that the service has
// not made matches nothing, and a weak tag never matches an If-Match: some proxies change
// the tags of answers that they compress. If no tag of an If-Match can ever match, the
// write is a 412 at once, and the message says why. Otherwise PATCH and DELETE of a
// resource that does not exist are a 404, with or without preconditions, and a POST with
// If-Match is a 412.
//
// [Options].RequirePrecondition refuses writes without either field. Lists have no tag
// and ignore both fields. The tag does not change with the edition of the schema or with
// [Options].Shape, although the answer may: clients that must see that do not send
// If-None-Match.
//
// # External ids in paths
//
// An external id is one path segment, percent-encoded: "a/b" is
// /api/resources/customers/a%2Fb. Three ids cannot be sent that way: "." and "..",
// which clients and proxies resolve as steps of the path, even encoded; and "batch",
// whose segment is reserved for batches. For these, and for any other id, GET, PATCH and
// DELETE take the segment "-" and the query parameter externalId:
//
//	GET /api/resources/customers/-?externalId=batch
//
// Without the parameter, "-" is an id like any other. An empty parameter is a 400: most
// likely a variable of the client is not set.
//
// # Errors
//
// Every error is answered as a [Problem]; [ProblemOf] has the one table from errors to
// problems. A 404 is {"success":false,"message":...,"data":{"error":...}}. All others
// are {"success":false,"message":...,"errors":[...]}, where errors may be absent:
//
//	400  the request is wrong, and errors has all its violations; or the
//	     resource exists and onconflict is reject
//	401  Authenticate failed
//	404  no such resource, tenant or route
//	405  the route has no such method; see Allow
//	408  the body did not arrive in time, see Options.StallTimeout
//	410  the changes after the cursor are not kept any more: read all resources anew,
//	     and then the changes after a cursor taken before that with after=end
//	412  a precondition does not hold
//	413  the body is too large
//	415  the body is not declared as JSON in UTF-8, or is compressed
//	428  a write has no precondition, see Options.RequirePrecondition
//	500  anything unexpected, without detail; or the outcome of a write is unknown
//	501  the store cannot do that, or the server cannot send events
//	503  the store is unavailable or too busy, or there was no room for a large
//	     request, see Options.MaxInFlight, or for a stream; see Retry-After
//
// A tenant that does not exist gets the same answer as one that the caller may not act
// for. A resource of another tenant gets the same answer as one that does not exist,
// preconditions included. No error repeats a value of the request, and none is longer
// than 64 KiB.
//
// # Handlers of your own
//
// The ready handler is a thin use of functions that a service can use in handlers of its
// own, with an envelope of its own. [HandlerFunc] is such a handler; it returns its
// errors:
//
//   - who is calling, for which tenant: [Hooks.Tenant], [PrincipalFrom];
//   - read a request: [ReadCreate], [ReadPatch], [ReadDelete], [ReadGet], [ReadList],
//     [ReadChanges], [ReadHistory];
//   - answer it: [WriteCreate], [WritePatch], [WriteDelete], [WriteGet], [WriteList],
//     [WriteChanges], [StreamChanges], [WriteError];
//   - with an envelope of your own: [ProblemOf], [ETag], [Modified],
//     [WriteNotModified];
//   - with a reader of your own: [ParsePreconditions], [ParseETag].
//
// # Mounting
//
// An [API] handles a whole server or a subtree of one. It needs the whole path: mount it
// without [http.StripPrefix], and set Options.Prefix. The changes are not below the prefix:
// mount the API at Options.ChangesPath, too. It matches the path as it was
// sent, takes a percent-encoded letter for the letter, and redirects nothing.
// [API.Routes] is the table of routes, for a router of your own:
//
//	for _, r := range api.Routes() {
//		mux.Handle(r.String(), r.Handler)
//	}
//
// A [http.ServeMux] in front of the API redirects paths with empty segments or with "."
// and "..". If single routes are mounted, it does not find the id "/" (%2F alone). Use the
// parameter externalId for these ids. All others are answered alike.
//
// Answers have no Vary, and only streams have a Cache-Control: no-store. A service that
// lets caches keep the others must name in Vary what its hooks look at, at least
// reach-tenant-id, and Accept for changes.
//
// # Clients that stall
//
// A GET of 61 bytes can ask for an answer of a megabyte that its client never reads. An
// API bounds the bytes of large bodies and answers in flight ([Options].MaxInFlight),
// and cuts clients that take or send nothing ([Options].StallTimeout; sooner while
// others wait for room). Bodies and answers of up to 16 KiB are not counted and never
// wait. The rest is the server's part: set ReadHeaderTimeout, ReadTimeout, WriteTimeout
// and IdleTimeout of [http.Server], and bound the number of connections.
package httpapi
