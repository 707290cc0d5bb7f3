package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"

	"github.com/jackc/pgx/v5/pgtype"

	"example.com/resourcekit/storage"
)

// toEntries returns the column entries of a record as the text of an array of bytea: of
// each entry a byte, 1 if it is unique, and its place. It is empty without entries.
func toEntries(entries []storage.Entry) pgtype.Text {
	if len(entries) == 0 {
		return toText("")
	}
	text := []byte{'{'}
	for i, e := range entries {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, `\\x00`...)
		if e.Unique {
			text[len(text)-1] = '1'
		}
		text = hex.AppendEncode(text, place(e.Index, nil))
		text = hex.AppendEncode(text, e.Value)
	}
	return toText(string(append(text, '}')))
}

// place returns where a value is in the order of all entries of a scope: four bytes of
// the index, and the value.
func place(index uint32, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(value)), index), value...)
}

// Lookup implements storage.Store, with one statement; with two if the page has a record
// that is larger than its share of 16 MiB. A page ends early when it holds 16 MiB of
// data.
func (s *Store) Lookup(ctx context.Context, scope storage.Scope, index uint32, r storage.Range) (storage.Page, error) {
	r, err := storage.CheckLookup(ctx, scope, index, r)
	if err != nil {
		return storage.Page{}, err
	}
	low, high := place(index, r.From), place(index, r.To)
	if r.To == nil {
		high = append(high, bytes.Repeat([]byte{0xff}, storage.MaxValue+1)...)
	}
	after := place(index, r.After.Value)
	p := pageQuery{name: "lookup", scope: scope, index: index, limit: r.Limit, after: r.After.ExternalID}
	// The page begins after the position and ends before the bound, or at the bound if
	// it is backwards. No external id is empty: the position (low, "") comes before all.
	if r.Backwards {
		p.direction = backwards
		if r.After.IsZero() || bytes.Compare(high, after) <= 0 {
			after, p.after = high, ""
		}
		p.args = []any{after, low}
	} else {
		if r.After.IsZero() || bytes.Compare(after, low) < 0 {
			after, p.after = low, ""
		}
		p.args = []any{after, high}
	}
	p.sql, p.large = s.sql.lookup[p.direction], s.sql.lookupLarge[p.direction]
	return s.page(ctx, p)
}
