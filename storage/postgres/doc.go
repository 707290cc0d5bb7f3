// Package postgres is a storage.Store in a PostgreSQL database, by pgx.
//
//	pool, err := pgxpool.New(ctx, dsn)
//	...
//	err = postgres.Migrate(ctx, pool, nil) // makes the tables; once, or at every start
//	...
//	store, err := postgres.New(ctx, pool, nil)
//
// Records are rows of one table in an SQL schema of the caller's choice. Their data is
// bytea, byte for byte as it was written: jsonb would reorder members, spell numbers in
// another way and refuse \u0000. The tables are private to this package; the view
// resources shows the documents as jsonb. docs/stores.md describes how to deploy the
// store: standbys, PgBouncer, settings, privileges, the view and repairs by SQL.
//
// # Guarantees
//
// Each method is one statement, one round trip and one transaction, once the
// connection has prepared the statement. The exceptions are:
//
//   - A single write and SetEntries run a second statement if the first one changes
//     nothing: it reads the record of the key, and the conflict carries that (Current of
//     storage.ConflictError). If the key is absent by then, the error is
//     storage.ErrConflict alone.
//   - GetMany and Write of many keys are one round trip and one transaction, with one
//     statement for each scope; a Write has one for each kind of write in it (create,
//     update, delete, each with or without a note), and one more if there are unique
//     entries. More than 16 MiB of data take several round trips. The conflicts of many
//     writes carry no record.
//   - Of many writes, one with a taken unique value ends the transaction. The halves of
//     it are then written by themselves, and so on, until that write fails alone. One
//     such write among 1000 takes some 20 round trips.
//   - A page ends early when it holds 16 MiB of data, and the server sends no more than
//     that. If a record exceeds 16 MiB divided by the limit, List and Lookup run a
//     second statement.
//   - Changes has one round trip for the page, and before it one to three for the fence,
//     see below. Redact and Trim have one for each 5000 changes; before them, Redact has one
//     more, and Trim those for the fence.
//
// The statement that writes compares the revision, so writes are right at every
// isolation level. At REPEATABLE READ and SERIALIZABLE a serialization failure of a
// write is storage.ErrConflict; a read that fails so is tried again for some 0.2 s. A
// transaction that the server rolls back to resolve a deadlock is a conflict for each of
// its writes.
//
// A write is sent again only if the server has certainly not begun with it: the
// connection had ended, or the server had ended the session as idle (57P05). A read
// whose connection is lost is sent again on another one. So the restart of a server
// fails only the calls that are under way, and those that come before it is up.
//
// Write has committed before it returns: with the server's defaults (fsync and
// synchronous_commit on) every acknowledged write survives a crash of the server. It
// survives the loss of the server only with a synchronous standby.
//
// The store remembers no records, so storage.Update takes two statements, a read and a
// swap. With package recent in front, recent.New(store, 16<<20), a change of a record
// that the process has lately read or written takes one.
//
// # Entries
//
// The row of a record has its entries in a column, and triggers keep a table of all
// entries equal to it, in the transaction of the write and under the lock of the row. So
// a write whose entries do not move is a plain UPDATE. An UPDATE or DELETE by SQL takes
// away the entries of the row, since the store cannot tell whether they are still those
// of the document; TRUNCATE takes away all. Until SetEntries or a write has made the
// entries again, look-ups do not find the record.
//
// # The log
//
// Numbers of changes are drawn in one order and committed in another. Changes therefore
// reads up to a fence: the last number of which all transactions that drew one up to it
// have ended. A transaction that stays open in any database of the server, prepared ones
// included, holds the fence back. Nothing is lost by that; ChangePage.Held is for how
// long. The log needs the primary, as the store does anyway.
//
// A Store keeps the state of its fence, and readers at the same time share it. If nothing
// was logged since, a round of the fence is one small read; otherwise it also takes a
// transaction id. Poll every 50 to 200 ms while there are changes, and less often then.
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
// # Errors
//
// The text of an error names the operation, the failure and the SQLSTATE, never
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
//     ended, and then the error matches the context's as well. If the server itself says
//     that it ends the session, the error matches storage.ErrEnded, too.
//   - storage.ErrConflict, beside its plain meaning: the server rolled a write back
//     for the sake of another transaction (40001, 40P01). For a read that is
//     ErrUnavailable, when it happens again and again.
//   - Others, which match no error of package storage: prepared statements do not work on
//     this connection (26000, 42P05: PgBouncer in transaction mode needs
//     default_query_exec_mode=exec), the driver cannot read a value that the server sent,
//     the tables are missing (run Migrate), a privilege is (42501), or the server refused
//     the statement for another reason.
//
// # Settings of the server, database, role and DSN
//
// Values are read back byte for byte under every setting of how values are
// spelled (bytea_output, DateStyle, TimeZone and the like), in every mode of the
// driver. New returns an error where a setting could change that: an encoding other
// than UTF8, which is looked at for every connection; a search_path with another
// schema before pg_catalog; standard_conforming_strings off with
// default_query_exec_mode=simple_protocol. It sends a value of each type, too, and
// returns an error unless the same comes back.
//
// Two settings are the administrator's decision: synchronous_commit=off loses
// acknowledged writes in a crash of the server, and default_transaction_read_only
// refuses every write (25006).
//
// # Which servers
//
// It is tested with PostgreSQL 15, and needs 14 or later. The database and its
// clients must have the encoding UTF8. The default collation does not matter: external
// ids have COLLATE "C", the order of bytes.
//
// Other databases that speak its protocol will not do: entries need its triggers, and
// the log needs its sequences and snapshots.
package postgres
