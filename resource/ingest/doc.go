// Package ingest imports documents from files and other streams into a
// [resource.Collection]: [NDJSON] and [NewCSV] read them, [Import] creates or merges
// them in batches.
//
//	customers, err := resource.NewCollection(schema.Customers(), store, nil)
//	...
//	result, err := ingest.Import(ctx, customers, tenant, ingest.NDJSON(file, 0), nil)
//	fmt.Println(result.Created, result.Updated, result.Unchanged, result.Failed)
//
// Any other source of documents is an iter.Seq2[Document, error]. An import keeps
// one batch in memory, and what [Options].MaxMemory bounds.
//
// # What fails
//
// A document that is refused fails alone: it is counted, told with its lines and the
// reason, and the import goes on. A stream that cannot be read on, a store that is
// unavailable and the end of the context end the import early, with an error beside
// the result.
//
// In CSV, a quote that is opened by mistake takes the rows after it into one cell. So
// a row of several lines that is not well formed ends the import early, with an error
// that names the lines: the rows in it are not imported.
//
// # Nulls
//
// A null deletes the field, and a field with a default then has the default: a
// customer who has opted out of e-mail gets it again. For inputs that say null for
// what they do not know, set Nulls in [Options].Create to schema.IgnoreNulls or
// schema.RejectNulls. CSV has no nulls: an empty cell changes nothing.
//
// # Going on
//
// An import that ended early, or a program that was killed, goes on from the last
// [Position] that it was told. A position holds a hash of the documents before it,
// and Import refuses an input that begins otherwise ([ErrPosition]).
//
// Some documents after the position may have been stored already. They are applied
// again: an upsert of the same data finds them unchanged. If several documents have
// one external id, the earlier ones are applied over the later ones, and the later
// ones again over these.
//
// # Dry runs
//
// A dry run (DryRun in [Options].Create) says what the import would do. Each document
// is judged by what is stored and by what the documents before it would have made, as
// far as MaxMemory goes: see [Result].Forgotten.
//
// # Personal data
//
// No error and no result of this package holds a value of a document, except the
// text that OnError is given.
package ingest
