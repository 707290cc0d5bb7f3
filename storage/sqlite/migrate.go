package sqlite

import (
	"fmt"

	codes "modernc.org/sqlite/lib"
)

// applicationID is in the head of each file of this package: "rks1".
const applicationID = 0x726b7331

// migrations lead from each version of the file, its user_version, to the next; the
// first one makes it. A migration never changes once it is published.
var migrations = []string{sqlRecords, sqlEntriesAndChanges}

// A table WITHOUT ROWID is one tree, sorted by the key: one search finds a record, and
// the records of a page lie together. Text is compared as bytes. Times are milliseconds
// since 1970.
const sqlRecords = `CREATE TABLE records (
	platform    BLOB    NOT NULL,
	business    BLOB    NOT NULL,
	schema      BLOB    NOT NULL,
	external_id TEXT    NOT NULL,
	revision    INTEGER NOT NULL,
	id          BLOB    NOT NULL,
	created_at  INTEGER NOT NULL,
	updated_at  INTEGER NOT NULL,
	data        BLOB    NOT NULL,
	PRIMARY KEY (platform, business, schema, external_id)
) STRICT, WITHOUT ROWID`

// Version 2 adds entries and the log. Adding columns changes no row, so the migration
// takes as long for a large file as for a small one.
//
// records.entries is the packed form of a record's entries (see pack), or NULL. A write
// sees by it whether entries move, and a trigger which ones to remove, so that table
// entries needs no index by record.
//
// records.turn alternates between 0 and 1 with each write of the store. Other SQL leaves
// it, and the triggers see by that that they must act: the record gets a new revision
// and loses its entries, until Write or SetEntries restores them. A program of version 1
// that still has the file open counts as other SQL.
//
// INSERT OR REPLACE fires no trigger for the row that it removes, whose entries stay. So
// an entry counts only if the record's packed entries have it, too.
//
// The first row of changes is the floor: the last change that Trim removed, with its
// revision alone, or the beginning of the log. So a cursor there is valid, and positions
// ascend also after all changes are gone. (AUTOINCREMENT would write one more page in
// each transaction.)
const sqlEntriesAndChanges = `
ALTER TABLE records ADD COLUMN entries BLOB;
ALTER TABLE records ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;

CREATE TABLE entries (
	platform    BLOB    NOT NULL,
	business    BLOB    NOT NULL,
	schema      BLOB    NOT NULL,
	place       BLOB    NOT NULL, -- 4 bytes for the number of the index, then the value
	external_id TEXT    NOT NULL,
	is_unique   INTEGER NOT NULL,
	PRIMARY KEY (platform, business, schema, place, external_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX unique_entries ON entries (platform, business, schema, place) WHERE is_unique = 1;

CREATE TRIGGER deleted AFTER DELETE ON records WHEN OLD.entries IS NOT NULL BEGIN
	` + sqlRemoveEntries + `;
END;

CREATE TRIGGER updated AFTER UPDATE OF
	platform, business, schema, external_id, revision, id, created_at, updated_at, data ON records
	WHEN NEW.turn = OLD.turn BEGIN
	` + sqlRemoveEntries + `;
	UPDATE records SET entries = NULL, turn = 1 - turn, revision =
		CASE revision WHEN OLD.revision THEN revision + 1 + (random() & 1073741823) ELSE revision END
	WHERE platform = NEW.platform AND business = NEW.business AND schema = NEW.schema AND external_id = NEW.external_id;
END;

CREATE TABLE changes (
	position    INTEGER PRIMARY KEY,
	platform    BLOB    NOT NULL, -- of the floor empty, as all that is not a number
	business    BLOB    NOT NULL,
	schema      BLOB    NOT NULL,
	external_id TEXT    NOT NULL, -- or a keyed hash of it
	revision    INTEGER NOT NULL,
	id          BLOB    NOT NULL,
	before      INTEGER NOT NULL, -- revision
	deleted     INTEGER NOT NULL,
	redacted    INTEGER NOT NULL,
	changed_at  INTEGER NOT NULL,
	actor       TEXT    NOT NULL,
	reason      TEXT    NOT NULL,
	data_before BLOB,
	data_after  BLOB
) STRICT;
CREATE INDEX changes_of_key ON changes (platform, business, schema, external_id);

INSERT INTO changes VALUES (1, x'', x'', x'', '', 1 + (random() & 4611686018427387903), x'', 0, 0, 0, 0, '', '', NULL, NULL);

CREATE TABLE redaction (key BLOB NOT NULL) STRICT;
INSERT INTO redaction VALUES (randomblob(32));`

// sqlRemoveEntries is the statement by which a trigger removes the entries of a row.
const sqlRemoveEntries = `DELETE FROM entries WHERE platform = OLD.platform AND business = OLD.business
		AND schema = OLD.schema AND external_id = OLD.external_id AND place IN (
			WITH RECURSIVE cells (place, rest) AS (
				SELECT NULL, OLD.entries UNION ALL
				SELECT substr(rest, 5, CAST(substr(rest, 1, 3) AS INTEGER)), substr(rest, 5 + CAST(substr(rest, 1, 3) AS INTEGER))
				FROM cells WHERE length(rest) > 4
			) SELECT place FROM cells)`

// version returns the user_version of the file, 0 if it is empty, or ErrInvalid for a file
// of another program or a newer version. It is for use in a transaction.
func version(c *conn) (int, error) {
	foreign := invalid("the file was made by another program")
	id, err := c.value("PRAGMA application_id")
	if resultCode(err) == codes.SQLITE_NOTADB {
		return 0, fmt.Errorf("%w: %w", foreign, err)
	}
	if err != nil {
		return 0, err
	}
	number, err := c.value("PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	tables, err := c.value("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return 0, err
	}
	known := int64(len(migrations))
	n, ok := number.(int64)
	switch {
	case id == int64(0) && number == int64(0) && tables == int64(0):
		return 0, nil
	case id != int64(applicationID) || !ok || n < 1:
		return 0, foreign
	case n > known:
		return 0, invalid(fmt.Sprintf("the file has version %d, and this program knows versions up to %d", n, known))
	}
	return int(n), nil
}

// peek is version in its own transaction: the numbers must be of one instant, since
// another process may be making the file.
func peek(c *conn) (int, error) {
	if _, err := c.exec("BEGIN"); err != nil {
		return 0, err
	}
	v, err := version(c)
	if _, end := c.exec(sqlCommit); err == nil {
		err = end
	}
	return v, err
}

// migrate brings the file to the newest version, in one transaction that takes the lock
// first: of several processes one migrates, and the others see that it is done.
func migrate(c *conn) error {
	if _, err := c.exec(sqlBegin); err != nil {
		return err
	}
	err := migrateInside(c)
	if err == nil {
		_, err = c.exec(sqlCommit)
	}
	if err != nil {
		_, _ = c.exec(sqlRollback) // fails if SQLite has done it
	}
	return err
}

func migrateInside(c *conn) error {
	v, err := version(c)
	if err != nil {
		return err
	}
	for ; v < len(migrations); v++ {
		if _, err := c.exec(migrations[v]); err != nil {
			return err
		}
	}
	for _, pragma := range []string{
		fmt.Sprintf("PRAGMA application_id = %d", applicationID),
		fmt.Sprintf("PRAGMA user_version = %d", v),
	} {
		if _, err := c.exec(pragma); err != nil {
			return err
		}
	}
	return nil
}
