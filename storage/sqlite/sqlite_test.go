package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
	"example.com/resourcekit/storage/storagetest"
)

func durable() storagetest.Durable {
	return storagetest.Durable{
		New: func(t *testing.T) string { return filepath.Join(t.TempDir(), "records.db") },
		Open: func(ctx context.Context, place string) (storage.Store, error) {
			// Without a sync for each write the suite takes half the time. It kills processes,
			// for which the system keeps what they wrote; it cannot cut the power.
			return sqlite.Open(ctx, place, &sqlite.Options{SyncNormal: true})
		},
		Block: block,
		Copy: func(t *testing.T, place string) string {
			store, err := sqlite.Open(context.Background(), place, nil)
			require.NoError(t, err)
			defer store.Close()
			copied := filepath.Join(t.TempDir(), "backup.db")
			require.NoError(t, store.Backup(context.Background(), copied))
			return copied
		},
	}
}

// block holds the lock for writing, as another program would.
func block(t *testing.T, path string) (release func()) {
	db, err := sql.Open("sqlite", uri(path))
	require.NoError(t, err)
	tx, err := db.Conn(context.Background())
	require.NoError(t, err)
	_, err = tx.ExecContext(context.Background(), "PRAGMA busy_timeout = 5000")
	require.NoError(t, err)
	_, err = tx.ExecContext(context.Background(), "BEGIN IMMEDIATE")
	require.NoError(t, err)
	return func() {
		_, err := tx.ExecContext(context.Background(), "ROLLBACK")
		require.NoError(t, err)
		require.NoError(t, tx.Close())
		require.NoError(t, db.Close())
	}
}

func TestStore(t *testing.T) { storagetest.RunDurable(t, durable()) }
