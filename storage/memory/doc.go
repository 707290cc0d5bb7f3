// Package memory is a storage.Store in the memory of the process: the default
// to start with, the store for tests, and a fast one for data that may be lost
// when the process ends. Nothing is written anywhere.
//
// Updates of existing records do not wait for each other, nor for pages: each
// record is an immutable value behind an atomic pointer, and an update swaps
// the pointer. Only a record that comes or goes locks the index of its scope,
// for a moment; the first record of a scope locks the store. A page shares the
// index while it collects pointers to at most storage.MaxPage records; it copies
// them afterwards.
//
// # Caveats
//
//   - Data is kept as given, without a copy: a Data that is a piece of a larger
//     buffer keeps the whole buffer alive.
//   - A scope that was used once keeps a few hundred bytes after its last
//     record is gone; one that shrinks gives memory back only when it is empty.
//   - It is one process: two processes do not see each other's records.
package memory
