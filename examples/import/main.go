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
// Blank lines, a byte order mark at the start, and CRLF as the end of a line are not
// part of any document. UTF-16 with a byte order mark is recognised. A line or row of
// more than 1 MiB is one document that fails.
//
// The first row of a CSV file names the field of each column; -map names it for a
// column with another name, and -ignore-unknown leaves out columns that are not a
// field. Commas, semicolons or tabs separate the cells, as the header row shows or a
// first line "sep=;" says; -comma is for other files. A cell is what the schema
// declares the field to be: the text itself, a JSON number, or true or false. An empty
// cell, quoted or not, is an absent field, and so changes nothing in a document that
// is stored already; CSV cannot say null or the empty string. Line ends within quotes
// become LF. A header that is not right ends the import before it begins.
//
// A null in NDJSON deletes the field, so that a field with a default has the default
// again: a customer who has opted out of e-mail gets it again. For files in which null
// means "not known" there are -nulls ignore and -nulls reject.
//
// # Output
//
// Documents that fail are told on standard error, with their lines and what is wrong,
// and never with a value; so are documents that have the external id of an earlier one
// in the file, and other values. -rejects writes the documents that failed to a file,
// each after a line with the reason: mend it and import it like the first, the lines
// with the reasons are left out. The summary goes to standard output. On a terminal
// there is a progress bar, elsewhere a line every 5 seconds.
//
// A dry run says what a run would do, and stores nothing: it makes neither a database
// file nor a table. It keeps what the documents would have made in memory, up to 256
// MiB, and says for how many documents that was not enough.
//
// Exit codes: 0 when all documents are in, 1 when the import ended early, 2 for bad
// flags, 3 when some documents failed and all others are in. (Under go run it is 1
// for all but 0, and the code is printed.) A CSV quote that is not closed, or is closed
// rows later, ends the import early: the rows in it are not imported.
//
// # Going on
//
// An import that ended early says the position to go on from with -from: how many
// documents are done, and a hash of them. With -position-file it writes the position
// to a file after each batch, and begins at the one that it finds there: the same
// command goes on after any end, SIGKILL included. A file that no
// longer begins with the documents that are done is refused. The position file is gone
// when the input is done. Standard input cannot be read again, and so has none.
//
// Documents that have been stored beyond the position are found unchanged. With
// -position-file the summary counts all runs, and -rejects has the documents of all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/resourcekit/examples/internal/openstore"
	"example.com/resourcekit/resource/ingest"
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
	var header *ingest.HeaderError
	switch {
	case errors.Is(err, openstore.ErrName):
		fmt.Fprintln(stderr, "import:", err)
		return exitFlags
	case err != nil && result == nil:
		fmt.Fprintln(stderr, "import:", err)
		if errors.As(err, &header) && header.Unknown != nil {
			fmt.Fprintf(stderr, "import: -ignore-unknown leaves such columns out%s\n", mapFlags(header.Unknown))
		}
		return exitEarly
	case err != nil:
		fmt.Fprintln(stderr, "import: ended early:", err)
		switch {
		case im.positionFile != "":
			fmt.Fprintf(stderr, "import: the same command goes on from position %d\n", im.position.Position.Documents)
		case im.path == "-":
			fmt.Fprintf(stderr, "import: standard input cannot be read again: put it into a file, and go on with -from %v\n", result.Position)
		default:
			fmt.Fprintf(stderr, "import: go on with -from %v\n", result.Position)
		}
		return exitEarly
	case result.Failed > 0:
		return exitFailed
	}
	return exitDone
}
