package resource

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"example.com/resourcekit/internal/indexvalue"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"

	"github.com/google/uuid"
)

// The resource's own times are found by a schema of their own, whose documents are made
// when they are needed. Its fields have the names by which lists know the times. Its
// indexes are those of records, from ownIndexes on: a schema's own numbers end before.
const (
	ownPrefix  = "resource."
	ownCreated = ownPrefix + "createdAt"
	ownUpdated = ownPrefix + "updatedAt"
	ownIndexes = 0xF0000000
)

var ownTimes = schema.MustCompile(schema.Definition{
	ID: uuid.MustParse("c9a3b8a6-4a2b-4d7e-9a64-1d0c5b1f0e57"), Name: "times", ExternalID: "id",
	Fields: []schema.Field{
		{Name: "id", Type: schema.String, Required: true},
		{Name: ownCreated, Type: schema.String, Format: "date-time", Index: 1},
		{Name: ownUpdated, Type: schema.String, Format: "date-time", Index: 2},
	},
})

// ownDocument returns the document of a record's times.
func ownDocument(rec *storage.Record) []byte {
	created, updated := timeText(rec.CreatedAt), timeText(rec.UpdatedAt)
	return fmt.Appendf(nil, `{"%s":"%s","%s":"%s"}`, ownCreated, created, ownUpdated, updated)
}

// timeText returns a date-time (RFC 3339), as exact as records have it.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// An index is one of a collection.
type index struct {
	number uint32 // in entries
	// name names the index in the state of a tenant. It changes with all that its values
	// depend on, so that an index with other values needs to be built.
	name string
}

// addIndexes adds the indexes of fields. path is what the values of all of them depend on.
func (c *Collection) addIndexes(fields []schema.Field, path []any) error {
	for _, f := range fields {
		to := append(path[:len(path):len(path)], f.Name, f.Default)
		if err := c.addIndexes(f.Fields, to); err != nil {
			return err
		}
		if f.Index == 0 {
			continue
		}
		text, err := json.Marshal(append(to, f.Type, f.Format, f.Fold, f.Unique))
		if err != nil {
			return fmt.Errorf("resource: schema %s: %w", c.schema.Name(), err)
		}
		c.index = append(c.index, index{f.Index, fmt.Sprintf("%d-%x", f.Index, sha256.Sum256(text))[:16]})
		c.unique = c.unique || f.Unique
	}
	return nil
}

// openIndexes finds the indexes of a collection, and judges whether the store can have
// them.
func (c *Collection) openIndexes() error {
	if err := c.addIndexes(c.schema.Definition().Fields, nil); err != nil {
		return err
	}
	slices.SortFunc(c.index, func(x, y index) int { return cmp.Compare(x.number, y.number) })
	if c.opts.IndexCreatedAt {
		c.index = append(c.index, index{ownIndexes + 1, ownCreated})
	}
	if c.opts.IndexUpdatedAt {
		c.index = append(c.index, index{ownIndexes + 2, ownUpdated})
	}
	limits := c.store.Limits()
	switch {
	case len(c.index) > 0 && limits.NoEntries:
		return fmt.Errorf("resource: schema %s has indexes: %w", c.schema.Name(), storage.ErrUnsupported)
	case c.opts.History && !c.opts.Log:
		return fmt.Errorf("resource: %w: History without Log", storage.ErrInvalid)
	case c.opts.Log && limits.NoLog:
		return fmt.Errorf("resource: a log of changes: %w", storage.ErrUnsupported)
	}
	if c.opts.CursorKey != nil {
		sealer, err := newSealer(c.opts.CursorKey)
		if err != nil {
			return err
		}
		c.sealer.Store(sealer)
	}
	return nil
}

// entries returns the entries of a record with those of its document. While an index is
// being built, its values need not be unique.
func (c *Collection) entries(of []schema.Entry, rec *storage.Record, state *scopeState) []storage.Entry {
	if len(c.index) == 0 {
		return nil
	}
	entries := make([]storage.Entry, 0, len(c.index))
	for i, e := range of {
		unique := e.Unique && state.Indexes[c.index[i].name] != building
		entries = append(entries, storage.Entry{Index: e.Index, Value: e.Value, Unique: unique})
	}
	for _, own := range c.index[len(of):] {
		at := rec.CreatedAt
		if own.name == ownUpdated {
			at = rec.UpdatedAt
		}
		value := indexvalue.AppendInstant(nil, []byte(timeText(at)))
		entries = append(entries, storage.Entry{Index: own.number, Value: value})
	}
	return entries
}

// taken returns the violation of a unique field, if err says that its value is taken;
// otherwise err.
func (c *Collection) taken(err error) error {
	if !errors.Is(err, storage.ErrNotUnique) { // a variable for errors.As would be an allocation
		return err
	}
	var taken *storage.NotUniqueError
	if errors.As(err, &taken) {
		if violation := c.schema.NotUnique(taken.Index); violation != nil {
			return violation
		}
	}
	return err
}

// firstPointer returns the field of a violation.
func firstPointer(err error) schema.Pointer {
	var invalid *schema.ValidationError
	if errors.As(err, &invalid) && len(invalid.Violations) > 0 {
		return invalid.Violations[0].Pointer
	}
	return ""
}

// own returns the conditions on the document and those on the resource's own times.
func own(conditions []schema.Condition) (document, times []schema.Condition) {
	isOwn := func(c schema.Condition) bool { return strings.HasPrefix(c.Field, ownPrefix) }
	if !slices.ContainsFunc(conditions, isOwn) { // mostly
		return conditions, nil
	}
	for _, condition := range conditions {
		if !isOwn(condition) {
			document = append(document, condition)
			continue
		}
		if at, ok := condition.Value.(time.Time); ok {
			condition.Value = at.UTC().Format(time.RFC3339Nano)
		}
		times = append(times, condition)
	}
	return document, times
}
