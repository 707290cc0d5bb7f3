package postgres

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

// version is that of the tables which this package works with, and oldest that of the
// oldest tables which Migrate brings to it.
const (
	version = 4
	oldest  = 3
)

// schemaSQL makes them.
//
//go:embed schema.sql
var schemaSQL string

// DDL returns the statements that Migrate runs, for those who have a tool for
// that: they are to be run as one transaction, and do no harm when they are
// run again. opts may be nil.
func DDL(opts *Options) string {
	schema := defaultSchema
	if opts != nil && opts.Schema != "" {
		schema = opts.Schema
	}
	return "CREATE SCHEMA IF NOT EXISTS " + pgx.Identifier{schema}.Sanitize() + ";\n\n" + ddl(schema)
}

// ddl returns the statements for a schema that is there. The quotes of the functions must
// not be a part of the name.
func ddl(schema string) string {
	quote := "$$"
	for strings.Contains(schema, quote) {
		quote = quote[:len(quote)-1] + "q$"
	}
	return inSchema(schema, strings.ReplaceAll(schemaSQL, "$$", quote))
}

// Migrate makes the schema, the tables and the view for stores with these options, or
// brings those of version 3 to version 4. It does nothing when they are there, and then
// needs no privilege but to read. Any number of programs may call it at the same time.
// opts may be nil.
//
// It returns an error for tables of another version, and leaves them alone. If others use
// the tables, it waits for a lock for at most 2 seconds, since those that come after it
// wait as well, and then returns storage.ErrUnavailable: try again later.
//
// The change from version 3 to 4 rewrites no row. Programs for version 3 that are running
// go on with the tables, and do not start on them again. Their writes are not logged, and
// take away the entries of the records that they change: end them before programs for
// version 4 write entries or notes.
//
// Call it after the SQL schema has been renamed, too: triggers know the name.
func Migrate(ctx context.Context, pool *pgxpool.Pool, opts *Options) error {
	o, err := opts.withDefaults()
	if err != nil {
		return err
	}
	if pool == nil {
		return fmt.Errorf("%w: Migrate without a pool", storage.ErrInvalid)
	}
	if err := migrate(ctx, pool, o.Schema); err != nil {
		return &storage.OpError{Op: "migrate", Err: err}
	}
	return nil
}

// migrateAttempts is more than there are objects for another program to make
// at the same instant.
const migrateAttempts = 10

func migrate(ctx context.Context, pool *pgxpool.Pool, schema string) error {
	for attempt := 1; ; attempt++ {
		found, err := installed(ctx, pool, schema)
		if err != nil {
			return migrateFailed(ctx, err)
		}
		if err := found.check(); err != nil || found.version == version && !found.renamed {
			return err
		}
		statements := ddl(schema)
		if !found.schema { // to make one needs a privilege
			statements = DDL(&Options{Schema: schema})
		}
		// Statements that are sent together are one transaction.
		if _, err = pool.Exec(ctx, statements); err == nil {
			return nil
		}
		if attempt == migrateAttempts || !raced(err) {
			return migrateFailed(ctx, err)
		}
		select {
		case <-time.After(rand.N(50 * time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// raced reports whether a statement failed since another program did the same
// at the same time: IF NOT EXISTS does not prevent that.
func raced(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && slices.Contains([]string{
		"23505", "42P06", "42P07", "42710", "42723", // exists already
		"40001", "40P01",
		"XX000", // "tuple concurrently updated"
	}, pg.Code)
}

// installation describes the tables of a database.
type installation struct {
	first   string // schema that names are looked up in
	schema  bool
	version int  // of the tables; 0 when there are none
	renamed bool // the schema was, after the triggers had been made
}

// check returns an error if this package cannot work with it and never will.
func (found installation) check() error {
	if found.first != "pg_catalog" {
		return errors.New("the search_path has another schema before pg_catalog, which can change what statements mean: leave pg_catalog out of it, or put it first")
	}
	if found.version != 0 && (found.version < oldest || found.version > version) {
		return fmt.Errorf("the tables have version %d, and this program supports only versions %d and %d",
			found.version, oldest, version)
	}
	return nil
}

// installed looks. Its errors are for migrateFailed.
func installed(ctx context.Context, pool *pgxpool.Pool, schema string) (found installation, err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return found, notConnected(pool, err)
	}
	defer conn.Release()
	if err := unfit(conn.Conn(), pool.Config().ConnConfig.DefaultQueryExecMode); err != nil {
		return found, err
	}
	var table bool
	err = conn.QueryRow(ctx, `
SELECT (SELECT s FROM unnest(current_schemas(true)) AS s WHERE left(s, 7) <> 'pg_temp' LIMIT 1),
	EXISTS (SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1),
	EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = $1 AND table_name = 'schema_version')`, schema).
		Scan(&found.first, &found.schema, &table)
	if err == nil && table {
		err = conn.QueryRow(ctx, inSchema(schema, `
SELECT coalesce(max(version), 0), EXISTS (SELECT 1 FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
	WHERE n.nspname = $1 AND p.proname = 'move_entries' AND strpos(p.prosrc, $2) = 0)
FROM schema.schema_version`), schema, inSchema(schema, "schema.")).Scan(&found.version, &found.renamed)
	}
	return found, err
}

// unfit returns an error if the session has a setting under which the server takes
// the bytes of an id or of a statement for other ones. It looks at what the server
// has reported, and sends no statement.
func unfit(conn *pgx.Conn, mode pgx.QueryExecMode) error {
	for _, s := range []struct{ name, want string }{{"server_encoding", "UTF8"}, {"client_encoding", "UTF8"}, {"standard_conforming_strings", "on"}} {
		if s.want == "on" && mode != pgx.QueryExecModeSimpleProtocol {
			continue // no literal has a backslash
		}
		if is := conn.PgConn().ParameterStatus(s.name); is != "" && !strings.EqualFold(is, s.want) {
			return &failure{nil, fmt.Sprintf("%s is %s and must be %s: the DSN can say client_encoding=UTF8 and standard_conforming_strings=on", s.name, is, s.want), nil}
		}
	}
	return nil
}

// migrateFailed returns the error of looking or migrating, under the caller's
// context. Another run shows what it did, so the outcome is never unknown.
func migrateFailed(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	var known *failure
	if errors.As(err, &known) {
		return err
	}
	return classify(err, false)
}
