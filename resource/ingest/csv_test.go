package ingest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// things has a field of each type.
var things = schema.MustCompile(schema.Definition{ID: uuid.New(), Name: "things", ExternalID: "id", Fields: []schema.Field{
	{Name: "id", Type: schema.String, Required: true}, {Name: "firstName", Type: schema.String},
	{Name: "on", Type: schema.Boolean}, {Name: "n", Type: schema.Number}, {Name: "n \"é\"", Type: schema.Integer},
	{Name: "object", Type: schema.Object}, {Name: "array", Type: schema.Array},
}})

// read returns the documents of a CSV text, or their errors, each with its place.
func read(t testing.TB, text io.Reader, opts *ingest.CSVOptions) string {
	t.Helper()
	table, err := ingest.NewCSV(text, things, opts)
	if err != nil {
		var header *ingest.HeaderError
		assert.ErrorAs(t, err, &header)
		return err.Error()
	}
	var got []string
	for d, err := range table.Documents() {
		place := ingest.Place{Line: d.Line, LastLine: d.LastLine}
		switch {
		case err != nil:
			got = append(got, "ended: "+err.Error())
		case d.Err != nil:
			got = append(got, fmt.Sprintf("%v: %v", place, d.Err))
		default:
			require.NoError(t, things.Validate(d.Data))
			got = append(got, fmt.Sprintf("%v: %s", place, d.Data))
		}
		clear(d.Data)
	}
	return strings.Join(got, "\n")
}

