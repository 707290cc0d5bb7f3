package indexvalue

import (
	"bytes"
	"encoding/binary"
)

// A number is 0.DIGITS times ten to the power of an exponent, where the first and the
// last digit are not 0. The digits are written in pairs: 00 to 99 as 1 to 100. In a
// negative number each byte after the sign is inverted, and 0xff ends it, so that of two
// numbers that begin alike the longer one comes first.
const (
	negative = 1
	zero     = 2
	positive = 3
)

// An exponent from -smallExponent to smallExponent-1 is one byte, any other one six.
// Numbers with one sign and exponents from maxExponent on count as equal, and so do those
// with exponents up to -maxExponent.
const (
	smallExponent = 64
	maxExponent   = 1 << 39
	middle        = 0x80 // the byte of exponent 0
	below         = middle - smallExponent - 1
	above         = middle + smallExponent
)

// AppendNumber appends a number, given as JSON (RFC 8259, section 6): 1, 1.0 and 10e-1
// are equal. It is linear in the text and exact, but for exponents of some 5e11 and more.
func AppendNumber(dst, text []byte) []byte {
	sign := byte(positive)
	if text[0] == '-' {
		sign, text = negative, text[1:]
	}
	exponent, first, point := int64(0), -1, -1
	for i, c := range text { // one loop: numbers are short, and bytes.IndexAny slow
		if c > '0' && c <= '9' {
			if first < 0 {
				first = i
			}
		} else if c == '.' {
			point = i
		} else if c != '0' { // e or E
			exponent, text = Exponent(text[i+1:]), text[:i]
			break
		}
	}
	switch {
	case first < 0:
		return append(dst, zero)
	case point < 0:
		exponent += int64(len(text) - first)
	case first < point:
		exponent += int64(point - first)
	default:
		exponent -= int64(first - point - 1)
	}
	dst = append(dst, sign)
	from := len(dst)
	if -maxExponent < exponent && exponent < maxExponent {
		dst = appendDigits(appendExponent(dst, exponent), text[first:])
	} else {
		dst = appendExponent(dst, min(max(exponent, -maxExponent), maxExponent))
	}
	if sign == negative {
		for i := from; i < len(dst); i++ {
			dst[i] = ^dst[i]
		}
		dst = append(dst, 0xff)
	}
	return dst
}

// Exponent returns the value of the exponent of a JSON number, cut to ±(1<<40): more than
// the digits of any text can outweigh.
func Exponent(text []byte) int64 {
	const limit = 1 << 40
	e, negative := int64(0), false
	for _, c := range text {
		switch {
		case c == '-':
			negative = true
		case c != '+':
			e = min(e*10+int64(c-'0'), limit)
		}
	}
	if negative {
		return -e
	}
	return e
}

func appendExponent(dst []byte, e int64) []byte {
	switch {
	case e < -smallExponent:
		dst, e = append(dst, below), e+maxExponent
	case e < smallExponent:
		return append(dst, byte(middle+e))
	default:
		dst = append(dst, above)
	}
	return binary.BigEndian.AppendUint32(append(dst, byte(e>>32)), uint32(e))
}

// appendDigits appends digits, among which there may be a point, in pairs and without the
// zeros at their end.
func appendDigits(dst, digits []byte) []byte {
	half := false
	for _, c := range bytes.TrimRight(digits, "0.") {
		switch {
		case c == '.':
			continue
		case half:
			dst[len(dst)-1] += c - '0'
		default:
			dst = append(dst, (c-'0')*10+1)
		}
		half = !half
	}
	return dst
}
