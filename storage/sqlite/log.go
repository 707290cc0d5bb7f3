package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"maps"
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
		" before, deleted, redacted, changed_at, actor, reason, "
	sqlWithData    = sqlColumnsOfChange + "data_before, data_after FROM changes "
	sqlWithoutData = sqlColumnsOfChange + "NULL, NULL FROM changes "

	// These follow one of the two.
	sqlChanges        = "WHERE position > ?1 AND position <= ?2 ORDER BY position LIMIT ?3"
	sqlChangesOfScope = "NOT INDEXED WHERE " + ofScope +
		" AND position > ?4 AND position <= ?5 ORDER BY position LIMIT ?6"
	sqlChangesOfKey  = "WHERE " + ofKey + " AND position > ?5 AND position <= ?6 ORDER BY position LIMIT ?7"
	sqlChangesBefore = "WHERE " + ofKey + " AND position < ?5 ORDER BY position DESC LIMIT ?6"

	sqlFloor    = "SELECT position, revision FROM changes ORDER BY position LIMIT 1"
	sqlCursorTo = "SELECT position, revision FROM changes WHERE position <= ?1 ORDER BY position DESC LIMIT 1"
	sqlHas      = "SELECT position, revision FROM changes WHERE position = ?1 AND revision = ?2"

	sqlSizes = "SELECT position, coalesce(length(data_before), 0) + coalesce(length(data_after), 0), changed_at, id" +
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

	// The changes that Redact has added, and no other: a delete that was written has a
	// revision before.
	sqlAdded = "SELECT position, id FROM changes WHERE " + ofKey + " AND position > ?5 AND deleted = 1 AND before = 0"
	sqlAdd   = "INSERT INTO changes (platform, business, schema, external_id," +
		" id, revision, before, deleted, redacted, changed_at, actor, reason)" +
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 1, 1, ?7, ?8, ?9)"
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

// Changes implements storage.Store.
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
	start := q.After
	switch {
	case start != storage.Cursor{}:
		if start, err = cursor(c, sqlHas, start.Position, int64(start.Revision)); err == nil && start != q.After {
			err = storage.ErrExpired
		}
	case q.Backwards:
		start.Position = math.MaxInt64
	default:
		start, err = cursor(c, sqlFloor)
	}
	if err != nil {
		return storage.ChangePage{}, err
	}
	page.Next = end
	query, args := sqlChanges, []driver.Value{start.Position, end.Position}
	switch {
	case q.Backwards:
		page.Next = storage.Cursor{}
		query, args = sqlChangesBefore, append(scopeArgs(&q.Scope), q.ExternalID, start.Position)
	case q.ExternalID != "":
		query, args = sqlChangesOfKey, append(scopeArgs(&q.Scope), q.ExternalID, start.Position, end.Position)
	case q.Scope != (storage.Scope{}):
		if page.Next, err = cursor(c, sqlCursorTo, min(start.Position, math.MaxInt64-maxScan)+maxScan); err != nil {
			return storage.ChangePage{}, err
		}
		page.More = page.Next != end
		query, args = sqlChangesOfScope, append(scopeArgs(&q.Scope), start.Position, page.Next.Position)
	}
	columns := sqlWithData
	if q.NoData {
		columns = sqlWithoutData
	}
	size := 0
	var damaged error
	err = c.query(columns+query, 15, func(row []driver.Value) bool {
		change, err := changeOf(row)
		if damaged = errors.Join(err, ctx.Err()); damaged != nil {
			return false
		}
		size += change.Note.Size()
		if n := len(page.Changes); n == q.Limit || n > 0 && size > storage.MaxPageBytes {
			page.Next, page.More = page.Changes[n-1].Cursor, true
			return false
		}
		page.Changes = append(page.Changes, change)
		return true
	}, append(args, int64(q.Limit)+1)...)
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
// redacted in several transactions. As after a delete, the -wal file may still have the
// old bytes, and so may the pages that SQLite has freed, unless there is
// Options.SecureDelete.
func (s *Store) Redact(ctx context.Context, key storage.Key, note storage.Note) (n int, err error) {
	err = storage.CheckRedact(ctx, key, note)
	if err == nil {
		err = checkNote(&note)
	}
	if err == nil {
		r := redaction{key: &key, note: &note}
		err = s.inSteps(ctx, r.step, func() {
			if n += r.changed; r.told == nil {
				r.told = r.added
			}
			maps.Copy(r.told, r.added)
		})
	}
	if err != nil {
		return 0, &storage.OpError{Op: "redact", Key: key, Err: err}
	}
	return n, nil
}

