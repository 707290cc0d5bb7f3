package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/examples/internal/schemas"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
)

// declared are the schemas that can be imported.
var declared = map[string]func() *schema.Schema{
	"customers":    schemas.Customers,
	"locations":    schema.Locations,
	"transactions": schema.Transactions,
}

// config is what the command line says.
type config struct {
	store, tenant, schema, format string
	positionFile, rejects         string
	from                          ingest.Position
	batch, errors                 int
	comma                         rune
	columns                       columns
	ignoreUnknown, dryRun         bool
	onConflict, nulls             string
	path                          string
}

// maxBatch is the most documents of -batch, and as many as are written at once without it.
const maxBatch = 1000

// The words of -onconflict, for whether to reject, and of -nulls.
var (
	onConflicts = map[string]bool{"upsert": false, "reject": true}
	nullWords   = map[string]schema.Nulls{"delete": schema.DeleteNulls, "reject": schema.RejectNulls, "ignore": schema.IgnoreNulls}
)

// columns are the values of -map: fields by the names of columns.
type columns map[string]string

// String implements flag.Value.
func (c columns) String() string { return fmt.Sprint(map[string]string(c)) }

// Set implements flag.Value.
func (c columns) Set(text string) error {
	i := strings.LastIndexByte(text, '=')
	if i < 1 || i == len(text)-1 {
		return errors.New("expected COLUMN=FIELD")
	}
	if _, ok := c[text[:i]]; ok {
		return errors.New("the column is mapped already")
	}
	c[text[:i]] = text[i+1:]
	return nil
}

// mapFlags returns the flags that take columns for the fields that they were probably
// meant to be.
func mapFlags(unknown []ingest.Column) string {
	var flags []string
	seen := make(map[string]bool)
	for _, c := range unknown {
		if c.Field != "" && !seen[c.Field] { // only one column can be the field
			seen[c.Field] = true
			flags = append(flags, fmt.Sprintf("-map %q", c.Name+"="+c.Field))
		}
	}
	if flags == nil {
		return ""
	}
	return "; to take them: " + strings.Join(flags, " ")
}

// parse returns what the arguments say. The usage has been printed when they are
// none that package flag knows.
func parse(args []string, stderr io.Writer) (config, error) {
	c := config{columns: columns{}}
	var comma string
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "Usage: import -store STORE -tenant NAME [flags] FILE\n\nFILE is NDJSON or CSV, - is standard input. Flags:")
		flags.PrintDefaults()
	}
	flags.StringVar(&c.store, "store", "", "where to store the documents: "+openstore.Usage)
	flags.StringVar(&c.tenant, "tenant", "", "name of the tenant whose documents they are")
	flags.StringVar(&c.schema, "schema", "customers", "what they are: customers, locations or transactions")
	flags.StringVar(&c.format, "format", "", "ndjson or csv; by the file's name if not given")
	flags.TextVar(&c.from, "from", ingest.Position{}, "position to go on from, NUMBER or NUMBER:HASH: so many documents are left out")
	flags.StringVar(&c.positionFile, "position-file", "", "file to keep the position in, and to go on from if it is there")
	flags.StringVar(&c.rejects, "rejects", "", "file for the documents that fail, to mend and import again")
	flags.IntVar(&c.batch, "batch", maxBatch, "documents to write at once")
	flags.IntVar(&c.errors, "errors", 20, "how many documents that fail to tell of, at most")
	flags.StringVar(&comma, "comma", "", "separator of CSV, one character or the word tab; recognised if not given")
	flags.Var(c.columns, "map", "COLUMN=FIELD, the field of a CSV column with another name; may be repeated")
	flags.BoolVar(&c.ignoreUnknown, "ignore-unknown", false, "leave unknown fields and columns out, instead of refusing them")
	flags.StringVar(&c.onConflict, "onconflict", "upsert", "what becomes of a document that is stored already: upsert merges, reject refuses")
	flags.StringVar(&c.nulls, "nulls", "delete", "what a null does: delete the field, reject the document, or ignore the null")
	flags.BoolVar(&c.dryRun, "dry-run", false, "store nothing, and say what would have been")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.path = flags.Arg(0)
	if flags.NArg() == 1 && c.format == "" {
		c.format = map[string]string{".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}[strings.ToLower(filepath.Ext(c.path))]
	}
	if comma == "tab" || comma == `\t` {
		comma = "\t"
	}
	if comma != "" {
		c.comma = rune(comma[0])
	}
	_, conflictKnown := onConflicts[c.onConflict]
	_, nullsKnown := nullWords[c.nulls]
	for _, row := range []struct {
		wrong bool
		text  string
	}{
		{c.store == "", "-store: expected " + openstore.Usage},
		{c.tenant == "", "-tenant: expected the name of a tenant"},
		{declared[c.schema] == nil, "-schema: expected customers, locations or transactions"},
		{!conflictKnown, "-onconflict: expected upsert or reject"},
		{!nullsKnown, "-nulls: expected delete, reject or ignore"},
		{c.batch < 1 || c.batch > maxBatch, fmt.Sprintf("-batch: expected 1 to %d", maxBatch)},
		{c.errors < 0, "-errors: expected 0 or more"},
		{c.from.Documents > 0 && c.positionFile != "", "-from and -position-file: expected one of them"},
		{c.dryRun && c.positionFile != "", "-dry-run and -position-file: expected one of them, for nothing would be done up to the position"},
		{c.path == "-" && c.positionFile != "", "-position-file: standard input cannot be read again; expected a file"},
		{flags.NArg() != 1, fmt.Sprintf("found %d arguments, expected one file; flags come before it", flags.NArg())},
		{!slices.Contains([]string{"ndjson", "csv"}, c.format), "-format: expected ndjson or csv; the file's name does not say it"},
		{len(comma) > 1, "-comma: expected one ASCII character, or the word tab"},
		{c.format != "csv" && (comma != "" || len(c.columns) > 0), "-comma and -map: they are for CSV"},
	} {
		if row.wrong {
			return c, errors.New(row.text)
		}
	}
	return c, nil
}

// createOptions are the policies for each document.
func (c *config) createOptions() resource.WriteOptions {
	return resource.WriteOptions{
		RejectExisting: onConflicts[c.onConflict], Nulls: nullWords[c.nulls],
		UnknownFields: c.unknownFields(), DryRun: c.dryRun,
	}
}

func (c *config) unknownFields() schema.UnknownFields {
	if c.ignoreUnknown {
		return schema.IgnoreUnknown
	}
	return schema.RejectUnknown
}
