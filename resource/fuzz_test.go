package resource_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/resourcekit/internal/rfc7396"
	"example.com/resourcekit/merge"
	"example.com/resourcekit/resource"
	"example.com/resourcekit/schema"
	"example.com/resourcekit/storage"
	"example.com/resourcekit/storage/memory"

	"github.com/stretchr/testify/require"
)

// The bits of FuzzCreate's options.
const (
	fuzzReject = 1 << iota
	fuzzIgnoreUnknown
	fuzzRejectNulls
	fuzzIgnoreNulls
	fuzzComplete
	fuzzPerson // the schema person instead of Customers
	fuzzRaw    // the first document is stored as it is, whatever it is
)

func fuzzOptions(bits byte) resource.WriteOptions {
	var o resource.WriteOptions
	if bits&fuzzReject != 0 {
		o.RejectExisting = true
	}
	if bits&fuzzIgnoreUnknown != 0 {
		o.UnknownFields = schema.IgnoreUnknown
	}
	switch {
	case bits&fuzzIgnoreNulls != 0:
		o.Nulls = schema.IgnoreNulls
	case bits&fuzzRejectNulls != 0:
		o.Nulls = schema.RejectNulls
	}
	o.RequireComplete = bits&fuzzComplete != 0
	return o
}

func fuzzBits(o resource.WriteOptions) (bits byte) {
	for bits&fuzzPerson == 0 {
		if reflect.DeepEqual(fuzzOptions(bits), o) {
			return bits
		}
		bits++
	}
	panic("no bits for these options")
}

// FuzzCreate applies a request to what a first one stored, and holds the
// outcome against an oracle on decoded values, written from the RFC's
// pseudo-code and the rules for defaults, unknown fields and nulls.
func FuzzCreate(f *testing.F) {
	for _, r := range rules {
		bits := fuzzBits(r.opts)
		switch r.schema {
		case nil:
		case person:
			bits |= fuzzPerson
		default:
			continue
		}
		f.Add([]byte(r.stored), []byte(r.request), bits)
		f.Add([]byte(r.stored), []byte(r.request), bits|fuzzRaw)
		f.Add([]byte(r.request), []byte(r.request), bits)
		if r.want.stored != "" {
			f.Add([]byte(r.want.stored), []byte(r.request), bits)
		}
	}
	f.Fuzz(func(t *testing.T, first, request []byte, bits byte) {
		s := schema.Customers()
		if bits&fuzzPerson != 0 {
			s = person
		}
		opts := fuzzOptions(bits)
		fields, idField := s.Definition().Fields, s.Definition().ExternalID
		store := memory.New()
		c := open(t, s, store, fixed)
		key := storage.Key{Tenant: tenant, Schema: s.ID()}
		var doc map[string]json.RawMessage
		if json.Unmarshal(request, &doc) == nil {
			_ = json.Unmarshal(doc[idField], &key.ExternalID)
		}
		raw := bits&fuzzRaw != 0 && len(first) > 0
		switch {
		case !raw:
			_, _ = c.Create(ctx, tenant, first, nil)
		case key.Validate() == nil:
			put(t, store, key, string(first))
		}
		all, err := store.List(ctx, key.Scope(), storage.Range{Limit: 10})
		require.NoError(t, err)
		var old storage.Record
		if key.Validate() == nil {
			old = stored(t, store, key)
		}

		sent := bytes.Clone(request)
		res, err := c.Create(ctx, tenant, sent, &opts)
		require.Equal(t, request, sent, "the request was changed")
		after, listErr := store.List(ctx, key.Scope(), storage.Range{Limit: 10})
		require.NoError(t, listErr)
		if err != nil {
			require.Nil(t, res)
			require.Equal(t, all, after, "an error, and yet a change")
			require.Less(t, len(err.Error()), 8<<10)
			var named want
			switch w := classify(err); {
			case w.syntax:
				_, err := merge.Patch(nil, request)
				require.Error(t, err)
			case w.exists:
				require.True(t, old.Revision != 0 && opts.RejectExisting)
			case w.corrupt:
				_, showErr := s.Show(old.Data, nil)
				require.True(t, raw && showErr != nil, "corrupt: %v", err)
			default:
				require.NotEqual(t, named, w, "what is this: %v", err)
				require.LessOrEqual(t, len(w.violations), 100)
			}
			return
		}
		scribble(sent)
		rec := stored(t, store, key)
		require.NotZero(t, rec.Revision)
		require.Equal(t, rec.Revision, res.Revision())
		checkShape(t, &res.Resource)

		var oldDoc any
		if old.Revision != 0 && len(old.Data) > 0 {
			oldDoc = decode(t, old.Data)
		}
		merged := rfc7396.MergePatch(copyOf(oldDoc), stripped(fields, decode(t, request), opts, false)).(map[string]any)
		filled := copyOf(merged).(map[string]any)
		fill(fields, filled)
		got := decode(t, rec.Data)
		if old.Revision == 0 {
			require.Equal(t, resource.Created, res.Outcome)
			require.Equal(t, any(filled), got)
		} else if sameDocument(fields, oldDoc, merged, filled) {
			require.Equal(t, resource.Unchanged, res.Outcome)
			require.Equal(t, old, rec)
		} else {
			require.Equal(t, resource.Updated, res.Outcome)
			require.NotEqual(t, old.Revision, rec.Revision)
			require.Equal(t, any(filled), got)
		}
		require.Equal(t, res.Outcome == resource.Unchanged, reflect.DeepEqual(all, after))
		if !raw {
			require.NoError(t, s.Validate(rec.Data))
		}

		shown := copyOf(got).(map[string]any)
		hide(fields, shown)
		fill(fields, shown)
		require.Equal(t, shown, decode(t, res.Data()))

		var changed, removed []string
		from, _ := copyOf(oldDoc).(map[string]any)
		differ("", from, got.(map[string]any), &changed, &removed)
		require.ElementsMatch(t, changed, res.Changed())
		require.ElementsMatch(t, removed, res.Removed())
		require.Equal(t, reflect.DeepEqual(any(from), got) && old.Revision != 0, len(changed)+len(removed) == 0)
		require.True(t, len(res.Dropped) == 0 || opts.UnknownFields == schema.IgnoreUnknown)

		again, err := c.Create(ctx, tenant, request, &opts)
		switch {
		case opts.RejectExisting:
			require.ErrorIs(t, err, resource.ErrExists)
		case err != nil: // a null deleted an undeclared field, and is now on an unknown one
			require.True(t, raw && len(removed) > 0, "again: %v", err)
			for _, v := range violations(err) {
				require.True(t, strings.HasSuffix(v, " unknown_field"), v)
			}
		default:
			require.Equal(t, resource.Unchanged, again.Outcome, "again")
		}
		require.Equal(t, rec, stored(t, store, key), "again")
	})
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	require.NoError(t, dec.Decode(&v), "%q", text)
	return v
}

