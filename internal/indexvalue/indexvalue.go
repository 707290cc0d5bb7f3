// Package indexvalue writes values so that the order of their bytes is the order of the
// values. All values of one index are of one kind.
//
//	absent      00
//	boolean     01 false, 02 true
//	string      01, its bytes
//	number      01 negative, 02 zero, 03 positive; exponent; digits
//	date-time   01; seconds; digits of the fraction
//
// What the Append functions write is whole: of any length, and equal only for equal
// values. [Cut] makes of it what an index stores, and [From], [To], [Only] and [Next] the
// bounds of a search in it.
package indexvalue

import (
	"crypto/sha256"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Absent stands for no value. It comes before all others.
const Absent = "\x00"

// Present comes after Absent, and before all others.
const Present = "\x01"

const (
	// maxWhole is the length in bytes up to which a value is stored whole. A longer one
	// is cut there, ends in cutMark, and is unique only by a hash.
	maxWhole = 239
	cutMark  = 0xff
	hashSize = 16
)

// AppendString appends a string, which is UTF-8.
func AppendString(dst, s []byte) []byte { return append(append(dst, 1), s...) }

// AppendLower appends a string with [unicode.ToLower] of each of its characters.
func AppendLower(dst, s []byte) []byte {
	dst = append(dst, 1)
	for len(s) > 0 {
		if c := s[0]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst, s = append(dst, c), s[1:]
			continue
		}
		r, size := utf8.DecodeRune(s)
		dst = utf8.AppendRune(dst, unicode.ToLower(r))
		s = s[size:]
	}
	return dst
}

// AppendBool appends a boolean.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 2)
	}
	return append(dst, 1)
}

// Cut returns the bytes that an index stores for a whole value: 1 to 256. It may change
// the memory of whole. Values that differ after the first 239 bytes only are equal once
// they are cut, unless unique is set: then they differ, and have no order.
func Cut(whole []byte, unique bool) []byte {
	if len(whole) <= maxWhole {
		return whole
	}
	hash := sha256.Sum256(whole)
	whole = append(whole[:maxWhole], cutMark)
	if unique {
		whole = append(whole, hash[:hashSize]...)
	}
	return whole
}

// From returns bytes that are not after any value from whole on, once it is cut.
func From(whole []byte) []byte { return slices.Clone(whole[:min(len(whole), maxWhole)]) }

// To returns bytes that are after every value before whole, once it is cut.
func To(whole []byte) []byte {
	if len(whole) <= maxWhole {
		return slices.Clone(whole)
	}
	return Next(whole)
}

// Only returns bounds, from included and to not, between which nothing but the whole
// value is, once it is cut.
func Only(whole []byte, unique bool) (from, to []byte) {
	if len(whole) <= maxWhole {
		to = append(append(make([]byte, 0, len(whole)+1), whole...), 0)
		return to[:len(whole):len(whole)], to
	}
	from = Cut(slices.Clone(whole), unique)
	return from, increment(slices.Clone(from))
}

// Next returns bytes that are after every value that begins with whole, once it is cut.
func Next(whole []byte) []byte { return increment(From(whole)) }

// increment makes of bytes, not all of which are 0xff, the first ones that are after all
// that begin with them.
func increment(b []byte) []byte {
	for b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	b[len(b)-1]++
	return b
}
