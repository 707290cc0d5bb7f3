package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/maphash"
	"iter"
	"math"

	"example.com/resourcekit/resource"
	"example.com/resourcekit/resource/internal/overlay"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
)

// The bounds of an import unless Options say otherwise.
const (
	maxErrors        = 100
	batchSize        = 1000
	DefaultMaxMemory = 256 << 20

	// maxBatchBytes is how many bytes of documents end a batch.
	maxBatchBytes = 8 << 20
	// idBytes is the memory that a watched external id takes: an entry of
	// importer.seen, a map with free room.
	idBytes = 32
)

// A Document is one document of an input. The slices are the sequence's: they are
// good until the next document.
type Document struct {
	Data []byte // one JSON object
	// Err, if not nil, is why there is no Data: the document fails for it.
	Err error
	// Text is what the document was read from, if that is not Data.
	Text []byte
	// Line and LastLine are those of Text or Data, as in a [Place].
	Line, LastLine int64
}

// Options are the policies of one [Import]. A nil *Options is the zero value.
type Options struct {
	// Create holds the policies for each document.
	Create resource.WriteOptions
	// BatchSize is how many documents are written at once; 1000 when 0 or less. A
	// collection whose batches are smaller gets several for one.
	BatchSize int
	// From is where to begin: the Position of an earlier import of the same input
	// that ended early. The documents before it are read and not imported.
	From Position
	// Progress, if not nil, is called after each batch, with what has been done
	// so far. Import waits for it. An error that it returns ends the import.
	Progress func(Result) error
	// OnError, if not nil, is given each document that failed, in their order, in
	// place of Result.Errors, with the text that it was read from (nil if that
	// was too long). The text holds values; it may not be kept. An error that
	// OnError returns ends the import, and the document counts as not done.
	OnError func(failed DocumentError, text []byte) error
	// OnRepeat, if not nil, is given each document that Result.Repeated counts,
	// and the first document with its external id. The latter's LastLine is its
	// Line.
	OnRepeat func(later, earlier Place)
	// MaxErrors is how many errors Result.Errors holds; 100 when 0,
	// none when negative. All are counted.
	MaxErrors int
	// MaxMemory is about how many bytes the import keeps beside its batch:
	// external ids, to find those that are repeated, and in a dry run what the
	// documents would have made. DefaultMaxMemory when 0, none when negative. The
	// garbage collector may take as much again.
	MaxMemory int64
}

// A DocumentError is a document that was not imported.
type DocumentError struct {
	Place
	Err error // what Create returned for it, or its Document.Err
}

// Error returns the place and the reason.
func (e DocumentError) Error() string { return fmt.Sprintf("%v: %v", e.Place, e.Err) }

// Unwrap returns Err.
func (e DocumentError) Unwrap() error { return e.Err }

// Counts are how many documents had each outcome.
type Counts struct{ Created, Updated, Unchanged, Failed int }

// A Result is what an import has done.
type Result struct {
	// Position is how far it has come: From for the next import after this one
	// ended early.
	Position Position
	// Counts are of this import alone, without those of an earlier one. In a dry
	// run they are what would be.
	Counts
	// Repeated is how many documents changed a resource that an earlier document
	// of this import had created, changed or found unchanged. If each document
	// should be another resource, their external ids are not unique.
	Repeated int64
	// Forgotten is how many documents came after MaxMemory was reached. Ids that
	// first occur among them are not watched for repeats, and in a dry run what
	// they would have made does not count for the documents after them.
	Forgotten int64
	// Errors are the first documents that failed.
	Errors []DocumentError
}

