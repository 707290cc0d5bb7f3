// Package storage defines the contract of record stores: opaque bytes under keys, written
// by compare-and-swap, found by key or by entry, with a log of changes; and the loop that
// changes records by it. JSON, schemas and merging are in the packages above, so every
// store behaves the same.
//
//	key := storage.Key{Tenant: storage.TenantOf("my-platform", "acme"), Schema: id, ExternalID: "c-1"}
//	rec, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
//		old.Data = change(old.Data) // a new slice; Revision 0: the key is absent
//		return old, nil
//	})
//
// [Store] is the interface; package memory implements it, and storage/sqlite and
// storage/postgres are durable. Programs change records by [Update], or by [UpdateWith]
// and [UpdateMany] where records have entries or changes are logged.
//
// To write a store, begin with the five methods of [Basic] and with [Complete], whose
// example is the smallest one. Package storagetest tests every sentence of the contract: a
// store is done when it passes storagetest.Run. storage/storagetest/journal_test.go is a
// small durable one.
//
// # Terms
//
//   - A [Tenant] is a business on a platform. It is a part of every key, and never
//     optional.
//   - A [Scope] is the records of one tenant and one schema.
//   - A [Key] is a scope and the external id, which the tenant chose for the record.
//   - A [Record] is a key, a revision, an ID, two times and the data.
//   - A [Revision] names one stored state of one key. Absent means that there is no
//     record; it is written as revision 0.
//   - An [Entry] is a value by which a record is found, in an index of its scope.
//   - A [Change] is a write in the log, and a [Cursor] a place in the log.
//   - A conflict is a write that was not applied because the key did not have the
//     expected revision.
//
// # Writing
//
// A [Write] names the revision that it expects, and fails with [ErrConflict] when the key
// has another. There is no unconditional write and no transaction. [Update] is the one
// loop of read, change and swap. It takes no lock, and two writers that change different
// things both keep their change.
//
// The writer makes the new revision, by [NextRevision]. So when the answer to a write is
// lost, a read tells whether it was applied, and Update finds out by itself.
//
// # Finding
//
// The layer above gives each write the entries of its record: the values of indexed
// fields, encoded so that the order of bytes is the order of values. They are written
// with the record or not at all. A store keeps them beside the record and never returns
// them; [Store.Lookup] finds records by them, in order. SetEntries gives a record entries
// that it should have had from the start, as when an index is new.
//
// # The log
//
// A write with a [Note] is logged, in the same atomic write. [Store.Changes] reads the
// log: of all, of a scope or of one key. A reader that goes on from the cursor of the page
// before gets every change, and the changes of one key in their order. A cursor is
// checked: after a restore from a backup, or when Trim has removed what comes after it,
// the answer is [ErrExpired] and not a gap. [Store.Redact] removes from the log what is
// personal, and adds changes by which its readers learn of that.
//
// # Guarantees of every store
//
//   - Get and Write on one key are linearizable.
//   - A record, its entries and its change in the log are written together or not at all.
//   - Data comes back byte for byte. A store never looks at it.
//   - No byte slice ever changes: a caller must not change the data, the entries or the
//     note of a write afterwards, and no reader may change what it gets. So no store has
//     to copy.
//   - A record of another tenant answers exactly as an absent one. The text of an error
//     has neither external ids nor data, which may be personal.
//   - A call whose context is done already has no effect and returns the context's error.
//
// # For implementations
//
// The Check functions, [ChangeQuery.Match], [RedactedID], [ErrEnded] and [Complete] are for
// those who write a store, and package storagetest tests what they write. Programs need
// none of them.
//
// # Limits
//
// External ids have at most [MaxExternalID] bytes, pages at most [MaxPage] records, one
// call at most [MaxBatch] keys, a record at most [MaxEntries] entries of at most
// [MaxValue] bytes. Every store accepts data of at least 1 MiB.
package storage
