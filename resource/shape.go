package resource

import (
	"encoding/binary"
	"strings"
	"time"

	"example.com/resourcekit/internal/strictjson"

	"github.com/google/uuid"
)

// ShapeOptions choose the shape of a resource's JSON. A nil *ShapeOptions is the zero
// value: the full shape.
type ShapeOptions struct {
	// OmitDeprecated leaves out the members with deprecated names.
	OmitDeprecated bool
}

// envelope is the table of the members that a resource has between its id and its
// data, in order, each with its deprecated spelling: the only place where those are
// written down.
var envelope = []member{
	{name: "schemaDefinitionId", deprecated: "schema_definition_id", value: schemaID},
	{name: "platformId", deprecated: "platform_id", value: platformID},
	{name: "businessId", deprecated: "business_id", value: businessID},
	{name: "resourceExternalId", deprecated: "resource_external_id", value: externalID},
	{name: "createdAt", deprecated: "created_at", value: createdAt},
	{name: "updatedAt", deprecated: "updated_at", value: updatedAt},
}

type member struct {
	name, deprecated string
	value            value
	at, twin         int // offsets in a piece of a template of the value and its twin; 0 for none
}

// A value is a value of a resource in its JSON.
type value int

// First the UUIDs, then the times.
const (
	resourceID value = iota
	schemaID
	platformID
	businessID
	createdAt
	updatedAt
	externalID
)

// A piece is a part of a template: its text, into which values of a fixed length are
// written. The external id, which has any length, comes after it.
type piece struct {
	text  string
	fixed []member
	last  bool   // no external id comes after it
	twin1 string // the external id's deprecated name, as text; "" for none
}

// full and short are the templates of the two shapes.
var full, short = template(true), template(false)

func template(twins bool) (pieces []piece) {
	blank := piece{text: `{"id":"`}
	add := func(m member, width int) {
		m.at, m.twin = len(blank.text), 0
		blank.text += strings.Repeat(" ", width) + `"`
		if twins && m.deprecated != "" {
			blank.text += `,"` + m.deprecated + `":"`
			m.twin = len(blank.text)
			blank.text += strings.Repeat(" ", width) + `"`
		}
		blank.fixed = append(blank.fixed, m)
	}
	add(member{value: resourceID}, uuidWidth)
	for _, m := range envelope {
		blank.text += `,"` + m.name + `":`
		switch {
		case m.value < createdAt:
			blank.text += `"`
			add(m, uuidWidth)
		case m.value < externalID:
			blank.text += `"`
			add(m, timeWidth)
		default:
			if twins {
				blank.twin1 = `,"` + m.deprecated + `":`
			}
			pieces, blank = append(pieces, blank), piece{}
		}
	}
	blank.text += `,"data":`
	blank.last = true
	return append(pieces, blank)
}

// AppendJSON appends the resource in the shape of the wire contract to dst and returns
// the extended slice. It is a compact JSON object with id, then schemaDefinitionId,
// platformId, businessId, resourceExternalId, createdAt and updatedAt, each followed by
// its deprecated snake_case twin, then data. No member is ever absent. opts may be nil.
// It allocates only when dst has too little room.
func (r *Resource) AppendJSON(dst []byte, opts *ShapeOptions) []byte {
	pieces := full
	if opts != nil && opts.OmitDeprecated {
		pieces = short
	}
	key := &r.record.Key
	uuids := [...]*uuid.UUID{&r.record.ID, &key.Schema, &key.Tenant.Platform, &key.Tenant.Business}
	times := [...]*time.Time{&r.record.CreatedAt, &r.record.UpdatedAt}
	for i := range pieces {
		p := &pieces[i]
		from := len(dst)
		dst = append(dst, p.text...)
		text := dst[from:]
		for k := range p.fixed {
			m := &p.fixed[k]
			if m.value < createdAt {
				putUUID(text, m.at, m.twin, uuids[m.value])
			} else {
				putTime(text, m.at, m.twin, times[m.value-createdAt])
			}
		}
		if p.last {
			break
		}
		from = len(dst)
		dst = strictjson.AppendQuoted(dst, key.ExternalID)
		if to := len(dst); p.twin1 != "" {
			dst = append(dst, p.twin1...)
			dst = append(dst, dst[from:to]...)
		}
	}
	if len(r.shown) == 0 { // the zero Resource
		dst = append(dst, "{}"...)
	}
	dst = append(dst, r.shown...)
	return append(dst, '}')
}

