package merge

import (
	"fmt"

	"example.com/resourcekit/internal/strictjson"
)

// MaxDepth is the number of arrays and objects that may stand inside each other
// in an input.
const MaxDepth = strictjson.MaxDepth

// A SyntaxError reports an input that is not strict JSON, as the package
// comment defines it. It never holds any part of the input.
type SyntaxError struct {
	Input  string // the parameter's name: "target", "patch", "from" or "to"
	Offset int    // in bytes from the input's start
	Reason string // what was found or wanted there
}

// Error returns the input's name, the offset and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("merge: %s is invalid JSON at byte %d: %s", e.Input, e.Offset, e.Reason)
}

// Patch returns the result of applying patch to target (RFC 7396, section 2) as
// a new slice of compact JSON. A nil or empty target is an absent one: the
// result is then the patch without the members that are null.
//
// It returns a *[SyntaxError] when patch or target is not strict JSON; the
// patch is looked at first.
func Patch(target, patch []byte) ([]byte, error) {
	out, err := Append(make([]byte, 0, len(target)+len(patch)), target, patch)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Append is like [Patch] but appends the result to dst and returns the extended
// slice. It allocates only when dst has too little room; len(target)+len(patch)
// bytes always suffice. The spare capacity of dst must not overlap target or
// patch. On an error it returns dst at its old length.
func Append(dst, target, patch []byte) ([]byte, error) {
	m := merger{patch: strictjson.Get(), dst: dst}
	defer strictjson.Put(m.patch)
	if err := parse(m.patch, patch, "patch"); err != nil {
		return dst, err
	}
	if len(target) == 0 {
		m.value(0)
		return m.dst, nil
	}
	m.target = strictjson.Get()
	defer strictjson.Put(m.target)
	if err := parse(m.target, target, "target"); err != nil {
		return dst, err
	}
	if m.target.Nodes[0].Kind == strictjson.Object && m.patch.Nodes[0].Kind == strictjson.Object {
		m.merge(0, 0)
	} else {
		m.value(0)
	}
	return m.dst, nil
}

// parse reads text into d and names the input in the error.
func parse(d *strictjson.Doc, text []byte, input string) error {
	err := d.Parse(text, MaxDepth)
	if err == nil {
		return nil
	}
	if e, ok := err.(*strictjson.SyntaxError); ok {
		return &SyntaxError{Input: input, Offset: e.Offset, Reason: e.Reason}
	}
	return err
}

// merger appends the result of one merge to dst.
type merger struct {
	target, patch *strictjson.Doc
	dst           []byte
}

// merge appends the target's object t merged with the patch's object p.
//
// Members that stay are not copied one by one but in runs: [from, to) is the
// text of the target's members that were kept and not yet copied.
func (m *merger) merge(t, p uint32) {
	m.dst = append(m.dst, '{')
	first := len(m.dst)
	from, to := 0, 0
	index := m.patch.Index(p)
	left := m.patch.Nodes[p].Len // members of the patch that no member of the target has met yet
	end := m.target.Nodes[t].Next
	for c := t + 1; c < end; c = m.target.Nodes[c].Next {
		old := &m.target.Nodes[c]
		var match uint32
		if left > 0 {
			match = index.Find(m.target, c)
		}
		if match != 0 {
			left--
			m.patch.Nodes[match].Mark = true
		}
		if match == 0 || m.keeps(c, match) {
			if from == to {
				from = int(old.NameStart) - 1
			}
			to = int(old.End)
			continue
		}
		m.run(m.target, from, to, first)
		from, to = 0, 0
		switch kind := m.patch.Nodes[match].Kind; {
		case kind == strictjson.Null: // deleted
		case kind == strictjson.Object && old.Kind == strictjson.Object:
			m.name(m.target, c, first)
			m.merge(c, match)
		default:
			m.name(m.target, c, first)
			m.value(match)
		}
	}
	m.run(m.target, from, to, first)
	if left > 0 {
		m.members(p, first)
	}
	m.dst = append(m.dst, '}')
}

// keeps reports whether the patch's value p is the target's value t already.
// Two objects are left to merge, which finds out on its way.
func (m *merger) keeps(t, p uint32) bool {
	kind := m.patch.Nodes[p].Kind
	return kind != strictjson.Null && kind != strictjson.Object && same(m.target, t, m.patch, p)
}

// value appends the patch's value p as it arrives where the target has nothing
// to merge with: objects lose the members that are null.
func (m *merger) value(p uint32) {
	if m.patch.Nodes[p].Kind != strictjson.Object {
		m.text(m.patch, m.patch.Text(p))
		return
	}
	m.dst = append(m.dst, '{')
	m.members(p, len(m.dst))
	m.dst = append(m.dst, '}')
}

// members appends those members of the patch's object p that are neither null
// nor marked as met.
func (m *merger) members(p uint32, first int) {
	from, to := 0, 0
	end := m.patch.Nodes[p].Next
	for c := p + 1; c < end; c = m.patch.Nodes[c].Next {
		n := &m.patch.Nodes[c]
		if !n.Mark && n.Kind != strictjson.Null && n.Kind != strictjson.Object {
			if from == to {
				from = int(n.NameStart) - 1
			}
			to = int(n.End)
			continue
		}
		m.run(m.patch, from, to, first)
		from, to = 0, 0
		if !n.Mark && n.Kind == strictjson.Object {
			m.name(m.patch, c, first)
			m.value(c)
		}
	}
	m.run(m.patch, from, to, first)
}

// run appends the members that stand in d.Src[from:to], behind a comma unless
// they are the first. An empty run appends nothing.
func (m *merger) run(d *strictjson.Doc, from, to, first int) {
	if from == to {
		return
	}
	if len(m.dst) > first {
		m.dst = append(m.dst, ',')
	}
	m.text(d, d.Src[from:to])
}

// name appends the name of d's member c and a colon, behind a comma unless it
// is the first.
func (m *merger) name(d *strictjson.Doc, c uint32, first int) {
	if len(m.dst) > first {
		m.dst = append(m.dst, ',')
	}
	n := &d.Nodes[c]
	m.dst = append(m.dst, d.Src[n.NameStart-1:n.NameEnd+1]...)
	m.dst = append(m.dst, ':')
}

// text appends a piece of d's text without blanks.
func (m *merger) text(d *strictjson.Doc, text []byte) {
	if d.Blanks {
		m.dst = strictjson.AppendCompact(m.dst, text)
		return
	}
	m.dst = append(m.dst, text...)
}
