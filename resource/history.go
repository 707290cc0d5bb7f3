package resource

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"example.com/resourcekit/resource/internal/seal"
	"example.com/resourcekit/storage"
)

// ChangeOptions say which changes a page has, and what of each. A nil *ChangeOptions is
// the zero value.
type ChangeOptions struct {
	// Cursor is where the page begins: the Next of a page, or the Cursor of a change. ""
	// is the start of what the log has; for a history its end, since it begins with the
	// newest change.
	Cursor string
	// FromEnd returns no changes, but the cursor at the end of the log: a reader that
	// begins there gets all changes made from now on. It is not for a history, and not
	// for use with a Cursor.
	FromEnd bool
	// Limit is how many changes a page has at most: 100 when 0. More than
	// storage.MaxPage (1000) counts as that. A page also ends after 16 MiB of documents.
	Limit int

	Documents, Patches bool // ask for Change.Document and Change.Patch
	// Unredacted leaves the personal data in them, which is replaced otherwise: see
	// [schema.Schema.Redact]. The external id in Change.Key is there in any case.
	Unredacted bool
}

// ChangePage is one page of changes. Its JSON has neither the changes nor the cursor, so
// that it can be logged.
type ChangePage struct {
	Changes []Change `json:"-"`
	// Next is the cursor of the next page. In a history it is "" after the oldest change;
	// otherwise it is never "", and moves on also when the page is empty.
	Next string `json:"-"`
	More bool   // there are further changes now. Without it, ask again later
}

// Changes returns a page of the changes of a tenant's resources, oldest first. opts may
// be nil. No change is left out, and the changes of one resource come in their order.
// Nothing in a page depends on the changes of another tenant or schema. A store without
// an index for this, such as SQLite, reads past those that came since the cursor: about a
// million in a second. A store may hold new changes back for a while, so that none appears
// before a cursor that was returned already: see [storage.ChangePage].
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, Limit is negative, FromEnd comes with
//     a Cursor, or opts ask for documents or patches and the collection does not keep
//     History.
//   - [ErrCursor]: the cursor is not one of this tenant and schema.
//   - [storage.ErrExpired]: the cursor is older than the log, or of a log before a backup
//     was restored. Read the resources anew, from the cursor of a page with FromEnd on.
//   - [storage.ErrUnsupported]: the collection does not log changes.
//   - the other errors of the store, and the error of ctx when it ends.
func (c *Collection) Changes(ctx context.Context, tenant storage.Tenant, opts *ChangeOptions) (*ChangePage, error) {
	return c.changes(ctx, "changes", c.key(tenant, ""), opts)
}

// History returns a page of the changes of one resource, newest first, also if it was
// deleted. If it was deleted and created again, the history has the changes of both. If it
// never existed, or was erased, there are none. opts may be nil. Errors are those of
// [Collection.Changes].
func (c *Collection) History(ctx context.Context, tenant storage.Tenant, externalID string, opts *ChangeOptions) (*ChangePage, error) {
	return c.changes(ctx, "history", c.key(tenant, externalID), opts)
}

// changes returns a page of a scope or a history, and tells OnCall.
func (c *Collection) changes(ctx context.Context, op Op, key storage.Key, opts *ChangeOptions) (*ChangePage, error) {
	start := c.start()
	if opts == nil {
		opts = &ChangeOptions{}
	}
	page, err := c.changePage(ctx, key, op == "history", opts)
	if err != nil {
		page, err = nil, opError(op, key, err)
	}
	if c.opts.OnCall != nil {
		call := Call{Op: op, Tenant: key.Tenant, Err: err}
		if err == nil {
			call.count(found, len(page.Changes))
		}
		c.called(ctx, start, call)
	}
	return page, err
}

func (c *Collection) changePage(
	ctx context.Context, key storage.Key, history bool, opts *ChangeOptions,
) (*ChangePage, error) {
	q := storage.ChangeQuery{
		Scope: key.Scope(), ExternalID: key.ExternalID, End: opts.FromEnd, Backwards: history,
		NoData: !opts.Documents && !opts.Patches,
	}
	if err := q.Scope.Validate(); err != nil {
		return nil, err
	}
	switch {
	case opts.Limit < 0:
		return nil, fmt.Errorf("%w: the limit of a page is negative", storage.ErrInvalid)
	case opts.FromEnd && (history || opts.Cursor != ""):
		return nil, fmt.Errorf("%w: FromEnd of a history, or with a cursor", storage.ErrInvalid)
	case !c.opts.Log:
		return nil, errNoLog
	case !q.NoData && !c.opts.History:
		return nil, fmt.Errorf("%w: documents and patches of a collection without Options.History", storage.ErrInvalid)
	}
	if opts.Cursor != "" {
		var err error
		if q.After, err = c.openCursor(ctx, q.Scope, opts.Cursor); err != nil {
			return nil, err
		}
	}
	if history && key.Validate() != nil {
		return &ChangePage{}, nil
	}
	limit := opts.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	found, err := c.readChanges(ctx, q, min(limit, storage.MaxPage))
	if err != nil {
		return nil, err
	}
	page := &ChangePage{More: found.More}
	for _, change := range found.Changes {
		made := MakeChange(c.schema, change, opts)
		if made.Cursor, err = c.sealCursor(ctx, q.Scope, change.Cursor); err != nil {
			return nil, err
		}
		page.Changes = append(page.Changes, made)
	}
	if !history || found.More {
		page.Next, err = c.sealCursor(ctx, q.Scope, found.Next)
	}
	return page, err
}

