package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseAccepts(t *testing.T) {
	for name, text := range map[string]string{
		"null":                        `null`,
		"true":                        `true`,
		"false":                       `false`,
		"zero":                        `0`,
		"minus zero":                  `-0`,
		"number/huge exponent":        `1e400`,
		"number/thirty digits":        `123456789012345678901234567890.5E+10`,
		"number/negative exponent":    `-1.0e-10`,
		"string/empty":                `""`,
		"string/DEL":                  "\"\x7f\"",
		"string/escapes":              `"\"\\\/\b\f\n\r\t\u00e9\u0000"`,
		"string/surrogate pair":       `"\ud83d\ude00"`,
		"string/noncharacter":         "\"\uffff\U0001ffff\"",
		"string/escaped noncharacter": `"\uffff"`,
		"string/two bytes":            `"éßñüöä"`,
		"string/three bytes":          `"日本語のテキスト日本語"`,
		"string/three bytes, edges":   "\"\u0800\ud7ff\ue000\ufffd\"",
		"string/four bytes":           "\"\U00010000\U0010ffff😀\"",
		"string/mixed":                `"aé日😀aé日😀aé日😀"`,
		"array/empty":                 `[]`,
		"array/nested":                `[[],[[]],1]`,
		"object/empty":                `{}`,
		"object/empty name":           `{"":1}`,
		"object/names differ in case": `{"a":1,"A":2}`,
		"object/same name elsewhere":  `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}`,
		"object/prefixes":             `{"a":1,"aa":2,"aaa":3,"aaaaaaaa":4,"aaaaaaaaa":5,"aaaaaaaaaaaaaaaa":6,"aaaaaaaaaaaaaaaaa":7}`,
		"object/NUL is not padding":   `{"a":1,"a\u0000":2,"a\u0000\u0000":3}`,
		"blanks everywhere":           " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } , \"c\" : [ ] } \n",
		"depth 64":                    strings.Repeat("[", 64) + strings.Repeat("]", 64),
	} {
		t.Run(name, func(t *testing.T) {
			var d Doc
			require.NoError(t, d.Parse([]byte(text), MaxDepth))
			assert.True(t, json.Valid([]byte(text)), "encoding/json disagrees")
			assert.Equal(t, strings.TrimSpace(text), string(d.Text(0)))
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		offset     int
		reason     string
	}{
		{"empty", ``, 0, "unexpected end"},
		{"blank", " \n", 2, "unexpected end"},
		{"byte order mark", "\xEF\xBB\xBF{}", 0, "byte order mark"},
		{"no-break space", "\u00a01", 0, "expected a value"},
		{"form feed", "\f1", 0, "expected a value"},
		{"comment", `/**/1`, 0, "expected a value"},
		{"two values", `1 2`, 2, "unexpected data"},
		{"trailing bracket", `{}}`, 2, "unexpected data"},
		{"trailing NUL", "{}\x00", 2, "unexpected data"},
		{"literal/cut off", `tru`, 0, "expected a value"},
		{"literal/capital", `True`, 0, "expected a value"},
		{"literal/false cut off", `[fals]`, 1, "expected a value"},
		{"literal/null cut off", `nul`, 0, "expected a value"},
		{"literal/NaN", `NaN`, 0, "expected a value"},
		{"number/leading zero", `01`, 1, "unexpected data"},
		{"number/plus", `+1`, 0, "expected a value"},
		{"number/only minus", `-`, 1, "expected a digit"},
		{"number/minus letter", `-a`, 1, "expected a digit"},
		{"number/no fraction", `1.`, 2, "decimal point"},
		{"number/no integer", `.5`, 0, "expected a value"},
		{"number/no exponent", `1e`, 2, "exponent"},
		{"number/exponent sign only", `1e+`, 3, "exponent"},
		{"number/hexadecimal", `0x1`, 1, "unexpected data"},
		{"string/cut off", `"abc`, 4, "unexpected end inside a string"},
		{"string/cut off in escape", `"abc\`, 5, "unexpected end inside a string"},
		{"string/cut off in unicode escape", `"\u00`, 5, "unexpected end inside a string"},
		{"string/control character", "\"a\nb\"", 2, "control character"},
		{"string/control character, far", "\"aaaaaaaaaaaaaaaaa\x1fb\"", 18, "control character"},
		{"string/NUL", "\"\x00\"", 1, "control character"},
		{"string/unknown escape", `"\a"`, 1, "invalid escape"},
		{"string/escape of a quote mark", `"\'"`, 1, "invalid escape"},
		{"string/short unicode escape", `"\u12g4"`, 1, "invalid escape"},
		{"string/lone high surrogate", `"\ud800"`, 1, "surrogate"},
		{"string/high surrogate, then text", `"\ud800abcdefgh"`, 1, "surrogate"},
		{"string/two high surrogates", `"\ud800\ud800"`, 1, "surrogate"},
		{"string/lone low surrogate", `"\udc00"`, 1, "surrogate"},
		{"string/reversed surrogates", `"\udc00\ud800"`, 1, "surrogate"},
		{"string/lone continuation byte", "\"\x80\"", 1, "invalid UTF-8"},
		{"string/overlong, two bytes", "\"\xc0\xaf\"", 1, "invalid UTF-8"},
		{"string/overlong, three bytes", "\"\xe0\x9f\xbf\"", 1, "invalid UTF-8"},
		{"string/overlong, three bytes, far from the end", "\"\xe0\x9f\xbf日日日日\"", 1, "invalid UTF-8"},
		{"string/overlong, four bytes", "\"\xf0\x8f\xbf\xbf\"", 1, "invalid UTF-8"},
		{"string/UTF-8 surrogate", "\"\xed\xa0\x80\"", 1, "invalid UTF-8"},
		{"string/UTF-8 surrogate in a run", "\"日\xed\xa0\x80日日日\"", 4, "invalid UTF-8"},
		{"string/beyond Unicode", "\"\xf4\x90\x80\x80\"", 1, "invalid UTF-8"},
		{"string/byte FF", "\"\xff\"", 1, "invalid UTF-8"},
		{"string/cut off character", "\"\xe6\x97", 1, "invalid UTF-8"},
		{"string/two-byte lead, no tail", "\"\xc3a\"", 1, "invalid UTF-8"},
		{"string/latin-1", "\"caf\xe9 au lait\"", 4, "invalid UTF-8"},
		{"name/invalid UTF-8", "{\"\xff\":1}", 2, "invalid UTF-8"},
		{"name/lone surrogate", `{"\ud800":1}`, 2, "surrogate"},
		{"array/cut off", `[1`, 2, "unexpected end"},
		{"array/cut off after a comma", `[1,`, 3, "unexpected end"},
		{"array/trailing comma", `[1,]`, 3, "expected a value"},
		{"array/no comma", `[1 2]`, 3, "expected ',' or ']'"},
		{"array/leading comma", `[,1]`, 1, "expected a value"},
		{"array/closed by a brace", `[1}`, 2, "expected ',' or ']'"},
		{"array/colon", `["a":1]`, 4, "expected ',' or ']'"},
		{"object/cut off", `{`, 1, "member name"},
		{"object/cut off after a name", `{"a"`, 4, "expected ':'"},
		{"object/cut off after a colon", `{"a":`, 5, "unexpected end"},
		{"object/cut off after a value", `{"a":1`, 6, "unexpected end"},
		{"object/trailing comma", `{"a":1,}`, 7, "member name"},
		{"object/name without quotes", `{a:1}`, 1, "member name"},
		{"object/number as a name", `{1:1}`, 1, "member name"},
		{"object/no colon", `{"a" 1}`, 5, "expected ':'"},
		{"object/no comma", `{"a":1 "b":2}`, 7, "expected ',' or '}'"},
		{"object/closed by a bracket", `{"a":1]`, 6, "expected ',' or '}'"},
		{"duplicate/top level", `{"a":1,"a":2}`, 7, "duplicate"},
		{"duplicate/deep", `[{"b":{"a":1,"c":{"a":1},"a":2}}]`, 25, "duplicate"},
		{"duplicate/empty name", `{"":1,"":2}`, 6, "duplicate"},
		{"duplicate/escaped second", `{"a":1,"\u0061":2}`, 7, "duplicate"},
		{"duplicate/escaped first", `{"\u0061":1,"a":2}`, 12, "duplicate"},
		{"duplicate/both escaped", `{"\u0061":1,"\u0061":2}`, 12, "duplicate"},
		{"duplicate/surrogate pair and character", `{"\ud83d\ude00":1,"😀":2}`, 18, "duplicate"},
		{"duplicate/long names", `{"` + strings.Repeat("n", 40) + `":1,"` + strings.Repeat("n", 40) + `":2}`, 46, "duplicate"},
		{"depth 65", strings.Repeat("[", 65) + strings.Repeat("]", 65), 64, "64 levels"},
		{"depth, objects", strings.Repeat(`{"a":`, 65), 5 * 64, "64 levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d Doc
			err := d.Parse([]byte(c.text), MaxDepth)
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			assert.Equal(t, c.offset, syntax.Offset)
			assert.Contains(t, syntax.Reason, c.reason)
			assert.Empty(t, d.Nodes)
		})
	}
}

// TestDuplicateAnywhere puts one duplicate at every distance, on both sides of
// the size from which a hash table is used.
func TestDuplicateAnywhere(t *testing.T) {
	for _, size := range []int{2, smallObject - 1, smallObject, smallObject + 1, smallObject + 2, 100} {
		for first := 0; first < size; first += 1 + size/7 {
			for second := first + 1; second < size; second += 1 + size/7 {
				var b bytes.Buffer
				b.WriteByte('{')
				offset := 0
				for i := range size {
					if i > 0 {
						b.WriteByte(',')
					}
					n := i
					if i == second {
						n, offset = first, b.Len()
					}
					fmt.Fprintf(&b, `"member%d":{"x":%d}`, n, i)
				}
				b.WriteByte('}')
				var d Doc
				var syntax *SyntaxError
				require.ErrorAs(t, d.Parse(b.Bytes(), MaxDepth), &syntax, "size %d, %d and %d", size, first, second)
				require.Equal(t, offset, syntax.Offset, "size %d, %d and %d", size, first, second)
			}
		}
	}
}

func TestTape(t *testing.T) {
	var d Doc
	require.NoError(t, d.Parse([]byte(` {"a" : [1, {"b":"x\n"}], "\u0063":null} `), MaxDepth))
	assert.True(t, d.Blanks)
	var got []string
	for i := range d.Nodes {
		i := uint32(i)
		n := d.Nodes[i]
		got = append(got, fmt.Sprintf("%s name=%q text=%s len=%d next=%d", n.Kind, d.AppendName(nil, i), d.Text(i), n.Len, n.Next))
	}
	assert.Equal(t, []string{
		`object name="" text={"a" : [1, {"b":"x\n"}], "\u0063":null} len=2 next=6`,
		`array name="a" text=[1, {"b":"x\n"}] len=2 next=5`,
		`number name="" text=1 len=0 next=3`,
		`object name="" text={"b":"x\n"} len=1 next=5`,
		`string name="b" text="x\n" len=0 next=5`,
		`null name="c" text=null len=0 next=6`,
	}, got)
	assert.Equal(t, "x\n", string(d.AppendString(nil, 4)))
	for _, name := range []string{"a", "c"} {
		_, ok := d.Find(0, HashName(name), name)
		assert.True(t, ok, name)
	}
	_, ok := d.Find(0, HashName("b"), "b")
	assert.False(t, ok)
	_, ok = d.Find(1, HashName("b"), "b")
	assert.False(t, ok, "an array has no members")

	require.NoError(t, d.Parse([]byte(`{"a":[1]}`), MaxDepth))
	assert.False(t, d.Blanks)
}

// TestHashNameAgrees holds the scanner's quick way of hashing against HashName
// for names of all lengths, near to and far from the end of the text.
func TestHashNameAgrees(t *testing.T) {
	for size := range 40 {
		for _, name := range []string{strings.Repeat("n", size), strings.Repeat("é", size)} {
			for _, tail := range []string{"}", strings.Repeat(" ", 40) + "}"} {
				var d Doc
				require.NoError(t, d.Parse([]byte(`{"`+name+`":1`+tail), MaxDepth))
				assert.Equal(t, HashName(name), d.Nodes[1].Hash, "%d bytes", len(name))
				assert.True(t, d.NameIs(1, HashName(name), name))
			}
		}
	}
}

func TestAppendQuoted(t *testing.T) {
	for _, s := range []string{"", "a", "a\"b\\c", "\x00\x1f\n\r\t", "é日😀", "\u2028", "</script>"} {
		got := AppendQuoted([]byte("x"), s)
		var back string
		require.NoError(t, json.Unmarshal(got[1:], &back))
		assert.Equal(t, s, back)
		var d Doc
		require.NoError(t, d.Parse(got[1:], 1))
	}
	assert.Equal(t, "\"a\uFFFDb\"", string(AppendQuoted(nil, "a\xffb")))
	assert.Equal(t, `"</script>"`, string(AppendQuoted(nil, "</script>")))
}

func TestAppendPointer(t *testing.T) {
	assert.Equal(t, "/a~1b~0c", string(AppendPointer(nil, []byte("a/b~c"))))
	assert.Equal(t, "/x/", string(AppendPointer([]byte("/x"), nil)))
}

func TestPooledDocForgetsItsText(t *testing.T) {
	d := Get()
	require.NoError(t, d.Parse([]byte(`[1]`), MaxDepth))
	Put(d)
	assert.Nil(t, d.Src)
}

// valid is an independent judge: encoding/json for the grammar, its token
// stream for duplicate names and depth, and a search for lone surrogates.
func valid(text []byte) bool {
	if !json.Valid(text) || !utf8.Valid(text) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	type level struct {
		names  map[string]bool // nil in an array
		inName bool
	}
	var stack []level
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return false
		}
		if delim, ok := tok.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 {
			if top := &stack[len(stack)-1]; top.names != nil {
				if top.inName {
					name := tok.(string)
					if top.names[name] {
						return false
					}
					top.names[name] = true
				}
				top.inName = !top.inName
			}
		}
		if delim, ok := tok.(json.Delim); ok {
			l := level{}
			if delim == '{' {
				l = level{names: map[string]bool{}, inName: true}
			}
			if stack = append(stack, l); len(stack) > MaxDepth {
				return false
			}
		}
	}
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		i++
		if text[i] != 'u' {
			continue
		}
		r := rune(hex4(text[i+1:]))
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		if i+6 >= len(text) || text[i+1] != '\\' || text[i+2] != 'u' ||
			utf16.DecodeRune(r, rune(hex4(text[i+3:]))) == utf8.RuneError {
			return false
		}
		i += 6
	}
	return true
}

