package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/testdb"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/sqlite"
)

// build builds the program, without whatever the tests are built with.
func build(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "import")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// An outcome is what a run has to say.
type outcome struct {
	code     int
	out, err string
}

// summary is the counts that were printed.
func (o outcome) summary() string {
	text, _, _ := strings.Cut(o.out, ", in ")
	return text
}

// do runs the program in this process.
func do(stdin string, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(context.Background(), args, strings.NewReader(stdin), &out, &err)
	return outcome{code, out.String(), err.String()}
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// stored returns the documents in a SQLite file, by external id.
func stored(t testing.TB, file, schemaName string) map[string]string {
	t.Helper()
	all := map[string]string{}
	visit(t, file, schemaName, func(r *resource.Resource) { all[r.Key().ExternalID] = string(r.Data()) })
	return all
}

// visit calls a function for each resource in a SQLite file.
func visit(t testing.TB, file, schemaName string, do func(*resource.Resource)) {
	t.Helper()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, file, nil)
	require.NoError(t, err)
	defer store.Close()
	c, err := resource.NewCollection(declared[schemaName](), store, nil)
	require.NoError(t, err)
	for r, err := range c.All(ctx, openstore.Tenant("acme"), &resource.ListOptions{Limit: storage.MaxPage}) {
		require.NoError(t, err)
		do(r)
	}
}

func customer(i int) string {
	return fmt.Sprintf(`{"customerId":"c-%d","firstName":"Ada","lastName":"Lovelace-%d","email":"ada%d@example.com","createdAt":"2024-01-02T03:04:05Z"}`, i, i, i)
}

func customers(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(customer(i) + "\n")
	}
	return b.String()
}