// TestCSV: a row is a text, its options, and what becomes of it.
func TestCSV(t *testing.T) {
	ignore := &ingest.CSVOptions{UnknownFields: schema.IgnoreUnknown}
	comma := func(c rune) *ingest.CSVOptions { return &ingest.CSVOptions{Comma: c} }
	mapped := func(pairs ...string) *ingest.CSVOptions {
		columns := make(map[string]string)
		for i := 0; i < len(pairs); i += 2 {
			columns[pairs[i]] = pairs[i+1]
		}
		return &ingest.CSVOptions{Columns: columns}
	}
	const fields = "id, firstName, on, n, n \"é\", object, array"
	for _, tt := range []struct {
		name, text string
		opts       *ingest.CSVOptions
		want       string
	}{
		{"separator/comma", "id,on\na,true", nil, `line 2: {"id":"a","on":true}`},
		{"separator/semicolon", "id;on\na,b;true", nil, `line 2: {"id":"a,b","on":true}`},
		{"separator/tab", "id\ton\na;b\ttrue", nil, `line 2: {"id":"a;b","on":true}`},
		{"separator/quoted ones do not count", "id;\"n \"\"é\"\"\";\"firstName\"\na;1;x", nil, `line 2: {"id":"a","n \"é\"":1,"firstName":"x"}`},
		{"separator/one column", "id\na;b,c", nil, `line 2: found 2 columns, expected 1`},
		{"separator/after blank lines", "\r\n\nid;on\r\na;true\r\n", nil, `line 4: {"id":"a","on":true}`},
		{"separator/given", "id|on\na;b|true", comma('|'), `line 2: {"id":"a;b","on":true}`},
		{"separator/given against the header", "id;on\n", comma(','), `line 1: the header row: column 1 is not a field; expected fields of things: ` + fields + `; no column is id, the external id`},
		{"sep/semicolon", "sep=;\r\nid;on\r\na,b;true\r\n", nil, `line 3: {"id":"a,b","on":true}`},
		{"sep/against the header", "sep=;\nid\n\"a,b\"\n", nil, `line 3: {"id":"a,b"}`},
		{"sep/tab", "SEP=\t\nid\ton\na\ttrue", nil, `line 3: {"id":"a","on":true}`},
		{"sep/quoted", "\"sep=|\"\nid|on\na|true", nil, `line 3: {"id":"a","on":true}`},
		{"sep/and given", "sep=|\nid;on\na;true", comma(';'), `line 3: {"id":"a","on":true}`},
		{"sep/alone", "sep=;", nil, "there is no header row"},
		{"sep/not one", "sep=;;\n", nil, `line 1: the header row: column 1 is not a field; expected fields of things: ` + fields + `; no column is id, the external id`},

		{"encoding/UTF-8 with a mark", "\ufeffid\né", nil, `line 2: {"id":"é"}`},
		{"encoding/UTF-16LE", utf16Of("\ufeffid;on\r\né\U0001F600;TRUE\r\n", binary.LittleEndian), nil, `line 2: {"id":"é😀","on":true}`},
		{"encoding/UTF-16BE, sep", utf16Of("\ufeffsep=;\r\nid;on\r\né\U0001F600;TRUE\r\n", binary.BigEndian), nil, `line 3: {"id":"é😀","on":true}`},
		{"encoding/UTF-16 without a mark", utf16Of("id\nx", binary.LittleEndian), nil, "line 1: the header row: it holds NUL bytes: UTF-16 needs a byte order mark"},
		{"encoding/UTF-16, half a pair", "\xff\xfei\x00d\x00\n\x00\x00\xd8\n\x00x\x00\n\x00\x00\xdc\x00\xd8\n\x00", nil, "line 2: /id: expected UTF-8\nline 3: {\"id\":\"x\"}\nline 4: /id: expected UTF-8"},
		{"encoding/UTF-16, half a unit", "\xff\xfei\x00d\x00\n\x00x\x00y", nil, "line 2: /id: expected UTF-8"},
		{"encoding/not UTF-8", "id\n\xff", nil, "line 2: /id: expected UTF-8"},

		{"cells/booleans", "id,on\na,true\nb,True\nc,TRUE\nd,false\ne,False\nf,FALSE", nil,
			"line 2: {\"id\":\"a\",\"on\":true}\nline 3: {\"id\":\"b\",\"on\":true}\nline 4: {\"id\":\"c\",\"on\":true}\nline 5: {\"id\":\"d\",\"on\":false}\nline 6: {\"id\":\"e\",\"on\":false}\nline 7: {\"id\":\"f\",\"on\":false}"},
		{"cells/not booleans", "id,on\na,tRUE\nb,1\nc,wahr\nd,fal\u017fe\ne,TRUE ", nil, "line 2: /on: expected true or false\nline 3: /on: expected true or false\nline 4: /on: expected true or false\nline 5: /on: expected true or false\nline 6: /on: expected true or false"},
		{"cells/numbers keep their text", "id,n\na,1.50\nb,-1e400\nc,\"1,5\"", nil, "line 2: {\"id\":\"a\",\"n\":1.50}\nline 3: {\"id\":\"b\",\"n\":-1e400}\nline 4: /n: expected a JSON number"},
		{"cells/all that is wrong", "id,on,n\n\xff,x,y", nil, "line 2: /id: expected UTF-8; /on: expected true or false; /n: expected a JSON number"},
		{"cells/empty", "id,on,firstName\na,,\"\"", nil, `line 2: {"id":"a"}`},
		{"cells/too few", "id,on,n\na,true", nil, "line 2: found 2 columns, expected 3"},
		{"cells/too many", "id\na,b", nil, "line 2: found 2 columns, expected 1"},

		{"last columns/empty in the rows", "id,on\na,true,,\nb,false,\nc,", nil, "line 2: {\"id\":\"a\",\"on\":true}\nline 3: {\"id\":\"b\",\"on\":false}\nline 4: {\"id\":\"c\"}"},
		{"last columns/empty everywhere", "id,on,,\na,true,,\nb,false,,,,\n", nil, "line 2: {\"id\":\"a\",\"on\":true}\nline 3: {\"id\":\"b\",\"on\":false}"},
		{"last columns/not all cells are empty", "id,on,,\na,true,,x\nb,true,,,x\n", nil, "line 2: column 4 has no name, and its cell is not empty\nline 3: found 5 columns, expected 4"},
		{"last columns/left out", "id,on,,\na,true,,x\n", ignore, `line 2: {"id":"a","on":true}`},

		{"header/empty", "\n\n", nil, "there is no header row"},
		{"header/did you mean", "ID,First Name,Nickname", nil, `line 1: the header row: column 1 "ID" is not a field, did you mean "id"?; column 2 "First Name" is not a field, did you mean "firstName"?; column 3 is not a field; expected fields of things: ` + fields},
		{"header/did you mean, and it is there", "id,Id,First Name,firstname", nil, `line 1: the header row: column 2 is not a field; column 3 "First Name" is not a field, did you mean "firstName"?; column 4 "firstname" is not a field, did you mean "firstName"?; expected fields of things: ` + fields},
		{"header/somebody's data", "Ada,Lovelace,555-0100", nil, `line 1: the header row: column 1 is not a field; column 2 is not a field; column 3 is not a field; expected fields of things: ` + fields + `; no column is id, the external id`},
		{"header/mapped", "Thing ID,First Name\na,Ada", mapped("Thing ID", "id", "First Name", "firstName"), `line 2: {"id":"a","firstName":"Ada"}`},
		{"header/mapped crosswise", "firstName,id\na,Ada", mapped("firstName", "id", "id", "firstName"), `line 2: {"id":"a","firstName":"Ada"}`},
		{"header/mapped onto another", "id,x\n", mapped("x", "id"), "line 1: the header row: columns 1 and 2 are both id"},
		{"header/mapped to no field", "id,x\n", mapped("x", "nope"), `line 1: the header row: "nope" is not a field of things; column 2 is not a field; expected fields of things: ` + fields},
		{"header/mapped, and not there", "id\n", mapped("y", "on", "x", "on"), `line 1: the header row: no column has the name "x"; no column has the name "y"`},
		{"header/twice", "id,on,on\n", nil, "line 1: the header row: columns 2 and 3 are both on"},
		{"header/no name", "id,,on\n", nil, "line 1: the header row: column 2 is not a field; expected fields of things: " + fields},
		{"header/no external id", "on\n", nil, "line 1: the header row: no column is id, the external id"},
		{"header/object and array", "id,object,array\n", ignore, "line 1: the header row: column 2: a cell cannot be an object; column 3: a cell cannot be an array"},
		{"header/left out", ",x,id,x,,on,On\n1,2,a,3,4,true,5", ignore, `line 2: {"id":"a","on":true}`},
		{"header/lines", "id,\"n \"\"é\"\"\",\"first\nName\"\na,1,b", ignore, `line 3: {"id":"a","n \"é\"":1}`},
		{"header/open", "id,\"on\na,b\nc,d", nil, "lines 1 to 3: the header row: a quote is not closed"},

		{"quotes/lines", "id,firstName\na,\"b\r\n\r\nc\"\nd,e", nil, "lines 2 to 4: {\"id\":\"a\",\"firstName\":\"b\\n\\nc\"}\nline 5: {\"id\":\"d\",\"firstName\":\"e\"}"},
		{"quotes/wrong in a line", "id,firstName\na,b\"c\nd,\"e\"f\ng,h", nil, "line 2: bare \" in non-quoted-field\nline 3: extraneous or missing \" in quoted-field\nline 4: {\"id\":\"g\",\"firstName\":\"h\"}"},
		{"quotes/never closed", "id,firstName\na,b\nc,\"d\n" + strings.Repeat("e,f\n", 999), nil, "line 2: {\"id\":\"a\",\"firstName\":\"b\"}\nended: lines 3 to 1002: a quote is not closed; a misplaced quote may have joined several rows"},
		{"quotes/never closed in the last line", "id,firstName\na,\"b", nil, "ended: line 2: a quote is not closed; a misplaced quote may have joined several rows"},
		{"quotes/closed by another row", "id,firstName\na,\"b\nc,d\ne,\"f\"\ng,h", nil, "ended: lines 2 to 4: extraneous or missing \" in quoted-field; a misplaced quote may have joined several rows"},
		{"quotes/closed by another row, as cells", "id,firstName\na,\"b\nc,\",d\ne,f", nil, "ended: lines 2 to 3: found 3 columns, expected 2; a misplaced quote may have joined several rows"},
		{"quotes/never closed, and long", "id,firstName\na,\"" + strings.Repeat("b,c\n", 50), &ingest.CSVOptions{MaxRow: 100}, "ended: lines 2 to 51: a quote is not closed; a misplaced quote may have joined several rows"},
		{"quotes/too long, in lines", "id,firstName\na,\"" + strings.Repeat("b,c\n", 50) + "\"\nd,e", &ingest.CSVOptions{MaxRow: 100}, "ended: lines 2 to 52: more than 100 bytes; a misplaced quote may have joined several rows"},
		{"length/just so", "id\n" + strings.Repeat("x", 100) + "\r\nb", &ingest.CSVOptions{MaxRow: 100}, `line 2: {"id":"` + strings.Repeat("x", 100) + "\"}\nline 3: {\"id\":\"b\"}"},
		{"length/too long", "id\n" + strings.Repeat("x", 101) + "\r\nb", &ingest.CSVOptions{MaxRow: 100}, "line 2: more than 100 bytes\nline 3: {\"id\":\"b\"}"},

		{"rejected", "id;on\n#rejected line 2: a 'reason', with; separators\na;true\n\"#rejected line 4: as a cell\";;;\nb;false", nil, "line 3: {\"id\":\"a\",\"on\":true}\nline 5: {\"id\":\"b\",\"on\":false}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, read(t, strings.NewReader(tt.text), tt.opts))
			assert.Equal(t, tt.want, read(t, iotest.OneByteReader(strings.NewReader(tt.text)), tt.opts))
			if strings.HasPrefix(tt.want, "line ") && !strings.Contains(tt.want, "header row") && !strings.Contains(tt.want, "ended") {
				broken := errors.New("disk on fire")
				got := read(t, io.MultiReader(strings.NewReader(tt.text), iotest.ErrReader(broken)), tt.opts)
				assert.Regexp(t, `(?m)^ended: .*\d: disk on fire$`, got, "an error of the reader")
			}
		})
	}
	for _, c := range []rune{'"', '\n', '\r', 'a', '0', 'é', ' ', -1, 0x7f} {
		_, err := ingest.NewCSV(strings.NewReader("id"), things, comma(c))
		assert.ErrorIs(t, err, storage.ErrInvalid, "%q", c)
	}
	_, err := ingest.NewCSV(iotest.ErrReader(errors.New("disk on fire")), things, nil)
	assert.EqualError(t, err, "line 1: disk on fire")
}

