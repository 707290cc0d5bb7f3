// Package sqlite is a storage.Store in one SQLite file. It is durable, needs no server
// and no cgo (modernc.org/sqlite), and is for a service on one machine, from a handful of
// records to some millions.
//
//	store, err := sqlite.Open(ctx, "/var/lib/service/records.db", nil)
//
// One goroutine writes. It puts all writes that are waiting into one transaction, up to
// 256 writes or 16 MiB, so that they share one sync of the disk. The writes of one call
// are in one transaction, or in several if they have more than 16 MiB of data. If SQLite
// refuses a transaction because of what is in it, for example a record that is too large
// for a full disk, each call gets a transaction of its own. So only the call at fault
// fails.
//
// Reads do not wait for writes, and Options.Readers of them run at the same time. Each
// page of a list, a look-up or the log is of one instant.
//
// # Durability
//
// A write is acknowledged after the write-ahead log with it was synced
// (synchronous=FULL). It survives a crash of the process or the system and a loss of
// power, if the disk keeps what it has synced. With Options.SyncNormal the log is synced
// only now and then. A single writer is then several times as fast, and a crash of the
// system or a loss of power may take the last acknowledged writes. It cannot damage the
// file, nor lose one write and keep a later one. A crash of the process alone loses
// nothing.
//
// # The file
//
// While the file is open there are two more beside it, with -wal and -shm at the end of
// the name. The -wal file is the write-ahead log, and has acknowledged writes. The last
// Close brings them into the file and removes both. After a crash they stay, and belong
// to the file: copy, move and restore the three together, and only while no process has
// them open. Store.Backup copies a store that is in use. Before a backup takes the place
// of a file, remove that file's -wal and -shm; otherwise SQLite would write the contents
// of the old -wal into the backup. Open refuses a -wal whose file is missing or empty,
// because SQLite would delete it.
//
// Open creates the file readable and writable by its owner alone, since records may be
// personal data. The two others get the permissions of the file. Open refuses the file of
// another program and of a newer version of this package, and changes nothing in it. A
// file of an older version is brought to the newest one.
//
// Several processes on one machine can have one file open. Each sees the writes of the
// others at once. They wait for each other's transactions, at most Options.BusyTimeout.
// Three things break this:
//
//   - A network file system: the locks and the shared memory do not work there.
//   - The file under two names. Open refuses a file with hard links. A container must
//     have the directory mounted, not the file alone.
//   - Other code of the process that opens the file, if only to copy it. POSIX takes the
//     locks of a process on a file away as soon as it closes any descriptor of it.
//
// The path may be a symbolic link, or lead through some. Open follows them once, and the
// store stays with the file that it opened. When that file is removed, renamed or
// replaced, calls fail with ErrUnavailable until it is at its path again: each write and
// each Backup at once, reads after at most 100 ms. Writes also need the -wal and -shm
// files that they began with. Records that were acknowledged before are in the file,
// wherever it is now. A removed file is gone when the store is closed.
//
// # Disk space
//
// The -wal file grows to some 32 MiB before SQLite brings it into the file and starts
// again. Reads that overlap prevent that. Once it has 64 MiB the writer waits for the
// reads that are under way, and lets neither reads nor writes begin until the -wal file is
// empty. It cannot hold back a Backup, nor the reads of other processes: while these last,
// the -wal file grows with every write.
//
// When the disk is full, the writer empties the -wal file and tries the transaction once
// more. So writes fail, with ErrUnavailable, only if there is no room for them and for the
// writes since the -wal file was last empty, or while a read lasts that cannot be held
// back. SQLite does not recognise a quota or a limit of the system. The write that meets
// one is ErrUnknownOutcome, mostly with ErrEnded.
//
// Keep 256 MiB free beside the file: 96 for the -wal file, as much for the file to grow
// when the -wal file comes into it, and some to spare. A Backup needs room for its copy,
// and for a -wal file of all that is written meanwhile.
//
// # Damage
//
// The pages of a SQLite file have no checksums. A flipped bit on the disk is found if it
// breaks the structure of a page; the text of the error then has SQLITE_CORRUPT.
// Elsewhere a record has another value or is not found, without an error. The -wal file
// has checksums: after a crash, its recovery ends silently at the first transaction that
// does not match them, and later acknowledged writes are lost. Where disks are not
// trusted, use a file system with checksums (ZFS, btrfs), and keep backups of several
// days.
//
// # Other SQL
//
// Other programs may read and write the tables by SQL while the store is open, in short
// transactions. Their changes are not logged. A record that an UPDATE changes gets a new
// revision, unless the UPDATE sets one. The record loses its entries, and so does one that
// SQL replaces or deletes: look-ups do not find it, and its unique values are free, until
// Write or SetEntries gives it entries again. INSERT must name the columns from platform
// to data and leave entries and turn to the store. Prefer INSERT .. ON CONFLICT DO UPDATE
// to INSERT OR REPLACE, which leaves the old entries in their table, where they do not
// count any more.
//
// # Limits and sizes
//
// Data has at most MaxData bytes, and the texts and documents of a note have at most 256
// MiB together. A page ends early once it has 16 MiB. A record of 400 bytes needs 170 to 215 bytes beside its data and
// external id. With an external id and a value of some 20 bytes each, an entry needs 155
// bytes more, or 275 if it is unique, and a change in the log 270 beside its documents.
// Each connection, of which there are Readers + 1, caches up to 8 MiB. The first GiB of
// the file is mapped into memory, so that a record among 100,000 takes little longer to
// find than one among 1,000. If a disk fails to read a mapped piece, the process ends with
// SIGBUS.
//
// # Errors and contexts
//
// Each error is a *storage.OpError. Its text names the operation and SQLite's result code,
// never a value or a path. For errors.As it has the error of the driver (*sqlite.Error of
// modernc.org/sqlite), whose text may have values, and, for Open and Backup, that of the
// file system (*fs.PathError).
//
//   - storage.ErrUnavailable: another process held the file for longer than BusyTimeout,
//     the disk is full or failed before the commit, or the system refused the file.
//   - storage.ErrUnknownOutcome: the disk failed during the commit. If the writer could
//     empty the -wal file, from which a crash could bring the write back, the error
//     matches ErrEnded, too.
//   - storage.ErrUnknownOutcome and the context's error: the context ended while the write
//     was in a transaction, and the transaction did not end within 100 ms.
//   - The context's error alone: it ended while the call was waiting for the writer, a
//     reader or another process. The call had no effect.
//   - None of these, SQLITE_CORRUPT or SQLITE_NOTADB in the text: the file is damaged.
//     Restore a backup.
package sqlite
