package strictjson

import (
	"bytes"
	"unicode/utf8"
)

// appendDecoded appends the decoded value of a string's text between its quotes. The
// text must have passed Parse.
func appendDecoded(dst, s []byte) []byte {
	for len(s) > 0 {
		plain := bytes.IndexByte(s, '\\')
		if plain < 0 {
			return append(dst, s...)
		}
		r, size := decodeEscape(s[plain:])
		dst = utf8.AppendRune(append(dst, s[:plain]...), r)
		s = s[plain+size:]
	}
	return dst
}

// decodeEscape returns the character that the escape at the start of s means, and the
// length of the escape.
func decodeEscape(s []byte) (rune, int) {
	switch b := s[1]; b {
	case 'u':
		r := rune(hex4(s[2:]))
		if r < 0xD800 || r > 0xDFFF {
			return r, 6
		}
		return (r-0xD800)<<10 + rune(hex4(s[8:])) - 0xDC00 + 0x10000, 12
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	default:
		return rune(b), 2
	}
}

// sameDecoded reports whether the texts of two strings, between their quotes, have the
// same decoded value. It stops at the first character that differs.
func sameDecoded(a, b []byte) bool {
	for len(a) > 0 && len(b) > 0 {
		x, sizeX := decodeRune(a)
		y, sizeY := decodeRune(b)
		if x != y {
			return false
		}
		a, b = a[sizeX:], b[sizeY:]
	}
	return len(a) == len(b)
}

// decodeRune returns the first character of a string's text, decoded, and the length
// of its text.
func decodeRune(s []byte) (rune, int) {
	if s[0] == '\\' {
		return decodeEscape(s)
	}
	return utf8.DecodeRune(s)
}

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string with the escapes that RFC 8259, section 7,
// demands, and no others. Bytes of s that are not UTF-8 become U+FFFD.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= ' ' && b != '"' && b != '\\' && b < utf8.RuneSelf {
			i++
			continue
		}
		if b >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from = i + size
			}
			i += size
			continue
		}
		dst = append(dst, s[from:i]...)
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&15])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

// AppendPointer appends "/" and token, escaped as a reference token of a JSON
// Pointer (RFC 6901, section 3).
func AppendPointer(dst, token []byte) []byte {
	dst = append(dst, '/')
	for _, b := range token {
		switch b {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, b)
		}
	}
	return dst
}

// AppendValue appends node i, compact and without the values in it that are marked as
// Omitted.
func AppendValue(dst []byte, d *Doc, i uint32) []byte {
	n := &d.Nodes[i]
	switch {
	case n.Kind != Object && n.Kind != Array:
		return append(dst, d.Src[n.Start:n.End]...)
	case n.Mark&Partial == 0 && d.Blanks:
		return AppendCompact(dst, d.Src[n.Start:n.End])
	case n.Mark&Partial == 0:
		return append(dst, d.Src[n.Start:n.End]...)
	}
	dst = append(dst, d.Src[n.Start])
	first := len(dst)
	for c := i + 1; c < n.Next; c = d.Nodes[c].Next {
		if d.Nodes[c].Mark&Omitted != 0 {
			continue
		}
		if len(dst) > first {
			dst = append(dst, ',')
		}
		if n.Kind == Object {
			dst = AppendMemberName(dst, d, c)
		}
		dst = AppendValue(dst, d, c)
	}
	return append(dst, d.Src[n.End-1])
}

// AppendMemberName appends the name of member i as it is written, in quotes, and a
// colon.
func AppendMemberName(dst []byte, d *Doc, i uint32) []byte {
	n := &d.Nodes[i]
	return append(append(dst, d.Src[n.NameStart-1:n.NameEnd+1]...), ':')
}

// AppendCompact appends text without the blanks between its tokens. The text must be
// part of one that has passed Parse, and begin outside strings.
func AppendCompact(dst, text []byte) []byte {
	from := 0
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case b == '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case isBlank(b):
			dst = append(dst, text[from:i]...)
			from = i + 1
		}
	}
	return append(dst, text[from:]...)
}