// utf16LE returns a text in UTF-16.
func utf16LE(text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

// TestInputs: what comes of an input. Lines are those of standard error.
func TestInputs(t *testing.T) {
	const (
		ada      = `{"customerId":"a","firstName":"Ada","lastName":"L","createdAt":"2024-01-02T03:04:05Z"}`
		bob      = `{"customerId":"b","firstName":"Bob","lastName":"B","createdAt":"2024-01-02T03:04:05Z"}`
		header   = "customerId,firstName,lastName,createdAt\n"
		adaRow   = "a,Ada,L,2024-01-02T03:04:05Z\n"
		bobRow   = "b,Bob,B,2024-01-02T03:04:05Z\n"
		optOuts  = `"createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true}`
		adaDoc   = `{"customerId":"a","firstName":"Ada","lastName":"L",` + optOuts
		bobDoc   = `{"customerId":"b","firstName":"Bob","lastName":"B",` + optOuts
		optedOut = `{"customerId":"a","emailOptOut":true}`
		totals   = "transactionId,transactionDate,transactionTotal\n"
		date     = "2024-01-02T03:04:05Z"
	)
	long := strings.Repeat("x", maxRow)
	full := `{"customerId":"a","firstName":"Ada","lastName":"` + long[:maxRow-len(ada)+1] + `","createdAt":"2024-01-02T03:04:05Z"}`
	require.Len(t, full, maxRow)
	fullDoc := strings.TrimSuffix(full, "}") + `,"emailOptOut":false,"smsOptOut":true}`
	for _, tc := range []struct {
		name, file, text string
		args             string
		code             int
		summary          string
		lines            []string
		want             map[string]string
	}{
		{name: "ndjson", file: "x.ndjson", text: ada + "\n" + bob + "\n", summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "jsonl", file: "x.JSONL", text: ada, summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc}},
		{name: "format wins over the name", file: "x.csv", text: ada, args: "-format ndjson", summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc}},
		{name: "updated and unchanged", file: "x.ndjson", text: ada + "\n" + ada + "\n" + `{"customerId":"a","lastName":"M"}`, args: "-batch 1", summary: "1 created, 1 updated, 1 unchanged, 0 failed",
			lines: []string{"line 3: the same customerId as line 1, and other values", "import: documents with the customerId of an earlier one, and other values: 1, merged"}, want: map[string]string{"a": strings.Replace(adaDoc, `"L"`, `"M"`, 1)}},
		{name: "empty file", file: "x.ndjson", text: "", summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "blank lines alone", file: "x.ndjson", text: "\n\r\n  \t\n", summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "bad lines", file: "x.ndjson", text: "\n" + ada + "\n\nnonsense\n" + `{"customerId":"z","email":7}` + "\n" + bob, code: 3, summary: "2 created, 0 updated, 0 unchanged, 2 failed",
			lines: []string{"line 4: not strict JSON at byte 0: ", "line 5: invalid document: /email: expected string, found number; /firstName: "}, want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "batches keep count of lines", file: "x.ndjson", text: "\n" + ada + "\n\nnonsense\n" + `{"customerId":"z","email":7}` + "\n" + bob, args: "-batch 1", code: 3, summary: "2 created, 0 updated, 0 unchanged, 2 failed",
			lines: []string{"line 4: ", "line 5: "}, want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "byte order mark and CRLF", file: "x.ndjson", text: "\ufeff" + ada + "\r\n\r\n" + bob + "\r\n", summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "byte order mark alone", file: "x.ndjson", text: "\ufeff", summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "byte order mark inside", file: "x.ndjson", text: ada + "\n\ufeff" + bob, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: not strict JSON"}, want: map[string]string{"a": adaDoc}},
		{name: "longest line", file: "x.ndjson", text: full + "\r\n" + bob, summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": fullDoc, "b": bobDoc}},
		{name: "too long a line", file: "x.ndjson", text: ada + "\n" + full + " \n" + bob, code: 3, summary: "2 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: more than 1048576 bytes"}, want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "far too long a line, and the last", file: "x.ndjson", text: ada + "\n" + strings.Repeat(long, 3), code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: more than 1048576 bytes"}, want: map[string]string{"a": adaDoc}},
		{name: "unknown field", file: "x.ndjson", text: strings.Replace(ada, "}", `,"emial":"a@b"}`, 1), code: 3, summary: "0 created, 0 updated, 0 unchanged, 1 failed", lines: []string{`line 1: invalid document: /emial: unknown field, did you mean "email"?`}},
		{name: "unknown field ignored", file: "x.ndjson", text: strings.Replace(ada, "}", `,"emial":"a@b"}`, 1), args: "-ignore-unknown", summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc}},
		{name: "dry run", file: "x.ndjson", text: ada, args: "-dry-run", summary: "dry run, nothing is stored: 1 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "errors are bounded", file: "x.ndjson", text: "1\n2\n3\n4\n" + ada, args: "-errors 2", code: 3, summary: "1 created, 0 updated, 0 unchanged, 4 failed", lines: []string{"line 1: ", "line 2: ", "and 2 more"}, want: map[string]string{"a": adaDoc}},
		{name: "no errors are wanted", file: "x.ndjson", text: "1\n2\n" + ada, args: "-errors 0", code: 3, summary: "1 created, 0 updated, 0 unchanged, 2 failed", want: map[string]string{"a": adaDoc}},

		{name: "csv", file: "x.csv", text: header + adaRow + bobRow, summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "csv without a last line end", file: "x.csv", text: header + strings.TrimSpace(adaRow), summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc}},
		{name: "csv with byte order mark, CRLF and blank lines", file: "x.csv", text: "\ufeff\r\n" + strings.ReplaceAll(header+"\n"+adaRow+"\n\n"+bobRow, "\n", "\r\n"), summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "csv quotes", file: "x.csv", text: header + `a,"Ada ""A"" <&>, é` + "\r\n" + `x","L\` + "\t\"," + date, summary: "1 created, 0 updated, 0 unchanged, 0 failed",
			want: map[string]string{"a": `{"customerId":"a","firstName":"Ada \"A\" <&>, é\nx","lastName":"L\\\t",` + optOuts}},
		{name: "csv lines after quoted line ends", file: "x.csv", text: header + "a,\"A\n\n\nda\",L," + date + "\nb\n" + "c,\"\n\n\",,\n" + "d,\"x\"y,z\n" + bobRow, code: 3, summary: "2 created, 0 updated, 0 unchanged, 3 failed",
			lines: []string{"line 6: found 1 columns, expected 4", "lines 7 to 9: invalid document: /lastName: ", `line 10: extraneous or missing " in quoted-field`},
			want:  map[string]string{"a": `{"customerId":"a","firstName":"A\n\n\nda","lastName":"L",` + optOuts, "b": bobDoc}},
		{name: "csv wrong number of columns", file: "x.csv", text: header + "a,b\n" + adaRow + "a,b,c,d,e\n", code: 3, summary: "1 created, 0 updated, 0 unchanged, 2 failed", lines: []string{"line 2: found 2 columns, expected 4", "line 4: found 5 columns, expected 4"}, want: map[string]string{"a": adaDoc}},
		{name: "csv bare quote", file: "x.csv", text: header + "a,A\"da,L,\"" + date + "\n" + bobRow, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{`line 2: bare " in non-quoted-field`}, want: map[string]string{"b": bobDoc}},
		{name: "csv too long a row", file: "x.csv", text: header + "a,\"" + long + "\",c,d\n" + bobRow, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: more than 1048576 bytes"}, want: map[string]string{"b": bobDoc}},
		{name: "csv empty cells are absent", file: "x.csv", text: "customerId,email,firstName,lastName,createdAt,emailOptOut\na,,Ada,L," + date + ",\nb,\"\",Bob,B," + date + ",true\na,x,,,,false\n", args: "-batch 1", summary: "2 created, 1 updated, 0 unchanged, 0 failed",
			lines: []string{"line 4: the same customerId as line 2, and other values", "import: documents with"},
			want:  map[string]string{"a": `{"customerId":"a","firstName":"Ada","lastName":"L",` + strings.TrimSuffix(optOuts, "}") + `,"email":"x"}`, "b": strings.Replace(bobDoc, `"emailOptOut":false`, `"emailOptOut":true`, 1)}},
		{name: "csv booleans", file: "x.csv", text: "customerId,emailOptOut\na,tRUE\nb, true\nc,1\nd,fal\u017fe\n", code: 3, summary: "0 created, 0 updated, 0 unchanged, 4 failed", lines: []string{"line 2: /emailOptOut: expected true or false", "line 3: /emailOptOut: expected", "line 4: /emailOptOut: expected", "line 5: /emailOptOut: expected"}},
		{name: "csv numbers", file: "x.csv", args: "-schema transactions", text: totals + "a," + date + ",12.50\nb," + date + ",-1e3\nc," + date + ",\"1,5\"\nd," + date + ",+1\ne," + date + ", 1\nf," + date + ",NaN\ng," + date + ",1 \nh," + date + ",01\ni," + date + ",-\n", code: 3,
			summary: "2 created, 0 updated, 0 unchanged, 7 failed", lines: []string{"line 4: /transactionTotal: expected a JSON number", "line 5: ", "line 6: ", "line 7: ", "line 8: ", "line 9: ", "line 10: "},
			want: map[string]string{"a": `{"transactionId":"a","transactionDate":"` + date + `","transactionTotal":12.50}`, "b": `{"transactionId":"b","transactionDate":"` + date + `","transactionTotal":-1e3}`}},
		{name: "csv digits of a string field are text", file: "x.csv", text: header + "1,2,true," + date + "\n", summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"1": `{"customerId":"1","firstName":"2","lastName":"true",` + optOuts}},
		{name: "csv not UTF-8", file: "x.csv", text: header + "a,\xff,\xfe," + date + "\n", code: 3, summary: "0 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: /firstName: expected UTF-8; /lastName: expected UTF-8"}},
		{name: "csv locations", file: "x.csv", args: "-schema locations", text: "zipCode,locationId,name,address,city,state\n02134,l,n,a,c,s\n", summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"l": `{"zipCode":"02134","locationId":"l","name":"n","address":"a","city":"c","state":"s"}`}},
		{name: "csv blank ids", file: "x.csv", text: header + " ,Ada,Love," + date + "\n" + adaRow + "\u00a0,Bob,Hope," + date + "\n", code: 3, summary: "1 created, 0 updated, 0 unchanged, 2 failed", lines: []string{"line 2: invalid document: /customerId: expected at least one visible", "line 4: invalid document: /customerId: expected at least one visible"}, want: map[string]string{"a": adaDoc}},
		{name: "csv header alone", file: "x.csv", text: header, summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "csv unknown column ignored", file: "x.csv", args: "-ignore-unknown", text: "x," + header + "9," + adaRow, summary: "1 created, 0 updated, 0 unchanged, 0 failed", lines: []string{"import: left out, as they are not fields: columns 1\n"}, want: map[string]string{"a": adaDoc}},
		{name: "csv of Excel", file: "x.csv", text: "sep=;\r\n" + strings.ReplaceAll(strings.TrimSpace(header)+",emailOptOut,,\r\na,Ada,L,"+date+",FALSE,,\r\nb,Bob,B,"+date+",,,\r\n", ",", ";"), summary: "2 created, 0 updated, 0 unchanged, 0 failed",
			lines: []string{"import: ';' separates the columns\n"}, want: map[string]string{"a": `{"customerId":"a","firstName":"Ada","lastName":"L","createdAt":"` + date + `","emailOptOut":false,"smsOptOut":true}`, "b": bobDoc}},
		{name: "csv with tabs in UTF-16", file: "x.csv", text: utf16LE("\ufeff" + strings.ReplaceAll(header+adaRow, ",", "\t")), summary: "1 created, 0 updated, 0 unchanged, 0 failed",
			lines: []string{"import: the file is UTF-16LE\n", "import: '\\t' separates the columns\n"}, want: map[string]string{"a": adaDoc}},
		{name: "ndjson in UTF-16", file: "x.ndjson", text: utf16LE("\ufeff" + ada + "\r\n"), summary: "1 created, 0 updated, 0 unchanged, 0 failed", lines: []string{"import: the file is UTF-16LE\n"}, want: map[string]string{"a": adaDoc}},
		{name: "csv with another separator", file: "x.csv", args: "-comma |", text: strings.ReplaceAll(header+adaRow, ",", "|"), summary: "1 created, 0 updated, 0 unchanged, 0 failed", lines: []string{"import: '|' separates the columns\n"}, want: map[string]string{"a": adaDoc}},
		{name: "csv with tabs by name", file: "x.csv", args: "-comma tab", text: strings.ReplaceAll(header+adaRow, ",", "\t"), summary: "1 created, 0 updated, 0 unchanged, 0 failed", lines: []string{"import: '\\t' separates the columns\n"}, want: map[string]string{"a": adaDoc}},
		{name: "csv of Shopify", file: "x.csv", text: "Customer ID,First Name,lastName,createdAt\n", code: 1,
			lines: []string{`import: line 1: the header row: column 1 "Customer ID" is not a field, did you mean "customerId"?; column 2 "First Name" `, `import: -ignore-unknown leaves such columns out; to take them: -map "Customer ID=customerId" -map "First Name=firstName"` + "\n"}},
		{name: "csv mapped", file: "x.csv", args: "-map Customer-ID=customerId -map a=b=lastName", text: strings.NewReplacer("customerId", "Customer-ID", "lastName", "a=b").Replace(header) + adaRow, summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc}},
		{name: "csv every undeclared column", file: "x.csv", args: "-ignore-unknown", text: "x,,x,E-Mail," + header + "1,2,3,4," + adaRow, summary: "1 created, 0 updated, 0 unchanged, 0 failed",
			lines: []string{`import: left out, as they are not fields: columns 1, 2, 3, 4; to take them: -map "E-Mail=email"` + "\n"}, want: map[string]string{"a": adaDoc}},
		{name: "csv one id twice", file: "x.csv", text: header + adaRow + adaRow + "a,Bob,L," + date + "\n", summary: "1 created, 1 updated, 1 unchanged, 0 failed",
			lines: []string{"line 4: the same customerId as line 2, and other values\n", "import: documents with the customerId of an earlier one, and other values: 1, "}, want: map[string]string{"a": strings.Replace(adaDoc, "Ada", "Bob", 1)}},
		{name: "repeats are bounded", file: "x.ndjson", args: "-errors 1", text: ada + "\n" + strings.Replace(ada, "Ada", "Bob", 1) + "\n" + ada, summary: "1 created, 2 updated, 0 unchanged, 0 failed",
			lines: []string{"line 2: ", "import: documents with the customerId of an earlier one, and other values: 2, "}, want: map[string]string{"a": adaDoc}},
		{name: "rejected when they are there", file: "x.ndjson", args: "-onconflict reject", text: ada + "\n" + ada, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: "}, want: map[string]string{"a": adaDoc}},
		{name: "nulls delete", file: "x.ndjson", text: ada + "\n" + optedOut + "\n" + `{"customerId":"a","emailOptOut":null}`, args: "-errors 0", summary: "1 created, 2 updated, 0 unchanged, 0 failed", lines: []string{"import: documents with"}, want: map[string]string{"a": adaDoc}},
		{name: "nulls are ignored", file: "x.ndjson", text: ada + "\n" + optedOut + "\n" + `{"customerId":"a","emailOptOut":null}`, args: "-errors 0 -nulls ignore", summary: "1 created, 1 updated, 1 unchanged, 0 failed", lines: []string{"import: documents with"}, want: map[string]string{"a": strings.Replace(adaDoc, `"emailOptOut":false`, `"emailOptOut":true`, 1)}},
		{name: "nulls are rejected", file: "x.ndjson", text: ada + "\n" + `{"customerId":"a","emailOptOut":null}`, args: "-nulls reject", code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: invalid document: /emailOptOut: "}, want: map[string]string{"a": adaDoc}},
		{name: "csv empty file", file: "x.csv", code: 1, lines: []string{"import: there is no header row"}},
		{name: "csv duplicate column", file: "x.csv", text: "\n\ncustomerId,email,email\n", code: 1, lines: []string{"import: line 3: the header row: columns 2 and 3 are both email\n"}},
		{name: "csv column without a name", file: "x.csv", text: "customerId,,email\n", code: 1, lines: []string{"import: line 1: the header row: column 2 is not a field; ", "import: -ignore-unknown leaves such columns out\n"}},
		{name: "csv unknown column", file: "x.csv", text: "customerId,Nickname\n", code: 1, lines: []string{"import: line 1: the header row: column 2 is not a field; expected fields of customers: customerId, email, ", "import: -ignore-unknown"}},
		{name: "csv without external ids", file: "x.csv", text: "email\n", code: 1, lines: []string{"import: line 1: the header row: no column is customerId, the external id"}},
		{name: "csv header too long", file: "x.csv", text: long + "xx", code: 1, lines: []string{"import: line 1: the header row: more than 1048576 bytes"}},
		{name: "csv header not right", file: "x.csv", text: "a\"\n", code: 1, lines: []string{`import: line 1: the header row: bare " in non-quoted-field`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			schemaName := "customers"
			if _, name, ok := strings.Cut(tc.args, "-schema "); ok {
				schemaName = name
			}
			for _, stdin := range []bool{false, true} {
				db := filepath.Join(t.TempDir(), "x.db")
				path := write(t, tc.file, tc.text)
				args := append([]string{"-store", "sqlite:" + db, "-tenant", "acme"}, strings.Fields(tc.args)...)
				var got outcome
				if stdin {
					format := "csv"
					if !strings.HasSuffix(path, "csv") || strings.Contains(tc.args, "ndjson") {
						format = "ndjson"
					}
					got = do(tc.text, append(args, "-format", format, "-")...)
				} else {
					got = do("", append(args, path)...)
				}
				assert.Equal(t, tc.code, got.code, got.err)
				assert.Equal(t, tc.summary, got.summary())
				lines := strings.SplitAfter(got.err, "\n")
				if assert.Len(t, lines[:len(lines)-1], len(tc.lines), got.err) {
					for i, want := range tc.lines {
						assert.True(t, strings.HasPrefix(lines[i], want), "found %q, want %q", lines[i], want)
					}
				}
				assert.NotRegexp(t, "[\x00-\x09\x0b-\x1f\x7f]", got.out+got.err, "control characters")
				if tc.want == nil {
					tc.want = map[string]string{}
				}
				if len(tc.lines) == 0 || !strings.HasPrefix(tc.lines[0], "import: ") {
					assert.Equal(t, tc.want, stored(t, db, schemaName))
				}
			}
		})
	}
}

