package ingest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"example.com/resourcekit/resource/ingest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// utf16Of returns a text in UTF-16.
func utf16Of(text string, order binary.ByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = append(b, 0, 0)
		order.PutUint16(b[len(b)-2:], unit)
	}
	return string(b)
}

func TestNDJSON(t *testing.T) {
	long := strings.Repeat("x", 70<<10) // longer than the reader's buffer
	broken := errors.New("disk on fire")
	for _, tt := range []struct {
		name, text string
		max        int
		want       string // the documents and errors
	}{
		{"empty", "", 0, ""},
		{"rejected", "#rejected line 1: a reason\n{}\n\"#rejected as a cell\"\n#rejected at the end", 0, "{}|"},
		{"not rejected", "#reject\n #rejected line 1\n", 0, "#reject| #rejected line 1|"},
		{"UTF-16LE", utf16Of("\ufeff{\"a\":\"\u00e9\U0001F600\"}\r\n[]", binary.LittleEndian), 0, "{\"a\":\"\u00e9\U0001F600\"}|[]|"},
		{"UTF-16BE", utf16Of("\ufeff{\"a\":\"\u00e9\U0001F600\"}\r\n[]", binary.BigEndian), 0, "{\"a\":\"\u00e9\U0001F600\"}|[]|"},
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
				for document, err := range ingest.NDJSON(wrap(strings.NewReader(tt.text)), tt.max) {
					require.NoError(t, failed, "nothing comes after an error of the reader")
					switch {
					case err != nil:
						failed = err
					case document.Err != nil:
						assert.Empty(t, document.Data)
						fmt.Fprint(&got, "too long|")
					default:
						fmt.Fprintf(&got, "%s|", document.Data)
						clear(document.Data)
					}
				}
				if kind == ", and then an error" {
					assert.ErrorIs(t, failed, broken)
					assert.Regexp(t, `^line \d+: disk on fire$`, failed.Error())
					assert.True(t, strings.HasPrefix(tt.want, got.String()))
					return
				}
				require.NoError(t, failed)
				assert.Equal(t, tt.want, got.String())
			})
		}
	}
	n := 0
	for range ingest.NDJSON(strings.NewReader("1\n2\n3"), 0) {
		if n++; n == 2 {
			break
		}
	}
	assert.Equal(t, 2, n)
}

// TestImportNDJSON: positions count documents, so blank lines do not shift them, and
// lines are those of the text.
func TestImportNDJSON(t *testing.T) {
	c, _ := customers(t)
	text := "\n" + customer("c-1", "") + "\n\n" + `{"customerId":"c-2"}` + "\r\n" + strings.Repeat(" ", 2000) + "\n" + customer("c-3", "")
	res, err := ingest.Import(ctx, c, tenant, ingest.NDJSON(strings.NewReader(text), 1000), nil)
	require.NoError(t, err)
	assert.Equal(t, [5]int{4, 2, 0, 0, 2}, counts(res))
	require.Len(t, res.Errors, 2)
	assert.Equal(t, ingest.Place{Position: 1, Line: 4, LastLine: 4}, res.Errors[0].Place)
	assert.EqualError(t, res.Errors[1], "line 5: more than 1000 bytes")
}
