package schema

import "example.com/resourcekit/internal/strictjson"

// redacted replaces the values that Redact hides.
const redacted = "[redacted]"

// Redact returns a document, or a merge patch (RFC 7396), without its personal data: the
// string "[redacted]" replaces each value of a field with a PII mark, of a member that is
// not declared, and of a field that has another kind than declared. It does so at every
// depth that declares fields, in the values of maps and in the elements of arrays. Members
// of an open object are kept, and the names of the members of a map, unless the object is
// marked. A null is kept: it only says that the field is
// deleted. The result is a new slice of compact JSON.
//
// The error is a [*CorruptError] when document is not a JSON object.
func (s *Schema) Redact(document []byte) ([]byte, error) {
	d := strictjson.Get()
	defer strictjson.Put(d)
	if err := s.parseStored(d, document); err != nil {
		return nil, err
	}
	return appendRedacted(make([]byte, 0, len(document)), d, 0, &field{kinds: kindsOf[Object], object: s.root}), nil
}

// appendRedacted appends node i, a value of f; f is nil for a member that is not
// declared.
func appendRedacted(dst []byte, d *strictjson.Doc, i uint32, f *field) []byte {
	n := &d.Nodes[i]
	switch {
	case n.Kind == strictjson.Null:
		return append(dst, "null"...)
	case f == nil || f.pii || !f.isKind(n.Kind):
		return strictjson.AppendQuoted(dst, redacted)
	case n.Kind == strictjson.Object && f.object != nil:
		dst = append(dst, '{')
		for c := i + 1; c < n.Next; c = d.Nodes[c].Next {
			if c > i+1 {
				dst = append(dst, ',')
			}
			dst = append(append(append(dst, '"'), d.RawName(c)...), '"', ':')
			dst = appendRedacted(dst, d, c, f.object.member(d, c))
		}
		return append(dst, '}')
	case n.Kind == strictjson.Array && f.items != nil:
		dst = append(dst, '[')
		for c := i + 1; c < n.Next; c = d.Nodes[c].Next {
			if c > i+1 {
				dst = append(dst, ',')
			}
			dst = appendRedacted(dst, d, c, f.items)
		}
		return append(dst, ']')
	}
	return strictjson.AppendCompact(dst, d.Text(i))
}
