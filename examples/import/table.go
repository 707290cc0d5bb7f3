package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

// A table makes documents of the rows of a CSV file.
type table struct {
	columns []column
	row     bytes.Reader
	csv     *csv.Reader // of row
	out     bytes.Buffer
	json    *json.Encoder // to out
}

// A column is what the cells of a column are.
type column struct {
	field schema.Field
	name  []byte // of the field, as it is in a document: "email":
	skip  bool   // there is no such field, and nobody minds
}

// newTable returns the table with this header row. Errors name columns by their
// number: without a header, the first row would be somebody's data.
func newTable(header []byte, s *schema.Schema, ignoreUnknown bool) (*table, error) {
	t := &table{}
	t.json = json.NewEncoder(&t.out)
	t.json.SetEscapeHTML(false)
	names, err := t.split(header)
	if err != nil {
		return nil, err
	}
	def := s.Definition()
	var fields []string
	for _, f := range def.Fields {
		fields = append(fields, f.Name)
	}
	for i, name := range names {
		index := slices.Index(fields, name)
		switch {
		case name == "":
			return nil, fmt.Errorf("column %d has no name", i+1)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("column %d has the name of another one", i+1)
		case index < 0 && !ignoreUnknown:
			return nil, fmt.Errorf("column %d is no field of %s, which are %s; -ignore-unknown leaves such columns out",
				i+1, s.Name(), strings.Join(fields, ", "))
		case index < 0:
			t.columns = append(t.columns, column{skip: true})
			continue
		}
		field := def.Fields[index]
		if field.Type == schema.Object || field.Type == schema.Array {
			return nil, fmt.Errorf("column %d: a cell cannot be an %s", i+1, field.Type)
		}
		text, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		t.columns = append(t.columns, column{field: field, name: append(text, ':')})
	}
	if !slices.Contains(names, def.ExternalID) {
		return nil, fmt.Errorf("no column is %s, the external id", def.ExternalID)
	}
	return t, nil
}

// split returns the cells of a row, good until the next call.
func (t *table) split(row []byte) ([]string, error) {
	t.row.Reset(row)
	if t.csv == nil {
		t.csv = csv.NewReader(&t.row)
		t.csv.FieldsPerRecord = -1 // document says it better
		t.csv.ReuseRecord = len(t.columns) > 0
	}
	cells, err := t.csv.Read()
	if err != nil {
		t.csv = nil // it has read ahead
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			err = wrong.Err
		}
		return nil, fmt.Errorf("%w: %w", resource.ErrDocument, err)
	}
	return cells, nil
}

// document returns the document of a row, good until the next call. The error is
// an ErrDocument, and holds no value of the row.
func (t *table) document(row []byte) ([]byte, error) {
	cells, err := t.split(row)
	if err != nil {
		return nil, err
	}
	if len(cells) != len(t.columns) {
		return nil, fmt.Errorf("%w: found %d columns, want %d", resource.ErrDocument, len(cells), len(t.columns))
	}
	var wrong []string
	t.out.Reset()
	t.out.WriteByte('{')
	for i, cell := range cells {
		c := &t.columns[i]
		if cell == "" || c.skip {
			continue
		}
		if t.out.Len() > 1 {
			t.out.WriteByte(',')
		}
		t.out.Write(c.name)
		if want := t.value(c.field.Type, cell); want != "" {
			wrong = append(wrong, "/"+c.field.Name+": want "+want)
		}
	}
	t.out.WriteByte('}')
	if wrong != nil {
		return nil, fmt.Errorf("%w: %s", resource.ErrDocument, strings.Join(wrong, "; "))
	}
	return t.out.Bytes(), nil
}

// value writes a cell as a JSON value, or returns what it should have been.
func (t *table) value(typ schema.Type, cell string) (want string) {
	switch typ {
	case schema.Boolean:
		if cell != "true" && cell != "false" {
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
