package ingest

import (
	"bytes"
	"errors"
	"io"
	"iter"
)

// NDJSON returns the lines of newline-delimited JSON as documents. Blank lines and
// those of [AppendRejected] are not documents and have no position. A line of more
// than max bytes (16 MiB when 0 or less) is a document that fails. The
// text may have a byte order mark and be in UTF-16, see [UTF8]. An error of r ends the
// sequence.
//
// A document's memory is used again for the next one. The sequence reads r, and so
// can be gone through once.
func NDJSON(r io.Reader, max int) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		lines := newRows(r, max)
		for {
			line, err := lines.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Document{}, lineError(line, err))
				return
			}
			// Blanks before a document stay: errors count bytes of the line.
			d := Document{Data: bytes.TrimRight(line.text, " \t\r"), Line: line.line, LastLine: line.lastLine}
			if line.tooLong {
				d.Err = lines.errTooLong()
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}
