package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// Get implements storage.Store, with one statement.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := storage.CheckKey(ctx, key); err != nil {
		return storage.Record{}, err
	}
	return s.read(ctx, "get", key)
}

// read returns the record of a valid key for the operation of this name, or
// ErrNotFound.
func (s *Store) read(ctx context.Context, name string, key storage.Key) (storage.Record, error) {
	rec, err := do(ctx, s, operation{name: name, key: key}, func(ctx context.Context, conn *pgx.Conn) (*storage.Record, error) {
		rec := storage.Record{Key: key}
		row := s.newRow()
		err := conn.QueryRow(ctx, s.sql.get, scopeID(key.Scope()), key.ExternalID).Scan(row.columns...)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		row.fill(&rec)
		return &rec, err
	})
	if err != nil {
		return storage.Record{}, err
	}
	if rec == nil {
		return storage.Record{}, storage.ErrNotFound
	}
	return *rec, nil
}

// List implements storage.Store, with one statement; with two if the page has a
// record that is larger than its share of 16 MiB. A page ends early when it
// holds 16 MiB of data.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(ctx, scope, after, limit)
	if err != nil {
		return storage.Page{}, err
	}
	op := operation{name: "list", key: storage.Key{Tenant: scope.Tenant, Schema: scope.Schema}}
	return do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (storage.Page, error) {
		// Neither statement makes the server send more data than a page holds.
		page, whole, err := s.readPage(ctx, conn, s.sql.list, scope, after, limit, maxBytes/(limit+1))
		if err == nil && !whole {
			page, _, err = s.readPage(ctx, conn, s.sql.listLarge, scope, after, limit, maxBytes)
		}
		return page, err
	})
}

// readPage returns the records up to the limit, or up to the first one whose data
// the statement leaves out; then the page is not whole.
func (s *Store) readPage(ctx context.Context, conn *pgx.Conn, sql string, scope storage.Scope, after string, limit, bytes int) (page storage.Page, whole bool, err error) {
	// One record more than the page holds tells whether there is a next one.
	rows, err := conn.Query(ctx, sql, scopeID(scope), after, int64(limit)+1, int64(bytes))
	if err != nil {
		return page, false, err
	}
	defer rows.Close()
	whole = true
	var externalID string
	row := s.newRow(&externalID)
	for rows.Next() {
		if err := rows.Scan(row.columns...); err != nil {
			return page, false, err
		}
		n := len(page.Records)
		whole = n == limit || row.data != nil // nil is NULL, and no empty one is
		if n == limit || !whole {
			if n > 0 {
				page.Next = page.Records[n-1].Key.ExternalID
			}
			break
		}
		rec := storage.Record{Key: storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: externalID}}
		row.fill(&rec)
		page.Records = append(page.Records, rec)
	}
	rows.Close()
	return page, whole, rows.Err()
}

// row is where the columns of a row are scanned into, one row after the other.
type row struct {
	revision         int64
	id               pgtype.UUID
	created, updated time.Time
	data             []byte
	columns          []any // pointers to these, for Scan
}

// epoch is a time that comes as seconds since 1970, with six decimals.
type epoch time.Time

// ScanText implements pgtype.TextScanner.
func (e *epoch) ScanText(s pgtype.Text) error {
	micros, err := strconv.ParseInt(strings.Replace(s.String, ".", "", 1), 10, 64)
	*e = epoch(time.UnixMicro(micros))
	return err
}

// hexData is data that comes as hex.
type hexData []byte

// ScanBytes implements pgtype.BytesScanner.
func (d *hexData) ScanBytes(b []byte) error {
	if *d = nil; b == nil {
		return nil
	}
	*d = make([]byte, hex.DecodedLen(len(b)))
	_, err := hex.Decode(*d, b)
	return err
}

// newRow returns a row whose first columns go somewhere else.
func (s *Store) newRow(first ...any) *row {
	r := new(row)
	if s.text {
		r.columns = append(first, &r.revision, &r.id, (*epoch)(&r.created), (*epoch)(&r.updated), (*hexData)(&r.data))
	} else {
		r.columns = append(first, &r.revision, &r.id, &r.created, &r.updated, &r.data)
	}
	return r
}

// fill sets all of a record but the key.
func (r *row) fill(rec *storage.Record) {
	rec.Revision = storage.Revision(r.revision)
	rec.ID = r.id.Bytes
	rec.CreatedAt, rec.UpdatedAt = r.created.UTC(), r.updated.UTC()
	rec.Data = r.data // Scan takes new memory for the next
}

// scopeID returns what stands for a scope in the table: the same as the SQL
// function scope.
func scopeID(scope storage.Scope) pgtype.UUID {
	sum := scope.Sum()
	return toUUID([16]byte(sum[:]))
}

func toUUID(id [16]byte) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }
