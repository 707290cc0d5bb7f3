package resource

import (
	"bytes"
	"log/slog"
	"time"

	"example.com/resourcekit/storage"

	"github.com/google/uuid"
	"github.com/tidwall/gjson"
)

// A Resource is one stored resource as it was at one moment. It is immutable
// and safe for concurrent use.
type Resource struct {
	record storage.Record // as stored
	shown  []byte         // the document as a reader sees it; shared with the store
}

// ID returns the resource's own identity, made when it was created.
func (r *Resource) ID() uuid.UUID { return r.record.ID }

// Tenant returns the tenant that the resource belongs to.
func (r *Resource) Tenant() storage.Tenant { return r.record.Key.Tenant }

// SchemaID returns the id of the schema that the resource belongs to.
func (r *Resource) SchemaID() uuid.UUID { return r.record.Key.Schema }

// ExternalID returns the identity that the tenant gave to the resource.
func (r *Resource) ExternalID() string { return r.record.Key.ExternalID }

// Revision returns the stored state that this is. It is 0 for a resource that is
// not stored as it is here, by a dry run or between the items of a batch.
func (r *Resource) Revision() storage.Revision { return r.record.Revision }

// CreatedAt returns when the resource was created, in UTC, to the millisecond.
func (r *Resource) CreatedAt() time.Time { return r.record.CreatedAt }

// UpdatedAt returns when the resource was last changed, in UTC, to the
// millisecond.
func (r *Resource) UpdatedAt() time.Time { return r.record.UpdatedAt }

// Data returns the resource's document: compact JSON with its declared fields
// and the defaults of those that are absent. It is a copy, the caller's to keep
// and change; [Resource.AppendJSON] does without one.
func (r *Resource) Data() []byte { return bytes.Clone(r.shown) }

// Get returns one value of the document by a path of gjson: "email", "shipTo.city",
// "lines.#". See the package github.com/tidwall/gjson for its language, in which some
// characters of names have a meaning; never make a path of a client's data. A value
// that is not there has the Type gjson.Null and Exists false.
func (r *Resource) Get(path string) gjson.Result { return gjson.GetBytes(r.shown, path) }

// String returns the resource's ID and no data, on purpose: a resource in a log
// line must not spill personal data there.
func (r Resource) String() string { return "resource " + r.record.ID.String() }

// GoString is String, for the verb %#v.
func (r Resource) GoString() string { return r.String() }

// LogValue returns String for log/slog, for the same reason.
func (r Resource) LogValue() slog.Value { return slog.StringValue(r.String()) }
