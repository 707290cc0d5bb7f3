package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/testdb"
	"example.com/resourcekit/resource"
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
	visit(t, file, schemaName, func(r *resource.Resource) { all[r.ExternalID()] = string(r.Data()) })
	return all
}

// visit calls a function for each resource in a SQLite file.
func visit(t testing.TB, file, schemaName string, do func(*resource.Resource)) {
	t.Helper()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, file, nil)
	require.NoError(t, err)
	defer store.Close()
	c, err := resource.NewCollection(schemas[schemaName](), store, nil)
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

// TestInputs: what comes of an input. Lines are those of standard error.
func TestInputs(t *testing.T) {
	const (
		ada     = `{"customerId":"a","firstName":"Ada","lastName":"L","createdAt":"2024-01-02T03:04:05Z"}`
		bob     = `{"customerId":"b","firstName":"Bob","lastName":"B","createdAt":"2024-01-02T03:04:05Z"}`
		header  = "customerId,firstName,lastName,createdAt\n"
		adaRow  = "a,Ada,L,2024-01-02T03:04:05Z\n"
		bobRow  = "b,Bob,B,2024-01-02T03:04:05Z\n"
		optOuts = `"createdAt":"2024-01-02T03:04:05Z","emailOptOut":false,"smsOptOut":true}`
		adaDoc  = `{"customerId":"a","firstName":"Ada","lastName":"L",` + optOuts
		bobDoc  = `{"customerId":"b","firstName":"Bob","lastName":"B",` + optOuts
		totals  = "transactionId,transactionDate,transactionTotal\n"
		date    = "2024-01-02T03:04:05Z"
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
		{name: "updated and unchanged", file: "x.ndjson", text: ada + "\n" + ada + "\n" + `{"customerId":"a","lastName":"M"}`, args: "-batch 1", summary: "1 created, 1 updated, 1 unchanged, 0 failed", want: map[string]string{"a": strings.Replace(adaDoc, `"L"`, `"M"`, 1)}},
		{name: "empty file", file: "x.ndjson", text: "", summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "blank lines alone", file: "x.ndjson", text: "\n\r\n  \t\n", summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "bad lines", file: "x.ndjson", text: "\n" + ada + "\n\nnonsense\n" + `{"customerId":"z","email":7}` + "\n" + bob, code: 3, summary: "2 created, 0 updated, 0 unchanged, 2 failed",
			lines: []string{"line 4: not strict JSON at byte 0: ", "line 5: invalid document: /email: want string, found number; /firstName: "}, want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "batches keep count of lines", file: "x.ndjson", text: "\n" + ada + "\n\nnonsense\n" + `{"customerId":"z","email":7}` + "\n" + bob, args: "-batch 1", code: 3, summary: "2 created, 0 updated, 0 unchanged, 2 failed",
			lines: []string{"line 4: ", "line 5: "}, want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "byte order mark and CRLF", file: "x.ndjson", text: "\ufeff" + ada + "\r\n\r\n" + bob + "\r\n", summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "byte order mark alone", file: "x.ndjson", text: "\ufeff", summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "byte order mark inside", file: "x.ndjson", text: ada + "\n\ufeff" + bob, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: not strict JSON"}, want: map[string]string{"a": adaDoc}},
		{name: "longest line", file: "x.ndjson", text: full + "\r\n" + bob, summary: "2 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": fullDoc, "b": bobDoc}},
		{name: "too long a line", file: "x.ndjson", text: ada + "\n" + full + " \n" + bob, code: 3, summary: "2 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: longer than 1 MiB"}, want: map[string]string{"a": adaDoc, "b": bobDoc}},
		{name: "far too long a line, and the last", file: "x.ndjson", text: ada + "\n" + strings.Repeat(long, 3), code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: longer than 1 MiB"}, want: map[string]string{"a": adaDoc}},
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
		{name: "csv lines after quoted line ends", file: "x.csv", text: header + "a,\"A\n\n\nda\",L," + date + "\nb\n" + "c,\"\n\n\",,\n" + "d,\"x\"y,z\n" + bobRow + "e,f,g,\"h", code: 3, summary: "2 created, 0 updated, 0 unchanged, 4 failed",
			lines: []string{"line 6: found 1 columns, want 4", "line 7: invalid document: /lastName: ", `line 10: extraneous or missing " in quoted-field`, `line 12: extraneous or missing " in quoted-field`},
			want:  map[string]string{"a": `{"customerId":"a","firstName":"A\n\n\nda","lastName":"L",` + optOuts, "b": bobDoc}},
		{name: "csv wrong number of columns", file: "x.csv", text: header + "a,b\n" + adaRow + "a,b,c,d,e\n", code: 3, summary: "1 created, 0 updated, 0 unchanged, 2 failed", lines: []string{"line 2: found 2 columns, want 4", "line 4: found 5 columns, want 4"}, want: map[string]string{"a": adaDoc}},
		{name: "csv bare quote", file: "x.csv", text: header + "a,A\"da,L,\"" + date + "\n" + bobRow, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{`line 2: bare " in non-quoted-field`}, want: map[string]string{"b": bobDoc}},
		{name: "csv too long a row", file: "x.csv", text: header + "a,\"" + strings.Repeat(long+"\n", 2) + "\",c,d\n" + bobRow, code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: longer than 1 MiB"}, want: map[string]string{"b": bobDoc}},
		{name: "csv quote never closed", file: "x.csv", text: header + bobRow + "a,\"b\n" + strings.Repeat(adaRow, 1<<16), code: 3, summary: "1 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 3: longer than 1 MiB"}, want: map[string]string{"b": bobDoc}},
		{name: "csv empty cells are absent", file: "x.csv", text: "customerId,email,firstName,lastName,createdAt,emailOptOut\na,,Ada,L," + date + ",\nb,\"\",Bob,B," + date + ",true\na,x,,,,false\n", args: "-batch 1", summary: "2 created, 1 updated, 0 unchanged, 0 failed",
			want: map[string]string{"a": `{"customerId":"a","firstName":"Ada","lastName":"L",` + strings.TrimSuffix(optOuts, "}") + `,"email":"x"}`, "b": strings.Replace(bobDoc, `"emailOptOut":false`, `"emailOptOut":true`, 1)}},
		{name: "csv booleans", file: "x.csv", text: "customerId,emailOptOut\na,TRUE\nb, true\nc,1\n", code: 3, summary: "0 created, 0 updated, 0 unchanged, 3 failed", lines: []string{"line 2: /emailOptOut: want true or false", "line 3: /emailOptOut: want", "line 4: /emailOptOut: want"}},
		{name: "csv numbers", file: "x.csv", args: "-schema transactions", text: totals + "a," + date + ",12.50\nb," + date + ",-1e3\nc," + date + ",\"1,5\"\nd," + date + ",+1\ne," + date + ", 1\nf," + date + ",NaN\ng," + date + ",1 \nh," + date + ",01\ni," + date + ",-\n", code: 3,
			summary: "2 created, 0 updated, 0 unchanged, 7 failed", lines: []string{"line 4: /transactionTotal: want a JSON number", "line 5: ", "line 6: ", "line 7: ", "line 8: ", "line 9: ", "line 10: "},
			want: map[string]string{"a": `{"transactionId":"a","transactionDate":"` + date + `","transactionTotal":12.50}`, "b": `{"transactionId":"b","transactionDate":"` + date + `","transactionTotal":-1e3}`}},
		{name: "csv digits of a string field are text", file: "x.csv", text: header + "1,2,true," + date + "\n", summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"1": `{"customerId":"1","firstName":"2","lastName":"true",` + optOuts}},
		{name: "csv not UTF-8", file: "x.csv", text: header + "a,\xff,\xfe," + date + "\n", code: 3, summary: "0 created, 0 updated, 0 unchanged, 1 failed", lines: []string{"line 2: /firstName: want UTF-8; /lastName: want UTF-8"}},
		{name: "csv locations", file: "x.csv", args: "-schema locations", text: "zipCode,locationId,name,address,city,state\n02134,l,n,a,c,s\n", summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"l": `{"zipCode":"02134","locationId":"l","name":"n","address":"a","city":"c","state":"s"}`}},
		{name: "csv blank ids", file: "x.csv", text: header + " ,Ada,Love," + date + "\n" + adaRow + "\u00a0,Bob,Hope," + date + "\n", code: 3, summary: "1 created, 0 updated, 0 unchanged, 2 failed", lines: []string{"line 2: invalid document: /customerId: want at least one visible", "line 4: invalid document: /customerId: want at least one visible"}, want: map[string]string{"a": adaDoc}},
		{name: "csv header alone", file: "x.csv", text: header, summary: "0 created, 0 updated, 0 unchanged, 0 failed"},
		{name: "csv unknown column ignored", file: "x.csv", args: "-ignore-unknown", text: "x," + header + "9," + adaRow, summary: "1 created, 0 updated, 0 unchanged, 0 failed", want: map[string]string{"a": adaDoc}},
		{name: "csv empty file", file: "x.csv", code: 1, lines: []string{"import: the file has no header row"}},
		{name: "csv duplicate column", file: "x.csv", text: "\n\ncustomerId,email,email\n", code: 1, lines: []string{"import: line 3: the header row: column 3 has the name of another one"}},
		{name: "csv duplicate column that is ignored", file: "x.csv", args: "-ignore-unknown", text: "customerId,x,x\n", code: 1, lines: []string{"import: line 1: the header row: column 3 has the name of another one"}},
		{name: "csv column without a name", file: "x.csv", text: "customerId,,email\n", code: 1, lines: []string{"import: line 1: the header row: column 2 has no name"}},
		{name: "csv unknown column", file: "x.csv", text: "customerId,Email\n", code: 1, lines: []string{"import: line 1: the header row: column 2 is no field of customers, which are customerId, email, "}},
		{name: "csv without external ids", file: "x.csv", text: "email\n", code: 1, lines: []string{"import: line 1: the header row: no column is customerId, the external id"}},
		{name: "csv header too long", file: "x.csv", text: long + "xx", code: 1, lines: []string{"import: line 1: the header row: unusable document: longer than 1 MiB"}},
		{name: "csv header not right", file: "x.csv", text: "a\"\n", code: 1, lines: []string{`import: line 1: the header row: unusable document: bare " in non-quoted-field`}},
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
		{"no store", []string{"-tenant", "acme", file}, 2, "-store: want memory, sqlite:PATH"},
		{"unknown store", []string{"-store", "tape", "-tenant", "acme", file}, 2, "-store: want memory, sqlite:PATH"},
		{"no database there", []string{"-store", "postgres://u:secret@127.0.0.1:1/db", "-tenant", "acme", file}, 1, "-store: "},
		{"no such folder", []string{"-store", "sqlite:" + filepath.Join(folder, "none", "x.db"), "-tenant", "acme", file}, 1, "-store: "},
		{"no tenant", []string{"-store", "memory", file}, 2, "-tenant: want"},
		{"unknown schema", with("-schema", "orders", file), 2, "-schema: want customers, locations or transactions"},
		{"unknown format", with("-format", "xml", file), 2, "-format: want ndjson or csv"},
		{"format not known", with("-"), 2, "-format: want ndjson or csv"},
		{"negative position", with("-from", "-1", file), 2, "-from: want"},
		{"two positions", with("-from", "1", "-position-file", filepath.Join(folder, "p"), file), 2, "-from and -position-file: want one"},
		{"position of a dry run", with("-dry-run", "-position-file", filepath.Join(folder, "p"), file), 2, "-dry-run and -position-file: want one"},
		{"no batch", with("-batch", "0", file), 2, "-batch: want 1 to 1000"},
		{"large batch", with("-batch", "1001", file), 2, "-batch: want 1 to 1000"},
		{"negative errors", with("-errors", "-1", file), 2, "-errors: want"},
		{"no file", with(), 2, "found 0 arguments"},
		{"flags behind the file", with(file, "-dry-run"), 2, "flags come before it"},
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

