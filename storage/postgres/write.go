package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// Write implements storage.Store. A single write is one statement, and so is its change
// in the log; a conflict takes a second one, which reads the record for
// storage.ConflictError. Many writes are one round trip: see writeMany.
func (s *Store) Write(ctx context.Context, writes []storage.Write) ([]error, error) {
	if err := storage.CheckWrites(ctx, writes); err != nil {
		return nil, err
	}
	if len(writes) != 1 {
		return s.writeMany(ctx, writes), nil
	}
	if err := s.writeOne(ctx, &writes[0]); err != nil {
		return []error{err}, nil
	}
	return nil, nil
}

func (s *Store) writeOne(ctx context.Context, w *storage.Write) error {
	if tooLarge(w) {
		return storage.ErrTooLarge
	}
	rec, kind := &w.Record, kindOf(w)
	args := make([]any, 0, 24)
	args = append(args, scopeID(rec.Key.Scope()), rec.Key.ExternalID)
	// The data comes after the rest: the driver's buffer need not grow then.
	switch kind {
	case create:
		args = append(args, toBigint(rec.Revision), toUUID(rec.ID),
			toTimestamptz(rec.CreatedAt), toTimestamptz(rec.UpdatedAt),
			toUUID(rec.Key.Tenant.Platform), toUUID(rec.Key.Tenant.Business), toUUID(rec.Key.Schema),
			toEntries(w.Entries), toBytea(rec.Data))
	case update:
		args = append(args, toBigint(w.Expect), toBigint(rec.Revision), toTimestamptz(rec.UpdatedAt),
			toEntries(w.Entries), toBytea(rec.Data))
	case remove:
		args = append(args, toBigint(w.Expect))
	}
	sql := s.sql.one[kind]
	if n := w.Note; n != nil {
		sql = s.sql.logged[0][kind]
		args = append(args, toUUID(rec.Key.Tenant.Platform), toUUID(rec.Key.Tenant.Business), toUUID(rec.Key.Schema),
			toBigint(rec.Revision), toBigint(w.Expect), w.Delete, toTimestamptz(n.Time), n.Actor, n.Reason, n.Before, n.After)
	}
	own := rec.Revision
	if w.Delete {
		own = 0
	}
	return s.swap(ctx, "write", rec.Key, own, sql, args...)
}

// maxNote is the largest storage.Note.Size. The server takes messages of 1 GiB, in which
// the simple protocol needs two bytes for each.
const maxNote = 256 << 20

func tooLarge(w *storage.Write) bool { return len(w.Record.Data) > MaxData || w.Note.Size() > maxNote }

// kindOf returns the kind of a write.
func kindOf(w *storage.Write) int {
	switch {
	case w.Delete:
		return remove
	case w.Expect == 0:
		return create
	}
	return update
}

// swap runs a statement that swaps one record. If it swaps none, swap reads the record
// and returns it as the conflict. It is certain by then that nothing was written, so an
// error of the read is one without effect. A record with the revision own is no conflict:
// the statement was sent twice, and the first one swapped it.
func (s *Store) swap(
	ctx context.Context, name string, key storage.Key, own storage.Revision, sql string, args ...any,
) error {
	op := operation{name: name, key: key, write: true}
	tag, err := do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (pgconn.CommandTag, error) {
		return conn.Exec(ctx, sql, args...)
	})
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	current, err := s.read(ctx, name, key)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return storage.ErrConflict
	case err != nil:
		return err
	case current.Revision == own:
		return nil
	}
	return &storage.ConflictError{Current: &current}
}

// SetEntries implements storage.Store, with one statement. A conflict takes a second
// one, as in Write.
func (s *Store) SetEntries(
	ctx context.Context, key storage.Key, expect storage.Revision, entries []storage.Entry,
) error {
	check := storage.Write{Record: storage.Record{Key: key, Revision: expect + 1}, Expect: expect, Entries: entries}
	if err := storage.CheckWrites(ctx, []storage.Write{check}); err != nil {
		return err
	}
	return s.swap(ctx, "set entries", key, 0, s.sql.setEntries,
		scopeID(key.Scope()), key.ExternalID, toBigint(expect), toEntries(entries))
}

// toBigint returns the revision as the database knows it.
func toBigint(rev storage.Revision) pgtype.Int8 {
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
