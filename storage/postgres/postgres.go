package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

var _ storage.Store = (*Store)(nil)

// MaxData is the largest Data of a record, in bytes. A value above 2 kB is rewritten as a
// whole by every update, so records are better kept small. The texts and documents of a
// note have at most 256 MiB together.
const MaxData = 16 << 20

// maxBytes is the data that a page holds, unless its first record alone has more,
// and that one statement writes: a batch takes several.
const maxBytes = 16 << 20

// Options are the optional parts of a [Store]. The zero value is a good choice.
type Options struct {
	// Schema is the SQL schema that the tables are in; "resourcekit" when
	// empty. It is one name, used exactly as it is, upper case included; at
	// most 63 bytes.
	Schema string

	// WriteTimeout is how long a write may take, once to get its turn and a
	// connection, and once for its statement; 10 seconds when 0. A statement that has not
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
	pool  *pgxpool.Pool
	conns int // that the pool has at most
	mode  pgx.QueryExecMode
	text  bool // in this mode results come as text
	sql   statements
	opts  Options

	left    leftKeys
	fence   fence
	writing chan struct{} // a place for each write that may have a connection
	idle    chan func()   // to goroutines that wait for calls; no more than were once busy together

	mu      sync.Mutex
	closing context.Context // ends when the store is closed
	close   context.CancelFunc
	calls   sync.WaitGroup // under way, those whose caller has left included
}

// New returns a store on the tables that [Migrate] made. The pool stays the
// caller's: the store takes connections from it and never closes it. opts may
// be nil.
//
// It asks the database whether its tables are there, in the version that this
// package knows, and whether it returns the values that it is sent, and returns an
// error if not. The error matches storage.ErrUnavailable when there is no connection,
// or no answer within Options.ReadTimeout.
func New(ctx context.Context, pool *pgxpool.Pool, opts *Options) (*Store, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if pool == nil {
		return nil, fmt.Errorf("%w: New without a pool", storage.ErrInvalid)
	}
	s := newStore(pool, o)
	if err := s.check(ctx); err != nil {
		return nil, &storage.OpError{Op: "open", Err: err}
	}
	return s, nil
}

func newStore(pool *pgxpool.Pool, opts Options) *Store {
	cfg := pool.Config()
	mode := cfg.ConnConfig.DefaultQueryExecMode
	s := &Store{
		pool: pool, conns: int(cfg.MaxConns), mode: mode, text: mode == pgx.QueryExecModeExec || mode == pgx.QueryExecModeSimpleProtocol,
		opts: opts, writing: make(chan struct{}, max(1, cfg.MaxConns-1)), idle: make(chan func()),
	}
	s.sql = newStatements(opts.Schema, s.text)
	s.left.keys = make(map[storage.Key]*leftKey)
	s.closing, s.close = context.WithCancel(context.Background())
	return s
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
	switch {
	case found.version == 0:
		return errors.New("the tables are missing: run Migrate")
	case found.version < version:
		return fmt.Errorf("the tables have version %d: run Migrate, which brings them to version %d", found.version, version)
	case found.renamed:
		return errors.New("the SQL schema has been renamed since its triggers were made: run Migrate")
	}
	if err := s.echo(bounded); err != nil {
		return migrateFailed(ctx, err)
	}
	return nil
}

// echo sends a value of each type and returns an error unless the same comes back:
// a store that cannot read its own writes must not take any.
func (s *Store) echo(ctx context.Context) error {
	sent := storage.Record{
		Key: storage.Key{ExternalID: `é\'"{,}`}, Revision: math.MaxInt64, ID: [16]byte{1, 0xff},
		UpdatedAt: time.Date(2001, 2, 3, 4, 5, 6, 789e6, time.UTC), Data: []byte("\\x00\x00\xff'"),
	}
	var got storage.Record
	row := s.newRow(&got.Key.ExternalID)
	err := s.pool.QueryRow(ctx, s.sql.echo, sent.Key.ExternalID, toBigint(sent.Revision), toUUID(sent.ID),
		toTimestamptz(sent.CreatedAt), toTimestamptz(sent.UpdatedAt), sent.Data).Scan(row.columns...)
	if err != nil {
		return err
	}
	if row.fill(&got); !reflect.DeepEqual(sent, got) {
		return &failure{nil, "the server returns other values than it was sent: a setting of the session changes them", nil}
	}
	return nil
}

// Limits implements storage.Store.
func (s *Store) Limits() storage.Limits { return storage.Limits{MaxData: MaxData} }

// Close implements storage.Store. It waits for the statements under way, those
// whose callers have left included, which takes no longer than their timeouts.
// Calls that wait to send a statement get storage.ErrClosed. The goroutines of the
// store end, and the pool stays open.
func (s *Store) Close() error {
	s.mu.Lock()
	s.close()
	s.mu.Unlock()
	s.calls.Wait()
	return nil
}

// begin counts a call in, unless the store is closed. calls.Done counts it out.
func (s *Store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Err() != nil {
		return storage.ErrClosed
	}
	s.calls.Add(1)
	return nil
}