// Import creates or merges the documents of a sequence, in their order and in
// batches (see [resource.Collection.CreateBatch]). opts may be nil. The result is
// never nil.
//
// A document that is refused counts as Failed, and the import goes on: it is not
// strict JSON or not valid, it is too large, a policy forbids it, the stored document
// is corrupt, or it has an Err. Everything else ends the import early:
//
//   - an error of the sequence, after the documents before it have been written
//   - an error of OnError or Progress
//   - what the store reports, and the end of ctx
//   - [ErrPosition], before anything is written
//   - [storage.ErrInvalid] for a tenant or a policy that is not valid
//
// Import can then be called again with Options.From.
func Import(ctx context.Context, c *resource.Collection, tenant storage.Tenant, documents iter.Seq2[Document, error], opts *Options) (*Result, error) {
	im := &importer{
		tenant: tenant, c: c, hash: sha256.New(),
		seed: maphash.MakeSeed(), seen: make(map[uint64]first),
	}
	if opts != nil {
		im.opts = *opts
	}
	if im.opts.Create.DryRun {
		im.c = c.Rehearsal(func(store storage.Store) storage.Store {
			im.overlay = overlay.New(store)
			return im.overlay
		})
	}
	if im.opts.BatchSize <= 0 {
		im.opts.BatchSize = batchSize
	}
	if im.opts.MaxErrors == 0 {
		im.opts.MaxErrors = maxErrors
	}
	if im.opts.MaxMemory == 0 {
		im.opts.MaxMemory = DefaultMaxMemory
	}
	im.result.Position = im.opts.From // however it ends, the next one begins no earlier
	err := tenant.Validate()
	if err == nil {
		err = im.run(ctx, documents)
	}
	return &im.result, err
}

// An importer is one import.
type importer struct {
	tenant  storage.Tenant
	opts    Options
	c       *resource.Collection // of a dry run the rehearsal
	overlay *overlay.Store       // of a dry run
	result  Result
	hash    hash.Hash // of the documents before result.Position

	// The batch that is being collected is bytes, cut into entries.
	bytes []byte
	batch []entry

	seed maphash.Seed
	seen map[uint64]first // by the hash of the external id; two ids with one hash are a chance of 1 in 2^64
}

// An entry is a document of a batch: bytes[data:text] is its Data, bytes[text:end]
// its Text.
type entry struct {
	place           Place
	data, text, end int
	err             error
}

// A first is where an external id occurred first, small.
type first struct{ position, line uint32 }

