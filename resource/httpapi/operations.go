package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"strings"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// An operation answers a request for a tenant, or returns an error and has written
// nothing.
type operation func(x *exchange, r *http.Request, tenant storage.Tenant) error

// forTenant returns a reply that looks at the tenant first, so that a caller who may not
// ask gets no other answer.
func (a *API) forTenant(do operation) reply {
	return func(x *exchange, r *http.Request) error {
		tenant, err := a.hooks.Tenant(r)
		if err != nil {
			return err
		}
		return do(x, r, tenant)
	}
}

func (e *endpoint) create(x *exchange, r *http.Request, tenant storage.Tenant) error {
	data, at, opts, err := readCreate(x, r, e.api.opts.MaxBody, e.api.opts.RequirePrecondition)
	if err != nil {
		return err
	}
	opts.RequireComplete, opts.Nulls = e.api.opts.RequireComplete, e.api.opts.Nulls
	result, err := e.collection.Create(r.Context(), tenant, data, &opts)
	if err != nil {
		return inBody(err, at)
	}
	e.wake(result)
	WriteCreate(x, result, &e.api.opts.Shape)
	return nil
}

func (e *endpoint) list(x *exchange, r *http.Request, tenant storage.Tenant) error {
	opts, err := ReadList(r, e.collection.Schema())
	if err != nil {
		return err
	}
	opts.AllowScan = e.api.opts.AllowScans
	limit := cmp.Or(opts.Limit, usualLimit)
	return x.answer(int64(min(limit*usualBytes, maxListBytes)), func() error {
		page, err := e.collection.List(r.Context(), tenant, &opts)
		if err != nil {
			return err
		}
		WriteList(x, page, &opts, &e.api.opts.Shape)
		if x.lacks > 0 {
			return nil // nothing was written, and this is called again
		}
		for _, damaged := range page.Damaged {
			e.api.tell(r, damaged)
		}
		return nil
	})
}

func (e *endpoint) get(x *exchange, r *http.Request, tenant storage.Tenant) error {
	id, err := ReadGet(r)
	if err != nil {
		return err
	}
	return x.answer(0, func() error {
		res, err := e.collection.Get(r.Context(), tenant, id)
		if err != nil {
			return err
		}
		return WriteGet(x, r, res, &e.api.opts.Shape)
	})
}

func (e *endpoint) patch(x *exchange, r *http.Request, tenant storage.Tenant) error {
	id, patch, at, opts, err := readPatchOf(x, r, e.api.opts.MaxBody, e.api.opts.RequirePrecondition, nil)
	if err != nil {
		return err
	}
	opts.Nulls = e.api.opts.Nulls
	result, err := e.collection.Patch(r.Context(), tenant, id, patch, &opts)
	if err != nil {
		return inBody(err, at)
	}
	e.wake(result)
	WritePatch(x, result, &e.api.opts.Shape)
	return nil
}

func (e *endpoint) delete(x *exchange, r *http.Request, tenant storage.Tenant) error {
	id, opts, err := readDelete(r, e.api.opts.RequirePrecondition, nil)
	if err != nil {
		return err
	}
	result, err := e.collection.Delete(r.Context(), tenant, id, &opts)
	if err != nil {
		return err
	}
	e.wake(result)
	WriteDelete(x, result, &e.api.opts.Shape)
	return nil
}

// changesOf is the history of one resource.
func (e *endpoint) changesOf(x *exchange, r *http.Request, tenant storage.Tenant) error {
	id, opts, err := ReadHistory(r)
	if err != nil {
		return err
	}
	if err := e.include(&opts); err != nil {
		return err
	}
	return answerChanges(x, opts, func() (*resource.ChangePage, error) {
		return e.collection.History(r.Context(), tenant, id, &opts)
	})
}

// include says how documents are shown. The error is for a request that asks for them and
// cannot have them.
func (e *endpoint) include(opts *resource.ChangeOptions) error {
	opts.Unredacted = e.api.opts.Unredacted
	if (opts.Documents || opts.Patches) && !e.collection.KeepsHistory() {
		return badRequest("the service does not keep the documents of these changes: leave out include")
	}
	return nil
}

// listChanges is the changes of one collection, as a page or as a stream.
func (a *API) listChanges(x *exchange, r *http.Request, tenant storage.Tenant) error {
	opts, stream, err := ReadChanges(r, schemaParameter)
	if err != nil {
		return err
	}
	e, err := a.logged(r)
	if err != nil {
		return err
	}
	if err := e.include(&opts); err != nil {
		return err
	}
	if stream {
		return e.stream(x, r, tenant, opts)
	}
	return answerChanges(x, opts, func() (*resource.ChangePage, error) {
		return e.collection.Changes(r.Context(), tenant, &opts)
	})
}

// logged returns the endpoint whose changes the request asks for.
func (a *API) logged(r *http.Request) (*endpoint, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	var logged []*endpoint
	var names []string
	for _, e := range a.endpoints {
		if e.tail != nil {
			logged, names = append(logged, e), append(names, e.name)
		}
	}
	name, given := q.one(schemaParameter)
	switch e := a.endpoint(name, func(a, b string) bool { return a == b }); {
	case e != nil && e.tail != nil:
		return e, nil
	case e != nil:
		q.note("schema: the changes of " + e.name + " are not logged, expected one of: " + strings.Join(names, ", "))
	case given || len(logged) > 1:
		q.note("schema: expected one of: " + strings.Join(names, ", "))
	}
	if err := q.err(); err != nil {
		return nil, err
	}
	return logged[0], nil
}

// answerChanges answers with a page of changes.
func answerChanges(x *exchange, opts resource.ChangeOptions, read func() (*resource.ChangePage, error)) error {
	bytes := cmp.Or(opts.Limit, usualLimit) * usualChange
	if opts.Documents || opts.Patches {
		bytes = min(bytes*withDocuments, maxDocuments)
	}
	return x.answer(int64(bytes), func() error {
		page, err := read()
		if err != nil {
			return err
		}
		WriteChanges(x, page)
		return nil
	})
}

// wake tells the streams that there is a change.
func (e *endpoint) wake(result *resource.Result) {
	if e.tail != nil && result.Outcome != resource.Unchanged {
		e.tail.Wake()
	}
}

// inBody returns the error of a document that begins at an offset of the body: that of
// a SyntaxError is counted from there.
func inBody(err error, at int) error {
	var syntax *schema.SyntaxError
	if at == 0 || !errors.As(err, &syntax) {
		return err
	}
	return &schema.SyntaxError{Offset: at + syntax.Offset, Pointer: "/data" + syntax.Pointer, Reason: syntax.Reason}
}
