package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// Put implements storage.Store, with one statement. A conflict takes a second one,
// which reads the record of the key for storage.ConflictError.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	if err := storage.CheckKey(ctx, rec.Key); err != nil {
		return 0, err
	}
	if len(rec.Data) > MaxData {
		return 0, storage.ErrTooLarge
	}
	key, scope, updated, data := rec.Key, scopeID(rec.Key.Scope()), toTimestamptz(rec.UpdatedAt), toBytea(rec.Data)
	var next storage.Revision
	var err error
	// The data comes last: the driver's buffer need not grow after it.
	if expect == 0 {
		next = storage.FirstRevision()
		err = s.swap(ctx, "put", key, s.sql.create, scope, key.ExternalID, toBigint(next), toUUID(rec.ID), toTimestamptz(rec.CreatedAt), updated,
			toUUID(key.Tenant.Platform), toUUID(key.Tenant.Business), toUUID(key.Schema), data)
	} else {
		next = storage.NextRevision(expect)
		err = s.swap(ctx, "put", key, s.sql.update, scope, key.ExternalID, toBigint(expect), toBigint(next), updated, data)
	}
	switch err {
	case nil:
		return next, nil
	case storage.ErrNotFound: // it was deleted after the swap had failed
		err = storage.ErrConflict
	}
	return 0, err
}

// Delete implements storage.Store, with one statement. A second one, which reads the
// record of the key, tells a conflict from an absent key.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := storage.CheckDelete(ctx, key, expect); err != nil {
		return err
	}
	return s.swap(ctx, "delete", key, s.sql.delete, scopeID(key.Scope()), key.ExternalID, toBigint(expect))
}

// swap runs a statement that swaps one record. If it swaps none, swap reads the
// record and returns it as the conflict, or ErrNotFound. It is certain by then that
// nothing was written, so an error of the read is one without effect.
func (s *Store) swap(ctx context.Context, name string, key storage.Key, sql string, args ...any) error {
	op := operation{name: name, key: key, write: true}
	tag, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (pgconn.CommandTag, error) {
		return conn.Exec(ctx, sql, args...)
	})
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	current, err := s.read(ctx, name, key)
	if err != nil {
		return err
	}
	return &storage.ConflictError{Current: &current}
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
