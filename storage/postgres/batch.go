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

// GetMany implements storage.Store, with one statement for each scope that the keys are
// of, all in one round trip.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	if err := storage.CheckKeys(ctx, keys); err != nil {
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

// writeMany makes writes in one round trip and one transaction, with one statement for
// each kind of write in each scope; more than 16 MiB of data take several. It returns nil
// if all were applied.
func (s *Store) writeMany(ctx context.Context, writes []storage.Write) []error {
	b := batch{store: s, writes: writes}
	order := make([]int, 0, len(writes))
	for i := range writes {
		if tooLarge(&writes[i]) {
			b.fail(i, storage.ErrTooLarge)
			continue
		}
		order = append(order, i)
	}
	for len(order) > 0 {
		n, size := 0, 0
		for n < len(order) && (n == 0 || size+sizeOf(&writes[order[n]]) <= maxBytes) {
			size += sizeOf(&writes[order[n]])
			n++
		}
		b.write(ctx, order[:n])
		order = order[n:]
	}
	return b.errs
}

// sizeOf returns the bytes that a write has the server take in.
func sizeOf(w *storage.Write) int { return len(w.Record.Data) + w.Note.Size() }

// batch is one call of Write.
type batch struct {
	store  *Store
	writes []storage.Write
	errs   []error // nil without an error
}

func (b *batch) fail(i int, err error) {
	if b.errs == nil {
		b.errs = make([]error, len(b.writes))
	}
	b.errs[i] = err
}

// write makes the writes with these numbers, which ascend, in one transaction. A taken
// value ends the transaction, without a verdict on the other writes. Then each half is
// made by itself, the first one first, and so on: single writes fail alone.
//
// The unique values that the writes of a transaction gain were free before it, since it
// frees others when it commits. So each write is decided as if those before it had been
// made.
func (b *batch) write(ctx context.Context, numbers []int) {
	if len(numbers) == 1 {
		if err := b.store.writeOne(ctx, &b.writes[numbers[0]]); err != nil {
			b.fail(numbers[0], err)
		}
		return
	}
	groups, err := b.writeTogether(ctx, numbers)
	if errors.Is(err, storage.ErrNotUnique) {
		b.write(ctx, numbers[:len(numbers)/2])
		b.write(ctx, numbers[len(numbers)/2:])
		return
	}
	for _, g := range groups {
		for k, i := range g.numbers {
			switch {
			case err != nil: // then the statement may still run, and g.written is its own
				b.fail(i, err)
			case !g.written[k]:
				b.fail(i, storage.ErrConflict)
			}
		}
	}
}

func (b *batch) writeTogether(ctx context.Context, numbers []int) ([]*group, error) {
	// Batches lock their rows in the order of the keys, so that two of them do not
	// wait for each other. (But for a small table, see statements: the server ends
	// such a wait, with a conflict.)
	key := func(n int) storage.Key { return b.writes[numbers[n]].Record.Key }
	var groups []*group
	unique := false
	for scope, sorted := range scopes(sorted(len(numbers), key), key) {
		var kinds [2][3]*group // by kind, and logged or not
		for _, n := range sorted {
			w := &b.writes[numbers[n]]
			unique = unique || slices.ContainsFunc(w.Entries, func(e storage.Entry) bool { return e.Unique })
			kind, logged := kindOf(w), 0
			if w.Note != nil {
				logged = 1
			}
			if kinds[logged][kind] == nil {
				kinds[logged][kind] = &group{scope: scope, kind: kind, logged: logged == 1}
			}
			kinds[logged][kind].numbers = append(kinds[logged][kind].numbers, numbers[n])
		}
		for kind := range kinds[0] {
			for logged := range kinds {
				if g := kinds[logged][kind]; g != nil {
					g.fill(b.writes)
					groups = append(groups, g)
				}
			}
		}
	}
	keys := func() []storage.Key {
		keys := make([]storage.Key, len(numbers))
		for n := range numbers {
			keys[n] = key(n)
		}
		return keys
	}
	op := operation{name: "write", write: true, keys: keys}
	_, err := do(ctx, b.store, op, func(ctx context.Context, conn *pgx.Conn) (struct{}, error) {
		var batch pgx.Batch
		if unique {
			batch.Queue(b.store.sql.batch)
		}
		for _, g := range groups {
			g.queue(&batch, &b.store.sql)
		}
		return struct{}{}, conn.SendBatch(ctx, &batch).Close()
	})
	return groups, err
}

