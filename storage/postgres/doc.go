// Package postgres is a storage.Store in a PostgreSQL database, by pgx.
//
//	pool, err := pgxpool.New(ctx, dsn)
//	...
//	err = postgres.Migrate(ctx, pool, nil) // makes the tables; once, or at every start
//	...
//	store, err := postgres.New(ctx, pool, nil)
//
// Records are rows of one table in an SQL schema of the caller's choice. Their
// data is bytea, byte for byte as it was put: jsonb would reorder members, spell
// numbers in another way and refuse \u0000. The table is private to this
// package, and the view below is for everybody.
//
// # Guarantees
//
// Every method is one statement and one round trip, once the connection has
// prepared the statement and as long as there are no more than 16 MiB of data;
// each statement is a transaction. Put and Delete run a second one if the first swaps
// nothing: they read the record of the key. They compare the revision in the
// statement that writes, so they are right at every isolation level; at REPEATABLE
// READ and SERIALIZABLE the server's serialization failures are conflicts of the
// contract.
//
// GetMany and PutMany take up to MaxBatch keys in one round trip: one statement
// for the reads, one for the updates and one for the creates of a scope, in one
// transaction. A batch that the server rolls back to resolve a deadlock is a
// conflict for each of its operations. More than 16 MiB of data are written in
// several round trips. A page ends early when it holds 16 MiB, and the server
// sends no more than that. A page with a record that is larger than its share of
// them, 16 MiB by the limit, takes two statements.
//
// The first revision of a row is a random number of 62 bits, and an update adds
// a random number of up to 30 bits, one for all updates of a statement, and so of
// one scope. A key that is deleted and created again could get a revision that it
// had before only by chance, about 1 in 2^62 for each; and a write could get the
// revision of one that was lost in a failover, with a probability of about 2^-30.
//
// A conflict of Put or Delete carries the record (Current of storage.ConflictError) as
// it is after the swap has failed. If the key is absent by then, Put returns
// storage.ErrConflict alone, and Delete storage.ErrNotFound. The conflicts of PutMany
// and DeleteMany carry no record.
//
// A write is sent again only if the server has certainly not begun with it: the
// connection had ended, or the server had ended the session as idle (57P05). A read
// whose connection is lost is sent again on another one. A read that fails with a
// serialization error is retried for some 0.2 s. So the restart of a server fails no
// call but those that are under way, and those that come before it is up.
//
// The store remembers no records, so storage.Update takes two statements, a read and a
// swap. With package recent in front, recent.New(store, 16<<20), a change of a record
// that the process has lately read or written takes one.
//
// # Contexts and connections
//
// A context that ends while a call waits for a connection ends the call, and
// nothing was sent. Afterwards it ends the caller's wait only, for a write after
// 100 ms, in which its outcome mostly becomes known: the statement runs on, under
// Options.WriteTimeout or Options.ReadTimeout, and its connection goes back to the
// pool. A driver that is told to stop waiting must close the connection, so
// requests that are cancelled would otherwise cost a new connection each; and a
// cancelled commit that waits for its standby is applied on the primary alone.
//
// While a statement runs that its caller has left, other writes of its keys wait before
// they take a connection. So a row that another session has locked takes no more
// connections when clients give up and come again: one for writes through a
// resource.Collection, which queue for a resource, and otherwise as many as were sent
// before the first caller left. Writes of a store never take the last connection of a
// pool with two or more: reads go on while writes wait, for locks or for a standby.
// Close waits for the statements that are under way, and ends the calls that wait to
// send one. The pool belongs to the caller, who closes it after the store.
//
// # Durability
//
// Put has committed before it returns: with the server's defaults (fsync and
// synchronous_commit on) what was acknowledged survives a crash of the server.
// It survives the loss of the server only with a synchronous standby: set
//
//	synchronous_commit = on
//	synchronous_standby_names = 'ANY 1 (standby1, standby2)'
//
// and fail over to the standby that has received the most. With asynchronous
// standbys a failover loses what was acknowledged in the moments before it.
//
// Even so, an administrator can break it: cancelling a backend that waits for
// its standby (pg_cancel_backend, and statement_timeout, which does the same)
// gives up the wait, and the commit is acknowledged without the standby. Do not
// set statement_timeout for the store's user to less than a failover takes; the
// store's own timeouts close the connection, and report ErrUnknownOutcome.
//
// Get must see what was acknowledged, so it must go to the primary. A DSN that
// names several hosts needs target_session_attrs:
//
//	postgres://user@a,b,c/db?target_session_attrs=read-write
//
// A standby that is written to by mistake gives storage.ErrUnavailable; one
// that is only read from is stale, and nobody notices.
//
// # Errors
//
// The text of an error names the operation, what went wrong and the SQLSTATE, never
// a value. The server's own error, whose text may hold more, is there for errors.As
// (*pgconn.PgError of pgx). If there is no connection, the text has the cause, the
// host, the port and the database, and never the password: where a URL has more than
// one "@", so that the driver may take a part of the password for a name, it has no
// name.
//
//   - storage.ErrUnavailable: no connection within the timeout, or no turn, as other
//     writes of the key did not end; the server cancelled the statement (57014),
//     did not grant a lock (55P03), lacks a resource (classes 53 and 58), takes no
//     writes (25006), or no session, through a pooler (57P03, 57P05, 53300, 3D000,
//     class 28). For a read also a lost connection. Nothing was written.
//   - storage.ErrUnknownOutcome: a write whose connection, server or answer went
//     away (40003, classes 08 and 57, FATAL errors, the timeout), or whose context
//     ended, and then the error matches the context's as well.
//   - storage.ErrConflict, beside its plain meaning: the server rolled a write back
//     for the sake of another transaction (40001, 40P01). For a read that is
//     ErrUnavailable, when it happens again and again.
//   - None of these: prepared statements do not work on this connection (26000,
//     42P05; see PgBouncer), the driver cannot read what the server sent, the tables are missing (run Migrate), a privilege is
//     (42501), or the server refused the statement for another reason.
//
// # PgBouncer
//
// In transaction mode, PgBouncer before 1.21 does not know the statements that
// pgx prepares, and calls fail by chance. The DSN must say
//
//	default_query_exec_mode=exec
//
// which costs some 20 % of a call, as data then travels as hex. Session mode
// needs nothing.
//
// # Settings of the server, database, role and DSN
//
// What is stored is read back byte for byte under every setting of how values are
// spelled (bytea_output, DateStyle, TimeZone and the like), in every mode of the
// driver. New returns an error where a setting could change that: an encoding other
// than UTF8, which is looked at for every connection; a search_path with another
// schema before pg_catalog; standard_conforming_strings off with
// default_query_exec_mode=simple_protocol. It sends a value of each type, too, and
// returns an error unless the same comes back.
//
// Some settings the store leaves to the administrator: synchronous_commit=off loses
// acknowledged writes in a crash of the server; default_transaction_read_only refuses
// every write (25006).
//
// # The view for people with SQL
//
// The view resources has the columns of the key (platform, business, schema_id,
// external_id), scope, revision, id, created_at, updated_at, and data as jsonb. A
// document that jsonb refuses, such as one with \u0000 or with 1e200000, is
// NULL there and hides no other. jsonb shows numbers in full: the fourteen
// characters of {"n":1e131071} come out as 131,072 digits.
//
//	SELECT external_id, data ->> 'email' FROM resourcekit.resources
//	WHERE scope = resourcekit.scope('platform', 'business', 'schema_id')
//
// The scope is what the table is indexed by: the first 16 bytes of the SHA-256 of
// the platform, the business and the schema id, three UUIDs. The function computes
// it, and a query that names the three columns in its place reads the whole table.
//
// A repair is an UPDATE of the table. It need not think of the revision: where it is
// left as it was, a trigger gives the row another one, so that no program and no client
// that has seen it before writes over the repair. That is a second update of the row,
// which "SET revision = revision + 1" spares, and RETURNING shows the revision before.
// A repair needs the privilege to update the revision, and fails without. The trigger
// does not see a row that is deleted and inserted again: give such a row another
// revision.
//
// Reading a field parses the document, so a search needs an expression index,
// and a query with the same expression:
//
//	CREATE INDEX records_email ON resourcekit.records
//		(scope, left(resourcekit.data_jsonb(data) ->> 'email', 320));
//
//	SELECT external_id FROM resourcekit.resources
//	WHERE scope = resourcekit.scope('platform', 'business', 'schema_id')
//		AND left(data ->> 'email', 320) = 'alice@example.com';
//
// The left is for safety: an entry of an index holds some 2700 bytes, and a
// longer value would make the write fail. The index has its price: every update
// parses the document and writes to both indexes, whereas without it nine of
// ten updates touch no index at all (heap-only tuples, for which the table has
// fillfactor 80).
//
// # Which servers
//
// It is tested with PostgreSQL 15, and needs 14 or later. The database and its
// clients must have the encoding UTF8. The default collation does not matter: external
// ids have COLLATE "C", the order of bytes.
//
// The statements of the store stay within what CockroachDB and YugabyteDB
// document, and retry nothing but what their documentation asks for; but it was
// not run on either. For CockroachDB, COLLATE "C" must go from [DDL]: strings are in
// the order of bytes anyway. It ignores fillfactor. The three functions, the trigger
// and the view are not for the store, and need sha256 and uuid_send as they are in
// PostgreSQL, and PL/pgSQL with EXCEPTION: leave out what fails. Without the trigger, a
// repair in SQL must change the revision as well.
package postgres
