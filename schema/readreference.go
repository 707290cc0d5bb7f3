package schema

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"example.com/resourcekit/internal/strictjson"
)

// follow reads the target of the reference at c, a keyword of the schema at node.
func (r *reader) follow(p *part, node, c uint32, depth int) {
	for m := range r.children(node) {
		switch name := string(r.doc.AppendName(nil, m)); {
		case m == c, isAnnotation(name), name == "$schema", name == "$defs", name == "definitions", name == "description", name == "default":
		default:
			r.mistake(m, `the drafts differ on keywords beside $ref: write "allOf": [{"$ref": ...}] beside them`)
			return
		}
	}
	target, err := r.target(r.text(c))
	switch {
	case err != nil:
		r.mistake(c, "%v", err)
		return
	case slices.Contains(r.active, target) || target <= c && c < r.doc.Nodes[target].Next:
		r.mistake(c, "the schema contains itself: write it out as far as it is needed")
		return
	case len(r.active) > strictjson.MaxDepth:
		r.limit(c, "expected at most %d references after each other", strictjson.MaxDepth)
		return
	}
	if r.bytes -= len(r.doc.Text(target)); r.bytes < 0 {
		r.limit(c, "the references add too much to the text")
		return
	}
	r.active = append(r.active, target)
	r.keywords(p, target, depth)
	r.active = r.active[:len(r.active)-1]
}

// target returns the node that a reference means.
func (r *reader) target(ref string) (uint32, error) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return 0, errors.New("expected a reference into this text, such as #/$defs/NAME, or to a schema, reach:schemas/NAME")
	}
	pointer, err := url.PathUnescape(pointer)
	if err != nil || !isPointer(pointer) {
		return 0, errors.New("expected a JSON Pointer, such as #/$defs/NAME")
	}
	node := uint32(0)
	for pointer != "" {
		token, rest, more := strings.Cut(pointer[1:], "/")
		if pointer = rest; more {
			pointer = "/" + rest
		}
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		if node, ok = r.child(node, token); !ok {
			return 0, errors.New("nothing is there")
		}
	}
	return node, nil
}

// child returns the member or element of a container that a token of a pointer means. Many
// references may lead into one container: it is looked through once.
func (r *reader) child(node uint32, token string) (uint32, bool) {
	children, seen := r.childrenOf[node]
	if !seen {
		children = make(map[string]uint32)
		index := 0
		for c := range r.children(node) {
			if r.doc.Nodes[node].Kind == strictjson.Object {
				children[string(r.doc.AppendName(nil, c))] = c
			} else {
				children[strconv.Itoa(index)] = c
			}
			index++
		}
		if r.childrenOf == nil {
			r.childrenOf = make(map[uint32]map[string]uint32)
		}
		r.childrenOf[node] = children
	}
	c, ok := children[token]
	return c, ok
}
