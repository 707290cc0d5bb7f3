package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// Put implements storage.Store, with one statement. A conflict mostly carries the
// record that was in the way: not where that came while the statement ran, or has
// more than 1 MiB of data.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if err := storage.CheckKey(ctx, rec.Key); err != nil {
		return 0, err
	}
	if len(rec.Data) > MaxData {
		return 0, storage.ErrTooLarge
	}
	next := storage.FirstRevision()
	if expect != 0 {
		next = storage.NextRevision(expect)
	}
	op := operation{name: "put", key: rec.Key, write: true}
	w, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (swapped, error) {
		key := rec.Key
		scope, updated, data := scopeID(key.Scope()), toTimestamptz(rec.UpdatedAt), toBytea(rec.Data)
		// The data comes last: the driver's buffer need not grow after it.
		if expect == 0 {
			return s.swap(ctx, conn, key, s.sql.create, scope, key.ExternalID, toBigint(next), toUUID(rec.ID), toTimestamptz(rec.CreatedAt), updated,
				toUUID(key.Tenant.Platform), toUUID(key.Tenant.Business), toUUID(key.Schema), data)
		}
		return s.swap(ctx, conn, key, s.sql.update, scope, key.ExternalID, toBigint(expect), toBigint(next), updated, data)
	})
	switch {
	case err != nil:
		return 0, err
	case w.done:
		return next, nil
	}
	return 0, w.conflict(expect)
}

// Delete implements storage.Store, with one statement. Its conflicts are as Put's.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := storage.CheckDelete(ctx, key, expect); err != nil {
		return err
	}
	op := operation{name: "delete", key: key, write: true}
	w, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (swapped, error) {
		return s.swap(ctx, conn, key, s.sql.delete, scopeID(key.Scope()), key.ExternalID, toBigint(expect))
	})
	switch {
	case err != nil:
		return err
	case w.done:
		return nil
	case w.inTheWay == nil:
		return storage.ErrNotFound
	}
	return w.conflict(expect)
}

// swapped is what became of a swap.
type swapped struct {
	done     bool
	inTheWay *storage.Record // if it was not done, and there is one
}

// swap runs a statement that swaps one record.
func (s *Store) swap(ctx context.Context, conn *pgx.Conn, key storage.Key, sql string, args ...any) (swapped, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return swapped{}, err
	}
	defer rows.Close()
	if !rows.Next() {
		return swapped{done: true}, rows.Err()
	}
	var inTheWay *storage.Record
	if rows.RawValues()[0] != nil {
		row := s.newRow()
		if err := rows.Scan(row.columns...); err != nil {
			return swapped{}, err
		}
		inTheWay = &storage.Record{Key: key}
		row.fill(inTheWay)
	}
	rows.Close()
	return swapped{inTheWay: inTheWay}, rows.Err()
}

// conflict returns the error of a swap that was not done. If what is in its way had
// the expected revision, that was when the statement began, and somebody changed it
// before the statement came to it: what it is now, nobody knows. And data that is
// large would be a burden to those who do not want it.
func (w swapped) conflict(expect storage.Revision) error {
	if w.inTheWay == nil || w.inTheWay.Revision == expect || w.inTheWay.Data == nil {
		return storage.ErrConflict
	}
	return &storage.ConflictError{Current: w.inTheWay}
}

// toBigint returns the revision as the database knows it, or 0, which no row
// has, for one that it cannot know.
func toBigint(rev storage.Revision) pgtype.Int8 {
	if rev > math.MaxInt64 {
		rev = 0
	}
	return pgtype.Int8{Int64: int64(rev), Valid: true}
}

func toTimestamptz(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t.UTC().Truncate(time.Millisecond), Valid: true}
}

func toText(s string) pgtype.Text { return pgtype.Text{String: s, Valid: true} }

func toInteger(n int) pgtype.Int4 { return pgtype.Int4{Int32: int32(n), Valid: true} }

// toBytea returns the data, never nil, which would be NULL.
func toBytea(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
