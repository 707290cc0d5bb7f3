package postgres

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// GetMany implements storage.BatchStore, with one statement for each scope that
// the keys are of, all in one round trip.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, nil
	}
	keys = slices.Clone(keys) // the statements may outlive the call
	return do(ctx, s, operation{name: "get many"}, func(ctx context.Context, conn *pgx.Conn) ([]storage.Record, error) {
		records := make([]storage.Record, len(keys))
		for i, key := range keys {
			records[i].Key = key
		}
		var batch pgx.Batch
		key := func(i int) storage.Key { return keys[i] }
		for scope, numbers := range scopes(sorted(len(keys), key), key) {
			ids := newArray[pgtype.Text](len(numbers))
			for i, number := range numbers {
				*ids[i] = toText(keys[number].ExternalID)
			}
			batch.Queue(s.sql.getMany, scopeID(scope), ids).
				Query(func(rows pgx.Rows) error {
					row, at := s.newRow(nil), finder{ids: ids} // which reads the first column itself
					for rows.Next() {
						if err := rows.Scan(row.columns...); err != nil {
							return err
						}
						i, err := at.find(rows.RawValues())
						if err != nil {
							return err
						}
						row.fill(&records[numbers[i]])
					}
					return rows.Err()
				})
		}
		return records, conn.SendBatch(ctx, &batch).Close()
	})
}

// PutMany implements storage.BatchStore. The updates of a scope are one
// statement, and its creates another; all are one round trip and one
// transaction. Only a batch with more than 16 MiB of data takes several.
func (s *Store) PutMany(ctx context.Context, ops []storage.PutOp) ([]storage.PutResult, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	results := make([]storage.PutResult, len(ops))
	// Batches lock their rows in the order of the keys, so that two of them do not
	// wait for each other. (But for a small table, see statements: the server ends
	// such a wait, with a conflict.)
	order := sorted(len(ops), func(i int) storage.Key { return ops[i].Record.Key })
	order = slices.DeleteFunc(order, func(i int) bool {
		tooLarge := len(ops[i].Record.Data) > MaxData
		if tooLarge {
			results[i].Err = storage.ErrTooLarge
		}
		return tooLarge
	})
	for len(order) > 0 {
		n, size := 0, 0
		for n < len(order) && (n == 0 || size+len(ops[order[n]].Record.Data) <= maxBytes) {
			size += len(ops[order[n]].Record.Data)
			n++
		}
		s.putSome(ctx, ops, order[:n], results)
		order = order[n:]
	}
	return results, nil
}

// putSome puts the operations with the given numbers and fills their results.
func (s *Store) putSome(ctx context.Context, ops []storage.PutOp, numbers []int, results []storage.PutResult) {
	var puts []*putColumns
	key := func(i int) storage.Key { return ops[i].Record.Key }
	for scope, numbers := range scopes(numbers, key) {
		for _, c := range []*putColumns{
			newPutColumns(scope, s.sql.updateMany, false, ops, numbers),
			newPutColumns(scope, s.sql.createMany, true, ops, numbers),
		} {
			if len(c.numbers) > 0 {
				puts = append(puts, c)
			}
		}
	}
	keys := func() []storage.Key {
		keys := make([]storage.Key, len(numbers))
		for i, number := range numbers {
			keys[i] = key(number)
		}
		return keys
	}
	_, err := do(ctx, s, operation{name: "put many", write: true, keys: keys}, func(ctx context.Context, conn *pgx.Conn) (struct{}, error) {
		var batch pgx.Batch
		for _, c := range puts {
			c.queue(&batch)
		}
		return struct{}{}, conn.SendBatch(ctx, &batch).Close()
	})
	for _, c := range puts {
		for k, i := range c.numbers {
			switch {
			case err != nil: // then the statement may still run, and c.written is its own
				results[i].Err = err
			case c.written[k]:
				results[i].Revision = storage.Revision(c.revision[k].Int64) + c.step
			default:
				results[i].Err = storage.ErrConflict
			}
		}
	}
}

// putColumns are the parameters of a statement that puts many records of one
// scope, one array per column.
type putColumns struct {
	scope  storage.Scope
	sql    string
	create bool

	numbers       []int // of the operations
	externalID    pgtype.FlatArray[*pgtype.Text]
	revision      pgtype.FlatArray[*pgtype.Int8]        // of creates the new ones, of updates the expected ones
	step          storage.Revision                      // from the expected ones to the new ones; 0 for creates
	id            pgtype.FlatArray[*pgtype.UUID]        // of creates
	created       pgtype.FlatArray[*pgtype.Timestamptz] // of creates
	updated       pgtype.FlatArray[*pgtype.Timestamptz]
	data          [][]byte
	start, length pgtype.FlatArray[*pgtype.Int4] // of each one's piece of all data; start counts from 1

	written []bool // which rows the statement wrote
}

