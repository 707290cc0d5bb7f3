package sqlite

import (
	"fmt"

	codes "modernc.org/sqlite/lib"
)

// applicationID is in the head of each file of this package: "rks1".
const applicationID = 0x726b7331

// migrations lead from each version of the file, its user_version, to the next;
// the first one makes it. What has been published never changes.
//
// A table WITHOUT ROWID is one tree, sorted by the key: one search finds a
// record, and a page of them lies together. Text is compared as bytes.
// Times are milliseconds since 1970.
var migrations = []string{
	`CREATE TABLE records (
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
) STRICT, WITHOUT ROWID`,
}

// version returns the user_version of the file, 0 for one without anything in
// it, or an error for a file that this package has no business with. It is for
// use in a transaction.
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

// peek is version in a transaction of its own: the numbers that it goes by must
// be of one instant, since another process may be making the file.
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

// migrate brings the file to the newest version, in one transaction that
// takes the lock first: of several processes one does it and the others see
// that it is done.
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
