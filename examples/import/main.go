// Command import reads documents from a file, one a line (NDJSON) or one a row
// (CSV), and creates or merges them in a store:
//
//	go run ./examples/import -store sqlite:customers.db -tenant acme customers.ndjson
//
// The tenants are those of the example server of the same name, which serves what
// was imported when it is given the same store. The file "-" is standard input. The
// name of a file says its format (.ndjson, .jsonl or .csv) unless -format does.
//
// # Input
//
// Blank lines, a byte order mark at the start, and CRLF as the end of a line are no
// part of any document. A line or row of more than 1 MiB is one document that fails.
//
// The first row of a CSV file names the field of each column. A cell is what the
// schema declares the field to be: the text itself, a JSON number, or true or
// false. An empty cell, quoted or not, is an absent field, and so changes nothing in
// a document that is there already; CSV has no way to say null or the empty string.
// Line ends within quotes become LF. A row that is not right fails alone; a header
// that is not right ends the import before it begins.
//
// # Output
//
// Documents that fail are told on standard error, with the number of their first
// line and what is wrong, and never with a value. The summary goes to standard
// output. On a terminal there is a progress bar, elsewhere a line every 5 seconds.
//
// Exit codes: 0 when all documents are in, 1 when the import ended early, 2 for bad
// flags, 3 when some documents failed and all others are in. (Under go run it is 1
// for all but 0, and the code is printed.) A quote that CSV leaves open takes what
// follows, up to the end of the file, into its field.
//
// # Going on
//
// An import that ended early says the position to go on from with -from: how many
// documents are done. With -position-file it writes the position to a file after
// each batch, and begins at the one that it finds there: after whatever has ended
// it, SIGKILL included, the same command goes on. The file is gone when the input is
// done. Documents that have been stored beyond the position are found unchanged. The
// counts, and the documents that failed, are those of one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
)

// The exit codes.
const (
	exitDone = iota
	exitEarly
	exitFlags
	exitFailed
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// schemas are those that can be imported.
var schemas = map[string]func() *schema.Schema{
	"customers":    schema.Customers,
	"locations":    schema.Locations,
	"transactions": schema.Transactions,
}

// config is what the command line says.
type config struct {
	store, tenant, schema, format string
	positionFile                  string
	from                          int64
	batch, errors                 int
	ignoreUnknown, dryRun         bool
	path                          string
}

// run imports what the arguments say and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cfg, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintln(stderr, "import:", err)
		return exitFlags
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	start := time.Now()
	im := &importing{config: cfg, stderr: stderr}
	result, err := im.run(ctx, stdin)
	if result != nil {
		if im.dryRun {
			fmt.Fprint(stdout, "dry run, nothing is stored: ")
		}
		fmt.Fprintf(stdout, "%d created, %d updated, %d unchanged, %d failed, in %s\n",
			result.Created, result.Updated, result.Unchanged, result.Failed, time.Since(start).Round(10*time.Millisecond))
	}
	switch {
	case errors.Is(err, openstore.ErrName):
		fmt.Fprintln(stderr, "import:", err)
		return exitFlags
	case err != nil && result == nil:
		fmt.Fprintln(stderr, "import:", err)
		return exitEarly
	case err != nil:
		fmt.Fprintln(stderr, "import: ended early:", err)
		if im.positionFile != "" {
			fmt.Fprintf(stderr, "import: the same command goes on from position %d\n", result.Position)
		} else {
			fmt.Fprintf(stderr, "import: go on with -from %d\n", result.Position)
		}
		return exitEarly
	case result.Failed > 0:
		return exitFailed
	}
	return exitDone
}

// parse returns what the arguments say. The usage has been printed when they are
// none that package flag knows.
func parse(args []string, stderr io.Writer) (config, error) {
	var c config
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
	flags.Int64Var(&c.from, "from", 0, "position to go on from: so many documents are left out")
	flags.StringVar(&c.positionFile, "position-file", "", "file to keep the position in, and to go on from if it is there")
	flags.IntVar(&c.batch, "batch", resource.DefaultMaxBatch, "documents to write at once")
	flags.IntVar(&c.errors, "errors", 20, "how many documents that fail to tell of, at most")
	flags.BoolVar(&c.ignoreUnknown, "ignore-unknown", false, "leave unknown fields out, instead of refusing their documents")
	flags.BoolVar(&c.dryRun, "dry-run", false, "store nothing, and say what would have been")
	if err := flags.Parse(args); err != nil {
		return c, err
	}
	c.path = flags.Arg(0)
	if flags.NArg() == 1 && c.format == "" {
		c.format = map[string]string{".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv"}[strings.ToLower(filepath.Ext(c.path))]
	}
	for _, row := range []struct {
		wrong bool
		text  string
	}{
		{c.store == "", "-store: want " + openstore.Usage},
		{c.tenant == "", "-tenant: want the name of a tenant"},
		{schemas[c.schema] == nil, "-schema: want customers, locations or transactions"},
		{c.from < 0, "-from: want 0 or more"},
		{c.batch < 1 || c.batch > resource.DefaultMaxBatch, fmt.Sprintf("-batch: want 1 to %d", resource.DefaultMaxBatch)},
		{c.errors < 0, "-errors: want 0 or more"},
		{c.from > 0 && c.positionFile != "", "-from and -position-file: want one of them"},
		{c.dryRun && c.positionFile != "", "-dry-run and -position-file: want one of them, for nothing would be done up to the position"},
		{flags.NArg() != 1, fmt.Sprintf("found %d arguments, want one file; flags come before it", flags.NArg())},
		{!slices.Contains([]string{"ndjson", "csv"}, c.format), "-format: want ndjson or csv; the file's name does not say it"},
	} {
		if row.wrong {
			return c, errors.New(row.text)
		}
	}
	return c, nil
}