// TestCSVWide: however many columns there are, an error says the first that are wrong,
// and a field is looked for in the first that have none.
func TestCSVWide(t *testing.T) {
	const many = 100_000
	for name, text := range map[string]string{
		"unknown":     strings.Repeat("x,", many) + "id",
		"twice":       "id,on" + strings.Repeat(",on", many),
		"no cells":    "id" + strings.Repeat(",object", many),
		"wrong cells": "id" + strings.Repeat(",", many) + "\na" + strings.Repeat(",x", many),
	} {
		got := read(t, strings.NewReader(text), nil)
		assert.Less(t, len(got), 2000, name)
		assert.Contains(t, got, "; and 99980 more", name)
	}
	ignore := &ingest.CSVOptions{UnknownFields: schema.IgnoreUnknown}
	table, err := ingest.NewCSV(strings.NewReader("id"+strings.Repeat(",firstNam", many)), things, ignore)
	require.NoError(t, err)
	meant := 0
	for _, c := range table.Ignored {
		if c.Field != "" {
			meant++
		}
	}
	assert.Equal(t, 100, meant)
}

// TestCSVTells: what was recognised, and what is left out.
func TestCSVTells(t *testing.T) {
	table, err := ingest.NewCSV(strings.NewReader("\ufeffsep=;\r\nid;First Name;;x;other;\r\n"), things, &ingest.CSVOptions{UnknownFields: schema.IgnoreUnknown})
	require.NoError(t, err)
	assert.Equal(t, ';', table.Comma)
	assert.Equal(t, "sep=;\nid;First Name;;x;other;\n", string(table.Header))
	assert.Equal(t, []ingest.Column{{Number: 2, Field: "firstName", Name: "First Name"}, {Number: 3}, {Number: 4}, {Number: 5}}, table.Ignored)

	_, err = ingest.NewCSV(strings.NewReader("ID,x\n"), things, nil)
	var header *ingest.HeaderError
	require.ErrorAs(t, err, &header)
	assert.Equal(t, []ingest.Column{{Number: 1, Field: "id", Name: "ID"}, {Number: 2}}, header.Unknown)

	for text, want := range map[string]string{"": "", "id": "", "\xff": "", "\ufeff": "UTF-8", "\xff\xfei\x00": "UTF-16LE", "\xfe\xff\x00i": "UTF-16BE", "\xff\xfe": "UTF-16LE"} {
		decoded, encoding := ingest.UTF8(strings.NewReader(text))
		assert.Equal(t, want, encoding, "%q", text)
		_, err := io.ReadAll(decoded)
		assert.NoError(t, err)
	}
}

