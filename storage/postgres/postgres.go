package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

var (
	_ storage.Store        = (*Store)(nil)
	_ storage.BatchStore   = (*Store)(nil)
	_ storage.BatchDeleter = (*Store)(nil)
	_ storage.Limiter      = (*Store)(nil)
)

// The limits of the store.
const (
	// MaxData is the largest Data of a record, in bytes. A value above 2 kB is
	// rewritten as a whole by every update, so records are better kept small.
	MaxData = 16 << 20

	// MaxBatch is the largest number of keys in one round trip.
	MaxBatch = 1000
)

// maxBytes is the data that a page holds, unless its first record alone has more,
// and that one statement writes: a batch takes several.
const maxBytes = 16 << 20

// Options are the optional parts of a [Store]. The zero value is a good choice.
type Options struct {
	// Schema is the SQL schema that the tables are in; "resourcekit" when
	// empty. It is one name, used exactly as it is, upper case included; at
	// most 63 bytes.
	Schema string

	// WriteTimeout is how long a write may take, once to get a connection and
	// once for its statement; 10 seconds when 0. A statement that has not
	// ended by then gives storage.ErrUnknownOutcome.
	WriteTimeout time.Duration

	// ReadTimeout is the same for reads, which give storage.ErrUnavailable;
	// 10 seconds when 0.
	ReadTimeout time.Duration
}

const (
	defaultSchema  = "resourcekit"
	defaultTimeout = 10 * time.Second
)

// withDefaults returns the options with nothing left open, or ErrInvalid.
func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.Schema == "" {
		opts.Schema = defaultSchema
	}
	if opts.WriteTimeout == 0 {
		opts.WriteTimeout = defaultTimeout
	}
	if opts.ReadTimeout == 0 {
		opts.ReadTimeout = defaultTimeout
	}
	switch {
	case len(opts.Schema) > 63: // PostgreSQL cuts longer names, and takes two for one
		return opts, fmt.Errorf("%w: the schema name is longer than 63 bytes", storage.ErrInvalid)
	case strings.IndexByte(opts.Schema, 0) >= 0 || !utf8.ValidString(opts.Schema):
		return opts, fmt.Errorf("%w: the schema name is not valid UTF-8 without NUL", storage.ErrInvalid)
	case opts.WriteTimeout < 0 || opts.ReadTimeout < 0:
		return opts, fmt.Errorf("%w: a timeout is below 0", storage.ErrInvalid)
	}
	return opts, nil
}

// Store is a storage.Store in a PostgreSQL database. Make it with New; it is
// safe for concurrent use, and so are any number of stores, in any number of
// processes, on one table.
type Store struct {
	pool *pgxpool.Pool
	sql  statements
	opts Options

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // under way, those whose caller has left included
}

// New returns a store on the tables that [Migrate] made. The pool stays the
// caller's: the store takes connections from it and never closes it. opts may
// be nil.
//
// It asks the database whether its tables are there, in the version that this
// package knows, and returns an error if not. The error matches
// storage.ErrUnavailable when there is no connection, or no answer within
// Options.ReadTimeout.
func New(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, fmt.Errorf("%w: New without a pool", storage.ErrInvalid)
	}
	s := &Store{pool: pool, sql: newStatements(o.Schema), opts: o}
	if err := s.check(ctx); err != nil {
		return nil, &storage.OpError{Op: "open", Err: err}
	}
	return s, nil
}

// check returns an error unless the store can work with the database.
func (s *Store) check(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, s.opts.ReadTimeout)
	defer cancel()
	found, err := installed(bounded, s.pool, s.opts.Schema)
	if err != nil {
		return migrateFailed(ctx, err)
	}
	if err := found.check(); err != nil {
		return err
	}
	if found.version < version {
		return errNotMigrated
	}
	return nil
}

// Limits implements storage.Limiter.
func (s *Store) Limits() storage.Limits {
	return storage.Limits{MaxData: MaxData, MaxBatch: MaxBatch}
}

// Close implements storage.Store. It waits for the statements under way, those
// whose callers have left included, which takes no longer than their timeouts.
// The pool stays open.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.calls.Wait()
	return nil
}

// begin counts a call in, unless the store is closed. calls.Done counts it out.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return storage.ErrClosed
	}
	s.calls.Add(1)
	return nil
}

// Get implements storage.Store, with one statement.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := storage.CheckKey(ctx, key); err != nil {
		return storage.Record{}, err
	}
	rec, err := do(ctx, s, operation{name: "get", key: key}, func(ctx context.Context, conn *pgx.Conn) (*storage.Record, error) {
		rec := storage.Record{Key: key}
		row := newRow()
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
		page, whole, err := readPage(ctx, conn, s.sql.list, scope, after, limit, maxBytes/(limit+1))
		if err == nil && !whole {
			page, _, err = readPage(ctx, conn, s.sql.listLarge, scope, after, limit, maxBytes)
		}
		return page, err
	})
}

// readPage returns the records up to the limit, or up to the first one whose data
// the statement leaves out; then the page is not whole.
func readPage(ctx context.Context, conn *pgx.Conn, sql string, scope storage.Scope, after string, limit, bytes int) (page storage.Page, whole bool, err error) {
	// One record more than the page holds tells whether there is a next one.
	rows, err := conn.Query(ctx, sql, scopeID(scope), after, int64(limit)+1, int64(bytes))
	if err != nil {
		return page, false, err
	}
	defer rows.Close()
	whole = true
	var externalID string
	row := newRow(&externalID)
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

// newRow returns a row whose first columns go somewhere else.
func newRow(first ...any) *row {
	r := new(row)
	r.columns = append(first, &r.revision, &r.id, &r.created, &r.updated, &r.data)
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
