package ingest

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// CSVOptions are the optional parameters of [NewCSV]. A nil *CSVOptions is the zero
// value.
type CSVOptions struct {
	// Comma is the separator of cells, an ASCII character. When 0 it is
	// recognised: by a first line "sep=;", which Excel knows, or else it is the
	// one of comma, semicolon and tab that the header row has most of.
	Comma rune
	// Columns are the fields of columns that have other names: "Customer ID" to
	// "customerId".
	Columns map[string]string
	// UnknownFields says what becomes of columns that are not a field: an error
	// of NewCSV under schema.RejectUnknown, and under schema.IgnoreUnknown they
	// are left out, and told in CSV.Ignored.
	UnknownFields schema.UnknownFields
	// MaxRow is how many bytes a row may have; 16 MiB when 0 or less.
	MaxRow int
}

// CSV is a text of comma-separated values (RFC 4180) whose first row names the field
// of each column. Make it with [NewCSV].
type CSV struct {
	Comma   rune     // the separator of cells
	Header  []byte   // what a file of rows from this text begins with
	Ignored []Column // the columns that are left out

	rows    *rows
	columns []column
	row     bytes.Reader
	cells   *csv.Reader // of row
	out     bytes.Buffer
	json    *json.Encoder // to out
}

// A column is what the cells of a column are.
type column struct {
	field schema.Field
	name  []byte // of the field, as it is in a document: "email":
	skip  bool   // left out
	empty bool   // a last column without a name: its cells must be empty
}

// NewCSV reads the header row of a CSV text, for documents of a schema. The text may
// have a byte order mark and be in UTF-16, see [UTF8]. opts may be nil.
//
// It returns a [*HeaderError] when the header is not right: a column that is not a
// field, or is an object or array; two columns of one field; none for the external
// id. [storage.ErrInvalid] is for opts that cannot be. Other errors are of r.
func NewCSV(r io.Reader, s *schema.Schema, opts *CSVOptions) (*CSV, error) {
	if opts == nil {
		opts = &CSVOptions{}
	}
	if opts.Comma != 0 && !isComma(opts.Comma) {
		return nil, fmt.Errorf("%w: the separator of CSV must be an ASCII character that is not a letter, digit, quote or line end", storage.ErrInvalid)
	}
	t := &CSV{rows: newRows(r, opts.MaxRow), Comma: opts.Comma}
	t.json = json.NewEncoder(&t.out)
	t.json.SetEscapeHTML(false)
	t.recognise()
	t.rows.comma = t.Comma
	header, err := t.rows.next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, &HeaderError{text: "there is no header row"}
	case err != nil:
		return nil, lineError(header, err)
	}
	t.Header = append(bytes.Clone(header.text), '\n')
	if t.Comma != ',' {
		t.Header = append([]byte("sep="+string(t.Comma)+"\n"), t.Header...)
	}
	names, err := t.split(header)
	if err != nil {
		return nil, &HeaderError{text: fmt.Sprintf("%v: the header row: %v", header.place(), err)}
	}
	if wrong := t.setColumns(slices.Clone(names), s, opts); wrong != nil {
		wrong.text = fmt.Sprintf("%v: the header row: %s", header.place(), wrong.text)
		return nil, wrong
	}
	return t, nil
}

// place returns where the row stands.
func (r row) place() Place { return Place{Line: r.line, LastLine: r.lastLine} }

// lineError returns an error that ends a sequence at a row.
func lineError(at row, err error) error { return fmt.Errorf("%v: %w", at.place(), err) }

// Documents returns the rows after the header as documents. Blank rows and those of
// [AppendRejected] are not documents and have no position.
//
// A cell is what the schema declares the field to be: the text itself, a JSON number,
// or a boolean: true, True, TRUE, false, False or FALSE. An empty cell, quoted or not,
// is an absent field. Line ends within quotes become LF. Empty cells after the last
// column are left out.
//
// A row that is not right is a document that fails, unless it takes several lines and
// its quotes, its length or the number of its cells are wrong. Then it is not certain
// where the next row begins, and the sequence ends with an error, as with one of the
// reader.
//
// A document's memory is used again for the next one. The sequence reads the text,
// and so can be gone through once.
func (t *CSV) Documents() iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for {
			row, err := t.rows.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Document{}, lineError(row, err))
				return
			}
			d := Document{Text: row.text, Line: row.line, LastLine: row.lastLine}
			cells, err := t.split(row)
			if err != nil && (row.lastLine > row.line || row.open) {
				yield(Document{}, lineError(row, fmt.Errorf("%w; a misplaced quote may have joined several rows", err)))
				return
			}
			if d.Err = err; err == nil {
				d.Data, d.Err = t.document(cells)
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// split returns the cells of a row, good until the next call. Errors hold no value.
func (t *CSV) split(r row) ([]string, error) {
	switch {
	case r.open:
		return nil, errors.New("a quote is not closed")
	case r.tooLong:
		return nil, t.rows.errTooLong()
	}
	t.row.Reset(r.whole)
	if t.cells == nil {
		t.cells = csv.NewReader(&t.row)
		t.cells.Comma = t.Comma
		t.cells.FieldsPerRecord = -1 // the columns say it better
		t.cells.ReuseRecord = true
	}
	cells, err := t.cells.Read()
	if err != nil {
		t.cells = nil // it has read ahead
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			err = wrong.Err
		}
		return nil, err
	}
	if t.columns == nil { // the header
		return cells, nil
	}
	found := len(cells)
	for len(cells) > len(t.columns) && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	if len(cells) != len(t.columns) {
		return nil, fmt.Errorf("found %d columns, expected %d", found, len(t.columns))
	}
	return cells, nil
}

// document returns the document of a row, good until the next call. Errors hold no
// value.
func (t *CSV) document(cells []string) ([]byte, error) {
	var found problems
	t.out.Reset()
	t.out.WriteByte('{')
	for i, cell := range cells {
		c := &t.columns[i]
		if cell == "" || c.skip {
			continue
		}
		if c.empty {
			found.add("column %d has no name, and its cell is not empty", i+1)
			continue
		}
		if t.out.Len() > 1 {
			t.out.WriteByte(',')
		}
		t.out.Write(c.name)
		if expected := t.value(c.field.Type, cell); expected != "" {
			found.add("/%s: expected %s", c.field.Name, expected)
		}
	}
	t.out.WriteByte('}')
	if wrong := found.texts(); wrong != nil {
		return nil, errors.New(strings.Join(wrong, "; "))
	}
	return t.out.Bytes(), nil
}

// value writes a cell as a JSON value, or returns what it should have been.
func (t *CSV) value(typ schema.Type, cell string) (expected string) {
	switch typ {
	case schema.Boolean:
		switch cell {
		case "true", "True", "TRUE":
			cell = "true"
		case "false", "False", "FALSE":
			cell = "false"
		default:
			return "true or false"
		}
	case schema.Number, schema.Integer:
		if !isNumber(cell) {
			return "a JSON number"
		}
	default:
		if !utf8.ValidString(cell) {
			return "UTF-8"
		}
		if err := t.json.Encode(cell); err != nil {
			return "text"
		}
		t.out.Truncate(t.out.Len() - 1) // the end of the line
		return ""
	}
	t.out.WriteString(cell)
	return ""
}

// isNumber reports whether a text is a JSON number (RFC 8259, section 6), and has
// nothing around it.
func isNumber(text string) bool {
	digit := func(c byte) bool { return '0' <= c && c <= '9' }
	return (text[0] == '-' || digit(text[0])) && digit(text[len(text)-1]) && json.Valid([]byte(text))
}
