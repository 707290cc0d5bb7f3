package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
)

// TestClassify is the table of what errors of the driver mean.
func TestClassify(t *testing.T) {
	const secret = "alice@example.com"
	server := func(severity, code string) error {
		return &pgconn.PgError{SeverityUnlocalized: severity, Severity: severity, Code: code, Message: secret, Detail: secret, Hint: secret, Where: secret}
	}
	unknown, unavailable, conflict := storage.ErrUnknownOutcome, storage.ErrUnavailable, storage.ErrConflict
	for _, tt := range []struct {
		name        string
		err         error
		write, read error // nil: none of the contract's
	}{
		{"serialization failure", server("ERROR", "40001"), conflict, unavailable},
		{"deadlock", server("ERROR", "40P01"), conflict, unavailable},
		{"statement completion unknown", server("ERROR", "40003"), unknown, unavailable},
		{"terminated", server("FATAL", "57P01"), unknown, unavailable},
		{"crash of another session", server("WARNING", "57P02"), unknown, unavailable},
		{"shutdown, as an error", server("ERROR", "57P01"), unknown, unavailable},
		{"connection failure", server("ERROR", "08006"), unknown, unavailable},
		{"resolution unknown", server("ERROR", "08007"), unknown, unavailable},
		{"pooler", server("FATAL", "08P01"), unknown, unavailable},
		{"panic", server("PANIC", "XX000"), unknown, unavailable},
		{"read-only", server("ERROR", "25006"), unavailable, unavailable},
		{"disk full", server("ERROR", "53100"), unavailable, unavailable},
		{"out of memory", server("ERROR", "53200"), unavailable, unavailable},
		{"I/O error", server("ERROR", "58030"), unavailable, unavailable},
		{"statement timeout", server("ERROR", "57014"), unavailable, unavailable},
		{"lock timeout", server("ERROR", "55P03"), unavailable, unavailable},
		{"no table", server("ERROR", "42P01"), nil, nil},
		{"no privilege", server("ERROR", "42501"), nil, nil},
		{"prepared statement is there", server("ERROR", "42P05"), nil, nil},
		{"prepared statement is not there", server("ERROR", "26000"), nil, nil},
		{"internal error", server("ERROR", "XX000"), nil, nil},
		{"no code", server("ERROR", ""), nil, nil},
		{"no answer", context.DeadlineExceeded, unknown, unavailable},
		{"cut off", io.ErrUnexpectedEOF, unknown, unavailable},
		{"reset", &net.OpError{Op: "read", Err: syscall.ECONNRESET}, unknown, unavailable},
		{"not sent", notSent{}, unavailable, unavailable},
		{"idle session", server("FATAL", "57P05"), unavailable, unavailable},
		{"starting up, through a pooler", server("FATAL", "57P03"), unavailable, unavailable},
		{"too many sessions, through a pooler", server("FATAL", "53300"), unavailable, unavailable},
		{"wrong password, through a pooler", server("FATAL", "28P01"), unavailable, unavailable},
		{"unknown database, through a pooler", server("FATAL", "3D000"), unavailable, unavailable},
		{"value that cannot be read", pgx.ScanArgError{FieldName: "data", Err: errors.New(secret)}, unknown, nil},
		{"anything else", errors.New(secret), unknown, nil},
	} {
		for _, write := range []bool{true, false} {
			want := tt.read
			if write {
				want = tt.write
			}
			err := operation{name: "put", write: write}.failed(classify(tt.err, write))
			for _, kind := range []error{unknown, unavailable, conflict} {
				require.Equal(t, kind == want, errors.Is(err, kind), "%s, write %t: %v", tt.name, write, err)
			}
			require.NotErrorIs(t, err, context.DeadlineExceeded, "%s: it was not the caller's", tt.name)
			require.NotErrorIs(t, err, storage.ErrEnded, "%s: not an error of the server itself", tt.name)
			require.NotContains(t, err.Error(), secret, tt.name)
			require.Contains(t, err.Error(), "put", tt.name)
			var pg, got *pgconn.PgError
			if errors.As(tt.err, &pg) {
				require.ErrorAs(t, err, &got, tt.name)
				require.Contains(t, err.Error(), pg.Code)
			}
		}
	}
}

// TestClassifyNames: what is not about the connection is not called that.
func TestClassifyNames(t *testing.T) {
	for _, err := range []error{io.EOF, io.ErrUnexpectedEOF, &net.OpError{Op: "read", Err: syscall.ECONNRESET}} {
		require.ErrorContains(t, classify(err, false), "the connection was lost", "%v", err)
	}
	require.ErrorContains(t, classify(errForeignRow, false), "the driver failed")
}

type notSent struct{}

func (notSent) Error() string     { return "conn closed" }
func (notSent) SafeToRetry() bool { return true }
