package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"example.com/resourcekit/resource"
)

// maxRow is how many bytes a document may have, without the end of its line.
const maxRow = 1 << 20

var errTooLong = fmt.Errorf("%w: longer than 1 MiB", resource.ErrDocument)

// rows cuts a file into lines, or into the rows of CSV, which can have lines in
// their quotes. encoding/csv does that too, but keeps all of a row in memory: the
// rest of the file when a quote is not closed.
type rows struct {
	r      *bufio.Reader
	csv    bool
	lines  int64 // read so far
	buf    []byte
	quotes quotes
}

func newRows(r io.Reader, csv bool) *rows { return &rows{r: bufio.NewReaderSize(r, 64<<10), csv: csv} }

// next returns the next row that is not blank, with the end of its line, and the
// line that it begins in. The row is good until the next call. The error is io.EOF
// at the end, errTooLong for a row that was left out, or one of the file.
func (r *rows) next() (row []byte, line int64, err error) {
	for {
		line = r.lines + 1
		if line == 1 {
			if mark, _ := r.r.Peek(3); string(mark) == "\ufeff" {
				_, _ = r.r.Discard(3)
			}
		}
		row, err := r.any()
		if err != nil || !r.blank(row) {
			return row, line, err
		}
	}
}

// any returns the next row, also when it is blank.
func (r *rows) any() ([]byte, error) {
	r.buf, r.quotes = r.buf[:0], fieldStart
	size := 0
	for {
		piece, err := r.r.ReadSlice('\n')
		size += len(piece)
		if size <= maxRow+len("\r\n") {
			r.buf = append(r.buf, piece...)
		}
		if r.csv {
			r.quotes = r.quotes.after(piece)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == nil && r.quotes == quoted:
			r.lines++
			continue
		case err != nil && (!errors.Is(err, io.EOF) || size == 0):
			return nil, err
		}
		r.lines++
		if size > len(r.buf) || len(bytes.TrimRight(r.buf, "\r\n")) > maxRow {
			return nil, errTooLong
		}
		return r.buf, nil
	}
}

func (r *rows) blank(row []byte) bool {
	if r.csv {
		row = bytes.TrimSuffix(row, []byte("\n"))
		return len(row) == 0 || string(row) == "\r"
	}
	return len(bytes.TrimSpace(row)) == 0
}

// quotes is where in a row of CSV one is, as encoding/csv sees it.
type quotes int

const (
	fieldStart quotes = iota
	unquoted          // in a field without quotes
	quoted            // within quotes, where a line may end
	quote             // behind a quote within quotes: the last one, or half of two
	malformed         // behind a quote that cannot be: the rest of the line is left out
)

// after returns where one is behind a piece of a row.
func (q quotes) after(piece []byte) quotes {
	for _, c := range piece {
		switch {
		case q == quoted:
			if c == '"' {
				q = quote
			}
		case c == '\n':
			q = fieldStart
		case q == malformed:
		case c == ',':
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
