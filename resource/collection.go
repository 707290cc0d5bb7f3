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
	// MaxBatch is how many items a batch may have; DefaultMaxBatch (1000) when 0 or
	// less.
	MaxBatch int
	// Feed, if not nil, gets each change after it was stored. To keep its events in
	// order, a batch then locks all of its keys while it is written, and other writes
	// to these keys wait.
	Feed *Feed
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
	field  string // the name of the external-id field
	now    func() time.Time
	newID  func() (uuid.UUID, error)
	locks  *keylock.Locks[storage.Key]
	usual  atomic.Int64 // bytes of a document in the latest lists; 0 before the first

	maxBatch int
	feed     *Feed
	onCall   func(context.Context, Call)
}

// NewCollection returns a collection of the resources of a schema in a store. opts may
// be nil. The caller closes the store.
//
// The error is for a schema or a store that is nil, and for a schema that was not made
// by schema.Compile.
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
