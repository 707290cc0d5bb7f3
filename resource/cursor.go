package resource

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"example.com/resourcekit/storage"
)

// A cursor is a byte for its format and a hash of the list (see head), and then the place
// where the next page begins: in the plain format the external id; in the sealed one,
// encrypted, the number of the index, the length of the value and the value, and the
// external id. All of it is in base64url without padding (RFC 4648, section 5).
//
// The hash finds mistakes but does not protect: a forged plain cursor gets a page that
// begins at another place, of the tenant of the call. The value of a field is sealed so
// that no personal data is in a URL.
const (
	plainFormat  = 1
	sealedFormat = 2
	cursorSum    = 12 // bytes
)

// head returns what a cursor of this format begins with.
func (l *listing) head(format byte) []byte {
	if l.sum == [cursorSum]byte{} {
		records, conditions := l.scope.Sum(), l.filter.Sum()
		whole := append(records[:], conditions[:]...)
		if l.times != nil || l.opts.Order != "" || l.opts.Descending {
			times := l.times.Sum()
			whole = fmt.Appendf(append(whole, times[:]...), "%t %s", l.opts.Descending, l.opts.Order)
		}
		hash := sha256.Sum256(whole)
		l.sum = [cursorSum]byte(hash[:])
	}
	return append([]byte{format}, l.sum[:]...)
}

// cursor returns the cursor of the next page, "" at the end.
func (l *listing) cursor(ctx context.Context) (string, error) {
	if l.after.IsZero() {
		return "", nil
	}
	if l.index == 0 {
		return base64.RawURLEncoding.EncodeToString(append(l.head(plainFormat), l.after.ExternalID...)), nil
	}
	sealer, err := l.c.seal(ctx)
	if err != nil {
		return "", l.fail(err)
	}
	head := l.head(sealedFormat)
	place := binary.BigEndian.AppendUint32(nil, l.index)
	place = binary.BigEndian.AppendUint16(place, uint16(len(l.after.Value)))
	place = append(append(place, l.after.Value...), l.after.ExternalID...)
	return base64.RawURLEncoding.EncodeToString(sealer.Seal(head, place, head)), nil
}

var (
	malformed = &reason{ErrCursor, "malformed cursor"}
	wrongList = &reason{ErrCursor, "invalid cursor: it is of another list; expected one of the same tenant, schema, filter and order"}
)

// A cursorPlace is where a cursor is, and in which index: 0 for the external ids.
type cursorPlace struct {
	index uint32
	after storage.Position
}

// decodeCursor returns the place of the cursor in l.opts.
func (l *listing) decodeCursor(ctx context.Context) (at cursorPlace, err error) {
	if l.opts.Cursor == "" {
		return at, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(l.opts.Cursor)
	if err != nil || len(b) <= 1+cursorSum || base64.RawURLEncoding.EncodeToString(b) != l.opts.Cursor {
		return at, malformed
	}
	head, place := b[:1+cursorSum], b[1+cursorSum:]
	if head[0] != plainFormat && head[0] != sealedFormat {
		return at, &reason{ErrCursor, "invalid cursor: it is of another version of this service; begin the list again"}
	}
	if !bytes.Equal(head, l.head(head[0])) {
		return at, wrongList
	}
	if head[0] == sealedFormat {
		sealer, err := l.c.seal(ctx)
		if err != nil {
			return at, err
		}
		if place, err = sealer.Open(place, head); err != nil || len(place) < 6 {
			return at, malformed
		}
		at.index = binary.BigEndian.Uint32(place)
		size := int(binary.BigEndian.Uint16(place[4:]))
		if place = place[6:]; at.index == 0 || size == 0 || size > min(len(place), storage.MaxValue) {
			return at, malformed
		}
		at.after.Value, place = place[:size], place[size:]
	}
	at.after.ExternalID = string(place)
	key := storage.Key{Tenant: l.scope.Tenant, Schema: l.scope.Schema, ExternalID: at.after.ExternalID}
	if key.Validate() != nil {
		return at, malformed
	}
	return at, nil
}
