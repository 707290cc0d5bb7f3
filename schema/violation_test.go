package schema

import (
	"strings"
	"testing"

	"example.com/resourcekit/internal/strictjson"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
)

func TestAppendClientName(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "abc", "abc"},
		{"pointer-escapes", "a/b~c", "a~1b~0c"},
		{"quotes", `a"b\c`, `a\u0022b\u005cc`},
		{"markup", "<b>&", `\u003cb\u003e\u0026`},
		{"control", "a\n\x00\x7f", `a\u000a\u0000\u007f`},
		{"bidi-override", "a\u202eb", `a\u202eb`},
		{"printable", "é日", "é日"},
		{"beyond-the-bmp", "\U0001F600\U000E0001", "\U0001F600" + `\udb40\udc01`},
		{"64-bytes", strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{"65-bytes", strings.Repeat("a", 65), strings.Repeat("a", 64) + "…"},
		{"whole-runes", strings.Repeat("日", 22), strings.Repeat("日", 21) + "…"},
		{"whole-escapes", strings.Repeat("\n", 11), strings.Repeat(`\u000a`, 10) + "…"},
		{"whole-pointer-escapes", "a" + strings.Repeat("/", 40), "a" + strings.Repeat("~1", 31) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, string(strictjson.AppendShownName(nil, []byte(tt.in))))
		})
	}
}

func TestErrorIsBounded(t *testing.T) {
	list := make([]Violation, 100)
	for i := range list {
		list[i] = Violation{Pointer("/" + strings.Repeat("x", 64)), codeUnknownField, strings.Repeat("y", 100)}
	}
	text := (&ValidationError{Violations: list, More: 1000}).Error()
	assert.Less(t, len(text), 5000)
	assert.Regexp(t, ` …and 10[0-9][0-9] more$`, text)
	assert.Equal(t, "schema: invalid document: /a: b …and 3 more", (&ValidationError{Violations: []Violation{{"/a", codeType, "b"}}, More: 3}).Error())
	assert.Equal(t, "not strict JSON at byte 7 (/a): r", (&SyntaxError{Offset: 7, Pointer: "/a", Reason: "r"}).Error())
	damaged := &SyntaxError{Offset: 7, Reason: "r"}
	assert.Equal(t, "schema: corrupt stored document: not strict JSON at byte 7: r", (&CorruptError{Err: damaged}).Error())
	id := uuid.MustParse("0191e4a0-0000-7000-8000-000000000001")
	assert.Equal(t, "schema: corrupt stored document of record "+id.String()+": not strict JSON at byte 7: r", (&CorruptError{id, damaged}).Error())
}
