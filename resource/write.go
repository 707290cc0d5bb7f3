package resource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/resourcekit/resource/internal/overlay"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// A writeOp is one create, patch or delete, with the state that its attempts share.
type writeOp struct {
	name      Op // for errors
	key       storage.Key
	request   schema.Request // of a create or patch
	delete    bool
	erase     bool // of a delete: an absent resource is Unchanged, and the log gets no document
	mayCreate bool // if false, an absent resource is ErrNotFound
	mayChange bool // if false, an existing resource is ErrExists
	condition Condition
	dryRun    bool
	actor     string
	reason    string
	state     *knownState // of the tenant

	revision storage.Revision // of a restore: that of the document
	restored uuid.UUID        // that the resource had then

	attempts int // made so far

	// While an index is not ready, moved are the indexes whose values the last attempt
	// changes, and shared those in which another resource has the value, too.
	moved, shared []uint32

	id    uuid.UUID // of the new resource, once it was made
	hasID bool
}

// do makes the write that newOp returns, and tells OnCall: every Create, Patch and Delete
// comes here.
func (c *Collection) do(ctx context.Context, call Call, newOp func() (writeOp, error)) (result *Result, err error) {
	start := c.start()
	op, err := newOp()
	if err == nil {
		result, err = c.write(ctx, &op)
	}
	if c.opts.OnCall != nil {
		call.Attempts, call.Err = op.attempts, err
		call.add(result, err)
		c.called(ctx, start, call)
	}
	return result, err
}

// write makes attempts until one is stored, and closes the request.
func (c *Collection) write(ctx context.Context, op *writeOp) (*Result, error) {
	defer op.request.Close()
	if !op.dryRun {
		lock, err := c.locks.Lock(ctx, op.key, op.request.Shrink)
		if err != nil {
			return nil, opError(op.name, op.key, err)
		}
		defer lock.Unlock()
	}
	result, err := c.writeLocked(ctx, op)
	if err == nil && op.revision != 0 && result.Outcome == Created && !op.dryRun {
		if err = c.confirm(ctx, op); err != nil {
			return nil, opError(op.name, op.key, err)
		}
	}
	return result, err
}

// writeLocked is write without the lock of the key.
func (c *Collection) writeLocked(ctx context.Context, op *writeOp) (*Result, error) {
	var err error
	if !op.erase { // which may have nothing to write
		if op.state, err = c.writeState(ctx, op.key.Tenant, nil, op.dryRun); err != nil {
			return nil, opError(op.name, op.key, err)
		}
	}
	result := new(Result)
	var was, rec storage.Record
	var dry storage.Write // what a dry run would write
	for again := true; again; again = c.share(err, op) {
		rec, err = c.update(ctx, op, result, &was, &dry)
	}
	if err != nil {
		return nil, op.wrap(&was, c.taken(err))
	}
	result.record = rec
	if result.Outcome != Unchanged && !op.dryRun && !op.delete {
		c.recheck(ctx, &rec, op)
	}
	if op.dryRun && result.Outcome != Unchanged && !op.delete {
		result.record = dry.Record
		result.record.Revision = was.Revision
	}
	return result, nil
}

// update makes attempts until one is stored. It sets was to the record that was found, and
// dry to what a dry run would write.
func (c *Collection) update(
	ctx context.Context, op *writeOp, result *Result, was *storage.Record, dry *storage.Write,
) (storage.Record, error) {
	rec, err := storage.UpdateWith(ctx, c.store, op.key, func(old storage.Record) (storage.Write, error) {
		*was = old
		if !op.erase || old.Revision != 0 {
			var err error
			if op.state, err = c.writeState(ctx, op.key.Tenant, op.state, op.dryRun); err != nil {
				return storage.Write{}, err
			}
		}
		if op.revision != 0 {
			if err := c.aim(ctx, op, &old); err != nil {
				return storage.Write{}, err
			}
		}
		w, err := c.attempt(op, &old, result)
		if op.dryRun && err == nil {
			*dry = w
			err = storage.ErrNoChange
		}
		return w, err
	})
	if err == nil && op.dryRun && result.Outcome != Unchanged {
		err = c.rehearse(ctx, []storage.Write{*dry})[0]
	}
	return rec, err
}

// share reports whether the writes of a resource may be made again after err, now with a
// value that another one has, too: both had it before the field was unique, and a write is
// judged by what it changes.
func (c *Collection) share(err error, ops ...*writeOp) bool {
	if !errors.Is(err, storage.ErrNotUnique) || ops[0].state.all(c.index, ready) {
		return false
	}
	var taken *storage.NotUniqueError // not above: a variable for errors.As is an allocation
	if !errors.As(err, &taken) {
		return false
	}
	for _, op := range ops {
		if slices.Contains(op.moved, taken.Index) || slices.Contains(op.shared, taken.Index) {
			return false
		}
	}
	for _, op := range ops {
		op.shared = append(op.shared, taken.Index)
	}
	return true
}

