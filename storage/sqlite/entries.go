package sqlite

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"fmt"

	"example.com/resourcekit/storage"
)

// cell is the stored form of an entry: three digits for the length of the place, 1 for a
// unique entry or 0, and the place. (Digits, since SQL cannot compute with bytes.)
type cell []byte

const (
	cellHead = 4
	minCell  = cellHead + 4
)

func (c cell) unique() bool  { return c[cellHead-1] == '1' }
func (c cell) place() []byte { return c[cellHead:] }
func (c cell) index() uint32 { return binary.BigEndian.Uint32(c.place()) }

// placeOf returns the number of an index and a value in one.
func placeOf(index uint32, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(value)), index), value...)
}

// pack returns the cells of entries, one after the other; nil for none.
func pack(entries []storage.Entry) (packed []byte) {
	for _, e := range entries {
		unique := byte('0')
		if e.Unique {
			unique = '1'
		}
		packed = append(fmt.Appendf(packed, "%03d", 4+len(e.Value)), unique)
		packed = append(binary.BigEndian.AppendUint32(packed, e.Index), e.Value...)
	}
	return packed
}

// next returns the first of the packed cells and the rest; nil at the end.
func next(packed []byte) (first cell, rest []byte) {
	if len(packed) < minCell {
		return nil, nil
	}
	size := cellHead + 100*int(packed[0]-'0') + 10*int(packed[1]-'0') + int(packed[2]-'0')
	size = min(max(size, minCell), len(packed))
	return packed[:size], packed[size:]
}

// has reports whether one of the packed cells has the place.
func has(packed, place []byte) bool {
	for c, rest := next(packed); c != nil; c, rest = next(rest) {
		if bytes.Equal(c.place(), place) {
			return true
		}
	}
	return false
}

// difference returns the cells that a record loses and gains.
func difference(from, to []byte) (lost, gained []cell) {
	a, from := next(from)
	b, to := next(to)
	for a != nil || b != nil {
		order := 0
		switch {
		case b == nil:
			order = -1
		case a == nil:
			order = 1
		default:
			order = bytes.Compare(a.place(), b.place())
		}
		same := order == 0 && a.unique() == b.unique()
		if order <= 0 {
			if !same {
				lost = append(lost, a)
			}
			a, from = next(from)
		}
		if order >= 0 {
			if !same {
				gained = append(gained, b)
			}
			b, to = next(to)
		}
	}
	return lost, gained
}

const (
	// ?5 is a place.
	sqlTaken = "SELECT external_id, records.entries FROM entries" +
		" LEFT JOIN records USING (platform, business, schema, external_id)" +
		" WHERE " + ofScope + " AND place = ?5 AND is_unique = 1 AND external_id <> ?4"
	sqlLeave = "DELETE FROM entries WHERE " + ofKey + " AND place = ?5"
	sqlEnter = "INSERT INTO entries (platform, business, schema, external_id, place, is_unique)" +
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)" +
		" ON CONFLICT (platform, business, schema, place, external_id) DO UPDATE SET is_unique = excluded.is_unique" +
		" WHERE is_unique <> excluded.is_unique"

	sqlEntries    = "SELECT revision, entries FROM records WHERE " + ofKey
	sqlSetEntries = "UPDATE records SET entries = ?6 WHERE " + ofKey + " AND revision = ?5"
)

// move makes a write that moves entries: it reads those of the record, and writes the
// difference. It reports false if the write conflicts, or a unique value is taken.
func (w *writer) move(s *swap) (done bool, err error) {
	key := &s.write.Record.Key
	var revision int64
	var old []byte
	err = w.conn.query(sqlEntries, 2, func(row []driver.Value) bool {
		revision, _ = row[0].(int64)
		old, _ = row[1].([]byte)
		return false
	}, keyArgs(key)...)
	if err != nil || revision != int64(s.write.Expect) || s.entriesOnly && revision == 0 {
		return false, err
	}
	lost, gained := difference(old, s.entries)
	if s.entriesOnly {
		_, gained = difference(nil, s.entries) // all, should SQL have removed some
	}
	for _, c := range gained {
		if !c.unique() {
			continue
		}
		taken, err := w.taken(key, c.place())
		if taken {
			s.err = &storage.NotUniqueError{Index: c.index()}
		}
		if err != nil || taken {
			return false, err
		}
	}
	for _, c := range lost {
		if _, err := w.conn.exec(sqlLeave, keyArgs(key, c.place())...); err != nil {
			return false, err
		}
	}
	for _, c := range gained {
		isUnique := int64(0)
		if c.unique() {
			isUnique = 1
		}
		if _, err := w.conn.exec(sqlEnter, keyArgs(key, c.place(), isUnique)...); err != nil {
			return false, err
		}
	}
	switch {
	case s.entriesOnly && bytes.Equal(old, s.entries):
		return true, nil
	case s.entriesOnly:
		return w.swapped(sqlSetEntries, keyArgs(key, revision, s.entries)...)
	case revision == 0:
		return w.insert(s)
	}
	return w.update(s, old)
}

// taken reports whether another record has a unique entry at the place. It removes one
// that SQL left there when it replaced its record.
func (w *writer) taken(key *storage.Key, place []byte) (taken bool, err error) {
	left := *key
	left.ExternalID = ""
	err = w.conn.query(sqlTaken, 2, func(row []driver.Value) bool {
		left.ExternalID, _ = row[0].(string)
		packed, _ := row[1].([]byte)
		taken = has(packed, place)
		return false
	}, keyArgs(key, place)...)
	if err == nil && !taken && left.ExternalID != "" {
		_, err = w.conn.exec(sqlLeave, keyArgs(&left, place)...)
	}
	return taken, err
}
