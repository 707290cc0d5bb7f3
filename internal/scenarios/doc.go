// Package scenarios tests the promises of the whole library, with every store: in memory,
// in an SQLite file and in PostgreSQL. It is a module of its own because the stores are,
// and it has nothing but tests.
//
//   - scenarios_test.go: one table of calls and answers, through the library and through
//     HTTP, on the store in memory.
//   - tenants_test.go: no answer depends on the records of other tenants.
//   - history_test.go: writers of every kind lose no write, and their events are one
//     history without a gap.
//   - linearizable_test.go: many clients of two servers on one store get the answers that
//     one client alone could have got.
//   - find_test.go: lists by index, unique values, a Reindex that is killed, and the log,
//     beside writers.
//   - bench_test.go: the gain of a batch, and the cost of a page.
//
// Tests with PostgreSQL are skipped where there is none, see
// storage/postgres/pgtest.
package scenarios
