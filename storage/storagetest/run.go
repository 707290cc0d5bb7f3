package storagetest

import (
	"context"
	"testing"

	"example.com/resourcekit/storage"
)

// Run checks the stores that newStore makes, one subtest per case. Each call of
// newStore must give an empty store; Run closes it.
func Run(t *testing.T, newStore func(t *testing.T) storage.Store) {
	t.Helper()
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			e := &env{tb: t, contract: c.contract}
			e.open = func() storage.Store {
				store := newStore(t)
				if page, err := store.List(context.Background(), testScope, "", 1); err != nil || len(page.Records) > 0 {
					t.Fatalf("newStore must return a store of its own that is open and empty: %d records, error %v", len(page.Records), err)
				}
				t.Cleanup(func() { _ = store.Close() })
				return store
			}
			c.run(e)
		})
	}
}

// testCase is one thing that a store must do. A later harness, with stores
// that can be reopened or have a second handle, adds cases of its own.
type testCase struct {
	name     string
	contract string // the sentence that a failure breaks
	run      func(*env)
}

// cases returns all cases, in the order in which they are best read.
func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		swapCases, raceCases, listCases, tenantCases, dataCases,
		contextCases, batchCases, limitCases, modelCases, closeCases,
	} {
		all = append(all, group...)
	}
	return all
}
