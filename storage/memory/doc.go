// Package memory is a [storage.Store] in the memory of the process: for tests, and for
// data that may be lost when the process ends. Nothing is written to disk.
//
//	customers, err := resource.NewCollection(schema.Customers(), memory.New(), nil)
//
// A [Store] has no limit on data. Updates of existing records wait neither for each
// other nor for pages: a record is an immutable value, and an update swaps a pointer to
// it. Only a record that comes or goes locks the index of its scope, for a moment; the
// first record of a scope locks the store. A page shares the index while it collects
// pointers to at most storage.MaxPage records, and copies the records afterwards.
//
// # Caveats
//
//   - Data is kept as given, without a copy: a Data that is a piece of a larger buffer
//     keeps the whole buffer in memory.
//   - A scope that was used once keeps a few hundred bytes after its last record is
//     deleted; one that shrinks gives memory back only when it is empty.
//   - Other processes do not see the records.
package memory
