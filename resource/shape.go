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

// envelope is the table of the members of a resource between id and data, in order. It
// is the only place of the deprecated names. Each member has one of the functions, which
// returns its value.
var envelope = []member{
	{name: "schemaDefinitionId", deprecated: "schema_definition_id", uuid: func(r *Resource) *uuid.UUID { return &r.record.Key.Schema }},
	{name: "platformId", deprecated: "platform_id", uuid: func(r *Resource) *uuid.UUID { return &r.record.Key.Tenant.Platform }},
	{name: "businessId", deprecated: "business_id", uuid: func(r *Resource) *uuid.UUID { return &r.record.Key.Tenant.Business }},
	{name: "resourceExternalId", deprecated: "resource_external_id", text: func(r *Resource) string { return r.record.Key.ExternalID }},
	{name: "createdAt", deprecated: "created_at", time: func(r *Resource) time.Time { return r.record.CreatedAt }},
	{name: "updatedAt", deprecated: "updated_at", time: func(r *Resource) time.Time { return r.record.UpdatedAt }},
}

type member struct {
	name, deprecated string
	uuid             func(*Resource) *uuid.UUID
	time             func(*Resource) time.Time
	text             func(*Resource) string

	at, twin int // offsets in a piece of a template of the value and its twin; 0 for none
}

// A piece is a part of a template: its text, into which values of a fixed length are
// written, and the member of variable length that comes after it.
type piece struct {
	text  string
	fixed []member
	text1 *member // the member of variable length; nil at the end
	twin1 string  // the text of its deprecated name; "" for none
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
	add(member{uuid: func(r *Resource) *uuid.UUID { return &r.record.ID }}, uuidWidth)
	for _, m := range envelope {
		blank.text += `,"` + m.name + `":`
		switch {
		case m.uuid != nil:
			blank.text += `"`
			add(m, uuidWidth)
		case m.time != nil:
			blank.text += `"`
			add(m, timeWidth)
		default:
			blank.text1 = &m
			if twins {
				blank.twin1 = `,"` + m.deprecated + `":`
			}
			pieces, blank = append(pieces, blank), piece{}
		}
	}
	blank.text += `,"data":`
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
	for i := range pieces {
		p := &pieces[i]
		from := len(dst)
		dst = append(dst, p.text...)
		text := dst[from:]
		for k := range p.fixed {
			m := &p.fixed[k]
			switch {
			case m.uuid != nil:
				putUUID(text, m.at, m.twin, m.uuid(r))
			default:
				putTime(text, m.at, m.twin, m.time(r))
			}
		}
		if p.text1 == nil {
			break
		}
		from = len(dst)
		dst = strictjson.AppendQuoted(dst, p.text1.text(r))
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

const (
	uuidWidth = len("........-....-....-....-............")
	timeWidth = len("....-..-..T..:..:......Z")
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

// putTime writes t in UTC as RFC 3339 with three decimals, to the same places as
// putUUID. The years are 1 to 9999. time.AppendFormat would take four times as long.
func putTime(text []byte, at, twin int, t time.Time) {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	millis := t.Nanosecond() / int(time.Millisecond)
	le := binary.LittleEndian
	a := digits(year/100) | digits(year%100)<<16 | '-'<<32 | digits(int(month))<<40 | '-'<<56
	b := digits(day) | 'T'<<16 | digits(hour)<<24 | ':'<<40 | digits(minute)<<48
	c := ':' | digits(second)<<8 | '.'<<24 | uint64('0'+millis/100)<<32 | digits(millis%100)<<40 | 'Z'<<56
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
func digits(n int) uint64 { return uint64('0'+n/10) | uint64('0'+n%10)<<8 }
