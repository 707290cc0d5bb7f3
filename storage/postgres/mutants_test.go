//go:build !race

package postgres_test

import (
	"testing"

	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/storagetest"
)

// TestMutants checks the suite on a store whose windows of a race are wide. It
// needs no race detector, and would take long with one.
func TestMutants(t *testing.T) {
	storagetest.RunDurableMutants(t, durable(pgtest.DSN, fast))
}
