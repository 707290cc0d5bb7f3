package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

// table is the store without what it remembers.
type table struct {
	pool  *pgxpool.Pool
	conns int // that the pool has at most
	mode  pgx.QueryExecMode
	text  bool // in this mode results come as text
	sql   statements
	opts  Options

	left    leftKeys
	writing chan struct{} // a place for each write that may have a connection

	mu      sync.Mutex
	closing context.Context // ends when the store is closed
	close   context.CancelFunc
	calls   sync.WaitGroup // under way, those whose caller has left included
}

func newTable(pool *pgxpool.Pool, opts Options) *table {
	cfg := pool.Config()
	mode := cfg.ConnConfig.DefaultQueryExecMode
	t := &table{
		pool: pool, conns: int(cfg.MaxConns), mode: mode, text: mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol,
		opts: opts, writing: make(chan struct{}, max(1, cfg.MaxConns-1)),
	}
	t.sql = newStatements(opts.Schema, t.text)
	t.left.keys = make(map[storage.Key]*leftKey)
	t.closing, t.close = context.WithCancel(context.Background())
	return t
}

// check returns an error unless the store can work with the database.
func (t *table) check(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, t.opts.ReadTimeout)
	defer cancel()
	found, err := installed(bounded, t.pool, t.opts.Schema)
	if err != nil {
		return migrateFailed(ctx, err)
	}
	if err := found.check(); err != nil {
		return err
	}
	if found.version == 0 {
		return errors.New("the tables are missing: run Migrate")
	}
	if err := t.echo(bounded); err != nil {
		return migrateFailed(ctx, err)
	}
	return nil
}

// echo sends a value of each type and returns an error unless the same comes back:
// a store that cannot read its own writes must not take any.
func (t *table) echo(ctx context.Context) error {
	sent := storage.Record{
		Key: storage.Key{ExternalID: `é\'"{,}`}, Revision: math.MaxInt64, ID: [16]byte{1, 0xff},
		UpdatedAt: time.Date(2001, 2, 3, 4, 5, 6, 789e6, time.UTC), Data: []byte("\\x00\x00\xff'"),
	}
	var got storage.Record
	row := t.newRow(&got.Key.ExternalID)
	err := t.pool.QueryRow(ctx, t.sql.echo, sent.Key.ExternalID, toBigint(sent.Revision), toUUID(sent.ID),
		toTimestamptz(sent.CreatedAt), toTimestamptz(sent.UpdatedAt), sent.Data).Scan(row.columns...)
	if err != nil {
		return err
	}
	if row.fill(&got); !reflect.DeepEqual(sent, got) {
		return &failure{nil, "the server returns other values than it was sent: a setting of the session changes them", nil}
	}
	return nil
}

// Limits implements storage.Limiter.
func (t *table) Limits() storage.Limits {
	return storage.Limits{MaxData: MaxData, MaxBatch: MaxBatch}
}

// Close implements storage.Store.
func (t *table) Close() error {
	t.mu.Lock()
	t.close()
	t.mu.Unlock()
	t.calls.Wait()
	return nil
}

// begin counts a call in, unless the store is closed. calls.Done counts it out.
func (t *table) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing.Err() != nil {
		return storage.ErrClosed
	}
	t.calls.Add(1)
	return nil
}

// Get implements storage.Store.
func (t *table) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	if err := storage.CheckKey(ctx, key); err != nil {
		return storage.Record{}, err
	}
	rec, err := do(ctx, t, operation{name: "get", key: key}, func(ctx context.Context, conn *pgx.Conn) (*storage.Record, error) {
		rec := storage.Record{Key: key}
		row := t.newRow()
		err := conn.QueryRow(ctx, t.sql.get, scopeID(key.Scope()), key.ExternalID).Scan(row.columns...)
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

// List implements storage.Store.
func (t *table) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	limit, err := storage.CheckList(ctx, scope, after, limit)
	if err != nil {
		return storage.Page{}, err
	}
	op := operation{name: "list", key: storage.Key{Tenant: scope.Tenant, Schema: scope.Schema}}
	return do(ctx, t, op, func(ctx context.Context, conn *pgx.Conn) (storage.Page, error) {
		// Neither statement makes the server send more data than a page holds.
		page, whole, err := t.readPage(ctx, conn, t.sql.list, scope, after, limit, maxBytes/(limit+1))
		if err == nil && !whole {
			page, _, err = t.readPage(ctx, conn, t.sql.listLarge, scope, after, limit, maxBytes)
		}
		return page, err
	})
}

// readPage returns the records up to the limit, or up to the first one whose data
// the statement leaves out; then the page is not whole.
func (t *table) readPage(ctx context.Context, conn *pgx.Conn, sql string, scope storage.Scope, after string, limit, bytes int) (page storage.Page, whole bool, err error) {
	// One record more than the page holds tells whether there is a next one.
	rows, err := conn.Query(ctx, sql, scopeID(scope), after, int64(limit)+1, int64(bytes))
	if err != nil {
		return page, false, err
	}
	defer rows.Close()
	whole = true
	var externalID string
	row := t.newRow(&externalID)
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
func (t *table) newRow(first ...any) *row {
	r := new(row)
	if t.text {
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
