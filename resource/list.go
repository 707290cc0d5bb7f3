package resource

import (
	"context"
	"fmt"
	"iter"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// defaultLimit is the number of resources in a page unless ListOptions say otherwise.
const defaultLimit = 100

// maxScan is how many resources a filtered page reads at most. It also ends after 64 MiB
// of documents.
const maxScan = 10 * storage.MaxPage

// ListOptions say which resources a list has, and where it begins. A nil *ListOptions is
// the zero value: all resources, from the first on.
type ListOptions struct {
	// Cursor is the Next of the page before; "" begins with the first resource.
	Cursor string
	// Limit is how many resources a page has at most: 100 when 0. More than
	// storage.MaxPage (1000) counts as that.
	Limit int
	// MaxBytes is how many bytes the documents of a page have together at most, without
	// the last one: 16 MiB when 0 or less. More counts as that.
	MaxBytes int
	// Filter are conditions, all of which must hold for a resource to be in the list. At
	// least one must be on a field with an index. A Field may also be resource.createdAt
	// or resource.updatedAt, the resource's own times, for from, to and equality.
	Filter []schema.Condition
	// Order is the field by which the list is sorted, which must have an index: given as
	// in a condition, or one of the resource's own times. Resources with equal values, and
	// those without the field, which come first, are in the order of their external ids.
	// "" is the order of external ids, or that of the index which serves the filter.
	// With an order, a filter needs a condition on the same field.
	Order string
	// Descending turns the order round.
	Descending bool
	// AllowScan allows a filter that no index serves: each page reads resources until it
	// is full, at most 10,000 of them or 64 MiB, so it may be empty and still have a Next.
	AllowScan bool
}

// A Page is one page of a list. Its JSON has neither the resources nor the cursor, so that
// it can be logged: encode the fields.
type Page struct {
	// Resources are in the order of the list. There may be fewer than the limit, even
	// none, and still a Next.
	Resources []*Resource `json:"-"`
	// Next is the cursor of the next page, "" at the end. It is opaque, and valid only
	// for the same tenant, schema, filter and order. It has an external id; a value of a
	// field in it is encrypted.
	Next string `json:"-"`
	// Damaged has an error for each record that was left out, with or without a filter,
	// because its stored document is not a JSON object. It is that of Get: an [*OpError]
	// with the record's Key that wraps a *schema.CorruptError with its ID. A list by an
	// index does not come to a record that was damaged by SQL, which has no entries then:
	// [Collection.Reindex] reports those.
	// [Collection.Delete] deletes such a record.
	Damaged []error
}

// String returns the number of resources, and no external id, which Next has.
func (p Page) String() string { return fmt.Sprintf("page of %d resources", len(p.Resources)) }

// List returns a page of the tenant's resources, in ascending byte order of their
// external ids unless opts say otherwise. opts may be nil.
//
// A walk from page to page until Next is "" returns every resource that exists during
// the whole walk exactly once, unless the field of its order changes meanwhile. It is not
// a snapshot: each resource is as of an instant of its page's call, and resources that
// come or go meanwhile may be in it or not. A page ends after Limit resources or MaxBytes
// of documents. With a filter it also ends after 10,000 resources or 64 MiB of documents
// were read, even if none of them matched. Damaged records are left out, and are in
// Page.Damaged.
//
// While an index is new for a tenant with resources, lists that need it scan as with
// AllowScan, and an order by it is [ErrNotIndexed], until [Collection.Reindex] has
// run.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or Limit is negative.
//   - [ErrCursor]: the cursor is not one of this tenant, schema, filter and order.
//   - [*schema.ValidationError]: a field of the filter or the order is not declared, cannot
//     have the value, or has no index. The message then names the fields that have one.
//   - the errors of the store, and the error of ctx when it ends.
func (c *Collection) List(ctx context.Context, tenant storage.Tenant, opts *ListOptions) (*Page, error) {
	l, err := c.listing(tenant, opts)
	return l.observedPage(ctx, err)
}

// All returns the resources of all pages of [Collection.List], from the cursor in opts
// on. Limit is the size of the pages that it reads. An error comes with a nil resource:
// each of Page.Damaged, after the resources of its page, and All goes on; any other
// error ends it. opts may be nil.
func (c *Collection) All(ctx context.Context, tenant storage.Tenant, opts *ListOptions) iter.Seq2[*Resource, error] {
	return func(yield func(*Resource, error) bool) {
		l, err := c.listing(tenant, opts)
		for {
			var page *Page
			if page, err = l.observedPage(ctx, err); err != nil {
				break
			}
			for _, r := range page.Resources {
				if !yield(r, nil) {
					return
				}
			}
			for _, damaged := range page.Damaged {
				if !yield(nil, damaged) {
					return
				}
			}
			if page.Next == "" {
				return
			}
		}
		yield(nil, err)
	}
}

// A listing is a walk through the resources of a tenant.
type listing struct {
	c      *Collection
	opts   ListOptions
	scope  storage.Scope
	filter *schema.Filter  // on the document
	times  *schema.Filter  // on the resource's own times; nil without conditions
	sum    [cursorSum]byte // zero until it is needed, see head
	limit  int
	bytes  int // of documents in a page

	planned bool
	index   uint32 // 0 for a list by external id
	bounds  storage.Range
	after   storage.Position // that the next page begins after
	done    bool             // nothing can match
}

func (c *Collection) listing(tenant storage.Tenant, opts *ListOptions) (*listing, error) {
	if opts == nil {
		opts = &ListOptions{}
	}
	l := &listing{c: c, opts: *opts, scope: c.key(tenant, "").Scope(), limit: opts.Limit}
	if l.limit == 0 {
		l.limit = defaultLimit
	}
	l.limit = min(l.limit, storage.MaxPage)
	l.bytes = maxPageBytes
	if opts.MaxBytes > 0 {
		l.bytes = min(opts.MaxBytes, maxPageBytes)
	}
	err := l.scope.Validate()
	if err == nil && l.limit < 0 {
		err = fmt.Errorf("%w: the limit of a list is negative", storage.ErrInvalid)
	}
	if err != nil {
		return l, l.fail(err)
	}
	document, times := own(opts.Filter)
	if len(document) > 0 {
		if l.filter, err = c.schema.Filter(document); err != nil {
			return l, err
		}
	}
	if len(times) > 0 {
		if l.times, err = ownTimes.Filter(times); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *listing) fail(err error) error {
	return opError("list", l.c.key(l.scope.Tenant, ""), err)
}

// observedPage returns the next page, unless err is the error of it already, and tells
// OnCall.
func (l *listing) observedPage(ctx context.Context, err error) (page *Page, _ error) {
	start := l.c.start()
	if err == nil && !l.planned {
		err = l.plan(ctx)
	}
	if err == nil {
		page, err = l.page(ctx)
	}
	if l.c.opts.OnCall != nil {
		call := Call{Op: "list", Tenant: l.scope.Tenant, Err: err}
		if err == nil {
			call.count(found, len(page.Resources))
		}
		l.c.called(ctx, start, call)
	}
	return page, err
}

// maxPageBytes is the largest MaxBytes of a page.
const maxPageBytes = 16 << 20

// maxScanBytes is how many bytes of documents a filtered page reads at most, without the
// last read of the store.
const maxScanBytes = 4 * maxPageBytes

// usualBytes is the assumed size of the documents of a collection before any was read.
const usualBytes = 16 << 10

// page returns the next page, and moves l.after to its end.
//
// A store counts records, not bytes. So page asks it for as many as have room if they
// are as large as those that were read last.
func (l *listing) page(ctx context.Context) (*Page, error) {
	page := &Page{}
	if l.done {
		return page, nil
	}
	filtered := l.filter != nil || l.times != nil
	ask := l.limit // records of one read; more when the filter leaves many out
	each := int(l.c.usual.Load())
	if each == 0 {
		each = usualBytes
	}
	size := 0
	scanned, scannedBytes := 0, 0
	for {
		read := max(1, min(ask, (l.bytes-size)/max(1, each)))
		if !filtered {
			read = min(read, l.limit-len(page.Resources))
		}
		found, err := l.read(ctx, read)
		if err != nil {
			return nil, l.fail(err)
		}
		l.after = found.Next
		seen := 0 // bytes
		full := false
		for i, rec := range found.Records {
			seen += len(rec.Data)
			shown, err := l.show(&rec)
			if err != nil {
				nameRecord(&rec, err)
				page.Damaged = append(page.Damaged, opError("list", rec.Key, err))
				continue
			}
			if shown == nil { // the filter leaves it out
				continue
			}
			page.Resources = append(page.Resources, &Resource{record: rec, shown: shown})
			size += len(shown)
			if full = len(page.Resources) == l.limit || size >= l.bytes; full {
				if i < len(found.Records)-1 { // the rest of the read is for the next page
					l.after = storage.Position{ExternalID: rec.Key.ExternalID}
					if l.index != 0 {
						l.after.Value = found.Values[i]
					}
				}
				break
			}
		}
		if len(found.Records) > 0 {
			each = seen / len(found.Records)
			usual := l.c.usual.Load()
			l.c.usual.Store(max(int64(each), usual-usual/8)) // large ones are remembered for longer
		}
		scanned, scannedBytes = scanned+len(found.Records), scannedBytes+seen
		if full || l.after.IsZero() || scanned >= maxScan || scannedBytes >= maxScanBytes {
			page.Next, err = l.cursor(ctx)
			return page, err
		}
		ask = min(2*ask, storage.MaxPage, maxScan-scanned)
	}
}

// read reads the next records of the store.
func (l *listing) read(ctx context.Context, limit int) (storage.Page, error) {
	r := l.bounds
	r.After, r.Limit = l.after, limit
	if l.index == 0 {
		return l.c.store.List(ctx, l.scope, r)
	}
	return l.c.store.Lookup(ctx, l.scope, l.index, r)
}

// show returns the document as a reader sees it, nil if the filter leaves it out.
func (l *listing) show(rec *storage.Record) ([]byte, error) {
	if l.times != nil {
		if times, err := ownTimes.Show(ownDocument(rec), l.times); times == nil {
			return nil, err
		}
	}
	return l.c.schema.Show(rec.Data, l.filter)
}
