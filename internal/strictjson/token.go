package strictjson

import (
	"encoding/binary"
	"math/bits"
)

// load returns the eight bytes from src[i] on. The full slice expression saves checks
// of bounds.
func load(src []byte, i int) uint64 { return binary.LittleEndian.Uint64(src[i : i+8 : i+8]) }

// special returns a word whose lowest set bit is the high bit of the first byte
// of w (in memory order) that is a quote, a backslash, a control character or not
// ASCII; 0 when there is none. With its second bit flipped, a quote comes right after
// the control characters, so that one comparison finds both.
func special(w uint64) uint64 {
	return ((w ^ ones*2 - ones*('"'^2+1)) | (w ^ ones*'\\' - ones) | w) & highs
}

// scanString reads the string whose first byte after the quote is src[i]. It returns
// the offset of the closing quote and plain or escaped; or the offset of the fault and
// its state.
func scanString(src []byte, i int) (int, int) {
	state := plain
	for {
		for i+8 <= len(src) {
			if m := special(load(src, i)); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				goto found
			}
			i += 8
		}
		for i < len(src) && src[i] >= ' ' && src[i] < 0x80 && src[i] != '"' && src[i] != '\\' {
			i++
		}
		if i >= len(src) {
			return i, cutOff
		}
	found:
		switch b := src[i]; {
		case b == '"':
			return i, state
		case b == '\\':
			for { // escapes come in groups
				size, fault := scanEscape(src[i:])
				if fault != plain {
					if fault == cutOff {
						i = len(src)
					}
					return i, fault
				}
				i += size
				if i == len(src) || src[i] != '\\' {
					break
				}
			}
			state = escaped
		case b < ' ':
			return i, controlCharacter
		default:
			end := scanMultibyte(src, i)
			if end < 0 {
				return ^end, badUTF8
			}
			i = end
		}
	}
}

// scanEscape returns the length of the escape, or pair of surrogate escapes, at the
// start of s, and plain; or 0 and a fault.
func scanEscape(s []byte) (int, int) {
	if len(s) < 2 {
		return 0, cutOff
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, plain
	case 'u':
		u := hex4(s[2:])
		switch {
		case u < 0:
			if len(s) < 6 {
				return 0, cutOff
			}
			return 0, badEscape
		case u < 0xD800 || u > 0xDFFF:
			return 6, plain
		case u > 0xDBFF || len(s) < 12 || s[6] != '\\' || s[7] != 'u':
			return 0, loneSurrogate
		}
		if low := hex4(s[8:]); low < 0xDC00 || low > 0xDFFF {
			return 0, loneSurrogate
		}
		return 12, plain
	}
	return 0, badEscape
}

// hexValue holds the value of each hexadecimal digit, and -1 for other bytes.
var hexValue = func() (t [256]int8) {
	for b := range t {
		t[b] = -1
	}
	for v := range 16 {
		t["0123456789abcdef"[v]] = int8(v)
		t["0123456789ABCDEF"[v]] = int8(v)
	}
	return t
}()

// hex4 returns the value of the four hexadecimal digits at the start of s, or less than
// 0 if there are fewer.
func hex4(s []byte) int {
	if len(s) < 4 {
		return -1
	}
	// A byte that is not a digit makes the result negative.
	return int(hexValue[s[0]])<<12 | int(hexValue[s[1]])<<8 | int(hexValue[s[2]])<<4 | int(hexValue[s[3]])
}

// scanMultibyte reads characters beyond ASCII from src[i] on and returns the offset
// after them, or the complement of the offset of invalid UTF-8. It follows the syntax
// of RFC 3629, section 4.
func scanMultibyte(src []byte, i int) int {
	for i < len(src) && src[i] >= 0x80 {
		// Two characters of three bytes at once, as in most scripts of Asia.
		for i+8 <= len(src) {
			w := load(src, i)
			if w&0xC0C0F0C0C0F0 != 0x8080E08080E0 || !goodLead3(w) || !goodLead3(w>>24) {
				break
			}
			i += 6
		}
		if i >= len(src) || src[i] < 0x80 {
			break
		}
		rest := src[i:]
		switch b := rest[0]; {
		case b < 0xC2 || b > 0xF4:
			return ^i
		case b < 0xE0:
			if len(rest) < 2 || rest[1]&0xC0 != 0x80 {
				return ^i
			}
			i += 2
		case b < 0xF0:
			if len(rest) < 3 || rest[1]&0xC0 != 0x80 || rest[2]&0xC0 != 0x80 ||
				!goodLead3(uint64(b)|uint64(rest[1])<<8) {
				return ^i
			}
			i += 3
		default:
			if len(rest) < 4 || rest[1]&0xC0 != 0x80 || rest[2]&0xC0 != 0x80 || rest[3]&0xC0 != 0x80 ||
				b == 0xF0 && rest[1] < 0x90 || b == 0xF4 && rest[1] > 0x8F {
				return ^i
			}
			i += 4
		}
	}
	return i
}

// goodLead3 reports whether the first two bytes of a three-byte sequence are
// neither an overlong form (E0 80..9F) nor a surrogate (ED A0..BF).
func goodLead3(w uint64) bool {
	lead := w & 0x20FF
	return lead != 0x00E0 && lead != 0x20ED
}

// scanNumber returns the offset after the number that starts at src[i]; or the offset
// of a fault, and its reason (RFC 8259, section 6).
func scanNumber(src []byte, i int) (int, string) {
	if src[i] == '-' {
		i++
	}
	switch {
	case i < len(src) && src[i] == '0':
		i++
	case i < len(src) && src[i] >= '1' && src[i] <= '9':
		i = scanDigits(src, i+1)
	default:
		return i, "expected a digit in a number"
	}
	if i < len(src) && src[i] == '.' {
		end := scanDigits(src, i+1)
		if end == i+1 {
			return end, "expected a digit after the decimal point"
		}
		i = end
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		end := scanDigits(src, i)
		if end == i {
			return end, "expected a digit in an exponent"
		}
		i = end
	}
	return i, ""
}

func scanDigits(src []byte, i int) int {
	for i < len(src) && src[i] >= '0' && src[i] <= '9' {
		i++
	}
	return i
}