// MarshalJSON returns what AppendJSON(nil, nil) appends.
func (r Resource) MarshalJSON() ([]byte, error) {
	const members = 700 // enough, except for a long external id and the data
	return r.AppendJSON(make([]byte, 0, members+len(r.shown)), nil), nil
}

// What putUUID and putTime write over.
const (
	blankUUID = "........-....-....-....-............"
	blankTime = "....-..-..T..:..:......Z"
	uuidWidth = len(blankUUID)
	timeWidth = len(blankTime)
)

// putUUID writes the text of a UUID (RFC 9562, section 4) to text[at:], and to
// text[twin:] unless twin is 0. Copying the first would wait for its bytes.
func putUUID(text []byte, at, twin int, id *uuid.UUID) {
	le := binary.LittleEndian
	a, b, c, d := hexDigits(le.Uint32(id[0:])), hexDigits(le.Uint32(id[4:])), hexDigits(le.Uint32(id[8:])), hexDigits(le.Uint32(id[12:]))
	for {
		t := (*[uuidWidth]byte)(text[at:])
		le.PutUint64(t[0:], a)
		t[8] = '-'
		le.PutUint32(t[9:], uint32(b))
		t[13] = '-'
		le.PutUint32(t[14:], uint32(b>>32))
		t[18] = '-'
		le.PutUint32(t[19:], uint32(c))
		t[23] = '-'
		le.PutUint32(t[24:], uint32(c>>32))
		le.PutUint64(t[28:], d)
		if twin == 0 {
			return
		}
		at, twin = twin, 0
	}
}

// hexDigits returns the eight hexadecimal digits of four bytes, in memory order.
func hexDigits(x uint32) uint64 {
	w := uint64(x)
	w = (w | w<<16) & 0x0000FFFF0000FFFF
	w = (w | w<<8) & 0x00FF00FF00FF00FF
	w = (w>>4 | w<<8) & 0x0F0F0F0F0F0F0F0F
	letters := (w + 0x0606060606060606) >> 4 & 0x0101010101010101
	return w + 0x3030303030303030 + letters*('a'-'0'-10)
}

// putTime writes t in UTC as RFC 3339 with three decimals to the same places. The
// years are 1 to 9999. time.AppendFormat would take four times as long.
func putTime(text []byte, at, twin int, t *time.Time) {
	year, month, day := t.UTC().Date()
	const days = 719_162 * 24 * 60 * 60 // from the year 1 to 1970, in seconds
	second := uint(t.Unix()+days) % (24 * 60 * 60)
	millis := uint(t.Nanosecond()) / uint(time.Millisecond)
	le := binary.LittleEndian
	a := digits(uint(year)/100) | digits(uint(year)%100)<<16 | '-'<<32 | digits(uint(month))<<40 | '-'<<56
	b := digits(uint(day)) | 'T'<<16 | digits(second/3600)<<24 | ':'<<40 | digits(second/60%60)<<48
	c := ':' | digits(second%60)<<8 | '.'<<24 | uint64('0'+millis/100)<<32 | digits(millis%100)<<40 | 'Z'<<56
	for {
		t := (*[timeWidth]byte)(text[at:])
		le.PutUint64(t[0:], a)
		le.PutUint64(t[8:], b)
		le.PutUint64(t[16:], c)
		if twin == 0 {
			return
		}
		at, twin = twin, 0
	}
}

// digits returns the two digits of n, 0 to 99, in memory order.
func digits(n uint) uint64 { return uint64(pairs[n&127]) }

var pairs = func() (p [128]uint16) {
	for n := range uint16(100) {
		p[n] = '0' + n/10 | ('0'+n%10)<<8
	}
	return p
}()
