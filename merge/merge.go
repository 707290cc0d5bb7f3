package merge

import (
	"fmt"
	"slices"
	"sync"

	"example.com/resourcekit/internal/jsonmerge"
	"example.com/resourcekit/internal/strictjson"
)

// MaxDepth is how many arrays and objects may be inside each other in an input: 64.
const MaxDepth = strictjson.MaxDepth

// A SyntaxError says where an input stops being strict JSON, as the package comment
// defines it. Its fields are Offset, an int, in bytes from the start of the input;
// Pointer, a JSON Pointer (RFC 6901) to the wrong value or to the container around it;
// and Reason, a string that says what was found or expected. It holds no value of the
// input. The errors of this package wrap it and name the input. It is the same type as
// schema.SyntaxError.
type SyntaxError = strictjson.SyntaxError

// Patch returns target changed by patch (RFC 7396, section 2), as a new slice of
// compact JSON with little spare capacity. A nil or empty target is an absent one:
// the result is then the patch without the members that are null.
//
// The error wraps a [*SyntaxError] when patch or target is not strict JSON; the patch
// is read first.
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
	// A small result is made in a buffer first, so that it takes no more memory than
	// it needs: there may be many, and they may be kept for long.
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

// Append appends the result of [Patch] to dst and returns the extended slice; with an
// error, which is that of Patch, it returns dst at its old length. It allocates only
// pooled working memory, unless dst has too little room: len(target)+len(patch) bytes
// always suffice. The spare capacity of dst must not overlap target or patch.
func Append(dst, target, patch []byte) ([]byte, error) {
	m := mergers.Get().(*merger)
	defer m.put()
	return m.append(dst, target, patch)
}

// append is Append.
func (m *merger) append(dst, target, patch []byte) ([]byte, error) {
	if err := m.parse(&m.patch, patch, "patch"); err != nil {
		return dst, err
	}
	if len(target) == 0 {
		dst, _ = jsonmerge.Append(dst, nil, &m.patch)
		return dst, nil
	}
	if err := m.parse(&m.target, target, "target"); err != nil {
		return dst, err
	}
	dst, _ = jsonmerge.Append(dst, &m.target, &m.patch)
	return dst, nil
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
	return syntaxError(d.Parse(text, MaxDepth), input)
}

// syntaxError names the input that could not be read.
func syntaxError(err error, input string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("merge: %s: %w", input, err)
}

// A merger holds the two inputs of one merge.
type merger struct {
	target, patch strictjson.Doc
	learner       strictjson.Learner
	buffer        []byte // of Patch
}

func (m *merger) parse(d *strictjson.Doc, text []byte, input string) error {
	return syntaxError(m.learner.Parse(d, text, MaxDepth), input)
}