// newPutColumns takes the creates or the updates among the operations with these
// numbers.
func newPutColumns(scope storage.Scope, sql string, create bool, ops []storage.PutOp, numbers []int) *putColumns {
	c := &putColumns{scope: scope, sql: sql, create: create}
	for _, i := range numbers {
		if (ops[i].Expect == 0) == create {
			c.numbers = append(c.numbers, i)
		}
	}
	n := len(c.numbers)
	c.externalID, c.revision, c.updated = newArray[pgtype.Text](n), newArray[pgtype.Int8](n), newArray[pgtype.Timestamptz](n)
	if create {
		c.id, c.created = newArray[pgtype.UUID](n), newArray[pgtype.Timestamptz](n)
	} else {
		c.step = storage.NextRevision(0)
	}
	c.start, c.length = newArray[pgtype.Int4](n), newArray[pgtype.Int4](n)
	c.data, c.written = make([][]byte, n), make([]bool, n)
	size := 0
	for k, i := range c.numbers {
		rec := &ops[i].Record
		*c.externalID[k], *c.updated[k] = toText(rec.Key.ExternalID), toTimestamptz(rec.UpdatedAt)
		if create {
			*c.revision[k] = toBigint(storage.FirstRevision())
			*c.id[k], *c.created[k] = toUUID(rec.ID), toTimestamptz(rec.CreatedAt)
		} else {
			*c.revision[k] = toBigint(ops[i].Expect)
		}
		*c.start[k], *c.length[k] = toInteger(size+1), toInteger(len(rec.Data))
		c.data[k] = rec.Data
		size += len(rec.Data)
	}
	return c
}

// queue adds the statement to the batch.
func (c *putColumns) queue(batch *pgx.Batch) {
	scope, data := scopeID(c.scope), toBytea(bytes.Join(c.data, nil))
	var queued *pgx.QueuedQuery
	if c.create {
		queued = batch.Queue(c.sql, scope, c.externalID, c.revision, c.id, c.created, c.updated, c.start, c.length,
			toUUID(c.scope.Tenant.Platform), toUUID(c.scope.Tenant.Business), toUUID(c.scope.Schema), data)
	} else {
		queued = batch.Queue(c.sql, scope, c.externalID, c.revision, c.updated, c.start, c.length, toBigint(c.step), data)
	}
	queued.Query(func(rows pgx.Rows) error {
		at := finder{ids: c.externalID}
		for rows.Next() {
			i, err := at.find(rows.RawValues())
			if err != nil {
				return err
			}
			c.written[i] = true
		}
		return rows.Err()
	})
}

// newArray returns an array for the database, of pointers: the driver boxes every
// element, and a pointer takes no memory for that.
func newArray[T any](n int) pgtype.FlatArray[*T] {
	values, array := make([]T, n), make(pgtype.FlatArray[*T], n)
	for i := range values {
		array[i] = &values[i]
	}
	return array
}

// finder finds the places of rows among sorted ids.
type finder struct {
	ids  pgtype.FlatArray[*pgtype.Text]
	next int // where the next row is, if they come in the order of the ids
}

// find returns the place of a row by the first of its values, the id: text,
// which is the same in every format.
func (f *finder) find(row [][]byte) (int, error) {
	id, i := row[0], f.next
	if i == len(f.ids) || f.ids[i].String != string(id) {
		var found bool
		i, found = slices.BinarySearchFunc(f.ids, id, func(have *pgtype.Text, id []byte) int { return strings.Compare(have.String, string(id)) })
		if !found {
			return 0, errForeignRow
		}
	}
	f.next = i + 1
	return i, nil
}

// DeleteMany implements storage.BatchDeleter, with one statement for each scope
// that the keys are of, all in one round trip and one transaction.
func (s *Store) DeleteMany(ctx context.Context, ops []storage.DeleteOp) ([]error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(ops) == 0 {
		return nil, nil
	}
	ops = slices.Clone(ops) // the statements may outlive the call
	keys := func() []storage.Key {
		keys := make([]storage.Key, len(ops))
		for i, op := range ops {
			keys[i] = op.Key
		}
		return keys
	}
	return do(ctx, s, operation{name: "delete many", write: true, keys: keys}, func(ctx context.Context, conn *pgx.Conn) ([]error, error) {
		results := make([]error, len(ops))
		for i := range results {
			results[i] = storage.ErrNotFound
		}
		var batch pgx.Batch
		key := func(i int) storage.Key { return ops[i].Key }
		for scope, numbers := range scopes(sorted(len(ops), key), key) {
			ids, revisions := newArray[pgtype.Text](len(numbers)), newArray[pgtype.Int8](len(numbers))
			for i, number := range numbers {
				*ids[i], *revisions[i] = toText(ops[number].Key.ExternalID), toBigint(ops[number].Expect)
			}
			batch.Queue(s.sql.deleteMany, scopeID(scope), ids, revisions).
				Query(func(rows pgx.Rows) error {
					at := finder{ids: ids}
					var deleted bool
					_, err := pgx.ForEachRow(rows, []any{nil, &deleted}, func() error {
						i, err := at.find(rows.RawValues())
						if err != nil {
							return err
						}
						if results[numbers[i]] = storage.ErrConflict; deleted {
							results[numbers[i]] = nil
						}
						return nil
					})
					return err
				})
		}
		return results, conn.SendBatch(ctx, &batch).Close()
	})
}

// errForeignRow is for a server that returns rows which were not asked for.
var errForeignRow = errors.New("a row that was not written")

// sorted returns the numbers below n in the order of their keys.
func sorted(n int, key func(int) storage.Key) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	inOrder := func(i, j int) int { return key(i).Compare(key(j)) }
	if !slices.IsSortedFunc(numbers, inOrder) {
		slices.SortFunc(numbers, inOrder)
	}
	return numbers
}

// scopes yields the scopes of sorted keys, with the numbers of each one's keys.
func scopes(sorted []int, key func(int) storage.Key) iter.Seq2[storage.Scope, []int] {
	return func(yield func(storage.Scope, []int) bool) {
		for len(sorted) > 0 {
			scope, n := key(sorted[0]).Scope(), 1
			for n < len(sorted) && key(sorted[n]).Scope() == scope {
				n++
			}
			if !yield(scope, sorted[:n]) {
				return
			}
			sorted = sorted[n:]
		}
	}
}
