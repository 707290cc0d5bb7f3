package memory_test

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func Example_listPageByPage() {
	ctx, store := context.Background(), memory.New()
	defer store.Close()
	scope := storage.Scope{
		Tenant: storage.TenantOf("acme", "main"),
		Schema: uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
	}
	for _, id := range []string{"carol", "alice", "bob"} {
		key := storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: id}
		if _, err := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte(`{}`)}, 0); err != nil {
			fmt.Println(err)
		}
	}
	for r := (storage.Range{Limit: 2}); ; {
		page, err := store.List(ctx, scope, r)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, rec := range page.Records {
			fmt.Println(rec.Key.ExternalID)
		}
		if r.After = page.Next; r.After.IsZero() {
			break
		}
		fmt.Println("next page")
	}
	// Output:
	// alice
	// bob
	// next page
	// carol
}