// redaction is a call of Redact. Each step redacts the oldest changes of the key that are
// left. For each ID among them it adds a change, unless one that comes after them all has
// been added before. So whatever ends between two steps, each redacted change has an added
// one after it.
type redaction struct {
	key  *storage.Key
	note *storage.Note
	told map[string]int64 // by ID, the position from which on a change needs an added one; nil in the first step

	// Of the last step:
	changed int
	added   map[string]int64 // as told
}

func (r *redaction) step(c *conn) (more bool, err error) {
	r.changed, r.added = 0, make(map[string]int64)
	var ids []string                 // in the order in which they first come
	newest := make(map[string]int64) // position of each ID's last change in this step
	first := int64(0)
	last, more, err := step(c, sqlSizesOfKey, func(row []driver.Value) bool {
		position, _ := row[0].(int64)
		id, _ := row[3].([]byte)
		if newest[string(id)] == 0 {
			ids = append(ids, string(id))
		}
		if newest[string(id)] = position; first == 0 {
			first = position
		}
		return true
	}, keyArgs(r.key)...)
	if err != nil || last == 0 {
		return false, err
	}
	secret, err := c.value(sqlSecret)
	if err != nil {
		return false, err
	}
	known, _ := secret.([]byte)
	hashed := *r.key
	hashed.ExternalID = storage.RedactedID(known, *r.key)
	if r.told == nil { // an earlier call may have ended between two steps
		err = c.query(sqlAdded, 2, func(row []driver.Value) bool {
			id, _ := row[1].([]byte)
			r.added[string(id)], _ = row[0].(int64)
			return true
		}, keyArgs(&hashed, first)...)
		if err != nil {
			return false, err
		}
	}
	end, err := cursor(c, sqlCursorTo, int64(math.MaxInt64))
	if err != nil {
		return false, err
	}
	changed, err := c.exec(sqlRedact, keyArgs(r.key, last, hashed.ExternalID)...)
	r.changed = int(changed)
	for _, id := range ids {
		if err != nil {
			break
		}
		if newest[id] >= max(r.told[id], r.added[id]) {
			r.added[id] = end.Position + 1
			_, err = c.exec(sqlAdd, keyArgs(&hashed, []byte(id), int64(storage.NextRevision(0)),
				r.note.Time.UnixMilli(), r.note.Actor, r.note.Reason)...)
		}
	}
	return more, err
}

// Trim implements storage.Store. It removes changes in several transactions, between
// which others can write.
func (s *Store) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	err := storage.CheckTrim(ctx, end)
	if err == nil {
		err = s.inSteps(ctx, func(c *conn) (bool, error) { return trim(c, before, end) }, func() {})
	}
	if err != nil {
		return &storage.OpError{Op: "trim", Err: err}
	}
	return nil
}

func trim(c *conn, before time.Time, end storage.Cursor) (more bool, err error) {
	most := int64(math.MaxInt64)
	if end != (storage.Cursor{}) {
		most = end.Position
		if known, err := cursor(c, sqlHas, most, int64(end.Revision)); err != nil || known != end {
			return false, errors.Join(err, storage.ErrExpired)
		}
	}
	last, more, err := step(c, sqlSizesOfAll, func(row []driver.Value) bool {
		position, _ := row[0].(int64)
		at, _ := row[2].(int64)
		return position <= most && time.UnixMilli(at).Before(before)
	})
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
// and whether there may be more after it. It ends at the first row of sqlSizes that is not
// chosen.
func step(c *conn, query string, chosen func(row []driver.Value) bool, args ...driver.Value) (last int64, more bool, err error) {
	n, size := 0, int64(0)
	err = c.query(query, 4, func(row []driver.Value) bool {
		if !chosen(row) {
			return false
		}
		last, _ = row[0].(int64)
		bytes, _ := row[1].(int64)
		n, size = n+1, size+bytes
		more = n == maxStep || size >= maxStepBytes
		return !more
	}, args...)
	return last, more, err
}

// inSteps has the writer run f in one transaction after the other, as long as there is
// more to do. After each one that is committed it calls done.
func (s *Store) inSteps(ctx context.Context, f func(*conn) (more bool, err error), done func()) error {
	for {
		more := false
		err := s.writer.do(ctx, &request{task: func(c *conn) (err error) {
			more, err = f(c)
			return err
		}})
		if err == nil {
			done()
			err = ctx.Err()
		}
		if err != nil || !more {
			return err
		}
	}
}