func copyOf(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for name, value := range v {
			c[name] = copyOf(value)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = copyOf(v[i])
		}
		return c
	}
	return v
}

// sameDocument reports whether a merge has no effect: it changes nothing, or it
// only takes away what the defaults put back.
func sameDocument(fields []schema.Field, old any, merged, filled map[string]any) bool {
	if reflect.DeepEqual(old, any(merged)) {
		return true
	}
	before := copyOf(old).(map[string]any)
	var changed, removed []string
	differ("", before, merged, &changed, &removed)
	fill(fields, before)
	return len(changed) == 0 && reflect.DeepEqual(before, filled)
}

func find(fields []schema.Field, name string) *schema.Field {
	if i := slices.IndexFunc(fields, func(f schema.Field) bool { return f.Name == name }); i >= 0 {
		return &fields[i]
	}
	return nil
}

// stripped is a request without what the policies drop. Without fields an
// object is open.
func stripped(fields []schema.Field, v any, opts resource.WriteOptions, inArray bool) any {
	o, ok := v.(map[string]any)
	if !ok {
		return v
	}
	for name, value := range o {
		f := find(fields, name)
		switch {
		case f == nil && len(fields) > 0:
			if value != nil || inArray || opts.Nulls != schema.DeleteNulls {
				delete(o, name)
			}
		case value == nil && !inArray:
			if opts.Nulls == schema.IgnoreNulls {
				delete(o, name)
			}
		case f == nil:
			if !inArray {
				o[name] = stripped(nil, value, opts, false)
			}
		case f.Type == schema.Object:
			if len(f.Fields) > 0 || !inArray {
				o[name] = stripped(f.Fields, value, opts, inArray)
			}
		case f.Type == schema.Array && f.Items != nil && len(f.Items.Fields) > 0:
			if list, ok := value.([]any); ok {
				for i := range list {
					list[i] = stripped(f.Items.Fields, list[i], opts, true)
				}
			}
		}
	}
	return o
}

// fill puts in the defaults that are absent.
func fill(fields []schema.Field, o map[string]any) {
	for _, f := range fields {
		value, there := o[f.Name]
		switch object, isObject := value.(map[string]any); {
		case !there && f.Default != nil:
			o[f.Name] = f.Default
		case isObject && f.Type == schema.Object:
			fill(f.Fields, object)
		}
	}
}

// hide takes out what is not declared.
func hide(fields []schema.Field, v any) {
	o, ok := v.(map[string]any)
	if !ok || len(fields) == 0 {
		return
	}
	for name, value := range o {
		f := find(fields, name)
		if f == nil {
			delete(o, name)
			continue
		}
		if f.Type == schema.Object {
			hide(f.Fields, value)
		}
		if list, ok := value.([]any); ok && f.Type == schema.Array && f.Items != nil {
			for _, element := range list {
				hide(f.Items.Fields, element)
			}
		}
	}
}

// differ collects the pointers to the topmost members that differ.
func differ(at string, from, to map[string]any, changed, removed *[]string) {
	pointer := func(name string) string {
		return at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	for name, value := range to {
		old, there := from[name]
		oldObject, wasObject := old.(map[string]any)
		object, isObject := value.(map[string]any)
		switch {
		case wasObject && isObject:
			differ(pointer(name), oldObject, object, changed, removed)
		case !there || !reflect.DeepEqual(old, value):
			*changed = append(*changed, pointer(name))
		}
	}
	for name := range from {
		if _, there := to[name]; !there {
			*removed = append(*removed, pointer(name))
		}
	}
}
