package storagetest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
	"example.com/resourcekit/storage/storagetest"
)

// The whole test of a store.
func ExampleRun() {
	_ = func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return memory.New() })
	}
}

// A write that is applied and reported as unknown. Update reads the record, finds its own
// revision, and succeeds; a bare Put cannot know.
func ExampleFaulty() {
	ctx := context.Background()
	store := storagetest.Faulty(memory.New(), func(op storagetest.Op) storagetest.Fault {
		if op.Name == "put" {
			return storagetest.Fault{Err: storage.ErrUnknownOutcome, Applied: true}
		}
		return storagetest.Fault{}
	})
	key := storage.Key{
		Tenant:     storage.TenantOf("acme", "main"),
		Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		ExternalID: "customer-7",
	}
	rev, err := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte(`{}`)}, 0)
	fmt.Println(rev, err)
	rec, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
		old.Data = []byte(string(old.Data) + "!")
		return old, nil
	})
	fmt.Println(string(rec.Data), err)
	// Output:
	// 0 storage: put: outcome of the write is unknown
	// {}! <nil>
}
