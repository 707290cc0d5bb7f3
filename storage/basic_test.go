package storage_test

import (
	"testing"

	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/storagetest"
)

// TestMapStore is the whole test of the store in ExampleComplete, which documentation
// shows as a file of its own.
func TestMapStore(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return newMapStore() })
}