// FuzzParse holds Parse against an independent judge, and the tape against the
// text: strings, names and compact form are those that encoding/json sees.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e10,"x\u00e9\ud83d\ude00",{"b":null}],"c":true}`, `{"a":1,"\u0061":2}`, `[[[[]]]]`, ` { } `,
		"\"\xed\xa0\x80\"", `"\ud800"`, "{\"日本語\":\"テキスト\"}", `{"a":{},"b":[],"":-0.0}`, `01`, `"\`, "\xEF\xBB\xBF1",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var d Doc
		before := bytes.Clone(text)
		err := d.Parse(text, MaxDepth)
		if got, want := err == nil, valid(text); got != want {
			t.Fatalf("Parse accepts: %v, want %v (%v)", got, want, err)
		}
		if !bytes.Equal(before, text) {
			t.Fatal("the text was changed")
		}
		var syntax *SyntaxError
		if err != nil {
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(text) {
				t.Fatalf("not a good error: %#v", err)
			}
			return
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text); err != nil {
			t.Fatal(err)
		}
		if got := AppendCompact(nil, text); !bytes.Equal(got, compact.Bytes()) {
			t.Fatalf("AppendCompact: %q, want %q", got, compact.Bytes())
		}
		if d.Blanks != (compact.Len() != len(text)) {
			t.Fatalf("Blanks: %v", d.Blanks)
		}
		for i := range d.Nodes {
			i := uint32(i)
			n := &d.Nodes[i]
			if n.Next <= i || int(n.Next) > len(d.Nodes) {
				t.Fatalf("node %d: next %d", i, n.Next)
			}
			if n.Hash != 0 && n.Hash != HashName(string(d.AppendName(nil, i))) {
				t.Fatalf("node %d: hash", i)
			}
			var s string
			if n.Kind == String {
				if err := json.Unmarshal(d.Text(i), &s); err != nil || s != string(d.AppendString(nil, i)) {
					t.Fatalf("node %d: %q, want %q", i, d.AppendString(nil, i), s)
				}
			}
		}
	})
}
