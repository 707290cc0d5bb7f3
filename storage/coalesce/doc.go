// Package coalesce lets writers that wait for a store go together: in one round trip,
// and in one commit where the store makes one of a batch, as storage/postgres does.
//
//	store := coalesce.New(postgresStore)
//
// It pays where many callers write different records at the same time and a write is
// slow: docs/stores.md has figures. It does nothing for storage/sqlite, whose own
// writer does the same, or for one caller at a time.
//
// # How writes go
//
// A Put or Delete that finds the store idle goes at once, by itself. Those that come
// while two calls are under way wait, and the next call takes all of them, up to 256
// writes or 1 MiB of data: the puts by PutMany, then the deletes by DeleteMany. There
// is no timer that a write waits for.
//
//   - Each write stays a compare-and-swap of its own, with an outcome of its own.
//   - Writes of one key go one after the other, in the order in which they came.
//   - A context that ends while the write waits gives its error alone: no effect. One
//     that ends later gives that error and storage.ErrUnknownOutcome, unless the
//     outcome comes within 100 ms. The call goes on for the other writes in it. A
//     write that goes by itself takes its context along.
//   - An error that may be another write's fault is no outcome: if a write was
//     certainly not applied, and its error is neither a conflict nor
//     storage.ErrNotFound, it goes again, by itself. After storage.ErrUnknownOutcome
//     nothing goes again.
//
// Reads and batches go straight to the store.
//
// # Rows that are locked
//
// A record that another session has locked holds up the writes that share its call,
// until the store gives up. It does not hold up others: after 100 ms the next call no
// longer waits for that one. Writes of the same key wait until it has ended.
//
// After a bad call its keys are written alone. A call is bad if it failed, had no known
// outcome, or was overtaken by eight later calls. Once a write alone has succeeded, the
// key goes with others again.
//
// To free the writes that share the call takes the store: a PutMany that skips locked
// rows (SKIP LOCKED) and reports storage.ErrUnavailable for them. This package would
// then write those by themselves.
//
// # What the store must not need
//
// Writes of several callers go under a context without values: a store that takes the
// caller's name or a trace from it finds none. Outcomes of writes that shared a call
// have what PutMany and DeleteMany say, which may be less than what Put says: a
// conflict of storage/postgres then does not carry the current record.
package coalesce
