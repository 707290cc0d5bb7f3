package schema

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPatterns: where ECMA-262 and regexp/syntax differ, a pattern means what it does in
// ECMA-262.
func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		yes, no       []string
	}{
		{"plain", `^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, []string{"a", "a-b"}, []string{"", "-a", "a-", "a\n"}},
		{"searches", `b`, []string{"abc"}, []string{"ac"}},
		{"escape/u", `^\u00e9\u{1F600}$`, []string{"é😀"}, []string{"é", "u00e9"}},
		{"escape/surrogates", `^\ud83d\ude00$`, []string{"😀"}, []string{"\ufffd"}},
		{"escape/u-in-class", `^[\u0041-\u0043\]\\]+$`, []string{"ABC", `]\`}, []string{"D", "u"}},
		{"escape/slash", `^\/a\/$`, []string{"/a/"}, []string{`\/a`}},
		{"escape/hyphen", `^[\w\-]+$`, []string{"a-b_C9"}, []string{"é", `\`}},
		{"escape/literal-backslash", `^\\u0041$`, []string{`\u0041`}, []string{"A", `\A`}},
		{"escape/control", `^\cJ\cM\0$`, []string{"\n\r\x00"}, nil},
		{"escape/backspace", `^[\b]$`, []string{"\b"}, []string{"b"}},
		{"escape/letter", `^\é$`, []string{"é"}, nil},
		{"word-boundary", `\bcat\b`, []string{"a cat!"}, []string{"cats"}},
		{"space", `^\s+$`, []string{" \t\n\v\f\r\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"}, []string{"", "a", "\u200b", "\u0085"}},
		{"not-space", `^\S+$`, []string{"a\u200b\u0085\x00"}, []string{"\u00a0", "\ufeff", "\u2028", " ", "\u3000"}},
		{"space-in-class", `^[\s-_]+$`, []string{"\u00a0-_"}, []string{"a"}},
		{"not-space-in-class", `^[^\S\n]+$`, []string{"\u00a0 "}, []string{"\n", "a"}},
		{"digit", `^\d+$`, []string{"09"}, []string{"٣", ""}},
		{"dot", `^.$`, []string{"a", "é", "😀"}, []string{"", "\n", "\r", "\u2028", "\u2029", "ab"}},
		{"dot-in-class", `^[.]$`, []string{"."}, []string{"a"}},
		{"dot-all", `^(?s:.)$`, []string{"\n", "\u2028"}, nil},
		{"any", `^[^]$`, []string{"\n", "a"}, []string{"", "ab"}},
		{"none", `^[]$`, nil, []string{"", "]"}},
		{"bracket-in-class", `^[[]+$`, []string{"[["}, []string{"a"}},
		{"end", `a$`, []string{"ba"}, []string{"a\n"}},
		{"go/flags", `^(?i)abc$`, []string{"aBC"}, []string{"abd"}},
		{"go/class", `^[[:alpha:]_]+$`, []string{"a_Z"}, []string{":", "1"}},
		{"go/named-group", `^(?P<year>\d{4})(?<smile>s)$`, []string{"2024s"}, []string{"2024"}},
		{"go/property", `^\p{Greek}\pL$`, []string{"αa"}, []string{"aα"}},
		{"brace", `^a{,2}{$`, []string{"a{,2}{"}, nil},
		{"repeat", `^a{2,3}$`, []string{"aa", "aaa"}, []string{"a", "aaaa"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			match, size, err := compilePattern(tt.pattern, new(maxAllStates))
			require.NoError(t, err)
			assert.Positive(t, size)
			for _, text := range tt.yes {
				assert.True(t, agreed(t, match, text), "%q", text)
			}
			for _, text := range tt.no {
				assert.False(t, agreed(t, match, text), "%q", text)
			}
		})
	}
}

// TestPatternMemory: what a repetition would be written out to is known before it is.
func TestPatternMemory(t *testing.T) {
	for _, pattern := range []string{
		`(a{1000}){1000}`, strings.Repeat(`(`, 4096), strings.Repeat(`(a|`, 1000), `(` + strings.Repeat("a", 4000) + `){1000}`,
		`((((((a{9}){9}){9}){9}){9}){9}){9}`, `[` + strings.Repeat(`\s`, 2000), strings.Repeat(`(?i)`, 1000) + `(`,
	} {
		assert.Less(t, testing.AllocsPerRun(1, func() {
			if _, _, err := compilePattern(pattern, new(maxAllStates)); err == nil {
				t.Errorf("%.20s compiles", pattern)
			}
		}), 100_000.0)
	}
}

// FuzzPattern: a pattern compiles, or the error says why; a pattern without what the two
// syntaxes differ in means the same as in regexp.
func FuzzPattern(f *testing.F) {
	for _, seed := range []string{`^[a-z]+$`, `\u0041`, `[^\s]`, `(?s).`, `[[:alpha:]]`, `\cA`, `a{2,}`, `(?P<n>x)`, `[]a]`, `\ud83d\ude00`} {
		f.Add(seed, "a b")
	}
	plain := regexp.MustCompile(`^[a-z0-9 ()|*+?^$]*$`)
	f.Fuzz(func(t *testing.T, pattern, text string) {
		match, size, err := compilePattern(pattern, new(maxAllStates))
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.LessOrEqual(t, size, maxProgram)
		agreed(t, match, text)
		if same, err := regexp.Compile(pattern); err == nil && plain.MatchString(pattern) {
			require.Equal(t, same.MatchString(text), agreed(t, match, text))
		}
	})
}

// TestProgramSize: the estimate is near to what is compiled, and not below.
func TestProgramSize(t *testing.T) {
	for _, pattern := range []string{
		`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`, `(abc){100}`, `(?:a|b|cd){7,90}`, `a{5,}`, `(a*b+c?){50}`, `\d{4}-\d\d`, `.`, `^$`,
	} {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		require.NoError(t, err)
		program, err := syntax.Compile(parsed.Simplify())
		require.NoError(t, err)
		assert.InDelta(t, len(program.Inst), programSize(parsed), 5+0.02*float64(len(program.Inst)), pattern)
	}
}

// agreed reports whether text matches, by the automaton too if there is one.
func agreed(t *testing.T, m *matcher, text string) bool {
	t.Helper()
	want := m.regexp.MatchString(text)
	if m.automaton != nil {
		got, ok := m.automaton.match([]byte(text))
		require.True(t, !ok || got == want, "%s %q: %v", m.regexp, text, got)
		require.True(t, ok || strings.ContainsFunc(text, func(r rune) bool { return r > 0x7f }), "%q", text)
	}
	require.Equal(t, want, m.match([]byte(text)))
	return want
}

// TestAutomaton: which patterns have one, and that it agrees with package regexp on short
// texts of a few letters.
func TestAutomaton(t *testing.T) {
	var texts []string
	for i := range 1 << 12 {
		text := ""
		for n := i; n > 0; n /= 4 {
			text += []string{"a", "b", "-", "\n"}[n%4]
		}
		texts = append(texts, text)
	}
	for pattern, has := range map[string]bool{
		`a`: true, `^a`: true, `a$`: true, `^a$`: true, `^(a|b-)*$`: true, `a.b`: true, `^$`: true, ``: true, `$`: true, `a|^b$`: true, `(^a|-)b+$`: true,
		`a*$|b`: true, `($)*a`: true, `a($)*$`: true, `(?i)A-B`: true, `[^a]b`: true, `^[a-z]([-a-z]*[a-z])?$`: true, `(a|b)*a(a|b)(a|b)$`: true, `(?s).$`: true,
		`é|a-`: true, `a{2,3}b`: true, `(a*)*b`: true, `(|a)+$`: true, `[^]b`: true, `[]`: true,
		`\ba`: false, `a\B`: false, `$^`: false, `(?m)^a$`: false, `(a|b)*a(a|b){7}$`: false, `a{300}`: false, `^a$^b$`: false,
	} {
		m, _, err := compilePattern(pattern, new(maxAllStates))
		require.NoError(t, err)
		assert.Equal(t, has, m.automaton != nil, pattern)
		for _, text := range texts {
			agreed(t, m, text)
		}
	}
}

// TestManyAutomatons: their memory is bounded, and patterns without one work.
func TestManyAutomatons(t *testing.T) {
	declared := make([]Field, 1000)
	for i := range declared {
		declared[i] = Field{Name: fmt.Sprint(i), Type: String, Pattern: fmt.Sprintf(`^[a-z]{30}%d$`, i)}
	}
	s, states := define(t, declared...), 0
	for i := range s.root.fields {
		if k := s.root.fields[i].checks; k != nil && k.match.automaton != nil {
			states += len(k.match.automaton.next)
		}
	}
	assert.Positive(t, states)
	assert.Less(t, states, maxAllStates+maxStates)
	text := strings.Repeat("a", 30)
	assert.NoError(t, s.Validate([]byte(`{"id":"1","0":"`+text+`0","999":"`+text+`999"}`)))
	assert.Error(t, s.Validate([]byte(`{"id":"1","999":"`+text+`99"}`)))

	// So is the time for those that are given up.
	room := maxAllStates
	for i := range 1000 {
		m, _, err := compilePattern(fmt.Sprintf(`[ab]*a[ab]{7}%d`, i), &room)
		require.NoError(t, err)
		require.Nil(t, m.automaton)
	}
	assert.LessOrEqual(t, room, 0)
	assert.Greater(t, room, -maxStates)
}
