package resource

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// DefaultLimit is the number of resources in a page when a list asks for none.
const DefaultLimit = 100

// maxScan is how many resources a filtered page looks at, at most. It also looks
// at no more once their documents have 64 MiB.
const maxScan = 10 * storage.MaxPage

// ListOptions say which resources a list has, and where it begins. A nil
// *ListOptions is the zero value: from the first resource on.
type ListOptions struct {
	// Cursor is the Next of the page before; "" begins with the first
	// resource.
	Cursor string
	// Limit is the number of resources in a page, DefaultLimit when 0 and
	// storage.MaxPage at most: a larger one counts as that.
	Limit int
	// MaxBytes is how many bytes the documents of a page may have together, but for
	// the last one: 16 MiB when 0 or less, and at most that.
	MaxBytes int
	// Filter leaves resources out. All of its conditions must hold.
	Filter []schema.Equals
}

// A Page is a piece of a list.
type Page struct {
	// Resources in ascending byte order of their external ids. A page may have
	// fewer than the limit, and even none, and still have a Next.
	Resources []*Resource
	// Next is the cursor for the page after this one, "" at the end. It is
	// opaque, and good for the same tenant, schema and filter alone.
	Next string
	// Damaged has an error for each record that was left out because its stored
	// document is not a JSON object, whatever the filter: a *schema.CorruptError
	// with the record's ID in a *storage.OpError with its Key, as Get returns it.
	// Such a record can be deleted by [Collection.Delete].
	Damaged []error
}

// String returns the number of resources.
func (p Page) String() string { return fmt.Sprintf("page of %d resources", len(p.Resources)) }

// LogValue returns String for log/slog: a page in a log line must not spill
// documents there, nor the external id in Next.
func (p Page) LogValue() slog.Value { return slog.StringValue(p.String()) }

// List returns a page of the tenant's resources, in ascending byte order of
// their external ids. opts may be nil.
//
// Going from page to page until Next is "" yields every resource that is there
// during the whole walk exactly once. It is not a snapshot: each resource is as
// of a moment during its page's call, and those that come or go meanwhile may
// show or not. With a filter, a page ends after 10,000 resources were looked at,
// or 64 MiB of documents, whatever it has found by then: go on with its Next. A
// page also ends when its documents have MaxBytes. Records that are damaged are left
// out, and told by Page.Damaged.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or Limit is negative.
//   - [ErrCursor]: the cursor is not one of this tenant, schema and filter.
//   - [*schema.FilterError]: the filter names no declared field, or a value that the
//     field cannot have.
//   - what the store reports, and the error of ctx when it ends.
func (c *Collection) List(ctx context.Context, tenant storage.Tenant, opts *ListOptions) (*Page, error) {
	l, err := c.listing(tenant, opts)
	return l.observedPage(ctx, err)
}

// All returns the resources that List pages through, from the cursor in opts on.
// Limit is the size of the pages that are read. It yields each error with a nil
// resource: those of Page.Damaged, a [*schema.CorruptError] each, after the resources of
// their page, and goes on; any other error ends it. opts may be nil.
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
	sum    [cursorSum]byte // of all that its cursors are bound to
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
		l.limit = DefaultLimit
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
	l.after, err = decodeCursor(opts.Cursor, l.scope, l.sum)
	return l, err
}

func (l *listing) fail(err error) error {
	return opError(OpList, storage.Key{Tenant: l.scope.Tenant, Schema: l.scope.Schema}, err)
}

// observedPage is page, unless err says that there is none, for OnCall to see.
func (l *listing) observedPage(ctx context.Context, err error) (page *Page, _ error) {
	start := l.c.start()
	if err == nil {
		page, err = l.page(ctx)
	}
	if l.c.onCall != nil {
		call := Call{Op: OpList, Tenant: l.scope.Tenant, Err: err}
		if err == nil {
			call.Found = len(page.Resources)
		}
		l.c.called(ctx, start, call)
	}
	return page, err
}

// maxPageBytes is how large the documents of a page may be together, but for the
// last one.
const maxPageBytes = 16 << 20

// maxScanBytes is how many bytes of documents a filtered page looks at, but for the
// last read of the store.
const maxScanBytes = 4 * maxPageBytes

// usualBytes is how large the documents of a collection are taken for before any
// were read.
const usualBytes = 16 << 10

// page returns the next page. The one after it begins where it ends.
//
// A store counts records, not bytes. So page asks it for as many as there is room
// for if the documents are as large as those that were read last.
func (l *listing) page(ctx context.Context) (*Page, error) {
	page := &Page{}
	ask := l.limit // at once; more when the filter leaves much out
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
		found, err := l.c.store.List(ctx, l.scope, l.after, read)
		if err != nil {
			return nil, l.fail(err)
		}
		l.after = found.Next
		seen := 0 // bytes
		full := false
		for i, rec := range found.Records {
			seen += len(rec.Data)
			shown, matches, err := l.c.schema.ShowMatching(rec.Data, l.filter)
			if err != nil {
				nameRecord(&rec, err)
				page.Damaged = append(page.Damaged, opError(OpList, rec.Key, err))
				continue
			}
			if !matches {
				continue
			}
			page.Resources = append(page.Resources, &Resource{record: rec, shown: shown})
			size += len(shown)
			if full = len(page.Resources) == l.limit || size >= l.bytes; full {
				if i < len(found.Records)-1 {
					l.after = rec.Key.ExternalID // what was read beyond it is for the next page
				}
				break
			}
		}
		if len(found.Records) > 0 {
			each = seen / len(found.Records)
			usual := l.c.usual.Load()
			l.c.usual.Store(max(int64(each), usual-usual/8)) // the large ones are remembered for longer
		}
		scanned, scannedBytes = scanned+len(found.Records), scannedBytes+seen
		if full || l.after == "" || scanned >= maxScan || scannedBytes >= maxScanBytes {
			page.Next = encodeCursor(l.after, l.sum)
			return page, nil
		}
		ask = min(2*ask, storage.MaxPage, maxScan-scanned)
	}
}
