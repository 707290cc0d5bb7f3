package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/resourcekit/storage"
)

// failure is an error of the database in the words of this package. The
// server's own message is left out of the text, since it may quote a record;
// errors.As finds it as a *pgconn.PgError.
type failure struct {
	kind  error // what the contract calls it; nil for what it has no name for
	what  string
	cause error
}

func (f *failure) Error() string {
	text := f.what
	if f.kind != nil {
		text = f.kind.Error() + ": " + text
	}
	var pg *pgconn.PgError
	var errno syscall.Errno
	switch {
	case errors.As(f.cause, &pg):
		text += " (SQLSTATE " + pg.Code + ")"
	case errors.As(f.cause, &errno):
		text += " (" + errno.Error() + ")"
	}
	return text
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

// notConnected is the error of a call that got no connection: nothing was
// sent, whatever it says.
func notConnected(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{storage.ErrUnavailable, "no connection within the timeout", nil}
	}
	return &failure{storage.ErrUnavailable, "no connection", err}
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
	// What an error means that leaves open whether the statement was applied.
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
	what := "the driver failed" // for instance a setting of its own stands in the way
	var lost net.Error
	if errors.As(err, &lost) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		what = "the connection was lost"
	}
	return &failure{open, what, withoutContext(err)}
}

// classifyServer is classify for what the server says. An ERROR ends the
// statement and leaves nothing of it, but for those that are about the commit
// itself; after a FATAL the server has gone, and may have committed before.
func classifyServer(pg *pgconn.PgError, open error) error {
	severity := pg.SeverityUnlocalized
	if severity == "" { // before PostgreSQL 9.6, and some poolers
		severity = pg.Severity
	}
	class := pg.Code[:min(2, len(pg.Code))]
	switch {
	case collided(pg):
		if open == storage.ErrUnknownOutcome {
			return &failure{storage.ErrConflict, "the server gave another transaction precedence", pg}
		}
		return &failure{storage.ErrUnavailable, "the server gave other transactions precedence again and again", pg}
	case pg.Code == "40003", class == "08", severity != "ERROR":
		return &failure{open, "the connection or the server went away", pg}
	case pg.Code == "57014":
		return &failure{storage.ErrUnavailable, "the server cancelled the statement", pg}
	case class == "57": // CockroachDB sends these as errors when a node is drained
		return &failure{open, "the server is shutting down", pg}
	case pg.Code == "25006":
		return &failure{storage.ErrUnavailable, "the server takes no writes, as a standby", pg}
	case pg.Code == "55P03":
		return &failure{storage.ErrUnavailable, "a lock was not granted in time", pg}
	case class == "53", class == "58":
		return &failure{storage.ErrUnavailable, "the server lacks a resource", pg}
	case pg.Code == "26000", pg.Code == "42P05":
		return &failure{nil, "prepared statements do not work on this connection: behind a pooler set default_query_exec_mode=exec", pg}
	case pg.Code == "42P01", pg.Code == "3F000", pg.Code == "42703", pg.Code == "42804":
		return &failure{nil, "the tables are missing or not of this version: run Migrate", pg}
	case pg.Code == "42501":
		return &failure{nil, "the database user lacks a privilege", pg}
	}
	return &failure{nil, "the server refused the statement", pg}
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
