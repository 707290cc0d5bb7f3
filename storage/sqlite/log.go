package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

const (
	// ?5 is the revision that the record has: before a delete, after other writes.
	sqlLog = "INSERT INTO changes (platform, business, schema, external_id," +
		" revision, before, deleted, redacted, changed_at, actor, reason, data_before, data_after, id)" +
		" SELECT ?1, ?2, ?3, ?4, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, id FROM records WHERE " + ofKey + " AND revision = ?5"

	sqlColumnsOfChange = "SELECT position, revision, platform, business, schema, external_id, id," +
		" before, deleted, redacted, changed_at, actor, reason, data_before, data_after FROM changes "
	sqlChanges        = sqlColumnsOfChange + "WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
	sqlChangesOfScope = sqlColumnsOfChange + "NOT INDEXED WHERE " + ofScope +
		" AND position > ?4 AND position <= ?5 ORDER BY position LIMIT ?6"
	sqlChangesOfKey = sqlColumnsOfChange + "WHERE " + ofKey +
		" AND position > ?5 AND position <= ?6 ORDER BY position LIMIT ?7"

	sqlFloor    = "SELECT position, revision FROM changes ORDER BY position LIMIT 1"
	sqlCursorTo = "SELECT position, revision FROM changes WHERE position <= ?1 ORDER BY position DESC LIMIT 1"
	sqlHas      = "SELECT position, revision FROM changes WHERE position = ?1 AND revision = ?2"

	sqlSizes = "SELECT position, changed_at, coalesce(length(data_before), 0) + coalesce(length(data_after), 0)" +
		" FROM changes WHERE "
	sqlSizesOfAll = sqlSizes + "platform <> x'' ORDER BY position" // without the floor
	sqlSizesOfKey = sqlSizes + ofKey + " AND redacted = 0 ORDER BY position"

	sqlTrim     = "DELETE FROM changes WHERE position < ?1"
	sqlSetFloor = "UPDATE changes SET platform = x'', business = x'', schema = x'', external_id = '', id = x''," +
		" before = 0, deleted = 0, redacted = 0, changed_at = 0, actor = '', reason = ''," +
		" data_before = NULL, data_after = NULL WHERE position = ?1"

	sqlSecret = "SELECT key FROM redaction"
	sqlRedact = "UPDATE changes SET external_id = ?6, redacted = 1, actor = '', reason = ''," +
		" data_before = NULL, data_after = NULL WHERE " + ofKey + " AND redacted = 0 AND position <= ?5"
)

// log logs a write if its record has the revision, and reports whether it did.
func (w *writer) log(s *swap, revision storage.Revision) (bool, error) {
	deleted := int64(0)
	if s.write.Delete {
		deleted = 1
	}
	note := s.write.Note
	return w.swapped(sqlLog, keyArgs(&s.write.Record.Key, int64(revision),
		int64(s.write.Record.Revision), int64(s.write.Expect), deleted,
		note.Time.UnixMilli(), note.Actor, note.Reason, note.Before, note.After)...)
}

// Changes implements storage.Store. A page ends early once it holds 16 MiB of documents.
func (s *Store) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	var page storage.ChangePage
	q, err := storage.CheckChanges(ctx, q)
	if err == nil {
		err = s.read(ctx, func(c *conn) error {
			return c.snapshot(func() (err error) {
				page, err = changes(ctx, c, q)
				return err
			})
		})
	}
	if err != nil {
		return storage.ChangePage{}, &storage.OpError{Op: "changes", Err: err}
	}
	return page, nil
}

// maxScan is how many changes a page of one scope looks at. The log has no index by scope,
// which would make each logged write a tenth slower.
const maxScan = 10_000

func changes(ctx context.Context, c *conn, q storage.ChangeQuery) (page storage.ChangePage, err error) {
	end, err := cursor(c, sqlCursorTo, int64(math.MaxInt64))
	if err != nil || q.End {
		return storage.ChangePage{Next: end}, err
	}
	start, until := q.After, end
	if start == (storage.Cursor{}) {
		start, err = cursor(c, sqlFloor)
	} else if start, err = cursor(c, sqlHas, start.Position, int64(start.Revision)); err == nil && start != q.After {
		err = storage.ErrExpired
	}
	query, args := sqlChanges, []driver.Value(nil)
	switch {
	case q.ExternalID != "":
		query, args = sqlChangesOfKey, append(scopeArgs(&q.Scope), q.ExternalID)
	case q.Scope != (storage.Scope{}):
		query, args = sqlChangesOfScope, scopeArgs(&q.Scope)
		if err == nil {
			until, err = cursor(c, sqlCursorTo, min(start.Position, math.MaxInt64-maxScan)+maxScan)
		}
	}
	if err != nil {
		return storage.ChangePage{}, err
	}
	page = storage.ChangePage{Next: until, More: until != end}
	size := 0
	var damaged error
	err = c.query(query, 15, func(row []driver.Value) bool {
		if n := len(page.Changes); n == q.Limit || size >= maxPageBytes {
			page.Next, page.More = page.Changes[n-1].Cursor, true
			return false
		}
		change, err := changeOf(row)
		if damaged = errors.Join(err, ctx.Err()); damaged != nil {
			return false
		}
		page.Changes = append(page.Changes, change)
		size += len(change.Note.Before) + len(change.Note.After)
		return true
	}, append(args, start.Position, until.Position, int64(q.Limit)+1)...)
	return page, errors.Join(err, damaged)
}

