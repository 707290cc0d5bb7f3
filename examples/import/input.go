package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

// An input is the documents of a file, with the lines that they begin in. It keeps
// those lines for one batch, which is how long an import can ask for them.
type input struct {
	ctx   context.Context
	bytes *counter
	rows  *rows
	table *table // nil for NDJSON
	from  int64  // documents before this position are not wanted

	lines []int64 // of the documents from position first on
	first int64
	err   error // why the input ends before its end
}

// newInput returns the input of a file. The error is of a CSV header.
func newInput(ctx context.Context, file io.Reader, format string, s *schema.Schema, ignoreUnknown bool) (*input, error) {
	in := &input{ctx: ctx, bytes: &counter{r: file}}
	in.rows = newRows(in.bytes, format == "csv")
	if format != "csv" {
		return in, nil
	}
	header, line, err := in.rows.next()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file has no header row")
	}
	if err == nil {
		in.table, err = newTable(header, s, ignoreUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: the header row: %w", line, err)
	}
	return in, nil
}

// begin says which documents are wanted, before the first is read.
func (in *input) begin(from int64) { in.from, in.first = from, from }

// documents is the sequence of the documents.
func (in *input) documents(yield func([]byte, error) bool) {
	for position := int64(0); ; position++ {
		document, line, err := in.rows.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if in.err == nil {
			in.err = in.ctx.Err()
		}
		if err != nil && !errors.Is(err, resource.ErrDocument) {
			in.err = fmt.Errorf("line %d: %w", line, err)
		}
		if in.err != nil {
			yield(nil, in.err)
			return
		}
		if position >= in.from {
			in.lines = append(in.lines, line)
			if err == nil && in.table != nil {
				document, err = in.table.document(document)
			}
		}
		if !yield(document, err) {
			return
		}
	}
}

// line returns the line that a document begins in, of the batch that is not done.
func (in *input) line(position int64) int64 { return in.lines[position-in.first] }

// done forgets the lines of what is done.
func (in *input) done(position int64) {
	in.lines = append(in.lines[:0], in.lines[position-in.first:]...)
	in.first = position
}

// end makes the sequence end with an error at the next document.
func (in *input) end(err error) { in.err = err }

// read returns how many bytes of the file have been read.
func (in *input) read() int64 { return in.bytes.n }

// A counter counts the bytes that go through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
