package resource

import (
	"crypto/sha256"
	"encoding/base64"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// A cursor is a byte for its format, a hash of tenant, schema and filter, and the
// external id after which the next page begins, in base64url without padding (RFC 4648,
// section 5).
//
// The hash finds mistakes but does not protect: a forged cursor gets a page that begins
// at another place, of the tenant of the call.
const (
	cursorFormat = 1
	cursorSum    = 12 // bytes
)

// sumOf returns the hash in cursors of a list.
func sumOf(scope storage.Scope, filter *schema.Filter) (sum [cursorSum]byte) {
	records, conditions := scope.Sum(), filter.Sum()
	whole := sha256.Sum256(append(records[:], conditions[:]...))
	return [cursorSum]byte(whole[:])
}

// encodeCursor returns the cursor, "" at the end.
func encodeCursor(after string, sum [cursorSum]byte) string {
	if after == "" {
		return ""
	}
	b := make([]byte, 0, 1+cursorSum+len(after))
	b = append(b, cursorFormat)
	b = append(b, sum[:]...)
	b = append(b, after...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(cursor string, scope storage.Scope, sum [cursorSum]byte) (after string, err error) {
	if cursor == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) <= 1+cursorSum || base64.RawURLEncoding.EncodeToString(b) != cursor {
		return "", &reason{ErrCursor, "malformed cursor"}
	}
	if b[0] != cursorFormat {
		return "", &reason{ErrCursor, "invalid cursor: it is of another version of this service; begin the list again"}
	}
	if [cursorSum]byte(b[1:]) != sum {
		return "", &reason{ErrCursor, "invalid cursor: it is of another list; expected one of the same tenant, schema and filter"}
	}
	after = string(b[1+cursorSum:])
	key := storage.Key{Tenant: scope.Tenant, Schema: scope.Schema, ExternalID: after}
	if key.Validate() != nil {
		return "", &reason{ErrCursor, "malformed cursor"}
	}
	return after, nil
}
