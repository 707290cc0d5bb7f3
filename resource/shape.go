package resource

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"example.com/resourcekit/internal/strictjson"

	"github.com/google/uuid"
)

// ShapeOptions choose between shapes of a resource. A nil *ShapeOptions is the
// zero value: the full shape.
type ShapeOptions struct {
	// OmitDeprecated leaves out the deprecated spellings of members.
	OmitDeprecated bool
}

// envelope is the table of the members that a resource has beside its id and
// its data, in order, each with its deprecated spelling: the only place where
// those are written down.
var envelope = [...]struct {
	name, deprecated string
	append           func(dst []byte, r *Resource) []byte
}{
	{`,"schemaDefinitionId":`, `,"schema_definition_id":`, func(dst []byte, r *Resource) []byte {
		return appendUUID(dst, r.record.Key.Schema)
	}},
	{`,"platformId":`, `,"platform_id":`, func(dst []byte, r *Resource) []byte {
		return appendUUID(dst, r.record.Key.Tenant.Platform)
	}},
	{`,"businessId":`, `,"business_id":`, func(dst []byte, r *Resource) []byte {
		return appendUUID(dst, r.record.Key.Tenant.Business)
	}},
	{`,"resourceExternalId":`, `,"resource_external_id":`, func(dst []byte, r *Resource) []byte {
		return strictjson.AppendQuoted(dst, r.record.Key.ExternalID)
	}},
	{`,"createdAt":`, `,"created_at":`, func(dst []byte, r *Resource) []byte {
		return appendTime(dst, r.record.CreatedAt)
	}},
	{`,"updatedAt":`, `,"updated_at":`, func(dst []byte, r *Resource) []byte {
		return appendTime(dst, r.record.UpdatedAt)
	}},
}

// AppendJSON appends the resource in the shape of the wire contract to dst and
// returns the extended slice: an object with id, then schemaDefinitionId,
// platformId, businessId, resourceExternalId, createdAt and updatedAt, each
// followed by its deprecated snake_case twin, then data. All members are always
// there. It is compact JSON. opts may be nil. It allocates only when dst has too
// little room.
func (r *Resource) AppendJSON(dst []byte, opts *ShapeOptions) []byte {
	twins := opts == nil || !opts.OmitDeprecated
	dst = append(dst, `{"id":`...)
	dst = appendUUID(dst, r.record.ID)
	for i := range envelope {
		m := &envelope[i]
		dst = append(dst, m.name...)
		from := len(dst)
		dst = m.append(dst, r)
		if twins {
			to := len(dst)
			dst = append(dst, m.deprecated...)
			dst = append(dst, dst[from:to]...)
		}
	}
	dst = append(dst, `,"data":`...)
	if len(r.shown) == 0 { // the zero Resource
		dst = append(dst, "{}"...)
	}
	dst = append(dst, r.shown...)
	return append(dst, '}')
}

// MarshalJSON returns what AppendJSON(nil, nil) appends.
func (r Resource) MarshalJSON() ([]byte, error) {
	const members = 700 // enough for everything but a long external id and the data
	return r.AppendJSON(make([]byte, 0, members+len(r.shown)), nil), nil
}

// hexPairs has the two hexadecimal digits of every byte, in memory order.
var hexPairs = func() (pairs [256]uint16) {
	for b := range pairs {
		pairs[b] = binary.NativeEndian.Uint16(hex.AppendEncode(nil, []byte{byte(b)}))
	}
	return pairs
}()

// uuidDigits says where the digits of each byte of a UUID stand in its text
// between quotes (RFC 9562, section 4).
var uuidDigits = [16]int{1, 3, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 29, 31, 33, 35}

func appendUUID(dst []byte, id uuid.UUID) []byte {
	dst = append(dst, `"........-....-....-....-............"`...)
	text := (*[38]byte)(dst[len(dst)-38:])
	for i, b := range id {
		binary.NativeEndian.PutUint16(text[uuidDigits[i]:], hexPairs[b])
	}
	return dst
}

// appendTime appends t in UTC as RFC 3339 with three decimals. time.AppendFormat
// would take four times as long.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = append(dst, `"....-..-..T..:..:......Z"`...)
	text := (*[26]byte)(dst[len(dst)-26:])
	twoDigits(text[1:], year/100)
	twoDigits(text[3:], year%100)
	twoDigits(text[6:], int(month))
	twoDigits(text[9:], day)
	twoDigits(text[12:], hour)
	twoDigits(text[15:], minute)
	twoDigits(text[18:], second)
	millis := t.Nanosecond() / int(time.Millisecond)
	text[21] = byte('0' + millis/100)
	twoDigits(text[22:], millis%100)
	return dst
}

// twoDigits writes n, 0 to 99.
func twoDigits(text []byte, n int) { text[0], text[1] = byte('0'+n/10), byte('0'+n%10) }
