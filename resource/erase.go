package resource

import (
	"cmp"
	"context"
	"fmt"

	"example.com/resourcekit/storage"
)

// An Erasure is the report of a [Collection.Erase]. It has no personal data.
type Erasure struct {
	Deleted bool // the resource existed, and was deleted
	Changes int  // of the log, from which personal data was removed
}

// Erase deletes a resource and removes what the log of changes has of its external id:
// documents, actors, reasons, and the id itself, which a keyed hash replaces. Positions,
// revisions, times and IDs stay. The resource may be damaged, or deleted already. If there
// is nothing to erase, the report is zero.
//
// Readers of the log learn of it. Each change of the resource has the outcome [Erased] from
// now on, and Erase adds one more for each ID that the resource has had, with the Actor
// and the Reason of opts. Readers must remove what they keep under these IDs.
//
// opts may be nil, and may have If, Actor, Reason and DryRun. If is checked once, at the
// beginning; an absent resource has the revision 0. A dry run returns the report that the
// call without DryRun would return.
//
// Erase ends when it has found neither the resource nor a change of it, so what others
// write meanwhile is erased, too. Afterwards they can create the resource again. Erase first
// deletes and then empties the log. After an error, or the end of the process in between,
// call it again, without If; the report counts only what the last call did.
//
// On a store without a log it only deletes. docs/changes.md lists what it cannot reach:
// backups, the files of the database until they are cleaned, and copies of consumers.
//
// Errors:
//
//   - [storage.ErrInvalid]: the tenant is not valid, or opts have another option.
//   - [ErrPrecondition]: If does not hold.
//   - [ErrLogged]: the resource exists, and this collection must not write it.
//   - [storage.ErrAttempts]: the resource was created again each time.
//   - the other errors of the store, and the error of ctx when it ends.
func (c *Collection) Erase(
	ctx context.Context, tenant storage.Tenant, externalID string, opts *WriteOptions,
) (*Erasure, error) {
	start := c.start()
	opts = opts.orZero()
	op := writeOp{
		name: "erase", key: c.key(tenant, externalID), delete: true, erase: true, mayCreate: true, mayChange: true,
		condition: opts.If, dryRun: opts.DryRun, actor: opts.Actor, reason: opts.Reason,
	}
	report, err := c.lockAndErase(ctx, &op, cmp.Or(op.key.Scope().Validate(), opts.bare()))
	if err != nil {
		report, err = nil, opError(op.name, op.key, err)
	}
	if c.opts.OnCall != nil {
		call := Call{Op: op.name, Tenant: tenant, DryRun: op.dryRun, Attempts: op.attempts, Err: err}
		result := &Result{Outcome: Erased}
		if err == nil && *report == (Erasure{}) {
			result.Outcome = Unchanged
		}
		call.add(result, err)
		c.called(ctx, start, call)
	}
	return report, err
}

func (c *Collection) lockAndErase(ctx context.Context, op *writeOp, invalid error) (*Erasure, error) {
	if invalid != nil {
		return nil, invalid
	}
	if op.key.Validate() != nil { // there cannot be anything
		return &Erasure{}, op.check(&storage.Record{Key: op.key}, c.field)
	}
	if !op.dryRun {
		lock, err := c.locks.Lock(ctx, op.key, nil)
		if err != nil {
			return nil, err
		}
		defer lock.Unlock()
	}
	return c.erase(ctx, op)
}

// maxErasures is how often Erase begins again because the resource was written meanwhile.
const maxErasures = 100

// erase deletes the resource and empties the log, until it meets neither. The caller has
// the key's lock.
func (c *Collection) erase(ctx context.Context, op *writeOp) (*Erasure, error) {
	report := &Erasure{}
	hasLog := !c.store.Limits().NoLog
	for range maxErasures {
		result, err := c.writeLocked(ctx, op)
		if err != nil {
			return nil, err
		}
		deleted := result.Outcome == Deleted
		report.Deleted = report.Deleted || deleted
		op.condition = Condition{}
		n := 0
		switch {
		case hasLog && op.dryRun:
			if n, err = c.countChanges(ctx, op.key); deleted && c.opts.Log {
				n++ // that of the delete
			}
		case hasLog:
			note := storage.Note{Time: c.timestamp(), Actor: op.actor, Reason: op.reason}
			n, err = c.store.Redact(ctx, op.key, note)
		}
		if err != nil {
			return nil, err
		}
		report.Changes += n
		if op.dryRun {
			return report, nil
		}
		if !deleted && n == 0 || !hasLog {
			return report, c.forgetPlace(ctx, op.key)
		}
	}
	return nil, fmt.Errorf("%w: %w: the resource was created again each time", storage.ErrAttempts, storage.ErrConflict)
}

// countChanges returns how many changes Redact would find.
func (c *Collection) countChanges(ctx context.Context, key storage.Key) (n int, err error) {
	q := storage.ChangeQuery{Scope: key.Scope(), ExternalID: key.ExternalID, NoData: true, Limit: storage.MaxPage}
	for {
		page, err := c.store.Changes(ctx, q)
		if err != nil {
			return 0, err
		}
		for i := range page.Changes {
			if !page.Changes[i].Redacted {
				n++
			}
		}
		if q.After = page.Next; !page.More {
			return n, nil
		}
	}
}

// forgetPlace removes the external id from the state of a Reindex that is under way, or
// has not ended, and keeps it from coming back: see reindex.pass.
func (c *Collection) forgetPlace(ctx context.Context, key storage.Key) error {
	state, err := c.readState(ctx, key.Scope())
	if err == nil && state.Run != 0 {
		_, err = c.changeState(ctx, key.Scope(), func(s *scopeState) error {
			if s.Run == 0 {
				return storage.ErrNoChange
			}
			if s.Erased++; s.After == key.ExternalID {
				s.After = ""
			}
			return nil
		})
	}
	if err != nil {
		err = elsewhere("cannot remove the place of a reindex", err)
	}
	return err
}
