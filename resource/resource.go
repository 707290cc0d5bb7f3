package resource

import (
	"bytes"
	"log/slog"
	"time"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
)

// A Resource is one stored resource as of one instant. It is immutable and safe for
// concurrent use.
type Resource struct {
	record storage.Record // as stored
	shown  []byte         // the document as a reader sees it; shared with the store
}

// ID returns the resource's ID, which was made when the resource was created.
func (r *Resource) ID() uuid.UUID { return r.record.ID }

// Tenant returns the tenant that the resource belongs to.
func (r *Resource) Tenant() storage.Tenant { return r.record.Key.Tenant }

// SchemaID returns the id of the schema that the resource belongs to.
func (r *Resource) SchemaID() uuid.UUID { return r.record.Key.Schema }

// ExternalID returns the external id, which the tenant chose for the resource.
func (r *Resource) ExternalID() string { return r.record.Key.ExternalID }

// Revision returns the revision of this stored state. It is 0 for a state that was not
// stored: of a resource that a dry run would create, or between the items of a batch.
func (r *Resource) Revision() storage.Revision { return r.record.Revision }

// CreatedAt returns when the resource was created, in UTC, to the millisecond.
func (r *Resource) CreatedAt() time.Time { return r.record.CreatedAt }

// UpdatedAt returns when the resource was last changed, in UTC, to the
// millisecond.
func (r *Resource) UpdatedAt() time.Time { return r.record.UpdatedAt }

// Data returns a copy of the resource's document: compact JSON with its declared fields
// and the defaults of absent ones. The caller may keep and change it. Without a copy,
// [Resource.AppendJSON] appends it in the response shape, and [Resource.Get] reads one
// value.
func (r *Resource) Data() []byte { return bytes.Clone(r.shown) }

// Get returns one value of the document by a path of package github.com/tidwall/gjson:
// "email", "shipTo.city", "lines.#". Some characters have a meaning in these paths: never
// make one of a client's data. For an absent value, Exists of the result is false.
func (r *Resource) Get(path string) gjson.Result { return gjson.GetBytes(r.shown, path) }

// String returns the resource's ID and no data, which may be personal: so a resource can
// be logged.
func (r Resource) String() string { return "resource " + r.record.ID.String() }

// GoString is String, for the verb %#v.
func (r Resource) GoString() string { return r.String() }

// LogValue is String, for log/slog.
func (r Resource) LogValue() slog.Value { return slog.StringValue(r.String()) }
