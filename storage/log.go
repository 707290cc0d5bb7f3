package storage

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/google/uuid"
)

// MaxPageBytes bounds the notes of the changes in a page, by [Note.Size]. A page has more
// only if it has a single change.
const MaxPageBytes = 16 << 20

// ChangeQuery says which changes a call of [Store.Changes] returns.
type ChangeQuery struct {
	// Scope and ExternalID choose the changes of one scope, or of one key. The zero
	// Scope, without ExternalID, chooses all.
	Scope      Scope
	ExternalID string

	// After is where the page begins: the Next of a page, or the Cursor of a change. The
	// zero Cursor is the start of what the log has.
	After Cursor

	// End asks for no changes but for the cursor at the end of the log: a reader that
	// begins there gets all changes made from now on. Take it before reading the
	// records that these changes apply to.
	End bool

	// Backwards returns the newest changes first, which needs an ExternalID. After is then
	// where the page begins backwards, and the zero Cursor is the end of the log. Next is
	// zero after the oldest change, when More is false.
	Backwards bool

	NoData bool // leaves Before and After of the notes nil; the store does not read them
	Limit  int  // changes; at least 1, and above MaxPage it counts as MaxPage
}

// Cursor is a place in the log of a store. Any query may go on from a cursor of any
// other query of the same store. Never show it to clients: positions tell how much all
// tenants write.
type Cursor struct {
	Position int64    // of a change; positions ascend, with gaps
	Revision Revision // the new revision of that change, which shows that it is still the same
}

// Change is one write in the log.
type Change struct {
	Cursor Cursor // with the revision that the write gave; of a delete it names the change alone

	Key      Key       // if Redacted, with a keyed hash in place of the external id
	ID       uuid.UUID // of the record
	Before   Revision  // 0 if the write created the record; if Deleted, 0 if Redact added the change
	Deleted  bool
	Redacted bool
	Note     Note
}

// ChangePage is one page of the log.
type ChangePage struct {
	Changes []Change // in the order of the log; the slice is the caller's, the bytes are read-only

	// Next is the cursor after the page. It moves on also when no change was chosen, and
	// is never the zero Cursor, not even for an empty log, unless the query goes backwards.
	Next Cursor

	// More reports that there are further changes now. Without it, ask again later.
	More bool

	// Held is how long the store has been holding changes back, because a transaction
	// is open that may still add one before them. Nothing is lost by that.
	Held time.Duration
}

// CheckChanges returns q with a limit of at most MaxPage: the check that Changes starts
// with, for implementations. The error is that of a context that is done, or
// [ErrInvalid].
func CheckChanges(ctx context.Context, q ChangeQuery) (ChangeQuery, error) {
	if err := ctx.Err(); err != nil {
		return q, err
	}
	if q.Scope != (Scope{}) || q.ExternalID != "" {
		if err := q.Scope.Validate(); err != nil {
			return q, err
		}
	}
	if q.ExternalID != "" {
		if err := checkExternalID(q.ExternalID); err != nil {
			return q, err
		}
	}
	switch {
	case q.Backwards && (q.ExternalID == "" || q.End):
		return q, invalid("a query that goes backwards is not of one key, or asks for the end")
	case q.Limit < 1 && !q.End:
		return q, invalid("the limit of a query is below 1")
	}
	q.Limit = min(q.Limit, MaxPage)
	return q, q.After.check()
}

// CheckRedact is the check that Redact starts with, for implementations: the error is that
// of [CheckKey], or ErrInvalid for a note that has documents or is not valid.
func CheckRedact(ctx context.Context, key Key, note Note) error {
	if err := CheckKey(ctx, key); err != nil {
		return err
	}
	if len(note.Before) > 0 || len(note.After) > 0 {
		return invalid("the note of a redaction has documents")
	}
	return note.check()
}

// CheckTrim is the check that Trim starts with, for implementations: the error is that of a
// context that is done, or ErrInvalid for an end that no log can have.
func CheckTrim(ctx context.Context, end Cursor) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return end.check()
}

func (c Cursor) check() error {
	if c.Position < 0 || (c.Position == 0) != (c.Revision == 0) {
		return invalid("the cursor is not one of a log")
	}
	return nil
}

// Match reports whether the query chooses changes of this key.
func (q ChangeQuery) Match(key Key) bool {
	if q.Scope == (Scope{}) {
		return true
	}
	return key.Scope() == q.Scope && (q.ExternalID == "" || key.ExternalID == q.ExternalID)
}

// RedactedID returns what Redact puts in the place of the external id of a key, for
// implementations: the same for one key and secret, and no hint at the id for a reader
// without the secret.
func RedactedID(secret []byte, key Key) string {
	mac := hmac.New(sha256.New, secret)
	sum := key.Scope().Sum()
	mac.Write(sum[:])
	mac.Write([]byte(key.ExternalID))
	return "redacted-" + hex.EncodeToString(mac.Sum(nil)[:16])
}
