package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
)

// maxLine is how many bytes a line of [NDJSON] or a row of [NewCSV] may have
// unless a call says otherwise.
const maxLine = 16 << 20

// rejectedMark begins a line that AppendRejected adds.
const rejectedMark = "#rejected "

// AppendRejected appends a text that was refused to dst, after a line of its own with
// the reason: "#rejected line 3: ...". NDJSON and NewCSV leave such lines out, so a
// file of rejected texts can be mended and imported again. A CSV file begins with
// CSV.Header.
func AppendRejected(dst []byte, failed DocumentError, text []byte) []byte {
	reason := strings.NewReplacer("\n", " ", "\r", " ", `"`, `'`).Replace(failed.Error())
	dst = append(append(append(dst, rejectedMark...), reason...), '\n')
	if len(text) > 0 {
		dst = append(append(dst, text...), '\n')
	}
	return dst
}

// rows cuts a text into lines, or into the rows of CSV, which can have lines in
// their quotes. encoding/csv does that too, but keeps all of a row in memory: the
// rest of the text when a quote is not closed.
type rows struct {
	in    *bufio.Reader
	max   int   // bytes of a row
	comma rune  // of CSV; 0 for lines
	lines int64 // read so far
	buf   []byte
}

// A row is a row or line of a text. Its bytes are good until the next call, and nil
// when it is too long.
type row struct {
	text     []byte // without its end
	whole    []byte // with its end
	line     int64  // the first one
	lastLine int64
	tooLong  bool
	open     bool // the text ends within quotes
}

// newRows returns the rows of a text. max is maxLine when 0 or less.
func newRows(r io.Reader, max int) *rows {
	if max <= 0 {
		max = maxLine
	}
	text, _ := UTF8(r)
	in, buffered := text.(*bufio.Reader)
	if !buffered {
		in = bufio.NewReaderSize(text, 64<<10)
	}
	return &rows{in: in, max: min(max, math.MaxInt-2)} // any looks at two bytes more
}

// next returns the next row that is neither blank nor one that AppendRejected made.
// The error is io.EOF at the end, or one of the text.
func (r *rows) next() (row, error) {
	for {
		next, err := r.any()
		switch {
		case err != nil || next.tooLong || next.open:
			return next, err
		case bytes.HasPrefix(bytes.TrimPrefix(next.text, []byte(`"`)), []byte(rejectedMark)):
		case r.comma != 0 && len(next.text) > 0, len(bytes.TrimLeft(next.text, " \t\r")) > 0:
			return next, nil
		}
	}
}

// any returns the next row, whatever it is.
func (r *rows) any() (row, error) {
	next := row{line: r.lines + 1}
	r.buf = r.buf[:0]
	size, state, lineBegun := 0, fieldStart, false
	for {
		piece, err := r.in.ReadSlice('\n')
		size += len(piece)
		if size <= r.max+len("\r\n") {
			r.buf = append(r.buf, piece...)
		}
		if r.comma != 0 {
			state = state.after(piece, r.comma)
		}
		lineBegun = lineBegun || len(piece) > 0
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil && state == quoted:
			r.lines++
			lineBegun = false
			continue
		case err != nil && (!errors.Is(err, io.EOF) || size == 0):
			next.lastLine = next.line
			return next, err
		}
		if lineBegun {
			r.lines++
		}
		next.lastLine, next.open = r.lines, state == quoted
		text := bytes.TrimSuffix(bytes.TrimSuffix(r.buf, []byte("\n")), []byte("\r"))
		if next.tooLong = size > len(r.buf) || len(text) > r.max; !next.tooLong {
			next.text, next.whole = text, r.buf
		}
		return next, nil
	}
}

// quotes is where in a row of CSV one is, as encoding/csv sees it.
type quotes int

const (
	fieldStart quotes = iota
	unquoted          // in a field without quotes
	quoted            // within quotes, where a line may end
	quote             // after a quote within quotes: the last one, or half of two
	malformed         // after a quote that cannot be: the rest of the line is left out
)

// after returns where one is after a piece of a row. comma is ASCII.
func (q quotes) after(piece []byte, comma rune) quotes {
	for _, c := range piece {
		switch {
		case q == quoted:
			if c == '"' {
				q = quote
			}
		case c == '\n':
			q = fieldStart
		case q == malformed:
		case rune(c) == comma:
			q = fieldStart
		case q == fieldStart && c == '"', q == quote && c == '"':
			q = quoted
		case q == quote, c == '"':
			q = malformed
		default:
			q = unquoted
		}
	}
	return q
}

// errTooLong is for a row that was left out.
func (r *rows) errTooLong() error { return fmt.Errorf("more than %d bytes", r.max) }
