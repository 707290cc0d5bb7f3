package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/ingest"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// maxRow is how many bytes a document may have, without the end of its line.
const maxRow = 1 << 20

// An importing is one run.
type importing struct {
	config
	stderr io.Writer

	declared *schema.Schema
	read     *counter      // the file
	position *positionFile // nil without -position-file
	rejected *rejects      // nil without -rejects
	display  display
	told     int // documents that failed, and of which it was told
	repeats  int // documents that came again, and of which it was told
}

// run imports the file. The result is nil when nothing has been imported, and
// otherwise has the counts of all runs.
func (im *importing) run(ctx context.Context, stdin io.Reader) (*ingest.Result, error) {
	file, size, err := open(im.path, stdin)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	im.declared = declared[im.schema]()
	// Before the store, which may make a file: the header may be wrong.
	documents, header, err := im.documents(ctx, file)
	if err != nil {
		return nil, err
	}
	openStore := openstore.Open
	if im.dryRun {
		openStore = openstore.OpenExisting
	}
	opened, err := openStore(ctx, im.store)
	if err != nil {
		return nil, fmt.Errorf("-store: %w", err)
	}
	result, err := im.into(ctx, opened, documents, header, size)
	return result, errors.Join(err, opened.Close())
}

// documents returns the documents of a file, and what a file of some of them begins
// with. It says what it recognised.
func (im *importing) documents(ctx context.Context, file io.Reader) (iter.Seq2[ingest.Document, error], []byte, error) {
	im.read = &counter{r: file, ctx: ctx}
	text, encoding := ingest.UTF8(im.read)
	var notes []string
	if strings.HasPrefix(encoding, "UTF-16") {
		notes = append(notes, "the file is "+encoding)
	}
	documents, header := ingest.NDJSON(text, maxRow), []byte(nil)
	if im.format == "csv" {
		table, err := ingest.NewCSV(text, im.declared, &ingest.CSVOptions{
			Comma: im.comma, Columns: im.columns, UnknownFields: im.unknownFields(), MaxRow: maxRow,
		})
		if errors.Is(err, storage.ErrInvalid) {
			return nil, nil, fmt.Errorf("-comma: %w", err)
		}
		if err != nil {
			return nil, nil, err
		}
		documents, header = table.Documents(), table.Header
		if encoding != "" {
			header = append([]byte("\ufeff"), header...) // what has written the file knows it
		}
		if table.Comma != ',' {
			notes = append(notes, fmt.Sprintf("%q separates the columns", table.Comma))
		}
		if len(table.Ignored) > 0 {
			notes = append(notes, leftOut(table.Ignored))
		}
	}
	for _, note := range notes {
		fmt.Fprintln(im.stderr, "import:", note)
	}
	return documents, header, nil
}

// leftOut says which columns are left out.
func leftOut(columns []ingest.Column) string {
	var numbers []string
	for _, c := range columns {
		numbers = append(numbers, fmt.Sprint(c.Number))
	}
	if more := len(numbers) - 20; more > 0 {
		numbers = append(numbers[:20], fmt.Sprintf("and %d more", more))
	}
	return "left out, as they are not fields: columns " + strings.Join(numbers, ", ") + mapFlags(columns)
}