// group is the writes of one statement: of one scope and one kind, all logged or none.
// The parameters of the statement are arrays, one per column.
type group struct {
	scope   storage.Scope
	kind    int
	logged  bool
	numbers []int // of the writes, in the order of their keys
	written []bool

	externalID         pgtype.FlatArray[*pgtype.Text]
	expected, revision pgtype.FlatArray[*pgtype.Int8]
	id                 pgtype.FlatArray[*pgtype.UUID]
	created, updated   pgtype.FlatArray[*pgtype.Timestamptz]
	entries            pgtype.FlatArray[*pgtype.Text]
	data               [][]byte
	start, length      pgtype.FlatArray[*pgtype.Int4] // of each one's piece of all data; start counts from 1

	at                    pgtype.FlatArray[*pgtype.Timestamptz] // of the notes
	actor, reason         pgtype.FlatArray[*pgtype.Text]
	dataBefore, dataAfter [][]byte
}

// fill sets the columns. The statement may outlive the call, and so shares nothing with
// it that changes.
func (g *group) fill(writes []storage.Write) {
	n, size := len(g.numbers), 0
	g.written = make([]bool, n)
	g.externalID, g.expected, g.revision = newArray[pgtype.Text](n), newArray[pgtype.Int8](n), newArray[pgtype.Int8](n)
	if g.kind != remove {
		g.updated, g.entries, g.data = newArray[pgtype.Timestamptz](n), newArray[pgtype.Text](n), make([][]byte, n)
		g.start, g.length = newArray[pgtype.Int4](n), newArray[pgtype.Int4](n)
	}
	if g.kind == create {
		g.id, g.created = newArray[pgtype.UUID](n), newArray[pgtype.Timestamptz](n)
	}
	if g.logged {
		g.at, g.actor, g.reason = newArray[pgtype.Timestamptz](n), newArray[pgtype.Text](n), newArray[pgtype.Text](n)
		g.dataBefore, g.dataAfter = make([][]byte, n), make([][]byte, n)
	}
	for k, i := range g.numbers {
		w := &writes[i]
		rec := &w.Record
		*g.externalID[k] = toText(rec.Key.ExternalID)
		*g.expected[k], *g.revision[k] = toBigint(w.Expect), toBigint(rec.Revision)
		if g.kind != remove {
			*g.updated[k], *g.entries[k], g.data[k] = toTimestamptz(rec.UpdatedAt), toEntries(w.Entries), rec.Data
			*g.start[k], *g.length[k] = toInteger(size+1), toInteger(len(rec.Data))
			size += len(rec.Data)
		}
		if g.kind == create {
			*g.id[k], *g.created[k] = toUUID(rec.ID), toTimestamptz(rec.CreatedAt)
		}
		if note := w.Note; g.logged {
			*g.at[k], *g.actor[k], *g.reason[k] = toTimestamptz(note.Time), toText(note.Actor), toText(note.Reason)
			g.dataBefore[k], g.dataAfter[k] = toBytea(note.Before), toBytea(note.After)
		}
	}
}

// queue adds the statement to the batch.
func (g *group) queue(batch *pgx.Batch, sql *statements) {
	platform, business, schema := toUUID(g.scope.Tenant.Platform), toUUID(g.scope.Tenant.Business), toUUID(g.scope.Schema)
	args := make([]any, 0, 24)
	args = append(args, scopeID(g.scope), g.externalID)
	switch g.kind {
	case create:
		args = append(args, g.revision, g.id, g.created, g.updated, g.entries, g.start, g.length,
			platform, business, schema, toBytea(bytes.Join(g.data, nil)))
	case update:
		args = append(args, g.expected, g.revision, g.updated, g.entries, g.start, g.length, toBytea(bytes.Join(g.data, nil)))
	case remove:
		args = append(args, g.expected)
	}
	statement := sql.many[g.kind]
	if g.logged {
		statement = sql.logged[1][g.kind]
		args = append(args, platform, business, schema, g.revision, g.expected, g.at, g.kind == remove,
			g.actor, g.reason, g.dataBefore, g.dataAfter)
	}
	batch.Queue(statement, args...).Query(func(rows pgx.Rows) error {
		at := finder{ids: g.externalID}
		for rows.Next() {
			i, err := at.find(rows.RawValues())
			if err != nil {
				return err
			}
			g.written[i] = true
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