// rehearse returns the errors of writes that a dry run does not make.
func (c *Collection) rehearse(ctx context.Context, writes []storage.Write) []error {
	errs, err := overlay.New(c.store).Write(ctx, writes)
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// wrap adds the operation, the key and the ID of the found record to an error, unless it
// is about the data alone.
func (op *writeOp) wrap(found *storage.Record, err error) error {
	if _, ok := err.(*schema.ValidationError); ok {
		return err
	}
	nameRecord(found, err)
	return opError(op.name, op.key, err)
}

// attempt returns the write that replaces old, and sets result. The error is
// storage.ErrNoChange when old is to stay.
func (c *Collection) attempt(op *writeOp, old *storage.Record, result *Result) (storage.Write, error) {
	op.attempts++
	if err := op.check(old, c.field); err != nil {
		return storage.Write{}, err
	}
	if op.erase && old.Revision == 0 {
		result.Outcome = Unchanged
		return storage.Write{}, storage.ErrNoChange
	}
	if op.delete {
		result.Outcome = Deleted
		var err error
		if result.shown, err = c.schema.Show(old.Data, nil); err == nil {
			result.before = old.Data
		} else { // a record with a damaged document can be deleted
			result.shown = []byte("{}")
		}
		return storage.Write{
			Record: storage.Record{Key: op.key}, Expect: old.Revision, Delete: true, Note: c.note(op, c.timestamp(), old.Data, nil),
		}, nil
	}
	stored, err := document(old)
	if err != nil {
		return storage.Write{}, err
	}
	doc, err := op.request.Apply(stored)
	if err != nil {
		return storage.Write{}, err
	}
	result.before, result.Dropped, result.shown = stored, doc.Dropped, doc.Shown
	op.moved = op.moved[:0]
	if !op.state.all(c.index, ready) {
		for i, e := range doc.Entries {
			if doc.Before == nil || !bytes.Equal(e.Value, doc.Before[i].Value) {
				op.moved = append(op.moved, e.Index)
			}
		}
	}
	if !doc.Changed {
		result.Outcome = Unchanged
		return storage.Write{}, storage.ErrNoChange
	}
	next := storage.Record{Key: op.key, ID: old.ID, CreatedAt: old.CreatedAt, UpdatedAt: c.timestamp(), Data: doc.Stored}
	result.Outcome = Updated
	if old.Revision == 0 {
		result.Outcome = Created
		if !op.hasID { // otherwise an attempt before has made it
			if op.id, err = c.opts.NewID(); err != nil {
				return storage.Write{}, idError(err)
			}
			op.hasID = true
		}
		next.ID, next.CreatedAt = op.id, next.UpdatedAt
	} else if next.UpdatedAt.Before(old.UpdatedAt) {
		next.UpdatedAt = old.UpdatedAt
	}
	entries := c.entries(doc.Entries, &next, &op.state.scopeState)
	for i := range entries {
		entries[i].Unique = entries[i].Unique && !slices.Contains(op.shared, entries[i].Index)
	}
	return storage.Write{Record: next, Expect: old.Revision, Entries: entries, Note: c.note(op, next.UpdatedAt, stored, next.Data)}, nil
}

// note returns the note of a change, nil if changes are not logged. Its time is that of
// the record.
func (c *Collection) note(op *writeOp, at time.Time, before, after []byte) *storage.Note {
	if !c.opts.Log {
		return nil
	}
	note := &storage.Note{Time: at, Actor: op.actor, Reason: op.reason}
	if c.opts.History && !op.erase {
		note.Before, note.After = before, after
	}
	return note
}

// idError returns the error of a write whose NewID failed. An error of another store,
// which NewID may use, must not match: it is not about this record. Only ErrUnavailable
// is kept.
func idError(err error) error {
	if class := ErrorClass(err); class != internal && class != unavailable {
		err = errors.New(err.Error())
	}
	return fmt.Errorf("cannot make an id: %w", err)
}

// check returns the error if the write must not replace this record.
func (op *writeOp) check(old *storage.Record, field string) error {
	switch present := old.Revision != 0; {
	case !present && !op.mayCreate:
		return ErrNotFound
	case !op.condition.Holds(old.Revision):
		why := "precondition failed: the resource is in another state"
		if !present {
			why = "precondition failed: there is no such resource"
		}
		return op.refuse(old, ErrPrecondition, why)
	case present && !op.mayChange:
		return op.refuse(old, ErrExists, "a resource with this "+field+" exists already")
	}
	return nil
}

func (op *writeOp) refuse(old *storage.Record, err error, why string) error {
	return &OpError{Op: op.name, Key: op.key, Current: old.Revision, Err: &reason{err, why}}
}

// document returns the document of a record, nil if the record is absent.
func document(rec *storage.Record) ([]byte, error) {
	if rec.Revision != 0 && len(rec.Data) == 0 {
		return nil, &schema.CorruptError{Err: errors.New("expected object, found nothing")}
	}
	return rec.Data, nil
}
