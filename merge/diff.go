package merge

import (
	"errors"
	"fmt"

	"example.com/resourcekit/internal/jsonmerge"
	"example.com/resourcekit/internal/strictjson"
)

// ErrNotRepresentable is returned by [Diff] when no merge patch leads to the document,
// because it would have to set a member to null (RFC 7396, section 1). The error's
// text has the byte offset of that null.
var ErrNotRepresentable = errors.New("merge: not representable as a merge patch")

// Diff returns a merge patch that leads from one document to the other:
// Equal(Patch(from, Diff(from, to)), to). A nil or empty from is an absent document.
// The patch is a new slice of compact JSON and names only members that differ: first
// those of to that are new or changed, in their order, then those that are gone, in
// from's order. For two equal objects it is {}.
//
// The error matches [ErrNotRepresentable] when to has a null member that from does not
// have in the same place; nulls inside arrays are values. It wraps a [*SyntaxError]
// when an input is not strict JSON.
func Diff(from, to []byte) ([]byte, error) {
	d, err := newDiffer(from, to)
	defer d.close()
	if err != nil {
		return nil, err
	}
	var out []byte
	if d.bothObjects(0, 0) {
		out, err = d.patch(out, 0, 0)
	} else {
		out, err = d.value(out, 0)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Changes returns where two documents differ, as JSON Pointers (RFC 6901) to the
// topmost members that do: changed are those of to that are new or have another value,
// in to's order, and removed are those of from that are gone, in from's order. Two
// objects are compared member by member, other values as a whole; an array is one
// value. If the documents differ and are not both objects, changed is the pointer to
// the whole document, "". A nil or empty document is an absent one.
//
// The lists are linear in the documents: an object in which the pointers together
// would take more than 256 bytes and four times its own text is one changed member.
//
// The error wraps a [*SyntaxError] when an input is not strict JSON.
func Changes(from, to []byte) (changed, removed []string, err error) {
	if len(to) == 0 {
		if len(from) == 0 {
			return nil, nil, nil
		}
		d := strictjson.Get()
		defer strictjson.Put(d)
		if err := parse(d, from, "from"); err != nil {
			return nil, nil, err
		}
		return nil, []string{""}, nil
	}
	d, err := newDiffer(from, to)
	defer d.close()
	if err != nil {
		return nil, nil, err
	}
	if !d.bothObjects(0, 0) {
		if d.from == nil || !jsonmerge.Equal(d.from, 0, d.to, 0) {
			changed = []string{""}
		}
		return changed, nil, nil
	}
	var atChanged, atRemoved []*place
	// At the root no path makes pointers long, so it has no bound.
	_ = d.changes(0, 0, nil, &atChanged, &atRemoved)
	return pointers(atChanged), pointers(atRemoved), nil
}

// differ compares two parsed documents.
type differ struct {
	from, to *strictjson.Doc // from is nil when absent
}

// newDiffer parses both inputs. The differ must be closed even after an error.
func newDiffer(from, to []byte) (d differ, err error) {
	if len(from) > 0 {
		d.from = strictjson.Get()
		if err := parse(d.from, from, "from"); err != nil {
			return d, err
		}
	}
	d.to = strictjson.Get()
	return d, parse(d.to, to, "to")
}

func (d differ) close() {
	if d.from != nil {
		strictjson.Put(d.from)
	}
	if d.to != nil {
		strictjson.Put(d.to)
	}
}

func (d differ) bothObjects(f, t uint32) bool {
	return d.from != nil && d.from.Nodes[f].Kind == strictjson.Object && d.to.Nodes[t].Kind == strictjson.Object
}

// pairs calls visit for each member of to's object t, with from's member of the same
// name or 0, and then for each of from's members that t lacks, with 0 for to's member.
// Equal members are left out, unless both are objects.
func (d differ) pairs(f, t uint32, visit func(f, t uint32) error) error {
	var index strictjson.Index
	index.Init(d.from, f)
	for c := t + 1; c < d.to.Nodes[t].Next; c = d.to.Nodes[c].Next {
		old := index.Find(d.to, c)
		if old != 0 {
			d.from.Nodes[old].Mark = strictjson.Matched
			if !d.bothObjects(old, c) && jsonmerge.Equal(d.from, old, d.to, c) {
				continue
			}
		}
		if err := visit(old, c); err != nil {
			return err
		}
	}
	for c := f + 1; c < d.from.Nodes[f].Next; c = d.from.Nodes[c].Next {
		if d.from.Nodes[c].Mark&strictjson.Matched == 0 {
			if err := visit(c, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// patch appends the merge patch that leads from object f to object t.
func (d differ) patch(out []byte, f, t uint32) ([]byte, error) {
	out = append(out, '{')
	first := len(out)
	err := d.pairs(f, t, func(f, t uint32) (err error) {
		before := len(out)
		doc, c := d.to, t
		if t == 0 {
			doc, c = d.from, f
		}
		if len(out) > first {
			out = append(out, ',')
		}
		out = strictjson.AppendMemberName(out, doc, c)
		switch {
		case t == 0:
			out = append(out, "null"...)
		case f != 0 && d.bothObjects(f, t):
			inner := len(out)
			out, err = d.patch(out, f, t)
			if len(out) == inner+len("{}") { // nothing differs inside
				out = out[:before]
			}
		default:
			out, err = d.value(out, t)
		}
		return err
	})
	return append(out, '}'), err
}

// value appends to's value t as a patch for a place without an object. It must have no
// null member, which a merge would leave out.
func (d differ) value(out []byte, t uint32) ([]byte, error) {
	nodes := d.to.Nodes
	if t != 0 && nodes[t].Kind == strictjson.Null {
		return nil, notRepresentable(&nodes[t])
	}
	for c := t; c < nodes[t].Next; {
		switch {
		case c > t && nodes[c].Kind == strictjson.Null:
			return nil, notRepresentable(&nodes[c])
		case nodes[c].Kind == strictjson.Array:
			c = nodes[c].Next
		default:
			c++
		}
	}
	return strictjson.AppendCompact(out, d.to.Text(t)), nil
}

func notRepresentable(n *strictjson.Node) error {
	return fmt.Errorf("%w: null member at byte %d", ErrNotRepresentable, n.Start)
}

// maxPointers and maxPointersFactor bound the pointers into one object, in bytes and as
// a multiple of the object's texts: otherwise each short member below a long path would
// cost the whole path.
const (
	maxPointers       = 256
	maxPointersFactor = 4
)

// errTooLong ends the walk through an object whose pointers exceed their bound.
var errTooLong = errors.New("too many pointers")

// A place is a member, by the path to it.
type place struct {
	up     *place // nil for a member of the root
	doc    *strictjson.Doc
	member uint32
	length int // of the pointer, in bytes
}

func (p *place) appendPointer(dst []byte) []byte {
	if p == nil {
		return dst
	}
	return appendStep(p.up.appendPointer(dst), p.doc, p.member)
}

// appendStep appends the last step of the pointer to a member.
func appendStep(dst []byte, doc *strictjson.Doc, member uint32) []byte {
	return strictjson.AppendPointer(dst, doc.AppendName(nil, member))
}

// pointers returns the pointers to the places.
func pointers(places []*place) []string {
	var list []string
	for _, p := range places {
		list = append(list, string(p.appendPointer(make([]byte, 0, p.length))))
	}
	return list
}

// changes appends the places at which the objects f and t differ; the objects are at
// up. It returns errTooLong when their pointers exceed their bound. The pointers are
// made later, for the places that are reported.
func (d differ) changes(f, t uint32, up *place, changed, removed *[]*place) error {
	size, bound := 0, maxPointers+maxPointersFactor*(len(d.from.Text(f))+len(d.to.Text(t)))
	var step []byte
	return d.pairs(f, t, func(f, t uint32) error {
		at := &place{up: up, doc: d.to, member: t}
		list := changed
		if t == 0 {
			at.doc, at.member, list = d.from, f, removed
		}
		step = appendStep(step[:0], at.doc, at.member)
		if at.length = len(step); up != nil {
			at.length += up.length
		}
		if f != 0 && t != 0 && d.bothObjects(f, t) {
			numChanged, numRemoved := len(*changed), len(*removed)
			if d.changes(f, t, at, changed, removed) == nil {
				for _, added := range [][]*place{(*changed)[numChanged:], (*removed)[numRemoved:]} {
					for _, p := range added {
						size += p.length
					}
				}
				if up != nil && size > bound {
					return errTooLong
				}
				return nil
			}
			// The object itself is reported in place of its members.
			*changed, *removed = (*changed)[:numChanged], (*removed)[:numRemoved]
		}
		*list = append(*list, at)
		if size += at.length; up != nil && size > bound {
			return errTooLong
		}
		return nil
	})
}
