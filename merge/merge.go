package merge

import (
	"fmt"
	"slices"
	"sync"

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
	return fmt.Sprintf("merge: %s is not strict JSON at byte %d: %s", e.Input, e.Offset, e.Reason)
}

// Patch returns the result of applying patch to target (RFC 7396, section 2) as
// a new slice of compact JSON with little spare capacity. A nil or empty target is
// an absent one: the result is then the patch without the members that are null.
//
// It returns a *[SyntaxError] when patch or target is not strict JSON; the
// patch is looked at first.
func Patch(target, patch []byte) ([]byte, error) {
	m := mergers.Get().(*merger)
	defer m.put()
	if size := len(target) + len(patch); size > maxBuffer {
		out, err := m.append(make([]byte, 0, size), target, patch)
		if err != nil {
			return nil, err
		}
		if len(out) < cap(out)-cap(out)/4 {
			out = slices.Clone(out)
		}
		return out, nil
	}
	// A small result is made in a buffer first, for it is to take no more memory
	// than it needs: there may be many, and they may be kept for long.
	out, err := m.append(m.buffer[:0], target, patch)
	if err != nil {
		return nil, err
	}
	m.buffer = out
	result := make([]byte, len(out))
	copy(result, out)
	return result, nil
}

// maxBuffer is the size in bytes, of both inputs together, up to which Patch makes
// the result in the pooled buffer.
const maxBuffer = 64 << 10

// Append is like [Patch] but appends the result to dst and returns the extended
// slice. Beside its pooled working memory it allocates only when dst has too
// little room; len(target)+len(patch) bytes always suffice. The spare capacity of
// dst must not overlap target or patch. On an error it returns dst at its old
// length.
func Append(dst, target, patch []byte) ([]byte, error) {
	m := mergers.Get().(*merger)
	defer m.put()
	return m.append(dst, target, patch)
}

// append is Append.
func (m *merger) append(dst, target, patch []byte) ([]byte, error) {
	if err := parse(&m.patch, patch, "patch"); err != nil {
		return dst, err
	}
	if len(target) == 0 {
		return m.value(dst, 0), nil
	}
	if err := parse(&m.target, target, "target"); err != nil {
		return dst, err
	}
	switch patch := m.patch.Nodes[0].Kind; {
	case patch != strictjson.Object && same(&m.target, 0, &m.patch, 0):
		return text(dst, &m.target, m.target.Text(0)), nil
	case patch == strictjson.Object && m.target.Nodes[0].Kind == strictjson.Object:
		return m.merge(dst, 0, 0), nil
	}
	return m.value(dst, 0), nil
}

var mergers = sync.Pool{New: func() any { return new(merger) }}

// put gives m back to the pool.
func (m *merger) put() {
	m.target.Reset()
	m.patch.Reset()
	mergers.Put(m)
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

// A merger holds the two inputs of one merge. Its methods append to dst and
// return the extended slice.
type merger struct {
	target, patch strictjson.Doc
	buffer        []byte // of Patch
}

// merge appends the target's object t merged with the patch's object p.
//
// Members that stay are not copied one by one but in runs: [from, to) is the
// text of the target's members that were kept and not yet copied.
func (m *merger) merge(dst []byte, t, p uint32) []byte {
	dst = append(dst, '{')
	first := len(dst)
	from, to := 0, 0
	targets, patches := m.target.Nodes, m.patch.Nodes
	var index strictjson.Index
	index.Init(&m.patch, p)
	left := patches[p].Len // members of the patch that no member of the target has met yet
	end := targets[t].Next
	for c := t + 1; c < end; c = targets[c].Next {
		old := &targets[c]
		var match uint32
		if left > 0 {
			match = index.Find(&m.target, c)
		}
		if match != 0 {
			left--
			patches[match].Mark = true
		}
		if match == 0 || m.keeps(c, match) {
			if from == to {
				from = int(old.NameStart) - 1
			}
			to = int(old.End)
			continue
		}
		dst = run(dst, &m.target, from, to, first)
		from, to = 0, 0
		switch value := &patches[match]; {
		case value.Kind == strictjson.Null: // deleted
		case value.Kind == strictjson.Object && old.Kind == strictjson.Object:
			dst = m.merge(name(dst, &m.target, c, first), c, match)
		case value.Kind != strictjson.Object && !value.NameEscaped && !old.NameEscaped:
			// The patch writes the name as the target does: both parts at once.
			dst = run(dst, &m.patch, int(value.NameStart)-1, int(value.End), first)
		default:
			dst = m.value(name(dst, &m.target, c, first), match)
		}
	}
	dst = run(dst, &m.target, from, to, first)
	if left > 0 {
		dst = m.members(dst, p, first)
	}
	return append(dst, '}')
}

// keeps reports whether the patch's value p is the target's value t already.
// Two objects are left to merge, which finds out on its way.
func (m *merger) keeps(t, p uint32) bool {
	kind := m.patch.Nodes[p].Kind
	return kind == m.target.Nodes[t].Kind && kind != strictjson.Null && kind != strictjson.Object &&
		same(&m.target, t, &m.patch, p)
}

// value appends the patch's value p as it arrives where the target has nothing
// to merge with: objects lose the members that are null.
func (m *merger) value(dst []byte, p uint32) []byte {
	if m.patch.Nodes[p].Kind != strictjson.Object {
		return text(dst, &m.patch, m.patch.Text(p))
	}
	dst = append(dst, '{')
	return append(m.members(dst, p, len(dst)), '}')
}

// members appends those members of the patch's object p that are neither null
// nor marked as met.
func (m *merger) members(dst []byte, p uint32, first int) []byte {
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
		dst = run(dst, &m.patch, from, to, first)
		from, to = 0, 0
		if !n.Mark && n.Kind == strictjson.Object {
			dst = m.value(name(dst, &m.patch, c, first), c)
		}
	}
	return run(dst, &m.patch, from, to, first)
}

// run appends the members that stand in d.Src[from:to], behind a comma unless
// they are the first. An empty run appends nothing.
func run(dst []byte, d *strictjson.Doc, from, to, first int) []byte {
	if from == to {
		return dst
	}
	if len(dst) > first {
		dst = append(dst, ',')
	}
	return text(dst, d, d.Src[from:to])
}

// name appends the name of d's member c and a colon, behind a comma unless it
// is the first.
func name(dst []byte, d *strictjson.Doc, c uint32, first int) []byte {
	if len(dst) > first {
		dst = append(dst, ',')
	}
	n := &d.Nodes[c]
	dst = append(dst, d.Src[n.NameStart-1:n.NameEnd+1]...)
	return append(dst, ':')
}

// text appends a piece of d's text without blanks.
func text(dst []byte, d *strictjson.Doc, text []byte) []byte {
	if d.Blanks {
		return strictjson.AppendCompact(dst, text)
	}
	return append(dst, text...)
}
