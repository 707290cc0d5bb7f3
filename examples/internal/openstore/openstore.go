// Package openstore opens the store that the user of an example chooses by name.
package openstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/coalesce"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/postgres"
	"example.com/resourcekit/storage/sqlite"
)

// Usage says which names Open knows.
const Usage = "memory, sqlite:PATH or postgres://USER@HOST/DATABASE"

// ErrName is returned for a name that Open does not know.
var ErrName = errors.New("expected " + Usage)

// Opened is a store, its description, and the pool that is closed with it.
type Opened struct {
	Store storage.Store // not embedded: it may be a storage.Recaller, which that would hide
	Place string        // a description for people, without the password
	pool  *pgxpool.Pool
}

// Close closes the store, and then the pool that it used.
func (o *Opened) Close() error {
	err := o.Store.Close()
	if o.pool != nil {
		o.pool.Close()
	}
	return err
}

// Tenant returns the tenant of this name on the one platform of all examples, so that each
// of them finds the records of the others.
func Tenant(name string) storage.Tenant { return storage.TenantOf("example", name) }

// Open opens the store of this name, see Usage. It makes the table or file if there is
// none.
func Open(ctx context.Context, name string) (*Opened, error) { return open(ctx, name, false) }

// OpenExisting is Open for programs that store nothing: where there is no table or
// file yet, it makes none and returns an empty store in memory.
func OpenExisting(ctx context.Context, name string) (*Opened, error) { return open(ctx, name, true) }

func open(ctx context.Context, name string, existing bool) (*Opened, error) {
	kind, path, _ := strings.Cut(name, ":")
	switch kind {
	case "memory":
		if path == "" {
			return &Opened{Store: memory.New(), Place: "memory"}, nil
		}
	case "sqlite":
		if existing && missing(path) {
			return &Opened{Store: memory.New(), Place: "the SQLite file " + path + ", which does not exist"}, nil
		}
		store, err := sqlite.Open(ctx, path, nil)
		if err != nil {
			return nil, err
		}
		if path, err = filepath.Abs(path); err != nil {
			return nil, errors.Join(err, store.Close())
		}
		return &Opened{Store: store, Place: "the SQLite file " + path}, nil
	case "postgres", "postgresql":
		return openPostgres(ctx, name, existing)
	}
	return nil, ErrName
}

// missing reports whether sqlite.Open would make or fill the file at the path, in a folder
// that exists.
func missing(path string) bool {
	folder, err := os.Stat(filepath.Dir(path))
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.HasPrefix(path, "file:") || err != nil || !folder.IsDir() {
		return false // sqlite.Open refuses the path
	}
	info, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0
}

func openPostgres(ctx context.Context, url string, existing bool) (*Opened, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("not the URL of a PostgreSQL database") // it may hold a password
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	store, err := openTable(ctx, pool, existing)
	if err != nil {
		pool.Close()
		return nil, err
	}
	conn := config.ConnConfig
	return &Opened{Store: store, pool: pool, Place: fmt.Sprintf("the PostgreSQL database %s on %s", conn.Database, conn.Host)}, nil
}

// openTable makes the table. A service does that once, when it is deployed.
func openTable(ctx context.Context, pool *pgxpool.Pool, existing bool) (storage.Store, error) {
	if existing {
		var there bool
		err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'resourcekit')").Scan(&there)
		if err != nil {
			return nil, err
		}
		if !there {
			return memory.New(), nil
		}
	} else if err := postgres.Migrate(ctx, pool, nil); err != nil {
		return nil, err
	}
	store, err := postgres.New(ctx, pool, nil)
	if err != nil {
		return nil, err
	}
	return coalesce.New(store), nil // requests of many clients share round trips and commits
}
