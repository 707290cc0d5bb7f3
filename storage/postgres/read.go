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

// lastID is greater than every external id: one character more than fit into it, each
// the last of Unicode.
var lastID = strings.Repeat("\U0010FFFF", storage.MaxExternalID/4+1)

// List implements storage.Store, with one statement; with two if the page has a
// record that is larger than its share of 16 MiB. A page ends early when it
// holds 16 MiB of data.
func (s *Store) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckList(ctx, scope, r)
	if err != nil {
		return storage.Page{}, err
	}
	p := pageQuery{name: "list", scope: scope, limit: r.Limit, after: r.After.ExternalID}
	if r.Backwards {
		if p.direction = backwards; r.After.IsZero() {
			p.after = lastID
		}
	}
	p.sql, p.large = s.sql.list[p.direction], s.sql.listLarge[p.direction]
	return s.page(ctx, p)
}

// pageQuery is a List, or a Lookup if it has an index.
type pageQuery struct {
	name       string
	scope      storage.Scope
	index      uint32
	direction  int
	after      string // external id
	limit      int
	args       []any // of a Lookup: the place that after belongs to, and the last place
	sql, large string
}

func (s *Store) page(ctx context.Context, p pageQuery) (storage.Page, error) {
	op := operation{name: p.name, key: storage.Key{Tenant: p.scope.Tenant, Schema: p.scope.Schema}}
	return do(ctx, s, op, func(ctx context.Context, conn *pgx.Conn) (storage.Page, error) {
		// Neither statement makes the server send more data than a page holds.
		page, whole, err := s.readPage(ctx, conn, p, p.sql, maxBytes/(p.limit+1))
		if err == nil && !whole {
			page, _, err = s.readPage(ctx, conn, p, p.large, maxBytes)
		}
		return page, err
	})
}

// readPage returns the records up to the limit, or up to the first one whose data
// the statement leaves out; then the page is not whole.
func (s *Store) readPage(
	ctx context.Context, conn *pgx.Conn, p pageQuery, sql string, bytes int,
) (page storage.Page, whole bool, err error) {
	// One record more than the page holds tells whether there is a next one.
	args := append([]any{scopeID(p.scope), p.after, int64(p.limit) + 1, int64(bytes)}, p.args...)
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return page, false, err
	}
	defer rows.Close()
	whole = true
	var externalID string
	var place []byte
	first := []any{&externalID}
	if p.index != 0 {
		first = append(first, s.bytes(&place))
	}
	row := s.newRow(first...)
	for rows.Next() {
		if err := rows.Scan(row.columns...); err != nil {
			return page, false, err
		}
		n := len(page.Records)
		whole = n == p.limit || row.data != nil // nil is NULL, and no empty one is
		if n == p.limit || !whole {
			if n > 0 {
				page.Next.ExternalID = page.Records[n-1].Key.ExternalID
				if p.index != 0 {
					page.Next.Value = page.Values[n-1]
				}
			}
			break
		}
		rec := storage.Record{Key: storage.Key{Tenant: p.scope.Tenant, Schema: p.scope.Schema, ExternalID: externalID}}
		row.fill(&rec)
		page.Records = append(page.Records, rec)
		if p.index != 0 {
			page.Values = append(page.Values, place[4:])
		}
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
	r.columns = append(first, &r.revision, &r.id, s.time(&r.created), s.time(&r.updated), s.bytes(&r.data))
	return r
}

// time returns the target for a time in brackets, see columns.
func (s *Store) time(t *time.Time) any {
	if s.text {
		return (*epoch)(t)
	}
	return t
}

// bytes returns the target for data in brackets, see columns.
func (s *Store) bytes(data *[]byte) any {
	if s.text {
		return (*hexData)(data)
	}
	return data
}

// fill sets all of a record but the key.
func (r *row) fill(rec *storage.Record) {
	rec.Revision = storage.Revision(r.revision)
	rec.ID = r.id.Bytes
	rec.CreatedAt, rec.UpdatedAt = r.created.UTC(), r.updated.UTC()
	rec.Data = r.data // Scan takes new memory for the next
}

// scopeID returns the value of a scope in the tables, as the SQL function scope does.
func scopeID(scope storage.Scope) pgtype.UUID {
	sum := scope.Sum()
	return toUUID([16]byte(sum[:]))
}

func toUUID(id [16]byte) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }
