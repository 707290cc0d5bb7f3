package merge_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/resourcekit/merge"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBuilder(t *testing.T) {
	type b = merge.Builder
	for _, tt := range []struct {
		name string
		do   func(*b)
		want string
	}{
		{"nothing", func(*b) {}, `{}`},
		{"set", func(p *b) { p.Set("/a", "x") }, `{"a":"x"}`},
		{"delete", func(p *b) { p.Delete("/a") }, `{"a":null}`},
		{"nil deletes", func(p *b) { p.Set("/a", nil) }, `{"a":null}`},
		{"nested", func(p *b) { p.Set("/a/b", 1).Delete("/a/c") }, `{"a":{"b":1,"c":null}}`},
		{"order of the first naming", func(p *b) { p.Set("/b", 1).Set("/a", 2).Set("/b", 3) }, `{"b":3,"a":2}`},
		{"object over value", func(p *b) { p.Set("/a", 1).Set("/a/b", 2) }, `{"a":{"b":2}}`},
		{"object over null", func(p *b) { p.Delete("/a").Set("/a/b", 2) }, `{"a":{"b":2}}`},
		{"object over array", func(p *b) { p.Set("/a", []int{1}).Set("/a/0", 2) }, `{"a":{"0":2}}`},
		{"value over object", func(p *b) { p.Set("/a/b", 2).Set("/a", 1) }, `{"a":1}`},
		{"raw", func(p *b) { p.Set("/a", json.RawMessage(`{"n": 1.50 }`)) }, `{"a":{"n":1.50}}`},
		{"empty name", func(p *b) { p.Set("/", 1) }, `{"":1}`},
		{"empty names", func(p *b) { p.Set("//", 1).Set("/a/", 2) }, `{"":{"":1},"a":{"":2}}`},
		{"slash and tilde", func(p *b) { p.Set("/a~1b~0c~01", 1) }, `{"a/b~c~1":1}`},
		{"non-ASCII", func(p *b) { p.Set("/größe/日本", 1) }, `{"größe":{"日本":1}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p b
			tt.do(&p)
			got, err := p.Patch()
			require.NoError(t, err)
			assert.Equal(t, tt.want, string(got))
		})
	}
}

// Names that mean something in a path language are only names.
func TestBuilderNames(t *testing.T) {
	names := []string{".", "*", "?", "#", "|", "@", ":", "0", "-1", "a.b", "a*", "#(a==1)", "@this", `\`, `"`, "!x", "{", "[0]", "a|b", " ", "\n", "\x00", "\x7f", "<", "&", "~", "/", "", ":0", "::", "%", "$"}
	for _, name := range names {
		for _, inner := range names {
			pointer := "/" + escape(name) + "/" + escape(inner)
			var p merge.Builder
			got, err := p.Set(pointer, 1).Set(pointer, true).Patch()
			require.NoError(t, err, pointer)
			var m map[string]map[string]any
			require.NoError(t, json.Unmarshal(got, &m), "%q: %s", pointer, got)
			assert.Equal(t, map[string]map[string]any{name: {inner: true}}, m, pointer)
		}
	}
}

func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

func TestBuilderErrors(t *testing.T) {
	for _, pointer := range []string{"", "a", "a/b", "/~", "/~2", "/a~", "/\xff"} {
		var p merge.Builder
		_, err := p.Set("/ok", 1).Delete(pointer).Set("/also", 2).Patch()
		assert.ErrorIs(t, err, merge.ErrPointer, "%q", pointer)
	}
	var p merge.Builder
	_, err := p.Set("/a", math.NaN()).Patch()
	assert.Error(t, err)
	var syntax *merge.SyntaxError
	_, err = new(merge.Builder).Set(strings.Repeat("/a", 65), 1).Patch()
	assert.ErrorAs(t, err, &syntax)
	_, err = new(merge.Builder).Set("/a", json.RawMessage(`{"x":1,"x":2}`)).Patch()
	assert.ErrorAs(t, err, &syntax)
}

// FuzzBuilder compares a builder with a tree of maps.
func FuzzBuilder(f *testing.F) {
	f.Add("/a/b", "/a", "/a/0")
	f.Add("/\\/b", "/~1/:", "/@/#")
	f.Fuzz(func(t *testing.T, first, second, third string) {
		var p merge.Builder
		want := make(map[string]any)
		for i, pointer := range []string{first, second, third} {
			if !strings.HasPrefix(pointer, "/") || !utf8.ValidString(pointer) || strings.Count(pointer, "/") > merge.MaxDepth {
				return
			}
			var value any = float64(i)
			if i == 0 {
				value = []any{value}
			}
			p.Set(pointer, value)
			names := strings.Split(pointer[1:], "/")
			m := want
			for n, name := range names {
				if name = unescape(name); n == len(names)-1 {
					m[name] = value
					break
				}
				inner, ok := m[name].(map[string]any)
				if !ok {
					inner = make(map[string]any)
					m[name] = inner
				}
				m = inner
			}
		}
		got, err := p.Patch()
		if errors.Is(err, merge.ErrPointer) {
			return // '~' without 0 or 1
		}
		require.NoError(t, err)
		var m map[string]any
		require.NoError(t, json.Unmarshal(got, &m))
		require.Equal(t, want, m, "%s", got)
	})
}

func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}
