// Package scenarios tests the promises of the whole library, with every store: in memory,
// in an SQLite file and in PostgreSQL. It is a module of its own because the stores are,
// and it has nothing but tests.
//
//   - scenarios_test.go: one table of calls and answers, through the library and through
//     HTTP, on the store in memory.
//   - tenants_test.go, others_test.go: no answer depends on the records and the changes of
//     other tenants.
//   - history_test.go: writers of every kind lose no write, and the log of their changes is
//     one history without a gap.
//   - linearizable_test.go: many clients of two servers on one store get the answers that
//     one client alone could have got.
//   - find_test.go: lists by index, unique values, a Reindex that is killed, and the log,
//     beside writers.
//   - changes_test.go: consumers miss no change and keep the order, while writers, consumers
//     and databases are killed.
//   - takeover_test.go, expired_test.go: a consumer whose owner is stopped, a slow one, and one
//     that is too slow for the log.
//   - erase_test.go: nothing of those that were erased is left in the tables.
//   - stream_test.go: many clients of one stream, half of them stalled.
//   - bench_test.go: the gain of a batch, and the cost of a page.
//
// Tests start processes of themselves to stop and kill them: see child_test.go. Those with
// PostgreSQL are skipped where there is none, see storage/postgres/pgtest.
package scenarios