// TestCSVPosition: rows that failed are part of what a position knows, whoever is told
// of them.
func TestCSVPosition(t *testing.T) {
	c, _ := customers(t)
	text := func(bad string) string {
		return "customerId,firstName,lastName,createdAt\na,Ada,L,2024-05-01T10:00:00Z\n" + bad + "\n\"b\"c\nd,Ada,L,2024-05-01T10:00:00Z\n"
	}
	importAll := func(text string, opts ingest.Options) (*ingest.Result, error) {
		table, err := ingest.NewCSV(strings.NewReader(text), c.Schema(), nil)
		require.NoError(t, err)
		return ingest.Import(ctx, c, tenant, table.Documents(), &opts)
	}
	onError := func(ingest.DocumentError, []byte) error { return nil }
	stop := errors.New("stop")
	first, err := importAll(text("x"), ingest.Options{BatchSize: 3, OnError: onError, Progress: func(ingest.Result) error { return stop }})
	require.ErrorIs(t, err, stop)
	require.EqualValues(t, 3, first.Position.Documents)
	next, err := importAll(text("x"), ingest.Options{From: first.Position})
	require.NoError(t, err)
	assert.Equal(t, [5]int{4, 1, 0, 0, 0}, counts(next))
	_, err = importAll(text("y"), ingest.Options{From: first.Position})
	assert.ErrorIs(t, err, ingest.ErrPosition)
	whole, err := importAll(text("x"), ingest.Options{})
	require.NoError(t, err)
	assert.Equal(t, next.Position, whole.Position)
}

