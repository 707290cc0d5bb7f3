package merge

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"example.com/resourcekit/internal/strictjson"
)

// ErrPointer is returned by [Builder.Patch] when a member was named by a text that is
// not a JSON Pointer to a member.
var ErrPointer = errors.New("merge: not a JSON Pointer to a member")

// A Builder makes a merge patch member by member, for programs that send one. The
// zero value is the empty patch, {}. It is not safe for concurrent use.
//
// Members are named by JSON Pointers (RFC 6901): "/email", "/shipTo/city". A name is
// only a name, whatever characters it has; in a pointer '~' is written ~0 and '/' is
// written ~1, and "/" names the member with the empty name. A later call for a member
// replaces an earlier one for the same member.
type Builder struct {
	patch []byte // nil for {}
	err   error  // the first one
}

// Set makes the patch set a member to a value, encoded by [json.Marshal]; a
// [json.RawMessage] is taken as it is. Set also makes the objects around the member. A
// null, also as a member of an object in the value, means a deletion (RFC 7396, section
// 2). Errors are returned by Patch.
func (b *Builder) Set(pointer string, value any) *Builder {
	raw, err := json.Marshal(value)
	if err != nil {
		b.fail(fmt.Errorf("merge: value of %q: %w", pointer, err))
		return b
	}
	return b.set(pointer, raw)
}

// Delete makes the patch delete a member.
func (b *Builder) Delete(pointer string) *Builder { return b.set(pointer, []byte("null")) }

// Patch returns the patch: compact JSON, the members in the order in which they were
// first named. The slice is the caller's.
//
// The error is that of the first call that failed, [ErrPointer] or one of json.Marshal;
// or it wraps a [*SyntaxError] if the patch is not strict JSON, because a value is not
// valid UTF-8 or is nested too deeply.
func (b *Builder) Patch() ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	if b.patch == nil {
		return []byte("{}"), nil
	}
	d := strictjson.Get()
	defer strictjson.Put(d)
	if err := parse(d, b.patch, "patch"); err != nil {
		return nil, err
	}
	return strictjson.AppendCompact(nil, b.patch), nil
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// set writes the member with sjson. An array on the path is replaced by an object
// first: sjson would write into it.
func (b *Builder) set(pointer string, raw []byte) *Builder {
	names, err := escapedNames(pointer)
	if err != nil {
		b.fail(err)
		return b
	}
	for n := 1; n < len(names); n++ {
		if gjson.GetBytes(b.patch, strings.Join(names[:n], ".")).IsArray() {
			b.write(names[:n], []byte("{}"))
		}
	}
	b.write(names, raw)
	return b
}

// write sets a member. A colon before a name makes sjson read it as a name, even if it
// looks like an index.
func (b *Builder) write(names []string, raw []byte) {
	patch, err := sjson.SetRawBytes(b.patch, ":"+strings.Join(names, ".:"), raw)
	if err != nil {
		b.fail(fmt.Errorf("merge: %w", err))
		return
	}
	b.patch = patch
}

// escapedNames returns the names in a JSON Pointer in the path language of gjson and
// sjson, which gives '.', '*', '#', '|', '@' and more a meaning. A backslash takes the
// meaning away, so each ASCII character that is not a letter or digit gets one.
func escapedNames(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") || !utf8.ValidString(pointer) {
		return nil, fmt.Errorf("%w: %q", ErrPointer, pointer)
	}
	names := strings.Split(pointer[1:], "/")
	for n, token := range names {
		var name strings.Builder
		for i := 0; i < len(token); i++ {
			c := token[i]
			if c == '~' {
				i++
				switch {
				case i < len(token) && token[i] == '0':
				case i < len(token) && token[i] == '1':
					c = '/'
				default:
					return nil, fmt.Errorf("%w: %q", ErrPointer, pointer)
				}
			}
			if c < utf8.RuneSelf && !(c >= '0' && c <= '9') && !(c|0x20 >= 'a' && c|0x20 <= 'z') {
				name.WriteByte('\\')
			}
			name.WriteByte(c)
		}
		names[n] = name.String()
	}
	return names, nil
}
