package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"

	"github.com/google/uuid"
)

// byEncodingCSV returns all rows of a text, or what is wrong with them, and the
// lines that they begin in, as encoding/csv has it.
func byEncodingCSV(text string) (all []string) {
	r := csv.NewReader(strings.NewReader(text))
	r.FieldsPerRecord = -1
	for {
		cells, err := r.Read()
		var wrong *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			return all
		case errors.As(err, &wrong):
			all = append(all, fmt.Sprintln(wrong.StartLine, wrong.Err))
		default:
			line, _ := r.FieldPos(0)
			all = append(all, fmt.Sprintf("%d %q", line, cells))
		}
	}
}

// byRows returns the same as rows and table have it.
func byRows(t *testing.T, text io.Reader) (all []string) {
	rows, table := newRows(text, true), &table{}
	for {
		row, line, err := rows.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		cells, err := table.split(row)
		if err != nil {
			_, reason, _ := strings.Cut(err.Error(), ": ")
			all = append(all, fmt.Sprintln(line, reason))
			assert.ErrorIs(t, err, resource.ErrDocument)
			continue
		}
		all = append(all, fmt.Sprintf("%d %q", line, cells))
	}
}

// FuzzRows: cut into rows first or not, a CSV file has the same cells and the same
// mistakes.
func FuzzRows(f *testing.F) {
	for _, text := range []string{
		"", "\n", "a", "a,b\nc,d\n", "\r\na\r\n\r\n", "\"a\"\r\nb", "\"a\nb\",c\nd", "\"a\"\"b\",c\n", "a\"b,\"c\nd\ne,\"f\n", "\"a\"b,\"c\nd\n", "\"a\"\r\"b\n\"c\nd", "\"\n\n", "\"\"", "a\rb\nc",
		"\r", "a\r", "\"a\"\r", ",\n,,\n", "\"a\" ,b\nc", "\"a\r\nb\"\r\nc\"", "\"\r\r\n\"\nx",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.HasPrefix(text, "\ufeff") {
			t.Skip("encoding/csv takes it for a part of the first cell")
		}
		want := byEncodingCSV(text)
		assert.Equal(t, want, byRows(t, strings.NewReader(text)))
		assert.Equal(t, want, byRows(t, iotest.OneByteReader(strings.NewReader(text))))
	})
}

// TestRowsMemory: however long a row is, little of it is kept.
func TestRowsMemory(t *testing.T) {
	for _, csv := range []bool{false, true} {
		text := io.MultiReader(strings.NewReader("\""), io.LimitReader(endless{}, 64<<20))
		r := newRows(text, csv)
		_, line, err := r.next()
		assert.ErrorIs(t, err, errTooLong)
		assert.EqualValues(t, 1, line)
		assert.LessOrEqual(t, cap(r.buf), 2*maxRow)
		_, _, err = r.next()
		assert.ErrorIs(t, err, io.EOF)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// TestColumnTypes: what no field of the three schemas is.
func TestColumnTypes(t *testing.T) {
	s := schema.MustCompile(schema.Definition{ID: uuid.New(), Name: "things", ExternalID: "id", Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true}, {Name: "n \"é\"", Type: schema.Integer},
		{Name: "o", Type: schema.Object}, {Name: "a", Type: schema.Array},
	}})
	_, err := newTable([]byte("id,o"), s, true)
	assert.EqualError(t, err, "column 2: a cell cannot be an object")
	_, err = newTable([]byte("a,id"), s, true)
	assert.EqualError(t, err, "column 1: a cell cannot be an array")
	table, err := newTable([]byte("\"n \"\"é\"\"\",id"), s, false)
	require.NoError(t, err)
	document, err := table.document([]byte("12,x\n"))
	require.NoError(t, err)
	assert.Equal(t, `{"n \"é\"":12,"id":"x"}`, string(document))
	require.NoError(t, s.Validate(document))
}
