// Package system has the keys of the library's own records. They are in system scopes: one
// beside each scope of resources, and one for the whole store. Their changes are never
// logged.
package system

import (
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// ID is the ID of the records. It decides their keys too, so it can never change.
var ID = uuid.MustParse("1da46945-9329-437c-b2d7-3d3bb42a1e96")

// Scope is the scope of the records that belong to the whole store.
var Scope = storage.Scope{Tenant: storage.Tenant{Platform: ID, Business: ID}, Schema: ID}

// Key returns the key of a record that belongs to a scope of resources.
func Key(scope storage.Scope, name string) storage.Key {
	return storage.Key{Tenant: scope.Tenant, Schema: uuid.NewSHA1(ID, scope.Schema[:]), ExternalID: name}
}

// StoreKey returns the key of a record that belongs to the whole store.
func StoreKey(name string) storage.Key {
	return storage.Key{Tenant: Scope.Tenant, Schema: Scope.Schema, ExternalID: name}
}