// cursor returns the cursor that a query has, zero if it has none.
func cursor(c *conn, query string, args ...driver.Value) (at storage.Cursor, err error) {
	err = c.query(query, 2, func(row []driver.Value) bool {
		position, _ := row[0].(int64)
		revision, _ := row[1].(int64)
		at = storage.Cursor{Position: position, Revision: storage.Revision(revision)}
		return false
	}, args...)
	return at, err
}

// changeOf returns the change of a row. The table is STRICT: only the lengths of ids can
// be wrong.
func changeOf(row []driver.Value) (c storage.Change, err error) {
	position, _ := row[0].(int64)
	revision, _ := row[1].(int64)
	c.Cursor = storage.Cursor{Position: position, Revision: storage.Revision(revision)}
	for i, id := range []*uuid.UUID{2: &c.Key.Tenant.Platform, 3: &c.Key.Tenant.Business, 4: &c.Key.Schema, 6: &c.ID} {
		if id != nil && err == nil {
			b, _ := row[i].([]byte)
			*id, err = uuid.FromBytes(b)
		}
	}
	if err != nil {
		return c, errors.New("a logged change is not one that this package wrote")
	}
	c.Key.ExternalID, _ = row[5].(string)
	before, _ := row[7].(int64)
	c.Before = storage.Revision(before)
	c.Deleted = row[8] == int64(1)
	c.Redacted = row[9] == int64(1)
	at, _ := row[10].(int64)
	c.Note.Time = time.UnixMilli(at).UTC()
	c.Note.Actor, _ = row[11].(string)
	c.Note.Reason, _ = row[12].(string)
	c.Note.Before, _ = row[13].([]byte)
	c.Note.After, _ = row[14].([]byte)
	return c, nil
}

// Redact implements storage.Store. The changes of a key that has many of them are
// redacted in several transactions. As after a delete, pages that SQLite has freed may
// still have the old bytes until it uses them again, and so may the -wal file and backups.
func (s *Store) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	err := storage.CheckKey(ctx, key)
	if err == nil {
		err = s.inSteps(ctx, func(c *conn) (bool, error) { return redact(c, key) })
	}
	if err != nil {
		return 0, &storage.OpError{Op: "redact", Key: key, Err: err}
	}
	return 0, nil
}

func redact(c *conn, key storage.Key) (more bool, err error) {
	last, more, err := step(c, sqlSizesOfKey, func(int64) bool { return true }, keyArgs(&key)...)
	if err != nil || last == 0 {
		return false, err
	}
	secret, err := c.value(sqlSecret)
	if err != nil {
		return false, err
	}
	known, _ := secret.([]byte)
	_, err = c.exec(sqlRedact, keyArgs(&key, last, storage.RedactedID(known, key))...)
	return more, err
}

// Trim implements storage.Store. It removes changes in several transactions, between
// which others can write.
func (s *Store) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	err := ctx.Err()
	if err == nil {
		err = s.inSteps(ctx, func(c *conn) (bool, error) { return trim(c, before) })
	}
	if err != nil {
		return &storage.OpError{Op: "trim", Err: err}
	}
	return nil
}

func trim(c *conn, before time.Time) (more bool, err error) {
	last, more, err := step(c, sqlSizesOfAll, func(at int64) bool { return time.UnixMilli(at).Before(before) })
	if err != nil || last == 0 {
		return false, err
	}
	if _, err = c.exec(sqlTrim, last); err != nil {
		return false, err
	}
	_, err = c.exec(sqlSetFloor, last)
	return more, err
}

// The changes that Trim and Redact take in one transaction: so many, or so many bytes of
// documents.
const (
	maxStep      = 256
	maxStepBytes = 16 << 20
)

// step returns the position of the last change that one transaction takes, 0 for none,
// and whether there may be more after it. It ends at the first one that is not chosen.
func step(c *conn, query string, chosen func(at int64) bool, args ...driver.Value) (last int64, more bool, err error) {
	n, size := 0, int64(0)
	err = c.query(query, 3, func(row []driver.Value) bool {
		at, _ := row[1].(int64)
		if !chosen(at) {
			return false
		}
		last, _ = row[0].(int64)
		bytes, _ := row[2].(int64)
		n, size = n+1, size+bytes
		more = n == maxStep || size >= maxStepBytes
		return !more
	}, args...)
	return last, more, err
}

// inSteps has the writer run f in one transaction after the other, as long as there is
// more to do.
func (s *Store) inSteps(ctx context.Context, f func(*conn) (more bool, err error)) error {
	for {
		more := false
		err := s.writer.do(ctx, &request{task: func(c *conn) (err error) {
			more, err = f(c)
			return err
		}})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !more {
			return err
		}
	}
}
