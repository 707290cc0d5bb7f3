package resource

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"iter"
	"math"
)

// DefaultMaxLine is how many bytes a line of [NDJSON] may have unless a call says
// otherwise.
const DefaultMaxLine = 16 << 20

// NDJSON returns the lines of newline-delimited JSON as documents for
// [Collection.Import]. Lines with nothing but blanks are no documents and have no
// position. A line of more than maxLine bytes (DefaultMaxLine when 0 or less) is an
// [ErrDocument], and the next one follows. A byte order mark at the start is left
// out. An error of r ends the sequence.
//
// A document's memory is used again for the next one. The sequence reads r, and so
// can be gone through once.
func NDJSON(r io.Reader, maxLine int) iter.Seq2[[]byte, error] {
	if maxLine <= 0 {
		maxLine = DefaultMaxLine
	}
	maxLine = min(maxLine, math.MaxInt-1) // readLine looks at one more
	return func(yield func([]byte, error) bool) {
		in := bufio.NewReaderSize(r, 64<<10)
		var buf []byte
		first := true
		for {
			line, tooLong, err := readLine(in, buf[:0], maxLine)
			if err != nil && err != io.EOF {
				yield(nil, err)
				return
			}
			document, more := bytes.TrimRight(line, " \t\r"), true
			if first {
				document, first = bytes.TrimPrefix(document, []byte("\ufeff")), false
			}
			if tooLong {
				more = yield(nil, fmt.Errorf("%w: a line of more than %d bytes", ErrDocument, maxLine))
			} else if len(bytes.TrimLeft(document, " \t\r")) > 0 { // its blanks stay: errors count bytes of the line
				more = yield(document, nil)
			}
			if err != nil || !more {
				return
			}
			buf = line
		}
	}
}

// readLine appends a line without its end to dst; of one that is too long, only
// what fits. The error is io.EOF when nothing comes after the line.
func readLine(in *bufio.Reader, dst []byte, most int) (line []byte, tooLong bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		part = bytes.TrimSuffix(part, []byte("\n"))
		if room := most + 1 - len(dst); len(part) > room { // one more, which may be the carriage return
			part, tooLong = part[:room], true
		}
		dst = append(dst, part...)
		if err != bufio.ErrBufferFull {
			dst = bytes.TrimSuffix(dst, []byte("\r"))
			return dst, tooLong || len(dst) > most, err
		}
	}
}
