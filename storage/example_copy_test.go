package storage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

// moveScope copies the records of a scope into another store, with their data, ids, times
// and revisions. It can be run again; records that are there already stay.
func moveScope(ctx context.Context, to, from storage.Store, scope storage.Scope) (copied int, err error) {
	for r := (storage.Range{Limit: storage.MaxPage}); ; {
		page, err := from.List(ctx, scope, r)
		if err != nil {
			return copied, err
		}
		writes := make([]storage.Write, len(page.Records))
		for i, rec := range page.Records {
			writes[i].Record = rec // Expect 0: only where there is none
		}
		errs, err := to.Write(ctx, writes)
		if err != nil {
			return copied, err
		}
		copied += len(writes)
		for _, err := range errs {
			switch {
			case errors.Is(err, storage.ErrConflict):
				copied--
			case err != nil:
				return copied, err
			}
		}
		if r.After = page.Next; r.After.IsZero() {
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
		if _, err := storage.Put(ctx, from, storage.Record{Key: key, Data: []byte(`{}`)}, 0); err != nil {
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
