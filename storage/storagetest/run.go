package storagetest

import (
	"context"
	"testing"

	"example.com/resourcekit/storage"
)

// Run checks the stores that newStore makes, one subtest per case. Each call of newStore
// must give an empty store, which Run closes. For a store whose records outlive it,
// RunDurable does more.
func Run(t *testing.T, newStore func(t *testing.T) storage.Store) {
	t.Helper()
	runCases(t, cases(), func(t *testing.T, e *env) {
		e.open = func() storage.Store {
			store := newStore(t)
			e.closeLater(store)
			e.mustBeEmpty(store)
			return store
		}
	})
}

// runCases runs each case as a subtest, with what prepare gives it to work with.
func runCases(t *testing.T, all []testCase, prepare func(*testing.T, *env)) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			e := &env{tb: t, contract: c.contract}
			t.Cleanup(e.cleanUp)
			e.labelled(func() {
				prepare(t, e)
				c.run(e)
			})
		})
	}
}

// mustBeEmpty fails on a mistake of the caller, which is not one of the store.
func (e *env) mustBeEmpty(store storage.Store) {
	page, err := store.List(context.Background(), testScope, storage.Range{Limit: 1})
	if err != nil || len(page.Records) > 0 {
		e.tb.Errorf("the suite needs a new store that is open and empty: %d records, error %v", len(page.Records), err)
		e.FailNow()
	}
}

// testCase is one thing that a store must do. A new one is a row in the list of its
// topic. A new list goes into cases and, if it makes sense for two stores on the same
// records, into Durable.cases. Give it a mutant that it catches: mutants_test.go has those
// of records, sketch_mutants_test.go those of entries and the log.
type testCase struct {
	name     string
	contract string // the sentence that a failure breaks
	run      func(*env)
}

// cases returns the cases that every store must pass, in the order in which they are
// best read.
func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		swapCases, raceCases, listCases, tenantCases, dataCases,
		contextCases, batchCases, recallCases, limitCases, modelCases, closeCases,
		entryCases, lookupCases, uniqueCases, logCases,
	} {
		all = append(all, group...)
	}
	return all
}
