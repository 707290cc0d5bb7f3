package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
)

// failure is an error of the database in the words of this package. The text leaves out
// the server's message, which may quote a record; errors.As finds that as a
// *pgconn.PgError.
type failure struct {
	kind  error // of the contract, or nil
	what  string
	cause error
}

func (f *failure) Error() string {
	if f.kind != nil {
		return f.kind.Error() + ": " + f.what
	}
	return f.what
}

func (f *failure) Unwrap() []error {
	var all []error
	if f.kind != nil {
		all = append(all, f.kind)
	}
	if f.cause != nil {
		all = append(all, f.cause)
	}
	return all
}

// notConnected is the error of a call that got no connection: nothing was sent. Its text
// has the driver's message, which is not about records. It leaves out the
// *pgconn.ConnectError itself, which has the password in a field.
func notConnected(pool *pgxpool.Pool, err error) error {
	var known *failure
	if errors.As(err, &known) {
		return err
	}
	cfg := pool.Config().ConnConfig
	where := fmt.Sprintf("database %q at %s", cfg.Database, hosts(&cfg.Config))
	var connect *pgconn.ConnectError
	switch {
	case misread(cfg):
		return &failure{storage.ErrUnavailable, `no connection: the URL has more than one "@", so the driver may take a part of the password ` +
			`for the host or the database: write %40 for each "@" in a name or password`, nil}
	case errors.As(err, &connect):
		err = connect.Unwrap()
	case errors.Is(err, context.DeadlineExceeded):
		stat := pool.Stat()
		return &failure{storage.ErrUnavailable, fmt.Sprintf("no connection to %s within the timeout, with %d of the pool's %d in use",
			where, stat.AcquiredConns(), stat.MaxConns()), nil}
	}
	return &failure{storage.ErrUnavailable, "no connection to " + where + ": " + strings.ReplaceAll(err.Error(), "\n", "; "), withoutContext(err)}
}

// hosts returns the hosts and ports that the driver tries, each once.
func hosts(cfg *pgconn.Config) string {
	all := []string{net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))}
	for _, f := range cfg.Fallbacks {
		all = append(all, net.JoinHostPort(f.Host, strconv.Itoa(int(f.Port))))
	}
	return strings.Join(slices.Compact(all), ", ")
}

// misread reports whether the driver may have taken a part of the password for a
// name. It ends the password of a URL at the first "@".
func misread(cfg *pgx.ConnConfig) bool {
	dsn := cfg.ConnString()
	return strings.Contains(dsn, "://") && strings.Count(dsn, "@") > 1 && strings.Contains(hosts(&cfg.Config)+cfg.Database, "@")
}

// abandoned is the error of a call whose context ended after its statement was
// sent.
func abandoned(ended error, write bool) error {
	if write {
		return fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, ended)
	}
	return ended
}

// classify returns the error of a call whose statement was given to the driver.
func classify(err error, write bool) error {
	// For an error that leaves open whether the statement was applied.
	open := storage.ErrUnavailable
	if write {
		open = storage.ErrUnknownOutcome
	}
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		return classifyServer(pg, open)
	case pgconn.SafeToRetry(err):
		return &failure{storage.ErrUnavailable, "the connection was gone, and nothing was sent", withoutContext(err)}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{open, "no answer within the timeout", nil}
	}
	if lost(err) {
		var errno syscall.Errno
		what := "the connection was lost"
		if errors.As(err, &errno) {
			what += " (" + errno.Error() + ")"
		}
		return &failure{open, what, withoutContext(err)}
	}
	if !write {
		open = nil // it will not get better with time
	}
	what := "the driver failed"
	var scan pgx.ScanArgError
	if errors.As(err, &scan) {
		what = "the driver cannot read what the server sent for the column " + scan.FieldName
	}
	return &failure{open, what, withoutContext(err)}
}

// lost reports whether an error of the driver is about the connection.
func lost(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// mayResend reports whether a statement that failed may be sent again on another
// connection, as this one is gone: a read always, and a write if the server has
// certainly not begun with it.
func mayResend(err error, write bool) bool {
	var pg *pgconn.PgError
	switch {
	case pgconn.SafeToRetry(err):
		return true
	case errors.As(err, &pg):
		return pg.Code == "57P05" || !write && (pg.Code == "57P01" || pg.Code == "57P02")
	}
	return !write && lost(err) && !errors.Is(err, context.DeadlineExceeded)
}

// errEnded is an ErrUnknownOutcome of a statement that does not run any more.
var errEnded = fmt.Errorf("%w: %w", storage.ErrUnknownOutcome, storage.ErrEnded)

// classifyServer is classify for an error of the server. An ERROR ends the
// statement and leaves nothing of it, but for those that are about the commit
// itself; after a FATAL the server has gone, and may have committed before.
func classifyServer(pg *pgconn.PgError, open error) error {
	severity := pg.SeverityUnlocalized
	if severity == "" { // before PostgreSQL 9.6, and some poolers
		severity = pg.Severity
	}
	class := pg.Code[:min(2, len(pg.Code))]
	fail := func(kind error, what string) error {
		return &failure{kind, what + " (SQLSTATE " + pg.Code + ")", pg}
	}
	switch {
	case pg.Code == "23505" && pg.ConstraintName == "entries_unique":
		index, _ := strconv.ParseUint(pg.ColumnName, 16, 32)
		return &storage.NotUniqueError{Index: uint32(index)}
	case collided(pg):
		if open == storage.ErrUnknownOutcome {
			return fail(storage.ErrConflict, "the server gave another transaction precedence")
		}
		return fail(storage.ErrUnavailable, "the server gave other transactions precedence again and again")
	case pg.Code == "57P05":
		return fail(storage.ErrUnavailable, "the server had ended the session, which was idle, before the statement")
	case pg.Code == "57P03", pg.Code == "53300", pg.Code == "3D000", class == "28": // through a pooler
		return fail(storage.ErrUnavailable, "the server takes no session for the statement")
	case severity != "ERROR" && pg.Routine != "" && open == storage.ErrUnknownOutcome:
		// Not a pooler, which names no routine, and does not know whether the statement still runs.
		return fail(errEnded, "the server ended the session")
	case pg.Code == "40003", class == "08", severity != "ERROR":
		return fail(open, "the connection or the server went away")
	case pg.Code == "57014":
		return fail(storage.ErrUnavailable, "the server cancelled the statement")
	case class == "57": // poolers send these as errors when they shut down
		return fail(open, "the server is shutting down")
	case pg.Code == "25006":
		return fail(storage.ErrUnavailable, "the session takes no writes: the server is a standby, or default_transaction_read_only is on")
	case pg.Code == "55P03":
		return fail(storage.ErrUnavailable, "a lock was not granted in time")
	case class == "53", class == "58":
		return fail(storage.ErrUnavailable, "the server lacks a resource")
	case pg.Code == "26000", pg.Code == "42P05":
		return fail(nil, "prepared statements do not work on this connection: with a pooler in between set default_query_exec_mode=exec")
	case pg.Code == "42P01", pg.Code == "3F000", pg.Code == "42703", pg.Code == "42804":
		return fail(nil, "the tables are missing or not of this version: run Migrate")
	case pg.Code == "42501":
		return fail(nil, "the database user lacks a privilege")
	}
	return fail(nil, "the server refused the statement")
}

// collided reports whether the server rolled a statement back for the sake of
// another transaction.
func collided(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// withoutContext returns err, or nil if it matches a context's error: that was
// the store's own context, and must not be taken for the caller's.
func withoutContext(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