// TestNoValues: whatever is wrong, nothing that is printed has a value.
func TestNoValues(t *testing.T) {
	const marker = "Zq9-PersonalData"
	ndjson := `{"customerId":"` + marker + `"}` + "\n" + marker + "\n" + `{"customerId":"` + marker + `","createdAt":"` + marker + `","emailOptOut":"` + marker + `"}`
	csv := "customerId,emailOptOut\n" + marker + "," + marker + "\n" + marker + "\n" + marker + "\"," + marker + "\n"
	for format, text := range map[string]string{"ndjson": ndjson, "csv": csv, "no header": marker + "," + marker} {
		got := do(text, "-store", "memory", "-tenant", "acme", "-format", strings.Replace(format, "no header", "csv", 1), "-")
		assert.NotZero(t, got.code, format)
		assert.NotContains(t, got.out+got.err, marker, format)
	}
}

// TestReason: what is wrong with a document is told without the library's own words.
func TestReason(t *testing.T) {
	batch := func(err error) error { return &resource.OpError{Op: resource.Op("create_batch"), Err: err} }
	for want, err := range map[string]error{
		"data too large":          batch(storage.ErrTooLarge),
		"resource exists already": batch(resource.ErrExists),
		"corrupt stored document: expected object, found nothing": batch(&schema.CorruptError{Err: errors.New("expected object, found nothing")}),
	} {
		assert.Equal(t, want, reason(err))
	}
}