// into imports documents, of a file of so many bytes, into a store.
func (im *importing) into(
	ctx context.Context, opened *openstore.Opened, documents iter.Seq2[ingest.Document, error], header []byte, size int64,
) (*ingest.Result, error) {
	var err error
	var before counts // of earlier runs
	if im.positionFile != "" {
		if im.position, err = openPosition(im.positionFile, im.config, opened.Place); err != nil {
			return nil, fmt.Errorf("-position-file: %w", err)
		}
		im.from, before = im.position.Position, im.position.Counts
	}
	if im.rejects != "" {
		kept := int64(-1) // all of it
		if im.position != nil {
			kept = im.position.Rejected
		}
		if im.rejected, err = openRejects(im.rejects, header, im.path, im.from.Documents > 0, kept); err != nil {
			return nil, fmt.Errorf("-rejects: %w", err)
		}
		defer im.rejected.close()
	}
	collection, err := resource.NewCollection(im.declared, opened.Store, nil)
	if err != nil {
		return nil, err
	}
	if err := im.save(before, im.from); err != nil { // now, and not after a batch, if it cannot be written
		return nil, err
	}
	im.display = newDisplay(im.stderr, size)
	result, err := ingest.Import(ctx, collection, openstore.Tenant(im.tenant), documents, &ingest.Options{
		Create: im.createOptions(), BatchSize: im.batch, From: im.from, OnError: im.failed, OnRepeat: im.repeated,
		Progress: func(r ingest.Result) error {
			im.display.show(r.Position.Documents, im.read.n)
			return im.save(before.plus(&r), r.Position)
		},
	})
	im.display.close()
	if errors.Is(err, ingest.ErrPosition) {
		if im.position != nil {
			return nil, fmt.Errorf("-position-file: %w; remove %s to begin at the start", err, im.positionFile)
		}
		return nil, fmt.Errorf("-from: %w", err)
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx) // it says which signal came
	}
	im.sum(result)
	total := before.plus(result)
	result.Counts, result.Repeated = total.Counts, total.Repeated
	if im.position != nil && err == nil {
		err = im.position.remove()
	}
	return result, err
}

// save keeps the position of an import that has a file for it.
func (im *importing) save(total counts, position ingest.Position) error {
	if im.position == nil {
		return nil
	}
	im.position.Counts, im.position.Position = total, position
	if im.rejected != nil { // before the position that counts them
		size, err := im.rejected.sync()
		if err != nil {
			return fmt.Errorf("-rejects: %w", err)
		}
		im.position.Rejected = size
	}
	if err := im.position.save(); err != nil {
		return fmt.Errorf("-position-file: %w", err)
	}
	return nil
}

// sum says what the lines before it leave out.
func (im *importing) sum(result *ingest.Result) {
	if more := result.Failed - im.told; more > 0 && im.told > 0 {
		fmt.Fprintf(im.stderr, "and %d more\n", more)
	}
	if result.Repeated > 0 {
		fmt.Fprintf(im.stderr, "import: documents with the %s of an earlier one, and other values: %d, merged into the earlier ones\n",
			im.declared.Definition().ExternalID, result.Repeated)
	}
	switch {
	case result.Forgotten > 0 && im.dryRun:
		fmt.Fprintf(im.stderr, "import: the dry run reached its bound of memory: "+
			"what the last %d documents would have made was not kept for those after them\n", result.Forgotten)
	case result.Forgotten > 0:
		fmt.Fprintf(im.stderr, "import: the bound of memory was reached: "+
			"the last %d documents were compared only with the ids before them\n", result.Forgotten)
	}
}

// failed prints a line for a document that failed, and keeps the document.
func (im *importing) failed(e ingest.DocumentError, text []byte) error {
	if im.rejected != nil {
		if err := im.rejected.add(e, text); err != nil {
			return fmt.Errorf("-rejects: %w", err)
		}
	}
	if im.told < im.errors {
		im.told++
		im.display.line(fmt.Sprintf("%v: %s", e.Place, reason(e.Err)))
	}
	return nil
}

// repeated prints a line for a document whose external id an earlier one has.
func (im *importing) repeated(later, earlier ingest.Place) {
	if im.repeats < im.errors {
		im.repeats++
		im.display.line(fmt.Sprintf("%v: the same %s as %v, and other values", later, im.declared.Definition().ExternalID, earlier))
	}
}

// reason returns what is wrong with a document, for people.
func reason(err error) string {
	var failed *resource.OpError
	if errors.As(err, &failed) { // the operation is a batch, of which people know nothing
		err = failed.Err
	}
	text := err.Error()
	for _, prefix := range []string{"schema: ", "resource: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// open returns the file of a path, and its size in bytes or 0 if unknown.
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

// A counter counts the bytes that go through it, until its context ends.
type counter struct {
	r   io.Reader
	n   int64
	ctx context.Context
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
