package openstore_test

import (
	"context"
	"errors"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/testdb"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

var (
	ctx = context.Background()
	rec = storage.Record{
		Key: storage.Key{Tenant: openstore.Tenant("acme"), Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"), ExternalID: "x"},
		ID:  uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000002"), Data: []byte(`{}`),
	}
)

// TestOpen: a record that was stored is there when the store is opened again.
func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a b:?#%+&;'é.db") // no part of a URL
	for _, tc := range []struct {
		name  string
		store func(t *testing.T) (name, place string)
		lasts bool
	}{
		{"memory", func(*testing.T) (string, string) { return "memory", "memory" }, false},
		{"sqlite", func(*testing.T) (string, string) { return "sqlite:" + file, "the SQLite file " + file }, true},
		{"postgres", func(t *testing.T) (string, string) {
			dsn := testdb.New(t)
			u, err := url.Parse(dsn)
			require.NoError(t, err)
			return dsn, "the PostgreSQL database " + u.Path[1:] + " on " + u.Hostname()
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			name, place := tc.store(t)
			for range 2 {
				none, err := openstore.OpenExisting(ctx, name)
				require.NoError(t, err)
				assert.IsType(t, memory.New(), none.Store, "nothing is there, and nothing is made")
				require.NoError(t, none.Close())
			}
			first, err := openstore.Open(ctx, name)
			require.NoError(t, err)
			assert.Equal(t, place, first.Place)
			_, err = storage.Put(ctx, first.Store, rec, 0)
			require.NoError(t, err)
			require.NoError(t, first.Close())
			_, err = first.Store.Get(ctx, rec.Key)
			assert.ErrorIs(t, err, storage.ErrClosed)

			second, err := openstore.Open(ctx, name)
			require.NoError(t, err)
			_, err = second.Store.Get(ctx, rec.Key)
			if tc.lasts {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, storage.ErrNotFound)
			}
			require.NoError(t, second.Close())

			existing, err := openstore.OpenExisting(ctx, name)
			require.NoError(t, err)
			_, err = existing.Store.Get(ctx, rec.Key)
			assert.Equal(t, tc.lasts, err == nil)
			require.NoError(t, existing.Close())
		})
	}
}

func TestOpenErrors(t *testing.T) {
	for name, known := range map[string]bool{
		"": false, "tape": false, "memory:x": false, "sqlite:": true, "sqlite:" + filepath.Join(t.TempDir(), "none", "x.db"): true,
		"postgres://u:secret@[::1/db": true, "postgresql://u:secret@127.0.0.1:1/db": true, "mysql://u:secret@h/db": false,
	} {
		for _, open := range []func(context.Context, string) (*openstore.Opened, error){openstore.Open, openstore.OpenExisting} {
			_, err := open(ctx, name)
			require.Error(t, err, name)
			assert.Equal(t, !known, errors.Is(err, openstore.ErrName), name)
			assert.NotContains(t, err.Error(), "secret")
		}
	}
}
