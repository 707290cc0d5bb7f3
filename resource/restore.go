package resource

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"example.com/resourcekit/merge"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// Restore gives a resource the document that it had at a revision, as the log has it. If
// the resource was deleted, Restore creates it with that document, under the same external
// id and with a new ID. Either is a new change like any other: the schema of today judges
// what it changes, and unique values must be free. Fields that are not declared any more
// are dropped, and listed in Result.Dropped. A resource that has the document already is
// Unchanged. opts may be nil, and may have If, Actor, Reason and DryRun.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or opts have another option.
//   - [storage.ErrUnsupported]: the collection does not log changes.
//   - [ErrNoRevision]: the log does not have the document. There was no such revision, or
//     it was a delete; or its change was trimmed or erased, or is held back by the store
//     (see [Collection.Changes]); or the collection did not keep History.
//   - [ErrPrecondition]: If does not hold for the resource as it is.
//   - [*schema.ValidationError]: all violations of the schema in what would change.
//   - [*schema.CorruptError]: the document of then, or that of now, is damaged.
//   - the errors of the store, and the error of ctx when it ends, as for
//     [Collection.Create].
func (c *Collection) Restore(
	ctx context.Context, tenant storage.Tenant, externalID string, revision storage.Revision, opts *WriteOptions,
) (*Result, error) {
	opts = opts.orZero()
	return c.do(ctx, Call{Op: "restore", Tenant: tenant, DryRun: opts.DryRun}, func() (writeOp, error) {
		return c.newRestore(tenant, externalID, revision, opts)
	})
}

// newRestore returns the write of a restore. Its request is made for each attempt.
func (c *Collection) newRestore(
	tenant storage.Tenant, externalID string, revision storage.Revision, opts *WriteOptions,
) (writeOp, error) {
	const name = "restore"
	key := c.key(tenant, externalID)
	err := cmp.Or(key.Scope().Validate(), opts.bare())
	switch {
	case err != nil:
	case !c.opts.Log:
		err = errNoLog
	case key.Validate() != nil || revision == 0:
		err = errNoDocument
	}
	if err != nil {
		return writeOp{}, opError(name, key, err)
	}
	return writeOp{
		name: name, key: key, revision: revision, mayCreate: true, mayChange: true, condition: opts.If,
		dryRun: opts.DryRun, actor: opts.Actor, reason: opts.Reason,
	}, nil
}

var (
	errNoLog      = fmt.Errorf("%w: the collection does not log changes", storage.ErrUnsupported)
	errNoDocument = &reason{ErrNoRevision, "the log has no document of this revision; a collection keeps them with Options.History"}
)

// aim makes the request that gives old the document of an earlier revision. It reads the
// log in each attempt: when a write of another process came between, that may have been an
// Erase.
func (c *Collection) aim(ctx context.Context, op *writeOp, old *storage.Record) error {
	target, id, err := c.documentAt(ctx, op.key, op.revision)
	if err != nil {
		return err
	}
	op.restored = id
	if _, err := c.schema.Show(target, nil); err != nil {
		return err
	}
	if old.Revision != 0 {
		current, err := document(old)
		if err != nil {
			return err
		}
		if target, err = merge.Diff(current, target); err != nil {
			return &schema.CorruptError{Err: err}
		}
	}
	op.request.Close()
	op.request, err = c.schema.Read(target, &schema.ReadOptions{
		UnknownFields: schema.IgnoreUnknown, ExternalID: op.key.ExternalID,
	})
	return err
}

// documentAt returns the document that a resource had at a revision, and the ID that the
// resource had then.
func (c *Collection) documentAt(
	ctx context.Context, key storage.Key, revision storage.Revision,
) ([]byte, uuid.UUID, error) {
	q := storage.ChangeQuery{Scope: key.Scope(), ExternalID: key.ExternalID, Backwards: true, Limit: defaultLimit}
	for {
		page, err := c.store.Changes(ctx, q)
		if err != nil && (!errors.Is(err, storage.ErrExpired) || q.After == storage.Cursor{}) {
			return nil, uuid.Nil, err
		}
		for i := range page.Changes {
			change := &page.Changes[i]
			switch note := &change.Note; {
			case change.Cursor.Revision == revision && len(note.After) > 0:
				return note.After, change.ID, nil
			case change.Before == revision && len(note.Before) > 0:
				return note.Before, change.ID, nil
			}
		}
		if !page.More { // or trimmed meanwhile
			return nil, uuid.Nil, errNoDocument
		}
		q.After = page.Next
	}
}

// confirm undoes a restore that has created a resource, if an Erase of another process
// came before it and after its look into the log: nothing else would remove the document
// again.
func (c *Collection) confirm(ctx context.Context, op *writeOp) error {
	_, _, err := c.documentAt(ctx, op.key, op.revision)
	if !errors.Is(err, ErrNoRevision) {
		return nil // the write has been made
	}
	if erased, err := c.isErased(ctx, op.key.Scope(), op.restored); err != nil || !erased {
		return err // without an error it was trimmed
	}
	undo := writeOp{
		name: op.name, key: op.key, delete: true, erase: true, mayCreate: true, mayChange: true,
		actor: op.actor, reason: op.reason,
	}
	if _, err := c.erase(ctx, &undo); err != nil {
		return err
	}
	return errNoDocument
}

// isErased reports whether the log has a change of this ID that was erased.
func (c *Collection) isErased(ctx context.Context, scope storage.Scope, id uuid.UUID) (bool, error) {
	q := storage.ChangeQuery{Scope: scope, NoData: true, Limit: storage.MaxPage}
	for {
		page, err := c.store.Changes(ctx, q)
		if errors.Is(err, storage.ErrExpired) && q.After != (storage.Cursor{}) { // trimmed: begin at what is left
			q.After = storage.Cursor{}
			continue
		}
		if err != nil {
			return false, err
		}
		for i := range page.Changes {
			if change := &page.Changes[i]; change.Redacted && change.ID == id {
				return true, nil
			}
		}
		if !page.More {
			return false, nil
		}
		q.After = page.Next
	}
}