// failing is an input that fails behind its text.
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
		assert.Regexp(t, `(?s)^line \d+: .*\nimport: ended early: line \d+: disk on fire\nimport: go on with -from \d+\n$`, stderr.String())
		from := regexp.MustCompile(`-from (\d+)`).FindStringSubmatch(stderr.String())[1]
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
		assert.Contains(t, got.err, "the input has only 33 documents")
	}
}

// TestPositionOfOddPaths: a position is that of its import whatever the paths are,
// also ones that no JSON text can hold.
func TestPositionOfOddPaths(t *testing.T) {
	for _, name := range []string{"a b", "-x", `"'\`, "*", "é", "\xff", "?#%&+;", "a\nb"} {
		folder := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.Mkdir(folder, 0o700))
		c := config{path: filepath.Join(folder, name), tenant: "acme", schema: "customers"}
		position := filepath.Join(folder, name+".position")
		p, err := openPosition(position, c, "the SQLite file "+c.path)
		require.NoError(t, err, name)
		require.NoError(t, p.save(12), name)
		p, err = openPosition(position, c, "the SQLite file "+c.path)
		require.NoError(t, err, name)
		assert.Equal(t, int64(12), p.Position)
		_, err = openPosition(position, c, "the SQLite file "+c.path+"\xfe")
		assert.ErrorContains(t, err, "another import")
	}
}

// TestPositionFile: it is written with each batch, read at the start, minded whose
// it is, and gone at the end.
func TestPositionFile(t *testing.T) {
	path := write(t, "x.ndjson", customers(20))
	folder := t.TempDir()
	db, position := filepath.Join(folder, "x.db"), filepath.Join(folder, "position")
	args := func(more ...string) []string {
		return append([]string{"-store", "sqlite:" + db, "-batch", "5", "-position-file", position}, more...)
	}
	save := func(text string) { require.NoError(t, os.WriteFile(position, []byte(text), 0o600)) }
	place := "the SQLite file " + db
	mine := fmt.Sprintf(`{"position":12,"input":%q,"store":%q,"tenant":"acme","schema":"customers"}`, path, place)
	save(mine)
	got := do("", args("-tenant", "acme", path)...)
	assert.Equal(t, exitDone, got.code, got.err)
	assert.Equal(t, "8 created, 0 updated, 0 unchanged, 0 failed", got.summary())
	assert.NoFileExists(t, position)
	got = do("", args("-tenant", "acme", path)...)
	assert.Equal(t, "12 created, 0 updated, 8 unchanged, 0 failed", got.summary())
	t.Chdir(filepath.Dir(path))
	save(mine)
	got = do("", args("-tenant", "acme", filepath.Base(path))...)
	assert.Equal(t, "0 created, 0 updated, 8 unchanged, 0 failed", got.summary(), "the same file by another path")

	for text, want := range map[string]string{
		"": "is no position file", "12": "is no position file", `{"position":-1}`: "is no position file",
		`{"position":12,"input":"y.ndjson","store":"memory","tenant":"globex","schema":"customers"}`: "is the position of another import: of y.ndjson, into the customers of globex in memory",

		strings.Replace(mine, strconv.Quote(path), `"/x"`, 1):                       "another import",
		strings.Replace(mine, strconv.Quote(place), `"the SQLite file /y.db"`, 1):   "another import",
		strings.Replace(mine, "acme", "globex", 1):                                  "another import",
		strings.Replace(mine, `"customers"`, `"locations"`, 1):                      "another import",
		strings.Replace(mine, `"customers"`, `"customers","ignoreUnknown":true`, 1): "another import",
	} {
		save(text)
		got = do("", args("-tenant", "acme", path)...)
		assert.Equal(t, exitEarly, got.code)
		assert.Contains(t, got.err, want)
		found, err := os.ReadFile(position)
		require.NoError(t, err)
		assert.Equal(t, text, string(found), "it is somebody else's")
	}
	require.NoError(t, os.Remove(position))

	var out, stderr bytes.Buffer
	code := run(context.Background(), args("-tenant", "globex", "-format", "ndjson", "-"), failing{strings.NewReader(customers(13))}, &out, &stderr)
	assert.Equal(t, exitEarly, code)
	assert.Contains(t, stderr.String(), "import: the same command goes on from position 13\n")
	found, err := os.ReadFile(position)
	require.NoError(t, err)
	assert.JSONEq(t, fmt.Sprintf(`{"position":13,"input":"-","store":%q,"tenant":"globex","schema":"customers","ignoreUnknown":false}`, place), string(found))
	got = do(customers(20), args("-tenant", "globex", "-format", "ndjson", "-")...)
	assert.Equal(t, "7 created, 0 updated, 0 unchanged, 0 failed", got.summary())
	left, err := filepath.Glob(filepath.Join(folder, "position*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// TestCancel: a signal ends the import between two batches.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("stop it"))
	var out, stderr bytes.Buffer
	code := run(ctx, []string{"-store", "memory", "-tenant", "acme", "-format", "ndjson", "-"}, strings.NewReader(customers(10)), &out, &stderr)
	assert.Equal(t, exitEarly, code)
	assert.Contains(t, stderr.String(), "ended early: stop it\nimport: go on with -from 0\n")
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

// TestWrongHeader: an import that cannot begin makes no store.
func TestWrongHeader(t *testing.T) {
	db := filepath.Join(t.TempDir(), "x.db")
	got := do("", "-store", "sqlite:"+db, "-tenant", "acme", write(t, "x.csv", ""))
	assert.Equal(t, exitEarly, got.code)
	assert.Contains(t, got.err, "no header row")
	assert.NoFileExists(t, db)
}
