package resource

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/resourcekit/internal/keylock"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// Options are the optional parts of a [Collection]. Policies are not among
// them: those are chosen with each call.
type Options struct {
	// Now is the clock of createdAt and updatedAt; time.Now when nil. Its years
	// are 1 to 9999. It is called from many goroutines, and must be quick and not
	// call the collection: while it runs the resource is locked, and a write to the
	// same one would wait for itself until its context ends.
	Now func() time.Time
	// NewID makes the ID of a new resource; uuid.NewV7 when nil. It is called
	// from many goroutines, at most once for each write, which fails with
	// its error. It must be quick and not call the collection, as for Now.
	NewID func() (uuid.UUID, error)
	// MaxBatch is how many items a batch may have; DefaultMaxBatch when 0 or
	// less.
	MaxBatch int
	// Feed, if not nil, is told of each change after it has been stored. To keep
	// its events in order, a batch then locks all of its keys while it is
	// written, and other writes to these keys wait.
	Feed *Feed
	// OnCall, if not nil, sees every call when it ends, before it returns: for
	// metrics and traces. It is called from many goroutines, and must be quick
	// and not panic.
	OnCall func(ctx context.Context, call Call)
}

// A Collection is the resources of one schema in one store. Make it with
// NewCollection; it is safe for concurrent use. A process should have one for each
// schema and store, so that its writers queue for a resource rather than compete
// for it.
type Collection struct {
	schema *schema.Schema
	store  storage.Store
	field  string // the name of the external-id field
	now    func() time.Time
	newID  func() (uuid.UUID, error)
	locks  *keylock.Locks[storage.Key]
	usual  atomic.Int64 // bytes of a document, as lists have lately found; 0 before

	maxBatch int
	feed     *Feed
	onCall   func(context.Context, Call)
}

// NewCollection returns a collection of the resources of a schema in a store.
// opts may be nil. The store stays the caller's to close.
//
// It returns an error when the schema or the store is nil, or the schema was not
// made by schema.Compile.
func NewCollection(s *schema.Schema, store storage.Store, opts *Options) (*Collection, error) {
	if s == nil || s.ID() == uuid.Nil {
		return nil, errors.New("resource: NewCollection without a compiled schema")
	}
	if store == nil {
		return nil, errors.New("resource: NewCollection without a store")
	}
	c := &Collection{schema: s, store: store, field: s.Definition().ExternalID, now: time.Now, newID: uuid.NewV7}
	if opts == nil {
		opts = &Options{}
	}
	if opts.Now != nil {
		c.now = opts.Now
	}
	if opts.NewID != nil {
		c.newID = opts.NewID
	}
	c.maxBatch = DefaultMaxBatch
	if opts.MaxBatch > 0 {
		c.maxBatch = opts.MaxBatch
	}
	c.feed, c.onCall = opts.Feed, opts.OnCall
	c.locks = keylock.New[storage.Key]()
	return c, nil
}

// Schema returns the schema of the collection's resources.
func (c *Collection) Schema() *schema.Schema { return c.schema }

// key returns the key of a resource.
func (c *Collection) key(tenant storage.Tenant, externalID string) storage.Key {
	return storage.Key{Tenant: tenant, Schema: c.schema.ID(), ExternalID: externalID}
}

// timestamp returns the time of a write.
func (c *Collection) timestamp() time.Time { return c.now().UTC().Truncate(time.Millisecond) }
