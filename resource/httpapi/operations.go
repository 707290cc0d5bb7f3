package httpapi

import (
	"cmp"
	"net/http"

	"example.com/resourcekit/resource"
)

// The operations of an endpoint. Each looks at the tenant first, so that nothing
// else of a request is answered to somebody who may not ask.

// preconditions returns those of a write.
func (e *endpoint) preconditions(r *http.Request) (Preconditions, error) {
	pre, err := ParsePreconditions(r)
	if err == nil && pre.Empty() && e.api.opts.RequirePrecondition {
		err = &Problem{
			Status:  http.StatusPreconditionRequired,
			Message: "the request must say over what it may write: send the header If-Match with the ETag of the resource, or If-None-Match: * to create one",
		}
	}
	return pre, err
}

func (e *endpoint) create(x *exchange, r *http.Request) error {
	tenant, err := e.api.hooks.Tenant(r)
	if err != nil {
		return err
	}
	opts, err := ParseCreateOptions(r)
	if err != nil {
		return err
	}
	opts.RequireComplete, opts.Nulls = e.api.opts.RequireComplete, e.api.opts.Nulls
	pre, err := e.preconditions(r)
	if err != nil {
		return err
	}
	data, err := ReadData(x, r, e.api.opts.MaxBody)
	if err != nil {
		return err
	}
	result, err := pre.Create(r.Context(), e.collection, tenant, data, &opts)
	if err != nil {
		return err
	}
	WriteResult(x, result, &e.api.opts.Shape)
	return nil
}

func (e *endpoint) list(x *exchange, r *http.Request) error {
	tenant, err := e.api.hooks.Tenant(r)
	if err != nil {
		return err
	}
	opts, err := ParseListOptions(r, e.collection.Schema())
	if err != nil {
		return err
	}
	limit := cmp.Or(opts.Limit, resource.DefaultLimit)
	return x.answer(int64(min(limit*usualBytes, maxListBytes)), func() error {
		page, err := e.collection.List(r.Context(), tenant, &opts)
		if err != nil {
			return err
		}
		for _, damaged := range page.Damaged {
			e.api.tell(r, damaged)
		}
		WritePage(x, page, &opts, &e.api.opts.Shape)
		return nil
	})
}

func (e *endpoint) get(x *exchange, r *http.Request) error {
	tenant, err := e.api.hooks.Tenant(r)
	if err != nil {
		return err
	}
	if err := CheckQuery(r, idParameter(r)...); err != nil {
		return err
	}
	id, err := ExternalID(r)
	if err != nil {
		return err
	}
	pre, err := ParsePreconditions(r)
	if err != nil {
		return err
	}
	return x.answer(0, func() error {
		res, modified, err := pre.Get(r.Context(), e.collection, tenant, id)
		switch {
		case err != nil:
			return err
		case modified:
			WriteResource(x, res, &e.api.opts.Shape)
		default:
			WriteNotModified(x, res)
		}
		return nil
	})
}

func (e *endpoint) patch(x *exchange, r *http.Request) error {
	tenant, err := e.api.hooks.Tenant(r)
	if err != nil {
		return err
	}
	id, err := ExternalID(r)
	if err != nil {
		return err
	}
	opts, err := ParsePatchOptions(r)
	if err != nil {
		return err
	}
	opts.Nulls = e.api.opts.Nulls
	pre, err := e.preconditions(r)
	if err != nil {
		return err
	}
	data, err := ReadPatch(x, r, e.api.opts.MaxBody)
	if err != nil {
		return err
	}
	result, err := pre.Patch(r.Context(), e.collection, tenant, id, data, &opts)
	if err != nil {
		return err
	}
	WriteChange(x, result, &e.api.opts.Shape)
	return nil
}

func (e *endpoint) delete(x *exchange, r *http.Request) error {
	tenant, err := e.api.hooks.Tenant(r)
	if err != nil {
		return err
	}
	if err := CheckQuery(r, idParameter(r)...); err != nil {
		return err
	}
	id, err := ExternalID(r)
	if err != nil {
		return err
	}
	pre, err := e.preconditions(r)
	if err != nil {
		return err
	}
	result, err := pre.Delete(r.Context(), e.collection, tenant, id, nil)
	if err != nil {
		return err
	}
	WriteChange(x, result, &e.api.opts.Shape)
	return nil
}
