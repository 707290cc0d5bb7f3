package resource

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/resourcekit/internal/keylock"
	"example.com/resourcekit/resource/internal/seal"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// Options are the optional parts of a [Collection]. Policies are options of each call
// instead. A nil *Options is the zero value.
type Options struct {
	// Now is the clock of createdAt and updatedAt; time.Now when nil. Its years are 1
	// to 9999. It is called from many goroutines. It must be quick, and must not call
	// the collection: the resource is locked meanwhile, and a write to the same
	// resource would wait for itself until its context ends.
	Now func() time.Time
	// NewID makes the ID of a new resource; uuid.NewV7 when nil. It is called from many
	// goroutines, at most once for each write, which fails with its error. Like Now, it
	// must be quick, and must not call the collection.
	NewID func() (uuid.UUID, error)
	// MaxBatch is how many items a batch may have; 1000 when 0 or less.
	MaxBatch int
	// IndexCreatedAt and IndexUpdatedAt let lists find and sort resources by the times
	// resource.createdAt and resource.updatedAt. The latter moves with each write, which
	// makes writes dearer.
	IndexCreatedAt, IndexUpdatedAt bool
	// Log writes each change to the log of the store, in the same atomic write, with the
	// Actor and Reason of the call: see [Collection.Changes]. All collections of a
	// schema and a store must agree: without Log, writes fail with ErrLogged where
	// another collection has logged, which a collection notices within a minute.
	Log bool
	// History also keeps the documents before and after each change in the log: for
	// [Collection.History], [Collection.Restore], and the Document and Patch of a
	// [Change]. Each change makes the log larger by both. It needs Log.
	History bool
	// CursorKey is the key of 32 bytes for cursors that hold the value of a field or a
	// place in the log, which are encrypted (XChaCha20-Poly1305). Without one, the first process
	// makes it and keeps it in the store.
	CursorKey []byte
	// OnCall, if not nil, is called for every call when it ends, before it returns: for
	// metrics and traces. It is called from many goroutines. It must be quick, and must
	// not panic.
	OnCall func(ctx context.Context, call Call)
}

// A Collection has the resources of one schema in one store. Make it with
// [NewCollection]. It is safe for concurrent use. A process should have one for each
// schema and store, so that its writers queue for a resource instead of competing.
type Collection struct {
	schema *schema.Schema
	store  storage.Store
	opts   Options // with the defaults in them
	field  string  // the name of the external-id field
	locks  *keylock.Locks[storage.Key]
	states states
	sealer atomic.Pointer[seal.Sealer]
	index  []index      // by number
	unique bool         // one of them is of a unique field
	usual  atomic.Int64 // bytes of a document in the latest lists; 0 before the first
}

// NewCollection returns a collection of the resources of a schema in a store. opts may
// be nil. The caller closes the store.
//
// The error is for a schema or a store that is nil, for a schema that was not made by
// schema.Compile, and for a CursorKey that is not 32 bytes; storage.ErrInvalid for History
// without Log; and storage.ErrUnsupported for a store that lacks what the schema or opts
// need: entries for indexes, or a log.
func NewCollection(s *schema.Schema, store storage.Store, opts *Options) (*Collection, error) {
	if s == nil || s.ID() == uuid.Nil {
		return nil, errors.New("resource: NewCollection without a compiled schema")
	}
	if store == nil {
		return nil, errors.New("resource: NewCollection without a store")
	}
	c := &Collection{schema: s, store: store, field: s.Definition().ExternalID, locks: keylock.New[storage.Key]()}
	if opts != nil {
		c.opts = *opts
	}
	if err := c.openIndexes(); err != nil {
		return nil, err
	}
	if c.opts.Now == nil {
		c.opts.Now = time.Now
	}
	if c.opts.NewID == nil {
		c.opts.NewID = uuid.NewV7
	}
	if c.opts.MaxBatch <= 0 {
		c.opts.MaxBatch = maxBatch
	}
	return c, nil
}

// Schema returns the schema of the collection's resources.
func (c *Collection) Schema() *schema.Schema { return c.schema }

// Log returns the store whose log has the changes of the collection's resources, nil if
// the collection does not log them (Options.Log).
func (c *Collection) Log() storage.Store {
	if !c.opts.Log {
		return nil
	}
	return c.store
}

// KeepsHistory reports whether the log has the documents of changes (Options.History).
func (c *Collection) KeepsHistory() bool { return c.opts.History }

// Rehearsal returns a collection for a dry run of many calls, each of which sees what the
// calls before it would have stored. It is as c over the store that wrap returns, which
// reads the store of c and must keep what is written to itself. OnCall gets its calls as
// dry runs.
func (c *Collection) Rehearsal(wrap func(storage.Store) storage.Store) *Collection {
	opts := c.opts
	if c.opts.OnCall != nil {
		opts.OnCall = func(ctx context.Context, call Call) {
			call.DryRun = true
			c.opts.OnCall(ctx, call)
		}
	}
	return &Collection{
		schema: c.schema, store: wrap(c.store), opts: opts, field: c.field, locks: keylock.New[storage.Key](),
		index: c.index, unique: c.unique,
	}
}

// key returns the key of a resource.
func (c *Collection) key(tenant storage.Tenant, externalID string) storage.Key {
	return storage.Key{Tenant: tenant, Schema: c.schema.ID(), ExternalID: externalID}
}

// timestamp returns the time of a write.
func (c *Collection) timestamp() time.Time { return c.opts.Now().UTC().Truncate(time.Millisecond) }
