// Package storage says what a record store must do, and no more: five calls
// on opaque bytes, with a compare-and-swap at the centre. Everything that
// gives the bytes a meaning (JSON, schemas, merging) lives above it, so a
// store can stay dull and every store behaves the same.
//
// # Vocabulary
//
//   - A [Tenant] is a platform and a business on it. It is part of every key,
//     never optional and never implied.
//   - A [Scope] is one tenant's records of one schema.
//   - A [Key] is a scope and the external id: the name the tenant gave to the
//     record.
//   - A [Record] is a key, a revision, an ID and two times of the record's
//     own, and the data.
//   - A [Revision] names one stored state of one key. Absent means that there
//     is no record; it is written as revision 0.
//   - A conflict is a write that was not applied since the key was not in the
//     expected revision.
//
// # Writing
//
// Put and Delete name the revision they expect and fail with [ErrConflict]
// when the key has another. There is no unconditional write and no
// transaction. Programs that change records call [Update], the one loop of
// read, change and swap; it takes no lock, and two writers that change
// different things both keep their change. A store that remembers records
// ([Recaller], package recent) saves Update the read.
//
// # Guarantees of every store
//
//   - Get, Put and Delete on one key are linearizable.
//   - A revision is never given twice to one key, not even after the record
//     was deleted and created again. A writer that read a record which has
//     been deleted since can therefore never bring it back. The stores of this
//     module make revisions with [NextRevision], so the revision of an
//     acknowledged write that was lost, for instance when a backup was restored,
//     is not reused either, except with a probability of about 2^-30.
//   - Data comes back byte for byte. A store looks at no byte of it.
//   - No byte slice ever changes: the caller of Put leaves Data alone from
//     then on, and so does everybody who was given a record. That is why
//     no store has to copy.
//   - A record of another tenant answers exactly as an absent one, and the text
//     of an error holds neither external ids nor data, which may be personal.
//   - A context which is already done has no effect at all: its error comes
//     back.
//
// Package storagetest checks all of it; a store that passes storagetest.Run
// is a store.
//
// # Limits
//
// External ids have at most [MaxExternalID] bytes, pages at most [MaxPage]
// records. Every store takes data of at least 1 MiB; one with an upper limit
// says so by implementing [Limiter].
package storage
