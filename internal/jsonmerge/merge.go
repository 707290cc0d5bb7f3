// Package jsonmerge is RFC 7396 on parsed documents: the one merge of this module.
// Package merge merges bytes with it, and package schema applies requests with it.
package jsonmerge

import "example.com/resourcekit/internal/strictjson"

// Append appends the target changed by the patch (RFC 7396, section 2), as compact
// JSON, and reports whether that is another value than the target. A nil target is an
// absent document. Members of the patch that are marked as strictjson.Omitted are
// ignored.
//
// Members that stay, and members whose new value equals the old one (see [Equal]),
// keep their text. Append marks nodes of the patch and makes indexes in it: call Unmark
// of the patch before another Append.
func Append(dst []byte, target, patch *strictjson.Doc) (_ []byte, changed bool) {
	m := merger{target: target, patch: patch}
	root := patch.Nodes[0].Kind
	switch {
	case target == nil:
		return m.value(dst, 0), true
	case root == strictjson.Object && target.Nodes[0].Kind == strictjson.Object:
		dst = m.object(dst, 0, 0)
		return dst, m.changed
	case root != strictjson.Object && Equal(target, 0, patch, 0):
		return strictjson.AppendValue(dst, target, 0), false
	}
	return m.value(dst, 0), true
}

// A merger is one merge. Its methods append to dst and return the extended slice.
type merger struct {
	target, patch *strictjson.Doc
	changed       bool // the result is not the target
}

// object appends the target's object t merged with the patch's object p.
//
// Members that stay are copied in runs: [from, to) is the text of the target's members
// that stay and were not copied yet.
func (m *merger) object(dst []byte, t, p uint32) []byte {
	dst = append(dst, '{')
	first := len(dst)
	from, to := 0, 0
	targets, patches := m.target.Nodes, m.patch.Nodes
	known := t == 0 && p == 0 && m.target.SameNames(m.patch)
	var index strictjson.Index
	if known {
		m.patch.Number()
	} else {
		index.Init(m.patch, p)
	}
	left := patches[p].Len // members of the patch that no member of the target has met yet
	end := targets[t].Next
	for c := t + 1; c < end; c = targets[c].Next {
		old := &targets[c]
		var match uint32
		if known {
			match = m.patch.Named(old.Known)
		} else if left > 0 {
			match = index.Find(m.target, c)
		}
		if match != 0 {
			left--
			if patches[match].Mark&strictjson.Omitted != 0 {
				match = 0
			} else {
				patches[match].Mark |= strictjson.Matched
			}
		}
		if match == 0 || m.keeps(c, match) {
			if from == to {
				from = int(old.NameStart) - 1
			}
			to = int(old.End)
			continue
		}
		dst = run(dst, m.target, from, to, first)
		from, to = 0, 0
		value := &patches[match]
		if value.Kind == strictjson.Object && old.Kind == strictjson.Object {
			dst = m.object(name(dst, m.target, c, first), c, match)
			continue
		}
		m.changed = true
		switch {
		case value.Kind == strictjson.Null: // deleted
		case isPlain(value) && (value.Escapes|old.Escapes)&strictjson.InName == 0:
			// The patch writes the name as the target does: both parts at once.
			dst = run(dst, m.patch, int(value.NameStart)-1, int(value.End), first)
		default:
			dst = m.value(name(dst, m.target, c, first), match)
		}
	}
	dst = run(dst, m.target, from, to, first)
	if left > 0 {
		size := len(dst)
		dst = m.members(dst, p, first)
		m.changed = m.changed || len(dst) > size
	}
	return append(dst, '}')
}

// keeps reports whether the patch's value p equals the target's value t. It is false
// for two objects: merging them finds out.
func (m *merger) keeps(t, p uint32) bool {
	kind := m.patch.Nodes[p].Kind
	return kind == m.target.Nodes[t].Kind && kind != strictjson.Null && kind != strictjson.Object &&
		Equal(m.target, t, m.patch, p)
}

// value appends the patch's value p where the target has no object to merge it with.
// Objects in it lose their members that are null.
func (m *merger) value(dst []byte, p uint32) []byte {
	if m.patch.Nodes[p].Kind != strictjson.Object {
		return strictjson.AppendValue(dst, m.patch, p)
	}
	dst = append(dst, '{')
	return append(m.members(dst, p, len(dst)), '}')
}

// members appends those members of the patch's object p that are neither null
// nor marked as omitted or matched.
func (m *merger) members(dst []byte, p uint32, first int) []byte {
	from, to := 0, 0
	end := m.patch.Nodes[p].Next
	for c := p + 1; c < end; c = m.patch.Nodes[c].Next {
		n := &m.patch.Nodes[c]
		taken := n.Kind != strictjson.Null && n.Mark&(strictjson.Omitted|strictjson.Matched) == 0
		if taken && isPlain(n) {
			if from == to {
				from = int(n.NameStart) - 1
			}
			to = int(n.End)
			continue
		}
		dst = run(dst, m.patch, from, to, first)
		from, to = 0, 0
		if taken {
			dst = m.value(name(dst, m.patch, c, first), c)
		}
	}
	return run(dst, m.patch, from, to, first)
}

// isPlain reports whether a value of the patch is stored as its text.
func isPlain(n *strictjson.Node) bool {
	return n.Kind != strictjson.Object && n.Mark&strictjson.Partial == 0
}

// run appends the members in d.Src[from:to], after a comma unless they are the first.
// It appends nothing if the run is empty.
func run(dst []byte, d *strictjson.Doc, from, to, first int) []byte {
	if from == to {
		return dst
	}
	if len(dst) > first {
		dst = append(dst, ',')
	}
	return text(dst, d, d.Src[from:to])
}

// name appends the name of d's member c and a colon, after a comma unless it is
// the first.
func name(dst []byte, d *strictjson.Doc, c uint32, first int) []byte {
	if len(dst) > first {
		dst = append(dst, ',')
	}
	return strictjson.AppendMemberName(dst, d, c)
}

// text appends a piece of d's text, compact.
func text(dst []byte, d *strictjson.Doc, text []byte) []byte {
	if d.Blanks {
		return strictjson.AppendCompact(dst, text)
	}
	return append(dst, text...)
}
