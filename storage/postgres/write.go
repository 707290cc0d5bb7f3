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

// Put implements storage.Store, with one statement.
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
	rows, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (int64, error) {
		key := rec.Key
		scope, updated, data := scopeID(key.Scope()), toTimestamptz(rec.UpdatedAt), toBytea(rec.Data)
		var tag pgconn.CommandTag
		var err error
		// The data comes last: the driver's buffer need not grow after it.
		if expect == 0 {
			tag, err = conn.Exec(ctx, s.sql.create, scope, key.ExternalID, toBigint(next), toUUID(rec.ID), toTimestamptz(rec.CreatedAt), updated,
				toUUID(key.Tenant.Platform), toUUID(key.Tenant.Business), toUUID(key.Schema), data)
		} else {
			tag, err = conn.Exec(ctx, s.sql.update, scope, key.ExternalID, toBigint(expect), toBigint(next), updated, data)
		}
		return tag.RowsAffected(), err
	})
	if err != nil {
		return 0, err
	}
	if rows == 0 {
		return 0, storage.ErrConflict
	}
	return next, nil
}

// Delete implements storage.Store, with one statement.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	if err := storage.CheckDelete(ctx, key, expect); err != nil {
		return err
	}
	type outcome struct{ deleted, existed bool }
	op := operation{name: "delete", key: key, write: true}
	o, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (o outcome, err error) {
		row := conn.QueryRow(ctx, s.sql.delete, scopeID(key.Scope()), key.ExternalID, toBigint(expect))
		err = row.Scan(&o.deleted, &o.existed)
		return o, err
	})
	switch {
	case err != nil:
		return err
	case o.deleted:
		return nil
	case o.existed:
		return storage.ErrConflict
	}
	return storage.ErrNotFound
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
