// Package coalesce sends the writes of callers that wait for a store together: in one
// round trip, and in one commit where the store commits a batch at once, as
// storage/postgres does.
//
//	store := coalesce.New(postgresStore)
//
// It pays where many callers write different records at the same time and a write is
// slow: docs/stores.md has figures. It gains nothing in front of storage/sqlite, whose
// own writer does the same, or for one caller at a time.
//
// # How writes go
//
// A write that finds the store idle goes at once, alone. Writes that come while two calls
// are under way wait, and the next call takes all of them, up to 256 writes or 1 MiB of
// data. No write waits for a timer.
//
//   - Each write stays a compare-and-swap of its own, with its entries, its note and its
//     own outcome.
//   - Writes of one key go one after the other, in the order in which they came.
//   - A context that ends while the write waits gives its error alone: no effect. One
//     that ends later gives its error and storage.ErrUnknownOutcome, unless the outcome
//     comes within 100 ms. The call goes on for the other writes in it. The context of a
//     write that goes alone goes to the store.
//   - One write cannot make another fail. In a call of several, a write is settled if it
//     was applied, or failed with storage.ErrConflict, storage.ErrNotUnique or
//     storage.ErrUnknownOutcome. After any other error it was certainly not applied, and
//     goes again, alone.
//
// Reads, SetEntries and calls of several writes go straight to the store.
//
// # Rows that are locked
//
// A record that another session has locked delays the writes that share its call, until
// the store gives up. It does not delay others: after 100 ms the next call no longer
// waits for that one. Writes of the same key wait until it has ended.
//
// After a bad call the next write of each of its keys goes alone. A call is bad if it
// failed, had no known outcome, or was overtaken by eight later calls. Once a write alone
// has succeeded, the key goes with others again.
//
// Only the store could free the writes that share the call: by skipping locked rows (SKIP
// LOCKED) and returning storage.ErrUnavailable for them. This package would then send
// those alone.
//
// # What the store must not need
//
// Writes of several callers go under a context without values: a store that takes the
// caller's name or a trace from it finds none there. The name of the caller belongs in
// the note of the write. A conflict may lack the current record where the store does not
// read it for a batch, as storage/postgres.
package coalesce