func TestFlags(t *testing.T) {
	file := write(t, "x.ndjson", "")
	with := func(args ...string) []string { return append([]string{"-store", "memory", "-tenant", "acme"}, args...) }
	folder := t.TempDir()
	for _, tc := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown flag", with("-x", file), 2, "-x"},
		{"no store", []string{"-tenant", "acme", file}, 2, "-store: expected memory, sqlite:PATH"},
		{"unknown store", []string{"-store", "tape", "-tenant", "acme", file}, 2, "-store: expected memory, sqlite:PATH"},
		{"no database there", []string{"-store", "postgres://u:secret@127.0.0.1:1/db", "-tenant", "acme", file}, 1, "-store: "},
		{"no such folder", []string{"-store", "sqlite:" + filepath.Join(folder, "none", "x.db"), "-tenant", "acme", file}, 1, "-store: "},
		{"no tenant", []string{"-store", "memory", file}, 2, "-tenant: expected"},
		{"unknown schema", with("-schema", "orders", file), 2, "-schema: expected customers, locations or transactions"},
		{"unknown format", with("-format", "xml", file), 2, "-format: expected ndjson or csv"},
		{"format not known", with("-"), 2, "-format: expected ndjson or csv"},
		{"negative position", with("-from", "-1", file), 2, "flag -from"},
		{"two positions", with("-from", "1", "-position-file", filepath.Join(folder, "p"), file), 2, "-from and -position-file: expected one"},
		{"position of a dry run", with("-dry-run", "-position-file", filepath.Join(folder, "p"), file), 2, "-dry-run and -position-file: expected one"},
		{"position of standard input", with("-format", "ndjson", "-position-file", filepath.Join(folder, "p"), "-"), 2, "-position-file: standard input cannot be read again"},
		{"unknown policy for conflicts", with("-onconflict", "merge", file), 2, "-onconflict: expected upsert or reject"},
		{"unknown policy for nulls", with("-nulls", "keep", file), 2, "-nulls: expected delete, reject or ignore"},
		{"separator of two characters", with("-format", "csv", "-comma", ";;", file), 2, "-comma: expected one ASCII character"},
		{"separator that is no ASCII", with("-format", "csv", "-comma", "\u00a6", file), 2, "-comma: expected one ASCII character"},
		{"separator that cannot be", with("-format", "csv", "-comma", "\"", file), 1, "-comma: "},
		{"separator of NDJSON", with("-comma", ";", file), 2, "-comma and -map: they are for CSV"},
		{"no field to map to", with("-map", "x=", file), 2, "flag -map: expected COLUMN=FIELD"},
		{"column mapped twice", with("-map", "x=email", "-map", "x=phone", file), 2, "flag -map: the column is mapped already"},
		{"no batch", with("-batch", "0", file), 2, "-batch: expected 1 to 1000"},
		{"large batch", with("-batch", "1001", file), 2, "-batch: expected 1 to 1000"},
		{"negative errors", with("-errors", "-1", file), 2, "-errors: expected"},
		{"no file", with(), 2, "found 0 arguments"},
		{"flags after the file", with(file, "-dry-run"), 2, "flags come before it"},
		{"no such file", with(filepath.Join(folder, "none.ndjson")), 1, "no such file"},
		{"a folder", with("-format", "csv", folder), 1, "is a folder"},
		{"position file in no folder", with("-position-file", filepath.Join(folder, "none", "p"), file), 1, "-position-file: "},
		{"help", []string{"-h"}, 0, "-ignore-unknown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := do("", tc.args...)
			assert.Equal(t, tc.code, got.code, got.err)
			assert.Contains(t, got.err, tc.want)
			assert.NotContains(t, got.err, "secret")
			assert.Empty(t, got.out)
		})
	}
}

