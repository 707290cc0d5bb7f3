package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
)

// checkEvery is how often a reader looks whether the file is still at its path.
// To look takes 1 to 2 us, a seventh of a Get.
const checkEvery = 100 * time.Millisecond

// read runs f with a reader, again if the file was locked.
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
		_ = c.close() // in whatever state it is: the next read gets a new one
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

	sqlGet  = "SELECT revision, id, created_at, updated_at, data FROM records WHERE " + ofKey
	sqlList = "SELECT revision, id, created_at, updated_at, data, external_id FROM records WHERE " + ofScope +
		" AND external_id > ?4 ORDER BY external_id LIMIT ?5"
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

// get fills in the record of the key, if there is one.
func get(c *conn, rec *storage.Record) error {
	var damaged error
	key := &rec.Key
	err := c.query(sqlGet, 5, func(row []driver.Value) bool {
		damaged = fill(rec, row)
		return false
	}, key.Tenant.Platform[:], key.Tenant.Business[:], key.Schema[:], key.ExternalID)
	return errors.Join(err, damaged)
}

// fill sets all of a record but the key. The table is STRICT, so that values of
// other types are not to be expected.
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

// GetMany implements storage.BatchStore.
func (s *Store) GetMany(ctx context.Context, keys []storage.Key) ([]storage.Record, error) {
	records := make([]storage.Record, len(keys))
	err := s.read(ctx, func(c *conn) error {
		// One transaction spares each record the locks of its own.
		if _, err := c.exec("BEGIN"); err != nil {
			return err
		}
		err := getAll(ctx, c, keys, records)
		_, end := c.exec(sqlCommit)
		return errors.Join(err, end)
	})
	if err != nil {
		return nil, &storage.OpError{Op: "get many", Err: err}
	}
	return records, nil
}

func getAll(ctx context.Context, c *conn, keys []storage.Key, records []storage.Record) error {
	for i, key := range keys {
		records[i] = storage.Record{Key: key}
		if err := errors.Join(ctx.Err(), get(c, &records[i])); err != nil {
			return err
		}
	}
	return nil
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, scope storage.Scope, after string, limit int) (storage.Page, error) {
	var page storage.Page
	limit, err := storage.CheckList(ctx, scope, after, limit)
	if err == nil {
		err = s.read(ctx, func(c *conn) (err error) {
			page, err = list(ctx, c, scope, after, limit)
			return err
		})
	}
	if err != nil {
		return storage.Page{}, &storage.OpError{Op: "list", Err: err}
	}
	return page, nil
}

func list(ctx context.Context, c *conn, scope storage.Scope, after string, limit int) (page storage.Page, err error) {
	size := 0
	var damaged error
	err = c.query(sqlList, 6, func(row []driver.Value) bool {
		if len(page.Records) == limit || size >= maxPageBytes {
			page.Next = page.Records[len(page.Records)-1].Key.ExternalID
			return false
		}
		rec := storage.Record{Key: storage.Key{Tenant: scope.Tenant, Schema: scope.Schema}}
		rec.Key.ExternalID, _ = row[5].(string)
		if damaged = errors.Join(fill(&rec, row), ctx.Err()); damaged != nil {
			return false
		}
		page.Records = append(page.Records, rec)
		size += len(rec.Data)
		return true
	}, scope.Tenant.Platform[:], scope.Tenant.Business[:], scope.Schema[:], after, int64(limit)+1)
	return page, errors.Join(err, damaged)
}
