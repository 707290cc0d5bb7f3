package storage

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// Revision names one stored state of one key. Compare revisions for equality alone: a
// greater one is not a later one. 0 means absent; no record has it. A store never gives
// a revision to one key twice, not even after delete and create.
type Revision uint64

// FirstRevision returns a revision for a new record, for implementations: a random
// number between 1 and 2^62, from which [NextRevision] goes on. A sequence would be
// shared by all writers, and would tell one tenant how much the others write. A key that
// is deleted and created again gets a revision that it had before with a probability of
// about 2^-62 for each that it had.
func FirstRevision() Revision { return Revision(1 + rand.Uint64N(1<<62)) }

// NextRevision returns the revision for an update of a record with the revision old, for
// implementations: old and a random step between 1 and 2^30.
//
// It is greater, so no revision comes twice. It is random because a store may lose
// writes, when a backup is restored or a server fails over to a copy that lags. With
// steps of 1 the next write would get the revision of the lost one, and a client that
// had seen the lost state would overwrite the new one unseen.
//
// A record can have 2^32 updates before a revision is greater than an int64.
func NextRevision(old Revision) Revision { return old + 1 + Revision(rand.Uint64N(1<<30)) }

// Record is the stored state of a key.
type Record struct {
	Key Key

	// Revision is set by the store. Put ignores it: the expected revision is a
	// parameter.
	Revision Revision

	// ID and CreatedAt are made by the layer above when it creates the record. The Put
	// that creates a record stores them; a Put over a record ignores them. Stores do not
	// check that they are set.
	//
	// UpdatedAt is set by the layer above with each Put. A store keeps the instant of a
	// time, truncated to the millisecond, and returns it in UTC. The years 1 to 9999
	// must survive, the zero Time among them.
	ID                   uuid.UUID
	CreatedAt, UpdatedAt time.Time

	// Data is returned byte for byte as it was put; nil and empty are the same. It is
	// read-only from the Put on, for the caller too.
	Data []byte
}

// String returns the key without its external id, the ID, the revision and the size of
// the data. So a record can be logged.
func (r Record) String() string {
	return fmt.Sprintf("record %v of %v, revision %d, %d bytes", r.ID, r.Key, r.Revision, len(r.Data))
}

// GoString is String, for the verb %#v.
func (r Record) GoString() string { return r.String() }

// LogValue is String, for log/slog.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Page is one page of a List.
type Page struct {
	// Records are in strictly ascending byte order of their external ids. There may be
	// fewer than the limit, even none, and still a Next. The slice is the caller's; the
	// Data in it is read-only.
	Records []Record

	// Next is the cursor of the next page, "" at the end.
	Next string
}

// MaxPage is the largest number of records in a page. A larger limit of List counts as
// this.
const MaxPage = 1000

// Store keeps records. All methods are safe for concurrent use.
//
// Every method starts with the same checks: it returns the error of a context that is
// done, [ErrInvalid] for a key, scope, cursor or limit that is not valid, and
// [ErrClosed] after Close (except Close itself). If several apply, any of them may come.
//
// An error that matches [ErrUnavailable], or that is a context's error alone, means that
// the call had no effect. An error that matches [ErrUnknownOutcome] means that a write
// may have been applied, or may still be; if a context ended after the write was sent,
// the error matches the context's too. Reads never return ErrUnknownOutcome. A store may
// wrap errors in an [*OpError]: test with errors.Is.
//
// storagetest.Run tests implementations.
type Store interface {
	// Get returns the record of the key, or ErrNotFound. It sees every write that was
	// acknowledged before Get began.
	Get(ctx context.Context, key Key) (Record, error)

	// Put stores the record if the revision of its key is expect, and returns the new
	// revision; expect 0 demands that the key is absent. A Put over a record keeps the
	// stored ID and CreatedAt.
	//
	// Otherwise it changes nothing and returns ErrConflict; a [*ConflictError] may carry
	// the stored record. A conflict may be spurious: a store that cannot tell may return
	// it although the revision was right, but never if the write was applied.
	// ErrTooLarge is for data above the store's limit.
	//
	// The write is atomic, and as durable as the store promises before Put returns. The
	// store may keep rec.Data without a copy.
	Put(ctx context.Context, rec Record, expect Revision) (Revision, error)

	// Delete removes the record of the key if its revision is expect. Otherwise it
	// changes nothing, and returns ErrNotFound when the key is absent, ErrConflict when
	// the revision is another (as for Put, it may be spurious), or ErrInvalid for
	// expect 0, which would mean "absent".
	Delete(ctx context.Context, key Key, expect Revision) error

	// List returns records of the scope whose external ids are greater than after, in
	// ascending byte order; after "" starts at the first. The record named by after need
	// not exist. limit is at least 1; above MaxPage it counts as MaxPage.
	//
	// A walk from page to page until Next is "" returns every record that exists during
	// the whole walk exactly once, and no record twice. It is not a snapshot: each record
	// is a committed state of some instant of the call, and records that come or go
	// meanwhile may be in it or not.
	List(ctx context.Context, scope Scope, after string, limit int) (Page, error)

	// Close releases the store's resources. Calls after the first do nothing and return
	// nil. Other calls that are under way either finish or return ErrClosed.
	Close() error
}

// CheckKey returns the error of a context that is done, or [ErrInvalid] if the key is not
// valid: the check that Get and Put start with, for implementations.
func CheckKey(ctx context.Context, key Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return key.Validate()
}

// CheckDelete returns the error of [CheckKey], or [ErrInvalid] if expect is 0: the check
// that Delete starts with, for implementations.
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

// CheckList returns limit, at most MaxPage: the check that List starts with, for
// implementations. The error is that of a context that is done, or [ErrInvalid] if the
// scope is not valid, after is neither "" nor a valid external id, or limit is below 1.
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
