// Package storagetest checks that a store is a storage.Store: Run tries every
// sentence of its contract, and Bench measures it the same way for every
// store. Faulty wraps a store to make it fail on purpose, for tests of what
// lies above.
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return memory.New() })
//	}
//
// [RunDurable] does more for a store whose records outlive it: it opens them
// again after Close and after a process that was writing was killed, opens them
// twice at once, holds writes up, and loses answers on the network.
// journal_test.go in this package is a complete durable store of some 200 lines,
// with its test: the example to start from.
//
// # What it takes from a store
//
// Each case asks for fresh stores and closes them. Keys are under tenants of
// the suite's own; a store that shares a database between the cases must give
// each store of newStore its own tables or file. Run writes some ten thousand
// records, a few of them of 1 MiB, and as much again for each pair of stores on
// the same records.
//
// Methods that are optional (storage.BatchStore, BatchDeleter, Limiter, Recaller)
// are checked where they are there.
//
// What the contract allows, the suite allows: a conflict may be spurious, as
// long as it is not so for ever, and pages may be short. Errors of
// availability are not tolerated: run it against a healthy store.
//
// A failure names the sentence of the contract that was broken. The cases with
// many goroutines find races by trying, so run them under -race and more than
// once; the case of random operations prints the seed it was run with.
package storagetest
