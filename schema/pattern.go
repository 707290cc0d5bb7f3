package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

const (
	maxPattern      = 4096    // bytes of a pattern
	maxProgram      = 10_000  // instructions of a pattern
	maxInstructions = 500_000 // of all patterns of a definition
)

// compilePattern compiles a pattern, and returns how many instructions it has. It makes
// an automaton while there is room for its states, which it takes. The error says where
// the pattern is wrong.
func compilePattern(pattern string, room *int) (*matcher, int, error) {
	if len(pattern) > maxPattern {
		return nil, 0, fmt.Errorf("expected at most %d bytes", maxPattern)
	}
	t := translation{from: pattern}
	if err := t.translate(); err != nil {
		return nil, 0, err
	}
	parsed, err := syntax.Parse(t.to.String(), syntax.Perl)
	if err != nil {
		var wrong *syntax.Error
		if !errors.As(err, &wrong) {
			return nil, 0, err // not reached
		}
		return nil, 0, fmt.Errorf("%v at byte %d", wrong.Code, t.source(strings.Index(t.to.String(), wrong.Expr)))
	}
	size := programSize(parsed)
	if size > maxProgram {
		return nil, 0, fmt.Errorf("expected at most %d instructions: its repetitions are too many", maxProgram)
	}
	compiled, err := regexp.Compile(t.to.String())
	if err != nil {
		return nil, 0, err // not reached: it has been parsed
	}
	return &matcher{compiled, newAutomaton(parsed, room)}, size, nil
}

// programSize returns about how many instructions an expression compiles to: repetitions
// are written out.
func programSize(re *syntax.Regexp) int {
	size := 0
	for _, sub := range re.Sub {
		size += programSize(sub)
	}
	switch re.Op {
	case syntax.OpRepeat:
		size *= max(re.Max, re.Min+1, 1)
		size += max(0, re.Max-re.Min) // branches
	case syntax.OpAlternate:
		size += len(re.Sub) - 1
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpConcat:
	case syntax.OpCapture:
		size += 2
	default:
		size++
	}
	return min(size, maxProgram+1) // or the repetitions of repetitions would overflow
}

// A translation writes a pattern of ECMA-262 as one of regexp/syntax. Most patterns are
// both. What has a meaning in regexp/syntax alone, as (?i), keeps that.
type translation struct {
	from string
	i    int // the place in from
	to   strings.Builder
	at   [][2]int // places in to, and where in from they come from
}

// source returns the place in from of a place in to.
func (t *translation) source(to int) int {
	place := 0
	for _, at := range t.at {
		if at[0] <= to {
			place = at[1] + to - at[0]
		}
	}
	return min(place, len(t.from))
}

// write writes what the n bytes at t.i mean, and goes past them.
func (t *translation) write(n int, text string) {
	t.at = append(t.at, [2]int{t.to.Len(), t.i})
	t.to.WriteString(text)
	t.i += n
}

const (
	// The white space and the line terminators of ECMA-262, sections 12.2 and 12.3, as
	// parts of a class. The last part is a range, so that a hyphen after it is one.
	spaces     = `\t\n\v\f\r \x{a0}\x{1680}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}\x{2000}-\x{200a}`
	notSpaces  = `\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}`
	anything   = `[\x{0}-\x{10ffff}]`
	nothing    = `[^\x{0}-\x{10ffff}]`
	notNewline = `[^\n\r\x{2028}\x{2029}]`
)

