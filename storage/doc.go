// Package storage defines the contract of record stores: five calls on opaque bytes
// with a compare-and-swap at the centre, and the loop that changes records by it. JSON,
// schemas and merging are in the packages above, so every store behaves the same.
//
//	key := storage.Key{Tenant: storage.TenantOf("my-platform", "acme"), Schema: id, ExternalID: "c-1"}
//	rec, err := storage.Update(ctx, store, key, func(old storage.Record) (storage.Record, error) {
//		old.Data = change(old.Data) // a new slice; Revision 0: the key is absent
//		return old, nil
//	})
//
// [Store] is the interface; package memory implements it, and storage/sqlite and
// storage/postgres are durable. Programs change records by [Update], and many at once by
// [UpdateMany]; they read many by [GetMany]. Package storagetest tests every sentence of
// the contract: a store is done when it passes storagetest.Run. To write one, begin with
// storage/storagetest/journal_test.go.
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
//   - A conflict is a write that was not applied because the key did not have the
//     expected revision.
//
// # Writing
//
// Put and Delete name the revision that they expect, and fail with [ErrConflict] when
// the key has another. There is no unconditional write and no transaction. [Update] is
// the one loop of read, change and swap. It takes no lock, and two writers that change
// different things both keep their change. A store that remembers records ([Recaller],
// package recent) saves Update the read.
//
// # Guarantees of every store
//
//   - Get, Put and Delete on one key are linearizable.
//   - A revision is never given twice to one key, not even after the record was deleted
//     and created again. So a writer that read a record which was deleted since cannot
//     bring it back. To restore a backup loses acknowledged writes, and their
//     revisions could be given again. The stores of this module use [NextRevision],
//     which makes that improbable (about 2^-30).
//   - Data comes back byte for byte. A store never looks at it.
//   - No byte slice ever changes: the caller of Put must not change Data afterwards, and
//     neither must any reader. So no store has to copy.
//   - A record of another tenant answers exactly as an absent one. The text of an error
//     has neither external ids nor data, which may be personal.
//   - A call whose context is done already has no effect and returns the context's error.
//
// # Limits
//
// External ids have at most [MaxExternalID] bytes, pages at most [MaxPage] records.
// Every store accepts data of at least 1 MiB; a store with an upper limit implements
// [Limiter].
package storage
