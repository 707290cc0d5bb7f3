package storage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"
)

func Example_twoWritersKeepBothChanges() {
	ctx, store := context.Background(), memory.New()
	key := storage.Key{
		Tenant:     storage.TenantOf("acme", "main"),
		Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		ExternalID: "customer-7",
	}
	add := func(word string) func(storage.Record) (storage.Record, error) {
		return func(old storage.Record) (storage.Record, error) {
			old.Data = []byte(string(old.Data) + word + " ")
			return old, nil
		}
	}
	done := make(chan error)
	for _, word := range []string{"pizza", "pizza"} {
		go func() {
			_, err := storage.Update(ctx, store, key, add(word))
			done <- err
		}()
	}
	fmt.Println(<-done, <-done)
	rec, err := store.Get(ctx, key)
	fmt.Println(string(rec.Data), err)
	// Output:
	// <nil> <nil>
	// pizza pizza  <nil>
}

func Example_staleRevisionConflicts() {
	ctx, store := context.Background(), memory.New()
	key := storage.Key{
		Tenant:     storage.TenantOf("acme", "main"),
		Schema:     uuid.MustParse("6f1c2a7e-0000-4000-8000-000000000001"),
		ExternalID: "customer-7",
	}
	first, _ := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte("one")}, 0)
	_, err := storage.Put(ctx, store, storage.Record{Key: key, Data: []byte("two")}, first)
	fmt.Println(err)
	_, err = storage.Put(ctx, store, storage.Record{Key: key, Data: []byte("three")}, first)
	fmt.Println(err)
	var conflict *storage.ConflictError
	if errors.As(err, &conflict) && conflict.Current != nil {
		fmt.Println("there is:", string(conflict.Current.Data))
	}
	// Output:
	// <nil>
	// revision conflict
	// there is: two
}
