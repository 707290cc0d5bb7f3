package strictjson

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSyntaxErrorPointer: the place of a fault is the value that is wrong, or else
// the container around it.
func TestSyntaxErrorPointer(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{``, ""},
		{`x`, ""},
		{`{`, ""},
		{`{"a"`, ""},
		{`{"a":`, "/a"},
		{`{"a":x}`, "/a"},
		{`{"a":1,"b":01}`, ""}, // after 0 the value is complete
		{`{"a":1,"b":-}`, "/b"},
		{`{"a":{"b":[1,{"c":"` + "\x01" + `"}]}}`, "/a/b/1/c"},
		{`{"a":{"b":[1,{"c":1,"c":2}]}}`, "/a/b/1"},
		{`{"a":{"b":[1,2,tru]}}`, "/a/b/2"},
		{`{"a":{"b":[1,2 3]}}`, "/a/b"},
		{`[[],[[],[nul]]]`, "/1/1/0"},
		{`{"a~/":{"\u0062\n":x}}`, `/a~0~1/b\u000a`},
		{`{"":{"":x}}`, "//"},
		{`{} {}`, ""},
		{strings.Repeat(`{"`+strings.Repeat("n", 100)+`":`, 10), strings.Repeat("/"+strings.Repeat("n", 64)+"…", 3) + "/…"},
		{strings.Repeat(`[`, 100), strings.Repeat("/0", 64)},
	} {
		var d Doc
		err := d.Parse([]byte(tt.text), MaxDepth)
		if assert.Error(t, err, tt.text) {
			assert.Equal(t, Pointer(tt.want), err.(*SyntaxError).Pointer, "%s: %v", tt.text, err)
		}
	}
}
