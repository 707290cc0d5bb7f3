package ingest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// UTF8 returns the text of r in UTF-8 without the byte order mark at its start, and
// the encoding that the mark says: "UTF-8", "UTF-16LE", "UTF-16BE", or "" if there is
// none, and r is passed on as it is.
//
// Half a surrogate pair and half a code unit become bytes that are not UTF-8, so that
// what holds them fails. [NDJSON] and [NewCSV] call UTF8 themselves.
func UTF8(r io.Reader) (text io.Reader, encoding string) {
	in := bufio.NewReaderSize(r, 64<<10)
	mark, _ := in.Peek(3) // an error comes again with the first Read
	switch {
	case string(mark) == "\ufeff":
		_, _ = in.Discard(3)
		return in, "UTF-8"
	case len(mark) >= 2 && mark[0] == 0xff && mark[1] == 0xfe:
		_, _ = in.Discard(2)
		return &utf16Reader{in: in, order: binary.LittleEndian}, "UTF-16LE"
	case len(mark) >= 2 && mark[0] == 0xfe && mark[1] == 0xff:
		_, _ = in.Discard(2)
		return &utf16Reader{in: in, order: binary.BigEndian}, "UTF-16BE"
	}
	return in, ""
}

// A utf16Reader turns UTF-16 into UTF-8.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	out   []byte // read from in, and not from this reader
	buf   [512]byte
}

// Read implements io.Reader.
func (u *utf16Reader) Read(p []byte) (int, error) {
	if len(u.out) == 0 {
		u.out = u.buf[:0]
		for len(u.out)+utf8.UTFMax <= len(u.buf) {
			var err error
			if u.out, err = u.appendNext(u.out); err != nil {
				if len(u.out) > 0 {
					break // the error comes again
				}
				return 0, err
			}
		}
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// appendNext appends the next character.
func (u *utf16Reader) appendNext(dst []byte) ([]byte, error) {
	unit, err := u.in.Peek(2)
	if len(unit) < 2 {
		if len(unit) == 1 && errors.Is(err, io.EOF) {
			_, _ = u.in.Discard(1)
			return append(dst, 0xff), nil
		}
		return dst, err
	}
	r := rune(u.order.Uint16(unit))
	if utf16.IsSurrogate(r) {
		if pair, _ := u.in.Peek(4); len(pair) == 4 {
			if whole := utf16.DecodeRune(r, rune(u.order.Uint16(pair[2:]))); whole != utf8.RuneError {
				_, _ = u.in.Discard(4)
				return utf8.AppendRune(dst, whole), nil
			}
		}
		_, _ = u.in.Discard(2)
		return append(dst, 0xff), nil
	}
	_, _ = u.in.Discard(2)
	return utf8.AppendRune(dst, r), nil
}