// failing is an input that fails after its text.
type failing struct{ text *strings.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.text.Read(p)
	if err != nil {
		err = errors.New("disk on fire")
	}
	return n, err
}

// TestFrom: an import that ended early says where to go on, and does.
func TestFrom(t *testing.T) {
	for _, format := range []string{"ndjson", "csv"} {
		text := "\n" + customers(7) + "bad\n" + customers(25)
		if format == "csv" {
			text = "customerId,firstName,lastName,createdAt\n"
			for i := range 32 {
				if i == 7 {
					text += "bad\n"
				}
				text += fmt.Sprintf("c-%d,\"A\nda\",L,2024-01-02T03:04:05Z\n", i)
			}
		}
		db := filepath.Join(t.TempDir(), "x.db")
		args := []string{"-store", "sqlite:" + db, "-tenant", "acme", "-batch", "5", "-format", format}
		var out, stderr bytes.Buffer
		cut := strings.LastIndex(text[:2*len(text)/3], "\n") + 1
		code := run(context.Background(), append(args, "-"), failing{strings.NewReader(text[:cut])}, &out, &stderr)
		assert.Equal(t, exitEarly, code)
		assert.Regexp(t, `(?s)^line \d+: .*\nimport: ended early: line \d+: disk on fire\nimport: standard input cannot be read again: put it into a file, and go on with -from \d+:[0-9a-f]{32}\n$`, stderr.String())
		from := regexp.MustCompile(`-from (\S+)`).FindStringSubmatch(stderr.String())[1]
		first := len(stored(t, db, "customers"))
		got := do(text, append(args, "-from", from, "-")...)
		assert.Equal(t, exitDone, got.code, got.err)
		all := stored(t, db, "customers")
		if format == "csv" {
			assert.Len(t, all, 32)
			assert.Equal(t, fmt.Sprintf("%d created, 0 updated, 0 unchanged, 0 failed", 32-first), got.summary())
		}
		assert.Equal(t, 25, min(len(all), 25))

		got = do(text, append(args, "-from", "3", "-")...)
		assert.Equal(t, exitFailed, got.code)
		assert.Contains(t, got.err, map[string]string{"ndjson": "line 9: ", "csv": "line 16: "}[format], "lines are those of the file")
		got = do(text, append(args, "-from", "1000", "-")...)
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, "import: -from: not a position of this input: it has only 33 documents, and 1000 should be done")
	}
}

// position returns the text of a position file of customers of acme.
func position(t *testing.T, documents, input, db string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"position": documents, "counts": map[string]int{"Created": 12},
		"import": map[string]string{
			"input": input, "store": "the SQLite file " + db, "tenant": "acme", "schema": "customers",
			"flags": `-format ndjson -comma '\x00' -map map[] -ignore-unknown=false -onconflict upsert -nulls delete`,
		},
	})
	require.NoError(t, err)
	return string(text)
}

