package strictjson

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A Pointer is a JSON Pointer (RFC 6901).
type Pointer string

const (
	maxShownName = 64  // bytes of a name, in its escaped form
	maxShownPath = 192 // bytes of a pointer, after which no more names are added
)

// AppendShownName appends a name that a client made up as one token of a JSON Pointer,
// safe for a log line, a terminal and a web page: escaped, and cut at 64 bytes, between
// two characters.
func AppendShownName(dst, name []byte) []byte {
	start := len(dst)
	for len(name) > 0 {
		r, size := utf8.DecodeRune(name)
		name = name[size:]
		before := len(dst)
		dst = appendShownRune(dst, r)
		if len(dst)-start > maxShownName {
			return append(dst[:before], "…"...)
		}
	}
	return dst
}

func appendShownRune(dst []byte, r rune) []byte {
	switch {
	case r == '~':
		return append(dst, "~0"...)
	case r == '/':
		return append(dst, "~1"...)
	case strings.ContainsRune("\"\\<>&'`", r) || !unicode.IsPrint(r):
		if r > 0xffff {
			hi, lo := utf16.EncodeRune(r)
			return appendShownEscape(appendShownEscape(dst, hi), lo)
		}
		return appendShownEscape(dst, r)
	}
	return utf8.AppendRune(dst, r)
}

func appendShownEscape(dst []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
