package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/recent"
)

var (
	_ storage.Store        = (*Store)(nil)
	_ storage.BatchStore   = (*Store)(nil)
	_ storage.BatchDeleter = (*Store)(nil)
	_ storage.Limiter      = (*Store)(nil)
	_ storage.Recaller     = (*Store)(nil)
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

	// WriteTimeout is how long a write may take, once to get its turn and a
	// connection, and once for its statement; 10 seconds when 0. A statement that has not
	// ended by then gives storage.ErrUnknownOutcome.
	WriteTimeout time.Duration

	// ReadTimeout is the same for reads, which give storage.ErrUnavailable;
	// 10 seconds when 0.
	ReadTimeout time.Duration

	// Remember is how many bytes of records the store remembers, counted as by
	// recent.New: 16 MiB when 0, and none when it is below 0. A change of a record
	// that it remembers, and that nobody else has changed, takes one round trip.
	Remember int
}

const (
	defaultSchema  = "resourcekit"
	defaultTimeout = 10 * time.Second
	defaultMemory  = 16 << 20
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
	if opts.Remember == 0 {
		opts.Remember = defaultMemory
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
	recent *recent.Store // in front of the table
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
	t := newTable(pool, o)
	if err := t.check(ctx); err != nil {
		return nil, &storage.OpError{Op: "open", Err: err}
	}
	return &Store{recent: recent.New(t, o.Remember)}, nil
}

// Get implements storage.Store, with one statement.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	return s.recent.Get(ctx, key)
}

// Put implements storage.Store, with one statement. A conflict mostly carries the
// record that was in the way: not where that came while the statement ran, or has
// more than 1 MiB of data.
func (s *Store) Put(ctx context.Context, rec storage.Record, expect storage.Revision) (storage.Revision, error) {
	return s.recent.Put(ctx, rec, expect)
}

// Delete implements storage.Store, with one statement. Its conflicts are as Put's.
func (s *Store) Delete(ctx context.Context, key storage.Key, expect storage.Revision) error {
	return s.recent.Delete(ctx, key, expect)
}

// List implements storage.Store, with one statement; with two if the page has a
// record that is larger than its share of 16 MiB. A page ends early when it
// holds 16 MiB of data.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	return s.recent.List(ctx, scope, after, limit)
}

// GetMany implements storage.BatchStore, with one statement for each scope that
// the keys are of, all in one round trip.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	return s.recent.GetMany(ctx, keys)
}

// PutMany implements storage.BatchStore. The updates of a scope are one
// statement, and its creates another; all are one round trip and one
// transaction. Only a batch with more than 16 MiB of data takes several.
func (s *Store) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	return s.recent.PutMany(ctx, ops)
}

// DeleteMany implements storage.BatchDeleter, with one statement for each scope
// that the keys are of, all in one round trip and one transaction.
func (s *Store) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	return s.recent.DeleteMany(ctx, ops)
}

// Recall implements storage.Recaller: it asks nobody.
func (s *Store) Recall(key storage.Key) (storage.Record, bool) { return s.recent.Recall(key) }

// Stats returns counts of what the store remembers.
func (s *Store) Stats() recent.Stats { return s.recent.Stats() }

// Limits implements storage.Limiter.
func (s *Store) Limits() storage.Limits { return s.recent.Limits() }

// Close implements storage.Store. It waits for the statements under way, those
// whose callers have left included, which takes no longer than their timeouts.
// Calls that wait to send a statement get storage.ErrClosed. The pool stays open.
func (s *Store) Close() error { return s.recent.Close() }
