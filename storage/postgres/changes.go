package postgres

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// maxStep is how many changes one statement of Trim or Redact takes, so that it takes
// milliseconds, and far less than a timeout.
const maxStep = 5000

// A fence tells up to which change the log can be read. Numbers are drawn in one order
// and committed in another: a reader that goes on from the last change it sees leaves
// out those that commit later. The fence is where every number has been decided:
//
//  1. Read the last number that was drawn, L. Its transaction had an id by then, since
//     a number is drawn after a row has been written.
//  2. If L is new, take a transaction id X: it is above those of all that drew a number
//     up to L.
//  3. When the oldest running transaction of a snapshot is above X, all these have
//     ended, and the snapshot sees them.
//
// Each step is a transaction of its own, on the primary. A transaction that is open in
// any database of the server delays the fence, and never breaks it.
//
// (Ordering by transaction id instead, below that of the oldest running one, would swap
// changes of one key: a transaction may take its id, wait for the row of another with a
// later id, and write after it. And the snapshot's xmax does not do in place of X: it is
// one above the last transaction that has ended, not above those that run.)
//
// The state is kept between calls, and calls at the same time share a round.
type fence struct {
	mu      sync.Mutex
	running bool
	next    *round // of the calls that came since the last one began

	// Of the running round alone:

	// The last change before the fence, or the floor. It is a row, and not just a number,
	// so that each round sees whether it is still there: in a database that was restored
	// or has failed over, numbers may be drawn again.
	at storage.Cursor

	last    int64 // the last number that was drawn, when at was found
	pending *pending
}

// pending is a number that has been drawn, and is not before the fence yet.
type pending struct {
	last, xid int64
	since     time.Time
}

// round is one advance of the fence, for all that wait for it.
type round struct {
	done chan struct{}
	at   storage.Cursor
	held time.Duration
	err  error
}

// advance returns where the fence is, by a round that began after the call did, and for
// how long a change has been held back.
func (s *Store) advance(ctx context.Context) (storage.Cursor, time.Duration, error) {
	f := &s.fence
	f.mu.Lock()
	if f.next == nil {
		f.next = &round{done: make(chan struct{})}
	}
	r := f.next
	if !f.running {
		f.running = true
		go s.rounds()
	}
	f.mu.Unlock()
	select {
	case <-r.done:
		return r.at, r.held, r.err
	case <-ctx.Done():
		return storage.Cursor{}, 0, &storage.OpError{Op: "changes", Err: ctx.Err()}
	}
}

// rounds makes rounds until no call waits.
func (s *Store) rounds() {
	f := &s.fence
	for {
		f.mu.Lock()
		r := f.next
		f.next, f.running = nil, r != nil
		f.mu.Unlock()
		if r == nil {
			return
		}
		r.err = s.round()
		if r.at = f.at; f.pending != nil {
			r.held = time.Since(f.pending.since)
		}
		close(r.done)
	}
}

// round is one round of the fence: steps 1 and 3, which are one look, and steps 2 and 3
// again if there is a new number.
func (s *Store) round() error {
	f := &s.fence
	last, err := s.look()
	if err != nil || f.pending != nil || last == f.last {
		return err
	}
	now := time.Now()
	op := operation{name: "changes"}
	xid, err := do(context.Background(), s, op, func(ctx context.Context, conn *pgx.Conn) (xid int64, err error) {
		err = conn.QueryRow(ctx, s.sql.take).Scan(&xid)
		return xid, err
	})
	if err != nil {
		return err
	}
	f.pending = &pending{last, xid, now}
	_, err = s.look()
	return err
}

// look moves the fence if the pending number is decided, and returns the last number.
func (s *Store) look() (last int64, err error) {
	f := &s.fence
	var pendingLast, xmin, xmax, at, floor, floorRevision, change, revision int64
	if f.pending != nil {
		pendingLast = f.pending.last
	}
	op := operation{name: "changes"}
	_, err = do(context.Background(), s, op, func(ctx context.Context, conn *pgx.Conn) (struct{}, error) {
		return struct{}{}, conn.QueryRow(ctx, s.sql.look, f.at.Position, pendingLast).
			Scan(&last, &xmin, &xmax, &at, &floor, &floorRevision, &change, &revision)
	})
	if err != nil {
		return 0, err
	}
	floorAt := storage.Cursor{Position: floor, Revision: storage.Revision(floorRevision)}
	if storage.Revision(at) != f.at.Revision || f.at.Position == 0 {
		// It was trimmed, or is the floor; otherwise the database is another one, and so
		// are its numbers.
		if f.at != floorAt {
			f.last = 0
		}
		if floor < f.at.Position {
			f.pending = nil
		}
		f.at = floorAt
	}
	switch p := f.pending; {
	case p == nil:
	case xmax <= p.xid: // its transaction had ended, so this is another database, too
		f.pending = nil
	case xmin > p.xid:
		f.last, f.pending = p.last, nil
		if change > f.at.Position {
			f.at = storage.Cursor{Position: change, Revision: storage.Revision(revision)}
		}
	}
	return last, nil
}

