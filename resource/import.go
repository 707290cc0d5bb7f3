package resource

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// ErrDocument marks an error of a sequence of documents that concerns one document
// alone: the import counts it as failed and goes on. Wrap it:
//
//	yield(nil, fmt.Errorf("%w: 3 columns, want 5", resource.ErrDocument))
var ErrDocument = errors.New("unusable document")

// The bounds of an import unless ImportOptions say otherwise.
const (
	DefaultMaxErrors = 100

	// maxImportBytes is how many bytes of documents go into a batch; a
	// document that is larger goes alone.
	maxImportBytes = 8 << 20
)

// ImportOptions are the policies of one [Collection.Import]. A nil *ImportOptions
// is the zero value.
type ImportOptions struct {
	// Create holds the policies for each document.
	Create CreateOptions
	// BatchSize is how many documents are written at once; as many as a batch
	// may have when 0 or less, or when it is more.
	BatchSize int
	// Position is the number of documents to skip at the start. Give it the
	// Position of an earlier import that ended early. ImportResult.Position is
	// never smaller, unless the sequence is shorter.
	Position int64
	// Progress, if not nil, is called after each batch, with what has been done
	// so far. It is called by the goroutine that imports, which waits for it.
	Progress func(ImportResult)
	// OnError, if not nil, is given each document that failed, instead of
	// ImportResult.Errors. An error that it returns ends the import, and the
	// document counts as not done.
	OnError func(DocumentError) error
	// MaxErrors is how many errors ImportResult.Errors holds; DefaultMaxErrors
	// when 0, none when negative. All are counted.
	MaxErrors int
}

// A DocumentError is a document that was not imported.
type DocumentError struct {
	Position int64 // in the sequence, the first is 0
	Err      error // what Create returned for it
}

// Error returns the position and the reason.
func (e DocumentError) Error() string {
	return fmt.Sprintf("document at position %d: %v", e.Position, e.Err)
}

// Unwrap returns Err.
func (e DocumentError) Unwrap() error { return e.Err }

// An ImportResult is what an import has done. The counts are of what this import
// has stored, and do not know of an earlier one.
type ImportResult struct {
	// Position is how many documents of the sequence are done, from its start:
	// what to begin the next import with after this one ended early.
	Position                            int64
	Created, Updated, Unchanged, Failed int64
	// Errors are the first documents that failed.
	Errors []DocumentError
}

// Import creates or merges documents of a sequence, in their order and in
// batches, see [Collection.CreateBatch]. It keeps at most one batch in memory, and
// no document beyond it: the sequence may use the memory of a document again. opts
// may be nil.
//
// A document that is refused (not strict JSON, not valid, too large, in the way of
// a policy) is counted as failed, and the import goes on. Everything else ends it
// early, with an error beside the result: an error of the sequence that does not
// match [ErrDocument], an error of OnError, what the store reports, the end of
// ctx. Import can then be called again, with the same documents and the result's
// Position. The same goes for a program that was killed, and the last position it
// was told.
//
// Some documents behind the position may have been stored already. An upsert of
// the same data finds them unchanged, unless the sequence has several documents of
// one resource: these are then applied once more, from the position on, over what
// the later ones made. So a document that failed for what was missing before it
// may pass, and one that deletes a field which is not declared may fail.
//
// [storage.ErrInvalid] is for a tenant that is not valid, and for a condition in
// Create.
func (c *Collection) Import(ctx context.Context, tenant storage.Tenant, documents iter.Seq2[[]byte, error], opts *ImportOptions) (*ImportResult, error) {
	if opts == nil {
		opts = &ImportOptions{}
	}
	im := &importing{c: c, tenant: tenant, opts: opts, size: c.maxBatch}
	im.result.Position = max(0, opts.Position) // however it ends, the next one begins no earlier
	if opts.BatchSize > 0 {
		im.size = min(im.size, opts.BatchSize)
	}
	im.maxErrors = opts.MaxErrors
	if im.maxErrors == 0 {
		im.maxErrors = DefaultMaxErrors
	}
	if err := c.checkBatch("import", tenant, 0, opts.Create.validate()); err != nil {
		return &im.result, err
	}
	err := im.run(ctx, documents)
	return &im.result, err
}

