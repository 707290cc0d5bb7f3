package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
)

// conn is a connection to the file, with the statements that were used on it. Only one
// goroutine uses it at a time.
//
// It uses the driver without database/sql. The store has its own pool anyway, of one
// writer and some readers that must not change places, and so data is copied once and not
// twice.
type conn struct {
	driver driver.Conn
	stmts  map[string]statement
	args   []driver.NamedValue

	checked time.Time // when a reader last found the file at its path
}

// statement is what the driver's statements can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// dial opens a connection. Its driver has none of the functions and hooks that the program
// may have registered for its own databases.
func dial(dsn string) (*conn, error) {
	c, err := new(sqlite.Driver).Open(dsn)
	if err != nil {
		return nil, &failure{err}
	}
	return &conn{driver: c, stmts: make(map[string]statement)}, nil
}

// dsnOf returns the URI of a file; its path may have any characters. The mode is "rw", or
// "rwc" for a file that SQLite may create.
func dsnOf(path, mode string) string {
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a drive letter
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: "mode=" + mode}
	return uri.String()
}

// close closes the connection, and rolls back an open transaction.
func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	errs = append(errs, c.driver.Close())
	if err := errors.Join(errs...); err != nil {
		return &failure{err}
	}
	return nil
}

func (c *conn) prepare(query string) (statement, error) {
	if s := c.stmts[query]; s != nil {
		return s, nil
	}
	prepared, err := c.driver.Prepare(query)
	if err != nil {
		return nil, &failure{err}
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, &failure{errors.Join(errors.New("a statement of the driver lacks a method"), prepared.Close())}
	}
	c.stmts[query] = s
	return s, nil
}

// bind returns the arguments in the form of the driver, valid until the next call.
func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	return c.args
}

// exec runs a statement and returns how many rows it changed.
func (c *conn) exec(query string, args ...driver.Value) (int64, error) {
	return c.execContext(context.Background(), query, args...)
}

// execContext is exec for a statement that takes long: the end of the context interrupts
// it. That costs a goroutine.
func (c *conn) execContext(ctx context.Context, query string, args ...driver.Value) (int64, error) {
	s, err := c.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(ctx, c.bind(args))
	clear(c.args)
	if err != nil {
		return 0, &failure{err}
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return 0, &failure{err}
	}
	return changed, nil
}

// query runs a statement that returns so many columns, and calls each with one row after
// the other until it returns false. The values are the callee's, the slice is not.
func (c *conn) query(query string, columns int, each func(row []driver.Value) bool, args ...driver.Value) error {
	s, err := c.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), c.bind(args))
	clear(c.args)
	if err != nil {
		return &failure{err}
	}
	row := make([]driver.Value, columns)
	for {
		if err = rows.Next(row); err != nil || !each(row) {
			break
		}
	}
	if err == io.EOF {
		err = nil
	}
	if err = errors.Join(err, rows.Close()); err != nil {
		return &failure{err}
	}
	return nil
}

// snapshot runs f in a transaction: all that it reads is of one instant.
func (c *conn) snapshot(f func() error) error {
	if _, err := c.exec("BEGIN"); err != nil {
		return err
	}
	err := f()
	if _, end := c.exec(sqlCommit); end != nil {
		return errors.Join(err, end)
	}
	return err
}

// value returns the value of a query with one column, of its first row.
func (c *conn) value(query string) (v driver.Value, err error) {
	err = c.query(query, 1, func(row []driver.Value) bool {
		v = row[0]
		return false
	})
	return v, err
}
