// Package sqlite is a storage.Store in one SQLite file: durable, without a
// server, and without cgo (modernc.org/sqlite). It is for a service on one
// machine, from a handful of records to some millions.
//
//	store, err := sqlite.Open(ctx, "/var/lib/service/records.db", nil)
//
// One goroutine writes. It puts the writes that are waiting into one transaction,
// until that has 256 of them or 16 MiB, so that many writers share the price of
// one sync of the disk. The writes of a batch are in one transaction; only one
// with more than 16 MiB of data takes several. A transaction that SQLite refuses
// for what is in it, since the disk is too full for a large record for instance,
// is tried once more call by call, so that no call fails for the sake of another.
// Reads do not wait for writes, nor for each other as long as they are not more
// than Options.Readers.
//
// # Durability
//
// A write is acknowledged after the write-ahead log with it was synced
// (synchronous=FULL): it survives a crash of the process, of the system and a
// loss of power, as far as the disk keeps what it says it has kept. With
// Options.SyncNormal the log is synced only now and then: a single writer
// gets several times as fast, and a loss of power or a crash of the system may
// take the last acknowledged writes. It cannot damage the file, nor
// lose one write and keep a later one; a crash of the process alone loses
// nothing.
//
// # The file
//
// Beside the file there are two more while it is open, of the same name with
// -wal and -shm at the end; the first holds acknowledged writes. The last Close
// brings them into the file and removes both. After a crash they stay, and
// belong to the file: copy, move and restore the three together, and only
// while no process has them open. For a copy while the store is in use there is
// Store.Backup. Before a backup is put in the place of a file, remove that
// file's -wal and -shm: SQLite would write what is in the old log into the
// backup. Open refuses a -wal whose file is missing or empty, which SQLite would
// delete.
//
// Open creates the file readable and writable by its owner alone, since records
// may be personal data, and the two others get the permissions of the file. It
// refuses a file that another program made, and one of a newer version of this
// package, without a change to what is in it.
//
// Several processes on one machine can have one file open; each sees what the
// others wrote, at once. They wait for each other's transactions, at most
// Options.BusyTimeout. Never use a network file system: the locks and the
// shared memory that this needs do not work there. All processes must see the
// file and the two beside it in one directory: Open refuses a file with hard links,
// and a container gets the directory mounted, not the file alone. And since POSIX
// takes the locks of a process on a file away as soon as the process closes any
// descriptor of it, no other code of the process may open the file, not even
// to copy it.
//
// The path may be, or lead through, symbolic links, which Open follows once. A
// store stays with the file that it opened. When that file is removed, renamed or
// replaced, calls fail with ErrUnavailable until it is at its path again: each
// write and each Backup at once, reads after at most 100 ms. Writes also need the
// -wal and -shm files that they began with. The records that were acknowledged
// before are in the file, wherever that is now; one that was removed is gone when
// the store is closed.
//
// The -wal file grows to some 32 MiB before it is brought into the file and used
// again. Reads that overlap prevent that; once the file has 64 MiB the
// writer waits for those that are under way, and lets neither reads nor writes
// begin until it has emptied the log. It cannot hold back a Backup, nor the reads
// of other processes: as long as these last, the -wal file grows with every write.
//
// When the disk is full, the log is brought into the file and emptied, and the
// transaction tried once more. So writes fail, with ErrUnavailable, only while
// there is no room for them, for the records that have come since the log was last
// emptied, or while a read that cannot be held back lasts. Where a quota or a
// limit is the cause, SQLite cannot tell, and the write that meets it is
// ErrUnknownOutcome. Keep 256 MiB free beside the file: 96 for the log, as much for
// the file to grow when the log comes into it, and some to spare. A Backup needs
// room for its copy, and for a log of all that is written meanwhile.
//
// # Damage
//
// The pages of a SQLite file have no checksums. A flipped bit on the disk is found
// where it breaks the structure of a page, and the text of the error has
// SQLITE_CORRUPT. Elsewhere a record has another value or is not found, without an
// error. The log has checksums: after a crash, its recovery ends in silence at the
// first transaction that does not fit them, and what was acknowledged after that is
// lost. Where disks are not trusted, use a file system with checksums (ZFS, btrfs),
// and keep backups from several days.
//
// # Limits and sizes
//
// Data has at most MaxData bytes. A page of List ends early once it holds
// 16 MiB. A record of 400 bytes needs 170 to 215 bytes beside its data and
// external id. Each connection, of which there are Readers + 1, caches up to
// 8 MiB; the first GiB of the file is mapped into memory, which is why a
// record among 100,000 is not much farther away than one among 1,000. Where a
// disk fails to read a mapped piece, the process ends with SIGBUS.
//
// # Errors and contexts
//
// Each error is a *storage.OpError, but those in the results of a batch may be bare.
// The text names the operation and SQLite's
// result code, never a value or a path. The error of the driver, whose text may
// hold more, is there for errors.As (*sqlite.Error of modernc.org/sqlite), and so
// is what the file system said, for Open and Backup (*fs.PathError).
//
//   - storage.ErrUnavailable: another process held the file for longer than
//     BusyTimeout, the disk is full or failed before the commit, or the system
//     refused the file.
//   - storage.ErrUnknownOutcome: the disk failed during the commit, or the
//     context ended while the write was in a transaction, which did not end
//     within 100 ms either; then the error matches the context's as well.
//   - The context's error alone: it ended while the call was waiting, for the
//     writer, a reader or another process. The call had no effect.
//   - None of these, SQLITE_CORRUPT or SQLITE_NOTADB in the text: the file is
//     damaged. Restore a backup.
package sqlite
