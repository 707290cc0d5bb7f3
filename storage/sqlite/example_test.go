package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
)

func Example_backup() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := sqlite.Open(ctx, filepath.Join(dir, "records.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	key := storage.Key{
		Tenant:     storage.TenantOf("acme", "main"),
		Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		ExternalID: "alice",
	}
	rev, err := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte(`{"n":1}`)}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := store.Backup(ctx, filepath.Join(dir, "backup.db")); err != nil {
		fmt.Println(err)
		return
	}
	if err := storage.Delete(ctx, store, key, rev); err != nil {
		fmt.Println(err)
		return
	}

	backup, err := sqlite.Open(ctx, filepath.Join(dir, "backup.db"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer backup.Close()
	rec, err := backup.Get(ctx, key)
	fmt.Println(string(rec.Data), err)
	// Output: {"n":1} <nil>
}
