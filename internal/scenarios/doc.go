// Package scenarios tests what the library promises as a whole, with every store: in
// memory, in an SQLite file and in PostgreSQL. It is a module of its own because the
// stores are, and it has nothing but tests.
//
//   - scenarios_test.go: one table of what callers do, and what they are told,
//     through the library and through HTTP, on the store in memory.
//   - tenants_test.go: what we are told does not depend on what others have.
//   - linearizable_test.go: many clients of two servers on one store see what one
//     client alone could have seen, and no acknowledged write is lost.
//   - bench_test.go: what a batch saves, and what a page costs.
//
// Tests with PostgreSQL are skipped where there is none, see
// storage/postgres/pgtest.
package scenarios