// Changes implements storage.Store. It takes one round trip for the changes, and before
// it one for the fence if nothing was logged since the last call, otherwise up to three;
// calls at the same time share these. The server sends no more than the page holds.
func (s *Store) Changes(ctx context.Context, q storage.ChangeQuery) (storage.ChangePage, error) {
	q, err := storage.CheckChanges(ctx, q)
	if err != nil {
		return storage.ChangePage{}, err
	}
	fence, held, err := s.advance(ctx)
	if err != nil || q.End {
		return storage.ChangePage{Next: fence, Held: held}, err
	}
	args := []any{q.After.Position, fence.Position, int64(q.Limit) + 1, int64(storage.MaxPageBytes), q.NoData}
	sql := s.sql.changes
	if q.Scope != (storage.Scope{}) {
		sql, args = s.sql.changesOf, append(args, scopeID(q.Scope))
	}
	if q.ExternalID != "" {
		sql, args = s.sql.changesKey, append(args, q.ExternalID)
	}
	if q.Backwards {
		if sql = s.sql.changesBefore; q.After.Position == 0 {
			args[0] = int64(math.MaxInt64)
		}
	}
	type answer struct {
		page  storage.ChangePage
		known bool // the cursor
	}
	op := operation{name: "changes", key: storage.Key{Tenant: q.Scope.Tenant, Schema: q.Scope.Schema}}
	a, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (*answer, error) {
		a := &answer{known: q.After == storage.Cursor{}}
		var batch pgx.Batch
		batch.Queue(sql, args...).Query(func(rows pgx.Rows) error { return s.readChanges(rows, q.Limit, &a.page) })
		// The cursor is looked at after the page was read: if it is still in the log,
		// nothing after it had been trimmed.
		if !a.known {
			batch.Queue(s.sql.knows, q.After.Position, toBigint(q.After.Revision)).
				QueryRow(func(row pgx.Row) error { return row.Scan(&a.known) })
		}
		return a, conn.SendBatch(ctx, &batch).Close()
	})
	if err == nil && !a.known {
		err = op.failed(storage.ErrExpired)
	}
	if err != nil {
		return storage.ChangePage{}, err
	}
	page := a.page
	page.Held = held
	switch {
	case page.More:
		page.Next = page.Changes[len(page.Changes)-1].Cursor
	case q.Backwards: // it has reached the oldest
	case fence.Position > q.After.Position:
		page.Next = fence
	default: // of a store whose fence was further
		page.Next = q.After
	}
	return page, nil
}

// readChanges fills a page with changes up to the limit, or up to the first one whose
// documents the statement leaves out.
func (s *Store) readChanges(rows pgx.Rows, limit int, page *storage.ChangePage) error {
	var (
		c                              storage.Change
		position, revision, before     int64
		id, platform, business, schema pgtype.UUID
		fits                           bool
	)
	columns := []any{
		&position, &revision, &before, &id, s.time(&c.Note.Time), &c.Deleted, &c.Redacted,
		&platform, &business, &schema, &c.Key.ExternalID,
		&c.Note.Actor, &c.Note.Reason, s.bytes(&c.Note.Before), s.bytes(&c.Note.After), &fits,
	}
	for rows.Next() {
		if err := rows.Scan(columns...); err != nil {
			return err
		}
		if len(page.Changes) == limit || !fits {
			page.More = true
			break
		}
		c.Cursor = storage.Cursor{Position: position, Revision: storage.Revision(revision)}
		c.Before, c.ID, c.Note.Time = storage.Revision(before), id.Bytes, c.Note.Time.UTC()
		c.Key.Tenant, c.Key.Schema = storage.Tenant{Platform: platform.Bytes, Business: business.Bytes}, schema.Bytes
		page.Changes = append(page.Changes, c)
	}
	rows.Close()
	return rows.Err()
}

// Redact implements storage.Store, with a statement for each 5000 changes and one before.
// It redacts the changes that are committed: a write that is still under way is not in the
// log yet.
func (s *Store) Redact(ctx context.Context, key storage.Key, note storage.Note) (int, error) {
	if err := storage.CheckRedact(ctx, key, note); err != nil {
		return 0, err
	}
	op := operation{name: "redact", key: key}
	if note.Size() > maxNote {
		return 0, op.failed(storage.ErrTooLarge)
	}
	secret, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) ([]byte, error) {
		var secret []byte
		err := conn.QueryRow(ctx, s.sql.secret).Scan(s.bytes(&secret))
		return secret, err
	})
	if err != nil {
		return 0, err
	}
	op.write, op.step = true, true
	id := storage.RedactedID(secret, key)
	type step struct{ count, last int64 }
	for sum, after := 0, int64(0); ; {
		done, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (done step, err error) {
			err = conn.QueryRow(ctx, s.sql.redact, scopeID(key.Scope()), key.ExternalID, id, after, int64(maxStep),
				toUUID(key.Tenant.Platform), toUUID(key.Tenant.Business), toUUID(key.Schema),
				toTimestamptz(note.Time), note.Actor, note.Reason).Scan(&done.count, &done.last)
			return done, err
		})
		if err != nil {
			return 0, err
		}
		if sum, after = sum+int(done.count), done.last; done.count < maxStep {
			return sum, nil
		}
	}
}

// Trim implements storage.Store, with a statement for each 5000 changes. Changes that
// are held back stay.
func (s *Store) Trim(ctx context.Context, before time.Time, end storage.Cursor) error {
	if err := storage.CheckTrim(ctx, end); err != nil {
		return err
	}
	fence, _, err := s.advance(ctx)
	if err != nil {
		return err
	}
	most := fence.Position
	if end.Position > 0 {
		most = min(most, end.Position)
	}
	type step struct {
		count int64
		known bool // the end
	}
	op := operation{name: "trim", write: true, step: true}
	for {
		done, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (done step, err error) {
			err = conn.QueryRow(ctx, s.sql.trim, most, toTimestamptz(before), int64(maxStep), end.Position, toBigint(end.Revision)).
				Scan(&done.count, &done.known)
			return done, err
		})
		switch {
		case err != nil:
			return err
		case !done.known:
			return op.failed(storage.ErrExpired)
		case done.count < maxStep:
			return nil
		}
	}
}
