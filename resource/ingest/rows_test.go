package ingest

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
)

// byEncodingCSV returns all rows of a text, or what is wrong with them, and the
// lines that they begin in, as encoding/csv reads it.
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

// byRows returns the same as rows and CSV read it.
func byRows(t *testing.T, text io.Reader) (all []string) {
	table := &CSV{Comma: ',', rows: newRows(text, 1<<20)}
	table.rows.comma = ','
	for {
		row, err := table.rows.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		assert.LessOrEqual(t, row.line, row.lastLine)
		assert.Equal(t, table.rows.lines, row.lastLine)
		open := row.open
		row.open = false // encoding/csv has another text
		cells, err := table.split(row)
		if err != nil {
			all = append(all, fmt.Sprintln(row.line, err))
			continue
		}
		assert.False(t, open)
		all = append(all, fmt.Sprintf("%d %q", row.line, cells))
	}
}

// FuzzRows: cut into rows first or not, a CSV file has the same cells and the same
// mistakes.
func FuzzRows(f *testing.F) {
	for _, text := range []string{
		"", "\n", "a", "a,b\nc,d\n", "\r\na\r\n\r\n", "\"a\"\r\nb", "\"a\nb\",c\nd", "\"a\"\"b\",c\n", "a\"b,\"c\nd\ne,\"f\n", "\"a\"b,\"c\nd\n", "\"a\"\r\"b\n\"c\nd", "\"\n\n", "\"\"", "a\rb\nc",
		"\r", "a\r", "\"a\"\r", ",\n,,\n", "\"a\" ,b\nc", "\"a\r\nb\"\r\nc\"", "\"\r\r\n\"\nx", "a\r\r\nb", "\"\n", "a\n\"b\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, mark := range []string{"\ufeff", "\xff\xfe", "\xfe\xff"} {
			text = strings.TrimPrefix(text, mark)
		}
		text = strings.ReplaceAll(text, "#rejected ", "")
		if _, encoding := UTF8(strings.NewReader(text)); encoding != "" {
			return // encoding/csv takes a mark for a part of the first cell
		}
		want := byEncodingCSV(text)
		assert.Equal(t, want, byRows(t, strings.NewReader(text)))
		assert.Equal(t, want, byRows(t, iotest.OneByteReader(strings.NewReader(text))))
	})
}

// TestRowsMemory: however long a row is, little of it is kept.
func TestRowsMemory(t *testing.T) {
	const most = 1 << 20
	for _, comma := range []rune{0, ','} {
		text := io.MultiReader(strings.NewReader("\""), io.LimitReader(endless{}, 64<<20))
		r := newRows(text, most)
		r.comma = comma
		row, err := r.next()
		require.NoError(t, err)
		assert.True(t, row.tooLong)
		assert.Equal(t, comma != 0, row.open)
		assert.EqualValues(t, 1, row.line)
		assert.LessOrEqual(t, cap(r.buf), 2*most)
		_, err = r.next()
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
