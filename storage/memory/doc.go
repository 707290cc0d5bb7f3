// Package memory is a [storage.Store] in the memory of the process: for tests, and for
// data that may be lost when the process ends. Nothing is written to disk.
//
//	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
//
// A [Store] has no limits. Updates of existing records wait neither for each other nor for
// pages: a record is an immutable value, and an update swaps a pointer to it. Only a
// record that comes or goes, or that moves in an index of values, locks the indexes of its
// scope, for a moment; the first record of a scope locks the store, and a logged write the
// log. A page shares the indexes while it collects pointers to at most storage.MaxPage
// records.
//
// # Caveats
//
//   - Data is kept as given, without a copy: a Data that is a piece of a larger buffer
//     keeps the whole buffer in memory.
//   - A scope that was used once keeps a few hundred bytes after its last record is
//     deleted; one that shrinks gives memory back only when it is empty.
//   - The log grows until Trim.
//   - Other processes do not see the records.
package memory
