package storage

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// Revision names one stored state of one key. Revisions are only compared
// for equality: a greater one is not a later one. 0 means absent; no record
// has it. No store gives the same revision to one key twice, also not after
// delete and re-create.
type Revision uint64

// FirstRevision returns a revision for a record that is created, for
// implementations: a random number between 1 and 2^62. Updates may then go on
// from it by NextRevision, without a sequence that all writers would share and
// that would tell one tenant how much the others write. A key that is deleted and
// created again could get a revision that it had before only by chance: about 1 in
// 2^62 for each that it had.
func FirstRevision() Revision { return Revision(1 + rand.Uint64N(1<<62)) }

// NextRevision returns the revision for an update of a record that has the
// revision old, for implementations: old and a random step between 1 and 2^30.
//
// It is greater, so none comes twice. It is random for the sake of what a store
// may lose, by a backup that is restored, or by a server that fails over to a
// copy which is behind: by steps of 1 the next write would get the revision of
// the one that was lost, and a client that had seen that one would overwrite
// what it has not seen.
//
// There is room for 2^32 updates of a record before a revision goes beyond an
// int64.
func NextRevision(old Revision) Revision { return old + 1 + Revision(rand.Uint64N(1<<30)) }

// Record is what a store keeps under a key.
type Record struct {
	Key Key

	// Revision is set by the store. Put ignores it: what it expects is a
	// parameter of its own.
	Revision Revision

	// ID is the identity that the layer above made for the record, and CreatedAt
	// when it did. The Put that creates a record stores them, and no later one
	// changes them: what an update says of them does not count. Stores do not
	// check that they are set.
	//
	// UpdatedAt is chosen by the layer above as well. Of a time a store keeps the
	// instant, truncated to the millisecond, and returns it in UTC. The years 1
	// to 9999 must survive, the zero Time among them.
	ID                   uuid.UUID
	CreatedAt, UpdatedAt time.Time

	// Data is returned byte for byte as it was put; nil and empty are the
	// same. It is read-only for everyone, from the moment it is put.
	Data []byte
}

// String returns the key, the ID and the revision, and none of the data. So a record
// can be logged.
func (r Record) String() string {
	return fmt.Sprintf("record %v of %v, revision %d, %d bytes", r.ID, r.Key, r.Revision, len(r.Data))
}

// GoString is String, for the verb %#v.
func (r Record) GoString() string { return r.String() }

// LogValue is String, for log/slog.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Page is a piece of a List.
type Page struct {
	// Records in strictly ascending byte order of their external ids. It may
	// hold fewer than the limit, even none, and still have a Next. The slice
	// itself belongs to the caller, the Data in it is read-only.
	Records []Record

	// Next is the cursor for the following page, and "" at the end.
	Next string
}

// MaxPage is the largest number of records in a page. List treats a larger
// limit as this one.
const MaxPage = 1000

// Store keeps records. All methods are safe for concurrent use.
//
// Every method starts with the same checks, before anything else happens: a
// context that is done gives its error, and a key, scope, cursor or limit that
// is not valid gives [ErrInvalid]. After Close every method but Close gives
// [ErrClosed]. Which of these comes first, when two hold, is left open.
//
// An error that matches [ErrUnavailable], or that is a context's error alone,
// means that the call had no effect. An error that matches
// [ErrUnknownOutcome] means that a write may have been applied, or may still
// be; when a context ended after the write was sent, the error matches both.
// Reads never give ErrUnknownOutcome. A store may wrap an error in an *[OpError] or
// return it bare: test with errors.Is.
//
// storagetest.Run is the check for implementations.
type Store interface {
	// Get returns the record of the key, or ErrNotFound. It sees every write
	// that was acknowledged before it began.
	Get(ctx context.Context, key Key) (Record, error)

	// Put stores the record if the revision of its key is expect, where 0
	// demands that the key is absent, and returns the new revision. Otherwise it
	// changes nothing and returns ErrConflict; a *[ConflictError] may carry the
	// record that was in the way. A Put over a record keeps the ID and CreatedAt
	// that are stored, whatever rec says. A conflict may be spurious: a
	// store that cannot tell may give it though the revision was right, but
	// never when the write was applied. ErrTooLarge is for data above the
	// store's limit.
	//
	// The write is atomic, and as durable as the store promises before Put
	// returns. The store may keep rec.Data without a copy.
	Put(ctx context.Context, rec Record, expect Revision) (Revision, error)

	// Delete removes the record of the key if its revision is expect.
	// Otherwise it changes nothing: ErrNotFound when the key is absent,
	// ErrConflict when the revision is another (or, as for Put, a spurious
	// one), ErrInvalid for expect 0, which would mean "absent".
	Delete(ctx context.Context, key Key, expect Revision) error

	// List returns records of the scope whose external ids are greater than
	// after, in ascending byte order; after "" starts at the first. The
	// record named by after need not exist (any more). limit is at least 1;
	// above MaxPage it counts as MaxPage.
	//
	// Going from page to page until Next is "" yields every record that is
	// there during the whole walk exactly once, and none twice. It is not a
	// snapshot: each record is a committed state of some instant of the call,
	// and records that come or go meanwhile may show or not.
	List(ctx context.Context, scope Scope, after string, limit int) (Page, error)

	// Close releases what the store holds. Calls after the first do nothing
	// and return nil. Calls of other methods that are under way either
	// finish or give ErrClosed.
	Close() error
}

// CheckKey is the check that Get and Put start with, for implementations: it
// returns the error of a context that is done, or ErrInvalid if the key is not
// valid.
func CheckKey(ctx context.Context, key Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return key.Validate()
}

// CheckDelete is the check that Delete starts with, for implementations: that of
// CheckKey, and ErrInvalid if expect is 0.
func CheckDelete(ctx context.Context, key Key, expect Revision) error {
	if err := CheckKey(ctx, key); err != nil {
		return err
	}
	return checkExpect(expect)
}

// checkExpect returns ErrInvalid for a delete that expects revision 0.
func checkExpect(expect Revision) error {
	if expect == 0 {
		return invalid("delete expects revision 0, which means absent")
	}
	return nil
}

// CheckList is the check that List starts with, for implementations: it
// returns limit, at most MaxPage; or the error of a context that is done, or
// ErrInvalid if the scope is not valid, after is neither "" nor a valid external
// id, or limit is below 1.
func CheckList(ctx context.Context, scope Scope, after string, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := scope.Validate(); err != nil {
		return 0, err
	}
	if after != "" {
		if err := checkExternalID(after); err != nil {
			return 0, err
		}
	}
	if limit < 1 {
		return 0, invalid("the limit of a list is below 1")
	}
	return min(limit, MaxPage), nil
}
