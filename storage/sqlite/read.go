package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// checkEvery is how often a reader looks whether the file is still at its path. That takes
// 1 to 2 us, a seventh of a Get.
const checkEvery = 100 * time.Millisecond

// read runs f with a reader, and again while the file is locked.
func (s *Store) read(ctx context.Context, f func(*conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var c *conn
	select {
	case c = <-s.readers:
	case <-s.closing:
		return storage.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	err := s.patiently(ctx, func() (err error) {
		if c == nil {
			if c, err = s.connectReader(); err != nil {
				return err
			}
		} else if time.Since(c.checked) > checkEvery {
			if err = s.unmoved(); err != nil {
				return err
			}
			c.checked = time.Now()
		}
		return f(c)
	})
	var broken *failure
	if c != nil && errors.As(err, &broken) {
		_ = c.close() // its state is unknown: the next read gets a new one
		c = nil
	}
	s.readers <- c
	return notApplied(err)
}

func (s *Store) connectReader() (*conn, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	if _, err := c.exec("PRAGMA query_only = ON"); err != nil {
		_ = c.close()
		return nil, err
	}
	return c, nil
}

const (
	ofScope = "platform = ?1 AND business = ?2 AND schema = ?3"
	ofKey   = ofScope + " AND external_id = ?4"

	sqlColumns = "SELECT revision, id, created_at, updated_at, data"
	sqlGet     = sqlColumns + " FROM records WHERE " + ofKey

	sqlList = sqlColumns + ", external_id FROM records" +
		" WHERE " + ofScope + " AND external_id > ?4 AND external_id < ?5 ORDER BY external_id "
	sqlListForwards  = sqlList + "LIMIT ?6"
	sqlListBackwards = sqlList + "DESC LIMIT ?6"

	sqlLookup = sqlColumns + ", external_id, place, records.entries" +
		" FROM entries CROSS JOIN records USING (platform, business, schema, external_id) WHERE " + ofScope
	forwards  = " ORDER BY place, external_id LIMIT "
	backwards = " ORDER BY place DESC, external_id DESC LIMIT "
	// ?6 is the external id at one of the bounds, for a page that goes on from a position.
	sqlLookupForwards  = sqlLookup + " AND place >= ?4 AND place < ?5" + forwards + "?6"
	sqlLookupBackwards = sqlLookup + " AND place >= ?4 AND place < ?5" + backwards + "?6"
	sqlLookupAfter     = sqlLookup + " AND (place, external_id) > (?4, ?6) AND place < ?5" + forwards + "?7"
	sqlLookupBefore    = sqlLookup + " AND place >= ?4 AND (place, external_id) < (?5, ?6)" + backwards + "?7"
)

// Get implements storage.Store.
func (s *Store) Get(ctx context.Context, key storage.Key) (storage.Record, error) {
	rec := storage.Record{Key: key}
	err := storage.CheckKey(ctx, key)
	if err == nil {
		err = s.read(ctx, func(c *conn) error { return get(c, &rec) })
	}
	if err == nil && rec.Revision == 0 {
		err = storage.ErrNotFound
	}
	if err != nil {
		return storage.Record{}, &storage.OpError{Op: "get", Key: key, Err: err}
	}
	return rec, nil
}

// get completes rec, which has a key, if there is a record.
func get(c *conn, rec *storage.Record) error {
	var damaged error
	key := &rec.Key
	err := c.query(sqlGet, 5, func(row []driver.Value) bool {
		damaged = fill(rec, row)
		return false
	}, key.Tenant.Platform[:], key.Tenant.Business[:], key.Schema[:], key.ExternalID)
	return errors.Join(err, damaged)
}

// fill sets all of a record but its key. The table is STRICT: the types of values are
// right unless the file is damaged.
func fill(rec *storage.Record, row []driver.Value) error {
	revision, _ := row[0].(int64)
	id, _ := row[1].([]byte)
	created, ok := row[2].(int64)
	updated, ok2 := row[3].(int64)
	data, ok3 := row[4].([]byte)
	parsed, err := uuid.FromBytes(id)
	if revision <= 0 || !ok || !ok2 || !ok3 || err != nil {
		return errors.New("a stored record is not one that this package wrote")
	}
	rec.Revision = storage.Revision(revision)
	rec.ID = parsed
	rec.CreatedAt = time.UnixMilli(created).UTC()
	rec.UpdatedAt = time.UnixMilli(updated).UTC()
	rec.Data = data
	return nil
}

// GetMany implements storage.Store.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	err := storage.CheckKeys(ctx, keys)
	records := make([]storage.Record, len(keys))
	if err == nil {
		err = s.read(ctx, func(c *conn) error {
			// One transaction takes the locks once, not for each record.
			return c.snapshot(func() error {
				for i, key := range keys {
					records[i] = storage.Record{Key: key}
					if err := errors.Join(ctx.Err(), get(c, &records[i])); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	if err != nil {
		return nil, &storage.OpError{Op: "get", Err: err}
	}
	return records, nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, scope storage.Scope, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckList(ctx, scope, r)
	query, args := listQuery(&scope, r)
	return s.page(ctx, err, pageQuery{"list", 6, scope, r.Limit, query, args})
}

// Lookup implements storage.Store.
func (s *Store) Lookup(
	ctx context.Context, scope storage.Scope, index uint32, r storage.Range,
) (storage.Page, error) {
	r, err := storage.CheckLookup(ctx, scope, index, r)
	query, args := lookupQuery(&scope, index, r)
	return s.page(ctx, err, pageQuery{"lookup", 8, scope, r.Limit, query, args})
}

// A pageQuery reads a page of a List, or with 8 columns of a Lookup.
type pageQuery struct {
	op      string
	columns int
	scope   storage.Scope
	limit   int
	query   string
	args    []driver.Value
}

// page makes the query, unless the check of the call has failed.
func (s *Store) page(ctx context.Context, check error, q pageQuery) (page storage.Page, err error) {
	if err = check; err == nil {
		err = s.read(ctx, func(c *conn) (err error) {
			page, err = q.read(ctx, c)
			return err
		})
	}
	if err != nil {
		return storage.Page{}, &storage.OpError{Op: q.op, Err: err}
	}
	return page, nil
}

// beyondIDs is greater than all external ids, which are valid UTF-8.
const beyondIDs = "\xff"

func listQuery(scope *storage.Scope, r storage.Range) (query string, args []driver.Value) {
	query, low, high := sqlListForwards, r.After.ExternalID, beyondIDs
	if r.Backwards {
		query, low = sqlListBackwards, ""
		if !r.After.IsZero() {
			high = r.After.ExternalID
		}
	}
	return query, append(scopeArgs(scope), low, high, int64(r.Limit)+1)
}

// beyondValues is greater than all values.
var beyondValues = bytes.Repeat([]byte{0xff}, storage.MaxValue+1)

func lookupQuery(scope *storage.Scope, index uint32, r storage.Range) (query string, args []driver.Value) {
	low, high, after := r.From, r.To, r.After
	if high == nil {
		high = beyondValues
	}
	goesOn := !after.IsZero()
	if r.Backwards {
		query = sqlLookupBackwards
		if goesOn = goesOn && bytes.Compare(after.Value, high) < 0; goesOn {
			query, high = sqlLookupBefore, after.Value
		}
	} else {
		query = sqlLookupForwards
		if goesOn = goesOn && bytes.Compare(after.Value, low) >= 0; goesOn {
			query, low = sqlLookupAfter, after.Value
		}
	}
	args = append(scopeArgs(scope), placeOf(index, low), placeOf(index, high))
	if goesOn {
		args = append(args, after.ExternalID)
	}
	return query, append(args, int64(r.Limit)+1)
}

func (q *pageQuery) read(ctx context.Context, c *conn) (page storage.Page, err error) {
	seen, size := 0, 0
	var last storage.Position
	var damaged error
	err = c.query(q.query, q.columns, func(row []driver.Value) bool {
		if seen == q.limit || size >= maxPageBytes {
			page.Next = last
			return false
		}
		seen++
		rec := storage.Record{Key: storage.Key{Tenant: q.scope.Tenant, Schema: q.scope.Schema}}
		rec.Key.ExternalID, _ = row[5].(string)
		last.ExternalID = rec.Key.ExternalID
		if q.columns == 8 {
			place, _ := row[6].([]byte)
			packed, _ := row[7].([]byte)
			last.Value = place[min(4, len(place)):]
			if !has(packed, place) { // SQL replaced the record
				return true
			}
			page.Values = append(page.Values, last.Value)
		}
		if damaged = errors.Join(fill(&rec, row), ctx.Err()); damaged != nil {
			return false
		}
		if len(page.Records) == 1 { // a look-up mostly finds one; two are most likely a full page
			page.Records = slices.Grow(page.Records, min(q.limit, 100)-1)
		}
		page.Records = append(page.Records, rec)
		size += len(rec.Data)
		return true
	}, q.args...)
	return page, errors.Join(err, damaged)
}

// scopeArgs returns the arguments of a statement that begin with those of a scope.
func scopeArgs(scope *storage.Scope) []driver.Value {
	return append(make([]driver.Value, 0, 8), scope.Tenant.Platform[:], scope.Tenant.Business[:], scope.Schema[:])
}
