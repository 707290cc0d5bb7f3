package resource

import (
	"bytes"
	"fmt"
	"io"
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

// Key returns the tenant and the schema that the resource belongs to, and the external
// id, which the tenant chose for it.
func (r *Resource) Key() storage.Key { return r.record.Key }

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

// Format writes "resource" and the ID, whatever the verb, and no data, which may be
// personal: so a resource can be printed.
func (r Resource) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.text()) }

// LogValue returns what Format writes.
func (r Resource) LogValue() slog.Value { return slog.StringValue(r.text()) }

func (r Resource) text() string { return "resource " + r.record.ID.String() }