func (im *importer) run(ctx context.Context, documents iter.Seq2[Document, error]) error {
	from := im.opts.From
	position := int64(0)
	for document, err := range documents {
		if err != nil {
			return errors.Join(im.flush(ctx), err) // what was read before it is still written
		}
		if position < from.Documents {
			im.addToHash(document.Data, document.Text, document.Err)
			if position++; position == from.Documents && from.Hash != "" && from.Hash != im.sum() {
				return fmt.Errorf("%w: the %d documents before it are not those that were imported", ErrPosition, position)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		im.add(document, position)
		position++
		if len(im.batch) == im.opts.BatchSize || len(im.bytes) >= maxBatchBytes {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
	if position < from.Documents {
		return fmt.Errorf("%w: it has only %d documents, and %d should be done", ErrPosition, position, from.Documents)
	}
	return im.flush(ctx)
}

// add takes a document into the batch.
func (im *importer) add(d Document, position int64) {
	e := entry{place: Place{Position: position, Line: d.Line, LastLine: d.LastLine}, data: len(im.bytes), err: d.Err}
	if d.Err == nil {
		im.bytes = append(im.bytes, d.Data...)
	}
	e.text = len(im.bytes)
	if d.Err != nil || im.opts.OnError != nil { // else nothing looks at it
		im.bytes = append(im.bytes, d.Text...)
	}
	e.end = len(im.bytes)
	im.batch = append(im.batch, e)
}

// addToHash adds a document to what is done.
func (im *importer) addToHash(data, text []byte, err error) {
	if err != nil {
		data = text
	}
	var head [binary.MaxVarintLen64]byte
	im.hash.Write(binary.AppendUvarint(head[:0], uint64(len(data)))) // so that no two sequences are the same bytes
	im.hash.Write(data)
}

func (im *importer) sum() string { return hex.EncodeToString(im.hash.Sum(nil)[:hashSize]) }

// flush writes the batch, counts it, and begins the next.
func (im *importer) flush(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	full := int64(len(im.seen))*idBytes >= im.opts.MaxMemory
	opts := im.opts.Create
	if im.overlay != nil {
		full = int64(len(im.seen))*idBytes+im.overlay.Bytes() >= im.opts.MaxMemory
		opts.DryRun = full // then the overlay forgets what the batch makes
	}
	items, err := im.create(ctx, &opts)
	if err != nil {
		return err
	}
	for i, item := range items {
		if item.Err != nil && im.batch[i].err == nil && !refused(item.Err) {
			err = item.Err // it may work another time, and so the batch is not done
			break
		}
	}
	for i, item := range items {
		if item.Err == nil {
			im.count(im.batch[i].place, item.Result, full)
		}
	}
	if full && err == nil {
		im.result.Forgotten += int64(len(items))
	}
	for i := 0; err == nil && i < len(items); i++ {
		err = im.done(&im.batch[i], items[i].Err)
	}
	if im.result.Position.Documents > 0 {
		im.result.Position.Hash = im.sum()
	}
	im.bytes, im.batch = im.bytes[:0], im.batch[:0]
	if err == nil && im.opts.Progress != nil {
		err = im.opts.Progress(im.result)
	}
	return err
}

// create writes the documents of the batch, and returns what became of each.
func (im *importer) create(ctx context.Context, opts *resource.WriteOptions) ([]resource.ItemResult, error) {
	items := make([]resource.ItemResult, len(im.batch))
	var left []int // entries, in their order
	for i, e := range im.batch {
		if items[i].Err = e.err; e.err == nil {
			left = append(left, i)
		}
	}
	for most := len(left); len(left) > 0; {
		part := left[:min(most, len(left))]
		documents := make([][]byte, len(part))
		for k, i := range part {
			e := &im.batch[i]
			documents[k] = im.bytes[e.data:e.text:e.text]
		}
		batch, err := im.c.CreateBatch(ctx, im.tenant, documents, opts)
		if errors.Is(err, resource.ErrBatchSize) && len(part) > 1 {
			most = len(part) / 2
			im.opts.BatchSize = min(im.opts.BatchSize, most)
			continue
		}
		if err != nil {
			return nil, err
		}
		// What one resource has too many of is tried again, before what comes after.
		var again []int
		for k, i := range part {
			if items[i] = batch[k]; errors.Is(items[i].Err, resource.ErrBatchSize) && k > 0 {
				again = append(again, i)
			}
		}
		left = append(again, left[len(part):]...)
	}
	return items, nil
}

// count counts a document that was imported.
func (im *importer) count(place Place, result *resource.Result, full bool) {
	switch result.Outcome {
	case resource.Created:
		im.result.Created++
	case resource.Updated:
		im.result.Updated++
	default:
		im.result.Unchanged++
	}
	id := maphash.String(im.seed, result.Key().ExternalID)
	earlier, known := im.seen[id]
	switch {
	case known && result.Outcome == resource.Updated:
		im.result.Repeated++
		if im.opts.OnRepeat != nil {
			line := int64(earlier.line)
			im.opts.OnRepeat(place, Place{Position: int64(earlier.position), Line: line, LastLine: line})
		}
	case !known && !full && max(place.Position, place.Line) <= math.MaxUint32:
		im.seen[id] = first{uint32(place.Position), uint32(place.Line)}
	}
}

// done moves the position over a document, and tells if it failed. An error is one
// of OnError.
func (im *importer) done(e *entry, err error) error {
	data, text := im.bytes[e.data:e.text], im.bytes[e.text:e.end]
	if err != nil {
		failed := DocumentError{Place: e.place, Err: err}
		if im.opts.OnError != nil {
			shown := text
			if len(shown) == 0 {
				shown = data
			}
			if err := im.opts.OnError(failed, shown); err != nil {
				return err // the next import begins with this document
			}
		} else if len(im.result.Errors) < im.opts.MaxErrors {
			im.result.Errors = append(im.result.Errors, failed)
		}
		im.result.Failed++
	}
	im.addToHash(data, text, e.err)
	im.result.Position.Documents = e.place.Position + 1
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
	return errors.Is(err, resource.ErrExists) || errors.Is(err, resource.ErrPrecondition) || errors.Is(err, storage.ErrTooLarge) ||
		errors.As(err, &syntax) || errors.As(err, &invalid) || errors.As(err, &corrupt)
}
