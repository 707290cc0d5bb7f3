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
	// Limit is how many resources a page has at most: 100 when 0. More
	// than storage.MaxPage (1000) counts as that.
	Limit int
	// MaxBytes is how many bytes the documents of a page have together at most, without
	// the last one: 16 MiB when 0 or less. More counts as that.
	MaxBytes int
	// Filter are conditions, all of which must hold for a resource to be in the list.
	Filter []schema.Condition
}

// A Page is one page of a list. To be safe in logs, its JSON has neither the resources nor
// the cursor.
type Page struct {
	// Resources are in ascending byte order of their external ids. There may be fewer
	// than the limit, even none, and still a Next.
	Resources []*Resource `json:"-"`
	// Next is the cursor of the next page, "" at the end. It is opaque, and valid only
	// for the same tenant, schema and filter.
	Next string `json:"-"`
	// Damaged has an error for each record that was left out because its stored
	// document is not a JSON object, whatever the filter: as that of Get, an
	// [*OpError] with the record's Key that wraps a *schema.CorruptError with its ID.
	// [Collection.Delete] deletes such a record.
	Damaged []error
}

// String returns the number of resources, and no external id, which Next has.
func (p Page) String() string { return fmt.Sprintf("page of %d resources", len(p.Resources)) }

// List returns a page of the tenant's resources, in ascending byte order of their
// external ids. opts may be nil.
//
// A walk from page to page until Next is "" returns every resource that exists during
// the whole walk exactly once. It is not a snapshot: each resource is as of an instant of
// its page's call, and resources that come or go meanwhile may be in it or not. A page
// ends after Limit resources or MaxBytes of documents; with a filter also after 10,000
// resources or 64 MiB of documents were read, whatever it has found by then. Damaged
// records are left out, and are in Page.Damaged.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or Limit is negative.
//   - [ErrCursor]: the cursor is not one of this tenant, schema and filter.
//   - [*schema.ValidationError]: a field of the filter is not declared, or cannot have the
//     value.
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
	scope  storage.Scope
	filter *schema.Filter
	sum    [cursorSum]byte // see sumOf
	limit  int
	bytes  int    // of documents in a page
	after  string // the external id that the next page begins after
}

func (c *Collection) listing(tenant storage.Tenant, opts *ListOptions) (*listing, error) {
	if opts == nil {
		opts = &ListOptions{}
	}
	l := &listing{c: c, scope: c.key(tenant, "").Scope(), limit: opts.Limit}
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
	if len(opts.Filter) > 0 {
		if l.filter, err = c.schema.Filter(opts.Filter); err != nil {
			return l, err
		}
	}
	l.sum = sumOf(l.scope, l.filter)
	if l.after, err = decodeCursor(opts.Cursor, l.scope, l.sum); err != nil {
		err = l.fail(err)
	}
	return l, err
}

func (l *listing) fail(err error) error {
	return opError("list", storage.Key{Tenant: l.scope.Tenant, Schema: l.scope.Schema}, err)
}

// observedPage returns the next page, unless err is the error of it already, and tells
// OnCall.
func (l *listing) observedPage(ctx context.Context, err error) (page *Page, _ error) {
	start := l.c.start()
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
	ask := l.limit // records of one read; more when the filter leaves many out
	each := int(l.c.usual.Load())
	if each == 0 {
		each = usualBytes
	}
	size := 0
	scanned, scannedBytes := 0, 0
	for {
		read := max(1, min(ask, (l.bytes-size)/max(1, each)))
		if l.filter == nil {
			read = min(read, l.limit-len(page.Resources))
		}
		found, err := l.c.store.List(ctx, l.scope, storage.Range{After: storage.Position{ExternalID: l.after}, Limit: read})
		if err != nil {
			return nil, l.fail(err)
		}
		l.after = found.Next.ExternalID
		seen := 0 // bytes
		full := false
		for i, rec := range found.Records {
			seen += len(rec.Data)
			shown, err := l.c.schema.Show(rec.Data, l.filter)
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
				if i < len(found.Records)-1 {
					l.after = rec.Key.ExternalID // the rest of the read is for the next page
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
		if full || l.after == "" || scanned >= maxScan || scannedBytes >= maxScanBytes {
			page.Next = encodeCursor(l.after, l.sum)
			return page, nil
		}
		ask = min(2*ask, storage.MaxPage, maxScan-scanned)
	}
}
