package storage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// moveScope copies the records of a scope into another store, as they are: data,
// ids and times. It can be run again; what is there already stays.
func moveScope(ctx context.Context, to, from storage.Store, scope storage.Scope) (copied int, err error) {
	for after := ""; ; {
		page, err := from.List(ctx, scope, after, storage.MaxPage)
		if err != nil {
			return copied, err
		}
		ops := make([]storage.PutOp, len(page.Records))
		for i, rec := range page.Records {
			ops[i].Record = rec // Expect 0: only where there is none
		}
		results, err := storage.PutMany(ctx, to, ops)
		if err != nil {
			return copied, err
		}
		for _, r := range results {
			switch {
			case r.Err == nil:
				copied++
			case !errors.Is(r.Err, storage.ErrConflict):
				return copied, r.Err
			}
		}
		if after = page.Next; after == "" {
			return copied, nil
		}
	}
}

// From one store to another, scope by scope.
func Example_moveToAnotherStore() {
	ctx, from, to := context.Background(), memory.New(), memory.New()
	scope := storage.Scope{
		Tenant: storage.TenantOf("acme", "main"),
		Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
	}
	for _, id := range []string{"alice", "bob"} {
		key := storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: id}
		if _, err := from.Put(ctx, storage.Record{Key: key, Data: []byte(`{}`)}, 0); err != nil {
			fmt.Println(err)
		}
	}
	for range 2 {
		fmt.Println(moveScope(ctx, to, from, scope))
	}
	// Output:
	// 2 <nil>
	// 0 <nil>
}
