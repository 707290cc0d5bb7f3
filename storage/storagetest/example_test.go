package storagetest_test

import (
	"context"
	"errors"
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

// A write that was applied and reported as unknown, to see what the code above
// the store makes of it.
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
	_, err := store.Put(ctx, storage.Record{Key: key, Data: []byte(`{}`)}, 0)
	fmt.Println(err, errors.Is(err, storage.ErrUnknownOutcome))
	rec, err := store.Get(ctx, key)
	fmt.Println(string(rec.Data), err)
	// Output:
	// storage: put: outcome of the write is unknown true
	// {} <nil>
}