// An importing is one run.
type importing struct {
	config
	stderr io.Writer

	in       *input
	display  display
	position *positionFile // nil without -position-file
	told     int           // documents that failed, and of which it was told
}

// run imports the file. The result is nil when it has not come so far as to read a
// document.
func (im *importing) run(ctx context.Context, stdin io.Reader) (*resource.ImportResult, error) {
	file, size, err := open(im.path, stdin)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	declared := schemas[im.schema]()
	// Before the store, which may make a file: the header may be wrong.
	if im.in, err = newInput(ctx, file, im.format, declared, im.ignoreUnknown); err != nil {
		return nil, err
	}
	opened, err := openstore.Open(ctx, im.store)
	if err != nil {
		return nil, fmt.Errorf("-store: %w", err)
	}
	result, err := im.into(ctx, opened, declared, size)
	return result, errors.Join(err, opened.Close())
}

// into imports the input, of a file of so many bytes, into a store.
func (im *importing) into(ctx context.Context, opened *openstore.Opened, declared *schema.Schema, size int64) (*resource.ImportResult, error) {
	var err error
	if im.positionFile != "" {
		if im.position, err = openPosition(im.positionFile, im.config, opened.Place); err != nil {
			return nil, fmt.Errorf("-position-file: %w", err)
		}
		im.from = im.position.Position
	}
	im.in.begin(im.from)
	collection, err := resource.NewCollection(declared, opened.Store, nil)
	if err != nil {
		return nil, err
	}
	if im.position != nil { // now, and not after a batch, if it cannot be written
		if err := im.position.save(im.from); err != nil {
			return nil, fmt.Errorf("-position-file: %w", err)
		}
	}
	opts := &resource.ImportOptions{
		Create:    resource.CreateOptions{DryRun: im.dryRun},
		BatchSize: im.batch, Position: im.from,
		Progress: im.batchDone, OnError: im.failed,
	}
	if im.ignoreUnknown {
		opts.Create.UnknownFields = schema.IgnoreUnknown
	}
	im.display = newDisplay(im.stderr, size)
	result, err := collection.Import(ctx, openstore.Tenant(im.tenant), im.in.documents, opts)
	im.display.close()
	if ctx.Err() != nil {
		err = context.Cause(ctx) // it says which signal came
	}
	if more := result.Failed - int64(im.told); more > 0 && im.told > 0 {
		fmt.Fprintf(im.stderr, "and %d more\n", more)
	}
	if err == nil && result.Position < im.from {
		err = fmt.Errorf("the input has only %d documents, and the import should have begun at position %d", result.Position, im.from)
	}
	if err == nil && im.position != nil {
		err = im.position.remove()
	}
	return result, err
}

// open returns the file of a path, and its size in bytes or 0 when nobody knows.
func open(path string, stdin io.Reader) (io.ReadCloser, int64, error) {
	file, isFile := stdin.(*os.File)
	if path != "-" {
		var err error
		if file, err = os.Open(path); err != nil {
			return nil, 0, err
		}
	} else if !isFile {
		return io.NopCloser(stdin), 0, nil
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, 0, err
	case info.IsDir():
		return nil, 0, fmt.Errorf("%s is a folder", path)
	case !info.Mode().IsRegular():
		return file, 0, nil
	}
	return file, info.Size(), nil
}

// batchDone is called after each batch.
func (im *importing) batchDone(r resource.ImportResult) {
	im.in.done(r.Position)
	im.display.show(r.Position, im.in.read())
	if im.position != nil {
		if err := im.position.save(r.Position); err != nil {
			im.in.end(fmt.Errorf("-position-file: %w", err))
		}
	}
}

// failed tells of a document that failed.
func (im *importing) failed(e resource.DocumentError) error {
	if im.told < im.errors {
		im.told++
		im.display.line(fmt.Sprintf("line %d: %s", im.in.line(e.Position), reason(e.Err)))
	}
	return nil
}

// reason returns what is wrong with a document, for people.
func reason(err error) string {
	text := err.Error()
	for _, prefix := range []string{resource.ErrDocument.Error() + ": ", "schema: ", "resource: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
