// Package storagetest checks that a store is a storage.Store. Run tries every sentence of
// its contract, and Bench measures it the same way for every store. Faulty wraps a store
// to make it fail on purpose, for tests of the layers above.
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return memory.New() })
//	}
//
// [RunDurable] does more for a store whose records outlive it: it opens them again after
// Close and after the process that wrote them was killed, opens them twice at the same
// time, blocks writes, and loses answers on the network. journal_test.go in this package
// is a complete durable store of some 200 lines, with its test: begin there.
//
// # What a store needs
//
// Each case asks for new stores and closes them. Keys are under tenants of the suite's
// own. A store that shares a database between the cases must give each new store its own
// tables or file. Run writes some ten thousand records, a few of them of 1 MiB, and as
// many again for each pair of stores on the same records.
//
// A store that lacks entries or the log says so in its Limits. Then the cases of these
// check that their calls give ErrUnsupported. The cases of storage.Recaller run if the
// store is one.
//
// The suite allows everything that the contract allows: a conflict may be spurious, as
// long as not all are, and pages may be short. It allows no errors of availability: run
// it on a healthy store.
//
// A failure names the broken sentence of the contract. The cases with many goroutines
// find races by many attempts, so run them under -race and more than once. The case of
// random operations prints its seed.
package storagetest
