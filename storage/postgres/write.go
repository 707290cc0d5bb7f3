package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

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
	// Creates and updates have the same parameters, and updates one more: the
	// expected revision.
	sql, next := s.sql.create, storage.FirstRevision()
	if expect != 0 {
		sql, next = s.sql.update, storage.NextRevision(expect)
	}
	op := operation{name: "put", key: rec.Key, write: true}
	rows, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (int64, error) {
		t := rec.Key.Tenant
		args := append(make([]any, 0, 10), toUUID(t.Platform), toUUID(t.Business), toUUID(rec.Key.Schema), rec.Key.ExternalID,
			toBigint(next), toUUID(rec.ID), toMillisecond(rec.CreatedAt), toMillisecond(rec.UpdatedAt))
		if expect != 0 {
			args = append(args, toBigint(expect))
		}
		// The data comes last: the driver's buffer need not grow after it.
		tag, err := conn.Exec(ctx, sql, append(args, toBytea(rec.Data))...)
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
		t := key.Tenant
		row := conn.QueryRow(ctx, s.sql.delete, toUUID(t.Platform), toUUID(t.Business), toUUID(key.Schema), key.ExternalID, toBigint(expect))
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
func toBigint(rev storage.Revision) int64 {
	if rev > math.MaxInt64 {
		return 0
	}
	return int64(rev)
}

func toMillisecond(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// toBytea returns the data, never nil, which would be NULL.
func toBytea(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}