// An importing is one import. The batch that is being collected is bytes, cut
// into documents.
type importing struct {
	c         *Collection
	tenant    storage.Tenant
	opts      *ImportOptions
	size      int // of a batch, in documents
	maxErrors int
	result    ImportResult

	bytes     []byte
	ends      []int         // where the documents end in bytes
	unusable  map[int]error // by index in the batch: the sequence has no document there
	documents [][]byte      // of the batch, once it is collected
	places    []int         // of documents, in the batch
}

func (im *importing) run(ctx context.Context, documents iter.Seq2[[]byte, error]) error {
	position := int64(0)
	for document, err := range documents {
		if err != nil && !errors.Is(err, ErrDocument) {
			// What was read before it is still written.
			return errors.Join(im.flush(ctx), err)
		}
		if position++; position <= im.opts.Position {
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		if len(im.ends) == im.size || len(im.ends) > 0 && len(im.bytes)+len(document) > maxImportBytes {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
		if err != nil {
			if im.unusable == nil {
				im.unusable = make(map[int]error)
			}
			im.unusable[len(im.ends)] = err
		}
		im.bytes = append(im.bytes, document...)
		im.ends = append(im.ends, len(im.bytes))
	}
	if position < im.opts.Position { // there were not even so many
		im.result.Position = position
	}
	return im.flush(ctx)
}

// flush writes the batch, counts it, and begins the next.
func (im *importing) flush(ctx context.Context) error {
	n := len(im.ends)
	if n == 0 {
		return nil
	}
	im.documents, im.places = im.documents[:0], im.places[:0]
	start := 0
	for i, end := range im.ends {
		if im.unusable[i] == nil {
			im.documents = append(im.documents, im.bytes[start:end:end])
			im.places = append(im.places, i)
		}
		start = end
	}
	b, err := im.c.newBatch(ctx, OpCreateBatch, im.tenant, len(im.documents), im.opts.Create.DryRun, im.opts.Create.validate())
	if err != nil {
		return err
	}
	b.outcomesOnly = true
	for _, document := range im.documents {
		b.add(im.c.newCreate(im.tenant, document, &im.opts.Create))
	}
	batch := b.run(ctx)
	errs := make([]error, n)
	for i, err := range im.unusable {
		errs[i] = err
	}
	for i, item := range batch.Items {
		errs[im.places[i]] = item.Err
	}
	im.result.Created += int64(batch.Created)
	im.result.Updated += int64(batch.Updated)
	im.result.Unchanged += int64(batch.Unchanged)
	for _, err := range errs {
		if err != nil && !refused(err) {
			return err // it may work another time, and so the batch is not done
		}
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		failed := DocumentError{Position: im.result.Position + int64(i), Err: err}
		if im.opts.OnError != nil {
			if err := im.opts.OnError(failed); err != nil {
				// Nobody knows of this document yet: the next import begins with it.
				im.result.Position = failed.Position
				return err
			}
		} else if len(im.result.Errors) < im.maxErrors {
			im.result.Errors = append(im.result.Errors, failed)
		}
		im.result.Failed++
	}
	im.result.Position += int64(n)
	im.bytes, im.ends = im.bytes[:0], im.ends[:0]
	clear(im.unusable)
	if im.opts.Progress != nil {
		im.opts.Progress(im.result)
	}
	return nil
}

// refused reports whether an error is the document's own fault, that of what is
// stored under its id, or of another document for the same id in the batch: it
// would be the same another time.
func refused(err error) bool {
	var (
		syntax  *schema.SyntaxError
		invalid *schema.ValidationError
		corrupt *schema.CorruptError
	)
	for _, is := range []error{ErrDocument, ErrExists, ErrPrecondition, storage.ErrTooLarge} {
		if errors.Is(err, is) {
			return true
		}
	}
	return errors.As(err, &syntax) || errors.As(err, &invalid) || errors.As(err, &corrupt)
}
