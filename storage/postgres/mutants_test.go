package postgres_test

import (
	"testing"

	"example.com/resourcekit/storage/postgres/pgtest"
	"example.com/resourcekit/storage/storagetest"
)

func TestMutants(t *testing.T) {
	storagetest.RunDurableMutants(t, durable(pgtest.DSN, fast))
}