// readChanges returns the next changes of a query. More is about them alone: a store may
// say so because of the changes of others, which this tenant must not learn of.
func (c *Collection) readChanges(ctx context.Context, q storage.ChangeQuery, limit int) (storage.ChangePage, error) {
	var page storage.ChangePage
	for size := 0; ; {
		q.Limit = limit + 1 - len(page.Changes)
		full := q.Limit == 1 || size >= maxPageBytes
		if full { // is there one more?
			q.Limit, q.NoData = 1, true
		}
		read, err := c.store.Changes(ctx, q)
		if err != nil {
			return page, err
		}
		for _, change := range read.Changes {
			if page.More = full || len(page.Changes) == limit; page.More {
				return page, nil
			}
			page.Changes, page.Next = append(page.Changes, change), change.Cursor
			size += len(change.Note.Before) + len(change.Note.After)
		}
		if q.After = read.Next; !read.More {
			page.Next = read.Next
			return page, nil
		}
	}
}

// A cursor of changes is a byte for its format, and encrypted the position and the
// revision: always of one length, since that of a number would tell how large it is. The
// encryption is authenticated together with the tenant and the schema.
const (
	changeFormat = 3 // after those of lists, which have the same key
	changeCursor = 1 + seal.Overhead + 16
)

var wrongChanges = &reason{ErrCursor, "invalid cursor: expected one of the changes of the same tenant and schema"}

// SealCursor returns a cursor of the log as a text that may be shown to the tenant, and
// given back as [ChangeOptions].Cursor. It is encrypted, and bound to the tenant and the
// schema. Two calls return different texts of the same length.
//
// The error is [storage.ErrInvalid] for a tenant that is not valid, or one of the store,
// which has the key.
func (c *Collection) SealCursor(ctx context.Context, tenant storage.Tenant, at storage.Cursor) (string, error) {
	key := c.key(tenant, "")
	err := tenant.Validate()
	var cursor string
	if err == nil {
		cursor, err = c.sealCursor(ctx, key.Scope(), at)
	}
	if err != nil {
		return "", opError("changes", key, err)
	}
	return cursor, nil
}

func (c *Collection) sealCursor(ctx context.Context, scope storage.Scope, at storage.Cursor) (string, error) {
	sealer, err := c.seal(ctx)
	if err != nil {
		return "", err
	}
	place := binary.BigEndian.AppendUint64(nil, uint64(at.Position))
	place = binary.BigEndian.AppendUint64(place, uint64(at.Revision))
	sealed := sealer.Seal(append(make([]byte, 0, changeCursor), changeFormat), place, changeHead(scope))
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

// OpenCursor returns the cursor that SealCursor has sealed.
//
// The error is [ErrCursor] for a text that SealCursor has not made, or that it has made for
// another tenant or schema. Other errors are those of SealCursor.
func (c *Collection) OpenCursor(ctx context.Context, tenant storage.Tenant, cursor string) (storage.Cursor, error) {
	key := c.key(tenant, "")
	err := tenant.Validate()
	var at storage.Cursor
	if err == nil {
		at, err = c.openCursor(ctx, key.Scope(), cursor)
	}
	if err != nil {
		return storage.Cursor{}, opError("changes", key, err)
	}
	return at, nil
}

func (c *Collection) openCursor(ctx context.Context, scope storage.Scope, cursor string) (storage.Cursor, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(cursor) // leaves line breaks out
	if err != nil || len(cursor) != base64.RawURLEncoding.EncodedLen(changeCursor) ||
		len(sealed) != changeCursor || sealed[0] != changeFormat {
		return storage.Cursor{}, wrongChanges
	}
	sealer, err := c.seal(ctx)
	if err != nil {
		return storage.Cursor{}, err
	}
	place, err := sealer.Open(sealed[1:], changeHead(scope))
	if err != nil {
		return storage.Cursor{}, wrongChanges
	}
	return storage.Cursor{
		Position: int64(binary.BigEndian.Uint64(place)), Revision: storage.Revision(binary.BigEndian.Uint64(place[8:])),
	}, nil
}

// changeHead returns what a cursor of changes is bound to.
func changeHead(scope storage.Scope) []byte {
	sum := scope.Sum()
	return append([]byte{changeFormat}, sum[:]...)
}
