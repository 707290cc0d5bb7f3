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
// greater one is not a later one. 0 means absent; no record has it. The writer makes it,
// with [NextRevision].
type Revision uint64

// NextRevision returns a revision for a write that expects old: of an absent key (old is
// 0) a random number between 1 and 2^62, of any other old and a random step between 1 and
// 2^30.
//
// So no revision of a record comes twice, and a writer whose answer was lost recognises
// its own write. The steps are random because a store may lose writes, when a backup is
// restored or a server fails over to a copy that lags. With steps of 1 the next write
// would get the revision of the lost one, and a client that had seen the lost state would
// overwrite the new one unseen. The first revision is random so that a key which is
// deleted and created again does not get a revision that it had before (the probability
// is about 2^-62 for each that it had), and so that no tenant learns how much others
// write.
//
// A record can have 2^32 updates before a revision is greater than an int64, which
// [Store.Write] refuses.
func NextRevision(old Revision) Revision {
	if old == 0 {
		return Revision(1 + rand.Uint64N(1<<62))
	}
	return old + 1 + Revision(rand.Uint64N(1<<30))
}

// Record is the stored state of a key.
type Record struct {
	Key Key

	// Revision is new with each write: see [NextRevision].
	Revision Revision

	// ID and CreatedAt are set when the record is created; a later write keeps the
	// stored ones. UpdatedAt is set with each write. A store keeps the instant of a
	// time, truncated to the millisecond, and returns it in UTC. The years 1 to 9999
	// must survive, the zero Time among them.
	ID                   uuid.UUID
	CreatedAt, UpdatedAt time.Time

	// Data is returned byte for byte as it was written; nil and empty are the same. It
	// is read-only from the write on, for the caller too.
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

// Store keeps records, finds them by their keys and entries, and keeps a log of changes.
// All methods are safe for concurrent use.
//
// Every method starts with the same checks: it returns the error of a context that is
// done, [ErrInvalid] for an argument that is not valid, and [ErrClosed] after Close
// (except Close itself). If several apply, any of them may come. [CheckKey], [CheckKeys],
// [CheckWrites], [CheckList], [CheckLookup], [CheckChanges], [CheckRedact] and [CheckTrim]
// make these checks for implementations.
//
// An error that matches [ErrUnavailable], or that is a context's error alone, means that
// the call had no effect. An error that matches [ErrUnknownOutcome] means that a write
// may have been applied, or may still be; if a context ended after the write was sent,
// the error matches the context's too. Reads never return ErrUnknownOutcome. A store may
// wrap errors in an [*OpError]: test with errors.Is.
//
// A store that lacks entries or the log says so in its [Limits], and returns
// [ErrUnsupported] where they are needed, perhaps before any check. [Complete] makes a
// Store of the few methods of a [Basic] one. storagetest.Run tests implementations.
//
// A wrapper implements every method. One that embeds a Store and overrides one method
// is bypassed by all others.
type Store interface {
	// Get returns the record of the key, or ErrNotFound. It sees every write that was
	// acknowledged before Get began.
	Get(ctx context.Context, key Key) (Record, error)

	// GetMany returns one record per key, in the order of the keys; an absent one has
	// its Key and Revision 0. Each record by itself is as from Get; together they are
	// not a snapshot. The keys are distinct and at most MaxBatch. The slice is the
	// caller's.
	GetMany(ctx context.Context, keys []Key) ([]Record, error)

	// Write makes writes, each by itself: one may fail while the others are applied.
	// The keys are distinct and at most MaxBatch. It returns nil if every write was
	// applied, otherwise one error per write, in their order; nil means applied.
	//
	//   - ErrConflict: not applied, because the key does not have the expected revision;
	//     a [*ConflictError] may carry the stored record. A conflict may be spurious: a
	//     store that cannot tell may return it although the revision was right, but
	//     never if the write was applied.
	//   - ErrNotUnique: not applied. The error is a [*NotUniqueError].
	//   - ErrTooLarge: not applied, because the data is above Limits.MaxData, or the
	//     documents of the note are more than the store can keep.
	//
	// Each write is atomic, with its entries and its change in the log, and as durable
	// as the store promises before Write returns. The store may keep the data, the entries
	// and the note of a write without a copy, also if Write returned early because the
	// context ended; the slice of writes stays the caller's.
	//
	// An error in place of the errors is of each write: unless it matches
	// ErrUnknownOutcome, none was applied.
	Write(ctx context.Context, writes []Write) ([]error, error)

	// List returns records of the scope in the byte order of their external ids, or
	// backwards. The bounds From and To of the range must be nil.
	//
	// A walk from page to page until Page.Next is zero returns every record that exists
	// during the whole walk exactly once, and no record twice. It is not a snapshot:
	// each record is a committed state of some instant of the call, and records that
	// come or go meanwhile may be in it or not.
	List(ctx context.Context, scope Scope, r Range) (Page, error)

	// Lookup returns records of the scope that have an entry of the index within the
	// bounds, in the byte order of (value, external id), or backwards. Page.Values has
	// the value of each. A record and its entries are those of one instant.
	//
	// A walk returns every record that exists, and whose entry does not move, during
	// the whole walk exactly once. One whose entry moves may come at both places or at
	// none.
	Lookup(ctx context.Context, scope Scope, index uint32, r Range) (Page, error)

	// SetEntries gives a record other entries, if its revision is expect. The revision,
	// the times and the data stay, and nothing is logged. Errors are those of Write; for
	// an absent key it is ErrConflict, whatever expect is.
	// A Write of the same record at the same time, or right after, may get a spurious
	// ErrConflict.
	SetEntries(ctx context.Context, key Key, expect Revision, entries []Entry) error

	// Changes returns logged changes in the order of the log. That order is one in which
	// they were applied: of the changes of one key it is the order of their revisions.
	// No change is ever left out: a change that appears in the log never has a place
	// before a cursor that was returned already.
	//
	// A page ends early where its notes would exceed MaxPageBytes. A change whose note does
	// comes alone.
	//
	// The error is ErrExpired for a cursor that is older than what Trim left, or that is
	// not of this log: the store was restored from a backup.
	Changes(ctx context.Context, q ChangeQuery) (ChangePage, error)

	// Redact removes from the log what it knows of a key, and returns how many changes it
	// has redacted: their Actor, Reason, Before and After become empty, and a keyed hash
	// takes the place of their external id. Positions, revisions, times and IDs stay.
	//
	// For each ID among these changes it adds one change to the end of the log, in the
	// order in which the IDs first come: with the same hash, Deleted and Redacted, a
	// random Revision, Before 0, and the note, which has no documents. So a reader that has
	// passed the redacted changes learns of it. (No change that Write logs is a delete of
	// revision 0.)
	//
	// Changes that were redacted before are left alone. A key without others gives 0, and
	// nothing is added. The record of the key, if there is one, stays as it is.
	//
	// A store may redact many changes in several steps. Each step is atomic, and changes
	// are redacted together with the addition of their ID, or after it. So if a call ends
	// in between, the same call again redacts the rest, and adds no ID twice.
	Redact(ctx context.Context, key Key, note Note) (int, error)

	// Trim removes changes from the start of the log up to the first one that was made
	// at or after the given time, and none after the cursor end, unless that is zero. The
	// error is ErrExpired for an end that Changes would not take, and nothing is removed.
	Trim(ctx context.Context, before time.Time, end Cursor) error

	// Limits returns the bounds of the store. They never change.
	Limits() Limits

	// Close releases the store's resources. Calls after the first do nothing and return
	// nil. Other calls that are under way either finish or return ErrClosed.
	Close() error
}

// Limits are the bounds of a store. In each field the zero value means no limit.
type Limits struct {
	// MaxData is the limit of Record.Data in bytes; a write of more is ErrTooLarge. It is
	// at least 1 MiB. It does not concern the documents of a note: those are earlier states,
	// and a record that was written under another limit can be changed and deleted.
	MaxData int

	NoEntries bool // Lookup, SetEntries and writes with entries are ErrUnsupported
	NoLog     bool // Changes, Redact, Trim and writes with a note are ErrUnsupported
}