// TestPositionOfOddPaths: a position is that of its import whatever the paths and
// arguments are, also ones that no JSON text can hold.
func TestPositionOfOddPaths(t *testing.T) {
	for _, name := range []string{"a b", "-x", `"'\`, "*", "é", "\xff", "?#%&+;", "a\nb"} {
		folder := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.Mkdir(folder, 0o700))
		c := config{path: filepath.Join(folder, name), rejects: filepath.Join(folder, name+".rejects"), tenant: name, schema: "customers", columns: columns{name: "email"}}
		file := filepath.Join(folder, name+".position")
		store := "the SQLite file " + c.path
		p, err := openPosition(file, c, store)
		require.NoError(t, err, name)
		p.Position.Documents = 12
		require.NoError(t, p.save(), name)
		found, err := openPosition(file, c, store)
		require.NoError(t, err, name)
		assert.Equal(t, p, found)
		_, err = openPosition(file, c, store+"\xfe")
		assert.ErrorContains(t, err, "another import")
		c.tenant += "\xfe"
		_, err = openPosition(file, c, store)
		assert.ErrorContains(t, err, "another import")
	}
}

// TestPositionFile: it is written with each batch, read at the start, minded whose
// it is, and gone at the end.
func TestPositionFile(t *testing.T) {
	path := write(t, "x.ndjson", customers(20))
	folder := t.TempDir()
	db, file := filepath.Join(folder, "x.db"), filepath.Join(folder, "position")
	args := func(more ...string) []string {
		return append([]string{"-store", "sqlite:" + db, "-batch", "5", "-position-file", file}, more...)
	}
	save := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	mine := position(t, "12", path, db)
	save(mine)
	got := do("", args("-tenant", "acme", path)...)
	assert.Equal(t, exitDone, got.code, got.err)
	assert.Equal(t, "20 created, 0 updated, 0 unchanged, 0 failed", got.summary(), "those of the run before, too")
	assert.Len(t, stored(t, db, "customers"), 8)
	assert.NoFileExists(t, file)
	got = do("", args("-tenant", "acme", path)...)
	assert.Equal(t, "12 created, 0 updated, 8 unchanged, 0 failed", got.summary())
	t.Chdir(filepath.Dir(path))
	save(mine)
	got = do("", args("-tenant", "acme", filepath.Base(path))...)
	assert.Equal(t, "12 created, 0 updated, 8 unchanged, 0 failed", got.summary(), "the same file by another path")

	for text, want := range map[string]string{
		"": "is not a position file", "12": "is not a position file", `{"position":"-1"}`: "is not a position file", `{"position":"12"}`: "is not a position file",
		position(t, "12", "y.ndjson", "y.db"): "is the position of another import: of y.ndjson, into the customers of acme in the SQLite file y.db, with -format ndjson",

		strings.Replace(mine, "acme", "globex", 1):                 "another import",
		position(t, "12", filepath.Join(folder, "y.ndjson"), db):   "another import",
		position(t, "12", path, filepath.Join(folder, "y.db")):     "another import",
		strings.Replace(mine, `"customers"`, `"locations"`, 1):     "another import",
		strings.Replace(mine, "unknown=false", "unknown=true", 1):  "another import",
		strings.Replace(mine, "-nulls delete", "-nulls ignore", 1): "another import",
		position(t, "12:"+strings.Repeat("ab", 16), path, db):      "-position-file: not a position of this input: the 12 documents before it are not those that were imported; remove " + file + " to begin at the start",
		position(t, "21", path, db):                                "it has only 20 documents, and 21 should be done",
	} {
		save(text)
		got = do("", args("-tenant", "acme", path)...)
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, want)
		assert.Empty(t, got.out)
		found, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.HasPrefix(want, "is ") || want == "another import" {
			assert.Equal(t, text, string(found), "it is somebody else's")
		}
	}
	require.NoError(t, os.Remove(file))
}

// TestPositionKnowsItsContent: an import that was killed goes on only in a file that
// begins with what is done.
func TestPositionKnowsItsContent(t *testing.T) {
	folder := t.TempDir()
	path, db, file := filepath.Join(folder, "x.ndjson"), filepath.Join(folder, "x.db"), filepath.Join(folder, "position")
	args := []string{"-store", "sqlite:" + db, "-tenant", "acme", "-batch", "100", "-position-file", file, path}
	all := strings.SplitAfter(customers(3000), "\n")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(all, "")), 0o600))
	// It ends in the middle, as when it is killed: the position cannot be replaced.
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if text, err := os.ReadFile(file); err == nil && !bytes.Contains(text, []byte(`"position":"0"`)) {
				return
			}
		}
	}()
	var out, stderr bytes.Buffer
	require.Equal(t, exitEarly, run(ctx, args, nil, &out, &stderr), "%s", stderr.String())
	kept, err := os.ReadFile(file)
	require.NoError(t, err)

	require.NoError(t, os.WriteFile(path, []byte(strings.Join(append(all[:40:40], all[50:]...), "")), 0o600))
	got := do("", args...)
	assert.Equal(t, exitEarly, got.code)
	assert.Contains(t, got.err, "not those that were imported")
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(kept), string(after))

	require.NoError(t, os.WriteFile(path, []byte(strings.Join(all, "")), 0o600))
	got = do("", args...)
	assert.Equal(t, exitDone, got.code, got.err)
	var created, updated, unchanged, failed int
	_, err = fmt.Sscanf(got.summary(), "%d created, %d updated, %d unchanged, %d failed", &created, &updated, &unchanged, &failed)
	require.NoError(t, err)
	assert.Equal(t, [3]int{3000, 0, 0}, [3]int{created + unchanged, updated, failed}, "both runs are counted")
	assert.Len(t, stored(t, db, "customers"), 3000)
}

// TestCancel: a signal ends the import between two batches.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("stop it"))
	var out, stderr bytes.Buffer
	code := run(ctx, []string{"-store", "memory", "-tenant", "acme", "-format", "ndjson", "-"}, strings.NewReader(customers(10)), &out, &stderr)
	assert.Equal(t, exitEarly, code)
	assert.Contains(t, stderr.String(), "ended early: stop it\nimport: standard input cannot be read again: put it into a file, and go on with -from 0\n")
}

// files returns what can be seen of a SQLite file and its log, by name.
func files(t testing.TB, db string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{db, db + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			all[filepath.Base(name)] = fmt.Sprint(info.Size(), info.ModTime())
		}
	}
	return all
}

// content adds the sums of the contents. Nobody may have the file open.
func content(t testing.TB, db string) map[string]string {
	t.Helper()
	all := files(t, db)
	for name := range all {
		file, err := os.Open(filepath.Join(filepath.Dir(db), name))
		require.NoError(t, err)
		sum := sha256.New()
		_, err = io.Copy(sum, file)
		require.NoError(t, errors.Join(err, file.Close()))
		all[name] += fmt.Sprintf(" %x", sum.Sum(nil))
	}
	return all
}

// TestAgainWritesNothing: the same file for the second time leaves every byte of
// the store as it was, and its log too.
func TestAgainWritesNothing(t *testing.T) {
	path, db := write(t, "x.ndjson", customers(2500)), filepath.Join(t.TempDir(), "x.db")
	args := []string{"-store", "sqlite:" + db, "-tenant", "acme", path}
	got := do("", args...)
	require.Equal(t, "2500 created, 0 updated, 0 unchanged, 0 failed", got.summary(), got.err)
	before := content(t, db)
	got = do("", args...)
	assert.Equal(t, "0 created, 0 updated, 2500 unchanged, 0 failed", got.summary())
	assert.Equal(t, before, content(t, db))

	// As long as somebody else has it open, the log stays.
	other, err := sqlite.Open(context.Background(), db, nil)
	require.NoError(t, err)
	defer other.Close()
	got = do(customer(2500), append(args[:4:4], "-format", "ndjson", "-")...)
	require.Equal(t, "1 created, 0 updated, 0 unchanged, 0 failed", got.summary())
	open := files(t, db)
	require.Len(t, open, 2)
	got = do("", args...)
	assert.Equal(t, "0 created, 0 updated, 2500 unchanged, 0 failed", got.summary())
	assert.Equal(t, open, files(t, db))
}

// TestPostgres: the same in a database.
func TestPostgres(t *testing.T) {
	path := write(t, "x.ndjson", customers(2500)+"bad\n")
	args := []string{"-store", testdb.New(t), "-tenant", "acme", path}
	got := do("", append([]string{"-dry-run"}, args...)...)
	assert.Equal(t, "dry run, nothing is stored: 2500 created, 0 updated, 0 unchanged, 1 failed", got.summary(), got.err)
	got = do("", args...)
	assert.Equal(t, "2500 created, 0 updated, 0 unchanged, 1 failed", got.summary(), got.err)
	got = do("", args...)
	assert.Equal(t, "0 created, 0 updated, 2500 unchanged, 1 failed", got.summary(), got.err)
	assert.Contains(t, got.err, "line 2501: not strict JSON")
}

// TestKill ends an import with SIGKILL, again and again, and starts the same
// command until it comes to its end. Then the store has what it has after one
// import that nobody disturbed.
func TestKill(t *testing.T) {
	const n = 20_000
	path, folder := write(t, "x.ndjson", customers(n)), t.TempDir()
	binary, undisturbed := build(t), filepath.Join(folder, "undisturbed.db")
	text, err := exec.Command(binary, "-store", "sqlite:"+undisturbed, "-tenant", "acme", path).Output()
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%d created, 0 updated, 0 unchanged, 0 failed", n), outcome{out: string(text)}.summary())

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	db, position := filepath.Join(folder, "killed.db"), filepath.Join(folder, "position")
	kills := 0
	for {
		cmd := exec.Command(binary, "-store", "sqlite:"+db, "-tenant", "acme", "-batch", "500", "-position-file", position, path)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		before, _ := os.ReadFile(position)
		require.NoError(t, cmd.Start())
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		if kills < 4 {
			// It is killed after it has done something.
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if now, err := os.ReadFile(position); len(done) > 0 || err == nil && !bytes.Equal(now, before) {
					break
				}
			}
			time.Sleep(time.Duration(random.IntN(int(100 * time.Millisecond))))
			_ = cmd.Process.Kill()
		}
		if err := <-done; err == nil {
			break
		}
		require.Less(t, kills, 4, "%s", out.String())
		kills++
	}
	assert.Positive(t, kills, "seed %d", seed)
	assert.NoFileExists(t, position)
	want, found := stored(t, undisturbed, "customers"), stored(t, db, "customers")
	assert.Len(t, found, n)
	if len(found) == len(want) {
		for id := range want {
			require.Equal(t, want[id], found[id], "seed %d", seed)
		}
	}
	visit(t, db, "customers", func(r *resource.Resource) {
		require.Equal(t, r.CreatedAt(), r.UpdatedAt(), "written once, seed %d", seed)
	})
}

// TestOpenQuote: a CSV quote that is not closed takes all that follows into its row,
// and so ends the import early. What is done stays done.
func TestOpenQuote(t *testing.T) {
	const header, date = "customerId,firstName,lastName,createdAt\n", "2024-01-02T03:04:05Z\n"
	rows := func(from, to int) string {
		var b strings.Builder
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "r%d,Ada,L,%s", i, date)
		}
		return b.String()
	}
	folder := t.TempDir()
	db, position, path := filepath.Join(folder, "x.db"), filepath.Join(folder, "position"), filepath.Join(folder, "x.csv")
	args := []string{"-store", "sqlite:" + db, "-tenant", "acme", "-position-file", position, path}
	open, mended := header+rows(0, 1)+"1,\"A,L,D\n"+rows(2, 60_000), header+rows(0, 60_000)
	require.NoError(t, os.WriteFile(path, []byte(open), 0o600))
	for range 2 {
		got := do("", args...)
		assert.Equal(t, exitEarly, got.code)
		assert.Equal(t, "1 created, 0 updated, 0 unchanged, 0 failed", got.summary())
		assert.Equal(t, "import: ended early: lines 3 to 60001: a quote is not closed; a misplaced quote may have joined several rows\nimport: the same command goes on from position 1\n", got.err)
		assert.FileExists(t, position)
	}
	require.NoError(t, os.WriteFile(path, []byte(mended), 0o600))
	got := do("", args...)
	assert.Equal(t, exitDone, got.code, got.err)
	assert.Equal(t, "60000 created, 0 updated, 0 unchanged, 0 failed", got.summary(), "of all runs")
	assert.Len(t, stored(t, db, "customers"), 60_000)
	assert.NoFileExists(t, position)
}

// TestDryRun: a dry run says what the run does, and leaves nothing where it would
// make a database.
func TestDryRun(t *testing.T) {
	folder := t.TempDir()
	path := write(t, "x.ndjson", customers(1000)+`{"customerId":"c-0","email":"x@y"}`+"\n")
	args := []string{"-store", "sqlite:" + filepath.Join(folder, "x.db"), "-tenant", "acme", path}
	dry := do("", append([]string{"-dry-run"}, args...)...)
	assert.Equal(t, exitDone, dry.code, dry.err)
	found, err := os.ReadDir(folder)
	require.NoError(t, err)
	assert.Empty(t, found)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "x.db"), nil, 0o600))
	assert.Equal(t, dry.summary(), do("", append([]string{"-dry-run"}, args...)...).summary())
	assert.Empty(t, files(t, filepath.Join(folder, "x.db"))["x.db-wal"])
	info, err := os.Stat(filepath.Join(folder, "x.db"))
	require.NoError(t, err)
	assert.Zero(t, info.Size(), "an empty file stays empty")

	got := do("", args...)
	assert.Equal(t, "1000 created, 1 updated, 0 unchanged, 0 failed", got.summary())
	assert.Equal(t, "dry run, nothing is stored: "+got.summary(), dry.summary())
	assert.Equal(t, got.err, dry.err)
	before := content(t, filepath.Join(folder, "x.db"))
	dry = do("", append([]string{"-dry-run"}, args...)...)
	assert.Equal(t, "dry run, nothing is stored: 0 created, 2 updated, 999 unchanged, 0 failed", dry.summary())
	assert.Equal(t, before, content(t, filepath.Join(folder, "x.db")))
	for _, path := range []string{filepath.Join(folder, "none", "x.db"), ":memory:", "file:x", folder} {
		wrong := append([]string{"-dry-run", "-store", "sqlite:" + path}, args[2:]...)
		assert.Equal(t, exitEarly, do("", wrong...).code, "a path that the run refuses")
	}

	var out bytes.Buffer
	im := &importing{config: config{dryRun: true}, stderr: &out}
	im.sum(&ingest.Result{Forgotten: 12})
	assert.Contains(t, out.String(), "the dry run reached its bound of memory: what the last 12 documents would have made")
}

// TestRejects: the documents that failed are in the file, to be mended and imported
// again; once each, also when the import was killed.
func TestRejects(t *testing.T) {
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	put := func(name, text string) string {
		require.NoError(t, os.WriteFile(file(name), []byte(text), 0o600))
		return file(name)
	}
	args := func(more ...string) []string {
		return append([]string{"-store", "sqlite:" + file("x.db"), "-tenant", "acme"}, more...)
	}
	const date = "2024-01-02T03:04:05Z"
	text := "\ufeffcustomerId;firstName;lastName;createdAt\na;Ada;L;" + date + "\nb;Bob\nc;\"C\n\";B;yesterday\n"
	got := do("", args("-rejects", file("rejects.csv"), put("x.csv", text))...)
	assert.Equal(t, exitFailed, got.code)
	want := "\ufeffsep=;\ncustomerId;firstName;lastName;createdAt\n#rejected line 3: found 2 columns, expected 4\nb;Bob\n" +
		"#rejected lines 4 to 5: REASON\nc;\"C\n\";B;yesterday\n"
	read := func(name string) string {
		found, err := os.ReadFile(file(name))
		require.NoError(t, err)
		return string(found)
	}
	reason := regexp.MustCompile(`invalid document: /createdAt: .*`)
	assert.Equal(t, want, reason.ReplaceAllString(read("rejects.csv"), "REASON"))

	got = do("", args("-rejects", file("rejects.csv"), file("x.csv"))...)
	assert.Equal(t, exitEarly, got.code)
	assert.Contains(t, got.err, "-rejects: "+file("rejects.csv")+" exists already")
	got = do("", args("-rejects", file("x.csv"), "-from", "1", file("x.csv"))...)
	assert.Equal(t, exitEarly, got.code)
	assert.Equal(t, text, read("x.csv"), "the input itself")

	put("rejects.csv", strings.NewReplacer("b;Bob", "b;Bob;B;"+date, "yesterday", date).Replace(want))
	got = do("", args("-rejects", file("none.csv"), file("rejects.csv"))...)
	assert.Equal(t, exitDone, got.code, got.err)
	assert.Equal(t, "2 created, 0 updated, 0 unchanged, 0 failed", got.summary())
	assert.NoFileExists(t, file("none.csv"), "nothing failed")

	// A run that ended early, and the next one.
	lines := []string{customer(0), "bad 1", customer(2), "bad 3", customer(4), "bad 5", ""}
	put("x.ndjson", strings.Join(lines, "\n"))
	resumed := args("-batch", "2", "-position-file", file("position"), "-rejects", file("rejects.ndjson"), file("x.ndjson"))
	cfg, err := parse(resumed, io.Discard)
	require.NoError(t, err)
	p, err := openPosition(file("position"), cfg, "the SQLite file "+file("x.db"))
	require.NoError(t, err)
	p.Position, p.Counts.Created, p.Counts.Failed = ingest.Position{Documents: 2}, 1, 1
	first := "#rejected line 2: not strict JSON at byte 0: expected a value\nbad 1\n"
	p.Rejected = int64(len(first))
	put("rejects.ndjson", first+"#rejected line 4: and of this nobody knows\nba")
	require.NoError(t, p.save())
	got = do("", resumed...)
	assert.Equal(t, exitFailed, got.code, got.err)
	assert.Equal(t, "3 created, 0 updated, 0 unchanged, 3 failed", got.summary(), "both runs are counted")
	blocks := strings.Split(read("rejects.ndjson"), "#rejected ")
	require.Len(t, blocks, 4, read("rejects.ndjson"))
	for i, line := range []string{"line 2: ", "line 4: ", "line 6: "} {
		assert.True(t, strings.HasPrefix(blocks[i+1], line) && strings.HasSuffix(blocks[i+1], fmt.Sprintf("\nbad %d\n", 2*i+1)), blocks[i+1])
	}
}

// TestWrongHeader: an import that cannot begin makes no store.
func TestWrongHeader(t *testing.T) {
	db := filepath.Join(t.TempDir(), "x.db")
	got := do("", "-store", "sqlite:"+db, "-tenant", "acme", write(t, "x.csv", ""))
	assert.Equal(t, exitEarly, got.code)
	assert.Contains(t, got.err, "no header row")
	assert.NoFileExists(t, db)
}