// translate writes the whole pattern.
func (t *translation) translate() error {
	if !utf8.ValidString(t.from) {
		return errors.New("expected valid UTF-8")
	}
	class := false // in [...]
	dotAll := false
	for t.i < len(t.from) {
		rest := t.from[t.i:]
		switch {
		case rest[0] == '\\':
			if err := t.escape(rest, class); err != nil {
				return err
			}
		case class && strings.HasPrefix(rest, "[:") && strings.Contains(rest, ":]"):
			t.write(strings.Index(rest, ":]")+2, rest[:strings.Index(rest, ":]")+2])
		case class && rest[0] == '[':
			t.write(1, `\[`)
		case class:
			class = rest[0] != ']'
			t.write(1, rest[:1])
		case strings.HasPrefix(rest, "[^]"):
			t.write(3, anything)
		case strings.HasPrefix(rest, "[]"):
			t.write(2, nothing)
		case rest[0] == '[':
			class = true
			n := 1
			if strings.HasPrefix(rest, "[^") {
				n = 2
			}
			t.write(n, rest[:n])
		case rest[0] == '.' && !dotAll:
			t.write(1, notNewline)
		case strings.HasPrefix(rest, "(?") && strings.Contains(rest[:2+len(flags(rest[2:]))], "s"):
			dotAll = true
			t.write(2, rest[:2])
		case strings.HasPrefix(rest, "(?="), strings.HasPrefix(rest, "(?!"), strings.HasPrefix(rest, "(?<="), strings.HasPrefix(rest, "(?<!"):
			return fmt.Errorf("look-around at byte %d is not supported", t.i)
		default:
			t.write(1, rest[:1])
		}
	}
	return nil
}

// flags returns the flags of regexp/syntax at the start of s, which end before a colon
// or bracket; (?P<name> and (?<name> have none.
func flags(s string) string {
	n := len(s) - len(strings.TrimLeft(s, "imsU-"))
	if n < len(s) && (s[n] == ':' || s[n] == ')') {
		return s[:n]
	}
	return ""
}

// escape writes what the escape at the start of rest means.
func (t *translation) escape(rest string, class bool) error {
	if len(rest) < 2 {
		return fmt.Errorf("a backslash at byte %d without a character", t.i)
	}
	brackets := func(parts string) string {
		if class {
			return parts
		}
		return "[" + parts + "]"
	}
	switch b := rest[1]; {
	case b == 'u':
		return t.unicode(rest)
	case b == 's':
		t.write(2, brackets(spaces))
	case b == 'S':
		t.write(2, brackets(notSpaces))
	case b == 'b' && class:
		t.write(2, `\x08`)
	case b == '0' && (len(rest) == 2 || rest[2] < '0' || rest[2] > '9'):
		t.write(2, `\x00`)
	case b == 'c' && len(rest) > 2 && (rest[2]|0x20) >= 'a' && (rest[2]|0x20) <= 'z':
		t.write(3, fmt.Sprintf(`\x%02x`, rest[2]&0x1f))
	case b >= '1' && b <= '9' && !class, b == 'k':
		return fmt.Errorf("a back-reference at byte %d is not supported", t.i)
	case b == 'Q' || b == 'E' || b == 'C' || b == 'a':
		return fmt.Errorf(`\%c at byte %d is not supported`, b, t.i)
	case b >= utf8.RuneSelf:
		t.write(1, "") // the character stands for itself
	default:
		t.write(2, rest[:2])
	}
	return nil
}

// unicode writes the character of the escape \uXXXX, \uXXXX\uXXXX (a surrogate pair) or
// \u{X...} at the start of rest.
func (t *translation) unicode(rest string) error {
	n := 6
	r, ok := hex(rest, 2, 6)
	if strings.HasPrefix(rest, `\u{`) {
		if n = strings.IndexByte(rest, '}') + 1; n > 0 {
			r, ok = hex(rest, 3, n-1)
		}
	}
	if low, pair := hex(rest, 8, 12); ok && r >= 0xd800 && r < 0xdc00 && pair && strings.HasPrefix(rest[6:], `\u`) && low >= 0xdc00 && low < 0xe000 {
		n, r = 12, (r-0xd800)<<10+(low-0xdc00)+0x10000
	}
	if !ok || r > utf8.MaxRune || r >= 0xd800 && r < 0xe000 {
		return fmt.Errorf(`\u at byte %d: expected the code of a character`, t.i)
	}
	t.write(n, fmt.Sprintf(`\x{%x}`, r))
	return nil
}

// hex returns the value of the hexadecimal digits s[from:to], of which there are 1 to 6.
func hex(s string, from, to int) (rune, bool) {
	if to > len(s) || to-from < 1 || to-from > 6 {
		return 0, false
	}
	r := rune(0)
	for _, c := range s[from:to] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 + c
	}
	return r, true
}