// TestRejected: rows that are refused can be imported again from the file that they
// are written to, and fail for the same reasons until they are mended.
func TestRejected(t *testing.T) {
	c, _ := customers(t)
	const good = ";Ada;L;2024-05-01T10:00:00Z\n"
	text := "sep=;\ncustomerId;firstName;lastName;createdAt\na" + good + "b;\"A\n\"\"d\"\"a\";;\nc;\"x\"y;z\n" + "d" + good + "e;f\n"
	importAll := func(text string) (res *ingest.Result, rejected string, reasons []string) {
		table, err := ingest.NewCSV(strings.NewReader(text), c.Schema(), nil)
		require.NoError(t, err)
		all := table.Header
		res, err = ingest.Import(ctx, c, tenant, table.Documents(), &ingest.Options{BatchSize: 2, OnError: func(e ingest.DocumentError, text []byte) error {
			reasons = append(reasons, e.Err.Error())
			all = ingest.AppendRejected(all, e, text)
			return nil
		}})
		require.NoError(t, err)
		return res, string(all), reasons
	}
	res, rejected, reasons := importAll(text)
	assert.Equal(t, [5]int{5, 2, 0, 0, 3}, counts(res))
	assert.Equal(t, `sep=;
customerId;firstName;lastName;createdAt
#rejected lines 4 to 5: schema: invalid document: /lastName: required, but missing; /createdAt: required, but missing
b;"A
""d""a";;
#rejected line 6: extraneous or missing ' in quoted-field
c;"x"y;z
#rejected line 8: found 2 columns, expected 4
e;f
`, rejected)
	res, _, again := importAll(rejected)
	assert.Equal(t, [5]int{3, 0, 0, 0, 3}, counts(res))
	assert.Equal(t, reasons, again)
	res, _, _ = importAll(strings.NewReplacer("\";;\n", "\";x;2024-05-01T10:00:00Z\n", `c;"x"y;z`+"\n", "c"+good, "e;f\n", "e"+good).Replace(rejected))
	assert.Equal(t, [5]int{3, 3, 0, 0, 0}, counts(res), "mended")

	// The same with NDJSON.
	var all []byte
	_, err := ingest.Import(ctx, c, tenant, lines("x", customer("n", "")), &ingest.Options{OnError: func(e ingest.DocumentError, text []byte) error {
		all = ingest.AppendRejected(all, e, text)
		return nil
	}})
	require.NoError(t, err)
	assert.Regexp(t, "^#rejected line 1: not strict JSON .*\nx\n$", string(all))
}
