package resource_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/resourcekit/resource"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNDJSON(t *testing.T) {
	long := strings.Repeat("x", 70<<10) // longer than the reader's buffer
	broken := errors.New("disk on fire")
	for _, tt := range []struct {
		name, text string
		max        int
		want       string // the documents and errors
	}{
		{"empty", "", 0, ""},
		{"one", `{"a":1}`, 0, `{"a":1}|`},
		{"with its end", "{}\n", 0, "{}|"},
		{"two", "{}\n[]", 0, "{}|[]|"},
		{"CRLF", "{}\r\n[]\r\n", 0, "{}|[]|"},
		{"blank lines", "\n\n \t\r\n{}\n\n[]\n \n", 0, "{}|[]|"},
		{"blanks around", "  {} \n\t[]\t\r\n", 0, "  {}|\t[]|"}, // those before count in offsets
		{"byte order mark", "\ufeff{}\n\ufeff[]", 0, "{}|\ufeff[]|"},
		{"byte order mark alone", "\ufeff", 0, ""},
		{"byte order mark and a blank line", "\ufeff \n{}", 0, "{}|"},
		{"no JSON", "# comment\n{}", 0, "# comment|{}|"},
		{"of just the length", "1234\n{}", 4, "1234|{}|"},
		{"of just the length, CRLF", "1234\r\n{}", 4, "1234|{}|"},
		{"of just the length, at the end", "{}\n1234", 4, "{}|1234|"},
		{"too long", "12345\n{}", 4, "too long|{}|"},
		{"too long, CRLF", "12345\r\n{}", 4, "too long|{}|"},
		{"too long by two carriage returns", "1234\r\r\n{}", 4, "too long|{}|"},
		{"too long, at the end", "{}\n12345", 4, "{}|too long|"},
		{"too long by blanks", "{}   \n[]", 4, "too long|[]|"},
		{"no bound", "12345\r\n{}", math.MaxInt, "12345|{}|"},
		{"long", long + "\n{}", 0, long + "|{}|"},
		{"long, of just the length", long + "\r\n{}", len(long), long + "|{}|"},
		{"long, too long", long + "\n{}", len(long) - 1, "too long|{}|"},
		{"of just the length, the buffer ends in the line's end", long[:64<<10-1] + "\r\n{}", 64<<10 - 1, long[:64<<10-1] + "|{}|"},
		{"longer than several buffers", strings.Repeat(long, 9) + "\n{}", len(long), "too long|{}|"},
	} {
		for kind, wrap := range map[string]func(io.Reader) io.Reader{
			"": func(r io.Reader) io.Reader { return r }, ", byte by byte": iotest.OneByteReader, ", end with data": iotest.DataErrReader,
			", and then an error": func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(broken)) },
		} {
			t.Run(tt.name+kind, func(t *testing.T) {
				var got strings.Builder
				var failed error
				for document, err := range resource.NDJSON(wrap(strings.NewReader(tt.text)), tt.max) {
					require.NoError(t, failed, "nothing comes after an error of the reader")
					switch {
					case errors.Is(err, resource.ErrDocument):
						assert.Nil(t, document)
						fmt.Fprint(&got, "too long|")
					case err != nil:
						failed = err
					default:
						fmt.Fprintf(&got, "%s|", document)
						clear(document)
					}
				}
				if kind == ", and then an error" {
					assert.Equal(t, broken, failed)
					assert.True(t, strings.HasPrefix(tt.want, got.String()))
					return
				}
				require.NoError(t, failed)
				assert.Equal(t, tt.want, got.String())
			})
		}
	}
	n := 0
	for range resource.NDJSON(strings.NewReader("1\n2\n3"), 0) {
		if n++; n == 2 {
			break
		}
	}
	assert.Equal(t, 2, n)
}

// TestImportNDJSON: positions count documents, so blank lines do not shift them.
func TestImportNDJSON(t *testing.T) {
	c, _ := customers(t)
	text := "\n" + cust("") + "\n\n" + `{"customerId":"c-2"}` + "\r\n" + strings.Repeat(" ", 2000) + "\n" + strings.Replace(cust(""), "c-1", "c-3", 1)
	res, err := c.Import(ctx, tenant, resource.NDJSON(strings.NewReader(text), 1000), nil)
	require.NoError(t, err)
	assert.EqualValues(t, 2, res.Created)
	require.Len(t, res.Errors, 2)
	assert.EqualValues(t, 1, res.Errors[0].Position)
	assert.EqualValues(t, 2, res.Errors[1].Position)
	assert.EqualError(t, res.Errors[1], "document at position 2: unusable document: a line of more than 1000 bytes")
	assert.EqualValues(t, 4, res.Position)
}
